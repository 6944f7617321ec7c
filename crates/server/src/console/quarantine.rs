//! Keeping a single device out of rollouts, by a person at the console.

use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse as _, Redirect};
use gofleet_core::ids::DeviceId;

use super::pieces::{Section, Shell};
use super::session::Visitor;
use super::{ConfirmPage, ReasonForm, Reply, not_an_id, render};
use crate::failure::Failure;
use crate::state::AppState;
use crate::{commands, views};

/// What can be done about it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Quarantine,
    LetIn,
}

fn parse(text: &str) -> Result<Verb, Failure> {
    match text {
        "quarantine" => Ok(Verb::Quarantine),
        "let-in" => Ok(Verb::LetIn),
        _ => Err(Failure::not_found("command", text)),
    }
}

pub(super) async fn ask(
    State(state): State<AppState>,
    _: Visitor,
    Path((id, verb)): Path<(String, String)>,
) -> Reply {
    let parsed = parse(&verb)?;
    let device: DeviceId = id.parse().map_err(|error| not_an_id(&error))?;
    let hostname = views::device(&state, &device).await?.device.facts.hostname;
    let (question, consequence, label) = match parsed {
        Verb::Quarantine => (
            format!("Put {hostname} into quarantine?"),
            "It is ordered nothing new, by any rollout, until somebody lets it in again. What it \
             has not switched to is taken back.",
            "Put it into quarantine",
        ),
        Verb::LetIn => (
            format!("Let {hostname} in again?"),
            "It gets the orders that wait for it.",
            "Let it in",
        ),
    };
    render(&ConfirmPage {
        shell: Shell::new(label, Some(Section::Devices)),
        question,
        consequence,
        action: format!("/devices/{device}/{verb}"),
        back: format!("/devices/{device}"),
        label,
        tone: "primary",
        why: (parsed == Verb::Quarantine).then_some("Why (everybody sees it)"),
    })
}

pub(super) async fn act(
    State(state): State<AppState>,
    Visitor(caller): Visitor,
    Path((id, verb)): Path<(String, String)>,
    Form(form): Form<ReasonForm>,
) -> Reply {
    let device: DeviceId = id.parse().map_err(|error| not_an_id(&error))?;
    match parse(&verb)? {
        Verb::Quarantine => {
            drop(commands::quarantine(&state, &device, &caller, &form.reason).await?);
        }
        Verb::LetIn => drop(commands::let_in(&state, &device, &caller).await?),
    }
    Ok(Redirect::to(&format!("/devices/{device}")).into_response())
}
