//! `gofleet doctor`: what keeps the right Go from running on this machine, and what to do.

use std::process::ExitCode;

use clap::Args;
use gofleet_core::environment::Severity;
use gofleet_depot::Root;
use serde::Serialize;

use super::RootOption;
use crate::failure;
use crate::printer::{Printer, paint, style};

mod environment;
mod state;

/// Find what keeps the right Go from running on this machine
#[derive(Debug, Args)]
#[command(after_help = "\
Every file of every installed version is compared with its manifest. Nothing is changed. Exits
with 3 if there is a problem.

Examples:
  gofleet doctor
  gofleet doctor --json")]
pub struct Doctor {
    #[command(flatten)]
    root: RootOption,
}

/// Something that a person should know.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    /// A name for programs, like `path_lacks_bin`.
    pub code: &'static str,
    pub severity: Severity,
    pub message: String,
    pub advice: String,
}

impl Finding {
    fn problem(code: &'static str, message: String, advice: impl Into<String>) -> Self {
        Self { code, severity: Severity::Problem, message, advice: advice.into() }
    }

    fn warning(code: &'static str, message: String, advice: impl Into<String>) -> Self {
        Self { code, severity: Severity::Warning, message, advice: advice.into() }
    }
}

/// What was found.
#[derive(Debug, Serialize)]
struct Diagnosis {
    /// Whether there is no problem; warnings do not count.
    is_healthy: bool,
    findings: Vec<Finding>,
}

/// Does it.
pub fn run(doctor: &Doctor, printer: Printer) -> anyhow::Result<ExitCode> {
    let path = doctor.root.path()?;
    let root = Root::new(&path);
    let mut findings = environment::examine(&root);
    let spinner = printer.spinner("verifying what is installed");
    findings.extend(state::examine(&root));
    spinner.finish_and_clear();
    tell(findings, printer)
}

/// Prints what was found, the worst first, and says so by the exit code.
pub(crate) fn tell(mut findings: Vec<Finding>, printer: Printer) -> anyhow::Result<ExitCode> {
    findings.sort_by_key(|finding| finding.severity);
    let is_healthy = findings.iter().all(|finding| finding.severity != Severity::Problem);
    printer.data(&Diagnosis { is_healthy, findings }, describe)?;
    Ok(ExitCode::from(if is_healthy { failure::DONE } else { failure::NEGATIVE }))
}

fn describe(diagnosis: &Diagnosis) -> String {
    if diagnosis.findings.is_empty() {
        return paint(style::GOOD, "all is well");
    }
    let told = diagnosis.findings.iter().map(|finding| {
        let heading = match finding.severity {
            Severity::Problem => paint(style::ERROR, "problem:"),
            Severity::Warning => paint(style::WARNING, "warning:"),
        };
        let advice = paint(style::HINT, "what to do:");
        format!("{heading} {}\n  {advice} {}", finding.message, finding.advice)
    });
    told.collect::<Vec<_>>().join("\n")
}
