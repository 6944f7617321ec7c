//! What is told to a hook of the administrator's when a device is put into quarantine or let in
//! again, so that a CI agent gets no more jobs, and gets them again; and when one is not, since too
//! many are anomalous, so that a person looks.
//!
//! A call is told at least once, and for one device in the order in which things happened. One
//! that fails is tried again with growing waits, and given up in the end.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::anomaly::Withheld;
use crate::hold::QuarantineCause;
use crate::ids::DeviceId;
use crate::release::Platform;
use crate::time::{Span, Timestamp};

/// How often a call is tried: five times after the first, over some five minutes.
const ATTEMPTS: u32 = 6;
/// The wait after the first attempt; each further one is twice as long.
const FIRST_WAIT: Span = Span::from_secs(10);

/// How long to wait after so many attempts; none when it is given up.
pub const fn wait_after(attempts: u32) -> Option<Span> {
    match attempts {
        0 => Some(Span::ZERO),
        ATTEMPTS.. => None,
        attempts => Some(Span::from_millis(FIRST_WAIT.as_millis() << (attempts - 1))),
    }
}

/// What happened to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum HookEvent {
    /// It was put into quarantine: it is to be given no more work.
    Drain,
    /// It was let in again.
    Return,
    /// It fires a rule and stays: so many of its class are anomalous that it is not the devices.
    /// There is nothing to drain; a person is to be told.
    Withheld,
}

impl HookEvent {
    /// As text, like in a call.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Return => "return",
            Self::Withheld => "withheld",
        }
    }
}

/// Who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum HookTarget {
    /// A program on the server's machine.
    Command,
    /// An address.
    Webhook,
}

impl HookTarget {
    /// As text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Webhook => "webhook",
        }
    }
}

/// What a hook is told, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookCall {
    /// Names the call: one that is told twice has the same.
    pub id: String,
    /// What happened.
    pub event: HookEvent,
    /// When, by the server's clock.
    pub at: Timestamp,
    /// To which device.
    pub device: DeviceId,
    /// Its host name.
    pub hostname: String,
    /// Its platform.
    pub platform: Platform,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it is, was, or would be in quarantine for, in words.
    pub reason: String,
    /// The same for programs.
    pub cause: QuarantineCause,
    /// How many are anomalous, where it is not put into quarantine for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<Withheld>,
}

/// How it goes with a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HookDelivery {
    /// Names the call.
    pub id: String,
    /// What happened.
    pub event: HookEvent,
    /// Who is told.
    pub target: HookTarget,
    /// When it happened.
    pub at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// How it stands.
    pub state: DeliveryState,
    /// What went wrong the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// How a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It will be tried, perhaps again.
    Pending,
    /// It was told.
    Delivered,
    /// It failed as often as it may.
    GivenUp,
}

impl fmt::Display for HookDelivery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { event, target, at, attempts, state, failure, .. } = self;
        write!(formatter, "{} of {at} by {}: ", event.as_str(), target.as_str())?;
        let times = if *attempts == 1 { "attempt" } else { "attempts" };
        match state {
            DeliveryState::Delivered => return formatter.write_str("done"),
            DeliveryState::Pending if *attempts == 0 => formatter.write_str("is due"),
            DeliveryState::Pending => {
                write!(formatter, "to be tried again after {attempts} {times}")
            }
            DeliveryState::GivenUp => write!(formatter, "given up after {attempts} {times}"),
        }?;
        failure.as_ref().map_or(Ok(()), |failure| write!(formatter, ": {failure}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let waits: Vec<_> = (0..8).map_while(wait_after).map(|span| span.to_string()).collect();
        assert_eq!(waits, ["0s", "10s", "20s", "40s", "1m 20s", "2m 40s"]);
    }
}
