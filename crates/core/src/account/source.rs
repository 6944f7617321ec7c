//! Where accounts come from, and the roles that groups of a directory give.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Grant;

/// Who says who has an account, and what its roles are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum AccountSource {
    /// This server: it has a password here, and security admins say its roles.
    #[default]
    Local,
    /// A directory that is asked over LDAP.
    Ldap {
        /// Names the entry for good, also when it is renamed: `entryUUID` or `objectGUID`.
        subject: String,
    },
    /// A provider of OpenID Connect.
    Oidc {
        /// Names the person for good: the provider's address, and their `sub` there.
        subject: String,
    },
}

impl AccountSource {
    /// As the audit log has it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Local => "password",
            Self::Ldap { .. } => "ldap",
            Self::Oidc { .. } => "oidc",
        }
    }

    /// Whether this server keeps its password and its roles.
    pub fn is_local(&self) -> bool {
        *self == Self::Local
    }
}

impl fmt::Display for AccountSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Local => "this server",
            Self::Ldap { .. } => "the directory",
            Self::Oidc { .. } => "single sign-on",
        })
    }
}

/// The roles that groups give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupGrants {
    grants: BTreeMap<String, Vec<Grant>>,
    naming: Naming,
}

/// How names of groups are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// As distinguished names of a directory.
    Distinguished,
    /// Byte by byte.
    Exact,
}

impl Naming {
    fn key(self, name: &str) -> String {
        match self {
            Self::Distinguished => plain_name(name),
            Self::Exact => name.to_owned(),
        }
    }
}

impl GroupGrants {
    /// From names of groups and what each gives.
    pub fn new(naming: Naming, groups: impl IntoIterator<Item = (String, Vec<Grant>)>) -> Self {
        let mut all: BTreeMap<String, Vec<Grant>> = BTreeMap::new();
        for (group, grants) in groups {
            all.entry(naming.key(&group)).or_default().extend(grants);
        }
        Self { grants: all, naming }
    }

    /// Whether no group gives anything.
    pub fn is_empty(&self) -> bool {
        self.grants.values().all(Vec::is_empty)
    }

    /// What somebody has who belongs to these groups: sorted, each once.
    pub fn of<'a>(&self, groups: impl IntoIterator<Item = &'a str>) -> Vec<Grant> {
        let given = groups.into_iter().filter_map(|group| self.grants.get(&self.naming.key(group)));
        let mut grants: Vec<Grant> = given.flatten().cloned().collect();
        grants.sort();
        grants.dedup();
        grants
    }
}

/// A distinguished name as it is compared: in small letters, without the spaces beside `,` and `=`
/// that mean nothing (RFC 4514, section 4). Whatever else differs makes another name, so a group
/// that is written in an unusual way gives nothing rather than too much.
fn plain_name(name: &str) -> String {
    let parts = name.split(',').map(|part| match part.split_once('=') {
        Some((kind, value)) => format!("{}={}", kind.trim(), value.trim()),
        None => part.trim().to_owned(),
    });
    parts.collect::<Vec<_>>().join(",").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_give_what_was_said_of_them_and_others_nothing() {
        let grants = |texts: &[&str]| -> Vec<Grant> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let groups = GroupGrants::new(
            Naming::Distinguished,
            [
                ("CN=Go Operators, OU=Groups, DC=example".to_owned(), grants(&["operator@berlin"])),
                ("cn=auditors,dc=example".to_owned(), grants(&["viewer", "auditor"])),
                ("cn=everybody,dc=example".to_owned(), grants(&["viewer"])),
            ],
        );
        for (of, expect) in [
            (&["cn=go operators,ou=groups,dc=example"][..], &["operator@berlin"][..]),
            (&["CN = Auditors,DC=example", "cn=everybody,dc=example"], &["viewer", "auditor"]),
            (&["cn=operators,dc=example"], &[]),
            (&["cn=auditors,dc=example,dc=org"], &[]),
            (&["cn=auditors\\,dc=example"], &[]),
            (&[""], &[]),
            (&[], &[]),
        ] {
            assert_eq!(groups.of(of.iter().copied()), grants(expect), "{of:?}");
        }
        let exact = GroupGrants::new(Naming::Exact, [("ops".to_owned(), grants(&["operator"]))]);
        assert_eq!(exact.of(["ops"]), grants(&["operator"]));
        assert_eq!(exact.of(["Ops", " ops", "ops,x"]), []);
    }
}
