//! The server's part in trust: it keeps what approvers signed, signs anew what must stay fresh, and
//! seals orders. It holds no key that could approve a release.
//!
//! Before anything is taken in, it is read as a device will read it, by the same code: so no import
//! can leave devices with metadata that they refuse.

use std::collections::BTreeMap;
use std::time::Duration;

use gofleet_api::{ImportTrust, ProblemCode, SealedOrder, TrustKeys, TrustStanding, TrustView};
use gofleet_core::account::{Permission, Subject};
use gofleet_core::audit::Act;
use gofleet_core::digest::Digest;
use gofleet_core::order::Order;
use gofleet_core::release::Release;
use gofleet_core::time::{Span, Timestamp};
use gofleet_storage::TrustDocument;
use gofleet_trust::ceremony::{CeremonyError, Request, Standing};
use gofleet_trust::metadata::{Content, Envelope, Role, Root, Targets, Unverified};
use gofleet_trust::trusted::{Floor, Trusted, read_root};
use gofleet_trust::{MetadataError, SecretKey, TrustError, approval, author, seal};
use tracing::{info, warn};

use crate::authorization::CallingPerson;
use crate::data::{DataError, DataFolder};
use crate::failure::{Answer, Failure, chain};
use crate::secret;
use crate::state::AppState;

/// For how long an order may be begun after it was handed out: as long as a device does without its
/// server.
const ORDER_LIFETIME: Span = author::ONLINE_LIFETIME;
/// How often it is looked whether something must be signed anew.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);
/// What is left of its time when it is.
const RENEW_BEFORE: Span = Span::from_secs(6 * 24 * 60 * 60);

/// The keys by which the server signs.
#[derive(Debug)]
pub struct Keys {
    metadata: SecretKey,
    orders: SecretKey,
}

impl Keys {
    /// Those in the data folder; made at the first start.
    ///
    /// # Errors
    ///
    /// [`DataError::Unusable`]
    pub fn open(data: &DataFolder) -> Result<Self, DataError> {
        let seeds = match data.trust_seeds()? {
            Some(seeds) => seeds,
            None => {
                let seeds = [secret::random_bytes(), secret::random_bytes()];
                data.write_trust_seeds(&seeds)?;
                seeds
            }
        };
        let [metadata, orders] = seeds.map(|seed| SecretKey::from_seed(&seed));
        Ok(Self { metadata, orders })
    }

    /// Their public halves.
    pub fn public(&self) -> TrustKeys {
        let key = |key: &SecretKey| serde_json::to_value(key.public()).unwrap_or_default();
        TrustKeys { metadata: key(&self.metadata), orders: key(&self.orders) }
    }

    /// Whether a root lets this server sign what it must.
    fn are_in(&self, root: &Root) -> bool {
        let is_alone = |role: Option<&Role>, key: &SecretKey| {
            role.is_some_and(|role| role.threshold == 1 && role.keyids.contains(&key.public().id()))
        };
        is_alone(root.role("snapshot"), &self.metadata)
            && is_alone(root.role("timestamp"), &self.metadata)
            && is_alone(root.orders.as_ref(), &self.orders)
    }
}

/// Metadata in its latest versions, by role.
struct Latest {
    envelopes: BTreeMap<String, Envelope>,
    /// The first root's text and the last one's: what began, and what devices pin today.
    roots: Vec<String>,
}

async fn latest(state: &AppState) -> Answer<Latest> {
    let mut latest = Latest { envelopes: BTreeMap::new(), roots: Vec::new() };
    for TrustDocument { role, body, .. } in state.storage().trust_documents().await? {
        let envelope = serde_json::from_str(&body);
        let envelope = envelope.map_err(|error| Failure::internal("reading metadata", &error))?;
        if role == "root" {
            latest.roots.push(body);
        }
        latest.envelopes.insert(role, envelope);
    }
    Ok(latest)
}

/// The digest of the root that devices pin; none if there is no root of trust.
///
/// # Errors
///
/// [`Failure`] if the database fails.
pub async fn root(state: &AppState) -> Answer<Option<Digest>> {
    let root = state.storage().trust_document("root", None).await?;
    Ok(root.map(|root| Digest::of(root.body.as_bytes())))
}

/// A file of metadata by its name: `timestamp.json`, `7.go.json`, or a root by its digest.
///
/// # Errors
///
/// [`Failure`] if there is none.
pub async fn file(state: &AppState, name: &str) -> Answer<String> {
    let none = || Failure::new(ProblemCode::NotFound, "there is no metadata of this name");
    let stem = name.strip_suffix(".json").ok_or_else(|| {
        let text = "files of metadata are called `timestamp.json`, or `VERSION.ROLE.json`";
        Failure::new(ProblemCode::InvalidRequest, text)
    })?;
    let document = match stem.split_once('.') {
        None if stem == "timestamp" => {
            renew(state).await?;
            state.storage().trust_document(stem, None).await?
        }
        None => None,
        Some((version, role)) => match (version.parse(), version.parse::<Digest>()) {
            (Ok(version), _) => state.storage().trust_document(role, Some(version)).await?,
            (Err(_), Ok(digest)) if role == "root" => {
                let all = state.storage().trust_documents().await?;
                let is_it = |it: &TrustDocument| Digest::of(it.body.as_bytes()) == digest;
                all.into_iter().filter(|it| it.role == "root").find(is_it)
            }
            (Err(_), _) => None,
        },
    };
    document.map(|document| document.body).ok_or_else(none)
}

/// Whether releases need signatures, and whose.
///
/// # Errors
///
/// [`Failure`] if the database fails.
pub async fn view(state: &AppState) -> Answer<TrustView> {
    let Latest { mut envelopes, roots } = latest(state).await?;
    let root = roots.last().map(|body| Digest::of(body.as_bytes()));
    let mut roles = Vec::new();
    if let Some(body) = roots.last() {
        let content = read_root(body.as_bytes()).map_err(|error| distrusted(&error))?;
        for (role, signers) in &content.roles {
            let (version, expires_at) = match (role.as_str(), envelopes.get(role)) {
                ("root", _) => (content.version, content.expires),
                (_, Some(envelope)) => told(envelope),
                (_, None) => continue,
            };
            roles.push(standing(role, version, expires_at, signers));
        }
        let targets = envelopes.get("targets").map(parse::<Targets>).transpose();
        let targets = targets.map_err(|error| unreadable(&error))?;
        for delegation in targets.into_iter().flat_map(|it| it.delegations).flat_map(|it| it.roles)
        {
            if let Some(envelope) = envelopes.get(&delegation.name) {
                let (version, expires_at) = told(envelope);
                roles.push(standing(&delegation.name, version, expires_at, &delegation.role));
            }
        }
    }
    for online in ["timestamp", "snapshot"] {
        envelopes.remove(online);
    }
    let documents = envelopes
        .into_iter()
        .map(|(role, envelope)| (role, serde_json::to_value(envelope).unwrap_or_default()));
    Ok(TrustView { root, roles, documents: documents.collect() })
}

fn standing(role: &str, version: u64, expires_at: Timestamp, signers: &Role) -> TrustStanding {
    let Role { keyids, threshold } = signers.clone();
    TrustStanding { role: role.to_owned(), version, expires_at, threshold, keys: keyids }
}

/// Version and end of metadata of any kind.
fn told(envelope: &Envelope) -> (u64, Timestamp) {
    let expires = envelope.signed["expires"].as_str().unwrap_or_default().parse();
    let never = Timestamp::from_millis(0);
    (envelope.signed["version"].as_u64().unwrap_or(0), expires.unwrap_or(never))
}

fn parse<T: Content>(envelope: &Envelope) -> Result<T, MetadataError> {
    Unverified::parse(&envelope.to_bytes()).map(|it| it.content)
}

fn unreadable(error: &MetadataError) -> Failure {
    Failure::new(
        ProblemCode::InvalidRequest,
        format!("the metadata can't be read: {}", chain(error)),
    )
}

fn distrusted(error: &TrustError) -> Failure {
    let text = format!("devices would not believe this: {}", chain(error));
    Failure::new(ProblemCode::InvalidRequest, text)
}

/// Takes in what was signed elsewhere.
///
/// # Errors
///
/// [`Failure`] if too few have signed, the server could not sign for it, it does not follow what
/// holds today, or devices would not believe it.
pub async fn import(
    state: &AppState,
    caller: &CallingPerson,
    request: ImportTrust,
) -> Answer<TrustView> {
    let by = &caller.may(state, Permission::ImportTrust, Subject::Fleet {}).await?;
    let _turn = state.import_turn().await;
    let mut documents = BTreeMap::new();
    for (role, value) in request.documents {
        let envelope: Envelope = serde_json::from_value(value).map_err(|error| {
            Failure::new(ProblemCode::InvalidRequest, format!("{role} is no metadata: {error}"))
        })?;
        documents.insert(role, envelope);
    }
    if documents.is_empty() {
        return Err(Failure::new(ProblemCode::InvalidRequest, "there is nothing in the request"));
    }
    let Latest { envelopes, mut roots } = latest(state).await?;
    let signed = Request { documents, current: envelopes };
    enough(&signed)?;
    let now = state.now();
    let mut kept = Vec::new();
    for (role, envelope) in &signed.documents {
        let version = follows(role, envelope, signed.current.get(role))?;
        let body = String::from_utf8(envelope.to_bytes()).expect("JSON is UTF-8");
        if role == "root" {
            roots.push(body.clone());
        }
        kept.push(TrustDocument { role: role.clone(), version, body });
    }
    let act = imported(&kept, &roots)?;
    let Request { documents, current } = signed;
    let mut all = current;
    all.extend(documents);
    kept.extend(sign_online(state, &mut all, now)?);
    believed(&roots, &all, now).map_err(|error| distrusted(&error))?;
    state.storage().keep_trust(&kept, Some((by, act)), now).await?;
    view(state).await
}

fn imported(kept: &[TrustDocument], roots: &[String]) -> Answer<Act> {
    let none = || {
        Failure::new(ProblemCode::Conflict, "this server has no root of trust yet")
            .with_hint("begin with `gofleet trust init`")
    };
    let root = Digest::of(roots.last().ok_or_else(none)?.as_bytes());
    let documents = kept.iter().map(|it| format!("{} {}", it.role, it.version)).collect();
    Ok(Act::TrustImported { documents, root })
}

/// Whether enough have signed each of the documents.
fn enough(signed: &Request) -> Answer<()> {
    let failed = |error: CeremonyError| Failure::new(ProblemCode::InvalidRequest, chain(&error));
    for standing in signed.standing().map_err(failed)? {
        if !standing.is_enough() {
            let Standing { role, signed, threshold, .. } = standing;
            let text = format!("{role} needs {threshold} signatures and has {}", signed.len());
            return Err(Failure::new(ProblemCode::InvalidRequest, text)
                .with_hint("have others sign the same file: `gofleet trust sign FILE --key KEY`"));
        }
    }
    Ok(())
}

/// Its version, if it is later than that of today; of a root the very next.
fn follows(role: &str, envelope: &Envelope, today: Option<&Envelope>) -> Answer<u64> {
    let (version, known) = (told(envelope).0, today.map_or(0, |it| told(it).0));
    let follows = if role == "root" && known > 0 { version == known + 1 } else { version > known };
    if follows {
        return Ok(version);
    }
    let text = format!("{role} is of version {version}, and version {known} holds today");
    Err(Failure::new(ProblemCode::Conflict, text)
        .with_hint("somebody else was faster: make the request anew, and have it signed again"))
}

/// A new snapshot and timestamp of what there is.
fn sign_online(
    state: &AppState,
    all: &mut BTreeMap<String, Envelope>,
    now: Timestamp,
) -> Answer<[TrustDocument; 2]> {
    let keys = state.trust_keys();
    let root =
        all.get("root").map(parse::<Root>).transpose().map_err(|error| unreadable(&error))?;
    if !root.is_some_and(|root| keys.are_in(&root)) {
        let text =
            "the root does not name the keys of this server for snapshot, timestamp and orders";
        return Err(Failure::new(ProblemCode::InvalidRequest, text)
            .with_hint("`gofleet trust init` and `gofleet trust rotate` put them in"));
    }
    let known = |role: &str| all.get(role).map_or(0, |it| told(it).0);
    let versions =
        all.iter().filter(|(role, _)| !matches!(role.as_str(), "root" | "snapshot" | "timestamp"));
    let versions = versions.map(|(role, envelope)| (role.clone(), told(envelope).0)).collect();
    let version = author::online_version(known("snapshot").max(known("timestamp")), now);
    let mut sign = |role: &str, mut envelope: Envelope| {
        envelope.sign(&keys.metadata);
        let body = String::from_utf8(envelope.to_bytes()).expect("JSON is UTF-8");
        all.insert(role.to_owned(), envelope);
        TrustDocument { role: role.to_owned(), version, body }
    };
    let snapshot = author::snapshot(version, &versions, now);
    let timestamp = author::timestamp(version, version, now);
    Ok([
        sign("snapshot", Envelope::unsigned(&snapshot)),
        sign("timestamp", Envelope::unsigned(&timestamp)),
    ])
}

/// Reads everything as a device does that has pinned the first root.
fn believed(
    roots: &[String],
    all: &BTreeMap<String, Envelope>,
    now: Timestamp,
) -> Result<(), TrustError> {
    let missing = |role: &str| TrustError::Missing { role: role.to_owned() };
    let (first, rest) = roots.split_first().ok_or_else(|| missing("root"))?;
    let floor = Floor::of_pin(first.as_bytes(), &read_root(first.as_bytes())?);
    let mut trusted = Trusted::new(first.as_bytes(), floor, now)?;
    for root in rest {
        trusted.update_root(root.as_bytes())?;
    }
    trusted.check_root()?;
    let bytes = |role: &str| all.get(role).map(Envelope::to_bytes).ok_or_else(|| missing(role));
    trusted.update_timestamp(&bytes("timestamp")?)?;
    trusted.update_snapshot(&bytes("snapshot")?)?;
    trusted.update_targets("targets", "root", &bytes("targets")?)?;
    let targets = trusted.targets("targets", "root").and_then(|it| it.delegations.clone());
    for delegation in targets.into_iter().flat_map(|it| it.roles) {
        trusted.update_targets(&delegation.name, "targets", &bytes(&delegation.name)?)?;
    }
    Ok(())
}

/// Whether approvers allow a release; where there is no root of trust, they need not.
///
/// # Errors
///
/// [`Failure`] if they do not.
pub async fn allows(state: &AppState, release: &Release) -> Answer<()> {
    if root(state).await?.is_none() {
        return Ok(());
    }
    let Release { release, dependencies, .. } = release;
    let signed = state.storage().trust_document(release.package.as_str(), None).await?;
    let targets = signed.map(|it| Unverified::<Targets>::parse(it.body.as_bytes()));
    let targets = targets.transpose().map_err(|error| unreadable(&error))?;
    let target = targets.and_then(|it| it.content.targets.get(&approval::path(release)).cloned());
    let checked = approval::check(target.as_ref(), release, None);
    let checked = checked.and_then(|()| {
        let asks = |it| approval::check_dependencies(it, release, dependencies);
        target.as_ref().map_or(Ok(()), asks)
    });
    checked.map_err(|error| {
        let hint = format!("`gofleet trust approve {}` has it signed", release.id);
        Failure::new(ProblemCode::ReleaseNotApproved, error.to_string()).with_hint(hint)
    })
}

/// Whether approvers have signed a release. Without a root of trust nobody has.
///
/// # Errors
///
/// [`Failure`] if the database fails.
pub async fn is_signed(state: &AppState, release: &Release) -> Answer<bool> {
    if root(state).await?.is_none() {
        return Ok(false);
    }
    match allows(state, release).await {
        Ok(()) => Ok(true),
        Err(failure) if failure.problem().code == ProblemCode::ReleaseNotApproved => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// An order as it is handed out: sealed, where there is a root of trust.
///
/// # Errors
///
/// [`Failure`] if the database fails.
pub async fn sealed(state: &AppState, order: Order) -> Answer<SealedOrder> {
    let is_on = root(state).await?.is_some();
    let expires = state.now() + ORDER_LIFETIME;
    let seal = is_on.then(|| seal(&state.trust_keys().orders, &order, expires));
    Ok(SealedOrder { order, seal })
}

/// Signs snapshot and timestamp anew before their time is over, until the server stops.
pub async fn keep_fresh(state: AppState) {
    loop {
        if let Err(failure) = renew(&state).await {
            warn!(?failure, "the timestamp of the trust metadata cannot be signed anew");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = state.stopping().cancelled() => return,
        }
    }
}

async fn renew(state: &AppState) -> Answer<()> {
    let now = state.now();
    let Some(timestamp) = state.storage().trust_document("timestamp", None).await? else {
        return Ok(());
    };
    let timestamp: Envelope = serde_json::from_str(&timestamp.body)
        .map_err(|error| Failure::internal("reading metadata", &error))?;
    if told(&timestamp).1.since(now) > RENEW_BEFORE {
        return Ok(());
    }
    let _turn = state.import_turn().await;
    let mut all = latest(state).await?.envelopes;
    if all.get("timestamp").is_some_and(|it| told(it).1.since(now) > RENEW_BEFORE) {
        // Somebody else has just done it.
        return Ok(());
    }
    let documents = sign_online(state, &mut all, now)?;
    state.storage().keep_trust(&documents, None, now).await?;
    info!(version = documents[1].version, "snapshot and timestamp were signed anew");
    Ok(())
}
