//! Waiting for a level with a deadline, and a free port.

use std::io;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

/// How often a condition is looked at, at most: short beside what tests wait for (processes,
/// requests).
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The time between two looks is so many times what a look takes: what is waited for needs the
/// processors more than the looking, which may start a program.
const PAUSES_PER_LOOK: u32 = 3;

/// Looks at `condition` until it gives something, and gives that.
///
/// # Panics
///
/// When `deadline` has passed; the message names `what` was waited for, and the caller's line.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "the one place where tests wait for a level")]
pub fn wait_until<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> T {
    let begun = Instant::now();
    loop {
        let looked = Instant::now();
        if let Some(value) = condition() {
            return value;
        }
        assert!(begun.elapsed() < deadline, "waited {deadline:?} in vain for {what}");
        thread::sleep(LOOK_EVERY.max(looked.elapsed() * PAUSES_PER_LOOK));
    }
}

/// A port on the loopback that nobody listened on a moment ago. Prefer port 0 and asking the
/// program: another one may take this port before it is used.
///
/// # Errors
///
/// When the operating system gives none.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_what_the_condition_gives() {
        let mut left = 3;
        let value = wait_until("zero", Duration::from_secs(5), || {
            left -= 1;
            (left == 0).then_some("there")
        });
        assert_eq!(value, "there");
    }

    #[test]
    #[should_panic(expected = "in vain for a thing that never comes")]
    fn says_what_never_came() {
        wait_until("a thing that never comes", Duration::from_millis(30), || None::<()>);
    }

    #[test]
    fn a_free_port_can_be_bound() {
        TcpListener::bind(("127.0.0.1", free_port().unwrap())).unwrap();
    }
}
