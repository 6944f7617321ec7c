//! What a request is about, as policies see it.

use std::collections::{BTreeSet, HashMap};

use gofleet_core::account::{ReleaseSubject, RolloutSubject, Subject};
use gofleet_core::ids::{CollectionName, DeviceId, ReleaseId, RolloutId};
use gofleet_core::release::{Release, is_past_support};
use gofleet_core::rollout::{FleetDevice, RolloutPlan, RolloutSpec};
use gofleet_core::selector::Selector;

use crate::failure::Answer;
use crate::state::AppState;
use crate::trust;

/// A release of the catalog.
///
/// # Errors
///
/// [`Failure`](crate::failure::Failure) if there is none of this id.
pub async fn release(state: &AppState, id: &ReleaseId) -> Answer<Subject> {
    let release = state.storage().release(id).await?;
    let catalog = state.storage().releases().await?;
    let author = state.storage().importer(id).await?;
    let is_signed = trust::is_signed(state, &release).await?;
    let release = release.release;
    Ok(Subject::Release(ReleaseSubject {
        id: id.to_string(),
        package: release.package.to_string(),
        version: release.version.clone(),
        author,
        is_signed,
        is_past_support: is_past(&catalog, [id]),
    }))
}

/// A rollout that is about to begin.
pub fn planned(
    author: &str,
    plan: &RolloutPlan,
    fleet: &[FleetDevice],
    catalog: &[Release],
) -> Subject {
    let devices = plan.rings.iter().flat_map(|ring| &ring.devices).map(|planned| &planned.device);
    let devices: Vec<&DeviceId> = devices.collect();
    let past = is_past(catalog, &plan.releases);
    Subject::Rollout(rollout_subject(author, &plan.spec, &devices, fleet, past))
}

/// A rollout that there is.
///
/// # Errors
///
/// [`Failure`](crate::failure::Failure) if there is none of this id.
pub async fn rollout(state: &AppState, id: &RolloutId) -> Answer<Subject> {
    let (storage, now) = (state.storage(), state.now());
    let view = storage.rollout(id, now).await?;
    let (fleet, catalog) = (storage.fleet(now).await?, storage.releases().await?);
    let devices: Vec<&DeviceId> = view.devices.iter().map(|it| &it.device).collect();
    let targets: BTreeSet<&ReleaseId> = view.devices.iter().map(|it| &it.release).collect();
    let past = is_past(&catalog, targets);
    Ok(Subject::Rollout(rollout_subject(&view.author, &view.spec, &devices, &fleet, past)))
}

fn rollout_subject(
    author: &str,
    spec: &RolloutSpec,
    devices: &[&DeviceId],
    fleet: &[FleetDevice],
    is_past_support: bool,
) -> RolloutSubject {
    RolloutSubject {
        name: spec.name.clone(),
        author: author.to_owned(),
        devices: devices.len() as u64,
        within: within(fleet, devices),
        package: spec.package.to_string(),
        version: spec.version.clone(),
        is_past_support,
        is_published: spec.publish.is_some(),
    }
}

/// Some devices.
///
/// # Errors
///
/// [`Failure`](crate::failure::Failure) if the database fails.
pub async fn devices(state: &AppState, devices: &[&DeviceId]) -> Answer<Subject> {
    let fleet = state.storage().fleet(state.now()).await?;
    Ok(Subject::Devices { count: devices.len() as u64, within: within(&fleet, devices) })
}

/// The devices that a selector picks at the moment.
///
/// # Errors
///
/// [`Failure`](crate::failure::Failure) if the database fails.
pub async fn picked(state: &AppState, selector: &Selector) -> Answer<Subject> {
    let fleet = state.storage().fleet(state.now()).await?;
    let devices: Vec<&DeviceId> =
        fleet.iter().filter(|it| selector.matches(&it.id, &it.facts)).map(|it| &it.id).collect();
    Ok(Subject::Devices { count: devices.len() as u64, within: within(&fleet, &devices) })
}

/// The collections that hold all of these devices; none if there are no devices.
fn within(fleet: &[FleetDevice], devices: &[&DeviceId]) -> Vec<CollectionName> {
    let by_id: HashMap<&DeviceId, &BTreeSet<CollectionName>> =
        fleet.iter().map(|it| (&it.id, &it.facts.collections)).collect();
    let none = BTreeSet::new();
    let mut all = devices.iter().map(|device| by_id.get(device).copied().unwrap_or(&none));
    let Some(first) = all.next() else { return Vec::new() };
    let mut common = first.clone();
    for other in all {
        common.retain(|name| other.contains(name));
    }
    common.into_iter().collect()
}

fn is_past<'a>(catalog: &[Release], ids: impl IntoIterator<Item = &'a ReleaseId>) -> bool {
    let known: Vec<_> = catalog.iter().map(|it| &it.release).collect();
    ids.into_iter().any(|id| {
        known.iter().find(|it| it.id == *id).is_some_and(|it| {
            let versions = known.iter().filter(|other| other.package == it.package);
            is_past_support(&it.version, versions.map(|other| other.version.as_str()))
        })
    })
}
