//! The audit log: who did what, newest first, and how far it goes.

use askama::Template;
use axum::extract::{Query, State};
use gofleet_api::{AuditEntry, AuditHead};
use gofleet_core::account::{Permission, Subject};
use gofleet_core::time::Timestamp;
use gofleet_storage::AuditFilter;
use serde::Deserialize;

use super::format::{self, Moment};
use super::pieces::{Fact, Section, Shell};
use super::session::Visitor;
use super::{Reply, render};
use crate::audit;
use crate::http::percent_encoded;
use crate::state::AppState;

/// Entries on one page.
const PAGE_SIZE: u32 = 100;

/// What the page's address asks for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct AuditQuery {
    /// A name, or a kind of actor.
    actor: String,
    /// An action, or the beginning of one.
    action: String,
    /// The sequence of an entry: only earlier ones are shown. Text, as an empty field is sent too.
    before: String,
}

impl AuditQuery {
    fn filter(&self) -> AuditFilter {
        AuditFilter {
            before: self.before.parse().ok(),
            actor: self.actor.trim().to_owned(),
            action: self.action.trim().to_owned(),
        }
    }

    fn is_filtered(&self) -> bool {
        !(self.actor.is_empty() && self.action.is_empty())
    }

    /// The address of the entries before one.
    fn earlier(&self, before: u64) -> String {
        let (actor, action) = (percent_encoded(&self.actor), percent_encoded(&self.action));
        format!("/audit?actor={actor}&action={action}&before={before}")
    }
}

/// An entry in the list.
struct Row {
    sequence: u64,
    at: Moment,
    actor: String,
    how: String,
    action: String,
    subject: String,
    details: Vec<Detail>,
    hash: String,
    short_hash: String,
}

/// One of the details of an entry.
struct Detail {
    name: String,
    value: String,
}

/// `audit.html`
#[derive(Template)]
#[template(path = "audit.html")]
pub(super) struct AuditPage {
    shell: Shell,
    summary: String,
    query: AuditQuery,
    is_filtered: bool,
    head: Vec<Fact>,
    rows: Vec<Row>,
    earlier: String,
}

/// `GET /audit`
pub(super) async fn page(
    State(state): State<AppState>,
    Visitor(caller): Visitor,
    Query(query): Query<AuditQuery>,
) -> Reply {
    caller.may(&state, Permission::ReadAudit, Subject::Fleet {}).await?;
    let entries = state.storage().audit_entries(&query.filter(), PAGE_SIZE).await?;
    let head = audit::head(&state).await?;
    render(&AuditPage::new(&head, &entries, query, state.now()))
}

impl AuditPage {
    pub(super) fn new(
        head: &AuditHead,
        entries: &[AuditEntry],
        query: AuditQuery,
        now: Timestamp,
    ) -> Self {
        let mut shell = Shell::new("Audit", Some(Section::Audit));
        let summary = match head.head.count {
            1 => "1 entry".to_owned(),
            count => format!("{} entries", format::count(count)),
        };
        shell.announce = format!("{} of {summary} shown", entries.len());
        let last = entries.last().filter(|_| entries.len() == PAGE_SIZE as usize);
        Self {
            shell,
            summary,
            is_filtered: query.is_filtered(),
            head: vec![
                Fact::code("Last hash", head.head.hash.to_string()),
                Fact::code("Signed by", head.key.clone()),
                Fact::new("Epoch of the database", head.head.epoch.to_string()),
            ],
            rows: entries.iter().map(|entry| Row::new(entry, now)).collect(),
            earlier: last.map(|last| query.earlier(last.sequence)).unwrap_or_default(),
            query,
        }
    }
}

impl Row {
    fn new(entry: &AuditEntry, now: Timestamp) -> Self {
        let how = [Some(entry.actor.kind.as_str()), entry.via.as_deref(), entry.origin.as_deref()];
        let how: Vec<&str> = how.into_iter().flatten().collect();
        let mut details = details(entry);
        if let Some(ticket) = &entry.ticket {
            details.push(Detail { name: "ticket".to_owned(), value: ticket.clone() });
        }
        if let Some(told_at) = entry.told_at {
            details.push(Detail { name: "told".to_owned(), value: told_at.to_string() });
        }
        Self {
            sequence: entry.sequence,
            at: Moment::new(entry.at, now),
            actor: entry.actor.name.clone(),
            how: how.join(", "),
            action: entry.action.clone(),
            subject: entry.subject.clone().unwrap_or_default(),
            details,
            hash: entry.hash.to_string(),
            short_hash: format::short_digest(entry.hash),
        }
    }
}

/// The details, without what the entry's subject says already.
fn details(entry: &AuditEntry) -> Vec<Detail> {
    let text = |value: &serde_json::Value| match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    };
    let Some(fields) = entry.details.as_object() else {
        return vec![Detail { name: "unreadable".to_owned(), value: text(&entry.details) }];
    };
    let all = fields.iter().map(|(name, value)| Detail { name: name.clone(), value: text(value) });
    all.filter(|detail| !detail.value.is_empty() && Some(&detail.value) != entry.subject.as_ref())
        .collect()
}
