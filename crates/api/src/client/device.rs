//! What an agent asks of the server.

use std::time::Duration;

use gofleet_core::order::{Order, Report};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;

use super::{Client, ClientError, REQUEST_TIMEOUT};
use crate::types::{
    EnrolRequest, EnrolResponse, IssuedCertificate, RenewalRequest, WaysAnswer, WaysRequest,
};

impl Client {
    /// Makes this machine a device of the fleet; uses the token up.
    ///
    /// # Errors
    ///
    /// [`ClientError::Problem`] with a code that says whether the token is unknown, used or
    /// expired.
    pub async fn enrol(&self, request: &EnrolRequest) -> Result<EnrolResponse, ClientError> {
        self.tell("/enrol", request).await
    }

    /// A new certificate for the same key.
    ///
    /// # Errors
    ///
    /// [`ClientError`]
    pub async fn renew(&self, request: &RenewalRequest) -> Result<IssuedCertificate, ClientError> {
        self.tell("/agent/certificate", request).await
    }

    /// The latest order, if its generation is higher than `after`; waits up to `wait` for one
    /// (the server cuts that at [`MAX_WAIT_SECS`](crate::MAX_WAIT_SECS)).
    ///
    /// # Errors
    ///
    /// [`ClientError`]
    pub async fn order(
        &self,
        after: Option<u64>,
        wait: Duration,
    ) -> Result<Option<Order>, ClientError> {
        self.ask_for_order(after, wait).await
    }

    pub(super) async fn ask_for_order<Answer: DeserializeOwned>(
        &self,
        after: Option<u64>,
        wait: Duration,
    ) -> Result<Option<Answer>, ClientError> {
        let mut request = self
            .request(Method::GET, "/agent/order")
            .query(&[("wait", wait.as_secs())])
            .timeout(REQUEST_TIMEOUT + wait);
        if let Some(generation) = after {
            request = request.query(&[("after", generation)]);
        }
        let response = self.send(request).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        self.read(response).await.map(Some)
    }

    /// Reports; doing so twice is as good as once.
    ///
    /// # Errors
    ///
    /// [`ClientError`]
    pub async fn report(&self, report: &Report) -> Result<(), ClientError> {
        let request = self.request(Method::POST, "/agent/report").json(report);
        self.send(request.timeout(REQUEST_TIMEOUT)).await.map(drop)
    }

    /// How to get a release, cheapest way first.
    ///
    /// # Errors
    ///
    /// [`ClientError`]
    pub async fn ways(&self, request: &WaysRequest) -> Result<WaysAnswer, ClientError> {
        self.tell("/agent/ways", request).await
    }
}
