//! The server: HTTP API, authentication, rollout reconciler and console, put together.
//!
//! It decides nothing about rollouts (that is `gofleet-core`) and keeps nothing itself (that is
//! `gofleet-storage` and the data folder). [`serve()`] runs it, [`ServerConfig`] says how.

pub mod access;
mod anomaly;
pub mod api;
mod attempts;
mod audit;
pub mod authentication;
pub mod authorization;
mod canary;
mod clones;
mod collections;
pub mod commands;
pub mod config;
pub mod console;
mod data;
pub mod edge;
mod extract;
pub mod failure;
mod files;
pub mod forecast;
mod hooks;
mod http;
mod login_link;
mod orders;
mod passwords;
mod people;
pub mod preparer;
mod range;
pub mod reconciler;
mod rules;
mod secret;
mod send;
mod serve;
mod sign_on;
pub mod state;
mod subjects;
pub mod tls;
pub mod trust;
mod upload;
pub mod views;
mod ways;

pub use config::{ConfigError, ServerConfig, Sources};
pub use data::DataError;
pub use edge::{EdgeConfig, EdgeError, serve_edge};
pub use hooks::HookError;
pub use serve::{Ready, ServeError, router, serve, serve_with_clock, stop_signal};
