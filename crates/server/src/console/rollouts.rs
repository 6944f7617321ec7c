//! The list of rollouts and the page of one: rings as a picture, each device a cell.

use askama::Template;
use gofleet_core::order::Step;
use gofleet_core::rollout::{
    Command, Gate, Late, LeftOut, OnFailure, RingSize, RingSpec, RolloutSpec, RolloutState,
    RolloutStatus, RolloutSummary, Traffic, WayTraffic,
};
use gofleet_core::time::Timestamp;
use gofleet_core::ways::WayKind;

use super::course::Course;
use super::events::EventLine;
use super::format::{self, Moment};
use super::pieces::{Badge, Bar, Fact, Link, Section, Shell, quoted, sentences};
use super::rings::Ring;

/// Names of devices that are spelled out for one reason; the rest is a number.
const LEFT_OUT_NAMES: usize = 12;

/// `rollouts.html`
#[derive(Template)]
#[template(path = "rollouts.html")]
pub(super) struct RolloutsPage {
    pub(super) shell: Shell,
    summary: String,
    cards: Vec<Card>,
    example_version: String,
}

impl RolloutsPage {
    pub(super) fn new(
        rollouts: &[RolloutSummary],
        example_version: String,
        now: Timestamp,
    ) -> Self {
        let open = rollouts.iter().filter(|rollout| !rollout.state.is_final()).count() as u64;
        let all = format::counted(rollouts.len() as u64, "rollout");
        Self {
            shell: Shell::new("Rollouts", Some(Section::Rollouts)),
            summary: format!("{all}, {} under way. Newest first.", format::count(open)),
            cards: rollouts.iter().map(|rollout| Card::new(rollout, now)).collect(),
            example_version,
        }
    }
}

/// A rollout at a glance.
pub(super) struct Card {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) what: String,
    pub(super) state: Badge,
    pub(super) bar: Bar,
    pub(super) marks: Vec<&'static str>,
    pub(super) ring: String,
    pub(super) progress: String,
    pub(super) started: Moment,
    pub(super) reason: String,
}

impl Card {
    pub(super) fn new(rollout: &RolloutSummary, now: Timestamp) -> Self {
        let (current, rings) = (rollout.current_ring, rollout.rings);
        let ring = if current < rings {
            format!("ring {} of {rings}", current + 1)
        } else {
            format!("all {rings} rings through")
        };
        let total: u64 = rollout.steps.values().sum();
        let accepted = rollout.steps.get(&Step::Accepted).copied().unwrap_or_default();
        Self {
            id: rollout.id.to_string(),
            name: rollout.name.clone(),
            what: rollout.version.clone(),
            state: badge(rollout.state),
            bar: Bar::of_steps(|step| rollout.steps.get(&step).copied().unwrap_or_default()),
            marks: (0..rings).map(|at| mark(rollout.state, at, current)).collect(),
            ring,
            progress: format!("{} of {} accepted", format::count(accepted), format::count(total)),
            started: Moment::new(rollout.started_at, now),
            reason: reason(rollout),
        }
    }
}

/// How a ring's mark looks on a card, where only the current ring is known.
fn mark(state: RolloutState, at: u32, current: u32) -> &'static str {
    if state == RolloutState::RolledBack && at <= current {
        return "reverted";
    }
    match at.cmp(&current) {
        std::cmp::Ordering::Less => "passed",
        std::cmp::Ordering::Greater => "waiting",
        std::cmp::Ordering::Equal => match state {
            RolloutState::Running => "running",
            RolloutState::Paused => "paused",
            RolloutState::Stopping | RolloutState::Stopped => "stopped",
            RolloutState::RollingBack | RolloutState::RolledBack => "reverted",
            RolloutState::Completed => "passed",
        },
    }
}

/// A rollout's state as a badge.
pub(super) fn badge(state: RolloutState) -> Badge {
    match state {
        RolloutState::Running => Badge::new("info", "g-running", "running"),
        RolloutState::Paused => Badge::new("warn", "g-paused", "paused"),
        RolloutState::Stopping => Badge::new("warn", "g-stopped", "stopping"),
        RolloutState::RollingBack => Badge::new("warn", "s-reverting", "rolling back"),
        RolloutState::Completed => Badge::new("good", "s-accepted", "completed"),
        RolloutState::Stopped => Badge::new("", "g-stopped", "stopped"),
        RolloutState::RolledBack => Badge::new("warn", "s-reverted", "rolled back"),
    }
}

/// Why a rollout stands where it stands, as a sentence; empty if it simply moves.
pub(super) fn reason(rollout: &RolloutSummary) -> String {
    rollout.reason.as_ref().map_or_else(String::new, |reason| sentences(&[&reason.text]))
}

/// A command as its button says and shows it.
pub(super) const fn label(command: Command) -> (&'static str, &'static str) {
    match command {
        Command::Pause => ("Pause", ""),
        Command::Resume => ("Resume", "primary"),
        Command::Stop => ("Stop", "danger"),
        Command::Rollback => ("Roll back", "danger"),
    }
}

/// Whether a command is done without asking back: one that can be taken back at once.
const fn is_immediate(command: Command) -> bool {
    match command {
        Command::Pause | Command::Resume => true,
        Command::Stop | Command::Rollback => false,
    }
}

/// What a command does, for the person who is about to give it.
pub(super) const fn consequence(command: Command) -> &'static str {
    match command {
        Command::Pause => "Nothing new is ordered. What is under way goes on.",
        Command::Resume => {
            "Orders go out again. Failures so far count as accepted by you; what was put back or \
             taken back is tried again."
        }
        Command::Stop => {
            "Nothing begins any more, for good. A device that has switched already finishes or \
             goes back by itself; what is accepted stays."
        }
        Command::Rollback => {
            "Every device that this rollout has moved goes back to the version that it had before. \
             It is still on their disks, so nothing is downloaded."
        }
    }
}

/// The commands that mean something in a state.
const fn commands(state: RolloutState) -> &'static [Command] {
    match state {
        RolloutState::Running => &[Command::Pause, Command::Stop, Command::Rollback],
        RolloutState::Paused => &[Command::Resume, Command::Stop, Command::Rollback],
        RolloutState::Stopping | RolloutState::Completed | RolloutState::Stopped => {
            &[Command::Rollback]
        }
        RolloutState::RollingBack | RolloutState::RolledBack => &[],
    }
}

/// A button of the rollout page.
struct Action {
    verb: &'static str,
    label: &'static str,
    tone: &'static str,
    is_immediate: bool,
}

/// Devices at one step.
struct LegendItem {
    step: Step,
    count: String,
}

/// Devices that are left out for one reason.
struct LeftOutGroup {
    reason: String,
    devices: Vec<Link>,
    more: String,
}

/// `rollout.html`
#[derive(Template)]
#[template(path = "rollout.html")]
pub(super) struct RolloutPage {
    pub(super) shell: Shell,
    id: String,
    name: String,
    what: String,
    state: Badge,
    reason: String,
    reason_tone: &'static str,
    actions: Vec<Action>,
    accepted: String,
    total: String,
    in_flight: String,
    awaiting_user: String,
    reverted: String,
    is_open: bool,
    elapsed_label: &'static str,
    elapsed: String,
    bytes: String,
    /// The share of what the archives would have taken that was not downloaded.
    saved: String,
    /// How the release came onto the devices.
    traffic: Vec<Fact>,
    started: Moment,
    legend: Vec<LegendItem>,
    rings: Vec<Ring>,
    /// Whether a ring needs all the width there is.
    is_wide: bool,
    left_out: Vec<LeftOutGroup>,
    left_out_count: String,
    events: Vec<EventLine>,
    rules: Vec<Fact>,
    course: Course,
}

impl RolloutPage {
    pub(super) fn new(status: &RolloutStatus, events: Vec<EventLine>, now: Timestamp) -> Self {
        let summary = &status.summary;
        let count = |steps: &[Step]| -> u64 {
            steps.iter().filter_map(|step| summary.steps.get(step)).sum()
        };
        let (accepted, total) = (count(&[Step::Accepted]), summary.steps.values().sum());
        let is_open = !summary.state.is_final();
        let until = if is_open { now } else { summary.changed_at };
        let (state, rings) = (badge(summary.state), Ring::all(status, now));
        let mut shell = Shell::new(&summary.name, Some(Section::Rollouts));
        shell.announce = announce(status, accepted, total);
        Self {
            shell,
            id: summary.id.to_string(),
            name: summary.name.clone(),
            what: what(status),
            reason: reason(summary),
            reason_tone: if state.tone == "info" { "" } else { state.tone },
            state,
            actions: actions(status),
            accepted: format::count(accepted),
            total: format::count(total),
            in_flight: format::count(status.under_way()),
            awaiting_user: format::count(status.awaiting_user.into()),
            reverted: format::count(count(&[
                Step::Failed,
                Step::Reverting,
                Step::Reverted,
                Step::Quarantined,
            ])),
            is_open,
            elapsed_label: if is_open { "so far" } else { "took" },
            elapsed: format::spell(until.since(summary.started_at)),
            bytes: format::bytes(status.bytes_downloaded),
            saved: saved(&status.traffic),
            traffic: traffic(&status.traffic),
            started: Moment::new(summary.started_at, now),
            legend: legend(summary),
            is_wide: rings.iter().any(|ring| !ring.is_named),
            rings,
            left_out: left_out(&status.left_out),
            left_out_count: format::counted(status.left_out.len() as u64, "device"),
            events,
            rules: rules(&status.spec),
            course: Course::default(),
        }
    }

    /// The same with how it went.
    pub(super) fn with_course(self, course: Course) -> Self {
        Self { course, ..self }
    }
}

/// What the rollout brings, where, and who asked for it.
fn what(status: &RolloutStatus) -> String {
    let spec = &status.spec;
    let devices = if spec.devices.is_empty() { "all devices" } else { spec.devices.as_str() };
    format!("{} {} for {devices}, started by {}", spec.package, spec.version, status.summary.author)
}

/// Which part of what the archives would have taken was not downloaded; empty where that is nothing.
fn saved(traffic: &Traffic) -> String {
    let Traffic { archive_bytes, saved_bytes, .. } = *traffic;
    // In tenths of a percent and never rounded up: all of it is not saved if something came.
    match saved_bytes.saturating_mul(1000).checked_div(archive_bytes) {
        None | Some(0) => String::new(),
        Some(tenths) => format!("{}.{}%", tenths / 10, tenths % 10),
    }
}

/// How the release came onto the devices.
fn traffic(traffic: &Traffic) -> Vec<Fact> {
    let name = |kind| match kind {
        WayKind::Delta => "delta",
        WayKind::Chain => "chain of deltas",
        WayKind::Pack => "pack",
        WayKind::Archive => "archive",
    };
    let way = |way: &WayTraffic| {
        let devices = format::counted(way.devices, "device");
        Fact::new(name(way.kind), format!("{devices}, {}", format::bytes(way.bytes)))
    };
    let edges = (traffic.edge_bytes > 0)
        .then(|| Fact::new("from edges", format::bytes(traffic.edge_bytes)));
    let saved = (traffic.saved_bytes > 0).then(|| {
        let (saved, whole) = (traffic.saved_bytes, traffic.archive_bytes);
        Fact::new("saved", format!("{} of {}", format::bytes(saved), format::bytes(whole)))
    });
    traffic.ways.iter().map(way).chain(edges).chain(saved).collect()
}

/// What a screen reader is told: little enough to be heard at each change.
fn announce(status: &RolloutStatus, accepted: u64, total: u64) -> String {
    let summary = &status.summary;
    let ring = status.rings_detail.get(summary.current_ring as usize);
    let place = ring.map(|ring| format!(", ring {} {}", ring.name, ring.state)).unwrap_or_default();
    let state = badge(summary.state).label;
    format!("{} {state}{place}: {accepted} of {total} accepted", summary.name)
}

fn actions(status: &RolloutStatus) -> Vec<Action> {
    let state = status.summary.state;
    let is_asking = status.spec.publish.is_some() && !state.is_final();
    let assign = Action { verb: "assign", label: "Ask nobody", tone: "", is_immediate: false };
    let action = |command: &Command| {
        let (label, tone) = label(*command);
        Action { verb: command.as_str(), label, tone, is_immediate: is_immediate(*command) }
    };
    commands(state).iter().map(action).chain(is_asking.then_some(assign)).collect()
}

fn legend(summary: &RolloutSummary) -> Vec<LegendItem> {
    let item =
        |(step, count): (&Step, &u64)| LegendItem { step: *step, count: format::count(*count) };
    summary.steps.iter().filter(|(_, count)| **count > 0).map(item).collect()
}

fn left_out(devices: &[LeftOut]) -> Vec<LeftOutGroup> {
    let mut groups = std::collections::BTreeMap::<&str, Vec<&LeftOut>>::new();
    for device in devices {
        groups.entry(&device.reason.text).or_default().push(device);
    }
    let link = |device: &&LeftOut| Link {
        label: device.hostname.clone(),
        href: format!("/devices/{}", device.device),
    };
    let group = |(reason, devices): (&str, Vec<&LeftOut>)| LeftOutGroup {
        reason: quoted(reason),
        devices: devices.iter().take(LEFT_OUT_NAMES).map(link).collect(),
        more: match devices.len().saturating_sub(LEFT_OUT_NAMES) {
            0 => String::new(),
            more => format!(" and {} more", format::count(more as u64)),
        },
    };
    groups.into_iter().map(group).collect()
}

fn rules(spec: &RolloutSpec) -> Vec<Fact> {
    let flight = match spec.max_in_flight {
        0 => "no limit".to_owned(),
        most => format::counted(most.into(), "device"),
    };
    let retries = match spec.retry.times {
        0 => "none".to_owned(),
        times => format!("{times}, first after {}", format::spell(spec.retry.after)),
    };
    let on_failure = match spec.on_failure {
        OnFailure::Pause => "pause",
        OnFailure::RollBackRing => "put the ring back and pause",
        OnFailure::RollBackAll => "put every device back",
    };
    let late = match spec.late {
        Late::Never => "left out",
        Late::NextRing => "join the next ring that has not started",
        Late::SameRing => "join their ring",
    };
    let downgrade = if spec.allow_downgrade { "allowed" } else { "left out" };
    let users = match &spec.publish {
        None => "not asked: it installs by itself".to_owned(),
        Some(publish) => format!("asked for {}", format::spell(publish.deadline)),
    };
    vec![
        Fact::new("users", users),
        Fact::new("at once", flight),
        Fact::new("soak", format::spell(spec.soak)),
        Fact::new("gate", gate_rule(&spec.gate)),
        Fact::new("silent after", format::spell(spec.silence_after)),
        Fact::new("offline after", format::spell(spec.offline_after)),
        Fact::new("retries", retries),
        Fact::new("if a gate fails", on_failure),
        Fact::new("who comes late", late),
        Fact::new("newer versions", downgrade),
    ]
}

fn gate_rule(gate: &Gate) -> String {
    let failures = match (gate.max_failure_rate, gate.max_failures) {
        (Some(rate), _) => format!("less than {rate} fail, {} sure", gate.confidence),
        (None, 0) => "none fails".to_owned(),
        (None, most) => format!("at most {most} may fail"),
    };
    let mut rule = match gate.min_successes {
        None => format!("every device that is online answers, {failures}"),
        Some(least) => format!("at least {least} accept, {failures}"),
    };
    if let Some(canary) = &gate.canary {
        let signals: Vec<&str> = canary.signals().map(|(signal, _)| signal.as_str()).collect();
        let (signals, tolerance) = (signals.join(", "), canary.tolerance);
        rule.push_str(&format!("; {signals} no worse by {tolerance} than without the release"));
    }
    rule
}

/// Which devices a ring asked for, in words.
pub(super) fn ring_rule(ring: &RingSpec) -> String {
    let size = match &ring.size {
        RingSize::Count(devices) => format::counted((*devices).into(), "device"),
        RingSize::Percent(percent) => format!("{percent}%"),
        RingSize::Select(selector) => selector.clone(),
        RingSize::Rest => "all that are left".to_owned(),
    };
    if ring.rehearse { format!("{size}, upgraded twice with a way back between") } else { size }
}
