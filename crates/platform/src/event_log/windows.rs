//! The event log of Windows.

#![expect(unsafe_code, reason = "calls of Windows")]

use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::EventLog::{
    DeregisterEventSource, EVENTLOG_ERROR_TYPE, EVENTLOG_INFORMATION_TYPE, EVENTLOG_WARNING_TYPE,
    RegisterEventSourceW, ReportEventW,
};

use super::Severity;

/// The most characters that a text of an entry may have (`ReportEventW`).
const MAX_CHARACTERS: usize = 31_839;
/// The number of the message that is its first text, in Windows' own file of such messages.
const MESSAGE: u32 = 1;

/// A source that is open.
#[derive(Debug)]
pub struct Source(HANDLE);

// SAFETY: the functions of the event log may be called from any thread.
unsafe impl Send for Source {}
// SAFETY: as above; the handle is never changed.
unsafe impl Sync for Source {}

impl Source {
    pub fn open(name: &str) -> Option<Self> {
        let name = wide(name);
        // SAFETY: null names this machine, and the name is NUL-terminated.
        let source = unsafe { RegisterEventSourceW(null(), name.as_ptr()) };
        (!source.is_null()).then_some(Self(source))
    }

    pub fn write(&self, severity: Severity, text: &str) {
        let kind = match severity {
            Severity::Error => EVENTLOG_ERROR_TYPE,
            Severity::Warning => EVENTLOG_WARNING_TYPE,
            Severity::Information => EVENTLOG_INFORMATION_TYPE,
        };
        let mut text = wide(text);
        if text.len() > MAX_CHARACTERS {
            text.truncate(MAX_CHARACTERS - 1);
            text.push(0);
        }
        let texts = [text.as_ptr()];
        // SAFETY: the source is open, there is one NUL-terminated text as told, and no user or
        // data.
        unsafe {
            ReportEventW(self.0, kind, 0, MESSAGE, null_mut(), 1, 0, texts.as_ptr(), null());
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // SAFETY: the source is open, and is not used any more.
        unsafe { DeregisterEventSource(self.0) };
    }
}

/// Without characters that would end the text.
fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().filter(|unit| *unit != 0).chain([0]).collect()
}
