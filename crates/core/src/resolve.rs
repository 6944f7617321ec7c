//! Which installed Go runs in a folder, and why.
//!
//! The order: `GOFLEET_VERSION`; then the nearest folder, going up from the current one, that has
//! a `.go-version`, a `.tool-versions` with Go in it, a `go.work` or a `go.mod` (in this order
//! where a folder has several); then the user's choice; then the machine's. The first two kinds of
//! file *pin* a version. The module files *demand* one: Go's own selection ([`crate::toolchain`])
//! decides, and the toolchain that it starts from is the one that would have been chosen without
//! them, be it by a pin further up, by the user or by the machine.
//!
//! Nothing is read here: [`Surroundings`] is. Nothing is installed here either, and a demand for a
//! version that is not installed is an error with advice, never another version in its stead.

use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

use crate::toolchain::{Local, Selection, Step, ToolchainError};
use crate::version::InvalidVersion;

mod chain;
mod files;
mod go;
mod pin;

pub use chain::{Considered, Role, Source};
pub use go::{FoundModuleFile, GoSelection, GoSettings, go_selection};
pub use pin::{Pin, newest};

/// Environment variable that overrides everything else: a version, or [`MACHINE`].
pub const VERSION_VARIABLE: &str = "GOFLEET_VERSION";
/// Value of [`VERSION_VARIABLE`] that stands for the machine's choice, whatever files and user say.
pub const MACHINE: &str = "machine";
/// Most bytes of a `.go-version` or `.tool-versions`; real ones have a line or a few dozen.
pub const MAX_VERSION_FILE_BYTES: usize = 64 << 10;
/// Most bytes of a `go.mod` or `go.work`: Go's own limit (`MaxGoMod` in
/// `cmd/go/internal/modfetch/codehost`).
pub const MAX_MODULE_FILE_BYTES: usize = 16 << 20;

/// What resolution may look at.
pub trait Surroundings {
    /// The value of an environment variable; none if it is unset or empty.
    fn variable(&self, name: &str) -> Option<String>;

    /// The content of a file; none if there is no such file.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if there is one that can't be read, or has more than `limit_bytes`.
    fn read(&self, path: &Path, limit_bytes: usize) -> Result<Option<Vec<u8>>, ReadError>;

    /// The content of the file that `go env -w` writes, if there is one.
    fn go_environment_file(&self) -> Option<String>;

    /// The folder for temporary files. Go takes no `go.mod` that lies right in it.
    fn temporary_folder(&self) -> PathBuf;
}

/// Why a file could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// It is larger than such a file may be.
    #[error("it has more than {0} bytes")]
    TooLarge(usize),
    /// The system says so.
    #[error("it can't be read")]
    System(#[source] std::io::Error),
}

/// What is known beside the surroundings.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The folder in which Go is to run, absolute.
    pub folder: &'a Path,
    /// The installed versions, without prefix, in any order.
    pub installed: &'a [String],
    /// The user's choice.
    pub user: Option<&'a str>,
    /// The machine's choice.
    pub machine: Option<&'a str>,
    /// Whether modules may demand another version.
    pub modules: Modules,
}

/// Whether modules are asked for the version that they want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modules {
    /// They are.
    Asked,
    /// The command is for whatever Go comes first ([`crate::toolchain::is_for_local`]).
    Ignored,
}

/// What was found.
#[derive(Debug)]
pub struct Resolution {
    /// The version to run.
    pub outcome: Result<Chosen, ResolveError>,
    /// All that was considered, in the order in which it was.
    pub chain: Vec<Considered>,
}

/// The version to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chosen {
    /// An installed version, as it is written in the list of installed ones.
    pub version: String,
    /// What to tell it about switching by itself.
    pub switching: Switching,
    /// What Go will say when it is to build this module with that version.
    pub warning: Option<String>,
}

/// What a Go that is started is told about switching to yet another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Switching {
    /// It must not (`GOTOOLCHAIN=local`): the selection has been made.
    Off,
    /// As the user's own `GOTOOLCHAIN` says.
    AsUserSet,
}

/// Why no version can be run.
#[derive(Debug, Error)]
pub enum ResolveError {
    /// A pin is not legible.
    #[error("{place} does not name a version of Go")]
    InvalidPin {
        /// Where it stands.
        place: String,
        /// What is wrong.
        #[source]
        source: InvalidVersion,
    },
    /// A file is there but can't be used.
    #[error("{} can't be used", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ReadError,
    },
    /// What is wanted is not installed.
    #[error("Go {version} is not installed, but {place} wants it")]
    NotInstalled {
        /// The wanted version, as it would be given to `gofleet install`.
        version: String,
        /// Who wants it.
        place: String,
    },
    /// Nothing is.
    #[error("no Go is installed")]
    NothingInstalled,
    /// Versions are installed, but nobody said which to run.
    #[error("no version of Go has been chosen")]
    NothingChosen {
        /// The newest that is installed.
        newest: String,
    },
    /// Go itself would refuse, in its own words.
    #[error(transparent)]
    Toolchain(ToolchainError),
    /// `GOWORK` names a file by a relative path; the words are Go's.
    #[error("invalid GOWORK: not an absolute path")]
    RelativeWorkspace,
}

impl ResolveError {
    /// What to do about it, if that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotInstalled { version, .. } => Some(format!(
                "run `gofleet install {version}`, or set {VERSION_VARIABLE} to a version that is \
                 installed"
            )),
            Self::NothingInstalled => {
                Some("run `gofleet install VERSION`, like `gofleet install 1.27.3`".to_owned())
            }
            Self::NothingChosen { newest } => Some(format!("run `gofleet use {newest}`")),
            Self::InvalidPin { .. } => Some(
                "write a version like 1.27.3, or 1.27 for the newest patch installed".to_owned(),
            ),
            Self::Toolchain(ToolchainError::LanguageVersion(_)) => {
                Some("name a release in the `toolchain` line, like go1.27.3".to_owned())
            }
            Self::Unreadable { .. } | Self::Toolchain(_) | Self::RelativeWorkspace => None,
        }
    }
}

/// Finds the version to run.
pub fn resolve(known: &Known<'_>, surroundings: &dyn Surroundings) -> Resolution {
    let mut search = Search { known, surroundings, chain: Vec::new() };
    let outcome = search.run();
    Resolution { outcome, chain: search.chain }
}

struct Search<'a> {
    known: &'a Known<'a>,
    surroundings: &'a dyn Surroundings,
    chain: Vec<Considered>,
}

/// A version that somebody named, and where.
struct Named {
    pin: Pin,
    place: String,
    /// Its position in the chain.
    at: usize,
}

impl Search<'_> {
    fn run(&mut self) -> Result<Chosen, ResolveError> {
        if let Some(named) = self.variable()? {
            return self.take_pin(&named);
        }
        let settings = GoSettings::read(self.surroundings);
        let found =
            files::nearest(self.known.folder, &settings, self.surroundings, &mut self.chain)?;
        let is_below_module = found.module_is_nearer;
        let named = match found.pin {
            Some(named) if !is_below_module => return self.take_pin(&named),
            Some(named) => named,
            None => self.choice()?,
        };
        match self.known.modules {
            Modules::Asked => self.ask_go(&settings, &named),
            Modules::Ignored => self.take_base(&named),
        }
    }

    fn variable(&mut self) -> Result<Option<Named>, ResolveError> {
        let Some(text) = self.surroundings.variable(VERSION_VARIABLE) else {
            self.chain.push(Considered::unset(Source::Variable));
            return Ok(None);
        };
        self.chain.push(Considered::new(Source::Variable, &text));
        let text = match (text.as_str(), self.known.machine) {
            (MACHINE, Some(machine)) => machine.to_owned(),
            (MACHINE, None) => return Err(nothing_chosen(self.known.installed)),
            _ => text,
        };
        named(&text, VERSION_VARIABLE.to_owned(), self.chain.len() - 1).map(Some)
    }

    /// The user's choice, else the machine's.
    fn choice(&mut self) -> Result<Named, ResolveError> {
        let choices = [(Source::User, self.known.user), (Source::Machine, self.known.machine)];
        for (source, choice) in choices {
            let place = source.to_string();
            let Some(text) = choice else {
                self.chain.push(Considered::unset(source));
                continue;
            };
            self.chain.push(Considered::new(source, text));
            return named(text, place, self.chain.len() - 1);
        }
        Err(nothing_chosen(self.known.installed))
    }

    fn take_pin(&mut self, named: &Named) -> Result<Chosen, ResolveError> {
        self.chain[named.at].role = Role::Chooses;
        let version = self.installed(named)?;
        Ok(Chosen { version, switching: Switching::Off, warning: None })
    }

    /// Takes what would be Go's start, with nothing to select by.
    fn take_base(&mut self, named: &Named) -> Result<Chosen, ResolveError> {
        self.chain[named.at].role = Role::Chooses;
        let version = self.installed(named)?;
        Ok(Chosen { version, switching: Switching::AsUserSet, warning: None })
    }

    fn installed(&self, named: &Named) -> Result<String, ResolveError> {
        named.pin.choose(self.known.installed).map(str::to_owned).ok_or_else(|| {
            ResolveError::NotInstalled {
                version: named.pin.to_string(),
                place: named.place.clone(),
            }
        })
    }

    /// Lets Go's rules decide, starting from `base`.
    fn ask_go(&mut self, settings: &GoSettings, base: &Named) -> Result<Chosen, ResolveError> {
        self.chain[base.at].role = Role::Base;
        let base_version = base.pin.choose(self.known.installed).map(str::to_owned);
        let start = base_version.clone().unwrap_or_else(|| base.pin.first_release());
        let local = Local::new(&format!("go{start}")).expect("an installed version or a pin's");
        let asked = go_selection(self.known.folder, settings, &local, self.surroundings)?;
        let Some(GoSelection { selection, file }) = asked else { return self.take_base(base) };
        self.note(settings, base, file.as_ref(), &local, &selection);
        let switching =
            if settings.toolchain.is_some() { Switching::AsUserSet } else { Switching::Off };
        let warning = selection.refusal.as_ref().map(ToString::to_string);
        let version = if selection.toolchain == local.name() {
            self.installed(base)?
        } else {
            let wanted = pin::named_by_toolchain(&selection.toolchain, self.known.installed);
            match (wanted, switching, base_version) {
                (Some(version), _, _) => version.to_owned(),
                // The user told Go where to get toolchains from, so Go may.
                (None, Switching::AsUserSet, Some(base)) => base,
                (None, _, _) => {
                    return Err(go::not_installed(&selection, self.place_of(&selection, base)));
                }
            }
        };
        Ok(Chosen { version, switching, warning })
    }

    fn place_of(&self, selection: &Selection, base: &Named) -> String {
        match selection.steps.last() {
            Some(Step::Upgrade { file, .. }) => file.clone(),
            Some(Step::Default { setting, .. }) => format!("GOTOOLCHAIN={setting}"),
            None => base.place.clone(),
        }
    }

    /// Writes into the chain what Go's rules made of the setting and the file.
    fn note(
        &mut self,
        settings: &GoSettings,
        base: &Named,
        file: Option<&FoundModuleFile>,
        local: &Local,
        selection: &Selection,
    ) {
        let by_file = selection.steps.iter().any(|step| matches!(step, Step::Upgrade { .. }));
        let by_setting = !by_file && selection.toolchain != local.name();
        let role = |decides| if decides { Role::Chooses } else { Role::PassedOver };
        let setting = settings
            .toolchain
            .as_deref()
            .map(|setting| Considered::new(Source::Toolchain, setting).with_role(role(by_setting)));
        let file = file.map(|file| {
            let source = Source::Module { path: file.path.clone() };
            Considered::new(source, &file.says()).with_role(role(by_file))
        });
        if !by_file && !by_setting {
            self.chain[base.at].role = Role::Chooses;
        }
        // Both come before the choices, and after the files below the pin.
        let is_choice = |link: &Considered| matches!(link.source, Source::User | Source::Machine);
        let at = self.chain.iter().position(is_choice).unwrap_or(base.at);
        self.chain.splice(at..at, setting.into_iter().chain(file));
    }
}

fn nothing_chosen(installed: &[String]) -> ResolveError {
    match newest(installed) {
        Some(newest) => ResolveError::NothingChosen { newest: newest.to_owned() },
        None => ResolveError::NothingInstalled,
    }
}

fn named(text: &str, place: String, at: usize) -> Result<Named, ResolveError> {
    match text.parse() {
        Ok(pin) => Ok(Named { pin, place, at }),
        Err(source) => Err(ResolveError::InvalidPin { place, source }),
    }
}
