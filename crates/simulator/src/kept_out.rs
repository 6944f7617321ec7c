//! Who is kept out of rollouts, and whose fault a failure is, in a simulated server's memory.

use gofleet_core::hold::KeptOut;
use gofleet_core::ids::ReleaseId;
use gofleet_core::rollout::{Comparison, DeviceView};

use crate::server::{Database, NOWHERE};

impl Database {
    /// Keeps a device out of rollouts, or lets it in again.
    pub fn keep_out(&mut self, row: usize, why: Option<KeptOut>) {
        self.in_views(row, |device, _| device.kept_out.clone_from(&why));
        self.devices[row].kept_out = why;
    }

    /// Fills in with which releases of other rollouts devices failed as they do in this one.
    pub fn note_alike(&mut self, rollout: usize) {
        let failed = |it: &DeviceView| it.failure.is_some() && it.quarantined_for.is_none();
        let devices = self.rollouts[rollout].view.devices.iter().enumerate();
        let failed: Vec<usize> =
            devices.filter(|(_, it)| failed(it)).map(|(place, _)| place).collect();
        for place in failed {
            let alike = self.failed_alike(rollout, &self.rollouts[rollout].view.devices[place]);
            self.rollouts[rollout].view.devices[place].failed_alike = alike;
        }
    }

    fn failed_alike(&self, rollout: usize, device: &DeviceView) -> Vec<ReleaseId> {
        let Some(failure) = &device.failure else { return Vec::new() };
        let row = self.row_of(&device.device);
        let others = self.rollouts.iter().enumerate().filter(|(at, _)| *at != rollout);
        let mut releases = Vec::new();
        for (_, other) in others.filter(|(_, other)| other.places[row] != NOWHERE) {
            let earlier = &other.view.devices[other.places[row] as usize];
            let is_alike = earlier.failure.as_ref().is_some_and(|it| it.is_like(failure));
            if !is_alike || earlier.release == device.release {
                continue;
            }
            let mut comparison = Comparison::default();
            for it in other.view.devices.iter().filter(|it| it.device != device.device) {
                comparison.count(failure, it.step, it.failure.as_ref());
            }
            if comparison.blames_the_device() {
                releases.push(earlier.release.clone());
            }
        }
        releases
    }
}
