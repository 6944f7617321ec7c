//! Who may do what. Roles permit, rules forbid; both are policies in [Cedar], and one evaluation
//! says whether a request may be done and, if not, which rule says no.
//!
//! What each role may do stands in [`Permission`], and the policies are made of that
//! table; the server's people grant roles and write rules while it runs. Nothing here reads a
//! clock, a file or a socket: what a policy can ask about is in the request.
//!
//! **It fails closed.** A rule that can't be evaluated refuses; one that could ask for something
//! that requests don't have is refused when it is written.
//!
//! **Nobody can lock everybody out.** No rule keeps anybody from the emergency stop who has the
//! role for it, nor the holder of the administrator's token from changing the rules.
//!
//! [Cedar]: https://docs.cedarpolicy.com/
//! [`Permission`]: gofleet_core::account::Permission

mod entities;
mod library;
mod policies;
mod rule;
mod schema;
#[cfg(test)]
mod tests;

pub use library::{BUILT_IN, Example, examples};
pub use policies::Policies;
pub use rule::{InvalidRule, check_rule, message_of, standards_of};
pub use schema::schema_text;
