//! What `cargo xtask bench trust` runs: many machines that enrol, whoever asks a server, an agent
//! that brings its trust up to date, and the seals on orders. Each verb is a process of its own, so
//! that its processor time is its own, and prints one object of JSON.
#![expect(clippy::unwrap_used, reason = "a benchmark that fails says where")]

#[path = "../../trust/tests/client/support.rs"]
#[expect(dead_code, reason = "others use the rest")]
mod repository;
#[path = "trust/requests.rs"]
mod requests;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gofleet_api::Client as Server;
use gofleet_core::order::{Order, Want};
use gofleet_core::time::{Span, Timestamp};
use gofleet_trust::client::SourceError;
use gofleet_trust::{Client, SecretKey, Source, Store, approval, order};
use repository::{DAY, Repository, release};
use serde_json::{Value, json};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const USAGE: &str = "usage:
  trust enrol SERVER ADMIN_TOKEN MACHINES
  trust requests SERVER ADMIN_TOKEN
  trust orders
  trust repository FOLDER RELEASES      prints the path of a target
  trust refresh FOLDER TARGET           of metadata in files
  trust refresh-from SERVER ADMIN_TOKEN TARGET";

/// How long something short is repeated, so that the clock's grain does not show.
const REPEAT: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let said = match arguments[..] {
        ["enrol", server, token, machines] => {
            requests::enrol(server, token, machines.parse()?).await?
        }
        ["requests", server, token] => requests::measure(server, token).await?,
        ["orders"] => orders(),
        ["repository", folder, releases] => make(Path::new(folder), releases.parse()?)?,
        ["refresh", folder, target] => {
            let folder = PathBuf::from(folder);
            let root = fs::read(folder.join("1.root.json"))?;
            refresh(&root, || Ok(Folder(folder.clone())), target).await?
        }
        ["refresh-from", server, token, target] => {
            let first = Metadata(Server::with_token(server, token)?);
            let root = first.fetch("1.root.json", u64::MAX).await;
            let root = root.map_err(|error| error.to_string())?.ok_or("the server has no root")?;
            refresh(&root, || Ok(Metadata(Server::with_token(server, token)?)), target).await?
        }
        _ => return Err(USAGE.into()),
    };
    println!("{said}");
    Ok(())
}

/// The time, which metadata and seals go by.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(since.as_millis() as i64)
}

/// Processor time of this process with all of its threads, in milliseconds (proc(5)).
fn processor_ms() -> f64 {
    const TICK_MS: u64 = 10;
    let stat = fs::read_to_string("/proc/self/stat").expect("processor time is measured on Linux");
    let fields = stat.rsplit_once(')').expect("a name in parentheses").1.split_whitespace();
    // Behind the name the third field stands first; user and system time are the fields 14 and 15.
    let ticks: u64 = fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    (ticks * TICK_MS) as f64
}

/// How many microseconds one call takes.
fn each_us(mut call: impl FnMut()) -> f64 {
    let (begun, mut calls) = (Instant::now(), 0_u32);
    while begun.elapsed() < REPEAT {
        (0..100).for_each(|_| call());
        calls += 100;
    }
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
}

/// Sealing an order and verifying the seal.
fn orders() -> Value {
    let (repository, (release, _)) = (Repository::at(now()), release("1.27.3", "good"));
    let mut order = Order {
        device: "d-0123456789abcdef".parse().unwrap(),
        epoch: 1,
        generation: 0,
        issued_at: now(),
        rollout: "r-1".parse().unwrap(),
        want: Want::Activate { release, soak: Span::from_secs(600), window: None },
    };
    let until = now() + DAY;
    let sign_us = each_us(|| {
        order.generation += 1;
        std::hint::black_box(order::seal(&repository.orders, &order, until));
    });
    let root = repository.constitution().root(1, now());
    let seal = order::seal(&repository.orders, &order, until);
    let verify_us = each_us(|| order::verify(&root, &order, Some(&seal)).unwrap());
    let key = SecretKey::generate();
    let (public, message) = (key.public(), b"m".repeat(200));
    let signature = key.sign(&message);
    // What of it the signature by itself is.
    let bare_verify_us = each_us(|| assert!(public.verifies(&message, &signature)));
    json!({ "sign_us": sign_us, "verify_us": verify_us, "bare_verify_us": bare_verify_us })
}

/// Writes a repository of so many releases: two of two keys for the root, two of three approvers.
fn make(folder: &Path, releases: u32) -> Outcome<Value> {
    let mut repository = Repository::at(now());
    let mut path = String::new();
    for patch in 0..releases {
        let (release, manifest) = release(&format!("1.27.{patch}"), "good");
        path = approval::path(&release);
        repository.releases.insert(path.clone(), approval::target(&release, &manifest, None));
    }
    repository.publish_releases();
    repository.publish_online();
    fs::create_dir_all(folder)?;
    for (name, bytes) in &*repository.files.borrow() {
        fs::write(folder.join(name), bytes)?;
    }
    Ok(json!({ "target": path }))
}

/// Files of metadata.
struct Folder(PathBuf);

impl Source for Folder {
    async fn fetch(&self, name: &str, _limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(fs::read(self.0.join(name)).ok())
    }
}

/// A server's metadata, as the agent fetches it.
struct Metadata(Server);

impl Source for Metadata {
    async fn fetch(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(self.0.trust_metadata(name, limit).await?)
    }
}

/// A full refresh, over and over: from the pinned root alone to what is said of a target; and one
/// that finds nothing new. Each has a source of its own, and so a connection of its own.
async fn refresh<S: Source>(
    root: &[u8],
    source: impl Fn() -> Outcome<S>,
    target: &str,
) -> Outcome<Value> {
    let folder = tempfile::tempdir()?;
    let (mut rounds, mut full_ms, mut again_ms) = (0, 0.0, 0.0);
    while full_ms < REPEAT.as_secs_f64() * 1000.0 {
        // A hundred at once: the kernel counts processor time by hundredths of a second.
        let stores: Vec<PathBuf> =
            (rounds..rounds + 100).map(|it| folder.path().join(it.to_string())).collect();
        let clients: Outcome<Vec<Client>> = stores
            .iter()
            .map(|path| {
                let store = Store::of_agent(path);
                store.pin(root)?;
                Ok(Client::new(store))
            })
            .collect();
        let clients = clients?;
        for total_ms in [&mut full_ms, &mut again_ms] {
            let before = processor_ms();
            for client in &clients {
                let source = source()?;
                let mut trusted = client.refresh(&source, now()).await?;
                let found = client.find(&mut trusted, Some(&source), target).await?;
                found.ok_or("the target is not there")?;
            }
            *total_ms += processor_ms() - before;
        }
        rounds += 100;
    }
    let rounds = f64::from(rounds);
    Ok(json!({ "full_ms": full_ms / rounds, "again_ms": again_ms / rounds }))
}
