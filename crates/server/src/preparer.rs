//! Makes packs and deltas in the background.
//!
//! Like the reconciler it takes no input: at every pass it reads the catalog, the fleet and what
//! was made, asks the core what is missing, and makes that, one after the other, on a thread that
//! steps back behind all others. A file gets its name before the table tells of it, so a kill at
//! any point leaves at most a file that nobody names, which the next start removes.

mod make;

use std::time::Duration;

use gofleet_core::artifact::{Artifact, FORMAT};
use gofleet_core::preparation::{Job, Preparing, jobs};
use gofleet_core::release::Release;
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use crate::failure::Answer;
use crate::state::AppState;
use crate::ways::at_hand;

/// How often it is looked at what is missing, though nothing has changed: what failed is due again
/// after a while, and files may have been removed.
const PERIOD: Duration = Duration::from_secs(60);
/// A fleet at work changes many times a second; what is missing need not be known so exactly.
const SHORTEST_PERIOD: Duration = Duration::from_secs(1);

/// Runs until the server stops.
pub async fn run(state: AppState) {
    let mut changes = state.storage().changes();
    loop {
        changes.mark_unchanged();
        let began = Instant::now();
        if let Err(failure) = pass(&state).await {
            let problem = failure.problem();
            error!(%problem, "packs and deltas could not be made; the next pass tries again");
        }
        let news = async {
            let _closed = changes.changed().await;
            sleep_until(began + SHORTEST_PERIOD).await;
        };
        tokio::select! {
            () = state.stopping().cancelled() => return,
            () = sleep_until(began + PERIOD) => {}
            () = news => {}
        }
    }
}

/// Makes all that is missing; after each piece it looks anew, for something more urgent may have
/// come.
async fn pass(state: &AppState) -> Answer<()> {
    forget_lost(state).await?;
    loop {
        let catalog = state.storage().releases().await?;
        let artifacts = state.storage().artifacts().await?;
        let held = state.storage().held().await?;
        let missing = jobs(&Preparing {
            catalog: &catalog,
            held: &held,
            artifacts: &artifacts,
            format: FORMAT,
            now: state.now(),
        });
        let Some(job) = missing.into_iter().next() else { return Ok(()) };
        let making = make::Making::of(state, &job, &catalog, &artifacts).await?;
        let made = tokio::select! {
            made = making.make() => made,
            // The thread that works ends with the process.
            () = state.stopping().cancelled() => return Ok(()),
        };
        tell(&job, &made);
        state.storage().keep_artifact(&made).await?;
    }
}

/// Forgets artifacts whose files are gone, so that they are made again.
async fn forget_lost(state: &AppState) -> Answer<()> {
    let there = at_hand(state).await?;
    for artifact in state.storage().artifacts().await? {
        if artifact.ready().is_some() && !there.contains(&artifact) {
            warn!(release = %artifact.release, kind = %artifact.kind, "its file is gone");
            state.storage().forget_artifact(&artifact).await?;
        }
    }
    Ok(())
}

fn tell(job: &Job, made: &Artifact) {
    use gofleet_core::artifact::ArtifactState as S;
    let took_ms = made.took.as_millis();
    match &made.state {
        S::Ready { bytes, .. } => info!(?job, bytes, took_ms, "made"),
        S::Useless { bytes } => info!(?job, bytes, took_ms, "saves too little, dropped"),
        S::Failed { reason } => warn!(?job, reason, "could not be made"),
    }
}

/// The release of this id in the catalog that the job was decided from.
fn find<'a>(catalog: &'a [Release], id: &gofleet_core::ids::ReleaseId) -> &'a Release {
    let mut all = catalog.iter();
    all.find(|release| release.release.id == *id).expect("the core names releases of the catalog")
}
