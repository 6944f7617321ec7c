//! How a rollout goes, and why: for each device that has not come to the end, the reason.

use std::collections::BTreeMap;

use super::gate::{Shown, inputs, tallies};
use super::{
    Cause, DeviceStatus, DeviceView, Hearing, OrderView, Previous, Reason, RingState, RingStatus,
    RolloutState, RolloutStatus, RolloutSummary, RolloutView, Tally, Traffic, WaitingOn, WantKind,
    WayTraffic,
};
use crate::device::ONLINE_WITHIN;
use crate::order::Step;
use crate::time::Timestamp;
use crate::ways::WayKind;

/// How a rollout goes, with every ring and device. `sequence` is that of the latest event which
/// the view contains.
#[must_use]
pub fn status(view: &RolloutView, sequence: u64, now: Timestamp) -> RolloutStatus {
    let words =
        Words { view, now, is_full: is_full(view), room: view.room(), tallies: tallies(view, now) };
    RolloutStatus {
        summary: summary(view),
        spec: view.spec.clone(),
        rings_detail: (0..view.rings.len()).map(|ring| words.ring(ring)).collect(),
        left_out: view.left_out.clone(),
        awaited: view.devices.iter().filter(|device| !device.is_settled()).count() as u32,
        awaiting_user: view.devices.iter().filter(|device| device.awaits_user()).count() as u32,
        bytes_downloaded: view.devices.iter().map(|device| device.bytes_downloaded).sum(),
        traffic: traffic(view),
        sequence,
    }
}

/// What the devices that have their release downloaded, against what its archive would have taken.
fn traffic(view: &RolloutView) -> Traffic {
    let mut traffic = Traffic::default();
    let mut bytes = 0;
    for kind in WayKind::ALL {
        let took = |device: &&DeviceView| device.way.as_ref().is_some_and(|way| way.kind == kind);
        let mut of_kind = WayTraffic { kind, devices: 0, bytes: 0 };
        for device in view.devices.iter().filter(took) {
            of_kind.devices += 1;
            of_kind.bytes += device.bytes_downloaded;
            traffic.archive_bytes += device.archive_bytes;
            traffic.edge_bytes += device.way.as_ref().map_or(0, |way| way.edge_bytes);
        }
        bytes += of_kind.bytes;
        traffic.ways.extend((of_kind.devices > 0).then_some(of_kind));
    }
    traffic.saved_bytes = traffic.archive_bytes.saturating_sub(bytes);
    traffic
}

/// How a rollout goes, at a glance.
#[must_use]
pub fn summary(view: &RolloutView) -> RolloutSummary {
    let mut steps = BTreeMap::new();
    for device in &view.devices {
        *steps.entry(device.step).or_default() += 1;
    }
    RolloutSummary {
        id: view.id.clone(),
        name: view.spec.name.clone(),
        version: view.spec.version.clone(),
        state: view.state,
        reason: view.cause.as_ref().map(Reason::from),
        author: view.author.clone(),
        started_at: view.started_at,
        changed_at: view.changed_at,
        current_ring: view.current_ring(),
        rings: view.rings.len() as u32,
        steps,
    }
}

fn is_full(view: &RolloutView) -> bool {
    view.spec.max_in_flight > 0 && view.places_taken() >= view.spec.max_in_flight
}

struct Words<'a> {
    view: &'a RolloutView,
    now: Timestamp,
    is_full: bool,
    room: u32,
    tallies: Vec<Tally>,
}

impl Words<'_> {
    fn ring(&self, place: usize) -> RingStatus {
        let ring = &self.view.rings[place];
        let here = self.view.devices.of_ring(place as u32);
        RingStatus {
            name: self.view.spec.rings[place].name.clone(),
            state: ring.state,
            reasons: self.gate_waits_on(place).iter().map(Reason::from).collect(),
            tally: self.tallies[place],
            started_at: ring.started_at,
            ended_at: ring.ended_at,
            devices: here.map(|device| self.device(device)).collect(),
        }
    }

    fn device(&self, device: &DeviceView) -> DeviceStatus {
        DeviceStatus {
            device: device.device.clone(),
            hostname: device.hostname.clone(),
            release: device.release.clone(),
            step: device.step,
            since: device.since,
            online: self.now.since(device.last_seen) <= ONLINE_WITHIN,
            reason: self.device_waits_on(device).as_ref().map(Reason::from),
            active: device.active.clone(),
            bytes_downloaded: device.bytes_downloaded,
            way: device.way.clone(),
            failure: device.failure.clone(),
        }
    }

    fn gate_waits_on(&self, place: usize) -> Vec<WaitingOn> {
        match self.view.rings[place].state {
            RingState::Passed | RingState::RolledBack => Vec::new(),
            RingState::Waiting => match self.earlier_ring(place as u32) {
                Some(ring) => vec![WaitingOn::Ring(ring)],
                None => vec![WaitingOn::Order],
            },
            RingState::Failed | RingState::RollingBack => match &self.view.cause {
                Some(Cause::GateFailed { ring, failure })
                    if *ring == self.view.spec.rings[place].name =>
                {
                    vec![WaitingOn::Gate(failure.clone())]
                }
                Some(Cause::RehearsalFailed { ring, devices })
                    if *ring == self.view.spec.rings[place].name =>
                {
                    vec![WaitingOn::CannotGoBack { devices: *devices }]
                }
                Some(_) | None => Vec::new(),
            },
            RingState::Rehearsing => vec![self.rehearsal(place as u32)],
            RingState::Running | RingState::Repeating => {
                let mut reasons = Vec::new();
                let inputs = inputs(self.view, place, &self.tallies);
                let tally = inputs.own();
                let missing = tally.waiting + tally.in_flight;
                if missing > 0 {
                    reasons.push(WaitingOn::Answers { missing });
                }
                let (successes, needed) = (tally.successes, inputs.needed());
                if successes < needed && missing == 0 {
                    let apart = tally.apart();
                    reasons.push(WaitingOn::Successes { successes, needed, apart });
                }
                if let Some(Shown::NotYet { bound, inconclusive: so_far }) = inputs.shown() {
                    let bound = (bound * 1e6).round() as u32;
                    reasons.push(WaitingOn::Confidence { so_far, bound });
                }
                if let Some(canary) = &inputs.gate.canary
                    && !inputs.look.as_ref().is_some_and(|it| it.is_final || it.is_accepted)
                {
                    let (devices, measure) = (canary.devices, canary.measure);
                    let latest = inputs.look.clone();
                    reasons.push(WaitingOn::Signals { devices, measure, latest });
                }
                reasons
            }
        }
    }

    /// The first ring before this one that has not passed.
    fn earlier_ring(&self, place: u32) -> Option<String> {
        let current = self.view.current_ring();
        (current < place).then(|| self.view.spec.rings[current as usize].name.clone())
    }

    fn device_waits_on(&self, device: &DeviceView) -> Option<WaitingOn> {
        if let Some(rollout) = &device.superseded_by {
            return Some(WaitingOn::Superseded(rollout.clone()));
        }
        let Some(order) = device.order else { return Some(self.waits_for_order_on(device)) };
        let since = device.since;
        if device.is_silent {
            return Some(WaitingOn::Silent { since: device.last_seen });
        }
        if let Some(retry) = self.retry_of(device) {
            return Some(retry);
        }
        match device.step {
            Step::Accepted if self.view.state == RolloutState::RolledBack => {
                self.cannot_go_back(device)
            }
            Step::Accepted => None,
            Step::Staged if device.awaits_user() => Some(self.waits_for_user_on(device, order)),
            Step::Offered => Some(WaitingOn::Answer { since: order.ordered_at }),
            Step::Fetching | Step::Staged | Step::Activating | Step::Verifying | Step::Soaking => {
                if let Some(opens) = order.waits_until {
                    return Some(WaitingOn::Window { opens });
                }
                Some(WaitingOn::Step { step: device.step, since })
            }
            Step::Reverted if order.want == WantKind::Revert => Some(if self.rehearses(device) {
                self.rehearsal(device.ring)
            } else {
                WaitingOn::PutBack
            }),
            Step::Failed | Step::Reverting | Step::Reverted | Step::Quarantined => {
                match (&device.failure, order.want) {
                    (None, WantKind::Revert) => Some(WaitingOn::Step { step: device.step, since }),
                    (failure, _) => Some(WaitingOn::Failed(failure.clone())),
                }
            }
            // It was told to begin nothing, and waits for whatever the rollout waits for.
            Step::Waiting | Step::Skipped => Some(self.waits_for_order_on(device)),
        }
    }

    /// What a device waits for whose user was asked: the answer, or its turn.
    fn waits_for_user_on(&self, device: &DeviceView, order: OrderView) -> WaitingOn {
        let deadline = self.view.deadline_of(device).unwrap_or(order.ordered_at);
        match self.view.is_released(device, self.now) {
            true => self.waits_for_order_on(device),
            false if self.view.asks_in_vain(device, self.now) => {
                WaitingOn::Offline { since: device.last_seen }
            }
            false => WaitingOn::User { deadline, answer: order.answer.unwrap_or_default() },
        }
    }

    fn rehearses(&self, device: &DeviceView) -> bool {
        self.view.rings[device.ring as usize].state == RingState::Rehearsing
            && self.view.state == RolloutState::Running
    }

    fn rehearsal(&self, ring: u32) -> WaitingOn {
        let here = self.view.devices.of_ring(ring);
        WaitingOn::Rehearsal { left: here.filter(|device| !device.is_settled()).count() as u32 }
    }

    fn retry_of(&self, device: &DeviceView) -> Option<WaitingOn> {
        let (retry, failure) = (&self.view.spec.retry, device.failure.clone()?);
        let is_moving = self.view.state == RolloutState::Running;
        let at = device.retries_at(retry).filter(|_| is_moving)?;
        let (attempt, of) = (device.attempts + 1, retry.times + 1);
        Some(WaitingOn::Retry { at, attempt, of, failure })
    }

    fn cannot_go_back(&self, device: &DeviceView) -> Option<WaitingOn> {
        match &device.previous {
            Previous::Unknown(version) => {
                Some(WaitingOn::UnknownPrevious { version: version.clone() })
            }
            Previous::Nothing | Previous::Release(_) => None,
        }
    }

    fn waits_for_order_on(&self, device: &DeviceView) -> WaitingOn {
        match self.view.state {
            RolloutState::Stopping | RolloutState::Stopped => return WaitingOn::Stopped,
            RolloutState::RollingBack | RolloutState::RolledBack => return WaitingOn::RolledBack,
            RolloutState::Paused => return WaitingOn::Paused(self.view.cause.clone()),
            RolloutState::Running | RolloutState::Completed => {}
        }
        if let Some(ring) = self.earlier_ring(device.ring) {
            return WaitingOn::Ring(ring);
        }
        if let Some(kept_out) = &device.kept_out {
            return WaitingOn::KeptOut(kept_out.clone());
        }
        if let Some(unmet) = &device.unmet {
            return WaitingOn::Packages((**unmet).clone());
        }
        if self.rehearses(device) {
            return self.rehearsal(device.ring);
        }
        let since = device.last_seen;
        if self.view.state == RolloutState::Completed {
            return WaitingOn::WasOffline { since };
        }
        match self.view.hearing(device, self.now) {
            Hearing::Offline => WaitingOn::Offline { since },
            Hearing::Unheard => WaitingOn::Unheard { since },
            Hearing::Heard if self.is_full => {
                WaitingOn::MaxInFlight { max: self.view.spec.max_in_flight }
            }
            Hearing::Heard => match self.view.exposure {
                Some(exposure) if self.room == 0 => WaitingOn::BlastRadius { max: exposure.max },
                Some(_) | None => WaitingOn::Order,
            },
        }
    }
}
