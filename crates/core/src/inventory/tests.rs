//! Tests of what is made of sightings.

use super::*;
use crate::facts::GoOrigin;

fn at(path: &str, version: &str, lead: Lead) -> Sighting {
    Sighting {
        path: path.to_owned(),
        leads: vec![lead],
        version_file: Some(format!("go{version}\ntime 2026-10-01T00:00:00Z\n")),
        ..Sighting::default()
    }
}

fn windows() -> Evidence {
    Evidence { style: Style::Windows, ..Evidence::default() }
}

fn product(name: &str, version: &str, location: Option<&str>) -> Product {
    Product {
        code: "{0567AE22-0000-0000-0000-000000000000}".into(),
        view: View::Bits64,
        name: name.into(),
        version: Some(version.into()),
        location: location.map(str::to_owned),
        upgrade: Some("amd64"),
    }
}

#[track_caller]
fn check(evidence: &Evidence, sighting: &Sighting, expect: Origin, on_the_wire: GoOrigin) {
    let inventory = Inventory::of(evidence, vec![sighting.clone()], Vec::new());
    assert_eq!(inventory.found[0].origin, expect, "{sighting:?}");
    assert_eq!(inventory.facts()[0].origin, on_the_wire, "{sighting:?}");
}

#[test]
fn the_folders_of_tools_tell_who_keeps_them() {
    let unix = Evidence::default();
    for (path, expect, wire) in [
        ("/home/jo/sdk/go1.27.3", Origin::Sdk, GoOrigin::Sdk),
        (
            "/home/jo/go/pkg/mod/golang.org/toolchain@v0.0.1-go1.27.3.linux-amd64",
            Origin::ModuleCache,
            GoOrigin::ModuleCache,
        ),
        ("/home/jo/.local/share/mise/installs/go/1.27.3", Origin::Mise, GoOrigin::Path),
        ("/home/jo/.asdf/installs/golang/1.27.3/go", Origin::Asdf, GoOrigin::Path),
        ("/home/jo/.goenv/versions/1.27.3", Origin::Goenv, GoOrigin::Path),
        ("/home/jo/.gvm/gos/go1.27.3", Origin::Gvm, GoOrigin::Path),
        (
            "/home/linuxbrew/.linuxbrew/Cellar/go@1.27/1.27.3/libexec",
            Origin::Homebrew,
            GoOrigin::Path,
        ),
        ("/snap/go/10748", Origin::Snap, GoOrigin::Path),
        ("/nix/store/abc-go-1.27.3/share/go", Origin::Nix, GoOrigin::Path),
        ("/home/jo/.gofleet/releases/go-1.27.3-linux-amd64", Origin::Managed, GoOrigin::Path),
        // Names that only look alike.
        ("/home/jo/mysdk/go1.27.3", Origin::Unknown, GoOrigin::Path),
        ("/home/jo/mise-installs/go/1.27.3", Origin::Unknown, GoOrigin::Path),
        ("/srv/sdk/golang/builds/of/jo/tip", Origin::Unknown, GoOrigin::Path),
    ] {
        check(&unix, &at(path, "1.27.3", Lead::Home), expect, wire);
    }
    let windows = windows();
    for (path, expect, wire) in [
        (r"C:\Users\Jörg\SDK\go1.27.3", Origin::Sdk, GoOrigin::Sdk),
        (r"C:\Users\jo\scoop\apps\go\1.27.3", Origin::Scoop, GoOrigin::Path),
        (r"D:\Scoop\Apps\go126\current", Origin::Scoop, GoOrigin::Path),
        (r"C:\ProgramData\chocolatey\lib\golang\tools\go", Origin::Chocolatey, GoOrigin::System),
        (r"C:\Users\jo\AppData\Local\mise\installs\go\1.27.3", Origin::Mise, GoOrigin::Path),
        (r"C:\Users\jo\ſdk\go1.27.3", Origin::Unknown, GoOrigin::Path),
    ] {
        check(&windows, &at(path, "1.27.3", Lead::Home), expect, wire);
    }
}

#[test]
fn a_place_of_the_system_is_an_installers_only_if_one_vouches_for_it() {
    let local = at("/usr/local/go", "1.27.3", Lead::System);
    check(&Evidence::default(), &local, Origin::Unpacked, GoOrigin::System);
    let packaged = Sighting { package: Some("acme-go".into()), ..local };
    check(&Evidence::default(), &packaged, Origin::Package, GoOrigin::System);

    let programs = at(r"C:\Program Files\Go", "1.27.3", Lead::System);
    check(&windows(), &programs, Origin::Unpacked, GoOrigin::System);
    let name = "Go Programming Language amd64 go1.27.3";
    let by = |product: Product| Evidence { products: vec![product], ..windows() };
    let told = by(product(name, "1.27.3", Some(r"c:\program files\go\")));
    check(&told, &programs, Origin::Installer, GoOrigin::System);
    let silent = by(product(name, "1.27.3", None));
    check(&silent, &programs, Origin::Installer, GoOrigin::System);
    let by_chocolatey = Evidence { chocolatey: Some("1.27.3".into()), ..silent };
    check(&by_chocolatey, &programs, Origin::Chocolatey, GoOrigin::System);
    let other = "Go Programming Language amd64 go1.26.0";
    let elsewhere = by(product(name, "1.27.3", Some(r"D:\Go")));
    for evidence in [by(product(other, "1.26.0", None)), elsewhere] {
        check(&evidence, &programs, Origin::Unpacked, GoOrigin::System);
        let inventory = Inventory::of(&evidence, vec![programs.clone()], Vec::new());
        assert_eq!(inventory.without_files, evidence.products);
    }
}

#[test]
fn a_product_claims_one_go_for_the_best_reason() {
    let name = "Go Programming Language amd64 go1.27.3";
    let evidence = Evidence {
        products: vec![product(name, "1.27.3", None)],
        install_locations: vec![r"D:\Tools\Go\".into()],
        ..windows()
    };
    let sightings = [r"C:\Go", r"D:\Tools\Go", r"C:\Program Files\Go"];
    let sightings = sightings.map(|path| at(path, "1.27.3", Lead::System)).to_vec();
    let inventory = Inventory::of(&evidence, sightings, Vec::new());
    let found: Vec<_> = inventory.found.iter().map(|go| (go.path.as_str(), go.origin)).collect();
    let expect = [
        (r"C:\Go", Origin::Unpacked),
        (r"C:\Program Files\Go", Origin::Unpacked),
        (r"D:\Tools\Go", Origin::Installer),
    ];
    assert_eq!(found, expect);
    assert!(inventory.found[2].vouched_by.as_ref().unwrap().contains(name));
    assert!(inventory.without_files.is_empty());
}

#[test]
fn a_version_comes_from_the_file_else_from_the_command() {
    #[track_caller]
    fn check(file: Option<&str>, command: Option<(&str, &str)>, expect: Option<&str>) {
        let build_info = command.map(|(go, package)| BuildInfo {
            go: go.to_owned(),
            package: Some(package.to_owned()),
        });
        let version_file = file.map(str::to_owned);
        let sighting =
            Sighting { path: "/x".into(), version_file, build_info, ..Sighting::default() };
        let inventory = Inventory::of(&Evidence::default(), vec![sighting], Vec::new());
        let found = inventory.found.first().map(|go| go.version.as_str());
        assert_eq!(found, expect, "{file:?} {command:?}");
    }
    check(Some("go1.27.3\ntime x"), None, Some("1.27.3"));
    check(Some("go1.27.3"), Some(("go1.26.0", "cmd/go")), Some("1.27.3"));
    check(None, Some(("go1.27.3 X:boringcrypto", "cmd/go")), Some("1.27.3"));
    check(Some("gcc 14"), Some(("go1.24.4 (Red Hat 1.24.4-1.el9)", "cmd/go")), Some("1.24.4"));
    check(None, Some(("devel go1.28-3a1b2c Thu Nov 5", "cmd/go")), Some("devel go1.28-3a1b2c"));
    check(None, Some(("go1.27.3", "golang.org/dl/go1.27.3")), None);
    check(Some(""), None, None);
    check(None, None, None);
}

#[test]
fn what_is_told_to_the_server_is_in_words_that_it_compares() {
    let tip = BuildInfo { go: "devel go1.28-3a1b2c".into(), package: Some("cmd/go".into()) };
    let tip = Sighting { path: "/tip".into(), build_info: Some(tip), ..Sighting::default() };
    let unseen = |place: &str| Unseen { place: place.into(), reason: "permission denied".into() };
    let sightings =
        vec![at("/opt/gofleet/releases/go-1.27.3-linux-amd64", "1.27.3", Lead::Root), tip];
    let told = vec![unseen("/b"), unseen("/a"), unseen("/b")];
    let inventory = Inventory::of(&Evidence::default(), sightings, told);
    assert_eq!(inventory.found.len(), 2);
    assert_eq!(inventory.unseen, [unseen("/a"), unseen("/b")]);
    let facts = inventory.facts();
    assert_eq!(facts.len(), 1);
    assert_eq!((facts[0].version.as_str(), facts[0].origin), ("1.27.3", GoOrigin::Managed));
}
