//! The list of devices, filtered and sorted by its address, and the page of one.

use askama::Template;
use gofleet_core::device::{Device, DeviceDetail, DeviceHistory};
use gofleet_core::facts::{Facts, FoundGo, GoOrigin};
use gofleet_core::hold::KeptOut;
use gofleet_core::ids::CollectionName;
use gofleet_core::order::{Evidence, Receipt, Step};
use gofleet_core::time::Timestamp;
use gofleet_core::version;
use serde::Deserialize;

use super::format::{self, Moment};
use super::health::Health;
use super::pieces::{Badge, Fact, Section, Shell};
use crate::http::percent_encoded;

/// Devices on one page of the list.
const PAGE_SIZE: usize = 200;

/// What the list's address asks for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Query {
    /// Text in the host name, id, platform or a label.
    q: String,
    /// An active version; `none` for devices without one.
    version: String,
    /// `quarantine`, `held`, `offline`, or a step of the latest order.
    state: String,
    /// A column; a leading `-` turns the order around.
    sort: String,
    /// Counted from 1; 0 and nothing mean the first.
    page: usize,
}

impl Query {
    fn fits(&self, device: &Device) -> bool {
        let active = device.facts.active.as_deref().unwrap_or("none");
        (self.version.is_empty() || self.version == active)
            && (self.state.is_empty() || self.state == state(device))
            && (self.q.is_empty() || has_text(device, &self.q.to_lowercase()))
    }

    fn is_filtered(&self) -> bool {
        !(self.q.is_empty() && self.version.is_empty() && self.state.is_empty())
    }

    /// The address of the list with another order or page.
    fn address(&self, sort: &str, page: usize) -> String {
        let fields = [
            ("q", self.q.as_str()),
            ("version", &self.version),
            ("state", &self.state),
            ("sort", sort),
            ("page", if page > 1 { &page.to_string() } else { "" }),
        ];
        let fields: Vec<String> = fields
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", percent_encoded(value)))
            .collect();
        if fields.is_empty() {
            "/devices".to_owned()
        } else {
            format!("/devices?{}", fields.join("&"))
        }
    }
}

fn has_text(device: &Device, text: &str) -> bool {
    let facts = &device.facts;
    facts.hostname.to_lowercase().contains(text)
        || device.id.as_str().contains(text)
        || facts.platform.to_string().contains(text)
        || facts
            .labels
            .iter()
            .any(|(key, value)| format!("{key}={value}").to_lowercase().contains(text))
}

/// What the list says of a device in one word, which is also what it is filtered by.
fn state(device: &Device) -> &'static str {
    match (&device.kept_out, &device.latest) {
        (Some(kept_out), _) => kept_out.word(),
        (None, _) if !device.online => "offline",
        (None, Some(latest)) => latest.step.as_str(),
        (None, None) => "idle",
    }
}

fn tone(state: &str) -> String {
    match state {
        "idle" | "held" => "s-waiting".to_owned(),
        "quarantine" => "s-quarantined".to_owned(),
        state => format!("s-{state}"),
    }
}

/// A column by which the list can be sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Hostname,
    Version,
    State,
    Platform,
    Labels,
    Heard,
}

impl Column {
    const ALL: [Self; 6] =
        [Self::Hostname, Self::Version, Self::State, Self::Platform, Self::Labels, Self::Heard];

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Hostname => ("hostname", "Host name"),
            Self::Version => ("version", "Version"),
            Self::State => ("state", "State"),
            Self::Platform => ("platform", "Platform"),
            Self::Labels => ("labels", "Labels"),
            Self::Heard => ("heard", "Heard"),
        }
    }

    fn parse(text: &str) -> Self {
        Self::ALL.into_iter().find(|column| column.words().0 == text).unwrap_or(Self::Hostname)
    }

    fn compare(self, a: &Device, b: &Device) -> std::cmp::Ordering {
        let order = match self {
            Self::Hostname => std::cmp::Ordering::Equal,
            Self::Version => version::compare(active(a), active(b)),
            Self::State => state(a).cmp(state(b)),
            Self::Platform => a.facts.platform.cmp(&b.facts.platform),
            Self::Labels => a.facts.labels.cmp(&b.facts.labels),
            // Heard last comes first.
            Self::Heard => b.last_seen.cmp(&a.last_seen),
        };
        order.then_with(|| a.facts.hostname.cmp(&b.facts.hostname)).then_with(|| a.id.cmp(&b.id))
    }
}

/// The version that is active; empty if none is.
fn active(device: &Device) -> &str {
    device.facts.active.as_deref().unwrap_or_default()
}

/// A column's head.
struct ColumnHead {
    label: &'static str,
    href: String,
    direction: &'static str,
}

/// One choice of a filter.
struct Choice {
    value: String,
    label: String,
    is_selected: bool,
}

/// A device in the list.
struct Row {
    id: String,
    hostname: String,
    version: String,
    state: &'static str,
    tone: String,
    platform: String,
    labels: Vec<String>,
    seen: Moment,
}

/// `devices.html`
#[derive(Template)]
#[template(path = "devices.html")]
pub(super) struct DevicesPage {
    pub(super) shell: Shell,
    address: String,
    summary: String,
    is_fleet_empty: bool,
    is_filtered: bool,
    query: Query,
    versions: Vec<Choice>,
    states: Vec<Choice>,
    columns: Vec<ColumnHead>,
    rows: Vec<Row>,
    total: String,
    pages: String,
    previous: String,
    following: String,
}

impl DevicesPage {
    pub(super) fn new(address: &str, devices: &[Device], query: Query, now: Timestamp) -> Self {
        let mut shell = Shell::new("Devices", Some(Section::Devices));
        let (name, is_descending) =
            query.sort.strip_prefix('-').map_or((query.sort.as_str(), false), |name| (name, true));
        let column = Column::parse(name);
        let mut fitting: Vec<&Device> =
            devices.iter().filter(|device| query.fits(device)).collect();
        fitting.sort_by(|a, b| {
            let order = column.compare(a, b);
            if is_descending { order.reverse() } else { order }
        });
        let last_page = fitting.len().div_ceil(PAGE_SIZE).max(1);
        let page = query.page.clamp(1, last_page);
        let shown = fitting.iter().skip((page - 1) * PAGE_SIZE).take(PAGE_SIZE);
        let online = devices.iter().filter(|device| device.online).count() as u64;
        let all = format::counted(devices.len() as u64, "device");
        shell.announce = format!("{} of {all} shown", fitting.len());
        let to_page = |page: usize| query.address(&query.sort, page);
        Self {
            shell,
            address: address.to_owned(),
            summary: format!("{all}, {} online", format::count(online)),
            is_fleet_empty: devices.is_empty(),
            is_filtered: query.is_filtered(),
            versions: versions(devices, &query.version),
            states: states(devices, &query.state),
            columns: heads(&query, column, is_descending),
            rows: shown.map(|device| Row::new(device, now)).collect(),
            total: format::count(devices.len() as u64),
            pages: if last_page > 1 { pages(page, fitting.len()) } else { String::new() },
            previous: if page > 1 { to_page(page - 1) } else { String::new() },
            following: if page < last_page { to_page(page + 1) } else { String::new() },
            query,
        }
    }
}

fn pages(page: usize, fitting: usize) -> String {
    let first = (page - 1) * PAGE_SIZE + 1;
    let last = (page * PAGE_SIZE).min(fitting);
    format!("{first} to {last} of {}", format::count(fitting as u64))
}

fn heads(query: &Query, current: Column, is_descending: bool) -> Vec<ColumnHead> {
    let head = |column: Column| {
        let (name, label) = column.words();
        let is_current = column == current;
        let sort = if is_current && !is_descending { format!("-{name}") } else { name.to_owned() };
        let direction = match (is_current, is_descending) {
            (false, _) => "",
            (true, false) => "ascending",
            (true, true) => "descending",
        };
        ColumnHead { label, href: query.address(&sort, 1), direction }
    };
    Column::ALL.into_iter().map(head).collect()
}

fn versions(devices: &[Device], selected: &str) -> Vec<Choice> {
    let mut all: Vec<&Device> = devices.iter().collect();
    all.sort_by(|a, b| {
        version::compare(active(b), active(a)).then_with(|| active(a).cmp(active(b)))
    });
    let mut names: Vec<&str> =
        all.iter().map(|device| device.facts.active.as_deref().unwrap_or("none")).collect();
    names.dedup();
    choices(names, selected)
}

fn states(devices: &[Device], selected: &str) -> Vec<Choice> {
    let mut names: Vec<&str> = devices.iter().map(state).collect();
    names.sort_unstable();
    names.dedup();
    choices(names, selected)
}

/// The selected value is a choice even if no device has it any more.
fn choices<'a>(mut names: Vec<&'a str>, selected: &'a str) -> Vec<Choice> {
    if !selected.is_empty() && !names.contains(&selected) {
        names.push(selected);
    }
    let choice = |name: &str| Choice {
        value: name.to_owned(),
        label: name.to_owned(),
        is_selected: name == selected,
    };
    names.into_iter().map(choice).collect()
}

fn labels(facts: &Facts) -> Vec<String> {
    facts.labels.iter().map(|(key, value)| format!("{key}={value}")).collect()
}

impl Row {
    fn new(device: &Device, now: Timestamp) -> Self {
        let state = state(device);
        Self {
            id: device.id.to_string(),
            hostname: device.facts.hostname.clone(),
            version: device.facts.active.clone().unwrap_or_else(|| "none".to_owned()),
            state,
            tone: tone(state),
            platform: device.facts.platform.to_string(),
            labels: labels(&device.facts),
            seen: Moment::new(device.last_seen, now),
        }
    }
}

/// An order in a device's past.
struct Entry {
    generation: u64,
    step: Step,
    wanted: String,
    rollout: String,
    at: Moment,
    facts: Vec<Fact>,
}

/// A Go on the device.
struct Found {
    version: String,
    origin: &'static str,
    path: String,
}

/// `device.html`
#[derive(Template)]
#[template(path = "device.html")]
pub(super) struct DevicePage {
    pub(super) shell: Shell,
    id: String,
    hostname: String,
    presence: Badge,
    seen: Moment,
    /// Why it is ordered nothing new; empty if nothing keeps it out.
    kept_out: String,
    is_quarantined: bool,
    /// The rollout that asks its user, if one does.
    asked_by: String,
    active: String,
    latest: String,
    platform: String,
    history: Vec<Entry>,
    health: Option<Health>,
    facts: Vec<Fact>,
    labels: Vec<String>,
    found: Vec<Found>,
}

impl DevicePage {
    pub(super) fn new(detail: &DeviceDetail, now: Timestamp) -> Self {
        let device = &detail.device;
        let facts = &device.facts;
        let active = facts.active.clone().unwrap_or_else(|| "none".to_owned());
        let latest = device.latest.as_ref().map_or("none", |latest| latest.step.as_str());
        let mut shell = Shell::new(&facts.hostname, Some(Section::Devices));
        shell.announce = format!("{}: {latest}, {active} active", facts.hostname);
        Self {
            shell,
            id: device.id.to_string(),
            hostname: facts.hostname.clone(),
            presence: if device.online {
                Badge::new("good", "g-note", "online")
            } else {
                Badge::new("", "s-offline", "offline")
            },
            seen: Moment::new(device.last_seen, now),
            kept_out: kept_out(device),
            is_quarantined: device.kept_out.as_ref().is_some_and(KeptOut::is_quarantine),
            asked_by: asked_by(device),
            active,
            latest: latest.to_owned(),
            platform: facts.platform.to_string(),
            health: Health::new(detail, now),
            history: detail.history.iter().map(|entry| Entry::new(entry, now)).collect(),
            facts: own_facts(facts, Moment::new(device.enrolled_at, now)),
            labels: labels(facts),
            found: facts.found.iter().map(Found::new).collect(),
        }
    }
}

/// The rollout whose release waits for the word of the device's user; empty if none does.
fn asked_by(device: &Device) -> String {
    let waits = |latest: &&DeviceHistory| latest.offer.is_some() && latest.step == Step::Staged;
    let latest = device.latest.as_ref().filter(waits);
    latest.map_or(String::new(), |latest| latest.rollout.to_string())
}

/// Why it is ordered nothing new; empty if nothing keeps it out.
fn kept_out(device: &Device) -> String {
    device.kept_out.as_ref().map_or(String::new(), |kept_out| format!("It is {kept_out}"))
}

fn own_facts(facts: &Facts, enrolled: Moment) -> Vec<Fact> {
    let collections: Vec<&str> = facts.collections.iter().map(CollectionName::as_str).collect();
    let mut own = vec![
        Fact::new("system", facts.os_version.clone()),
        Fact::new("processors", facts.processors.to_string()),
        Fact::new("free space", format::bytes(facts.free_bytes)),
        Fact::new("agent", facts.agent_version.clone()),
        Fact::new("enrolled", enrolled.absolute),
    ];
    own.extend((!collections.is_empty()).then(|| Fact::new("collections", collections.join(", "))));
    own
}

impl Found {
    fn new(go: &FoundGo) -> Self {
        let origin = match go.origin {
            GoOrigin::Managed => "managed by gofleet",
            GoOrigin::System => "for all users",
            GoOrigin::Sdk => "~/sdk",
            GoOrigin::ModuleCache => "module cache of go",
            GoOrigin::Path => "elsewhere",
        };
        Self { version: go.version.clone(), origin, path: go.path.clone() }
    }
}

impl Entry {
    fn new(history: &DeviceHistory, now: Timestamp) -> Self {
        let mut facts = vec![
            Fact::new("given", Moment::new(history.issued_at, now).absolute),
            Fact::new("order", format!("generation {}", history.generation)),
            Fact::new("downloaded", format::bytes(history.bytes_downloaded)),
        ];
        facts.extend(history.offer.as_ref().map(|offer| {
            let answer = history.answer.unwrap_or_default();
            Fact::new("user", format!("{answer}; activated by itself after {}", offer.deadline))
        }));
        if let Some(failure) = &history.failure {
            facts.push(Fact::new("failed", format!("while {}: {}", failure.step, failure.message)));
        }
        if let Some(receipt) = &history.receipt {
            facts.extend(proof(receipt));
        }
        Self {
            generation: history.generation,
            step: history.step,
            wanted: history.wanted.clone(),
            rollout: history.rollout.to_string(),
            at: Moment::new(history.step_at, now),
            facts,
        }
    }
}

/// A receipt with its evidence.
fn proof(receipt: &Receipt) -> Vec<Fact> {
    let took = receipt.finished_at.since(receipt.started_at);
    let steps: Vec<String> = receipt
        .steps
        .iter()
        .map(|(step, span)| format!("{step} {}", format::spell(*span)))
        .collect();
    let active = receipt.active.clone().unwrap_or_else(|| "none".to_owned());
    let mut facts = vec![
        Fact::new("took", format!("{} ({})", format::spell(took), steps.join(", "))),
        Fact::new("active at the end", active),
        Fact::new("files verified", format::count(receipt.files_verified)),
    ];
    facts.extend(receipt.manifest.map(|digest| Fact::code("manifest", digest.to_string())));
    facts.extend(receipt.evidence.iter().flat_map(evidence));
    facts
}

fn evidence(evidence: &Evidence) -> Vec<Fact> {
    let hit = match (&evidence.path_hit, evidence.path_is_managed) {
        (None, _) => "no go on the PATH".to_owned(),
        (Some(path), true) => format!("{path} (gofleet's)"),
        (Some(path), false) => format!("{path} (not gofleet's)"),
    };
    vec![
        Fact::code("go version", evidence.go_version.clone()),
        Fact::code("GOROOT", evidence.goroot.clone()),
        Fact::code("PATH hit", hit),
        Fact::code("program printed", evidence.program_output.clone()),
        Fact::code("SHA-256 of go", evidence.go_sha256.to_string()),
        Fact::new("checks took", format::spell(evidence.took)),
    ]
}
