//! What a program is made of, as a software bill of materials in CycloneDX 1.6 (ECMA-424).
//!
//! It names every crate that is compiled into the program for one target, by what Cargo itself
//! resolves for it; the libraries in C that some of those bring along; the standard library; and,
//! marked as excluded from the program, the crates that only ran while it was built. Crates come
//! with the digest that the lock file has for them.
//!
//! It is written as JSON by hand: a dozen fields are needed, while the libraries for the format
//! model all of it, bring dozens of crates, and stop at an older version of the specification.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use serde_json::{Value, json};

use super::build::Target;
use super::digest;
use super::native;
use crate::run::{cargo, read, root};

/// The crate of the program, whose closure holds the shim too.
const PROGRAM: &str = "gofleet";

/// A crate by name and version, which together are unique in a lock file of one registry.
type Key = (String, String);

/// Writes down what `gofleet` is made of on that target; `epoch` is when, in seconds since 1970.
///
/// # Errors
///
/// What cargo said, or what its lock file lacks.
pub fn of(target: &Target, epoch: i64) -> Result<Value> {
    let metadata = MetadataCommand::new()
        .current_dir(root())
        .other_options(["--locked".into(), "--filter-platform".into(), target.triple.into()])
        .exec()?;
    let parts = Parts {
        built_in: tree(target.triple, "normal,no-proc-macro")?,
        all: tree(target.triple, "normal,build")?,
        digests: digests(&std::fs::read_to_string(root().join("Cargo.lock"))?)?,
        compiler: compiler()?,
    };
    document(&metadata, &parts, target, epoch)
}

/// What is known of the crates beside Cargo's metadata.
struct Parts {
    /// Those whose code is in the program.
    built_in: BTreeSet<Key>,
    /// Those, and those that ran while it was built.
    all: BTreeSet<Key>,
    /// SHA-256 of the archives of crates that come from a registry.
    digests: BTreeMap<Key, String>,
    /// The compiler's release, like `1.95.0`.
    compiler: String,
}

fn document(metadata: &Metadata, parts: &Parts, target: &Target, epoch: i64) -> Result<Value> {
    let packages: BTreeMap<Key, &Package> = metadata
        .packages
        .iter()
        .map(|package| (key(package), package))
        .filter(|(key, _)| parts.all.contains(key))
        .collect();
    let program = packages.values().find(|package| *package.name == PROGRAM);
    let program = program.context("cargo's metadata has no package gofleet")?;
    let mut components = vec![standard_library(&parts.compiler)];
    let mut dependencies = Vec::new();
    let references: BTreeMap<&PackageId, String> =
        packages.values().map(|package| (&package.id, reference(package))).collect();
    for (key, package) in &packages {
        let mut needs = needs(metadata, package, &references);
        if *package.name == PROGRAM {
            needs.push(STANDARD_LIBRARY.to_owned());
        } else {
            components.push(component(package, parts, key)?);
        }
        if let Some(library) = native::of(package)? {
            needs.push(library.reference());
            components.push(library.component());
        }
        needs.sort();
        dependencies.push(json!({ "ref": reference(package), "dependsOn": needs }));
    }
    let mut document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": jiff::Timestamp::from_second(epoch)?.to_string(),
            "lifecycles": [{ "phase": "build" }],
            "tools": { "components": [
                { "type": "application", "name": "cargo xtask dist", "version": program.version },
                { "type": "application", "name": "rustc", "version": parts.compiler },
            ] },
            "component": {
                "type": "application",
                "bom-ref": reference(program),
                "name": PROGRAM,
                "version": program.version,
                "description": program.description,
                "licenses": licences(program)?,
                "properties": [{ "name": "cargo:target", "value": target.triple }],
            },
        },
        "components": components,
        "dependencies": dependencies,
    });
    // Equal contents have equal numbers, so that a document can be made again.
    let number = digest::uuid(&serde_json::to_vec(&document)?);
    document["serialNumber"] = Value::String(format!("urn:uuid:{number}"));
    Ok(document)
}

const STANDARD_LIBRARY: &str = "rust-std";

fn standard_library(compiler: &str) -> Value {
    json!({
        "type": "library",
        "bom-ref": STANDARD_LIBRARY,
        "name": "std",
        "version": compiler,
        "description": "Rust's standard library",
        "scope": "required",
        "licenses": [{ "expression": "MIT OR Apache-2.0" }],
    })
}

fn component(package: &Package, parts: &Parts, key: &Key) -> Result<Value> {
    let scope = if parts.built_in.contains(key) { "required" } else { "excluded" };
    let mut component = json!({
        "type": "library",
        "bom-ref": reference(package),
        "name": *package.name,
        "version": package.version,
        "scope": scope,
        "licenses": licences(package)?,
    });
    // Ours are on no registry: an identifier of one would be that of somebody else's crate.
    if package.source.is_some() {
        let digest = parts.digests.get(key);
        let digest = digest.with_context(|| format!("the lock file has no {}", package.name))?;
        component["hashes"] = json!([{ "alg": "SHA-256", "content": digest }]);
        component["purl"] = Value::String(reference(package));
    }
    Ok(component)
}

/// The package's identifier by the purl specification, for crates of a registry; for ours a name.
fn reference(package: &Package) -> String {
    // `+`, which begins build metadata, has to be escaped.
    let version = package.version.to_string().replace('+', "%2B");
    match package.source {
        Some(_) => format!("pkg:cargo/{}@{version}", package.name),
        None => format!("{}@{version}", package.name),
    }
}

fn key(package: &Package) -> Key {
    (package.name.to_string(), package.version.to_string())
}

fn licences(package: &Package) -> Result<Value> {
    let text = package.license.as_deref();
    let text = text.with_context(|| format!("{} names no licence", package.name))?;
    Ok(json!([{ "expression": spdx(text) }]))
}

/// Older crates separate the licences to choose from by a slash, which SPDX does not know.
fn spdx(licence: &str) -> String {
    licence.split('/').map(str::trim).collect::<Vec<_>>().join(" OR ")
}

/// What a crate needs for its code and its build, of what is in the document.
fn needs(
    metadata: &Metadata,
    package: &Package,
    references: &BTreeMap<&PackageId, String>,
) -> Vec<String> {
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    let node = nodes.filter(|node| node.id == package.id);
    let needed = node.flat_map(|node| &node.deps).filter(|dependency| {
        dependency.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development)
    });
    let found: BTreeSet<&String> =
        needed.filter_map(|dependency| references.get(&dependency.pkg)).collect();
    found.into_iter().cloned().collect()
}

/// The crates that Cargo compiles for `gofleet` on that target, along the edges of these kinds.
/// Cargo's metadata says what may be needed; only its tree knows the features that are on.
fn tree(triple: &str, edges: &str) -> Result<BTreeSet<Key>> {
    let said = read(
        cargo()
            .args(["tree", "--locked", "--package", PROGRAM, "--target", triple])
            .args(["--edges", edges, "--prefix", "none", "--format", "{p}"]),
    )?;
    Ok(listed(&said))
}

/// `name v1.2.3 (path) (*)` in each line.
fn listed(said: &str) -> BTreeSet<Key> {
    let words = |line: &str| {
        let mut words = line.split(' ').map(str::to_owned);
        Some((words.next()?, words.next()?.strip_prefix('v')?.to_owned()))
    };
    said.lines().filter_map(words).collect()
}

/// The digests of a lock file.
fn digests(lock: &str) -> Result<BTreeMap<Key, String>> {
    let lock: toml::Table = lock.parse().context("read Cargo.lock")?;
    let packages = lock.get("package").and_then(toml::Value::as_array);
    let packages = packages.context("Cargo.lock names no packages")?;
    let of = |package: &toml::Value| {
        let text = |name: &str| Some(package.get(name)?.as_str()?.to_owned());
        Some(((text("name")?, text("version")?), text("checksum")?))
    };
    Ok(packages.iter().filter_map(of).collect())
}

fn compiler() -> Result<String> {
    let said = read(std::process::Command::new("rustc").current_dir(root()).arg("-vV"))?;
    let line = said.lines().find_map(|line| line.strip_prefix("release: "));
    Ok(line.context("rustc names no release")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::build::Platform;
    use super::*;

    /// 2026-01-01T00:00:00Z.
    const EPOCH: i64 = 1_767_225_600;

    fn texts<'a>(values: &'a Value, field: &str) -> Vec<&'a str> {
        values.as_array().unwrap().iter().filter_map(|value| value[field].as_str()).collect()
    }

    fn find<'a>(bill: &'a Value, name: &str) -> Option<&'a Value> {
        bill["components"].as_array().unwrap().iter().find(|it| it["name"] == name)
    }

    /// That each reference leads somewhere, and everything is reached from the program.
    fn check_closed(bill: &Value) {
        let program = bill["metadata"]["component"]["bom-ref"].as_str().unwrap();
        let components = texts(&bill["components"], "bom-ref");
        let known: BTreeSet<&str> = components.iter().copied().chain([program]).collect();
        assert_eq!(known.len(), components.len() + 1, "no reference stands for two");
        let edges: BTreeMap<&str, Vec<&str>> = bill["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| {
                let needs = it["dependsOn"].as_array().unwrap();
                (it["ref"].as_str().unwrap(), needs.iter().filter_map(Value::as_str).collect())
            })
            .collect();
        let mut reached = BTreeSet::new();
        let mut ahead = vec![program];
        while let Some(next) = ahead.pop() {
            if reached.insert(next) {
                ahead.extend(edges.get(next).into_iter().flatten());
            }
        }
        assert_eq!(reached, known);
    }

    #[test]
    fn a_bill_of_materials_names_what_is_built_in_for_each_target() {
        for (platform, others) in [
            (Platform::LinuxAmd64, ["rustix", "windows-sys"]),
            (Platform::WindowsAmd64, ["windows-sys", "rustix"]),
        ] {
            let target = platform.target();
            let bill = of(&target, EPOCH).unwrap();
            assert_eq!(bill, of(&target, EPOCH).unwrap(), "made twice");
            assert_eq!(bill["metadata"]["timestamp"], "2026-01-01T00:00:00Z");
            check_closed(&bill);
            for component in bill["components"].as_array().unwrap() {
                assert!(component["licenses"][0]["expression"].is_string(), "{component}");
                let is_of_registry =
                    component["purl"].as_str().is_some_and(|purl| purl.starts_with("pkg:cargo/"));
                let digest = component["hashes"][0]["content"].as_str();
                assert_eq!(digest.map(str::len), is_of_registry.then_some(64), "{component}");
            }
            let scope = |name: &str| find(&bill, name).map(|it| it["scope"].as_str().unwrap());
            assert_eq!(scope("rustls"), Some("required"));
            assert_eq!(scope("gofleet-core"), Some("required"));
            assert_eq!(scope("gofleet-shim"), Some("required"));
            assert_eq!(scope("serde_derive"), Some("excluded"), "it runs in the compiler");
            assert_eq!(scope("cc"), Some("excluded"), "it runs in the build");
            assert_eq!(scope(others[0]), Some("required"), "on {}", target.triple);
            assert_eq!(scope(others[1]), None, "on {}", target.triple);
            for absent in ["proptest", "insta", "gofleet-testkit", "xtask"] {
                assert_eq!(scope(absent), None, "{absent} is for tests only");
            }
            let sqlite = find(&bill, "sqlite").unwrap();
            assert!(sqlite["version"].as_str().unwrap().starts_with("3."), "{sqlite}");
        }
    }

    #[test]
    fn the_digests_are_those_of_the_lock_file() {
        let lock = "version = 4\n[[package]]\nname = \"ours\"\nversion = \"0.1.0\"\n\
                    [[package]]\nname = \"a\"\nversion = \"1.0.0+b\"\nchecksum = \"12ab\"\n";
        let key = ("a".to_owned(), "1.0.0+b".to_owned());
        assert_eq!(digests(lock).unwrap(), BTreeMap::from([(key, "12ab".to_owned())]));
        assert!(digests("version = 4").is_err());
    }

    #[test]
    fn trees_and_licences_are_read() {
        let said = "gofleet v0.1.0 (/x)\nserde_derive v1.0.1 (proc-macro)\nserde v1.0.1 (*)\n\n";
        let names: Vec<String> = listed(said).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["gofleet", "serde", "serde_derive"]);
        assert_eq!(spdx("MIT/Apache-2.0"), "MIT OR Apache-2.0");
        assert_eq!(spdx("Apache-2.0 / MIT"), "Apache-2.0 OR MIT");
        assert_eq!(
            spdx("(MIT OR Apache-2.0) AND Unicode-3.0"),
            "(MIT OR Apache-2.0) AND Unicode-3.0"
        );
    }
}
