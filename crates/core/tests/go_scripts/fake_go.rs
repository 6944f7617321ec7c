//! A `go` command that selects toolchains with our code and otherwise edits a file or two.

use gofleet_core::resolve::{GoSelection, GoSettings, go_selection};
use gofleet_core::toolchain::{Local, Selection, changes_folder, unavailable};
use gofleet_core::version;

use crate::world::World;

/// What a `go` command printed and whether it succeeded.
#[derive(Debug, Default)]
pub struct Output {
    pub stdout: String,
    pub stderr: String,
    pub is_success: bool,
}

/// What came of a command.
pub enum Outcome {
    /// All of it was played.
    Done(Output),
    /// Only the selection was: what else it would print or do is not known.
    SelectionOnly(Output),
    /// Nothing of it can be played.
    Unknown,
}

/// Runs `go` with these arguments.
pub fn run(world: &mut World, arguments: &[String]) -> Outcome {
    // A real switch calls this very program again; these two break it on purpose.
    if ["loop", "mismatch"].contains(&world.get("TESTGO_VERSION_SWITCH")) {
        return Outcome::Unknown;
    }
    let folder = world.folder.clone();
    if let Some(changed) = changes_folder(arguments).and_then(|folder| folder.to_str()) {
        world.folder = world.path(changed);
    }
    let outcome = select_and_run(world, arguments);
    world.folder = folder;
    outcome
}

fn select_and_run(world: &mut World, arguments: &[String]) -> Outcome {
    let mut output = Output::default();
    let local = Local::new(world.get("TESTGO_VERSION")).unwrap_or_else(|_| {
        Local::new("go1.27.3").expect("the version of the release whose scripts these are")
    });
    let selected = match select(world, &local, &mut output.stderr) {
        Ok(selected) => selected,
        Err(message) => {
            output.stderr.push_str(&format!("go: {message}\n"));
            return Outcome::Done(output);
        }
    };
    if let Some(running) = run_from_path(world, &local, &selected) {
        output.stderr.push_str(&running);
        return Outcome::Done(output);
    }
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["version"] => {
            output.stdout = format!("go version {} linux/amd64\n", selected.toolchain);
            output.is_success = true;
        }
        ["build"] => match &selected.refusal {
            Some(refusal) => output.stderr.push_str(&format!("go: {refusal}\n")),
            None => return Outcome::SelectionOnly(output),
        },
        ["build", "-o", program, "./fakego.go" | "./fake/fakego.go"] => {
            let program = world.path(program);
            world.files.insert(program, "fake".to_owned());
            output.is_success = true;
        }
        ["mod", "init", ..] => output.is_success = init(world, &local, "go.mod"),
        ["work", "init"] => output.is_success = init(world, &local, "go.work"),
        ["mod", "edit", ref options @ ..] => output.is_success = edit(world, "go.mod", options),
        ["work", "edit", ref options @ ..] => output.is_success = edit(world, "go.work", options),
        ["install" | "run", .., module] if module.contains('@') => {
            return Outcome::SelectionOnly(output);
        }
        _ => return Outcome::Unknown,
    }
    Outcome::Done(output)
}

/// Selects as `Select` does, writing the trace if it is wanted, and looks for the toolchain.
fn select(world: &World, local: &Local, stderr: &mut String) -> Result<Selection, String> {
    let settings = GoSettings::read(world);
    let asked = go_selection(&world.folder, &settings, local, world).map_err(|e| e.to_string())?;
    let Some(GoSelection { selection, .. }) = asked else {
        return gofleet_core::toolchain::select("", local, None).map_err(|e| e.to_string());
    };
    let is_traced = world.get("GODEBUG") == "toolchaintrace=1";
    let mut trace = |line: String| {
        if is_traced {
            stderr.push_str(&format!("go: {line}\n"));
        }
    };
    for step in &selection.steps {
        trace(step.to_string());
    }
    let name = &selection.toolchain;
    if name == local.name() {
        trace(format!("using local toolchain {name}"));
    } else if world.get("TESTGO_VERSION_SWITCH") == "switch" {
        trace(format!("using {name} toolchain from cache located at /go"));
    } else if let Some(program) = on_path(world, name) {
        trace(format!("using {name} toolchain located in system PATH ({program})"));
    } else {
        let error = unavailable(&selection, "linux/amd64").to_string();
        if error.starts_with("download ") {
            stderr.push_str(&format!("go: downloading {name} (linux/amd64)\n"));
        }
        return Err(error);
    }
    Ok(selection)
}

fn on_path(world: &World, name: &str) -> Option<String> {
    let program = format!("{}/{name}", world.get("PATH"));
    world.files.contains_key(&world.path(&program)).then_some(program)
}

/// What a fake toolchain on `PATH` prints if it was selected.
fn run_from_path(world: &World, local: &Local, selected: &Selection) -> Option<String> {
    let name = &selected.toolchain;
    let is_fake = name != local.name() && world.get("TESTGO_VERSION_SWITCH") != "switch";
    is_fake.then(|| format!("running {name} from PATH\n"))
}

fn init(world: &mut World, local: &Local, file: &str) -> bool {
    let path = world.path(file);
    let go = version::lang(local.name().trim_start_matches("go").split([' ', '-']).next().unwrap());
    let header = if file == "go.mod" { "module m\n\n" } else { "" };
    world.files.insert(path, format!("{header}go {go}\n")).is_none()
}

/// Sets or drops the lines that `-go=` and `-toolchain=` name; false for any other option.
fn edit(world: &mut World, file: &str, options: &[&str]) -> bool {
    let path = world.path(file);
    let Some(mut text) = world.files.get(&path).cloned() else { return false };
    let options = options.iter().filter(|option| option.contains('='));
    for option in options {
        let Some((key, value)) = option.trim_start_matches('-').split_once('=') else {
            return false;
        };
        if !["go", "toolchain"].contains(&key) {
            return false;
        }
        let kept = text.lines().filter(|line| !line.starts_with(&format!("{key} ")));
        text = kept.map(|line| format!("{line}\n")).collect();
        if value != "none" {
            text.push_str(&format!("{key} {value}\n"));
        }
    }
    world.files.insert(path, text);
    true
}
