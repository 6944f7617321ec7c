//! What is wrong with an environment as far as Go is concerned, why, and what mends it.

use serde::Serialize;

use super::plan::{Limit, whole_length};
use super::role::{Role, role};
use super::{Environment, Reader, Scope, Seen, Style, Surroundings, split};

/// Something that a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where it stands.
    pub scope: Scope,
    /// What it is.
    pub fault: Fault,
    style: Style,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// gofleet's folder is not on `PATH`.
    Missing {
        /// The folder.
        bin: String,
    },
    /// Another Go is found before gofleet's.
    Shadowed {
        /// The other's entry.
        by: String,
        /// Where gofleet's stands.
        own: Scope,
    },
    /// There are several Gos, gofleet's not counted.
    SeveralGos {
        /// Their entries, in order.
        entries: Vec<String>,
    },
    /// A Go was there and is not any more.
    DeadGo {
        /// The entry.
        entry: String,
    },
    /// The folder is not there.
    DeadFolder {
        /// The entry.
        entry: String,
    },
    /// The same folder stands further ahead.
    Duplicate {
        /// The entry.
        entry: String,
        /// How the first is written.
        first: String,
        /// Where the first stands.
        in_scope: Scope,
    },
    /// `GOROOT` is set, which leads every Go to one tree.
    OldGoroot {
        /// Its value.
        value: String,
        /// Whether a Go is there.
        is_there: bool,
    },
    /// It holds `%VARIABLES%` that are never replaced, since the type is `REG_SZ`.
    Unexpanded {
        /// The entry.
        entry: String,
    },
    /// It is longer than what reads it can take.
    TooLong {
        /// What reads it.
        limit: Limit,
        /// How long it is.
        length: usize,
    },
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It keeps gofleet's Go from running.
    Problem,
    /// It may surprise.
    Warning,
}

impl Finding {
    /// A name for programs.
    pub fn code(&self) -> &'static str {
        match self.fault {
            Fault::Missing { .. } => "path_lacks_bin",
            Fault::Shadowed { .. } => "another_go_is_ahead",
            Fault::SeveralGos { .. } => "several_gos",
            Fault::DeadGo { .. } => "dead_go",
            Fault::DeadFolder { .. } => "dead_folder",
            Fault::Duplicate { .. } => "duplicate",
            Fault::OldGoroot { .. } => "goroot_is_set",
            Fault::Unexpanded { .. } => "never_expanded",
            Fault::TooLong { .. } => "too_long",
        }
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match &self.fault {
            Fault::Missing { .. } | Fault::Shadowed { .. } => Severity::Problem,
            Fault::TooLong { limit: Limit::Whole, .. } => Severity::Problem,
            Fault::SeveralGos { .. }
            | Fault::DeadGo { .. }
            | Fault::DeadFolder { .. }
            | Fault::Duplicate { .. }
            | Fault::OldGoroot { .. }
            | Fault::Unexpanded { .. }
            | Fault::TooLong { limit: Limit::Value, .. } => Severity::Warning,
        }
    }

    /// What it is, in a sentence.
    pub fn message(&self) -> String {
        let scope = self.scope;
        match &self.fault {
            Fault::Missing { bin } => format!("{bin} is not on PATH: gofleet's go is not found"),
            Fault::Shadowed { by, own } if *own != scope => format!(
                "{by} on the {scope}'s PATH comes before gofleet's folder on the {own}'s: a \
                 user's PATH comes behind the machine's"
            ),
            Fault::Shadowed { by, .. } => {
                format!("{by} on the {scope}'s PATH comes before gofleet's folder")
            }
            Fault::SeveralGos { entries } => format!(
                "several Gos are on PATH beside gofleet's, and which one runs hangs on their \
                 order: {}",
                entries.join(", ")
            ),
            Fault::DeadGo { entry } => {
                format!("{entry} on the {scope}'s PATH was a Go's folder; it is not there")
            }
            Fault::DeadFolder { entry } => {
                format!("{entry} on the {scope}'s PATH is not there")
            }
            Fault::Duplicate { entry, first, in_scope } => format!(
                "{entry} on the {scope}'s PATH means the same folder as {first} further ahead \
                 (on the {in_scope}'s)"
            ),
            Fault::OldGoroot { value, is_there: true } => format!(
                "the {scope}'s GOROOT is set to {value}: programs other than gofleet's shims mix \
                 that tree with another version's go"
            ),
            Fault::OldGoroot { value, is_there: false } => {
                format!("the {scope}'s GOROOT is set to {value}, where no Go is")
            }
            Fault::Unexpanded { entry } => format!(
                "{entry} on the {scope}'s PATH is never expanded, since the value's type is \
                 REG_SZ: it names no folder"
            ),
            Fault::TooLong { limit, length } => limit.complaint(scope, *length),
        }
    }

    /// What mends it.
    pub fn advice(&self) -> String {
        let apply = |flags: &str| format!("gofleet env apply --scope {}{flags}", self.scope);
        let by_hand = self.style == Style::Unix;
        match &self.fault {
            Fault::Missing { .. } => apply(""),
            Fault::Shadowed { own: Scope::User, .. } if self.scope == Scope::Machine => {
                "as an administrator, `gofleet env apply --scope machine --root DIR`; or uninstall \
                 that Go"
                    .to_owned()
            }
            Fault::Shadowed { .. } => apply(""),
            Fault::DeadGo { .. }
            | Fault::DeadFolder { .. }
            | Fault::Duplicate { .. }
            | Fault::SeveralGos { .. }
                if by_hand =>
            {
                "take it out of the file that sets PATH".to_owned()
            }
            Fault::SeveralGos { .. } => {
                "uninstall those that nobody needs; gofleet's own comes before them after \
                 `gofleet env apply`"
                    .to_owned()
            }
            Fault::DeadGo { .. } | Fault::Duplicate { .. } | Fault::OldGoroot { .. } => {
                apply(" --mend")
            }
            Fault::DeadFolder { .. } => apply(" --mend --remove-dead"),
            Fault::Unexpanded { .. } => {
                "write the folder out, or make the value REG_EXPAND_SZ; gofleet leaves the type as \
                 it is"
                    .to_owned()
            }
            Fault::TooLong { .. } => apply(" --mend --remove-dead"),
        }
    }
}

/// An entry with what is known of it.
#[derive(Debug, Clone, Serialize)]
pub struct Known<'a> {
    /// On whose `PATH` it stands.
    pub scope: Scope,
    /// As it is written.
    pub entry: &'a str,
    /// What it is.
    pub role: Role,
    #[serde(skip)]
    key: Option<String>,
    #[serde(skip)]
    is_unexpanded: bool,
}

/// Everything that is wrong, the worst first. `bin` is gofleet's folder.
pub fn examine(environment: &Environment, bin: &str, around: &dyn Surroundings) -> Vec<Finding> {
    let known = entries(environment, bin, around);
    let mut found = Vec::new();
    found.extend(order(&known, bin));
    let gos = known.iter().filter(|known| known.role == Role::Go);
    let gos: Vec<_> = gos.map(|known| (known.scope, known.entry.to_owned())).collect();
    if let [(scope, _), _, ..] = gos[..] {
        let entries = gos.into_iter().map(|(_, entry)| entry).collect();
        found.push((scope, Fault::SeveralGos { entries }));
    }
    found.extend(known.iter().enumerate().filter_map(|(at, it)| single(it, &known[..at])));
    found.extend(goroots(environment, around));
    found.extend(lengths(environment, around));
    let style = environment.style;
    let finding = |(scope, fault)| Finding { scope, fault, style };
    let mut findings: Vec<_> = found.into_iter().map(finding).collect();
    findings.sort_by_key(Finding::severity);
    findings
}

/// All entries in the order in which a program is looked for. `bin` is gofleet's folder.
pub fn entries<'a>(
    environment: &'a Environment,
    bin: &str,
    around: &'a dyn Surroundings,
) -> Vec<Known<'a>> {
    let mut known = Vec::new();
    for scope in [Scope::Machine, Scope::User] {
        let Some(text) = &environment.of(scope).path else { continue };
        let reader = Reader::of(text, environment.style, around);
        let own = own_key(&reader, bin);
        known.extend(split(&text.text, environment.style).into_iter().map(|entry| Known {
            scope,
            entry,
            key: reader.key(entry),
            role: role(&reader, entry, &own),
            is_unexpanded: is_unexpanded(&reader, entry),
        }));
    }
    known
}

/// The key of gofleet's folder, in which nothing is to be expanded.
pub(super) fn own_key(reader: &Reader<'_>, bin: &str) -> String {
    Reader { is_expanded: false, ..*reader }.key(bin).unwrap_or_default()
}

/// Whether the entry names variables that are set, but not replaced in this value.
fn is_unexpanded(reader: &Reader<'_>, entry: &str) -> bool {
    let expanding = Reader { is_expanded: true, ..*reader };
    !reader.is_expanded && expanding.expand(entry) != entry
}

/// Whether gofleet's folder is there, and before the others.
fn order(known: &[Known<'_>], bin: &str) -> Option<(Scope, Fault)> {
    let Some(own) = known.iter().position(|known| known.role == Role::Own) else {
        return Some((Scope::User, Fault::Missing { bin: bin.to_owned() }));
    };
    let ahead = known[..own].iter().find(|known| known.role == Role::Go)?;
    let by = ahead.entry.to_owned();
    Some((ahead.scope, Fault::Shadowed { by, own: known[own].scope }))
}

/// What is wrong with one entry.
fn single(it: &Known<'_>, ahead: &[Known<'_>]) -> Option<(Scope, Fault)> {
    let entry = it.entry.to_owned();
    let same = |known: &&Known<'_>| known.key.is_some() && known.key == it.key;
    if let Some(first) = ahead.iter().find(same) {
        let (first, in_scope) = (first.entry.to_owned(), first.scope);
        return Some((it.scope, Fault::Duplicate { entry, first, in_scope }));
    }
    let fault = match it.role {
        _ if it.is_unexpanded => Fault::Unexpanded { entry },
        Role::DeadGo => Fault::DeadGo { entry },
        Role::Dead => Fault::DeadFolder { entry },
        Role::Own | Role::Go | Role::Other => return None,
    };
    Some((it.scope, fault))
}

fn goroots<'a>(
    environment: &'a Environment,
    around: &'a dyn Surroundings,
) -> impl Iterator<Item = (Scope, Fault)> + 'a {
    [Scope::Machine, Scope::User].into_iter().filter_map(move |scope| {
        let goroot = environment.of(scope).goroot.as_ref().filter(|it| !it.text.is_empty())?;
        let reader = Reader::of(goroot, environment.style, around);
        let is_there = around.look(&format!("{}/bin", reader.folder(&goroot.text))) == Seen::Go;
        Some((scope, Fault::OldGoroot { value: goroot.text.clone(), is_there }))
    })
}

fn lengths(environment: &Environment, around: &dyn Surroundings) -> Vec<(Scope, Fault)> {
    if environment.style == Style::Unix {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut judge = |scope, limit: Limit, length| {
        if length > limit.characters() {
            found.push((scope, Fault::TooLong { limit, length }));
        }
    };
    for scope in [Scope::Machine, Scope::User] {
        if let Some(text) = &environment.of(scope).path {
            judge(scope, Limit::Value, super::plan::value_length(text, around));
        }
    }
    judge(Scope::User, Limit::Whole, whole_length(environment, around));
    found
}
