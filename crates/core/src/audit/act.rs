//! What can be done to a server. The list is closed: whoever lets something new be
//! done says here how the log tells it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Link;
use crate::account::{Grant, Permission, Role};
use crate::anomaly::Withheld;
use crate::dependency::Dependencies;
use crate::digest::Digest;
use crate::enrolment::Scope;
use crate::hold::{Hold, QuarantineCause};
use crate::ids::{
    AccountName, CollectionName, DeviceId, EdgeId, HoldId, ReleaseId, RolloutId, RuleName,
};
use crate::release::{Platform, ReleaseStatus};
use crate::rollout::{Command, RingState, RolloutState};
use crate::time::{Span, Timestamp};

/// The beginning of a secret's digest, which names the secret and is of no other use.
pub(super) fn short(secret: &Digest) -> String {
    secret.to_string()[..12].to_owned()
}

/// Something that was done: `action` says what, `details` holds the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", content = "details")]
pub enum Act {
    /// The administrator's token was made.
    #[serde(rename = "administrator.token_made")]
    AdministratorTokenMade {},
    /// Somebody logged in.
    #[serde(rename = "session.opened")]
    SessionOpened {
        /// Names the session; not its secret.
        session: String,
        /// When it ends by itself.
        expires_at: Timestamp,
    },
    /// Somebody logged out.
    #[serde(rename = "session.closed")]
    SessionClosed {
        /// Names the session.
        session: String,
    },
    /// A link that logs in once was made.
    #[serde(rename = "session.link_made")]
    LoginLinkMade {
        /// Until when it is good.
        expires_at: Timestamp,
    },
    /// Somebody was not let in: the password or the token was wrong.
    #[serde(rename = "session.refused")]
    LoginRefused {
        /// The account that was named, if one was and there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<AccountName>,
    },
    /// Somebody was kept from what they wanted to do.
    #[serde(rename = "access.refused")]
    AccessRefused {
        /// What they wanted to do.
        permission: Permission,
        /// To what, in words.
        subject: String,
        /// The rule that refused, unless no role permitted it in the first place.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<RuleName>,
        /// Why, in words.
        reason: String,
    },
    /// An account was made, or written anew.
    #[serde(rename = "account.set")]
    AccountSet {
        /// The account.
        account: AccountName,
        /// Its roles.
        grants: Vec<Grant>,
        /// Whether it may do nothing.
        is_disabled: bool,
    },
    /// An account was removed.
    #[serde(rename = "account.removed")]
    AccountRemoved {
        /// The account.
        account: AccountName,
    },
    /// An account got another password.
    #[serde(rename = "account.password_set")]
    PasswordSet {
        /// The account.
        account: AccountName,
    },
    /// A token was made with which a program acts for an account.
    #[serde(rename = "api_token.created")]
    ApiTokenCreated {
        /// Names the token; not its secret.
        token: String,
        /// The account.
        account: AccountName,
        /// The roles that it may use; all of the account's if empty.
        roles: Vec<Role>,
        /// When it ends.
        expires_at: Timestamp,
    },
    /// Such a token counts no more.
    #[serde(rename = "api_token.revoked")]
    ApiTokenRevoked {
        /// Names the token.
        token: String,
        /// The account.
        account: AccountName,
    },
    /// A rule was made, or written anew.
    #[serde(rename = "rule.set")]
    RuleSet {
        /// The rule.
        rule: RuleName,
        /// Its text.
        text: String,
    },
    /// A rule was deleted.
    #[serde(rename = "rule.deleted")]
    RuleDeleted {
        /// The rule.
        rule: RuleName,
    },
    /// An enrolment token was made.
    #[serde(rename = "token.created")]
    TokenCreated {
        /// Names the token; not its secret.
        token: String,
        /// For whom it is, in its maker's words.
        note: String,
        /// For which machines it is good.
        scope: Scope,
        /// When it ends.
        expires_at: Timestamp,
    },
    /// A machine became a device.
    #[serde(rename = "device.enrolled")]
    DeviceEnrolled {
        /// The device.
        device: DeviceId,
        /// What it calls itself.
        hostname: String,
        /// Its platform.
        platform: Platform,
    },
    /// A device's key counts no more.
    #[serde(rename = "device.revoked")]
    DeviceRevoked {
        /// The device.
        device: DeviceId,
        /// Why, in the person's words.
        reason: String,
    },
    /// A distribution point's key counts no more.
    #[serde(rename = "edge.revoked")]
    EdgeRevoked {
        /// The distribution point.
        edge: EdgeId,
        /// Why, in the person's words.
        reason: String,
    },
    /// A device got a new certificate.
    #[serde(rename = "device.certificate_renewed")]
    CertificateRenewed {
        /// The device.
        device: DeviceId,
        /// Until when it is good.
        expires_at: Timestamp,
    },
    /// A distribution point got a new certificate.
    #[serde(rename = "edge.certificate_renewed")]
    EdgeCertificateRenewed {
        /// The distribution point.
        edge: EdgeId,
        /// Until when it is good.
        expires_at: Timestamp,
    },
    /// A device was put into quarantine.
    #[serde(rename = "device.quarantined")]
    DeviceQuarantined {
        /// The device.
        device: DeviceId,
        /// The kind of cause.
        cause: String,
        /// What for, in words.
        reason: String,
    },
    /// A device was let out of quarantine.
    #[serde(rename = "device.let_in")]
    DeviceLetIn {
        /// The device.
        device: DeviceId,
        /// For how long it was well, if the server let it in for that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        healthy_for: Option<Span>,
    },
    /// So many devices were anomalous at once that none was put into quarantine.
    #[serde(rename = "anomaly.withheld")]
    AnomalyWithheld {
        /// The class of devices.
        class: String,
        /// The rule that fired on one of them.
        rule: String,
        /// How many were anomalous.
        anomalous: u64,
        /// Of how many.
        devices: u64,
    },
    /// Devices were held.
    #[serde(rename = "hold.made")]
    HoldMade {
        /// The hold.
        hold: HoldId,
        /// The devices: a selector.
        devices: String,
        /// Why, in the person's words.
        reason: String,
        /// When it begins to hold.
        from: Timestamp,
        /// When it ends by itself.
        until: Option<Timestamp>,
    },
    /// A hold was lifted before its end.
    #[serde(rename = "hold.lifted")]
    HoldLifted {
        /// The hold.
        hold: HoldId,
    },
    /// Who belongs to a collection was written, for the first time or anew.
    #[serde(rename = "collection.set")]
    CollectionSet {
        /// The collection.
        collection: CollectionName,
        /// How it says who belongs to it: `static`, `selector` or `imported`.
        by: String,
        /// How many names it lists; none for a selector.
        names: Option<u64>,
        /// The digest of all it says, as JSON.
        members: Digest,
    },
    /// A collection was deleted.
    #[serde(rename = "collection.deleted")]
    CollectionDeleted {
        /// The collection.
        collection: CollectionName,
    },
    /// A machine became a distribution point.
    #[serde(rename = "edge.enrolled")]
    EdgeEnrolled {
        /// The distribution point.
        edge: EdgeId,
        /// What it calls itself.
        name: String,
        /// Its site.
        site: String,
        /// The address that devices are told.
        url: String,
    },
    /// A release came into the catalog.
    #[serde(rename = "release.imported")]
    ReleaseImported {
        /// The release.
        release: ReleaseId,
        /// The digest of its archive.
        archive: Digest,
        /// The digest of its manifest.
        manifest: Digest,
        /// Where it came from, in its importer's words.
        origin: String,
        /// What it asks of other packages.
        #[serde(default, skip_serializing_if = "Dependencies::is_empty")]
        dependencies: Dependencies,
    },
    /// A release was approved or blocked.
    #[serde(rename = "release.decided")]
    ReleaseDecided {
        /// The release.
        release: ReleaseId,
        /// What it is since.
        status: ReleaseStatus,
        /// Why, in the person's words.
        reason: String,
        /// The digest of its manifest: what exactly was decided on.
        manifest: Digest,
    },
    /// What approvers signed was taken in.
    #[serde(rename = "trust.imported")]
    TrustImported {
        /// Which roles, each with its version, like `go 7`.
        documents: Vec<String>,
        /// The digest of the root of trust since then.
        root: Digest,
    },
    /// A rollout was started.
    #[serde(rename = "rollout.started")]
    RolloutStarted {
        /// The rollout.
        rollout: RolloutId,
        /// Its name for people.
        name: String,
        /// The releases that it brings.
        releases: Vec<ReleaseId>,
        /// How many devices are in it.
        devices: u64,
        /// The digest of its specification in JSON.
        spec: Digest,
    },
    /// A person told a rollout what to do.
    #[serde(rename = "rollout.commanded")]
    RolloutCommanded {
        /// The rollout.
        rollout: RolloutId,
        /// What it was told.
        command: Command,
    },
    /// A person said that users need not be asked about a published rollout any more.
    #[serde(rename = "rollout.assigned")]
    RolloutAssigned {
        /// The rollout.
        rollout: RolloutId,
        /// The device, if it is only one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<DeviceId>,
    },
    /// The server moved a rollout on, or stopped it.
    #[serde(rename = "rollout.state")]
    RolloutState {
        /// The rollout.
        rollout: RolloutId,
        /// Its state since.
        state: RolloutState,
        /// Why.
        reason: String,
    },
    /// The server opened or closed a ring, or put it back.
    #[serde(rename = "rollout.ring")]
    RingState {
        /// The rollout.
        rollout: RolloutId,
        /// The ring's name.
        ring: String,
        /// Its state since.
        state: RingState,
        /// Why.
        reason: String,
    },
    /// Everything was stopped.
    #[serde(rename = "emergency.stopped")]
    EmergencyStopped {
        /// Why, in the person's words.
        reason: String,
    },
    /// The emergency stop was lifted.
    #[serde(rename = "emergency.lifted")]
    EmergencyLifted {
        /// Who had called it.
        called_by: String,
        /// Why that was.
        reason: String,
    },
    /// A key to sign the log's head was made.
    #[serde(rename = "audit.key_made")]
    KeyMade {
        /// The key by which its signatures are verified.
        key: String,
    },
    /// The log was found without entries that it had: its end was cut, or the database is an older
    /// one.
    #[serde(rename = "audit.history_lost")]
    HistoryLost {
        /// How far the log is known to have gone.
        known: Link,
        /// How far the database's log went when that was found.
        found: Link,
    },
    /// The head that the server keeps beside its database is gone, or can't be read.
    #[serde(rename = "audit.head_lost")]
    HeadLost {
        /// What is wrong with it.
        reason: String,
    },
}

impl Act {
    /// A session was opened; only the beginning of its digest is told.
    pub fn session_opened(session: &Digest, expires_at: Timestamp) -> Self {
        Self::SessionOpened { session: short(session), expires_at }
    }

    /// A session was closed.
    pub fn session_closed(session: &Digest) -> Self {
        Self::SessionClosed { session: short(session) }
    }

    /// An enrolment token was made; only the beginning of its digest is told.
    pub fn token_created(token: &Digest, note: &str, scope: &Scope, expires_at: Timestamp) -> Self {
        let (note, scope) = (note.to_owned(), scope.clone());
        Self::TokenCreated { token: short(token), note, scope, expires_at }
    }

    /// A device was put into quarantine.
    pub fn device_quarantined(device: &DeviceId, cause: &QuarantineCause) -> Self {
        let (cause, reason) = (cause.code().to_owned(), cause.to_string());
        Self::DeviceQuarantined { device: device.clone(), cause, reason }
    }

    /// A device got a new certificate.
    pub fn certificate_renewed(device: &DeviceId, expires_at: Timestamp) -> Self {
        Self::CertificateRenewed { device: device.clone(), expires_at }
    }

    /// A distribution point got a new certificate.
    pub fn edge_certificate_renewed(edge: &EdgeId, expires_at: Timestamp) -> Self {
        Self::EdgeCertificateRenewed { edge: edge.clone(), expires_at }
    }

    /// So many devices were anomalous at once that none was put into quarantine.
    pub fn anomaly_withheld(withheld: &Withheld) -> Self {
        let Withheld { class, rule, anomalous, devices } = withheld.clone();
        Self::AnomalyWithheld { class: class.to_string(), rule, anomalous, devices }
    }

    /// Devices were held.
    pub fn hold_made(hold: &Hold) -> Self {
        let Hold { id, devices, reason, by: _, from, until } = hold.clone();
        Self::HoldMade { hold: id, devices, reason, from, until }
    }

    /// To what it was done.
    pub(super) fn subject(&self) -> Option<String> {
        match self {
            Self::SessionOpened { session, .. } | Self::SessionClosed { session } => {
                Some(session.clone())
            }
            Self::TokenCreated { token, .. }
            | Self::ApiTokenCreated { token, .. }
            | Self::ApiTokenRevoked { token, .. } => Some(token.clone()),
            Self::AccountSet { account, .. }
            | Self::AccountRemoved { account }
            | Self::PasswordSet { account } => Some(account.to_string()),
            Self::LoginRefused { account } => account.as_ref().map(ToString::to_string),
            Self::AccessRefused { subject, .. } => Some(subject.clone()),
            Self::RuleSet { rule, .. } | Self::RuleDeleted { rule } => Some(rule.to_string()),
            Self::DeviceEnrolled { device, .. }
            | Self::DeviceRevoked { device, .. }
            | Self::CertificateRenewed { device, .. }
            | Self::DeviceQuarantined { device, .. }
            | Self::DeviceLetIn { device, .. } => Some(device.to_string()),
            Self::AnomalyWithheld { class, .. } => Some(class.clone()),
            Self::HoldMade { hold, .. } | Self::HoldLifted { hold } => Some(hold.to_string()),
            Self::CollectionSet { collection, .. } | Self::CollectionDeleted { collection } => {
                Some(collection.to_string())
            }
            Self::EdgeEnrolled { edge, .. }
            | Self::EdgeRevoked { edge, .. }
            | Self::EdgeCertificateRenewed { edge, .. } => Some(edge.to_string()),
            Self::ReleaseImported { release, .. } | Self::ReleaseDecided { release, .. } => {
                Some(release.to_string())
            }
            Self::RolloutStarted { rollout, .. }
            | Self::RolloutCommanded { rollout, .. }
            | Self::RolloutAssigned { rollout, .. }
            | Self::RolloutState { rollout, .. }
            | Self::RingState { rollout, .. } => Some(rollout.to_string()),
            Self::TrustImported { root, .. } => Some(short(root)),
            Self::AdministratorTokenMade {}
            | Self::LoginLinkMade { .. }
            | Self::EmergencyStopped { .. }
            | Self::EmergencyLifted { .. }
            | Self::KeyMade { .. }
            | Self::HistoryLost { .. }
            | Self::HeadLost { .. } => None,
        }
    }

    /// The action's name and its details, as an entry has them.
    pub(super) fn told(&self) -> (String, Value) {
        let mut told = serde_json::to_value(self).expect("an act has text keys");
        let action = told["action"].as_str().unwrap_or_default().to_owned();
        (action, told["details"].take())
    }
}
