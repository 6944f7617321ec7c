//! The program as its users have it: processes, files and exit codes. One binary, since each one
//! more is linked for itself.

mod access;
mod advise;
mod anomaly;
mod audit;
mod browser;
mod dependencies;
mod env;
mod identity;
mod kill;
mod local;
mod offers;
mod packages;
mod policy;
mod rollouts;
mod service;
mod texts;
mod trust;
mod windows;
