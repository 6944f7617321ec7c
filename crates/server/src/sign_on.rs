//! People whose accounts are kept elsewhere: what becomes of them here.
//!
//! Who has proven to a directory or a provider who they are gets an account of the same name with
//! the roles of their groups, each time anew. An account belongs to one person for good: neither does
//! a directory take over an account that is there already, nor somebody else one whose name became
//! free.

mod id_token;
mod ldap;
mod oidc;

use std::sync::Arc;

use gofleet_api::ProblemCode;
use gofleet_core::account::{Account, AccountSource, Grant};
use gofleet_core::audit::By;
use gofleet_core::ids::AccountName;
use gofleet_storage::NewAccount;
use thiserror::Error;
use tracing::{info, warn};

pub use ldap::{Directory, LdapSetupError};
pub use oidc::{Answer as ProviderAnswer, LIFETIME, OidcSetupError, Provider};

use self::ldap::LdapFailure;
use self::oidc::OidcFailure;
use crate::authorization;
use crate::config::ServerConfig;
use crate::failure::{Answer, Failure, chain};
use crate::people::{self, is_reserved, kept_note};
use crate::state::AppState;

/// Somebody as a directory knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Their name there.
    pub name: AccountName,
    /// Their name in life.
    pub note: String,
    /// Where, and as which entry.
    pub source: AccountSource,
    /// The roles that their groups give.
    pub grants: Vec<Grant>,
}

/// Who is asked about people whose accounts are kept elsewhere.
#[derive(Default)]
pub struct SignOn {
    /// A directory.
    pub ldap: Option<Arc<Directory>>,
    /// A provider of single sign-on.
    pub oidc: Option<Provider>,
}

/// Why somebody can't be asked as the settings say.
#[derive(Debug, Error)]
pub enum SignOnError {
    /// The directory.
    #[error("the directory can't be asked")]
    Ldap(#[source] LdapSetupError),
    /// The provider.
    #[error("the provider can't be asked")]
    Oidc(#[source] OidcSetupError),
}

impl SignOn {
    /// As the settings say; asks nobody yet.
    ///
    /// # Errors
    ///
    /// [`SignOnError`] if a file that they name is of no use.
    pub fn new(config: &ServerConfig) -> Result<Self, SignOnError> {
        let ldap = config.ldap.clone().map(Directory::new).transpose();
        let oidc = config.oidc.clone().map(Provider::new).transpose();
        let ldap = ldap.map_err(SignOnError::Ldap)?.map(Arc::new);
        Ok(Self { ldap, oidc: oidc.map_err(SignOnError::Oidc)? })
    }
}

/// The account of somebody who comes back from the provider, and the page that they wanted to see.
///
/// # Errors
///
/// [`Failure`] if the provider's answer does not hold, or who it is may not come in. It stands in
/// the audit log then.
pub async fn by_provider(
    state: &AppState,
    provider: &Provider,
    answer: &ProviderAnswer,
    browser: &str,
    origin: Option<String>,
) -> Answer<(Account, String)> {
    let ended = provider.end(answer, browser, state.now()).await;
    let (name, failure) = match ended {
        Ok((known, next)) => {
            let name = known.name.clone();
            match admit(state, known, origin.clone()).await {
                Ok(account) => return Ok((account, next)),
                Err(failure) => (Some(name), failure),
            }
        }
        Err(failure) => (None, refused_by_provider(&failure)),
    };
    people::tell_refused(state, name, Some("oidc"), origin).await;
    Err(failure)
}

/// What whoever signs in is told; all of it stands in the server's log.
pub fn refused_by_provider(failure: &OidcFailure) -> Failure {
    warn!(error = chain(failure), "single sign-on failed");
    let (code, detail, hint) = match failure {
        OidcFailure::NoAnswer(_) | OidcFailure::Unreadable(_) => (
            ProblemCode::Unavailable,
            "single sign-on does not work just now",
            "accounts of this server still work, and so does the administrator's token; why stands \
             in the server's log",
        ),
        OidcFailure::UnknownLogin => (
            ProblemCode::Unauthenticated,
            "this login did not begin in this browser, or took too long, or has ended already",
            "begin again",
        ),
        OidcFailure::OtherIssuer(_)
        | OidcFailure::Refused(_)
        | OidcFailure::Unbelievable(_)
        | OidcFailure::NoName(_) => (
            ProblemCode::Unauthenticated,
            "the company's sign-on does not say who you are",
            "begin again; if it stays so, why stands in the server's log",
        ),
    };
    Failure::new(code, detail).with_hint(hint)
}

/// The account of somebody whose password is with the directory; none: the directory doesn't know
/// them, or by another password.
///
/// # Errors
///
/// [`Failure`] if the directory can't be asked, or who it is may not come in.
pub async fn by_directory(
    state: &AppState,
    directory: &Arc<Directory>,
    name: &AccountName,
    password: &str,
    origin: Option<String>,
) -> Answer<Option<Account>> {
    match directory.sign_in(name, password).await {
        Ok(Some(known)) => admit(state, known, origin).await.map(Some),
        Ok(None) => Ok(None),
        Err(failure) => {
            warn!(error = chain(&failure), "the directory could not be asked about a login");
            let detail = "the directory of the company does not answer";
            Err(Failure::new(ProblemCode::Unavailable, detail).with_hint(
                "accounts of this server still work, and so does the administrator's token; why \
                 the directory does not answer stands in the server's log",
            ))
        }
    }
}

/// The account of somebody who has proven who they are: made, or brought up to date.
async fn admit(state: &AppState, known: Known, origin: Option<String>) -> Answer<Account> {
    let accounts = state.storage().accounts().await?;
    let by = By::server().via(known.source.as_str()).from(origin);
    let present = accounts.iter().find(|it| it.name.key() == known.name.key());
    if is_reserved(&known.name) || present.is_some_and(|it| it.source != known.source) {
        let detail = format!("the account {} is somebody else's", known.name);
        return Err(Failure::new(ProblemCode::Conflict, detail).with_hint(
            "a security admin looks who that is (`gofleet account list`), and removes the account \
             if its owner is gone",
        ));
    }
    if let Some(other) = accounts.iter().find(|it| it.source == known.source)
        && other.name.key() != known.name.key()
    {
        let detail = format!("{} has the account {} already", known.name, other.name);
        return Err(Failure::new(ProblemCode::Conflict, detail)
            .with_hint("after a change of the name a security admin removes the old account"));
    }
    if present.is_some_and(|it| it.is_disabled) {
        let detail = format!("the account {} is disabled", known.name);
        return Err(Failure::new(ProblemCode::Forbidden, detail)
            .with_hint("a security admin can enable it: `gofleet account enable`"));
    }
    let grants = known.grants.clone();
    let account = match present {
        Some(account) => update(state, &by, account, &known.note, grants).await?,
        None if grants.is_empty() => return Err(without_role(state, &known.name)),
        None => add(state, &by, known).await?,
    };
    if account.grants.is_empty() {
        return Err(without_role(state, &account.name));
    }
    Ok(account)
}

fn without_role(state: &AppState, name: &AccountName) -> Failure {
    warn!(%name, at = %state.now(), "nobody gave a role to any of their groups");
    let detail = format!("you are {name}, but none of your groups has a role here");
    Failure::new(ProblemCode::Forbidden, detail).with_hint(
        "ask for the group in your company's directory, or a security admin of gofleet for a role \
         for one of yours",
    )
}

async fn add(state: &AppState, by: &By, known: Known) -> Answer<Account> {
    let Known { name, note, source, grants } = known;
    let account = Account {
        name,
        note: kept_note(&note),
        grants,
        is_disabled: false,
        must_change_password: false,
        source,
        by: by.name.clone(),
        changed_at: state.now(),
    };
    let new = NewAccount { account, password: None };
    let account = state.storage().add_account(by, new, state.now()).await?;
    authorization::reload(state).await?;
    Ok(account)
}

/// Writes what has changed, if anything has.
async fn update(
    state: &AppState,
    by: &By,
    account: &Account,
    note: &str,
    grants: Vec<Grant>,
) -> Answer<Account> {
    let note = kept_note(note);
    if account.grants == grants && account.note == note {
        return Ok(account.clone());
    }
    let apply = |account: &mut Account| (account.grants, account.note) = (grants, note);
    let account = state.storage().change_account(by, &account.name, apply, state.now()).await?;
    authorization::reload(state).await?;
    Ok(account)
}

/// Asks the directory again and again about all whom it vouched for, so that who leaves it, or one
/// of its groups, loses here what that gave. While it doesn't answer all stays as it was.
pub async fn keep_in_step(state: AppState) {
    if let Err(failure) = part_with_others(&state).await {
        let error = &failure.problem().detail;
        warn!(error, "accounts that nobody vouches for could not be looked through");
    }
    let Some(directory) = state.sign_on().ldap.clone() else { return };
    loop {
        tokio::select! {
            () = tokio::time::sleep(directory.refresh()) => {}
            () = state.stopping().cancelled() => return,
        }
        if let Err(failure) = ask_again(&state, &directory).await {
            warn!(error = failure.problem().detail, "the directory could not be asked again");
        }
    }
}

/// Takes the roles of accounts from whose directory or provider the settings name no more: nobody
/// could tell when their owners leave.
async fn part_with_others(state: &AppState) -> Answer<()> {
    let SignOn { ldap, oidc } = state.sign_on();
    for account in state.storage().accounts().await? {
        let is_vouched_for = match &account.source {
            AccountSource::Local => true,
            AccountSource::Ldap { .. } => ldap.is_some(),
            AccountSource::Oidc { subject } => {
                oidc.as_ref().is_some_and(|provider| provider.names(subject))
            }
        };
        if !is_vouched_for {
            let by = By::server().via(account.source.as_str());
            update(state, &by, &account, &account.note, Vec::new()).await?;
        }
    }
    Ok(())
}

async fn ask_again(state: &AppState, directory: &Arc<Directory>) -> Answer<()> {
    let by = By::server().via("ldap");
    for account in state.storage().accounts().await? {
        if !matches!(account.source, AccountSource::Ldap { .. }) || account.is_disabled {
            continue;
        }
        let found = match directory.find(&account.name).await {
            Ok(found) => found,
            Err(failure @ LdapFailure::NoAnswer(_)) => {
                return Err(Failure::new(ProblemCode::Unavailable, chain(&failure)));
            }
            // What is wrong with one entry keeps nobody else's roles from being looked at.
            Err(failure) => {
                let error = chain(&failure);
                warn!(error, name = %account.name, "the directory could not be asked again");
                continue;
            }
        };
        let (note, grants) = match found.filter(|known| known.source == account.source) {
            Some(known) => (known.note, known.grants),
            None => (account.note.clone(), Vec::new()),
        };
        if grants != account.grants {
            info!(name = %account.name, "the directory gives other roles than before");
        }
        update(state, &by, &account, &note, grants).await?;
    }
    Ok(())
}
