//! Plans: who moves in which ring, who does not and why.

use proptest::prelude::*;

use super::*;
use crate::artifact::{Artifact, ArtifactKind, ArtifactState, FORMAT};
use crate::digest::Digest;
use crate::facts::Facts;
use crate::release::{Archive, ArchiveFormat, Release, ReleaseRef, ReleaseStatus};

const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

fn release(version: &str, platform: &str, status: ReleaseStatus) -> Release {
    let (package, platform) = ("go".parse().unwrap(), platform.parse().unwrap());
    Release {
        release: ReleaseRef {
            id: ReleaseRef::id_of(&package, version, &platform).unwrap(),
            package,
            version: version.to_owned(),
            platform,
            manifest: Digest::of(version.as_bytes()),
            archive: Archive { sha256: Digest::of(b"a"), size: 1000, format: ArchiveFormat::Zip },
        },
        status,
        files: 1,
        tree_bytes: 1,
        origin: "here".to_owned(),
        imported_at: NOW,
        dependencies: Default::default(),
        decision: None,
    }
}

fn catalog() -> Vec<Release> {
    vec![
        release("1.27.2", "linux-amd64", ReleaseStatus::Approved),
        release("1.27.3", "linux-amd64", ReleaseStatus::Approved),
        release("1.27.3", "windows-amd64", ReleaseStatus::Imported),
        release("1.27.4", "linux-amd64", ReleaseStatus::Blocked),
    ]
}

fn device(id: &str, platform: &str, active: Option<&str>) -> FleetDevice {
    FleetDevice {
        id: id.parse().unwrap(),
        facts: Facts {
            hostname: format!("host-{id}"),
            platform: platform.parse().unwrap(),
            os_version: "Some OS 1".to_owned(),
            processors: 2,
            free_bytes: 1 << 30,
            agent_version: "0.1.0".to_owned(),
            active: active.map(str::to_owned),
            packages: Default::default(),
            found: Vec::new(),
            zone: None,
            labels: [("site".to_owned(), "berlin".to_owned())].into(),
            collections: Default::default(),
        },
        last_seen: NOW,
        busy_with: None,
        kept_out: None,
    }
}

fn fleet(count: usize) -> Vec<FleetDevice> {
    (0..count).map(|n| device(&format!("d{n:04}"), "linux-amd64", Some("1.27.2"))).collect()
}

fn planned(spec: &RolloutSpec, fleet: &[FleetDevice]) -> Result<RolloutPlan, PlanError> {
    planned_with(spec, fleet, &[])
}

fn planned_with(
    spec: &RolloutSpec,
    fleet: &[FleetDevice],
    artifacts: &[Artifact],
) -> Result<RolloutPlan, PlanError> {
    plan(&Planning {
        spec,
        releases: &catalog(),
        fleet,
        collections: &[],
        moving: &[],
        artifacts,
        seed: &spec.name,
        install_time: Span::from_secs(60),
        now: NOW,
        listening_since: NOW - Span::from_secs(86_400),
    })
}

fn members(plan: &RolloutPlan) -> Vec<Vec<String>> {
    let ids = |ring: &PlannedRing| ring.devices.iter().map(|it| it.device.to_string()).collect();
    plan.rings.iter().map(ids).collect()
}

#[test]
fn a_plan_tells_who_moves_how_much_and_how_long() {
    let spec = spec(
        "max_in_flight: 2, soak: 5m, rings: [{name: one, count: 1}, {name: rest, rest: true}]",
    );
    let plan = planned(&spec, &fleet(6)).unwrap();
    assert_eq!(plan.rings.iter().map(|ring| ring.devices.len()).collect::<Vec<_>>(), [1, 5]);
    assert_eq!(plan.bytes, 6000);
    let minutes: Vec<_> = plan.rings.iter().map(|ring| ring.expected.to_string()).collect();
    assert_eq!(minutes, ["6m", "18m"], "5 devices, 2 at once, are 3 waves of 1 + 5 minutes");
    assert_eq!(plan.expected.to_string(), "24m");
    assert_eq!(plan, planned(&spec, &fleet(6)).unwrap(), "a second plan agrees");
}

#[test]
fn everyone_left_out_has_a_reason() {
    let mut fleet = vec![
        device("has", "linux-amd64", Some("1.27.3")),
        device("newer", "linux-amd64", Some("1.28.0")),
        device("arm", "linux-arm64", None),
        device("win", "windows-amd64", None),
        device("busy", "linux-amd64", Some("1.27.2")),
        device("old", "linux-amd64", Some("1.20.1")),
        device("bare", "linux-amd64", None),
        device("elsewhere", "linux-amd64", None),
    ];
    fleet[4].busy_with = Some("r7".parse().unwrap());
    fleet[6].last_seen = NOW - Span::from_secs(3600);
    fleet[7].facts.labels = [("site".to_owned(), "oslo".to_owned())].into();
    let spec = spec("devices: 'label.site = berlin', rings: [{name: all, rest: true}]");
    let plan = planned(&spec, &fleet).unwrap();
    assert_eq!(members(&plan), [["bare", "old"]]);
    assert_eq!(plan.not_selected, 1);
    let reasons: Vec<_> =
        plan.left_out.iter().map(|it| format!("{}: {}", it.device, it.reason)).collect();
    assert_eq!(
        reasons,
        [
            "arm: no release for linux-arm64",
            "busy: is part of rollout r7",
            "has: has 1.27.3 active already",
            "newer: has the newer 1.28.0 active",
            "win: go-1.27.3-windows-amd64 is imported",
        ]
    );
    assert!(plan.rings[0].devices[0].offline_since.is_some());
    assert!(plan.warnings[0].contains("offline: 1 of the devices"), "{:?}", plan.warnings);
    assert!(plan.warnings[1].contains("not in the catalog"), "{:?}", plan.warnings);
}

#[test]
fn going_down_a_version_must_be_asked_for() {
    let fleet = [device("newer", "linux-amd64", Some("1.28.0"))];
    let rings = "rings: [{name: all, rest: true}]";
    let error = planned(&spec(rings), &fleet).unwrap_err();
    assert_eq!(
        error.to_string(),
        "none of the 1 picked devices would move: 1: has the newer 1.28.0 active"
    );
    let plan = planned(&spec(&format!("allow_downgrade: true, {rings}")), &fleet).unwrap();
    assert_eq!(members(&plan), [["newer"]]);
}

#[test]
fn what_cannot_be_planned_is_said_in_words() {
    let check = |yaml: &str, version: &str, fleet: &[FleetDevice], expect: &str| {
        let mut spec = spec(yaml);
        spec.version = version.to_owned();
        let error = planned(&spec, fleet).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    };
    let all = "rings: [{name: all, rest: true}]";
    let some = fleet(4);
    check(all, "1.27.3", &[], "no device is enrolled");
    check(all, "1.99.0", &some, "no release go 1.99.0 in the catalog; it has 1.27.2, 1.27.3");
    check(all, "1.27.4", &some, "go-1.27.4-linux-amd64 is not approved but blocked");
    check(&format!("devices: 'os = plan9', {all}"), "1.27.3", &some, "picks none of the 4 devices");
    check("rings: []", "1.27.3", &some, "there are no rings");
    check(
        "rings: [{name: test, select: 'hostname = nobody'}, {name: all, rest: true}]",
        "1.27.3",
        &some,
        "ring `test` (those with hostname = nobody) would have no device",
    );
    check(
        "rings: [{name: all, rest: true, gate: {min_successes: 5}}]",
        "1.27.3",
        &some,
        "ring `all` has 4 devices that move, but its gate asks for 5",
    );
}

#[test]
fn a_ring_that_has_the_version_already_need_not_show_it_again() {
    let mut fleet = fleet(3);
    fleet[0].facts.active = Some("1.27.3".to_owned());
    let yaml = "rings: [{name: test, select: 'id = d0000'}, {name: all, rest: true}]";
    let plan = planned(&spec(yaml), &fleet).unwrap();
    assert_eq!(members(&plan), [vec![], vec!["d0001".to_owned(), "d0002".to_owned()]]);
    assert!(plan.warnings[0].contains("ring `test` moves no device"));
}

#[test]
fn a_ring_may_be_empty_where_no_later_one_relies_on_it() {
    let yaml = "rings: [{name: test, count: 1}, {name: pilot, count: 10}, {name: all, rest: true}]";
    let plan = planned(&spec(yaml), &fleet(1)).unwrap();
    assert_eq!(members(&plan), [vec!["d0000".to_owned()], vec![], vec![]]);
}

#[test]
fn no_device_jumps_between_rings_of_percentages_when_others_join() {
    let spec =
        spec("rings: [{name: a, percent: 5}, {name: b, percent: 25}, {name: c, percent: 70}]");
    let (small, large) =
        (planned(&spec, &fleet(1000)).unwrap(), planned(&spec, &fleet(5000)).unwrap());
    let larger = members(&large);
    for (ring, devices) in members(&small).iter().enumerate() {
        assert!(devices.iter().all(|device| larger[ring].contains(device)));
    }
    let sizes: Vec<_> = larger.iter().map(Vec::len).collect();
    // Five times the standard deviation of a share drawn from 5,000: at most 5 * sqrt(1050) = 162.
    for (size, expect) in sizes.iter().zip([250, 1250, 3500]) {
        assert!(size.abs_diff(expect) < 162, "{sizes:?}");
    }
}

proptest! {
    #[test]
    fn every_picked_device_is_in_one_ring_or_left_out(
        count in 1usize..60,
        percent in 1u32..100,
        first in 1u32..4,
        seed in "[a-z]{1,8}",
    ) {
        let mut spec = spec(&format!(
            "rings: [{{name: a, count: {first}}}, {{name: b, percent: {percent}}}, \
             {{name: c, rest: true}}]"
        ));
        spec.name = seed;
        let fleet = fleet(count);
        match planned(&spec, &fleet) {
            Ok(plan) => {
                let mut all: Vec<_> = members(&plan).concat();
                all.extend(plan.left_out.iter().map(|it| it.device.to_string()));
                all.sort();
                let expect: Vec<_> = fleet.iter().map(|it| it.id.to_string()).collect();
                prop_assert_eq!(all, expect);
            }
            Err(error) => prop_assert!(matches!(error, PlanError::EmptyRing { .. }), "{error}"),
        }
    }
}

#[test]
fn bytes_are_those_of_the_cheapest_way_from_what_each_device_has() {
    let delta = Artifact {
        kind: ArtifactKind::Delta,
        release: "go-1.27.3-linux-amd64".parse().unwrap(),
        makes: Digest::of(b"1.27.3"),
        base: Some(Digest::of(b"1.27.2")),
        format: FORMAT,
        state: ArtifactState::Ready { sha256: Digest::of(b"delta"), bytes: 10 },
        made_at: NOW,
        took: Span::ZERO,
    };
    let (spec, mut fleet) = (spec("rings: [{name: all, rest: true}]"), fleet(5));
    fleet.push(device("none", "linux-amd64", None));
    fleet.push(device("unknown", "linux-amd64", Some("1.20.1")));
    let plan = planned_with(&spec, &fleet, &[delta]).unwrap();
    assert_eq!((plan.bytes, plan.archive_bytes), (5 * 10 + 2 * 1000, 7000));
    assert_eq!(planned(&spec, &fleet).unwrap().bytes, 7000);
}

/// As [`planned`], where the release asks for `requires`, and these rollouts move.
fn planned_asking(
    requires: &[&str],
    fleet: &[FleetDevice],
    moving: &[Moving],
) -> Result<RolloutPlan, PlanError> {
    let mut releases = catalog();
    releases.push(release("0.2.1", "linux-amd64", ReleaseStatus::Approved));
    let agent = releases.last_mut().unwrap();
    agent.release.package = "gofleet-agent".parse().unwrap();
    agent.release.id = "gofleet-agent-0.2.1-linux-amd64".parse().unwrap();
    releases[1].dependencies.requires = requires.iter().map(|it| it.parse().unwrap()).collect();
    let spec = spec("rings: [{name: all, rest: true}]");
    plan(&Planning {
        spec: &spec,
        releases: &releases,
        fleet,
        collections: &[],
        moving,
        artifacts: &[],
        seed: &spec.name,
        install_time: Span::from_secs(60),
        now: NOW,
        listening_since: NOW - Span::from_secs(86_400),
    })
}

#[test]
fn who_lacks_a_package_is_left_out_with_the_chain() {
    let mut fleet = fleet(3);
    fleet[1].facts.agent_version = "0.2.0".to_owned();
    let plan = planned_asking(&["gofleet-agent>=0.2.0"], &fleet, &[]).unwrap();
    assert_eq!(members(&plan), [["d0001"]]);
    let chain = "go-1.27.3-linux-amd64 requires gofleet-agent>=0.2.0; the device has \
                 gofleet-agent 0.1.0; gofleet-agent-0.2.1-linux-amd64 would do";
    for left_out in &plan.left_out {
        assert_eq!(left_out.reason.code, "package_missing");
        assert_eq!(left_out.reason.text, chain);
    }
    let error = planned_asking(&["gofleet-agent>=0.3"], &fleet, &[]).unwrap_err();
    let PlanError::Unfulfilled { chains } = &error else { panic!("{error}") };
    assert_eq!(chains.values().copied().collect::<Vec<_>>(), [2, 1], "{error}");
    assert!(error.to_string().contains("2 devices: go-1.27.3-linux-amd64 requires"), "{error}");
    assert!(error.to_string().contains("no release in the catalog would do"), "{error}");
}

#[test]
fn who_gets_a_package_by_another_rollout_waits_for_it() {
    let mut fleet = fleet(3);
    for (place, rollout) in [(0, "r7"), (1, "r8")] {
        fleet[place].busy_with = Some(rollout.parse().unwrap());
    }
    let moving = ["0.2.1", "0.1.9"].into_iter().zip(["r7", "r8"]).map(|(version, id)| Moving {
        rollout: id.parse().unwrap(),
        package: "gofleet-agent".parse().unwrap(),
        version: version.to_owned(),
    });
    let moving: Vec<_> = moving.collect();
    let plan = planned_asking(&["gofleet-agent>=0.2.0"], &fleet, &moving).unwrap();
    assert_eq!(members(&plan), [["d0000"]]);
    let device = &plan.rings[0].devices[0];
    assert_eq!(device.waits_for, Some("r7".parse().unwrap()));
    assert_eq!(device.waits.as_ref().unwrap().code, "waits_for_package");
    assert!(plan.warnings.iter().any(|it| it.starts_with("waiting for a package: 1 of")));
    let codes: Vec<_> = plan.left_out.iter().map(|it| it.reason.code.as_str()).collect();
    assert_eq!(codes, ["in_another_rollout", "package_missing"]);
}
