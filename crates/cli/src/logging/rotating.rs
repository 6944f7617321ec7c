//! A log file of bounded size: when it is full it becomes `NAME.1`, what was that `NAME.2`, and so
//! on; the oldest goes.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A log file with those before it.
#[derive(Debug)]
pub struct Rotating {
    path: PathBuf,
    max_bytes: u64,
    kept: u32,
    /// None only while files change their names: Windows does not rename what is open.
    file: Option<File>,
    written: u64,
}

impl Rotating {
    /// Goes on with the file, which may grow to `max_bytes`; at most `kept` older ones stay.
    ///
    /// # Errors
    ///
    /// If it can't be opened.
    pub fn open(path: &Path, max_bytes: u64, kept: u32) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        let written = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), max_bytes, kept, file: Some(file), written })
    }

    fn older(&self, number: u32) -> PathBuf {
        self.path.with_added_extension(number.to_string())
    }

    fn rotate(&mut self) -> io::Result<()> {
        drop(self.file.take());
        for number in (1..self.kept).rev() {
            // The first times there are none yet.
            let _ = fs::rename(self.older(number), self.older(number + 1));
        }
        // If somebody holds the file, what it holds is lost rather than the bound.
        let is_moved = self.kept > 0 && fs::rename(&self.path, self.older(1)).is_ok();
        let file = File::options().create(true).append(true).open(&self.path)?;
        if !is_moved {
            file.set_len(0)?;
        }
        self.file = Some(file);
        self.written = 0;
        Ok(())
    }
}

impl Write for Rotating {
    /// Writes all of it into one file: lines are not divided.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let would_be = self.written + bytes.len() as u64;
        if self.file.is_none() || (self.written > 0 && would_be > self.max_bytes) {
            self.rotate()?;
        }
        let file = self.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
        file.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), File::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(folder: &Path) -> Vec<(String, String)> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut all: Vec<_> = entries
            .map(|path| {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, fs::read_to_string(path).unwrap())
            })
            .collect();
        all.sort();
        all
    }

    #[track_caller]
    fn check(folder: &Path, expect: &[(&str, &str)]) {
        let all = read(folder);
        let all: Vec<_> = all.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!(all, expect);
    }

    #[test]
    fn the_oldest_goes_and_lines_stay_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Rotating::open(&path, 8, 2).unwrap();
        for line in ["one\n", "two\n", "three\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        check(folder.path(), &[("log", "three\n"), ("log.1", "one\ntwo\n")]);
        // Another process goes on where this one was.
        drop(log);
        let mut log = Rotating::open(&path, 8, 2).unwrap();
        log.write_all(b"four\n").unwrap();
        log.write_all(b"much too long\n").unwrap();
        check(
            folder.path(),
            &[("log", "much too long\n"), ("log.1", "four\n"), ("log.2", "three\n")],
        );
        log.write_all(b"five\n").unwrap();
        check(
            folder.path(),
            &[("log", "five\n"), ("log.1", "much too long\n"), ("log.2", "four\n")],
        );
    }

    #[test]
    fn without_older_ones_the_file_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Rotating::open(&folder.path().join("log"), 4, 0).unwrap();
        log.write_all(b"one\n").unwrap();
        log.write_all(b"two\n").unwrap();
        check(folder.path(), &[("log", "two\n")]);
    }
}
