//! Work that must not be felt.

#[cfg(unix)]
#[path = "priority/unix.rs"]
mod system;
#[cfg(windows)]
#[path = "priority/windows.rs"]
mod system;

use crate::Support;

/// Lets this thread run only where no other wants to; on Linux also the threads that it begins
/// later. There is no way back, so it is for a thread that ends with its work.
pub fn lower_this_thread() -> Support {
    system::lower_this_thread()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_can_step_back() {
        let lowered = std::thread::spawn(lower_this_thread).join().unwrap();
        assert_eq!(lowered, Support::Done);
    }
}
