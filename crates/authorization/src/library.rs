//! Rules that most companies need, to be taken as they are or changed.

use gofleet_core::ids::RuleName;

/// A rule to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    /// The name under which it is taken.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

impl Example {
    /// The name under which it is taken.
    pub fn rule_name(self) -> RuleName {
        self.name.parse().expect("names of examples are good names")
    }
}

macro_rules! examples {
    ($($name:literal),+ $(,)?) => {
        [$(Example { name: $name, text: include_str!(concat!("../rules/", $name, ".cedar")) }),+]
    };
}

/// The rule that every server has: it can't be deleted, or whoever may change rules could first
/// delete it and then take all rights.
pub const BUILT_IN: Example =
    Example { name: "no-self-grant", text: include_str!("../rules/no-self-grant.cedar") };

/// All of them.
pub const fn examples() -> [Example; 8] {
    examples![
        "four-eyes",
        "approve-in-person",
        "change-ticket",
        "signed-release",
        "supported-release",
        "audit-healthy",
        "encrypted",
        "freeze",
    ]
}
