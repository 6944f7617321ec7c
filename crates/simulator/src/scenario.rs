//! What happens to a fleet: the rollouts that people start, and every fault with its time.
//!
//! A [`Scenario`] holds all of it as plain data, so that it can be shrunk and told. How a seed
//! becomes one is in [`generate`].

mod generate;

use std::fmt;

use gofleet_core::rollout::{Command, RolloutSpec};
use gofleet_core::time::Span;

use crate::dice::Dice;

/// The versions in the simulated catalog, oldest first. Devices begin with the first, with
/// nothing, or with one that the catalog does not have.
pub const VERSIONS: [&str; 3] = ["1.27.2", "1.27.3", "1.27.4"];
/// A version that some devices have and the catalog has not.
pub const UNKNOWN_VERSION: &str = "1.25.9";
/// Windows in which releases may be activated, with their days (Monday first) and hours.
pub const WINDOWS: [(&str, [bool; 7], std::ops::Range<i8>); 2] = [
    ("Sat,Sun 01:00-05:00", [false, false, false, false, false, true, true], 1..5),
    ("daily 00:00-12:00", [true; 7], 0..12),
];
/// How many sites the devices stand at.
pub const SITES: u64 = 4;

/// A story that can be played: what happens, to whom, when.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What every small choice (a message's way, a device's speed) is drawn from.
    pub seed: u64,
    /// The numbers of the devices that take part.
    pub devices: Vec<u32>,
    /// The rollouts, with the time at which they are planned and started.
    pub rollouts: Vec<(u64, RolloutSpec)>,
    /// What goes wrong, with its time in ms.
    pub faults: Vec<(u64, Fault)>,
    /// How many devices may be in flight or broken at once, over all rollouts.
    pub blast_radius: Option<u32>,
    /// If devices are watched for anomalies: how many of 100 may be in quarantine for them at once.
    pub quarantined_percent: Option<u32>,
    /// How bad the network is.
    pub network: Network,
    /// When faults end, in ms.
    pub faults_end_ms: u64,
}

/// How bad the network is, in messages of 1,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Never arrive.
    pub lost: u64,
    /// Arrive twice.
    pub doubled: u64,
    /// Take up to ten minutes, and so come after later ones.
    pub late: u64,
    /// Reach another device than the one that they are for.
    pub misled: u64,
}

/// One thing that goes wrong, or that a person does.
#[expect(missing_docs, reason = "the words of each variant say what its fields are")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The agent is killed at its n-th action from here, before or after the action has its effect.
    /// Somebody may activate a version by hand before it comes back.
    Crash { device: u32, action: u32, is_done: bool, down_ms: u64, by_hand: Option<usize> },
    /// The device is switched off; for ever, if no time is given.
    SwitchedOff { device: u32, for_ms: Option<u64> },
    /// Nothing gets from or to a site.
    Partition { site: u64, for_ms: u64 },
    /// The server is down.
    ServerDown { for_ms: u64 },
    /// The server is killed, and restored from an older backup under a new epoch. The old one may
    /// live on for a while, and be reached by some.
    Restored { age_ms: u64, old_lives_ms: u64 },
    /// The server's database is put back by hand, and nobody raises the epoch.
    PutBackByHand { age_ms: u64 },
    /// Nothing can be written on a device.
    DiskFull { device: u32, for_ms: u64 },
    /// A device's clock is wrong by so much.
    DeviceClock { device: u32, by_ms: i64 },
    /// The server's clock is wrong by so much.
    ServerClock { by_ms: i64, for_ms: u64 },
    /// A device lies from now on.
    Liar { device: u32, lie: Lie },
    /// A version breaks a share of the machines, so long after its activation.
    BadRelease { version: usize, per_mille: u64, after_ms: u64 },
    /// Somebody activates a version on a device by hand.
    ByHand { device: u32, version: usize },
    /// A machine becomes a device only now.
    Enrols { device: u32 },
    /// A device changes its label, so that selectors see it differently.
    Relabelled { device: u32 },
    /// Somebody puts an agent on a device for a while that is too old for every release.
    OldAgent { device: u32, for_ms: u64 },
    /// A person holds a device for a while.
    Held { device: u32, for_ms: u64 },
    /// Something else keeps a device's processor busy.
    Sick { device: u32, for_ms: u64 },
    /// A person holds everything.
    Frozen { for_ms: u64 },
    /// A person has a published rollout, or one device of it, asked about no more.
    Assigned { rollout: usize, device: Option<u32> },
    /// A release loses its approval for a while.
    Blocked { version: usize, for_ms: u64 },
    /// Everything is stopped for a while.
    Emergency { for_ms: u64 },
    /// A person asks something of a rollout.
    Asked { rollout: usize, command: Command },
}

/// How a device lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Its checks pass whatever is so.
    Blind,
    /// It says `accepted` at once, and shows nothing.
    Boast,
    /// It says `accepted` at once, with a forged receipt.
    Forgery,
    /// It says `failed`, whatever is so.
    Complaint,
}

impl Scenario {
    /// The dice for one question of this story.
    pub fn dice(&self, question: &[u64]) -> Dice {
        Dice::new(self.seed).about(question)
    }

    /// The site that a device stands at.
    pub fn site(&self, device: u32) -> u64 {
        self.dice(&[1, u64::from(device)]).below(SITES)
    }

    /// Whether a version makes machines slow, which none of their checks finds.
    pub fn is_slow(&self, version: usize) -> bool {
        version > 0 && self.dice(&[7, version as u64]).chance(400)
    }

    /// Whether a version is one that this device can't bear, where it breaks so many of 1,000.
    pub fn is_broken_by(&self, device: u32, version: usize, per_mille: u64) -> bool {
        self.dice(&[2, u64::from(device), version as u64]).chance(per_mille)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = Span::from_millis;
        match self {
            Self::Crash { device, action, is_done, down_ms, by_hand } => {
                let when = if *is_done { "after" } else { "before" };
                let hand = by_hand.map(|it| format!(", {} by hand", VERSIONS[it]));
                write!(
                    f,
                    "agent d{device:03} is killed {when} the effect of its action {action} from \
                     here, down for {}{}",
                    span(*down_ms),
                    hand.unwrap_or_default()
                )
            }
            Self::SwitchedOff { device, for_ms: None } => {
                write!(f, "d{device:03} is switched off and never comes back")
            }
            Self::SwitchedOff { device, for_ms: Some(ms) } => {
                write!(f, "d{device:03} is switched off for {}", span(*ms))
            }
            Self::Partition { site, for_ms } => {
                write!(f, "site {site} is cut off for {}", span(*for_ms))
            }
            Self::ServerDown { for_ms } => write!(f, "the server is down for {}", span(*for_ms)),
            Self::Restored { age_ms, old_lives_ms } => write!(
                f,
                "the server is restored from a backup of {} ago; the old one lives on for {}",
                span(*age_ms),
                span(*old_lives_ms)
            ),
            Self::PutBackByHand { age_ms } => write!(
                f,
                "the database of {} ago is copied back by hand, epoch and all",
                span(*age_ms)
            ),
            Self::DiskFull { device, for_ms } => {
                write!(f, "the disk of d{device:03} is full for {}", span(*for_ms))
            }
            Self::DeviceClock { device, by_ms } => {
                write!(f, "the clock of d{device:03} is off by {by_ms} ms")
            }
            Self::ServerClock { by_ms, for_ms } => {
                write!(f, "the server's clock is off by {by_ms} ms for {}", span(*for_ms))
            }
            Self::Liar { device, lie } => write!(f, "d{device:03} begins to lie: {lie:?}"),
            Self::BadRelease { version, per_mille, after_ms } => write!(
                f,
                "{} breaks {per_mille} of 1,000 machines {} after activation",
                VERSIONS[*version],
                span(*after_ms)
            ),
            Self::ByHand { device, version } => {
                write!(f, "somebody activates {} on d{device:03} by hand", VERSIONS[*version])
            }
            Self::Held { device, for_ms } => {
                write!(f, "d{device:03} is held for {}", span(*for_ms))
            }
            Self::Sick { device, for_ms } => {
                write!(f, "the processor of d{device:03} is busy for {}", span(*for_ms))
            }
            Self::Frozen { for_ms } => write!(f, "everything is frozen for {}", span(*for_ms)),
            Self::Assigned { rollout, device: None } => {
                write!(f, "a person assigns rollout {}", rollout + 1)
            }
            Self::Assigned { rollout, device: Some(device) } => {
                write!(f, "a person assigns d{device:03} in rollout {}", rollout + 1)
            }
            Self::Enrols { device } => write!(f, "d{device:03} enrols"),
            Self::Relabelled { device } => write!(f, "d{device:03} gets another label"),
            Self::OldAgent { device, for_ms } => {
                write!(f, "d{device:03} gets an old agent for {}", span(*for_ms))
            }
            Self::Blocked { version, for_ms } => {
                write!(f, "{} is blocked for {}", VERSIONS[*version], span(*for_ms))
            }
            Self::Emergency { for_ms } => {
                write!(f, "everything is stopped for {}", span(*for_ms))
            }
            Self::Asked { rollout, command } => {
                write!(f, "a person asks rollout {} to {command}", rollout + 1)
            }
        }
    }
}
