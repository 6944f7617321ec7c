//! Which toolchain Go itself would run, by the rules of <https://go.dev/doc/toolchain>.
//!
//! This follows `Select` in `cmd/go/internal/toolchain/select.go`, including its words in errors
//! and in `GODEBUG=toolchaintrace=1`, so that both can be compared with a real Go. Finding and
//! running the toolchain is not done here, nor are the files found: see [`crate::resolve`].

use std::fmt;

use serde::Serialize;
use thiserror::Error;

use crate::version::{self, GoVersion};

mod arguments;
mod module_file;

pub use arguments::{changes_folder, is_for_local};
pub use module_file::ModuleFile;

/// The setting that Go's own archives carry in `$GOROOT/go.env`.
pub const DEFAULT_SETTING: &str = "auto";

/// The toolchain that is asked to run, before any switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    name: String,
    version: GoVersion,
}

/// The text cannot name the toolchain that is asked first.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not the name of a Go toolchain: {0:?}")]
pub struct InvalidName(String);

impl Local {
    /// The toolchain of this name, like `go1.27.3`.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if that is no name of a toolchain.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        let version =
            GoVersion::from_toolchain(name).ok_or_else(|| InvalidName(name.to_owned()))?;
        Ok(Self { name: name.to_owned(), version })
    }

    /// Its name, like `go1.27.3`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Where Go may look for a newer toolchain when a module wants one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nowhere: modules are not asked.
    Fixed,
    /// On `PATH`, then in the download proxy.
    Auto,
    /// On `PATH` only.
    Path,
}

impl Mode {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "",
            Self::Auto => "auto",
            Self::Path => "path",
        }
    }
}

/// What Go selects, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The toolchain's name, like `go1.27.3`; what a file demands may be any name.
    pub toolchain: String,
    /// Where it may be looked for if it is not the local one.
    pub mode: Mode,
    /// How it came to be selected, in order.
    pub steps: Vec<Step>,
    /// Why the selected toolchain would refuse the module.
    pub refusal: Option<TooNew>,
}

/// A step towards the selection; its text is what Go's trace prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// `GOTOOLCHAIN` names the toolchain to begin with.
    Default {
        /// Its name.
        toolchain: String,
        /// The setting.
        setting: String,
    },
    /// A file wants a newer toolchain.
    Upgrade {
        /// The newer toolchain's name.
        toolchain: String,
        /// Which line wants it.
        line: Line,
        /// The file as it is shown.
        file: String,
        /// What in the setting allows it.
        allowed_by: String,
    },
}

/// A line of `go.mod` or `go.work`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// `toolchain go1.27.3`
    Toolchain,
    /// `go 1.27.3`
    Go,
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default { toolchain, setting } => {
                write!(formatter, "default toolchain set to {toolchain} from GOTOOLCHAIN={setting}")
            }
            Self::Upgrade { toolchain, line, file, allowed_by } => {
                let line = match line {
                    Line::Toolchain => "toolchain",
                    Line::Go => "go",
                };
                write!(
                    formatter,
                    "upgrading toolchain to {toolchain} (required by {line} line in {file}; \
                     upgrade allowed by GOTOOLCHAIN={allowed_by})"
                )
            }
        }
    }
}

/// The selected toolchain is older than the module's `go` line: Go will refuse to build it
/// (`TooNewError` in `cmd/go/internal/gover/toolchain.go`, whose words these are).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file} requires go >= {needed} (running go {running}{explanation})")]
pub struct TooNew {
    /// The file as it is shown.
    pub file: String,
    /// The version that its `go` line wants.
    pub needed: String,
    /// The version of the selected toolchain.
    pub running: String,
    explanation: String,
}

/// Why no toolchain can be selected or had, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ToolchainError {
    /// `GOTOOLCHAIN` makes no sense.
    #[error("invalid GOTOOLCHAIN {0:?}")]
    InvalidSetting(String),
    /// What stands before `+` names no toolchain.
    #[error("invalid GOTOOLCHAIN {setting:?}: invalid minimum toolchain {minimum:?}")]
    InvalidMinimum {
        /// The setting.
        setting: String,
        /// What stands before `+`.
        minimum: String,
    },
    /// What stands after `+` is not known.
    #[error("invalid GOTOOLCHAIN {0:?}: only version suffixes are +auto and +path")]
    InvalidSuffix(String),
    /// The `toolchain` line names none.
    #[error("invalid toolchain {toolchain:?} in {file}")]
    InvalidLine {
        /// What it names.
        toolchain: String,
        /// The file as it is shown.
        file: String,
    },
    /// It is not on `PATH`, and nowhere else may it be looked for.
    #[error("cannot find {0:?} in PATH")]
    NotOnPath(String),
    /// Since Go 1.21 the first release of a line is `1.N.0`.
    #[error("invalid toolchain: {0} is a language version but not a toolchain version ({0}.x)")]
    LanguageVersion(String),
    /// It is not there.
    #[error("download {0} for {1}: toolchain not available")]
    NotAvailable(String, String),
}

/// Selects the toolchain.
///
/// `setting` is the value of `GOTOOLCHAIN` (environment, else what `go env -w` wrote, else
/// [`DEFAULT_SETTING`]); empty means that the local one runs. `file` is the `go.work` or `go.mod`
/// that applies.
///
/// # Errors
///
/// [`ToolchainError`] if the setting or the file makes no sense.
pub fn select(
    setting: &str,
    local: &Local,
    file: Option<&ModuleFile>,
) -> Result<Selection, ToolchainError> {
    if setting.is_empty() {
        return Ok(Selection {
            toolchain: local.name.clone(),
            mode: Mode::Fixed,
            steps: Vec::new(),
            refusal: None,
        });
    }
    let mut candidate = Candidate::minimum(setting, local)?;
    // With a fixed toolchain Go does not look at the file until it loads the module.
    let considered = file.filter(|_| candidate.mode != Mode::Fixed);
    if let Some(file) = considered {
        candidate.raise(setting, file)?;
    }
    let Candidate { toolchain, version, mode, steps } = candidate;
    if toolchain != local.name && !toolchain.starts_with("go1") && !toolchain.contains("-go1") {
        return Err(ToolchainError::InvalidSetting(toolchain));
    }
    let is_default = considered.is_some_and(|file| file.toolchain == "default");
    let refusal = file.and_then(|file| TooNew::find(setting, &version, file, is_default));
    Ok(Selection { toolchain, mode, steps, refusal })
}

/// Why Go can't run `selection` if its toolchain is neither local nor on `PATH` nor, where it
/// may be downloaded, offered for `platform`.
pub fn unavailable(selection: &Selection, platform: &str) -> ToolchainError {
    let name = selection.toolchain.clone();
    let is_lang = GoVersion::from_toolchain(&name).is_some_and(|version| version.is_language());
    match selection.mode {
        Mode::Path => ToolchainError::NotOnPath(name),
        Mode::Fixed | Mode::Auto if is_lang => ToolchainError::LanguageVersion(name),
        Mode::Fixed | Mode::Auto => ToolchainError::NotAvailable(name, platform.to_owned()),
    }
}

/// The toolchain selected so far.
struct Candidate {
    toolchain: String,
    version: String,
    mode: Mode,
    steps: Vec<Step>,
}

impl Candidate {
    /// What the setting alone selects.
    fn minimum(setting: &str, local: &Local) -> Result<Self, ToolchainError> {
        let of_local = |mode, steps| Self {
            toolchain: local.name.clone(),
            version: local.version.to_string(),
            mode,
            steps,
        };
        let (minimum, suffix) = match (setting, setting.split_once('+')) {
            ("auto", _) => return Ok(of_local(Mode::Auto, Vec::new())),
            ("path", _) => return Ok(of_local(Mode::Path, Vec::new())),
            (_, Some((minimum, suffix))) => (minimum, Some(suffix)),
            (_, None) => (setting, None),
        };
        let mut candidate = of_local(Mode::Fixed, Vec::new());
        if minimum != "local" {
            candidate.version = minimum_version(setting, minimum, suffix)?.to_string();
            candidate.toolchain = minimum.to_owned();
        }
        candidate.mode = match suffix {
            None => Mode::Fixed,
            Some("auto") => Mode::Auto,
            Some("path") => Mode::Path,
            Some(_) => return Err(ToolchainError::InvalidSuffix(setting.to_owned())),
        };
        let toolchain = candidate.toolchain.clone();
        candidate.steps.push(Step::Default { toolchain, setting: setting.to_owned() });
        Ok(candidate)
    }

    /// Lets the file raise it: first its `toolchain` line, then its `go` line.
    fn raise(&mut self, setting: &str, file: &ModuleFile) -> Result<(), ToolchainError> {
        if file.toolchain == "default" {
            return Ok(());
        }
        if !file.toolchain.is_empty() {
            let wanted = GoVersion::from_toolchain(&file.toolchain).ok_or_else(|| {
                let (toolchain, file) = (file.toolchain.clone(), file.shown.clone());
                ToolchainError::InvalidLine { toolchain, file }
            })?;
            let name = file.toolchain.clone();
            self.upgrade(Line::Toolchain, name, wanted.as_str(), setting, file);
        }
        // A language version is older than all releases of its line; the first of them is meant.
        let is_language = version::is_lang(&file.go) && version::compare(&file.go, "1.21").is_ge();
        let patch = if is_language { ".0" } else { "" };
        self.upgrade(Line::Go, format!("go{}{patch}", file.go), &file.go, setting, file);
        Ok(())
    }

    /// Takes the toolchain that `line` wants if it is newer.
    fn upgrade(
        &mut self,
        line: Line,
        toolchain: String,
        version: &str,
        setting: &str,
        file: &ModuleFile,
    ) {
        if version::compare(version, &self.version).is_le() {
            return;
        }
        self.toolchain.clone_from(&toolchain);
        version.clone_into(&mut self.version);
        let mode = self.mode.as_str();
        let allowed_by =
            if setting.contains('+') { format!("<name>+{mode}") } else { mode.to_owned() };
        self.steps.push(Step::Upgrade { toolchain, line, file: file.shown.clone(), allowed_by });
    }
}

fn minimum_version(
    setting: &str,
    minimum: &str,
    suffix: Option<&str>,
) -> Result<GoVersion, ToolchainError> {
    GoVersion::from_toolchain(minimum).ok_or_else(|| {
        let (setting, minimum) = (setting.to_owned(), minimum.to_owned());
        match suffix {
            Some(_) => ToolchainError::InvalidMinimum { setting, minimum },
            None => ToolchainError::InvalidSetting(setting),
        }
    })
}

impl TooNew {
    /// Whether `running` is too old for the file; `is_default`: its `toolchain default` led to it.
    fn find(setting: &str, running: &str, file: &ModuleFile, is_default: bool) -> Option<Self> {
        if version::compare(&file.go, running).is_le() {
            return None;
        }
        let mut explanation = String::new();
        if setting != "auto" {
            explanation.push_str(&format!("; GOTOOLCHAIN={setting}"));
        }
        if is_default {
            explanation.push_str(&format!("; {} sets toolchain default", file.shown));
        }
        let (file, needed) = (file.shown.clone(), file.go.clone());
        Some(Self { file, needed, running: running.to_owned(), explanation })
    }
}
