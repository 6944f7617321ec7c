//! Accounts of people: their names, their roles, and what each role may do.
//!
//! Who may do what is decided by `gofleet-authorization`, which makes its policies of the tables
//! that stand here. Proving who somebody is happens in the server.

mod permission;
mod request;
mod role;
mod source;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::{AccountName, CollectionName, InvalidId};
use crate::time::Timestamp;

pub use permission::{Permission, SubjectKind};
pub use request::{
    AccessDecision, AccessRequest, Circumstances, Refusal, ReleaseSubject, RolloutSubject, Rule,
    Subject,
};
pub use role::{Role, UnknownRole};
pub use source::{AccountSource, GroupGrants, Naming};

/// The name under which whoever holds the administrator's token acts. No account can have it.
pub const ADMINISTRATOR: &str = "admin";

/// A role that an account has, for the whole fleet or for one collection. As text: `operator` or
/// `operator@berlin`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// The collection whose devices it is for; none: the whole fleet.
    pub within: Option<CollectionName>,
}

/// The text names no role, or no collection.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidGrant {
    /// There is no such role.
    #[error(transparent)]
    Role(#[from] UnknownRole),
    /// What stands behind the `@` can't name a collection.
    #[error(transparent)]
    Collection(#[from] InvalidId),
    /// The role is for the whole fleet or not at all.
    #[error("{role} can't be bounded by a collection: what it may do concerns the whole fleet")]
    Boundless {
        /// The role.
        role: Role,
    },
}

impl FromStr for Grant {
    type Err = InvalidGrant;

    fn from_str(text: &str) -> Result<Self, InvalidGrant> {
        let Some((role, within)) = text.split_once('@') else {
            return Ok(Self { role: text.parse()?, within: None });
        };
        let (role, within): (Role, CollectionName) = (role.parse()?, within.parse()?);
        if role != Role::Operator {
            return Err(InvalidGrant::Boundless { role });
        }
        Ok(Self { role, within: Some(within) })
    }
}

impl TryFrom<String> for Grant {
    type Error = InvalidGrant;

    fn try_from(text: String) -> Result<Self, InvalidGrant> {
        text.parse()
    }
}

impl From<Grant> for String {
    fn from(grant: Grant) -> Self {
        grant.to_string()
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.within {
            None => write!(formatter, "{}", self.role),
            Some(within) => write!(formatter, "{}@{within}", self.role),
        }
    }
}

#[cfg(feature = "schema")]
crate::string_schema!(Grant, "a role, for the whole fleet or in a collection: operator@berlin");

/// A person's account, without what proves who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Account {
    /// Its name. Case does not count, and is kept as it was given first.
    pub name: AccountName,
    /// Whose it is, in the words of who made it.
    #[serde(default)]
    pub note: String,
    /// Its roles; without any it may do nothing but look after itself.
    pub grants: Vec<Grant>,
    /// Whether it may do nothing at all.
    #[serde(default)]
    pub is_disabled: bool,
    /// Whether it must choose a password of its own before it may do anything else.
    #[serde(default)]
    pub must_change_password: bool,
    /// Who says that it is there, and what its roles are.
    #[serde(default)]
    pub source: AccountSource,
    /// Who wrote it last.
    pub by: String,
    /// When that was.
    pub changed_at: Timestamp,
}

impl Account {
    /// Whether one of its roles may do this, to whatever it is done.
    pub fn may(&self, permission: Permission) -> bool {
        permission == Permission::Own || self.grants.iter().any(|it| it.role.may(permission))
    }
}

/// A credential by which a program acts for an account, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ApiToken {
    /// Names the token; not its secret.
    pub id: String,
    /// The account for which it acts.
    pub account: AccountName,
    /// What it is for, in the words of who made it.
    #[serde(default)]
    pub note: String,
    /// The roles that it may use of those that the account has; all of them if empty.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl ApiToken {
    /// Whether it may be used for this; the account must be permitted as well.
    pub fn may(&self, permission: Permission) -> bool {
        self.roles.is_empty() || self.roles.iter().any(|role| role.may(permission))
    }
}

/// The shortest password that is taken (NIST SP 800-63B-4, section 3.1.1.2, for a password that is
/// used alone).
pub const MIN_PASSWORD_CHARS: usize = 15;
/// The longest: more is no safer, and costs time to hash.
pub const MAX_PASSWORD_BYTES: usize = 1024;

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WeakPassword {
    /// It can be guessed by trying all.
    #[error("the password is shorter than {MIN_PASSWORD_CHARS} characters")]
    TooShort,
    /// Nobody types it.
    #[error("the password is longer than {MAX_PASSWORD_BYTES} bytes")]
    TooLong,
    /// It can be guessed from the account.
    #[error("the password holds the account's name")]
    HoldsName,
    /// It has hardly a character that differs from the others.
    #[error("the password consists of fewer than five different characters")]
    Monotonous,
}

/// Whether a password may be set for an account. What it is made of is everybody's own business
/// (NIST SP 800-63B-4, section 3.1.1.2: no rules of composition).
///
/// # Errors
///
/// [`WeakPassword`]
pub fn check_password(account: &AccountName, password: &str) -> Result<(), WeakPassword> {
    if password.chars().count() < MIN_PASSWORD_CHARS {
        return Err(WeakPassword::TooShort);
    }
    if password.len() > MAX_PASSWORD_BYTES {
        return Err(WeakPassword::TooLong);
    }
    if password.to_lowercase().contains(&account.as_str().to_lowercase()) {
        return Err(WeakPassword::HoldsName);
    }
    let different: std::collections::BTreeSet<char> = password.chars().collect();
    if different.len() < 5 {
        return Err(WeakPassword::Monotonous);
    }
    Ok(())
}
