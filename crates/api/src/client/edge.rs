//! What a distribution point asks of its server.

use gofleet_core::digest::Digest;
use gofleet_core::edge::EdgeReport;
use reqwest::{Method, StatusCode, header};

use super::{Client, ClientError, REQUEST_TIMEOUT};
use crate::types::{EnrolEdgeRequest, EnrolEdgeResponse, IssuedCertificate, RenewalRequest};

impl Client {
    /// Makes this machine a distribution point; uses the token up.
    ///
    /// # Errors
    ///
    /// [`ClientError::Problem`] with a code that says whether the token is unknown, used or
    /// expired.
    pub async fn enrol_edge(
        &self,
        request: &EnrolEdgeRequest,
    ) -> Result<EnrolEdgeResponse, ClientError> {
        self.tell("/edge/enrol", request).await
    }

    /// A new certificate for the same key.
    ///
    /// # Errors
    ///
    /// [`ClientError`]
    pub async fn renew_edge(
        &self,
        request: &RenewalRequest,
    ) -> Result<IssuedCertificate, ClientError> {
        self.tell("/edge/certificate", request).await
    }

    /// Tells how it goes; doing so twice is as good as once.
    ///
    /// # Errors
    ///
    /// [`ClientError`]
    pub async fn edge_report(&self, report: &EdgeReport) -> Result<(), ClientError> {
        let request = self.request(Method::POST, "/edge/report").json(report);
        self.send(request.timeout(REQUEST_TIMEOUT)).await.map(drop)
    }

    /// The size of an artifact in bytes; none if the server has no such artifact.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the answer to a question for headers has no body that would say why.
    pub async fn artifact_size(&self, sha256: &Digest) -> Result<Option<u64>, ClientError> {
        let request = self.request(Method::HEAD, &format!("/artifacts/{sha256}"));
        let response = request.timeout(REQUEST_TIMEOUT).send().await;
        let response = response.map_err(|source| self.failed(source))?;
        let length = response.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        match (response.status(), length) {
            (StatusCode::OK, Some(length)) => Ok(Some(length)),
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, _) => Err(self.not_gofleet(status)),
        }
    }
}
