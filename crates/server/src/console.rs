//! The console: pages for people, rendered on the server.
//!
//! Each page is made whole from what [`views`] says, so it works without scripts; the script only
//! keeps an open page up to date. What a page may load, and who frames it, is said once for the
//! whole server in `http`; who calls, in `authentication`.

mod access;
mod assets;
mod assign;
mod audit;
mod chart;
mod collections;
mod course;
mod devices;
mod emergency;
mod events;
mod forecast_view;
mod format;
mod health;
mod history;
mod overview;
mod pieces;
mod planner;
mod quarantine;
mod releases;
mod rings;
mod rollouts;
#[cfg(test)]
mod sample;
mod session;
mod sign_on;
#[cfg(test)]
mod tests;

use askama::Template;
use axum::extract::{Form, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use gofleet_api::ProblemCode;
use gofleet_core::ids::{DeviceId, InvalidId, ReleaseId, RolloutId};
use gofleet_core::release::ReleaseStatus;
use gofleet_core::rollout::Command;
use serde::Deserialize;

use self::course::Course;
use self::devices::{DevicePage, DevicesPage};
use self::overview::{OverviewPage, example_version};
use self::pieces::{Notice, Section, Shell};
use self::releases::ReleasesPage;
use self::rollouts::{RolloutPage, RolloutsPage};
use self::session::Visitor;
use crate::config::CALLBACK;
use crate::failure::Failure;
use crate::state::AppState;
use crate::{authentication, commands, http, views};

/// Lines of the timeline on the overview, and on a rollout's page.
const OVERVIEW_LINES: usize = 12;
const ROLLOUT_LINES: usize = 40;

/// The pages, their forms and their files.
pub fn router(state: AppState) -> Router {
    let session = middleware::from_fn_with_state(state.clone(), authentication::layer);
    Router::new()
        .route("/", get(overview))
        .route("/rollouts", get(rollouts))
        .route("/rollouts/{id}", get(rollout))
        .route("/rollouts/{id}/assign", get(assign::ask).post(assign::act))
        .route("/rollouts/{id}/{command}", get(ask_command).post(command))
        .route("/planner", get(planner::page))
        .route("/planner/start", post(planner::start))
        .route("/devices", get(devices))
        .route("/devices/{id}", get(device))
        .route("/devices/{id}/{verb}", get(quarantine::ask).post(quarantine::act))
        .route("/collections", get(collections::list).post(collections::save))
        .route("/collections/{name}", get(collections::one))
        .route("/collections/{name}/delete", get(collections::ask).post(collections::delete))
        .route("/releases", get(releases))
        .route("/releases/{id}/{decision}", get(ask_decision).post(decide))
        .route("/audit", get(audit::page))
        .route("/access", get(access::page))
        .route("/account", get(access::account).post(access::choose_password))
        .route("/account/token", post(access::make_token))
        .route("/emergency/{verb}", get(emergency::ask).post(emergency::act))
        .route("/login", get(session::login_page).post(session::login))
        .route("/login/oidc", get(sign_on::begin))
        .route(CALLBACK, get(sign_on::end))
        .route("/logout", post(session::logout))
        .route("/assets/{digest}/{name}", get(assets::serve))
        .route("/{*path}", get(not_found))
        .layer(session)
        .with_state(state)
}

/// What went wrong, as a page.
struct Trouble(Failure);

type Reply = Result<Response, Trouble>;

impl<F: Into<Failure>> From<F> for Trouble {
    fn from(failure: F) -> Self {
        Self(failure.into())
    }
}

fn not_an_id(error: &InvalidId) -> Failure {
    Failure::new(ProblemCode::NotFound, error.to_string())
}

/// `error.html`
#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    shell: Shell,
    status: u16,
    heading: String,
    text: String,
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let problem = self.0.problem();
        let hint = problem.hint.as_deref().unwrap_or_default();
        let page = ErrorPage {
            shell: Shell::new(&problem.title, None),
            status: problem.status,
            heading: problem.title.clone(),
            text: pieces::sentences(&[&problem.detail, hint]),
        };
        let status =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match page.render() {
            Ok(html) => (status, Html(html)).into_response(),
            Err(_) => self.0.into_response(),
        }
    }
}

fn render(page: &impl Template) -> Reply {
    let html = page.render().map_err(|error| Failure::internal("rendering the page", &error))?;
    Ok(Html(html).into_response())
}

/// A page that says why something was refused, under the status that says so to programs.
fn refused(shell: &mut Shell, failure: &Failure) -> StatusCode {
    let problem = failure.problem();
    let hint = problem.hint.as_deref().unwrap_or_default();
    shell.notice = Some(Notice {
        title: problem.title.clone(),
        text: pieces::sentences(&[&problem.detail, hint]),
    });
    StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

async fn overview(State(state): State<AppState>, _: Visitor, headers: HeaderMap) -> Reply {
    let overview = views::overview(&state).await?;
    let releases = views::releases(&state).await?;
    let lines = history::lines(&state, None, OVERVIEW_LINES).await?;
    render(&OverviewPage::new(&address(&state, &headers), &overview, &releases, lines, state.now()))
}

/// The address by which this server is reached: for the commands that a page shows.
fn address(state: &AppState, headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("SERVER");
    state.config().public_url.clone().unwrap_or_else(|| format!("https://{host}"))
}

async fn rollouts(State(state): State<AppState>, _: Visitor) -> Reply {
    let rollouts = views::rollouts(&state).await?;
    let example = example_version(&views::releases(&state).await?);
    render(&RolloutsPage::new(&rollouts, example, state.now()))
}

async fn rollout(State(state): State<AppState>, _: Visitor, Path(id): Path<String>) -> Reply {
    render(&rollout_page(&state, &id).await?)
}

async fn rollout_page(state: &AppState, id: &str) -> Result<RolloutPage, Failure> {
    let id: RolloutId = id.parse().map_err(|error| not_an_id(&error))?;
    let status = views::rollout(state, &id).await?;
    let lines = history::lines(state, Some(&status), ROLLOUT_LINES).await?;
    let (decisions, forecast) =
        (state.storage().decisions(&id).await?, state.storage().forecast(&id).await?);
    let now = state.now();
    let course = Course::new(&status, &decisions, forecast.as_ref(), now);
    Ok(RolloutPage::new(&status, lines, now).with_course(course))
}

/// `confirm.html`
#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage {
    shell: Shell,
    question: String,
    consequence: &'static str,
    action: String,
    back: String,
    label: &'static str,
    tone: &'static str,
    /// What the field for a reason is called, if it asks for one.
    why: Option<&'static str>,
}

fn parse_command(text: &str) -> Result<Command, Failure> {
    let command = Command::ALL.into_iter().find(|command| command.as_str() == text);
    command.ok_or_else(|| Failure::not_found("command", text))
}

async fn ask_command(
    State(state): State<AppState>,
    _: Visitor,
    Path((id, command)): Path<(String, String)>,
) -> Reply {
    let id: RolloutId = id.parse().map_err(|error| not_an_id(&error))?;
    let command = parse_command(&command)?;
    let name = views::rollout(&state, &id).await?.summary.name;
    let (label, tone) = rollouts::label(command);
    render(&ConfirmPage {
        shell: Shell::new(label, Some(Section::Rollouts)),
        question: format!("{label} {name}?"),
        consequence: rollouts::consequence(command),
        action: format!("/rollouts/{id}/{command}"),
        back: format!("/rollouts/{id}"),
        label,
        tone,
        why: None,
    })
}

async fn command(
    State(state): State<AppState>,
    Visitor(caller): Visitor,
    Path((id, command)): Path<(String, String)>,
) -> Reply {
    let rollout: RolloutId = id.parse().map_err(|error| not_an_id(&error))?;
    let command = parse_command(&command)?;
    match commands::command(&state, &rollout, command, &caller).await {
        Ok(_) => Ok(Redirect::to(&format!("/rollouts/{rollout}")).into_response()),
        Err(failure) => {
            let mut page = rollout_page(&state, &id).await?;
            let status = refused(&mut page.shell, &failure);
            Ok((status, render(&page)?).into_response())
        }
    }
}

async fn devices(
    State(state): State<AppState>,
    _: Visitor,
    headers: HeaderMap,
    Query(query): Query<devices::Query>,
) -> Reply {
    let devices = views::devices(&state).await?;
    render(&DevicesPage::new(&address(&state, &headers), &devices, query, state.now()))
}

async fn device(State(state): State<AppState>, _: Visitor, Path(id): Path<String>) -> Reply {
    let id: DeviceId = id.parse().map_err(|error| not_an_id(&error))?;
    render(&DevicePage::new(&views::device(&state, &id).await?, state.now()))
}

async fn releases(State(state): State<AppState>, _: Visitor) -> Reply {
    let artifacts = state.storage().artifacts().await.map_err(Failure::from)?;
    render(&ReleasesPage::new(&views::releases(&state).await?, &artifacts, state.now()))
}

/// What the two decisions make of a release.
fn parse_decision(text: &str) -> Result<ReleaseStatus, Failure> {
    match text {
        "approve" => Ok(ReleaseStatus::Approved),
        "block" => Ok(ReleaseStatus::Blocked),
        _ => Err(Failure::not_found("decision", text)),
    }
}

async fn ask_decision(
    State(state): State<AppState>,
    _: Visitor,
    Path((id, decision)): Path<(String, String)>,
) -> Reply {
    let id: ReleaseId = id.parse().map_err(|error| not_an_id(&error))?;
    let status = parse_decision(&decision)?;
    let release = views::release(&state, &id).await?.release;
    let (label, tone, consequence) = releases::decision(status);
    render(&ConfirmPage {
        shell: Shell::new(label, Some(Section::Releases)),
        question: format!(
            "{label} {} {} for {}?",
            release.package, release.version, release.platform
        ),
        consequence,
        action: format!("/releases/{id}/{decision}"),
        back: "/releases".to_owned(),
        label,
        tone,
        why: Some("Why (kept with the release)"),
    })
}

/// What the page that asks for a reason sends.
#[derive(Deserialize)]
struct ReasonForm {
    #[serde(default)]
    reason: String,
}

async fn decide(
    State(state): State<AppState>,
    Visitor(caller): Visitor,
    Path((id, decision)): Path<(String, String)>,
    Form(form): Form<ReasonForm>,
) -> Reply {
    let id: ReleaseId = id.parse().map_err(|error| not_an_id(&error))?;
    let status = parse_decision(&decision)?;
    commands::decide_release(&state, &id, status, &caller, form.reason.trim()).await?;
    Ok(Redirect::to("/releases").into_response())
}

/// Nothing is at this address: a page for people, a problem for programs.
async fn not_found(visitor: Result<Visitor, Response>, request: Request) -> Response {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if !accept.unwrap_or_default().contains("text/html") {
        return http::not_found(request).await.into_response();
    }
    match visitor {
        Ok(_) => Trouble(http::not_found(request).await).into_response(),
        Err(to_login) => to_login,
    }
}
