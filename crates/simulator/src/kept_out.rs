//! Who is kept out of rollouts, who lacks a package, and whose fault a failure is, in a simulated
//! server's memory.

use gofleet_core::hold::KeptOut;
use gofleet_core::ids::ReleaseId;
use gofleet_core::rollout::{Comparison, DeviceView, EarlierFailure, Relations, Unmet};

use crate::server::{Database, NOWHERE, Row};

impl Database {
    /// Keeps a device out of rollouts, or lets it in again.
    pub fn keep_out(&mut self, row: usize, why: Option<KeptOut>) {
        self.in_views(row, |device, _| device.kept_out.clone_from(&why));
        self.devices[row].kept_out = why;
    }

    /// What a device lacks of what a release asks for.
    pub fn unmet(&self, row: &Row, release: &ReleaseId) -> Option<Box<Unmet>> {
        let release = self.releases.iter().find(|it| it.release.id == *release)?;
        let facts = Self::fleet_device_of(row, None).facts;
        Relations::of(&self.releases).unmet(release, &facts, None).map(Box::new)
    }

    /// Notes in every rollout of a device what it lacks.
    pub fn note_packages(&mut self, row: usize) {
        for rollout in 0..self.rollouts.len() {
            let place = self.rollouts[rollout].places[row];
            if place != NOWHERE {
                let release = &self.rollouts[rollout].view.devices[place as usize].release;
                let unmet = self.unmet(&self.devices[row], release);
                self.rollouts[rollout].view.devices[place as usize].unmet = unmet;
            }
        }
    }

    /// Fills in how devices that failed in this rollout did in others.
    pub fn note_earlier_failures(&mut self, rollout: usize) {
        let failed = |it: &DeviceView| it.failure.is_some() && it.quarantined_for.is_none();
        let devices = self.rollouts[rollout].view.devices.iter().enumerate();
        let failed: Vec<usize> =
            devices.filter(|(_, it)| failed(it)).map(|(place, _)| place).collect();
        for place in failed {
            let earlier = self.earlier_failures(rollout, place);
            self.rollouts[rollout].view.devices[place].earlier_failures = earlier;
        }
    }

    fn earlier_failures(&self, rollout: usize, place: usize) -> Vec<EarlierFailure> {
        let row = self.row_of(&self.rollouts[rollout].view.devices[place].device);
        let others = self.rollouts.iter().enumerate().rev().filter(|(at, _)| *at != rollout);
        let others = others.filter(|(_, other)| other.places[row] != NOWHERE);
        let earlier = others.filter_map(|(_, other)| {
            let it = &other.view.devices[other.places[row] as usize];
            let (release, failure) = (it.release.clone(), it.failure.clone()?);
            let mut others = Comparison::default();
            for other in other.view.devices.iter().filter(|other| other.device != it.device) {
                others.count(&failure, other.step, other.failure.as_ref());
            }
            Some(EarlierFailure { release, failure, others })
        });
        earlier.collect()
    }
}
