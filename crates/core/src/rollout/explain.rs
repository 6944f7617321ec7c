//! How a rollout goes, and why: for each device that has not come to the end, the reason.

use std::collections::BTreeMap;
use std::fmt;

use super::gate::{Shown, inputs, tallies};
use super::{
    Cause, DeviceStatus, DeviceView, GateFailure, Hearing, OrderView, Previous, Reason, RingState,
    RingStatus, RolloutState, RolloutStatus, RolloutSummary, RolloutView, Tally, Traffic, WantKind,
    WayTraffic,
};
use crate::canary::Look;
use crate::device::ONLINE_WITHIN;
use crate::hold::KeptOut;
use crate::ids::RolloutId;
use crate::offer::Answer;
use crate::order::{Failure, Step};
use crate::time::{Span, Timestamp};
use crate::ways::WayKind;

/// What a device, or a ring's gate, waits on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitingOn {
    /// The rollout is paused.
    Paused(Option<Cause>),
    /// The rollout is being stopped, or was.
    Stopped,
    /// The rollout is being put back, or was.
    RolledBack,
    /// The rollout completed without it: it was offline all the time.
    WasOffline {
        /// When it was heard last.
        since: Timestamp,
    },
    /// Another rollout ordered something else of it.
    Superseded(RolloutId),
    /// An earlier ring has not passed.
    Ring(String),
    /// Held apart until it comes back.
    Offline {
        /// When it was heard last.
        since: Timestamp,
    },
    /// Held, or in quarantine: held apart until it is let in.
    KeptOut(KeptOut),
    /// This server has not heard it yet, and has not listened for long enough to hold it apart.
    Unheard {
        /// When it was heard last.
        since: Timestamp,
    },
    /// As many devices are in flight as may be.
    MaxInFlight {
        /// How many may.
        max: u32,
    },
    /// As many devices of all rollouts are in flight or broken as may be.
    BlastRadius {
        /// How many may.
        max: u32,
    },
    /// The next tick.
    Order,
    /// It has its order, and has not answered yet.
    Answer {
        /// Since when.
        since: Timestamp,
    },
    /// It has staged the release, and its window is closed.
    Window {
        /// When it opens, by the device's clock and zone.
        opens: Timestamp,
    },
    /// It has staged the release, and its user is asked.
    User {
        /// When the release is activated without asking.
        deadline: Timestamp,
        /// What the user has answered.
        answer: Answer,
    },
    /// It is on its way.
    Step {
        /// Where it is.
        step: Step,
        /// Since when.
        since: Timestamp,
    },
    /// It has not answered in time, which counts as a failure.
    Silent {
        /// When it was heard last.
        since: Timestamp,
    },
    /// It failed for a reason that may pass, and tries again.
    Retry {
        /// When.
        at: Timestamp,
        /// Which attempt that is.
        attempt: u32,
        /// Of how many.
        of: u32,
        /// What failed.
        failure: Failure,
    },
    /// It failed.
    Failed(Option<Failure>),
    /// It was put back by order.
    PutBack,
    /// A rollback cannot reach it, since the catalog does not have what it had before.
    UnknownPrevious {
        /// What it had.
        version: String,
    },
    /// The gate waits for answers.
    Answers {
        /// Devices that have not been ordered or not answered.
        missing: u32,
    },
    /// The gate waits for more successes, and only devices that are held apart are left.
    Successes {
        /// How many there are.
        successes: u32,
        /// How many it needs.
        needed: u32,
        /// How many are held apart.
        apart: u32,
    },
    /// The gate waits until it is shown that few enough fail.
    Confidence {
        /// What the devices up to this ring show so far.
        so_far: GateFailure,
        /// The failure rate may still be as high as this, in millionths.
        bound: u32,
    },
    /// The gate waits until the signals of upgraded devices and others can be compared.
    Signals {
        /// So many must be measured on each side.
        devices: u32,
        /// Each for so long.
        measure: Span,
        /// What was seen so far.
        latest: Option<Look>,
    },
    /// Its ring goes back in a rehearsal, and upgrades again when all are back.
    Rehearsal {
        /// How many are not back.
        left: u32,
    },
    /// Devices cannot go back.
    CannotGoBack {
        /// How many.
        devices: u32,
    },
    /// The gate failed.
    Gate(GateFailure),
}

impl WaitingOn {
    /// The kind of reason, like `max_in_flight`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Paused(_) => "paused",
            Self::Stopped => "stopped",
            Self::RolledBack => "rolled_back",
            Self::WasOffline { .. } => "was_offline",
            Self::Superseded(_) => "superseded",
            Self::Ring(_) => "ring",
            Self::Offline { .. } => "offline",
            Self::KeptOut(kept_out) => kept_out.code(),
            Self::Unheard { .. } => "unheard",
            Self::MaxInFlight { .. } => "max_in_flight",
            Self::BlastRadius { .. } => "blast_radius",
            Self::Order => "order",
            Self::Answer { .. } => "answer",
            Self::Window { .. } => "window",
            Self::User { .. } => "user",
            Self::Step { .. } => "step",
            Self::Silent { .. } => "silent",
            Self::Retry { .. } => "retry",
            Self::Failed(_) => "failed",
            Self::PutBack => "put_back",
            Self::UnknownPrevious { .. } => "unknown_previous",
            Self::Answers { .. } => "answers",
            Self::Successes { .. } => "successes",
            Self::Confidence { .. } => "confidence",
            Self::Signals { .. } => "signals",
            Self::Rehearsal { .. } => "rehearsal",
            Self::CannotGoBack { .. } => "cannot_go_back",
            Self::Gate(_) => "gate_failed",
        }
    }
}

impl fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused(None) => f.write_str("the rollout is paused"),
            Self::Paused(Some(cause)) => write!(f, "the rollout is paused: {cause}"),
            Self::Stopped => f.write_str("the rollout was stopped"),
            Self::RolledBack => f.write_str("the rollout was rolled back"),
            Self::WasOffline { since } => write!(f, "was offline (last heard {since})"),
            Self::Superseded(id) => write!(f, "rollout {id} has ordered something else since"),
            Self::Ring(ring) => write!(f, "ring `{ring}` has not passed yet"),
            Self::Offline { since } => write!(f, "offline (last heard {since}), held apart"),
            Self::KeptOut(kept_out) => write!(f, "{kept_out}"),
            Self::Unheard { since } => {
                write!(f, "not heard yet by the server that has just started (last heard {since})")
            }
            Self::MaxInFlight { max } => write!(f, "{max} devices are in flight, the most allowed"),
            Self::BlastRadius { max } => {
                write!(f, "{max} devices of all rollouts are in flight or broken, the most allowed")
            }
            Self::Order => f.write_str("is next"),
            Self::Answer { since } => write!(f, "has not answered its order of {since} yet"),
            Self::Window { opens } => write!(f, "outside its window, which opens next at {opens}"),
            Self::User { deadline, answer } => {
                write!(f, "offered to the user until {deadline}: {answer}")
            }
            Self::Step { step, since } => write!(f, "{step} since {since}"),
            Self::Silent { since } => {
                write!(f, "silent (last heard {since}), which counts as failure")
            }
            Self::Retry { at, attempt, of, failure } => write!(
                f,
                "failed at {}: {}; attempt {attempt} of {of} at {at}",
                failure.step, failure.message
            ),
            Self::Failed(None) => f.write_str("failed"),
            Self::Failed(Some(failure)) => {
                write!(f, "failed at {}: {}", failure.step, failure.message)
            }
            Self::PutBack => f.write_str("was put back by order"),
            Self::UnknownPrevious { version } => {
                write!(f, "cannot be put back: its earlier {version} is not in the catalog")
            }
            Self::Answers { missing: 1 } => f.write_str("1 device has not finished"),
            Self::Answers { missing } => write!(f, "{missing} devices have not finished"),
            Self::Successes { successes, needed, apart } => {
                write!(f, "{successes} accepted, {needed} must; {apart} are held apart")
            }
            Self::Confidence { so_far, bound } => {
                write!(f, "{so_far}; so far it may be {:.1}%", f64::from(*bound) / 1e4)
            }
            Self::Signals { devices, measure, latest } => {
                write!(f, "signals are compared: {devices} devices on each side, {measure} each")?;
                latest.as_ref().map_or(Ok(()), |look| write!(f, "; {look}"))
            }
            Self::Rehearsal { left } => write!(
                f,
                "the ring rehearses going back, and upgrades again when all are back: {left} \
                 are not"
            ),
            Self::CannotGoBack { devices: 1 } => f.write_str("1 device cannot go back"),
            Self::CannotGoBack { devices } => write!(f, "{devices} devices cannot go back"),
            Self::Gate(failure) => write!(f, "{failure}"),
        }
    }
}

impl From<&WaitingOn> for Reason {
    fn from(reason: &WaitingOn) -> Self {
        Self { code: reason.code().to_owned(), text: reason.to_string() }
    }
}

impl From<&Cause> for Reason {
    fn from(cause: &Cause) -> Self {
        Self { code: cause.code().to_owned(), text: cause.to_string() }
    }
}

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
