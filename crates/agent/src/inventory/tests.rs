//! Tests of looking for Go, on folders in miniature.

use std::collections::BTreeMap;

use gofleet_core::inventory::Origin;
use tempfile::TempDir;

use super::*;

struct Machine {
    base: PathBuf,
    root: Root,
    _folder: TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let base = canonical(folder.path()).unwrap();
        Self { root: Root::new(base.join("root")), base, _folder: folder }
    }

    fn plant(&self, tree: &str, version: &str) {
        let tree = self.base.join(tree);
        fs::create_dir_all(tree.join("bin")).unwrap();
        fs::write(tree.join("bin").join(GO), b"").unwrap();
        fs::write(tree.join("VERSION"), format!("{version}\ntime 2026-01-01T00:00:00Z\n")).unwrap();
    }

    fn paths<const N: usize>(&self, paths: [&str; N]) -> Vec<PathBuf> {
        paths.map(|path| self.base.join(path)).into()
    }

    fn take(&self, places: &Places, search: &[PathBuf], extent: Extent) -> Inventory {
        let roots = [Root::new(self.root.path())];
        take(&Request { roots: &roots, places, search, extent }, &|_| ())
    }

    /// Paths from the base, versions and origins.
    fn check(&self, inventory: &Inventory, expect: &[(&str, &str, Origin)]) {
        let found: BTreeMap<PathBuf, (&str, Origin)> = inventory
            .found
            .iter()
            .map(|go| (PathBuf::from(&go.path), (go.version.as_str(), go.origin)))
            .collect();
        let expect = expect.iter().map(|(path, version, origin)| {
            (
                path.split('/').fold(self.base.clone(), |path, part| path.join(part)),
                (*version, *origin),
            )
        });
        assert_eq!(found, expect.collect());
    }
}

#[test]
fn every_go_is_found_once_in_every_home() {
    let machine = Machine::new();
    machine.plant("local/go", "go1.26.0");
    machine.plant("homes/one/sdk/go1.25.1", "go1.25.1");
    machine.plant("homes/two/sdk/go1.25.2", "go1.25.2");
    let toolchain = "homes/two/go/pkg/mod/golang.org/toolchain@v0.0.1-go1.24.0.linux-amd64";
    machine.plant(toolchain, "go1.24.0");
    machine.plant("homes/two/.asdf/installs/golang/1.22.1/go", "go1.22.1");
    machine.plant("cellar/1.21.0/libexec", "go1.21.0");
    machine.plant("elsewhere", "go1.23rc1");
    machine.plant("gccgo", "gcc 14");
    machine.plant("root", "go0");
    fs::create_dir_all(machine.base.join("homes/one/sdk/empty")).unwrap();
    let places = Places {
        system: machine.paths(["local/go", "absent"]),
        stores: machine.paths(["cellar"]),
        homes: machine.paths(["homes/one", "homes/two", "homes/absent"]),
        path: machine.paths(["root/bin", "local/go/bin", "elsewhere/bin", "gccgo/bin", "absent"]),
        ..Places::default()
    };
    let inventory = machine.take(&places, &[], Extent::Facts);
    machine.check(
        &inventory,
        &[
            ("local/go", "1.26.0", Origin::Unpacked),
            ("homes/one/sdk/go1.25.1", "1.25.1", Origin::Sdk),
            ("homes/two/sdk/go1.25.2", "1.25.2", Origin::Sdk),
            (toolchain, "1.24.0", Origin::ModuleCache),
            ("homes/two/.asdf/installs/golang/1.22.1/go", "1.22.1", Origin::Asdf),
            ("cellar/1.21.0/libexec", "1.21.0", Origin::Unpacked),
            ("elsewhere", "1.23rc1", Origin::Unknown),
        ],
    );
    assert_eq!(inventory.unseen, []);
    assert_eq!(places.path_hit(), Some(machine.root.bin().join(GO)));
}

#[test]
fn the_first_on_the_path_is_in_use() {
    let machine = Machine::new();
    machine.plant("one", "go1.26.0");
    machine.plant("two", "go1.27.3");
    let path = machine.paths(["absent", "two/bin", "one/bin"]);
    let inventory = machine.take(&Places { path, ..Places::default() }, &[], Extent::Sizes);
    let in_use: Vec<_> =
        inventory.found.iter().map(|go| (go.version.as_str(), go.is_in_use)).collect();
    assert_eq!(in_use, [("1.26.0", false), ("1.27.3", true)]);
    for go in &inventory.found {
        let size = go.size.unwrap();
        assert_eq!((size.files, size.bytes, size.is_whole), (2, 35, true));
        assert!(go.owner.as_ref().is_some_and(|owner| !owner.is_empty()));
    }
}

#[test]
fn a_search_finds_what_no_list_knows() {
    let machine = Machine::new();
    machine.plant("disk/builds/tip/go", "go1.27.3");
    machine.plant("disk/builds/tip/go/inner", "go1.0");
    let search = machine.paths(["disk"]);
    let inventory = machine.take(&Places::default(), &search, Extent::Facts);
    machine.check(&inventory, &[("disk/builds/tip/go", "1.27.3", Origin::Unknown)]);
    let deep = format!("disk/{}", "deeper/".repeat(20));
    machine.plant(&deep, "go1.27.3");
    let inventory = machine.take(&Places::default(), &search, Extent::Facts);
    assert_eq!(inventory.found.len(), 1);
    assert_eq!(inventory.unseen.len(), 1, "{:?}", inventory.unseen);
}

#[test]
fn a_package_is_told_by_the_list_that_has_the_command() {
    let machine = Machine::new();
    let list = |name: &str, text: &str| fs::write(machine.base.join(name), text).unwrap();
    list("acme-go:amd64.list", "/.\n/opt/acme\n/opt/acme/bin/go\n");
    list("other.list", "/opt/acme/bin/gofmt\n/opt/acme/bin/go2\n");
    list("acme-go.md5sums", "/opt/other/bin/go\n");
    let commands = ["/opt/acme/bin/go", "/opt/other/bin/go"];
    let packages = look::packages(&machine.base, &commands, &mut Unseens::default());
    assert_eq!(packages, BTreeMap::from([("/opt/acme/bin/go".into(), "acme-go".into())]));
}

/// Users may put into their homes what they like; whoever looks may be the system.
#[cfg(unix)]
#[test]
fn what_users_put_into_their_homes_neither_leads_away_nor_holds_anybody_up() {
    use std::os::unix::fs::symlink;
    let machine = Machine::new();
    machine.plant("secret", "go1.27.3");
    machine.plant("home/.asdf/installs/golang/1.26.0/go", "go1.26.0");
    let sdk = machine.base.join("home/sdk");
    machine.plant("home/sdk/pipe", "go1.25.0");
    let version = sdk.join("pipe/VERSION");
    fs::remove_file(&version).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&version).status().unwrap();
    assert!(made.success());
    symlink(machine.base.join("secret"), sdk.join("go1.27.3")).unwrap();
    symlink(&sdk, sdk.join("loop")).unwrap();
    symlink(machine.base.join("secret/bin").join(GO), machine.base.join("home/go")).unwrap();
    symlink("1.26.0", machine.base.join("home/.asdf/installs/golang/1.26")).unwrap();
    let places = Places { homes: machine.paths(["home"]), ..Places::default() };
    let inventory = machine.take(&places, &[], Extent::Sizes);
    machine.check(&inventory, &[("home/.asdf/installs/golang/1.26.0/go", "1.26.0", Origin::Asdf)]);
    let unseen: Vec<_> =
        inventory.unseen.iter().filter(|it| !it.place.ends_with("processes")).collect();
    assert_eq!(unseen.len(), 1, "{unseen:?}");
    assert!(unseen[0].place.ends_with("home/sdk/go1.27.3"), "{unseen:?}");
}
