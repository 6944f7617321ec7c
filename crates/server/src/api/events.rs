//! The event stream (server-sent events, WHATWG HTML section 9.2).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event as Message, KeepAlive};
use futures_util::Stream;
use gofleet_api::{Event, Problem, ProblemCode};
use gofleet_core::account::Permission;
use serde::Deserialize;
use tracing::warn;
use utoipa_axum::routes;

use crate::access::{Access, Pace, Routes};
use crate::extract::Query;
use crate::failure::{Answer, Failure};
use crate::state::AppState;

/// How often a quiet stream shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Most events that are read at once: a reader that was away for long gets them in pieces.
const BATCH: u32 = 500;

pub fn routes() -> Routes {
    Routes::default().add(Access::Person(Permission::Read), Pace::Long, routes!(events))
}

/// Where the stream begins.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct EventsQuery {
    /// The sequence of the last event that is known; from now on if absent. `Last-Event-ID`
    /// comes first.
    after: Option<u64>,
}

/// Every change of the server's state, as it happens.
#[utoipa::path(
    get, path = "/events", tag = "events",
    params(EventsQuery, ("Last-Event-ID" = Option<u64>, Header)),
    responses(
        (status = 200, body = Event, content_type = "text/event-stream"),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
    )
)]
async fn events(
    State(state): State<AppState>,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> Answer<Sse<impl Stream<Item = Result<Message, Infallible>>>> {
    let after = match last_event_id(&headers)?.or(query.after) {
        Some(sequence) => sequence,
        None => state.storage().last_sequence(),
    };
    let feed = Feed { changes: state.storage().changes(), state, after, ready: VecDeque::new() };
    let stream = futures_util::stream::unfold(feed, |mut feed| async move {
        let event = feed.next().await?;
        Some((Ok(message(&event)), feed))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

fn last_event_id(headers: &HeaderMap) -> Answer<Option<u64>> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let sequence = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    sequence.map(Some).ok_or_else(|| {
        Failure::new(ProblemCode::InvalidRequest, "Last-Event-ID is not the number of an event")
    })
}

fn message(event: &Event) -> Message {
    let data = serde_json::to_string(event).expect("an event is plain data");
    Message::default().id(event.sequence.to_string()).event(event.what.kind()).data(data)
}

/// One reader of the events.
struct Feed {
    state: AppState,
    changes: tokio::sync::watch::Receiver<u64>,
    after: u64,
    ready: VecDeque<Event>,
}

impl Feed {
    /// The next event; none once the server stops or cannot read them: the reader comes back.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.after = event.sequence;
                return Some(event);
            }
            // Seen before it is read: a change during the reading wakes the loop again.
            self.changes.borrow_and_update();
            match self.state.storage().events_since(self.after, BATCH).await {
                Ok(events) => self.ready = events.into(),
                Err(error) => {
                    warn!(error = %error, "reading the events failed");
                    return None;
                }
            }
            if self.ready.is_empty() {
                tokio::select! {
                    changed = self.changes.changed() => changed.ok()?,
                    () = self.state.stopping().cancelled() => return None,
                }
            }
        }
    }
}
