//! A rollout as a file.

use std::path::Path;

use anyhow::Context;
use gofleet_core::rollout::RolloutSpec;

use crate::failure::Hinted;

/// Reads a rollout from a YAML file.
///
/// # Errors
///
/// If it can't be read, or is not a rollout: with line and column.
pub fn read(path: &Path) -> anyhow::Result<RolloutSpec> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} can't be read", path.display()))?;
    parse(&text).with_context(|| {
        Hinted::new(
            format!("{} is not a rollout", path.display()),
            "docs/reference.md shows a whole one; `gofleet rollout plan -f FILE` checks yours",
        )
    })
}

fn parse(text: &str) -> Result<RolloutSpec, serde_saphyr::Error> {
    serde_saphyr::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_file_is_read() {
        let spec = parse(include_str!("../../tests/data/rollout.yaml")).unwrap();
        assert_eq!(spec.name, "go 1.27.3");
        assert_eq!(spec.rings.len(), 3);
    }

    #[test]
    fn a_mistake_is_pointed_at() {
        for (text, place) in [
            ("name: a\nversion: 1.27.3\nrings:\n  - name: test\n    cuont: 1\n", "line 5"),
            ("name: a\nversion: 1.27.3\nsoak: soon\nrings: []\n", "line 3"),
            ("name: a\nversion: [\n", "line"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(place), "{text}: {error}");
        }
    }
}
