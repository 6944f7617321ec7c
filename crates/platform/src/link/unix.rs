//! Links on Unix.

use std::io;
use std::path::Path;

use crate::Support;

pub fn replace_link(link: &Path, target: &Path) -> io::Result<Support> {
    let mut name = link.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = link.with_file_name(name);
    crate::file::remove_tree(&new)?;
    std::os::unix::fs::symlink(target, &new)?;
    // A rename replaces a link in one step; it refuses to replace a folder.
    crate::file::rename(&new, link).inspect_err(|_| {
        let _ = std::fs::remove_file(&new);
    })?;
    Ok(Support::Done)
}
