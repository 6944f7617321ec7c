//! The event stream (server-sent events, WHATWG HTML section 9.2), connected again by itself.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use reqwest::{Method, header};

use super::{Client, ClientError};
use crate::types::Event;

/// The server sends at least a heartbeat every 15 s: after three missed ones the line is dead.
const SILENCE_LIMIT: Duration = Duration::from_secs(45);
/// How long to wait before connecting again: 0.25 s, 0.5 s, 1 s, 2 s, 4 s; then it is an error.
const FIRST_DELAY: Duration = Duration::from_millis(250);
const MAX_ATTEMPTS: u32 = 6;
/// Longest line that is kept while its end has not come.
const MAX_LINE_BYTES: usize = 1 << 20;

type Chunks = Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>;

/// The events of a server, in order, none left out.
pub struct EventStream {
    client: Client,
    after: Option<u64>,
    chunks: Option<Chunks>,
    lines: Lines,
    ready: VecDeque<Event>,
}

impl Client {
    /// The events after the given sequence, or from now on.
    pub fn events(&self, after: Option<u64>) -> EventStream {
        EventStream {
            client: self.clone(),
            after,
            chunks: None,
            lines: Lines::default(),
            ready: VecDeque::new(),
        }
    }
}

impl EventStream {
    /// Connects now, if it is not connected: what happens after this returns will be told.
    ///
    /// # Errors
    ///
    /// [`ClientError`] if the server refuses or cannot be reached.
    pub async fn connect(&mut self) -> Result<(), ClientError> {
        if self.chunks.is_none() {
            let mut request = self.client.request(Method::GET, "/events");
            if let Some(sequence) = self.after {
                request = request.header("last-event-id", sequence);
            }
            let request = request.header(header::ACCEPT, "text/event-stream");
            let response = self.client.send(request).await?;
            self.lines = Lines::default();
            self.chunks = Some(Box::pin(response.bytes_stream()));
        }
        Ok(())
    }

    /// The next event. A broken connection is taken up again where it broke.
    ///
    /// # Errors
    ///
    /// [`ClientError`] once the server refuses or stays out of reach for about eight seconds; the
    /// next call tries again.
    pub async fn next(&mut self) -> Result<Event, ClientError> {
        let mut attempts = 0;
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.after = Some(event.sequence);
                return Ok(event);
            }
            let failure = match self.connect().await {
                Ok(()) => match self.receive().await {
                    Ok(()) => {
                        attempts = 0;
                        continue;
                    }
                    Err(error) => error,
                },
                Err(error) => error,
            };
            self.chunks = None;
            attempts += 1;
            if !failure.is_transient() || attempts == MAX_ATTEMPTS {
                return Err(failure);
            }
            tokio::time::sleep(FIRST_DELAY * 2u32.pow(attempts - 1)).await;
        }
    }

    /// Takes in one chunk of the stream.
    async fn receive(&mut self) -> Result<(), ClientError> {
        let server = || self.client.server().to_owned();
        let chunks = self.chunks.as_mut().expect("receive is called after connect");
        let chunk = tokio::time::timeout(SILENCE_LIMIT, chunks.next())
            .await
            .map_err(|_| ClientError::TimedOut { server: server() })?
            .ok_or_else(|| ClientError::Interrupted { server: server(), source: None })?
            .map_err(|source| self.client.failed(source))?;
        for data in self.lines.feed(&chunk) {
            let event = serde_json::from_str(&data)
                .map_err(|source| ClientError::Unintelligible { server: server(), source })?;
            self.ready.push_back(event);
        }
        Ok(())
    }
}

/// Cuts a byte stream into the `data` of its events.
#[derive(Default)]
struct Lines {
    partial: Vec<u8>,
    data: String,
}

impl Lines {
    /// The data of each event that `chunk` completes.
    fn feed(&mut self, chunk: &[u8]) -> Vec<String> {
        let mut complete = Vec::new();
        for &byte in chunk {
            if byte == b'\n' {
                let line = std::mem::take(&mut self.partial);
                complete.extend(self.line(String::from_utf8_lossy(&line).trim_end_matches('\r')));
            } else if self.partial.len() < MAX_LINE_BYTES {
                self.partial.push(byte);
            }
        }
        complete
    }

    /// Takes in one line; an empty one ends an event.
    fn line(&mut self, line: &str) -> Option<String> {
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            return (!data.is_empty()).then_some(data);
        }
        if let Some(data) = line.strip_prefix("data:") {
            if !self.data.is_empty() {
                self.data.push('\n');
            }
            self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(chunks: &[&str], expect: &[&str]) {
        let mut lines = Lines::default();
        let data: Vec<String> =
            chunks.iter().flat_map(|chunk| lines.feed(chunk.as_bytes())).collect();
        assert_eq!(data, expect, "{chunks:?}");
    }

    #[test]
    fn events_are_cut_wherever_the_network_cuts() {
        check(&["id: 1\nevent: a\ndata: {\"x\":1}\n\n"], &["{\"x\":1}"]);
        check(&["id: 1\r\nda", "ta:a", "b\r\n", "\r\ndata: c\n", "\n"], &["ab", "c"]);
        check(&[": heartbeat\n\n", "data: a\ndata: b\n\n"], &["a\nb"]);
        check(&["data: unfinished\n"], &[]);
    }
}
