//! What is made, in which order, and what is not made again.

use super::*;
use crate::digest::Digest;
use crate::release::{Archive, ArchiveFormat, ReleaseRef};

const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

fn release(version: &str, platform: &str, status: ReleaseStatus) -> Release {
    let id = format!("go-{version}-{platform}");
    Release {
        release: ReleaseRef {
            manifest: Digest::of(id.as_bytes()),
            id: id.parse().unwrap(),
            package: "go".parse().unwrap(),
            version: version.to_owned(),
            platform: platform.parse().unwrap(),
            archive: Archive { sha256: Digest::of(b"a"), size: 1, format: ArchiveFormat::Zip },
        },
        status,
        files: 1,
        tree_bytes: 1,
        origin: String::new(),
        imported_at: NOW,
        dependencies: Default::default(),
        decision: None,
    }
}

fn approved(versions: &[&str]) -> Vec<Release> {
    versions.iter().map(|it| release(it, "linux-amd64", ReleaseStatus::Approved)).collect()
}

fn held(counts: &[(&str, u64)]) -> Vec<Held> {
    let held = |(version, devices): &(&str, u64)| Held {
        platform: "linux-amd64".parse().unwrap(),
        version: (*version).to_owned(),
        devices: *devices,
    };
    counts.iter().map(held).collect()
}

fn found(catalog: &[Release], held: &[Held], artifacts: &[Artifact]) -> Vec<String> {
    let short = |id: &ReleaseId| id.as_str().replace("go-", "").replace("-linux-amd64", "");
    jobs(&Preparing { catalog, held, artifacts, format: 1, now: NOW })
        .iter()
        .map(|job| match job {
            Job::Pack { release } => short(release),
            Job::Delta { base, release } => format!("{}>{}", short(base), short(release)),
        })
        .collect()
}

#[test]
fn packs_come_first_then_deltas_from_what_devices_have_and_from_neighbours() {
    let catalog = approved(&["1.26.6", "1.27.2", "1.27.3"]);
    let fleet = held(&[("1.26.6", 70), ("1.27.3", 5), ("1.20.1", 900)]);
    let expect = ["1.27.3", "1.27.2", "1.26.6", "1.26.6>1.27.3", "1.27.2>1.27.3", "1.26.6>1.27.2"];
    assert_eq!(found(&catalog, &fleet, &[]), expect);
    // Without a fleet only neighbours in a line are worth a delta.
    let expect = ["1.27.3", "1.27.2", "1.26.6", "1.27.2>1.27.3"];
    assert_eq!(found(&catalog, &[], &[]), expect);
}

#[test]
fn nothing_is_made_for_blocked_releases_but_from_them() {
    let mut catalog = approved(&["1.27.2", "1.27.3"]);
    catalog[0].status = ReleaseStatus::Blocked;
    assert_eq!(found(&catalog, &held(&[("1.27.2", 1)]), &[]), ["1.27.3", "1.27.2>1.27.3"]);
    catalog[1].status = ReleaseStatus::Blocked;
    assert!(found(&catalog, &held(&[("1.27.2", 1)]), &[]).is_empty());
}

#[test]
fn what_is_approved_goes_before_what_is_newer() {
    let mut catalog = approved(&["1.27.2"]);
    catalog.push(release("1.27.3", "linux-amd64", ReleaseStatus::Imported));
    assert_eq!(found(&catalog, &[], &[]), ["1.27.2", "1.27.3", "1.27.2>1.27.3"]);
}

#[test]
fn no_delta_leads_to_another_platform_or_back() {
    let mut catalog = approved(&["1.27.2"]);
    catalog.push(release("1.27.3", "windows-amd64", ReleaseStatus::Approved));
    let jobs = found(&catalog, &held(&[("1.27.2", 9), ("1.27.3", 9)]), &[]);
    assert_eq!(jobs, ["1.27.3-windows-amd64", "1.27.2"]);
}

#[test]
fn of_many_bases_those_that_most_devices_have_are_taken() {
    let versions = ["1.21.1", "1.22.1", "1.23.1", "1.24.1", "1.25.1", "1.26.1", "1.27.0", "1.27.3"];
    let fleet = held(&[
        ("1.21.1", 10),
        ("1.22.1", 60),
        ("1.23.1", 20),
        ("1.24.1", 50),
        ("1.25.1", 30),
        ("1.26.1", 40),
    ]);
    let jobs = found(&approved(&versions), &fleet, &[]);
    let to_newest: Vec<_> = jobs.iter().filter_map(|job| job.strip_suffix(">1.27.3")).collect();
    assert_eq!(to_newest, ["1.22.1", "1.24.1", "1.26.1", "1.25.1", "1.27.0"]);
    let many: Vec<String> = (0..300).map(|patch| format!("1.27.{patch}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let jobs = found(&approved(&many), &[], &[]);
    assert_eq!(jobs.iter().filter(|job| job.contains('>')).count(), MAX_DELTAS);
    assert_eq!(jobs[300], "1.27.298>1.27.299");
}

#[test]
fn what_was_made_is_not_made_again_unless_it_failed_or_is_of_an_older_format() {
    let catalog = approved(&["1.27.2", "1.27.3"]);
    let made = |state: ArtifactState, format, ago: Span| {
        vec![Artifact {
            kind: ArtifactKind::Delta,
            release: catalog[1].release.id.clone(),
            makes: catalog[1].release.manifest,
            base: Some(catalog[0].release.manifest),
            format,
            state,
            made_at: NOW - ago,
            took: Span::ZERO,
        }]
    };
    let check = |artifacts: Vec<Artifact>, is_due: bool| {
        let jobs = found(&catalog, &[], &artifacts);
        assert_eq!(jobs.contains(&"1.27.2>1.27.3".to_owned()), is_due, "{artifacts:?}");
    };
    let ready = ArtifactState::Ready { sha256: Digest::of(b"delta"), bytes: 9 };
    let failed = ArtifactState::Failed { reason: "no room".to_owned() };
    let (short, long) = (Span::from_secs(60), Span::from_secs(3600));
    check(Vec::new(), true);
    check(made(ready.clone(), 1, long), false);
    check(made(ready, 2, long), true);
    check(made(ArtifactState::Useless { bytes: 9 }, 1, long), false);
    check(made(failed.clone(), 1, short), false);
    check(made(failed, 1, long), true);
}

#[test]
fn a_delta_must_save_two_fifths_of_the_pack() {
    assert!(is_useful(300_000, 38_000_000));
    assert!(is_useful(22_799_999, 38_000_000));
    assert!(!is_useful(22_800_000, 38_000_000));
    assert!(!is_useful(1, 0));
}
