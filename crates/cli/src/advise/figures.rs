//! The figures that the comparison is computed with: from a file, from flags, and as rows.

use std::path::Path;

use anyhow::Context;
use gofleet_core::advice::{Assumptions, InvalidFigure, KEYS, Source, Unit};
use serde::Serialize;

use crate::failure::Hinted;

/// A figure as it is told.
#[derive(Debug, Serialize)]
pub struct FigureRow {
    /// Its name, like `by_hand.minutes_per_node`.
    pub name: &'static str,
    /// Its value, in the unit.
    pub value: f64,
    /// What it is counted in.
    pub unit: Unit,
    /// Where the value comes from.
    pub source: Source,
    /// What it means.
    pub meaning: &'static str,
}

impl FigureRow {
    /// Every figure.
    pub fn all(assumptions: &Assumptions) -> Vec<Self> {
        let row = |(key, figure): (&'static gofleet_core::advice::Key, _)| {
            let gofleet_core::advice::Figure { value, source } = figure;
            Self { name: key.name, value, unit: key.unit, source, meaning: key.meaning }
        };
        assumptions.figures().map(row).collect()
    }
}

/// `FIGURE=VALUE` as its two parts.
pub fn parse(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
        None => Err("expected FIGURE=VALUE, like managed.error_rate=1%".to_owned()),
    }
}

/// Sets one figure.
///
/// # Errors
///
/// If there is none of this name, or the value is none for it.
pub fn set(assumptions: &mut Assumptions, name: &str, value: &str) -> anyhow::Result<()> {
    let hint = |error: &InvalidFigure| match error {
        InvalidFigure::Unknown(name) => {
            let tail = name.rsplit('.').next().unwrap_or(name);
            let meant = KEYS.iter().find(|key| key.name.ends_with(tail));
            match meant {
                Some(key) => format!("is {} meant?", key.name),
                None => "`gofleet advise --print-assumptions` shows every figure".to_owned(),
            }
        }
        InvalidFigure::Value { .. } => {
            "`gofleet advise --print-assumptions` shows every figure with its unit".to_owned()
        }
    };
    assumptions
        .set(name, value)
        .map_err(|error| Hinted::usage(error.to_string(), hint(&error)).into())
}

/// The published figures, with those of the file over them.
///
/// # Errors
///
/// If the file can't be read, is no TOML, or has what is no figure.
pub fn load(file: Option<&Path>) -> anyhow::Result<Assumptions> {
    let mut assumptions = Assumptions::default();
    let Some(file) = file else { return Ok(assumptions) };
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("{} can't be read", file.display()))?;
    let table: toml::Table =
        toml::from_str(&text).with_context(|| format!("{} is not TOML", file.display()))?;
    for (name, value) in flat(&table) {
        set(&mut assumptions, &name, &value)
            .with_context(|| format!("{} can't be used", file.display()))?;
    }
    Ok(assumptions)
}

/// The values of a table and of those in it, by their dotted names.
fn flat(table: &toml::Table) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (name, value) in table {
        match value {
            toml::Value::Table(inner) => {
                let dotted = |(key, value)| (format!("{name}.{key}"), value);
                all.extend(flat(inner).into_iter().map(dotted));
            }
            toml::Value::String(text) => all.push((name.clone(), text.clone())),
            other => all.push((name.clone(), other.to_string())),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_figures_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("figures.toml");
        let mut assumptions = Assumptions::default();
        assumptions.set("script.error_rate", "7%").unwrap();
        assumptions.set("changes_per_year", "24").unwrap();
        std::fs::write(&path, assumptions.to_toml()).unwrap();
        assert_eq!(load(Some(&path)).unwrap(), assumptions);
        std::fs::write(&path, "[managed]\nerror_rate = '3%'\nminutes_per_node = 7\n").unwrap();
        let read = load(Some(&path)).unwrap();
        let edited: Vec<_> = read.figures().filter(|it| it.1.source == Source::Edited).collect();
        let values: Vec<_> = edited.iter().map(|(key, it)| (key.name, it.value)).collect();
        assert_eq!(values, [("managed.minutes_per_node", 7.0), ("managed.error_rate", 0.03)]);
    }

    #[test]
    fn mistakes_in_a_file_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("figures.toml");
        for (text, expect) in [
            ("minutes = 3", "there is no figure `minutes`"),
            ("[managed]\nerror_rate = 2", "`2` is no value for `managed.error_rate`"),
            ("[managed]\nerror_rate = true", "`true` is no value"),
            ("managed", "is not TOML"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = format!("{:#}", load(Some(&path)).unwrap_err());
            assert!(error.contains(expect), "{error}");
        }
    }
}
