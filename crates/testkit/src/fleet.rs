//! A whole fleet for end-to-end tests: a server and agents, each a process of the real program,
//! and the program's verbs run against them.
//!
//! Everything lives in one temporary folder and ends with the [`Fleet`]; if the test fails, the
//! ends of all logs are printed first. Nothing here knows how the program works inside: it sees
//! flags, exit codes, output and the files that the server promises to write.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::cache;
use crate::wait::wait_until;

/// How long a process may take to start on a busy machine with two cores.
const START_DEADLINE: Duration = Duration::from_secs(60);
/// How many lines of each log are printed when a test fails.
const LOG_TAIL_LINES: usize = 40;

/// A server with its agents.
pub struct Fleet {
    program: PathBuf,
    server: Option<Process>,
    edges: Vec<Process>,
    agents: BTreeMap<String, Agent>,
    address: Option<String>,
    server_arguments: Vec<String>,
    server_environment: Vec<(String, String)>,
    folder: TempDir,
}

/// One agent: what it is started with, and its process while it runs.
#[derive(Debug)]
pub struct Agent {
    root: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    log: PathBuf,
    process: Option<Process>,
}

/// What an agent is started with beside what every agent needs.
#[derive(Debug, Clone, Default)]
pub struct AgentOptions {
    /// Labels, like `("site", "berlin")`.
    pub labels: Vec<(String, String)>,
    /// Instead of an enrolment token made for it.
    pub token: Option<String>,
    /// More arguments.
    pub arguments: Vec<String>,
    /// More environment, like `GOFLEET_CHECKPOINT`.
    pub environment: Vec<(String, String)>,
}

/// What a verb did.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Its arguments, for messages.
    pub arguments: String,
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it printed as data.
    pub stdout: String,
    /// What it told.
    pub stderr: String,
}

/// A process that ends with its owner, with all that it started.
#[derive(Debug)]
struct Process(Child);

impl Process {
    fn start(command: &mut Command, log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log).expect("a log can be made");
        let both = log.try_clone().expect("a log can be written twice");
        command.stdin(Stdio::null()).stdout(log).stderr(both);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?} can't start: {error}")))
    }

    /// Kills it at once, as a power cut would, with all that it started.
    fn kill(&mut self) {
        if cfg!(unix) {
            let group = format!("-{}", self.0.id());
            let _ = Command::new("kill").args(["-KILL", "--", &group]).output();
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Fleet {
    /// Starts a server from `program` (the path in `CARGO_BIN_EXE_gofleet`) and waits until it
    /// answers.
    #[track_caller]
    pub fn start(program: impl AsRef<Path>) -> Self {
        Self::start_with(program, &[])
    }

    /// The same with more arguments for the server.
    #[track_caller]
    pub fn start_with(program: impl AsRef<Path>, server_arguments: &[&str]) -> Self {
        Self::start_below(&std::env::temp_dir(), program, server_arguments)
    }

    /// The same with all that it keeps in a new folder below `parent`.
    #[track_caller]
    pub fn start_below(
        parent: &Path,
        program: impl AsRef<Path>,
        server_arguments: &[&str],
    ) -> Self {
        let folder = tempfile::Builder::new().prefix("gofleet-test-").tempdir_in(parent);
        let mut fleet = Self {
            program: program.as_ref().to_owned(),
            server: None,
            edges: Vec::new(),
            agents: BTreeMap::new(),
            address: None,
            server_arguments: server_arguments.iter().map(ToString::to_string).collect(),
            server_environment: Vec::new(),
            folder: folder.expect("a temporary folder can be made"),
        };
        fleet.start_server();
        fleet
    }

    /// Starts the server (again, on the same data and the same port) and waits until it answers.
    #[track_caller]
    pub fn start_server(&mut self) {
        let data = self.data();
        let address_file = data.join("address");
        let _ = fs::remove_file(&address_file);
        let listen = match &self.address {
            Some(url) => url.trim_start_matches("https://").to_owned(),
            None => "127.0.0.1:0".to_owned(),
        };
        let mut command = self.command();
        command.arg("server").arg("--data").arg(&data).args(["--listen", &listen]);
        command.args(&self.server_arguments);
        // All agents measure the one machine that the tests keep busy: a flag may say otherwise.
        command.env("GOFLEET_ANOMALY_RULES", "none");
        command.envs(self.server_environment.iter().cloned());
        self.server = Some(Process::start(&mut command, &self.server_log()));
        let url = wait_until("the server's address", START_DEADLINE, || {
            let text = fs::read_to_string(&address_file).ok()?;
            let text = text.trim();
            let port = text.strip_prefix("https://")?;
            std::net::TcpStream::connect(port).ok().map(|_| text.to_owned())
        });
        self.address = Some(url.trim_end_matches('/').to_owned());
    }

    /// Kills the server at once.
    pub fn kill_server(&mut self) {
        self.server = None;
    }

    /// Replaces the environment that the next start of the server has beside the usual one.
    pub fn set_server_environment(&mut self, environment: &[(&str, &str)]) {
        let owned = |(key, value): &(&str, &str)| (key.to_string(), value.to_string());
        self.server_environment = environment.iter().map(owned).collect();
    }

    /// Whether the server's process is there.
    pub fn server_runs(&mut self) -> bool {
        self.server.as_mut().is_some_and(|server| matches!(server.0.try_wait(), Ok(None)))
    }

    /// The server's address, like `https://127.0.0.1:41234`.
    pub fn url(&self) -> &str {
        self.address.as_deref().expect("the server was started")
    }

    /// The server's address without TLS, which serves this machine, its browsers for example.
    pub fn plain_url(&self) -> String {
        self.url().replace("https://", "http://")
    }

    /// The temporary folder of all this; a test may put things there.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The server's data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("server")
    }

    /// What the server logged.
    pub fn server_log(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// The administrator's token, as the server wrote it down.
    #[track_caller]
    pub fn admin_token(&self) -> String {
        let token = fs::read_to_string(self.data().join("admin-token"));
        token.expect("the server writes the administrator's token at its first start").trim().into()
    }

    /// The program with an environment that holds nothing of the machine's gofleet.
    pub fn command(&self) -> Command {
        let home = self.folder.path().join("home");
        let _ = fs::create_dir_all(&home);
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GOFLEET_") {
                command.env_remove(name);
            }
        }
        command
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("GOFLEET_ROOT", home.join("root"))
            .env("NO_COLOR", "1")
            .current_dir(self.folder.path());
        command
    }

    /// Runs a verb as the administrator.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Ran {
        let mut command = self.command();
        command.env("GOFLEET_SERVER", self.url()).env("GOFLEET_TOKEN", self.admin_token());
        Ran::of(command.args(arguments))
    }

    /// Runs a verb that must succeed.
    #[track_caller]
    pub fn ok<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{ran}");
        ran
    }

    /// Runs a verb with `--json`, which must succeed, and reads its answer.
    #[track_caller]
    pub fn json<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Value {
        let arguments: Vec<_> = arguments.into_iter().map(|a| a.as_ref().to_owned()).collect();
        self.ok(arguments.iter().map(AsRef::as_ref).chain([OsStr::new("--json")])).json()
    }

    /// A new enrolment token.
    #[track_caller]
    pub fn enrolment_token(&self) -> String {
        let token = self.json(["token", "create"]);
        token["token"].as_str().expect("`token create` tells the token").to_owned()
    }

    /// Imports the archive of a Go version for this platform and approves it; returns the
    /// release's id.
    #[track_caller]
    pub fn import_go(&self, version: &str) -> String {
        self.import(version, &crate::go::archive(version, crate::go::HOST))
    }

    /// The same with [a lean Go](crate::go::lean_archive).
    pub fn import_lean_go(&self, version: &str) -> String {
        self.import(version, &crate::go::lean_archive(version, crate::go::HOST))
    }

    fn import(&self, version: &str, archive: &Path) -> String {
        self.ok([OsStr::new("release"), OsStr::new("import"), archive.as_os_str()]);
        let id = format!("go-{version}-{}", crate::go::HOST);
        self.ok(["release", "approve", &id]);
        id
    }

    /// Starts an agent with a root and a host name of its own.
    #[track_caller]
    pub fn start_agent(&mut self, name: &str) {
        self.start_agent_with(name, &AgentOptions::default());
    }

    /// The same with more options.
    #[track_caller]
    pub fn start_agent_with(&mut self, name: &str, options: &AgentOptions) {
        let root = self.folder.path().join("agents").join(name);
        let token = options.token.clone().unwrap_or_else(|| self.enrolment_token());
        let mut arguments = vec!["--server".to_owned(), self.url().to_owned()];
        arguments.extend(["--token".to_owned(), token, "--hostname".to_owned(), name.to_owned()]);
        for (key, value) in &options.labels {
            arguments.extend(["--label".to_owned(), format!("{key}={value}")]);
        }
        arguments.extend(options.arguments.iter().cloned());
        let log = self.folder.path().join(format!("{name}.log"));
        let environment = options.environment.clone();
        let agent = Agent { root, arguments, environment, log, process: None };
        self.agents.insert(name.to_owned(), agent);
        self.restart_agent(name);
    }

    /// Kills an agent at once.
    #[track_caller]
    pub fn kill_agent(&mut self, name: &str) {
        self.agent_mut(name).process = None;
    }

    /// Starts an agent again with what it was started with (killing it first if it runs).
    #[track_caller]
    pub fn restart_agent(&mut self, name: &str) {
        let mut command = self.command();
        let check_cache = cache::folder().join("go-build");
        let agent = self.agent_mut(name);
        agent.process = None;
        command
            .args(["agent", "run", "--root"])
            .arg(&agent.root)
            .arg("--check-cache")
            .arg(check_cache)
            .args(&agent.arguments)
            .envs(agent.environment.iter().cloned());
        agent.process = Some(Process::start(&mut command, &agent.log));
    }

    /// Replaces the environment that the next start of an agent has beside the usual one.
    #[track_caller]
    pub fn set_agent_environment(&mut self, name: &str, environment: &[(&str, &str)]) {
        let owned = |(key, value): &(&str, &str)| (key.to_string(), value.to_string());
        self.agent_mut(name).environment = environment.iter().map(owned).collect();
    }

    /// Starts a distribution point of a site, and waits until it answers; its address.
    #[track_caller]
    pub fn start_edge(&mut self, site: &str) -> String {
        let (data, token) = (self.folder.path().join(site), self.enrolment_token());
        let mut command = self.command();
        command.args(["edge", "--upstream", self.url(), "--token", &token, "--site", site]);
        command.args(["--listen", "127.0.0.1:0", "--data"]).arg(&data);
        let log = self.folder.path().join(format!("edge-{site}.log"));
        self.edges.push(Process::start(&mut command, &log));
        wait_until("the distribution point's address", START_DEADLINE, || {
            let url = fs::read_to_string(data.join("address")).ok()?;
            Some(url.trim().to_owned()).filter(|url| !url.is_empty())
        })
    }

    /// An agent by its name.
    #[track_caller]
    pub fn agent(&self, name: &str) -> &Agent {
        self.agents.get(name).unwrap_or_else(|| panic!("no agent `{name}` was started"))
    }

    #[track_caller]
    fn agent_mut(&mut self, name: &str) -> &mut Agent {
        self.agents.get_mut(name).unwrap_or_else(|| panic!("no agent `{name}` was started"))
    }

    /// Waits until so many devices are enrolled.
    #[track_caller]
    pub fn wait_devices(&self, count: usize) {
        wait_until(&format!("{count} devices"), START_DEADLINE, || {
            let devices = self.json(["device", "list"]);
            (devices.as_array().map_or(0, Vec::len) >= count).then_some(())
        });
    }
}

impl Agent {
    /// Its root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process id while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.0.id())
    }

    /// The id of the release that is active in its root, as `active.json` tells it.
    pub fn active(&self) -> Option<String> {
        let text = fs::read(self.root.join("active.json")).ok()?;
        let value: Value = serde_json::from_slice(&text).ok()?;
        value["active"].as_str().map(str::to_owned)
    }

    /// Runs `go version` through the shim in its root.
    #[track_caller]
    pub fn go_version(&self) -> String {
        let shim = self.root.join("bin").join(if cfg!(windows) { "go.exe" } else { "go" });
        let mut command = Command::new(shim);
        command.arg("version").current_dir(&self.root).env_remove("GOFLEET_VERSION");
        let ran = Ran::of(command.env("GOFLEET_ROOT", &self.root).env("GOTOOLCHAIN", "local"));
        assert_eq!(ran.code, Some(0), "{ran}");
        ran.stdout.trim().to_owned()
    }
}

impl Ran {
    /// Runs a command to its end.
    #[track_caller]
    pub fn of(command: &mut Command) -> Self {
        let output = command.stdin(Stdio::null()).output();
        let Output { status, stdout, stderr } =
            output.unwrap_or_else(|error| panic!("{command:?} can't start: {error}"));
        let arguments: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
        Self {
            arguments: arguments.join(" "),
            code: status.code(),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }

    /// Its data as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in\n{self}"))
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { arguments, code, stdout, stderr } = self;
        write!(formatter, "`{arguments}` ended with {code:?}\n{stdout}\n{stderr}")
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for agent in self.agents.values_mut() {
            agent.process = None;
        }
        self.edges.clear();
        self.server = None;
        if thread::panicking() {
            print_tail("server", &self.server_log());
            for (name, agent) in &self.agents {
                print_tail(name, &agent.log);
            }
        }
    }
}

fn print_tail(name: &str, log: &Path) {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    let tail = &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..];
    eprintln!("---- end of the log of {name}\n{}", tail.join("\n"));
}
