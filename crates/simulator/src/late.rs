//! Who enrols late in a simulated server's memory, and who joins a rollout so.

use std::rc::Rc;

use gofleet_core::rollout::{FleetDevice, Latecomer, RolloutState, latecomers};
use gofleet_core::time::Timestamp;

use crate::server::{Database, NOWHERE};

impl Database {
    /// A machine becomes a device of this server.
    pub fn enrol(&mut self, row: usize) {
        if !self.devices[row].is_enrolled {
            self.devices[row].is_enrolled = true;
            self.note_changed(row);
        }
    }

    /// Something that selectors see has changed: rollouts look whether the device is late.
    pub fn note_changed(&mut self, row: usize) {
        for rollout in &mut self.rollouts {
            rollout.changed.insert(row);
        }
    }

    /// The devices that a rollout has to look at, and what becomes of those that are late.
    pub fn latecomers(&self, rollout: usize) -> Vec<Latecomer> {
        let kept = &self.rollouts[rollout];
        if kept.view.state != RolloutState::Running || kept.changed.is_empty() {
            return Vec::new();
        }
        let rows = kept.changed.iter().map(|row| &self.devices[*row]);
        let arrivals: Vec<FleetDevice> =
            rows.filter(|row| row.is_enrolled).map(|row| self.fleet_device(row)).collect();
        latecomers(&kept.view, &arrivals, &self.catalog())
    }

    /// Keeps what becomes of a device that came late.
    pub fn take_latecomer(&mut self, rollout: usize, latecomer: &Latecomer, now: Timestamp) {
        match latecomer {
            Latecomer::StaysOut(left_out) => {
                self.rollouts[rollout].view.left_out.push(left_out.clone());
            }
            Latecomer::Joins { device, ring, release } => {
                let row = self.row_of(device);
                let joined =
                    self.device_view(&self.devices[row], *ring as usize, release.clone(), now);
                let kept = &mut self.rollouts[rollout];
                let place = kept.view.devices.insert(joined);
                kept.attempts_left.insert(place, 1);
                kept.joined.insert(row, *ring);
                let places = Rc::make_mut(&mut kept.places);
                for known in places.iter_mut().filter(|it| **it != NOWHERE) {
                    *known += u32::from(*known >= place as u32);
                }
                places[row] = place as u32;
            }
        }
    }
}
