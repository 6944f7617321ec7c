//! Stories without anybody who helps: which faults end by themselves.
//!
//! What people do is left out of such a story, and at its end nobody resumes, stops or lets in. A
//! fault has ended by itself if then every device that it may have touched and that still exists
//! runs, has nothing under way, is known to the server as it is, is not kept out, and has not
//! failed in a rollout that waits for a person because of it. Each device that is left over counts
//! against one fault: the last one that it may come of. That a rollout went back, and who did not get
//! its release by that, leaves nothing over.

use std::collections::{BTreeMap, BTreeSet};

use gofleet_core::hold::KeptOut;
use gofleet_core::rollout::{DeviceView, OnFailure, RolloutState};

use super::World;
use crate::scenario::{Fault, Scenario, VERSIONS};
use crate::server::NOWHERE;

/// No soak of a story is so long: what breaks then has been accepted.
const HOUR_MS: u64 = 3_600_000;

/// How faults of a kind ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Endings {
    /// How many there were.
    pub faults: u64,
    /// How many of them left something for a person to do.
    pub by_hand: u64,
}

impl Endings {
    /// The share that ended by themselves, in percent; all of none.
    pub fn percent(self) -> f64 {
        if self.faults == 0 {
            return 100.0;
        }
        (self.faults - self.by_hand) as f64 * 100.0 / self.faults as f64
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { faults: self.faults + other.faults, by_hand: self.by_hand + other.by_hand }
    }
}

/// What a fault is called; none if it is something that people do, or that is no fault.
const fn kind(fault: &Fault) -> Option<&'static str> {
    Some(match fault {
        Fault::Crash { .. } => "an agent is killed",
        Fault::SwitchedOff { for_ms: Some(_), .. } => "a device is switched off for a while",
        Fault::SwitchedOff { for_ms: None, .. } => "a device never comes back",
        Fault::Partition { .. } => "a site is cut off",
        Fault::ServerDown { .. } => "the server is down",
        Fault::Restored { .. } => "the server is restored from a backup",
        Fault::PutBackByHand { .. } => "the database is put back by hand",
        Fault::DiskFull { .. } => "a disk is full",
        Fault::DeviceClock { .. } => "the clock of a device is wrong",
        Fault::ServerClock { .. } => "the server's clock is wrong",
        Fault::Liar { .. } => "a device lies",
        Fault::BadRelease { after_ms: HOUR_MS.., .. } => "a release breaks machines after an hour",
        Fault::BadRelease { .. } => "a release breaks machines soon",
        Fault::ByHand { .. } => "a release is activated by hand",
        Fault::Sick { .. } => "a device is overloaded",
        Fault::Enrols { .. }
        | Fault::Relabelled { .. }
        | Fault::OldAgent { .. }
        | Fault::Held { .. }
        | Fault::Frozen { .. }
        | Fault::Assigned { .. }
        | Fault::Blocked { .. }
        | Fault::Emergency { .. }
        | Fault::Asked { .. } => return None,
    })
}

impl World<'_> {
    /// Plays a story in which nobody helps; how its faults ended, by kind. Its rollouts go back by
    /// themselves where they fail, since to pause is to ask a person.
    pub fn play_alone(scenario: &Scenario) -> BTreeMap<&'static str, Endings> {
        let mut scenario = scenario.clone();
        scenario.faults.retain(|(_, fault)| kind(fault).is_some());
        for (_, spec) in &mut scenario.rollouts {
            spec.on_failure = OnFailure::RollBackAll;
        }
        let mut world = World::new(&scenario, false);
        world.is_alone = true;
        // A broken invariant is what other stories are about: then nothing has ended.
        let has_held = world.run().is_ok();
        let mut left = world.left_to_do();
        if !has_held {
            left = (0..scenario.faults.len()).collect();
        }
        let mut endings: BTreeMap<&'static str, Endings> = BTreeMap::new();
        for (place, (_, fault)) in scenario.faults.iter().enumerate() {
            let Some(kind) = kind(fault) else { continue };
            let by_hand = u64::from(left.contains(&place));
            let known = endings.entry(kind).or_default();
            *known = known.and(Endings { faults: 1, by_hand });
        }
        endings
    }

    /// The places of the faults that may have left something to do.
    fn left_to_do(&self) -> BTreeSet<usize> {
        let mut left = BTreeSet::new();
        for device in 0..self.devices.len() {
            if self.is_not_well(device) || self.has_failed(device) {
                left.extend(self.reason(device));
            } else if self.is_broken(device) {
                // Whatever else has happened to it: what breaks it is the release.
                left.extend(self.places(&|fault| match fault {
                    Fault::BadRelease { version, .. } => self.breaks(device, *version),
                    _ => false,
                }));
            }
        }
        left
    }

    /// Whether a device that still exists is down, busy, kept out, or not known as it is.
    fn is_not_well(&self, device: usize) -> bool {
        let it = &self.devices[device];
        let row = &self.servers[self.current].database.devices[device];
        let is_busy = it.memory.task().is_some_and(|task| task.step.is_in_flight());
        let is_known = it.lie.is_some() || row.active.as_deref() == it.disk.version();
        let is_well = it.is_up && !is_busy && is_known && row.kept_out.is_none();
        !it.is_gone && !is_well
    }

    /// Whether what a device runs breaks it.
    fn is_broken(&self, device: usize) -> bool {
        let it = &self.devices[device];
        let version = VERSIONS.iter().position(|version| Some(*version) == it.disk.version());
        let breaks = version.filter(|version| self.breaks(device, *version));
        !it.is_gone && breaks.is_some()
    }

    fn breaks(&self, device: usize, version: usize) -> bool {
        let number = self.devices[device].number;
        self.broken[version]
            .is_some_and(|(per_mille, _)| self.scenario.is_broken_by(number, version, per_mille))
    }

    /// Whether a rollout waits for a person, and this device has failed in it by no fault of the
    /// release: that a bad release is stopped is the end of that fault.
    fn has_failed(&self, device: usize) -> bool {
        let rollouts = &self.servers[self.current].database.rollouts;
        rollouts.iter().any(|rollout| {
            let place = rollout.places[device];
            if place == NOWHERE || rollout.view.state != RolloutState::Paused {
                return false;
            }
            let it: &DeviceView = &rollout.view.devices[place as usize];
            let wanted = &rollout.view.spec.version;
            let version = VERSIONS.iter().position(|version| version == wanted);
            let has_failed = (it.failure.is_some() || it.is_silent) && !it.is_waived;
            has_failed && !version.is_some_and(|version| self.breaks(device, version))
        })
    }

    /// The fault that is why: of a device's own, else of those of its site, else of all others the
    /// last one that had begun when it failed or was kept out.
    fn reason(&self, device: usize) -> Option<usize> {
        let it = &self.devices[device];
        let own = self.places(&|fault| match fault {
            Fault::BadRelease { version, .. } => self.breaks(device, *version),
            other => super::faults::concerned(other) == Some(it.number),
        });
        let of_site = self
            .places(&|fault| matches!(fault, Fault::Partition { site, .. } if *site == it.site));
        let others = self.places(&|fault| super::faults::concerned(fault).is_none());
        let nearest = [own, of_site, others].into_iter().find(|places| !places.is_empty())?;
        let since = self.wrong_since(device);
        let has_begun = |place: &usize| self.scenario.faults[*place].0 <= since;
        let last = nearest.iter().rfind(|place| has_begun(place));
        last.or(nearest.first()).copied()
    }

    /// Since when a person has to do something about a device, in ms since the story began; for ever
    /// if nobody has noted it.
    fn wrong_since(&self, device: usize) -> u64 {
        let database = &self.servers[self.current].database;
        let kept_out = match &database.devices[device].kept_out {
            Some(KeptOut::Quarantine(quarantine)) => Some(quarantine.at),
            Some(KeptOut::Hold(_)) | None => None,
        };
        let halted = database.rollouts.iter().find(|rollout| {
            rollout.places[device] != NOWHERE && rollout.view.state == RolloutState::Paused
        });
        let failed = halted.map(|it| it.view.devices[it.places[device] as usize].since);
        let since = kept_out.or(failed).map(|at| at.as_millis() - super::BEGINNING_MS);
        since.map_or(u64::MAX, |since| u64::try_from(since).unwrap_or_default())
    }

    fn places(&self, is_meant: &dyn Fn(&Fault) -> bool) -> Vec<usize> {
        let all = self.scenario.faults.iter().enumerate();
        all.filter(|(_, (_, fault))| is_meant(fault)).map(|(place, _)| place).collect()
    }
}
