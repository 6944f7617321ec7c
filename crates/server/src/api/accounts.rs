//! Accounts, their passwords and their API tokens.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use gofleet_api::{
    Account, AccountChange, AccountRequest, ApiToken, ApiTokenRequest, FirstPassword, NewApiToken,
    PasswordRequest, Problem, ProblemCode, TokenLoginRequest, WhoAmI,
};
use gofleet_core::account::Permission;
use gofleet_core::audit::By;
use gofleet_core::ids::AccountName;
use utoipa_axum::routes;

use crate::access::{Access, Pace, Peer, Routes};
use crate::authentication::session_hash;
use crate::authorization::{CallingPerson, Permitted};
use crate::extract::{self, Path};
use crate::failure::{Answer, Failure};
use crate::people;
use crate::state::AppState;

pub fn routes() -> Routes {
    let own = Access::Person(Permission::Own);
    let change = Access::Person(Permission::ChangeAccounts);
    Routes::default()
        .add(own, Pace::Quick, routes!(who_am_i))
        .add(own, Pace::Quick, routes!(choose_password))
        .add(own, Pace::Quick, routes!(tokens, make_token))
        .add(own, Pace::Quick, routes!(revoke_token))
        .add(Access::Anyone, Pace::Quick, routes!(log_in))
        .add(Access::Person(Permission::ReadAccess), Pace::Quick, routes!(list))
        .add(change, Pace::Quick, routes!(add))
        .add(change, Pace::Quick, routes!(set, remove))
        .add(change, Pace::Quick, routes!(reset_password))
}

/// As whom this request is made.
#[utoipa::path(
    get, path = "/account", tag = "accounts",
    responses((status = 200, body = WhoAmI), (status = 401, body = Problem))
)]
async fn who_am_i(caller: CallingPerson) -> Json<WhoAmI> {
    let person = caller.person().clone();
    Json(WhoAmI { name: person.name, account: person.account, token: person.token })
}

/// Chooses a password for one's own account. Its other sessions end.
#[utoipa::path(
    put, path = "/account/password", tag = "accounts", request_body = PasswordRequest,
    responses(
        (status = 200, body = Account),
        (status = 400, body = Problem, description = "The new password is weak"),
        (status = 401, body = Problem, description = "The old password is wrong"),
        (status = 409, body = Problem, description = "There is no account"),
    )
)]
async fn choose_password(
    State(state): State<AppState>,
    caller: CallingPerson,
    Permitted(by): Permitted,
    headers: HeaderMap,
    extract::Json(request): extract::Json<PasswordRequest>,
) -> Answer<Json<Account>> {
    let account = own(&caller)?;
    let session = session_hash(&headers);
    let changed =
        people::choose_password(&state, (account, &by), session.as_ref(), request).await?;
    Ok(Json(changed))
}

/// One's own API tokens, without their texts.
#[utoipa::path(
    get, path = "/api-tokens", tag = "accounts",
    responses((status = 200, body = Vec<ApiToken>), (status = 401, body = Problem))
)]
async fn tokens(
    State(state): State<AppState>,
    caller: CallingPerson,
) -> Answer<Json<Vec<ApiToken>>> {
    let account = own(&caller)?;
    Ok(Json(state.storage().api_tokens(Some(&account.name), state.now()).await?))
}

/// Makes an API token for one's own account.
#[utoipa::path(
    post, path = "/api-tokens", tag = "accounts", request_body = ApiTokenRequest,
    responses(
        (status = 201, body = NewApiToken),
        (status = 400, body = Problem),
        (status = 403, body = Problem, description = "The token that was sent is for less"),
    )
)]
async fn make_token(
    State(state): State<AppState>,
    caller: CallingPerson,
    Permitted(by): Permitted,
    extract::Json(request): extract::Json<ApiTokenRequest>,
) -> Answer<(StatusCode, Json<NewApiToken>)> {
    let (account, proven_by) = (own(&caller)?, caller.person().token.as_ref());
    let made = people::make_token(&state, &by, account, proven_by, request).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Revokes an API token of one's own.
#[utoipa::path(
    delete, path = "/api-tokens/{id}", tag = "accounts", params(("id" = String, Path)),
    responses((status = 200, body = ApiToken), (status = 404, body = Problem))
)]
async fn revoke_token(
    State(state): State<AppState>,
    caller: CallingPerson,
    Permitted(by): Permitted,
    Path(id): Path<String>,
) -> Answer<Json<ApiToken>> {
    let account = own(&caller)?;
    let now = state.now();
    Ok(Json(state.storage().revoke_api_token(&by, &id, Some(&account.name), now).await?))
}

/// Logs in with a password, for an API token.
#[utoipa::path(
    post, path = "/session/token", tag = "session", request_body = TokenLoginRequest,
    responses(
        (status = 201, body = NewApiToken),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
    )
)]
async fn log_in(
    State(state): State<AppState>,
    Peer { address, .. }: Peer,
    extract::Json(request): extract::Json<TokenLoginRequest>,
) -> Answer<(StatusCode, Json<NewApiToken>)> {
    let TokenLoginRequest { account, password, token } = request;
    let account = people::by_password(&state, &account, &password, address.clone()).await?;
    let by = By::person(account.name.as_str()).via(account.source.as_str()).from(address);
    let made = people::make_token(&state, &by, &account, None, token).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Every account.
#[utoipa::path(
    get, path = "/accounts", tag = "accounts",
    responses((status = 200, body = Vec<Account>), (status = 403, body = Problem))
)]
async fn list(State(state): State<AppState>) -> Answer<Json<Vec<Account>>> {
    Ok(Json(state.storage().accounts().await?))
}

/// Makes an account, with a password that must be changed at the first login.
#[utoipa::path(
    post, path = "/accounts", tag = "accounts", request_body = AccountRequest,
    responses(
        (status = 201, body = FirstPassword),
        (status = 400, body = Problem),
        (status = 403, body = Problem),
        (status = 409, body = Problem, description = "There is an account of this name"),
    )
)]
async fn add(
    State(state): State<AppState>,
    caller: CallingPerson,
    extract::Json(request): extract::Json<AccountRequest>,
) -> Answer<(StatusCode, Json<FirstPassword>)> {
    Ok((StatusCode::CREATED, Json(people::add(&state, &caller, request).await?)))
}

/// Changes an account. One that is disabled loses its sessions and API tokens.
#[utoipa::path(
    put, path = "/accounts/{name}", tag = "accounts", params(("name" = AccountName, Path)),
    request_body = AccountChange,
    responses(
        (status = 200, body = Account),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
    )
)]
async fn set(
    State(state): State<AppState>,
    caller: CallingPerson,
    Path(name): Path<AccountName>,
    extract::Json(change): extract::Json<AccountChange>,
) -> Answer<Json<Account>> {
    people::change(&state, &caller, &name, change).await.map(Json)
}

/// Removes an account with its sessions and API tokens.
#[utoipa::path(
    delete, path = "/accounts/{name}", tag = "accounts", params(("name" = AccountName, Path)),
    responses(
        (status = 200, body = Account, description = "The account that there was"),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
    )
)]
async fn remove(
    State(state): State<AppState>,
    caller: CallingPerson,
    Path(name): Path<AccountName>,
) -> Answer<Json<Account>> {
    people::remove(&state, &caller, &name).await.map(Json)
}

/// Gives an account another first password, and ends its sessions and API tokens.
#[utoipa::path(
    post, path = "/accounts/{name}/password", tag = "accounts",
    params(("name" = AccountName, Path)),
    responses(
        (status = 200, body = FirstPassword),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
    )
)]
async fn reset_password(
    State(state): State<AppState>,
    caller: CallingPerson,
    Path(name): Path<AccountName>,
) -> Answer<Json<FirstPassword>> {
    people::reset_password(&state, &caller, &name).await.map(Json)
}

fn own(caller: &CallingPerson) -> Answer<&Account> {
    caller.person().account.as_ref().ok_or_else(|| {
        Failure::new(ProblemCode::Conflict, "the administrator's token belongs to no account")
            .with_hint("make an account: `gofleet account add NAME --role …`")
    })
}
