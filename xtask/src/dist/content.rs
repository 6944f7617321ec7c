//! The files that every package holds beside the programs, and putting them into a folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::build::{Program, Target};
use crate::run::root;

/// What a package is made of.
#[derive(Debug)]
pub struct Content<'a> {
    /// The platform of its programs.
    pub target: &'a Target,
    /// The folder that holds them.
    pub programs: PathBuf,
    /// Their bill of materials.
    pub bill: PathBuf,
    /// Their version.
    pub version: &'a str,
    /// The time that all files bear, in seconds since 1970.
    pub epoch: i64,
    /// Whether to pack them as small as is usual. Tests have no use for it, and it takes a while.
    pub is_small: bool,
}

/// A file of a package.
#[derive(Debug)]
pub struct File {
    /// Its path in the package, with `/`.
    pub path: String,
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Whether it is a program.
    pub is_executable: bool,
}

/// The settings' file that explains itself.
const SETTINGS: &str = include_str!("files/agent.toml");

impl Content<'_> {
    /// Program, shim, licence, an example of settings and the bill of materials, as they lie in one
    /// folder.
    ///
    /// # Errors
    ///
    /// Which one can't be read.
    pub fn files(&self) -> Result<Vec<File>> {
        let is_windows = !self.target.suffix.is_empty();
        let mut files = Vec::new();
        for program in [Program::Gofleet, Program::GofleetShim] {
            files.push(self.program(program)?);
        }
        let licence = if is_windows { "LICENSE.txt" } else { "LICENSE" };
        files.push(File::plain(licence, read(&root().join("LICENSE"))?));
        files.push(File::plain("agent.toml.example", SETTINGS.into()));
        files.push(File::plain("gofleet.cdx.json", read(&self.bill)?));
        Ok(files)
    }

    fn program(&self, program: Program) -> Result<File> {
        let path = program.file(self.target);
        let bytes = read(&self.programs.join(&path))?;
        Ok(File { path, bytes, is_executable: true })
    }
}

impl File {
    /// One that is no program.
    pub fn plain(path: &str, bytes: Vec<u8>) -> Self {
        Self { path: path.to_owned(), bytes, is_executable: false }
    }

    /// Its mode on Linux.
    pub const fn mode(&self) -> u32 {
        if self.is_executable { 0o755 } else { 0o644 }
    }

    /// Writes it below a folder.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(&self.path);
        let parent = path.parent().context("a file lies in a folder")?;
        make_folders(parent)?;
        fs::write(&path, &self.bytes).with_context(|| format!("write {}", path.display()))?;
        set_mode(&path, self.mode())
    }
}

/// Makes folders that everybody may enter, whatever this process is told by its umask.
///
/// # Errors
///
/// What the file system says.
pub fn make_folders(folder: &Path) -> Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    for folder in missing.into_iter().rev() {
        fs::create_dir(folder).with_context(|| format!("make {}", folder.display()))?;
        set_mode(folder, 0o755)?;
    }
    Ok(())
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) -> Result<()> {
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("read {}", path.display()))
}
