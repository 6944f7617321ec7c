//! The audit log's key and head: made at the first start, compared at each, written after each
//! entry.
//!
//! The last signed head lies in the data folder outside of the database. So a database that is put
//! back from a copy, or whose log was cut, is found at the next start: the server says so, tells the
//! log, and goes on.

use gofleet_core::audit::{Act, AuditKey, AuditSigner, By, HeadError};
use gofleet_core::time::Timestamp;
use gofleet_storage::{AuditFilter, Storage, StorageError};
use tracing::{error, warn};

use crate::data::{DataError, DataFolder};
use crate::failure::{Answer, chain};
use crate::secret;
use crate::serve::ServeError;
use crate::state::AppState;

/// The signer of the log, once the log was compared with the head that was kept.
///
/// # Errors
///
/// [`ServeError`] if the key cannot be read or made, or the database fails. A log that cannot be
/// written, or that has lost entries, is no error: it is told.
pub async fn open(
    data: &DataFolder,
    storage: &Storage,
    now: Timestamp,
) -> Result<AuditSigner, ServeError> {
    let (signer, is_new) = signer(data).map_err(ServeError::Data)?;
    let lost = compare(data, storage, &signer.key()).await?;
    for act in lost.into_iter().chain(is_new.then(|| key_made(&signer))) {
        tell(storage.record(&By::server(), act, now).await);
    }
    tell(storage.settle_audit(now).await);
    Ok(signer)
}

fn signer(data: &DataFolder) -> Result<(AuditSigner, bool), DataError> {
    if let Some(seed) = data.audit_seed()? {
        return Ok((AuditSigner::from_seed(&seed), false));
    }
    let seed = secret::random_bytes();
    data.write_audit_seed(&seed)?;
    Ok((AuditSigner::from_seed(&seed), true))
}

fn key_made(signer: &AuditSigner) -> Act {
    Act::KeyMade { key: signer.key().to_string() }
}

/// Compares the database with the head beside it; what is to be told of the head, if it is gone.
async fn compare(
    data: &DataFolder,
    storage: &Storage,
    key: &AuditKey,
) -> Result<Option<Act>, ServeError> {
    let count = storage.audit_head().await.map_err(ServeError::Storage)?.count;
    let reason = match data.audit_head().map_err(ServeError::Data)? {
        // Before the first entry there is none.
        None if count == 0 => return Ok(None),
        None => "there is none".to_owned(),
        Some(note) => match key.open(&note) {
            Ok(head) => {
                let has = storage.expect_audit(head.link()).await.map_err(ServeError::Storage)?;
                if !has {
                    error!(
                        database = count,
                        head = head.count,
                        "THE DATABASE IS OLDER THAN THE LAST HEAD OF ITS AUDIT LOG, or the log was \
                         cut: entries are lost; see docs/audit.md"
                    );
                }
                return Ok(None);
            }
            Err(error @ (HeadError::Form | HeadError::Signer { .. } | HeadError::Signature)) => {
                error.to_string()
            }
        },
    };
    error!(reason, "the last head of the audit log is lost: an older database would not be found");
    Ok(Some(Act::HeadLost { reason }))
}

/// The server runs without its log, since reading and the emergency stop must go on.
fn tell(result: Result<(), StorageError>) {
    if let Err(error) = result {
        error!(error = %chain(&error), "the audit log cannot be written: changes are refused");
    }
}

/// Writes the signed head after each entry, until the server stops.
pub async fn keep_head(state: AppState) {
    let mut links = state.storage().audit_links();
    let mut told_loss = 0;
    loop {
        links.borrow_and_update();
        if let Err(error) = write_head(&state).await {
            warn!(error, "the head of the audit log could not be written beside the database");
        }
        tell_loss(&state, &mut told_loss).await;
        tokio::select! {
            changed = links.changed() => if changed.is_err() { return },
            () = state.stopping().cancelled() => break,
        }
    }
}

/// Writes the signed head beside the database.
///
/// # Errors
///
/// What failed, in words for the log.
pub async fn write_head(state: &AppState) -> Result<(), String> {
    let head = state.storage().audit_head().await.map_err(|error| chain(&error))?;
    let note = state.signer().sign(&head);
    let state = state.clone();
    let written = tokio::task::spawn_blocking(move || state.data().write_audit_head(&note));
    written.await.map_err(|panic| panic.to_string())?.map_err(|error| chain(&error))
}

/// Says loudly that entries were found missing while the server ran, once for each time.
async fn tell_loss(state: &AppState, told: &mut u64) {
    let action = "audit.history_lost".to_owned();
    let filter = AuditFilter { action, ..AuditFilter::default() };
    let Ok(found) = state.storage().audit_entries(&filter, 1).await else { return };
    if let Some(entry) = found.first().filter(|entry| entry.sequence > *told) {
        *told = entry.sequence;
        error!(entry = entry.sequence, at = %entry.at, "the audit log tells that it lost entries");
    }
}

/// The head of the log, signed.
///
/// # Errors
///
/// [`Failure`](crate::failure::Failure) if the database fails.
pub async fn head(state: &AppState) -> Answer<gofleet_api::AuditHead> {
    let head = state.storage().audit_head().await?;
    let note = state.signer().sign(&head);
    Ok(gofleet_api::AuditHead { head, note, key: state.signer().key().to_string() })
}
