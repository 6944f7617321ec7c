//! The server as its callers see it: real HTTP on the loopback, a real database in a folder of its
//! own.
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod access;
mod anomaly;
mod artifacts;
mod audit;
mod canary;
mod collections;
mod config;
mod dependencies;
mod directory;
mod distribution;
mod document;
mod edges;
mod enrolment;
mod events;
mod hooks;
mod identity;
mod import;
mod lifecycle;
mod orders;
mod people;
mod requests;
mod rollouts;
mod single_sign_on;
mod support;
mod trust;
mod ways;
