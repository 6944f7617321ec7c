//! What people may do: the accounts and policies of this server, and the one way to what changes
//! something.
//!
//! A change is written down as somebody's, and who that is ([`By`]) comes from
//! [`CallingPerson::may`] alone, which asks the policies. So no handler can change anything that
//! nobody was asked about.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use gofleet_api::{ProblemCode, TICKET_HEADER};
use gofleet_authorization::Policies;
use gofleet_core::account::{
    AccessDecision, AccessRequest, Account, Circumstances, Permission, Refusal, Subject,
};
use gofleet_core::audit::By;
use gofleet_core::ids::{AccountName, RolloutId};
use gofleet_storage::StorageError;
use tracing::{error, warn};

use crate::access::Peer;
use crate::authentication::{Authenticated, Identity, Person};
use crate::failure::{Answer, Failure};
use crate::state::AppState;
use crate::subjects;

/// The longest name of a ticket that is kept.
const MAX_TICKET_CHARS: usize = 100;

/// The accounts and policies that are in force.
#[derive(Default)]
pub struct Directory {
    accounts: HashMap<String, Account>,
    policies: Policies,
}

impl Directory {
    /// As the database has them.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn read(state: &AppState) -> Result<Self, StorageError> {
        let accounts = state.storage().accounts().await?;
        let rules = state.storage().rules().await?;
        let policies = Policies::new(&accounts, &rules);
        for (rule, reason) in policies.broken() {
            error!(%rule, %reason, "nobody may do anything until this rule is mended");
        }
        let accounts = accounts.into_iter().map(|account| (account.name.key(), account)).collect();
        Ok(Self { accounts, policies })
    }

    /// The account of this name, unless it is disabled.
    pub fn account(&self, name: &AccountName) -> Option<&Account> {
        self.accounts.get(&name.key()).filter(|account| !account.is_disabled)
    }

    /// Whether somebody has a role by which a rollout like this one may be started.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the rollout can't be read.
    pub async fn may_keep_going(
        &self,
        state: &AppState,
        name: &str,
        rollout: &RolloutId,
    ) -> Answer<bool> {
        let permits = |subject| {
            let circumstances = Circumstances::of_server(state.now());
            let (by, permission) = (name.to_owned(), Permission::StartRollout);
            self.policies.permits(&AccessRequest { by, permission, subject, circumstances })
        };
        // Most may anywhere, and then nobody needs to know which devices it has.
        if permits(Subject::of_kind(Permission::StartRollout.subject())) {
            return Ok(true);
        }
        Ok(permits(subjects::rollout(state, rollout).await?))
    }

    /// Why this may not be done, if so.
    pub fn decide(&self, request: &AccessRequest) -> Option<Refusal> {
        self.policies.decide(request)
    }
}

/// Puts into force what stands in the database: after each change of accounts or rules.
///
/// # Errors
///
/// [`StorageError`] if the database fails.
pub async fn reload(state: &AppState) -> Result<(), StorageError> {
    let directory = Directory::read(state).await?;
    state.set_directory(Arc::new(directory));
    Ok(())
}

/// The person that calls, and under which circumstances.
#[derive(Debug, Clone)]
pub struct CallingPerson {
    person: Person,
    by: By,
    ticket: String,
    is_encrypted: bool,
    is_local: bool,
}

impl CallingPerson {
    /// Who it is.
    pub fn person(&self) -> &Person {
        &self.person
    }

    /// Whether this person may do this; under which name it is written down, if so.
    ///
    /// # Errors
    ///
    /// [`Failure`] tells who is refused what, and by which rule. It stands in the audit log then.
    pub async fn may(
        &self,
        state: &AppState,
        permission: Permission,
        subject: Subject,
    ) -> Answer<By> {
        let request = AccessRequest {
            by: self.person.name.clone(),
            permission,
            subject,
            circumstances: Circumstances {
                at: state.now(),
                via: self.person.proof.as_str().to_owned(),
                is_encrypted: self.is_encrypted,
                is_local: self.is_local,
                is_audit_healthy: state.storage().is_audit_healthy(),
                ticket: self.ticket.clone(),
            },
        };
        let refusal = match self.admits(permission) {
            Ok(()) => state.directory().decide(&request),
            Err(refusal) => Some(refusal),
        };
        let is_look = is_look(permission);
        let failure = refusal.as_ref().map(|refusal| self.refused(&request, refusal));
        let is_kept = if refusal.is_some() {
            state.refusals().take(&self.person.name, state.now())
        } else {
            // The log is told of a stop when it holds: nothing may keep it waiting.
            !is_look && permission != Permission::StopEverything
        };
        if is_kept {
            let decision = AccessDecision { request, refusal };
            let kept = state.storage().keep_decision(&self.by, &decision, state.now()).await;
            // What is refused stays refused, whatever fails here.
            if let Err(error) = kept
                && failure.is_none()
            {
                return Err(error.into());
            }
        }
        failure.map_or_else(|| Ok(self.by.clone()), Err)
    }

    /// What needs no policy to be refused.
    fn admits(&self, permission: Permission) -> Result<(), Refusal> {
        let is_in_token = self.person.token.as_ref().is_none_or(|token| token.may(permission));
        let must_change = self.person.account.as_ref().is_some_and(|it| it.must_change_password);
        if !is_in_token || must_change && permission != Permission::Own {
            return Err(Refusal::NoRole {});
        }
        Ok(())
    }

    /// Whether any role of this person could permit it, before it is known on what.
    ///
    /// # Errors
    ///
    /// [`Failure`] tells what is missing.
    pub fn could(&self, permission: Permission) -> Answer<()> {
        let has_role = self.person.account.as_ref().is_none_or(|account| account.may(permission));
        if has_role && self.admits(permission).is_ok() {
            return Ok(());
        }
        Err(self.lacks(permission))
    }

    fn lacks(&self, permission: Permission) -> Failure {
        let name = &self.person.name;
        if self.person.account.as_ref().is_some_and(|it| it.must_change_password) {
            let detail = format!("{name} must choose a password before anything else");
            return Failure::new(ProblemCode::Forbidden, detail)
                .with_hint("`gofleet account password`, or the page “Account” of the console");
        }
        let roles: Vec<&str> = permission.roles().iter().map(|role| role.as_str()).collect();
        let detail = format!("{name} may not do this: it needs `{permission}`");
        let hint = match &self.person.token {
            Some(token) if !token.may(permission) => {
                "the API token was made for other roles; make another one".to_owned()
            }
            _ => format!(
                "the role {} has it: `gofleet account set {name} --role …` by a security admin",
                roles.join(" or ")
            ),
        };
        Failure::new(ProblemCode::Forbidden, detail).with_hint(hint)
    }

    fn refused(&self, request: &AccessRequest, refusal: &Refusal) -> Failure {
        let (name, permission) = (&self.person.name, request.permission);
        warn!(person = name, %permission, subject = %request.subject, "refused: {refusal}");
        match refusal {
            Refusal::NoRole {} if self.could(permission).is_ok() => {
                let detail =
                    format!("{name} may `{permission}`, but not here: {}", request.subject);
                Failure::new(ProblemCode::Forbidden, detail).with_hint(
                    "the role is for a collection, and not all of this belongs to it; \
                     `gofleet account list` tells for which",
                )
            }
            Refusal::NoRole {} => self.lacks(permission),
            Refusal::Rule { rule, message, standards } => {
                let serves = match standards.as_slice() {
                    [] => String::new(),
                    standards => format!(" It serves {}.", standards.join(", ")),
                };
                let detail = format!("the rule `{rule}` forbids it: {message}");
                Failure::new(ProblemCode::Forbidden, detail)
                    .with_hint(format!("`gofleet rule show {rule}` tells all of it.{serves}"))
            }
            Refusal::Broken { .. } => Failure::new(ProblemCode::Forbidden, refusal.to_string())
                .with_hint(
                    "whoever holds the administrator's token can mend or delete it: \
                     `gofleet rule delete`",
                ),
        }
    }
}

/// Whether it changes nothing but the caller's own affairs.
pub fn is_look(permission: Permission) -> bool {
    matches!(
        permission,
        Permission::Own | Permission::Read | Permission::ReadAudit | Permission::ReadAccess
    )
}

impl<S: Sync> FromRequestParts<S> for CallingPerson {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Ok(peer) = Peer::from_request_parts(parts, state).await;
        let person = match parts.extensions.get::<Authenticated>() {
            Some(Authenticated(Ok(Some(Identity::Person(person))))) => (**person).clone(),
            _ => return Err(Failure::new(ProblemCode::Forbidden, "only a person may do this")),
        };
        let ticket = parts.headers.get(TICKET_HEADER).and_then(|value| value.to_str().ok());
        let ticket: String = ticket
            .unwrap_or_default()
            .trim()
            .chars()
            .filter(|c| !c.is_control())
            .take(MAX_TICKET_CHARS)
            .collect();
        let by = By::person(&person.name).via(person.proof.as_str()).under(&ticket);
        let is_local = peer.is_local();
        let (is_encrypted, address) = (peer.is_tls, peer.address);
        Ok(Self { person, by: by.from(address), ticket, is_encrypted, is_local })
    }
}

/// A person who may use the route: for routes that only look, or concern the caller alone, since
/// those are decided before their handlers run.
pub struct Permitted(pub By);

impl<S: Sync> FromRequestParts<S> for Permitted {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let caller = CallingPerson::from_request_parts(parts, state).await?;
        match parts.extensions.get::<Decided>() {
            Some(Decided(permission)) if is_look(*permission) => Ok(Self(caller.by)),
            _ => Err(Failure::new(ProblemCode::Forbidden, "nobody decided that this may be done")),
        }
    }
}

/// What was decided before a handler runs.
#[derive(Debug, Clone, Copy)]
pub struct Decided(pub Permission);
