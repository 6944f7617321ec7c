//! The first page: which version the fleet runs, what moves, what needs a person.

use askama::Template;
use gofleet_core::device::{Overview, VersionCount};
use gofleet_core::emergency::EmergencyStop;
use gofleet_core::hold::Hold;
use gofleet_core::release::{Release, ReleaseStatus};
use gofleet_core::rollout::{RolloutState, RolloutSummary};
use gofleet_core::time::Timestamp;

use super::events::EventLine;
use super::format;
use super::pieces::{Bar, Part, Section, Shell};
use super::releases::newest_first;
use super::rollouts::{Card, reason};

/// Versions with a part of their own; the others share one.
const VERSIONS_DRAWN: usize = 6;

/// `overview.html`
#[derive(Template)]
#[template(path = "overview.html")]
pub(super) struct OverviewPage {
    pub(super) shell: Shell,
    address: String,
    devices: String,
    online: String,
    online_share: String,
    newest: String,
    newest_share: String,
    newest_label: String,
    versions: Bar,
    moving: Vec<Card>,
    attention: Vec<Attention>,
    is_stopped: bool,
    events: Vec<EventLine>,
    example_version: String,
}

/// Something that waits for a person.
struct Attention {
    tone: &'static str,
    href: String,
    label: String,
    text: String,
}

impl OverviewPage {
    pub(super) fn new(
        address: &str,
        overview: &Overview,
        releases: &[Release],
        events: Vec<EventLine>,
        now: Timestamp,
    ) -> Self {
        let mut shell = Shell::new("Overview", Some(Section::Overview));
        let newest = overview.versions.iter().find(|count| count.version.is_some());
        let newest_devices = newest.map_or(0, |count| count.devices);
        let newest_version = newest.and_then(|count| count.version.as_deref());
        let attention = attention(overview, releases);
        shell.announce = format!(
            "{}, {} online, {} under way, {} in need of attention",
            format::counted(overview.devices, "device"),
            overview.online,
            format::counted(overview.moving.len() as u64, "rollout"),
            attention.len()
        );
        Self {
            shell,
            address: address.to_owned(),
            devices: format::count(overview.devices),
            online: format::count(overview.online),
            online_share: format::percent(overview.online, overview.devices),
            newest: format::count(newest_devices),
            newest_share: format::percent(newest_devices, overview.devices),
            newest_label: newest_version
                .map_or("on a managed Go".to_owned(), |v| format!("on {v}")),
            versions: Bar::new(parts(&overview.versions)),
            moving: overview.moving.iter().map(|rollout| Card::new(rollout, now)).collect(),
            attention,
            is_stopped: overview.emergency.is_some(),
            events,
            example_version: example_version(releases),
        }
    }
}

/// A version to show in commands: the newest that can be rolled out, if there is any.
pub(super) fn example_version(releases: &[Release]) -> String {
    let sorted = newest_first(releases);
    let newest = |status| sorted.iter().find(|release| release.status == status);
    newest(ReleaseStatus::Approved)
        .or_else(|| newest(ReleaseStatus::Imported))
        .map_or_else(|| "1.27.3".to_owned(), |release| release.release.version.clone())
}

fn parts(versions: &[VersionCount]) -> Vec<Part> {
    let (named, unmanaged): (Vec<_>, Vec<_>) =
        versions.iter().partition(|count| count.version.is_some());
    let part = |(at, count): (usize, &&VersionCount)| {
        let version = count.version.clone().unwrap_or_default();
        (version.clone(), version, format!("v-{at}"), count.devices)
    };
    let mut parts: Vec<Part> =
        named.iter().take(VERSIONS_DRAWN - 1).enumerate().map(part).collect();
    let rest: u64 = named.iter().skip(VERSIONS_DRAWN - 1).map(|count| count.devices).sum();
    parts.push(("older versions".to_owned(), String::new(), "v-5".to_owned(), rest));
    let without = unmanaged.iter().map(|count| count.devices).sum();
    parts.push(("no managed Go".to_owned(), "none".to_owned(), "v-none".to_owned(), without));
    parts
}

fn attention(overview: &Overview, releases: &[Release]) -> Vec<Attention> {
    let mut items: Vec<Attention> = overview.emergency.iter().map(of_emergency).collect();
    items.extend(overview.moving.iter().filter_map(of_rollout));
    let offline = overview.devices.saturating_sub(overview.online);
    if offline > 0 {
        items.push(Attention {
            tone: "s-offline",
            href: "/devices?state=offline".to_owned(),
            label: format::counted(offline, "device"),
            text: "not heard of for some minutes".to_owned(),
        });
    }
    if overview.quarantined > 0 {
        items.push(Attention {
            tone: "s-quarantined",
            href: "/devices?state=quarantine".to_owned(),
            label: format::counted(overview.quarantined, "device"),
            text: "in quarantine, until somebody lets them in".to_owned(),
        });
    }
    items.extend(overview.holds.iter().map(|hold| Attention {
        tone: "s-waiting",
        href: "/devices?state=held".to_owned(),
        label: format!("Hold {}", hold.id),
        text: of_hold(hold),
    }));
    let undecided =
        releases.iter().filter(|release| release.status == ReleaseStatus::Imported).count() as u64;
    if undecided > 0 {
        items.push(Attention {
            tone: "s-staged",
            href: "/releases".to_owned(),
            label: format::counted(undecided, "release"),
            text: "imported, but neither approved nor blocked".to_owned(),
        });
    }
    items
}

fn of_hold(hold: &Hold) -> String {
    let Hold { id, devices, reason, by, until, .. } = hold;
    let devices =
        if devices.is_empty() { "every device".to_owned() } else { format!("“{devices}”") };
    let until = until.map(|until| format!(", until {until}")).unwrap_or_default();
    format!("on {devices} by {by}: {reason}{until}. To end it: gofleet hold lift {id}")
}

fn of_emergency(stop: &EmergencyStop) -> Attention {
    Attention {
        tone: "s-failed",
        href: "/rollouts".to_owned(),
        label: "Everything is stopped".to_owned(),
        text: format!("{stop}. To go on: gofleet emergency lift"),
    }
}

fn of_rollout(rollout: &RolloutSummary) -> Option<Attention> {
    let (tone, word) = match rollout.state {
        RolloutState::Paused => ("t-warn g-paused", "is paused"),
        RolloutState::RollingBack => ("s-reverting", "is rolling back"),
        RolloutState::Stopping => ("t-warn g-stopped", "is stopping"),
        RolloutState::Running
        | RolloutState::Completed
        | RolloutState::Stopped
        | RolloutState::RolledBack => return None,
    };
    let reason = reason(rollout);
    Some(Attention {
        tone,
        href: format!("/rollouts/{}", rollout.id),
        label: rollout.name.clone(),
        text: if reason.is_empty() { format!("{word}.") } else { format!("{word}. {reason}") },
    })
}
