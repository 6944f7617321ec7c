//! The same source, built twice: in folders of other names and lengths, each with nothing but the
//! source in it. What differs then depends on where it was built, or on chance.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::build::{self, Platform, Program};
use super::digest::hex;
use super::digest::of_file;
use crate::run::{read, root};

/// Builds each program twice, and compares.
///
/// # Errors
///
/// Which programs differ, and where their two builds lie.
pub fn compare(programs: &[Program], platforms: &[Platform], epoch: i64) -> Result<()> {
    let folder = crate::run::target_folder()?.join("reproducible");
    let places = ["one", "another-with-a-longer-name"].map(|name| folder.join(name));
    let mut different = Vec::new();
    for place in &places {
        copy_source(&place.join("source"))?;
    }
    for platform in platforms {
        let target = platform.target();
        for program in programs {
            let begun = Instant::now();
            let mut built = Vec::new();
            for place in &places {
                let (source, output) = (place.join("source"), place.join("output"));
                built.push(build::build(*program, &target, &source, &output, epoch)?);
            }
            let name = format!("{} for {}", program.name(), target.platform);
            match difference(&built[0], &built[1])? {
                None => println!(
                    "{name}: the same twice, {} bytes, SHA-256 {} ({:.0} s)",
                    fs::metadata(&built[0])?.len(),
                    hex(&of_file(&built[0])?),
                    begun.elapsed().as_secs_f64(),
                ),
                Some(what) => {
                    let [one, other] = [&built[0], &built[1]].map(|path| path.display());
                    different.push(format!("{name}: {what}\n  {one}\n  {other}"));
                }
            }
        }
    }
    ensure!(different.is_empty(), "built twice, these differ:\n{}", different.join("\n"));
    Ok(())
}

/// How two files differ, if they do.
fn difference(one: &Path, other: &Path) -> Result<Option<String>> {
    let (one, other) = (fs::read(one)?, fs::read(other)?);
    if one == other {
        return Ok(None);
    }
    let pairs = one.iter().zip(&other);
    let count = pairs.clone().filter(|(one, other)| one != other).count();
    let first = pairs.clone().position(|(one, other)| one != other);
    Ok(Some(format!(
        "{count} bytes differ, the first at {}; {} and {} bytes long",
        first.unwrap_or(one.len().min(other.len())),
        one.len(),
        other.len()
    )))
}

/// The files of the work tree that belong to the source, and nothing that was built.
fn copy_source(to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    let mut git = Command::new("git");
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listed = read(git.current_dir(root()).args(list)).context("this needs a clone by Git")?;
    let files = listed.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
    // One that is deleted in the work tree is listed still.
    for file in files.filter(|file| root().join(file).is_file()) {
        let target = to.join(&file);
        fs::create_dir_all(target.parent().context("a file lies in a folder")?)?;
        fs::copy(root().join(&file), &target).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_byte_is_a_difference() {
        let folder = tempfile::tempdir().unwrap();
        let check = |one: &[u8], other: &[u8], expect: Option<&str>| {
            let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
            fs::write(&a, one).unwrap();
            fs::write(&b, other).unwrap();
            assert_eq!(difference(&a, &b).unwrap().as_deref(), expect);
        };
        check(b"abc", b"abc", None);
        let told = "1 bytes differ, the first at 1; 3 and 3 bytes long";
        check(b"abc", b"axc", Some(told));
        check(b"abc", b"ab", Some("0 bytes differ, the first at 2; 3 and 2 bytes long"));
    }
}
