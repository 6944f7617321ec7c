//! The audit log: who changed what, when, in a chain that shows when somebody changed the log.
//!
//! Each entry holds the hash of the one before it, so that no entry can be edited, taken out, put
//! in or moved without every later one telling. What a chain can't show by itself, that its end was
//! cut or that an older one was put in its place, a signed [`Head`] shows that was kept elsewhere.
//!
//! **What is hashed.** An entry as JSON in the canonical form of RFC 8785, without its own hash,
//! behind a tag that keeps these hashes apart from all others (as RFC 6962, section 2.1, puts a
//! byte before what it hashes). Every whole line is in that form too, and the verification compares
//! it byte by byte: there is one way only to write an entry, so no byte of it can be another.
//!
//! Nothing here reads or writes: storage appends, the server signs, whoever asks verifies.

mod act;
mod by;
mod canonical;
mod key;
mod syslog;
#[cfg(test)]
mod tests;
mod verify;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::digest::Digest;
use crate::time::Timestamp;

pub use act::Act;
pub use by::{ActorKind, By, Deed};
pub use canonical::{NotCanonical, canonical};
pub use key::{AuditKey, AuditSigner, HeadError, InvalidKey};
pub use syslog::{octet_counted, syslog_message};
pub use verify::{Fault, Verified, Verifier, verify};

/// Stands before what is hashed. The form of an entry is never changed under the same tag.
const ENTRY_TAG: &[u8] = b"gofleet audit entry v1\0";

/// How far a chain goes: so many entries, of which the last has this hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The number of entries, which is the sequence of the last.
    pub count: u64,
    /// The hash of the last.
    pub hash: Digest,
}

impl Link {
    /// Before the first entry.
    pub const START: Self = Self { count: 0, hash: Digest::from_bytes([0; 32]) };
}

/// How far the log of a server goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Head {
    /// The number of entries.
    pub count: u64,
    /// The hash of the last; of none 64 zeros.
    pub hash: Digest,
    /// The epoch of the server's database, which a restore raises.
    pub epoch: u64,
}

impl Head {
    /// The end of the chain that it tells of.
    pub const fn link(&self) -> Link {
        Link { count: self.count, hash: self.hash }
    }
}

/// Who did something. It is text, so that what a newer server wrote can be read and verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Actor {
    /// What the actor is: `person`, `token`, `device`, `edge` or `server`.
    pub kind: String,
    /// The name or id.
    pub name: String,
}

/// One entry of the log. There is exactly one for each change, in the transaction of the change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    /// Counted from 1, without a gap.
    pub sequence: u64,
    /// When it was done, by the server's clock.
    pub at: Timestamp,
    /// When the log was told, if it could not be written at that time. Only the emergency stop, what
    /// the server does on its account, and sessions are done then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_at: Option<Timestamp>,
    /// Who did it.
    pub actor: Actor,
    /// How the actor proved to be that: `token`, `api_token`, `session`, `password`, `link`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// The address that the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The change ticket that was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// What was done, like `release.decided`.
    pub action: String,
    /// To what it was done: the id of a release, a rollout, a device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The rest, by names.
    #[cfg_attr(feature = "schema", schema(value_type = Object))]
    pub details: Value,
    /// The hash of the entry before; of the first 64 zeros.
    pub previous: Digest,
    /// The hash of this one.
    pub hash: Digest,
}

impl AuditEntry {
    /// The entry that follows `last`; `told_at` is given if the log was told later than it was
    /// done.
    pub fn following(last: Link, deed: &Deed, told_at: Option<Timestamp>) -> Self {
        let Deed { at, by, act } = deed;
        let (action, details) = act.told();
        let mut entry = Self {
            sequence: last.count + 1,
            at: *at,
            told_at,
            actor: Actor { kind: by.kind.as_str().to_owned(), name: by.name.clone() },
            via: by.via.clone(),
            origin: by.origin.clone(),
            ticket: by.ticket.clone(),
            action,
            subject: act.subject(),
            details,
            previous: last.hash,
            hash: Link::START.hash,
        };
        entry.hash = entry.computed_hash();
        entry
    }

    /// The chain up to this entry.
    pub const fn link(&self) -> Link {
        Link { count: self.sequence, hash: self.hash }
    }

    /// Its line in an export, without the line's end: all of it in canonical form.
    pub fn line(&self) -> String {
        written(&self.value())
    }

    /// The hash that it must have.
    fn computed_hash(&self) -> Digest {
        let mut value = self.value();
        if let Value::Object(fields) = &mut value {
            fields.remove("hash");
        }
        hash_of(&written(&value))
    }

    fn value(&self) -> Value {
        serde_json::to_value(self).expect("an entry has text keys")
    }
}

/// What cannot be brought into canonical form can't have been written here; as text it is told,
/// and its hash is wrong.
fn written(value: &Value) -> String {
    canonical(value).unwrap_or_else(|_| value.to_string())
}

/// The hash of an entry that has this canonical form without its own hash.
fn hash_of(canonical: &str) -> Digest {
    let hash = Sha256::new().chain_update(ENTRY_TAG).chain_update(canonical);
    Digest::from_bytes(hash.finalize().into())
}
