//! The server's signature on an order, made apart from it and verified by whoever has a root of
//! trust.

use serde::{Deserialize, Serialize};

use crate::agent::Seen;
use crate::digest::Digest;
use crate::order::Order;
use crate::time::Timestamp;

/// A signature on an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Seal {
    /// Until when the order may be begun.
    pub expires_at: Timestamp,
    /// The key that signed, as the root of trust names it.
    pub keyid: String,
    /// Ed25519 over the [`statement`], in hexadecimal digits.
    pub signature: String,
}

/// What is signed.
#[derive(Serialize)]
struct Statement<'a> {
    /// So that no signature on anything else is taken for one on an order.
    #[serde(rename = "_type")]
    kind: &'static str,
    device: &'a str,
    epoch: u64,
    generation: u64,
    order: Digest,
    expires: Timestamp,
}

/// The bytes that a seal signs: for whom, under which number, which order (by its digest, which
/// covers all of it), until when.
pub fn statement(order: &Order, expires: Timestamp) -> Vec<u8> {
    let Seen { epoch, generation, digest } = Seen::of(order);
    let device = order.device.as_str();
    let kind = "gofleet-order";
    let statement = Statement { kind, device, epoch, generation, order: digest, expires };
    serde_json::to_vec(&statement).expect("a statement is made of strings and numbers")
}
