//! What administrators do with collections, for the API and the console alike.

use gofleet_api::{CollectionRequest, ProblemCode, RosterChange};
use gofleet_core::account::{Permission, Subject};
use gofleet_core::collection::{Collection, InvalidMembers, Members, Roster};
use gofleet_core::ids::CollectionName;
use gofleet_core::rollout::FleetDevice;
use gofleet_core::selector::Selector;
use gofleet_storage::StorageError;

use crate::authorization::CallingPerson;
use crate::failure::{Answer, Failure};
use crate::state::AppState;

/// The longest note that is kept.
const MAX_NOTE_CHARS: usize = 500;

/// Reads a selector that a person wrote, and looks whether each collection in it is there.
///
/// # Errors
///
/// [`Failure`] points at the column of the first mistake.
pub async fn selector(state: &AppState, text: &str) -> Answer<Selector> {
    let known: Vec<CollectionName> =
        state.storage().collections().await?.into_iter().map(|it| it.name).collect();
    Selector::parse_among(text, &known).map_err(|error| {
        Failure::new(ProblemCode::InvalidRequest, format!("the selector can't be read: {error}"))
    })
}

/// Writes who belongs to a collection; tells who comes and who goes.
///
/// # Errors
///
/// [`Failure`] if the caller may not, or the selector or a name can't be read.
pub async fn set(
    state: &AppState,
    caller: &CallingPerson,
    name: &CollectionName,
    request: CollectionRequest,
) -> Answer<RosterChange> {
    let by = caller.may(state, Permission::ChangeCollections, Subject::Fleet {}).await?;
    let CollectionRequest { members, note } = request;
    let note = note.trim().chars().filter(|c| !c.is_control()).take(MAX_NOTE_CHARS).collect();
    let members = checked(members)?;
    let change = change(state, name, &members).await?;
    state.storage().set_collection(&by, name, (members, note), state.now()).await?;
    Ok(change)
}

/// Deletes a collection; gives the one that there was.
///
/// # Errors
///
/// [`Failure`] if the caller may not, there is none of this name, or something asks for it.
pub async fn delete(
    state: &AppState,
    caller: &CallingPerson,
    name: &CollectionName,
) -> Answer<Collection> {
    let by = caller.may(state, Permission::ChangeCollections, Subject::Fleet {}).await?;
    Ok(state.storage().delete_collection(&by, name, state.now()).await?)
}

/// Who would come and go if a collection had these members.
///
/// # Errors
///
/// [`Failure`] if the selector or a name can't be read.
pub async fn preview(
    state: &AppState,
    name: &CollectionName,
    members: Members,
) -> Answer<RosterChange> {
    change(state, name, &checked(members)?).await
}

/// Who of a fleet belongs to a collection with these members.
pub fn roster(members: &Members, fleet: &[FleetDevice]) -> Roster {
    Roster::of(members, fleet.iter().map(|device| (&device.id, &device.facts)))
}

fn checked(members: Members) -> Answer<Members> {
    let invalid =
        |error: InvalidMembers| Failure::new(ProblemCode::InvalidRequest, error.to_string());
    members.checked().map_err(invalid)
}

async fn change(
    state: &AppState,
    name: &CollectionName,
    members: &Members,
) -> Answer<RosterChange> {
    let before = match state.storage().collection(name).await {
        Ok(known) => Some(known.members),
        Err(StorageError::UnknownCollection(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let fleet = state.storage().fleet(state.now()).await?;
    let before = before.map(|before| roster(&before, &fleet)).unwrap_or_default();
    Ok(before.changed_to(roster(members, &fleet)))
}
