//! Which source counts, where a value came from, and what is refused.

use super::*;
use crate::policy::{REG_DWORD, REG_SZ, Record};

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn policy(name: &str, kind: u32, text: &str) -> Record {
    let data = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    Record { key: String::new(), name: name.to_owned(), kind, data }
}

/// With all sources down to `top`, 0 being the policy; the policy has type `kind`.
fn layered(top: usize, kind: u32) -> Settings {
    let policy = [policy("Server", kind, "https://policy")];
    let flags = [("server", text("https://flag"))];
    let environment = |name: &str| {
        (top <= 2 && name == "GOFLEET_SERVER").then(|| "https://environment".to_owned())
    };
    let file = [("server".to_owned(), text("https://file"))];
    let defaults = [("server", text("https://default"))];
    Settings::of(&Sources {
        policy: if top == 0 { &policy } else { &[] },
        flags: if top <= 1 { &flags } else { &[] },
        environment: &environment,
        file: (top <= 3).then_some(("agent.toml", &file[..])),
        defaults: &defaults,
    })
    .unwrap()
}

#[track_caller]
fn check(settings: &Settings, value: &str, origin: &str) {
    let (_, shown) = settings.shown().into_iter().find(|(name, _)| *name == "server").unwrap();
    assert_eq!(shown, Shown { value: Some(text(value)), origin: origin.to_owned() });
}

#[test]
fn the_spans_of_signals_are_told_as_they_are() {
    for (name, span) in [
        ("signals_every", SIGNALS_EVERY),
        ("signals_command_every", SIGNALS_COMMAND_EVERY),
        ("signals_command_timeout", SIGNALS_COMMAND_TIMEOUT),
    ] {
        let told = Setting::of_name(name).unwrap().default;
        assert_eq!(told.parse::<Span>(), Ok(span), "{name}");
    }
}

#[test]
fn a_command_begins_with_a_whole_path() {
    let fits = |text: &str| Setting::of_name("signals_command").unwrap().parse(text).is_ok();
    for text in
        ["/opt/ci/signals", r"C:\ci\signals.exe,--all", r"\\share\signals.exe", "D:/s.exe,x y"]
    {
        assert!(fits(text), "{text}");
    }
    for text in ["signals", "./signals", r"C:signals.exe", r"ci\signals.exe", "", "/a,b\u{7}"] {
        assert!(!fits(text), "{text}");
    }
}

#[test]
fn policy_stands_above_flags_above_environment_above_file_above_default() {
    check(&layered(0, REG_SZ), "https://policy", "policy");
    check(&layered(1, REG_SZ), "https://flag", "--server");
    check(&layered(2, REG_SZ), "https://environment", "GOFLEET_SERVER");
    check(&layered(3, REG_SZ), "https://file", "agent.toml");
    check(&layered(4, REG_SZ), "https://default", "default");
}

#[test]
fn a_policy_that_does_not_fit_leaves_it_to_the_next_and_is_told() {
    let settings = layered(0, REG_DWORD);
    check(&settings, "https://flag", "--server");
    assert_eq!(
        settings.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            r"the policy Software\Policies\GoFleet\Server is not used: its type is REG_DWORD, and REG_SZ or REG_EXPAND_SZ is needed (instead: --server)"
        ]
    );
}

#[test]
fn what_a_policy_says_in_vain_is_told_in_one_line() {
    let problem = Problem {
        value: "Server\r\nok".to_owned(),
        reason: "no\u{1b}[2J\nmore".to_owned(),
        instead: None,
    };
    let told = problem.to_string();
    assert!(told.ends_with("Server��ok is not used: no�[2J"), "{told}");
}

#[track_caller]
fn check_refused(file: &[(&str, Value)], environment: &[(&str, &str)], expect: &[&str]) {
    let file: Vec<_> = file.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    let set = |name: &str| {
        environment.iter().find(|(it, _)| *it == name).map(|(_, text)| (*text).to_owned())
    };
    let error = Settings::of(&Sources {
        policy: &[],
        flags: &[],
        environment: &set,
        file: Some(("agent.toml", &file)),
        defaults: &[],
    })
    .unwrap_err();
    let told = format!("{error}\n{}", error.hint().unwrap());
    for part in expect {
        assert!(told.contains(part), "no {part:?} in {told}");
    }
}

#[test]
fn what_does_not_fit_elsewhere_is_refused() {
    let value = text("x");
    check_refused(&[("sever", value.clone())], &[], &["key `sever`", "did you mean `server`?"]);
    check_refused(&[("server", value.clone())], &[], &["(from agent.toml)", "begin with http"]);
    check_refused(&[("edges", value.clone())], &[], &["must be a list"]);
    check_refused(&[("labels", value)], &[], &["must be a table"]);
    check_refused(&[("limit", Value::List(vec![]))], &[], &["must be one text"]);
    check_refused(&[], &[("GOFLEET_LABELS", "site")], &["(from GOFLEET_LABELS)", "KEY=VALUE"]);
    check_refused(&[], &[("GOFLEET_CHECK_CACHE", "a\tb")], &["control character"]);
}

#[test]
fn what_is_shown_is_read_again() {
    for (name, written) in [
        ("edges", "https://a,https://b"),
        ("labels", "site=berlin,tier=a=b"),
        ("limit", "20 MB/s, 2 MB/s from 9 to 18"),
        ("signals_command", "/opt/ci/signals,--all"),
    ] {
        assert_eq!(Setting::of_name(name).unwrap().parse(written).unwrap().to_string(), written);
    }
}

#[test]
fn no_name_is_there_twice() {
    type Name = fn(&Setting) -> &'static str;
    let names: [Name; 4] = [|it| it.name, |it| it.environment, |it| it.flag, |it| it.policy];
    for name in names {
        let mut all: Vec<_> = SETTINGS.iter().map(name).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), SETTINGS.len(), "{all:?}");
    }
}
