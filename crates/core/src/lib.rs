//! What gofleet decides, apart from doing it.
//!
//! Everything here is pure: no clock, no file, no socket, no environment, no randomness. What a
//! decision needs (the time, the facts, a seed) is a parameter, so that the server, the agent,
//! the tests and the simulator run the very same code.

/// Gives a type that travels as text its place in the OpenAPI document.
#[cfg(feature = "schema")]
macro_rules! string_schema {
    ($type:ty, $description:expr) => {
        impl utoipa::PartialSchema for $type {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .description(Some($description))
                    .into()
            }
        }
        impl utoipa::ToSchema for $type {}
    };
}
#[cfg(feature = "schema")]
pub(crate) use string_schema;

pub mod account;
pub mod address;
pub mod advice;
pub mod agent;
pub mod anomaly;
pub mod artifact;
pub mod audit;
pub mod bandwidth;
pub mod canary;
pub mod collection;
pub mod dependency;
pub mod device;
pub mod digest;
pub mod edge;
pub mod emergency;
pub mod enrolment;
pub mod environment;
pub mod event;
pub mod facts;
pub mod guard;
pub mod hex;
pub mod hold;
pub mod hook;
pub mod ids;
pub mod inventory;
pub mod manifest;
mod mistake;
pub mod nearest;
pub mod offer;
pub mod order;
pub mod policy;
pub mod preparation;
pub mod release;
pub mod resolve;
pub mod rollout;
pub mod runs;
pub mod seal;
pub mod selector;
pub mod settings;
pub mod statistics;
pub mod time;
pub mod toolchain;
pub mod version;
pub mod ways;
pub mod window;
