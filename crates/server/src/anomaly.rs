//! The watch over anomalies: what devices tell is judged when it arrives, silence by the clock.
//!
//! What is measured lives in memory. A restart forgets for how long a condition has held, so a
//! device is found later by at most that span, and never by mistake. Who is in quarantine stands
//! in the database, and so does what is normal, as it was some minutes ago.

use std::sync::{Mutex, MutexGuard, PoisonError};

use gofleet_core::anomaly::{Confined, GONE_AFTER, Monitor, Sample, Settings, Verdict};
use gofleet_core::audit::By;
use gofleet_core::event::Change;
use gofleet_core::ids::DeviceId;
use gofleet_core::time::{Span, Timestamp};
use gofleet_storage::StorageError;
use tracing::{error, info, warn};

use crate::state::AppState;

/// How often what is normal is kept.
const KEEP_EVERY: Span = Span::from_secs(5 * 60);

/// What is known of every device.
#[derive(Debug)]
pub struct Monitoring(Mutex<Monitor>);

impl Monitoring {
    /// Nothing is known yet.
    pub fn new(settings: Settings) -> Self {
        Self(Mutex::new(Monitor::new(settings)))
    }

    /// The monitor, for as long as the answer is held; nobody waits while holding it.
    pub fn lock(&self) -> MutexGuard<'_, Monitor> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins with what the database knows. Who was silent while nobody listened has an excuse.
///
/// # Errors
///
/// [`StorageError`] if the database fails.
pub async fn begin(state: &AppState) -> Result<(), StorageError> {
    let now = state.now();
    let (watches, learned) = (state.storage().watches().await?, state.storage().baselines().await?);
    let mut monitor = state.monitoring().lock();
    for (class, signal, baseline) in learned {
        monitor.learned(class, signal, baseline);
    }
    for (device, mut watch) in watches {
        if now.since(watch.heard) < GONE_AFTER {
            watch.heard = watch.heard.max(now);
        }
        monitor.watch(&device, watch, now);
    }
    Ok(())
}

/// Takes in what a device measured, and does at once what is due about it.
///
/// # Errors
///
/// [`StorageError`] if that can't be done; the next sample brings it again.
pub async fn observe(
    state: &AppState,
    device: &DeviceId,
    sample: &Sample,
) -> Result<(), StorageError> {
    let now = state.now();
    let is_known = state.monitoring().lock().knows(device);
    if !is_known {
        look_again(state, device, now).await?;
    }
    let (verdict, class) = {
        let mut monitor = state.monitoring().lock();
        (monitor.observe(device, sample, now), monitor.class_of(device).cloned())
    };
    if let Some(class) = class {
        state.canaries().lock().observe(device, &class, sample, now);
    }
    match verdict {
        Some(verdict) => carry_out(state, verdict, now).await,
        None => Ok(()),
    }
}

/// Follows what happens to devices, and judges silence and recovery, until the server stops.
pub async fn run(state: AppState) {
    let mut period = tokio::time::interval(state.config().reconcile_every.as_duration());
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut after, mut kept_at) = (state.storage().last_sequence(), state.now());
    loop {
        tokio::select! {
            () = state.stopping().cancelled() => break,
            _ = period.tick() => {}
        }
        if let Err(error) = tick(&state, &mut after).await {
            let error: &dyn std::error::Error = &error;
            error!(error, "an anomaly could not be dealt with; the next tick tries again");
        }
        if state.now().since(kept_at) >= KEEP_EVERY {
            kept_at = state.now();
            keep(&state).await;
        }
    }
    keep(&state).await;
}

async fn tick(state: &AppState, after: &mut u64) -> Result<(), StorageError> {
    let now = state.now();
    for event in state.storage().events_since(*after, u32::MAX).await? {
        if let Change::DeviceEnrolled { device, .. }
        | Change::DeviceFacts { device, .. }
        | Change::DeviceQuarantined { device, .. }
        | Change::DeviceLetIn { device, .. } = &event.what
        {
            look_again(state, device, now).await?;
        }
        *after = event.sequence;
    }
    let verdicts = state.monitoring().lock().tick(now);
    let mut outcome = Ok(());
    for verdict in verdicts {
        outcome = outcome.and(carry_out(state, verdict, now).await);
    }
    outcome
}

/// Watches a device as the database has it.
///
/// # Errors
///
/// [`StorageError`] if the database fails.
pub async fn look_again(
    state: &AppState,
    device: &DeviceId,
    now: Timestamp,
) -> Result<(), StorageError> {
    let watch = state.storage().watch(device).await?;
    state.monitoring().lock().watch(device, watch, now);
    Ok(())
}

async fn carry_out(state: &AppState, verdict: Verdict, now: Timestamp) -> Result<(), StorageError> {
    match verdict {
        Verdict::Quarantine(device, cause) => {
            let by = By::server();
            let quarantine = state.storage().quarantine(&by, &device, cause, now).await?;
            info!(%device, "quarantine: {}", quarantine.cause);
            let confined = Some(Confined::by(&quarantine.cause));
            state.monitoring().lock().confine(&device, confined, now);
        }
        Verdict::LetIn(device, healthy_for) => {
            if state.storage().end_anomaly(&device, healthy_for, now).await? {
                info!(%device, %healthy_for, "let in again");
            }
            look_again(state, &device, now).await?;
        }
        Verdict::Withhold(device, cause, withheld) => {
            let (class, rule) = (&withheld.class, &withheld.rule);
            let (anomalous, devices) = (withheld.anomalous, withheld.devices);
            warn!(%class, rule, anomalous, devices, "too many anomalies: none is put in quarantine");
            let class = withheld.class.clone();
            let told = state.storage().withhold(&device, &cause, withheld, now).await;
            if let Err(error) = told {
                state.monitoring().lock().not_told(&class);
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Keeps what is normal.
async fn keep(state: &AppState) {
    let learned: Vec<_> = {
        let monitor = state.monitoring().lock();
        let baselines = monitor.baselines();
        baselines.map(|(class, signal, it)| (class.clone(), signal.clone(), it.clone())).collect()
    };
    if learned.is_empty() {
        return;
    }
    if let Err(error) = state.storage().keep_baselines(&learned, state.now()).await {
        warn!(%error, "what is normal could not be kept");
    }
}
