//! Offers: a release that waits on a device for the word of its user.
//!
//! A rollout is *assigned* (its release installs itself) or *published* ([`Publish`]): then each
//! device fetches and stages the release under an order that carries an [`Offer`], and its user
//! accepts or postpones. Neither the user nor the device activates anything: an acceptance is
//! reported, and the server gives the order to activate as soon as the rollout has a place. So a
//! pause, a stop, a hold or a failed gate reaches published releases as it reaches assigned ones.
//! After the deadline, by the server's clock, the device is no longer asked.
//!
//! What users say is not trusted: [`Asked`] counts how often they postponed and judges each
//! [`Word`]. The forms in which the agent shows its offers and users leave their words are
//! [`Board`] and [`Note`].

mod asked;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::{ReleaseId, RolloutId};
use crate::time::{Span, Timestamp};

pub use asked::{Asked, LAST_CALL, MAX_NOTICES, MAX_VERDICTS};

/// The longest note for users, in characters.
pub const LONGEST_NOTICE: usize = 500;
/// The most bytes of a user's [`Note`]: ten times what one takes.
pub const MAX_NOTE_BYTES: u64 = 1024;
/// The longest name of a note.
const LONGEST_NOTE_ID: usize = 32;

/// How the release of a rollout is published: users are asked before it is activated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// So long after the release was first offered on a device it is activated without asking.
    pub deadline: Span,
    /// How often and for how long a user may put the question off.
    #[serde(default)]
    pub postpone: Postpone,
    /// How often a user who has not answered is reminded.
    #[serde(default = "one_day")]
    pub remind: Span,
    /// What users are told beside the version and the deadline.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notice: String,
    /// Whether a user's acceptance counts as "now": then the window does not hold for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accept_opens_window: bool,
}

/// How often and for how long a user may put the question off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Postpone {
    /// Most times; 0: not at all.
    pub times: u32,
    /// At most so long each time, and never beyond the deadline.
    #[serde(rename = "for")]
    pub at_most: Span,
}

impl Default for Postpone {
    fn default() -> Self {
        Self { times: 3, at_most: Span::from_secs(4 * 3600) }
    }
}

/// What an order offers to the user of its device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Offer {
    /// When the rollout offered the release here first.
    pub since: Timestamp,
    /// From when on the release is activated without asking, by the server's clock.
    pub deadline: Timestamp,
    /// How often and for how long the user may put the question off.
    pub postpone: Postpone,
    /// How often a user who has not answered is reminded.
    pub remind: Span,
    /// What the user is told beside the version and the deadline.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notice: String,
}

/// What a user has answered to an offer so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Answer {
    /// When the user accepted, by the device's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Timestamp>,
    /// How often the user put the question off.
    #[serde(default)]
    pub postponed: u32,
    /// Until when it was put off the last time, by the device's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What a user says to an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Word {
    /// Activate it.
    Accept,
    /// Not now: ask again after so long, or after as long as is allowed.
    Postpone(Option<Span>),
}

/// Why a word does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotTaken {
    /// It is about an offer that is gone.
    #[error("it answers an offer that holds no more")]
    Gone,
    /// The user has accepted already.
    #[error("it was accepted already, and can't be postponed any more")]
    Accepted,
    /// It was put off as often as allowed.
    #[error("it was postponed {times} times, which is as often as allowed")]
    NoneLeft {
        /// How often it may be.
        times: u32,
    },
    /// It would be put off for longer than allowed, or not at all.
    #[error("it can be postponed for more than 0s and at most {at_most} at a time")]
    Length {
        /// How long it may be.
        at_most: Span,
    },
    /// The deadline would pass meanwhile.
    #[error("it can't be postponed beyond its deadline, {deadline}")]
    Deadline {
        /// The deadline.
        deadline: Timestamp,
    },
}

/// What the user of a device is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// A release is ready and waits for the user's word.
    Offered,
    /// It still waits.
    Reminder,
    /// It will be activated soon without asking.
    LastCall,
    /// It is being activated though the user has not accepted.
    Assigned,
    /// It is active, and passed its checks.
    Activated,
    /// It did not pass, and what was there before is active again; or it was to go back.
    PutBack,
    /// It is offered no more.
    Withdrawn,
}

/// Something that the user of a device is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What about.
    pub kind: NoticeKind,
    /// When, by the device's clock.
    pub at: Timestamp,
    /// In words.
    pub text: String,
    /// Whether the notifier was given it.
    #[serde(default)]
    pub is_told: bool,
}

/// What became of a user's [`Note`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The note's name.
    pub note: String,
    /// Why it does not count; absent if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// What the agent of a device shows its users: a file that everybody may read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Board {
    /// What waits for a user's word.
    pub offers: Vec<Offered>,
    /// What users were told lately, oldest first.
    #[serde(default)]
    pub notices: Vec<Notice>,
    /// What became of the latest notes, oldest first.
    #[serde(default)]
    pub judged: Vec<Judged>,
}

/// A release that waits for a user's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// The release.
    pub release: ReleaseId,
    /// The package.
    pub package: String,
    /// The version, like `1.27.3`.
    pub version: String,
    /// The rollout that offers it.
    pub rollout: RolloutId,
    /// The order's generation: a note names it, so that it is never taken for another offer's.
    pub generation: u64,
    /// The offer.
    #[serde(flatten)]
    pub offer: Offer,
    /// What was answered so far.
    #[serde(flatten)]
    pub answer: Answer,
    /// How often it may still be postponed.
    pub postpones_left: u32,
}

/// A user's word as a file: small, strictly read, and believed in nothing but what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// The generation of the order that it answers.
    pub generation: u64,
    /// What the user says.
    pub word: Word,
}

impl Note {
    /// The name of a note's file: letters and digits, so that it is no path and no option.
    pub fn file_name(id: &str) -> String {
        format!("{id}.json")
    }

    /// The id in the name of a note's file; none if no note has such a name.
    pub fn id_in(file_name: &str) -> Option<&str> {
        let id = file_name.strip_suffix(".json")?;
        let fits = !id.is_empty()
            && id.len() <= LONGEST_NOTE_ID
            && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        fits.then_some(id)
    }
}

impl Offer {
    /// What a rollout offers that was first offered on a device at `since`.
    pub fn of(publish: &Publish, since: Timestamp) -> Self {
        Self {
            since,
            deadline: since + publish.deadline,
            postpone: publish.postpone,
            remind: publish.remind,
            notice: publish.notice.clone(),
        }
    }
}

impl NoticeKind {
    /// As text, like in the environment of a notifier.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Reminder => "reminder",
            Self::LastCall => "last_call",
            Self::Assigned => "assigned",
            Self::Activated => "activated",
            Self::PutBack => "put_back",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.accepted_at, self.until, self.postponed) {
            (Some(at), ..) => write!(f, "accepted at {at}"),
            (None, Some(until), 1) => write!(f, "postponed once, until {until}"),
            (None, Some(until), times) => write!(f, "postponed {times} times, until {until}"),
            (None, None, _) => f.write_str("not answered"),
        }
    }
}

const fn one_day() -> Span {
    Span::from_secs(24 * 3600)
}
