//! The peers of `bench trust`: what they are asked, in their own words.

use std::process::Command;

use anyhow::{Context, Result};

use crate::run::read;

/// Refreshes from a folder of metadata as python-tuf does, over and over, and tells what processor
/// time one takes: from the root alone, and when nothing is new. The interpreter's start and its
/// imports are left out.
pub const PYTHON_TUF: &str = r#"
import json, os, shutil, sys, tempfile, time
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

class Folder(FetcherInterface):
    def _fetch(self, url):
        path = os.path.join(sys.argv[1], url.removeprefix("file:///"))
        if not os.path.exists(path):
            raise DownloadHTTPError("no such file", 404)
        with open(path, "rb") as file:
            yield file.read()

with open(os.path.join(sys.argv[1], "1.root.json"), "rb") as file:
    root = file.read()

def refresh(cache):
    begun = time.process_time()
    updater = Updater(cache, "file:///", fetcher=Folder(), bootstrap=root)
    updater.refresh()
    assert updater.get_targetinfo(sys.argv[2]) is not None
    return (time.process_time() - begun) * 1000

rounds, full, again = 100, 0, 0
for _ in range(rounds):
    cache = tempfile.mkdtemp()
    full += refresh(cache)
    again += refresh(cache)
    shutil.rmtree(cache)
print(json.dumps({"full_ms": full / rounds, "again_ms": again / rounds}))
"#;

/// Verifies the chain of an export of the audit log, as docs/audit.md describes it.
pub const PYTHON_AUDIT: &str = r#"
import hashlib, json, sys
previous = "0" * 64
with open(sys.argv[1], "rb") as file:
    for line in file:
        entry = json.loads(line)
        told = entry.pop("hash")
        assert entry["previous"] == previous, entry
        text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        previous = hashlib.sha256(b"gofleet audit entry v1\0" + text.encode()).hexdigest()
        assert previous == told, entry
"#;

/// How many microseconds OpenSSL takes for one signature by Ed25519, and for verifying one.
pub fn openssl_ed25519_us() -> Result<(f64, f64)> {
    let mut speed = Command::new("openssl");
    let told = read(speed.args(["speed", "-mr", "-seconds", "2", "ed25519"]))?;
    // As `+F6:7:253:Ed25519:<sign>:<verify>`, in seconds or by the second as versions have it.
    let line = told.lines().rev().find(|line| line.contains("Ed25519"));
    let line = line.with_context(|| format!("OpenSSL told no speed of Ed25519:\n{told}"))?;
    let mut figures = line.rsplit(':').map_while(|word| word.trim().parse::<f64>().ok());
    let (verify, sign) = (figures.next(), figures.next());
    let us = |figure: Option<f64>| -> Result<f64> {
        let figure = figure.with_context(|| format!("OpenSSL told something else: {line}"))?;
        Ok(if figure < 1.0 { figure * 1e6 } else { 1e6 / figure })
    };
    Ok((us(sign)?, us(verify)?))
}
