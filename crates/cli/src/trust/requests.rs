//! What is to be signed: made from what the server has today.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use gofleet_api::{Client, TrustView};
use gofleet_core::ids::{PackageName, ReleaseId};
use gofleet_core::release::Release;
use gofleet_trust::author::{self, Constitution, OnlineKeys, Quorum};
use gofleet_trust::ceremony::Request;
use gofleet_trust::metadata::{Content, Envelope, Role, Root, Targets, Unverified};
use gofleet_trust::{PublicKey, approval};

use super::{keys, off};
use crate::clock::now;
use crate::failure::Hinted;

/// The package that there is.
const GO: &str = "go";

/// Who signs.
#[derive(Debug, Clone, Default, Args)]
pub struct Signers {
    /// Public key of one who may change who signs; may be repeated
    #[arg(long, value_name = "FILE")]
    root_key: Vec<PathBuf>,
    /// How many of them must sign
    #[arg(long, value_name = "COUNT")]
    root_threshold: Option<u32>,
    /// Public key of one who may approve releases; may be repeated
    #[arg(long, value_name = "FILE")]
    approver: Vec<PathBuf>,
    /// How many of them must sign
    #[arg(long, value_name = "COUNT")]
    threshold: Option<u32>,
    #[arg(skip)]
    one: Option<PublicKey>,
}

impl Signers {
    /// One key for everything.
    pub fn one(key: PublicKey) -> Self {
        Self { one: Some(key), ..Self::default() }
    }

    fn root(&self, today: Option<Quorum>) -> anyhow::Result<Quorum> {
        self.quorum("--root-key", &self.root_key, self.root_threshold, today)
    }

    fn approvers(&self, today: Option<Quorum>) -> anyhow::Result<Quorum> {
        self.quorum("--approver", &self.approver, self.threshold, today)
    }

    fn quorum(
        &self,
        flag: &str,
        files: &[PathBuf],
        threshold: Option<u32>,
        today: Option<Quorum>,
    ) -> anyhow::Result<Quorum> {
        let mut keys = files.iter().map(|it| keys::public(it)).collect::<Result<Vec<_>, _>>()?;
        keys.extend(self.one.clone());
        let known = today.as_ref().map(|today| today.threshold);
        if keys.is_empty() {
            keys = today.map(|today| today.keys).unwrap_or_default();
        }
        // Nobody names three people and means that one is enough: more than half is.
        let most = keys.len() as u32 / 2 + 1;
        let threshold = threshold.or(known.filter(|_| files.is_empty())).unwrap_or(most);
        if keys.is_empty() || threshold == 0 || threshold as usize > keys.len() {
            let message = format!("{} keys are named, and {threshold} must sign", keys.len());
            return Err(Hinted::usage(message, format!("name keys with {flag}")).into());
        }
        Ok(Quorum { keys, threshold })
    }
}

/// A first root, and who approves.
pub async fn init(client: &Client, signers: &Signers) -> anyhow::Result<Request> {
    if client.trust().await?.root.is_some() {
        let hint = "change who signs with `gofleet trust rotate`";
        return Err(Hinted::new("this server has a root of trust already", hint).into());
    }
    let constitution = Constitution {
        root: signers.root(None)?,
        approvers: signers.approvers(None)?,
        online: online(client).await?,
        packages: vec![GO.parse().context("a package is called go")?],
    };
    let mut documents = constitution_in(&constitution, 1, 1);
    let go = author::releases(1, BTreeMap::new(), now());
    documents.insert(GO.to_owned(), Envelope::unsigned(&go));
    Ok(Request { documents, current: BTreeMap::new() })
}

/// Another root, and what approvers must sign anew for it.
pub async fn rotate(client: &Client, signers: &Signers) -> anyhow::Result<Request> {
    let current = current(&client.trust().await?)?;
    let root: Root = content(&current, "root")?;
    let targets: Targets = content(&current, "targets")?;
    let today = |role: &str| root.role(role).map(|role| quorum(&root, role));
    let packages = targets.delegations.iter().flat_map(|it| &it.roles);
    let packages: Vec<PackageName> =
        packages.map(|it| it.name.parse()).collect::<Result<_, _>>().context("no package")?;
    let constitution = Constitution {
        root: signers.root(today("root"))?,
        approvers: signers.approvers(today("targets"))?,
        online: online(client).await?,
        packages: packages.clone(),
    };
    let mut documents = constitution_in(&constitution, root.version + 1, targets.version + 1);
    for package in &packages {
        let known: Targets = content(&current, package.as_str())?;
        let next = author::releases(known.version + 1, known.targets, now());
        documents.insert(package.to_string(), Envelope::unsigned(&next));
    }
    Ok(Request { documents, current })
}

/// Releases that may run, and such that may no more; nothing to sign if all of it is so already.
pub async fn releases(
    client: &Client,
    approve: &[ReleaseId],
    withdraw: &[ReleaseId],
) -> anyhow::Result<Request> {
    let current = current(&client.trust().await?)?;
    let known: Targets = content(&current, GO)?;
    let mut targets = known.targets.clone();
    for id in approve {
        let Release { release, dependencies, .. } = client.release(id).await?;
        let manifest = client.manifest(id).await?;
        anyhow::ensure!(manifest.digest() == release.manifest, "the manifest of {id} is another");
        let target = approval::target_asking(&release, &manifest, None, dependencies);
        targets.insert(approval::path(&release), target);
    }
    for id in withdraw {
        anyhow::ensure!(targets.remove(&format!("{GO}/{id}")).is_some(), "{id} is not signed");
    }
    let mut documents = BTreeMap::new();
    if targets != known.targets {
        let next = author::releases(known.version + 1, targets, now());
        documents.insert(GO.to_owned(), Envelope::unsigned(&next));
    }
    Ok(Request { documents, current })
}

/// What is signed today, a line each.
pub fn signed(view: &TrustView) -> Vec<String> {
    let targets = current(view).and_then(|current| content::<Targets>(&current, GO));
    let targets = targets.map(|it| it.targets).unwrap_or_default();
    targets.keys().map(|path| format!("signed  {path}")).collect()
}

fn constitution_in(
    constitution: &Constitution,
    root: u64,
    targets: u64,
) -> BTreeMap<String, Envelope> {
    let root = Envelope::unsigned(&constitution.root(root, now()));
    let targets = Envelope::unsigned(&constitution.targets(targets, now()));
    [("root".to_owned(), root), ("targets".to_owned(), targets)].into()
}

fn quorum(root: &Root, role: &Role) -> Quorum {
    let keys = role.keyids.iter().filter_map(|id| root.keys.get(id).cloned()).collect();
    Quorum { keys, threshold: role.threshold }
}

fn current(view: &TrustView) -> anyhow::Result<BTreeMap<String, Envelope>> {
    view.root.ok_or_else(off)?;
    let read = |(role, value): (&String, &serde_json::Value)| {
        Ok((role.clone(), serde_json::from_value(value.clone())?))
    };
    view.documents.iter().map(read).collect()
}

fn content<T: Content>(of: &BTreeMap<String, Envelope>, role: &str) -> anyhow::Result<T> {
    let envelope = of.get(role).with_context(|| format!("the server has no {role} metadata"))?;
    Ok(Unverified::parse(&envelope.to_bytes())?.content)
}

async fn online(client: &Client) -> anyhow::Result<OnlineKeys> {
    let told = client.trust_keys().await?;
    let read = |key| serde_json::from_value(key).context("the server's keys can't be read");
    Ok(OnlineKeys { metadata: read(told.metadata)?, orders: read(told.orders)? })
}
