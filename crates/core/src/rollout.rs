//! Rollouts: a release for a collection of devices, ring by ring.
//!
//! [`RolloutSpec`] is what a person writes; [`validate()`] finds every mistake in it. [`plan()`] turns
//! it into rings of devices, [`advance()`] says at each tick what to do next, [`command()`] what a
//! person's word changes, and [`status()`] tells how it goes and why. All are pure: the server's
//! reconciler and the simulator call the same code.
//!
//! The rules that hold at every moment:
//!
//! - No more devices are in flight than the specification allows, silent ones counted.
//! - A ring starts only after every earlier ring has passed its gate.
//! - Only evidence counts as success; silence after an order counts as failure.
//! - After a stop nothing begins any more.
//! - What an earlier release put back by itself stays as it is.
//! - Who is held or in quarantine is ordered nothing new.
//! - Nobody is ordered a release that asks for packages which the device does not have.
//! - A ring that rehearses passes only after its devices went back and upgraded again.
//! - Who comes late joins by the rollout's rule, or is told why not.

mod advance;
mod blame;
mod blast;
mod command;
mod decision;
mod device;
mod devices;
mod estimate;
mod evidence;
mod explain;
pub mod forecast;
mod gate;
mod late;
mod plan;
mod preview;
mod publish;
mod requires;
mod rings;
mod silence;
mod spec;
mod status;
mod validate;
mod view;
mod waiting_on;

pub use advance::{Action, advance, apply};
pub use blame::{Comparison, EarlierFailure};
pub use blast::{BlastRadius, Exposure, InvalidBlastRadius};
pub use command::{Command, Refused, command};
pub use decision::{Replayed, replay};
pub use devices::{Devices, Iter, IterMut};
pub use evidence::{News, Told, take_report};
pub use explain::{status, summary};
pub(crate) use gate::passes_else;
pub use gate::{GateInputs, Verdict, tally};
pub use late::{Latecomer, latecomers};
pub use plan::{FleetDevice, LeftOutReason, PlanError, Planning, plan};
pub use preview::{Preview, preview};
pub use publish::assign;
pub use requires::{Chain, Fulfilment, Link, Moving, Relations, Unmet, UnmetKind};
pub use rings::{InvalidRing, parse_rings};
pub use spec::{Gate, Late, OnFailure, Retry, RingSize, RingSpec, RolloutSpec};
pub use status::{
    DeviceStatus, LeftOut, PlannedDevice, PlannedRing, Reason, RingState, RingStatus, RolloutPlan,
    RolloutState, RolloutStatus, RolloutSummary, Tally, Traffic, WayTraffic,
};
pub use validate::{InvalidSpec, Mistake, validate};
pub use view::{
    Cause, DeviceView, GateFailure, Hearing, OrderView, Previous, RingView, RolloutView, WantKind,
};
pub use waiting_on::WaitingOn;

#[cfg(test)]
mod tests;
