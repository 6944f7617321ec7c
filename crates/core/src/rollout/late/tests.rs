//! What becomes of devices that come late.

use crate::facts::Facts;
use crate::ids::DeviceId;
use crate::release::{Archive, ArchiveFormat, Release, ReleaseRef, ReleaseStatus};
use crate::rollout::{
    Devices, FleetDevice, Late, LeftOut, Reason, RingState, RingView, RolloutState, RolloutView,
};
use crate::time::Timestamp;

use super::{Latecomer, latecomers};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn device(id: &str, site: &str) -> FleetDevice {
    FleetDevice {
        id: id.parse().unwrap(),
        facts: Facts {
            hostname: format!("host-{id}"),
            platform: "linux-amd64".parse().unwrap(),
            os_version: String::new(),
            processors: 2,
            free_bytes: 0,
            agent_version: String::new(),
            active: Some("1.27.2".to_owned()),
            packages: Default::default(),
            found: Vec::new(),
            zone: None,
            labels: [("site".to_owned(), site.to_owned())].into(),
            collections: Default::default(),
        },
        last_seen: NOW,
        busy_with: None,
        kept_out: None,
    }
}

fn release() -> Release {
    let (package, platform) = ("go".parse().unwrap(), "linux-amd64".parse().unwrap());
    let digest = crate::digest::Digest::of(b"");
    Release {
        release: ReleaseRef {
            id: ReleaseRef::id_of(&package, "1.27.3", &platform).unwrap(),
            package,
            version: "1.27.3".to_owned(),
            platform,
            manifest: digest,
            archive: Archive { sha256: digest, size: 1, format: ArchiveFormat::Zip },
        },
        status: ReleaseStatus::Approved,
        files: 1,
        tree_bytes: 1,
        origin: String::new(),
        imported_at: NOW,
        dependencies: Default::default(),
        decision: None,
    }
}

/// Rings of one sample, of Berlin, and of the rest, in these states.
fn view(late: Late, states: [RingState; 3]) -> RolloutView {
    let spec = "{name: r, version: 1.27.3, devices: 'not label.site = paris', rings: [{name: test, \
                count: 1}, {name: berlin, select: 'label.site = berlin'}, {name: rest, rest: \
                true}]}";
    let mut spec: crate::rollout::RolloutSpec = serde_saphyr::from_str(spec).unwrap();
    spec.late = late;
    let known: DeviceId = "d-known".parse().unwrap();
    let reason = Reason { code: "already_active".to_owned(), text: String::new() };
    RolloutView {
        id: "r1".parse().unwrap(),
        spec,
        state: RolloutState::Running,
        cause: None,
        author: String::new(),
        started_at: NOW,
        changed_at: NOW,
        rings: states.map(|state| RingView { state, ..RingView::WAITING }).into(),
        devices: Devices::default(),
        left_out: vec![LeftOut { device: known, hostname: String::new(), reason }],
        unapproved: Vec::new(),
        emergency: None,
        exposure: None,
        listening_since: NOW,
    }
}

#[track_caller]
fn check(late: Late, states: [RingState; 3], device: FleetDevice, expect: Result<u32, &str>) {
    let view = view(late, states);
    let late = latecomers(&view, &[device], &[release()]);
    match (late.as_slice(), expect) {
        ([Latecomer::Joins { ring, .. }], Ok(expect)) => assert_eq!(*ring, expect),
        ([Latecomer::StaysOut(left_out)], Err(code)) => assert_eq!(left_out.reason.code, code),
        (late, expect) => panic!("{late:?}, not {expect:?}"),
    }
}

#[test]
fn the_rule_says_which_ring_a_device_joins() {
    use RingState::{Passed, Running, Waiting};
    let berlin = || device("d1", "berlin");
    let all_wait = [Waiting, Waiting, Waiting];
    let second_runs = [Passed, Running, Waiting];
    let all_run = [Passed, Passed, Running];
    for states in [all_wait, second_runs, all_run] {
        check(Late::Never, states, berlin(), Err("late"));
        check(Late::SameRing, states, berlin(), Ok(1));
    }
    check(Late::NextRing, all_wait, berlin(), Ok(1));
    check(Late::NextRing, second_runs, berlin(), Ok(2));
    check(Late::NextRing, all_run, berlin(), Err("late_no_ring_left"));
    check(Late::NextRing, second_runs, device("d1", "oslo"), Ok(2));
}

#[test]
fn who_would_not_move_is_left_out_whatever_the_rule_says() {
    let states = [RingState::Waiting; 3];
    let mut has_it = device("d1", "oslo");
    has_it.facts.active = Some("1.27.3".to_owned());
    check(Late::SameRing, states, has_it, Err("already_active"));
    let mut newer = device("d1", "oslo");
    newer.facts.active = Some("1.28.0".to_owned());
    check(Late::SameRing, states, newer, Err("newer_active"));
    let mut busy = device("d1", "oslo");
    busy.busy_with = Some("r9".parse().unwrap());
    check(Late::SameRing, states, busy, Err("in_another_rollout"));
    let mut other = device("d1", "oslo");
    other.facts.platform = "windows-amd64".parse().unwrap();
    check(Late::SameRing, states, other, Err("no_release"));
}

#[test]
fn who_is_known_or_not_picked_is_passed_over() {
    let view = view(Late::SameRing, [RingState::Waiting; 3]);
    let arrivals = [device("d-known", "oslo"), device("d2", "paris")];
    assert_eq!(latecomers(&view, &arrivals, &[release()]), []);
}

#[test]
fn rules_are_read_and_written() {
    for late in Late::ALL {
        let json = format!("\"{}\"", late.as_str());
        assert_eq!(serde_json::from_str::<Late>(&json).unwrap(), late);
        assert_eq!(serde_json::to_string(&late).unwrap(), json);
    }
    assert_eq!(serde_json::from_str::<Late>("\"next ring\"").unwrap(), Late::NextRing);
    assert_eq!(serde_json::from_str::<Late>("\"same ring\"").unwrap(), Late::SameRing);
}
