//! An independent implementation, python-tuf, reads our repository and says the same of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use gofleet_trust::approval;

use crate::support::{Repository, release};

/// The Python that has the package `tuf`, as `cargo xtask setup` names it.
const PYTHON: &str = "GOFLEET_TUF_PYTHON";

/// Reads a folder of metadata as python-tuf does, and prints what it finds of a target.
const READER: &str = r#"
import json, os, sys
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
updater = Updater(sys.argv[2], "file:///", fetcher=Folder(), bootstrap=root)
updater.refresh()
target = updater.get_targetinfo(sys.argv[3])
print(json.dumps(target.to_dict() if target else None))
"#;

fn python() -> Command {
    let python = std::env::var_os(PYTHON).unwrap_or_else(|| "python3".into());
    Command::new(python)
}

fn find(folder: &Path, target: &str) -> Result<serde_json::Value, String> {
    let cache = tempfile::tempdir().unwrap();
    let arguments = [folder, cache.path()];
    let output = python().args(["-c", READER]).args(arguments).arg(target).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    } else {
        Err(told)
    }
}

#[test]
#[ignore = "needs the Python package tuf; the suite trust installs it"]
fn python_tuf_reads_our_repository_and_agrees() {
    let mut repository = Repository::new();
    // python-tuf goes by the machine's clock.
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    repository.now = gofleet_core::time::Timestamp::from_millis(since.as_millis() as i64);
    let (good, manifest) = release("1.27.3", "good");
    repository.publish_root();
    repository.publish_targets();
    repository.approve(&good, &manifest);
    let folder = tempfile::tempdir().unwrap();
    let write = || {
        for (name, bytes) in &*repository.files.borrow() {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
    };
    write();
    let found = find(folder.path(), &approval::path(&good)).unwrap();
    assert_eq!(found, serde_json::to_value(approval::target(&good, &manifest, None)).unwrap());
    let (unknown, _) = release("1.27.4", "good");
    assert_eq!(find(folder.path(), &approval::path(&unknown)).unwrap(), serde_json::Value::Null);
    // It also refuses what we refuse.
    let name = format!("{}.go.json", repository.versions["go"]);
    let harmed = String::from_utf8(repository.files.borrow()[&name].clone()).unwrap();
    let evil = harmed.replace(&good.manifest.to_string(), &"0".repeat(64));
    repository.files.borrow_mut().insert(name, evil.into_bytes());
    write();
    let error = find(folder.path(), &approval::path(&good)).unwrap_err();
    assert!(error.contains("signed by 0/2 keys"), "{error}");
}
