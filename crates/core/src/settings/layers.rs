//! Which of several sources a setting comes from: policy > flags > environment > file > default.
//!
//! The policy is what administrators enforce, so it stands above all. A value of it that does not
//! fit is a [`Problem`] and the next source counts: a typing error in a domain must not end the
//! agents of a fleet. Elsewhere a value that does not fit is an error, for whoever wrote it is
//! there to read it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{SETTINGS, Setting, Value};
use crate::nearest::nearest;
use crate::policy::{self, Record};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// This file.
    File(String),
    /// This environment variable.
    Environment(&'static str),
    /// This flag.
    Flag(&'static str),
    /// The group policy.
    Policy,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Default => "default",
            Self::File(path) => path,
            Self::Environment(name) => name,
            Self::Flag(flag) => flag,
            Self::Policy => "policy",
        })
    }
}

/// Where settings may come from.
pub struct Sources<'a> {
    /// What stands in the registry below the key of the policies; see [`policy::read`].
    pub policy: &'a [Record],
    /// Flags that were given, by the setting's name.
    pub flags: &'a [(&'static str, Value)],
    /// The environment, asked by name; a variable that is empty counts as not set.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// The file's name and entries, if there is one.
    pub file: Option<(&'a str, &'a [(String, Value)])>,
    /// What holds if nobody says anything, by the setting's name.
    pub defaults: &'a [(&'static str, Value)],
}

/// Why there are no settings.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// The file has a key that means nothing.
    #[error("{file} has a key `{key}` that means nothing")]
    UnknownKey {
        /// The file.
        file: String,
        /// The key.
        key: String,
        /// The valid key that looks most like it.
        nearest: &'static str,
    },
    /// A value does not fit its setting.
    #[error("`{setting}` cannot be `{value}` (from {origin}): {reason}")]
    Value {
        /// The setting.
        setting: &'static str,
        /// The text.
        value: String,
        /// Where it came from.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl SettingsError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { nearest, .. } => {
                let all: Vec<_> = SETTINGS.iter().map(|setting| setting.name).collect();
                Some(format!("did you mean `{nearest}`? There are: {}", all.join(", ")))
            }
            Self::Value { setting, .. } => Setting::of_name(setting)
                .map(|known| format!("`{setting}` is {}", known.english.meaning)),
        }
    }
}

/// A value of the policy that is not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The value's name in the registry, below the key of the policies.
    pub value: String,
    /// What is wrong with it.
    pub reason: String,
    /// Where the setting comes from instead; none if there is no such setting.
    pub instead: Option<String>,
}

impl fmt::Display for Problem {
    /// In one line.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, reason, instead } = self;
        // A registry takes any text for the name of a value.
        let plain = |letter: char| if letter.is_control() { '\u{fffd}' } else { letter };
        let value: String = value.chars().map(plain).collect();
        let reason: String = reason.lines().next().unwrap_or_default().chars().map(plain).collect();
        write!(formatter, "the policy {}\\{value} is not used: {reason}", policy::KEY)?;
        match instead {
            Some(origin) => write!(formatter, " (instead: {origin})"),
            None => Ok(()),
        }
    }
}

/// The settings of an agent, and where each came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    values: BTreeMap<&'static str, (Value, Origin)>,
    /// What the policy says in vain.
    pub problems: Vec<Problem>,
}

/// A setting as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Its value, if it has one.
    pub value: Option<Value>,
    /// Where that came from.
    pub origin: String,
}

impl Settings {
    /// Lays the sources over each other.
    ///
    /// # Errors
    ///
    /// [`SettingsError`], never because of the policy.
    pub fn of(sources: &Sources<'_>) -> Result<Self, SettingsError> {
        let mut values = BTreeMap::new();
        for (name, value) in sources.defaults {
            values.insert(*name, (value.clone(), Origin::Default));
        }
        if let Some((file, entries)) = sources.file {
            for (key, value) in entries {
                let setting = Setting::of_name(key).ok_or_else(|| unknown(file, key))?;
                let origin = Origin::File(file.to_owned());
                values.insert(setting.name, checked(setting, value.clone(), origin)?);
            }
        }
        for setting in &SETTINGS {
            let set = (sources.environment)(setting.environment).filter(|text| !text.is_empty());
            if let Some(text) = set {
                let origin = Origin::Environment(setting.environment);
                let value = setting
                    .parse(&text)
                    .map_err(|reason| unfit(setting, &text, &origin, reason))?;
                values.insert(setting.name, (value, origin));
            }
            if let Some((_, value)) = sources.flags.iter().find(|(name, _)| *name == setting.name) {
                let origin = Origin::Flag(setting.flag);
                values.insert(setting.name, checked(setting, value.clone(), origin)?);
            }
        }
        let (enforced, mut problems) = policy::read(sources.policy, sources.environment);
        for (name, value) in enforced {
            values.insert(name, (value, Origin::Policy));
        }
        for problem in &mut problems {
            let top = problem.value.split('\\').next().unwrap_or_default();
            let setting = SETTINGS.iter().find(|it| it.policy.eq_ignore_ascii_case(top));
            problem.instead = setting.map(|setting| {
                values.get(setting.name).map_or(Origin::Default, |(_, it)| it.clone()).to_string()
            });
        }
        Ok(Self { values, problems })
    }

    /// What a setting is set to.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name).map(|(value, _)| value)
    }

    /// The text of a setting that is one.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.value(name)? {
            Value::Text(text) => Some(text),
            Value::List(_) | Value::Table(_) => None,
        }
    }

    /// The entries of a setting that is a list; none if it is not set.
    pub fn list(&self, name: &str) -> &[String] {
        match self.value(name) {
            Some(Value::List(list)) => list,
            Some(Value::Text(_) | Value::Table(_)) | None => &[],
        }
    }

    /// Every setting by its name, in the table's order.
    pub fn shown(&self) -> Vec<(&'static str, Shown)> {
        let shown = |setting: &Setting| {
            let known = self.values.get(setting.name);
            let origin = known.map_or(Origin::Default, |(_, origin)| origin.clone());
            let value = known.map(|(value, _)| value.clone());
            (setting.name, Shown { value, origin: origin.to_string() })
        };
        SETTINGS.iter().map(shown).collect()
    }
}

fn checked(
    setting: &Setting,
    value: Value,
    origin: Origin,
) -> Result<(Value, Origin), SettingsError> {
    match setting.check(&value) {
        Ok(()) => Ok((value, origin)),
        Err(reason) => Err(unfit(setting, &value.to_string(), &origin, reason)),
    }
}

fn unfit(setting: &Setting, value: &str, origin: &Origin, reason: String) -> SettingsError {
    SettingsError::Value {
        setting: setting.name,
        value: value.to_owned(),
        origin: origin.to_string(),
        reason,
    }
}

fn unknown(file: &str, key: &str) -> SettingsError {
    let names = SETTINGS.iter().map(|setting| setting.name);
    SettingsError::UnknownKey {
        file: file.to_owned(),
        key: key.to_owned(),
        nearest: nearest(key, names).expect("there are settings"),
    }
}
