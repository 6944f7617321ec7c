//! A simulated device: the real agent's memory and decisions on a virtual disk.

use std::collections::BTreeSet;

use gofleet_core::agent::{Action, Memory, OnDisk};
use gofleet_core::digest::Digest;
use gofleet_core::ids::{DeviceId, ReleaseId};
use gofleet_core::order::{Evidence, Failure, FailureKind, Order, Progress, Receipt, Step, Want};
use gofleet_core::time::{Span, Timestamp};
use gofleet_core::window::Zone;

use crate::scenario::Lie;
use crate::server::release_id;

/// A device with what survives a kill and what does not.
#[derive(Debug)]
pub struct Device {
    /// Its number in the story.
    pub number: u32,
    /// Its name.
    pub id: DeviceId,
    /// Where it stands.
    pub site: u64,
    /// Its label.
    pub team: &'static str,
    /// Its agent's version.
    pub agent: &'static str,
    /// What is on its disk.
    pub disk: Disk,
    /// The agent's memory, on disk too.
    pub memory: Memory,
    /// Whether it runs.
    pub is_up: bool,
    /// Whether it will never run again.
    pub is_gone: bool,
    /// Grows with each start: what an earlier process waited for is void.
    pub boot: u32,
    /// An order that was accepted and is not taken up yet. Lost with the process.
    pub pending: Option<Order>,
    /// What is being done, under a number.
    pub acting: Option<(u64, Action)>,
    /// The number of the latest action, poll or report.
    pub serial: u64,
    /// The generation after which orders are asked for.
    pub after: Option<u64>,
    /// The number of the poll that is open.
    pub asking: u64,
    /// The report that is under way: its number, and what the agent believes it says.
    pub reporting: Option<(u64, Option<Progress>)>,
    /// Whether the server has not heard its facts.
    pub has_news: bool,
    /// How many actions it has done: what a crash is told by.
    pub actions: u32,
    /// How often a download was tried.
    pub tries: u32,
    /// Whether nothing can be written.
    pub is_full: bool,
    /// Whether its processor is busy with something else.
    pub is_sick: bool,
    /// How wrong its clock is.
    pub clock_ms: i64,
    /// The zone that its clock is set to.
    pub zone: Zone,
    /// How it lies.
    pub lie: Option<Lie>,
    /// When what is active became so, in ms.
    pub switched_at: u64,
    /// What it went to last that is known to work: the truth, which the agent does not see.
    pub good: Option<ReleaseId>,
    /// Whether somebody has changed what is active by hand, so that nobody can say what is right.
    pub is_meddled_with: bool,
    /// Since when it has been on its way back, in ms of running.
    pub failed_at: Option<u64>,
}

/// What a device tells of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnFacts {
    /// The active version.
    pub active: Option<String>,
    /// Its label.
    pub team: &'static str,
    /// Its agent's version.
    pub agent: &'static str,
}

/// What is on a device's disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The active release.
    pub active: Option<ReleaseId>,
    /// The one before it.
    pub fallback: Option<ReleaseId>,
    /// Trees that stand whole and verified.
    pub trees: BTreeSet<ReleaseId>,
}

impl Disk {
    /// The active version.
    pub fn version(&self) -> Option<&str> {
        self.active.as_ref().map(version_of)
    }

    /// As the agent sees it when it writes down an outcome.
    pub fn seen(&self) -> OnDisk<'_> {
        OnDisk {
            active: self.active.as_ref(),
            fallback: self.fallback.as_ref(),
            version: self.version(),
            manifest: self.active.as_ref().map(|_| Digest::of(b"manifest")),
        }
    }

    /// Makes a release active, if its tree is there.
    pub fn activate(&mut self, release: &ReleaseId) -> bool {
        if !self.trees.contains(release) {
            return false;
        }
        if self.active.as_ref() != Some(release) {
            self.fallback = self.active.replace(release.clone());
        }
        true
    }

    /// Makes the target active, as the agent's shell does; false if it is not there.
    pub fn restore(&mut self, target: Option<Option<ReleaseId>>) -> bool {
        match target {
            None => true,
            Some(None) => {
                (self.active, self.fallback) = (None, None);
                true
            }
            Some(Some(target)) if self.active.as_ref() == Some(&target) => true,
            Some(Some(target)) if self.fallback.as_ref() == Some(&target) => {
                (self.active, self.fallback) = (Some(target), None);
                true
            }
            Some(Some(target)) => self.activate(&target),
        }
    }
}

/// The version in a release's id.
pub fn version_of(release: &ReleaseId) -> &str {
    let id = release.as_str();
    let version = id.strip_prefix("go-").unwrap_or(id);
    version.split('-').next().unwrap_or(version)
}

impl Device {
    /// The order that it will measure the next one against.
    pub fn seen(&self) -> Option<gofleet_core::agent::Seen> {
        let pending = self.pending.as_ref().map(gofleet_core::agent::Seen::of);
        pending.or_else(|| self.memory.seen().copied())
    }

    /// What it tells of itself.
    pub fn facts(&self) -> OwnFacts {
        let active = self.disk.version().map(str::to_owned);
        OwnFacts { active, team: self.team, agent: self.agent }
    }

    /// What it says of its active release, checked or not.
    pub fn evidence(&self) -> Evidence {
        evidence(self.disk.version().unwrap_or("nothing"))
    }

    /// What it sends instead of what its agent wrote down, if it lies.
    pub fn told(&self, progress: &Progress, now: Timestamp) -> Progress {
        let mut told = progress.clone();
        let Some(task) = self.memory.task().filter(|it| it.order.generation == told.generation)
        else {
            return told;
        };
        let Want::Activate { release, .. } = &task.order.want else { return told };
        match self.lie {
            None | Some(Lie::Blind) => {}
            Some(Lie::Boast) => (told.step, told.receipt) = (Step::Accepted, None),
            Some(Lie::Forgery) => {
                told.step = Step::Accepted;
                told.receipt = Some(Receipt {
                    outcome: Step::Accepted,
                    active: Some(release.version.clone()),
                    manifest: None,
                    files_verified: 0,
                    evidence: Some(evidence(&release.version)),
                    bytes_downloaded: 0,
                    way: None,
                    started_at: now,
                    finished_at: now,
                    steps: Vec::new(),
                    failure: None,
                });
            }
            Some(Lie::Complaint) => {
                told.step = Step::Reverted;
                told.failure = Some(failure(task.step, FailureKind::Check, "it says so"));
            }
        }
        told
    }

    /// What failed, at the present step.
    pub fn failure(&self, kind: FailureKind, message: &str) -> Failure {
        failure(self.memory.task().map_or(Step::Waiting, |task| task.step), kind, message)
    }

    /// Puts a release on the disk, as it was before the story begins.
    pub fn begin_with(&mut self, version: Option<&str>) {
        self.disk.active = version.map(release_id);
        self.disk.trees.extend(self.disk.active.clone());
        self.good.clone_from(&self.disk.active);
    }
}

fn failure(step: Step, kind: FailureKind, message: &str) -> Failure {
    Failure { step, kind, message: message.to_owned() }
}

fn evidence(version: &str) -> Evidence {
    Evidence {
        go_sha256: Digest::of(b"go"),
        go_version: format!("go version go{version} linux/amd64"),
        goroot: "/root".to_owned(),
        path_hit: None,
        path_is_managed: true,
        program_output: "ok".to_owned(),
        took: Span::from_secs(5),
    }
}
