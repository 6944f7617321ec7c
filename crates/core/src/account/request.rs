//! What is asked of the policies, and what they say: small enough to be kept, so that another rule
//! can be tried on what was asked before.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Permission, SubjectKind};
use crate::ids::{CollectionName, RuleName};
use crate::time::Timestamp;

/// What something is to be done to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Subject {
    /// The fleet as a whole.
    Fleet {},
    /// A set of devices.
    Devices {
        /// How many.
        count: u64,
        /// The collections that hold all of them.
        within: Vec<CollectionName>,
    },
    /// A release.
    Release(ReleaseSubject),
    /// A rollout, also one that is about to begin.
    Rollout(RolloutSubject),
    /// Somebody's account.
    Account {
        /// Its name.
        name: String,
    },
}

/// What a policy can ask about a release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ReleaseSubject {
    /// Its id.
    pub id: String,
    /// Like `go`.
    pub package: String,
    /// Like `1.27.3`.
    pub version: String,
    /// Who imported it.
    pub author: String,
    /// Whether approvers have signed it.
    pub is_signed: bool,
    /// Whether its makers have ended its support.
    pub is_past_support: bool,
}

/// What a policy can ask about a rollout.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RolloutSubject {
    /// Its name.
    pub name: String,
    /// Who started it, or would.
    pub author: String,
    /// How many devices are in it.
    pub devices: u64,
    /// The collections that hold all of them.
    pub within: Vec<CollectionName>,
    /// Like `go`.
    pub package: String,
    /// Like `1.27.3`.
    pub version: String,
    /// Whether the support of one of its releases has ended.
    pub is_past_support: bool,
    /// Whether users are asked.
    pub is_published: bool,
}

impl Subject {
    /// One of this kind of which nothing is known: for who may do it to none.
    pub fn of_kind(kind: SubjectKind) -> Self {
        match kind {
            SubjectKind::Fleet => Self::Fleet {},
            SubjectKind::Devices => Self::Devices { count: 0, within: Vec::new() },
            SubjectKind::Release => Self::Release(ReleaseSubject::default()),
            SubjectKind::Rollout => Self::Rollout(RolloutSubject::default()),
            SubjectKind::Account => Self::Account { name: String::new() },
        }
    }

    /// What it is.
    pub const fn kind(&self) -> SubjectKind {
        match self {
            Self::Fleet {} => SubjectKind::Fleet,
            Self::Devices { .. } => SubjectKind::Devices,
            Self::Release(_) => SubjectKind::Release,
            Self::Rollout(_) => SubjectKind::Rollout,
            Self::Account { .. } => SubjectKind::Account,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fleet {} => formatter.write_str("the fleet"),
            Self::Devices { count: 0, .. } => formatter.write_str("devices"),
            Self::Devices { count: 1, .. } => formatter.write_str("a device"),
            Self::Devices { count, .. } => write!(formatter, "{count} devices"),
            Self::Release(release) if release.id.is_empty() => formatter.write_str("a release"),
            Self::Release(release) => write!(formatter, "release {}", release.id),
            Self::Rollout(rollout) if rollout.name.is_empty() => formatter.write_str("a rollout"),
            Self::Rollout(rollout) => write!(formatter, "rollout {}", rollout.name),
            Self::Account { name } if name.is_empty() => formatter.write_str("an account"),
            Self::Account { name } => write!(formatter, "account {name}"),
        }
    }
}

/// Under which circumstances it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Circumstances {
    /// When, by the server's clock.
    pub at: Timestamp,
    /// How the person proved who they are: `session`, `token`, `api_token`.
    pub via: String,
    /// Whether nobody on the way can read along.
    pub is_encrypted: bool,
    /// Whether the request came from the server's own machine.
    pub is_local: bool,
    /// Whether everything that was done stands in the audit log.
    pub is_audit_healthy: bool,
    /// The change ticket that the person named, else empty.
    pub ticket: String,
}

impl Circumstances {
    /// Those of the server itself, when it asks for somebody who is not there.
    pub fn of_server(at: Timestamp) -> Self {
        Self {
            at,
            via: "server".to_owned(),
            is_encrypted: true,
            is_local: true,
            is_audit_healthy: true,
            ticket: String::new(),
        }
    }
}

/// Whether somebody may do something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AccessRequest {
    /// Who asks: the name of an account, or `admin`.
    pub by: String,
    /// What for.
    pub permission: Permission,
    /// What it is to be done to.
    pub subject: Subject,
    /// Under which circumstances.
    pub circumstances: Circumstances,
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Refusal {
    /// No role of the account permits it here.
    NoRole {},
    /// A rule forbids it.
    Rule {
        /// The rule.
        rule: RuleName,
        /// What it says to whoever is refused.
        message: String,
        /// The standards that it serves.
        standards: Vec<String>,
    },
    /// A rule can't be evaluated, and so nobody can tell whether it forbids it.
    Broken {
        /// The rule.
        rule: RuleName,
        /// Why.
        error: String,
    },
}

impl Refusal {
    /// The rule that refuses.
    pub const fn rule(&self) -> Option<&RuleName> {
        match self {
            Self::NoRole {} => None,
            Self::Rule { rule, .. } | Self::Broken { rule, .. } => Some(rule),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRole {} => formatter.write_str("no role of this account permits it"),
            Self::Rule { rule, message, .. } => write!(formatter, "rule `{rule}`: {message}"),
            Self::Broken { rule, error } => {
                write!(formatter, "rule `{rule}` can't be evaluated: {error}")
            }
        }
    }
}

/// What was asked, and what was said; kept for the dry run of rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AccessDecision {
    /// What was asked.
    pub request: AccessRequest,
    /// Why it was refused, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
}

/// A rule: it takes away what a role permits, and never gives anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Rule {
    /// Its name, which refusals tell.
    pub name: RuleName,
    /// One Cedar policy that begins with `forbid`.
    pub text: String,
    /// Who wrote it last.
    pub by: String,
    /// When that was.
    pub changed_at: Timestamp,
}
