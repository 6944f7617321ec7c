//! One run of a forecast: the engine, and devices that answer it, on a clock that jumps from event
//! to event.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::HOUR_MS;
use super::absence::Past;
use super::behaviour::{Model, Truth, stays_away};
use super::device::{Fate, Told, obey};
use super::dice::Dice;
use super::fleet::{Fleet, Windows};
use crate::hold::{Hold, KeptOut};
use crate::order::{Failure, FailureKind, Order, Progress, Receipt, Step};
use crate::rollout::advance::pass;
use crate::rollout::{
    self, Action, Cause, DeviceView, RingState, RolloutState, RolloutView, WantKind, take_report,
};
use crate::time::{Span, Timestamp};

/// Nothing is looked for farther ahead.
const HORIZON: Span = Span::from_secs(90 * 86_400);

/// What a run may cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Events so close together are dealt with at once, at the time of the last of them.
    pub(super) resolution: Span,
    /// Most passes of the engine.
    pub(super) passes: u64,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// Every ring is through.
    Completed,
    /// It was paused or put back, at this ring.
    Stopped {
        /// The ring's place.
        ring: usize,
        /// Why, in words.
        why: String,
    },
    /// Something never comes: a device that is away, a window.
    Stuck {
        /// The ring's place.
        ring: usize,
    },
    /// It took more passes than it may.
    CutOff,
}

/// What came of a run. Times count from its start.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) end: End,
    /// When it ended.
    pub(super) at: Span,
    /// When each ring passed its gate.
    pub(super) passed: Vec<Option<Span>>,
    /// When each device accepted that did, in seconds; sorted.
    pub(super) arrivals: Vec<u32>,
    /// Bytes by hour and place of the site.
    pub(super) bytes: BTreeMap<(u32, usize), u64>,
    /// The most devices that were in flight at once, by hour.
    pub(super) in_flight: BTreeMap<u32, u32>,
    /// How often the engine was asked.
    pub(super) passes: u64,
}

/// What happens at a time: to a device, or to nobody but the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: Timestamp,
    place: usize,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// The engine is to look again.
    Wake,
    /// The device is back.
    Back,
    /// The device goes away, and comes back at this time.
    Away { until: Timestamp },
    /// The device is held no more.
    LetIn,
    /// The device tells of its order of this generation: the report of this number.
    Told { generation: u64, number: usize },
}

struct Runner<'a> {
    fleet: &'a Fleet<'a>,
    windows: &'a mut Windows,
    dice: Dice,
    truth: Truth,
    /// The stretch of the past that is repeated.
    past: Option<Past>,
    is_here: Vec<bool>,
    /// Until when a device is away that will tell something.
    away_until: Vec<Timestamp>,
    /// What each device will tell of its order.
    told: Vec<Vec<Told>>,
    due: BinaryHeap<Reverse<Due>>,
    now: Timestamp,
    flying: u32,
    run: Run,
}

/// Plays the rollout once.
pub(super) fn run(
    fleet: &Fleet<'_>,
    model: &Model,
    mut dice: Dice,
    pace: Pace,
    windows: &mut Windows,
) -> Run {
    let truth = model.truth(&mut dice);
    let view = fleet.view.clone();
    let run = Run {
        end: End::CutOff,
        at: Span::ZERO,
        passed: vec![None; view.rings.len()],
        arrivals: Vec::new(),
        bytes: BTreeMap::new(),
        in_flight: BTreeMap::new(),
        passes: 0,
    };
    let mut runner = Runner {
        fleet,
        windows,
        dice,
        truth,
        past: fleet.calendar.draw(dice.about(u64::MAX)),
        away_until: vec![view.started_at; view.devices.len()],
        is_here: fleet.devices.iter().map(|it| it.away_since.is_none()).collect(),
        told: vec![Vec::new(); view.devices.len()],
        due: BinaryHeap::new(),
        now: view.started_at,
        flying: 0,
        run,
    };
    runner.expect_returns();
    runner.go(view, pace);
    runner.run.arrivals.sort_unstable();
    runner.run
}

impl Runner<'_> {
    fn go(&mut self, mut view: RolloutView, pace: Pace) {
        while self.run.passes < pace.passes {
            view = self.ask_engine(view);
            self.run.at = self.now.since(self.fleet.view.started_at);
            let ring = (view.current_ring() as usize).min(view.rings.len() - 1);
            let state = view.state;
            self.run.end = match state {
                RolloutState::Completed => End::Completed,
                RolloutState::Running if self.move_on(&mut view, pace.resolution) => continue,
                RolloutState::Running => End::Stuck { ring },
                RolloutState::Paused
                | RolloutState::Stopping
                | RolloutState::RollingBack
                | RolloutState::Stopped
                | RolloutState::RolledBack => stopped(&view, ring),
            };
            return;
        }
    }

    /// Who is away comes back some time, and who is held for a while is let in.
    fn expect_returns(&mut self) {
        let (now, view) = (self.now, &self.fleet.view);
        for (place, device) in self.fleet.devices.iter().enumerate() {
            if let Some(since) = device.away_since {
                let mut dice = self.dice.about(place as u64).about(u64::MAX);
                let at = now + stays_away(now.since(since), &mut dice);
                self.due.push(Reverse(Due { at, place, what: What::Back }));
            } else {
                let next = self.goes_away(place, now);
                self.due.extend(next.map(Reverse));
            }
            if let Some(KeptOut::Hold(Hold { until: Some(at), .. })) = view.devices[place].kept_out
            {
                self.due.push(Reverse(Due { at, place, what: What::LetIn }));
            }
        }
        // From then on the server can tell who is away.
        let at = view.listening_since + view.spec.offline_after + Span::from_millis(1);
        if at > now {
            self.due.push(Reverse(Due { at, place: 0, what: What::Wake }));
        }
    }

    /// The engine looks when a device that is away from then on has been silent for too long.
    fn look_for_silence(&mut self, place: usize, from: Timestamp) {
        let at = from + self.fleet.patience().saturating_add(Span::from_millis(1));
        self.due.push(Reverse(Due { at, place, what: What::Wake }));
    }

    /// When a device goes away next after a time.
    fn goes_away(&self, place: usize, after: Timestamp) -> Option<Due> {
        let view = &self.fleet.view;
        let device = &view.devices[place].device;
        let calendar = &self.fleet.calendar;
        let (at, until) = calendar.next(device, self.past?, view.started_at, after)?;
        Some(Due { at, place, what: What::Away { until } })
    }

    fn ask_engine(&mut self, mut view: RolloutView) -> RolloutView {
        for (device, is_here) in view.devices.iter_mut().zip(&self.is_here) {
            if *is_here {
                device.last_seen = self.now;
            }
        }
        let (view, actions) = pass(view, self.now);
        self.run.passes += 1;
        for action in &actions {
            match action {
                Action::Order { device, want } => {
                    let place = self.fleet.places[device];
                    self.order(&view.devices[place], place, *want);
                }
                Action::SetRing { ring, state: RingState::Passed, .. } => {
                    let at = self.now.since(self.fleet.view.started_at);
                    self.run.passed[*ring as usize].get_or_insert(at);
                }
                Action::SetRing { .. }
                | Action::Look { .. }
                | Action::Assign { .. }
                | Action::MarkSilent { .. }
                | Action::Waive { .. }
                | Action::Requeue { .. }
                | Action::Quarantine { .. }
                | Action::SetState { .. } => {}
            }
        }
        let hour = self.hour(self.now);
        let most = self.run.in_flight.entry(hour).or_default();
        *most = (*most).max(self.flying);
        view
    }

    fn order(&mut self, device: &DeviceView, place: usize, want: WantKind) {
        let generation = device.order.map_or(0, |order| order.generation);
        let dice = self.dice.about(place as u64);
        let times = self.fleet.devices[place].times;
        let mut fate = Fate::draw(times, self.truth, dice, device.attempts);
        if want == WantKind::Activate && device.offered_at.is_some() {
            fate = fate.with_release_staged();
        }
        if let (WantKind::Offer, Some(at)) = (want, self.fleet.view.deadline_of(device)) {
            self.due.push(Reverse(Due { at, place, what: What::Wake }));
        }
        if !self.is_here[place] {
            self.look_for_silence(place, self.now);
        }
        let told = obey(self.fleet, place, want, fate, self.now, self.windows);
        self.expect(place, generation, &told);
        self.told[place] = told;
        self.flying += u32::from(want == WantKind::Activate);
    }

    /// Notes when the device tells something, and when the engine would have waited for too long.
    fn expect(&mut self, place: usize, generation: u64, told: &[Told]) {
        let patience = self.fleet.patience().saturating_add(Span::from_millis(1));
        let mut heard = self.now;
        for (number, report) in told.iter().enumerate() {
            let at = heard + patience;
            if report.at > at {
                self.due.push(Reverse(Due { at, place, what: What::Wake }));
            }
            let soak = if report.step == Step::Soaking { self.fleet.soak() } else { Span::ZERO };
            heard = report.waits_until.unwrap_or(report.at).max(report.at) + soak;
            let what = What::Told { generation, number };
            self.due.push(Reverse(Due { at: report.at, place, what }));
        }
        if told.last().is_none_or(|last| last.step.is_in_flight()) {
            self.due.push(Reverse(Due { at: heard + patience, place, what: What::Wake }));
        }
    }

    /// Lets the next thing happen that concerns the engine, and what comes right after. Whether
    /// there was one.
    fn move_on(&mut self, view: &mut RolloutView, resolution: Span) -> bool {
        let horizon = self.fleet.view.started_at + HORIZON;
        let mut until = None;
        while let Some(Reverse(Due { at, .. })) = self.due.peek() {
            if *at > until.unwrap_or(horizon) {
                break;
            }
            let Some(Reverse(due)) = self.due.pop() else { break };
            if self.happen(view, due) {
                self.now = self.now.max(due.at);
                until.get_or_insert(due.at + resolution);
            }
        }
        until.is_some()
    }

    /// Lets it happen. Whether the engine is to look.
    fn happen(&mut self, view: &mut RolloutView, Due { at, place, what }: Due) -> bool {
        match what {
            What::Wake => true,
            What::Back => {
                self.is_here[place] = true;
                let next = self.goes_away(place, at);
                self.due.extend(next.map(Reverse));
                let step = view.devices[place].step;
                step == Step::Waiting || step.is_in_flight()
            }
            What::Away { until } => {
                (self.is_here[place], self.away_until[place]) = (false, until);
                self.due.push(Reverse(Due { at: until, place, what: What::Back }));
                view.devices[place].last_seen = at;
                if view.devices[place].step.is_in_flight() {
                    self.look_for_silence(place, at);
                }
                false
            }
            // What it does meanwhile is told when it is back.
            What::Told { .. } if at < self.away_until[place] => {
                let at = self.away_until[place];
                self.due.push(Reverse(Due { at, place, what }));
                false
            }
            What::LetIn => {
                view.devices[place].kept_out = None;
                true
            }
            What::Told { generation, number } => {
                let retry = view.spec.retry;
                let device = &mut view.devices[place];
                let is_final = self.hear(device, place, (generation, number), at);
                if let Some(at) = device.retries_at(&retry).filter(|_| is_final) {
                    self.due.push(Reverse(Due { at, place, what: What::Wake }));
                }
                is_final
            }
        }
    }

    /// A report arrives, as storage takes it. Whether it ends the order.
    fn hear(
        &mut self,
        device: &mut DeviceView,
        place: usize,
        (generation, number): (u64, usize),
        at: Timestamp,
    ) -> bool {
        let (Some(order), Some(told)) = (device.order.as_mut(), self.told[place].get(number))
        else {
            return false;
        };
        if order.generation != generation {
            return false;
        }
        let orders = &self.fleet.orders[self.fleet.devices[place].order];
        let wanted: &Order = match order.want {
            WantKind::Activate => &orders.activate,
            WantKind::Offer => orders.offer.as_ref().expect("only what is published is offered"),
            WantKind::Revert => &orders.revert,
            WantKind::Hold => &orders.hold,
        };
        let known = rollout::Told {
            order: wanted,
            step: device.step,
            sequence: number.checked_sub(1).map(|before| before as u64),
            bytes_downloaded: device.bytes_downloaded,
            failure: device.failure.as_ref(),
        };
        let receipt = (told.step == Step::Accepted).then(|| orders.receipt.clone());
        let Some(news) = take_report(&known, &progress(told, generation, number, receipt)) else {
            return false;
        };
        let (bytes, before) = (told.bytes, device.bytes_downloaded);
        if news.has_moved {
            order.progressed_at = at;
        }
        if device.step != news.step {
            (device.step, device.since) = (news.step, at);
        }
        order.waits_until = told.waits_until;
        (device.is_silent, device.failure, device.bytes_downloaded) = (false, news.failure, bytes);
        self.count(place, news.step, bytes.saturating_sub(before), at);
        !news.step.is_in_flight()
    }

    fn count(&mut self, place: usize, step: Step, bytes: u64, at: Timestamp) {
        if bytes > 0 {
            let key = (self.hour(at), self.fleet.devices[place].site);
            *self.run.bytes.entry(key).or_default() += bytes;
        }
        if !step.is_in_flight() {
            self.flying = self.flying.saturating_sub(1);
        }
        if step == Step::Accepted {
            let after = at.since(self.fleet.view.started_at).as_millis() / 1000;
            self.run.arrivals.push(u32::try_from(after).unwrap_or(u32::MAX));
        }
    }

    fn hour(&self, at: Timestamp) -> u32 {
        (at.since(self.fleet.view.started_at).as_millis() / HOUR_MS) as u32
    }
}

/// How a rollout ended that moves no more.
fn stopped(view: &RolloutView, ring: usize) -> End {
    let failed = view.rings.iter().position(|it| {
        matches!(it.state, RingState::Failed | RingState::RollingBack | RingState::RolledBack)
    });
    let why = match &view.cause {
        Some(Cause::GateFailed { failure, .. }) => failure.to_string(),
        Some(cause) => cause.to_string(),
        None => view.state.to_string(),
    };
    End::Stopped { ring: failed.unwrap_or(ring), why }
}

/// A report as an agent sends it.
fn progress(told: &Told, generation: u64, number: usize, receipt: Option<Receipt>) -> Progress {
    let step = |kind: FailureKind| if kind.may_pass() { Step::Fetching } else { Step::Verifying };
    let failure = |kind| Failure { step: step(kind), kind, message: String::new() };
    Progress {
        generation,
        order: None,
        sequence: number as u64,
        step: told.step,
        active: None,
        waits_until: told.waits_until,
        answer: None,
        bytes_downloaded: told.bytes,
        way: None,
        failure: told.failure.map(failure),
        receipt,
    }
}
