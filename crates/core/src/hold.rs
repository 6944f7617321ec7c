//! Devices that are kept out of rollouts: by a hold, which a person puts on a set of devices for a
//! while, or in quarantine, where the engine puts a single device that is at fault itself, and the
//! rules for [anomalies](crate::anomaly) one that is not well.
//!
//! A device that is kept out keeps its place in its ring and is held apart there, as one that is
//! offline: no gate and no rollout waits for it, and it gets its order if it is let in again while
//! the rollout moves. What it has not switched to yet is taken back. Going back is never held up.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::anomaly::Finding;
use crate::facts::Facts;
use crate::ids::{DeviceId, HoldId, ReleaseId};
use crate::order::Failure;
use crate::selector::Selector;
use crate::time::Timestamp;

/// Keeps every device that a selector picks out of rollouts: for good, for a while, or between two
/// points in time (a freeze that is announced beforehand).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Hold {
    /// The hold.
    pub id: HoldId,
    /// The devices: a selector. Whoever it picks at the moment is held.
    pub devices: String,
    /// Why, in the words of whoever made it.
    pub reason: String,
    /// Who made it.
    pub by: String,
    /// When it begins to hold.
    pub from: Timestamp,
    /// When it ends by itself; absent: when a person lifts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Hold {
    /// Whether it holds at this time.
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.from <= now && !self.has_ended(now)
    }

    /// Whether it will never hold again.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, by, reason, .. } = self;
        write!(formatter, "held by {by} ({id}): {reason}")?;
        match self.until {
            Some(until) => write!(formatter, ", until {until}"),
            None => Ok(()),
        }
    }
}

/// The holds of a moment, ready to be asked about many devices.
#[derive(Debug, Default)]
pub struct Holds(Vec<(Hold, Selector)>);

impl Holds {
    /// Those of the holds that hold at this time. One whose selector cannot be read (it was checked
    /// when it was made) holds everybody: too many held is the safer mistake.
    pub fn at(holds: impl IntoIterator<Item = Hold>, now: Timestamp) -> Self {
        let holding = holds.into_iter().filter(|hold| hold.holds_at(now));
        Self(
            holding
                .map(|hold| {
                    let selector = Selector::parse(&hold.devices).unwrap_or_default();
                    (hold, selector)
                })
                .collect(),
        )
    }

    /// Whether nobody is held.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether who is held depends on collections.
    pub fn ask_for_collections(&self) -> bool {
        self.0.iter().any(|(_, selector)| selector.asks_for_collections())
    }

    /// The hold on a device; of several the one that ends last.
    pub fn on(&self, device: &DeviceId, facts: &Facts) -> Option<&Hold> {
        let on_it = self.0.iter().filter(|(_, selector)| selector.matches(device, facts));
        let ends = |hold: &Hold| hold.until.map_or((1, hold.from), |until| (0, until));
        on_it.map(|(hold, _)| hold).max_by_key(|hold| ends(hold))
    }
}

/// Keeps a single device out of rollouts, because it is at fault itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Quarantine {
    /// What it is there for.
    pub cause: QuarantineCause,
    /// When it came there.
    pub at: Timestamp,
}

/// What a device is in quarantine for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum QuarantineCause {
    /// A person wanted it.
    Person {
        /// Who.
        by: String,
        /// Why, in that person's words.
        reason: String,
    },
    /// A failure that passes elsewhere did not pass on it.
    RetriesExhausted {
        /// How often it was tried.
        attempts: u32,
        /// What failed the last time.
        failure: Failure,
    },
    /// It fails alike on releases with which most others do well.
    FailsAlike {
        /// The releases, the latest first.
        releases: Vec<ReleaseId>,
        /// What failed the last time.
        failure: Failure,
    },
    /// It enrolled with a token that asks for a person's word, and nobody has given it yet.
    AwaitsApproval {
        /// For whom the token was, in its maker's words.
        note: String,
    },
    /// Two machines are at work with its key.
    SharedKey {
        /// The addresses that were heard last.
        addresses: Vec<String>,
    },
    /// Its key counts no more.
    Revoked {
        /// Who revoked it.
        by: String,
        /// Why, in that person's words.
        reason: String,
    },
    /// It can neither go forward nor back.
    Stuck {
        /// What failed.
        failure: Failure,
    },
    /// What it measures of itself, or its silence, is not normal. This alone ends by itself.
    Anomaly {
        /// The rule by which it is not.
        rule: String,
        /// Each condition of the rule, with what was measured.
        evidence: Vec<Finding>,
    },
}

impl QuarantineCause {
    /// The kind of cause, like `retries_exhausted`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Person { .. } => "person",
            Self::RetriesExhausted { .. } => "retries_exhausted",
            Self::FailsAlike { .. } => "fails_alike",
            Self::AwaitsApproval { .. } => "awaits_approval",
            Self::SharedKey { .. } => "shared_key",
            Self::Revoked { .. } => "revoked",
            Self::Stuck { .. } => "stuck",
            Self::Anomaly { .. } => "anomaly",
        }
    }
}

impl fmt::Display for QuarantineCause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person { by, reason } => write!(formatter, "put there by {by}: {reason}"),
            Self::RetriesExhausted { attempts, failure } => {
                write!(formatter, "failed {attempts} times, the last time: {}", failure.message)
            }
            Self::FailsAlike { releases, failure } => {
                let releases: Vec<&str> = releases.iter().map(ReleaseId::as_str).collect();
                write!(
                    formatter,
                    "fails alike with {}, which most others run well: {}",
                    releases.join(" and "),
                    failure.message
                )
            }
            Self::AwaitsApproval { note } if note.is_empty() => {
                formatter.write_str("waits to be let in")
            }
            Self::AwaitsApproval { note } => {
                write!(formatter, "waits to be let in (its token: {note})")
            }
            Self::SharedKey { addresses } => {
                write!(formatter, "two machines use its key: {}", addresses.join(" and "))
            }
            Self::Revoked { by, reason } => write!(formatter, "revoked by {by}: {reason}"),
            Self::Stuck { failure } => {
                write!(formatter, "can go neither forward nor back: {}", failure.message)
            }
            Self::Anomaly { rule, evidence } => {
                write!(formatter, "anomaly `{rule}`")?;
                let mut separator = ": ";
                for finding in evidence {
                    write!(formatter, "{separator}{finding}")?;
                    separator = " and ";
                }
                Ok(())
            }
        }
    }
}

/// Why a device is kept out of rollouts. Quarantine is told before a hold: it is about the device
/// itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "code")]
pub enum KeptOut {
    /// It is in quarantine.
    #[serde(rename = "in_quarantine")]
    Quarantine(Quarantine),
    /// It is held.
    #[serde(rename = "held")]
    Hold(Hold),
}

impl KeptOut {
    /// The kind of reason, like `held`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Quarantine(_) => "in_quarantine",
            Self::Hold(_) => "held",
        }
    }

    /// Whether it is in quarantine, whatever holds it besides.
    pub const fn is_quarantine(&self) -> bool {
        matches!(self, Self::Quarantine(_))
    }

    /// In one word, for lists.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Quarantine(_) => "quarantine",
            Self::Hold(_) => "held",
        }
    }
}

impl fmt::Display for KeptOut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quarantine(quarantine) => {
                write!(formatter, "in quarantine: {}", quarantine.cause)
            }
            Self::Hold(hold) => write!(formatter, "{hold}"),
        }
    }
}

#[cfg(test)]
mod tests;
