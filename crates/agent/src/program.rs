//! Running one program of a check, or the one that tells signals: no environment but what is given,
//! a limit of time and output, and an end for all of its descendants.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use gofleet_platform::ProcessTree;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// More output than any check makes, or any list of signals has; the rest is read and thrown away.
pub const MAX_OUTPUT_BYTES: u64 = 64 * 1024;
/// How much of what a program printed goes into an error: the end, where compilers say it.
const TOLD_CHARS: usize = 2000;

/// A program to be run.
#[derive(Debug, Clone, Copy)]
pub struct Program<'a> {
    /// The executable.
    pub executable: &'a Path,
    /// Its arguments.
    pub arguments: &'a [&'a OsStr],
    /// The folder that it runs in.
    pub folder: &'a Path,
    /// Its whole environment.
    pub environment: &'a [(&'a OsStr, &'a OsStr)],
    /// How long it may take.
    pub limit: Duration,
}

/// What a program printed that ended well.
#[derive(Debug)]
pub struct Printed {
    /// On standard output, trimmed.
    pub output: String,
    /// On standard error, trimmed.
    pub errors: String,
    /// Whether it printed more on standard output than [`MAX_OUTPUT_BYTES`].
    pub is_cut: bool,
}

/// Why a program is no evidence.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// It could not be started.
    #[error("{program} could not be started")]
    Start {
        /// The program with its arguments.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It did not end in time, and was killed.
    #[error("{program} did not end within {} s", limit.as_secs())]
    TooLong {
        /// The program with its arguments.
        program: String,
        /// The limit.
        limit: Duration,
    },
    /// It ended badly.
    #[error("{program} ended with {status}: {printed}")]
    Failed {
        /// The program with its arguments.
        program: String,
        /// How.
        status: ExitStatus,
        /// What it said.
        printed: String,
    },
}

impl Program<'_> {
    /// Runs it. Dropping the future kills it with all its descendants.
    ///
    /// # Errors
    ///
    /// [`ProgramError`] unless it ended in time and with exit code 0.
    pub async fn run(&self) -> Result<Printed, ProgramError> {
        let start = |source| ProgramError::Start { program: self.in_words(), source };
        let mut command = Command::new(self.executable);
        command
            .args(self.arguments)
            .current_dir(self.folder)
            .env_clear()
            .envs(self.environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        ProcessTree::prepare(command.as_std_mut());
        let mut child = command.spawn().map_err(start)?;
        let pid = child.id().ok_or_else(|| start(io::ErrorKind::NotFound.into()))?;
        let tree = ProcessTree::adopt(pid).map_err(start)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let all = async { tokio::join!(read(stdout), read(stderr), child.wait()) };
        let Ok(((output, is_cut), (errors, _), status)) =
            tokio::time::timeout(self.limit, all).await
        else {
            return Err(ProgramError::TooLong { program: self.in_words(), limit: self.limit });
        };
        let status = status.map_err(start)?;
        tree.finished();
        if status.success() {
            return Ok(Printed { output, errors, is_cut });
        }
        let printed = last_chars(&format!("{output}\n{errors}"));
        Err(ProgramError::Failed { program: self.in_words(), status, printed })
    }

    fn in_words(&self) -> String {
        let mut words = format!("`{}", self.executable.display());
        for argument in self.arguments {
            words.push(' ');
            words.push_str(&argument.to_string_lossy());
        }
        words + "`"
    }
}

/// What a stream says, and whether there was more.
async fn read(stream: Option<impl AsyncRead + Unpin>) -> (String, bool) {
    let Some(mut stream) = stream else { return (String::new(), false) };
    let mut bytes = Vec::new();
    // What cannot be read is not there to be compared, and the check fails by that.
    let _ = (&mut stream).take(MAX_OUTPUT_BYTES).read_to_end(&mut bytes).await;
    let more = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    (String::from_utf8_lossy(&bytes).trim().to_owned(), more.is_ok_and(|bytes| bytes > 0))
}

fn last_chars(text: &str) -> String {
    let text = text.trim();
    let skipped = text.chars().count().saturating_sub(TOLD_CHARS);
    text.chars().skip(skipped).collect()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    async fn run(script: &str, limit: Duration) -> Result<Printed, ProgramError> {
        let program = Program {
            executable: Path::new("/bin/sh"),
            arguments: &["-c".as_ref(), script.as_ref()],
            folder: Path::new("/"),
            environment: &[("GREETING".as_ref(), "hello".as_ref())],
            limit,
        };
        program.run().await
    }

    #[tokio::test]
    async fn a_program_sees_only_its_environment() {
        let printed = run("echo $GREETING$HOME; echo warning >&2", Duration::from_secs(20)).await;
        let Printed { output, errors, is_cut } = printed.unwrap();
        assert_eq!((output.as_str(), errors.as_str(), is_cut), ("hello", "warning", false));
    }

    #[tokio::test]
    async fn failures_tell_what_was_printed() {
        let error = run("echo reason >&2; exit 3", Duration::from_secs(20)).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("exit status: 3") && text.contains("reason"), "{text}");
    }

    #[tokio::test]
    async fn a_program_that_hangs_ends_with_its_descendants() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        // The grandchild keeps the pipes open; only its death lets the reading end.
        let script = format!("sleep 600 & echo $! > {}; wait", pid.display());
        let error = run(&script, Duration::from_millis(500)).await.unwrap_err();
        assert!(matches!(error, ProgramError::TooLong { .. }), "{error}");
        let pid = std::fs::read_to_string(pid).unwrap();
        let stat = Path::new("/proc").join(pid.trim()).join("stat");
        gofleet_testkit::wait::wait_until("the grandchild's end", Duration::from_secs(20), || {
            let stat = std::fs::read_to_string(&stat).unwrap_or_default();
            (stat.is_empty() || stat.contains(") Z ")).then_some(())
        });
    }

    #[tokio::test]
    async fn endless_output_is_cut() {
        let script = "head -c 1000000 /dev/zero | tr '\\0' x";
        let printed = run(script, Duration::from_secs(20)).await.unwrap();
        assert_eq!((printed.output.len() as u64, printed.is_cut), (MAX_OUTPUT_BYTES, true));
    }
}
