//! A made-up fleet in the middle of a rollout, for the tests of the pages.

use std::collections::BTreeMap;

use gofleet_api::{AuditEntry, AuditHead};
use gofleet_core::audit::{Act, AuditSigner, By, Deed, Head, Link};
use gofleet_core::device::{Device, DeviceDetail, DeviceHistory, Overview, VersionCount};
use gofleet_core::digest::Digest;
use gofleet_core::event::{Change, Event};
use gofleet_core::facts::{Facts, FoundGo, GoOrigin};
use gofleet_core::hold::Hold;
use gofleet_core::order::{Evidence, Failure, FailureKind, Receipt, Step, Taken};
use gofleet_core::release::{
    Archive, ArchiveFormat, Release, ReleaseDecision, ReleaseRef, ReleaseStatus,
};
use gofleet_core::rollout::{
    DeviceStatus, Gate, LeftOut, OnFailure, Reason, Retry, RingSize, RingSpec, RingState,
    RingStatus, RolloutSpec, RolloutState, RolloutStatus, RolloutSummary, Tally, Traffic,
    WayTraffic,
};
use gofleet_core::time::{Span, Timestamp};
use gofleet_core::ways::WayKind;

use super::health::samples as health;

mod artifacts;
mod outlook;

pub(super) use artifacts::artifacts;
pub(super) use outlook::{decisions, forecast, plan};

/// When the sample is looked at.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_795_437_615_000);

/// `seconds` before the sample is looked at.
pub(super) fn before(seconds: u64) -> Timestamp {
    NOW - Span::from_secs(seconds)
}

/// The audit log of two acts, by somebody of this name.
pub(super) fn audit(name: &str) -> (AuditHead, Vec<AuditEntry>) {
    let by = By::person(name).via("session").from(Some("192.0.2.1".to_owned()));
    let release = "go-1.27.3-linux-amd64".parse().unwrap();
    let acts = [
        Act::ReleaseDecided {
            release,
            status: ReleaseStatus::Approved,
            reason: name.to_owned(),
            manifest: Digest::of(b"manifest"),
        },
        Act::RolloutCommanded {
            rollout: "r7".parse().unwrap(),
            command: gofleet_core::rollout::Command::Pause,
        },
    ];
    let (mut last, mut entries) = (Link::START, Vec::new());
    for (act, ago) in acts.into_iter().zip([3600, 60]) {
        let deed = Deed { at: before(ago), by: by.clone(), act };
        entries.insert(0, AuditEntry::following(last, &deed, None));
        last = entries[0].link();
    }
    let head = Head { count: last.count, hash: last.hash, epoch: 1 };
    let signer = AuditSigner::from_seed(&[7; 32]);
    let (note, key) = (signer.sign(&head), signer.key().to_string());
    (AuditHead { head, note, key }, entries)
}

fn hostname(number: usize) -> String {
    const KINDS: [&str; 5] = ["build", "dev-laptop", "ci-runner", "desk", "lab"];
    const SITES: [&str; 4] = ["ber", "muc", "szx", "sea"];
    format!("{}-{}-{:02}", SITES[number % 4], KINDS[number % 5], number)
}

fn failure() -> Failure {
    Failure {
        step: Step::Verifying,
        kind: FailureKind::Check,
        message: "go build: fork/exec pkg/tool/linux_amd64/compile: exec format error".to_owned(),
    }
}

fn device_status(number: usize, step: Step) -> DeviceStatus {
    let is_new = matches!(step, Step::Verifying | Step::Soaking | Step::Accepted);
    let reason = match step {
        Step::Waiting => Some("an earlier ring is not through"),
        Step::Soaking => Some("healthy so far; 12s of 30s left"),
        _ => None,
    };
    let is_there = !matches!(step, Step::Waiting | Step::Offered | Step::Fetching);
    // Nearly all take the delta; who had nothing before takes the pack.
    let kind = if number.is_multiple_of(9) { WayKind::Pack } else { WayKind::Delta };
    let edge_bytes = if number.is_multiple_of(2) { size_of(kind) } else { 0 };
    let way = is_there.then(|| Taken { kind, edge_bytes, given_up: Vec::new() });
    DeviceStatus {
        device: format!("d{number:05}").parse().unwrap(),
        hostname: hostname(number),
        release: "go-1.27.3-windows-amd64".parse().unwrap(),
        step,
        since: before(4 + number as u64 % 50),
        online: number % 17 != 13,
        reason: reason.map(|text| Reason { code: "sample".to_owned(), text: text.to_owned() }),
        active: Some(if is_new { "1.27.3" } else { "1.27.2" }.to_owned()),
        bytes_downloaded: way.as_ref().map_or(0, |way| size_of(way.kind)),
        way,
        failure: matches!(step, Step::Failed | Step::Reverted | Step::Quarantined).then(failure),
    }
}

const fn size_of(kind: WayKind) -> u64 {
    match kind {
        WayKind::Delta | WayKind::Chain => 304_737,
        WayKind::Pack => 37_412_009,
        WayKind::Archive => 75_531_459,
    }
}

fn traffic(rings: &[RingStatus]) -> Traffic {
    let devices = || rings.iter().flat_map(|ring| &ring.devices);
    let taken = || devices().filter_map(|device| device.way.as_ref());
    let of = |kind| {
        let devices = taken().filter(|way| way.kind == kind).count() as u64;
        WayTraffic { kind, devices, bytes: devices * size_of(kind) }
    };
    let ways: Vec<_> = WayKind::ALL.map(of).into_iter().filter(|way| way.devices > 0).collect();
    let bytes: u64 = ways.iter().map(|way| way.bytes).sum();
    let archive_bytes = taken().count() as u64 * size_of(WayKind::Archive);
    Traffic {
        ways,
        edge_bytes: taken().map(|way| way.edge_bytes).sum(),
        archive_bytes,
        saved_bytes: archive_bytes - bytes,
    }
}

fn ring(
    name: &str,
    state: RingState,
    first: usize,
    steps: &[Step],
    reasons: &[&str],
) -> RingStatus {
    let count = |wanted: &[Step]| steps.iter().filter(|step| wanted.contains(step)).count() as u32;
    let is_open = state != RingState::Waiting;
    RingStatus {
        name: name.to_owned(),
        state,
        reasons: reasons
            .iter()
            .map(|text| Reason { code: "sample".to_owned(), text: (*text).to_owned() })
            .collect(),
        tally: Tally {
            devices: steps.len() as u32,
            waiting: count(&[Step::Waiting]),
            in_flight: steps.iter().filter(|step| step.is_in_flight()).count() as u32,
            successes: count(&[Step::Accepted]),
            failures: count(&[Step::Failed, Step::Reverted, Step::Quarantined]),
            ..Tally::default()
        },
        started_at: is_open.then(|| before(180)),
        ended_at: (state == RingState::Passed).then(|| before(110)),
        devices: steps
            .iter()
            .enumerate()
            .map(|(at, step)| device_status(first + at, *step))
            .collect(),
    }
}

fn spec(rings: &[&str]) -> RolloutSpec {
    let size = |at: usize| match at {
        0 => RingSize::Count(1),
        1 => RingSize::Percent(25.0),
        _ => RingSize::Rest,
    };
    RolloutSpec {
        name: "go-1.27.3-everywhere".to_owned(),
        package: "go".parse().unwrap(),
        version: "1.27.3".to_owned(),
        devices: String::new(),
        rings: rings
            .iter()
            .enumerate()
            .map(|(at, name)| RingSpec {
                name: (*name).to_owned(),
                size: size(at),
                gate: None,
                rehearse: false,
            })
            .collect(),
        max_in_flight: 4,
        soak: Span::from_secs(30),
        window: None,
        publish: None,
        gate: Gate { max_failures: 1, ..Gate::default() },
        silence_after: Span::from_secs(3600),
        offline_after: Span::from_secs(900),
        retry: Retry::default(),
        on_failure: OnFailure::RollBackRing,
        late: Default::default(),
        allow_downgrade: false,
    }
}

fn rollout_of(rings: Vec<RingStatus>, names: &[&str], state: RolloutState) -> RolloutStatus {
    let mut steps = BTreeMap::new();
    for device in rings.iter().flat_map(|ring| &ring.devices) {
        *steps.entry(device.step).or_insert(0) += 1;
    }
    let through = rings.iter().filter(|ring| ring.state == RingState::Passed).count() as u32;
    let bytes = rings.iter().flat_map(|ring| &ring.devices).map(|device| device.bytes_downloaded);
    RolloutStatus {
        summary: RolloutSummary {
            id: "r-0007".parse().unwrap(),
            name: "go-1.27.3-everywhere".to_owned(),
            version: "1.27.3".to_owned(),
            state,
            reason: (state == RolloutState::Paused).then(|| Reason {
                code: "gate_failed".to_owned(),
                text: "the gate of ring `early` failed: 2 failed, at most 1 may".to_owned(),
            }),
            author: "admin".to_owned(),
            started_at: before(187),
            changed_at: before(30),
            current_ring: through,
            rings: rings.len() as u32,
            steps,
        },
        spec: spec(names),
        bytes_downloaded: bytes.sum(),
        traffic: traffic(&rings),
        rings_detail: rings,
        left_out: (100..104)
            .map(|number| LeftOut {
                device: format!("d{number:05}").parse().unwrap(),
                hostname: hostname(number),
                reason: Reason {
                    code: "already".to_owned(),
                    text: "1.27.3 is active already".to_owned(),
                },
            })
            .collect(),
        awaited: 0,
        awaiting_user: 0,
        sequence: 99,
    }
}

/// Eight devices in three rings, the second one under way.
pub(super) fn rollout() -> RolloutStatus {
    use Step::{Accepted, Fetching, Reverted, Soaking, Waiting};
    let rings = vec![
        ring("test", RingState::Passed, 0, &[Accepted], &[]),
        ring(
            "pilot",
            RingState::Running,
            1,
            &[Soaking, Reverted, Fetching],
            &["2 devices have not answered yet"],
        ),
        ring("production", RingState::Waiting, 4, &[Waiting; 4], &["ring `pilot` is not through"]),
    ];
    rollout_of(rings, &["test", "pilot", "production"], RolloutState::Running)
}

/// So many devices in the last of three rings, at every step.
pub(super) fn large_rollout(devices: usize) -> RolloutStatus {
    let mixed = |count: usize| -> Vec<Step> {
        let step = |at: usize| match at * 7919 % 100 {
            0..=54 => Step::Accepted,
            55..=64 => Step::Soaking,
            65..=67 => Step::Verifying,
            68 => Step::Activating,
            69..=70 => Step::Staged,
            71..=76 => Step::Fetching,
            77 => Step::Offered,
            78 => Step::Reverted,
            _ => Step::Waiting,
        };
        (0..count).map(step).collect()
    };
    let failing: Vec<Step> = Step::ALL.into_iter().cycle().take(120).collect();
    let rings = vec![
        ring("test", RingState::Passed, 0, &[Step::Accepted; 12], &[]),
        ring("early", RingState::Failed, 12, &failing, &["27 failed, at most 1 may"]),
        ring("production", RingState::Waiting, 200, &mixed(devices), &["ring `early` failed"]),
    ];
    rollout_of(rings, &["test", "early", "production"], RolloutState::Paused)
}

/// What a device tells of itself.
pub(super) fn facts(number: usize) -> Facts {
    let labels = [("site", "berlin"), ("team", "payments")];
    Facts {
        hostname: hostname(number),
        platform: "windows-amd64".parse().unwrap(),
        os_version: "Windows 11 Pro 24H2 (26100.4061)".to_owned(),
        processors: 16,
        free_bytes: 182_300_000_000,
        agent_version: "0.1.0".to_owned(),
        active: (number % 9 != 4).then(|| format!("1.27.{}", 3 - number.min(30) % 3)),
        packages: Default::default(),
        found: vec![
            FoundGo {
                version: "1.27.3".to_owned(),
                path: r"C:\Users\jo\AppData\Local\gofleet\releases\go-1.27.3-windows-amd64"
                    .to_owned(),
                origin: GoOrigin::Managed,
            },
            FoundGo {
                version: "1.24.1".to_owned(),
                path: r"C:\Program Files\Go".to_owned(),
                origin: GoOrigin::System,
            },
        ],
        zone: None,
        labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        collections: Default::default(),
    }
}

fn receipt() -> Receipt {
    Receipt {
        outcome: Step::Accepted,
        active: Some("1.27.3".to_owned()),
        manifest: Some(Digest::of(b"manifest")),
        files_verified: 12_087,
        evidence: Some(Evidence {
            go_sha256: Digest::of(b"go"),
            go_version: "go version go1.27.3 windows/amd64".to_owned(),
            goroot: r"C:\Users\jo\AppData\Local\gofleet\releases\go-1.27.3-windows-amd64"
                .to_owned(),
            path_hit: Some(r"C:\Users\jo\AppData\Local\gofleet\bin\go.exe".to_owned()),
            path_is_managed: true,
            program_output: "gofleet check go1.27.3".to_owned(),
            took: Span::from_millis(2_340),
        }),
        bytes_downloaded: size_of(WayKind::Delta),
        way: Some(Taken { kind: WayKind::Delta, edge_bytes: 0, given_up: Vec::new() }),
        started_at: before(170),
        finished_at: before(121),
        steps: vec![
            (Step::Fetching, Span::from_millis(9_100)),
            (Step::Staged, Span::from_millis(120)),
            (Step::Activating, Span::from_millis(40)),
            (Step::Verifying, Span::from_millis(2_340)),
            (Step::Soaking, Span::from_secs(30)),
        ],
        failure: None,
    }
}

fn history(generation: u64, step: Step) -> DeviceHistory {
    DeviceHistory {
        generation,
        rollout: "r-0007".parse().unwrap(),
        wanted: "activate go-1.27.3-windows-amd64".to_owned(),
        issued_at: before(175),
        step,
        step_at: before(121),
        offer: None,
        answer: None,
        bytes_downloaded: 75_531_459,
        failure: (step == Step::Reverted).then(failure),
        receipt: (step == Step::Accepted).then(receipt),
    }
}

/// So many devices.
pub(super) fn devices(count: usize) -> Vec<Device> {
    (0..count)
        .map(|number| Device {
            id: format!("d{number:05}").parse().unwrap(),
            facts: facts(number),
            enrolled_at: before(86_400),
            last_seen: before(3 + number as u64 * 7 % 900),
            online: number % 17 != 13,
            kept_out: None,
            latest: (number % 4 != 3).then(|| {
                history(3, if number % 11 == 5 { Step::Reverted } else { Step::Accepted })
            }),
        })
        .collect()
}

/// A device with a past.
pub(super) fn device() -> DeviceDetail {
    let device = devices(1).remove(0);
    let history = vec![history(3, Step::Accepted), history(2, Step::Reverted)];
    DeviceDetail { device, health: Some(health::health()), hooks: vec![health::hook()], history }
}

/// The catalog.
pub(super) fn releases() -> Vec<Release> {
    let all = [
        ("1.27.3", "windows-amd64", ReleaseStatus::Approved),
        ("1.27.3", "linux-amd64", ReleaseStatus::Imported),
        ("1.27.2", "windows-amd64", ReleaseStatus::Approved),
        ("1.27.1", "windows-amd64", ReleaseStatus::Blocked),
    ];
    let release = |(version, platform, status): (&str, &str, ReleaseStatus)| Release {
        release: ReleaseRef {
            id: format!("go-{version}-{platform}").parse().unwrap(),
            package: "go".parse().unwrap(),
            version: version.to_owned(),
            platform: platform.parse().unwrap(),
            manifest: Digest::of(version.as_bytes()),
            archive: Archive {
                sha256: Digest::of(platform.as_bytes()),
                size: 75_531_459,
                format: ArchiveFormat::Zip,
            },
        },
        status,
        files: 12_087,
        tree_bytes: 228_000_000,
        origin: format!("go{version}.{platform}.zip"),
        imported_at: before(9_000),
        dependencies: Default::default(),
        decision: (status != ReleaseStatus::Imported).then(|| ReleaseDecision {
            by: "admin".to_owned(),
            at: before(8_000),
            reason: if status == ReleaseStatus::Blocked { "CVE-2026-1234 in net/http" } else { "" }
                .to_owned(),
        }),
    };
    all.into_iter().map(release).collect()
}

/// The fleet at a glance.
pub(super) fn overview() -> Overview {
    let versions = [(Some("1.27.3"), 412), (Some("1.27.2"), 388), (Some("1.26.6"), 41), (None, 9)];
    Overview {
        devices: 850,
        online: 838,
        quarantined: 3,
        holds: vec![Hold {
            id: "h1".parse().unwrap(),
            devices: "label.site = berlin".to_owned(),
            reason: "fair week".to_owned(),
            by: "ann".to_owned(),
            from: NOW,
            until: None,
        }],
        versions: versions
            .iter()
            .map(|(version, devices)| VersionCount {
                version: version.map(str::to_owned),
                devices: *devices,
            })
            .collect(),
        moving: vec![rollout().summary, large_rollout(600).summary],
        emergency: None,
        sequence: 99,
    }
}

/// A few events, newest first.
pub(super) fn events() -> Vec<Event> {
    let rollout = || "r-0007".parse().unwrap();
    let step = |number: usize, step: Step| Change::DeviceStep {
        device: format!("d{number:05}").parse().unwrap(),
        rollout: rollout(),
        generation: 3,
        step,
        bytes_downloaded: 75_531_459,
        failure: (step == Step::Reverted).then(failure),
    };
    let ring = |ring: &str, state| Change::RingState {
        rollout: rollout(),
        ring: ring.to_owned(),
        state,
        reason: String::new(),
        inputs: None,
    };
    let changes = [
        step(2, Step::Reverted),
        step(1, Step::Soaking),
        ring("pilot", RingState::Running),
        ring("test", RingState::Passed),
        step(0, Step::Accepted),
        Change::RolloutStarted {
            rollout: rollout(),
            name: "go-1.27.3-everywhere".to_owned(),
            by: "admin".to_owned(),
        },
    ];
    let event = |(at, what): (usize, Change)| Event {
        sequence: 99 - at as u64,
        at: before(at as u64 * 31 + 2),
        what,
    };
    changes.into_iter().enumerate().map(event).collect()
}
