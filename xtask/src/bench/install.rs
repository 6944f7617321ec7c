//! From a local mirror to a verified tree, against unzip and Python's zipfile.

use anyhow::{Result, bail};

use super::Row;

pub fn measure() -> Result<Vec<Row>> {
    bail!("not measured yet")
}
