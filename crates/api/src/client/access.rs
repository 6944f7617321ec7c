//! What people ask about accounts, API tokens and rules.

use gofleet_core::account::{AccessDecision, Account, ApiToken, Rule};
use gofleet_core::ids::{AccountName, RuleName};
use gofleet_core::time::Timestamp;
use reqwest::Method;

use super::{Client, ClientError};
use crate::types::{
    AccountChange, AccountRequest, ApiTokenRequest, FirstPassword, NewApiToken, PasswordRequest,
    RuleDetail, RuleRequest, RuleTrial, TokenLoginRequest, WhoAmI,
};

/// Every function fails with [`ClientError::Problem`] where the server refuses, and with its
/// other variants where the server cannot be asked.
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
impl Client {
    /// As whom this client asks.
    pub async fn who_am_i(&self) -> Result<WhoAmI, ClientError> {
        self.ask(Method::GET, "/account").await
    }

    /// Logs in with a password, for an API token.
    pub async fn log_in(&self, request: &TokenLoginRequest) -> Result<NewApiToken, ClientError> {
        self.tell("/session/token", request).await
    }

    /// Chooses a password for one's own account.
    pub async fn choose_password(&self, request: &PasswordRequest) -> Result<Account, ClientError> {
        self.tell_by(Method::PUT, "/account/password", request).await
    }

    /// One's own API tokens.
    pub async fn api_tokens(&self) -> Result<Vec<ApiToken>, ClientError> {
        self.ask(Method::GET, "/api-tokens").await
    }

    /// Makes an API token for one's own account.
    pub async fn make_api_token(
        &self,
        request: &ApiTokenRequest,
    ) -> Result<NewApiToken, ClientError> {
        self.tell("/api-tokens", request).await
    }

    /// Revokes an API token of one's own.
    pub async fn revoke_api_token(&self, id: &str) -> Result<ApiToken, ClientError> {
        self.ask(Method::DELETE, &format!("/api-tokens/{id}")).await
    }

    /// Every account.
    pub async fn accounts(&self) -> Result<Vec<Account>, ClientError> {
        self.ask(Method::GET, "/accounts").await
    }

    /// Makes an account.
    pub async fn add_account(
        &self,
        request: &AccountRequest,
    ) -> Result<FirstPassword, ClientError> {
        self.tell("/accounts", request).await
    }

    /// Changes an account.
    pub async fn change_account(
        &self,
        name: &AccountName,
        change: &AccountChange,
    ) -> Result<Account, ClientError> {
        self.tell_by(Method::PUT, &format!("/accounts/{name}"), change).await
    }

    /// Removes an account; gives the one that there was.
    pub async fn remove_account(&self, name: &AccountName) -> Result<Account, ClientError> {
        self.ask(Method::DELETE, &format!("/accounts/{name}")).await
    }

    /// Gives an account another first password.
    pub async fn reset_password(&self, name: &AccountName) -> Result<FirstPassword, ClientError> {
        self.ask(Method::POST, &format!("/accounts/{name}/password")).await
    }

    /// Every rule.
    pub async fn rules(&self) -> Result<Vec<RuleDetail>, ClientError> {
        self.ask(Method::GET, "/rules").await
    }

    /// One rule.
    pub async fn rule(&self, name: &RuleName) -> Result<RuleDetail, ClientError> {
        self.ask(Method::GET, &format!("/rules/{name}")).await
    }

    /// Writes a rule.
    pub async fn set_rule(
        &self,
        name: &RuleName,
        request: &RuleRequest,
    ) -> Result<RuleDetail, ClientError> {
        self.tell_by(Method::PUT, &format!("/rules/{name}"), request).await
    }

    /// Deletes a rule; gives the one that there was.
    pub async fn delete_rule(&self, name: &RuleName) -> Result<Rule, ClientError> {
        self.ask(Method::DELETE, &format!("/rules/{name}")).await
    }

    /// What would have come of earlier requests if a rule had been in force.
    pub async fn try_rule(
        &self,
        name: &RuleName,
        request: &RuleRequest,
    ) -> Result<RuleTrial, ClientError> {
        self.tell(&format!("/rules/{name}/trial"), request).await
    }

    /// What was asked of the policies and what they said, newest first.
    pub async fn access_decisions(
        &self,
        since: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<AccessDecision>, ClientError> {
        let mut query = vec![("limit", limit.to_string())];
        query.extend(since.map(|since| ("since", since.to_string())));
        let request = self.request(Method::GET, "/access/decisions").query(&query);
        self.read(self.send(request).await?).await
    }
}
