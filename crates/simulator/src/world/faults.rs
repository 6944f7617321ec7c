//! How each fault begins, and how it ends.

use gofleet_core::emergency::EmergencyStop;
use gofleet_core::hold::{Hold, KeptOut};
use gofleet_core::rollout::{Action, Command, assign, command};

use super::{Crash, Event, Held, World};
use crate::invariant;
use crate::scenario::{Fault, VERSIONS};
use crate::server::{AGENT, OLD_AGENT, Server, release_id};

/// Names the hold that freezes everything.
const FREEZE: &str = "f1";

impl World<'_> {
    pub(super) fn begin_fault(&mut self, place: usize) -> Held {
        let fault = self.scenario.faults[place].1.clone();
        self.tell(|_| format!("FAULT: {fault}"));
        if let Some(number) = concerned(&fault) {
            let Some(device) = self.by_number.get(&number).copied() else { return Ok(()) };
            self.trouble(device, &fault, place);
            return Ok(());
        }
        match fault {
            Fault::Partition { site, for_ms } => {
                self.cut_off.insert(site);
                self.later(for_ms, Event::FaultEnds { place });
            }
            Fault::ServerDown { for_ms } => {
                self.stop_server(self.current);
                self.later(for_ms, Event::FaultEnds { place });
            }
            Fault::Restored { age_ms, old_lives_ms } => {
                self.restore(age_ms, old_lives_ms > 0);
                self.later(old_lives_ms, Event::FaultEnds { place });
            }
            Fault::PutBackByHand { age_ms } => self.put_database_back(age_ms),
            Fault::ServerClock { by_ms, for_ms } => {
                self.server_clock_ms = by_ms;
                self.later(for_ms, Event::FaultEnds { place });
            }
            Fault::BadRelease { version, per_mille, after_ms } => {
                self.broken[version] = Some((per_mille, after_ms));
            }
            Fault::Blocked { version, for_ms } => {
                self.servers[self.current].database.blocked.insert(version);
                self.nudge(self.current);
                self.later(for_ms, Event::FaultEnds { place });
            }
            Fault::Emergency { for_ms } => {
                let at = self.server_now();
                let (by, reason) = ("operator".to_owned(), "a fault".to_owned());
                let stop = EmergencyStop { by, reason, at };
                self.servers[self.current].database.emergency = Some(stop);
                self.nudge(self.current);
                self.later(for_ms, Event::FaultEnds { place });
            }
            Fault::Frozen { for_ms } => {
                self.freeze();
                self.later(for_ms, Event::FaultEnds { place });
            }
            Fault::Asked { rollout, command } => return self.obey(rollout, command),
            Fault::Assigned { rollout, device } => return self.assign(rollout, device),
            Fault::Crash { .. }
            | Fault::SwitchedOff { .. }
            | Fault::DiskFull { .. }
            | Fault::DeviceClock { .. }
            | Fault::Liar { .. }
            | Fault::ByHand { .. }
            | Fault::Held { .. }
            | Fault::Sick { .. }
            | Fault::Enrols { .. }
            | Fault::Relabelled { .. }
            | Fault::OldAgent { .. } => {}
        }
        Ok(())
    }

    /// A fault of one device.
    fn trouble(&mut self, device: usize, fault: &Fault, place: usize) {
        match fault {
            Fault::Crash { action, is_done, down_ms, by_hand, .. } => {
                let action = self.devices[device].actions + action;
                let crash = Crash { is_done: *is_done, down_ms: *down_ms, by_hand: *by_hand };
                self.crashes.insert((device, action), crash);
            }
            Fault::SwitchedOff { for_ms, .. } => self.kill(device, *for_ms),
            Fault::DiskFull { for_ms, .. } => {
                self.devices[device].is_full = true;
                self.later(*for_ms, Event::FaultEnds { place });
            }
            Fault::DeviceClock { by_ms, .. } => self.devices[device].clock_ms = *by_ms,
            Fault::Liar { lie, .. } => self.devices[device].lie = Some(*lie),
            Fault::ByHand { version, .. } => self.activate_by_hand(device, *version),
            Fault::Sick { for_ms, .. } => {
                self.devices[device].is_sick = true;
                self.later(*for_ms, Event::FaultEnds { place });
            }
            Fault::Held { for_ms, .. } => {
                let hold = self.hold("h1");
                self.servers[self.current].database.keep_out(device, Some(hold));
                self.nudge(self.current);
                self.later(*for_ms, Event::FaultEnds { place });
            }
            Fault::Enrols { .. } => self.enrol(device),
            Fault::Relabelled { .. } => {
                let it = &mut self.devices[device];
                it.team = if it.team == "a" { "b" } else { "a" };
                it.has_news = true;
                self.deliver(device);
            }
            Fault::OldAgent { for_ms, .. } => {
                self.replace_agent(device, OLD_AGENT);
                self.later(*for_ms, Event::FaultEnds { place });
            }
            Fault::Partition { .. }
            | Fault::ServerDown { .. }
            | Fault::Restored { .. }
            | Fault::PutBackByHand { .. }
            | Fault::ServerClock { .. }
            | Fault::BadRelease { .. }
            | Fault::Blocked { .. }
            | Fault::Emergency { .. }
            | Fault::Frozen { .. }
            | Fault::Asked { .. }
            | Fault::Assigned { .. } => {}
        }
    }

    fn hold(&self, id: &str) -> KeptOut {
        KeptOut::Hold(Hold {
            id: id.parse().expect("a short word"),
            devices: String::new(),
            reason: "a fault".to_owned(),
            by: "operator".to_owned(),
            from: self.server_now(),
            until: None,
        })
    }

    /// A person holds every device that nothing else keeps out.
    fn freeze(&mut self) {
        for device in 0..self.devices.len() {
            let freeze = self.hold(FREEZE);
            let database = &mut self.servers[self.current].database;
            if database.devices[device].kept_out.is_none() {
                database.keep_out(device, Some(freeze));
            }
        }
        self.nudge(self.current);
    }

    /// Lets in whom the freeze has held, and nobody else.
    fn thaw(&mut self) {
        for device in 0..self.devices.len() {
            let kept_out = &self.servers[self.current].database.devices[device].kept_out;
            if matches!(kept_out, Some(KeptOut::Hold(hold)) if hold.id.as_str() == FREEZE) {
                self.let_in(device);
            }
        }
    }

    /// A person has a rollout, or one device of it, asked about no more.
    fn assign(&mut self, rollout: usize, device: Option<u32>) -> Held {
        let server = self.current;
        if !self.servers[server].is_up || rollout >= self.servers[server].database.rollouts.len() {
            return Ok(());
        }
        let number = device.and_then(|device| self.by_number.get(&device).copied());
        let named = number.map(|device| self.devices[device].id.clone());
        if named.is_none() && device.is_some() {
            return Ok(());
        }
        self.refresh_view(server, rollout);
        let view = &self.servers[server].database.rollouts[rollout].view;
        let id = view.id.clone();
        match assign(view, named.as_ref(), "operator") {
            Err(refused) => self.tell(|_| format!("refused: {refused}")),
            Ok(actions) => {
                for action in &actions {
                    self.apply(server, rollout, action);
                    if let Action::Assign { device, .. } = action {
                        let row = self.servers[server].database.row_of(device);
                        self.assigned.insert((row, id.clone()));
                    }
                }
                self.last_progress_ms = self.now_ms;
            }
        }
        self.advance(server, rollout)
    }

    fn replace_agent(&mut self, device: usize, agent: &'static str) {
        self.devices[device].agent = agent;
        self.devices[device].has_news = true;
        self.deliver(device);
    }

    /// Somebody at the device makes another release active.
    pub(super) fn activate_by_hand(&mut self, device: usize, version: usize) {
        let (release, at) = (release_id(VERSIONS[version]), self.now_ms);
        let it = &mut self.devices[device];
        it.disk.trees.insert(release.clone());
        it.disk.activate(&release);
        it.switched_at = at;
        it.is_meddled_with = true;
        it.has_news = true;
        self.deliver(device);
    }

    /// A person lets a device in again, whatever has kept it out.
    pub(super) fn let_in(&mut self, device: usize) {
        let database = &mut self.servers[self.current].database;
        if database.devices[device].kept_out.is_some() {
            database.keep_out(device, None);
            self.nudge(self.current);
        }
    }

    pub(super) fn end_fault(&mut self, place: usize) {
        let fault = &self.scenario.faults[place].1;
        match fault {
            Fault::Partition { site, .. } => {
                self.cut_off.remove(site);
            }
            Fault::ServerDown { .. } => self.start_server(self.current),
            Fault::Restored { .. } => {
                for server in 0..self.servers.len() {
                    if server != self.current {
                        self.stop_server(server);
                    }
                }
            }
            Fault::ServerClock { .. } => self.server_clock_ms = 0,
            Fault::Blocked { version, .. } => {
                self.servers[self.current].database.blocked.remove(version);
            }
            Fault::Held { device, .. } => {
                if let Some(device) = self.by_number.get(device).copied() {
                    self.let_in(device);
                }
            }
            Fault::OldAgent { device, .. } => {
                if let Some(device) = self.by_number.get(device).copied() {
                    self.replace_agent(device, AGENT);
                }
            }
            Fault::Emergency { .. } => self.servers[self.current].database.emergency = None,
            Fault::Frozen { .. } => self.thaw(),
            Fault::Sick { device, .. } => {
                if let Some(device) = self.by_number.get(device) {
                    self.devices[*device].is_sick = false;
                }
            }
            Fault::DiskFull { device, .. } => {
                if let Some(device) = self.by_number.get(device) {
                    self.devices[*device].is_full = false;
                }
            }
            Fault::Crash { .. }
            | Fault::SwitchedOff { .. }
            | Fault::PutBackByHand { .. }
            | Fault::DeviceClock { .. }
            | Fault::Liar { .. }
            | Fault::BadRelease { .. }
            | Fault::ByHand { .. }
            | Fault::Enrols { .. }
            | Fault::Relabelled { .. }
            | Fault::Asked { .. }
            | Fault::Assigned { .. } => {}
        }
    }

    fn stop_server(&mut self, server: usize) {
        if self.servers[server].is_up {
            self.servers[server].is_up = false;
            self.hang_up(server);
        }
    }

    fn start_server(&mut self, server: usize) {
        if !self.servers[server].is_up {
            self.servers[server].is_up = true;
            self.servers[server].listening_since = self.server_now();
            self.begin_watching(server);
            self.nudge(server);
        }
    }

    /// The latest backup that is at least so old.
    fn backup(&self, age_ms: u64) -> crate::server::Database {
        let before = self.now_ms.saturating_sub(age_ms);
        let found = self.backups.iter().rfind(|(at, _)| *at <= before);
        found.or(self.backups.first()).map_or_else(
            || self.servers[self.current].database.clone(),
            |(_, database)| database.clone(),
        )
    }

    fn restore(&mut self, age_ms: u64, old_lives: bool) {
        let mut database = self.backup(age_ms);
        self.highest_epoch += 1;
        database.epoch = self.highest_epoch;
        if !old_lives {
            self.stop_server(self.current);
        }
        self.servers.push(Server::start(database, self.server_now()));
        self.current = self.servers.len() - 1;
        self.has_been_restored = true;
        self.begin_watching(self.current);
        self.enrol_again();
        self.later(0, Event::Tick { server: self.current, is_regular: true });
    }

    fn put_database_back(&mut self, age_ms: u64) {
        let database = self.backup(age_ms);
        self.stop_server(self.current);
        self.servers[self.current].database = database;
        self.servers[self.current].taken.clear();
        (self.has_been_restored, self.has_been_put_back) = (true, true);
        self.enrol_again();
        self.start_server(self.current);
    }

    /// A person asks something of a rollout.
    pub(super) fn obey(&mut self, rollout: usize, asked: Command) -> Held {
        let server = self.current;
        if !self.servers[server].is_up || rollout >= self.servers[server].database.rollouts.len() {
            return Ok(());
        }
        self.refresh_view(server, rollout);
        let view = &self.servers[server].database.rollouts[rollout].view;
        match command(view, asked, "operator") {
            Err(refused) => self.tell(|_| format!("refused: {refused}")),
            Ok(actions) => {
                for action in &actions {
                    self.check_action(server, rollout, action)?;
                    self.apply(server, rollout, action);
                }
                self.check_stop(server, rollout, asked)?;
                self.last_progress_ms = self.now_ms;
            }
        }
        self.advance(server, rollout)?;
        self.check_stopped(server, rollout)
    }

    /// Whether a stop is a stop as soon as it is committed.
    fn check_stop(&self, server: usize, rollout: usize, asked: Command) -> Held {
        let state = self.servers[server].database.rollouts[rollout].view.state;
        let runs_on = state == gofleet_core::rollout::RolloutState::Running;
        if asked == Command::Stop && runs_on {
            return self.broke(invariant::STOP, format!("r{} runs on after a stop", rollout + 1));
        }
        Ok(())
    }
}

/// The number of the device that a fault is about.
pub fn concerned(fault: &Fault) -> Option<u32> {
    match fault {
        Fault::Crash { device, .. }
        | Fault::SwitchedOff { device, .. }
        | Fault::DiskFull { device, .. }
        | Fault::DeviceClock { device, .. }
        | Fault::Liar { device, .. }
        | Fault::ByHand { device, .. }
        | Fault::Held { device, .. }
        | Fault::Sick { device, .. }
        | Fault::Enrols { device }
        | Fault::Relabelled { device }
        | Fault::OldAgent { device, .. } => Some(*device),
        Fault::Partition { .. }
        | Fault::ServerDown { .. }
        | Fault::Restored { .. }
        | Fault::PutBackByHand { .. }
        | Fault::ServerClock { .. }
        | Fault::BadRelease { .. }
        | Fault::Blocked { .. }
        | Fault::Emergency { .. }
        | Fault::Frozen { .. }
        | Fault::Asked { .. }
        | Fault::Assigned { .. } => None,
    }
}
