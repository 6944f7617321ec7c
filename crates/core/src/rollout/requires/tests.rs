//! Devices that fulfil what a release asks for, those that do not, and the chain of each.

use super::*;
use crate::dependency::Dependencies;
use crate::digest::Digest;
use crate::release::{Archive, ArchiveFormat, ReleaseRef};
use crate::time::Timestamp;

/// A release as `package version`, with what it requires and, behind a `!`, conflicts with.
fn release(name: &str, asks: &[&str]) -> Release {
    let (package, version) = name.split_once(' ').unwrap();
    let (package, platform) = (package.parse().unwrap(), "linux-amd64".parse().unwrap());
    let mut dependencies = Dependencies::default();
    for text in asks {
        match text.strip_prefix('!') {
            Some(text) => dependencies.conflicts.push(text.parse().unwrap()),
            None => dependencies.requires.push(text.parse().unwrap()),
        }
    }
    Release {
        release: ReleaseRef {
            id: ReleaseRef::id_of(&package, version, &platform).unwrap(),
            package,
            version: version.to_owned(),
            platform,
            manifest: Digest::of(name.as_bytes()),
            archive: Archive { sha256: Digest::of(b"a"), size: 1, format: ArchiveFormat::Zip },
        },
        dependencies,
        status: ReleaseStatus::Approved,
        files: 1,
        tree_bytes: 1,
        origin: String::new(),
        imported_at: Timestamp::from_millis(0),
        decision: None,
    }
}

/// What a device tells that has these packages, each as `package version`.
fn facts(has: &[&str]) -> Facts {
    let mut facts = Facts {
        hostname: "pc".to_owned(),
        platform: "linux-amd64".parse().unwrap(),
        os_version: String::new(),
        processors: 2,
        free_bytes: 0,
        agent_version: String::new(),
        active: None,
        packages: BTreeMap::new(),
        found: Vec::new(),
        zone: None,
        labels: BTreeMap::new(),
        collections: Default::default(),
    };
    for name in has {
        let (package, version) = name.split_once(' ').unwrap();
        match package {
            "go" => facts.active = Some(version.to_owned()),
            "gofleet-agent" => facts.agent_version = version.to_owned(),
            other => {
                facts.packages.insert(other.parse().unwrap(), version.to_owned());
            }
        }
    }
    facts
}

/// The releases that there are: the linter needs Go, and a new Go needs a new agent.
fn catalog() -> Vec<Release> {
    vec![
        release("go 1.25.3", &[]),
        release("go 1.27.3", &["gofleet-agent>=0.2.0"]),
        release("go 1.28.0", &["gofleet-agent>=0.2.0", "!ruff<1"]),
        release("golangci-lint 2.5.0", &["go>=1.26, <1.28"]),
        release("golangci-lint 2.6.0", &["go>=1.29"]),
        release("gofleet-agent 0.2.1", &[]),
    ]
}

fn known(catalog: &[Release], name: &str) -> Release {
    let (package, version) = name.split_once(' ').unwrap();
    let is_it =
        |it: &&Release| it.release.package.as_str() == package && it.release.version == version;
    catalog.iter().find(is_it).unwrap().clone()
}

#[track_caller]
fn check(name: &str, has: &[&str], coming: Option<&str>, expect: Option<(&str, &str)>) {
    let catalog = catalog();
    let coming = coming.map(|name| {
        let (package, version) = name.split_once(' ').unwrap();
        Moving {
            rollout: "r7".parse().unwrap(),
            package: package.parse().unwrap(),
            version: version.to_owned(),
        }
    });
    let relations = Relations::of(&catalog);
    let unmet = relations.unmet(&known(&catalog, name), &facts(has), coming.as_ref());
    let found = unmet.as_ref().map(|it| (it.code(), it.to_string()));
    let expect = expect.map(|(code, text)| (code, text.to_owned()));
    assert_eq!(found, expect, "{name} on {has:?}, {coming:?} coming");
}

#[test]
fn what_a_device_has_fulfils_or_not() {
    let agent = "gofleet-agent 0.2.0";
    check("golangci-lint 2.5.0", &["go 1.26.1", agent], None, None);
    check("go 1.27.3", &["go 1.25.3", agent], None, None);
    check(
        "golangci-lint 2.6.0",
        &["go 1.28.0", agent],
        None,
        Some((
            "package_missing",
            "golangci-lint-2.6.0-linux-amd64 requires go>=1.29; the device has go 1.28.0; \
             no release in the catalog would do",
        )),
    );
}

#[test]
fn a_chain_goes_on_until_what_can_be_brought_first() {
    check(
        "golangci-lint 2.5.0",
        &["go 1.25.3", "gofleet-agent 0.1.0"],
        None,
        Some((
            "package_missing",
            "golangci-lint-2.5.0-linux-amd64 requires go>=1.26, <1.28; the device has go 1.25.3; \
             go-1.27.3-linux-amd64 would do; go-1.27.3-linux-amd64 requires gofleet-agent>=0.2.0; \
             the device has gofleet-agent 0.1.0; gofleet-agent-0.2.1-linux-amd64 would do",
        )),
    );
}

#[test]
fn what_a_package_would_lose_is_a_conflict() {
    let agent = "gofleet-agent 0.2.0";
    check(
        "go 1.28.0",
        &["go 1.27.3", agent, "golangci-lint 2.5.0"],
        None,
        Some((
            "package_conflict",
            "the device has golangci-lint 2.5.0; golangci-lint-2.5.0-linux-amd64 requires \
             go>=1.26, <1.28",
        )),
    );
    check(
        "go 1.28.0",
        &["go 1.27.3", agent, "ruff 0.9.1"],
        None,
        Some((
            "package_conflict",
            "go-1.28.0-linux-amd64 conflicts with ruff<1; the device has ruff 0.9.1",
        )),
    );
    check("go 1.28.0", &[agent, "ruff 1.0.0", "unheard-of 1.0"], None, None);
}

#[test]
fn what_a_rollout_brings_is_waited_for_until_it_has_ended() {
    let (has, agent) = (["go 1.25.3", "gofleet-agent 0.1.0"], "gofleet-agent 0.2.1");
    let waits = "go-1.27.3-linux-amd64 requires gofleet-agent>=0.2.0; rollout r7 brings \
                 gofleet-agent 0.2.1; it waits until that has ended";
    check("go 1.27.3", &has, Some(agent), Some(("waits_for_package", waits)));
    check("go 1.27.3", &["go 1.25.3", agent], Some(agent), Some(("waits_for_package", waits)));
    check("go 1.27.3", &["go 1.25.3", agent], None, None);
    check(
        "golangci-lint 2.5.0",
        &["go 1.27.3"],
        Some("go 1.28.0"),
        Some((
            "package_conflict",
            "golangci-lint-2.5.0-linux-amd64 requires go>=1.26, <1.28; rollout r7 brings go 1.28.0",
        )),
    );
    check(
        "go 1.28.0",
        &[agent],
        Some("golangci-lint 2.5.0"),
        Some((
            "package_conflict",
            "rollout r7 brings golangci-lint 2.5.0; golangci-lint-2.5.0-linux-amd64 requires \
             go>=1.26, <1.28",
        )),
    );
}

#[test]
fn circles_are_found_when_they_are_closed() {
    #[track_caller]
    fn check(releases: &[(&str, &[&str])], expect: Option<&str>) {
        let catalog: Vec<Release> =
            releases.iter().map(|(name, asks)| release(name, asks)).collect();
        let cycle = Relations::of(&catalog).cycle(&catalog[0]);
        assert_eq!(cycle.map(|chain| chain.to_string()).as_deref(), expect);
    }
    check(
        &[("a 2.0", &["b>=2"]), ("b 2.0", &["c"]), ("c 1.0", &["a>=2"])],
        Some(
            "a-2.0-linux-amd64 requires b>=2; b-2.0-linux-amd64 would do; b-2.0-linux-amd64 \
             requires c; c-1.0-linux-amd64 would do; c-1.0-linux-amd64 requires a>=2; \
             a-2.0-linux-amd64 would do",
        ),
    );
    // By way of the first version there is a beginning.
    check(&[("a 2.0", &["b>=2"]), ("b 2.0", &["a>=1"]), ("a 1.0", &[])], None);
    // Another version of what is required leads out of the circle.
    check(&[("a 2.0", &["b"]), ("b 2.0", &["a>=2"]), ("b 1.0", &[])], None);
    // What the catalog does not have may come yet.
    check(&[("a 2.0", &["b>=2"]), ("b 2.0", &["c"])], None);
    check(&[("a 2.0", &["a>=1"]), ("a 1.0", &["a>=1"])], None);
}

#[test]
fn a_circle_is_shown_of_a_device_too() {
    let catalog = vec![release("a 2.0", &["b>=2"]), release("b 2.0", &["a>=2"])];
    let unmet = Relations::of(&catalog).unmet(&catalog[0], &facts(&["b 1.0"]), None).unwrap();
    assert_eq!(unmet.code(), "package_cycle");
    assert!(unmet.to_string().ends_with("a-2.0-linux-amd64 would do; that is a circle"), "{unmet}");
    assert_eq!(Relations::of(&catalog).unmet(&catalog[0], &facts(&["b 2.0"]), None), None);
}

#[test]
fn what_nobody_may_get_brings_nothing() {
    let mut catalog = catalog();
    for release in &mut catalog {
        if release.release.package.as_str() == "gofleet-agent" {
            release.status = ReleaseStatus::Blocked;
        }
    }
    let relations = Relations::of(&catalog);
    let unmet = relations.unmet(&known(&catalog, "go 1.27.3"), &facts(&["go 1.25.3"]), None);
    let unmet = unmet.unwrap();
    assert_eq!(unmet.kind, UnmetKind::Nowhere);
    assert!(unmet.to_string().contains("the device has no gofleet-agent"), "{unmet}");
}
