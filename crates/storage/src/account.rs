//! Accounts of people, and what proves who they are: passwords, API tokens, sessions of the console.

use gofleet_core::account::{Account, ApiToken};
use gofleet_core::audit::{Act, By};
use gofleet_core::digest::Digest;
use gofleet_core::ids::AccountName;
use gofleet_core::time::Timestamp;
use sqlx::AnyConnection;

use crate::audit::Record;
use crate::query::{Columns as _, During as _, to_json};
use crate::write::Write;
use crate::{Storage, StorageError};

/// An account that is to be made.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The account.
    pub account: Account,
    /// Its password as an Argon2id hash in PHC form; without one nobody logs in by password.
    pub password: Option<String>,
}

/// What a login is checked against.
#[derive(Debug, Clone)]
pub struct Login {
    /// The account.
    pub account: Account,
    /// Its password as a hash in PHC form.
    pub password: Option<String>,
}

/// An open session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Whose it is; none: whoever held the administrator's token.
    pub account: Option<AccountName>,
}

impl Storage {
    /// Every account, in the order of their names.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn accounts(&self) -> Result<Vec<Account>, StorageError> {
        let rows = sqlx::query("SELECT body FROM accounts ORDER BY key")
            .fetch_all(&self.readers)
            .await
            .during("list accounts")?;
        rows.iter().map(|row| row.json("body")).collect()
    }

    /// What a login to this account is checked against, if there is such an account.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn login(&self, name: &AccountName) -> Result<Option<Login>, StorageError> {
        let row = sqlx::query("SELECT body, password FROM accounts WHERE key = $1")
            .bind(name.key())
            .fetch_optional(&self.readers)
            .await
            .during("look for an account")?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Login { account: row.json("body")?, password: row.optional_text("password")? }))
    }

    /// Makes an account.
    ///
    /// # Errors
    ///
    /// [`StorageError::AccountTaken`] if there is one of this name.
    pub async fn add_account(
        &self,
        by: &By,
        NewAccount { account, password }: NewAccount,
        now: Timestamp,
    ) -> Result<Account, StorageError> {
        let mut write = self.write(now).await?;
        if find(&mut write.transaction, &account.name).await?.is_some() {
            return Err(StorageError::AccountTaken(account.name));
        }
        sqlx::query("INSERT INTO accounts (key, password, body) VALUES ($1, $2, $3)")
            .bind(account.name.key())
            .bind(password)
            .bind(to_json(&account))
            .execute(&mut *write.transaction)
            .await
            .during("add an account")?;
        write.commit(Record::act(by, now, set(&account))).await?;
        Ok(account)
    }

    /// Writes an account anew, all but its password. One that may do nothing any more has no
    /// session and no token any more; nor has one whose directory gives it no role.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownAccount`] if there is none of this name.
    pub async fn change_account(
        &self,
        by: &By,
        name: &AccountName,
        change: impl FnOnce(&mut Account),
        now: Timestamp,
    ) -> Result<Account, StorageError> {
        let mut write = self.write(now).await?;
        let mut account = known(&mut write.transaction, name).await?;
        change(&mut account);
        (account.by, account.changed_at) = (by.name.clone(), now);
        write.put_account(&account).await?;
        if account.is_disabled || account.grants.is_empty() && !account.source.is_local() {
            write.end_sessions(name, None).await?;
            write.end_tokens(name).await?;
        }
        write.commit(Record::act(by, now, set(&account))).await?;
        Ok(account)
    }

    /// Removes an account with its sessions and tokens; gives the one that there was.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownAccount`] if there is none of this name.
    pub async fn remove_account(
        &self,
        by: &By,
        name: &AccountName,
        now: Timestamp,
    ) -> Result<Account, StorageError> {
        let mut write = self.write(now).await?;
        let account = known(&mut write.transaction, name).await?;
        sqlx::query("DELETE FROM accounts WHERE key = $1")
            .bind(name.key())
            .execute(&mut *write.transaction)
            .await
            .during("remove an account")?;
        write.end_sessions(name, None).await?;
        write.end_tokens(name).await?;
        let act = Act::AccountRemoved { account: account.name.clone() };
        write.commit(Record::act(by, now, act)).await?;
        Ok(account)
    }

    /// Sets the password of an account (its hash in PHC form) and ends its sessions but this one.
    /// Somebody else's password must be changed before anything else, and its tokens end too: who
    /// resets it does not trust what there was.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownAccount`] if there is none of this name.
    pub async fn set_password(
        &self,
        by: &By,
        name: &AccountName,
        password: &str,
        (session, must_change): (Option<&Digest>, bool),
        now: Timestamp,
    ) -> Result<Account, StorageError> {
        let mut write = self.write(now).await?;
        let mut account = known(&mut write.transaction, name).await?;
        account.must_change_password = must_change;
        (account.by, account.changed_at) = (by.name.clone(), now);
        write.put_account(&account).await?;
        sqlx::query("UPDATE accounts SET password = $2 WHERE key = $1")
            .bind(name.key())
            .bind(password.to_owned())
            .execute(&mut *write.transaction)
            .await
            .during("set a password")?;
        write.end_sessions(name, session).await?;
        if must_change {
            write.end_tokens(name).await?;
        }
        let act = Act::PasswordSet { account: account.name.clone() };
        write.commit(Record::act(by, now, act)).await?;
        Ok(account)
    }

    /// Keeps a new API token; its secret has this digest.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownAccount`] if its account is gone.
    pub async fn add_api_token(
        &self,
        by: &By,
        secret: &Digest,
        token: &ApiToken,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut write = self.write(now).await?;
        known(&mut write.transaction, &token.account).await?;
        sqlx::query("DELETE FROM api_tokens WHERE expires_at <= $1")
            .bind(now.as_millis())
            .execute(&mut *write.transaction)
            .await
            .during("forget old API tokens")?;
        sqlx::query(
            "INSERT INTO api_tokens (hash, id, account, expires_at, body) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(secret.to_string())
        .bind(token.id.clone())
        .bind(token.account.key())
        .bind(token.expires_at.as_millis())
        .bind(to_json(token))
        .execute(&mut *write.transaction)
        .await
        .during("keep an API token")?;
        let act = Act::ApiTokenCreated {
            token: token.id.clone(),
            account: token.account.clone(),
            roles: token.roles.clone(),
            expires_at: token.expires_at,
        };
        write.commit(Record::act(by, now, act)).await
    }

    /// The API tokens that are good at this time, of one account or of all, newest first.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn api_tokens(
        &self,
        account: Option<&AccountName>,
        now: Timestamp,
    ) -> Result<Vec<ApiToken>, StorageError> {
        let rows = sqlx::query(
            "SELECT body FROM api_tokens WHERE expires_at > $1 AND ($2 = '' OR account = $2)",
        )
        .bind(now.as_millis())
        .bind(account.map(AccountName::key).unwrap_or_default())
        .fetch_all(&self.readers)
        .await
        .during("list API tokens")?;
        let tokens: Result<Vec<ApiToken>, _> = rows.iter().map(|row| row.json("body")).collect();
        let mut tokens = tokens?;
        tokens.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| a.id.cmp(&b.id)));
        Ok(tokens)
    }

    /// The API token whose secret has this digest, if it is good.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn api_token(
        &self,
        secret: &Digest,
        now: Timestamp,
    ) -> Result<Option<ApiToken>, StorageError> {
        let row = sqlx::query("SELECT body FROM api_tokens WHERE hash = $1 AND expires_at > $2")
            .bind(secret.to_string())
            .bind(now.as_millis())
            .fetch_optional(&self.readers)
            .await
            .during("look for an API token")?;
        row.map(|row| row.json("body")).transpose()
    }

    /// Revokes an API token; gives it. If an account is named it must be that one's.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownApiToken`] if there is none of this id.
    pub async fn revoke_api_token(
        &self,
        by: &By,
        id: &str,
        account: Option<&AccountName>,
        now: Timestamp,
    ) -> Result<ApiToken, StorageError> {
        let mut write = self.write(now).await?;
        let row =
            sqlx::query("SELECT body FROM api_tokens WHERE id = $1 AND ($2 = '' OR account = $2)")
                .bind(id.to_owned())
                .bind(account.map(AccountName::key).unwrap_or_default())
                .fetch_optional(&mut *write.transaction)
                .await
                .during("look for an API token")?;
        let unknown = || StorageError::UnknownApiToken(id.to_owned());
        let token: ApiToken = row.ok_or_else(unknown)?.json("body")?;
        sqlx::query("DELETE FROM api_tokens WHERE id = $1")
            .bind(id.to_owned())
            .execute(&mut *write.transaction)
            .await
            .during("revoke an API token")?;
        let act = Act::ApiTokenRevoked { token: token.id.clone(), account: token.account.clone() };
        write.commit(Record::act(by, now, act)).await?;
        Ok(token)
    }

    /// Opens a session of the console for the secret with this digest; of an account, or of whoever
    /// held the administrator's token.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn add_session(
        &self,
        by: &By,
        session: &Digest,
        (account, expires_at): (Option<&AccountName>, Timestamp),
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut write = self.write(now).await?;
        sqlx::query("DELETE FROM sessions WHERE expires_at <= $1")
            .bind(now.as_millis())
            .execute(&mut *write.transaction)
            .await
            .during("forget old sessions")?;
        sqlx::query("INSERT INTO sessions (hash, expires_at, account) VALUES ($1, $2, $3)")
            .bind(session.to_string())
            .bind(expires_at.as_millis())
            .bind(account.map(AccountName::key))
            .execute(&mut *write.transaction)
            .await
            .during("open a session")?;
        // Without a session nobody could look, or stop everything, at the console.
        let act = Act::session_opened(session, expires_at);
        write.commit(Record::act_or_owe(by, now, act)).await
    }

    /// The session whose secret has this digest, if it is open.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn session(
        &self,
        session: &Digest,
        now: Timestamp,
    ) -> Result<Option<Session>, StorageError> {
        let row = sqlx::query("SELECT account FROM sessions WHERE hash = $1 AND expires_at > $2")
            .bind(session.to_string())
            .bind(now.as_millis())
            .fetch_optional(&self.readers)
            .await
            .during("look for a session")?;
        let Some(row) = row else { return Ok(None) };
        let account = row.optional_text("account")?;
        let account = account.map(|name| {
            name.parse().map_err(|error| crate::query::corrupt("account of a session", error))
        });
        Ok(Some(Session { account: account.transpose()? }))
    }

    /// Closes a session, if it is open.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn remove_session(
        &self,
        by: &By,
        session: &Digest,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut write = self.write(now).await?;
        let closed = sqlx::query("DELETE FROM sessions WHERE hash = $1")
            .bind(session.to_string())
            .execute(&mut *write.transaction)
            .await
            .during("close a session")?;
        if closed.rows_affected() == 0 {
            return Ok(());
        }
        write.commit(Record::act_or_owe(by, now, Act::session_closed(session))).await
    }
}

impl Write<'_> {
    async fn put_account(&mut self, account: &Account) -> Result<(), StorageError> {
        sqlx::query("UPDATE accounts SET body = $2 WHERE key = $1")
            .bind(account.name.key())
            .bind(to_json(account))
            .execute(&mut *self.transaction)
            .await
            .during("write an account")?;
        Ok(())
    }

    async fn end_sessions(
        &mut self,
        account: &AccountName,
        but: Option<&Digest>,
    ) -> Result<(), StorageError> {
        sqlx::query("DELETE FROM sessions WHERE account = $1 AND hash <> $2")
            .bind(account.key())
            .bind(but.map(ToString::to_string).unwrap_or_default())
            .execute(&mut *self.transaction)
            .await
            .during("end the sessions of an account")?;
        Ok(())
    }

    async fn end_tokens(&mut self, account: &AccountName) -> Result<(), StorageError> {
        sqlx::query("DELETE FROM api_tokens WHERE account = $1")
            .bind(account.key())
            .execute(&mut *self.transaction)
            .await
            .during("end the API tokens of an account")?;
        Ok(())
    }
}

fn set(account: &Account) -> Act {
    Act::AccountSet {
        account: account.name.clone(),
        grants: account.grants.clone(),
        is_disabled: account.is_disabled,
    }
}

async fn find(
    connection: &mut AnyConnection,
    name: &AccountName,
) -> Result<Option<Account>, StorageError> {
    let row = sqlx::query("SELECT body FROM accounts WHERE key = $1")
        .bind(name.key())
        .fetch_optional(connection)
        .await
        .during("look for an account")?;
    row.map(|row| row.json("body")).transpose()
}

async fn known(
    connection: &mut AnyConnection,
    name: &AccountName,
) -> Result<Account, StorageError> {
    let account = find(connection, name).await?;
    account.ok_or_else(|| StorageError::UnknownAccount(name.clone()))
}
