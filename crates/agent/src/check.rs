//! The checks of a release: does the Go that is active really work on this machine?
//!
//! It must say the wanted version and the right `GOROOT`, be what `PATH` leads to, and compile a
//! program that then runs and tells which Go made it. Nothing of the user's settings takes part,
//! and nothing is asked of the network. The program's text is another each time, so that no cache
//! can answer in the compiler's place.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gofleet_core::digest::Digest;
use gofleet_core::order::Evidence;
use gofleet_core::resolve::{MACHINE, VERSION_VARIABLE};
use gofleet_core::time::Span;
use gofleet_depot::Root;
use gofleet_platform::{canonical, remove_tree};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

pub use crate::program::ProgramError;
use crate::program::{Printed, Program};

use crate::inventory::{GO, Places};

/// `go version` takes milliseconds; on a machine that is busy with a scan of viruses, seconds.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// A first build compiles the runtime: 15 s under Wine on two idle cores. A machine with eight
/// times less to give must still be able to pass.
const BUILD_LIMIT: Duration = Duration::from_secs(300);

/// What Windows programs cannot do without.
const KEPT_ON_WINDOWS: [&str; 6] =
    ["SystemRoot", "SystemDrive", "windir", "ComSpec", "PATHEXT", "PROCESSOR_ARCHITECTURE"];

/// What is to be checked, and where.
#[derive(Debug, Clone)]
pub struct Checks<'a> {
    /// The tree of the release.
    pub tree: &'a Path,
    /// The version that it must have, like `1.27.3`.
    pub version: &'a str,
    /// The device's root, whose shims are checked too where `PATH` leads to them.
    pub root: &'a Root,
    /// Where else Go may be found.
    pub places: &'a Places,
    /// A folder for the checks alone: what is in it is thrown away.
    pub folder: &'a Path,
    /// Go's build cache: keeps a second check from compiling the runtime again.
    pub cache: &'a Path,
}

/// Why a release is not healthy.
#[derive(Debug, Error)]
pub enum CheckError {
    /// Its `go` cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The folder for the checks cannot be used.
    #[error("cannot prepare the checks in {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A program did not end well.
    #[error("a check failed")]
    Program(#[source] ProgramError),
    /// It is another version.
    #[error("`{command}` printed `{printed}`, expected version {expected}")]
    WrongVersion {
        /// What was asked.
        command: String,
        /// What it printed.
        printed: String,
        /// What was wanted.
        expected: String,
    },
    /// It believes to stand somewhere else.
    #[error("`go env GOROOT` printed `{printed}`, expected {}", expected.display())]
    WrongRoot {
        /// What it printed.
        printed: String,
        /// Where it stands.
        expected: PathBuf,
    },
    /// The shims are on `PATH`, but another Go comes first.
    #[error(
        "{} comes before gofleet's {} on PATH: remove it, or put gofleet's folder first",
        hit.display(),
        bin.display()
    )]
    Shadowed {
        /// What comes first.
        hit: PathBuf,
        /// The folder of the shims.
        bin: PathBuf,
    },
    /// The compiled program printed something else.
    #[error("the compiled program printed `{printed}`, expected `{expected}`")]
    WrongOutput {
        /// What it printed.
        printed: String,
        /// What it should have printed.
        expected: String,
    },
}

/// The folders of one run of the checks.
struct Bench {
    folder: PathBuf,
    source: PathBuf,
    temporary: PathBuf,
    environment: Vec<(&'static str, OsString)>,
}

impl Checks<'_> {
    /// Runs all checks. Dropping the future stops them.
    ///
    /// # Errors
    ///
    /// [`CheckError`]: the first that failed.
    pub async fn run(&self) -> Result<Evidence, CheckError> {
        let began = Instant::now();
        let tree = canonical(self.tree).map_err(unreadable(self.tree))?;
        let go = tree.join("bin").join(GO);
        let go_sha256 = digest_of(&go)?;
        let bench = self.prepare(&tree)?;
        let go_version = self.version_by(&bench, &go).await?;
        let goroot = self.goroot(&bench, &go, &tree).await?;
        let (path_hit, path_is_managed) = self.path_hit()?;
        if path_is_managed && let Some(shim) = &path_hit {
            self.version_by(&bench, shim).await?;
        }
        let program_output = self.compile_and_run(&bench, &go).await?;
        // What cannot be removed now is removed by the next run.
        let _ = remove_tree(&bench.folder);
        Ok(Evidence {
            go_sha256,
            go_version,
            goroot,
            path_hit: path_hit.map(|path| path.to_string_lossy().into_owned()),
            path_is_managed,
            program_output,
            took: Span::from_millis(began.elapsed().as_millis() as u64),
        })
    }

    fn prepare(&self, tree: &Path) -> Result<Bench, CheckError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| CheckError::Folder { path, source }
        };
        // What a killed run left.
        remove_tree(self.folder).map_err(failed(self.folder))?;
        let made = |path: PathBuf| {
            fs::create_dir_all(&path).map_err(failed(&path))?;
            canonical(&path).map_err(failed(&path))
        };
        let home = made(self.folder.join("home"))?;
        let temporary = made(self.folder.join("temporary"))?;
        let source = made(self.folder.join("source"))?;
        let cache = made(self.cache.to_owned())?;
        switch_telemetry_off(&home).map_err(failed(&home))?;
        let mut environment = environment(tree, &home, &temporary, &cache);
        environment.push(("GOFLEET_ROOT", self.root.path().into()));
        // The shim is to run what was activated, whatever a file above the root says.
        environment.push((VERSION_VARIABLE, MACHINE.into()));
        Ok(Bench { folder: self.folder.to_owned(), source, temporary, environment })
    }

    async fn version_by(&self, bench: &Bench, go: &Path) -> Result<String, CheckError> {
        let Printed { output, .. } = bench.run(go, &["version"], ANSWER_LIMIT).await?;
        // go version go1.27.3 linux/amd64
        let version = output.split_whitespace().nth(2).and_then(|word| word.strip_prefix("go"));
        if version == Some(self.version) {
            return Ok(output);
        }
        let command = format!("{} version", go.display());
        Err(CheckError::WrongVersion {
            command,
            printed: output,
            expected: self.version.to_owned(),
        })
    }

    async fn goroot(&self, bench: &Bench, go: &Path, tree: &Path) -> Result<String, CheckError> {
        let Printed { output, .. } = bench.run(go, &["env", "GOROOT"], ANSWER_LIMIT).await?;
        let is_tree = canonical(Path::new(&output)).is_ok_and(|printed| printed == tree);
        if is_tree {
            return Ok(output);
        }
        Err(CheckError::WrongRoot { printed: output, expected: tree.to_owned() })
    }

    /// The first `go` on this process's `PATH`, and whether it is a shim of this root. Where the
    /// shims are not on `PATH` at all, the machine's owner has not given it to gofleet.
    fn path_hit(&self) -> Result<(Option<PathBuf>, bool), CheckError> {
        let Ok(bin) = canonical(&self.root.bin()) else {
            return Ok((self.places.path_hit(), false));
        };
        let is_bin = |folder: &Path| canonical(folder).is_ok_and(|folder| folder == bin);
        let is_on_path = self.places.path.iter().any(|folder| is_bin(folder));
        match self.places.path_hit() {
            Some(hit) if hit.parent().is_some_and(is_bin) => Ok((Some(hit), true)),
            Some(hit) if is_on_path => Err(CheckError::Shadowed { hit, bin }),
            hit => Ok((hit, false)),
        }
    }

    async fn compile_and_run(&self, bench: &Bench, go: &Path) -> Result<String, CheckError> {
        let nonce = format!("{:08x}{:08x}", crate::backoff::random(), crate::backoff::random());
        let expected = format!("gofleet check {nonce} go{}", self.version);
        let failed = |source| CheckError::Folder { path: bench.source.clone(), source };
        fs::write(bench.source.join("go.mod"), GO_MOD).map_err(failed)?;
        fs::write(bench.source.join("main.go"), main_go(&nonce)).map_err(failed)?;
        let executable = bench.temporary.join(if cfg!(windows) { "check.exe" } else { "check" });
        let output = executable.as_os_str();
        let build = ["build".as_ref(), "-o".as_ref(), output, NO_SYMBOLS.as_ref(), ".".as_ref()];
        bench.run(go, &build, BUILD_LIMIT).await?;
        // `println` writes to standard error.
        let Printed { errors: printed, .. } =
            bench.run::<&OsStr>(&executable, &[], ANSWER_LIMIT).await?;
        if printed == expected {
            return Ok(printed);
        }
        Err(CheckError::WrongOutput { printed, expected })
    }
}

/// Half of the linker's time goes into symbols that nobody would read.
const NO_SYMBOLS: &str = "-ldflags=-s -w";

/// The `go` line is one that every Go since 1.16 takes.
const GO_MOD: &str = "module gofleet.invalid/check\n\ngo 1.16\n";

/// Needs the package `runtime` only, which every program has: so the first build is short.
fn main_go(nonce: &str) -> String {
    format!(
        "package main\n\nimport \"runtime\"\n\nfunc main() {{\n\tprintln(\"gofleet check {nonce}\", \
         runtime.Version())\n}}\n"
    )
}

impl Bench {
    async fn run<Argument: AsRef<OsStr>>(
        &self,
        executable: &Path,
        arguments: &[Argument],
        limit: Duration,
    ) -> Result<Printed, CheckError> {
        let arguments: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
        let environment: Vec<(&OsStr, &OsStr)> = self
            .environment
            .iter()
            .map(|(name, value)| (OsStr::new(name), value.as_os_str()))
            .collect();
        let program = Program {
            executable,
            arguments: &arguments,
            folder: &self.source,
            environment: &environment,
            limit,
        };
        program.run().await.map_err(CheckError::Program)
    }
}

/// The whole environment of the checks: their own folders, no network, no other toolchain, and no
/// setting of the user's.
fn environment(
    tree: &Path,
    home: &Path,
    temporary: &Path,
    cache: &Path,
) -> Vec<(&'static str, OsString)> {
    let mut environment: Vec<(&'static str, OsString)> = vec![
        ("PATH", tree.join("bin").into()),
        ("GOCACHE", cache.into()),
        ("GOPATH", home.join("go").into()),
        ("GOENV", "off".into()),
        ("GOPROXY", "off".into()),
        ("GOSUMDB", "off".into()),
        ("GOVCS", "*:off".into()),
        ("GOTOOLCHAIN", "local".into()),
        ("GOFLAGS", "-mod=mod".into()),
        ("GO111MODULE", "on".into()),
        ("GOWORK", "off".into()),
        ("GOTELEMETRY", "off".into()),
        ("CGO_ENABLED", "0".into()),
    ];
    let folders: &[(&'static str, &Path)] = if cfg!(windows) {
        &[
            ("USERPROFILE", home),
            ("APPDATA", home),
            ("LOCALAPPDATA", home),
            ("TEMP", temporary),
            ("TMP", temporary),
        ]
    } else {
        &[("HOME", home), ("XDG_CONFIG_HOME", home), ("TMPDIR", temporary)]
    };
    environment.extend(folders.iter().map(|(name, folder)| (*name, folder.into())));
    if cfg!(windows) {
        let kept = KEPT_ON_WINDOWS.iter().filter_map(|name| Some((*name, env::var_os(name)?)));
        environment.extend(kept);
    }
    environment
}

/// The variable `GOTELEMETRY` only tells; this file decides (golang.org/x/telemetry, `mode`).
fn switch_telemetry_off(settings: &Path) -> io::Result<()> {
    let folder = settings.join("go").join("telemetry");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("mode"), "off 2024-01-01")
}

fn digest_of(path: &Path) -> Result<Digest, CheckError> {
    let mut file = fs::File::open(path).map_err(unreadable(path))?;
    let mut hash = Hasher(Sha256::new());
    io::copy(&mut file, &mut hash).map_err(unreadable(path))?;
    Ok(Digest::from_bytes(hash.0.finalize().into()))
}

struct Hasher(Sha256);

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> CheckError {
    let path = path.to_owned();
    move |source| CheckError::Unreadable { path: path.clone(), source }
}

#[cfg(test)]
#[path = "check/tests.rs"]
mod tests;
