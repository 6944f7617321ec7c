//! What resolution reads of this machine.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use gofleet_core::ids::ReleaseId;
use gofleet_core::release::Platform;
use gofleet_core::resolve::{Known, Modules, ReadError, Resolution, Surroundings, resolve};
use serde::Deserialize;
use thiserror::Error;

use crate::Tool;
use crate::choice::Choices;
use crate::nesting::Nesting;
use crate::remembering::Remembering;
use crate::root::folder_of;

/// A root with what is installed and chosen in it.
#[derive(Debug)]
pub struct Machine {
    root: PathBuf,
    installed: Vec<String>,
    user: Option<String>,
    active: Option<String>,
    nesting: Nesting,
}

/// Why this machine could not be read.
#[derive(Debug, Error)]
pub enum MachineError {
    /// Nothing says where the root is.
    #[error("no root is known: set GOFLEET_ROOT, or HOME (on Windows LOCALAPPDATA)")]
    NoRoot,
    /// A file or folder can't be read.
    #[error("{what} can't be read")]
    Unreadable {
        /// The file or folder.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl MachineError {
    fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let what = path.display().to_string();
        move |source| Self::Unreadable { what, source }
    }

    pub(crate) fn current_folder(source: io::Error) -> Self {
        Self::Unreadable { what: "the current folder".to_owned(), source }
    }
}

/// The part of `active.json` that counts here.
#[derive(Deserialize)]
struct Active {
    active: ReleaseId,
}

impl Machine {
    /// Reads the root at `root`, which need not exist.
    ///
    /// # Errors
    ///
    /// [`MachineError::Unreadable`] if something is there that can't be read.
    pub fn read(root: PathBuf) -> Result<Self, MachineError> {
        let installed = installed(&root.join("releases"))?;
        let active = active(&root.join("active.json"))?;
        let user = match Choices::path() {
            Some(path) => {
                let choices = Choices::load(&path).map_err(MachineError::unreadable(&path))?;
                choices.of(&root).map(str::to_owned)
            }
            None => None,
        };
        Ok(Self { root, installed, user, active, nesting: Nesting::of_this_process() })
    }

    /// The installed versions of Go for this platform.
    pub fn installed(&self) -> &[String] {
        &self.installed
    }

    /// The user's choice.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The machine's choice.
    pub fn active(&self) -> Option<&str> {
        self.active.as_deref()
    }

    /// Finds the version to run in `folder`.
    pub fn resolve(&self, folder: &Path, modules: Modules) -> Resolution {
        let known = Known {
            folder,
            installed: &self.installed,
            user: self.user.as_deref(),
            machine: self.active.as_deref(),
            modules,
        };
        resolve(&known, &Remembering::new(self))
    }

    /// The program of an installed version.
    pub fn program(&self, version: &str, tool: Tool) -> PathBuf {
        let name = format!("{}{}", tool.name(), env::consts::EXE_SUFFIX);
        self.tree(version).join("bin").join(name)
    }

    /// The tree (`GOROOT`) of an installed version.
    pub fn tree(&self, version: &str) -> PathBuf {
        let platform = Platform::of_this_program();
        self.root.join("releases").join(format!("go-{version}-{platform}"))
    }
}

/// The versions of Go for this platform in a folder of trees.
fn installed(releases: &Path) -> Result<Vec<String>, MachineError> {
    let entries = match fs::read_dir(releases) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(MachineError::unreadable(releases))?,
    };
    let mut versions = Vec::new();
    for entry in entries {
        let name = entry.map_err(MachineError::unreadable(releases))?.file_name();
        versions.extend(name.to_str().and_then(version_of).map(str::to_owned));
    }
    Ok(versions)
}

/// The version in the id of a release of Go for this platform.
fn version_of(id: &str) -> Option<&str> {
    id.strip_prefix("go-")?.strip_suffix(&format!("-{}", Platform::of_this_program()))
}

fn active(path: &Path) -> Result<Option<String>, MachineError> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(MachineError::unreadable(path))?,
    };
    let Active { active } = serde_json::from_slice(&text)
        .map_err(|error| MachineError::unreadable(path)(io::Error::from(error)))?;
    Ok(version_of(active.as_str()).map(str::to_owned))
}

impl Surroundings for Machine {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "GOTOOLCHAIN" => self.nesting.setting().map(str::to_owned),
            name => env::var(name).ok().filter(|value| !value.is_empty()),
        }
    }

    fn read(&self, path: &Path, limit_bytes: usize) -> Result<Option<Vec<u8>>, ReadError> {
        // A file that can't be seen, or something that is no file, is as good as none; opening a
        // pipe would even wait for whoever writes to it.
        if !fs::metadata(path).is_ok_and(|found| found.is_file()) {
            return Ok(None);
        }
        let content = read_limited(path, limit_bytes).map_err(ReadError::System)?;
        if content.len() > limit_bytes {
            return Err(ReadError::TooLarge(limit_bytes));
        }
        Ok(Some(content))
    }

    fn go_environment_file(&self) -> Option<String> {
        fs::read_to_string(go_environment_path()?).ok()
    }

    fn temporary_folder(&self) -> PathBuf {
        env::temp_dir()
    }
}

fn read_limited(path: &Path, limit_bytes: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(limit_bytes as u64 + 1).read_to_end(&mut content)?;
    Ok(content)
}

/// The file that `go env -w` writes (`EnvFile` in `cmd/go/internal/cfg`, `os.UserConfigDir`).
fn go_environment_path() -> Option<PathBuf> {
    if let Some(path) = folder_of("GOENV") {
        return (path != Path::new("off")).then_some(path);
    }
    let folder = if cfg!(windows) {
        folder_of("APPDATA")
    } else if cfg!(target_os = "macos") {
        folder_of("HOME").map(|home| home.join("Library/Application Support"))
    } else {
        folder_of("XDG_CONFIG_HOME").or_else(|| folder_of("HOME").map(|home| home.join(".config")))
    };
    folder.map(|folder| folder.join("go").join("env"))
}
