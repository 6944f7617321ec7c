//! What must hold on each device.

use gofleet_core::agent::{Event as Happened, Seen};
use gofleet_core::order::{Order, Step, Want};
use gofleet_core::window::Window;

use super::super::{Held, World};
use crate::invariant as must;
use crate::scenario::WINDOWS;

/// How long a device may take to go back, in ms of running with a disk that can be written.
const GOING_BACK_MS: u64 = 15 * 60_000;

impl World<'_> {
    /// A device has judged an order.
    pub(in super::super) fn check_considered(
        &self,
        device: usize,
        seen: Option<&Seen>,
        order: &Order,
        is_obeyed: bool,
    ) -> Held {
        let id = &self.devices[device].id;
        if is_obeyed && order.device != *id {
            return self
                .broke(must::ONE_ORDER, format!("{id} obeys an order for {}", order.device));
        }
        let Some(seen) = seen.filter(|_| is_obeyed) else { return Ok(()) };
        if order.epoch < seen.epoch {
            let said = format!("{id} obeys epoch {} after {}", order.epoch, seen.epoch);
            return self.broke(must::OLD_EPOCH, said);
        }
        if order.epoch == seen.epoch && order.generation < seen.generation {
            let said =
                format!("{id} obeys generation {} after {}", order.generation, seen.generation);
            return self.broke(must::COUNTERS, said);
        }
        let is_same = Seen::of(order) == *seen;
        if order.epoch == seen.epoch && order.generation == seen.generation && !is_same {
            let said = format!("{id} obeys two orders under generation {}", order.generation);
            return self.broke(must::REDELIVERY, said);
        }
        Ok(())
    }

    /// A device is about to write down that it rests under a hold: nothing unproven may be active.
    pub(in super::super) fn check_dropped(&self, device: usize, event: Happened) -> Held {
        let it = &self.devices[device];
        let is_unchecked =
            it.memory.task().is_some_and(|task| matches!(task.step, Step::Waiting | Step::Offered));
        let is_offer =
            it.memory.task().is_some_and(|task| matches!(task.order.want, Want::Offer { .. }));
        let rests = event == Happened::Dropped || event == Happened::Begun && is_offer;
        if rests && is_unchecked && it.memory.unproven().is_some() {
            let seen =
                format!("{} rests with {:?}, which no check has passed", it.id, it.disk.active);
            return self.broke(must::EARLIER, seen);
        }
        Ok(())
    }

    /// A device is about to make a release active.
    pub(in super::super) fn check_switch(&self, device: usize) -> Held {
        let it = &self.devices[device];
        match it.memory.task().map(|task| &task.order.want) {
            Some(Want::Activate { window, .. }) => self.check_window(device, window.as_ref()),
            Some(Want::Offer { .. } | Want::Revert { .. } | Want::Hold) | None => {
                self.broke(must::STOP, format!("{} switches without an order for it", it.id))
            }
        }
    }

    /// The window is open by the device's clock: looked up by hand.
    fn check_window(&self, device: usize, window: Option<&Window>) -> Held {
        let it = &self.devices[device];
        let Some(window) = window else { return Ok(()) };
        let text = window.open[0].to_string();
        let known = WINDOWS.iter().find(|(written, ..)| *written == text);
        let Some((_, days, hours)) = known else { return Ok(()) };
        let now = jiff::Timestamp::from_millisecond(self.clock(device).as_millis());
        let local = now.map(|now| now.in_tz(&it.zone.to_string()));
        let Ok(Ok(local)) = local else { return Ok(()) };
        let day = usize::from(local.weekday().to_monday_zero_offset().unsigned_abs());
        if days[day] && hours.contains(&local.hour()) {
            return Ok(());
        }
        self.broke(must::WINDOWS, format!("{} activates at {local}, outside of {text}", it.id))
    }

    /// After an action had its effect, or half of it.
    pub(in super::super) fn check_disk(&self, device: usize) -> Held {
        let it = &self.devices[device];
        match &it.disk.active {
            Some(active) if !it.disk.trees.contains(active) => self.broke(
                must::ONE_ACTIVE,
                format!("{} has {active} active, which is not whole", it.id),
            ),
            Some(_) | None => Ok(()),
        }
    }

    /// A device has written down what happened.
    pub(in super::super) fn check_recorded(&mut self, device: usize, event: Happened) -> Held {
        let at = self.now_ms;
        let it = &mut self.devices[device];
        match event {
            Happened::Broke if !it.is_full => it.failed_at = Some(at),
            Happened::PutBack | Happened::Stuck => {
                let began = it.failed_at.take();
                if began.is_some_and(|began| at - began > GOING_BACK_MS) && !self.has_slept(device)
                {
                    let seen = format!(
                        "{} took {} ms to go back",
                        self.devices[device].id,
                        at - began.unwrap_or(at)
                    );
                    return self.broke(must::NO_NETWORK, seen);
                }
            }
            _ => {}
        }
        self.check_goes_back_to_good(device, event)
    }

    /// Whether the device was down, or could not write, while it went back.
    fn has_slept(&self, device: usize) -> bool {
        self.devices[device].is_full || self.devices[device].boot > 1
    }

    fn check_goes_back_to_good(&mut self, device: usize, event: Happened) -> Held {
        let it = &mut self.devices[device];
        let task = it.memory.task();
        let is_accepted = task.is_some_and(|task| task.step == Step::Accepted);
        let wanted = match task.map(|task| &task.order.want) {
            Some(Want::Activate { release, .. } | Want::Offer { release, .. }) => Some(&release.id),
            Some(Want::Revert { .. } | Want::Hold) | None => None,
        };
        // A release that worked while it was held, and fails under its next order, is not what a
        // device can go back to: then it is what was there before that.
        let is_good = match wanted.filter(|wanted| it.good.as_ref() == Some(*wanted)) {
            Some(failed) => it.disk.active.as_ref() != Some(failed),
            None => it.disk.active == it.good,
        };
        match (event, task.map(|task| &task.order.want)) {
            (Happened::Soaked, Some(Want::Activate { release, .. })) if is_accepted => {
                if it.disk.active.as_ref() != Some(&release.id) {
                    let seen = format!(
                        "{} accepts {} with {:?} active",
                        it.id, release.id, it.disk.active
                    );
                    return self.broke(must::EVIDENCE, seen);
                }
                it.good.clone_from(&it.disk.active);
            }
            (Happened::PutBack, Some(Want::Revert { .. })) => it.good.clone_from(&it.disk.active),
            (Happened::PutBack, Some(Want::Activate { .. } | Want::Offer { .. } | Want::Hold))
                if !is_good && !it.is_meddled_with =>
            {
                let seen = format!(
                    "{} went back to {:?}, and what worked was {:?}",
                    it.id, it.disk.active, it.good
                );
                return self.broke(must::EARLIER, seen);
            }
            (Happened::Dropped | Happened::Cleared, _) if it.memory.unproven().is_none() => {
                it.good.clone_from(&it.disk.active);
            }
            _ => {}
        }
        Ok(())
    }
}
