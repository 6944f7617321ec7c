//! Messages between devices and servers: how they get lost, late and doubled, and what each side
//! does with them.
//!
//! The agent's half follows its shell (`ask_for_orders`, `deliver_reports`), the server's half its
//! handlers: held polls, one report at a time, and `accept_order` as the only judge.

use std::rc::Rc;

use gofleet_core::agent::{Novelty, accept_order};
use gofleet_core::anomaly::{Class, PROCESSOR, Reading, Sample};
use gofleet_core::order::{Order, Progress, Step};
use gofleet_core::rollout::OrderView;
use gofleet_core::time::{Span, Timestamp};

use super::{Answer, Event, GoesOn, Held, Request, Wake, World};
use crate::device::OwnFacts;
use crate::invariant;
use crate::scenario::VERSIONS;
use crate::server::OrderRow;

/// How long a server holds a poll.
const HOLD_MS: u64 = 100_000;
/// How long a device waits for an answer beyond that.
const PATIENCE_MS: u64 = 30_000;
/// How long a device pauses after something went wrong.
const PAUSE_MS: u64 = 20_000;

/// What a server knows of a device, apart from when it heard of it.
#[derive(PartialEq)]
struct Known {
    generation: u64,
    orders: Vec<OrderRow>,
    steps: Vec<(Step, Timestamp, Option<OrderView>, bool)>,
}

impl World<'_> {
    /// Whether anything gets between a device and the servers.
    pub(super) fn is_connected(&self, device: usize) -> bool {
        self.devices[device].is_up && !self.cut_off.contains(&self.devices[device].site)
    }

    /// Sends something: never, once or twice, now or late.
    fn send(&mut self, device: usize, event: &Event) {
        let number = u64::from(self.devices[device].number);
        self.messages[device] += 1;
        let mut dice = self.scenario.dice(&[3, number, self.messages[device]]);
        let quick = dice.between(5, 400);
        if self.faults_have_ended {
            return self.later(quick, event.clone());
        }
        let network = self.scenario.network;
        if dice.chance(network.lost) {
            return;
        }
        let slow = if dice.chance(network.late) { dice.below(600_000) } else { 0 };
        self.later(quick + slow, event.clone());
        if dice.chance(network.doubled) {
            self.later(quick + dice.below(300_000), event.clone());
        }
    }

    fn request(&mut self, device: usize, request: Request) {
        if !self.is_connected(device) {
            return;
        }
        let server = self.reached(device);
        let number = u64::from(self.devices[device].number);
        let id = number << 32 | self.messages[device];
        self.send(device, &Event::ToServer { server, device, request, id });
    }

    /// Which server a device reaches: while an old one lives on, some reach that.
    fn reached(&self, device: usize) -> usize {
        let number = u64::from(self.devices[device].number);
        let mut dice = self.scenario.dice(&[5, number, self.messages[device]]);
        let mut others = (0..self.servers.len()).rev();
        let old = others.find(|at| *at != self.current && self.servers[*at].is_up);
        old.filter(|_| dice.chance(400)).unwrap_or(self.current)
    }

    fn answer(&mut self, device: usize, answer: Answer) {
        let mut device = device;
        if !self.faults_have_ended {
            let mut dice = self.scenario.dice(&[6, self.messages[device], self.events]);
            if dice.chance(self.scenario.network.misled) {
                device = dice.below(self.devices.len() as u64) as usize;
            }
        }
        if !self.cut_off.contains(&self.devices[device].site) {
            self.send(device, &Event::ToDevice { device, answer });
        }
    }

    /// A device asks for orders.
    pub(super) fn ask(&mut self, device: usize) {
        let it = &mut self.devices[device];
        it.serial += 1;
        it.asking = it.serial;
        let (poll, after, boot) = (it.asking, it.after, it.boot);
        self.request(device, Request::Poll { poll, after });
        let what = Wake::PollLost(poll);
        self.later(HOLD_MS + PATIENCE_MS, Event::Wake { device, boot, what });
    }

    fn ask_after(&mut self, device: usize, ms: u64) {
        let it = &mut self.devices[device];
        it.serial += 1;
        it.asking = it.serial;
        let (poll, boot) = (it.asking, it.boot);
        self.later(ms, Event::Wake { device, boot, what: Wake::Ask(poll) });
    }

    /// The connection of an open poll broke.
    pub(super) fn hang_up(&mut self, server: usize) {
        for device in 0..self.devices.len() {
            let Some((poll, _)) = self.servers[server].parked[device].take() else { continue };
            if self.devices[device].is_up && self.devices[device].asking == poll {
                self.devices[device].after = None;
                self.ask_after(device, PAUSE_MS);
            }
        }
    }

    /// Delivers the next report, if none is under way.
    pub(super) fn deliver(&mut self, device: usize) {
        if !self.devices[device].is_up || self.devices[device].reporting.is_some() {
            return;
        }
        let now = self.now();
        let it = &mut self.devices[device];
        let progress = it.memory.next_report().cloned();
        let is_end = progress.as_ref().is_some_and(|progress| !progress.step.is_in_flight());
        let facts = (is_end || it.has_news).then(|| it.facts());
        if progress.is_none() && facts.is_none() {
            return;
        }
        it.serial += 1;
        let (report, boot) = (it.serial, it.boot);
        let told = progress.as_ref().map(|progress| it.told(progress, now));
        it.reporting = Some((report, progress));
        self.note_claim(device, told.as_ref());
        self.request(device, Request::Report { report, progress: told, facts });
        self.later(PATIENCE_MS, Event::Wake { device, boot, what: Wake::ReportAgain(report) });
    }

    /// Remembers that a device has said, with evidence, that it brought an order to acceptance.
    fn note_claim(&mut self, device: usize, told: Option<&Progress>) {
        let Some(told) = told.filter(|told| told.step == Step::Accepted) else { return };
        if let (Some(order), Some(_)) = (told.order, &told.receipt) {
            self.claims.insert((device, order));
        }
    }

    pub(super) fn report_again(&mut self, device: usize, report: u64) {
        if self.devices[device].reporting.as_ref().is_some_and(|(it, _)| *it == report) {
            self.devices[device].reporting = None;
            self.deliver(device);
        }
    }

    /// A server takes a request.
    pub(super) fn server_hears(
        &mut self,
        server: usize,
        device: usize,
        request: Request,
        id: u64,
    ) -> Held {
        // Behind a proxy, a late request reaches whoever serves by then.
        let server = if self.servers[server].is_up { server } else { self.current };
        if !self.servers[server].is_up {
            return Ok(());
        }
        let now = self.server_now();
        match request {
            Request::Poll { poll, after } => {
                self.servers[server].database.touch(device, now);
                self.take_sample(server, device, poll);
                self.watch_sample(server, device)?;
                self.servers[server].parked[device] = Some((poll, after.unwrap_or(0)));
                self.later(HOLD_MS, Event::PollOver { server, device, poll });
                self.answer_parked(server, device);
                Ok(())
            }
            Request::Report { report, progress, facts } => {
                let is_again = !self.servers[server].taken.insert(id);
                let before = is_again.then(|| self.known(server, device));
                self.take_report(server, device, progress.as_ref(), facts);
                if let Some(before) = before {
                    let after = self.known(server, device);
                    if before != after {
                        let seen = format!("a doubled report of {} did", self.devices[device].id);
                        return self.broke(invariant::REDELIVERY, seen);
                    }
                }
                self.check_successes(server, device)?;
                self.answer(device, Answer::Taken { report });
                self.nudge(server);
                Ok(())
            }
        }
    }

    /// A server takes what a device measured since it asked the last time.
    fn take_sample(&mut self, server: usize, device: usize, poll: u64) {
        if self.servers[server].canaries.is_empty() {
            return;
        }
        let (now, it) = (self.server_now(), &self.devices[device]);
        let version = it.disk.version().and_then(|it| VERSIONS.iter().position(|v| *v == it));
        let is_slow = version.is_some_and(|version| self.scenario.is_slow(version));
        let mut dice = self.scenario.dice(&[8, u64::from(it.number), poll]);
        let load = 20 + dice.below(10) + if is_slow { 20 } else { 0 };
        let values = [(PROCESSOR.parse().expect("it is a name"), Reading::whole(load))].into();
        let sample = Sample { over: Span::from_secs(60), values, command_failure: None };
        let (id, class) = (it.id.clone(), Class::from("all".to_owned()));
        self.servers[server].canaries.observe(&id, &class, &sample, now);
    }

    fn take_report(
        &mut self,
        server: usize,
        device: usize,
        progress: Option<&Progress>,
        facts: Option<OwnFacts>,
    ) {
        let now = self.server_now();
        let database = &mut self.servers[server].database;
        database.touch(device, now);
        let known = database.devices[device].generation;
        let mut facts = facts.unwrap_or_else(|| database.devices[device].facts());
        if let Some(progress) = progress {
            let is_news = database.take_progress(device, progress, now);
            if is_news && progress.generation >= known {
                facts.active.clone_from(&progress.active);
            }
        }
        database.take_facts(device, &facts);
    }

    /// What a server knows of a device, apart from when it heard of it.
    fn known(&self, server: usize, device: usize) -> Known {
        let database = &self.servers[server].database;
        let row = &database.devices[device];
        let steps: Vec<_> = database
            .rollouts
            .iter()
            .filter(|rollout| rollout.places[device] != crate::server::NOWHERE)
            .map(|rollout| {
                let view = &rollout.view.devices[rollout.places[device] as usize];
                (view.step, view.since, view.order, view.is_silent)
            })
            .collect();
        Known { generation: row.generation, orders: row.orders.clone(), steps }
    }

    /// Answers the open poll of a device, if there is something for it.
    pub(super) fn answer_parked(&mut self, server: usize, device: usize) {
        let Some((poll, after)) = self.servers[server].parked[device] else { return };
        let Some(order) = self.servers[server].database.order_after(device, after) else { return };
        let order = Rc::new(order.clone());
        self.servers[server].parked[device] = None;
        self.answer(device, Answer::Order { poll, order });
    }

    pub(super) fn poll_is_over(&mut self, server: usize, device: usize, poll: u64) {
        if self.servers[server].parked[device].is_some_and(|(parked, _)| parked == poll) {
            self.servers[server].parked[device] = None;
            if self.servers[server].is_up {
                self.answer(device, Answer::NoOrder { poll });
            }
        }
    }

    /// A device takes an answer, which may be one to a question that it has given up.
    pub(super) fn device_hears(&mut self, device: usize, answer: Answer) -> Held {
        if !self.is_connected(device) {
            return Ok(());
        }
        match answer {
            Answer::Order { poll, order } => {
                let is_obeyed = self.consider(device, &order)?;
                if self.devices[device].asking != poll {
                    return Ok(());
                }
                if is_obeyed {
                    self.devices[device].after =
                        self.devices[device].seen().map(|seen| seen.generation);
                    self.ask(device);
                } else {
                    self.devices[device].after = None;
                    self.ask_after(device, PAUSE_MS);
                }
                Ok(())
            }
            Answer::NoOrder { poll } => {
                if self.devices[device].asking == poll {
                    self.devices[device].after =
                        self.devices[device].seen().map(|seen| seen.generation);
                    self.ask_after(device, 1000);
                }
                Ok(())
            }
            Answer::Taken { report } => {
                let it = &mut self.devices[device];
                if it.reporting.as_ref().is_some_and(|(under_way, _)| *under_way == report) {
                    let (_, told) = it.reporting.take().expect("it was just looked at");
                    if let Some(told) = told {
                        it.memory.delivered(&told);
                    }
                    it.has_news = false;
                    self.deliver(device);
                }
                Ok(())
            }
        }
    }

    /// Whether the order may be obeyed; if it is new, it is passed on.
    fn consider(&mut self, device: usize, order: &Order) -> GoesOn {
        let it = &self.devices[device];
        let (seen, id) = (it.seen(), it.id.clone());
        let verdict = accept_order(&id, seen.as_ref(), order);
        self.check_considered(device, seen.as_ref(), order, verdict.is_ok())?;
        let said = match &verdict {
            Ok(Novelty::New) => Some("takes up".to_owned()),
            Ok(Novelty::Known) => None,
            Err(refusal) => Some(format!("refuses ({refusal})")),
        };
        if let Some(said) = said {
            self.tell(|_| {
                let want = crate::story::want_in_words(&order.want);
                let (epoch, generation) = (order.epoch, order.generation);
                format!("{id} {said} the order to {want} (epoch {epoch}, generation {generation})")
            });
        }
        match verdict {
            Ok(Novelty::Known) => Ok(true),
            Ok(Novelty::New) => {
                self.devices[device].pending = Some(order.clone());
                self.news(device)?;
                Ok(true)
            }
            Err(_) => Ok(false),
        }
    }
}
