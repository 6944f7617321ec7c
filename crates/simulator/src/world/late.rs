//! Devices that enrol in the middle of a story, and what must hold when they come late.

use gofleet_core::rollout::{Late, Latecomer, RingState};

use super::{Held, World};
use crate::invariant as must;

impl World<'_> {
    /// A machine enrols with the server that people believe in.
    pub(super) fn enrol(&mut self, device: usize) {
        self.enrolled_late.insert(device);
        self.servers[self.current].database.enrol(device);
        self.nudge(self.current);
    }

    /// Whoever is not known to a server that was restored enrols again.
    pub(super) fn enrol_again(&mut self) {
        for device in self.enrolled_late.clone() {
            self.servers[self.current].database.enrol(device);
        }
    }

    /// A rollout looks who came late.
    pub(super) fn take_latecomers(&mut self, server: usize, rollout: usize) -> Held {
        let now = self.server_now();
        for latecomer in self.servers[server].database.latecomers(rollout) {
            self.check_latecomer(server, rollout, &latecomer)?;
            self.tell(|_| match &latecomer {
                Latecomer::Joins { device, ring, .. } => {
                    format!("r{}: {device} comes late, and joins ring {ring}", rollout + 1)
                }
                Latecomer::StaysOut(left_out) => format!(
                    "r{}: {} is left out: {}",
                    rollout + 1,
                    left_out.device,
                    left_out.reason
                ),
            });
            self.servers[server].database.take_latecomer(rollout, &latecomer, now);
        }
        let view = &self.servers[server].database.rollouts[rollout].view;
        if view.state == gofleet_core::rollout::RolloutState::Running {
            self.servers[server].database.rollouts[rollout].changed.clear();
            return self.check_nobody_is_forgotten(server, rollout);
        }
        Ok(())
    }

    /// Who joins does so by the rule of the rollout.
    fn check_latecomer(&self, server: usize, rollout: usize, latecomer: &Latecomer) -> Held {
        let Latecomer::Joins { device, ring, .. } = latecomer else { return Ok(()) };
        let view = &self.servers[server].database.rollouts[rollout].view;
        let has_started = view.rings[*ring as usize].state != RingState::Waiting;
        match view.spec.late {
            Late::Never => {
                self.broke(must::MEMBERSHIP, format!("{device} joins, and nobody may come late"))
            }
            Late::NextRing if has_started => self.broke(
                must::MEMBERSHIP,
                format!(
                    "{device} joins ring {ring}, which is {}",
                    view.rings[*ring as usize].state
                ),
            ),
            Late::NextRing | Late::SameRing => Ok(()),
        }
    }

    /// Every device of the fleet is in the rollout, or is told why it is not. (The selector of each
    /// simulated rollout picks every device.)
    fn check_nobody_is_forgotten(&self, server: usize, rollout: usize) -> Held {
        let database = &self.servers[server].database;
        let kept = &database.rollouts[rollout];
        let is_told = |row: usize| {
            kept.places[row] != crate::server::NOWHERE
                || kept.view.left_out.iter().any(|it| it.device == database.devices[row].id)
        };
        let enrolled = (0..database.devices.len()).filter(|row| database.devices[*row].is_enrolled);
        match enrolled.into_iter().find(|row| !is_told(*row)) {
            Some(row) => {
                let id = &database.devices[row].id;
                self.broke(
                    must::REASONS,
                    format!("{id} came late, and nobody says what becomes of it"),
                )
            }
            None => Ok(()),
        }
    }
}
