//! The depot from outside: archives good and bad, staging, activation, kills.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod activation;
mod adopt;
mod archives;
mod codec;
mod harm;
mod kills;
mod property;
mod sharing;
mod staging;
mod support;
mod upkeep;
