//! What lies in the root: shims, choices, trees, leftovers.

use std::fs;
use std::path::Path;

use gofleet_core::resolve::{Modules, Pin};
use gofleet_depot::Root;
use gofleet_shim::Machine;

use super::Finding;
use crate::agent::shim_program;
use crate::local::current_folder;

/// Looks at all of it.
pub(super) fn examine(root: &Root) -> Vec<Finding> {
    let machine = match Machine::read(root.path().to_owned()) {
        Ok(machine) => machine,
        Err(error) => {
            let advice = "mend or remove the file, then install again";
            let message = format!("{:#}", anyhow::Error::from(error));
            return vec![Finding::problem("unreadable", message, advice)];
        }
    };
    if machine.installed().is_empty() {
        let message = format!("no Go is installed in {}", root.path().display());
        return vec![Finding::problem(
            "nothing_installed",
            message,
            "run `gofleet install latest`",
        )];
    }
    let mut findings = shims(root);
    findings.extend(choices(&machine));
    findings.extend(trees(root));
    findings.extend(leftovers(root));
    findings.extend(here(&machine));
    findings
}

/// Whether `go` and `gofmt` are there and of this version of gofleet.
fn shims(root: &Root) -> Vec<Finding> {
    let current = shim_program().ok().and_then(|program| fs::read(program).ok());
    let examine = |name: &&str| {
        let shim = root.bin().join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        let (code, what) = match fs::read(&shim) {
            Err(_) => ("shim_is_missing", "is missing"),
            Ok(found) if current.as_ref().is_some_and(|current| *current != found) => {
                ("shim_is_old", "is of another version of gofleet")
            }
            Ok(_) => return None,
        };
        let message = format!("{} {what}", shim.display());
        Some(match code {
            "shim_is_old" => Finding::warning(code, message, "install any version again"),
            _ => Finding::problem(code, message, "install any version again"),
        })
    };
    ["go", "gofmt"].iter().filter_map(examine).collect()
}

/// Whether what was chosen is installed.
fn choices(machine: &Machine) -> Vec<Finding> {
    let choices = [
        (machine.active(), "the machine's choice", " --machine"),
        (machine.user(), "your choice", ""),
    ];
    let mut findings = Vec::new();
    for (version, whose, option) in choices {
        let Some(version) = version else { continue };
        let is_there =
            version.parse::<Pin>().is_ok_and(|pin| pin.choose(machine.installed()).is_some());
        if !is_there {
            let message = format!("Go {version}, {whose}, is not installed");
            let advice =
                format!("run `gofleet install {version}` or `gofleet use VERSION{option}`");
            findings.push(Finding::problem("choice_is_not_installed", message, advice));
        }
    }
    if machine.active().is_none() {
        let message = "no version is the machine's choice".to_owned();
        let advice = "run `gofleet use VERSION --machine`";
        findings.push(Finding::warning("nothing_is_active", message, advice));
    }
    findings
}

/// Compares every installed tree with its manifest.
fn trees(root: &Root) -> Vec<Finding> {
    let names = fs::read_dir(root.releases()).into_iter().flatten().flatten();
    let mut ids: Vec<_> = names.map(|entry| entry.file_name()).collect();
    ids.sort();
    let examine = |name: &std::ffi::OsString| {
        let id = name.to_str()?.parse().ok()?;
        let error = root.verify(&id, &()).err()?;
        let version = id.as_str().split('-').nth(1).unwrap_or("VERSION").to_owned();
        let message = format!("{:#}", anyhow::Error::from(error));
        let advice = format!("run `gofleet install {version}`, which mends it");
        Some(Finding::problem("tree_is_damaged", message, advice))
    };
    ids.iter().filter_map(examine).collect()
}

/// What a killed installation left.
fn leftovers(root: &Root) -> Vec<Finding> {
    let staging = root.path().join("staging");
    let count = |folder: &Path| fs::read_dir(folder).map_or(0, Iterator::count);
    let folders = [staging, root.downloads()];
    let found = folders.iter().filter(|folder| count(folder) > 0).map(|folder| {
        let message = format!("{} holds work that is under way or was cut off", folder.display());
        let advice = "if no agent and no installation runs: the next one cleans up";
        Finding::warning("leftovers", message, advice)
    });
    found.collect()
}

/// Whether a Go runs in the current folder, and one that is new enough for it.
fn here(machine: &Machine) -> Option<Finding> {
    match machine.resolve(&current_folder().ok()?, Modules::Asked).outcome {
        Ok(chosen) => chosen.warning.map(|warning| {
            let message = format!("in this folder Go will say: {warning}");
            Finding::warning("go_is_too_old_here", message, "run `gofleet why`")
        }),
        Err(error) => {
            let advice = error.hint().unwrap_or_else(|| "run `gofleet why`".to_owned());
            let message = format!("in this folder no Go runs: {:#}", anyhow::Error::from(error));
            Some(Finding::problem("nothing_runs_here", message, advice))
        }
    }
}
