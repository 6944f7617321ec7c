//! Devices that are not well: what they tell of themselves, what a server's watch makes of it, and
//! whether that is right. The truth is counted plainly, beside the watch.

use gofleet_core::anomaly::{
    Class, Confined, Monitor, PROCESSOR, Reading, Sample, Settings, Verdict, Watch,
};
use gofleet_core::hold::{KeptOut, Quarantine, QuarantineCause};
use gofleet_core::ids::DeviceId;
use gofleet_core::statistics::Share;
use gofleet_core::time::{Span, Timestamp};

use super::{Held, World};
use crate::invariant as must;
use crate::server::Row;

/// What takes a device out, and after how long.
const RULES: &str = "busy: processor > 95% for 2m";
const FIRES_AFTER: Span = Span::from_secs(120);
/// How long a device must be well before it is let in.
const RELEASE_AFTER: Span = Span::from_secs(5 * 60);
/// Two samples that are further apart leave a time of which nobody knows anything.
const NEAR: Span = Span::from_secs(140);
/// What was told longer ago may be forgotten.
const FRESH: Span = Span::from_secs(4 * 60);
/// Who was heard within this time belongs to the fleet by any count; after a day nobody does.
const HERE: Span = Span::from_secs(23 * 60 * 60);

/// A server's watch, and what it was told, counted plainly.
#[derive(Debug, Clone)]
pub struct Watching {
    monitor: Monitor,
    seen: Vec<Seen>,
}

/// What a device has told.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// Why it is kept out, as far as the watch was told.
    kept_out: Kept,
    at: Option<Timestamp>,
    /// Since when each sample was bad.
    bad_since: Option<Timestamp>,
    last_bad: Option<Timestamp>,
}

/// Why a device is kept out, as far as the watch cares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kept {
    #[default]
    Not,
    ForAnomaly,
    Otherwise,
}

impl Seen {
    fn take(&mut self, is_bad: bool, now: Timestamp) {
        let is_near = self.at.is_some_and(|at| at <= now && now.since(at) <= NEAR);
        let since = self.bad_since.filter(|_| is_near).unwrap_or(now);
        self.bad_since = is_bad.then_some(since);
        self.at = Some(now);
        if is_bad {
            self.last_bad = Some(now);
        }
    }

    /// Whether it was bad for as long as the rule asks, up to a sample that is not old.
    fn must_be_out(&self, now: Timestamp) -> bool {
        let (Some(at), Some(since)) = (self.at, self.bad_since) else { return false };
        at <= now && now.since(at) <= FRESH && at.since(since) >= FIRES_AFTER
    }
}

impl Kept {
    fn of(row: &Row) -> Self {
        match confined(row) {
            None => Self::Not,
            Some(Confined::Anomaly(_)) => Self::ForAnomaly,
            Some(Confined::Otherwise) => Self::Otherwise,
        }
    }
}

impl World<'_> {
    /// A server begins to watch: what it knew before is forgotten.
    pub(super) fn begin_watching(&mut self, server: usize) {
        let Some(percent) = self.scenario.quarantined_percent else { return };
        let settings = Settings {
            rules: RULES.parse().expect("it is written as it should be"),
            release_after: RELEASE_AFTER,
            max_share: share(percent),
        };
        let now = self.server_now();
        let rows = &self.servers[server].database.devices;
        let mut monitor = Monitor::new(settings);
        let mut seen = vec![Seen::default(); rows.len()];
        for (row, seen) in rows.iter().zip(&mut seen).filter(|(row, _)| row.is_enrolled) {
            monitor.watch(&row.id, watch(row), now);
            seen.kept_out = Kept::of(row);
        }
        self.servers[server].watching = Some(Watching { monitor, seen });
    }

    /// A server takes what a device measured since it asked the last time.
    pub(super) fn watch_sample(&mut self, server: usize, device: usize) -> Held {
        if self.servers[server].watching.is_none() {
            return Ok(());
        }
        self.tell_watch(server, device);
        let (now, it) = (self.server_now(), &self.devices[device]);
        let load = Reading::whole(if it.is_sick { 100 } else { 20 });
        let values = [(PROCESSOR.parse().expect("it is a name"), load)].into();
        let sample = Sample { over: Span::from_secs(60), values, command_failure: None };
        let Some(watching) = &mut self.servers[server].watching else { return Ok(()) };
        watching.seen[device].take(it.is_sick, now);
        let verdict = watching.monitor.observe(&it.id, &sample, now);
        verdict.map_or(Ok(()), |verdict| self.carry_out(server, verdict))
    }

    /// A server looks who is silent or well, as it does every so often.
    pub(super) fn watch_tick(&mut self, server: usize) -> Held {
        if self.servers[server].watching.is_none() {
            return Ok(());
        }
        for device in 0..self.devices.len() {
            self.tell_watch(server, device);
        }
        let (suspects, most) = (self.suspects(server), self.most(server));
        let now = self.server_now();
        let Some(watching) = &mut self.servers[server].watching else { return Ok(()) };
        for verdict in watching.monitor.tick(now) {
            self.carry_out(server, verdict)?;
        }
        let found = self.servers[server].watching.as_ref().filter(|_| suspects <= most);
        let rows = &self.servers[server].database.devices;
        let missed = found.and_then(|watching| {
            let mut all = rows.iter().zip(&watching.seen);
            all.find(|(row, seen)| row.kept_out.is_none() && seen.must_be_out(now))
        });
        match missed {
            Some((row, _)) => {
                let seen = format!("{} is not, and {suspects} of {most} may be", row.id);
                self.broke(must::ANOMALY_FOUND, seen)
            }
            None => Ok(()),
        }
    }

    /// Tells a server's watch if a device was put into quarantine or let in.
    fn tell_watch(&mut self, server: usize, device: usize) {
        let now = self.server_now();
        let server = &mut self.servers[server];
        let (row, Some(watching)) = (&server.database.devices[device], &mut server.watching) else {
            return;
        };
        let kept_out = Kept::of(row);
        if watching.seen[device].kept_out == kept_out && watching.monitor.knows(&row.id) {
            return;
        }
        if kept_out == Kept::Not {
            watching.seen[device] = Seen::default();
        }
        watching.seen[device].kept_out = kept_out;
        if row.is_enrolled {
            watching.monitor.watch(&row.id, watch(row), now);
        }
    }

    fn carry_out(&mut self, server: usize, verdict: Verdict) -> Held {
        let now = self.server_now();
        let row = |world: &Self, id: &DeviceId| world.servers[server].database.row_of(id);
        match verdict {
            Verdict::Quarantine(id, cause) => {
                let row = row(self, &id);
                self.tell(|_| format!("{id} is put into quarantine: {cause}"));
                let quarantine = Quarantine { cause, at: now };
                self.keep_out_by_watch(server, row, Some(KeptOut::Quarantine(quarantine)));
                self.check_share(server)
            }
            Verdict::LetIn(id, healthy_for) => {
                let row = row(self, &id);
                self.tell(|_| format!("{id} is let in: it was well for {healthy_for}"));
                self.check_well(server, row)?;
                self.keep_out_by_watch(server, row, None);
                Ok(())
            }
            Verdict::Withhold(_, _, withheld) => {
                self.tell(|_| {
                    let (anomalous, devices) = (withheld.anomalous, withheld.devices);
                    format!("{anomalous} of {devices} are anomalous: nobody else is taken out")
                });
                Ok(())
            }
        }
    }

    fn keep_out_by_watch(&mut self, server: usize, row: usize, why: Option<KeptOut>) {
        self.servers[server].database.keep_out(row, why);
        self.tell_watch(server, row);
        self.nudge(server);
    }

    /// How many of the fleet may be in quarantine for anomalies, by the largest count of it.
    fn check_share(&self, server: usize) -> Held {
        let rows = &self.servers[server].database.devices;
        let enrolled = rows.iter().filter(|row| row.is_enrolled).count();
        let most = self.of_share(enrolled);
        let now = self.server_now();
        let is_out =
            |row: &&Row| Kept::of(row) == Kept::ForAnomaly && now.since(row.last_seen) <= HERE;
        let out = rows.iter().filter(is_out).count();
        if out > most {
            let seen = format!("{out} of {enrolled} are, {most} may be");
            return self.broke(must::ANOMALY_SHARE, seen);
        }
        Ok(())
    }

    fn check_well(&self, server: usize, row: usize) -> Held {
        let server = &self.servers[server];
        let it = &server.database.devices[row];
        if Kept::of(it) != Kept::ForAnomaly {
            let seen = format!("{} was not there for an anomaly", it.id);
            return self.broke(must::WELL, seen);
        }
        let seen = server.watching.as_ref().and_then(|watching| watching.seen[row].last_bad);
        // What a wrong clock has put into the future says nothing.
        let now = self.server_now();
        match seen.filter(|at| *at <= now && now.since(*at) < RELEASE_AFTER) {
            Some(at) => self.broke(must::WELL, format!("{} was bad at {at}", it.id)),
            None => Ok(()),
        }
    }

    /// How many may be anomalous at most, by what a server was told.
    fn suspects(&self, server: usize) -> usize {
        let server = &self.servers[server];
        let Some(watching) = &server.watching else { return 0 };
        let all = server.database.devices.iter().zip(&watching.seen);
        all.filter(|(row, seen)| seen.bad_since.is_some() || Kept::of(row) == Kept::ForAnomaly)
            .count()
    }

    /// How many may be in quarantine, by the smallest count of the fleet.
    fn most(&self, server: usize) -> usize {
        let (now, server) = (self.server_now(), &self.servers[server]);
        let Some(watching) = &server.watching else { return 0 };
        let is_here =
            |row: &&Row| watching.monitor.knows(&row.id) && now.since(row.last_seen) <= HERE;
        self.of_share(server.database.devices.iter().filter(is_here).count())
    }

    fn of_share(&self, devices: usize) -> usize {
        let share = share(self.scenario.quarantined_percent.unwrap_or_default());
        ((devices as f64 * share.as_f64()).floor() as usize).max(1)
    }
}

fn share(percent: u32) -> Share {
    format!("{percent}%").parse().expect("it is a percentage")
}

fn confined(row: &Row) -> Option<Confined> {
    let cause: &QuarantineCause = match row.kept_out.as_ref()? {
        KeptOut::Quarantine(quarantine) => &quarantine.cause,
        KeptOut::Hold(_) => return None,
    };
    Some(Confined::by(cause))
}

fn watch(row: &Row) -> Watch {
    Watch::new(Class::from("all".to_owned()), row.last_seen, confined(row))
}
