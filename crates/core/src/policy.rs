//! The group policy of agents: values in the registry, the file that carries them, the templates
//! that editors show, and the backup that a domain imports.
//!
//! What stands in the registry and what stands in `registry.pol` are the same [`Record`]s, so both
//! are read by [`read`].

mod backup;
mod pol;
mod templates;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::nearest::nearest;
use crate::settings::{Kind, Problem, SETTINGS, Setting, Value};

pub use backup::{Backup, backup};
pub use pol::{PolError, Record, decode, encode};
pub use templates::{Language, adml, admx};

/// The key of the policies, below `HKEY_LOCAL_MACHINE`.
pub const KEY: &str = r"Software\Policies\GoFleet";

/// Types of registry values (\[MS-RRP\] 3.1.1.5).
pub const REG_SZ: u32 = 1;
/// Text with `%VARIABLES%`.
pub const REG_EXPAND_SZ: u32 = 2;
/// Bytes.
pub const REG_BINARY: u32 = 3;
/// A number below 2³².
pub const REG_DWORD: u32 = 4;
/// Several texts.
pub const REG_MULTI_SZ: u32 = 7;
/// A number below 2⁶⁴.
pub const REG_QWORD: u32 = 11;

/// What the policy sets, by the setting's name, and what it says in vain. Keys of the records
/// are below [`KEY`]: empty for the key itself. A setting with something wrong in it is not used
/// at all, rather than half of it.
pub fn read(
    records: &[Record],
    environment: &dyn Fn(&str) -> Option<String>,
) -> (Vec<(&'static str, Value)>, Vec<Problem>) {
    let (mut values, mut problems) = (Vec::new(), Vec::new());
    for setting in &SETTINGS {
        match value_of(setting, records, environment) {
            Ok(Some(value)) => values.push((setting.name, value)),
            Ok(None) => {}
            Err((value, reason)) => problems.push(Problem { value, reason, instead: None }),
        }
    }
    let strangers = records.iter().filter(|record| setting_of(record).is_none());
    problems.extend(strangers.map(|record| {
        let names = SETTINGS.iter().map(|setting| setting.policy);
        let meant = nearest(&record.path(), names).expect("there are settings");
        let reason = format!("there is no such setting; did you mean {meant}?");
        Problem { value: record.path(), reason, instead: None }
    }));
    (values, problems)
}

/// The setting that a record is about: labels are values of a key of their own.
fn setting_of(record: &Record) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| match setting.kind {
        Kind::Labels => record.key.eq_ignore_ascii_case(setting.policy),
        _ => record.key.is_empty() && record.name.eq_ignore_ascii_case(setting.policy),
    })
}

/// The value, or the path of what is wrong and why.
fn value_of(
    setting: &Setting,
    records: &[Record],
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Value>, (String, String)> {
    let is_about = |record: &&Record| setting_of(record).is_some_and(|it| it.name == setting.name);
    let mut found = records.iter().filter(is_about).peekable();
    let Some(first) = found.peek().copied() else { return Ok(None) };
    let text = |record: &Record| record.text(environment).map_err(|reason| (record.path(), reason));
    let value = match setting.kind {
        Kind::Labels => {
            let entries: Result<_, (String, String)> =
                found.map(|it| Ok((it.name.clone(), text(it)?))).collect();
            Value::Table(entries?)
        }
        Kind::Urls | Kind::Files | Kind::Command => {
            Value::List(first.list().map_err(|reason| (first.path(), reason))?)
        }
        Kind::Url | Kind::Folder | Kind::Program | Kind::Hostname | Kind::Limit | Kind::Period => {
            Value::Text(text(first)?)
        }
    };
    match setting.check(&value) {
        Ok(()) => Ok(Some(value)),
        Err(reason) => {
            let path = match setting.kind {
                Kind::Labels => setting.policy.to_owned(),
                _ => first.path(),
            };
            Err((path, format!("`{value}`: {reason}")))
        }
    }
}

/// The records that set these settings, with whole keys, as `registry.pol` has them. Labels that
/// an earlier version of the policy set are deleted first.
pub fn records(values: &BTreeMap<&'static str, Value>) -> Vec<Record> {
    let mut records = Vec::new();
    for setting in &SETTINGS {
        let Some(value) = values.get(setting.name) else { continue };
        let record = |kind, data| Record {
            key: KEY.to_owned(),
            name: setting.policy.to_owned(),
            kind,
            data,
        };
        match value {
            Value::Text(text) if setting.kind == Kind::Folder => {
                records.push(record(REG_EXPAND_SZ, pol::wide(text)));
            }
            Value::Text(text) => records.push(record(REG_SZ, pol::wide(text))),
            Value::List(list) => records.push(record(REG_MULTI_SZ, pol::wide_list(list))),
            Value::Table(table) => {
                let key = format!("{KEY}\\{}", setting.policy);
                let entry = |name: &str, text: &str| Record {
                    key: key.clone(),
                    name: name.to_owned(),
                    kind: REG_SZ,
                    data: pol::wide(text),
                };
                // Editors write a space as the data of this instruction.
                records.push(entry("**delvals.", " "));
                records.extend(table.iter().map(|(name, text)| entry(name, text)));
            }
        }
    }
    records
}

/// The records of a `registry.pol` as they stand in the registry afterwards: keys below [`KEY`],
/// without instructions and without what others set.
pub fn applied(records: &[Record]) -> Vec<Record> {
    let below = |record: &Record| {
        let (head, rest) = record.key.split_at_checked(KEY.len())?;
        let is_ours = head.eq_ignore_ascii_case(KEY) && (rest.is_empty() || rest.starts_with('\\'));
        (is_ours && !record.name.starts_with("**"))
            .then(|| Record { key: rest.trim_start_matches('\\').to_owned(), ..record.clone() })
    };
    records.iter().filter_map(below).collect()
}
