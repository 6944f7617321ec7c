//! Files that others write: inventories, policies, settings, journals, notes, what projects pin.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gofleet_core::collection::{Format, read_names, text_of};
use gofleet_core::environment::{Change, Entry, Journal, Place, Scope, Stored};
use gofleet_core::offer::{Note, Word};
use gofleet_core::policy::{self, Record};
use gofleet_core::resolve::{self, Known, Modules, ReadError, Surroundings};
use gofleet_core::settings::{SETTINGS, Setting, Settings, Sources, Value};
use gofleet_core::time::{Span, Timestamp};

use crate::harness::harmed;
use crate::{SECONDS, bytes, text};

fn utf16(text: &str) -> Vec<u8> {
    std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_inventories_give_names_that_stand_in_them() {
    let csv = "\"Name\";\"DNSHostName\"\r\n\"pc-1\";\"pc-1.example.org\"\r\n\"pc \"\"2\"\"\";x\r\n";
    let ansible = r#"{"_meta": {"hostvars": {"a": {"x": 1}}}, "all": {"children": ["ungrouped",
        "web"]}, "web": {"hosts": ["a", "b.example.org"], "children": ["db"]}, "db": {"hosts": ["c"]}}"#;
    let mut seeds = bytes([
        "# the pilots\npc-1\npc-2.example.org # Ann's\n\n",
        csv,
        "#TYPE Selected\r\nComputerName,OS\r\npc-1,Windows 11\r\n",
        r#"["pc-1", "pc-2"]"#,
        r#"[{"hostname": "pc-1", "os": "Windows"}, {"hostname": "pc-2"}]"#,
        ansible,
    ]);
    seeds.push(utf16(csv));
    harmed("inventories", SECONDS, &seeds, |bytes| {
        let Ok(text) = text_of(bytes) else { return false };
        let mut is_read = false;
        for format in [Format::Lines, Format::Csv, Format::Json] {
            for (column, group) in [(None, None), (Some("name"), Some("web"))] {
                let Ok(names) = read_names(&text, format, column, group) else { continue };
                is_read = true;
                assert!(!names.is_empty());
                if format == Format::Lines {
                    let again = read_names(&names.join("\n"), format, None, None);
                    assert_eq!(again.as_ref(), Ok(&names), "{text:?}");
                }
                // Nothing is made up: each is what stands there, but for quotes and escapes. Quotes
                // are left out wherever they stand, as in `"pc"-1`.
                if format != Format::Json {
                    let bare = text.replace('"', "");
                    let stands = |name: &String| {
                        bare.contains(&name.replace('"', "")) || text.contains('\r')
                    };
                    assert!(names.iter().all(stands), "{names:?} of {text:?}");
                }
            }
        }
        is_read
    });
}

fn policy() -> Vec<Record> {
    let text = |text: &str| Value::Text(text.to_owned());
    let values: BTreeMap<&'static str, Value> = SETTINGS
        .iter()
        .filter_map(|setting| {
            let value = match setting.name {
                "server" => text("https://gofleet.example.org:7080"),
                "limit" => text("20 MB/s, 2 MB/s from 9 to 18"),
                "labels" => Value::Table([("site".to_owned(), "berlin".to_owned())].into()),
                "edges" => Value::List(vec!["https://edge.example.org".to_owned()]),
                _ => return None,
            };
            Some((setting.name, value))
        })
        .collect();
    policy::records(&values)
}

#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_policies_come_back_and_set_only_what_fits() {
    let nothing = |_: &str| None;
    let seeds = [policy::encode(&policy()).unwrap(), policy::encode(&[]).unwrap()];
    harmed("policies", SECONDS, &seeds, |bytes| {
        let Ok(records) = policy::decode(bytes) else { return false };
        // One way only to write it: what is read is written as what was read.
        assert_eq!(policy::encode(&records).as_deref(), Ok(bytes));
        let records = policy::applied(&records);
        let (values, _) = policy::read(&records, &nothing);
        for (name, value) in &values {
            let setting = Setting::of_name(name).unwrap();
            assert_eq!(setting.check(value), Ok(()), "{name}: {value}");
        }
        // A policy that does not fit is no reason to stop.
        let sources = Sources {
            policy: &records,
            flags: &[],
            environment: &nothing,
            file: None,
            defaults: &[],
        };
        let settings = Settings::of(&sources).unwrap();
        assert!(settings.problems.iter().all(|problem| !problem.to_string().contains('\n')));
        true
    });
}

#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_settings_are_read_as_they_are_shown() {
    let seeds = bytes([
        "server = https://gofleet.example.org:7080\nlimit = 20 MB/s, 2 MB/s from 9 to 18",
        "labels = site=berlin,ring=pilot\nhostname = ci-042",
        "edges = https://a.example.org, https://b.example.org:8443",
    ]);
    harmed("settings", SECONDS, &seeds, |bytes| {
        let Some(text) = text(bytes) else { return false };
        let mut is_read = true;
        for line in text.lines() {
            let Some((name, value)) = line.split_once(" = ") else { return false };
            let file = [(name.to_owned(), Value::Text(value.to_owned()))];
            let nothing = |_: &str| None;
            let sources = Sources {
                policy: &[],
                flags: &[],
                environment: &nothing,
                file: Some(("gofleet.toml", &file)),
                defaults: &[],
            };
            let _ = Settings::of(&sources);
            let Some(setting) = Setting::of_name(name) else { return false };
            match setting.parse(value) {
                Ok(read) => {
                    let shown = read.to_string();
                    assert_eq!(setting.parse(&shown), Ok(read), "{line:?} is shown as {shown:?}");
                }
                Err(_) => is_read = false,
            }
        }
        is_read
    });
}

#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_journals_and_notes_come_back() {
    let path = Stored { kind: 2, bytes: utf16("%SystemRoot%;C:\\Go\\bin") };
    let variable = Place::Variable { scope: Scope::Machine, name: "Path".to_owned() };
    let change = |place, before, after| Change { place, before, after };
    let changes = vec![
        change(variable, Some(path.clone()), Some(Stored { kind: 1, ..path })),
        change(Place::File(PathBuf::from("/home/ann/.profile")), None, Some(Stored::file("x"))),
    ];
    let entry = Entry { made_at: Timestamp::from_millis(1_795_000_000_000), changes };
    let journal = Journal { entries: vec![entry.clone(), entry] };
    let postpone = Word::Postpone(Some(Span::from_secs(3600)));
    let notes = [Word::Accept, postpone].map(|word| Note { generation: 3, word });
    let mut seeds = vec![serde_json::to_vec(&journal).unwrap()];
    seeds.extend(notes.iter().map(|note| serde_json::to_vec(note).unwrap()));
    harmed("journals", SECONDS, &seeds, |bytes| {
        let name = String::from_utf8_lossy(bytes);
        if let Some(id) = Note::id_in(&name) {
            assert_eq!(Note::file_name(id), name);
            assert!(!id.contains(['/', '\\', '.', '-']));
        }
        let note = serde_json::from_slice::<Note>(bytes);
        if let Ok(note) = &note {
            let written = serde_json::to_vec(note).unwrap();
            assert_eq!(&serde_json::from_slice::<Note>(&written).unwrap(), note);
        }
        let Ok(mut journal) = serde_json::from_slice::<Journal>(bytes) else { return note.is_ok() };
        let written = serde_json::to_vec(&journal).unwrap();
        assert_eq!(serde_json::from_slice::<Journal>(&written).unwrap(), journal);
        // Undone on a machine with exactly what was put there: all of it, and nobody in the way.
        let there = |place: &Place| {
            let entry = journal.entries.last()?;
            entry.changes.iter().find(|it| it.place == *place)?.after.clone()
        };
        if let Some(undo) = journal.undo(there) {
            let entry = journal.entries.last().unwrap();
            assert!(undo.changes.len() <= entry.changes.len());
        }
        for change in journal.entries.iter().flat_map(|entry| &entry.changes) {
            if let Some(Ok(text)) = change.before.as_ref().map(Stored::text) {
                assert_eq!(text.stored().text(), Ok(text.clone()));
            }
        }
        journal.settle(|_| None);
        true
    });
}

/// A project in a folder, and nothing else.
struct Project<'a>(BTreeMap<&'static str, &'a [u8]>);

impl Surroundings for Project<'_> {
    fn variable(&self, _name: &str) -> Option<String> {
        None
    }

    fn read(&self, path: &Path, limit_bytes: usize) -> Result<Option<Vec<u8>>, ReadError> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_here = path.parent() == Some(Path::new("/work/project"));
        match self.0.get(name).filter(|_| is_here) {
            Some(bytes) if bytes.len() > limit_bytes => Err(ReadError::TooLarge(limit_bytes)),
            found => Ok(found.map(|bytes| bytes.to_vec())),
        }
    }

    fn go_environment_file(&self) -> Option<String> {
        self.0.get("env").map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    fn temporary_folder(&self) -> PathBuf {
        PathBuf::from("/tmp")
    }
}

const PROJECT: [&str; 5] = [".go-version", ".tool-versions", "go.mod", "go.work", "env"];

#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_projects_choose_only_what_is_installed() {
    let installed = ["1.26.6", "1.27.2", "1.27.3"].map(str::to_owned);
    // Which file it is, and its content.
    let mut seeds = bytes([
        "0# pinned\n1.27.2\n",
        "1nodejs 22.1\ngolang 1.26.6 # for now\n",
        "2module example.org/a\n\ngo 1.26.0\n\ntoolchain go1.27.3\n\nrequire (\n\tb v1.0.0 // x\n)\n",
        "3go 1.27.2\ntoolchain default\nuse (\n\t./a\n\t\"./b c\"\n)\nreplace a => ../a\n",
        "4GOTOOLCHAIN=go1.27.3+auto\nGOFLAGS=-mod=mod\n",
    ]);
    seeds.push([b"0".as_slice(), &utf16("1.27.3\r\n")].concat());
    harmed("projects", SECONDS, &seeds, |bytes| {
        let Some((which, content)) = bytes.split_first() else { return false };
        let Some(name) = PROJECT.get(usize::from(which.wrapping_sub(b'0'))) else { return false };
        let project = Project([(*name, content)].into());
        for modules in [Modules::Asked, Modules::Ignored] {
            let known = Known {
                folder: Path::new("/work/project"),
                installed: &installed,
                user: None,
                machine: Some("1.27.2"),
                modules,
            };
            match resolve::resolve(&known, &project).outcome {
                Ok(chosen) => {
                    assert!(installed.contains(&chosen.version), "{}", chosen.version);
                }
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
        true
    });
}
