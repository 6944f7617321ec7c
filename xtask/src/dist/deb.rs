//! The package for Debian and its kin: programs, unit, and an example of settings. Installing it
//! starts nothing; who runs the agent is decided by `gofleet agent install`, or by settings and
//! `systemctl enable`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::content::{Content, File, make_folders};
use crate::run::{quiet, read, root};

/// Where the programs are, beside each other; `/usr/bin/gofleet` is a link.
pub const PROGRAMS: &str = "/usr/lib/gofleet";

const SCRIPTS: [(&str, &str); 3] = [
    ("postinst", include_str!("files/postinst")),
    ("prerm", include_str!("files/prerm")),
    ("postrm", include_str!("files/postrm")),
];

/// Writes the package, and gives its name in the folder `out`.
///
/// # Errors
///
/// What the file system or dpkg-deb says.
pub fn package(content: &Content<'_>, unit: &str, out: &Path) -> Result<String> {
    let staging = tempfile::tempdir_in(out)?;
    let tree = staging.path().join("tree");
    make_folders(&tree)?;
    let mut kib = 0;
    let mut glibc = String::new();
    for file in files(content, unit)? {
        kib += file.bytes.len().div_ceil(1024);
        if file.is_executable {
            glibc = glibc.max(newest_glibc(&file.bytes));
        }
        file.write(&tree)?;
    }
    make_folders(&tree.join("usr/bin"))?;
    link(&tree.join("usr/bin/gofleet"))?;
    make_folders(&tree.join("var/lib/gofleet"))?;
    let sums = read(
        Command::new("sh")
            .current_dir(&tree)
            .arg("-c")
            .arg("find usr -type f | LC_ALL=C sort | xargs md5sum"),
    )?;
    File::plain("DEBIAN/md5sums", sums.into()).write(&tree)?;
    let control = control(content.version, kib, &glibc);
    File::plain("DEBIAN/control", control.into()).write(&tree)?;
    for (name, script) in SCRIPTS {
        let path = format!("DEBIAN/{name}");
        File { path, bytes: script.into(), is_executable: true }.write(&tree)?;
    }
    let name = format!("gofleet_{}_amd64.deb", content.version);
    let level = if content.is_small { "-z6" } else { "-z0" };
    quiet(
        Command::new("dpkg-deb")
            .env("SOURCE_DATE_EPOCH", content.epoch.to_string())
            // Several threads would cut the archive in as many pieces.
            .env("DPKG_DEB_THREADS_MAX", "1")
            .args(["--build", "--root-owner-group", "-Zxz", level])
            .args([&tree, &out.join(&name)]),
    )?;
    Ok(name)
}

fn files(content: &Content<'_>, unit: &str) -> Result<Vec<File>> {
    let mut files = content.files()?;
    for file in &mut files {
        file.path = match file.path.as_str() {
            "LICENSE" => "usr/share/doc/gofleet/copyright".to_owned(),
            "agent.toml.example" => "usr/share/doc/gofleet/examples/agent.toml".to_owned(),
            program if file.is_executable => format!("{}/{program}", &PROGRAMS[1..]),
            other => format!("usr/share/doc/gofleet/{other}"),
        };
    }
    let unit = File::plain("usr/lib/systemd/system/gofleet-agent.service", unit.into());
    files.push(unit);
    let changes = fs::read(root().join("CHANGELOG.md")).context("read CHANGELOG.md")?;
    files.push(File::plain("usr/share/doc/gofleet/CHANGELOG.md", changes));
    Ok(files)
}

fn control(version: &str, kib: usize, glibc: &str) -> String {
    // The address is of a domain that can't be: weaknesses are told as SECURITY.md says.
    format!(
        "\
Package: gofleet
Version: {version}
Architecture: amd64
Maintainer: The gofleet authors <authors@gofleet.invalid>
Installed-Size: {kib}
Depends: libc6 (>= {glibc}), libgcc-s1
Section: admin
Priority: optional
Homepage: https://github.com/gofleet/gofleet
Description: upgrades Go across fleets of machines
 One program: the agent on every machine, the server, and the command line.
 .
 Installing this package starts nothing. To make this machine a device of a
 fleet, give `gofleet agent install` the address of the server and a file with
 an enrolment token.
"
    )
}

/// The newest version of the C library whose functions a program asks for, like `2.34`: the linker
/// writes the name of each version into it.
fn newest_glibc(program: &[u8]) -> String {
    const MARK: &[u8] = b"GLIBC_2.";
    let minor = |window: (usize, &[u8])| {
        let digits = program[window.0 + MARK.len()..].iter().take_while(|it| it.is_ascii_digit());
        String::from_utf8(digits.copied().collect()).ok()?.parse::<u32>().ok()
    };
    let marks = program.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
    let newest = marks.filter_map(minor).max().unwrap_or_default();
    format!("2.{newest}")
}

#[cfg(unix)]
fn link(path: &Path) -> Result<()> {
    Ok(std::os::unix::fs::symlink("../lib/gofleet/gofleet", path)?)
}

#[cfg(not(unix))]
fn link(_: &Path) -> Result<()> {
    anyhow::bail!("packages for Debian are made on Linux")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_of_the_c_library_is_found() {
        let check = |program: &[u8], expect: &str| assert_eq!(newest_glibc(program), expect);
        check(b"\0GLIBC_2.17\0GLIBC_2.34\0GLIBC_2.2.5\0", "2.34");
        check(b"\0GLIBC_PRIVATE\0GLIBC_2.", "2.0");
        check(b"linked statically", "2.0");
    }
}
