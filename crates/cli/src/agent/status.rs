//! `gofleet agent status`: what can be told of an agent from its root and its service.

use std::path::{Path, PathBuf};

use anyhow::Context;
use gofleet_agent::identity::Identity;
use gofleet_core::agent::Task;
use gofleet_core::ids::{DeviceId, ReleaseId, RolloutId};
use gofleet_core::order::{Failure, Step};
use gofleet_core::time::Timestamp;
use gofleet_depot::Root;
use gofleet_platform::FileLock;
use gofleet_platform::service;
use gofleet_trust::Store;
use serde::{Deserialize, Serialize};

use super::service::NAME;
use super::settings::{Options, Report};

/// What can be told of an agent from its root, whether it runs or not.
#[derive(Debug, Serialize)]
pub struct Status {
    root: PathBuf,
    is_running: bool,
    /// Where the service stands; none where no service manager can be asked.
    service: Option<&'static str>,
    device: Option<DeviceId>,
    /// When its certificate ends; it is renewed before that.
    certificate_until: Option<Timestamp>,
    /// Which root of trust is pinned; none: what the server orders is run without more.
    trust: Option<String>,
    active: Option<ReleaseId>,
    fallback: Option<ReleaseId>,
    installed: Vec<ReleaseId>,
    generation: Option<u64>,
    rollout: Option<RolloutId>,
    step: Option<Step>,
    failure: Option<Failure>,
    /// What the agent was told at its last start; if it never started, what it would be told.
    #[serde(flatten)]
    report: Report,
    /// Whether the policy says something else since then: it counts at the next start.
    is_policy_outdated: bool,
}

impl Status {
    /// Of the agent with this root.
    pub fn of(path: &Path) -> anyhow::Result<Self> {
        let root = Root::new(path);
        let folder = path.join("agent");
        let task = newest_task(&folder.join("ledger.json"))?;
        let active = root.active()?;
        let report = match Report::left(path)? {
            Some(report) => report,
            None => Options::default().load(path)?.report(),
        };
        let identity = Identity::load(&super::credential(path))?;
        Ok(Self {
            root: path.to_owned(),
            is_running: FileLock::is_held(&folder.join("running")),
            service: service::state(NAME).ok().map(service::State::as_str),
            certificate_until: identity.as_ref().map(|identity| identity.issued.expires_at),
            device: identity.map(|identity| identity.device),
            trust: trust_of(&folder),
            active: active.as_ref().map(|active| active.active.clone()),
            fallback: active.and_then(|active| active.fallback),
            installed: root.installed()?,
            generation: task.as_ref().map(|task| task.order.generation),
            rollout: task.as_ref().map(|task| task.order.rollout.clone()),
            step: task.as_ref().map(|task| task.step),
            failure: task.and_then(|task| task.failure),
            is_policy_outdated: report.is_outdated(),
            report,
        })
    }

    /// As text.
    pub fn describe(&self) -> String {
        fn or_none(value: Option<&impl ToString>) -> String {
            value.map_or_else(|| "none".to_owned(), ToString::to_string)
        }
        let state = if self.is_running { "running" } else { "not running" };
        let mut lines = vec![
            format!("agent      {state} on {}", self.root.display()),
            format!("service    {}", self.service.unwrap_or("can't be told")),
            format!("device     {}", or_none(self.device.as_ref())),
            format!("trust      {}", self.trust.as_deref().unwrap_or(TRUST_OFF)),
            format!("active     {}", or_none(self.active.as_ref())),
            format!("fallback   {}", or_none(self.fallback.as_ref())),
        ];
        if let Some(until) = self.certificate_until {
            lines.insert(3, format!("certified  until {until}"));
        }
        lines.extend(self.installed.iter().map(|release| format!("installed  {release}")));
        if let (Some(rollout), Some(step)) = (&self.rollout, self.step) {
            lines.push(format!("order      {step} (rollout {rollout})"));
        }
        if let Some(failure) = &self.failure {
            lines.push(format!("failed     at {}: {}", failure.step, failure.message));
        }
        if self.is_policy_outdated {
            lines.push(
                "policy     has changed; it counts when the agent is started again".to_owned(),
            );
        }
        lines.push(String::new());
        lines.push(self.report.table());
        lines.join("\n")
    }
}

const TRUST_OFF: &str = "off: runs what its server orders (see `gofleet trust`)";

/// What is pinned; a store that can't be used is told too, for then nothing is run.
fn trust_of(folder: &Path) -> Option<String> {
    match gofleet_agent::trust::describe(&Store::of_agent(folder)) {
        Ok(told) => told,
        Err(error) => Some(format!("NOT USABLE, nothing new is run: {error}")),
    }
}

/// The newest order in a ledger; the agent itself keeps and mends it.
fn newest_task(ledger: &Path) -> anyhow::Result<Option<Task>> {
    #[derive(Deserialize)]
    struct Content {
        task: Option<Task>,
    }
    let failed = || format!("the ledger {} can't be read", ledger.display());
    match std::fs::read(ledger) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map(|Content { task }| task).with_context(failed)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(failed),
    }
}
