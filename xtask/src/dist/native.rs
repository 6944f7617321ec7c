//! Libraries in C that crates bring along and compile in. Who looks for known weaknesses has to
//! find them by their own names: the crate's version says nothing of theirs.

use std::fs;

use anyhow::{Context, Result, ensure};
use cargo_metadata::Package;
use serde_json::{Value, json};

/// How a crate carries a library.
struct Carried {
    krate: &'static str,
    library: &'static str,
    /// SPDX expression.
    licence: &'static str,
    /// Vendor and product in the Common Platform Enumeration.
    vendor: &'static str,
    /// A header in the crate, and the macros there that make up the version, joined by dots.
    header: &'static str,
    macros: &'static [&'static str],
}

const CARRIED: [Carried; 3] = [
    Carried {
        krate: "libsqlite3-sys",
        library: "sqlite",
        licence: "blessing",
        vendor: "sqlite",
        header: "sqlite3/sqlite3.h",
        macros: &["SQLITE_VERSION"],
    },
    Carried {
        krate: "zstd-sys",
        library: "zstandard",
        licence: "BSD-3-Clause",
        vendor: "facebook",
        header: "zstd/lib/zstd.h",
        macros: &["ZSTD_VERSION_MAJOR", "ZSTD_VERSION_MINOR", "ZSTD_VERSION_RELEASE"],
    },
    Carried {
        krate: "libdeflate-sys",
        library: "libdeflate",
        licence: "MIT",
        vendor: "libdeflate_project",
        header: "libdeflate/libdeflate.h",
        macros: &["LIBDEFLATE_VERSION_STRING"],
    },
];

/// One of them, in the version that is compiled in.
pub struct Library {
    carried: &'static Carried,
    version: String,
}

/// The libraries that a crate brings along.
///
/// # Errors
///
/// If it does not have the version where it used to: then the table here has to be mended.
pub fn of(package: &Package) -> Result<Option<Library>> {
    let Some(carried) = CARRIED.iter().find(|carried| carried.krate == *package.name) else {
        return Ok(None);
    };
    let folder = package.manifest_path.parent().context("a manifest lies in a folder")?;
    let header = folder.join(carried.header);
    let text = fs::read_to_string(&header).with_context(|| format!("read {header}"))?;
    let version = version(&text, carried.macros);
    let version = version.with_context(|| format!("{header} does not tell its version"))?;
    ensure!(version.starts_with(|c: char| c.is_ascii_digit()), "{header} has version {version}");
    Ok(Some(Library { carried, version }))
}

fn version(header: &str, macros: &[&str]) -> Option<String> {
    let value = |name: &&str| {
        header.lines().find_map(|line| {
            let mut words = line.trim_start().strip_prefix("#define")?.split_whitespace();
            (words.next() == Some(*name)).then(|| words.next())?
        })
    };
    let parts: Option<Vec<&str>> = macros.iter().map(value).collect();
    Some(parts?.join(".").replace('"', ""))
}

impl Library {
    /// By what the document refers to it.
    pub fn reference(&self) -> String {
        format!("pkg:generic/{}@{}", self.carried.library, self.version)
    }

    /// It as a component.
    pub fn component(&self) -> Value {
        let Carried { library, licence, vendor, krate, .. } = self.carried;
        let version = &self.version;
        json!({
            "type": "library",
            "bom-ref": self.reference(),
            "name": library,
            "version": version,
            "description": format!("in C, as the crate {krate} brings it along"),
            "scope": "required",
            "licenses": [{ "expression": licence }],
            "cpe": format!("cpe:2.3:a:{vendor}:{library}:{version}:*:*:*:*:*:*:*"),
            "purl": self.reference(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_macros() {
        let check = |header: &str, macros: &[&str], expect: Option<&str>| {
            assert_eq!(version(header, macros).as_deref(), expect, "{header}");
        };
        check("#define VERSION        \"3.51.3\"\n", &["VERSION"], Some("3.51.3"));
        check("#define MAJOR    1\n#define MINOR 5\n", &["MAJOR", "MINOR"], Some("1.5"));
        check("#define MAJOR    1\n", &["MAJOR", "MINOR"], None);
        check("/* VERSION 3 */\n#define VERSION_NUMBER 3\n", &["VERSION"], None);
    }
}
