//! Logging in, enrolment tokens, health.

use gofleet_core::enrolment::Scope;
use gofleet_core::ids::AccountName;
use gofleet_core::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// Open a console session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(untagged, deny_unknown_fields)]
pub enum LoginRequest {
    /// With the administrator's token, or what stands in a login link.
    Token {
        /// The secret.
        token: String,
    },
    /// With a password.
    Password {
        /// The account.
        account: AccountName,
        /// Its password.
        password: String,
    },
}

/// A link that logs a browser in once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LoginLink {
    /// What stands behind the server's address: `/login?link=…`.
    pub path: String,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// Make an enrolment token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// For how long it is good; one hour if absent, thirty days at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<Span>,
    /// For whom it is, in the person's words.
    #[serde(default)]
    pub note: String,
    /// For which machines it is good; any if absent.
    #[serde(default)]
    pub scope: Scope,
}

/// A new enrolment token. Its text is told this once; the server keeps a hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NewToken {
    /// What a machine enrols with.
    pub token: String,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// An enrolment token, as administrators see it afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TokenView {
    /// Names the token without being of use to enrol.
    pub id: String,
    /// For whom it is, in the person's words.
    pub note: String,
    /// For which machines it is good.
    #[serde(default)]
    pub scope: Scope,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it is good.
    pub expires_at: Timestamp,
    /// The device or distribution point that used it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<String>,
}

/// The server is up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// The server's version.
    pub version: String,
}
