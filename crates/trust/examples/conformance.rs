//! The client by the command line that the official suite `tuf-conformance` calls its clients by.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gofleet_core::time::Timestamp;
use gofleet_trust::client::SourceError;
use gofleet_trust::metadata::TargetFile;
use gofleet_trust::store::quoted;
use gofleet_trust::{Client, Source, Store, Trusted};

/// A folder of files by HTTP.
struct Http {
    client: reqwest::Client,
    base: String,
}

impl Source for Http {
    async fn fetch(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        let address = format!("{}/{name}", self.base.trim_end_matches('/'));
        let mut response = self.client.get(address).send().await?;
        if matches!(response.status().as_u16(), 403 | 404) {
            return Ok(None);
        }
        response.error_for_status_ref()?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > limit {
                break;
            }
        }
        Ok(Some(bytes))
    }
}

/// Flags with their values, and what else there is.
#[derive(Default)]
struct Arguments {
    flags: HashMap<String, String>,
    targets: Vec<String>,
    words: Vec<String>,
}

fn arguments() -> Arguments {
    let mut all = Arguments::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.strip_prefix("--") {
            Some("target-name") => all.targets.push(words.next().unwrap()),
            Some(flag) => {
                all.flags.insert(flag.to_owned(), words.next().unwrap());
            }
            None => all.words.push(word),
        }
    }
    all
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let _chosen = rustls::crypto::ring::default_provider().install_default();
    match run(&arguments()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut next: Option<&dyn Error> = Some(error.as_ref());
            while let Some(error) = next {
                eprintln!("{error}");
                next = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(all: &Arguments) -> Result<(), SourceError> {
    let folder = PathBuf::from(&all.flags["metadata-dir"]);
    let store = Store::new(&folder, &folder.with_file_name("floor.json"));
    if all.words[0] == "init" {
        let root = fs::read(&all.words[1])?;
        // The suite gives roots that are none and expects that only using them fails.
        if let Err(error) = store.pin(&root) {
            eprintln!("not pinned: {error}");
            fs::write(folder.join("root.json"), root)?;
        }
        return Ok(());
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let now = Timestamp::from_millis(now.as_millis() as i64);
    let http = reqwest::Client::builder().tls_certs_only([]).no_proxy().build()?;
    let source = Http { client: http.clone(), base: all.flags["metadata-url"].clone() };
    let client = Client::new(store);
    let mut trusted = client.refresh(&source, now).await?;
    for name in &all.targets {
        let target = client.find(&mut trusted, Some(&source), name).await?;
        let target = target.ok_or_else(|| format!("no target {name}"))?;
        let targets = Http { client: http.clone(), base: all.flags["target-base-url"].clone() };
        let folder = Path::new(&all.flags["target-dir"]);
        download(&targets, &trusted, name, &target, &folder.join(quoted(name))).await?;
    }
    Ok(())
}

async fn download(
    source: &Http,
    trusted: &Trusted,
    name: &str,
    target: &TargetFile,
    path: &Path,
) -> Result<(), SourceError> {
    if fs::read(path).is_ok_and(|bytes| target.matches(&bytes)) {
        return Ok(());
    }
    let hash = target.hashes.values().next().ok_or("no digest")?;
    let (folder, file) = name.rsplit_once('/').map_or(("", name), |(folder, file)| (folder, file));
    let file =
        if trusted.root().consistent_snapshot { format!("{hash}.{file}") } else { file.to_owned() };
    let address = if folder.is_empty() { file } else { format!("{folder}/{file}") };
    let bytes = source.fetch(&address, target.length).await?.ok_or("not found")?;
    if !target.matches(&bytes) {
        return Err("the file is not what was signed".into());
    }
    fs::write(path, bytes)?;
    Ok(())
}
