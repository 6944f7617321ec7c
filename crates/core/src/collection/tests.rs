//! Who belongs to a collection, and what is read from other systems' exports.

use super::*;

fn facts(hostname: &str, site: &str) -> Facts {
    Facts {
        hostname: hostname.to_owned(),
        platform: "linux-amd64".parse().unwrap(),
        os_version: String::new(),
        processors: 2,
        free_bytes: 0,
        agent_version: "0.1.0".to_owned(),
        active: None,
        packages: Default::default(),
        found: Vec::new(),
        zone: None,
        labels: [("site".to_owned(), site.to_owned())].into(),
        collections: BTreeSet::new(),
    }
}

fn fleet() -> Vec<(DeviceId, Facts)> {
    let device = |(id, host, site): (&str, &str, &str)| (id.parse().unwrap(), facts(host, site));
    let all = [
        ("d1", "Web01", "berlin"),
        ("d2", "web02.corp.example", "berlin"),
        ("d3", "pc-7", "oslo"),
        ("d4", "pc-8", "oslo"),
    ];
    all.into_iter().map(device).collect()
}

fn listed(names: &[&str]) -> Members {
    Members::Static { names: names.iter().map(|name| (*name).to_owned()).collect() }
}

fn collection(name: &str, members: Members) -> Collection {
    Collection {
        name: name.parse().unwrap(),
        members: members.checked().unwrap(),
        note: String::new(),
        by: "ann".to_owned(),
        changed_at: Timestamp::from_millis(0),
    }
}

#[track_caller]
fn check(members: Members, expect: &[&str], unknown: &[&str]) {
    let fleet = fleet();
    let members = members.checked().unwrap();
    let roster = Roster::of(&members, fleet.iter().map(|(id, facts)| (id, facts)));
    let ids: BTreeSet<_> = roster.devices.iter().map(|it| it.device.as_str()).collect();
    assert_eq!(ids, expect.iter().copied().collect(), "{members}");
    assert_eq!(roster.unknown, unknown);
    // The other way round it is the same.
    let ready = Collections::new(&[collection("c", members)]);
    for (id, mut facts) in fleet {
        ready.fill(&id, &mut facts);
        assert_eq!(facts.collections.len() == 1, ids.contains(id.as_str()), "{id}");
    }
}

#[test]
fn lists_name_devices_by_id_or_host_name() {
    check(listed(&["d3", "WEB01"]), &["d1", "d3"], &[]);
    check(listed(&["web01.corp.example", "pc-8$"]), &["d1", "d4"], &[]);
    check(
        listed(&["web02", "web02.other.example", "pc-9"]),
        &["d2"],
        &["pc-9", "web02.other.example"],
    );
    check(listed(&["web01", "Web01", "web01."]), &["d1"], &[]);
    check(listed(&[]), &[], &[]);
}

#[test]
fn a_selector_picks_whoever_it_picks() {
    let by = |devices: &str| Members::Selector { devices: devices.to_owned() };
    check(by("label.site = oslo"), &["d3", "d4"], &[]);
    check(by(""), &["d1", "d2", "d3", "d4"], &[]);
}

#[test]
fn what_a_device_says_of_its_collections_does_not_count() {
    let mut claims = facts("stranger", "oslo");
    claims.collections = ["pilots".parse().unwrap(), "c".parse().unwrap()].into();
    let id: DeviceId = "d9".parse().unwrap();
    for ready in [Collections::default(), Collections::new(&[collection("c", listed(&["web01"]))])]
    {
        let mut facts = claims.clone();
        ready.fill(&id, &mut facts);
        assert_eq!(facts.collections, BTreeSet::new());
    }
}

#[test]
fn selectors_ask_for_collections_and_errors_point_at_unknown_ones() {
    let known: Vec<CollectionName> = vec!["pilots".parse().unwrap(), "berlin".parse().unwrap()];
    let mut member = facts("web01", "berlin");
    member.collections = ["pilots".parse().unwrap()].into();
    for (selector, expect) in [
        ("collection = pilots", true),
        ("collection = \"PILOTS\"", true),
        ("collection in (berlin, pilots)", true),
        ("collection not in (berlin)", true),
        ("collection != pilots", false),
        ("collection like \"pil*\"", true),
        ("os = linux and not collection = berlin", true),
    ] {
        let parsed = Selector::parse_among(selector, &known).unwrap();
        assert_eq!(parsed.matches(&"d1".parse().unwrap(), &member), expect, "{selector}");
        assert_eq!(Selector::parse(&parsed.to_string()).unwrap(), parsed, "{selector}");
        assert!(parsed.asks_for_collections(), "{selector}");
    }
    let error = Selector::parse_among("os = linux and collection in (berlin, pilot)", &known);
    let error = error.unwrap_err();
    assert_eq!(error.column, 39);
    assert_eq!(error.message, "there is no collection `pilot`; did you mean `pilots`?");
    let error = Selector::parse_among("collection = x", &[]).unwrap_err().to_string();
    assert!(error.contains("`gofleet collection set` makes one"), "{error}");
    assert!(Selector::parse_among("collection like \"no*\"", &known).is_ok(), "a pattern");
}

#[test]
fn a_selector_tells_which_collections_it_asks_for() {
    let pilots: CollectionName = "pilots".parse().unwrap();
    for (selector, expect) in [
        ("not (os = linux or collection = Pilots)", true),
        ("collection in (a, pilots)", true),
        ("collection like \"pi*\"", true),
        ("collection = others", false),
        ("label.collection = pilots", false),
        ("", false),
    ] {
        assert_eq!(Selector::parse(selector).unwrap().asks_for(&pilots), expect, "{selector}");
    }
}

#[test]
fn no_collection_is_made_of_others() {
    let members = Members::Selector { devices: "os = linux and collection = a".to_owned() };
    let error = members.checked().unwrap_err().to_string();
    assert!(error.contains("column 16: a collection is not made of other collections"), "{error}");
}

#[test]
fn names_that_no_device_can_have_are_refused() {
    for name in ["", "two words", "line\nbreak", &"a".repeat(254)] {
        assert!(matches!(listed(&[name]).checked(), Err(InvalidMembers::Name { .. })), "{name:?}");
    }
}

#[test]
fn a_change_tells_who_comes_and_goes() {
    let fleet = fleet();
    let roster = |members: Members| Roster::of(&members, fleet.iter().map(|(id, it)| (id, it)));
    let change = roster(listed(&["d1", "d2"])).changed_to(roster(listed(&["d2", "d3", "x"])));
    let ids = |all: &[Member]| all.iter().map(|it| it.device.to_string()).collect::<Vec<_>>();
    assert_eq!((ids(&change.come), ids(&change.go)), (vec!["d3".into()], vec!["d1".into()]));
    assert_eq!((change.stay, change.unknown), (1, vec!["x".to_owned()]));
}

#[track_caller]
fn check_import(text: &str, format: Format, expect: &[&str]) {
    assert_eq!(read_names(text, format, None, None).unwrap(), expect, "{text}");
}

#[test]
fn an_inventory_may_have_its_groups_as_deep_in_each_other_as_it_likes() {
    let mut groups: serde_json::Map<String, serde_json::Value> = (0..100_000)
        .map(|group| {
            (format!("g{group}"), serde_json::json!({ "children": [format!("g{}", group + 1)] }))
        })
        .collect();
    groups
        .insert("g100000".to_owned(), serde_json::json!({ "hosts": ["pc-1"], "children": ["g0"] }));
    let inventory = serde_json::Value::from(groups).to_string();
    let names = read_names(&inventory, Format::Json, None, Some("g0"));
    assert_eq!(names, Ok(vec!["pc-1".to_owned()]));
}

#[test]
fn exports_of_other_systems_are_read() {
    use Format::{Csv, Json, Lines};
    check_import("# pilots\nweb01\n\n web02 # old\n", Lines, &["web01", "web02"]);
    check_import("  hosts (2):\n    web01\n    web02\n", Lines, &["web01", "web02"]);
    check_import(
        "Name,DNSHostName\r\nA,a.example\r\nB,b.example\r\n",
        Csv,
        &["a.example", "b.example"],
    );
    let powershell = "#TYPE Microsoft.ADComputer\n\"Enabled\",\"Name\"\n\"True\",\"PC-1\"\n";
    check_import(powershell, Csv, &["PC-1"]);
    check_import(
        "Device Name;Remark\npc-1;\"a; \"\"b\"\"\nc\"\n;\npc-2;\n",
        Csv,
        &["pc-1", "pc-2"],
    );
    check_import(r#"["a", "b"]"#, Json, &["a", "b"]);
    check_import(r#"[{"id": 1, "ComputerName": "a"}]"#, Json, &["a"]);
    let inventory = r#"{"_meta": {"hostvars": {}}, "all": {"children": ["web", "db"]},
        "web": {"hosts": ["w1", "w2"]}, "db": {"hosts": ["d1"], "children": ["all"]}}"#;
    let of = |group| read_names(inventory, Json, None, Some(group)).unwrap();
    assert_eq!(of("web"), ["w1", "w2"]);
    assert_eq!(of("all"), ["d1", "w1", "w2"], "round in circles, and each once");
    let utf16: Vec<u8> =
        [0xFF, 0xFE].into_iter().chain("pc-ä".encode_utf16().flat_map(u16::to_le_bytes)).collect();
    assert_eq!(text_of(&utf16).unwrap(), "pc-ä");
    assert_eq!(text_of(b"\xEF\xBB\xBFa").unwrap(), "a");
}

#[track_caller]
fn check_refused(text: &str, format: Format, column: Option<&str>, says: &str) {
    let error = read_names(text, format, column, None).unwrap_err().to_string();
    assert!(error.contains(says), "{error}");
}

#[test]
fn an_export_that_means_nothing_is_refused_in_words() {
    use Format::{Csv, Json, Lines};
    check_refused("", Lines, None, "holds no names");
    check_refused("name\na,b\n", Lines, None, "line 2: `a,b` is no host name");
    check_refused("a,b\n1,2\n", Csv, None, "it has `a`, `b`: name one with `--column`");
    check_refused("name,x\n1,2\n", Csv, Some("y"), "it has `name`, `x`");
    check_refused("name\n\"a\n", Csv, None, "opens on line 2 is not closed");
    check_refused("{", Json, None, "it is no JSON");
    check_refused("3", Json, None, "neither a list of names");
    check_refused(r#"{"a": {"hosts": []}, "b": {"hosts": []}}"#, Json, None, "groups `a`, `b`");
    assert_eq!(text_of(b"\xFF\xFEa"), Err(ImportError::NotText));
    assert_eq!(text_of(b"\xFFa"), Err(ImportError::NotText));
}
