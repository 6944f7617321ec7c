//! Accounts, API tokens, rules, and what was decided by them.

use gofleet_core::account::{AccessDecision, Account, ApiToken, Grant, Role, Rule};
use gofleet_core::ids::{AccountName, RuleName};
use gofleet_core::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// Make an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AccountRequest {
    /// Its name.
    pub name: AccountName,
    /// Whose it is.
    #[serde(default)]
    pub note: String,
    /// Its roles.
    #[serde(default)]
    pub grants: Vec<Grant>,
}

/// Change an account; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AccountChange {
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// All its roles from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<Grant>>,
    /// Whether it may do nothing at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_disabled: Option<bool>,
}

/// An account with a password that was made for it. It is told this once, and must be changed at
/// the first login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FirstPassword {
    /// The account.
    pub account: Account,
    /// The password.
    pub password: String,
}

/// Choose a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PasswordRequest {
    /// The one that holds so far.
    pub old: String,
    /// The one that is to hold: 15 characters or more.
    pub new: String,
}

/// As whom a request is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WhoAmI {
    /// The name under which what is done is written down.
    pub name: String,
    /// The account; none for whoever holds the administrator's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// The API token that was sent, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<ApiToken>,
}

/// Make an API token for the account that asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ApiTokenRequest {
    /// What it is for.
    #[serde(default)]
    pub note: String,
    /// The roles that it may use; all that the account has if empty.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// For how long it is good; thirty days if absent, a year at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<Span>,
}

/// Log in with a password and get an API token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenLoginRequest {
    /// The account.
    pub account: AccountName,
    /// Its password.
    pub password: String,
    /// The token that is wanted.
    #[serde(default)]
    pub token: ApiTokenRequest,
}

/// A new API token. Its text is told this once; the server keeps a hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NewApiToken {
    /// What a program sends as `Authorization: Bearer …`.
    pub secret: String,
    /// The token.
    pub token: ApiToken,
}

/// A rule as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RuleDetail {
    /// The rule.
    #[serde(flatten)]
    pub rule: Rule,
    /// What it says to whoever is refused.
    pub message: String,
    /// The standards that it serves.
    pub standards: Vec<String>,
    /// How many of the kept requests it refused.
    pub refused: u64,
    /// Whether every server has it, as it is.
    #[serde(default)]
    pub is_built_in: bool,
}

/// Write a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RuleRequest {
    /// One Cedar policy that begins with `forbid`.
    pub text: String,
}

/// What would have come of the kept requests if a rule had been in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RuleTrial {
    /// The rule.
    pub rule: RuleName,
    /// So many requests were looked at.
    pub looked_at: u64,
    /// The oldest of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Those that would have been refused and were not, newest first, with why.
    pub newly_refused: Vec<AccessDecision>,
    /// Those that would have been allowed and were refused, newest first, with why they were.
    pub newly_allowed: Vec<AccessDecision>,
}
