//! The MSI of the agent for Windows, by wixl and msibuild (msitools).
//!
//! Installed for the machine, silently if asked, with the service only where it is known whose agent
//! it is; a newer one replaces it; the root with its Gos outlives it. The product's number follows
//! from the version, the package's from its content, so the same programs make the same bytes.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::content::{Content, File};
use super::digest;
use crate::run::{quiet, read};

const SOURCE: &str = include_str!("files/gofleet.wxs");

/// What wixl does not know how to say. `TOKEN` is a secret: neither its value nor the command line
/// that it is put into (8192: the target is hidden) come into a log.
const STATEMENTS: [&str; 5] = [
    "UPDATE `Property` SET `Value` = \
     'INSTALLDIR;SERVER;TOKEN;WIX_DOWNGRADE_DETECTED;WIX_UPGRADE_DETECTED' \
     WHERE `Property` = 'SecureCustomProperties'",
    "INSERT INTO `Property` (`Property`, `Value`) VALUES ('MsiHiddenProperties', 'TOKEN')",
    "UPDATE `CustomAction` SET `Type` = 11282 WHERE `Action` = 'AgentSetup'",
    // The earlier product goes first, inside of the transaction: if this one fails, it comes back.
    "UPDATE `InstallExecuteSequence` SET `Sequence` = 1501 \
     WHERE `Action` = 'RemoveExistingProducts'",
    // While the program is there still.
    "UPDATE `InstallExecuteSequence` SET `Sequence` = 1950 WHERE `Action` = 'AgentRemoval'",
];

/// Writes the MSI, and gives its name in the folder `out`.
///
/// # Errors
///
/// What the file system, wixl or msibuild says.
pub fn package(content: &Content<'_>, out: &Path) -> Result<String> {
    let version = product_version(content.version)?;
    let staging = tempfile::tempdir_in(out)?;
    let files = content.files()?;
    let mut all = content.version.as_bytes().to_vec();
    for file in &files {
        file.write(staging.path())?;
        set_time(&staging.path().join(&file.path), content.epoch)?;
        all.extend(digest::of_file(&staging.path().join(&file.path))?);
    }
    let source = SOURCE
        .replace("@PRODUCT@", &guid(format!("gofleet agent {version}").as_bytes()))
        .replace("@VERSION@", &version);
    all.extend(SOURCE.as_bytes());
    File::plain("gofleet.wxs", source.into()).write(staging.path())?;
    let name = format!("gofleet-agent-{}-windows-amd64.msi", content.version);
    let msi = staging.path().join(&name);
    // It looks for files beside their source.
    let mut wixl = Command::new("wixl");
    wixl.current_dir(staging.path()).args(["--arch", "x64", "--output", &name, "gofleet.wxs"]);
    quiet(&mut wixl)?;
    for statement in STATEMENTS {
        quiet(Command::new("msibuild").arg(&msi).args(["-q", statement]))?;
    }
    let told = read(Command::new("msiinfo").arg("suminfo").arg(&msi))?;
    let mut bytes = fs::read(&msi)?;
    make_timeless(&mut bytes, &told, &guid(&all), content.epoch)?;
    fs::write(out.join(&name), bytes).with_context(|| format!("write {name}"))?;
    Ok(name)
}

/// Replaces the number of the package and the times of its making, which wixl takes from chance
/// and the clock, in the stream of summary information ([MS-OLEPS]).
fn make_timeless(msi: &mut [u8], told: &str, package: &str, epoch: i64) -> Result<()> {
    let line = told.lines().find_map(|line| line.strip_prefix("Revision number (UUID): "));
    let number = line.context("the MSI has no number")?.trim().as_bytes().to_vec();
    let places = positions(msi, &number);
    ensure!(places.len() == 1, "the MSI's number is there {} times", places.len());
    let braced = format!("{{{package}}}");
    ensure!(braced.len() == number.len(), "{braced} is as long as no number");
    let stream = places[0];
    msi[stream..stream + number.len()].copy_from_slice(braced.as_bytes());
    // A time is a type (VT_FILETIME, 64) and 100 ns since 1601, near the number in one sector.
    const TYPE: &[u8] = &[64, 0, 0, 0];
    let now = filetime(jiff::Timestamp::now().as_second())?;
    let near = stream.saturating_sub(2048)..(stream + 2048).min(msi.len());
    let mut replaced = 0;
    for place in positions(&msi[near.clone()], TYPE) {
        let at = near.start + place + TYPE.len();
        let Some(Ok(bytes)) = msi.get(at..at + 8).map(<[u8; 8]>::try_from) else { continue };
        if now.abs_diff(u64::from_le_bytes(bytes)) < 24 * 60 * 60 * 10_000_000 {
            msi[at..at + 8].copy_from_slice(&filetime(epoch)?.to_le_bytes());
            replaced += 1;
        }
    }
    ensure!(replaced == 2, "an MSI has two times, of its making and its writing, not {replaced}");
    Ok(())
}

fn positions(bytes: &[u8], wanted: &[u8]) -> Vec<usize> {
    let windows = bytes.windows(wanted.len()).enumerate();
    windows.filter(|(_, window)| *window == wanted).map(|(place, _)| place).collect()
}

fn filetime(epoch: i64) -> Result<u64> {
    const FROM_1601_TO_1970_SECS: i64 = 11_644_473_600;
    Ok(u64::try_from(epoch + FROM_1601_TO_1970_SECS)? * 10_000_000)
}

fn guid(content: &[u8]) -> String {
    digest::uuid(content).to_uppercase()
}

/// Windows Installer compares the first three numbers of a version, and nothing else: two versions
/// that differ in what follows would be one product.
fn product_version(version: &str) -> Result<String> {
    let numbers: Vec<u16> = version.split('.').map_while(|part| part.parse().ok()).collect();
    match numbers[..] {
        [major @ 0..=255, minor @ 0..=255, patch] if version.split('.').count() == 3 => {
            Ok(format!("{major}.{minor}.{patch}"))
        }
        _ => bail!("an MSI can't have the version {version}, only 0.0.0 to 255.255.65535"),
    }
}

fn set_time(path: &Path, epoch: i64) -> Result<()> {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(epoch.try_into()?);
    Ok(fs::File::options().write(true).open(path)?.set_modified(time)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_windows_could_not_tell_apart_are_refused() {
        let check = |version: &str, expect: Option<&str>| {
            assert_eq!(product_version(version).ok().as_deref(), expect, "{version}");
        };
        check("0.1.0", Some("0.1.0"));
        check("255.255.65535", Some("255.255.65535"));
        check("256.0.0", None);
        check("1.2", None);
        check("1.2.3-rc.1", None);
        check("1.2.3.4", None);
    }

    #[test]
    fn a_file_without_its_times_is_no_msi_of_ours() {
        let told = "Revision number (UUID): {AB}\n";
        let now = filetime(jiff::Timestamp::now().as_second()).unwrap().to_le_bytes();
        let time = [&[64, 0, 0, 0], &now[..]].concat();
        let mut whole = [b"..{AB}..", &time[..], b"......", &time[..]].concat();
        make_timeless(&mut whole, told, "CD", 0).unwrap();
        assert!(whole.starts_with(b"..{CD}.."));
        assert_eq!(positions(&whole, &filetime(0).unwrap().to_le_bytes()).len(), 2);
        let mut lacking = [b"..{AB}..", &time[..]].concat();
        assert!(make_timeless(&mut lacking, told, "CD", 0).is_err());
    }
}
