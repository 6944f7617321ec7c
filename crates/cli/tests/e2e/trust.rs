//! Two signers with real programs: a server, an agent on it, and people who sign.
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gofleet_testkit::fleet::Fleet;
use gofleet_testkit::wait::wait_until;
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gofleet");
const DEADLINE: Duration = Duration::from_secs(240);

/// A passphrase in a file, and a key under it.
struct Person {
    key: PathBuf,
    passphrase: PathBuf,
}

impl Person {
    fn named(fleet: &Fleet, name: &str) -> Self {
        let passphrase = fleet.folder().join(format!("{name}.txt"));
        fs::write(&passphrase, format!("{name} has a long passphrase\n")).unwrap();
        Self { key: fleet.folder().join(format!("{name}.key")), passphrase }
    }

    fn with_key(fleet: &Fleet, name: &str) -> Self {
        let person = Self::named(fleet, name);
        fleet.ok([
            "trust",
            "key",
            text(&person.key),
            "--passphrase-file",
            text(&person.passphrase),
        ]);
        person
    }

    fn flags(&self) -> [&str; 4] {
        ["--key", text(&self.key), "--passphrase-file", text(&self.passphrase)]
    }

    fn public(&self) -> PathBuf {
        self.key.with_extension("pub")
    }

    fn sign(&self, fleet: &Fleet, request: &Path) -> Value {
        fleet.json(["trust", "sign", text(request)].into_iter().chain(self.flags()))
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A rollout of that version to everybody.
fn roll_out(fleet: &Fleet, name: &str) {
    let all = ["--yes", "--soak", "0s", "--rings", "all:rest", "--name", name];
    fleet.ok(["rollout", "start", "1.27.3"].into_iter().chain(all));
}

#[test]
fn alone_one_begins_and_a_device_runs_what_was_signed_and_nothing_else() {
    let mut fleet = Fleet::start(PROGRAM);
    // Approved by the server alone, before there was a root of trust.
    let release = fleet.import_lean_go("1.27.3");
    let ann = Person::named(&fleet, "ann");
    let begun = fleet.ok(["trust", "init", "--solo"].into_iter().chain(ann.flags()));
    assert!(begun.stderr.contains("one key signs everything"), "{}", begun.stderr);
    let refused = fleet.run(["release", "approve", &release]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("no approver has signed"), "{}", refused.stderr);
    fleet.start_agent("one");
    fleet.wait_devices(1);
    let told = fleet.ok(["agent", "status", "--root", text(fleet.agent("one").root())]);
    assert!(told.stdout.contains("trust      root of version 1"), "{}", told.stdout);
    roll_out(&fleet, "early");
    wait_until("the device refuses it", DEADLINE, || {
        let status = fleet.json(["rollout", "status", "early"]).to_string();
        status.contains("no approver has signed").then_some(())
    });
    assert_eq!(fleet.agent("one").active(), None);
    assert!(!fleet.agent("one").root().join("releases").join(&release).exists());
    fleet.ok(["rollout", "stop", "early"]);
    fleet.ok(["trust", "approve", &release].into_iter().chain(ann.flags()));
    let status = fleet.ok(["trust", "status"]).stdout;
    assert!(status.contains(&format!("signed  go/{release}")), "{status}");
    roll_out(&fleet, "signed");
    wait_until("the device has it", DEADLINE, || {
        (fleet.agent("one").active().as_ref() == Some(&release)).then_some(())
    });
}

#[test]
fn several_sign_apart_from_the_server_and_too_few_are_not_enough() {
    let fleet = Fleet::start(PROGRAM);
    let release = fleet.import_lean_go("1.27.3");
    let people = ["ann", "bob", "eve"].map(|name| Person::with_key(&fleet, name));
    let [ann, bob, eve] = &people;
    let (ann_pub, bob_pub, eve_pub) = (ann.public(), bob.public(), eve.public());
    let request = fleet.folder().join("request.json");
    let file = text(&request);
    let mut init = vec!["trust", "init", "--out", file];
    for key in [&ann_pub, &bob_pub] {
        init.extend(["--root-key", text(key)]);
    }
    for key in [&ann_pub, &bob_pub, &eve_pub] {
        init.extend(["--approver", text(key)]);
    }
    fleet.ok(init);
    // A majority, where nobody says how many.
    ann.sign(&fleet, &request);
    let early = fleet.run(["trust", "import", file]);
    assert!(early.stderr.contains("needs 2 signatures and has 1"), "{}", early.stderr);
    let signed = bob.sign(&fleet, &request);
    assert_eq!(signed["missing"].as_array().unwrap().len(), 0, "{signed}");
    fleet.ok(["trust", "import", file]);
    // One is not enough for a release, and is told so before anything is imported.
    let alone = fleet.run(["trust", "approve", &release].into_iter().chain(eve.flags()));
    assert!(alone.stderr.contains("2 must sign, and you are 1"), "{}", alone.stderr);
    fleet.ok(["trust", "request", "--approve", &release, "--out", file]);
    let shown = fleet.ok(["trust", "sign", file, "--dry-run"].into_iter().chain(eve.flags()));
    assert!(shown.stdout.contains(&format!("+ go/{release}")), "{}", shown.stdout);
    eve.sign(&fleet, &request);
    ann.sign(&fleet, &request);
    fleet.ok(["trust", "import", file]);
    fleet.ok(["release", "approve", &release]);
    // Eve leaves: both who hold the root sign, and what was signed stays.
    let rotate = ["trust", "rotate", "--out", file, "--approver", text(&ann_pub)];
    fleet.ok(rotate.into_iter().chain(["--approver", text(&bob_pub)]));
    let stranger = fleet.run(["trust", "sign", file].into_iter().chain(eve.flags()));
    assert!(stranger.stderr.contains("may sign nothing"), "{}", stranger.stderr);
    ann.sign(&fleet, &request);
    bob.sign(&fleet, &request);
    fleet.ok(["trust", "import", file]);
    let status = fleet.ok(["trust", "status"]).stdout;
    assert!(status.contains(&format!("signed  go/{release}")), "{status}");
    // A device pins what the server has today.
    let (root, device) = (fleet.folder().join("root.json"), fleet.folder().join("device"));
    fleet.ok(["trust", "root", text(&root)]);
    let pinned = fleet.ok(["trust", "pin", text(&root), "--root", text(&device)]);
    assert!(pinned.stdout.contains("root of version 2"), "{}", pinned.stdout);
    fs::write(&root, "{}").unwrap();
    assert_eq!(fleet.run(["trust", "pin", text(&root), "--root", text(&device)]).code, Some(1));
}

/// Runs another program to its end.
fn other(program: &str, folder: &Path, arguments: &[&str]) {
    let mut command = std::process::Command::new(program);
    command.current_dir(folder).args(arguments);
    command.env("SOFTHSM2_CONF", folder.join("softhsm2.conf"));
    let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Has a server begin whose one approver's key lies elsewhere: it signs `in.bin` to `out.sig`.
fn begin_with_a_key_elsewhere(fleet: &Fleet, sign: impl Fn()) {
    let folder = fleet.folder();
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (key, pem, public) = (at("card.key"), at("card.pem"), at("card.pub"));
    let (request, message, signature) = (at("request.json"), at("in.bin"), at("out.sig"));
    fleet.ok(["trust", "key", &key, "--from-pem", &pem]);
    let keys = ["--root-key", &public, "--approver", &public];
    fleet.ok(["trust", "init", "--out", &request].into_iter().chain(keys));
    for role in ["root", "targets", "go"] {
        fleet.ok(["trust", "export", &request, "--role", role, "--out", &message]);
        sign();
        let attach = ["trust", "attach", &request, "--role", role, "--public-key", &public];
        fleet.ok(attach.into_iter().chain(["--signature", &signature]));
    }
    // A signature of other bytes is none.
    let again = ["trust", "attach", &request, "--role", "root", "--public-key", &public];
    let refused = fleet.run(again.into_iter().chain(["--signature", &signature]));
    assert!(refused.stderr.contains("this is no signature of root"), "{}", refused.stderr);
    fleet.ok(["trust", "import", &request]);
}

#[test]
#[ignore = "needs openssl"]
fn a_key_of_openssl_signs() {
    let fleet = Fleet::start(PROGRAM);
    let openssl = |words: &str| {
        other("openssl", fleet.folder(), &words.split(' ').collect::<Vec<_>>());
    };
    openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out private.pem");
    openssl("pkey -in private.pem -pubout -out card.pem");
    begin_with_a_key_elsewhere(&fleet, || {
        openssl("dgst -sha256 -sign private.pem -out out.sig in.bin");
    });
}

#[test]
#[ignore = "needs softhsm2, opensc and openssl"]
fn a_key_behind_pkcs11_signs() {
    let fleet = Fleet::start(PROGRAM);
    let folder = fleet.folder().to_owned();
    fs::create_dir(folder.join("tokens")).unwrap();
    let settings = format!("directories.tokendir = {}\n", folder.join("tokens").display());
    fs::write(folder.join("softhsm2.conf"), settings).unwrap();
    let module = "/usr/lib/softhsm/libsofthsm2.so";
    let run = |program: &str, words: &str| {
        other(program, &folder, &words.split(' ').collect::<Vec<_>>());
    };
    run("softhsm2-util", "--init-token --free --label gofleet --pin 1234 --so-pin 1234");
    let card = format!("--module {module} --token-label gofleet --login --pin 1234 --label bob");
    run("pkcs11-tool", &format!("{card} --keypairgen --key-type EC:prime256v1"));
    run("pkcs11-tool", &format!("{card} --read-object --type pubkey --output-file card.der"));
    run("openssl", "pkey -pubin -inform DER -in card.der -out card.pem -pubout");
    begin_with_a_key_elsewhere(&fleet, || {
        run("openssl", "dgst -sha256 -binary -out in.hash in.bin");
        let sign = "--sign --mechanism ECDSA --signature-format openssl";
        run("pkcs11-tool", &format!("{card} {sign} --input-file in.hash --output-file out.sig"));
    });
}
