//! Collections: their list, and a page for each with a form to write it and what that would mean.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse as _, Redirect};
use gofleet_api::{CollectionDetail, CollectionRequest, CollectionSummary, Member};
use gofleet_core::collection::Members;
use gofleet_core::ids::CollectionName;
use gofleet_core::time::Timestamp;
use serde::Deserialize;

use super::format::{self, Moment};
use super::pieces::{Link, Section, Shell, quoted, sentences};
use super::session::Visitor;
use super::{ConfirmPage, Reply, not_an_id, refused, render};
use crate::failure::{Answer, Failure};
use crate::state::AppState;
use crate::{collections, forecast, views};

/// Devices that are listed on a page; the rest is a number.
const LISTED: usize = 200;
/// A longer list is not edited in a form.
const EDITABLE: usize = 2000;
/// Names without a device that are spelled out.
const NAMED: usize = 50;

/// `collections.html`
#[derive(Template)]
#[template(path = "collections.html")]
pub(super) struct CollectionsPage {
    shell: Shell,
    summary: String,
    rows: Vec<Row>,
    form: Filled,
}

struct Row {
    name: String,
    members: String,
    devices: String,
    unknown: String,
    note: String,
    by: String,
    changed: Moment,
}

/// `collection.html`
#[derive(Template)]
#[template(path = "collection.html")]
pub(super) struct CollectionPage {
    shell: Shell,
    name: String,
    summary: String,
    used_by: Vec<String>,
    preview: String,
    devices: Vec<Link>,
    more: String,
    unknown: String,
    /// None for a list that is too long for a form.
    form: Option<Filled>,
}

/// What stands in the form.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filled {
    name: String,
    kind: String,
    devices: String,
    names: String,
    note: String,
    /// What an imported list came from; it stays so while its names do.
    #[serde(skip)]
    source: String,
}

impl Filled {
    fn of(detail: &CollectionDetail) -> Self {
        let collection = &detail.collection;
        let mut form = Self {
            name: collection.name.to_string(),
            kind: collection.members.kind().to_owned(),
            note: collection.note.clone(),
            ..Self::default()
        };
        match &collection.members {
            Members::Static { names } => form.names = names.join("\n"),
            Members::Selector { devices } => form.devices.clone_from(devices),
            Members::Imported { names, source } => {
                form.names = names.join("\n");
                form.source.clone_from(source);
            }
        }
        form
    }

    fn request(&self) -> CollectionRequest {
        let members = if self.kind == "selector" {
            Members::Selector { devices: self.devices.trim().to_owned() }
        } else {
            let names = self.names.split(|c: char| c.is_whitespace() || ",;".contains(c));
            let names = names.filter(|name| !name.is_empty()).map(str::to_owned).collect();
            Members::Static { names }
        };
        CollectionRequest { members, note: self.note.clone() }
    }
}

impl CollectionsPage {
    pub(super) fn new(all: &[CollectionSummary], form: Filled, now: Timestamp) -> Self {
        let row = |it: &CollectionSummary| Row {
            name: it.collection.to_string(),
            members: it.members.clone(),
            devices: format::count(it.devices),
            unknown: if it.unknown == 0 { String::new() } else { format::count(it.unknown) },
            note: it.note.clone(),
            by: it.by.clone(),
            changed: Moment::new(it.changed_at, now),
        };
        let mut shell = Shell::new("Collections", Some(Section::Collections));
        // What a person writes there must not be taken away.
        shell.is_still = true;
        Self {
            shell,
            summary: format::counted(all.len() as u64, "collection"),
            rows: all.iter().map(row).collect(),
            form,
        }
    }
}

impl CollectionPage {
    pub(super) fn new(detail: &CollectionDetail, preview: &str, now: Timestamp) -> Self {
        let CollectionDetail { collection, roster, used_by } = detail;
        let link = |it: &Member| Link {
            label: it.hostname.clone(),
            href: format!("/devices/{}", it.device),
        };
        let names_listed = collection.members.names().map_or(0, <[String]>::len);
        let more = roster.devices.len().saturating_sub(LISTED) as u64;
        let names = roster.unknown.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>();
        let rest = roster.unknown.len().saturating_sub(NAMED) as u64;
        let mut shell = Shell::new(collection.name.as_str(), Some(Section::Collections));
        shell.is_still = true;
        let changed = Moment::new(collection.changed_at, now).absolute;
        let written = format!("written by {} on {changed}", collection.by);
        Self {
            shell,
            name: collection.name.to_string(),
            summary: sentences(&[&collection.members.to_string(), &written]),
            used_by: used_by.clone(),
            preview: quoted(preview),
            devices: roster.devices.iter().take(LISTED).map(link).collect(),
            more: if more > 0 {
                format!("and {} more", format::count(more))
            } else {
                String::new()
            },
            unknown: match rest {
                0 => names.join(", "),
                rest => format!("{} and {} more", names.join(", "), format::count(rest)),
            },
            form: (names_listed <= EDITABLE).then(|| Filled::of(detail)),
        }
    }
}

/// `GET /collections`
pub(super) async fn list(State(state): State<AppState>, _: Visitor) -> Reply {
    let form = Filled { kind: "selector".to_owned(), ..Filled::default() };
    render(&CollectionsPage::new(&views::collections(&state).await?, form, state.now()))
}

/// `GET /collections/{name}`
pub(super) async fn one(
    State(state): State<AppState>,
    _: Visitor,
    Path(name): Path<String>,
) -> Reply {
    render(&page(&state, &parse(&name)?).await?)
}

/// `POST /collections`
pub(super) async fn save(
    State(state): State<AppState>,
    Visitor(caller): Visitor,
    Form(form): Form<Filled>,
) -> Reply {
    let saved = async {
        let name = parse(form.name.trim())?;
        collections::set(&state, &caller, &name, form.request()).await?;
        Ok::<_, Failure>(name)
    };
    match saved.await {
        Ok(name) => Ok(Redirect::to(&format!("/collections/{name}")).into_response()),
        Err(failure) => {
            let all = views::collections(&state).await?;
            let mut page = CollectionsPage::new(&all, form, state.now());
            let status = refused(&mut page.shell, &failure);
            Ok((status, render(&page)?).into_response())
        }
    }
}

/// `GET /collections/{name}/delete`
pub(super) async fn ask(
    State(state): State<AppState>,
    _: Visitor,
    Path(name): Path<String>,
) -> Reply {
    let name = state.storage().collection(&parse(&name)?).await?.name;
    render(&ConfirmPage {
        shell: Shell::new("Delete", Some(Section::Collections)),
        question: format!("Delete the collection {name}?"),
        consequence: "Its devices stay as they are. While a rollout, a hold or a token asks for \
                      it, it stays.",
        action: format!("/collections/{name}/delete"),
        back: format!("/collections/{name}"),
        label: "Delete",
        tone: "danger",
        why: None,
    })
}

/// `POST /collections/{name}/delete`
pub(super) async fn delete(
    State(state): State<AppState>,
    Visitor(caller): Visitor,
    Path(name): Path<String>,
) -> Reply {
    let name = parse(&name)?;
    match collections::delete(&state, &caller, &name).await {
        Ok(_) => Ok(Redirect::to("/collections").into_response()),
        Err(error) => {
            let mut page = page(&state, &name).await?;
            let status = refused(&mut page.shell, &error);
            Ok((status, render(&page)?).into_response())
        }
    }
}

fn parse(name: &str) -> Answer<CollectionName> {
    name.parse().map_err(|error| not_an_id(&error))
}

async fn page(state: &AppState, name: &CollectionName) -> Answer<CollectionPage> {
    let detail = views::collection(state, name).await?;
    let selector = format!("collection = \"{}\"", detail.collection.name);
    let preview = forecast::look(state, &selector, None).await?.to_string();
    Ok(CollectionPage::new(&detail, &preview, state.now()))
}
