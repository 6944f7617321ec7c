//! What administrators look at, for the API and the console alike.

use gofleet_api::{
    AnomalyRule, AnomalyRules, Baseline, Collection, CollectionDetail, CollectionSummary, Device,
    DeviceDetail, Measured, Overview, RolloutStatus, RolloutSummary,
};
use gofleet_core::advice;
use gofleet_core::anomaly::{Rule, Settings};
use gofleet_core::ids::{CollectionName, DeviceId, ReleaseId, RolloutId};
use gofleet_core::release::Release;
use gofleet_core::rollout;

use crate::collections::roster;
use crate::failure::Answer;
use crate::state::AppState;

/// The fleet at a glance.
///
/// # Errors
///
/// [`Failure`](crate::failure::Failure) if the database fails.
pub async fn overview(state: &AppState) -> Answer<Overview> {
    Ok(state.storage().overview(state.now()).await?)
}

/// Of so many finished rollouts the devices are counted: older ones ran with other agents, on other
/// networks.
const MEASURED_ROLLOUTS: u32 = 10;

/// What the latest finished rollouts say of this fleet.
///
/// # Errors
///
/// [`Failure`](crate::failure::Failure) if the database fails.
pub async fn measured(state: &AppState) -> Answer<Measured> {
    Ok(advice::measure(state.storage().outcomes(MEASURED_ROLLOUTS).await?))
}

/// Every device.
///
/// # Errors
///
/// [`Failure`](crate::failure::Failure) if the database fails.
pub async fn devices(state: &AppState) -> Answer<Vec<Device>> {
    Ok(state.storage().devices(state.now()).await?)
}

/// Every collection, without the names that they list.
///
/// # Errors
///
/// [`Failure`](crate::failure::Failure) if the database fails.
pub async fn collections(state: &AppState) -> Answer<Vec<CollectionSummary>> {
    let all = state.storage().collections().await?;
    let fleet = state.storage().fleet(state.now()).await?;
    let summary = |Collection { name, members, note, by, changed_at }| {
        let roster = roster(&members, &fleet);
        CollectionSummary {
            collection: name,
            kind: members.kind().to_owned(),
            devices: roster.devices.len() as u64,
            unknown: roster.unknown.len() as u64,
            members: members.to_string(),
            note,
            by,
            changed_at,
        }
    };
    Ok(all.into_iter().map(summary).collect())
}

/// A collection with whom it holds, and what asks for it.
///
/// # Errors
///
/// [`Failure`](crate::failure::Failure) if there is none of this name.
pub async fn collection(state: &AppState, name: &CollectionName) -> Answer<CollectionDetail> {
    let (storage, now) = (state.storage(), state.now());
    let collection = storage.collection(name).await?;
    let roster = roster(&collection.members, &storage.fleet(now).await?);
    let used_by = storage.users_of_collection(&collection.name, now).await?;
    Ok(CollectionDetail { collection, roster, used_by })
}

/// One device with its history.
///
/// # Errors
///
/// [`Failure`](crate::failure::Failure) if there is none of this id.
pub async fn device(state: &AppState, id: &DeviceId) -> Answer<DeviceDetail> {
    let now = state.now();
    let detail = state.storage().device(id, now).await?;
    Ok(DeviceDetail { health: state.monitoring().lock().health(id, now), ..detail })
}

/// The rules for anomalies that are in force, and what is normal.
pub fn anomaly_rules(state: &AppState) -> AnomalyRules {
    let monitor = state.monitoring().lock();
    let Settings { rules, release_after, max_share } = monitor.settings();
    let rule = |rule: &Rule| AnomalyRule { name: rule.name.clone(), when: rule.to_string() };
    let baselines = monitor.baselines().filter_map(|(class, signal, baseline)| {
        let (class, signal) = (class.clone(), signal.clone());
        Some(Baseline { class, signal, normal: baseline.normal()? })
    });
    AnomalyRules {
        origin: state.config().origin("anomaly_rules").to_string(),
        rules: rules.iter().map(rule).collect(),
        release_after: *release_after,
        max_share: max_share.to_string(),
        baselines: baselines.collect(),
    }
}

/// Every rollout, newest first.
///
/// # Errors
///
/// [`Failure`](crate::failure::Failure) if the database fails.
pub async fn rollouts(state: &AppState) -> Answer<Vec<RolloutSummary>> {
    Ok(state.storage().rollouts().await?)
}

/// One rollout with every device of it.
///
/// # Errors
///
/// [`Failure`](crate::failure::Failure) if there is none of this id.
pub async fn rollout(state: &AppState, id: &RolloutId) -> Answer<RolloutStatus> {
    let now = state.now();
    // The sequence first: a change in between is told twice rather than never.
    let sequence = state.storage().last_sequence();
    let view = state.storage().rollout(id, now).await?;
    Ok(rollout::status(&view, sequence, now))
}

/// The catalog.
///
/// # Errors
///
/// [`Failure`](crate::failure::Failure) if the database fails.
pub async fn releases(state: &AppState) -> Answer<Vec<Release>> {
    Ok(state.storage().releases().await?)
}

/// One release.
///
/// # Errors
///
/// [`Failure`](crate::failure::Failure) if there is none of this id.
pub async fn release(state: &AppState, id: &ReleaseId) -> Answer<Release> {
    Ok(state.storage().release(id).await?)
}
