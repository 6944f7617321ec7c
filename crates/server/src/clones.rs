//! Two machines at work with one key are noticed, and the device they pass for is put into
//! quarantine.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderMap;
use gofleet_api::RUN_HEADER;
use gofleet_core::audit::By;
use gofleet_core::hold::QuarantineCause;
use gofleet_core::ids::DeviceId;
use gofleet_core::runs::Runs;
use tracing::{error, warn};

use crate::failure::chain;
use crate::state::AppState;
use crate::tls::Caller;

/// How many addresses of a device are remembered, to be told.
const ADDRESSES: usize = 2;

/// What was heard of each device since the server started. After that it is learned anew: both
/// machines ask for orders once a minute.
#[derive(Debug, Default)]
pub struct Heard(Mutex<HashMap<DeviceId, One>>);

#[derive(Debug, Default)]
struct One {
    runs: Runs,
    addresses: VecDeque<IpAddr>,
}

impl Heard {
    /// A run of a device's agent is heard from an address. If that shows that two machines are one
    /// device, the addresses that were heard last.
    fn hear(&self, device: &DeviceId, run: u64, from: IpAddr) -> Option<Vec<IpAddr>> {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let one = match heard.get_mut(device) {
            Some(one) => one,
            None => heard.entry(device.clone()).or_default(),
        };
        if !one.addresses.contains(&from) {
            one.addresses.push_front(from);
            one.addresses.truncate(ADDRESSES);
        }
        one.runs.hear(run).then(|| one.addresses.iter().copied().collect())
    }
}

/// Looks whether a request of a device shows that another machine has its key too. The request
/// itself goes on: in quarantine neither of the two is ordered anything.
pub async fn look(state: &AppState, device: &DeviceId, caller: &Caller, headers: &HeaderMap) {
    let run = headers.get(RUN_HEADER).and_then(|run| run.to_str().ok());
    let Some(run) = run.and_then(|run| u64::from_str_radix(run, 16).ok()) else { return };
    let from = caller.address.ip().to_canonical();
    let Some(addresses) = state.heard().hear(device, run, from) else { return };
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    warn!(%device, ?addresses, "two machines use the key of this device");
    let cause = QuarantineCause::SharedKey { addresses };
    let quarantined = state.storage().quarantine(&By::server(), device, cause, state.now()).await;
    if let Err(error) = quarantined {
        let error = chain(&error);
        error!(%device, error, "a device with two machines cannot be put into quarantine");
    }
}
