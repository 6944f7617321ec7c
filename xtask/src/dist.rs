//! The programs as they are shipped.

use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::run::{cargo, run, target_folder};

/// Builds what is shipped, into `target/dist`.
pub fn main() -> Result<()> {
    let folder = target_folder()?.join("dist");
    fs::create_dir_all(&folder)?;
    for program in [program()?, shim()?] {
        let name = program.file_name().context("a program has a name")?;
        let place = folder.join(name);
        fs::copy(&program, &place)
            .with_context(|| format!("{} can't be written", place.display()))?;
        println!("{}", place.display());
    }
    Ok(())
}

/// Builds `gofleet`, and gives its path.
pub fn program() -> Result<PathBuf> {
    run(cargo().args(["build", "--release", "--package", "gofleet", "--bin", "gofleet"]))?;
    built("gofleet")
}

/// Builds the shim, and gives its path. On Linux it is linked statically, which saves 0.6 ms at
/// each start of a Go command: looking for libraries and binding them takes longer than all that
/// the shim does itself. `gofleet` is not, since it looks names up by the system's rules, which
/// are libraries of their own (nsswitch.conf(5)).
pub fn shim() -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["rustc", "--release", "--package", "gofleet-shim", "--bin", "gofleet-shim"]);
    if cfg!(target_os = "linux") {
        build.args(["--", "-C", "target-feature=+crt-static"]);
    }
    run(&mut build)?;
    built("gofleet-shim")
}

fn built(name: &str) -> Result<PathBuf> {
    Ok(target_folder()?.join("release").join(format!("{name}{EXE_SUFFIX}")))
}
