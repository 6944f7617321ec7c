//! The nearest file that names a version.

use std::path::Path;

use super::chain::{Considered, Source};
use super::go::{self, GoSettings};
use super::{MAX_VERSION_FILE_BYTES, Named, ResolveError, Surroundings, named};

/// What lies in the folders from the current one upwards.
pub(super) struct Nearest {
    /// The nearest pin.
    pub pin: Option<Named>,
    /// Whether a module file lies nearer than it (or there is one and no pin at all).
    pub module_is_nearer: bool,
}

/// Looks through the folders; notes into `chain` what it finds.
pub(super) fn nearest(
    folder: &Path,
    settings: &GoSettings,
    surroundings: &dyn Surroundings,
    chain: &mut Vec<Considered>,
) -> Result<Nearest, ResolveError> {
    let mut module_is_nearer = false;
    for folder in folder.ancestors() {
        if let Some(named) = pin_in(folder, surroundings, chain)? {
            return Ok(Nearest { pin: Some(named), module_is_nearer });
        }
        module_is_nearer = module_is_nearer || go::has_module_file(folder, settings, surroundings)?;
    }
    Ok(Nearest { pin: None, module_is_nearer })
}

/// A file name, what it is, and how its text is read: to a version's text, if it has one.
type VersionFile = (&'static str, fn(&Path) -> Source, fn(&str) -> Option<&str>);

const VERSION_FILES: [VersionFile; 2] = [
    (".go-version", |path| Source::VersionFile { path: path.to_owned() }, go_version),
    (".tool-versions", |path| Source::ToolVersions { path: path.to_owned() }, tool_version),
];

/// The version that a folder's files pin.
fn pin_in(
    folder: &Path,
    surroundings: &dyn Surroundings,
    chain: &mut Vec<Considered>,
) -> Result<Option<Named>, ResolveError> {
    for (name, source_of, version_in) in VERSION_FILES {
        let path = folder.join(name);
        let content = surroundings
            .read(&path, MAX_VERSION_FILE_BYTES)
            .map_err(|source| ResolveError::Unreadable { path: path.clone(), source })?;
        let Some(content) = content else { continue };
        let text = decode(&content);
        match version_in(&text) {
            None => chain.push(Considered::unset(source_of(&path))),
            // The way of other version managers to say: none of yours.
            Some("system") => chain.push(Considered::new(source_of(&path), "system")),
            Some(version) => {
                chain.push(Considered::new(source_of(&path), version));
                return named(version, path.display().to_string(), chain.len() - 1).map(Some);
            }
        }
    }
    Ok(None)
}

/// A file's text, whatever Windows editors and shells made of it: `echo 1.27.3 > .go-version`
/// writes UTF-16 with a byte order mark in Windows PowerShell.
fn decode(content: &[u8]) -> String {
    let wide = |content: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> =
            content.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match content {
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] | rest => String::from_utf8_lossy(rest).into_owned(),
    }
}

/// The first line of a `.go-version` that is neither blank nor a comment.
fn go_version(text: &str) -> Option<&str> {
    text.lines().map(without_comment).find(|line| !line.is_empty())
}

/// The first version in the line of a `.tool-versions` for Go, which is called `golang` or `go`.
fn tool_version(text: &str) -> Option<&str> {
    text.lines().map(without_comment).find_map(|line| {
        let (tool, versions) = line.split_once(char::is_whitespace)?;
        let version = versions.split_whitespace().next()?;
        matches!(tool, "golang" | "go").then_some(version)
    })
}

fn without_comment(line: &str) -> &str {
    line.split_once('#').map_or(line, |(line, _comment)| line).trim()
}
