//! A folder that is held open: files below it are found, made and shared by their paths from there,
//! which spares the system the walk along the whole path for each of thousands of files.
//!
//! A link in place of a file is never followed. What is made here is read-only (mode 0444, programs 0555; on Windows
//! the read-only attribute), since one file may stand in several folders.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;

#[cfg(unix)]
#[path = "folder/unix.rs"]
mod system;
#[cfg(windows)]
#[path = "folder/windows.rs"]
mod system;

/// A folder, held open.
#[derive(Debug)]
pub struct Folder(system::Folder);

/// What stands under a name.
#[derive(Debug)]
pub enum Found {
    /// An ordinary file, opened for reading.
    File(File, Metadata),
    /// Nothing.
    Absent,
    /// A link, a folder or something else.
    NotAFile,
}

/// How one content comes to a second name, the best way first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sharing {
    /// Two files with the same blocks on disk; changing one leaves the other (btrfs, XFS).
    Clone,
    /// One file with two names.
    HardLink,
    /// Two files: the file system has neither of the above.
    Copy,
}

impl Sharing {
    /// The best way that the file system of `folder` has, found out with two files in it that are
    /// gone afterwards.
    ///
    /// # Errors
    ///
    /// If `folder` can't be written.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let (first, second) = (folder.join(".sharing-1"), folder.join(".sharing-2"));
        for left in [&first, &second] {
            crate::file::remove_tree(left)?;
        }
        fs::write(&first, b"content")?;
        let way = if system::clone_file(&first, &second).is_ok() {
            Self::Clone
        } else {
            let _ = fs::remove_file(&second);
            if fs::hard_link(&first, &second).is_ok() { Self::HardLink } else { Self::Copy }
        };
        for made in [&first, &second] {
            crate::file::remove_tree(made)?;
        }
        Ok(way)
    }
}

impl Folder {
    /// Opens the folder at `path`.
    ///
    /// # Errors
    ///
    /// What the system said, also if it is no folder.
    pub fn open(path: &Path) -> io::Result<Self> {
        system::Folder::open(path).map(Self)
    }

    /// What stands under `name` (`/` between components) here.
    ///
    /// # Errors
    ///
    /// What the system said if something is there but can't be opened.
    pub fn find(&self, name: &str) -> io::Result<Found> {
        self.0.find(name)
    }

    /// Makes a file that can be written through the answer only; [`finish`] it. Nothing may stand
    /// under `name`.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub fn create(&self, name: &str, executable: bool) -> io::Result<File> {
        self.0.create(name, executable)
    }

    /// Gives the content of the file `from` (a name in another folder) the name `name` here, where
    /// nothing of that name may stand, and opens it here: what is read through the answer is what
    /// stands here, whatever happens to `from`. Where `sharing` fails for this file (a file system allows so
    /// many links and no more), it is copied.
    ///
    /// # Errors
    ///
    /// What copying said. Nothing is left here then, nor where the answer is no file.
    pub fn share(
        &self,
        name: &str,
        from: (&Self, &str),
        executable: bool,
        sharing: Sharing,
    ) -> io::Result<Found> {
        let (folder, from) = from;
        if sharing == Sharing::HardLink && self.0.link(name, &folder.0, from).is_ok() {
            let found = self.find(name);
            if !matches!(found, Ok(Found::File(..))) {
                // A link to something else has got a second name.
                self.remove(name)?;
            }
            return found;
        }
        let mut source = match folder.find(from)? {
            Found::File(file, _) => file,
            other => return Ok(other),
        };
        let mut copy = self.create(name, executable)?;
        let is_cloned = sharing == Sharing::Clone && system::clone_content(&source, &copy).is_ok();
        let copied = if is_cloned { Ok(0) } else { io::copy(&mut source, &mut copy) };
        if let Err(error) = copied.and_then(|_| finish(&copy)) {
            let _ = self.remove(name);
            return Err(error);
        }
        drop(copy);
        self.find(name)
    }

    /// Removes a file from this folder.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }
}

/// Ends the writing of a file that was [created](Folder::create).
///
/// # Errors
///
/// What the system said.
pub fn finish(file: &File) -> io::Result<()> {
    system::finish(file)
}

/// Makes a file read-only that is not yet.
///
/// # Errors
///
/// What the system said.
pub fn make_read_only(file: &File, metadata: &Metadata) -> io::Result<()> {
    let mut permissions = metadata.permissions();
    if permissions.readonly() {
        return Ok(());
    }
    permissions.set_readonly(true);
    file.set_permissions(permissions)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn read(found: Found) -> Option<String> {
        let Found::File(mut file, metadata) = found else { return None };
        assert!(metadata.permissions().readonly());
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        Some(text)
    }

    fn make(folder: &Folder, name: &str, content: &str) {
        let mut file = folder.create(name, true).unwrap();
        file.write_all(content.as_bytes()).unwrap();
        finish(&file).unwrap();
    }

    #[test]
    fn what_is_made_is_found_and_read_only() {
        let ground = tempfile::tempdir().unwrap();
        let folder = Folder::open(ground.path()).unwrap();
        make(&folder, "go", "content");
        assert_eq!(read(folder.find("go").unwrap()).as_deref(), Some("content"));
        assert!(folder.create("go", true).is_err(), "an existing file is not overwritten");
        folder.remove("go").unwrap();
        assert!(matches!(folder.find("go").unwrap(), Found::Absent));
        fs::create_dir(ground.path().join("src")).unwrap();
        assert!(matches!(folder.find("src").unwrap(), Found::NotAFile));
    }

    #[test]
    fn every_way_of_sharing_gives_the_same_content() {
        let ground = tempfile::tempdir().unwrap();
        for sharing in [Sharing::Clone, Sharing::HardLink, Sharing::Copy] {
            let (one, two) = (ground.path().join("one"), ground.path().join("two"));
            fs::create_dir(&one).unwrap();
            fs::create_dir(&two).unwrap();
            let (from, to) = (Folder::open(&one).unwrap(), Folder::open(&two).unwrap());
            make(&from, "go", "content");
            let found = to.share("also", (&from, "go"), true, sharing).unwrap();
            assert_eq!(read(found).as_deref(), Some("content"), "{sharing:?}");
            from.remove("go").unwrap();
            assert_eq!(read(to.find("also").unwrap()).as_deref(), Some("content"), "{sharing:?}");
            let absent = to.share("more", (&from, "go"), true, sharing).unwrap();
            assert!(matches!(absent, Found::Absent));
            crate::remove_tree(&one).unwrap();
            crate::remove_tree(&two).unwrap();
        }
    }

    #[test]
    fn finding_out_leaves_nothing() {
        let ground = tempfile::tempdir().unwrap();
        Sharing::of(ground.path()).unwrap();
        assert_eq!(fs::read_dir(ground.path()).unwrap().count(), 0);
        assert!(Sharing::of(&ground.path().join("absent")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn links_and_pipes_are_no_files() {
        let ground = tempfile::tempdir().unwrap();
        let folder = Folder::open(ground.path()).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", ground.path().join("link")).unwrap();
        assert!(matches!(folder.find("link").unwrap(), Found::NotAFile));
        let pipe = ground.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success() && matches!(folder.find("pipe").unwrap(), Found::NotAFile));
    }
}
