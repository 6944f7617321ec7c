//! What must hold of a ring that upgrades, goes back and upgrades again.

use gofleet_core::order::{Step, Want};
use gofleet_core::rollout::{DeviceView, Previous, WantKind};

use crate::invariant as must;
use crate::world::{Held, World};

impl World<'_> {
    /// A ring that passes has gone back, if it was to and anybody in it has accepted.
    pub(super) fn check_rehearsed(&self, server: usize, rollout: usize, ring: u32) -> Held {
        let database = &self.servers[server].database;
        let view = &database.rollouts[rollout].view;
        if !view.spec.rings[ring as usize].rehearse {
            return Ok(());
        }
        let here = || view.devices.iter().filter(|it| it.ring == ring);
        let went_back = |it: &DeviceView| {
            let orders = &database.devices[database.row_of(&it.device)].orders;
            orders.iter().any(|order| {
                order.order.rollout == view.id
                    && matches!(order.order.want, Want::Revert { .. })
                    && order.step == Step::Reverted
            })
        };
        let counts = |it: &&DeviceView| {
            let is_upgraded = (it.want(), it.step) == (Some(WantKind::Activate), Step::Accepted);
            is_upgraded && it.superseded_by.is_none() && !it.is_waived
        };
        match here().find(counts) {
            Some(it) if !here().any(went_back) => self.broke(
                must::REHEARSED,
                format!("ring {ring} passes, {} has accepted, and nobody went back", it.device),
            ),
            Some(_) | None => Ok(()),
        }
    }

    /// A ring that upgrades again is back, all of it that a person has not accepted.
    pub(super) fn check_gone_back(&self, server: usize, rollout: usize, ring: u32) -> Held {
        let view = &self.servers[server].database.rollouts[rollout].view;
        let is_stuck = |it: &&DeviceView| {
            let is_silent = it.is_silent && it.step.is_in_flight();
            let has_failed =
                it.want() == Some(WantKind::Revert) && (it.step == Step::Quarantined || is_silent);
            let stays = (it.want(), it.step) == (Some(WantKind::Activate), Step::Accepted)
                && matches!(it.previous, Previous::Unknown(_));
            it.ring == ring && it.superseded_by.is_none() && !it.is_waived && (has_failed || stays)
        };
        match view.devices.iter().find(is_stuck) {
            Some(it) => self.broke(
                must::REHEARSED,
                format!("ring {ring} upgrades again, and {} has not gone back", it.device),
            ),
            None => Ok(()),
        }
    }
}
