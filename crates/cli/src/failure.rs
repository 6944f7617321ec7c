//! How a failure is told: what failed, why, and what to do about it.

use std::fmt;
use std::io;
use std::process::ExitCode;

use gofleet_agent::AgentError;
use gofleet_api::ClientError;
use gofleet_core::resolve::ResolveError;
use gofleet_core::settings::SettingsError;
use gofleet_server::{ConfigError, EdgeError, ServeError};

use crate::printer::{Printer, paint, style};

/// Done, and the answer is as wished.
pub const DONE: u8 = 0;
/// Something failed.
pub const FAILED: u8 = 1;
/// The arguments make no sense.
pub const USAGE: u8 = 2;
/// Nothing failed, but the answer is no: a rollout that was stopped, a file that differs.
pub const NEGATIVE: u8 = 3;
/// Ctrl-C, as shells count it (128 + SIGINT).
pub const INTERRUPTED: u8 = 130;

/// An error with advice. The advice is data beside the message, so that `--json` and the tests
/// can tell them apart.
#[derive(Debug)]
pub struct Hinted {
    message: String,
    hint: String,
    exit_code: u8,
}

impl Hinted {
    /// An error with advice.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into(), exit_code: FAILED }
    }

    /// The same, for arguments that make no sense together.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit_code: USAGE, ..Self::new(message, hint) }
    }
}

impl fmt::Display for Hinted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Hinted {}

/// Prints `error` with its causes and hints; returns the exit code that it calls for.
pub fn print(error: &anyhow::Error, printer: Printer) -> ExitCode {
    if is_closed_pipe(error) {
        return ExitCode::from(FAILED);
    }
    tell(error, printer);
    ExitCode::from(exit_code(error))
}

/// Prints `error` with its causes and hints, for verbs that go on after it.
pub fn tell(error: &anyhow::Error, printer: Printer) {
    if printer.is_json() {
        let value = serde_json::json!({
            "error": error.to_string(),
            "causes": causes(error),
            "hints": hints(error),
        });
        printer.error(format_args!("{value}"));
    } else {
        printer.error(format_args!("{} {error}", paint(style::ERROR, "error:")));
        for cause in causes(error) {
            printer.error(format_args!("  because: {cause}"));
        }
        for hint in hints(error) {
            printer.error(format_args!("{} {hint}", paint(style::HINT, "hint:")));
        }
    }
}

fn causes(error: &anyhow::Error) -> Vec<String> {
    error.chain().skip(1).map(ToString::to_string).collect()
}

/// Every hint of the chain once: an error that passes on its source's hint does not double it.
fn hints(error: &anyhow::Error) -> Vec<String> {
    let mut hints: Vec<String> = Vec::new();
    let hinted = hinted(error).map(|hinted| hinted.hint.clone());
    for hint in hinted.into_iter().chain(error.chain().filter_map(hint_of)) {
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    hints
}

fn hint_of(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(hinted) = error.downcast_ref::<Hinted>() {
        return Some(hinted.hint.clone());
    }
    None.or_else(|| error.downcast_ref().and_then(ClientError::hint))
        .or_else(|| error.downcast_ref().and_then(AgentError::hint))
        .or_else(|| error.downcast_ref().and_then(ServeError::hint))
        .or_else(|| error.downcast_ref().and_then(ConfigError::hint))
        .or_else(|| error.downcast_ref().and_then(EdgeError::hint))
        .or_else(|| error.downcast_ref().and_then(ResolveError::hint))
        .or_else(|| error.downcast_ref().and_then(SettingsError::hint))
}

fn exit_code(error: &anyhow::Error) -> u8 {
    hinted(error).map_or(FAILED, |hinted| hinted.exit_code)
}

/// The advice that was given along the way, also as the context of another error: there the chain
/// holds it in a wrapper that can't be told from others.
fn hinted(error: &anyhow::Error) -> Option<&Hinted> {
    error.downcast_ref().or_else(|| error.chain().find_map(|cause| cause.downcast_ref()))
}

/// Whoever read our output went away, as `head` does: nobody is left to tell.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
