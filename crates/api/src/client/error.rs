//! What can go wrong between a client and its server, in words that a user can act upon.

use std::path::PathBuf;

use thiserror::Error;

use crate::{Problem, ProblemCode, trust};

/// Why a request had no good answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The text is no address of a server.
    #[error("not a server's address: `{server}`")]
    InvalidServer {
        /// The text.
        server: String,
    },
    /// TLS cannot be set up on this machine.
    #[error("TLS cannot be set up")]
    Tls {
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The certificate or the key that this machine authenticates with cannot be used.
    #[error("the certificate of this machine cannot be used")]
    Credential {
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// Something answered that cannot show that it is the server.
    #[error("{server} cannot show that it is the server that was meant: {reason}")]
    Untrusted {
        /// The server's address.
        server: String,
        /// What is wrong with its certificate.
        reason: String,
        /// Whether it is only that the certificate is not good at this time.
        is_time: bool,
    },
    /// No connection came about.
    #[error("the server at {server} cannot be reached")]
    Unreachable {
        /// The server's address.
        server: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The answer did not come in time.
    #[error("the server at {server} did not answer in time")]
    TimedOut {
        /// The server's address.
        server: String,
    },
    /// The connection broke.
    #[error("the connection to the server at {server} broke off")]
    Interrupted {
        /// The server's address.
        server: String,
        /// Why.
        #[source]
        source: Option<reqwest::Error>,
    },
    /// The server said why not.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// What answered is not a gofleet server.
    #[error("{server} answered with status {status}, but not as a gofleet server does")]
    NotGofleet {
        /// The server's address.
        server: String,
        /// The HTTP status.
        status: u16,
    },
    /// The answer has not the form that this program expects.
    #[error("the answer of the server at {server} cannot be read")]
    Unintelligible {
        /// The server's address.
        server: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The file to upload cannot be read.
    #[error("{} cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl ClientError {
    /// What the HTTP library's error means.
    pub(crate) fn of_transport(server: &str, source: reqwest::Error) -> Self {
        let server = server.to_owned();
        if let Some(error) = trust::certificate_error(&source) {
            use rustls::CertificateError as Wrong;
            let is_time = matches!(
                error,
                rustls::Error::InvalidCertificate(
                    Wrong::Expired
                        | Wrong::ExpiredContext { .. }
                        | Wrong::NotValidYet
                        | Wrong::NotValidYetContext { .. }
                )
            );
            Self::Untrusted { server, reason: error.to_string(), is_time }
        } else if source.is_timeout() && !source.is_connect() {
            Self::TimedOut { server }
        } else if source.is_connect() {
            Self::Unreachable { server, source: source.without_url() }
        } else {
            Self::Interrupted { server, source: Some(source.without_url()) }
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::InvalidServer { .. } => {
                Some("write it with its scheme, like http://127.0.0.1:8470".to_owned())
            }
            Self::Unreachable { server, .. } => Some(format!(
                "is the server running (`gofleet server`), and is {server} its address \
                 (`--server`, GOFLEET_SERVER)?"
            )),
            Self::Untrusted { is_time: true, .. } => Some(
                "compare the clock of this machine with the server's: a certificate is good for \
                 a time"
                    .to_owned(),
            ),
            Self::Untrusted { .. } => Some(
                "a new token tells of the server's authority; is the address one of the server's \
                 names (its setting `tls_names`), and does no proxy stand in between?"
                    .to_owned(),
            ),
            Self::TimedOut { .. } | Self::Interrupted { .. } => {
                Some("try again; if it stays so, look into the server's log".to_owned())
            }
            Self::NotGofleet { .. } => {
                Some("check the address, and whether a proxy stands in between".to_owned())
            }
            Self::Unintelligible { .. } => {
                Some("compare `gofleet --version` here with that of the server".to_owned())
            }
            Self::Problem(problem) => problem.hint.clone(),
            Self::Tls { .. } | Self::Credential { .. } | Self::File { .. } => None,
        }
    }

    /// What the server said, if it was the server that refused.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }

    /// The kind of problem, if it was the server that refused.
    pub fn code(&self) -> Option<ProblemCode> {
        self.problem().map(|problem| problem.code)
    }

    /// Whether the same request may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Untrusted { .. }
            | Self::TimedOut { .. }
            | Self::Interrupted { .. } => true,
            Self::NotGofleet { status, .. } => *status == 429 || *status >= 500,
            Self::Problem(problem) => problem.status == 429 || problem.status >= 500,
            Self::InvalidServer { .. }
            | Self::Tls { .. }
            | Self::Credential { .. }
            | Self::Unintelligible { .. }
            | Self::File { .. } => false,
        }
    }
}
