//! The files and variables of a script.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use gofleet_core::resolve::{ReadError, Surroundings};

/// The folder that a script works in, and which it names `$WORK`.
pub const WORK: &str = "/work";

/// Files and variables in memory.
#[derive(Debug, Default)]
pub struct World {
    pub folder: PathBuf,
    pub files: BTreeMap<PathBuf, String>,
    pub folders: BTreeSet<PathBuf>,
    pub variables: BTreeMap<String, String>,
}

impl World {
    /// A world with the files that a script brings along.
    pub fn new(files: &[(String, String)]) -> Self {
        let mut world = Self { folder: Path::new(WORK).join("gopath/src"), ..Self::default() };
        world.set("WORK", WORK);
        world.set("GOEXE", "");
        world.set("/", "/");
        for (name, content) in files {
            world.files.insert(world.folder.join(name), content.clone());
        }
        world
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    pub fn get(&self, name: &str) -> &str {
        self.variables.get(name).map_or("", String::as_str)
    }

    /// `path` as seen from the current folder, without `.` and `..`.
    pub fn path(&self, path: &str) -> PathBuf {
        let mut clean = PathBuf::new();
        for component in self.folder.join(path).components() {
            match component {
                Component::ParentDir => drop(clean.pop()),
                Component::CurDir => {}
                other => clean.push(other),
            }
        }
        clean
    }

    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(&self.path(path)).map(String::as_str)
    }
}

impl Surroundings for World {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).filter(|value| !value.is_empty()).cloned()
    }

    fn read(&self, path: &Path, _limit_bytes: usize) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.files.get(path).map(|text| text.clone().into_bytes()))
    }

    fn go_environment_file(&self) -> Option<String> {
        None
    }

    fn temporary_folder(&self) -> PathBuf {
        PathBuf::from("/tmp")
    }
}
