//! Why nothing can be planned, with what to do about it.

use std::collections::BTreeMap;

use thiserror::Error;

use super::super::{InvalidSpec, LeftOut};
use crate::ids::{PackageName, ReleaseId};
use crate::release::ReleaseStatus;
use crate::statistics::Share;

/// Why nothing can be planned.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PlanError {
    /// The specification has mistakes.
    #[error(transparent)]
    Spec(InvalidSpec),
    /// The catalog has no such version, for any platform.
    #[error("there is no release {package} {version} in the catalog; it has {}", list(.known))]
    UnknownRelease {
        /// The package.
        package: PackageName,
        /// The version.
        version: String,
        /// The versions of the package that there are.
        known: Vec<String>,
    },
    /// The version is there, but approved for no platform.
    #[error("release {} is not approved but {}; approve it first", .release, .status)]
    NotApproved {
        /// One of its releases.
        release: ReleaseId,
        /// What it is instead.
        status: ReleaseStatus,
    },
    /// No device is enrolled.
    #[error("no device is enrolled yet, so there is nobody to roll out to")]
    EmptyFleet,
    /// The selector picks nobody.
    #[error("`{selector}` picks none of the {devices} devices")]
    EmptyCollection {
        /// The rollout's selector.
        selector: String,
        /// Number of devices in the fleet.
        devices: usize,
    },
    /// Every device that is picked is left out.
    #[error("none of the {} picked devices would move: {}", .left_out.len(), reasons(.left_out))]
    NothingToDo {
        /// The devices with their reasons.
        left_out: Vec<LeftOut>,
    },
    /// No device that would move has the packages that its release asks for.
    #[error("no device has the packages that the release asks for: {}", counted(.chains))]
    Unfulfilled {
        /// The chains that show why, and of how many devices each is.
        chains: BTreeMap<String, usize>,
    },
    /// A ring that is to test the release has nobody to test it on.
    #[error(
        "ring `{ring}` ({size}) would have no device that moves, so it could not show anything: \
         give it a count, or a selector that picks someone"
    )]
    EmptyRing {
        /// The ring.
        ring: String,
        /// How it is defined.
        size: String,
    },
    /// A ring that can never pass its gate.
    #[error("ring `{ring}` has {devices} devices that move, but its gate asks for {min} successes")]
    GateOutOfReach {
        /// The ring.
        ring: String,
        /// Its devices.
        devices: usize,
        /// What its gate asks for.
        min: u32,
    },
    /// A ring that can't show its failure rate, with all before it.
    #[error(
        "ring `{ring}` and those before it have {devices} devices that move, and {fewest} are the \
         fewest that can show a failure rate under {rate} with {confidence} confidence: make the \
         ring larger, or the rate higher"
    )]
    RateOutOfReach {
        /// The ring.
        ring: String,
        /// Devices up to there.
        devices: usize,
        /// What the rate needs.
        fewest: u64,
        /// What its gate asks for.
        rate: Share,
        /// How sure it must be.
        confidence: Share,
    },
}

fn list(versions: &[String]) -> String {
    if versions.is_empty() { "none of it".to_owned() } else { versions.join(", ") }
}

fn reasons(left_out: &[LeftOut]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for device in left_out {
        *counts.entry(device.reason.text.as_str()).or_default() += 1;
    }
    let texts: Vec<String> = counts.iter().map(|(text, n)| format!("{n}: {text}")).collect();
    texts.join("; ")
}

fn counted(chains: &BTreeMap<String, usize>) -> String {
    let line = |(chain, devices): (&String, &usize)| match devices {
        1 => format!("\n  1 device: {chain}"),
        devices => format!("\n  {devices} devices: {chain}"),
    };
    chains.iter().map(line).collect()
}
