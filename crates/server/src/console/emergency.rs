//! The emergency stop, by a person at the console.

use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse as _, Redirect};
use gofleet_core::emergency::EmergencyStop;
use serde::Deserialize;

use super::pieces::{Section, Shell};
use super::session::Visitor;
use super::{ConfirmPage, Reply, render};
use crate::failure::Failure;
use crate::state::AppState;

/// What can be done about it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Stop,
    Lift,
}

fn parse(text: &str) -> Result<Verb, Failure> {
    match text {
        "stop" => Ok(Verb::Stop),
        "lift" => Ok(Verb::Lift),
        _ => Err(Failure::not_found("command", text)),
    }
}

pub(super) async fn ask(_: Visitor, Path(verb): Path<String>) -> Reply {
    let (question, consequence, label, tone) = match parse(&verb)? {
        Verb::Stop => (
            "Stop everything?",
            "Nothing begins any more, in any rollout, and what has not switched is taken back. \
             What has switched stays, or goes back if it fails.",
            "Stop everything",
            "danger",
        ),
        Verb::Lift => (
            "Lift the emergency stop?",
            "Nothing moves by itself: each rollout stays paused until it is resumed.",
            "Lift it",
            "primary",
        ),
    };
    let is_stop = parse(&verb)? == Verb::Stop;
    render(&ConfirmPage {
        shell: Shell::new(label, Some(Section::Overview)),
        question: question.to_owned(),
        consequence,
        action: format!("/emergency/{verb}"),
        back: "/".to_owned(),
        label,
        tone,
        why: is_stop.then_some("Why (everybody sees it)"),
    })
}

#[derive(Deserialize)]
pub(super) struct Reason {
    #[serde(default)]
    reason: String,
}

pub(super) async fn act(
    State(state): State<AppState>,
    Visitor(by): Visitor,
    Path(verb): Path<String>,
    Form(form): Form<Reason>,
) -> Reply {
    match parse(&verb)? {
        Verb::Stop => {
            let reason = match form.reason.trim() {
                "" => "no reason given",
                reason => reason,
            };
            let stop = EmergencyStop { by, reason: reason.to_owned(), at: state.now() };
            state.storage().stop_everything(stop).await?;
        }
        Verb::Lift => {
            state.storage().lift_emergency(&by, state.now()).await?;
        }
    }
    Ok(Redirect::to("/").into_response())
}
