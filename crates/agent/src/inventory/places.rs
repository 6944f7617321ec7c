//! Where Go may stand on a machine.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use gofleet_core::inventory::Unseen;
use gofleet_platform::users;

/// The file name of Go's command.
pub const GO: &str = if cfg!(windows) { "go.exe" } else { "go" };

/// Where Go may stand on this machine besides the agent's own root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// Folders that are a Go for all users, if they are there: installers and people put it there.
    pub system: Vec<PathBuf>,
    /// Folders in which tools for all users keep a Go in a folder of its own.
    pub stores: Vec<PathBuf>,
    /// The homes of the machine's users.
    pub homes: Vec<PathBuf>,
    /// Folders in which the environment says that tools keep Gos, each in a folder of its own.
    pub named: Vec<PathBuf>,
    /// The folders of `PATH`, first to last.
    pub path: Vec<PathBuf>,
    /// Where Chocolatey keeps its packages.
    pub chocolatey: Option<PathBuf>,
    /// Places that could not be found out.
    pub unseen: Vec<Unseen>,
}

impl Places {
    /// The usual places, as this machine and the environment of this process tell.
    pub fn of_this_machine() -> Self {
        let mut places = Self::of(|name| env::var_os(name).filter(|value| !value.is_empty()));
        match users::homes() {
            Ok(homes) => places.homes.extend(homes),
            Err(error) => {
                let place = "the homes of the users".to_owned();
                places.unseen.push(Unseen { place, reason: error.to_string() });
            }
        }
        places
    }

    fn of(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let folder = |name: &str| variable(name).map(PathBuf::from);
        let home = folder(if cfg!(windows) { "USERPROFILE" } else { "HOME" });
        let mut places = if cfg!(windows) { Self::of_windows(folder) } else { Self::of_unix() };
        // cmd/go: GOMODCACHE, else pkg/mod in the first folder of GOPATH, else in ~/go, which is
        // among the places of each home.
        let go_path = variable("GOPATH").and_then(|list| env::split_paths(&list).next());
        let cache = folder("GOMODCACHE").or_else(|| go_path.map(|path| path.join("pkg/mod")));
        let below = |name: &str, rest: &str| folder(name).map(|folder| folder.join(rest));
        places.named = [
            cache.map(|cache| cache.join("golang.org")),
            below("MISE_DATA_DIR", "installs/go"),
            below("ASDF_DATA_DIR", "installs/golang"),
            below("GOENV_ROOT", "versions"),
            below("SCOOP", "apps/go"),
            below("SCOOP_GLOBAL", "apps/go"),
        ]
        .into_iter()
        .flatten()
        .collect();
        places.homes.extend(home);
        places.path =
            variable("PATH").map(|list| env::split_paths(&list).collect()).unwrap_or_default();
        places
    }

    fn of_windows(folder: impl Fn(&str) -> Option<PathBuf>) -> Self {
        let or = |name: &str, usual: &str| folder(name).unwrap_or_else(|| usual.into());
        let data = or("ProgramData", r"C:\ProgramData");
        let chocolatey = or("ChocolateyInstall", &data.join("chocolatey").to_string_lossy());
        // `C:\Go` is where installers before 1.16 put it.
        let mut system = vec![
            or("ProgramW6432", r"C:\Program Files").join("Go"),
            or("ProgramFiles", r"C:\Program Files").join("Go"),
            or("ProgramFiles(x86)", r"C:\Program Files (x86)").join("Go"),
            PathBuf::from(r"C:\Go"),
        ];
        system.extend(folder("SystemDrive").map(|drive| {
            // `C:` alone would be the folder that this process is in there.
            let mut path = drive.into_os_string();
            path.push(r"\Go");
            PathBuf::from(path)
        }));
        let chocolatey = chocolatey.join("lib");
        Self {
            system,
            stores: vec![
                data.join("scoop").join("apps").join("go"),
                chocolatey.join("golang").join("tools"),
                data.join("gofleet").join("releases"),
            ],
            chocolatey: Some(chocolatey),
            ..Self::default()
        }
    }

    fn of_unix() -> Self {
        let system =
            ["/usr/local/go", "/opt/go", "/usr/lib/go", "/usr/lib64/go", "/usr/lib/golang"];
        let stores = [
            // Debian puts each line beside the others: `go-1.24`.
            "/usr/lib",
            "/snap/go",
            "/var/lib/snapd/snap/go",
            "/home/linuxbrew/.linuxbrew/Cellar/go",
            "/opt/homebrew/Cellar/go",
            "/usr/local/Cellar/go",
            "/var/lib/gofleet/releases",
        ];
        Self {
            system: system.map(PathBuf::from).into(),
            stores: stores.map(PathBuf::from).into(),
            ..Self::default()
        }
    }

    /// The first `go` on `PATH`.
    pub fn path_hit(&self) -> Option<PathBuf> {
        self.path.iter().map(|folder| folder.join(GO)).find(|file| file.is_file())
    }
}

/// What of a home is a Go, if it is there.
pub(super) fn trees_of(home: &Path) -> Vec<PathBuf> {
    // A person may unpack an archive right there. `~/go` is as a rule what Go keeps for itself.
    let trees = ["go", ".go", ".local/go", "AppData/Local/Programs/Go"];
    trees.iter().map(|tree| joined(home, tree)).collect()
}

/// In what of a home tools keep Gos, each in a folder of its own.
pub(super) fn stores_of(home: &Path) -> Vec<PathBuf> {
    let stores = [
        // golang.org/dl, and IDEs.
        "sdk",
        // Go itself.
        "go/pkg/mod/golang.org",
        ".local/share/mise/installs/go",
        "AppData/Local/mise/installs/go",
        ".asdf/installs/golang",
        ".goenv/versions",
        ".gvm/gos",
        ".g/versions",
        "scoop/apps/go",
        ".gofleet/releases",
        "AppData/Local/gofleet/releases",
    ];
    stores.iter().map(|store| joined(home, store)).collect()
}

/// With the slashes of this system.
fn joined(folder: &Path, below: &str) -> PathBuf {
    below.split('/').fold(folder.to_owned(), |path, part| path.join(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_where_to_look() {
        #[track_caller]
        fn check(set: &[(&str, &str)], expect: &[&str]) {
            let variable = |name: &str| {
                set.iter().find(|(set, _)| *set == name).map(|(_, value)| OsString::from(value))
            };
            let expect: Vec<PathBuf> = expect.iter().map(PathBuf::from).collect();
            let found = Places::of(variable).named;
            assert_eq!(found, expect, "{set:?}");
        }
        check(&[], &[]);
        check(&[("GOPATH", "/work")], &["/work/pkg/mod/golang.org"]);
        check(&[("GOPATH", "/work"), ("GOMODCACHE", "/cache")], &["/cache/golang.org"]);
        check(&[("SCOOP", "/tools")], &["/tools/apps/go"]);
        let home = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        let places = Places::of(|name| (name == home).then(|| "/home/me".into()));
        assert_eq!(places.homes, [PathBuf::from("/home/me")]);
        assert_eq!(places.path, Vec::<PathBuf>::new());
        assert!(stores_of(&places.homes[0]).contains(&joined(&places.homes[0], "sdk")));
    }
}
