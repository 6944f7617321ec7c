//! What the event stream tells.

use gofleet_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One change of the server's state. On the stream, `id:` is the sequence and `event:` the kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Event {
    /// Grows with each event; has no gaps that matter to a reader.
    pub sequence: u64,
    /// When it happened, by the server's clock.
    pub at: Timestamp,
    /// What kind of change, like `device.enrolled`.
    pub kind: String,
    /// What changed.
    pub data: serde_json::Value,
}
