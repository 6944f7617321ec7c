//! Telling users: one program for each notice, which never holds up anything else.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use gofleet_core::offer::{Notice, Offered};
use gofleet_platform::ProcessTree;
use serde::Serialize;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::backoff::{Backoff, random};
use crate::device::Device;

/// A notifier that takes longer is ended, with all that it started.
const LIMIT: Duration = Duration::from_secs(30);

/// What a notifier reads.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    notice: &'a Notice,
    offer: Option<Offered>,
}

/// How users are told.
enum Notifier {
    /// A program of the administrator's: JSON on its standard input.
    Command(PathBuf),
    /// What the system has: text on its standard input.
    System(PathBuf, &'static [&'static str]),
}

impl Device {
    /// Gives each notice to the notifier, for ever. A notice whose notifier fails is not repeated:
    /// it stands on the board.
    pub async fn deliver_notices(&self) -> Infallible {
        let mut backoff = Backoff::for_server();
        loop {
            let notice = self.ledger.borrow().memory().next_untold().cloned();
            let Some(notice) = notice else {
                self.notice_news.notified().await;
                continue;
            };
            match tokio::time::timeout(LIMIT, self.tell(&notice)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "a user could not be told"),
                Err(_) => tracing::warn!("the notifier was ended after {} s", LIMIT.as_secs()),
            }
            let noted = self.ledger.borrow_mut().note_told(&notice);
            match noted {
                Ok(()) => backoff.reset(),
                Err(error) => {
                    tracing::warn!(%error, "a user will be told again");
                    tokio::time::sleep(backoff.after_failure(random())).await;
                }
            }
        }
    }

    async fn tell(&self, notice: &Notice) -> io::Result<()> {
        tracing::info!(kind = notice.kind.as_str(), "{}", notice.text);
        let Some(notifier) = notifier(self.config.notify_command.as_deref()) else {
            return Ok(());
        };
        let (mut command, input) = match notifier {
            Notifier::Command(program) => {
                let offer = self.offered();
                let input = serde_json::to_vec(&Told { notice, offer }).map_err(io::Error::other);
                (Command::new(program), input?)
            }
            Notifier::System(program, arguments) => {
                let mut command = Command::new(program);
                command.args(arguments);
                (command, format!("{}\n", notice.text).into_bytes())
            }
        };
        command
            .env("GOFLEET_NOTICE", notice.kind.as_str())
            .env("GOFLEET_NOTICE_TEXT", &notice.text)
            .env_remove("GOFLEET_ENROLMENT_TOKEN")
            .env_remove("GOFLEET_TOKEN")
            .current_dir(self.folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        run(&mut command, &input).await
    }

    fn offered(&self) -> Option<Offered> {
        let ledger = self.ledger.borrow();
        let task = ledger.memory().task()?;
        task.asked.as_ref().map(|asked| asked.shown(task.order.generation))
    }
}

/// Dropped, it ends the program with all that it started.
async fn run(command: &mut Command, input: &[u8]) -> io::Result<()> {
    ProcessTree::prepare(command.as_std_mut());
    let mut child = command.spawn()?;
    let pid = child.id().ok_or(io::ErrorKind::NotFound)?;
    let tree = ProcessTree::adopt(pid)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read ends all the same.
        let _ = stdin.write_all(input).await;
    }
    let status = child.wait().await?;
    tree.finished();
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("the notifier ended with {status}")))
    }
}

fn notifier(configured: Option<&str>) -> Option<Notifier> {
    match configured {
        Some("none") => None,
        Some(program) => Some(Notifier::Command(PathBuf::from(program))),
        None if cfg!(windows) => {
            let windows = std::env::var_os("SystemRoot")?;
            let program = Path::new(&windows).join("System32").join("msg.exe");
            let arguments: &[&str] = &["*", "/TIME:600"];
            program.is_file().then_some(Notifier::System(program, arguments))
        }
        None => {
            let programs = ["/usr/bin/wall", "/bin/wall"].map(PathBuf::from);
            let found = programs.into_iter().find(|program| program.is_file());
            found.map(|program| Notifier::System(program, &[]))
        }
    }
}
