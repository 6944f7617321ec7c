//! Shims within shims: `go test` runs a program that runs `go`, and each finds its own version.
//!
//! A variable tells a shim how deep it is and what the user's own `GOTOOLCHAIN` was before a shim
//! set it, so that the inner one decides by the user's setting and not by the outer one's.

use std::env;
use std::process::Command;

use crate::ShimError;

/// The variable: the depth, and after a `:` the `GOTOOLCHAIN` that a shim replaced.
const VARIABLE: &str = "GOFLEET_SHIM";
const SETTING: &str = "GOTOOLCHAIN";
/// What a shim sets it to.
const OFF: &str = "local";
/// Deeper than any build nests Go, and still over within a tenth of a second.
const MAX_DEPTH: u32 = 50;

/// How deep this process is in shims, and the user's own setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nesting {
    depth: u32,
    setting: String,
}

impl Nesting {
    /// That of this process.
    pub fn of_this_process() -> Self {
        let value = |name| env::var(name).unwrap_or_default();
        Self::of(&value(VARIABLE), value(SETTING))
    }

    fn of(variable: &str, setting: String) -> Self {
        let (depth, replaced) = match variable.split_once(':') {
            Some((depth, replaced)) => (depth, Some(replaced)),
            None => (variable, None),
        };
        let setting = match replaced {
            Some(replaced) if setting == OFF => replaced.to_owned(),
            _ => setting,
        };
        Self { depth: depth.parse().unwrap_or(0), setting }
    }

    /// The user's own `GOTOOLCHAIN`; none if it is not set.
    pub fn setting(&self) -> Option<&str> {
        Some(self.setting.as_str()).filter(|setting| !setting.is_empty())
    }

    /// # Errors
    ///
    /// [`ShimError::Circle`] if shims only find shims.
    pub fn check(&self) -> Result<(), ShimError> {
        if self.depth < MAX_DEPTH { Ok(()) } else { Err(ShimError::Circle(self.depth)) }
    }

    /// Sets the environment of `command`, one deeper.
    pub fn enter(&self, command: &mut Command, switching_is_off: bool) {
        let depth = self.depth + 1;
        if switching_is_off {
            command.env(VARIABLE, format!("{depth}:{}", self.setting)).env(SETTING, OFF);
        } else {
            command.env(VARIABLE, depth.to_string());
            match self.setting() {
                Some(setting) => command.env(SETTING, setting),
                None => command.env_remove(SETTING),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the user's setting is taken for, two shims deep.
    fn check(user: &str, outer_is_off: bool, changed_to: Option<&str>, expect: Option<&str>) {
        let outer = Nesting::of("", user.to_owned());
        let mut command = Command::new("go");
        outer.enter(&mut command, outer_is_off);
        let set = |name: &str| {
            let (_, value) = command.get_envs().find(|(key, _)| *key == name).unwrap();
            value.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        let setting = changed_to.map_or_else(|| set(SETTING), str::to_owned);
        let inner = Nesting::of(&set(VARIABLE), setting);
        assert_eq!(inner.setting(), expect, "{user} {outer_is_off} {changed_to:?}");
        assert_eq!(inner.depth, 1);
    }

    #[test]
    fn the_inner_shim_knows_the_users_setting() {
        check("", true, None, None);
        check("go1.26.6+auto", true, None, Some("go1.26.6+auto"));
        check("local", true, None, Some("local"));
        check("auto", false, None, Some("auto"));
        check("", false, None, None);
        check("", true, Some("path"), Some("path"));
    }

    #[test]
    fn circles_end() {
        assert!(Nesting::of("49", String::new()).check().is_ok());
        assert!(Nesting::of("50:", String::new()).check().is_err());
        assert!(Nesting::of("nonsense", String::new()).check().is_ok());
    }
}
