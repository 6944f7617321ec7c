//! What whoever audits the server asks of it.

use std::collections::VecDeque;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use reqwest::Method;

use super::{Client, ClientError, REQUEST_TIMEOUT};
use crate::types::{AuditEntry, AuditHead};

/// The longest line of an export that is read: an entry has a few hundred bytes.
const MAX_LINE_BYTES: usize = 1 << 20;

/// The lines of an export, oldest first, as they come.
pub struct AuditLines {
    client: Client,
    chunks: Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>,
    partial: Vec<u8>,
    ready: VecDeque<Vec<u8>>,
}

impl Client {
    /// Entries of the audit log, newest first: at most `limit`, those before the entry `before` if
    /// given, of this actor and with this action unless they are empty.
    ///
    /// # Errors
    ///
    /// [`ClientError`]
    pub async fn audit_entries(
        &self,
        limit: u32,
        before: Option<u64>,
        actor: &str,
        action: &str,
    ) -> Result<Vec<AuditEntry>, ClientError> {
        let mut request = self.request(Method::GET, "/audit").timeout(REQUEST_TIMEOUT);
        request = request.query(&[("limit", limit)]).query(&[("actor", actor), ("action", action)]);
        if let Some(before) = before {
            request = request.query(&[("before", before)]);
        }
        let response = self.send(request).await?;
        self.read(response).await
    }

    /// How far the audit log goes, signed.
    ///
    /// # Errors
    ///
    /// [`ClientError`]
    pub async fn audit_head(&self) -> Result<AuditHead, ClientError> {
        self.ask(Method::GET, "/audit/head").await
    }

    /// The audit log after the entry `after`, line by line as it is verified.
    ///
    /// # Errors
    ///
    /// [`ClientError`] if the server refuses or cannot be reached.
    pub async fn audit_lines(&self, after: u64) -> Result<AuditLines, ClientError> {
        let request = self.request(Method::GET, "/audit/export").query(&[("after", after)]);
        let response = self.send(request).await?;
        Ok(AuditLines {
            client: self.clone(),
            chunks: Box::pin(response.bytes_stream()),
            partial: Vec::new(),
            ready: VecDeque::new(),
        })
    }
}

impl AuditLines {
    /// The next line, without its end; none after the last.
    ///
    /// # Errors
    ///
    /// [`ClientError`] if the connection breaks: what came until then is not the whole log.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Ok(Some(line));
            }
            let Some(chunk) = self.chunks.next().await else {
                // A line without an end is told as it is: a verification finds it.
                let rest = std::mem::take(&mut self.partial);
                return Ok((!rest.is_empty()).then_some(rest));
            };
            self.feed(&chunk.map_err(|source| self.client.failed(source))?)?;
        }
    }

    fn feed(&mut self, chunk: &[u8]) -> Result<(), ClientError> {
        let mut rest = chunk;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let mut line = std::mem::take(&mut self.partial);
            line.extend(&rest[..end]);
            self.ready.push_back(line);
            rest = &rest[end + 1..];
        }
        self.partial.extend(rest);
        if self.partial.len() > MAX_LINE_BYTES {
            let server = self.client.server().to_owned();
            return Err(ClientError::Interrupted { server, source: None });
        }
        Ok(())
    }
}
