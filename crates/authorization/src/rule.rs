//! Rules as people write them: one Cedar policy that forbids.

use cedar_policy::{Effect, Policy, PolicyId, PolicySet, ValidationMode, Validator};
use gofleet_core::account::Rule;
use gofleet_core::ids::RuleName;
use thiserror::Error;

use crate::schema::SCHEMA;

/// The longest rule that is taken, in bytes.
const MAX_BYTES: usize = 16 << 10;

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidRule {
    /// It is too long.
    #[error("the rule is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// It is not one Cedar policy.
    #[error("the rule can't be read: {0}")]
    Syntax(String),
    /// It would give rights.
    #[error(
        "the rule begins with `permit`: a rule only takes away what roles permit, so it must begin \
         with `forbid`"
    )]
    Permits,
    /// It asks for something that requests don't have.
    #[error("the rule does not fit what can be asked: {0}")]
    Schema(String),
    /// Whoever is refused would not know why.
    #[error("the rule says nothing to whoever is refused: put `@message(\"…\")` before `forbid`")]
    Mute,
}

/// The policy of a rule, if it is a good one.
///
/// # Errors
///
/// [`InvalidRule`]
pub fn check_rule(name: &RuleName, text: &str) -> Result<(), InvalidRule> {
    policy(name, text).map(drop)
}

/// What a rule says to whoever is refused; empty if it is none.
pub fn message_of(rule: &Rule) -> String {
    annotation(rule, "message").unwrap_or_default()
}

/// The standards that a rule serves.
pub fn standards_of(rule: &Rule) -> Vec<String> {
    split(&annotation(rule, "standard").unwrap_or_default())
}

fn annotation(rule: &Rule, key: &str) -> Option<String> {
    let policy = Policy::parse(Some(id(&rule.name)), &rule.text).ok()?;
    policy.annotation(key).map(ToOwned::to_owned)
}

/// Standards are written with semicolons between.
pub(crate) fn split(standards: &str) -> Vec<String> {
    standards.split(';').map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()).collect()
}

/// Rules and roles are policies of one set: the names of rules have a beginning of their own.
pub(crate) fn id(name: &RuleName) -> PolicyId {
    PolicyId::new(format!("rule/{name}"))
}

/// The policy of a rule.
pub(crate) fn policy(name: &RuleName, text: &str) -> Result<Policy, InvalidRule> {
    if text.len() > MAX_BYTES {
        return Err(InvalidRule::TooLong);
    }
    let syntax = |error: &dyn std::error::Error| InvalidRule::Syntax(one_line(&chain(error)));
    let policy = Policy::parse(Some(id(name)), text).map_err(|error| syntax(&error))?;
    if policy.effect() != Effect::Forbid {
        return Err(InvalidRule::Permits);
    }
    if policy.annotation("message").is_none_or(|message| message.trim().is_empty()) {
        return Err(InvalidRule::Mute);
    }
    let mut alone = PolicySet::new();
    alone.add(policy.clone()).map_err(|error| syntax(&error))?;
    let found = Validator::new(SCHEMA.clone()).validate(&alone, ValidationMode::Strict);
    let errors: Vec<String> =
        found.validation_errors().map(|error| one_line(&error.to_string())).collect();
    if errors.is_empty() { Ok(policy) } else { Err(InvalidRule::Schema(errors.join("; "))) }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
