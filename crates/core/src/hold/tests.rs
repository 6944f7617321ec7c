//! When a hold holds, and whom.

use std::collections::BTreeMap;

use super::*;

fn hold(id: &str, devices: &str, from: i64, until: Option<i64>) -> Hold {
    Hold {
        id: id.parse().unwrap(),
        devices: devices.to_owned(),
        reason: "audit".to_owned(),
        by: "ann".to_owned(),
        from: Timestamp::from_millis(from),
        until: until.map(Timestamp::from_millis),
    }
}

fn facts(site: &str) -> Facts {
    Facts {
        hostname: "host".to_owned(),
        platform: "linux-amd64".parse().unwrap(),
        os_version: String::new(),
        processors: 2,
        free_bytes: 0,
        agent_version: String::new(),
        active: None,
        packages: Default::default(),
        found: Vec::new(),
        zone: None,
        labels: BTreeMap::from([("site".to_owned(), site.to_owned())]),
        collections: Default::default(),
    }
}

#[test]
fn a_hold_holds_from_its_begin_until_just_before_its_end() {
    let hold = hold("h1", "", 10, Some(20));
    let holds = |at| hold.holds_at(Timestamp::from_millis(at));
    assert_eq!([9, 10, 19, 20].map(holds), [false, true, true, false]);
}

#[test]
fn of_several_holds_on_a_device_the_one_that_ends_last_is_told() {
    let all = [
        hold("h1", "label.site = berlin", 0, Some(50)),
        hold("h2", "", 0, Some(90)),
        hold("h3", "label.site = oslo", 0, None),
        hold("h4", "", 95, None),
    ];
    let holds = Holds::at(all, Timestamp::from_millis(40));
    let device = "d1".parse().unwrap();
    let on = |site| holds.on(&device, &facts(site)).map(|hold| hold.id.to_string());
    assert_eq!(on("berlin").as_deref(), Some("h2"));
    assert_eq!(on("oslo").as_deref(), Some("h3"));
    assert!(Holds::at([hold("h1", "", 0, Some(5))], Timestamp::from_millis(6)).is_empty());
}

#[test]
fn a_hold_that_cannot_be_read_holds_everybody() {
    let holds = Holds::at([hold("h1", "nonsense (", 0, None)], Timestamp::from_millis(1));
    assert!(holds.on(&"d1".parse().unwrap(), &facts("oslo")).is_some());
}

#[test]
fn a_hold_tells_who_why_and_until_when() {
    let text = hold("h1", "", 0, Some(86_400_000)).to_string();
    assert_eq!(text, "held by ann (h1): audit, until 1970-01-02T00:00:00Z");
}
