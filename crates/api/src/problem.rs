//! The one error body of the API: problem details (RFC 9457).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The media type of [`Problem`] (RFC 9457, section 3).
pub const PROBLEM_JSON: &str = "application/problem+json";

/// What went wrong with a request, for people and for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Problem {
    /// Names the kind of problem (RFC 9457, section 3.1.1): `urn:gofleet:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong this time.
    pub detail: String,
    /// The kind of problem for programs.
    pub code: ProblemCode,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Names the line in the server's log that holds what is not told here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal, $title:literal;)+) => {
        /// Kinds of problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        pub enum ProblemCode {
            $($(#[$doc])* #[serde(rename = $text)] $name,)+
            /// A kind that this program is too old to know.
            #[serde(other, rename = "unknown")]
            Unknown,
        }

        impl ProblemCode {
            /// As text, like in the API.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ Self::Unknown => "unknown" }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)+ Self::Unknown => 500 }
            }

            /// In words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ Self::Unknown => "Unknown problem" }
            }
        }
    };
}

codes! {
    /// The request cannot be read, or breaks a rule that its text must keep.
    InvalidRequest = "invalid_request", 400, "The request is not valid";
    /// No credential, or one that the server does not know.
    Unauthenticated = "unauthenticated", 401, "Not logged in";
    /// The credential is known but does not allow this.
    Forbidden = "forbidden", 403, "Not allowed";
    /// The enrolment token is not known.
    TokenUnknown = "token_unknown", 403, "The enrolment token is not known";
    /// The enrolment token has been used.
    TokenUsed = "token_used", 403, "The enrolment token has been used";
    /// The enrolment token has expired.
    TokenExpired = "token_expired", 403, "The enrolment token has expired";
    /// The enrolment token is for other machines.
    TokenOutOfScope = "token_out_of_scope", 403, "The enrolment token is for other machines";
    /// The key was revoked.
    Revoked = "revoked", 403, "The key was revoked";
    /// There is no such thing.
    NotFound = "not_found", 404, "Not found";
    /// The path is there, but not for this method.
    MethodNotAllowed = "method_not_allowed", 405, "The method is not allowed here";
    /// The request took too long to arrive or to be answered.
    Timeout = "timeout", 408, "The request took too long";
    /// It does not fit the present state.
    Conflict = "conflict", 409, "Not possible in the present state";
    /// The release is not approved.
    ReleaseNotApproved = "release_not_approved", 409, "The release is not approved";
    /// The body is too large.
    TooLarge = "too_large", 413, "The body is too large";
    /// The body is not of a media type that is read here.
    UnsupportedMediaType = "unsupported_media_type", 415, "The media type is not supported";
    /// The range cannot be served.
    RangeNotSatisfiable = "range_not_satisfiable", 416, "The range cannot be served";
    /// The archive is not one that can be imported.
    InvalidArchive = "invalid_archive", 422, "The archive cannot be imported";
    /// The archive's digest is not the expected one.
    DigestMismatch = "digest_mismatch", 422, "The digest is not the expected one";
    /// The rollout cannot be planned.
    InvalidRollout = "invalid_rollout", 422, "The rollout cannot be planned";
    /// Something failed in the server.
    Internal = "internal", 500, "Something failed in the server";
    /// The server cannot do this just now.
    Unavailable = "unavailable", 503, "The server cannot do this just now";
    /// The audit log cannot be written, so nothing may be changed.
    AuditUnavailable = "audit_unavailable", 503, "The audit log cannot be written";
    /// The server's disk is full.
    DiskFull = "disk_full", 507, "The server's disk is full";
}

impl Problem {
    /// A problem of this kind.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:gofleet:problem:{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            code,
            hint: None,
            instance: None,
        }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.detail)?;
        match &self.instance {
            Some(instance) => write!(formatter, " (see {instance} in the server's log)"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_what_it_writes() {
        let problem = Problem::new(ProblemCode::TokenUsed, "used").with_hint("make another");
        let text = serde_json::to_string(&problem).unwrap();
        assert!(text.contains(r#""type":"urn:gofleet:problem:token_used""#), "{text}");
        assert_eq!(serde_json::from_str::<Problem>(&text).unwrap(), problem);
    }

    #[test]
    fn a_code_of_a_newer_server_is_read() {
        let code: ProblemCode = serde_json::from_str(r#""made_up_later""#).unwrap();
        assert_eq!(code, ProblemCode::Unknown);
    }
}
