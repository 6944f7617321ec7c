//! What a shim adds to the start of a program: gofleet's and mise's in front of `go version`,
//! pyenv's in front of `python --version`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use gofleet_testkit::go;

use super::super::Row;
use super::super::cost::{median, timed};
use super::super::programs::{Mise, official_archive, tagged_repository};
use super::{Bench, LINUX};
use crate::dist;
use crate::run::{find_program, quiet, read};

/// Starts of each program, by turns.
const STARTS: usize = 101;

pub fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let folder = bench.memory.path().join("shims");
    fs::create_dir(&folder)?;
    let ours = added(&Direct::go()?, &placed(bench, &folder)?)?;
    let what = "what the shim adds to `go version`";
    let mise = added(&Direct::go()?, &of_mise(bench, &folder)?)?;
    let mut rows = vec![
        Row::new(what, ours, "ms").must(1.0).aim(0.5),
        Row::new(what, ours, "ms").against("mise's shim", mise).must(mise),
    ];
    match of_pyenv(&folder)? {
        Some((direct, shim)) => {
            let pyenv = added(&direct, &shim)?;
            rows.push(Row::new(what, ours, "ms").against("pyenv's shim", pyenv).must(pyenv));
        }
        None => println!("pyenv is not on this machine: its shim is not measured"),
    }
    Ok(rows)
}

/// A program as it is started: by itself, or through a shim.
struct Direct {
    program: PathBuf,
    arguments: &'static [&'static str],
    environment: Vec<(&'static str, PathBuf)>,
    folder: PathBuf,
}

impl Direct {
    fn go() -> Result<Self> {
        let program = go::find_tree("1.27.3", LINUX)?.join("bin/go");
        Ok(Self::new(program, &["version"], std::env::temp_dir()))
    }

    fn new(program: PathBuf, arguments: &'static [&'static str], folder: PathBuf) -> Self {
        Self { program, arguments, environment: Vec::new(), folder }
    }

    fn start(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(self.arguments)
            .env("GOTOOLCHAIN", "local")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        command
    }
}

/// The difference of the medians, in milliseconds.
fn added(direct: &Direct, shim: &Direct) -> Result<f64> {
    let said = [read(&mut direct.start())?, read(&mut shim.start())?];
    ensure!(said[0] == said[1], "the shim runs something else: {said:?}");
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        without.push(timed(&mut direct.start())?);
        with.push(timed(&mut shim.start())?);
    }
    Ok(median(with) - median(without))
}

/// Our shim in the `bin` of a root whose active release is Go.
fn placed(bench: &Bench, folder: &Path) -> Result<Direct> {
    let program = dist::shim()?;
    let archive = bench.archive("1.27.3", LINUX)?;
    let wanted = bench.device.want(&archive, "pack", &bench.pack("1.27.3", LINUX)?.0)?;
    let place = folder.join("gofleet");
    fs::create_dir(&place)?;
    bench.device.installed(&wanted, &place)?;
    bench.device.activate(&format!("go-1.27.3-{LINUX}"), &place)?;
    let shim = place.join("root/bin/go");
    fs::copy(program, &shim)?;
    Ok(Direct::new(shim, &["version"], place))
}

fn of_mise(bench: &Bench, folder: &Path) -> Result<Direct> {
    let mise = Mise::find()?;
    let place = folder.join("mise");
    let releases = folder.join("releases");
    tagged_repository(&releases, "1.27.3")?;
    fs::create_dir(&place)?;
    official_archive("1.27.3", LINUX, bench.memory.path())?;
    let mirror = super::super::mirror::serve(bench.memory.path())?;
    quiet(&mut mise.install("1.27.3", &mirror, &releases, &place))?;
    quiet(mise.command(&place).args(["use", "--global", "--quiet", "go@1.27.3"]))?;
    quiet(mise.command(&place).arg("reshim"))?;
    let shim = place.join("mise/shims/go");
    ensure!(shim.exists(), "mise made no shim");
    let mut direct = Direct::new(shim, &["version"], place.clone());
    let names = [("MISE_DATA_DIR", "mise"), ("MISE_CACHE_DIR", "mise-cache")];
    direct.environment.extend(names.map(|(name, below)| (name, place.join(below))));
    direct.environment.push(("MISE_CONFIG_DIR", place.join("mise-config")));
    direct.environment.push(("HOME", place));
    Ok(direct)
}

/// pyenv's shim and what it runs, if pyenv is here.
fn of_pyenv(folder: &Path) -> Result<Option<(Direct, Direct)>> {
    let Some(pyenv) = find_program("pyenv") else { return Ok(None) };
    let root = read(Command::new(&pyenv).arg("root"))?;
    let shim = PathBuf::from(root.trim()).join("shims/python");
    let python = read(Command::new(&pyenv).args(["which", "python"])).unwrap_or_default();
    if !shim.is_file() || python.trim().is_empty() {
        return Ok(None);
    }
    let folder = folder.canonicalize().context("it was made here")?;
    let of = |program| Direct::new(program, &["--version"], folder.clone());
    Ok(Some((of(PathBuf::from(python.trim())), of(shim))))
}
