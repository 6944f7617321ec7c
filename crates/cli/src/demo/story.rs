//! What happened in the demo, told at its end, and whether that is what should have happened.

use std::path::{MAIN_SEPARATOR_STR, Path, PathBuf};

use gofleet_core::order::Step;
use gofleet_core::rollout::{DeviceStatus, RingState, RolloutState, RolloutStatus};
use serde_json::{Value, json};

use super::archives::Archive;
use crate::printer::{bytes, paint, style};

/// A rollout that has ended.
pub struct Ended {
    /// How.
    pub status: RolloutStatus,
    /// How long it took.
    pub seconds: f64,
    /// The host name of the device whose compiler was damaged.
    pub damaged: Option<String>,
}

/// The demo as it went.
pub struct Story {
    /// How long everything took.
    pub seconds: f64,
    folder: PathBuf,
    devices: u32,
    releases: Vec<String>,
    fetched: Vec<String>,
    rollouts: Vec<Ended>,
}

impl Ended {
    fn devices(&self) -> impl Iterator<Item = &DeviceStatus> {
        self.status.rings_detail.iter().flat_map(|ring| &ring.devices)
    }

    fn count(&self, step: Step) -> usize {
        self.devices().filter(|device| device.step == step).count()
    }

    /// The ring whose gate failed.
    fn stopped_in_ring(&self) -> Option<&str> {
        let is_stopped = |state| match state {
            RingState::Failed | RingState::RollingBack | RingState::RolledBack => true,
            RingState::Waiting
            | RingState::Running
            | RingState::Rehearsing
            | RingState::Repeating
            | RingState::Passed => false,
        };
        let mut rings = self.status.rings_detail.iter();
        rings.find(|ring| is_stopped(ring.state)).map(|ring| ring.name.as_str())
    }

    fn json(&self) -> Value {
        json!({
            "id": self.status.summary.id,
            "name": self.status.summary.name,
            "version": self.status.summary.version,
            "state": self.status.summary.state,
            "accepted": self.count(Step::Accepted),
            "reverted": self.count(Step::Reverted),
            "waiting": self.count(Step::Waiting),
            "stopped_in_ring": self.stopped_in_ring(),
            "damaged": self.damaged,
            "seconds": rounded(self.seconds),
            "bytes_downloaded": self.status.bytes_downloaded,
        })
    }
}

impl Story {
    /// A story without rollouts yet.
    pub fn new(devices: u32, archives: &[Archive], folder: &Path) -> Self {
        let fetched = archives.iter().filter(|archive| archive.is_fetched);
        Self {
            seconds: 0.0,
            folder: folder.to_owned(),
            devices,
            releases: archives.iter().map(|archive| archive.version.clone()).collect(),
            fetched: fetched.map(|archive| archive.version.clone()).collect(),
            rollouts: Vec::new(),
        }
    }

    /// Adds a rollout: base, good, broken, in this order.
    pub fn push(&mut self, ended: Ended) {
        self.rollouts.push(ended);
    }

    fn bytes_downloaded(&self) -> u64 {
        self.rollouts.iter().map(|rollout| rollout.status.bytes_downloaded).sum()
    }

    /// What did not go as it should.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut expect = |holds: bool, fault: String| {
            if !holds {
                faults.push(fault);
            }
        };
        let [base, good, broken] = &self.rollouts[..] else {
            return vec!["not every rollout ended".to_owned()];
        };
        for rollout in [base, good] {
            let (name, state) = (&rollout.status.summary.name, rollout.status.summary.state);
            let accepted = rollout.count(Step::Accepted);
            expect(state == RolloutState::Completed, format!("`{name}` is {state}"));
            expect(
                accepted == self.devices as usize,
                format!("{accepted} of {} devices accepted in `{name}`", self.devices),
            );
        }
        let name = &broken.status.summary.name;
        let first = broken.status.rings_detail.first();
        expect(broken.damaged.is_some(), "no device could be damaged".to_owned());
        expect(
            broken.stopped_in_ring() == first.map(|ring| ring.name.as_str()),
            format!("`{name}` did not stop in its first ring"),
        );
        let version = &good.status.summary.version;
        for device in broken.devices() {
            expect(
                device.active.as_ref() == Some(version),
                format!("{} ended on {:?}, not on {version}", device.hostname, device.active),
            );
        }
        faults
    }

    /// The story as one object.
    pub fn json(&self, faults: &[String]) -> Value {
        let broken = self.rollouts.last();
        json!({
            "ok": faults.is_empty(),
            "faults": faults,
            "devices": self.devices,
            "accepted": self.rollouts.get(1).map_or(0, |good| good.count(Step::Accepted)),
            "reverted": broken.map_or(0, |broken| broken.count(Step::Reverted)),
            "stopped_in_ring": broken.and_then(Ended::stopped_in_ring),
            "seconds": rounded(self.seconds),
            "bytes_downloaded": self.bytes_downloaded(),
            "releases": self.releases,
            "fetched": self.fetched,
            "rollouts": self.rollouts.iter().map(Ended::json).collect::<Vec<_>>(),
        })
    }

    /// The story for people.
    pub fn text(&self) -> String {
        let [base, good, broken] = &self.rollouts[..] else { return String::new() };
        let version = |ended: &Ended| ended.status.summary.version.clone();
        let loaded = |ended: &Ended| bytes(ended.status.bytes_downloaded);
        let accepted = |ended: &Ended| plural(ended.count(Step::Accepted), "device");
        let line = |seconds: f64, text: String| format!("  {seconds:6.1} s  {text}");
        let more = |text: String| format!("            {text}");
        [
            paint(style::STRONG, "\nWhat happened"),
            line(
                base.seconds,
                format!("Go {} went onto {} ({}).", version(base), accepted(base), loaded(base)),
            ),
            line(
                good.seconds,
                format!(
                    "Go {} reached {} in {} ({}); each compiled and ran a program before it counted.",
                    version(good),
                    accepted(good),
                    plural(good.status.rings_detail.len(), "ring"),
                    loaded(good)
                ),
            ),
            line(
                broken.seconds,
                format!(
                    "Go {} was stopped in ring `{}` and put back ({}).",
                    version(broken),
                    broken.stopped_in_ring().unwrap_or("-"),
                    loaded(broken)
                ),
            ),
            more(self.how_it_broke(broken)),
            more(format!(
                "{} went back to Go {}, {} never began.",
                plural(broken.count(Step::Reverted), "device"),
                version(good),
                plural(broken.count(Step::Waiting), "device")
            )),
            line(
                self.seconds,
                format!(
                    "in all, {} over the wire. Every device runs Go {}.",
                    bytes(self.bytes_downloaded()),
                    version(good)
                ),
            ),
        ]
        .join("\n")
    }

    fn how_it_broke(&self, broken: &Ended) -> String {
        let Some(hostname) = &broken.damaged else { return "Nothing was damaged.".to_owned() };
        let device = broken.devices().find(|device| device.hostname == *hostname);
        let Some(failure) = device.and_then(|device| device.failure.as_ref()) else {
            return format!("The compiler of {hostname} was damaged.");
        };
        let root = self.folder.join("devices").join(hostname);
        let root = format!("{}{MAIN_SEPARATOR_STR}", root.display());
        let message = failure.message.replace(&root, "").replace('\n', " ");
        format!("{hostname} found while {}: {}", failure.step, message.trim_end_matches('.'))
    }
}

/// A number of things.
fn plural(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

/// To milliseconds.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}
