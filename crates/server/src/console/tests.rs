//! The pages, made from a fleet that is made up.

use askama::Template;
use gofleet_api::{Collection, CollectionDetail, CollectionSummary, Member, Members, Roster};
use gofleet_core::anomaly::Class;
use gofleet_core::artifact::ArtifactState;
use gofleet_core::device::Overview;
use gofleet_core::ids::CollectionName;
use gofleet_core::offer::{Answer, Offer, Postpone};
use gofleet_core::order::Step;
use gofleet_core::time::{Span, Timestamp};

use super::audit::{AuditPage, AuditQuery};
use super::collections::{CollectionPage, CollectionsPage, Filled};
use super::course::Course;
use super::devices::{DevicePage, DevicesPage, Query};
use super::events::{EventLine, Names};
use super::forecast_view::ForecastView;
use super::overview::OverviewPage;
use super::releases::ReleasesPage;
use super::rollouts::{RolloutPage, RolloutsPage};
use super::sample::{self, NOW};

const ADDRESS: &str = "https://fleet.example";
/// What an attacker would write wherever text can be written.
const PAYLOAD: &str = r#""><script>alert(1)</script><img src=x onerror=alert(1)>'"#;

fn html(page: &impl Template) -> String {
    page.render().unwrap()
}

fn lines() -> Vec<EventLine> {
    let names = Names::default();
    sample::events().iter().map(|event| EventLine::new(event, &names, NOW)).collect()
}

/// The text of a page, tags left out, white space drawn together.
fn text(html: &str) -> String {
    let mut text = String::new();
    let mut is_tag = false;
    for letter in html.chars() {
        match letter {
            '<' => is_tag = true,
            '>' => {
                is_tag = false;
                text.push(' ');
            }
            _ if !is_tag => text.push(letter),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_overview_says_what_runs_what_moves_and_what_waits() {
    let page = OverviewPage::new(ADDRESS, &sample::overview(), &sample::releases(), lines(), NOW);
    let text = text(&html(&page));
    for expect in [
        "devices 850",
        "online 838 99%",
        "1.27.3 412 48%",
        "no managed Go 9 1%",
        "ring 2 of 3",
        "351 of 732 accepted",
        "is paused. The gate of ring “early” failed: 2 failed, at most 1 may.",
        "12 devices not heard of",
        "3 devices in quarantine, until somebody lets them in",
        "Hold h1 on “label.site = berlin” by ann: fair week. To end it: gofleet hold lift h1",
        "1 release imported, but neither approved nor blocked",
    ] {
        assert!(text.contains(expect), "{expect}: {text}");
    }
}

#[test]
fn the_audit_page_says_who_did_what_and_how_far_the_log_goes() {
    let (head, entries) = sample::audit(PAYLOAD);
    let page = html(&AuditPage::new(&head, &entries, AuditQuery::default(), NOW));
    let text = text(&page);
    for expect in [
        "2 entries.",
        "rollout.commanded r7",
        "command pause",
        "person, session, 192.0.2.1",
        "release.decided go-1.27.3-linux-amd64",
        "Signed by gofleet/audit/",
    ] {
        assert!(text.contains(expect), "{expect}: {text}");
    }
    assert!(!page.contains("<script>alert") && !page.contains("<img src=x"), "inert text");
}

#[test]
fn an_empty_fleet_is_told_what_to_do() {
    let nothing = Overview {
        devices: 0,
        online: 0,
        quarantined: 0,
        holds: vec![],
        versions: vec![],
        moving: vec![],
        emergency: None,
        sequence: 0,
    };
    let overview = html(&OverviewPage::new(ADDRESS, &nothing, &[], vec![], NOW));
    assert!(overview.contains("gofleet agent run --server https://fleet.example --token"));
    let devices = html(&DevicesPage::new(ADDRESS, &[], Query::default(), NOW));
    assert!(devices.contains("gofleet token create"));
    assert!(html(&ReleasesPage::new(&[], &[], NOW)).contains("gofleet release import"));
    let rollouts = html(&RolloutsPage::new(&[], "1.27.3".to_owned(), NOW));
    assert!(rollouts.contains("gofleet rollout start 1.27.3<"));
}

#[test]
fn a_rollout_shows_each_device_with_state_and_reason() {
    let page = html(&RolloutPage::new(&sample::rollout(), lines(), NOW));
    let text = text(&page);
    for expect in
        ["accepted 1 of 8", "waiting 4", "accepted 0 of 3", "1 of 1 allowed", "not its turn"]
    {
        assert!(text.contains(expect), "{expect}: {text}");
    }
    assert!(page.contains(
        "szx-ci-runner-02: reverted for 6 s, 1.27.2 active\nverifying failed: go build: fork/exec"
    ));
    for (verb, asks) in [("pause", false), ("stop", true), ("rollback", true)] {
        assert!(page.contains(&format!("id=\"do-{verb}\"")), "{verb}");
        assert_eq!(page.contains(&format!("id=\"do-{verb}\" data-ask")), asks, "{verb}");
    }
    assert!(!page.contains("do-resume"));
}

#[test]
fn a_rollout_tells_how_the_release_came_and_what_that_saved() {
    let text = text(&html(&RolloutPage::new(&sample::rollout(), lines(), NOW)));
    for expect in [
        "83.2% saved",
        "saved 189 MB of 227 MB",
        "How it came",
        "delta 2 devices, 609 kB",
        "from edges 37.7 MB",
    ] {
        assert!(text.contains(expect), "{expect}: {text}");
    }
    let mut untouched = sample::rollout();
    untouched.traffic = Default::default();
    let text = self::text(&html(&RolloutPage::new(&untouched, lines(), NOW)));
    assert!(!text.contains("saved") && !text.contains("How it came"), "{text}");
}

#[test]
fn a_rollout_is_drawn_up_to_a_limit_and_told_beyond_it() {
    let page = html(&RolloutPage::new(&sample::large_rollout(2_900), vec![], NOW));
    assert_eq!(page.matches("class=\"cell ").count(), 12 + 120 + 2_900);
    assert!(page.contains("cells dense") && page.contains("cells square"));
    assert!(!page.contains("Not drawn"));

    let page = html(&RolloutPage::new(&sample::large_rollout(20_000), vec![], NOW));
    assert_eq!(page.matches("class=\"cell ").count(), 12 + 120 + 3_000);
    assert!(page.contains("Not drawn: 4,200 waiting,") && page.contains("11,000 accepted."));
    assert!(!page.contains("reverted."), "what needs a look is drawn");
    assert!(page.len() < 1_500_000, "{}", page.len());
}

#[test]
fn devices_are_filtered_sorted_and_paged_by_the_address() {
    let devices = sample::devices(500);
    let check = |query: &str, expect: &str, first: &str| {
        let query =
            axum::extract::Query::try_from_uri(&format!("/devices?{query}").parse().unwrap());
        let axum::extract::Query(query) = query.unwrap();
        let page = html(&DevicesPage::new(ADDRESS, &devices, query, NOW));
        assert!(page.contains(expect), "{expect}: {}", text(&page));
        let row = page.split("<tr id=\"device-").nth(1).unwrap_or_default();
        assert!(text(row).contains(first), "{first}: {}", text(row));
    };
    check("", "1 to 200 of 500", "ber-build-00");
    check("page=3", "401 to 500 of 500", "");
    check("page=99", "401 to 500 of 500", "");
    check("sort=-hostname", "aria-sort=\"descending\"", "szx-");
    check("q=ber-lab-04", "value=\"ber-lab-04\"", "ber-lab-04");
    check("q=SITE%3Dberlin&version=1.27.2", "<option value=\"1.27.2\" selected>", "1.27.2");
    check("state=offline", "<option value=\"offline\" selected>", "offline");
    check("q=nothing+like+it", "No device fits", "");
}

#[test]
fn a_device_shows_its_evidence() {
    let text = text(&html(&DevicePage::new(&sample::device(), NOW)));
    for expect in [
        "files verified 12,087",
        "go version go version go1.27.3 windows/amd64",
        "took 49 s (fetching 9 s, staged 0.1 s,",
        "failed while verifying: go build: fork/exec",
        "for all users C:\\Program Files\\Go",
        "class windows-amd64/ci",
        "too many devices of its class are anomalous",
        "processor 99.5%",
        "busy fires processor &#62; 95% for 1m: holds",
        "drain pending drain of",
        "to be tried again after 2 attempts: answered with 503",
    ] {
        assert!(text.contains(expect), "{expect}: {text}");
    }
}

#[test]
fn a_device_shows_what_its_user_was_asked_and_answered() {
    let mut detail = sample::device();
    let latest = &mut detail.history[0];
    (latest.step, latest.receipt) = (Step::Staged, None);
    latest.offer = Some(Offer {
        since: NOW,
        deadline: NOW + Span::from_secs(3600),
        postpone: Postpone::default(),
        remind: Span::from_secs(600),
        notice: String::new(),
    });
    latest.answer = Some(Answer { postponed: 1, until: Some(NOW), ..Answer::default() });
    detail.device.latest = Some(latest.clone());
    let html = html(&DevicePage::new(&detail, NOW));
    assert!(html.contains("action=\"/rollouts/r-0007/assign\""), "{html}");
    let text = text(&html);
    assert!(text.contains("user postponed once, until "), "{text}");
    assert!(text.contains("Activate without asking"), "{text}");
}

#[test]
fn releases_offer_what_can_be_decided() {
    let page = html(&ReleasesPage::new(&sample::releases(), &sample::artifacts(), NOW));
    for (id, approve, block) in [
        ("go-1.27.3-windows-amd64", false, true),
        ("go-1.27.3-linux-amd64", true, true),
        ("go-1.27.1-windows-amd64", true, false),
    ] {
        assert_eq!(page.contains(&format!("/releases/{id}/approve")), approve, "{id}");
        assert_eq!(page.contains(&format!("/releases/{id}/block")), block, "{id}");
    }
    assert!(text(&page).contains("by admin, 2 h ago: CVE-2026-1234 in net/http"));
}

#[test]
fn releases_show_what_was_made_of_them_and_what_was_not() {
    let page = html(&ReleasesPage::new(&sample::releases(), &sample::artifacts(), NOW));
    let (sha256, _) = sample::artifacts()[0].ready().unwrap();
    assert!(page.contains(&format!("title=\"SHA-256 {sha256}\"")), "{page}");
    let text = text(&page);
    for expect in [
        "2 artifacts made of them: 40.1 MB.",
        // The pack first, then from the newest base on.
        "Pack 40.0 MB, 53% of the archive made 2 h ago in 1 min 5 s \
         Delta from 1.27.2 145 kB, &#60;1% of the archive made 1 h ago in 9 s \
         Delta from 1.27.1 not kept: with 30.0 MB it saves too little tried 1 h ago in 8 s",
        "Pack could not be made: the disk is full tried 1 min ago in 1 s",
        "none yet",
    ] {
        assert!(text.contains(expect), "{expect}: {text}");
    }
}

/// A list and a page of collections in which everything that people write is this.
fn collections(text: &str) -> (Vec<CollectionSummary>, CollectionDetail) {
    let name: CollectionName = "pilots".parse().unwrap();
    let member = Member { hostname: text.to_owned(), device: "d1".parse().unwrap() };
    let (note, by) = (text.to_owned(), text.to_owned());
    let names = vec![text.to_owned()];
    let members = Members::Imported { names: names.clone(), source: text.to_owned() };
    let summary = CollectionSummary {
        collection: name.clone(),
        kind: "imported".to_owned(),
        devices: 1,
        unknown: 1,
        members: members.to_string(),
        note: note.clone(),
        by: by.clone(),
        changed_at: NOW,
    };
    let detail = CollectionDetail {
        collection: Collection { name, members, note, by, changed_at: NOW },
        roster: Roster { devices: vec![member], unknown: names.clone() },
        used_by: names,
    };
    (vec![summary], detail)
}

#[test]
fn a_collection_says_who_belongs_to_it_and_what_uses_it() {
    let (collections, detail) = collections("web01");
    let page = html(&CollectionsPage::new(&collections, Filled::default(), NOW));
    assert!(text(&page).contains("1 collection."), "{page}");
    let page = text(&html(&CollectionPage::new(&detail, "this 1 device, at any time", NOW)));
    for expect in [
        "this 1 device, at any time",
        "1 imported from web01.",
        "Used by web01.",
        "No device has these names yet; one that enrols under one belongs to the collection: web01.",
    ] {
        assert!(page.contains(expect), "{expect}: {page}");
    }
}

/// Markup in text of others stays text on every page.
#[test]
fn markup_in_names_and_reasons_is_inert() {
    let mut rollout = sample::rollout();
    rollout.summary.name = PAYLOAD.to_owned();
    rollout.spec.name = PAYLOAD.to_owned();
    rollout.spec.devices = PAYLOAD.to_owned();
    for ring in &mut rollout.rings_detail {
        ring.name = PAYLOAD.to_owned();
        for reason in &mut ring.reasons {
            reason.text = PAYLOAD.to_owned();
        }
        for device in &mut ring.devices {
            device.hostname = PAYLOAD.to_owned();
        }
    }
    rollout.left_out[0].hostname = PAYLOAD.to_owned();
    let mut devices = sample::devices(3);
    for device in &mut devices {
        device.facts.hostname = PAYLOAD.to_owned();
        device.facts.active = Some(PAYLOAD.to_owned());
        device.facts.labels.insert(PAYLOAD.to_owned(), PAYLOAD.to_owned());
    }
    let mut device = sample::device();
    device.device = devices[0].clone();
    device.device.facts.found[0].path = PAYLOAD.to_owned();
    device.history[0].wanted = PAYLOAD.to_owned();
    device.hooks[0].failure = Some(PAYLOAD.to_owned());
    device.health.as_mut().unwrap().class = Class::from(PAYLOAD.to_owned());
    let mut releases = sample::releases();
    releases[0].origin = PAYLOAD.to_owned();
    releases[0].decision.as_mut().unwrap().reason = PAYLOAD.to_owned();
    let mut artifacts = sample::artifacts();
    artifacts[3].state = ArtifactState::Failed { reason: PAYLOAD.to_owned() };
    let mut overview = sample::overview();
    overview.moving[0].name = PAYLOAD.to_owned();
    overview.versions[0].version = Some(PAYLOAD.to_owned());
    let (collections, collection) = collections(PAYLOAD);
    let pages = [
        html(&CollectionsPage::new(&collections, Filled::default(), NOW)),
        html(&CollectionPage::new(&collection, PAYLOAD, NOW)),
        html(&RolloutPage::new(&rollout, lines(), NOW)),
        html(&DevicesPage::new(ADDRESS, &devices, Query::default(), NOW)),
        html(&DevicePage::new(&device, NOW)),
        html(&ReleasesPage::new(&releases, &artifacts, NOW)),
        html(&OverviewPage::new(PAYLOAD, &overview, &releases, lines(), NOW)),
        html(&RolloutsPage::new(&overview.moving, PAYLOAD.to_owned(), NOW)),
    ];
    for page in pages {
        assert!(!page.contains("<script>alert"), "{page}");
        assert!(!page.contains("<img src=x"), "{page}");
        assert!(page.contains("&#60;script&#62;alert(1)"), "the payload is shown as text");
        assert_eq!(page.matches("<script").count(), 1, "the console's own");
    }
}

/// A rollout with its decisions and what was forecast of it.
fn with_course(now: Timestamp) -> String {
    let status = sample::rollout();
    let decisions = sample::decisions();
    let course = Course::new(&status, &decisions, Some(&sample::forecast()), now);
    html(&RolloutPage::new(&status, lines(), now).with_course(course))
}

#[test]
fn a_rollout_shows_its_course_against_the_forecast_and_the_policy() {
    let page = with_course(NOW);
    let text = text(&page);
    for expect in [
        "1 of 8 have accepted after 3 min 7 s. The forecast made at the start expects 2 by then.",
        "1 of 2 answers are failures: at most",
        "The gates count failures, and ask for no rate.",
        "Look back through 3 decisions",
        "1 min 10 s after the start: ring test passed its gate",
        "test passed, 0 of 1 accepted pilot waiting, 0 of 3 accepted",
        "After Forecast Accepted",
    ] {
        assert!(text.contains(expect), "{expect}: {text}");
    }
    for part in ["class=\"c-band\"", "class=\"c-real\"", "class=\"c-marks\"", "data-cursor"] {
        assert!(page.contains(part), "{part}");
    }
    let paths = page.split(" d=\"").skip(1).filter_map(|rest| rest.split('"').next());
    for path in paths {
        assert!(!path.contains(['N', 'i', 'e']), "a place in every picture: {path}");
    }
}

#[test]
fn the_bound_is_drawn_against_the_rate_that_is_allowed() {
    let mut status = sample::large_rollout(400);
    status.spec.gate.max_failure_rate = "5%".parse().ok();
    let course = Course::new(&status, &[], None, NOW);
    let text = text(&html(&RolloutPage::new(&status, vec![], NOW).with_course(course)));
    assert!(text.contains("allowed: less than 5%"), "{text}");
    assert!(text.contains("Less than 5% must be shown, 95% sure: not yet."), "{text}");
    assert!(text.contains("No forecast was kept"), "{text}");
}

#[test]
fn a_plan_and_its_forecast_are_told_in_numbers_and_pictures() {
    let forecast = sample::forecast();
    let view = ForecastView::new(&sample::plan(), Some(&forecast));
    assert_eq!(view.finish, Some(["10 min".to_owned(), "15 min".to_owned()]));
    assert_eq!(view.through, "150 of 200 runs");
    assert_eq!(
        view.stops,
        ["50 of 200 runs stop at ring “late”, 5 min after the start in the median: 1 failed, at \
          most 0 may."]
    );
    assert_eq!(view.rings[0].passes, "100%");
    assert_eq!(view.charts.iter().map(|it| it.id).collect::<Vec<_>>(), ["arrival", "traffic"]);
    assert_eq!((view.sites[0].name.as_str(), view.sites[1].name.as_str()), ("berlin", "no site"));
    let without = ForecastView::new(&sample::plan(), None);
    assert!(without.charts.is_empty() && without.finish.is_none() && without.basis.is_empty());
}
