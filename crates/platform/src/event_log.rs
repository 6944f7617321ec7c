//! The event log of Windows; elsewhere there is none, and the service manager keeps what a service
//! prints.

#[cfg(windows)]
#[path = "event_log/windows.rs"]
mod system;

/// How grave an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Something failed.
    Error,
    /// Something wants attention.
    Warning,
    /// Something happened.
    Information,
}

/// Writes to the log under the name of one source.
#[derive(Debug)]
pub struct EventLog {
    #[cfg(windows)]
    source: system::Source,
}

impl EventLog {
    /// Opens the log for a source, if there is a log.
    pub fn open(name: &str) -> Option<Self> {
        #[cfg(windows)]
        return system::Source::open(name).map(|source| Self { source });
        #[cfg(not(windows))]
        {
            let _ = name;
            None
        }
    }

    /// Writes an entry. A log that can't be written is no reason to fail.
    pub fn write(&self, severity: Severity, text: &str) {
        #[cfg(windows)]
        self.source.write(severity, text);
        #[cfg(not(windows))]
        let _ = (severity, text);
    }
}
