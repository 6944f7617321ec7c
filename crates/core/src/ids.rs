//! A type per kind of identifier, so that one is never passed for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The text cannot serve as this kind of identifier.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "not a {kind}: `{text}` (expected 1 to 100 of a-z, A-Z, 0-9, `.`, `_`, `-`, `+`, beginning \
     with a letter or digit)"
)]
pub struct InvalidId {
    /// What was expected, like `device id`.
    pub kind: &'static str,
    /// What was given, cut after 80 characters.
    pub text: String,
}

fn parse(kind: &'static str, text: &str) -> Result<String, InvalidId> {
    let fits = (1..=100).contains(&text.len())
        && text.as_bytes()[0].is_ascii_alphanumeric()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte));
    if fits {
        Ok(text.to_owned())
    } else {
        Err(InvalidId { kind, text: text.chars().take(80).collect() })
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $kind:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse($kind, text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}({})", stringify!($name), self.0)
            }
        }

        #[cfg(feature = "schema")]
        crate::string_schema!($name, $kind);
    )+};
}

ids! {
    /// A device, named by the server at enrolment.
    DeviceId = "device id";
    /// A rollout, named by the server when it is started.
    RolloutId = "rollout id";
    /// A release: package, version and platform, like `go-1.27.3-windows-amd64`.
    ReleaseId = "release id";
    /// A distribution point, named by the server when it enrols.
    EdgeId = "distribution point id";
    /// A hold, named by the server when it is made.
    HoldId = "hold id";
    /// A named collection of devices.
    CollectionName = "collection name";
    /// A person's account.
    AccountName = "account name";
    /// A rule of the server.
    RuleName = "rule name";
    /// A package, like `go`.
    PackageName = "package name";
}

/// By which a person or a collection is found: case does not count in their names.
pub fn without_case(name: &str) -> String {
    name.to_ascii_lowercase()
}

impl CollectionName {
    /// By which it is found.
    pub fn key(&self) -> String {
        without_case(&self.0)
    }
}

impl AccountName {
    /// By which it is found.
    pub fn key(&self) -> String {
        without_case(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_fit_for_paths_and_addresses() {
        assert!("go-1.27.3-windows-amd64".parse::<ReleaseId>().is_ok());
        for text in ["", "../etc", "-x", "a/b", "a b", "é", &"a".repeat(101)] {
            let error = text.parse::<DeviceId>().unwrap_err();
            assert!(error.to_string().starts_with("not a device id"), "{error}");
        }
    }
}
