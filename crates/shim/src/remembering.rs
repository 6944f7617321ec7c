//! Reads each file once for one resolution: pins and module files are looked for in the same
//! folders, one after the other, and each look is a question to the system (to another machine,
//! where the folder is a share).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gofleet_core::resolve::{ReadError, Surroundings};

/// Surroundings that remember what they read. They are for one resolution: what changes meanwhile
/// is not seen.
pub struct Remembering<'a> {
    surroundings: &'a dyn Surroundings,
    read: RefCell<BTreeMap<PathBuf, Option<Vec<u8>>>>,
}

impl<'a> Remembering<'a> {
    pub fn new(surroundings: &'a dyn Surroundings) -> Self {
        Self { surroundings, read: RefCell::default() }
    }
}

impl Surroundings for Remembering<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        self.surroundings.variable(name)
    }

    /// A path is always asked for with the same limit: that of its kind of file.
    fn read(&self, path: &Path, limit_bytes: usize) -> Result<Option<Vec<u8>>, ReadError> {
        if let Some(content) = self.read.borrow().get(path) {
            return Ok(content.clone());
        }
        let content = self.surroundings.read(path, limit_bytes)?;
        self.read.borrow_mut().insert(path.to_owned(), content.clone());
        Ok(content)
    }

    fn go_environment_file(&self) -> Option<String> {
        self.surroundings.go_environment_file()
    }

    fn temporary_folder(&self) -> PathBuf {
        self.surroundings.temporary_folder()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gofleet_core::resolve::{Known, Modules, resolve};

    /// A machine with one `go.mod` that writes down what is read.
    struct Watched(RefCell<Vec<PathBuf>>);

    impl Surroundings for Watched {
        fn variable(&self, _name: &str) -> Option<String> {
            None
        }

        fn read(&self, path: &Path, _limit: usize) -> Result<Option<Vec<u8>>, ReadError> {
            self.0.borrow_mut().push(path.to_owned());
            let is_module = path.ends_with("project/go.mod");
            Ok(is_module.then(|| b"module example.org/m\n\ngo 1.27.2\n".to_vec()))
        }

        fn go_environment_file(&self) -> Option<String> {
            None
        }

        fn temporary_folder(&self) -> PathBuf {
            PathBuf::from("/tmp")
        }
    }

    #[test]
    fn one_resolution_reads_each_file_once_and_finds_the_same() {
        let installed = ["1.27.2".to_owned(), "1.27.3".to_owned()];
        let known = Known {
            folder: Path::new("/work/project/internal"),
            installed: &installed,
            user: None,
            machine: Some("1.27.3"),
            modules: Modules::Asked,
        };
        let (plain, watched) = (Watched(RefCell::default()), Watched(RefCell::default()));
        let expect = resolve(&known, &plain);
        let found = resolve(&known, &Remembering::new(&watched));
        assert_eq!(found.outcome.unwrap(), expect.outcome.unwrap());
        assert_eq!(format!("{:?}", found.chain), format!("{:?}", expect.chain));
        let mut once = plain.0.into_inner();
        let asked = once.len();
        once.sort();
        once.dedup();
        let mut read = watched.0.into_inner();
        read.sort();
        assert_eq!(read, once);
        assert!(read.len() < asked, "else there is nothing to remember");
    }
}
