//! Salt: a master and ten minions on this machine, and a state that is applied to all of them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Result;
use gofleet_testkit::wait_until;

use super::super::cost::succeed;
use super::super::programs::python_package;
use super::{Contender, DEVICES, Go, Setting};
use crate::run::read;

const STATE: &str = r#"
{% set root = pillar["roots"] + "/" + grains["id"] %}
{{ root }}/{{ pillar["version"] }}:
  archive.extracted:
    - source: {{ pillar["url"] }}
    - source_hash: sha256={{ pillar["sha256"] }}
    - archive_format: tar
    - if_missing: {{ root }}/{{ pillar["version"] }}/go
{{ root }}/current:
  file.symlink:
    - target: {{ root }}/{{ pillar["version"] }}/go
{{ root }}/current/bin/go version:
  cmd.run:
    - env:
      - GOTOOLCHAIN: local
"#;

/// A master takes a while to make its keys, and minions to find it.
const START_DEADLINE: Duration = Duration::from_secs(120);

struct Salt {
    folder: PathBuf,
    programs: PathBuf,
    mirror: String,
    daemons: Vec<Child>,
}

pub fn start(folder: &Path, setting: &Setting) -> Result<Box<dyn Contender>> {
    let programs = python_package("salt")?.join("bin");
    let mut salt = Salt {
        folder: folder.to_owned(),
        programs,
        mirror: setting.mirror.clone(),
        daemons: Vec::new(),
    };
    fs::create_dir_all(folder.join("states"))?;
    fs::write(folder.join("states/go.sls"), STATE)?;
    let ports = free_ports()?;
    salt.configure("master", &format!(
        "interface: 127.0.0.1\npublish_port: {}\nret_port: {}\nauto_accept: true\nworker_threads: 2\n\
         file_roots: {{base: [{}]}}\n",
        ports[0],
        ports[1],
        folder.join("states").display()
    ))?;
    salt.spawn("salt-master", "master")?;
    for root in 0..DEVICES {
        let name = root.to_string();
        salt.configure(
            &name,
            &format!(
                "id: '{root}'\nmaster: 127.0.0.1\npublish_port: {}\nmaster_port: {}\n",
                ports[0], ports[1]
            ),
        )?;
        salt.spawn("salt-minion", &name)?;
    }
    wait_until("ten minions to answer", START_DEADLINE, || {
        let said = read(salt.command().args(["--out", "json", "--static", "*", "test.ping"]));
        (said.ok()?.matches(": true").count() == DEVICES).then_some(())
    });
    Ok(Box::new(salt))
}

/// Two ports that were free a moment ago.
fn free_ports() -> Result<[u16; 2]> {
    let listen = || std::net::TcpListener::bind("127.0.0.1:0");
    let (first, second) = (listen()?, listen()?);
    Ok([first.local_addr()?.port(), second.local_addr()?.port()])
}

impl Salt {
    fn configure(&self, name: &str, rest: &str) -> Result<()> {
        let folder = self.folder.join("daemons").join(name);
        fs::create_dir_all(&folder)?;
        let kind = if name == "master" { "master" } else { "minion" };
        let common = format!("root_dir: {}\nlog_level: error\nuser: root\n", folder.display());
        Ok(fs::write(folder.join(kind), common + rest)?)
    }

    fn spawn(&mut self, program: &str, name: &str) -> Result<()> {
        let folder = self.folder.join("daemons").join(name);
        let log = File::create(folder.join("log"))?;
        let mut daemon = Command::new(self.programs.join(program));
        daemon.arg("--config-dir").arg(&folder).stdin(Stdio::null());
        self.daemons.push(daemon.stdout(log.try_clone()?).stderr(log).spawn()?);
        Ok(())
    }

    fn command(&self) -> Command {
        let mut salt = Command::new(self.programs.join("salt"));
        salt.arg("--config-dir").arg(self.folder.join("daemons/master")).args(["--timeout", "300"]);
        salt
    }
}

impl Contender for Salt {
    fn bring(&mut self, go: &Go) -> Result<()> {
        let pillar = serde_json::json!({
            "roots": self.folder, "version": go.version, "sha256": go.sha256,
            "url": go.url(&self.mirror),
        });
        let mut apply = self.command();
        apply.args(["--hide-timeout", "--state-output=terse"]);
        apply.args(["*", "state.apply", "go"]).arg(format!("pillar={pillar}"));
        succeed(apply.stdin(Stdio::null()).stdout(Stdio::null()))
    }

    fn program(&self, root: usize) -> PathBuf {
        self.folder.join(root.to_string()).join("current/bin/go")
    }
}

impl Drop for Salt {
    fn drop(&mut self) {
        for daemon in self.daemons.iter_mut().rev() {
            // A minion has processes of its own, which end with it if it is asked to end.
            let _ = Command::new("kill").arg(daemon.id().to_string()).status();
            let _ = daemon.wait();
        }
    }
}
