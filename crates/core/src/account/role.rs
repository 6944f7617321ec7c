//! Roles: what somebody is there for. What each may do is a table here, and nowhere else.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Permission;

/// What somebody is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks at the fleet.
    Viewer,
    /// Imports releases and rolls them out.
    Operator,
    /// Says which releases may be rolled out.
    Approver,
    /// Says who may do what, and which machines belong to the fleet.
    SecurityAdmin,
    /// Reads all that was done.
    Auditor,
}

/// There is no role of this name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "not a role: `{0}` (there are viewer, operator, approver, security_admin and auditor; \
     `operator@berlin` is one in the collection `berlin`)"
)]
pub struct UnknownRole(String);

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Viewer, Self::Operator, Self::Approver, Self::SecurityAdmin, Self::Auditor];

    /// As text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::SecurityAdmin => "security_admin",
            Self::Auditor => "auditor",
        }
    }

    /// What it is there for, for people.
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::Viewer => "looks at the fleet",
            Self::Operator => "imports releases and rolls them out",
            Self::Approver => "says which releases may be rolled out",
            Self::SecurityAdmin => "says who may do what, and which machines belong to the fleet",
            Self::Auditor => "reads all that was done",
        }
    }

    /// Whether it may do this.
    pub fn may(self, permission: Permission) -> bool {
        permission.roles().contains(&self)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let wanted = text.trim().replace('-', "_");
        let role = Self::ALL.into_iter().find(|role| role.as_str() == wanted);
        role.ok_or_else(|| UnknownRole(text.chars().take(80).collect()))
    }
}
