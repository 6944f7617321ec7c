//! Which devices are not well, by what they measure of themselves.
//!
//! A device sends a [`Sample`] of its [signals](SignalName) every now and then. [`Rules`] say which
//! of them, alone or together and for how long, make a device suspicious; what is normal for a
//! device of its [`Class`] is learned ([`Baseline`]). The [`Monitor`] holds what is known of every
//! device and says who is to be put into quarantine, and who may leave it again.
//!
//! Nothing here knows a clock or a database: the server tells what it hears, and does what it is
//! told. The language of the rules is described in `docs/anomaly.md`.

mod baseline;
mod command_failure;
mod monitor;
mod parser;
mod rule;
mod signal;
mod view;
mod watch;

#[cfg(test)]
mod tests;

pub use baseline::{Baseline, LEARNED_FROM_DEVICES, LEARNED_FROM_SAMPLES};
pub use command_failure::SignalCommandFailure;
pub use monitor::{Confined, GONE_AFTER, Monitor, Settings, Verdict, Withheld};
pub use rule::{Condition, DEFAULT_RULES, InvalidRules, Level, Limit, Rule, Rules, Unit};
pub use signal::{
    Class, DISK_FREE, InvalidReading, InvalidSignalName, MAX_SIGNALS, MEMORY, PROCESSOR, Reading,
    Sample, SignalName,
};
pub use view::{ConditionView, DeviceHealth, Finding, RuleView, Standing};
pub use watch::{MAX_GAP, Watch};
