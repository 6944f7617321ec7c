//! By whom something is done, and when.

use serde::{Deserialize, Serialize};

use super::act::{Act, short};
use crate::digest::Digest;
use crate::ids::{DeviceId, EdgeId};
use crate::time::Timestamp;

/// What kind of actor it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A person.
    Person,
    /// Whoever held an enrolment token.
    Token,
    /// A device.
    Device,
    /// A distribution point.
    Edge,
    /// The server by itself.
    Server,
}

impl ActorKind {
    /// As text, like in an entry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Token => "token",
            Self::Device => "device",
            Self::Edge => "edge",
            Self::Server => "server",
        }
    }
}

/// Who does something, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// What it is.
    pub kind: ActorKind,
    /// Its name or id.
    pub name: String,
    /// How it proved to be that.
    pub via: Option<String>,
    /// The address that the request came from.
    pub origin: Option<String>,
    /// The change ticket that was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
}

impl By {
    /// The server by itself.
    pub fn server() -> Self {
        Self {
            kind: ActorKind::Server,
            name: "server".to_owned(),
            via: None,
            origin: None,
            ticket: None,
        }
    }

    /// A person of this name.
    pub fn person(name: &str) -> Self {
        Self { kind: ActorKind::Person, name: name.to_owned(), ..Self::server() }
    }

    /// Whoever holds the enrolment token with this digest.
    pub fn token(token: &Digest) -> Self {
        Self { kind: ActorKind::Token, name: short(token), ..Self::server() }
    }

    /// A device.
    pub fn device(device: &DeviceId) -> Self {
        Self { kind: ActorKind::Device, name: device.to_string(), ..Self::server() }
    }

    /// A distribution point.
    pub fn edge(edge: &EdgeId) -> Self {
        Self { kind: ActorKind::Edge, name: edge.to_string(), ..Self::server() }
    }

    /// The same with how it was proven.
    #[must_use]
    pub fn via(self, via: &str) -> Self {
        Self { via: Some(via.to_owned()), ..self }
    }

    /// The same with where the request came from.
    #[must_use]
    pub fn from(self, origin: Option<String>) -> Self {
        Self { origin, ..self }
    }

    /// The same with the change ticket that was named, if one was.
    #[must_use]
    pub fn under(self, ticket: &str) -> Self {
        let ticket = (!ticket.is_empty()).then(|| ticket.to_owned());
        Self { ticket, ..self }
    }
}

/// What was done, by whom, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// When, by the server's clock.
    pub at: Timestamp,
    /// By whom.
    pub by: By,
    /// What.
    pub act: Act,
}
