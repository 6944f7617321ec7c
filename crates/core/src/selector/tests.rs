//! What selectors pick, how they print, and how they say what is wrong.

use proptest::prelude::*;

use super::*;
use crate::facts::{Facts, FoundGo, GoOrigin};

fn facts() -> Facts {
    let found = |version: &str| FoundGo {
        version: version.to_owned(),
        path: "/go".to_owned(),
        origin: GoOrigin::System,
    };
    Facts {
        hostname: "ci-042".to_owned(),
        platform: "windows-amd64".parse().unwrap(),
        os_version: "Windows 11 \"24H2\"".to_owned(),
        processors: 8,
        free_bytes: 5_000_000_000,
        agent_version: "0.1.0".to_owned(),
        active: Some("1.27.2".to_owned()),
        packages: Default::default(),
        found: vec![found("1.20"), found("1.27.2")],
        zone: Some("Europe/Berlin".to_owned()),
        labels: [("site".to_owned(), "Berlin".to_owned()), ("a.b-c".to_owned(), String::new())]
            .into(),
        collections: Default::default(),
    }
}

fn check(selector: &str, expect: bool) {
    let parsed = Selector::parse(selector).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(parsed.matches(&"d1".parse().unwrap(), &facts()), expect, "{selector}");
    let printed = parsed.to_string();
    assert_eq!(Selector::parse(&printed).as_ref(), Ok(&parsed), "{selector} prints as {printed}");
}

#[test]
fn devices_are_picked_by_their_facts() {
    for (selector, expect) in [
        ("", true),
        ("  ", true),
        ("os = \"windows\"", true),
        ("os = windows and arch = amd64", true),
        ("platform = linux-amd64", false),
        ("id = d1", true),
        ("hostname like \"ci-*\"", true),
        ("hostname like \"CI-0?2\"", true),
        ("hostname like \"*0*4*\"", true),
        ("hostname like \"ci\"", false),
        ("os_version = \"Windows 11 \\\"24H2\\\"\"", true),
        ("label.site in (\"berlin\", \"oslo\")", true),
        ("label.site not in (berlin, oslo)", false),
        ("label.site = hamburg or label.site = berlin", true),
        ("label.a.b-c = \"\"", true),
        ("label.none = \"\"", false),
        ("label.none != x", true),
        ("not label.none = x", true),
        ("processors >= 8 and processors < 9", true),
        ("free_bytes > 5000000000", false),
        ("agent_version = 0.1.0", true),
        ("zone = europe/berlin", true),
        ("zone like \"America/*\"", false),
    ] {
        check(selector, expect);
    }
}

#[test]
fn versions_are_ordered_as_go_orders_them() {
    for (selector, expect) in [
        ("active = 1.27.2", true),
        ("active = go1.27.2", true),
        ("active < 1.27.10", true),
        ("active >= 1.27.10", false),
        ("active > 1.27rc1", true),
        ("not active >= 1.27.0", false),
        ("found = 1.20", true),
        ("found = 1.20.0", true),
        ("found < 1.21", true),
        ("found > 1.27.2", false),
        ("active in (1.26.1, 1.27.2)", true),
    ] {
        check(selector, expect);
    }
}

#[test]
fn and_binds_closer_than_or_and_not_closest() {
    check("os = linux and os = linux or os = windows", true);
    check("os = windows or os = linux and os = linux", true);
    check("(os = windows or os = linux) and os = linux", false);
    check("not os = linux and os = windows", true);
    check("not (os = linux or os = windows)", false);
    check("not not os = windows", true);
    check("os = windows AND NOT os = linux", true);
}

#[test]
fn mistakes_are_pointed_at() {
    let check = |text: &str, column: usize, says: &str| {
        let error = Selector::parse(text).unwrap_err();
        assert_eq!(error.column, column, "{error}");
        assert!(error.message.contains(says), "{error}");
    };
    check("oss = linux", 1, "did you mean `os`?");
    check("os = linux and hostnam like x", 16, "did you mean `hostname`?");
    check("label = x", 1, "label.NAME");
    check("label. = x", 1, "label.NAME");
    check("OS = linux", 1, "fields are id, os");
    check("zzzzzz = x", 1, "fields are id, os");
    check("os linux", 4, "expected one of = != < <= > >= like in");
    check("os =", 5, "expected a value, not the end");
    check("os = linux arch = amd64", 12, "expected `and`, `or` or the end");
    check("os < linux", 4, "`os` is text, which has no order");
    check("active like x", 8, "`active` is no text");
    check("active = soon", 10, "`active` is a version like 1.27.3");
    check("processors = -1", 14, "whole number");
    check("os = 'linux'", 6, "double quotes");
    check("os = \"linux", 6, "no closing");
    check("os = \"\\n\"", 7, "after `\\`");
    check("(os = linux", 12, "expected `)`, not the end");
    check("os in linux", 7, "expected `(`");
    check("os in ()", 8, "expected a value, not `)`");
    check("os not like x", 8, "expected `in`");
    check("os = linux & arch = x", 12, "`&` has no meaning");
    check(&"(".repeat(200), 101, "brackets inside each other");
    check(&"not ".repeat(200), 401, "brackets inside each other");
}

#[test]
fn an_error_shows_the_text_with_a_caret() {
    let error = Selector::parse("os = linux and hostnam = x").unwrap_err();
    assert_eq!(
        error.to_string(),
        "column 16: unknown field `hostnam`; did you mean `hostname`?\n  \
         os = linux and hostnam = x\n                 ^"
    );
}

fn expressions() -> impl Strategy<Value = Expression> {
    let text = "[ -~äöü\\\\\"]{0,12}".prop_map(Value::Text);
    let fields = proptest::sample::select(vec![
        Field::Id,
        Field::Os,
        Field::Hostname,
        Field::OsVersion,
        Field::Label("site".to_owned()),
    ]);
    let operators =
        proptest::sample::select(vec![Operator::Equal, Operator::NotEqual, Operator::Like]);
    let orders = proptest::sample::select(vec![Operator::Less, Operator::GreaterOrEqual]);
    let leaf = prop_oneof![
        (fields.clone(), operators, text.clone())
            .prop_map(|(field, operator, value)| Expression::Compare(field, operator, value)),
        (fields, proptest::collection::vec(text, 1..4))
            .prop_map(|(field, values)| Expression::In(field, values)),
        (orders.clone(), any::<u64>()).prop_map(|(operator, number)| {
            Expression::Compare(Field::FreeBytes, operator, Value::Number(number))
        }),
        (orders, "1\\.[0-9]{1,3}(\\.[0-9]{1,2}|rc[1-9])?")
            .prop_filter("no leading zero", |(_, it)| crate::version::is_valid(it))
            .prop_map(|(operator, version)| {
                Expression::Compare(Field::Found, operator, Value::Version(version))
            }),
    ];
    leaf.prop_recursive(5, 40, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| Expression::And(Box::new(a), Box::new(b))),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| Expression::Or(Box::new(a), Box::new(b))),
            inner.prop_map(|it| Expression::Not(Box::new(it))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same(root in expressions()) {
        let selector = Selector { root: Some(root) };
        let printed = selector.to_string();
        prop_assert_eq!(Selector::parse(&printed), Ok(selector), "{}", printed);
    }

    #[test]
    fn nothing_makes_the_parser_panic(text in "\\PC{0,60}") {
        let _ = Selector::parse(&text).map_err(|error| error.to_string());
    }

    #[test]
    fn nothing_like_a_selector_makes_the_parser_panic(
        words in proptest::collection::vec(proptest::sample::select(vec![
            "and", "or", "not", "in", "like", "os", "active", "label.x", "=", "<=", "(", ")",
            ",", "\"a b\"", "1.27.3", "\"", "\\", "é", "💥", "\t", "\n",
        ]), 0..20)
    ) {
        let text = words.join(" ");
        match Selector::parse(&text) {
            Ok(selector) => {
                let printed = selector.to_string();
                prop_assert_eq!(Selector::parse(&printed), Ok(selector));
            }
            Err(error) => prop_assert!(error.column <= text.chars().count() + 1, "{}", error),
        }
    }

    #[test]
    fn a_pattern_agrees_with_the_plain_way_to_match_it(
        pattern in "[ab*?]{0,7}", text in "[ab]{0,7}",
    ) {
        fn plainly(pattern: &[u8], text: &[u8]) -> bool {
            match (pattern.split_first(), text.split_first()) {
                (None, rest) => rest.is_none(),
                (Some((b'*', pattern)), rest) => {
                    plainly(pattern, text)
                        || rest.is_some_and(|(_, rest)| plainly_star(pattern, rest))
                }
                (Some((b'?', pattern)), Some((_, text))) => plainly(pattern, text),
                (Some((p, pattern)), Some((t, text))) => p == t && plainly(pattern, text),
                (Some(_), None) => false,
            }
        }
        fn plainly_star(pattern: &[u8], text: &[u8]) -> bool {
            plainly(pattern, text) || text.split_first().is_some_and(|(_, it)| plainly_star(pattern, it))
        }
        let mut facts = facts();
        facts.hostname = text.clone();
        let selector = Selector::parse(&format!("hostname like \"{pattern}\"")).unwrap();
        let expect = plainly(pattern.as_bytes(), text.as_bytes());
        prop_assert_eq!(selector.matches(&"d1".parse().unwrap(), &facts), expect);
    }
}
