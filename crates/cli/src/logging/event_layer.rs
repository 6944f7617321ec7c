//! What matters to whoever looks after a machine goes to its event log: errors, warnings, and when
//! the service started and stopped. Everything else is in the log files.

use std::fmt::{self, Write as _};

use gofleet_platform::event_log::Severity;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// The target of events that go to the event log whatever their level.
pub const SERVICE: &str = "gofleet::service";

/// Writes entries by a function, to the event log.
pub struct EventLayer<F>(pub F);

impl<S: Subscriber, F: Fn(Severity, &str) + 'static> Layer<S> for EventLayer<F> {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        let Some(severity) = severity(*metadata.level(), metadata.target()) else { return };
        let mut text = Text::default();
        event.record(&mut text);
        (self.0)(severity, &format!("{}{}", text.message, text.fields));
    }
}

/// How grave an event is in the event log; none if it does not belong there.
fn severity(level: Level, target: &str) -> Option<Severity> {
    match level {
        Level::ERROR => Some(Severity::Error),
        Level::WARN => Some(Severity::Warning),
        _ if target == SERVICE => Some(Severity::Information),
        _ => None,
    }
}

/// An event in words: its message, and then each field on a line of its own.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Text can always be written to.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, "\r\n{name}: {value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_matters_is_an_entry_with_its_fields() {
        use std::sync::{Arc, Mutex};
        use tracing_subscriber::layer::SubscriberExt as _;

        let entries = Arc::new(Mutex::new(Vec::new()));
        let layer = EventLayer({
            let entries = entries.clone();
            move |severity, text: &str| entries.lock().unwrap().push((severity, text.to_owned()))
        });
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::error!(generation = 7, step = %"staged", "it failed");
            tracing::warn!("look");
            tracing::info!(target: SERVICE, "the agent starts");
            tracing::info!("a step");
            tracing::debug!("a detail");
        });
        let expect = [
            (Severity::Error, "it failed\r\ngeneration: 7\r\nstep: staged"),
            (Severity::Warning, "look"),
            (Severity::Information, "the agent starts"),
        ];
        let entries = entries.lock().unwrap();
        let entries: Vec<_> = entries.iter().map(|(kind, text)| (*kind, text.as_str())).collect();
        assert_eq!(entries, expect);
    }
}
