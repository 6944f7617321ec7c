//! What stands in one folder that may be a Go. Other people can write most of these folders, and
//! the one who looks may be the system itself: so links are not followed, pipes are not waited for,
//! and no file is read beyond a bound. (dpkg's lists are the system's own.)

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use gofleet_core::inventory::{BuildInfo, LONGEST_BUILD_INFO, Size, version_of_file};
use gofleet_platform::{Folder, Found};

use super::Unseens;

/// A file `VERSION` has two lines, the description of a package some dozens.
const LONGEST_TEXT: u64 = 64 << 10;
/// What is read of a command at once, beside what is kept of the piece before.
const PIECE: usize = 4 << 20;
/// Go's command has some 15 MB.
const LONGEST_COMMAND: u64 = 256 << 20;
/// A Go has some 15,000 files; one with every toolchain built and tested perhaps ten times as many.
const MOST_FILES: u64 = 500_000;
/// The most entries of a folder that are looked at.
const MOST_ENTRIES: usize = 5_000;
/// The most folders that a search goes through, and how deep it goes.
const MOST_FOLDERS: usize = 200_000;
const DEEPEST: usize = 12;

/// The text of the tree's file `VERSION`.
pub(super) fn version_file(tree: &Path, unseen: &mut Unseens) -> Option<String> {
    text_in(tree, "VERSION", unseen).filter(|text| version_of_file(text).is_some())
}

/// What a command tells of its making.
pub(super) fn build_info(command: &Path, unseen: &mut Unseens) -> Option<BuildInfo> {
    let file = file_in(command.parent()?, command.file_name()?.to_str()?, unseen)?;
    unseen.or_note(command, read_build_info(file))?
}

fn file_in(folder: &Path, name: &str, unseen: &mut Unseens) -> Option<File> {
    let found = Folder::open(folder).and_then(|folder| folder.find(name));
    match unseen.or_note(&folder.join(name), found)? {
        Found::File(file, _) => Some(file),
        Found::Absent | Found::NotAFile => None,
    }
}

fn text_in(folder: &Path, name: &str, unseen: &mut Unseens) -> Option<String> {
    let mut text = String::new();
    file_in(folder, name, unseen)?.take(LONGEST_TEXT).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Piece by piece, since a service keeps little memory.
fn read_build_info(file: File) -> io::Result<Option<BuildInfo>> {
    let mut file = file.take(LONGEST_COMMAND);
    let mut window = Vec::new();
    loop {
        let read = file.by_ref().take(PIECE as u64).read_to_end(&mut window)?;
        let found = BuildInfo::find(&window);
        // At the end of a piece the package may be cut off.
        if read == 0 || found.as_ref().is_some_and(|it| it.package.is_some()) {
            return Ok(found);
        }
        // A multiple of the alignment goes, so that the rest begins at one.
        let goes = window.len().saturating_sub(2 * LONGEST_BUILD_INFO) / 16 * 16;
        window.drain(..goes);
    }
}

/// The folders directly in a folder, links among them. One that is not there has none.
pub(super) fn folders_in(folder: &Path, unseen: &mut Unseens) -> Vec<PathBuf> {
    let Some(entries) = unseen.or_note(folder, fs::read_dir(folder)) else { return Vec::new() };
    let is_folder = |kind: io::Result<fs::FileType>| kind.is_ok_and(|it| !it.is_file());
    let mut folders: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| is_folder(entry.file_type()))
        .map(|entry| entry.path())
        .take(MOST_ENTRIES + 1)
        .collect();
    if folders.len() > MOST_ENTRIES {
        unseen.note(folder, &format!("there are more than {MOST_ENTRIES} folders in it"));
        folders.truncate(MOST_ENTRIES);
    }
    folders.sort();
    folders
}

/// Every folder below `top` that has a command of Go in its `bin`; what is below such a one is its
/// own. Links are not followed.
pub(super) fn search(top: &Path, unseen: &mut Unseens) -> Vec<PathBuf> {
    let (mut found, mut seen) = (Vec::new(), 0);
    let mut left = vec![(top.to_owned(), 0)];
    while let Some((folder, depth)) = left.pop() {
        seen += 1;
        if seen > MOST_FOLDERS {
            unseen.note(top, &format!("there are more than {MOST_FOLDERS} folders below it"));
            break;
        }
        if folder.join("bin").join(super::GO).is_file() {
            found.push(folder);
            continue;
        }
        let Some(entries) = unseen.or_note(&folder, fs::read_dir(&folder)) else { continue };
        let below = entries.flatten().filter(|it| it.file_type().is_ok_and(|kind| kind.is_dir()));
        if depth == DEEPEST {
            if below.count() > 0 {
                unseen.note(&folder, &format!("it is {DEEPEST} folders deep; search it by itself"));
            }
            continue;
        }
        left.extend(below.map(|entry| (entry.path(), depth + 1)));
    }
    found.sort();
    found
}

/// How large a tree is.
pub(super) fn size(tree: &Path, unseen: &mut Unseens) -> Size {
    let mut size = Size { is_whole: true, ..Size::default() };
    let mut left = vec![tree.to_owned()];
    while let Some(folder) = left.pop() {
        let Some(entries) = unseen.or_note(&folder, fs::read_dir(&folder)) else {
            size.is_whole = false;
            continue;
        };
        for entry in entries {
            // On Windows this costs nothing: the listing holds it. Links are told as links.
            let Ok(entry) = entry else {
                size.is_whole = false;
                continue;
            };
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => left.push(entry.path()),
                Ok(metadata) if metadata.is_file() => {
                    size.files += 1;
                    size.bytes = size.bytes.saturating_add(metadata.len());
                }
                Ok(_) => {}
                Err(_) => size.is_whole = false,
            }
        }
        if size.files > MOST_FILES {
            unseen.note(tree, &format!("it has more than {MOST_FILES} files"));
            size.is_whole = false;
            break;
        }
    }
    size
}

/// The package that each of these commands belongs to, as dpkg's own lists tell (dpkg(1): a list of
/// the files of each package).
pub(super) fn packages(
    info: &Path,
    commands: &[&str],
    unseen: &mut Unseens,
) -> BTreeMap<String, String> {
    let mut packages = BTreeMap::new();
    if commands.is_empty() {
        return packages;
    }
    let Some(entries) = unseen.or_note(info, fs::read_dir(info)) else { return packages };
    let lists = entries.flatten().map(|entry| entry.path());
    for list in lists.filter(|path| path.extension().is_some_and(|it| it == "list")) {
        let Some(text) = unseen.or_note(&list, fs::read_to_string(&list)) else { continue };
        let package = list.file_stem().unwrap_or_default().to_string_lossy();
        // `name:amd64` where a package may be there for several architectures.
        let package = package.split(':').next().unwrap_or_default();
        for line in text.lines().filter(|line| commands.contains(line)) {
            packages.insert(line.to_owned(), package.to_owned());
        }
    }
    packages
}

/// The version in the description of Chocolatey's package of Go.
pub(super) fn chocolatey(packages: &Path, unseen: &mut Unseens) -> Option<String> {
    let text = text_in(&packages.join("golang"), "golang.nuspec", unseen)?;
    let (_, rest) = text.split_once("<version>")?;
    Some(rest.split_once("</version>")?.0.trim().to_owned())
}
