//! Roles, grants, tokens and passwords.

use super::*;

fn grant(text: &str) -> Result<Grant, String> {
    text.parse().map_err(|error: InvalidGrant| error.to_string())
}

#[test]
fn a_grant_is_a_role_in_the_fleet_or_in_a_collection() {
    for text in ["viewer", "operator@berlin", "security_admin"] {
        assert_eq!(grant(text).unwrap().to_string(), text);
    }
    assert_eq!(grant("security-admin"), grant("security_admin"));
    for (text, complaint) in [
        ("root", "not a role: `root`"),
        ("operator@", "not a collection name"),
        ("operator@a b", "not a collection name"),
        ("viewer@berlin", "viewer can't be bounded"),
    ] {
        let error = grant(text).unwrap_err();
        assert!(error.starts_with(complaint), "{error}");
    }
}

#[test]
fn every_permission_belongs_to_a_role_and_has_its_own_name() {
    let mut names = std::collections::BTreeSet::new();
    for permission in Permission::ALL {
        assert!(names.insert(permission.as_str()), "{permission} twice");
        assert!(!permission.roles().is_empty(), "nobody may {permission}");
        assert!(!permission.meaning().is_empty());
        let json = serde_json::to_value(permission).unwrap();
        assert_eq!(json, permission.as_str());
    }
}

/// Who says which releases may run, who makes them run, and who says who may do so are not one.
#[test]
fn no_role_holds_two_of_the_keys() {
    let keys = [Permission::ApproveRelease, Permission::StartRollout, Permission::ChangeAccounts];
    for role in Role::ALL {
        let held = keys.into_iter().filter(|it| role.may(*it)).count();
        assert!(held <= 1, "{role} holds {held}");
    }
}

#[test]
fn a_password_is_long_and_not_the_name() {
    let account: AccountName = "ann".parse().unwrap();
    for (password, expect) in [
        ("correct horse battery", Ok(())),
        ("пароль подлиннее", Ok(())),
        ("short", Err(WeakPassword::TooShort)),
        ("I am Ann of gofleet", Err(WeakPassword::HoldsName)),
        ("ababababababababab", Err(WeakPassword::Monotonous)),
        (&"0123456789".repeat(200), Err(WeakPassword::TooLong)),
    ] {
        assert_eq!(check_password(&account, password), expect, "{password}");
    }
}

#[test]
fn a_token_for_some_roles_may_not_do_what_they_may_not() {
    let token = |roles: &[Role]| ApiToken {
        id: "1".to_owned(),
        account: "ann".parse().unwrap(),
        note: String::new(),
        roles: roles.to_vec(),
        created_at: Timestamp::from_millis(0),
        expires_at: Timestamp::from_millis(1),
    };
    assert!(token(&[]).may(Permission::StartRollout));
    assert!(!token(&[Role::Viewer]).may(Permission::StartRollout));
    assert!(token(&[Role::Viewer, Role::Operator]).may(Permission::StartRollout));
}
