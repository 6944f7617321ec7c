//! The steps by which a database comes to its present form. A step that was released is never
//! changed: each database remembers the checksums of those that it went through.

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

macro_rules! step {
    ($name:literal) => {
        ($name, include_str!(concat!("../migrations/", $name, ".sql")))
    };
}

/// Name and SQL of each step, oldest first.
const STEPS: [(&str, &str); 16] = [
    step!("0001_first"),
    step!("0002_artifacts"),
    step!("0003_windows"),
    step!("0004_decisions"),
    step!("0005_attempts"),
    step!("0006_audit"),
    step!("0007_holds"),
    step!("0008_anomalies"),
    step!("0009_identity"),
    step!("0010_published"),
    step!("0011_forecast"),
    step!("0012_trust"),
    step!("0013_collections"),
    step!("0014_canary"),
    step!("0015_people"),
    step!("0017_absences"),
];

/// All of them. sqlx's own macro would do the same, and compile SQLite a second time for it.
pub fn migrator() -> Migrator {
    let steps = STEPS.into_iter().map(|(name, sql)| {
        let (version, name) = name.split_once('_').expect("a number, then words");
        let version = version.parse().expect("it is a number");
        let (kind, name) = (MigrationType::Simple, name.replace('_', " "));
        Migration::new(version, name.into(), kind, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(steps.collect())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_is_a_step_in_its_order() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut files: Vec<_> = files.map(|name| name.into_string().unwrap()).collect();
        files.sort();
        assert_eq!(files, STEPS.map(|(name, _)| format!("{name}.sql")));
        assert_eq!(migrator().iter().count(), STEPS.len());
    }
}
