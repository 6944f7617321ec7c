//! What policies decide, and what is no rule.

use gofleet_core::account::{
    ADMINISTRATOR, AccessRequest, Account, AccountSource, Circumstances, Permission, Refusal,
    ReleaseSubject, Role, RolloutSubject, Rule, Subject, SubjectKind,
};
use gofleet_core::time::Timestamp;

use super::*;

fn account(name: &str, grants: &[&str]) -> Account {
    Account {
        name: name.parse().unwrap(),
        note: String::new(),
        grants: grants.iter().map(|grant| grant.parse().unwrap()).collect(),
        is_disabled: false,
        must_change_password: false,
        source: AccountSource::Local,
        by: ADMINISTRATOR.to_owned(),
        changed_at: Timestamp::from_millis(0),
    }
}

fn rule(name: &str, text: &str) -> Rule {
    let (name, text) = (name.parse().unwrap(), text.to_owned());
    Rule { name, text, by: ADMINISTRATOR.to_owned(), changed_at: Timestamp::from_millis(0) }
}

fn example(name: &str) -> Rule {
    rule(name, all().into_iter().find(|it| it.name == name).unwrap().text)
}

fn all() -> Vec<Example> {
    [BUILT_IN].into_iter().chain(examples()).collect()
}

fn release(author: &str) -> Subject {
    Subject::Release(ReleaseSubject {
        id: "go-1.27.3-linux-amd64".to_owned(),
        package: "go".to_owned(),
        version: "1.27.3".to_owned(),
        author: author.to_owned(),
        is_signed: true,
        is_past_support: false,
    })
}

fn rollout(within: &[&str]) -> Subject {
    Subject::Rollout(RolloutSubject {
        name: "patch".to_owned(),
        author: "ann".to_owned(),
        devices: 3,
        within: within.iter().map(|name| name.parse().unwrap()).collect(),
        package: "go".to_owned(),
        version: "1.27.3".to_owned(),
        is_past_support: false,
        is_published: false,
    })
}

fn subject(kind: SubjectKind) -> Subject {
    match kind {
        SubjectKind::Fleet => Subject::Fleet {},
        SubjectKind::Devices => Subject::Devices { count: 1, within: Vec::new() },
        SubjectKind::Release => release("somebody"),
        SubjectKind::Rollout => rollout(&[]),
        SubjectKind::Account => Subject::Account { name: "somebody".to_owned() },
    }
}

fn asked(by: &str, permission: Permission, subject: Subject) -> AccessRequest {
    let circumstances = Circumstances {
        at: "2026-11-26T12:00:00Z".parse().unwrap(),
        via: "session".to_owned(),
        is_encrypted: true,
        is_local: false,
        is_audit_healthy: true,
        ticket: String::new(),
    };
    AccessRequest { by: by.to_owned(), permission, subject, circumstances }
}

fn policies(accounts: &[Account], rules: &[Rule]) -> Policies {
    let policies = Policies::new(accounts, rules);
    assert_eq!(policies.broken(), []);
    policies
}

/// Which rule refused, or `no role`.
fn refusal(refusal: Option<Refusal>) -> Option<String> {
    refusal.map(|it| it.rule().map_or("no role".to_owned(), ToString::to_string))
}

/// Cedar gives each role what the table says, and nothing else.
#[test]
fn each_role_may_what_the_table_says() {
    let accounts = Role::ALL.map(|role| account(role.as_str(), &[role.as_str()]));
    let policies = policies(&accounts, &[]);
    for role in Role::ALL {
        for permission in Permission::ALL {
            let request = asked(role.as_str(), *permission, subject(permission.subject()));
            let is_refused = policies.decide(&request).is_some();
            assert_eq!(is_refused, !role.may(*permission), "{role}: {permission}");
        }
    }
    for permission in Permission::ALL {
        let ask = |by| policies.decide(&asked(by, *permission, subject(permission.subject())));
        assert_eq!(ask(ADMINISTRATOR), None, "{permission}");
        assert_eq!(ask("stranger"), Some(Refusal::NoRole {}), "{permission}");
    }
}

#[test]
fn a_disabled_account_may_nothing() {
    let mut ann = account("ann", &["operator"]);
    ann.is_disabled = true;
    let policies = policies(&[ann], &[]);
    for permission in [Permission::Own, Permission::Read, Permission::StopEverything] {
        let request = asked("ann", permission, subject(permission.subject()));
        assert_eq!(policies.decide(&request), Some(Refusal::NoRole {}), "{permission}");
    }
}

#[test]
fn a_role_in_a_collection_reaches_its_devices_only() {
    let policies = policies(&[account("ann", &["operator@Berlin"])], &[]);
    let start =
        |within: &[&str]| policies.decide(&asked("Ann", Permission::StartRollout, rollout(within)));
    assert_eq!(start(&["berlin"]), None);
    assert_eq!(start(&["pilots", "BERLIN"]), None, "all its devices are in both");
    for within in [&[][..], &["paris"]] {
        assert_eq!(start(within), Some(Refusal::NoRole {}), "{within:?}");
    }
    for (permission, expect) in [
        (Permission::Read, None),
        (Permission::Own, None),
        (Permission::ImportRelease, Some(Refusal::NoRole {})),
        (Permission::ChangeCollections, Some(Refusal::NoRole {})),
        (Permission::EnrolDevices, Some(Refusal::NoRole {})),
    ] {
        assert_eq!(
            policies.decide(&asked("ann", permission, Subject::Fleet {})),
            expect,
            "{permission}"
        );
    }
}

#[test]
fn every_example_is_a_rule_that_says_something_and_serves_a_standard() {
    for example in all() {
        let name = example.rule_name();
        assert_eq!(check_rule(&name, example.text), Ok(()), "{name}");
        let rule = rule(example.name, example.text);
        assert!(!message_of(&rule).is_empty() && !standards_of(&rule).is_empty(), "{name}");
    }
}

/// One request that each example lets through, and one that it refuses.
#[test]
fn each_example_refuses_what_it_is_for() {
    type Change = fn(&mut AccessRequest);
    let cases: [(&str, Permission, Change); 9] = [
        ("no-self-grant", Permission::ChangeAccounts, |it| {
            it.subject = Subject::Account { name: "Eve".to_owned() };
        }),
        ("four-eyes", Permission::ApproveRelease, |it| it.subject = release("EVE")),
        ("approve-in-person", Permission::ApproveRelease, |it| {
            it.circumstances.via = "api_token".to_owned();
        }),
        ("change-ticket", Permission::StartRollout, |it| it.circumstances.ticket.clear()),
        ("signed-release", Permission::ApproveRelease, |it| {
            let Subject::Release(release) = &mut it.subject else { panic!("{it:?}") };
            release.is_signed = false;
        }),
        ("supported-release", Permission::ApproveRelease, |it| {
            let Subject::Release(release) = &mut it.subject else { panic!("{it:?}") };
            release.is_past_support = true;
        }),
        ("audit-healthy", Permission::StartRollout, |it| {
            it.circumstances.is_audit_healthy = false;
        }),
        ("encrypted", Permission::Read, |it| it.circumstances.is_encrypted = false),
        ("freeze", Permission::ResumeRollout, |it| {
            it.circumstances.at = "2026-12-24T18:00:00Z".parse().unwrap();
        }),
    ];
    assert_eq!(cases.map(|(name, ..)| name), *all().iter().map(|it| it.name).collect::<Vec<_>>());
    let roles: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
    let accounts = [account("eve", &roles)];
    for (name, permission, change) in cases {
        let policies = policies(&accounts, &[example(name)]);
        let mut request = asked("eve", permission, subject(permission.subject()));
        request.circumstances.ticket = "CHG-1".to_owned();
        assert_eq!(policies.decide(&request), None, "{name} lets through");
        change(&mut request);
        assert_eq!(refusal(policies.decide(&request)).as_deref(), Some(name));
    }
}

#[test]
fn no_rule_keeps_the_fleet_from_being_stopped_or_the_rules_from_being_mended() {
    let nothing = rule("nothing", "@message(\"no\") forbid (principal, action, resource);");
    let policies = policies(&[account("ann", &["operator", "security_admin"])], &[nothing]);
    let decide = |by, permission| {
        refusal(policies.decide(&asked(by, permission, subject(Permission::subject(permission)))))
    };
    for by in ["ann", ADMINISTRATOR] {
        assert_eq!(decide(by, Permission::StopEverything), None, "{by}");
        assert_eq!(decide(by, Permission::Read).as_deref(), Some("nothing"), "{by}");
    }
    assert_eq!(decide(ADMINISTRATOR, Permission::ChangeRules), None);
    assert_eq!(decide("ann", Permission::ChangeRules).as_deref(), Some("nothing"));
    assert_eq!(decide("stranger", Permission::StopEverything).as_deref(), Some("no role"));
}

/// Whether what was begun may go on is a question of roles alone.
#[test]
fn what_a_role_permits_is_told_apart_from_what_rules_forbid() {
    let nothing = rule("nothing", "@message(\"no\") forbid (principal, action, resource);");
    let accounts = [account("ann", &["operator@berlin"]), account("bob", &["operator"])];
    let policies = policies(&accounts, &[nothing]);
    let permits = |by, within: &[&str]| {
        policies.permits(&asked(by, Permission::StartRollout, rollout(within)))
    };
    assert!(permits("ann", &["berlin"]) && !permits("ann", &[]));
    assert!(permits("bob", &[]) && permits(ADMINISTRATOR, &[]) && !permits("eve", &["berlin"]));
}

#[test]
fn whoever_lacks_the_role_is_not_told_of_rules() {
    let policies = policies(&[account("ann", &["viewer"])], &[example("four-eyes")]);
    let request = asked("ann", Permission::ApproveRelease, release("ann"));
    assert_eq!(refusal(policies.decide(&request)).as_deref(), Some("no role"));
}

#[test]
fn the_rule_that_is_built_in_cannot_be_written_over() {
    let text = "@message(\"\") forbid (principal, action, resource) when { false };";
    let policies =
        Policies::new(&[account("eve", &["security_admin"])], &[rule("no-self-grant", text)]);
    let own = Subject::Account { name: "eve".to_owned() };
    let decision = policies.decide(&asked("eve", Permission::ChangeAccounts, own));
    assert_eq!(refusal(decision).as_deref(), Some("no-self-grant"));
}

/// Nobody can tell what a rule would have said that can't be evaluated.
#[test]
fn a_rule_that_cannot_be_evaluated_refuses() {
    let text = "@message(\"too many\") forbid (principal, action == Action::\"rollout.start\", \
                resource) when { resource.devices * 9223372036854775807 > 0 && false };";
    let policies = policies(&[account("ann", &["operator"])], &[rule("sum", text)]);
    let decision = policies.decide(&asked("ann", Permission::StartRollout, rollout(&[])));
    assert!(matches!(decision, Some(Refusal::Broken { .. })), "{decision:?}");
}

/// It was checked when it was written; another version of the server may read it otherwise.
#[test]
fn a_rule_that_cannot_be_read_refuses_everything_but_what_mends_it() {
    let rules = [rule("old", "forbid (principal, action == Action::\"gone\", resource);")];
    let policies = Policies::new(&[account("ann", &["operator"])], &rules);
    assert_eq!(policies.broken().len(), 1);
    let decide = |by, permission: Permission| {
        refusal(policies.decide(&asked(by, permission, subject(permission.subject()))))
    };
    assert_eq!(decide("ann", Permission::Read).as_deref(), Some("old"));
    assert_eq!(decide("ann", Permission::ApproveRelease).as_deref(), Some("no role"));
    assert_eq!(decide("ann", Permission::StopEverything), None);
    assert_eq!(decide(ADMINISTRATOR, Permission::ChangeRules), None);
}

#[test]
fn what_is_no_rule_is_refused_when_it_is_written() {
    let check = |text: &str| check_rule(&"x".parse().unwrap(), text).unwrap_err().to_string();
    for (text, complaint) in [
        ("", "the rule can't be read"),
        ("forbid (principal, action)", "the rule can't be read"),
        ("@message(\"a\") permit (principal, action, resource);", "the rule begins with `permit`"),
        ("forbid (principal, action, resource);", "the rule says nothing"),
        (
            "@message(\"a\") forbid (principal, action, resource) when { context.moon == 1 };",
            "the rule does not fit",
        ),
        (
            "@message(\"a\") forbid (principal, action == Action::\"rollout.begin\", resource);",
            "the rule does not fit",
        ),
        (&format!("// {}", "a".repeat(20_000)), "the rule is longer"),
    ] {
        let error = check(text);
        assert!(error.starts_with(complaint) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn the_schema_tells_all_that_can_be_permitted() {
    insta::assert_snapshot!(schema_text());
}
