//! gofleet: a server and ten agents. The releases are in its catalog, their packs and the delta
//! between them made, before the clock runs, as the others have theirs on the mirror.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use gofleet_testkit::fleet::{AgentOptions, Fleet};
use gofleet_testkit::wait_until;

use super::super::cost::succeed;
use super::{Contender, DEVICES, Go, PLATFORM, Setting};
use crate::dist;

const DEADLINE: Duration = Duration::from_secs(300);

struct Ours {
    fleet: Fleet,
    rollouts: usize,
}

pub fn start(folder: &Path, setting: &Setting) -> Result<Box<dyn Contender>> {
    let prepared = setting.memory.join("prepared");
    if !prepared.exists() {
        prepare(setting, &prepared)?;
    }
    let mut fleet = Fleet::start_below(folder, dist::program()?, &[]);
    fleet.kill_server();
    fs::remove_dir_all(fleet.data())?;
    copy(&prepared, &fleet.data())?;
    fleet.start_server();
    for device in 0..DEVICES {
        fleet.start_agent_with(&device.to_string(), &AgentOptions::default());
    }
    fleet.wait_devices(DEVICES);
    Ok(Box::new(Ours { fleet, rollouts: 0 }))
}

/// A server's data with both releases and what is made of them.
fn prepare(setting: &Setting, to: &Path) -> Result<()> {
    let mut fleet = Fleet::start_below(&setting.memory, dist::program()?, &[]);
    for go in [&setting.base, &setting.next] {
        fleet.ok(["release".as_ref(), "import".as_ref(), go.path.as_os_str()]);
        fleet.ok(["release", "approve", &id(go)]);
    }
    wait_until("two packs and a delta", DEADLINE, || {
        let made = |go: &Go, kind: &str| {
            let shown = fleet.json(["release", "show", &id(go)]);
            let artifacts = shown["artifacts"].as_array()?;
            artifacts.iter().any(|it| it["kind"] == kind && it["state"] == "ready").then_some(())
        };
        made(&setting.base, "pack").and(made(&setting.next, "pack"))?;
        made(&setting.next, "delta")
    });
    fleet.kill_server();
    copy(&fleet.data(), to)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    succeed(Command::new("cp").arg("--archive").arg(from).arg(to))
}

fn id(go: &Go) -> String {
    format!("go-{}-{PLATFORM}", go.version)
}

impl Contender for Ours {
    fn bring(&mut self, go: &Go) -> Result<()> {
        self.rollouts += 1;
        let name = format!("rollout {}", self.rollouts);
        let start = ["rollout", "start", go.version, "--yes", "--name", &name];
        let how = ["--rings", "all:rest", "--soak", "0s"];
        let begun = self.fleet.run(start.into_iter().chain(how));
        if begun.stderr.contains("would move") {
            return Ok(());
        }
        wait_until("the rollout to complete", DEADLINE, || {
            let status = self.fleet.json(["rollout", "status", &name]);
            (status["state"] == "completed").then_some(())
        });
        Ok(())
    }

    fn program(&self, root: usize) -> PathBuf {
        let root = self.fleet.agent(&root.to_string()).root().to_owned();
        root.join("bin/go")
    }
}
