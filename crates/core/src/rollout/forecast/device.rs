//! A device of a forecast: what it does with an order, step by step, by the agent's own decisions.

use super::behaviour::{Model, Took, Truth};
use super::dice::Dice;
use super::fleet::{Fleet, Windows};
use crate::agent::{self, Action, Event, Situation};
use crate::order::{FailureKind, Order, Step, Want};
use crate::rollout::WantKind;
use crate::time::{Span, Timestamp};

/// A device that downloads or waits tells so at least so often within the patience of the server.
const SIGNS_OF_LIFE: u64 = 2;

/// What a device tells of its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    /// When.
    pub(super) at: Timestamp,
    /// Where it stands.
    pub(super) step: Step,
    /// When the window opens that it waits for.
    pub(super) waits_until: Option<Timestamp>,
    /// What failed.
    pub(super) failure: Option<FailureKind>,
    /// Bytes that it has fetched.
    pub(super) bytes: u64,
}

/// How it goes on a device in one run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fate {
    /// The release fails on it.
    is_bad: bool,
    /// It never answers.
    is_silent: bool,
    /// This attempt fails for what passes by itself.
    is_passing: bool,
    took: Took,
}

impl Fate {
    /// Drawn from dice of the device in its run, and for what is drawn anew with each attempt from
    /// dice of that.
    pub(super) fn draw(times: &[Took], truth: Truth, device: Dice, attempt: u32) -> Self {
        let (mut once, mut now) = (device, device.about(u64::from(attempt)));
        let is_bad = once.chance(truth.failures);
        let is_silent = is_bad && once.chance(truth.silent);
        let is_passing = now.chance(truth.retries);
        Self { is_bad, is_silent, is_passing, took: Model::draw(times, &mut now) }
    }

    /// The same on a device that has fetched the release already.
    pub(super) fn with_release_staged(mut self) -> Self {
        (self.is_passing, self.took.fetch) = (false, Span::ZERO);
        self
    }
}

/// An order as it goes through a device.
struct Course<'a> {
    order: &'a Order,
    fate: Fate,
    /// Bytes that there are to fetch, and that are fetched.
    whole: u64,
    bytes: u64,
    step: Step,
    at: Timestamp,
    is_switched: bool,
    failure: Option<FailureKind>,
    told: Vec<Told>,
}

/// What the device at a place tells of an order that it is given now, in the order of time.
pub(super) fn obey(
    fleet: &Fleet<'_>,
    place: usize,
    want: WantKind,
    fate: Fate,
    now: Timestamp,
    windows: &mut Windows,
) -> Vec<Told> {
    if fate.is_silent {
        return Vec::new();
    }
    let device = &fleet.devices[place];
    let order = match want {
        WantKind::Activate => &fleet.orders[device.order].activate,
        WantKind::Offer => {
            fleet.orders[device.order].offer.as_ref().expect("only what is published is offered")
        }
        WantKind::Revert => &fleet.orders[device.order].revert,
        WantKind::Hold => &fleet.orders[device.order].hold,
    };
    let mut course = Course {
        order,
        fate,
        whole: device.bytes,
        bytes: 0,
        step: Step::Offered,
        at: now,
        is_switched: false,
        failure: None,
        told: Vec::new(),
    };
    while course.go(fleet, device.zone, windows) {}
    course.told
}

impl Course<'_> {
    /// Does what the agent decides. Whether there is more to do.
    fn go(&mut self, fleet: &Fleet<'_>, zone: usize, windows: &mut Windows) -> bool {
        let release = match &self.order.want {
            Want::Activate { release, .. } => Some(&release.id),
            Want::Offer { .. } | Want::Revert { .. } | Want::Hold => None,
        };
        let situation = Situation {
            want: &self.order.want,
            step: self.step,
            active: release.filter(|_| self.is_switched),
            is_unproven: false,
            soak_left: fleet.soak(),
            opening: fleet.opening(zone, self.at, windows),
            is_forgotten: false,
        };
        let event = match agent::decide(&situation) {
            // What users will say is not known: the deadline answers for them.
            Action::Rest | Action::AskUser => return false,
            Action::Note(event) => event,
            Action::Stage => self.stage(fleet.patience()),
            Action::Await { opens } => return self.wait(opens),
            Action::Switch => {
                self.at = self.at + self.fate.took.rest;
                self.is_switched = true;
                Event::Switched
            }
            Action::Check if self.fate.is_bad => self.fail(FailureKind::Check),
            Action::Check => Event::Passed,
            Action::Soak(left) => {
                self.at = self.at + left;
                Event::Soaked
            }
            Action::PutBack => Event::PutBack,
            Action::NoticeChange => Event::Broke,
        };
        // What can't happen ends the course; the agent's own tests show that nothing can't.
        let Ok(step) = agent::advance(self.step, event) else { return false };
        self.step = step;
        self.tell(None);
        true
    }

    fn stage(&mut self, patience: Span) -> Event {
        let fetch = self.fate.took.fetch.as_millis();
        let signs = fetch * SIGNS_OF_LIFE / patience.as_millis().max(1);
        let (begun, whole) = (self.at, self.whole);
        for sign in 1..=signs {
            self.at = begun + Span::from_millis(fetch * sign / (signs + 1));
            self.bytes = whole * sign / (signs + 1);
            self.tell(None);
        }
        (self.at, self.bytes) = (begun + self.fate.took.fetch, whole);
        if self.fate.is_passing { self.fail(FailureKind::Network) } else { Event::Staged }
    }

    fn fail(&mut self, kind: FailureKind) -> Event {
        self.failure = Some(kind);
        Event::Broke
    }

    /// Waits for the window; one that never opens is waited for in vain.
    fn wait(&mut self, opens: Option<Timestamp>) -> bool {
        self.tell(opens);
        let Some(opens) = opens else { return false };
        self.at = self.at.max(opens);
        true
    }

    fn tell(&mut self, waits_until: Option<Timestamp>) {
        let told = Told {
            at: self.at,
            step: self.step,
            waits_until,
            failure: self.failure,
            bytes: self.bytes,
        };
        match self.told.last_mut() {
            // Steps that take no time are told as the last of them.
            Some(last) if last.at == told.at && waits_until.is_none() => *last = told,
            Some(_) | None => self.told.push(told),
        }
    }
}
