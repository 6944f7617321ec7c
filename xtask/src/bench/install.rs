//! From a local mirror to a verified tree, against unzip and Python's zipfile.
//!
//! All unpack the same Windows archive, which lies in memory, onto a fresh tmpfs each time: on a
//! disk the age of the file system would be measured. gofleet also downloads it over HTTP and
//! hashes the archive and every file; the others find the archive beside them and hash nothing.
//! Processes are timed from outside, start and end included.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::Row;
use crate::run::{cargo, read, root, run};

/// Rounds; the medians count. Odd, so that one of them is the median.
const ROUNDS: usize = 7;

pub fn measure() -> Result<Vec<Row>> {
    let archive = gofleet_testkit::go::find_archive("1.27.3", "windows-amd64")?;
    let memory = Place::new()?;
    println!("each time {}", memory.kind());
    let copy = memory.path().join("go.zip");
    fs::copy(&archive, &copy)?;
    let program = build()?;
    let manifest = memory.path().join("manifest.json");
    let mut import = Command::new(&program);
    import.arg("manifest").arg(&copy).stdout(File::create(&manifest)?);
    ensure_success(&mut import)?;
    let url = serve(copy.clone())?;
    let (mut ours, mut unzip, mut python) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        unzip.push(timed(|to| {
            let mut unzip = Command::new("unzip");
            unzip.arg("-q").arg(&copy).arg("-d").arg(to);
            unzip
        })?);
        python.push(timed(|to| {
            let mut python = Command::new("python3");
            python.args(["-m", "zipfile", "-e"]).arg(&copy).arg(to);
            python
        })?);
        ours.push(timed(|to| {
            let mut ours = Command::new(&program);
            ours.arg("run").arg(&manifest).arg(&url).arg(to.join("root"));
            ours
        })?);
    }
    let (ours, unzip, python) = (median(ours), median(unzip), median(python));
    let what = "install Go 1.27.3: download, unpack, verify";
    Ok(vec![
        Row::new(what, ours, "ms").against("unzip", unzip).must(unzip).aim(unzip / 3.0),
        Row::new(what, ours, "ms").against("python3 -m zipfile", python).must(python),
    ])
}

/// Builds what does for the measurement what an agent does.
fn build() -> Result<PathBuf> {
    run(cargo().args([
        "build",
        "--release",
        "--package",
        "gofleet-depot",
        "--example",
        "install",
    ]))?;
    let metadata = read(cargo().args(["metadata", "--no-deps", "--format-version=1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let target = metadata["target_directory"].as_str().map_or(root().join("target"), Into::into);
    Ok(target.join("release/examples/install"))
}

/// How long a command takes that unpacks into the given folder, in milliseconds.
fn timed(command: impl Fn(&Path) -> Command) -> Result<f64> {
    let place = Place::new()?;
    let mut command = command(place.path());
    command.stdout(Stdio::null());
    let begin = Instant::now();
    ensure_success(&mut command)?;
    Ok(begin.elapsed().as_secs_f64() * 1000.0)
}

fn ensure_success(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("{program} can't be started"))?;
    ensure!(status.success(), "{program} failed: {status}");
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A fresh folder in memory.
struct Place {
    folder: TempDir,
    is_mounted: bool,
}

impl Place {
    fn new() -> Result<Self> {
        let shared = Path::new("/dev/shm");
        let parent = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
        let folder = tempfile::tempdir_in(parent)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2g", "tmpfs"]).arg(folder.path());
        let mounted = mount.stderr(Stdio::null()).status();
        let is_mounted = mounted.is_ok_and(|status| status.success());
        Ok(Self { folder, is_mounted })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn kind(&self) -> String {
        if self.is_mounted {
            "a tmpfs mounted for it".to_owned()
        } else {
            // Only the superuser may mount.
            format!(
                "a fresh folder below {}",
                self.path().parent().unwrap_or(self.path()).display()
            )
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_mounted {
            // What stays mounted is seen by whoever looks; there is nothing else to do.
            let _ = Command::new("umount").arg(self.path()).status();
        }
    }
}

/// A mirror on this machine that has one file; gives its address.
fn serve(path: PathBuf) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/go.zip", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming() {
            if let Err(error) = stream.and_then(|stream| answer(stream, &path)) {
                eprintln!("the mirror: {error}");
            }
        }
    });
    Ok(url)
}

fn answer(mut stream: TcpStream, path: &Path) -> io::Result<()> {
    for line in BufReader::new(&stream).lines() {
        if line?.is_empty() {
            break;
        }
    }
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    io::copy(&mut file, &mut stream).map(drop)
}
