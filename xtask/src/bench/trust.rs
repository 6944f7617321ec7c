//! What trust costs: machines that enrol over TLS, telling who asks, seals on orders, an agent that
//! brings its trust up to date, and verifying the audit log of it all.
//!
//! The server is the program as it is shipped, in a process of its own with a database on the disk;
//! the others are the agent's example `trust`, on the same processors. python-tuf, OpenSSL and
//! Python do the same where they can.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use gofleet_testkit::fleet::Fleet;
use serde_json::Value;

use super::Row;
use super::cost::{self, median, timed};
use super::peers_of_trust::{PYTHON_AUDIT, PYTHON_TUF, openssl_ed25519_us};
use crate::dist;
use crate::run::{cargo, read, run, target_folder};
use crate::setup::packages;

/// Machines that enrol. Each makes two entries of the audit log: its token's and its own.
const MACHINES: usize = 5000;
/// Entries of the audit log that are verified.
const ENTRIES: usize = 10_000;
/// Releases in the repository that is refreshed from: ten minor lines of Go on a few platforms.
const RELEASES: usize = 500;
/// Rounds; the medians count.
const ROUNDS: usize = 5;

/// Runs one verb of the example `trust`.
type Example<'a> = &'a dyn Fn(&[&str]) -> Result<Value>;

pub fn measure() -> Result<Vec<Row>> {
    let program = dist::program()?;
    run(cargo()
        .args(["build", "--release", "--package", "gofleet-agent", "--example"])
        .arg("trust"))?;
    let example = target_folder()?.join("release/examples/trust");
    let example: Example<'_> = &|words: &[&str]| {
        let said = read(Command::new(&example).args(words))?;
        serde_json::from_str(&said).with_context(|| format!("it said something else: {said}"))
    };
    let fleet = Fleet::start(&program);
    let (url, token) = (fleet.url().to_owned(), fleet.admin_token());
    let mut rows = requests(example, &url, &token)?;
    rows.extend(orders(example)?);
    rows.extend(refreshes(example, fleet.folder())?);
    rows.extend(agent_refresh(example, &fleet)?);
    rows.extend(enrolments(example, &url, &token)?);
    rows.extend(audit(&fleet)?);
    Ok(rows)
}

fn number(value: &Value, field: &str) -> Result<f64> {
    value[field].as_f64().with_context(|| format!("{value} has no number `{field}`"))
}

/// How much longer a request takes whose sender is told and asked by the rules whether they may,
/// against one that anybody may send. The answer itself is in it: it is one that costs little.
fn requests(example: Example<'_>, url: &str, token: &str) -> Result<Vec<Row>> {
    let told = example(&["requests", url, token])?;
    let told = told.as_array().context("no list of callers")?;
    let (nobody, known) = told.split_first().context("nobody asked")?;
    let anybody_ms = number(nobody, "ms")?;
    let mut rows = vec![Row::new("a request that anybody may send", anybody_ms, "ms")];
    for caller in known {
        let name = caller["caller"].as_str().context("a caller has a name")?;
        let cost_ms = (number(caller, "ms")? - anybody_ms).max(0.0);
        rows.push(Row::new(format!("more for {name}"), cost_ms, "ms").must(1.0));
    }
    Ok(rows)
}

fn orders(example: Example<'_>) -> Result<Vec<Row>> {
    packages::programs(&[("openssl", "openssl")])?;
    let told = example(&["orders"])?;
    let (sign_us, verify_us) = (number(&told, "sign_us")?, number(&told, "verify_us")?);
    let (openssl_sign_us, openssl_verify_us) = openssl_ed25519_us()?;
    let openssl = "OpenSSL's Ed25519 alone";
    Ok(vec![
        Row::new("an order is sealed", sign_us, "µs").against(openssl, openssl_sign_us),
        Row::new("a sealed order is verified", verify_us, "µs").against(openssl, openssl_verify_us),
        Row::per_second("orders sealed", 1e6 / sign_us),
        Row::per_second("sealed orders verified", 1e6 / verify_us),
    ])
}

/// A whole refresh, from the pinned root to what is said of a release, of the same files as
/// python-tuf; processor time.
fn refreshes(example: Example<'_>, folder: &Path) -> Result<Vec<Row>> {
    let metadata = folder.join("metadata");
    let place = metadata.to_str().context("a folder has a name of text")?;
    let made = example(&["repository", place, &RELEASES.to_string()])?;
    let target = made["target"].as_str().context("the repository has no target")?;
    let ours = example(&["refresh", place, target])?;
    let mut python = Command::new(packages::python_tuf()?);
    python.args(["-c", PYTHON_TUF, place, target]);
    let peer: Value = serde_json::from_str(&read(&mut python)?)?;
    let row = |what: String, field| -> Result<Row> {
        let (ours_ms, peer_ms) = (number(&ours, field)?, number(&peer, field)?);
        Ok(Row::new(what, ours_ms, "ms").against("python-tuf", peer_ms))
    };
    let what = format!("{RELEASES} releases, from the root on, processor time");
    Ok(vec![
        row(what, "full_ms")?.must(50.0),
        row("the same when nothing is new".to_owned(), "again_ms")?,
    ])
}

/// The same of a real server, over a TLS connection that is opened for it.
fn agent_refresh(example: Example<'_>, fleet: &Fleet) -> Result<Vec<Row>> {
    let passphrase = fleet.folder().join("passphrase.txt");
    fs::write(&passphrase, "one key for a benchmark\n")?;
    let key = fleet.folder().join("trust.key");
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let signer =
        ["--key".to_owned(), text(&key), "--passphrase-file".to_owned(), text(&passphrase)];
    let obey = |words: &[&str]| {
        let words = words.iter().map(ToString::to_string).chain(signer.iter().cloned());
        let ran = fleet.run(words);
        ensure!(ran.code == Some(0), "{ran}");
        Ok(())
    };
    obey(&["trust", "init", "--solo"])?;
    let archive = gofleet_testkit::go::lean_archive("1.27.3", gofleet_testkit::go::HOST);
    fleet.ok(["release", "import", &text(&archive)]);
    let release = format!("go-1.27.3-{}", gofleet_testkit::go::HOST);
    obey(&["trust", "approve", &release])?;
    let target = format!("go/{release}");
    let told = example(&["refresh-from", fleet.url(), &fleet.admin_token(), &target])?;
    Ok(vec![
        Row::new("an agent's refresh over TLS, processor time", number(&told, "full_ms")?, "ms")
            .must(50.0),
        Row::new("the same when nothing is new", number(&told, "again_ms")?, "ms").must(50.0),
    ])
}

fn enrolments(example: Example<'_>, url: &str, token: &str) -> Result<Vec<Row>> {
    let told = example(&["enrol", url, token, &MACHINES.to_string()])?;
    Ok(vec![Row::per_second("enrolments over TLS", number(&told, "per_second")?)])
}

/// The first entries of the log that all this has made.
fn audit(fleet: &Fleet) -> Result<Vec<Row>> {
    let whole = fleet.folder().join("whole.jsonl");
    fleet.ok(["audit", "export", "--out", &whole.to_string_lossy()]);
    let lines = fs::read_to_string(&whole)?;
    let lines: Vec<&str> = lines.split_inclusive('\n').take(ENTRIES).collect();
    ensure!(lines.len() == ENTRIES, "the log has {} entries only", lines.len());
    let export: PathBuf = fleet.folder().join("export.jsonl");
    fs::write(&export, lines.concat())?;
    let (mut wall, mut ours, mut python) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let verify = || {
            let mut command = fleet.command();
            command.args(["audit", "verify", "--file"]).arg(&export);
            command
        };
        wall.push(timed(&mut verify())?);
        ours.push(cost::of(|| cost::succeed(verify().stdout(std::process::Stdio::null())))?);
        let mut peer = Command::new("python3");
        python.push(timed(peer.args(["-c", PYTHON_AUDIT]).arg(&export))?);
    }
    let processor_ms = median(ours.iter().map(|cost| cost.processor_ms).collect());
    let what = format!("an audit log of {ENTRIES} entries is verified");
    Ok(vec![
        Row::new(what, median(wall), "ms").against("Python's json and hashlib", median(python)),
        Row::new("the same, processor time", processor_ms, "ms"),
    ])
}
