//! Signed metadata: reading it, which anybody may, and bringing what was signed elsewhere.

use std::time::Duration;

use reqwest::{Method, StatusCode};

use super::{Client, ClientError, REQUEST_TIMEOUT};
use crate::types::{ImportTrust, SealedOrder, TrustKeys, TrustView};

impl Client {
    /// A file of metadata, as far as `limit` bytes and a little more; none if there is none.
    ///
    /// # Errors
    ///
    /// [`ClientError`]
    pub async fn trust_metadata(
        &self,
        name: &str,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, ClientError> {
        let request = self.request(Method::GET, &format!("/trust/metadata/{name}"));
        let mut response = match self.send(request.timeout(REQUEST_TIMEOUT)).await {
            Err(ClientError::Problem(problem))
                if problem.status == StatusCode::NOT_FOUND.as_u16() =>
            {
                return Ok(None);
            }
            other => other?,
        };
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|source| self.failed(source))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > limit {
                break;
            }
        }
        Ok(Some(bytes))
    }

    /// The keys by which the server signs.
    ///
    /// # Errors
    ///
    /// [`ClientError`]
    pub async fn trust_keys(&self) -> Result<TrustKeys, ClientError> {
        self.ask(Method::GET, "/trust/keys").await
    }

    /// Whether releases need signatures, and whose.
    ///
    /// # Errors
    ///
    /// [`ClientError`]
    pub async fn trust(&self) -> Result<TrustView, ClientError> {
        self.ask(Method::GET, "/trust").await
    }

    /// Brings metadata that was signed elsewhere.
    ///
    /// # Errors
    ///
    /// [`ClientError::Problem`] if too few have signed, or it does not follow what holds today.
    pub async fn import_trust(&self, request: &ImportTrust) -> Result<TrustView, ClientError> {
        self.tell("/trust", request).await
    }

    /// As [`order`](Self::order), with the server's signature.
    ///
    /// # Errors
    ///
    /// [`ClientError`]
    pub async fn sealed_order(
        &self,
        after: Option<u64>,
        wait: Duration,
    ) -> Result<Option<SealedOrder>, ClientError> {
        self.ask_for_order(after, wait).await
    }
}
