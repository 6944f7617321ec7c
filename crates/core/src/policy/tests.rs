//! What is written is read back, by ourselves and by Samba; harmed files are refused; every name
//! in the templates leads somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use proptest::collection::vec;
use proptest::prelude::*;
use roxmltree::{Document, Node};

use super::*;

fn nothing(_: &str) -> Option<String> {
    None
}

/// One value for each setting.
fn all() -> BTreeMap<&'static str, Value> {
    let texts = [
        ("server", "https://gofleet.example.org"),
        ("root", r"%ProgramData%\gofleet"),
        ("labels", "site=köln,tier=1"),
        ("hostname", "größe & <co>"),
        ("edges", "https://10.1.2.3:8471,https://10.1.2.4:8471"),
        ("limit", "20 MB/s, 2 MB/s from 9 to 18"),
        ("signals", r"D:\ci\signals.prom,D:\more.prom"),
        ("signals_every", "30s"),
        ("signals_command", r"C:\ci\signals.exe,--format,prometheus"),
        ("signals_command_every", "2m"),
        ("signals_command_timeout", "20s"),
        ("check_cache", r"D:\cache"),
        ("notify_command", r"C:\Tools\tell.exe"),
    ];
    assert_eq!(texts.len(), SETTINGS.len());
    let parsed = texts.map(|(name, text)| {
        let setting = Setting::of_name(name).unwrap();
        (setting.name, setting.parse(text).unwrap())
    });
    parsed.into_iter().collect()
}

fn record(key: &str, name: &str, kind: u32, data: &[u8]) -> Record {
    Record { key: key.to_owned(), name: name.to_owned(), kind, data: data.to_vec() }
}

#[test]
fn what_a_policy_sets_is_what_an_agent_reads() {
    let values = all();
    let file = encode(&records(&values)).unwrap();
    let (read, problems) = read(&applied(&decode(&file).unwrap()), &nothing);
    assert_eq!(problems, []);
    assert_eq!(read.into_iter().collect::<BTreeMap<_, _>>(), values);
}

#[track_caller]
fn check_problem(record: Record, expect: (&str, &str)) {
    let (values, problems) = read(&[record], &nothing);
    assert_eq!(values, []);
    let [problem] = problems.as_slice() else { panic!("{problems:?}") };
    assert_eq!(problem.value, expect.0);
    assert!(problem.reason.contains(expect.1), "{problem}");
}

#[test]
fn what_does_not_fit_is_told() {
    let number = 7u32.to_le_bytes();
    let text = pol::wide;
    check_problem(record("", "server", REG_DWORD, &number), ("server", "type is REG_DWORD"));
    check_problem(record("", "Server", 99, &number), ("Server", "type is 99"));
    check_problem(record("", "Server", REG_SZ, &text("gofleet")), ("Server", "begin with http"));
    check_problem(record("", "Server", REG_SZ, &text("")), ("Server", "begin with http"));
    check_problem(record("", "Server", REG_SZ, &[0, 0xd8]), ("Server", "no text in UTF-16"));
    check_problem(record("", "Server", REG_SZ, b"odd"), ("Server", "no text in UTF-16"));
    check_problem(record("", "Server", REG_SZ, b"a\0\0\0b\0"), ("Server", "a zero"));
    check_problem(record("", "Limit", REG_SZ, &text("1 B/s")), ("Limit", "column"));
    let long = text(&"x".repeat(254));
    check_problem(record("", "Hostname", REG_SZ, &long), ("Hostname", "254 characters"));
    check_problem(record("", "Edges", REG_SZ, &text("https://e")), ("Edges", "REG_MULTI_SZ"));
    check_problem(record("", "Labels", REG_SZ, &text("a=b")), ("Labels", "no such setting"));
    check_problem(record("Labels", "site", REG_DWORD, &number), (r"Labels\site", "REG_DWORD"));
    check_problem(record("", "Servr", REG_SZ, &text("x")), ("Servr", "did you mean Server?"));
    check_problem(record("Server", "x", REG_SZ, &text("x")), (r"Server\x", "no such setting"));
}

#[test]
fn variables_are_replaced_where_the_type_says_so() {
    let variable = |name: &str| (name == "Data").then(|| r"D:\data".to_owned());
    for (kind, expect) in [(REG_EXPAND_SZ, r"D:\data\x%y%"), (REG_SZ, r"%Data%\x%y%")] {
        let (values, _) = read(&[record("", "ROOT", kind, &pol::wide(r"%Data%\x%y%"))], &variable);
        assert_eq!(values, [("root", Value::Text(expect.to_owned()))]);
    }
}

#[test]
fn others_policies_and_instructions_are_not_ours() {
    let others = [
        record(r"Software\Policies\GoFleetOther", "Server", REG_SZ, &[]),
        record(r"Software\Policies", "Server", REG_SZ, &[]),
        record(r"software\policies\gofleet", "**del.Server", REG_SZ, &[]),
        record(r"software\policies\gofleet\labels", "a", REG_SZ, &[]),
    ];
    assert_eq!(applied(&others), [record("labels", "a", REG_SZ, &[])]);
}

fn any_record() -> impl Strategy<Value = Record> {
    let name = "[^\0]{0,12}";
    (name, name, any::<u32>(), vec(any::<u8>(), 0..40)).prop_map(|(key, name, kind, data)| Record {
        key,
        name,
        kind,
        data,
    })
}

proptest! {
    #[test]
    fn every_record_comes_back(records in vec(any_record(), 0..6)) {
        let file = encode(&records).unwrap();
        prop_assert_eq!(decode(&file).unwrap(), records);
    }

    #[test]
    fn a_file_that_is_cut_off_is_refused(records in vec(any_record(), 1..4)) {
        let file = encode(&records).unwrap();
        let whole: BTreeSet<usize> =
            (0..=records.len()).map(|count| encode(&records[..count]).unwrap().len()).collect();
        for end in 0..file.len() {
            prop_assert_eq!(decode(&file[..end]).is_ok(), whole.contains(&end), "{}", end);
        }
    }

    #[test]
    fn a_flipped_bit_or_foreign_bytes_are_read_or_refused(
        records in vec(any_record(), 1..4),
        bytes in vec(any::<u8>(), 0..80),
    ) {
        let mut file = encode(&records).unwrap();
        for bit in 0..file.len() * 8 {
            file[bit / 8] ^= 1 << (bit % 8);
            if let Ok(records) = decode(&file) {
                let _ = read(&records, &nothing);
                prop_assert_eq!(&encode(&records).unwrap(), &file);
            }
            file[bit / 8] ^= 1 << (bit % 8);
        }
        let _ = decode(&bytes);
        let _ = decode(&[b"PReg\x01\0\0\0".as_slice(), &bytes].concat());
    }
}

#[test]
fn a_name_with_a_zero_is_refused() {
    let with_zero = record("a", "b\0c", REG_SZ, &[]);
    assert_eq!(encode(&[with_zero]), Err(PolError::Zero { path: "a\\b\0c".to_owned() }));
}

/// Prints each record as Samba reads it, then writes the file anew.
const SAMBA: &str = r#"
import sys
from samba.dcerpc import preg
from samba.ndr import ndr_pack, ndr_unpack
from samba.gp_parse.gp_pol import GPPolParser
data = open(sys.argv[1], "rb").read()
pol = ndr_unpack(preg.file, data)
assert pol.header.signature == "PReg" and pol.header.version == 1
assert ndr_pack(pol) == data, "Samba writes other bytes"
parser = GPPolParser()
parser.parse(data)
parser.write_xml(sys.argv[1] + ".xml")
again = GPPolParser()
again.load_xml(__import__("xml.etree.ElementTree").etree.ElementTree.parse(sys.argv[1] + ".xml").getroot())
again.write_binary(sys.argv[1] + ".again")
assert open(sys.argv[1] + ".again", "rb").read() == data, "Samba's XML has lost something"
for e in pol.entries:
    value = e.data
    if e.type == 7:
        value = bytes(e.data).decode("utf-16-le")
    print(repr((e.keyname, e.valuename, e.type, value)))
"#;

/// Samba's own reader finds what was meant, and writes the same bytes.
#[test]
#[ignore = "needs Samba: apt-get install python3-samba"]
fn samba_reads_what_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("registry.pol");
    std::fs::write(&file, encode(&records(&all())).unwrap()).unwrap();
    // Debian's packages are seen by Debian's Python only.
    let ran = Command::new("/usr/bin/python3").args(["-c", SAMBA]).arg(&file).output().unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    let key = r"Software\\Policies\\GoFleet";
    let expect = [
        format!("('{key}', 'Server', 1, 'https://gofleet.example.org')"),
        format!(r"('{key}', 'Root', 2, '%ProgramData%\\gofleet')"),
        format!(r"('{key}\\Labels', '**delvals.', 1, ' ')"),
        format!(r"('{key}\\Labels', 'site', 1, 'köln')"),
        format!(r"('{key}\\Labels', 'tier', 1, '1')"),
        format!("('{key}', 'Hostname', 1, 'größe & <co>')"),
        format!(r"('{key}', 'Edges', 7, 'https://10.1.2.3:8471\x00https://10.1.2.4:8471\x00\x00')"),
        format!("('{key}', 'Limit', 1, '20 MB/s, 2 MB/s from 9 to 18')"),
        format!(r"('{key}', 'Signals', 7, 'D:\\ci\\signals.prom\x00D:\\more.prom\x00\x00')"),
        format!("('{key}', 'SignalsEvery', 1, '30s')"),
        format!(
            r"('{key}', 'SignalsCommand', 7, 'C:\\ci\\signals.exe\x00--format\x00prometheus\x00\x00')"
        ),
        format!("('{key}', 'SignalsCommandEvery', 1, '2m')"),
        format!("('{key}', 'SignalsCommandTimeout', 1, '20s')"),
        format!(r"('{key}', 'CheckCache', 2, 'D:\\cache')"),
        format!(r"('{key}', 'NotifyCommand', 1, 'C:\\Tools\\tell.exe')"),
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expect);
}

fn named<'a>(document: &'a Document<'a>, tag: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(move |node| node.tag_name().name() == tag)
}

/// The values of an attribute of all elements with a tag; none is there twice.
#[track_caller]
fn ids<'a>(document: &'a Document<'a>, tag: &'static str, attribute: &str) -> BTreeSet<&'a str> {
    let mut ids = BTreeSet::new();
    for node in named(document, tag) {
        let id = node.attribute(attribute).unwrap();
        assert!(ids.insert(id), "{tag} {id} is there twice");
    }
    ids
}

#[test]
fn every_name_in_the_templates_leads_somewhere() {
    let text = admx();
    let admx = Document::parse(&text).unwrap();
    let wanted = |table: &str| -> BTreeSet<String> {
        let values = admx.descendants().flat_map(|node| node.attributes());
        let prefix = format!("$({table}.");
        let inside = |value: &str| Some(value.strip_prefix(&prefix)?.strip_suffix(')')?.to_owned());
        values.filter_map(|attribute| inside(attribute.value())).collect()
    };
    let policies = ids(&admx, "policy", "name");
    assert_eq!(policies, SETTINGS.iter().map(|setting| setting.policy).collect());
    let elements: BTreeSet<_> = named(&admx, "elements")
        .map(|elements| elements.first_element_child().unwrap().attribute("id").unwrap())
        .collect();
    assert_eq!(elements, policies);
    let categories = ids(&admx, "category", "name");
    for parent in named(&admx, "parentCategory") {
        assert!(categories.contains(parent.attribute("ref").unwrap()));
    }
    let supported = ids(&admx, "definition", "name");
    for reference in named(&admx, "policy").flat_map(|policy| policy.children()) {
        if reference.tag_name().name() == "supportedOn" {
            assert!(supported.contains(reference.attribute("ref").unwrap()));
        }
    }
    for language in Language::ALL {
        let text = adml(language);
        let adml = Document::parse(&text).unwrap();
        let strings = ids(&adml, "string", "id");
        assert_eq!(
            strings.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>(),
            wanted("string")
        );
        let presentations = ids(&adml, "presentation", "id");
        assert_eq!(
            presentations.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>(),
            wanted("presentation")
        );
        for presentation in named(&adml, "presentation") {
            let control = presentation.first_element_child().unwrap();
            assert_eq!(control.attribute("refId"), presentation.attribute("id"));
        }
        assert!(named(&adml, "string").all(|node| !node.text().unwrap_or_default().is_empty()));
    }
}

#[test]
fn every_setting_has_the_element_that_writes_its_type() {
    let text = admx();
    let admx = Document::parse(&text).unwrap();
    for setting in &SETTINGS {
        let tag = match setting.kind {
            Kind::Labels => "list",
            Kind::Urls | Kind::Files | Kind::Command => "multiText",
            Kind::Url
            | Kind::Folder
            | Kind::Program
            | Kind::Hostname
            | Kind::Limit
            | Kind::Period => "text",
        };
        let element =
            named(&admx, tag).find(|it| it.attribute("id") == Some(setting.policy)).unwrap();
        let is_expanded = element.attribute("expandable") == Some("true");
        assert_eq!(is_expanded, setting.kind == Kind::Folder, "{}", setting.name);
    }
}

#[test]
fn a_backup_names_what_it_holds_and_is_the_same_each_time() {
    let name = "gofleet <agent> & co";
    let made = backup(name, &all()).unwrap();
    assert_eq!(made, backup(name, &all()).unwrap());
    let other = backup(name, &BTreeMap::new()).unwrap();
    assert_ne!(made.id, other.id, "another content is another backup");
    let file = |name: &str| {
        let (_, content) = made.files.iter().find(|(it, _)| it == name).unwrap();
        String::from_utf8(content.clone()).unwrap()
    };
    for path in ["manifest.xml".to_owned(), format!("{}/bkupInfo.xml", made.id)] {
        let text = file(&path);
        let document = Document::parse(&text).unwrap();
        let text = |tag| named(&document, tag).next().unwrap().text().unwrap().to_owned();
        assert_eq!((text("ID"), text("GPODisplayName")), (made.id.clone(), name.to_owned()));
        assert_ne!(text("GPOGuid"), made.id);
    }
    let text = file(&format!("{}/Backup.xml", made.id));
    let document = Document::parse(&text).unwrap();
    let object = named(&document, "FSObjectFile").next().unwrap();
    let location = object.attribute((backup_namespace(), "Location")).unwrap();
    let path = format!("{}/{}", made.id, location.replace('\\', "/"));
    let (_, pol) = made.files.iter().find(|(it, _)| *it == path).unwrap();
    assert_eq!(decode(pol).unwrap(), records(&all()));
}

fn backup_namespace() -> &'static str {
    "http://www.microsoft.com/GroupPolicy/GPOOperations"
}
