//! Named collections of devices, and to which of them a device belongs.
//!
//! What stands in a device's facts about collections is never kept: it is dropped when the device
//! tells it, and written over whenever facts are read for a decision.

use gofleet_core::audit::{Act, By};
use gofleet_core::collection::{Collection, Collections, Members};
use gofleet_core::digest::Digest;
use gofleet_core::enrolment::Scope;
use gofleet_core::event::Change;
use gofleet_core::facts::Facts;
use gofleet_core::hold::Hold;
use gofleet_core::ids::{CollectionName, DeviceId};
use gofleet_core::rollout::{RingSize, RolloutSpec};
use gofleet_core::selector::Selector;
use gofleet_core::time::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::audit::Record;
use crate::query::{Columns as _, During as _, to_json};
use crate::write::Write;
use crate::{Storage, StorageError};

impl Storage {
    /// Every collection, in the order of their names.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn collections(&self) -> Result<Vec<Collection>, StorageError> {
        let mut reader = self.readers.acquire().await.during("begin to read")?;
        read(&mut reader).await
    }

    /// One collection.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownCollection`] if there is none of this name.
    pub async fn collection(&self, name: &CollectionName) -> Result<Collection, StorageError> {
        let mut reader = self.readers.acquire().await.during("begin to read")?;
        find(&mut reader, name).await?.ok_or_else(|| StorageError::UnknownCollection(name.clone()))
    }

    /// Writes who belongs to a collection, which is made if there is none of this name; gives it.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn set_collection(
        &self,
        by: &By,
        name: &CollectionName,
        (members, note): (Members, String),
        now: Timestamp,
    ) -> Result<Collection, StorageError> {
        let mut write = self.write(now).await?;
        let known = find(&mut write.transaction, name).await?;
        // It keeps the case in which it was named first: others have written it so.
        let name = known.map_or_else(|| name.clone(), |known| known.name);
        let (author, changed_at) = (by.name.clone(), now);
        let collection = Collection { name, members, note, by: author, changed_at };
        sqlx::query(
            "INSERT INTO collections (key, body) VALUES ($1, $2) \
             ON CONFLICT (key) DO UPDATE SET body = excluded.body",
        )
        .bind(collection.name.key())
        .bind(to_json(&collection))
        .execute(&mut *write.transaction)
        .await
        .during("keep a collection")?;
        let (name, author) = (collection.name.clone(), by.name.clone());
        write.event(&Change::CollectionSet { collection: name, by: author }).await?;
        let act = Act::CollectionSet {
            collection: collection.name.clone(),
            by: collection.members.kind().to_owned(),
            names: collection.members.names().map(|names| names.len() as u64),
            members: Digest::of(to_json(&collection.members).as_bytes()),
        };
        write.commit(Record::act(by, now, act)).await?;
        Ok(collection)
    }

    /// Deletes a collection; gives the one that there was.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownCollection`] if there is none of this name,
    /// [`StorageError::CollectionInUse`] if something asks for it.
    pub async fn delete_collection(
        &self,
        by: &By,
        name: &CollectionName,
        now: Timestamp,
    ) -> Result<Collection, StorageError> {
        let mut write = self.write(now).await?;
        let collection = find(&mut write.transaction, name)
            .await?
            .ok_or_else(|| StorageError::UnknownCollection(name.clone()))?;
        let users = users(&mut write.transaction, name, now).await?;
        if !users.is_empty() {
            return Err(StorageError::CollectionInUse { name: collection.name, users });
        }
        sqlx::query("DELETE FROM collections WHERE key = $1")
            .bind(name.key())
            .execute(&mut *write.transaction)
            .await
            .during("delete a collection")?;
        let (name, author) = (collection.name.clone(), by.name.clone());
        write.event(&Change::CollectionDeleted { collection: name.clone(), by: author }).await?;
        write.commit(Record::act(by, now, Act::CollectionDeleted { collection: name })).await?;
        Ok(collection)
    }

    /// What asks for a collection: rollouts that have not ended, holds, and enrolment tokens that
    /// can still be used, each in words.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn users_of_collection(
        &self,
        name: &CollectionName,
        now: Timestamp,
    ) -> Result<Vec<String>, StorageError> {
        let mut reader = self.readers.acquire().await.during("begin to read")?;
        users(&mut reader, name, now).await
    }

    /// The collections, ready to be asked.
    pub(crate) async fn ready_collections(&self) -> Result<Collections, StorageError> {
        Ok(Collections::new(&self.collections().await?))
    }
}

impl Write<'_> {
    /// The facts of a machine with the collections to which it would belong.
    pub(crate) async fn with_collections(
        &mut self,
        device: &DeviceId,
        facts: &Facts,
    ) -> Result<Facts, StorageError> {
        let mut facts = facts.clone();
        ready(&mut self.transaction).await?.fill(device, &mut facts);
        Ok(facts)
    }
}

/// The collections, ready to be asked.
pub(crate) async fn ready(connection: &mut AnyConnection) -> Result<Collections, StorageError> {
    Ok(Collections::new(&read(connection).await?))
}

/// The facts in a row about a device, with its collections.
pub(crate) fn facts(
    row: &AnyRow,
    device: &DeviceId,
    collections: &Collections,
) -> Result<Facts, StorageError> {
    let mut facts: Facts = row.json("facts")?;
    collections.fill(device, &mut facts);
    Ok(facts)
}

async fn read(connection: &mut AnyConnection) -> Result<Vec<Collection>, StorageError> {
    let rows = sqlx::query("SELECT body FROM collections ORDER BY key")
        .fetch_all(connection)
        .await
        .during("list collections")?;
    rows.iter().map(|row| row.json("body")).collect()
}

async fn find(
    connection: &mut AnyConnection,
    name: &CollectionName,
) -> Result<Option<Collection>, StorageError> {
    let row = sqlx::query("SELECT body FROM collections WHERE key = $1")
        .bind(name.key())
        .fetch_optional(connection)
        .await
        .during("read a collection")?;
    row.map(|row| row.json("body")).transpose()
}

async fn users(
    connection: &mut AnyConnection,
    name: &CollectionName,
    now: Timestamp,
) -> Result<Vec<String>, StorageError> {
    let asks = |text: &str| Selector::parse(text).is_ok_and(|it| it.asks_for(name));
    let mut users = Vec::new();
    let rollouts = sqlx::query(
        "SELECT id, spec FROM rollouts \
         WHERE state NOT IN ('completed', 'stopped', 'rolled_back') ORDER BY place",
    )
    .fetch_all(&mut *connection)
    .await
    .during("look who uses a collection")?;
    for row in &rollouts {
        let spec: RolloutSpec = row.json("spec")?;
        let in_a_ring = spec.rings.iter().any(|ring| match &ring.size {
            RingSize::Select(selector) => asks(selector),
            RingSize::Count(_) | RingSize::Percent(_) | RingSize::Rest => false,
        });
        if asks(&spec.devices) || in_a_ring {
            users.push(format!("rollout {} ({})", row.text("id")?, spec.name));
        }
    }
    let holds = sqlx::query("SELECT body FROM holds WHERE lifted_at IS NULL ORDER BY place")
        .fetch_all(&mut *connection)
        .await
        .during("look who uses a collection")?;
    for row in &holds {
        let hold: Hold = row.json("body")?;
        if !hold.has_ended(now) && asks(&hold.devices) {
            users.push(format!("hold {} ({})", hold.id, hold.reason));
        }
    }
    let tokens = sqlx::query("SELECT * FROM tokens WHERE used_by IS NULL AND expires_at > $1")
        .bind(now.as_millis())
        .fetch_all(connection)
        .await
        .during("look who uses a collection")?;
    for row in &tokens {
        let scope: Option<Scope> = row.optional_json("scope")?;
        if scope.is_some_and(|scope| asks(&scope.devices)) {
            users.push(format!("enrolment token {:.12}", row.text("hash")?));
        }
    }
    Ok(users)
}
