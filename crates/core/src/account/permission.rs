//! Everything that can be permitted. Each route of the server needs one of these.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Role;
use super::Role::{Approver, Auditor, Operator, SecurityAdmin, Viewer};

macro_rules! permissions {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal, $subject:ident, [$($role:ident),*];)+) => {
        /// Something that can be permitted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        pub enum Permission {
            $($(#[doc = $doc])* #[serde(rename = $text)] $name,)+
        }

        impl Permission {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// As policies, the audit log and messages name it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The roles that have it.
            pub const fn roles(self) -> &'static [Role] {
                match self { $(Self::$name => &[$($role),*],)+ }
            }

            /// What it is done to.
            pub const fn subject(self) -> SubjectKind {
                match self { $(Self::$name => SubjectKind::$subject,)+ }
            }

            /// What it allows, for people.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*).trim(),)+ }
            }
        }
    };
}

/// What something is done to, and so what a policy can ask about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubjectKind {
    /// The fleet as a whole.
    Fleet,
    /// A set of devices.
    Devices,
    /// A release.
    Release,
    /// A rollout, also one that is about to begin.
    Rollout,
    /// Somebody's account.
    Account,
}

impl SubjectKind {
    /// As policies name the type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fleet => "Fleet",
            Self::Devices => "Devices",
            Self::Release => "Release",
            Self::Rollout => "Rollout",
            Self::Account => "Account",
        }
    }
}

permissions! {
    /// Look after one's own account: log out, choose a password, make and revoke own tokens.
    Own = "own", Fleet, [Viewer, Operator, Approver, SecurityAdmin, Auditor];
    /// Look at devices, releases, rollouts and collections, and plan without starting.
    Read = "read", Fleet, [Viewer, Operator, Approver, SecurityAdmin, Auditor];
    /// Read, verify and export the audit log.
    ReadAudit = "audit.read", Fleet, [SecurityAdmin, Auditor];
    /// See the accounts, the rules, and what was decided by them.
    ReadAccess = "access.read", Fleet, [SecurityAdmin, Auditor];
    /// Import a release into the catalog.
    ImportRelease = "release.import", Fleet, [Operator];
    /// Approve a release, so that it may be rolled out.
    ApproveRelease = "release.approve", Release, [Approver];
    /// Block a release.
    BlockRelease = "release.block", Release, [Operator, Approver];
    /// Start a rollout.
    StartRollout = "rollout.start", Rollout, [Operator];
    /// Let a paused rollout go on, and answer for it.
    ResumeRollout = "rollout.resume", Rollout, [Operator];
    /// Let a published rollout be activated without asking users.
    AssignRollout = "rollout.assign", Rollout, [Operator];
    /// Pause or stop a rollout, or take it back.
    StopRollout = "rollout.stop", Rollout, [Operator, Approver];
    /// Hold devices, and put one into quarantine.
    KeepDevicesOut = "devices.keep_out", Devices, [Operator];
    /// Lift a hold, and let a device out of quarantine.
    LetDevicesIn = "devices.let_in", Devices, [Operator];
    /// Write and delete collections.
    ChangeCollections = "collection.change", Fleet, [Operator];
    /// Make tokens with which machines enrol.
    EnrolDevices = "enrolment.token", Fleet, [Operator, SecurityAdmin];
    /// Revoke the key of a device or of a distribution point.
    RevokeDevices = "devices.revoke", Devices, [SecurityAdmin];
    /// Stop every rollout at once.
    StopEverything = "emergency.stop", Fleet, [Operator, Approver, SecurityAdmin];
    /// Lift the emergency stop.
    LiftEmergency = "emergency.lift", Fleet, [Approver, SecurityAdmin];
    /// Bring metadata that approvers signed.
    ImportTrust = "trust.import", Fleet, [Approver, SecurityAdmin];
    /// Make, change and remove accounts.
    ChangeAccounts = "account.change", Account, [SecurityAdmin];
    /// Change the rules.
    ChangeRules = "rule.change", Fleet, [SecurityAdmin];
}

impl fmt::Display for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}
