//! `cargo xtask setup`: installs what the tests need beyond Rust.
//!
//! It can be repeated at any time: what is there already is looked at, not made again. What can't
//! be had on this machine is left out, with the reason; then the suites that need it are skipped.
//! Everything that is not a package of the system is kept in `gofleet/` in the user's cache
//! folder.

pub mod debian;
pub mod packages;
pub mod windows_target;
pub mod wine;

use anyhow::{Result, bail};
use clap::ValueEnum;
use gofleet_testkit::go;

/// One thing that tests need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Real Go archives for Linux and Windows
    Archives,
    /// A headless Chromium for the console's tests
    Chromium,
    /// Rust's standard library and a linker for `x86_64-pc-windows-gnu`
    Windows,
    /// Wine, to run what was built for Windows
    Wine,
    /// Programs that the benchmarks compare with
    Peers,
    /// python-tuf, which reads our trust metadata independently
    PythonTuf,
    /// cargo-deny, which checks licences and sources of dependencies
    CargoDeny,
    /// What packages for Debian and Windows are made with
    Packaging,
    /// OpenSSL, SoftHSM, OpenSC, rsyslog, Samba's Python and systemd-analyze, which read what we
    /// write or sign for us; OpenLDAP and oidc-provider, whose people sign in
    Witnesses,
}

#[derive(clap::Args)]
pub struct Arguments {
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
}

/// Versions of Go that the tests use, per platform.
const GO: [(&str, &str); 5] = [
    ("1.27.1", "linux-amd64"),
    ("1.27.2", "linux-amd64"),
    ("1.27.3", "linux-amd64"),
    ("1.27.2", "windows-amd64"),
    ("1.27.3", "windows-amd64"),
];

pub fn main(arguments: &Arguments) -> Result<()> {
    let parts = if arguments.only.is_empty() { Part::value_variants() } else { &arguments.only };
    let mut left_out = 0;
    for part in parts {
        match install(*part) {
            Ok(said) => eprintln!("{:<10} {said}", part.name()),
            Err(reason) => {
                left_out += 1;
                eprintln!("{:<10} LEFT OUT: {reason:#}", part.name());
            }
        }
    }
    if left_out > 0 {
        bail!("{left_out} of {} parts could not be installed", parts.len());
    }
    Ok(())
}

/// Installs one part if it is not there, and says what is there now.
///
/// # Errors
///
/// Why it can't be had here, and what to do about it.
pub fn install(part: Part) -> Result<String> {
    match part {
        Part::Archives => archives(),
        Part::Chromium => packages::chromium(),
        Part::Windows => windows_target::install(),
        Part::Wine => wine::install().map(|wine| wine.to_string()),
        Part::Peers => packages::peers(),
        Part::PythonTuf => packages::python_tuf().map(|python| python.display().to_string()),
        Part::CargoDeny => packages::cargo_deny().map(|program| program.display().to_string()),
        Part::Packaging => packages::packaging(),
        Part::Witnesses => packages::witnesses(),
    }
}

impl Part {
    /// As on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().expect("no part is hidden").get_name().to_owned()
    }
}

fn archives() -> Result<String> {
    for (version, platform) in GO {
        go::find_archive(version, platform)?;
    }
    Ok(format!("{} Go archives in the cache", GO.len()))
}
