//! Asking users of a published rollout no more, by a person at the console.

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Redirect};
use gofleet_core::ids::{DeviceId, RolloutId};
use serde::Deserialize;

use super::pieces::{Section, Shell};
use super::session::Visitor;
use super::{ConfirmPage, Reply, not_an_id, refused, render, rollout_page};
use crate::state::AppState;
use crate::{commands, views};

/// Whose user is meant: everybody's, if no device is named.
#[derive(Deserialize)]
pub(super) struct Meant {
    device: Option<DeviceId>,
}

impl Meant {
    /// The address of the form that does it.
    fn action(&self, rollout: &RolloutId) -> String {
        match &self.device {
            None => format!("/rollouts/{rollout}/assign"),
            Some(device) => format!("/rollouts/{rollout}/assign?device={device}"),
        }
    }

    /// Where a person comes from and goes back to.
    fn back(&self, rollout: &RolloutId) -> String {
        match &self.device {
            None => format!("/rollouts/{rollout}"),
            Some(device) => format!("/devices/{device}"),
        }
    }
}

pub(super) async fn ask(
    State(state): State<AppState>,
    _: Visitor,
    Path(id): Path<String>,
    Query(meant): Query<Meant>,
) -> Reply {
    let id: RolloutId = id.parse().map_err(|error| not_an_id(&error))?;
    let name = views::rollout(&state, &id).await?.summary.name;
    let question = match &meant.device {
        None => format!("Ask no user about {name} any more?"),
        Some(device) => {
            let hostname = views::device(&state, device).await?.device.facts.hostname;
            format!("Activate {name} on {hostname} without asking its user?")
        }
    };
    render(&ConfirmPage {
        shell: Shell::new("Assign", Some(Section::Rollouts)),
        question,
        consequence: "The release is activated as soon as it is the device's turn, in its window if \
                      there is one. Users are told, and not asked any more.",
        action: meant.action(&id),
        back: meant.back(&id),
        label: "Activate without asking",
        tone: "primary",
        why: None,
    })
}

pub(super) async fn act(
    State(state): State<AppState>,
    Visitor(caller): Visitor,
    Path(id): Path<String>,
    Query(meant): Query<Meant>,
) -> Reply {
    let rollout: RolloutId = id.parse().map_err(|error| not_an_id(&error))?;
    match commands::assign(&state, &rollout, meant.device.as_ref(), &caller).await {
        Ok(_) => Ok(Redirect::to(&meant.back(&rollout)).into_response()),
        Err(failure) => {
            let mut page = rollout_page(&state, &id).await?;
            let status = refused(&mut page.shell, &failure);
            Ok((status, render(&page)?).into_response())
        }
    }
}
