//! The blast radius: how much of the fleet may be in flight or broken at once, over all rollouts
//! together. Each rollout has its own `max_in_flight`; ten rollouts at a time have ten of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{DeviceView, RolloutView};
use crate::guard::{Guard, permits};
use crate::order::Step;
use crate::statistics::Share;

/// How many devices may be in flight or broken at once. In text a number like `500`, or a share
/// of the fleet like `5%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum BlastRadius {
    /// So many.
    Devices(u32),
    /// Such a part of all devices; one at least.
    Share(Share),
}

/// The text is neither a number of devices nor a share.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("neither a number of devices like `500` nor a share of them like `5%`: `{0}`")]
pub struct InvalidBlastRadius(String);

impl BlastRadius {
    /// How many that are of a fleet of so many.
    pub fn of(self, fleet: u64) -> u32 {
        match self {
            Self::Devices(devices) => devices,
            Self::Share(share) => {
                let devices = (fleet as f64 * share.as_f64()).floor() as u32;
                devices.max(1)
            }
        }
    }
}

impl FromStr for BlastRadius {
    type Err = InvalidBlastRadius;

    fn from_str(text: &str) -> Result<Self, InvalidBlastRadius> {
        let devices = text.parse().ok().filter(|devices| *devices > 0).map(Self::Devices);
        let share = || text.parse().ok().map(Self::Share);
        devices.or_else(share).ok_or_else(|| InvalidBlastRadius(text.to_owned()))
    }
}

impl fmt::Display for BlastRadius {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Devices(devices) => write!(formatter, "{devices}"),
            Self::Share(share) => write!(formatter, "{share}"),
        }
    }
}

impl TryFrom<String> for BlastRadius {
    type Error = InvalidBlastRadius;

    fn try_from(text: String) -> Result<Self, InvalidBlastRadius> {
        text.parse()
    }
}

impl From<BlastRadius> for String {
    fn from(radius: BlastRadius) -> Self {
        radius.to_string()
    }
}

/// What a rollout needs to know of all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exposure {
    /// How many devices may be in flight or broken at once.
    pub max: u32,
    /// How many are, in other rollouts.
    pub elsewhere: u32,
}

impl DeviceView {
    /// Whether it is in flight or broken, and no person has accepted that.
    pub fn is_exposed(&self) -> bool {
        let is_broken = self.step == Step::Quarantined && self.superseded_by.is_none();
        self.takes_a_place() || is_broken && !self.is_waived
    }

    /// Whether it takes room for good: nothing more is expected of it, and only a person's word
    /// lets others have its place.
    pub(super) fn blocks(&self) -> bool {
        self.is_exposed() && self.is_settled()
    }
}

impl RolloutView {
    /// How many more devices may be ordered before the blast radius is full.
    pub fn room(&self) -> u32 {
        let Some(Exposure { max, elsewhere }) = self.exposure else { return u32::MAX };
        if permits(Guard::BlastRadius, false) {
            return u32::MAX;
        }
        let here = self.devices.iter().filter(|device| device.is_exposed()).count() as u32;
        max.saturating_sub(elsewhere).saturating_sub(here)
    }
}
