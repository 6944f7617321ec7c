//! The thread's priority within its process.

#![expect(unsafe_code, reason = "calls of Windows")]

use windows_sys::Win32::System::Threading::{
    GetCurrentThread, SetThreadPriority, THREAD_PRIORITY_LOWEST,
};

use crate::Support;

pub fn lower_this_thread() -> Support {
    // SAFETY: the pseudo handle of the calling thread is always valid.
    let done = unsafe { SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_LOWEST) };
    if done != 0 { Support::Done } else { Support::Unsupported }
}
