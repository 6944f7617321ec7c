//! Log lines of server and agent, on standard error.

use tracing_subscriber::EnvFilter;

use crate::printer::Level;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging; `GOFLEET_LOG` (like `gofleet_agent=debug`) overrides the level.
pub fn start(level: Level, style: Style) {
    let default = match level {
        Level::Quiet => "error",
        Level::Normal => "warn,gofleet=info,gofleet_server=info,gofleet_agent=info",
        Level::Verbose => "info,gofleet=debug,gofleet_server=debug,gofleet_agent=debug",
    };
    let filter = EnvFilter::try_from_env("GOFLEET_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start would only happen in tests; the first one stays.
    let _ = match style {
        Style::Text => builder.with_ansi(is_coloured()).with_target(false).try_init(),
        Style::Json => builder.json().flatten_event(true).try_init(),
    };
}

fn is_coloured() -> bool {
    anstream::stderr().current_choice() != anstream::ColorChoice::Never
}
