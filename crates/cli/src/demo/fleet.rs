//! The demo's processes: this program as a server and as agents.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use gofleet_api::{Client, TokenRequest};
use gofleet_platform::ProcessTree;
use tokio::time::{Instant, sleep};

/// How long the server, or all agents, may take to be there.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How often is looked whether they are.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Places for the devices, so that the console has something to group by.
const SITES: [&str; 4] = ["berlin", "dalian", "tokyo", "austin"];

/// A server with its agents; all end when this is dropped.
pub struct Fleet {
    /// The administrator's client.
    pub client: Client,
    folder: PathBuf,
    program: PathBuf,
    processes: Vec<Running>,
}

/// A process that ends, with all that it started, when this is dropped.
struct Running {
    child: Child,
    tree: ProcessTree,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tree.kill();
        let _ = self.child.kill();
        // Only a process that is gone lets go of its files.
        let _ = self.child.wait();
    }
}

impl Fleet {
    /// Starts the server and waits until it answers.
    pub async fn start(folder: &Path, listen: &str) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program can't find itself")?;
        let data = folder.join("server");
        let mut command = Command::new(&program);
        command.args(["server", "--listen", listen, "--reconcile-every", "250ms"]);
        // All agents measure this one machine, which is busy: that says nothing of any of them.
        command.args(["--anomaly-rules", "none", "--data"]);
        let mut server = spawn(command.arg(&data), &folder.join("server.log"))?;
        let deadline = Instant::now() + START_LIMIT;
        let client = loop {
            if let Some(client) = connect(&data).await {
                break client;
            }
            if server.child.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("the server did not start:\n{}", tail(&folder.join("server.log")));
            }
            sleep(LOOK_EVERY).await;
        };
        Ok(Self { client, folder: folder.to_owned(), program, processes: vec![server] })
    }

    /// A link that opens the console, logged in.
    pub async fn login_link(&self) -> anyhow::Result<String> {
        let link = self.client.login_link().await?;
        // A browser on this machine needs no certificate.
        let server = self.client.server().replace("https://", "http://");
        Ok(format!("{server}{}", link.path))
    }

    /// Starts agents and waits until all are devices of the fleet.
    pub async fn start_agents(&mut self, count: u32) -> anyhow::Result<()> {
        for index in 0..count {
            let request = TokenRequest { note: "demo".to_owned(), ..TokenRequest::default() };
            let token = self.client.create_token(&request).await?.token;
            let site = SITES[index as usize % SITES.len()];
            let name = format!("{site}-{:02}", index / SITES.len() as u32 + 1);
            let mut command = Command::new(&self.program);
            command
                .args(["agent", "run", "--server", self.client.server(), "--token", &token])
                .args(["--hostname", &name, "--label", &format!("site={site}"), "--root"])
                .arg(self.root(&name))
                .arg("--check-cache")
                .arg(self.folder.join("check-cache"));
            self.processes.push(spawn(&mut command, &self.folder.join(format!("{name}.log")))?);
        }
        let deadline = Instant::now() + START_LIMIT;
        while self.client.devices().await?.len() < count as usize {
            if Instant::now() > deadline {
                bail!("not all agents enrolled within {START_LIMIT:?}");
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    fn root(&self, hostname: &str) -> PathBuf {
        self.folder.join("devices").join(hostname)
    }

    /// Damages the compiler in a device's tree of a release, as an antivirus or a failing disk
    /// would; returns the file's path below the device's root.
    pub fn damage(&self, hostname: &str, release: &str) -> anyhow::Result<String> {
        let root = self.root(hostname);
        let tools = root.join("releases").join(release).join("pkg").join("tool");
        let name = format!("compile{}", std::env::consts::EXE_SUFFIX);
        let compiler = fs::read_dir(&tools)
            .with_context(|| format!("{} can't be read", tools.display()))?
            .filter_map(|entry| Some(entry.ok()?.path().join(&name)))
            .find(|path| path.is_file())
            .with_context(|| format!("{} has no compiler", tools.display()))?;
        overwrite(&compiler).with_context(|| format!("{} can't be damaged", compiler.display()))?;
        let shown = compiler.strip_prefix(&root).unwrap_or(&compiler);
        Ok(shown.display().to_string())
    }
}

/// Puts a copy without its first bytes in a program's place: the program itself may be running,
/// and may be shared with other trees by hard links.
fn overwrite(program: &Path) -> std::io::Result<()> {
    let damaged = program.with_extension("damaged");
    let mut bytes = fs::read(program)?;
    let cut = bytes.len().min(4096);
    bytes[..cut].fill(0);
    fs::write(&damaged, bytes)?;
    fs::set_permissions(&damaged, fs::metadata(program)?.permissions())?;
    gofleet_platform::rename(&damaged, program)
}

/// A client of the server that lives in `data`, if it answers.
async fn connect(data: &Path) -> Option<Client> {
    let address = fs::read_to_string(data.join("address")).ok()?;
    let token = fs::read_to_string(data.join("admin-token")).ok()?;
    let client = Client::with_token(address.trim(), token.trim()).ok()?;
    client.overview().await.ok().map(|_| client)
}

fn spawn(command: &mut Command, log: &Path) -> anyhow::Result<Running> {
    let log = File::create(log).with_context(|| format!("{} can't be made", log.display()))?;
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GOFLEET_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    ProcessTree::prepare(command);
    let mut child = command.spawn().context("this program can't start itself")?;
    match ProcessTree::adopt(child.id()) {
        Ok(tree) => Ok(Running { child, tree }),
        Err(error) => {
            let _ = child.kill();
            Err(error).context("a process can't be held together with what it starts")
        }
    }
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}
