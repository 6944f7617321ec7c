//! The one place where what went wrong becomes what a caller is told.
//!
//! A caller learns what it can act upon. What happened inside (paths, queries, causes) goes into
//! the log under a number, and the caller gets the number.

use std::error::Error;
use std::fmt::Write as _;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use gofleet_api::problem::PROBLEM_JSON;
use gofleet_api::{Problem, ProblemCode};
use gofleet_core::rollout::PlanError;
use gofleet_depot::archive::ArchiveError;
use gofleet_storage::{EnrolError, ImportError, StartError, StorageError};
use tracing::error;

/// Why a request has no good answer.
#[derive(Debug, Clone)]
pub struct Failure(Box<Problem>);

/// What handlers return.
pub type Answer<T> = Result<T, Failure>;

impl Failure {
    /// A failure that is the caller's business.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self(Box::new(Problem::new(code, detail)))
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self(Box::new(self.0.with_hint(hint)))
    }

    /// No such thing.
    pub fn not_found(what: &str, id: impl std::fmt::Display) -> Self {
        Self::new(ProblemCode::NotFound, format!("there is no {what} `{id}`"))
    }

    /// A failure that is not the caller's business: logged in full, told as a number.
    pub fn internal(doing: &str, source: &(dyn Error + 'static)) -> Self {
        let instance = incident();
        error!(instance, error = %chain(source), "{doing} failed");
        let mut problem = Problem::new(
            ProblemCode::Internal,
            format!("{doing} failed; the server's log says why under {instance}"),
        );
        problem.instance = Some(instance);
        Self(Box::new(problem))
    }

    /// The audit log could not be told of a change, which was not made.
    fn unaudited(source: &(dyn Error + 'static)) -> Self {
        let instance = incident();
        error!(instance, error = %chain(source), "a change was refused");
        let detail = "the audit log cannot be written, so nothing was changed";
        let mut problem = Problem::new(ProblemCode::AuditUnavailable, detail).with_hint(
            "reading and the emergency stop go on; make room on the server's disk or repair its \
             database: its log says why under the number below",
        );
        problem.instance = Some(instance);
        Self(Box::new(problem))
    }

    /// A file of the server's could not be written or read.
    pub fn io(doing: &str, source: &std::io::Error) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        if matches!(source.kind(), StorageFull | QuotaExceeded) {
            error!(error = %source, "{doing} failed");
            return Self::new(
                ProblemCode::DiskFull,
                format!("{doing} failed: no room on the server's disk; nothing was changed"),
            )
            .with_hint("make room in the server's data folder, then try again");
        }
        Self::internal(doing, source)
    }

    /// What the caller is told.
    pub fn problem(&self) -> &Problem {
        &self.0
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::UnknownDevice(id) => Self::not_found("device", id),
            StorageError::UnknownEdge(id) => Self::not_found("distribution point", id),
            StorageError::Revoked(_) => Self::new(ProblemCode::Revoked, error.to_string())
                .with_hint("that is for good: the machine enrols again, with a new key"),
            StorageError::UnknownHold(id) => {
                Self::not_found("hold", id).with_hint("`gofleet hold list` shows those that hold")
            }
            StorageError::UnknownCollection(name) => Self::not_found("collection", name)
                .with_hint("`gofleet collection list` shows those that there are"),
            StorageError::CollectionInUse { .. } => {
                Self::new(ProblemCode::Conflict, error.to_string())
                    .with_hint("end what uses it first, or write it for other devices")
            }
            StorageError::UnknownAccount(name) => Self::not_found("account", name)
                .with_hint("`gofleet account list` shows those that there are"),
            StorageError::AccountTaken(_) => Self::new(ProblemCode::Conflict, error.to_string())
                .with_hint("choose another name, or change it: `gofleet account set`"),
            StorageError::UnknownApiToken(id) => Self::not_found("API token", id)
                .with_hint("`gofleet api-token list` shows your own"),
            StorageError::UnknownRule(name) => Self::not_found("rule", name)
                .with_hint("`gofleet rule list` shows those that there are"),
            StorageError::UnknownRelease(id) => Self::not_found("release", id),
            StorageError::UnknownRollout(id) => Self::not_found("rollout", id),
            StorageError::Audit { .. } => Self::unaudited(&error),
            StorageError::Database { .. } | StorageError::Corrupt { .. } => {
                Self::internal("using the database", &error)
            }
        }
    }
}

impl From<EnrolError> for Failure {
    fn from(error: EnrolError) -> Self {
        let code = match error {
            EnrolError::UnknownToken => ProblemCode::TokenUnknown,
            EnrolError::Used { .. } => ProblemCode::TokenUsed,
            EnrolError::Expired { .. } => ProblemCode::TokenExpired,
            EnrolError::OutOfScope(_) => ProblemCode::TokenOutOfScope,
            EnrolError::Revoked => {
                return Self::new(ProblemCode::Revoked, error.to_string()).with_hint(
                    "if the machine may come back, delete `credential` and `key.pem` in its \
                     agent's folder: with a new key it is a new device",
                );
            }
            EnrolError::Storage(error) => return error.into(),
        };
        Self::new(code, error.to_string())
            .with_hint("ask an administrator for another one: `gofleet token create`")
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Conflict { .. } => Self::new(ProblemCode::Conflict, error.to_string())
                .with_hint("one of the two is not the official archive: compare their digests"),
            ImportError::Cycle { .. } => Self::new(ProblemCode::Conflict, error.to_string())
                .with_hint("have one of them require an earlier version, or none"),
            ImportError::Decided { .. } => Self::new(ProblemCode::Conflict, error.to_string())
                .with_hint(
                    "what a release asks for is said before it is approved: import another version",
                ),
            ImportError::Storage(error) => error.into(),
        }
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        if let ArchiveError::Read(source) = &error {
            return Self::io("reading the archive", source);
        }
        Self::new(
            ProblemCode::InvalidArchive,
            format!("the archive cannot be imported: {}", chain(&error)),
        )
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        let text = error.to_string();
        match error {
            PlanError::NotApproved { release, .. } => {
                Self::new(ProblemCode::ReleaseNotApproved, text)
                    .with_hint(format!("`gofleet release approve {release}`"))
            }
            PlanError::UnknownRelease { .. } => Self::new(ProblemCode::InvalidRollout, text)
                .with_hint("import it: `gofleet release import`"),
            PlanError::EmptyFleet => Self::new(ProblemCode::InvalidRollout, text)
                .with_hint("enrol one: `gofleet token create`, then `gofleet agent run` there"),
            PlanError::Unfulfilled { .. } => Self::new(ProblemCode::InvalidRollout, text)
                .with_hint("roll out what is missing first, or another version"),
            PlanError::Spec(_)
            | PlanError::EmptyCollection { .. }
            | PlanError::NothingToDo { .. }
            | PlanError::EmptyRing { .. }
            | PlanError::GateOutOfReach { .. }
            | PlanError::RateOutOfReach { .. } => Self::new(ProblemCode::InvalidRollout, text),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let code = match error {
            StartError::NameTaken { .. } | StartError::DeviceBusy { .. } => ProblemCode::Conflict,
            StartError::NotApproved { .. } => ProblemCode::ReleaseNotApproved,
            StartError::Storage(error) => return error.into(),
        };
        Self::new(code, error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).expect("a problem has only text and numbers");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// An error with its causes, as one line of the log.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _infallible = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

/// A number that finds a line in the log.
fn incident() -> String {
    format!("incident-{}", &crate::secret::random_hex()[..12])
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn what_happened_inside_is_not_told() {
        let source = io::Error::new(io::ErrorKind::PermissionDenied, "/secret/path");
        let failure = Failure::io("saving the archive", &source);
        let told = serde_json::to_string(failure.problem()).unwrap();
        assert!(!told.contains("secret"), "{told}");
        assert!(failure.problem().instance.as_deref().unwrap().starts_with("incident-"));
    }

    #[test]
    fn a_full_disk_is_said_in_plain_words() {
        let failure = Failure::io("saving", &io::ErrorKind::StorageFull.into());
        assert_eq!(failure.problem().code, ProblemCode::DiskFull);
        assert_eq!(failure.problem().status, 507);
    }
}
