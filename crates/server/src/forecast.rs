//! Forecasts: the core's, of a plan, by what is recorded of the fleet. Computing one takes seconds
//! of a processor, so it is done beside the handlers, and one at a time.

use gofleet_api::{ProblemCode, SimulatedPlan};
use gofleet_core::account::Subject;
use gofleet_core::artifact::Artifact;
use gofleet_core::ids::{CollectionName, RolloutId};
use gofleet_core::release::Release;
use gofleet_core::rollout::forecast::{Behaviour, Forecast, Forecasting, USUAL_BUDGET, forecast};
use gofleet_core::rollout::{
    self, Exposure, FleetDevice, Moving, Planning, Preview, RolloutPlan, RolloutSpec, preview,
};
use gofleet_core::time::{Span, Timestamp};
use gofleet_core::window::{InvalidWindow, Window};
use tokio::sync::Semaphore;
use tracing::warn;

use crate::collections;
use crate::failure::{Answer, Failure};
use crate::state::AppState;
use crate::subjects;
use crate::ways::at_hand;

/// What one may cost that nobody waits for, and of which only a curve is kept.
const KEPT_BUDGET: u64 = USUAL_BUDGET / 5;
/// One at a time: whoever asks often waits, and the rest of the server does not.
static TURN: Semaphore = Semaphore::const_new(1);

/// All that a plan is made from, as it is at one moment.
#[derive(Debug, Clone)]
pub struct Inputs {
    releases: Vec<Release>,
    fleet: Vec<FleetDevice>,
    collections: Vec<CollectionName>,
    moving: Vec<Moving>,
    artifacts: Vec<Artifact>,
    install_time: Span,
    now: Timestamp,
    listening_since: Timestamp,
}

/// What a forecast needs besides.
struct Recorded {
    behaviour: Behaviour,
    exposure: Option<Exposure>,
}

impl Inputs {
    /// As they are now.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the database fails.
    pub async fn read(state: &AppState) -> Answer<Self> {
        let (storage, now) = (state.storage(), state.now());
        Ok(Self {
            releases: storage.releases().await?,
            fleet: storage.fleet(now).await?,
            collections: storage.collections().await?.into_iter().map(|it| it.name).collect(),
            moving: storage.moving().await?,
            artifacts: at_hand(state).await?,
            install_time: storage.install_time().await?.unwrap_or(Planning::ASSUMED_INSTALL_TIME),
            now,
            listening_since: storage.listening_since(now),
        })
    }

    fn planning<'a>(&'a self, spec: &'a RolloutSpec) -> Planning<'a> {
        Planning {
            spec,
            releases: &self.releases,
            fleet: &self.fleet,
            collections: &self.collections,
            moving: &self.moving,
            artifacts: &self.artifacts,
            seed: &spec.name,
            install_time: self.install_time,
            now: self.now,
            listening_since: self.listening_since,
        }
    }

    /// What a rollout would do, before anything moves.
    ///
    /// # Errors
    ///
    /// [`Failure`] if nothing can be planned.
    pub fn plan(&self, spec: &RolloutSpec) -> Answer<RolloutPlan> {
        Ok(rollout::plan(&self.planning(spec))?)
    }
}

impl Inputs {
    /// A rollout with this plan, as policies see it.
    pub fn subject(&self, author: &str, plan: &RolloutPlan) -> Subject {
        subjects::planned(author, plan, &self.fleet, &self.releases)
    }
}

impl Recorded {
    async fn read(state: &AppState) -> Answer<Self> {
        let storage = state.storage();
        Ok(Self { behaviour: storage.behaviour().await?, exposure: storage.exposure().await? })
    }
}

/// What a rollout would do, and how it would probably go.
///
/// # Errors
///
/// [`Failure`] if nothing can be planned.
pub async fn simulate(state: &AppState, spec: &RolloutSpec) -> Answer<SimulatedPlan> {
    let inputs = Inputs::read(state).await?;
    let plan = inputs.plan(spec)?;
    let forecast = played(state, inputs, plan.clone(), USUAL_BUDGET).await?;
    Ok(SimulatedPlan { plan, forecast: Some(forecast) })
}

async fn played(
    state: &AppState,
    inputs: Inputs,
    plan: RolloutPlan,
    budget: u64,
) -> Answer<Forecast> {
    let Recorded { behaviour, exposure } = Recorded::read(state).await?;
    let turn = TURN.acquire().await.expect("nobody closes it");
    // The turn goes with the work: whoever asked may have gone before it is done.
    let computed = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let planning = inputs.planning(&plan.spec);
        forecast(&Forecasting { planning, behaviour: &behaviour, exposure, budget }, &plan)
    });
    computed.await.map_err(|error| Failure::internal("forecasting", &error))
}

/// Keeps beside a rollout what was to be expected when it was started, for whoever compares. That
/// is done in the background: nothing depends on it.
pub fn keep(state: &AppState, rollout: RolloutId, inputs: Inputs, plan: RolloutPlan) {
    let state = state.clone();
    tokio::spawn(async move {
        let kept = async {
            let mut forecast = played(&state, inputs, plan, KEPT_BUDGET).await?;
            // What a site downloads when is not compared with anything later.
            (forecast.hours, forecast.sites) = (Vec::new(), Vec::new());
            Ok::<_, Failure>(state.storage().keep_forecast(&rollout, &forecast, state.now()).await?)
        };
        if let Err(failure) = kept.await {
            let reason = &failure.problem().detail;
            warn!(rollout = rollout.as_str(), reason, "no forecast was kept of the rollout");
        }
    });
}

/// Which devices a selector picks, and when their window opens.
///
/// # Errors
///
/// [`Failure`] if the selector can't be read: it points at the column.
pub async fn look(state: &AppState, selector: &str, window: Option<&Window>) -> Answer<Preview> {
    let selector = collections::selector(state, selector).await?;
    let now = state.now();
    let fleet = state.storage().fleet(now).await?;
    Ok(preview(&fleet, &selector, window, now))
}

/// The window that a person wrote: stretches and dates with semicolons between; none if there are no
/// stretches.
///
/// # Errors
///
/// [`Failure`] names what can't be read.
pub fn window(open: &str, closed: &str) -> Answer<Option<Window>> {
    let parts = |text: &str| -> Vec<String> {
        let parts = text.split([';', '\n']).map(str::trim).filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    let wrong = |error: InvalidWindow| {
        Failure::new(ProblemCode::InvalidRequest, format!("the window can't be read: {error}"))
    };
    let open = parts(open).iter().map(|it| it.parse()).collect::<Result<Vec<_>, _>>();
    let closed = parts(closed).iter().map(|it| it.parse()).collect::<Result<Vec<_>, _>>();
    let (open, closed) = (open.map_err(wrong)?, closed.map_err(wrong)?);
    if open.is_empty() && !closed.is_empty() {
        let detail = "dates on which a window stays closed need a window";
        return Err(Failure::new(ProblemCode::InvalidRequest, detail)
            .with_hint("say when it is open, like `daily 00:00-24:00`"));
    }
    Ok((!open.is_empty()).then_some(Window { open, closed }))
}
