//! `cargo xtask docs`: the references in `docs/`, each written by the program itself, so that they
//! can't say what is not so. `--check` compares instead; the tests run it.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::run::{program_of_tests, read, root};

#[derive(clap::Args)]
pub struct Arguments {
    /// Change nothing; fail if a file is not what the program would write
    #[arg(long)]
    check: bool,
}

/// The files, and the verbs that print them.
const PAGES: [(&str, &[&str]); 2] =
    [("docs/reference.md", &["reference"]), ("docs/openapi.json", &["server", "--print-openapi"])];

pub fn main(arguments: &Arguments) -> Result<()> {
    write(arguments.check)
}

/// Writes the pages, or compares them.
pub fn write(is_check: bool) -> Result<()> {
    let program = program_of_tests("gofleet")?;
    for (file, verb) in PAGES {
        let page = read(Command::new(&program).current_dir(root()).args(verb))?;
        let page = format!("{}\n", page.trim_end());
        let path = root().join(file);
        if is_check {
            let present = fs::read_to_string(&path).with_context(|| format!("read {file}"))?;
            ensure!(present == page, "{file} is not what the program says; run `cargo xtask docs`");
        } else {
            fs::create_dir_all(root().join("docs"))?;
            fs::write(&path, page).with_context(|| format!("write {file}"))?;
            eprintln!("wrote {file}");
        }
    }
    Ok(())
}
