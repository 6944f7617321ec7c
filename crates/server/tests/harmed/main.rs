//! What the server and distribution points read before they know who asks, harmed: raw requests,
//! enrolments, requests for certificates, certificates in the handshake; and what devices send.
//! Nothing fails by the server's own fault, and no harm makes a caller somebody else.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod certificates;
#[path = "../../../../fuzz/harness.rs"]
mod harness;
mod requests;
#[path = "../server/support.rs"]
#[expect(dead_code, reason = "others use the rest")]
mod support;
mod tokens;

/// Seconds for each.
const SECONDS: u64 = 3;
