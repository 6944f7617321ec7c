//! The artifacts that a distribution point keeps: whole ones by their digest, within a bounded
//! size, the least recently used going first.
//!
//! A file is under its name only after its digest was right. At its first use after a start, once
//! an hour, and whenever it looks changed it is hashed again: one that was damaged goes.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use gofleet_core::digest::Digest;
use gofleet_platform::remove_tree;
use tracing::{info, warn};

use crate::files::digest_of;

/// How long a file is believed to be as it was.
const BELIEVED_FOR: Duration = Duration::from_secs(60 * 60);
/// What stands behind the name of an artifact that is being fetched.
const PART: &str = ".part";

/// What is kept.
pub struct Cache {
    folder: PathBuf,
    capacity: u64,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    kept: HashMap<Digest, Entry>,
    /// Grows with each use.
    uses: u64,
}

struct Entry {
    size: u64,
    used: u64,
    /// When it was hashed last, and the time of its file then.
    verified: Option<(Instant, SystemTime)>,
}

impl Cache {
    /// The cache in a folder, with what an earlier process left there: whole files, and parts that
    /// can be gone on with.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read.
    pub fn open(folder: &Path, capacity: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let (name, metadata) = (entry.file_name(), entry.metadata()?);
            let name = name.to_string_lossy().into_owned();
            match name.parse::<Digest>() {
                Ok(digest) => found.push((metadata.modified()?, digest, metadata.len())),
                Err(_) if name.ends_with(PART) => {}
                Err(_) => remove_tree(&entry.path())?,
            }
        }
        found.sort();
        let mut entries = Entries::default();
        for (_, digest, size) in found {
            entries.uses += 1;
            let entry = Entry { size, used: entries.uses, verified: None };
            entries.kept.insert(digest, entry);
        }
        Ok(Self { folder: folder.to_owned(), capacity, entries: Mutex::new(entries) })
    }

    /// Where an artifact lies, or will.
    pub fn place(&self, digest: &Digest) -> PathBuf {
        self.folder.join(digest.to_string())
    }

    /// Where it lies while it is being fetched.
    pub fn part(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{digest}{PART}"))
    }

    /// Opens an artifact, and tells its size, if it is kept and as it should be. Blocks.
    pub fn get(&self, digest: &Digest) -> Option<(File, u64)> {
        let path = self.place(digest);
        let (size, verified) = {
            let mut entries = self.lock();
            entries.uses += 1;
            let used = entries.uses;
            let entry = entries.kept.get_mut(digest)?;
            entry.used = used;
            (entry.size, entry.verified)
        };
        match open_verified(&path, digest, size, verified) {
            Ok((file, verified)) => {
                if let Some(entry) = self.lock().kept.get_mut(digest) {
                    entry.verified = Some(verified);
                }
                Some((file, size))
            }
            Err(error) => {
                warn!(%digest, %error, "a kept artifact is damaged or gone: it is fetched again");
                self.lock().kept.remove(digest);
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    /// Makes room for an artifact that is to come.
    ///
    /// # Errors
    ///
    /// If it is larger than all that may be kept.
    pub fn make_room(&self, size: u64) -> io::Result<()> {
        if size > self.capacity {
            return Err(io::Error::other("it is larger than the whole cache"));
        }
        let mut entries = self.lock();
        let mut total: u64 = entries.kept.values().map(|entry| entry.size).sum();
        while total + size > self.capacity {
            let oldest = entries.kept.iter().min_by_key(|(_, entry)| entry.used);
            let Some((digest, size)) = oldest.map(|(digest, entry)| (*digest, entry.size)) else {
                break;
            };
            entries.kept.remove(&digest);
            total -= size;
            // Who reads it just now reads it to its end.
            let removed = fs::remove_file(self.place(&digest));
            info!(%digest, size, ?removed, "made room");
        }
        Ok(())
    }

    /// Keeps an artifact that has come, and has the right digest.
    pub fn insert(&self, digest: &Digest, size: u64) {
        let mut entries = self.lock();
        entries.uses += 1;
        let entry = Entry { size, used: entries.uses, verified: None };
        entries.kept.insert(*digest, entry);
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // Nothing that holds the lock can panic between two states of the map.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open_verified(
    path: &Path,
    digest: &Digest,
    size: u64,
    verified: Option<(Instant, SystemTime)>,
) -> io::Result<(File, (Instant, SystemTime))> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let modified = metadata.modified()?;
    if metadata.len() != size {
        return Err(io::Error::other("it has another size"));
    }
    if let Some(known @ (at, time)) = verified
        && at.elapsed() < BELIEVED_FOR
        && time == modified
    {
        return Ok((file, known));
    }
    if digest_of(path)? != *digest {
        return Err(io::Error::other("it has another digest"));
    }
    // Its time tells the next start how long ago it was used.
    let touch = fs::OpenOptions::new().append(true).open(path);
    let touched = touch.and_then(|file| file.set_modified(SystemTime::now()));
    if let Err(error) = touched {
        warn!(%digest, %error, "cannot be marked as used");
    }
    Ok((file, (Instant::now(), fs::metadata(path)?.modified()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(cache: &Cache, content: &[u8]) -> Digest {
        let digest = Digest::of(content);
        cache.make_room(content.len() as u64).unwrap();
        fs::write(cache.place(&digest), content).unwrap();
        cache.insert(&digest, content.len() as u64);
        digest
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), 30).unwrap();
        let [one, two, three] =
            [b"1111111111", b"2222222222", b"3333333333"].map(|content| keep(&cache, content));
        assert!(cache.get(&one).is_some(), "used again");
        let four = keep(&cache, b"44444444444444444444");
        let kept = [one, two, three, four].map(|digest| cache.get(&digest).is_some());
        assert_eq!(kept, [true, false, false, true]);
        assert!(!cache.place(&two).exists());
        assert!(cache.make_room(31).is_err());
    }

    #[test]
    fn what_was_kept_is_kept_over_a_start_but_not_what_was_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), 1000).unwrap();
        let [whole, cut, changed, changed_later] =
            [b"whole", b"cut--", b"chang", b"later"].map(|content| keep(&cache, content));
        assert!(cache.get(&changed_later).is_some());
        fs::write(cache.place(&cut), b"cut").unwrap();
        fs::write(cache.place(&changed), b"CHANG").unwrap();
        fs::write(cache.part(&whole), b"wh").unwrap();
        fs::write(folder.path().join("stray"), b"x").unwrap();
        let kept = |cache: &Cache| {
            [whole, cut, changed, changed_later].map(|digest| cache.get(&digest).is_some())
        };
        let reopened = Cache::open(folder.path(), 1000).unwrap();
        assert_eq!(kept(&reopened), [true, false, false, true]);
        assert!(!folder.path().join("stray").exists());
        assert!(reopened.part(&whole).exists(), "it can be gone on with");
        // Changed in place under a running one, with the same size.
        let path = cache.place(&changed_later);
        fs::write(&path, b"LATER").unwrap();
        let file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() + Duration::from_secs(5)).unwrap();
        assert_eq!(kept(&reopened), [true, false, false, false]);
        assert!(!path.exists(), "a damaged file is not kept");
    }
}
