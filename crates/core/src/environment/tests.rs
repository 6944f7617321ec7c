//! Lists, edits and their undoing, on a machine that exists in a table only.

use std::collections::BTreeMap;

use proptest::prelude::{Strategy, prop, proptest};

use super::*;
use crate::time::Timestamp;

const BIN: &str = r"C:\gofleet\bin";

/// Folders and variables by their names in lower case; the values tell whether a `go` is there.
#[derive(Default)]
struct Table {
    folders: BTreeMap<String, bool>,
    variables: BTreeMap<String, String>,
}

impl Table {
    fn new(folders: &[(&str, bool)]) -> Self {
        let folders = folders.iter().map(|(path, go)| (path.to_lowercase(), *go)).collect();
        let variables = [
            ("systemroot", r"C:\Windows"),
            ("userprofile", r"C:\Users\Jörg"),
            ("goroot", r"C:\Go"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { folders, variables: variables.into() }
    }
}

impl Surroundings for Table {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(&name.to_lowercase()).cloned()
    }

    fn look(&self, folder: &str) -> Seen {
        let folder = folder.to_lowercase().replace('/', "\\");
        if folder.starts_with(r"\\") {
            return Seen::Unknown;
        }
        match self.folders.get(folder.trim_end_matches('\\')) {
            Some(true) => Seen::Go,
            Some(false) => Seen::Folder,
            None => Seen::Nothing,
        }
    }
}

/// Windows, Go in two places, and a tool.
fn table() -> Table {
    Table::new(&[
        (r"C:\Windows\system32", false),
        (r"C:\Go\bin", true),
        (r"C:\Program Files\Go\bin", true),
        (r"C:\tools", false),
        (BIN, true),
    ])
}

fn expanded(text: &str) -> Text {
    Text { text: text.to_owned(), is_expanded: true }
}

fn environment(machine: Option<&str>, user: Option<&str>) -> Environment {
    let variables = |path: Option<&str>| Variables { path: path.map(expanded), goroot: None };
    Environment { style: Style::Windows, machine: variables(machine), user: variables(user) }
}

const PLAIN: Request<'_> =
    Request { scope: Scope::User, bin: BIN, mends: false, removes_dead: false, allows_long: false };
const MENDING: Request<'_> = Request { mends: true, ..PLAIN };

#[track_caller]
fn planned(user: &str, request: &Request<'_>) -> String {
    let environment = environment(None, Some(user));
    plan(&environment, request, &table()).unwrap().path.text
}

#[test]
fn entries_are_told_apart_as_windows_does() {
    let check = |text: &str, expect: &[&str]| {
        assert_eq!(split(text, Style::Windows), expect, "{text}");
        assert_eq!(join(split(text, Style::Windows), Style::Windows), text);
    };
    check("", &[]);
    check(";", &["", ""]);
    check(r"C:\a;;C:\b;", &[r"C:\a", "", r"C:\b", ""]);
    check(r#"C:\a;"C:\b;c";C:\d"#, &[r"C:\a", r#""C:\b;c""#, r"C:\d"]);
    check(r#"C:\a;"C:\b;c"#, &[r"C:\a", r#""C:\b;c"#]);
    assert_eq!(split("/a:/b;c", Style::Unix), ["/a", "/b;c"]);
}

#[test]
fn the_same_folder_is_seen_however_it_is_written_and_nothing_else() {
    let table = table();
    let reader = Reader { style: Style::Windows, is_expanded: true, around: &table };
    let same = |left: &str, right: &str, expect: bool| {
        assert_eq!(reader.key(left) == reader.key(right), expect, "{left} {right}");
    };
    same(r"C:\Go\bin", r"c:/go/BIN/", true);
    same(r#""C:\Program Files\Go\bin""#, r"C:\Program Files\Go\bin", true);
    same(r"%SystemRoot%\system32", r"C:\Windows\System32\", true);
    same(r"%SYSTEMROOT%\system32", r"%systemroot%\system32", true);
    same(r"C:\Straße\ä", r"c:\STRAßE\Ä", true);
    same(r"C:\Users\Jörg\go", r"C:\Users\Jorg\go", false);
    same(r"C:\Go\bin", r"C:\Go\bin2", false);
    same(r"C:\Go\bin", r"D:\C:\Go\bin", false);
    same(r"%NOBODY%\bin", r"\bin", false);
    same(r"C:\", "C:", false);
    assert_eq!(reader.key(""), None);
    let literal = Reader { is_expanded: false, ..reader };
    assert_ne!(literal.key(r"%SystemRoot%"), literal.key(r"C:\Windows"));
    let unix = Reader { style: Style::Unix, ..reader };
    assert_eq!(unix.key("/usr/bin/"), unix.key("/usr/bin"));
    assert_ne!(unix.key("/usr/Bin"), unix.key("/usr/bin"));
    assert_eq!(unix.key("/").as_deref(), Some("/"));
}

#[test]
fn gofleet_comes_before_the_other_gos_and_nothing_else_moves() {
    let check = |before: &str, after: &str| assert_eq!(planned(before, &PLAIN), after, "{before}");
    check(r"C:\tools;C:\Go\bin;C:\x", r"C:\tools;C:\gofleet\bin;C:\Go\bin;C:\x");
    check(r"C:\Go\bin;c:/GOFLEET/bin/;", r"C:\gofleet\bin;C:\Go\bin;");
    check(r"c:/GOFLEET/bin/;C:\Go\bin", r"c:/GOFLEET/bin/;C:\Go\bin");
    check(r"C:\go1.22.3\bin;C:\tools", r"C:\gofleet\bin;C:\go1.22.3\bin;C:\tools");
    check(r"%USERPROFILE%\go\bin;C:\tools;;", r"%USERPROFILE%\go\bin;C:\tools;C:\gofleet\bin;;");
    check(r"%UNKNOWN%;;\\server\go\bin", r"%UNKNOWN%;;\\server\go\bin;C:\gofleet\bin");
    check(r#"C:\a;"C:\b;c"#, r#"C:\a;C:\gofleet\bin;"C:\b;c"#);
    check("", BIN);
    check(r"C:\gofleet\bin2", r"C:\gofleet\bin2;C:\gofleet\bin");
}

#[test]
fn mending_takes_what_is_dead_or_double_and_no_more() {
    let before =
        r"C:\tools;%userprofile%\go\bin;C:\old\Go\bin;c:/TOOLS/;C:\gone;;;C:\Go\bin;%GOROOT%\bin";
    let after = r"C:\tools;%userprofile%\go\bin;C:\gone;;;C:\gofleet\bin;C:\Go\bin";
    assert_eq!(planned(before, &MENDING), after);
    let all = Request { removes_dead: true, ..MENDING };
    assert_eq!(planned(before, &all), after.replace(r"C:\gone;", ""));
}

#[test]
fn goroot_is_set_aside_with_the_entries_that_are_written_with_it() {
    let mut environment = environment(None, Some(r"%GOROOT%\bin;C:\tools"));
    environment.user.goroot = Some(expanded(r"C:\Go"));
    let plain = plan(&environment, &PLAIN, &table()).unwrap();
    assert_eq!(
        (plain.goroot, plain.path.text.as_str()),
        (None, r"C:\gofleet\bin;%GOROOT%\bin;C:\tools")
    );
    let mended = plan(&environment, &MENDING, &table()).unwrap();
    assert_eq!(mended.path.text, r"C:\tools;C:\gofleet\bin");
    assert_eq!(mended.goroot, Some(expanded(r"C:\Go")));
    let removed: Vec<_> = mended.lines.iter().filter_map(|line| line.reason).collect();
    assert_eq!(removed, [Reason::NeedsGoroot, Reason::Own]);
}

#[test]
fn the_type_of_a_value_stays_and_a_new_one_is_expanded() {
    let mut environment = environment(None, None);
    let made = plan(&environment, &PLAIN, &table()).unwrap();
    assert!(made.path.is_expanded && made.is_path_new);
    let literal = Text { text: r"%SystemRoot%;C:\Go\bin".to_owned(), is_expanded: false };
    environment.user.path = Some(literal);
    let made = plan(&environment, &PLAIN, &table()).unwrap();
    assert_eq!(made.path.stored().kind, 1);
    assert_eq!(made.path.text, r"%SystemRoot%;C:\gofleet\bin;C:\Go\bin");
}

/// Entries of 50 characters with their separators, together `length` long.
fn long(length: usize) -> String {
    let entries = (0..length / 50 + 1).map(|n| format!(r"C:\{n:046}"));
    entries.collect::<Vec<_>>().join(";")[..length].to_owned()
}

#[test]
fn what_would_be_too_long_is_refused_with_the_arithmetic() {
    let refused = |environment: &Environment, request: &Request<'_>| {
        let error = plan(environment, request, &Table::default()).unwrap_err();
        let PlanError::TooLong(excess) = error else { panic!("{error}") };
        excess
    };
    let fits = LONGEST_VALUE - BIN.len() - 1;
    assert_eq!(
        plan(&environment(None, Some(&long(fits))), &PLAIN, &table()).unwrap().path.text.len(),
        2047
    );
    let excess = refused(&environment(None, Some(&long(fits + 1))), &PLAIN);
    let text =
        "the user's PATH would get too long: 2,033 characters + 15 = 2,048, 1 more than 2,047";
    assert_eq!(excess.to_string(), text);
    assert_eq!(excess.savings.dead, 41, "{:?}", excess.savings);
    assert_eq!(excess.savings.dead_characters, 2034, "each with its separator");

    let five = environment(None, Some(&long(5000)));
    assert_eq!(refused(&five, &PLAIN).after, 5015);
    let allowing = Request { allows_long: true, ..PLAIN };
    assert_eq!(plan(&five, &allowing, &table()).unwrap().path.text.len(), 5015);
    let both = environment(Some(&long(5000)), Some(&long(3185)));
    let text =
        "the whole PATH would get too long: 8,186 characters + 15 = 8,201, 10 more than 8,191";
    assert_eq!(refused(&both, &allowing).to_string(), text);
}

#[test]
fn what_is_too_long_may_get_shorter_or_change_its_order() {
    let double = format!(r"C:\tools;C:\tools;C:\Go\bin;{};{BIN}", long(5000));
    let moved = planned(&double, &PLAIN);
    assert_eq!(moved.len(), double.len());
    assert!(moved.starts_with(r"C:\tools;C:\tools;C:\gofleet\bin;C:\Go\bin;"), "{moved}");
    assert_eq!(planned(&double, &MENDING).len(), double.len() - r"C:\tools;".len());
}

#[test]
fn variables_count_with_what_they_stand_for() {
    let mut table = table();
    table.variables.insert("long".to_owned(), "x".repeat(2040));
    let error = plan(&environment(None, Some("%LONG%")), &PLAIN, &table).unwrap_err();
    let PlanError::TooLong(excess) = error else { panic!("{error}") };
    assert_eq!((excess.before, excess.after), (2040, 2055));
}

#[test]
fn a_folder_that_lists_cannot_hold_is_refused() {
    for bin in [r"C:\a;b\bin", r"C:\100%\bin", "C:\\a\nb"] {
        let request = Request { bin, ..PLAIN };
        let error = plan(&environment(None, None), &request, &table()).unwrap_err();
        assert!(matches!(error, PlanError::Unfit { .. }), "{error}");
    }
}

#[test]
fn every_fault_is_found_and_a_sound_environment_has_none() {
    let check = |machine: &str, user: &str, expect: &[&str]| {
        let found = examine(&environment(Some(machine), Some(user)), BIN, &table());
        let codes: Vec<_> = found.iter().map(Finding::code).collect();
        assert_eq!(codes, expect, "{machine} | {user}");
        for finding in found {
            assert!(!finding.message().is_empty() && !finding.advice().is_empty());
        }
    };
    let system = r"%SystemRoot%\system32";
    check(system, r"C:\gofleet\bin;%USERPROFILE%\go\bin;\\server\tools;relative\%NOBODY%\x", &[]);
    check(system, r"C:\tools", &["path_lacks_bin"]);
    check(system, r"C:\Go\bin;C:\gofleet\bin", &["another_go_is_ahead"]);
    check(r"C:\Go\bin", BIN, &["another_go_is_ahead"]);
    check(BIN, r"C:\Go\bin;C:\Program Files\Go\bin", &["several_gos"]);
    check(system, r"C:\gofleet\bin;C:\old\go\bin;C:\gone", &["dead_go", "dead_folder"]);
    check(r"C:\tools", r"C:\gofleet\bin;c:\TOOLS\;c:/tools", &["duplicate", "duplicate"]);
    let long = format!("{BIN};{}", r"\\s\x;".repeat(400));
    let found = examine(&environment(None, Some(&long)), BIN, &table());
    assert_eq!(found[0].code(), "duplicate");
    assert_eq!(found.last().unwrap().code(), "too_long");
}

#[test]
fn an_old_goroot_and_a_value_that_is_never_expanded_are_found() {
    let mut environment = environment(None, Some(BIN));
    for (goroot, says) in [(r"C:\Go", "mix"), (r"C:\gone", "where no Go is")] {
        environment.user.goroot = Some(expanded(goroot));
        let found = examine(&environment, BIN, &table());
        assert_eq!(found[0].code(), "goroot_is_set");
        assert!(found[0].message().contains(says), "{}", found[0].message());
    }
    environment.user.goroot = None;
    let text = format!(r"{BIN};%SystemRoot%\system32");
    environment.user.path = Some(Text { text, is_expanded: false });
    let found = examine(&environment, BIN, &table());
    assert_eq!(found[0].code(), "never_expanded");
}

#[test]
fn what_is_stored_is_read_whole_or_not_at_all() {
    let check = |kind: u32, units: &[u16], expect: Result<&str, StoredError>| {
        let bytes = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let text = Stored { kind, bytes }.text();
        assert_eq!(
            text.as_ref().map(|text| text.text.as_str()),
            expect.as_ref().copied(),
            "{units:?}"
        );
    };
    check(1, &[97, 0], Ok("a"));
    check(2, &[97], Ok("a"));
    check(2, &[97, 0, 0], Ok("a"));
    check(2, &[], Ok(""));
    check(3, &[97, 0], Err(StoredError::Type(3)));
    check(1, &[0xd800, 0], Err(StoredError::Encoding));
    check(1, &[97, 0, 98, 0], Err(StoredError::Nul));
    assert_eq!(Stored { kind: 1, bytes: vec![1] }.text(), Err(StoredError::Encoding));
}

fn place() -> Place {
    Place::Variable { scope: Scope::User, name: "Path".to_owned() }
}

fn journal(before: Option<Stored>, after: Option<Stored>) -> Journal {
    let change = Change { place: place(), before, after };
    Journal { entries: vec![Entry { made_at: Timestamp::from_millis(0), changes: vec![change] }] }
}

#[test]
fn an_entry_is_undone_forgotten_or_refused_by_what_is_there() {
    let [old, new, other] = ["old", "new", "other"].map(|text| Some(expanded(text).stored()));
    let journal = journal(old.clone(), new.clone());
    let undo = |there: &Option<Stored>| journal.undo(|_| there.clone()).unwrap();
    assert_eq!(undo(&new).changes[0].after, old);
    assert!(undo(&new).conflicts.is_empty() && undo(&old).changes.is_empty());
    let refused = undo(&other);
    assert_eq!(
        (refused.conflicts[0].found.clone(), refused.changes[0].before.clone()),
        (other.clone(), other.clone())
    );
    for (there, is_void) in [(&old, true), (&new, false), (&other, false)] {
        assert_eq!(journal.clone().settle(|_| there.clone()), is_void, "{there:?}");
    }
    let text = serde_json::to_string(&journal).unwrap();
    assert_eq!(serde_json::from_str::<Journal>(&text).unwrap(), journal);
    assert!(serde_json::from_str::<Stored>(r#"{"type":1,"bytes":"0g"}"#).is_err());
}

#[test]
fn a_block_is_put_at_the_end_or_in_its_own_place() {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let first = with_snippet(b"umask 022", "/o'neil/bin", false).unwrap();
    assert!(text(first.clone()).starts_with("umask 022\n# >>> gofleet"));
    assert!(text(first.clone()).contains(r"'/o'\''neil/bin':*) ;;"));
    let more = [&first[..], b"export A=1\n"].concat();
    assert_eq!(with_snippet(&more, "/o'neil/bin", false).unwrap(), more);
    let other = text(with_snippet(&more, "/other/bin", true).unwrap());
    assert!(other.ends_with("export A=1\n") && other.contains("unset GOROOT"), "{other}");
    assert!(!other.contains("neil"), "{other}");
    let cut = &first[..first.len() - 4];
    assert_eq!(with_snippet(cut, "/bin", false), Err(SnippetError::CutOff));
}

/// Entries as they are met, and worse.
fn lists() -> impl Strategy<Value = String> {
    let entries = [
        "",
        r"C:\Go\bin",
        r"c:/go/bin/",
        BIN,
        r"C:\GOFLEET\bin\",
        r"C:\tools",
        r"%GOROOT%\bin",
        r"%SystemRoot%\system32",
        r#""C:\a;b""#,
        r"C:\old\go1.20\bin",
        r"C:\gone",
        r"\\srv\x",
        "%",
        "%%",
        r"C:\Jörg\ß",
        r#"C:\un"closed"#,
        r"%USERPROFILE%\go\bin",
    ];
    let entry = prop::sample::select(entries.to_vec());
    prop::collection::vec(entry, 0..12).prop_map(|entries| entries.join(";"))
}

proptest! {
    #[test]
    fn splitting_and_joining_keeps_every_byte(text in r#"[a-zß%;":/\\ .]{0,60}"#) {
        for style in [Style::Windows, Style::Unix] {
            assert_eq!(join(split(&text, style), style), text);
        }
    }

    /// A second `apply` changes nothing, what is not removed stays as it was and in its order, and
    /// gofleet's folder comes before every other Go.
    #[test]
    fn an_edit_is_idempotent_and_keeps_the_rest(text in lists(), mends: bool, removes_dead: bool) {
        let (table, request) = (table(), Request { mends, removes_dead, ..PLAIN });
        let first = plan(&environment(None, Some(&text)), &request, &table).unwrap();
        let second = plan(&environment(None, Some(&first.path.text)), &request, &table).unwrap();
        assert!(!second.is_path_new && second.goroot.is_none(), "{text} -> {} -> {}", first.path.text, second.path.text);
        let of = |mark: Mark| {
            let lines = first.lines.iter().filter(move |line| line.mark != mark);
            join(lines.map(|line| line.entry.as_str()), Style::Windows)
        };
        assert_eq!(of(Mark::Added), text);
        assert_eq!(of(Mark::Removed), first.path.text);
        let found = examine(&environment(None, Some(&first.path.text)), BIN, &table);
        assert!(found.iter().all(|it| it.severity() == Severity::Warning), "{found:?}");
        if !mends && !removes_dead {
            let removed = first.lines.iter().filter(|line| line.mark == Mark::Removed);
            assert!(removed.into_iter().all(|line| line.reason == Some(Reason::Moved)));
        }
    }

    /// A difference read one way gives the list before, the other way the list after.
    #[test]
    fn a_difference_tells_both_lists(before in lists(), after in lists()) {
        let entries = |text| split(text, Style::Windows);
        let lines = difference(&entries(&before), &entries(&after));
        let of = |mark: Mark| {
            let lines = lines.iter().filter(move |line| line.mark != mark);
            join(lines.map(|line| line.entry.as_str()), Style::Windows)
        };
        assert_eq!((of(Mark::Added), of(Mark::Removed)), (before, after));
    }

    /// Undo puts back the very bytes, whatever they are and however they end.
    #[test]
    fn undo_restores_every_byte(kind in 1u32..3, bytes: Vec<u8>, text in lists()) {
        let before = Some(Stored { kind, bytes });
        let after = Some(expanded(&text).stored());
        let saved = serde_json::to_vec(&journal(before.clone(), after.clone())).unwrap();
        let loaded: Journal = serde_json::from_slice(&saved).unwrap();
        let undo = loaded.undo(|_| after.clone()).unwrap();
        assert!(undo.conflicts.is_empty());
        assert_eq!(undo.changes.last().map_or(&after, |it| &it.after), &before);
    }
}
