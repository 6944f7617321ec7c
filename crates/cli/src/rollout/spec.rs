//! A rollout as flags.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use gofleet_core::anomaly::{InvalidSignalName, SignalName};
use gofleet_core::canary::{Canary, Worse};
use gofleet_core::ids::PackageName;
use gofleet_core::offer::{Postpone, Publish};
use gofleet_core::rollout::{
    Gate, Late, OnFailure, Retry, RingSpec, RolloutSpec, parse_rings as parse,
};
use gofleet_core::statistics::Share;
use gofleet_core::time::Span;
use gofleet_core::window::{Blackout, Stretch, Window};

use super::file;
use crate::failure::Hinted;

/// What to roll out, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rollout")]
pub struct SpecArguments {
    /// Version, like 1.27.3
    #[arg(
        value_name = "VERSION",
        help_heading = "Arguments",
        required_unless_present = "file",
        conflicts_with = "file"
    )]
    version: Option<String>,
    /// Read the whole rollout from a YAML file
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    strategy: Strategy,
}

#[derive(Debug, Args)]
#[group(multiple = true, conflicts_with = "file")]
struct Strategy {
    /// Name for people [default: package and version]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Package
    #[arg(long, value_name = "PACKAGE", default_value = "go")]
    package: PackageName,
    /// Which devices: a selector over facts [default: all]
    #[arg(long, value_name = "SELECTOR", default_value = "", hide_default_value = true)]
    select: String,
    /// Stages: NAME:COUNT, NAME:PERCENT%, NAME:SELECTOR or NAME:rest, with commas between
    #[arg(long, value_name = "RINGS", default_value = "test:1,pilot:10,production:rest")]
    rings: String,
    /// Most devices under way at once; 0 means no limit
    #[arg(long, value_name = "N", default_value_t = 0)]
    max_in_flight: u32,
    /// How long a device must stay healthy after activation
    #[arg(long, value_name = "SPAN", default_value = "5m")]
    soak: Span,
    /// When devices may activate, in their own time; repeat it for several stretches
    #[arg(long, value_name = "STRETCH")]
    window: Vec<Stretch>,
    /// Dates on which a window stays closed, like 2026-12-24..2027-01-01; may be repeated
    #[arg(long, value_name = "DATES", requires = "window")]
    closed: Vec<Blackout>,
    /// Ask users first, and activate without asking so long after the release was offered to them
    #[arg(long, value_name = "SPAN")]
    publish: Option<Span>,
    /// How often a user may postpone
    #[arg(long, value_name = "N", default_value_t = 3, requires = "publish")]
    postpone: u32,
    /// For how long at a time [default: 4h, or until the deadline]
    #[arg(long, value_name = "SPAN", requires = "publish")]
    postpone_for: Option<Span>,
    /// How often users are reminded
    #[arg(long, value_name = "SPAN", default_value = "1d", requires = "publish")]
    remind: Span,
    /// What users are told beside the version and the deadline
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        requires = "publish"
    )]
    notice: String,
    /// A user's acceptance counts as "now": the window does not hold for it
    #[arg(long, requires = "publish")]
    accept_opens_window: bool,
    /// Gate: fewest devices of a ring that must accept [default: all that are online]
    #[arg(long, value_name = "N")]
    min_successes: Option<u32>,
    /// Gate: most devices of a ring that may fail
    #[arg(long, value_name = "N", default_value_t = 0)]
    max_failures: u32,
    /// Gate: it must be shown that less than this share of the devices fail
    #[arg(long, value_name = "PERCENT")]
    max_failure_rate: Option<Share>,
    /// Gate: how sure that must be
    #[arg(long, value_name = "PERCENT", default_value_t = Share::P95, requires = "max_failure_rate")]
    confidence: Share,
    /// Gate: devices that have the release must not be worse by these signals than those that don't
    /// have it yet, like `processor,disk_free:lower`; more is worse where `:lower` does not say
    /// otherwise
    #[arg(long, value_name = "SIGNALS", value_delimiter = ',')]
    canary: Vec<CanarySignal>,
    /// Gate: a signal may be worse by this share of what is normal
    #[arg(long, value_name = "PERCENT", default_value_t = Share::P25, requires = "canary")]
    canary_tolerance: Share,
    /// An order that is not answered for so long counts as a failure
    #[arg(long, value_name = "SPAN", default_value = "1h")]
    silence_after: Span,
    /// A device that has not been heard for so long when its ring starts is held apart
    #[arg(long, value_name = "SPAN", default_value = "15m")]
    offline_after: Span,
    /// How often a device tries again after a failure of network, disk or files
    #[arg(long, value_name = "N", default_value_t = 2)]
    retries: u32,
    /// How long it waits before it tries again; twice as long each time
    #[arg(long, value_name = "SPAN", default_value = "5m")]
    retry_after: Span,
    /// What to do when a gate fails
    #[arg(long, value_name = "ACTION", value_enum, default_value_t = Failing::Pause)]
    on_failure: Failing,
    /// The first ring upgrades, goes back and upgrades again before its gate counts it
    #[arg(long, conflicts_with = "publish")]
    rehearse: bool,
    /// What becomes of devices that enrol, or begin to be picked, after the start
    #[arg(long, value_name = "RULE", value_enum, default_value_t = ComingLate::Never)]
    late: ComingLate,
    /// Also move devices that have a newer version
    #[arg(long)]
    allow_downgrade: bool,
}

/// A signal, and in which direction it is worse.
#[derive(Debug, Clone)]
struct CanarySignal(SignalName, Worse);

impl FromStr for CanarySignal {
    type Err = InvalidSignalName;

    fn from_str(text: &str) -> Result<Self, InvalidSignalName> {
        match text.strip_suffix(":lower") {
            Some(name) => Ok(Self(name.parse()?, Worse::Lower)),
            None => Ok(Self(text.parse()?, Worse::Higher)),
        }
    }
}

fn canary(signals: &[CanarySignal], tolerance: Share) -> Option<Canary> {
    let of = |direction| {
        let signals = signals.iter().filter(move |CanarySignal(_, worse)| *worse == direction);
        signals.map(|CanarySignal(name, _)| name.clone()).collect()
    };
    (!signals.is_empty()).then(|| Canary {
        higher_is_worse: of(Worse::Higher),
        lower_is_worse: of(Worse::Lower),
        tolerance,
        ..Canary::default()
    })
}

/// [`Late`] as a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ComingLate {
    /// They are left out
    Never,
    /// They join their ring if it has not started, else the next one that has not
    NextRing,
    /// They join their ring, also if it has started or passed its gate
    SameRing,
}

impl From<ComingLate> for Late {
    fn from(late: ComingLate) -> Self {
        match late {
            ComingLate::Never => Self::Never,
            ComingLate::NextRing => Self::NextRing,
            ComingLate::SameRing => Self::SameRing,
        }
    }
}

/// [`OnFailure`] as a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Failing {
    /// Start nothing more and wait for a person
    Pause,
    /// Put the failed ring back, then wait for a person
    RollBackRing,
    /// Put every device of the rollout back, then end
    RollBackAll,
}

impl SpecArguments {
    /// The rollout that is asked for.
    ///
    /// # Errors
    ///
    /// If the file or the rings can't be read.
    pub fn spec(self) -> anyhow::Result<RolloutSpec> {
        if let Some(path) = &self.file {
            return file::read(path);
        }
        let version = self.version.expect("clap asks for a version where there is no file");
        let version = version.strip_prefix("go").unwrap_or(&version).to_owned();
        let strategy = self.strategy;
        let mut rings = parse_rings(&strategy.rings)?;
        if let Some(first) = rings.first_mut() {
            first.rehearse = strategy.rehearse;
        }
        let publish = strategy.publish();
        Ok(RolloutSpec {
            name: strategy.name.unwrap_or_else(|| format!("{} {version}", strategy.package)),
            package: strategy.package,
            version,
            devices: strategy.select,
            rings,
            max_in_flight: strategy.max_in_flight,
            soak: strategy.soak,
            window: (!strategy.window.is_empty())
                .then_some(Window { open: strategy.window, closed: strategy.closed }),
            publish,
            gate: Gate {
                min_successes: strategy.min_successes,
                max_failures: strategy.max_failures,
                max_failure_rate: strategy.max_failure_rate,
                confidence: strategy.confidence,
                canary: canary(&strategy.canary, strategy.canary_tolerance),
            },
            silence_after: strategy.silence_after,
            offline_after: strategy.offline_after,
            retry: Retry { times: strategy.retries, after: strategy.retry_after },
            on_failure: strategy.on_failure.into(),
            late: strategy.late.into(),
            allow_downgrade: strategy.allow_downgrade,
        })
    }
}

impl Strategy {
    fn publish(&self) -> Option<Publish> {
        let deadline = self.publish?;
        let usual = || Postpone::default().at_most.min(deadline);
        let at_most = self.postpone_for.unwrap_or_else(usual);
        Some(Publish {
            deadline,
            postpone: Postpone { times: self.postpone, at_most },
            remind: self.remind,
            notice: self.notice.clone(),
            accept_opens_window: self.accept_opens_window,
        })
    }
}

fn parse_rings(text: &str) -> anyhow::Result<Vec<RingSpec>> {
    parse(text).map_err(|error| {
        let example = "--rings 'test:1,pilot:25%,production:rest'";
        Hinted::usage(error.to_string(), format!("an example: {example}")).into()
    })
}

impl From<Failing> for OnFailure {
    fn from(failing: Failing) -> Self {
        match failing {
            Failing::Pause => Self::Pause,
            Failing::RollBackRing => Self::RollBackRing,
            Failing::RollBackAll => Self::RollBackAll,
        }
    }
}
