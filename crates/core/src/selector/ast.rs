//! What a selector is made of, which devices it picks, and how it prints.

use std::cmp::Ordering;
use std::fmt;

use crate::facts::Facts;
use crate::ids::{CollectionName, DeviceId};
use crate::version;

/// Picks devices by their facts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector {
    pub(super) root: Option<Expression>,
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// Both hold.
    And(Box<Self>, Box<Self>),
    /// At least one holds.
    Or(Box<Self>, Box<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// A fact compared with a value.
    Compare(Field, Operator, Value),
    /// A fact is one of these.
    In(Field, Vec<Value>),
}

/// A fact of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// The device's id.
    Id,
    /// Go's name of the operating system.
    Os,
    /// Go's name of the processor architecture.
    Arch,
    /// Both, like `windows-amd64`.
    Platform,
    /// The host name.
    Hostname,
    /// The operating system's name and version.
    OsVersion,
    /// The active version.
    Active,
    /// Any version that was found.
    Found,
    /// The agent's version.
    AgentVersion,
    /// Logical processors.
    Processors,
    /// Free bytes.
    FreeBytes,
    /// The time zone that its clock is set to.
    Zone,
    /// The collections that it belongs to.
    Collection,
    /// A label.
    Label(String),
}

/// How fields are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Version,
    Number,
}

/// How a fact is compared with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `like`: `*` stands for anything, `?` for one character; case does not count.
    Like,
}

/// What a fact is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text; case counts only in labels.
    Text(String),
    /// A version, ordered as Go orders them.
    Version(String),
    /// A whole number.
    Number(u64),
}

impl Field {
    /// The names of all fields; `label.` goes on with the label's own.
    pub const NAMES: [&'static str; 14] = [
        "id",
        "os",
        "arch",
        "platform",
        "hostname",
        "os_version",
        "active",
        "found",
        "agent_version",
        "processors",
        "free_bytes",
        "zone",
        "collection",
        "label.",
    ];

    pub(super) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "id" => Self::Id,
            "os" => Self::Os,
            "arch" => Self::Arch,
            "platform" => Self::Platform,
            "hostname" => Self::Hostname,
            "os_version" => Self::OsVersion,
            "active" => Self::Active,
            "found" => Self::Found,
            "agent_version" => Self::AgentVersion,
            "processors" => Self::Processors,
            "free_bytes" => Self::FreeBytes,
            "zone" => Self::Zone,
            "collection" => Self::Collection,
            _ => Self::Label(name.strip_prefix("label.").filter(|it| !it.is_empty())?.to_owned()),
        })
    }

    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Active | Self::Found | Self::AgentVersion => Kind::Version,
            Self::Processors | Self::FreeBytes => Kind::Number,
            Self::Id
            | Self::Os
            | Self::Arch
            | Self::Platform
            | Self::Hostname
            | Self::OsVersion
            | Self::Zone
            | Self::Collection
            | Self::Label(_) => Kind::Text,
        }
    }

    /// What the device has there; several for `found` and `collection`, none for a label that it
    /// does not bear and a zone that its agent does not tell.
    fn values(&self, id: &DeviceId, facts: &Facts) -> Vec<Value> {
        let text = |text: &str| vec![Value::Text(text.to_owned())];
        let version = |version: &String| Value::Version(version.clone());
        match self {
            Self::Id => text(id.as_str()),
            Self::Os => text(facts.platform.os()),
            Self::Arch => text(facts.platform.arch()),
            Self::Platform => text(&facts.platform.to_string()),
            Self::Hostname => text(&facts.hostname),
            Self::OsVersion => text(&facts.os_version),
            Self::Active => facts.active.iter().map(version).collect(),
            Self::Found => facts.found.iter().map(|found| version(&found.version)).collect(),
            Self::AgentVersion => vec![version(&facts.agent_version)],
            Self::Processors => vec![Value::Number(u64::from(facts.processors))],
            Self::FreeBytes => vec![Value::Number(facts.free_bytes)],
            Self::Zone => facts.zone.iter().map(|zone| Value::Text(zone.clone())).collect(),
            Self::Collection => {
                let name = |name: &CollectionName| Value::Text(name.as_str().to_owned());
                facts.collections.iter().map(name).collect()
            }
            Self::Label(name) => {
                facts.labels.get(name).map(|it| Value::Text(it.clone())).into_iter().collect()
            }
        }
    }
}

impl Selector {
    /// Whether it picks the device. A fact that the device does not have equals nothing, so
    /// `active != 1.27.3` picks a device without any, and `active < 1.27.3` does not.
    pub fn matches(&self, id: &DeviceId, facts: &Facts) -> bool {
        self.root.as_ref().is_none_or(|root| root.matches(id, facts))
    }

    /// Whether what it picks depends on any collection.
    pub fn asks_for_collections(&self) -> bool {
        self.root.as_ref().is_some_and(|root| root.any_collection(&|_, _| true))
    }

    /// Whether what it picks depends on this collection.
    pub fn asks_for(&self, collection: &CollectionName) -> bool {
        let name = Value::Text(collection.as_str().to_owned());
        let is_it = |operator: Operator, value: &Value| match operator {
            Operator::Like => name.holds(Operator::Like, value),
            _ => name.holds(Operator::Equal, value),
        };
        self.root.as_ref().is_some_and(|root| root.any_collection(&is_it))
    }
}

impl Expression {
    fn matches(&self, id: &DeviceId, facts: &Facts) -> bool {
        match self {
            Self::And(left, right) => left.matches(id, facts) && right.matches(id, facts),
            Self::Or(left, right) => left.matches(id, facts) || right.matches(id, facts),
            Self::Not(inner) => !inner.matches(id, facts),
            Self::Compare(field, Operator::NotEqual, value) => {
                !field.values(id, facts).iter().any(|it| it.holds(Operator::Equal, value))
            }
            Self::Compare(field, operator, value) => {
                field.values(id, facts).iter().any(|it| it.holds(*operator, value))
            }
            Self::In(field, values) => field
                .values(id, facts)
                .iter()
                .any(|it| values.iter().any(|value| it.holds(Operator::Equal, value))),
        }
    }
}

impl Expression {
    /// Whether anything that is asked of the collections is what is looked for.
    fn any_collection(&self, is_it: &impl Fn(Operator, &Value) -> bool) -> bool {
        match self {
            Self::And(left, right) | Self::Or(left, right) => {
                left.any_collection(is_it) || right.any_collection(is_it)
            }
            Self::Not(inner) => inner.any_collection(is_it),
            Self::Compare(Field::Collection, operator, value) => is_it(*operator, value),
            Self::In(Field::Collection, values) => {
                values.iter().any(|value| is_it(Operator::Equal, value))
            }
            Self::Compare(..) | Self::In(..) => false,
        }
    }
}

impl Value {
    fn holds(&self, operator: Operator, other: &Self) -> bool {
        let order = match (self, other) {
            (Self::Version(own), Self::Version(other)) => version::compare(own, other),
            (Self::Number(own), Self::Number(other)) => own.cmp(other),
            (Self::Text(own), Self::Text(pattern)) if operator == Operator::Like => {
                return is_like(&folded(pattern), &folded(own));
            }
            (Self::Text(own), Self::Text(other)) => folded(own).cmp(&folded(other)),
            // The parser gives each field a value of its own kind.
            (Self::Text(_) | Self::Version(_) | Self::Number(_), _) => return false,
        };
        match operator {
            Operator::Equal => order == Ordering::Equal,
            Operator::NotEqual => order != Ordering::Equal,
            Operator::Less => order == Ordering::Less,
            Operator::LessOrEqual => order != Ordering::Greater,
            Operator::Greater => order == Ordering::Greater,
            Operator::GreaterOrEqual => order != Ordering::Less,
            Operator::Like => false,
        }
    }
}

fn folded(text: &str) -> Vec<char> {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// Whether the text fits the pattern, in time proportional to their lengths multiplied: on a
/// mismatch only the last `*` is tried again, one character further.
fn is_like(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            Some(_) | None => {
                let Some((star_p, star_t)) = star else { return false };
                star = Some((star_p, star_t + 1));
                (p, t) = (star_p + 1, star_t + 1);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.as_ref().map_or(Ok(()), |root| write!(f, "{root}"))
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Both associate to the left, so that only a right side needs brackets.
            Self::Or(left, right) => {
                write!(f, "{left} or ")?;
                bracketed(f, right, matches!(**right, Self::Or(..)))
            }
            Self::And(left, right) => {
                bracketed(f, left, matches!(**left, Self::Or(..)))?;
                f.write_str(" and ")?;
                bracketed(f, right, matches!(**right, Self::Or(..) | Self::And(..)))
            }
            Self::Not(inner) => {
                f.write_str("not ")?;
                bracketed(f, inner, matches!(**inner, Self::Or(..) | Self::And(..)))
            }
            Self::Compare(field, operator, value) => write!(f, "{field} {operator} {value}"),
            Self::In(field, values) => {
                write!(f, "{field} in (")?;
                for (place, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if place == 0 { "" } else { ", " })?;
                }
                f.write_str(")")
            }
        }
    }
}

fn bracketed(f: &mut fmt::Formatter<'_>, inner: &Expression, needs: bool) -> fmt::Result {
    if needs { write!(f, "({inner})") } else { write!(f, "{inner}") }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Id => "id",
            Self::Os => "os",
            Self::Arch => "arch",
            Self::Platform => "platform",
            Self::Hostname => "hostname",
            Self::OsVersion => "os_version",
            Self::Active => "active",
            Self::Found => "found",
            Self::AgentVersion => "agent_version",
            Self::Processors => "processors",
            Self::FreeBytes => "free_bytes",
            Self::Zone => "zone",
            Self::Collection => "collection",
            Self::Label(name) => return write!(f, "label.{name}"),
        })
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Like => "like",
        })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => {
                write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
            }
            Self::Version(version) => f.write_str(version),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}
