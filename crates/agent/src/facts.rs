//! What the device tells of itself: the machine, and every Go that stands on it.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use gofleet_core::facts::{Facts, FoundGo, GoOrigin};
use gofleet_core::release::Platform;
use gofleet_core::window::Zone;
use gofleet_depot::Root;
use gofleet_platform::{canonical, free_space, machine};

/// The free space counts as changed from this many bytes on: it always changes a little.
const NOTABLE_FREE_BYTES: u64 = 1 << 30;

/// Where Go may stand on this machine besides the agent's own root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// Where the official installers put it.
    pub system: Vec<PathBuf>,
    /// Where `golang.org/dl` puts each version, in a folder of its own.
    pub sdk: Option<PathBuf>,
    /// Where Go puts the toolchains that it downloads.
    pub toolchains: Option<PathBuf>,
    /// The folders of `PATH`, first to last.
    pub path: Vec<PathBuf>,
}

impl Places {
    /// The usual places, as the environment of this process tells.
    pub fn of_this_process() -> Self {
        Self::of(|name| env::var_os(name).filter(|value| !value.is_empty()))
    }

    fn of(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let folder = |name| variable(name).map(PathBuf::from);
        let home = folder(if cfg!(windows) { "USERPROFILE" } else { "HOME" });
        let system = if cfg!(windows) {
            // `C:\Go` is where installers before 1.16 put it.
            let programs = folder("ProgramFiles").unwrap_or_else(|| r"C:\Program Files".into());
            vec![programs.join("Go"), PathBuf::from(r"C:\Go")]
        } else {
            vec![PathBuf::from("/usr/local/go")]
        };
        // cmd/go: GOMODCACHE, else pkg/mod in the first folder of GOPATH, else in ~/go.
        let go_path = variable("GOPATH").and_then(|list| env::split_paths(&list).next());
        let go_path = go_path.or_else(|| home.as_ref().map(|home| home.join("go")));
        let cache = folder("GOMODCACHE").or_else(|| go_path.map(|path| path.join("pkg/mod")));
        Self {
            system,
            sdk: home.map(|home| home.join("sdk")),
            toolchains: cache.map(|cache| cache.join("golang.org")),
            path: variable("PATH")
                .map(|list| env::split_paths(&list).collect())
                .unwrap_or_default(),
        }
    }

    /// The first `go` on `PATH`.
    pub fn path_hit(&self) -> Option<PathBuf> {
        self.path.iter().map(|folder| folder.join(GO)).find(|file| file.is_file())
    }
}

/// The file name of Go's command.
pub const GO: &str = if cfg!(windows) { "go.exe" } else { "go" };

/// Gathers the facts. `hostname` replaces the machine's own if it is given.
pub fn gather(
    root: &Root,
    places: &Places,
    hostname: Option<&str>,
    labels: &BTreeMap<String, String>,
) -> Facts {
    Facts {
        hostname: hostname.map_or_else(machine::hostname, str::to_owned),
        platform: Platform::of_this_program(),
        os_version: machine::os_version(),
        processors: machine::processors(),
        free_bytes: free_space(root.path()).unwrap_or(0),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        active: active_version(root),
        found: find_go(root, places),
        zone: Some(zone().to_string()),
        labels: labels.clone(),
        collections: Default::default(),
    }
}

/// Whether the server should hear of the new facts.
pub fn has_changed(told: &Facts, now: &Facts) -> bool {
    let same_space = Facts { free_bytes: told.free_bytes, ..now.clone() };
    *told != same_space || told.free_bytes.abs_diff(now.free_bytes) >= NOTABLE_FREE_BYTES
}

/// The version of the release that is active in the root, as its own files tell.
pub fn active_version(root: &Root) -> Option<String> {
    let active = root.active().ok().flatten()?;
    version_of(&root.tree(&active.active))
}

/// The zone that the device's clock is set to; UTC where the system does not say, or names one that
/// nobody knows.
pub fn zone() -> Zone {
    let system = jiff::tz::TimeZone::system();
    system.iana_name().and_then(|name| Zone::named(name).ok()).unwrap_or_else(Zone::utc)
}

/// Every Go on the machine, each once, in the order of paths.
fn find_go(root: &Root, places: &Places) -> Vec<FoundGo> {
    let shims = canonical(&root.bin()).ok();
    let managed = root.installed().unwrap_or_default().into_iter().map(|id| root.tree(&id));
    let hits = places.path.iter().map(|folder| folder.join(GO));
    let hits = hits.filter_map(|file| tree_of_command(&file, shims.as_deref()));
    let candidates = managed
        .map(|tree| (tree, GoOrigin::Managed))
        .chain(places.system.iter().cloned().map(|tree| (tree, GoOrigin::System)))
        .chain(folders_in(places.sdk.as_deref()).map(|tree| (tree, GoOrigin::Sdk)))
        .chain(folders_in(places.toolchains.as_deref()).map(|tree| (tree, GoOrigin::ModuleCache)))
        .chain(hits.map(|tree| (tree, GoOrigin::Path)));
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (tree, origin) in candidates {
        let Ok(path) = canonical(&tree) else { continue };
        let Some(version) = version_of(&path) else { continue };
        if seen.insert(path.clone()) {
            found.push(FoundGo { version, path: path.to_string_lossy().into_owned(), origin });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The `GOROOT` of a `go` command: the folder above its `bin`, links followed. The shims of the
/// agent's own root are no Go.
fn tree_of_command(file: &Path, shims: Option<&Path>) -> Option<PathBuf> {
    let file = canonical(file).ok()?;
    let folder = file.parent()?;
    (Some(folder) != shims).then_some(())?;
    folder.parent().map(Path::to_owned)
}

fn folders_in(folder: Option<&Path>) -> impl Iterator<Item = PathBuf> {
    let entries = folder.and_then(|folder| fs::read_dir(folder).ok());
    entries.into_iter().flatten().flatten().map(|entry| entry.path())
}

/// The version in a tree's `VERSION` file, whose first line is like `go1.27.3`.
fn version_of(tree: &Path) -> Option<String> {
    let text = fs::read_to_string(tree.join("VERSION")).ok()?;
    let version = text.lines().next()?.trim().strip_prefix("go")?;
    (version.starts_with(|first: char| first.is_ascii_digit())
        && tree.join("bin").join(GO).is_file())
    .then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plant(tree: &Path, version: &str) {
        fs::create_dir_all(tree.join("bin")).unwrap();
        fs::write(tree.join("bin").join(GO), b"").unwrap();
        fs::write(tree.join("VERSION"), format!("{version}\ntime 2026-01-01T00:00:00Z\n")).unwrap();
    }

    #[test]
    fn every_go_is_found_once_with_its_origin() {
        let folder = tempfile::tempdir().unwrap();
        let base = canonical(folder.path()).unwrap();
        let root = Root::new(base.join("root"));
        plant(&base.join("local/go"), "go1.26.0");
        plant(&base.join("sdk/go1.25.1"), "go1.25.1");
        plant(&base.join("mod/golang.org/toolchain@v0.0.1-go1.24.0.linux-amd64"), "go1.24.0");
        plant(&base.join("elsewhere"), "go1.23rc1");
        plant(&base.join("gccgo"), "gcc 14");
        plant(root.path(), "go0");
        fs::create_dir_all(base.join("sdk/empty")).unwrap();
        let places = Places {
            system: vec![base.join("local/go"), base.join("absent")],
            sdk: Some(base.join("sdk")),
            toolchains: Some(base.join("mod/golang.org")),
            path: ["root/bin", "local/go/bin", "elsewhere/bin", "gccgo/bin", "absent"]
                .map(|path| base.join(path))
                .into(),
        };
        let found: Vec<_> =
            find_go(&root, &places).into_iter().map(|go| (go.version, go.origin)).collect();
        let expected = [
            ("1.23rc1", GoOrigin::Path),
            ("1.26.0", GoOrigin::System),
            ("1.24.0", GoOrigin::ModuleCache),
            ("1.25.1", GoOrigin::Sdk),
        ];
        assert_eq!(found, expected.map(|(version, origin)| (version.to_owned(), origin)));
        assert_eq!(places.path_hit(), Some(root.bin().join(GO)));
    }

    #[test]
    fn the_environment_says_where_to_look() {
        let home = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        let check = |set: &[(&str, &str)], expect: &str| {
            let variable = |name: &str| {
                set.iter().find(|(set, _)| *set == name).map(|(_, value)| OsString::from(value))
            };
            let expect = Path::new(expect).join("golang.org");
            assert_eq!(Places::of(variable).toolchains, Some(expect), "{set:?}");
        };
        check(&[(home, "/home/me")], "/home/me/go/pkg/mod");
        check(&[(home, "/home/me"), ("GOPATH", "/work")], "/work/pkg/mod");
        check(&[("GOPATH", "/work"), ("GOMODCACHE", "/cache")], "/cache");
        assert_eq!(Places::of(|_| None).path, Vec::<PathBuf>::new());
    }

    #[test]
    fn a_little_less_space_is_no_news() {
        let folder = tempfile::tempdir().unwrap();
        let labels = BTreeMap::from([("site".to_owned(), "berlin".to_owned())]);
        let root = Root::new(folder.path());
        let told = gather(&root, &Places::default(), Some("pc-1"), &labels);
        assert_eq!((told.hostname.as_str(), &told.labels), ("pc-1", &labels));
        let mut now = told.clone();
        now.free_bytes = now.free_bytes.wrapping_add(1000);
        assert!(!has_changed(&told, &now));
        now.free_bytes = told.free_bytes + (2 << 30);
        assert!(has_changed(&told, &now));
        now = Facts { active: Some("1.27.3".to_owned()), ..told.clone() };
        assert!(has_changed(&told, &now));
    }
}
