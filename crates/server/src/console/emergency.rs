//! The emergency stop, by a person at the console.

use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse as _, Redirect};

use super::pieces::{Section, Shell};
use super::session::Visitor;
use super::{ConfirmPage, ReasonForm, Reply, render};
use crate::commands;
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
    let parsed = parse(&verb)?;
    let (question, consequence, label, tone) = match parsed {
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
    render(&ConfirmPage {
        shell: Shell::new(label, Some(Section::Overview)),
        question: question.to_owned(),
        consequence,
        action: format!("/emergency/{verb}"),
        back: "/".to_owned(),
        label,
        tone,
        why: (parsed == Verb::Stop).then_some("Why (everybody sees it)"),
    })
}

pub(super) async fn act(
    State(state): State<AppState>,
    Visitor(caller): Visitor,
    Path(verb): Path<String>,
    Form(form): Form<ReasonForm>,
) -> Reply {
    match parse(&verb)? {
        Verb::Stop => drop(commands::stop_everything(&state, &caller, &form.reason).await?),
        Verb::Lift => drop(commands::lift_emergency(&state, &caller).await?),
    }
    Ok(Redirect::to("/").into_response())
}
