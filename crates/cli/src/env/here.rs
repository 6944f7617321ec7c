//! The environment of this machine, as it is stored, and the folders that it names.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use gofleet_core::environment::{
    Change, Environment, Place, Scope, Seen, Stored, Style, Surroundings, Text, Variables,
};
use gofleet_platform::environment::{self, Key, Location, Raw};

use crate::failure::Hinted;

/// The name of the search path in Windows' registry.
pub const PATH: &str = "Path";
/// The name of the variable that leads every Go to one tree.
pub const GOROOT: &str = "GOROOT";

/// How this system writes lists.
pub const STYLE: Style = if cfg!(windows) { Style::Windows } else { Style::Unix };

/// What is set on this machine.
pub struct Here {
    /// What core decides by.
    pub environment: Environment,
    /// What it was read from, so that an edit replaces that and nothing else.
    stored: Vec<(Place, Stored)>,
}

impl Here {
    /// Reads what is stored; on Unix what this process has, since there it is stored nowhere.
    pub fn read() -> anyhow::Result<Self> {
        let mut stored = Vec::new();
        let [machine, user] = if cfg!(windows) {
            [variables(Scope::Machine, &mut stored)?, variables(Scope::User, &mut stored)?]
        } else {
            [Variables::default(), own()]
        };
        Ok(Self { environment: Environment { style: STYLE, machine, user }, stored })
    }

    /// From what was read to what is to be stored.
    pub fn change(&self, scope: Scope, name: &str, after: Option<Stored>) -> Change {
        let place = variable(scope, name);
        let before = self.stored.iter().find(|(known, _)| *known == place);
        let before = before.map(|(_, stored)| stored.clone());
        Change { place, before, after }
    }
}

fn variable(scope: Scope, name: &str) -> Place {
    Place::Variable { scope, name: name.to_owned() }
}

fn own() -> Variables {
    let text = |name: &str| {
        let value = env::var_os(name)?;
        Some(Text { text: value.to_string_lossy().into_owned(), is_expanded: false })
    };
    Variables { path: text("PATH"), goroot: text(GOROOT) }
}

fn variables(scope: Scope, all: &mut Vec<(Place, Stored)>) -> anyhow::Result<Variables> {
    let mut text = |name: &str| {
        let place = variable(scope, name);
        let Some(stored) = read(&place)? else { return Ok(None) };
        let text = text_of(&place, &stored)?;
        all.push((place, stored));
        Ok::<_, anyhow::Error>(Some(text))
    };
    Ok(Variables { path: text(PATH)?, goroot: text(GOROOT)? })
}

fn text_of(place: &Place, stored: &Stored) -> anyhow::Result<Text> {
    stored.text().map_err(|error| {
        let hint = "an edit could lose something of it; look at it with regedit, and mend it there";
        anyhow::Error::from(error).context(Hinted::new(format!("{place} is left alone"), hint))
    })
}

/// What is stored in a place; none if there is nothing.
pub fn read(place: &Place) -> anyhow::Result<Option<Stored>> {
    let raw = environment::read(&location(place));
    let raw = raw.with_context(|| format!("{place} can't be read"))?;
    Ok(raw.map(|Raw { kind, bytes }| Stored { kind, bytes }))
}

/// Where a place is on this machine.
pub fn location(place: &Place) -> Location {
    match place {
        Place::Variable { scope, name } => {
            let key = match scope {
                Scope::Machine => Key::machine(),
                Scope::User => Key::user(),
            };
            Location::Value { key, name: name.clone() }
        }
        Place::File(path) => Location::File(path.clone()),
    }
}

/// The files by which shells on Unix learn of gofleet's folder.
///
/// Every shell for a login reads `~/.profile`, but bash only where it finds neither
/// `.bash_profile` nor `.bash_login` (bash(1), "INVOCATION"), and zsh never.
pub fn profiles(scope: Scope) -> anyhow::Result<Vec<PathBuf>> {
    if scope == Scope::Machine {
        return Ok(vec![PathBuf::from("/etc/profile.d/gofleet.sh")]);
    }
    let home = env::var_os("HOME").filter(|home| !home.is_empty());
    let home = PathBuf::from(home.context("the environment names no home folder (HOME)")?);
    let others = [".bash_profile", ".bash_login", ".zprofile"].map(|name| home.join(name));
    let present = others.into_iter().filter(|path| path.exists());
    Ok([home.join(".profile")].into_iter().chain(present).collect())
}

impl Surroundings for Here {
    fn variable(&self, name: &str) -> Option<String> {
        // What is stored counts before what this process was started with.
        let is_goroot = name.eq_ignore_ascii_case(GOROOT);
        let stored = [Scope::User, Scope::Machine].into_iter().filter(|_| is_goroot);
        let mut stored = stored.filter_map(|scope| self.environment.of(scope).goroot.as_ref());
        stored.next().map(|text| text.text.clone()).or_else(|| env::var(name).ok())
    }

    fn look(&self, folder: &str) -> Seen {
        let folder = Path::new(folder);
        if !is_to_be_looked_at(folder) {
            return Seen::Unknown;
        }
        match fs::metadata(folder) {
            Ok(metadata) if metadata.is_dir() => {
                let program = folder.join(format!("go{}", env::consts::EXE_SUFFIX));
                if program.is_file() { Seen::Go } else { Seen::Folder }
            }
            Ok(_) => Seen::Nothing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Seen::Nothing,
            Err(_) => Seen::Unknown,
        }
    }
}

/// On a drive that is there. A share may take long to answer, and drives of a user are not
/// connected where an administrator or a service looks.
fn is_to_be_looked_at(folder: &Path) -> bool {
    let text = folder.to_string_lossy();
    if !folder.is_absolute() || text.starts_with(r"\\") || text.starts_with("//") {
        return false;
    }
    folder.ancestors().last().is_some_and(Path::exists)
}
