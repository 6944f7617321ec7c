//! Who may do what: accounts, rules, and what was decided by them; and one's own account.

use askama::Template;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use gofleet_api::{
    AccessDecision, Account, ApiTokenRequest, NewApiToken, PasswordRequest, ProblemCode, RuleDetail,
};
use gofleet_core::account::{AccountSource, MIN_PASSWORD_CHARS, Permission, Subject};
use gofleet_core::time::Timestamp;
use serde::Deserialize;

use super::format::Moment;
use super::pieces::{Fact, Section, Shell, quoted, sentences};
use super::session::{Myself, Visitor};
use super::{Reply, refused, render};
use crate::authentication::session_hash;
use crate::authorization::CallingPerson;
use crate::failure::Failure;
use crate::state::AppState;
use crate::{people, rules};

/// Decisions on the page.
const SHOWN: u32 = 50;

/// An account in the list.
struct AccountRow {
    name: String,
    note: String,
    grants: String,
    state: &'static str,
    by: String,
    changed: Moment,
}

/// A rule in the list.
struct RuleRow {
    name: String,
    message: String,
    standards: String,
    refused: u64,
    text: String,
    by: String,
    changed: Moment,
    is_built_in: bool,
}

/// A decision in the list.
struct DecisionRow {
    at: Moment,
    by: String,
    permission: &'static str,
    subject: String,
    ticket: String,
    /// Why it was refused; empty if it was not.
    refusal: String,
}

/// `access.html`
#[derive(Template)]
#[template(path = "access.html")]
pub(super) struct AccessPage {
    shell: Shell,
    accounts: Vec<AccountRow>,
    rules: Vec<RuleRow>,
    decisions: Vec<DecisionRow>,
}

/// `GET /access`
pub(super) async fn page(State(state): State<AppState>, Visitor(caller): Visitor) -> Reply {
    caller.may(&state, Permission::ReadAccess, Subject::Fleet {}).await?;
    let accounts = state.storage().accounts().await?;
    let rules = rules::list(&state).await?;
    let decisions = state.storage().access_decisions(Timestamp::from_millis(0), SHOWN).await?;
    render(&AccessPage::new(accounts, rules, decisions, state.now()))
}

impl AccessPage {
    pub(super) fn new(
        accounts: Vec<Account>,
        rules: Vec<RuleDetail>,
        decisions: Vec<AccessDecision>,
        now: Timestamp,
    ) -> Self {
        let account = |account: Account| AccountRow {
            name: account.name.to_string(),
            note: account.note,
            grants: list(account.grants.iter().map(ToString::to_string)),
            state: match (account.is_disabled, account.must_change_password, account.source) {
                (true, ..) => "disabled",
                (false, true, _) => "has not chosen a password",
                (false, false, AccountSource::Local) => "active",
                (false, false, AccountSource::Ldap { .. }) => "active, of the directory",
                (false, false, AccountSource::Oidc { .. }) => "active, by single sign-on",
            },
            by: account.by,
            changed: Moment::new(account.changed_at, now),
        };
        let rule = |detail: RuleDetail| RuleRow {
            name: detail.rule.name.to_string(),
            message: sentences(&[&detail.message]),
            standards: detail.standards.join(", "),
            refused: detail.refused,
            text: detail.rule.text.trim().to_owned(),
            by: detail.rule.by,
            changed: Moment::new(detail.rule.changed_at, now),
            is_built_in: detail.is_built_in,
        };
        let decision = |AccessDecision { request, refusal }| DecisionRow {
            at: Moment::new(request.circumstances.at, now),
            by: request.by,
            permission: request.permission.as_str(),
            subject: request.subject.to_string(),
            ticket: request.circumstances.ticket,
            refusal: refusal.map(|it| quoted(&it.to_string())).unwrap_or_default(),
        };
        Self {
            shell: Shell::new("Access", Some(Section::Access)),
            accounts: accounts.into_iter().map(account).collect(),
            rules: rules.into_iter().map(rule).collect(),
            decisions: decisions.into_iter().map(decision).collect(),
        }
    }
}

fn list(texts: impl Iterator<Item = String>) -> String {
    let texts: Vec<String> = texts.collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
}

/// `account.html`
#[derive(Template)]
#[template(path = "account.html")]
pub(super) struct AccountPage {
    shell: Shell,
    name: String,
    facts: Vec<Fact>,
    /// Whether there is a password to choose.
    has_account: bool,
    must_change: bool,
    is_changed: bool,
    min_chars: usize,
    /// Whether there is an account for which tokens are made.
    has_tokens: bool,
    /// A token that was made just now, and until when it is good.
    made: Option<(String, String)>,
}

impl AccountPage {
    fn new(caller: &CallingPerson) -> Self {
        let person = caller.person();
        let facts = match &person.account {
            None => vec![Fact::new("Signed in with", "the administrator's token".to_owned())],
            Some(account) => vec![
                Fact::new("Roles", list(account.grants.iter().map(ToString::to_string))),
                Fact::new("Whose it is", account.note.clone()),
            ],
        };
        Self {
            shell: Shell::new("Account", None),
            name: person.name.clone(),
            facts,
            has_account: person.account.as_ref().is_some_and(|it| it.source.is_local()),
            must_change: person.account.as_ref().is_some_and(|it| it.must_change_password),
            is_changed: false,
            min_chars: MIN_PASSWORD_CHARS,
            has_tokens: person.account.is_some(),
            made: None,
        }
    }
}

/// `GET /account`
pub(super) async fn account(Myself(caller): Myself) -> Reply {
    render(&AccountPage::new(&caller))
}

/// What the form for a token sends.
#[derive(Deserialize)]
pub(super) struct TokenForm {
    #[serde(default)]
    note: String,
}

/// `POST /account/token`
pub(super) async fn make_token(
    State(state): State<AppState>,
    Myself(caller): Myself,
    Form(TokenForm { note }): Form<TokenForm>,
) -> Reply {
    let mut page = AccountPage::new(&caller);
    match token(&state, &caller, note).await {
        Ok(made) => {
            page.made = Some((made.secret, made.token.expires_at.to_string()));
            render(&page)
        }
        Err(failure) => {
            let status: StatusCode = refused(&mut page.shell, &failure);
            Ok((status, render(&page)?).into_response())
        }
    }
}

async fn token(
    state: &AppState,
    caller: &CallingPerson,
    note: String,
) -> Result<NewApiToken, Failure> {
    let by = caller.may(state, Permission::Own, Subject::Fleet {}).await?;
    let account = own(caller)?;
    let request = ApiTokenRequest { note, ..ApiTokenRequest::default() };
    people::make_token(state, &by, account, caller.person().token.as_ref(), request).await
}

fn own(caller: &CallingPerson) -> Result<&Account, Failure> {
    caller.person().account.as_ref().ok_or_else(|| {
        let detail = "the administrator's token belongs to no account";
        Failure::new(ProblemCode::Conflict, detail)
    })
}

/// What the form for a password sends.
#[derive(Deserialize)]
pub(super) struct PasswordForm {
    old: String,
    new: String,
    again: String,
}

/// `POST /account`
pub(super) async fn choose_password(
    State(state): State<AppState>,
    Myself(caller): Myself,
    headers: HeaderMap,
    Form(form): Form<PasswordForm>,
) -> Reply {
    let mut page = AccountPage::new(&caller);
    match chosen(&state, &caller, &headers, form).await {
        Ok(()) => {
            (page.is_changed, page.must_change) = (true, false);
            render(&page)
        }
        Err(failure) => {
            let status: StatusCode = refused(&mut page.shell, &failure);
            Ok((status, render(&page)?).into_response())
        }
    }
}

async fn chosen(
    state: &AppState,
    caller: &CallingPerson,
    headers: &HeaderMap,
    PasswordForm { old, new, again }: PasswordForm,
) -> Result<(), Failure> {
    let by = caller.may(state, Permission::Own, Subject::Fleet {}).await?;
    let account = own(caller)?;
    if new != again {
        let detail = "the two new passwords differ";
        return Err(Failure::new(ProblemCode::InvalidRequest, detail));
    }
    let (session, request) = (session_hash(headers), PasswordRequest { old, new });
    people::choose_password(state, (account, &by), session.as_ref(), request).await?;
    Ok(())
}
