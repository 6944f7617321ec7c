//! Named collections of devices: written as a list, picked by a selector, or brought from elsewhere.
//!
//! Selectors ask for them (`collection = "pilots"`), and so everything that takes a selector takes
//! collections. Who belongs to one is asked anew whenever devices are looked at: the server fills
//! [`Facts::collections`] from what people wrote, whatever a device says there. A list names devices
//! by id or by host name. A host name is what a device tells of itself; where that matters, list ids.

mod import;
mod index;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use import::{Format, ImportError, read_names, text_of};
use index::{Index, folded};

use crate::facts::Facts;
use crate::ids::{CollectionName, DeviceId};
use crate::selector::{Selector, SelectorError};
use crate::time::Timestamp;

/// Most names in a list: the largest fleet that this is for.
const MOST_NAMES: usize = 200_000;
/// As long as a name in the DNS may be (RFC 1035, 2.3.4).
const LONGEST_NAME: usize = 253;

/// A named collection of devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Collection {
    /// Its name; case does not count.
    pub name: CollectionName,
    /// Who belongs to it.
    #[serde(flatten)]
    pub members: Members,
    /// What it is for, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Who wrote it last.
    pub by: String,
    /// When.
    pub changed_at: Timestamp,
}

/// How a collection says who belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Members {
    /// A list that people keep.
    Static {
        /// Ids and host names.
        names: Vec<String>,
    },
    /// Whoever a selector picks at the moment.
    Selector {
        /// The selector; it asks for no other collection.
        devices: String,
    },
    /// A group of another system, as it was when it was read.
    Imported {
        /// Its host names, those included that no device has yet.
        names: Vec<String>,
        /// What was read, like the name of a file.
        source: String,
    },
}

/// This can't be the members of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidMembers {
    /// The selector can't be read.
    #[error("the selector can't be read: {0}")]
    Selector(SelectorError),
    /// A name that no device can have.
    #[error(
        "`{name}` is no name of a device: expected a device id or a host name of at most \
         {LONGEST_NAME} characters, without spaces"
    )]
    Name {
        /// The name, cut after 80 characters.
        name: String,
    },
    /// Too many names.
    #[error("{0} names are more than the {MOST_NAMES} that a collection may list")]
    TooMany(usize),
}

impl Members {
    /// The kind, like `static`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Static { .. } => "static",
            Self::Selector { .. } => "selector",
            Self::Imported { .. } => "imported",
        }
    }

    /// The names that it lists; none for a selector.
    pub fn names(&self) -> Option<&[String]> {
        match self {
            Self::Static { names } | Self::Imported { names, .. } => Some(names),
            Self::Selector { .. } => None,
        }
    }

    /// The same with each name once, in their order.
    ///
    /// # Errors
    ///
    /// [`InvalidMembers`] names the first mistake.
    pub fn checked(self) -> Result<Self, InvalidMembers> {
        Ok(match self {
            Self::Selector { devices } => {
                Selector::parse_of_collection(&devices).map_err(InvalidMembers::Selector)?;
                Self::Selector { devices }
            }
            Self::Static { names } => Self::Static { names: checked_names(names)? },
            Self::Imported { names, source } => {
                let source = source.chars().filter(|c| !c.is_control()).take(200).collect();
                Self::Imported { names: checked_names(names)?, source }
            }
        })
    }
}

fn checked_names(names: Vec<String>) -> Result<Vec<String>, InvalidMembers> {
    if names.len() > MOST_NAMES {
        return Err(InvalidMembers::TooMany(names.len()));
    }
    let mut seen = BTreeSet::new();
    let mut kept = Vec::new();
    for name in names {
        let name = name.trim();
        let is_fit = (1..=LONGEST_NAME).contains(&name.len())
            && !name.contains(|c: char| c.is_control() || c.is_whitespace());
        if !is_fit {
            return Err(InvalidMembers::Name { name: name.chars().take(80).collect() });
        }
        if seen.insert(folded(name)) {
            kept.push(name.to_owned());
        }
    }
    kept.sort();
    Ok(kept)
}

impl fmt::Display for Members {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static { names } => write!(formatter, "{} listed", names.len()),
            Self::Selector { devices } if devices.is_empty() => formatter.write_str("all devices"),
            Self::Selector { devices } => formatter.write_str(devices),
            Self::Imported { names, source } => {
                write!(formatter, "{} imported from {source}", names.len())
            }
        }
    }
}

/// The collections of a moment, ready to be asked about many devices.
#[derive(Debug, Default)]
pub struct Collections {
    names: Vec<CollectionName>,
    lists: Index,
    selectors: Vec<(CollectionName, Selector)>,
}

impl Collections {
    /// Makes them ready. A selector that can't be read (it was checked when it was written) picks
    /// nobody.
    pub fn new<'a>(all: impl IntoIterator<Item = &'a Collection>) -> Self {
        let mut ready = Self::default();
        for Collection { name, members, .. } in all {
            let place = ready.names.len();
            ready.names.push(name.clone());
            match members {
                Members::Static { names } | Members::Imported { names, .. } => {
                    names.iter().for_each(|listed| ready.lists.add(listed, place));
                }
                Members::Selector { devices } => {
                    let selector = Selector::parse_of_collection(devices).ok();
                    ready.selectors.extend(selector.map(|selector| (name.clone(), selector)));
                }
            }
        }
        ready
    }

    /// Their names.
    pub fn names(&self) -> &[CollectionName] {
        &self.names
    }

    /// Writes into a device's facts to which of them it belongs, in place of what stands there.
    pub fn fill(&self, device: &DeviceId, facts: &mut Facts) {
        let listed = self.lists.owners(device, &facts.hostname);
        let mut belongs: BTreeSet<_> = listed.map(|place| self.names[place].clone()).collect();
        let picks = |(_, selector): &&(_, Selector)| selector.matches(device, facts);
        belongs.extend(self.selectors.iter().filter(picks).map(|(name, _)| name.clone()));
        facts.collections = belongs;
    }
}

/// A device that belongs to a collection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Member {
    /// Its host name.
    pub hostname: String,
    /// The device.
    pub device: DeviceId,
}

/// Who belongs to a collection at the moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Roster {
    /// The devices, in the order of their host names.
    pub devices: Vec<Member>,
    /// The names that it lists and no device has. A device that enrols under one belongs to it.
    pub unknown: Vec<String>,
}

impl Roster {
    /// Looks who of a fleet belongs to a collection with these members.
    pub fn of<'a>(
        members: &Members,
        fleet: impl IntoIterator<Item = (&'a DeviceId, &'a Facts)>,
    ) -> Self {
        let member = |device: &DeviceId, facts: &Facts| Member {
            hostname: facts.hostname.clone(),
            device: device.clone(),
        };
        let mut roster = Self::default();
        match members {
            Members::Selector { devices } => {
                let Ok(selector) = Selector::parse_of_collection(devices) else { return roster };
                let picked = fleet.into_iter().filter(|(id, facts)| selector.matches(id, facts));
                roster.devices.extend(picked.map(|(id, facts)| member(id, facts)));
            }
            Members::Static { names } | Members::Imported { names, .. } => {
                let mut index = Index::default();
                names.iter().enumerate().for_each(|(place, name)| index.add(name, place));
                let mut unknown: BTreeSet<usize> = (0..names.len()).collect();
                for (id, facts) in fleet {
                    let mut is_listed = false;
                    for place in index.owners(id, &facts.hostname) {
                        unknown.remove(&place);
                        is_listed = true;
                    }
                    roster.devices.extend(is_listed.then(|| member(id, facts)));
                }
                roster.unknown = unknown.into_iter().map(|place| names[place].clone()).collect();
            }
        }
        roster.devices.sort();
        roster
    }

    /// Who comes and who goes if this becomes that.
    #[must_use]
    pub fn changed_to(self, after: Self) -> RosterChange {
        let before: BTreeSet<Member> = self.devices.into_iter().collect();
        let now: BTreeSet<Member> = after.devices.into_iter().collect();
        RosterChange {
            stay: before.intersection(&now).count() as u64,
            come: now.difference(&before).cloned().collect(),
            go: before.difference(&now).cloned().collect(),
            unknown: after.unknown,
        }
    }
}

/// What a change of a collection changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RosterChange {
    /// The devices that belong to it from then on.
    pub come: Vec<Member>,
    /// The devices that belong to it no longer.
    pub go: Vec<Member>,
    /// How many belong to it before and after.
    pub stay: u64,
    /// The names that it lists and no device has.
    pub unknown: Vec<String>,
}

#[cfg(test)]
mod tests;
