//! Who may talk to the server: the administrator, sessions, enrolment tokens, devices. Secrets
//! are known by their digests only.

use std::collections::BTreeSet;
use std::net::IpAddr;

use gofleet_core::audit::{Act, By};
use gofleet_core::digest::Digest;
use gofleet_core::enrolment::{OutOfScope, Scope};
use gofleet_core::event::Change;
use gofleet_core::facts::Facts;
use gofleet_core::hold::QuarantineCause;
use gofleet_core::ids::DeviceId;
use gofleet_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::audit::Record;
use crate::query::{Columns as _, During as _, to_json};
use crate::{EnrolError, Storage, StorageError};

/// A machine that is to become a device.
#[derive(Debug, Clone)]
pub struct NewDevice {
    /// Its name from now on.
    pub id: DeviceId,
    /// The digest of its public key.
    pub credential: Digest,
    /// What it tells of itself.
    pub facts: Facts,
}

/// An enrolment token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The digest of the secret.
    pub hash: Digest,
    /// For whom it is, in its maker's words.
    pub note: String,
    /// For which machines it is good.
    pub scope: Scope,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
    /// What it enrolled: a device or a distribution point.
    pub used_by: Option<String>,
}

impl Storage {
    /// The server's epoch: 1, until a restore raises it.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn epoch(&self) -> Result<u64, StorageError> {
        let value = self.meta("epoch").await?;
        Ok(value.and_then(|value| value.parse().ok()).unwrap_or(1))
    }

    /// The digest of the administrator's token, once there is one.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn admin_token(&self) -> Result<Option<Digest>, StorageError> {
        let value = self.meta("admin_token").await?;
        value
            .map(|it| it.parse().map_err(|error| crate::query::corrupt("digest", error)))
            .transpose()
    }

    /// Sets the digest of the administrator's token.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn set_admin_token(
        &self,
        token: &Digest,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut write = self.write(now).await?;
        sqlx::query(
            "INSERT INTO meta (name, value) VALUES ('admin_token', $1) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(token.to_string())
        .execute(&mut *write.transaction)
        .await
        .during("keep the administrator's token")?;
        write.commit(Record::act(&By::server(), now, Act::AdministratorTokenMade {})).await
    }

    async fn meta(&self, name: &'static str) -> Result<Option<String>, StorageError> {
        sqlx::query_scalar("SELECT value FROM meta WHERE name = $1")
            .bind(name)
            .fetch_optional(&self.readers)
            .await
            .during("read a setting")
    }

    /// Keeps a new enrolment token.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn add_token(
        &self,
        by: &By,
        token: &Digest,
        (note, scope): (&str, &Scope),
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut write = self.write(now).await?;
        sqlx::query(
            "INSERT INTO tokens (hash, note, created_at, expires_at, scope) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(token.to_string())
        .bind(note.to_owned())
        .bind(now.as_millis())
        .bind(expires_at.as_millis())
        .bind(to_json(scope))
        .execute(&mut *write.transaction)
        .await
        .during("keep a token")?;
        write.event(&Change::TokenCreated { expires_at }).await?;
        write.commit(Record::act(by, now, Act::token_created(token, note, scope, expires_at))).await
    }

    /// All enrolment tokens, newest first.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn tokens(&self) -> Result<Vec<Token>, StorageError> {
        let rows = sqlx::query("SELECT * FROM tokens ORDER BY created_at DESC, hash")
            .fetch_all(&self.readers)
            .await
            .during("list tokens")?;
        rows.iter().map(token).collect()
    }

    /// Makes a machine a device, and uses up the token; gives the device. Of many that come with
    /// one token at once, exactly one succeeds. Whoever has the key of a device is that device: the
    /// same request again (its answer was lost, say) changes nothing, and with another token the
    /// device is told anew who it is.
    ///
    /// # Errors
    ///
    /// [`EnrolError`] if the token does not serve.
    pub async fn enrol(
        &self,
        by: &By,
        token: &Digest,
        device: &NewDevice,
        now: Timestamp,
    ) -> Result<DeviceId, EnrolError> {
        let mut write = self.write(now).await?;
        let known: Option<String> = holder_of(&mut write, "devices", &device.credential).await?;
        let id = match &known {
            Some(id) => id.parse().map_err(|error| crate::query::corrupt("device", error))?,
            None => device.id.clone(),
        };
        let facts = write.with_collections(&id, &device.facts).await?;
        let used = use_token(&mut write, token, id.as_str(), |scope| {
            scope.admits(origin(by), &id, &facts)
        });
        let token = match used.await? {
            TokenUse::Repeated => return Ok(id),
            TokenUse::First(token) => token,
        };
        if known.is_none() {
            insert_device(&mut write, device).await?;
            if token.scope.needs_approval {
                let cause = QuarantineCause::AwaitsApproval { note: token.note };
                write.quarantine(&id, cause).await?;
            }
        }
        let act = Act::DeviceEnrolled {
            device: id.clone(),
            hostname: device.facts.hostname.clone(),
            platform: device.facts.platform.clone(),
        };
        write.commit(Record::act(by, now, act)).await?;
        Ok(id)
    }

    /// The device with this public key.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn device_by_credential(
        &self,
        credential: &Digest,
    ) -> Result<Option<DeviceId>, StorageError> {
        let row =
            sqlx::query("SELECT id FROM devices WHERE credential = $1 AND revoked_at IS NULL")
                .bind(credential.to_string())
                .fetch_optional(&self.readers)
                .await
                .during("look for a device")?;
        row.map(|row| row.parsed("id")).transpose()
    }
}

/// The address that somebody comes from.
pub(crate) fn origin(by: &By) -> Option<IpAddr> {
    by.origin.as_deref()?.parse().ok()
}

/// How a token was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenUse {
    /// For the first time.
    First(Token),
    /// Again by whoever used it up.
    Repeated,
}

/// Who has this public key, of devices or of distribution points.
pub(crate) async fn holder_of(
    write: &mut crate::write::Write<'_>,
    table: &'static str,
    credential: &Digest,
) -> Result<Option<String>, EnrolError> {
    let query = match table {
        "edges" => "SELECT id, revoked_at FROM edges WHERE credential = $1",
        _ => "SELECT id, revoked_at FROM devices WHERE credential = $1",
    };
    let row = sqlx::query(query)
        .bind(credential.to_string())
        .fetch_optional(&mut *write.transaction)
        .await
        .during("look for a key")?;
    match row {
        Some(row) if row.optional_time("revoked_at")?.is_some() => Err(EnrolError::Revoked),
        Some(row) => Ok(Some(row.text("id")?)),
        None => Ok(None),
    }
}

/// Uses up an enrolment token, for whatever enrols by this name, if its scope admits that.
pub(crate) async fn use_token(
    write: &mut crate::write::Write<'_>,
    token: &Digest,
    by: &str,
    is_admitted: impl FnOnce(&Scope) -> Result<(), OutOfScope>,
) -> Result<TokenUse, EnrolError> {
    let row = sqlx::query("SELECT * FROM tokens WHERE hash = $1")
        .bind(token.to_string())
        .fetch_optional(&mut *write.transaction)
        .await
        .during("look for a token")?;
    let found = self::token(&row.ok_or(EnrolError::UnknownToken)?)?;
    match &found.used_by {
        Some(earlier) if earlier == by => return Ok(TokenUse::Repeated),
        Some(earlier) => return Err(EnrolError::Used { by: earlier.clone() }),
        None => {}
    }
    if found.expires_at <= write.now {
        return Err(EnrolError::Expired { at: found.expires_at });
    }
    is_admitted(&found.scope).map_err(EnrolError::OutOfScope)?;
    sqlx::query("UPDATE tokens SET used_at = $2, used_by = $3 WHERE hash = $1")
        .bind(token.to_string())
        .bind(write.now.as_millis())
        .bind(by.to_owned())
        .execute(&mut *write.transaction)
        .await
        .during("use up a token")?;
    Ok(TokenUse::First(found))
}

async fn insert_device(
    write: &mut crate::write::Write<'_>,
    device: &NewDevice,
) -> Result<(), StorageError> {
    let NewDevice { id, credential, facts } = device;
    // Whatever a device says of its collections is not even kept.
    let facts = Facts { collections: BTreeSet::new(), ..facts.clone() };
    sqlx::query(
        "INSERT INTO devices (id, credential, hostname, platform, active, facts, enrolled_at, \
         last_seen, generation) VALUES ($1, $2, $3, $4, $5, $6, $7, $7, 0)",
    )
    .bind(id.to_string())
    .bind(credential.to_string())
    .bind(facts.hostname.clone())
    .bind(facts.platform.to_string())
    .bind(facts.active.clone())
    .bind(to_json(&facts))
    .bind(write.now.as_millis())
    .execute(&mut *write.transaction)
    .await
    .during("add a device")?;
    let hostname = facts.hostname.clone();
    write.event(&Change::DeviceEnrolled { device: id.clone(), hostname }).await
}

fn token(row: &sqlx::any::AnyRow) -> Result<Token, StorageError> {
    Ok(Token {
        hash: row.parsed("hash")?,
        note: row.text("note")?,
        scope: row.optional_json("scope")?.unwrap_or_default(),
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
        used_at: row.optional_time("used_at")?,
        used_by: row.optional_text("used_by")?,
    })
}
