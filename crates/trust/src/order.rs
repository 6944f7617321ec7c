//! The server's seal on an order: making it, and verifying it by the keys that the root names.

use gofleet_core::order::Order;
use gofleet_core::seal::{Seal, statement};
use gofleet_core::time::Timestamp;
use thiserror::Error;

use crate::key::SecretKey;
use crate::metadata::Root;

/// Why an order is not obeyed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OrderError {
    /// Nobody signed it.
    #[error("the order is not signed: this device obeys signed orders only")]
    NotSealed,
    /// A key that the root does not name signed it, or another order or device than this was signed.
    #[error(
        "the order is not signed for this device by a key that the root of trust names for orders"
    )]
    NotByServer,
    /// Its time is over.
    #[error("the order has expired on {at}: the server must give it again, or this clock is wrong")]
    Expired {
        /// When.
        at: Timestamp,
    },
}

/// Signs an order.
pub fn seal(key: &SecretKey, order: &Order, expires_at: Timestamp) -> Seal {
    let signature = key.sign(&statement(order, expires_at));
    Seal { expires_at, keyid: key.public().id(), signature }
}

/// Whether a key that the root names for orders signed this very order, for this device.
///
/// # Errors
///
/// [`OrderError`], but for its time.
pub fn verify(root: &Root, order: &Order, seal: Option<&Seal>) -> Result<(), OrderError> {
    let seal = seal.ok_or(OrderError::NotSealed)?;
    let role = root.orders.as_ref().ok_or(OrderError::NotByServer)?;
    let key = root.keys.get(&seal.keyid).filter(|_| role.keyids.contains(&seal.keyid));
    let message = statement(order, seal.expires_at);
    let is_signed = key.is_some_and(|key| key.verifies(&message, &seal.signature));
    // One server seals: a root that asks for more than one signature asks for what there is not.
    if is_signed && role.threshold == 1 { Ok(()) } else { Err(OrderError::NotByServer) }
}

/// Whether the order may still be begun.
///
/// # Errors
///
/// [`OrderError::Expired`]
pub fn check_time(seal: &Seal, now: Timestamp) -> Result<(), OrderError> {
    let at = seal.expires_at;
    if now < at { Ok(()) } else { Err(OrderError::Expired { at }) }
}
