//! The floor: what any tool must at least do, by the tools of every system, two roots at a time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::super::cost::succeed;
use super::{Contender, DEVICES, Go, Setting};

/// For one root. What is there already is left alone.
const SCRIPT: &str = r#"set -e
root=$1 version=$2 url=$3 sha256=$4
if [ ! -d "$root/$version" ]; then
  curl --fail --silent --show-error --output "$root/go.tar.gz" "$url"
  echo "$sha256  $root/go.tar.gz" | sha256sum --check --quiet
  mkdir "$root/new"
  tar --extract --gzip --file "$root/go.tar.gz" --directory "$root/new"
  mv "$root/new" "$root/$version"
  rm "$root/go.tar.gz"
fi
ln --symbolic --force --no-dereference "$version/go" "$root/current"
GOTOOLCHAIN=local "$root/current/bin/go" version >/dev/null
"#;

struct Floor {
    folder: PathBuf,
    mirror: String,
}

pub fn start(folder: &Path, setting: &Setting) -> Result<Box<dyn Contender>> {
    for root in 0..DEVICES {
        fs::create_dir(folder.join(root.to_string()))?;
    }
    fs::write(folder.join("bring.sh"), SCRIPT)?;
    Ok(Box::new(Floor { folder: folder.to_owned(), mirror: setting.mirror.clone() }))
}

impl Contender for Floor {
    fn bring(&mut self, go: &Go) -> Result<()> {
        let line = format!(
            "seq 0 {} | xargs -P 2 -I @ sh bring.sh {}/@ {} {} {}",
            DEVICES - 1,
            self.folder.display(),
            go.version,
            go.url(&self.mirror),
            go.sha256
        );
        succeed(Command::new("sh").args(["-c", &line]).current_dir(&self.folder))
    }

    fn program(&self, root: usize) -> PathBuf {
        self.folder.join(root.to_string()).join("current/bin/go")
    }
}
