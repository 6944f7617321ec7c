//! What a device is told when it asks how to get a release.

use std::collections::{BTreeSet, HashMap};

use gofleet_api::{WaysAnswer, WaysRequest};
use gofleet_core::artifact::Artifact;
use gofleet_core::edge::{SITE_LABEL, nearest_first};
use gofleet_core::ids::DeviceId;
use gofleet_core::ways::{Choosing, EdgeOffer, ways};

use crate::failure::Answer;
use crate::state::AppState;

/// The ways to the release that a device asks for, and the distribution points at its site.
///
/// # Errors
///
/// [`Failure`](crate::failure::Failure) if there is no such release.
pub async fn answer(
    state: &AppState,
    device: &DeviceId,
    request: &WaysRequest,
) -> Answer<WaysAnswer> {
    let release = state.storage().release(&request.release).await?;
    let artifacts = at_hand(state).await?;
    let holds: BTreeSet<_> = request.holds.iter().copied().collect();
    let ways = ways(&Choosing {
        release: &release.release,
        tree_bytes: release.tree_bytes,
        holds: &holds,
        formats: &request.formats,
        artifacts: &artifacts,
    });
    Ok(WaysAnswer { ways, edges: edges(state, device).await? })
}

/// The packs and deltas whose files are there: one that somebody removed is not offered.
///
/// # Errors
///
/// [`Failure`](crate::failure::Failure) if the database fails.
pub async fn at_hand(state: &AppState) -> Answer<Vec<Artifact>> {
    let mut artifacts = state.storage().artifacts().await?;
    let mut is_there = HashMap::new();
    for (sha256, bytes) in artifacts.iter().filter_map(Artifact::ready) {
        let found = tokio::fs::metadata(state.data().artifact(&sha256)).await;
        is_there.insert(sha256, found.is_ok_and(|found| found.len() == bytes));
    }
    artifacts.retain(|artifact| artifact.ready().is_some_and(|(sha256, _)| is_there[&sha256]));
    Ok(artifacts)
}

async fn edges(state: &AppState, device: &DeviceId) -> Answer<Vec<EdgeOffer>> {
    let facts = state.storage().facts(device).await?;
    let site = facts.labels.get(SITE_LABEL).filter(|site| !site.is_empty());
    let Some(site) = site else { return Ok(Vec::new()) };
    let mut offers = state.storage().edges_of(site, state.now()).await?;
    nearest_first(device, &mut offers);
    Ok(offers)
}
