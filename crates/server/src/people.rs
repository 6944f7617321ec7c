//! Accounts and what proves whose they are, for the API and the console alike.

use gofleet_api::{
    AccountChange, AccountRequest, ApiTokenRequest, FirstPassword, NewApiToken, PasswordRequest,
    ProblemCode,
};
use gofleet_core::account::{
    ADMINISTRATOR, Account, AccountSource, ApiToken, Grant, Permission, Subject, check_password,
};
use gofleet_core::audit::{Act, By};
use gofleet_core::digest::Digest;
use gofleet_core::ids::AccountName;
use gofleet_core::time::Span;
use gofleet_storage::{Login, NewAccount};
use tracing::warn;

use crate::authorization::{self, CallingPerson};
use crate::failure::{Answer, Failure};
use crate::passwords;
use crate::secret::{Secret, SecretKind, random_password};
use crate::sign_on;
use crate::state::AppState;

/// How long an API token is good if nobody says.
const USUAL_TOKEN_LIFETIME: Span = Span::from_secs(30 * 24 * 60 * 60);
/// The longest of one whose owner signs in at a provider, who does not tell when they leave.
const MAX_SIGN_ON_TOKEN_LIFETIME: Span = Span::from_secs(7 * 24 * 60 * 60);
/// The longest.
const MAX_TOKEN_LIFETIME: Span = Span::from_secs(366 * 24 * 60 * 60);
/// The longest note that is kept.
const MAX_NOTE_CHARS: usize = 200;
/// The digits of a secret's digest that name it.
const ID_DIGITS: usize = 12;

/// The account whose password this is.
///
/// # Errors
///
/// [`Failure`] that does not tell whether there is such an account; if it was tried too often, when
/// it may be tried again.
pub async fn by_password(
    state: &AppState,
    name: &AccountName,
    password: &str,
    origin: Option<String>,
) -> Answer<Account> {
    let identity = name.key();
    state.attempts().check(&identity, state.now()).map_err(|open_at| {
        Failure::new(ProblemCode::Unauthenticated, "the password was wrong too often")
            .with_hint(format!("try again at {open_at}; a security admin can reset the password"))
    })?;
    let login = state.storage().login(name).await?;
    let is_local = login.as_ref().is_some_and(|login| login.account.source.is_local());
    if let Some(directory) = state.sign_on().ldap.as_ref().filter(|_| !is_local) {
        // Accounts of this server are never asked for there, so they work without it, and it can't
        // take them over.
        let known = sign_on::by_directory(state, directory, name, password, origin.clone()).await;
        return match known {
            Ok(Some(account)) => {
                state.attempts().succeeded(&identity);
                Ok(account)
            }
            Ok(None) => Err(wrong(state, name, login, origin, "ldap").await),
            Err(failure) => {
                // Who proved who they are has not guessed; nor has who could not.
                if failure.problem().code != ProblemCode::Unavailable {
                    tell_refused(state, Some(name.clone()), Some("ldap"), origin).await;
                }
                Err(failure)
            }
        };
    }
    let hash = login.as_ref().and_then(|login| login.password.clone());
    let is_right = passwords::is_of(password.to_owned(), hash).await?;
    match login {
        Some(login) if is_right && !login.account.is_disabled => {
            state.attempts().succeeded(&identity);
            Ok(login.account)
        }
        known => Err(wrong(state, name, known, origin, "password").await),
    }
}

/// Counts and writes down that a name or a password was wrong; does not tell which.
async fn wrong(
    state: &AppState,
    name: &AccountName,
    known: Option<Login>,
    origin: Option<String>,
    via: &str,
) -> Failure {
    state.attempts().failed(&name.key(), state.now());
    tell_refused(state, known.map(|login| login.account.name), Some(via), origin).await;
    Failure::new(ProblemCode::Unauthenticated, "the account or the password is wrong")
}

/// Writes down that somebody was not let in.
pub async fn tell_refused(
    state: &AppState,
    account: Option<AccountName>,
    via: Option<&str>,
    origin: Option<String>,
) {
    let identity = account.as_ref().map_or_else(
        || format!("from {}", origin.as_deref().unwrap_or("somewhere")),
        |name| format!("login {name}"),
    );
    warn!(account = account.as_ref().map(AccountName::as_str), origin, "a login was refused");
    if state.refusals().take(&identity, state.now()) {
        let act = Act::LoginRefused { account };
        // Who is refused stays refused, also if it can't be written down.
        let by = By { via: via.map(str::to_owned), ..By::server().from(origin) };
        let _ = state.storage().record(&by, act, state.now()).await;
    }
}

/// Makes an account with a password that must be changed at the first login.
///
/// # Errors
///
/// [`Failure`] if the caller may not, the name is taken, or a grant names no collection that there
/// is.
pub async fn add(
    state: &AppState,
    caller: &CallingPerson,
    request: AccountRequest,
) -> Answer<FirstPassword> {
    let AccountRequest { name, note, grants } = request;
    let subject = Subject::Account { name: name.to_string() };
    let by = caller.may(state, Permission::ChangeAccounts, subject).await?;
    if is_reserved(&name) {
        let detail = format!("{name} is the name of somebody else");
        return Err(Failure::new(ProblemCode::InvalidRequest, detail).with_hint(
            "`admin` is whoever holds the administrator's token, `server` the server itself",
        ));
    }
    check_grants(state, &grants).await?;
    let password = random_password();
    let account = Account {
        name,
        note: kept_note(&note),
        grants: sorted(grants),
        is_disabled: false,
        must_change_password: true,
        source: AccountSource::Local,
        by: by.name.clone(),
        changed_at: state.now(),
    };
    let hash = Some(passwords::hash(password.clone()).await?);
    let new = NewAccount { account, password: hash };
    let account = state.storage().add_account(&by, new, state.now()).await?;
    authorization::reload(state).await?;
    Ok(FirstPassword { account, password })
}

/// Changes an account.
///
/// # Errors
///
/// [`Failure`] if the caller may not, there is none of this name, or a grant names no collection
/// that there is.
pub async fn change(
    state: &AppState,
    caller: &CallingPerson,
    name: &AccountName,
    change: AccountChange,
) -> Answer<Account> {
    let subject = Subject::Account { name: name.to_string() };
    let by = caller.may(state, Permission::ChangeAccounts, subject).await?;
    let AccountChange { note, grants, is_disabled } = change;
    if grants.is_some() {
        must_be_local(state, name, "its roles are those of its groups").await?;
    }
    check_grants(state, grants.as_deref().unwrap_or_default()).await?;
    let apply = |account: &mut Account| {
        if let Some(note) = note {
            account.note = kept_note(&note);
        }
        if let Some(grants) = grants {
            account.grants = sorted(grants);
        }
        account.is_disabled = is_disabled.unwrap_or(account.is_disabled);
    };
    let account = state.storage().change_account(&by, name, apply, state.now()).await?;
    authorization::reload(state).await?;
    Ok(account)
}

/// Removes an account; gives the one that there was.
///
/// # Errors
///
/// [`Failure`] if the caller may not, or there is none of this name.
pub async fn remove(
    state: &AppState,
    caller: &CallingPerson,
    name: &AccountName,
) -> Answer<Account> {
    let subject = Subject::Account { name: name.to_string() };
    let by = caller.may(state, Permission::ChangeAccounts, subject).await?;
    let account = state.storage().remove_account(&by, name, state.now()).await?;
    authorization::reload(state).await?;
    Ok(account)
}

/// Gives an account another first password, and ends its sessions and API tokens.
///
/// # Errors
///
/// [`Failure`] if the caller may not, or there is none of this name.
pub async fn reset_password(
    state: &AppState,
    caller: &CallingPerson,
    name: &AccountName,
) -> Answer<FirstPassword> {
    let subject = Subject::Account { name: name.to_string() };
    let by = caller.may(state, Permission::ChangeAccounts, subject).await?;
    must_be_local(state, name, "its password is kept there").await?;
    let password = random_password();
    let hash = passwords::hash(password.clone()).await?;
    let set = (None, true);
    let account = state.storage().set_password(&by, name, &hash, set, state.now()).await?;
    state.attempts().succeeded(&name.key());
    authorization::reload(state).await?;
    Ok(FirstPassword { account, password })
}

/// Chooses a password for the caller's own account. Sessions end but this one.
///
/// # Errors
///
/// [`Failure`] if the old one is wrong, the new one is weak, or the caller has no account.
pub async fn choose_password(
    state: &AppState,
    (account, by): (&Account, &By),
    session: Option<&Digest>,
    request: PasswordRequest,
) -> Answer<Account> {
    must_be_local(state, &account.name, "its password is kept there").await?;
    let PasswordRequest { old, new } = request;
    by_password(state, &account.name, &old, by.origin.clone()).await?;
    let weak = |why: String| Failure::new(ProblemCode::InvalidRequest, why);
    check_password(&account.name, &new).map_err(|error| {
        weak(error.to_string()).with_hint("a sentence that only you would write is long and easy")
    })?;
    if old == new {
        return Err(weak("the password is the one that held so far".to_owned()));
    }
    let (name, hash) = (account.name.clone(), passwords::hash(new).await?);
    let set = (session, false);
    let account = state.storage().set_password(by, &name, &hash, set, state.now()).await?;
    authorization::reload(state).await?;
    Ok(account)
}

/// Makes an API token for an account; with a token that proved who asks, one that may do no more
/// and ends no later.
///
/// # Errors
///
/// [`Failure`] if the token would be good for longer or for more than it may be.
pub async fn make_token(
    state: &AppState,
    by: &By,
    account: &Account,
    proven_by: Option<&ApiToken>,
    request: ApiTokenRequest,
) -> Answer<NewApiToken> {
    let ApiTokenRequest { note, mut roles, expires_in } = request;
    let longest = match account.source {
        AccountSource::Oidc { .. } => MAX_SIGN_ON_TOKEN_LIFETIME,
        AccountSource::Local | AccountSource::Ldap { .. } => MAX_TOKEN_LIFETIME,
    };
    let lifetime = expires_in.unwrap_or(USUAL_TOKEN_LIFETIME.min(longest));
    let invalid = |detail: String| Failure::new(ProblemCode::InvalidRequest, detail);
    if lifetime == Span::ZERO || lifetime > longest {
        let detail = format!("an API token is good for more than nothing and at most {longest}");
        return Err(invalid(detail));
    }
    let now = state.now();
    let mut expires_at = now + lifetime;
    if let Some(proven_by) = proven_by {
        expires_at = expires_at.min(proven_by.expires_at);
        if roles.is_empty() {
            roles.clone_from(&proven_by.roles);
        } else if !proven_by.roles.is_empty()
            && let Some(role) = roles.iter().find(|role| !proven_by.roles.contains(role))
        {
            let detail = format!("the API token that was sent is not for the role {role}");
            return Err(Failure::new(ProblemCode::Forbidden, detail)
                .with_hint("log in with the password to make one for other roles"));
        }
    }
    let has = |role| account.grants.iter().any(|grant| grant.role == role);
    if let Some(role) = roles.iter().copied().find(|role| !has(*role)) {
        return Err(invalid(format!("{} does not have the role {role}", account.name)));
    }
    roles.sort_unstable();
    roles.dedup();
    let secret = Secret::random(SecretKind::Api);
    let token = ApiToken {
        id: secret.hash().to_string()[..ID_DIGITS].to_owned(),
        account: account.name.clone(),
        note: kept_note(&note),
        roles,
        created_at: now,
        expires_at,
    };
    state.storage().add_api_token(by, &secret.hash(), &token, now).await?;
    let secret = secret.reveal_for(state.told_authority().as_ref());
    Ok(NewApiToken { secret, token })
}

/// Whether it is the name of somebody who is no person.
pub fn is_reserved(name: &AccountName) -> bool {
    [ADMINISTRATOR, "server"].contains(&name.key().as_str())
}

/// Refuses what only an account of this server can have.
async fn must_be_local(state: &AppState, name: &AccountName, why: &str) -> Answer<()> {
    let login = state.storage().login(name).await?;
    match login.map(|login| login.account).filter(|account| !account.source.is_local()) {
        None => Ok(()),
        Some(account) => {
            let detail = format!("{} comes from {}: {why}", account.name, account.source);
            Err(Failure::new(ProblemCode::Conflict, detail)
                .with_hint("change it there; `gofleet account disable` holds here too"))
        }
    }
}

async fn check_grants(state: &AppState, grants: &[Grant]) -> Answer<()> {
    let known = state.storage().collections().await?;
    for within in grants.iter().filter_map(|grant| grant.within.as_ref()) {
        if !known.iter().any(|it| it.name.key() == within.key()) {
            let detail = format!("there is no collection {within}");
            return Err(Failure::new(ProblemCode::InvalidRequest, detail)
                .with_hint("`gofleet collection list` tells which there are"));
        }
    }
    Ok(())
}

fn sorted(mut grants: Vec<Grant>) -> Vec<Grant> {
    grants.sort();
    grants.dedup();
    grants
}

/// A note as it is kept.
pub fn kept_note(note: &str) -> String {
    note.trim().chars().filter(|c| !c.is_control()).take(MAX_NOTE_CHARS).collect()
}
