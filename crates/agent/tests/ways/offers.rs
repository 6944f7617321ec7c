//! A published release: the user of the machine is asked, told, and taken at no more than a word.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use gofleet_agent::offer::{board, notes_folder};
use gofleet_core::offer::{Answer, NoticeKind, Offer, Postpone};
use gofleet_core::order::Step;
use gofleet_depot::Root;

use super::*;

impl Bed {
    /// Its release is offered, and users are told by a script that leaves what it reads in a file
    /// and then hangs.
    async fn offered() -> (Self, PathBuf) {
        let mut bed = Self::new().await;
        let _ = bed.archive();
        let (told, script) = (bed.folder.path().join("told"), bed.folder.path().join("tell"));
        let lines = format!("#!/bin/sh\ncat >> '{}'\nsleep 600\n", told.display());
        fs::write(&script, lines).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        bed.notifier = script.to_str().unwrap().to_owned();
        let release = bed.new.reference.clone();
        let now = Timestamp::from_millis(jiff::Timestamp::now().as_millisecond());
        bed.server.script(|script| {
            let offer = Offer {
                since: now,
                deadline: now + Span::from_secs(3600),
                postpone: Postpone { times: 2, at_most: Span::from_secs(600) },
                remind: Span::from_secs(900),
                notice: "Close your editors.".to_owned(),
            };
            script.order.as_mut().unwrap().want = Want::Offer { release, offer };
        });
        (bed, told)
    }

    /// Leaves a note as a user's program does.
    fn leave(&self, id: &str, text: &str) {
        fs::write(notes_folder(&Root::new(self.root())).join(format!("{id}.json")), text).unwrap();
    }

    fn leave_hostile_notes(&self) {
        let (notes, secret) = (notes_folder(&Root::new(self.root())), self.folder.path().join("s"));
        fs::write(&secret, r#"{"generation": 1, "word": "accept"}"#).unwrap();
        symlink(&secret, notes.join("link.json")).unwrap();
        fs::create_dir(notes.join("folder.json")).unwrap();
        let pipe = notes.join("pipe.json");
        assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
        self.leave(
            "large",
            &format!(r#"{{"generation": 1, "word": "accept"}}{}"#, " ".repeat(2000)),
        );
        self.leave("other", r#"{"generation": 1, "word": "accept", "run": "sh"}"#);
        self.leave("stale", r#"{"generation": 7, "word": "accept"}"#);
        self.leave("UPPER", r#"{"generation": 1, "word": "accept"}"#);
    }
}

#[tokio::test]
async fn users_words_count_as_far_as_the_policy_lets_them_and_nothing_else_does() {
    let (bed, told) = Bed::offered().await;
    let postpone = r#"{"generation": 1, "word": {"postpone": "5m"}}"#;
    let mut looks = 0;
    let answer: Answer = bed
        .run(|report| {
            let progress = report.progress.as_ref().filter(|it| it.step == Step::Staged)?;
            let answer = progress.answer?;
            match (looks, answer.postponed) {
                (0, 0) => {
                    bed.leave_hostile_notes();
                    bed.leave("first", postpone);
                    bed.leave("second", r#"{"generation": 1, "word": {"postpone": "1h"}}"#);
                }
                // The same note once more, as after a kill before it was removed.
                (1, 1) => {
                    bed.leave("first", postpone);
                    bed.leave("third", r#"{"generation": 1, "word": "accept"}"#);
                }
                _ => return answer.accepted_at.map(|_| answer),
            }
            looks += 1;
            None
        })
        .await;
    assert_eq!(answer.postponed, 1, "one note is one word");

    let root = Root::new(bed.root());
    let shown = board(&root).unwrap();
    let mode = fs::metadata(bed.root().join("offers/board.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644, "everybody may read it");
    let verdict = |note: &str| {
        let judged = shown.judged.iter().find(|judged| judged.note == note);
        judged.map(|judged| judged.refused.clone().unwrap_or_default())
    };
    assert_eq!(verdict("first").as_deref(), Some(""));
    assert!(verdict("second").unwrap().contains("at most 10m"), "{shown:?}");
    assert!(verdict("stale").unwrap().contains("holds no more"), "{shown:?}");
    for unread in ["link", "folder", "pipe", "large", "other", "UPPER"] {
        assert_eq!(verdict(unread), None, "{unread}");
    }
    assert_eq!(shown.notices[0].kind, NoticeKind::Offered);
    assert_eq!(
        root.active().unwrap().unwrap().active,
        bed.old.reference.id,
        "nothing is activated"
    );
    assert!(bed.folder.path().join("s").exists(), "a link is removed, and not what it points to");
    // All that went on while the notifier hung.
    let told = fs::read_to_string(told).unwrap();
    assert!(told.contains(r#""kind":"offered""#) && told.contains("Close your editors."), "{told}");
}
