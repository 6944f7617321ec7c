//! `gofleet offers`, `accept`, `postpone`: the word of the user of this machine to what is published
//! for it.
//!
//! They need no rights: what is offered stands in a file that everybody may read, and a word is a
//! small file in a folder into which everybody may put one. Whether it counts is the agent's to
//! say; it is waited for.

use std::fs::{self, File};
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use gofleet_agent::offer::{board, notes_folder};
use gofleet_core::offer::{Board, Note, Offered, Word};
use gofleet_core::time::Span;
use gofleet_depot::Root;
use serde::Serialize;

use crate::agent::root_of_agent;
use crate::failure::Hinted;
use crate::printer::Printer;

/// An agent looks every second; a busy machine takes longer.
const TAKEN_WITHIN: Duration = Duration::from_secs(20);
const LOOKED_EVERY: Duration = Duration::from_millis(100);

/// Show what waits for the word of this machine's user
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gofleet offers
  gofleet offers --json")]
pub struct Offers {
    #[command(flatten)]
    place: Place,
}

/// Let an offered release be activated
#[derive(Debug, Args)]
#[command(after_help = "\
The server says when: as soon as the rollout has a place, and in its window if it has one.

Examples:
  gofleet accept
  gofleet accept 1.27.3 --dry-run")]
pub struct Accept {
    /// Release or version [default: the only one that is offered]
    #[arg(value_name = "RELEASE")]
    release: Option<String>,
    /// Only show what would be answered
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    place: Place,
}

/// Ask again later, as often as the rollout allows
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gofleet postpone
  gofleet postpone 1.27.3 --for 2h")]
pub struct Postpone {
    /// Release or version [default: the only one that is offered]
    #[arg(value_name = "RELEASE")]
    release: Option<String>,
    /// For how long [default: as long as is allowed]
    #[arg(long = "for", value_name = "SPAN")]
    span: Option<Span>,
    /// Only show what would be answered
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Place {
    /// Folder that the agent keeps [default: that of the service, else of this user]
    #[arg(long, value_name = "DIR", env = "GOFLEET_ROOT")]
    root: Option<PathBuf>,
}

impl Place {
    fn root(self) -> anyhow::Result<Root> {
        Ok(Root::new(root_of_agent(self.root)?))
    }
}

/// A word, and the offer that it is about.
#[derive(Debug, Serialize)]
struct Answered {
    word: Word,
    is_sent: bool,
    #[serde(flatten)]
    offered: Offered,
}

/// Shows the offers.
pub fn offers(arguments: Offers, printer: Printer) -> anyhow::Result<ExitCode> {
    let board = read(&arguments.place.root()?)?;
    printer.data(&board, describe)?;
    Ok(ExitCode::SUCCESS)
}

/// Accepts one.
pub async fn accept(arguments: Accept, printer: Printer) -> anyhow::Result<ExitCode> {
    let Accept { release, dry_run, place } = arguments;
    say(Word::Accept, release.as_deref(), dry_run, &place.root()?, printer).await
}

/// Postpones one.
pub async fn postpone(arguments: Postpone, printer: Printer) -> anyhow::Result<ExitCode> {
    let Postpone { release, span, dry_run, place } = arguments;
    say(Word::Postpone(span), release.as_deref(), dry_run, &place.root()?, printer).await
}

async fn say(
    word: Word,
    release: Option<&str>,
    is_dry_run: bool,
    root: &Root,
    printer: Printer,
) -> anyhow::Result<ExitCode> {
    let offered = find(read(root)?, release)?;
    let answered = if is_dry_run {
        Answered { word, is_sent: false, offered }
    } else {
        let id = leave(&Note { generation: offered.generation, word }, &notes_folder(root))?;
        let board = taken(&id, root).await?;
        let judged = board.judged.iter().find(|judged| judged.note == id);
        if let Some(why) = judged.and_then(|judged| judged.refused.clone()) {
            let hint = "`gofleet offers` shows until when, and how often it may still be postponed";
            return Err(Hinted::new(format!("the agent refused it: {why}"), hint).into());
        }
        let now = board.offers.into_iter().find(|it| it.generation == offered.generation);
        Answered { word, is_sent: true, offered: now.unwrap_or(offered) }
    };
    printer.data(&answered, Answered::describe)?;
    Ok(ExitCode::SUCCESS)
}

fn read(root: &Root) -> anyhow::Result<Board> {
    let path = root.path().display();
    board(root).with_context(|| format!("the offers of the agent in {path} can't be read"))
}

/// The offer that is meant.
fn find(board: Board, release: Option<&str>) -> anyhow::Result<Offered> {
    let is_meant =
        |it: &Offered| release.is_none_or(|name| it.release.as_str() == name || it.version == name);
    let hint = "`gofleet offers` shows what is offered";
    let mut meant: Vec<_> = board.offers.into_iter().filter(is_meant).collect();
    let message = match (meant.len(), release) {
        (1, _) => return Ok(meant.remove(0)),
        (0, None) => "nothing waits for your word on this machine".to_owned(),
        (0, Some(name)) => format!("`{name}` is not offered on this machine"),
        (count, _) => format!("{count} releases are offered: name one"),
    };
    Err(Hinted::new(message, hint).into())
}

/// Leaves a note under a name that nobody else has; gives its id. The agent never sees half of it.
fn leave(note: &Note, folder: &Path) -> anyhow::Result<String> {
    // Keyed by the system's randomness.
    let id = format!("{:016x}", std::hash::RandomState::new().build_hasher().finish());
    let (part, whole) = (folder.join(format!("{id}.part")), folder.join(Note::file_name(&id)));
    let failed = || format!("cannot leave a note in {}", folder.display());
    let mut file = File::create_new(&part).with_context(failed)?;
    file.write_all(&serde_json::to_vec(note)?).with_context(failed)?;
    drop(file);
    fs::rename(&part, &whole).with_context(failed)?;
    Ok(id)
}

/// Waits until the agent has judged a note.
async fn taken(id: &str, root: &Root) -> anyhow::Result<Board> {
    let begun = Instant::now();
    loop {
        let board = read(root)?;
        if board.judged.iter().any(|judged| judged.note == id) {
            return Ok(board);
        }
        if begun.elapsed() > TAKEN_WITHIN {
            let _ = fs::remove_file(notes_folder(root).join(Note::file_name(id)));
            let hint = "`gofleet agent status` shows whether it runs";
            return Err(Hinted::new("the agent has not taken the answer", hint).into());
        }
        tokio::time::sleep(LOOKED_EVERY).await;
    }
}

fn describe(board: &Board) -> String {
    let mut lines: Vec<String> = board.offers.iter().map(one).collect();
    if lines.is_empty() {
        lines.push("nothing waits for your word".to_owned());
    }
    let notices = board.notices.iter().map(|notice| format!("{}  {}", notice.at, notice.text));
    lines.extend(notices);
    lines.join("\n")
}

fn one(offered: &Offered) -> String {
    let Offered { package, version, offer, answer, postpones_left, .. } = offered;
    let mut text = format!(
        "{package} {version}  offered since {}, activated by itself after {}\n  {answer}",
        offer.since, offer.deadline
    );
    if answer.accepted_at.is_none() {
        let at_most = offer.postpone.at_most;
        text.push_str(&match postpones_left {
            0 => "; it can't be postponed any more".to_owned(),
            1 => format!("; it may be postponed once more, for at most {at_most}"),
            left => format!("; it may be postponed {left} times more, for at most {at_most} each"),
        });
    }
    if !offer.notice.is_empty() {
        text.push_str(&format!("\n  {}", offer.notice));
    }
    text
}

impl Answered {
    fn describe(&self) -> String {
        let Offered { package, version, answer, .. } = &self.offered;
        match (self.word, self.is_sent) {
            (Word::Accept, true) => {
                format!("accepted {package} {version}: it is activated when its turn has come")
            }
            (Word::Postpone(_), true) => format!("{package} {version} is {answer}"),
            (Word::Accept, false) => format!("would accept {package} {version}"),
            (Word::Postpone(None), false) => format!("would postpone {package} {version}"),
            (Word::Postpone(Some(span)), false) => {
                format!("would postpone {package} {version} for {span}")
            }
        }
    }
}
