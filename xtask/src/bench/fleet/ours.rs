//! gofleet: a server and ten agents. The releases are in its catalog, their packs and the delta
//! between them made, before the clock runs, as the others have theirs on the mirror.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use gofleet_testkit::fleet::{AgentOptions, Fleet};
use gofleet_testkit::wait_until;

use super::super::release_program;
use super::{Contender, DEVICES, Go, PLATFORM, Setting};

const DEADLINE: Duration = Duration::from_secs(300);

struct Ours {
    fleet: Fleet,
    rollouts: usize,
}

pub fn start(folder: &Path, setting: &Setting) -> Result<Box<dyn Contender>> {
    let mut fleet = Fleet::start_below(folder, release_program()?, &[]);
    for go in [&setting.base, &setting.next] {
        fleet.ok(["release".as_ref(), "import".as_ref(), go.path.as_os_str()]);
        fleet.ok(["release", "approve", &id(go)]);
    }
    for device in 0..DEVICES {
        fleet.start_agent_with(&device.to_string(), &AgentOptions::default());
    }
    fleet.wait_devices(DEVICES);
    Ok(Box::new(Ours { fleet, rollouts: 0 }))
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
