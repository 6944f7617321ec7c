//! Go's own settings and module files, as its selection of a toolchain reads them.

use std::path::{Path, PathBuf};

use super::{MAX_MODULE_FILE_BYTES, ResolveError, Surroundings};
use crate::toolchain::{
    self, DEFAULT_SETTING, Local, ModuleFile, Selection, ToolchainError, unavailable,
};
use crate::version::GoVersion;

/// The settings of Go that bear on the selection: from the environment, else from the file that
/// `go env -w` writes. None is unset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoSettings {
    /// `GOTOOLCHAIN`
    pub toolchain: Option<String>,
    /// `GOWORK`
    pub workspace: Option<String>,
    /// `GO111MODULE`
    pub modules: Option<String>,
}

impl GoSettings {
    /// Reads them.
    pub fn read(surroundings: &dyn Surroundings) -> Self {
        let file = surroundings.go_environment_file().unwrap_or_default();
        let value = |name: &str| {
            let in_file = || file_value(&file, name).filter(|value| !value.is_empty());
            surroundings.variable(name).or_else(|| in_file().map(str::to_owned))
        };
        Self {
            toolchain: value("GOTOOLCHAIN"),
            workspace: value("GOWORK"),
            modules: value("GO111MODULE"),
        }
    }

    /// Whether Go selects a toolchain at all (`WillBeEnabled` in `cmd/go/internal/modload`).
    fn has_selection(&self, has_module_file: bool) -> bool {
        match self.modules.as_deref() {
            None | Some("on") => true,
            // A workspace that is named counts even before it exists.
            Some("auto") => has_module_file || self.named_workspace().is_some(),
            Some(_) => false,
        }
    }

    fn searches_workspace(&self) -> bool {
        matches!(self.workspace.as_deref(), None | Some("auto"))
    }

    fn named_workspace(&self) -> Option<&str> {
        self.workspace.as_deref().filter(|&file| file != "off" && file != "auto")
    }
}

/// The last value of `name` in lines `NAME=value` (`readEnvFile` in `cmd/go/internal/cfg`).
fn file_value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split('\n').rev().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

/// What Go makes of its settings and a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoSelection {
    /// What it selects.
    pub selection: Selection,
    /// The module file that applies.
    pub file: Option<FoundModuleFile>,
}

/// A module file that applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundModuleFile {
    /// Where it lies.
    pub path: PathBuf,
    /// What it demands.
    pub demands: ModuleFile,
}

impl FoundModuleFile {
    /// Its two lines.
    pub(super) fn says(&self) -> String {
        let line = |key, value: &str| (!value.is_empty()).then(|| format!("{key} {value}"));
        let lines = [line("go", &self.demands.go), line("toolchain", &self.demands.toolchain)];
        let lines: Vec<String> = lines.into_iter().flatten().collect();
        if lines.is_empty() { "no go line".to_owned() } else { lines.join(", ") }
    }
}

/// Whether `folder` itself has a module file.
pub(super) fn has_module_file(
    folder: &Path,
    settings: &GoSettings,
    surroundings: &dyn Surroundings,
) -> Result<bool, ResolveError> {
    if read(&folder.join("go.mod"), surroundings)?.is_some() {
        return Ok(true);
    }
    Ok(settings.searches_workspace() && read(&folder.join("go.work"), surroundings)?.is_some())
}

/// The file that applies in `folder`: the nearest `go.work` above all, else the nearest `go.mod`
/// (`modGoToolchain` in `cmd/go/internal/toolchain/select.go`).
fn module_file(
    folder: &Path,
    settings: &GoSettings,
    surroundings: &dyn Surroundings,
) -> Result<Option<FoundModuleFile>, ResolveError> {
    let found = |path: PathBuf, content: &[u8]| {
        let demands = ModuleFile::scan(shown(&path, folder), &String::from_utf8_lossy(content));
        Some(FoundModuleFile { path, demands })
    };
    let workspaces: Vec<PathBuf> = match settings.workspace.as_deref() {
        Some("off") => Vec::new(),
        None | Some("auto") => folder.ancestors().map(|folder| folder.join("go.work")).collect(),
        Some(file) if !Path::new(file).is_absolute() => {
            return Err(ResolveError::RelativeWorkspace);
        }
        Some(file) => vec![PathBuf::from(file)],
    };
    for path in workspaces {
        if let Some(content) = read(&path, surroundings)? {
            return Ok(found(path, &content));
        }
    }
    for folder in folder.ancestors() {
        let path = folder.join("go.mod");
        let Some(content) = read(&path, surroundings)? else { continue };
        // One that lies right in the folder for temporary files was left there by accident.
        return Ok(if folder == surroundings.temporary_folder() {
            None
        } else {
            found(path, &content)
        });
    }
    Ok(None)
}

fn read(path: &Path, surroundings: &dyn Surroundings) -> Result<Option<Vec<u8>>, ResolveError> {
    surroundings
        .read(path, MAX_MODULE_FILE_BYTES)
        .map_err(|source| ResolveError::Unreadable { path: path.to_owned(), source })
}

/// `path` as Go shows it: relative to `folder` if that is shorter (`ShortPath` in
/// `cmd/go/internal/base`).
fn shown(path: &Path, folder: &Path) -> String {
    let absolute = path.display().to_string();
    let climbs = folder.ancestors().position(|above| path.starts_with(above));
    let Some((climbs, above)) = climbs.zip(folder.ancestors().nth(climbs.unwrap_or(0))) else {
        return absolute;
    };
    let mut relative: PathBuf = std::iter::repeat_n("..", climbs).collect();
    relative.extend(path.strip_prefix(above));
    let relative = relative.display().to_string();
    if relative.len() < absolute.len() { relative } else { absolute }
}

/// Go's own selection in `folder`, where `local` is asked first; none if the settings say that
/// modules are not to be looked at.
///
/// # Errors
///
/// [`ResolveError`] if a setting or a file makes no sense or can't be read.
pub fn go_selection(
    folder: &Path,
    settings: &GoSettings,
    local: &Local,
    surroundings: &dyn Surroundings,
) -> Result<Option<GoSelection>, ResolveError> {
    let file = module_file(folder, settings, surroundings)?;
    if !settings.has_selection(file.is_some()) {
        return Ok(None);
    }
    let setting = settings.toolchain.as_deref().unwrap_or(DEFAULT_SETTING);
    let demands = file.as_ref().map(|file| &file.demands);
    let selection = toolchain::select(setting, local, demands).map_err(ResolveError::Toolchain)?;
    Ok(Some(GoSelection { selection, file }))
}

/// The error for a selected toolchain that is not installed.
pub(super) fn not_installed(selection: &Selection, place: String) -> ResolveError {
    let Some(version) = GoVersion::from_toolchain(&selection.toolchain) else {
        return ResolveError::Toolchain(ToolchainError::InvalidSetting(
            selection.toolchain.clone(),
        ));
    };
    if version.is_language() {
        return ResolveError::Toolchain(unavailable(selection, ""));
    }
    // A file may put anything behind a dash; what is shown on a terminal must be harmless.
    let name = selection.toolchain.strip_prefix("go").unwrap_or_default();
    let version = name.chars().take(80).flat_map(char::escape_debug).collect();
    ResolveError::NotInstalled { version, place }
}
