//! `gofleet env doctor`: what is wrong with PATH and GOROOT, why, and what mends it.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use gofleet_core::environment::examine;
use gofleet_depot::Root;

use super::here::Here;
use crate::local::RootOption;
use crate::local::doctor::{Finding, tell};
use crate::printer::Printer;

/// Find what is wrong with PATH and GOROOT, and what mends it
#[derive(Debug, Args)]
#[command(after_help = "\
On Windows this looks at what is stored for the machine and for you, not at what this console was
started with. Nothing is changed. Exits with 3 if there is a problem.

Examples:
  gofleet env doctor
  gofleet env doctor --json")]
pub struct Doctor {
    #[command(flatten)]
    root: RootOption,
}

/// Does it.
pub fn run(doctor: &Doctor, printer: Printer) -> anyhow::Result<ExitCode> {
    let bin = Root::new(doctor.root.path()?).bin();
    let bin = bin.to_str().with_context(|| format!("{} is not Unicode", bin.display()))?;
    let here = Here::read()?;
    let found = examine(&here.environment, bin, &here);
    let findings = found.iter().map(|finding| Finding {
        code: finding.code(),
        severity: finding.severity(),
        message: finding.message(),
        advice: finding.advice(),
    });
    tell(findings.collect(), printer)
}
