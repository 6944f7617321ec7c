//! The command that prints signals: run every so often beside everything else, which waits for it
//! as little as for a file.
//!
//! Only the settings of this machine name it: its policy, flags, environment and file. Nothing
//! that a server sends does.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use gofleet_core::anomaly::{SignalCommandFailure, SignalName};
use gofleet_core::time::Span;
use tokio::time::Instant;

use super::exposition::Series;
use super::rate;
use crate::device::Device;
use crate::program::{MAX_OUTPUT_BYTES, Program, ProgramError};

/// What the agent was started with that no other program is to know.
const SECRETS: [&str; 2] = ["GOFLEET_ENROLMENT_TOKEN", "GOFLEET_TOKEN"];

/// A command that prints signals in Prometheus' text format.
#[derive(Debug, Clone)]
pub struct SignalCommand {
    /// The program, by its whole path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// How often it is run, from start to start; later if the run before has not ended.
    pub every: Span,
    /// How long it may take before it is killed with all that it started.
    pub timeout: Span,
}

/// What the command told last.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// The signals; counters as rates a minute since its last good run but one.
    pub values: BTreeMap<SignalName, f64>,
    /// Why there are none.
    pub failure: Option<SignalCommandFailure>,
}

/// The counters of the last good run.
type Counted = (Instant, BTreeMap<SignalName, f64>);

impl Device {
    /// Runs the command every so often, for ever, if there is one.
    pub async fn run_signal_command(&self) -> Infallible {
        let Some(command) = &self.config.signal_command else {
            return std::future::pending().await;
        };
        let mut last = None;
        loop {
            let begun = Instant::now();
            let told = command.run(&self.folder(), &mut last).await;
            let known = self.told_by_command.replace(told);
            let failure = self.told_by_command.borrow().failure.clone();
            if let Some(failure) = failure.filter(|it| known.failure.as_ref() != Some(it)) {
                tracing::warn!("{failure}");
            }
            tokio::time::sleep_until(begun + command.every.as_duration()).await;
        }
    }
}

impl SignalCommand {
    /// Runs it once, in this folder.
    async fn run(&self, folder: &Path, last: &mut Option<Counted>) -> Told {
        match self.print(folder).await {
            Ok(Series { gauges: mut values, counters }) => {
                let now = Instant::now();
                if let Some((at, before)) = last {
                    let minutes = (now - *at).as_secs_f64() / 60.0;
                    values.extend(rate(before, &counters, minutes));
                }
                *last = Some((now, counters));
                Told { values, failure: None }
            }
            Err(failure) => Told { values: BTreeMap::new(), failure: Some(failure.bounded()) },
        }
    }

    async fn print(&self, folder: &Path) -> Result<Series, SignalCommandFailure> {
        // A path of another system would be looked for along the search path.
        if !self.program.is_absolute() {
            let reason = format!("{} is not a whole path on this system", self.program.display());
            return Err(SignalCommandFailure::NotStarted { reason });
        }
        let inherited: Vec<(OsString, OsString)> =
            std::env::vars_os().filter(|(name, _)| !SECRETS.iter().any(|it| name == it)).collect();
        let environment: Vec<(&OsStr, &OsStr)> =
            inherited.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str())).collect();
        let arguments: Vec<&OsStr> = self.arguments.iter().map(OsStr::new).collect();
        let program = Program {
            executable: &self.program,
            arguments: &arguments,
            folder,
            environment: &environment,
            limit: self.timeout.as_duration(),
        };
        let printed = program.run().await.map_err(|error| self.failure(error))?;
        if printed.is_cut {
            return Err(SignalCommandFailure::TooMuch { limit_bytes: MAX_OUTPUT_BYTES });
        }
        let mut series = Series::default();
        series.read(&printed.output);
        if series == Series::default() {
            return Err(SignalCommandFailure::NoSignals);
        }
        Ok(series)
    }

    fn failure(&self, error: ProgramError) -> SignalCommandFailure {
        match error {
            ProgramError::Start { source, .. } => {
                let reason = match source.kind() {
                    io::ErrorKind::NotFound => format!("{} is not there", self.program.display()),
                    _ => source.to_string(),
                };
                SignalCommandFailure::NotStarted { reason }
            }
            ProgramError::TooLong { .. } => SignalCommandFailure::TooLong { limit: self.timeout },
            ProgramError::Failed { status, printed, .. } => {
                SignalCommandFailure::Failed { status: status.to_string(), printed }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs lines of the system's own shell.
    fn shell(script: &str, timeout_ms: u64) -> SignalCommand {
        let (program, option) = if cfg!(windows) {
            let windows = std::env::var_os("SystemRoot").unwrap();
            (Path::new(&windows).join("System32").join("cmd.exe"), "/c")
        } else {
            (PathBuf::from("/bin/sh"), "-c")
        };
        SignalCommand {
            program,
            arguments: vec![option.to_owned(), script.to_owned()],
            every: Span::from_secs(60),
            timeout: Span::from_millis(timeout_ms),
        }
    }

    async fn told(command: &SignalCommand, last: &mut Option<Counted>) -> Told {
        let folder = tempfile::tempdir().unwrap();
        command.run(folder.path(), last).await
    }

    fn value(told: &Told, name: &str) -> Option<f64> {
        told.values.get(&name.parse().unwrap()).copied()
    }

    #[tokio::test]
    async fn what_it_prints_is_told_and_its_counters_are_rates() {
        let mut last = None;
        let first = told(&shell("echo queue 3&&echo errors_total 7", 20_000), &mut last).await;
        assert_eq!((value(&first, "queue"), value(&first, "errors")), (Some(3.0), None));
        let minute_ago = last.as_ref().unwrap().0 - std::time::Duration::from_secs(60);
        last.as_mut().unwrap().0 = minute_ago;
        let second = told(&shell("echo errors_total 127", 20_000), &mut last).await;
        let rate = value(&second, "errors").unwrap();
        assert!(rate > 60.0 && rate <= 120.0, "{rate}");
        assert_eq!((value(&second, "queue"), second.failure), (None, None));
    }

    #[track_caller]
    fn check_failure(told: &Told, expect: &str) {
        assert_eq!(told.values, BTreeMap::new());
        let text = told.failure.as_ref().unwrap().to_string();
        assert!(text.contains(expect), "no {expect:?} in {text}");
    }

    #[tokio::test]
    async fn each_failure_is_told_by_name_and_tells_no_signals() {
        let mut last = None;
        let absent = SignalCommand { program: "/no/such/program".into(), ..shell("", 20_000) };
        check_failure(&told(&absent, &mut last).await, "could not be started");
        let relative = SignalCommand { program: "signals".into(), ..shell("", 20_000) };
        check_failure(&told(&relative, &mut last).await, "not a whole path");
        check_failure(
            &told(&shell("echo no runner&&exit 3", 20_000), &mut last).await,
            "no runner",
        );
        check_failure(&told(&shell("echo hello", 20_000), &mut last).await, "no line `name value`");
        assert!(last.is_none());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn one_that_hangs_ends_with_its_descendants() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", pid.display());
        check_failure(&told(&shell(&script, 500), &mut None).await, "did not end within 500ms");
        let pid = std::fs::read_to_string(pid).unwrap();
        let stat = Path::new("/proc").join(pid.trim()).join("stat");
        let limit = std::time::Duration::from_secs(20);
        gofleet_testkit::wait_until("the grandchild's end", limit, || {
            let stat = std::fs::read_to_string(&stat).unwrap_or_default();
            (stat.is_empty() || stat.contains(") Z ")).then_some(())
        });
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn endless_output_is_no_list_of_signals() {
        let script = "echo queue 3; head -c 1000000 /dev/zero | tr '\\0' '\\n'";
        check_failure(&told(&shell(script, 20_000), &mut None).await, "more than 65536 bytes");
    }
}
