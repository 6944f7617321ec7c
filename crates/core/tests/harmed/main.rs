//! What the core reads of strangers (people, files, devices, servers), harmed. Each reader keeps
//! what it promises: what it accepts comes back the same when it is written and read again, and
//! nothing that was signed or chained is accepted once it was harmed.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod files;
#[path = "../../../../fuzz/harness.rs"]
mod harness;
mod messages;
mod words;

use std::fmt::{Debug, Display};
use std::str::FromStr;

/// Seconds for each.
const SECONDS: u64 = 2;

fn bytes<T: AsRef<[u8]>>(seeds: impl IntoIterator<Item = T>) -> Vec<Vec<u8>> {
    seeds.into_iter().map(|seed| seed.as_ref().to_vec()).collect()
}

/// The text, if the bytes are one.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Whether it is read; what is read prints as a text that is read as the same.
fn comes_back<T: FromStr<Err: Display> + Display + PartialEq + Debug>(text: &str) -> bool {
    match text.parse::<T>() {
        Ok(read) => {
            let printed = read.to_string();
            assert_eq!(printed.parse::<T>().ok().as_ref(), Some(&read), "{text:?} as {printed:?}");
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}
