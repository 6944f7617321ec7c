//! Log lines of server and agent: on standard error, or of a service on Windows, which has none,
//! in files and in the event log.

#[cfg(any(windows, test))]
mod event_layer;
#[cfg(any(windows, test))]
mod rotating;

use tracing_subscriber::EnvFilter;

use crate::printer::Level;

#[cfg(windows)]
pub use event_layer::SERVICE;

/// How large a log file of a service may get, in bytes.
#[cfg(windows)]
const LOG_BYTES: u64 = 5_000_000;
/// How many full ones stay: with the current one, a service's logs take 25 MB at most.
#[cfg(windows)]
const OLDER_LOGS: u32 = 4;

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

/// Lines of a service go into this file, and what matters most into the event log under its name.
///
/// # Errors
///
/// If the file can't be opened.
#[cfg(windows)]
pub fn start_service(file: &std::path::Path, name: &str) -> anyhow::Result<()> {
    use std::sync::Mutex;

    use anyhow::Context;
    use gofleet_platform::event_log::EventLog;
    use tracing_subscriber::Layer as _;
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;

    let log = rotating::Rotating::open(file, LOG_BYTES, OLDER_LOGS)
        .with_context(|| format!("{} can't be opened", file.display()))?;
    let default = "warn,gofleet=info,gofleet_agent=info";
    let filter = EnvFilter::try_from_env("GOFLEET_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true);
    let lines = lines.with_writer(Mutex::new(log)).with_filter(filter);
    let entries = EventLog::open(name)
        .map(|log| event_layer::EventLayer(move |severity, text: &str| log.write(severity, text)));
    let _ = tracing_subscriber::registry().with(lines).with(entries).try_init();
    Ok(())
}

fn is_coloured() -> bool {
    anstream::stderr().current_choice() != anstream::ColorChoice::Never
}
