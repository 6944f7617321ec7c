//! When silence counts as a failure.

use super::{DeviceView, RolloutView};
use crate::guard::{Guard, detects};
use crate::order::Step;
use crate::time::{Span, Timestamp};
use crate::window::{Opening, Zone};

/// No zone is farther from UTC (Kiritimati, 14 hours).
const FARTHEST_ZONE: Span = Span::from_secs(14 * 3600);

impl RolloutView {
    /// Whether the device has been silent for so long that it counts as a failure.
    pub(super) fn is_overdue(&self, device: &DeviceView, now: Timestamp) -> bool {
        let Some(order) = device.order.filter(|_| device.is_in_flight()) else { return false };
        // Nothing is at stake while a user thinks it over.
        if device.awaits_user() {
            return false;
        }
        // Who waits for a window is not silent before it opens, if it is still heard of.
        let waits_until = order.waits_until.filter(|_| self.was_heard(device, now));
        let latest = || self.latest_opening(order.progressed_at);
        let heard = order.progressed_at.max(self.listening_since);
        let heard = waits_until.map_or(heard, |opens| heard.max(opens.min(latest())));
        let soak = if device.step == Step::Soaking { self.spec.soak.as_millis() } else { 0 };
        let patience = self.spec.silence_after.as_millis().saturating_add(soak);
        detects(Guard::SilenceFails, now.since(heard).as_millis() > patience)
    }

    /// When the window opens at the latest after `since`, whatever zone a device is in. A device
    /// whose clock is wrong may tell of any time.
    fn latest_opening(&self, since: Timestamp) -> Timestamp {
        let window = self.spec.window.as_ref();
        let opening = window.map(|window| window.opening(since + FARTHEST_ZONE, &Zone::utc()));
        let by_utc = match opening {
            Some(Opening::Closed { opens: Some(opens) }) => opens,
            // It never opens, which is for a person to end.
            Some(Opening::Closed { opens: None } | Opening::Open) | None => since,
        };
        by_utc + FARTHEST_ZONE + FARTHEST_ZONE
    }
}
