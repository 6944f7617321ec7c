//! What a rollout will probably do, before it is started: the engine itself, played many times
//! against devices that behave as the fleet's were seen to.
//!
//! Each run takes the plan, asks [`advance`](super::advance()) what to do, lets every device that is
//! ordered something decide as its agent would ([`decide`](crate::agent::decide), with its window
//! in its own zone), and takes its reports as the server does
//! ([`take_report`](super::take_report())). Chance decides how long a device takes (one of the times
//! that it or its like took), whether the release fails on it, whether it falls silent, and when
//! one that is away comes back; who goes away does so as it did in a week that was recorded. How often releases fail is itself known from few devices or many:
//! each run draws a rate that is compatible with them. What was never seen is assumed, and the
//! [`Basis`] says so.
//!
//! What is not played: distribution points and bandwidth limits (but for what they did to the
//! times that were measured), and what people do: a run ends where the rollout would wait for one.

mod absence;
mod behaviour;
mod device;
mod dice;
mod fleet;
mod run;
mod summary;

use serde::{Deserialize, Serialize};

pub use absence::Absence;
pub use behaviour::{Behaviour, Fared, Timed, Took};

use super::{Exposure, Planning, RolloutPlan};
use crate::digest::Digest;
use crate::time::{Span, Timestamp};
use behaviour::{Model, basis_of_absence};
use dice::Dice;
use fleet::{Fleet, Windows};
use run::{Pace, Run, run};

const HOUR_MS: u64 = 3_600_000;
/// As often as that a rollout is played, if the budget suffices: one run of 20 is beyond the 95%,
/// and ten such runs fix that bound well enough.
const MOST_RUNS: u64 = 200;
/// Fewer runs say nothing of one in twenty.
const FEWEST_RUNS: u64 = 20;
/// Passes of the engine for each wave of devices, at best; fewer make times coarser.
const PASSES_PER_WAVE: u64 = 20;

/// What a forecast may cost that somebody waits for: a few seconds of one processor.
pub const USUAL_BUDGET: u64 = 20_000_000;

/// What is to be forecast.
#[derive(Debug, Clone, Copy)]
pub struct Forecasting<'a> {
    /// What was planned, and when.
    pub planning: Planning<'a>,
    /// What is recorded of the fleet.
    pub behaviour: &'a Behaviour,
    /// The blast radius and what other rollouts take of it.
    pub exposure: Option<Exposure>,
    /// How much may be computed: looks at a device, of all passes of the engine in all runs.
    pub budget: u64,
}

/// What a rollout will probably do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Forecast {
    /// When it would start: all other times count from then.
    pub starts_at: Timestamp,
    /// How often it was played.
    pub runs: u32,
    /// How many runs came through every ring.
    pub completed: u32,
    /// How many found no end within what may be computed, or within 90 days.
    pub open: u32,
    /// When the last ring is through, over the runs in which it is; none if it never is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<Quantiles>,
    /// The runs that end where a person is asked, by ring.
    pub stops: Vec<Stop>,
    /// The rings, first to last.
    pub rings: Vec<RingForecast>,
    /// How many devices have accepted by when: at evenly spaced times.
    pub arrival: Vec<Arrival>,
    /// Each hour in which something happens.
    pub hours: Vec<HourForecast>,
    /// What each site downloads.
    pub sites: Vec<SiteForecast>,
    /// Times are right to about this.
    pub resolution: Span,
    /// What it rests on, and which of that was measured.
    pub basis: Vec<Basis>,
}

/// Half of the runs are not beyond the one, 19 of 20 not beyond the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Quantiles {
    /// In the median.
    pub p50: Span,
    /// In 95 of 100 runs.
    pub p95: Span,
}

/// Runs that end where a person is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Stop {
    /// The ring's name.
    pub ring: String,
    /// How many runs end there.
    pub runs: u32,
    /// When.
    pub at: Quantiles,
    /// Why the first of them did, in words.
    pub example: String,
}

/// A ring before it moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RingForecast {
    /// Its name.
    pub name: String,
    /// How many devices move.
    pub devices: u32,
    /// In how many runs its gate passes.
    pub passed: u32,
    /// When, over those runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<Quantiles>,
}

/// How many devices have accepted at a time, stopped runs included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Arrival {
    /// The time.
    pub after: Span,
    /// In 95 of 100 runs there are more.
    pub low: u32,
    /// In the median.
    pub median: u32,
    /// In 95 of 100 runs there are not more.
    pub high: u32,
}

/// An hour of the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HourForecast {
    /// Which, counted from 0.
    pub hour: u32,
    /// Bytes that devices download in it, in the mean of all runs.
    pub bytes: u64,
    /// In 95 of 100 runs they are not more.
    pub bytes_p95: u64,
    /// The most devices in flight at once; in 95 of 100 runs they are not more.
    pub in_flight_p95: u32,
}

/// A site: the devices with the same label `site`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SiteForecast {
    /// The label; empty for the devices that have none.
    pub site: String,
    /// How many of its devices move.
    pub devices: u32,
    /// Bytes that they download, in the mean of all runs.
    pub bytes: u64,
    /// Bytes of its busiest hour; in 95 of 100 runs they are not more.
    pub peak_p95: u64,
    /// Bytes of each hour in which there are some, in the mean of all runs: the hour, the bytes.
    pub hours: Vec<(u32, u64)>,
}

/// A figure that the forecast rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Basis {
    /// What is meant.
    pub what: String,
    /// What it is, in words.
    pub value: String,
    /// From how many samples.
    pub samples: u64,
    /// Whether it was measured in this fleet; else it is assumed.
    pub is_measured: bool,
}

impl Basis {
    fn new(what: &str, value: String, samples: u64) -> Self {
        Self { what: what.to_owned(), value, samples, is_measured: samples > 0 }
    }
}

/// Plays the rollout that was planned. The same question gets the same answer.
#[must_use]
pub fn forecast(asked: &Forecasting<'_>, plan: &RolloutPlan) -> Forecast {
    let model = Model::new(asked.behaviour);
    let fleet = Fleet::new(asked, plan, &model);
    let (pace, most) = pace(asked, plan, &fleet, model.usual());
    let seed = Digest::of(asked.planning.seed.as_bytes());
    let seed = seed.as_bytes()[..8].iter().fold(0, |seed, byte| seed << 8 | u64::from(*byte));
    let (mut windows, mut runs, mut spent) = (Windows::default(), Vec::new(), 0);
    for number in 0..most {
        let done: Run = run(&fleet, &model, Dice::new(seed).about(number), pace, &mut windows);
        spent += done.passes;
        runs.push(done);
        // What the runs so far took is what the next would take.
        if spent + spent / (number + 1) > pace.passes {
            break;
        }
    }
    let mut forecast = summary::of(&fleet, plan, &runs, pace.resolution);
    forecast.basis = basis(&fleet, &model, plan);
    forecast
}

/// How finely and how often to play: as the budget suffices.
fn pace(
    asked: &Forecasting<'_>,
    plan: &RolloutPlan,
    fleet: &Fleet<'_>,
    usual: Span,
) -> (Pace, u64) {
    let most_at_once = u64::from(plan.spec.most_in_flight().min(fleet.view.room()).max(1));
    let rings = plan.rings.iter().map(|ring| ring.devices.len() as u64);
    let waves: u64 = rings.map(|devices| devices.div_ceil(most_at_once)).sum::<u64>().max(1);
    let passes = (asked.budget / fleet.devices.len().max(1) as u64).max(1);
    let runs = (passes / (waves * PASSES_PER_WAVE / 2)).clamp(FEWEST_RUNS, MOST_RUNS);
    let per_wave = (passes / (waves * runs)).clamp(1, PASSES_PER_WAVE);
    let wave = usual.saturating_add(plan.spec.soak).as_millis();
    let resolution = Span::from_millis((wave / per_wave).max(1000));
    (Pace { resolution, passes }, runs)
}

fn basis(fleet: &Fleet<'_>, model: &Model, plan: &RolloutPlan) -> Vec<Basis> {
    let mut basis = model.basis();
    let devices = fleet.devices.len() as u64;
    let away: Vec<Timestamp> = fleet.devices.iter().filter_map(|it| it.away_since).collect();
    basis.push(basis_of_absence(away.len() as u64, devices, away.iter().min().copied()));
    basis.push(fleet.calendar.basis());
    if plan.spec.window.is_some() {
        let told = devices - fleet.without_zone;
        let rest = match fleet.without_zone {
            0 => String::new(),
            rest => format!("; UTC is assumed for the other {rest}"),
        };
        let value = format!("told by {told} of {devices}{rest}");
        basis.push(Basis::new("time zones of devices", value, told));
    }
    if plan.spec.publish.is_some() {
        let value = "none: each device activates at its deadline".to_owned();
        basis.push(Basis::new("answers of users", value, 0));
    }
    let spec = &plan.spec;
    let mut gates = spec.rings.iter().map(|ring| ring.gate.as_ref().unwrap_or(&spec.gate));
    if gates.any(|gate| gate.canary.is_some()) {
        let value = "no worse on upgraded devices, and measured within the soak".to_owned();
        basis.push(Basis::new("signals", value, 0));
    }
    let value = "each device takes the cheapest way from what it has".to_owned();
    basis.push(Basis::new("bytes to download", value, devices));
    basis
}

#[cfg(test)]
mod tests;
