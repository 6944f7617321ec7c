//! The audit log: appended to within the transaction of each change, read by whoever verifies it.
//!
//! **When it can't be written** no change is made, but for the emergency stop, what the server does
//! on its account, and the sessions without which nobody could call it or look: those are owed to
//! the log (a setting beside it, in the same transaction) and told as soon as it can be written
//! again, with the time at which that was.

use std::sync::atomic::{AtomicBool, Ordering};

use gofleet_core::audit::{Act, Actor, AuditEntry, By, Deed, Head, Link, canonical};
use gofleet_core::digest::Digest;
use gofleet_core::time::Timestamp;
use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};
use tokio::sync::watch;

use crate::query::{Columns as _, During as _, from_i64, from_json, to_i64, to_json};
use crate::write::Write;
use crate::{Storage, StorageError};

/// Which entries are wanted.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only entries before this one.
    pub before: Option<u64>,
    /// Only those of actors of this kind or name; empty: of all.
    pub actor: String,
    /// Only those with this action, or with one that begins with it and a dot; empty: with any.
    pub action: String,
}

/// What the log is told of a change.
pub(crate) enum Record {
    /// That these were done. There is no other way to say that something was done than this one,
    /// and no way to commit without saying one or the other.
    Deeds(Vec<Deed>, IfUnwritable),
    /// Nothing, since nobody decided anything.
    Routine(Routine),
}

impl Record {
    /// That one thing was done.
    pub fn act(by: &By, at: Timestamp, act: Act) -> Self {
        Self::Deeds(vec![Deed { at, by: by.clone(), act }], IfUnwritable::Refuse)
    }

    /// The same for what must be possible without the log.
    pub fn act_or_owe(by: &By, at: Timestamp, act: Act) -> Self {
        Self::Deeds(vec![Deed { at, by: by.clone(), act }], IfUnwritable::Owe)
    }
}

/// What becomes of a change that the log cannot be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfUnwritable {
    /// It is not made.
    Refuse,
    /// It is made, and the log is told as soon as it can be.
    Owe,
}

/// Changes that nobody decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Routine {
    /// A device or distribution point was heard, and told of itself.
    Heard,
    /// The server prepared a release that is in the catalog, or lost what it had prepared.
    Prepared,
    /// The server learned what is normal.
    Learned,
    /// A hook was told of what is in the log.
    Told,
    /// The server signed anew what it has signed before, for its time was over soon.
    Renewed,
    /// A rollout went on as was decided before: orders, silence.
    Advanced,
    /// What was forecast of a rollout was kept.
    Forecast,
    /// Somebody was permitted to do what the log is told of when it is done.
    Permitted,
}

/// What this process knows of the log beside the database.
#[derive(Debug)]
pub(crate) struct Chain {
    /// How far it has gone. An append compares it with the table: whoever cuts the table's end
    /// under a running server is found by the next change.
    known: watch::Sender<Link>,
    /// Whether something is owed to it.
    is_owing: AtomicBool,
}

impl Chain {
    /// As the database has it.
    pub async fn read(connection: &mut AnyConnection) -> Result<Self, StorageError> {
        let link = last(connection).await?;
        let is_owing = !owed(connection).await?.is_empty();
        Ok(Self { known: watch::Sender::new(link), is_owing: AtomicBool::new(is_owing) })
    }

    fn appended(&self, link: Link) {
        self.is_owing.store(false, Ordering::SeqCst);
        self.known.send_replace(link);
    }
}

/// What a transaction has for the log, to be made known once it is committed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Telling {
    Nothing,
    Appended(Link),
    Owed,
}

impl Storage {
    /// How far the log goes, as far as this process knows: the receiver wakes after each entry.
    pub fn audit_links(&self) -> watch::Receiver<Link> {
        self.chain.known.subscribe()
    }

    /// The log is known to have gone so far: a head that was kept beside the database says so. The
    /// answer says whether it has.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn expect_audit(&self, link: Link) -> Result<bool, StorageError> {
        let mut reader = self.readers.acquire().await.during("begin to read")?;
        let has = contains(&mut reader, link).await?;
        if !has {
            self.chain.known.send_replace(link);
        }
        Ok(has)
    }

    /// How far the log goes. If entries were lost, this is how far it went before.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn audit_head(&self) -> Result<Head, StorageError> {
        let mut reader = self.readers.acquire().await.during("begin to read")?;
        let known = *self.chain.known.borrow();
        let link = match contains(&mut reader, known).await? {
            true => last(&mut reader).await?,
            false => known,
        };
        drop(reader);
        Ok(Head { count: link.count, hash: link.hash, epoch: self.epoch().await? })
    }

    /// Whether everything that was done stands in the log, as far as this process knows.
    pub fn is_audit_healthy(&self) -> bool {
        !self.chain.is_owing.load(Ordering::SeqCst)
    }

    /// At most `limit` entries that are wanted, newest first.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn audit_entries(
        &self,
        filter: &AuditFilter,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StorageError> {
        let rows = sqlx::query(
            "SELECT * FROM audit WHERE sequence < $1 AND ($2 = '' OR actor = $2 OR kind = $2) \
             AND ($3 = '' OR action = $3 OR substr(action, 1, length($3) + 1) = $3 || '.') \
             ORDER BY sequence DESC LIMIT $4",
        )
        .bind(filter.before.map_or(i64::MAX, to_i64))
        .bind(filter.actor.clone())
        .bind(filter.action.clone())
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await
        .during("list the audit log")?;
        Ok(rows.iter().map(entry).collect())
    }

    /// At most `limit` entries after that of `sequence`, oldest first. What was tampered with is
    /// handed out as it is, and fails the verification.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn audit_since(
        &self,
        sequence: u64,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StorageError> {
        let rows =
            sqlx::query("SELECT * FROM audit WHERE sequence > $1 ORDER BY sequence LIMIT $2")
                .bind(to_i64(sequence))
                .bind(i64::from(limit))
                .fetch_all(&self.readers)
                .await
                .during("read the audit log")?;
        Ok(rows.iter().map(entry).collect())
    }

    /// Tells the log of something that changes nothing in the database.
    ///
    /// # Errors
    ///
    /// [`StorageError::Audit`] if the log cannot be written.
    pub async fn record(&self, by: &By, act: Act, now: Timestamp) -> Result<(), StorageError> {
        self.write(now).await?.commit(Record::act(by, now, act)).await
    }

    /// Tells the log what is owed to it, and what it has lost; does nothing if that is nothing.
    ///
    /// # Errors
    ///
    /// [`StorageError::Audit`] if the log cannot be written.
    pub async fn settle_audit(&self, now: Timestamp) -> Result<(), StorageError> {
        let known = *self.chain.known.borrow();
        let mut reader = self.readers.acquire().await.during("begin to read")?;
        let is_whole = contains(&mut reader, known).await?;
        drop(reader);
        if is_whole && !self.chain.is_owing.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.write(now).await?.commit(Record::Deeds(Vec::new(), IfUnwritable::Refuse)).await
    }

    /// What a committed transaction had for the log is known from now on.
    pub(crate) fn told(&self, telling: Telling) {
        match telling {
            Telling::Nothing => {}
            Telling::Appended(link) => self.chain.appended(link),
            Telling::Owed => self.chain.is_owing.store(true, Ordering::SeqCst),
        }
    }
}

impl Write<'_> {
    /// Tells the log, as part of this transaction.
    pub(crate) async fn tell(&mut self, record: Record) -> Result<Telling, StorageError> {
        let (deeds, if_unwritable) = match record {
            Record::Routine(
                Routine::Heard
                | Routine::Prepared
                | Routine::Learned
                | Routine::Told
                | Routine::Renewed
                | Routine::Advanced
                | Routine::Forecast
                | Routine::Permitted,
            ) => {
                return Ok(Telling::Nothing);
            }
            Record::Deeds(deeds, if_unwritable) => (deeds, if_unwritable),
        };
        // What fails within a savepoint leaves the rest of the transaction as it is.
        self.run("SAVEPOINT audit").await?;
        match self.append(&deeds).await {
            Ok(link) => {
                self.run("RELEASE SAVEPOINT audit").await?;
                Ok(Telling::Appended(link))
            }
            Err(source) if if_unwritable == IfUnwritable::Refuse => {
                Err(StorageError::Audit { source: Box::new(source) })
            }
            Err(_) => {
                self.run("ROLLBACK TO SAVEPOINT audit").await?;
                self.owe(deeds).await?;
                Ok(Telling::Owed)
            }
        }
    }

    async fn run(&mut self, statement: &'static str) -> Result<(), StorageError> {
        sqlx::query(statement)
            .execute(&mut *self.transaction)
            .await
            .during("begin to write the audit log")?;
        Ok(())
    }

    /// Appends what was lost, what is owed, and what is done.
    async fn append(&mut self, deeds: &[Deed]) -> Result<Link, StorageError> {
        let found = last(&mut self.transaction).await?;
        let known = *self.storage.chain.known.borrow();
        let mut link = found;
        if !contains(&mut self.transaction, known).await? {
            let act = Act::HistoryLost { known, found };
            let deed = Deed { at: self.now, by: By::server(), act };
            link = self.insert(AuditEntry::following(link, &deed, None)).await?;
        }
        for deed in owed(&mut self.transaction).await? {
            link = self.insert(AuditEntry::following(link, &deed, Some(self.now))).await?;
        }
        sqlx::query("DELETE FROM meta WHERE name = 'audit_owed'")
            .execute(&mut *self.transaction)
            .await
            .during("settle what is owed to the audit log")?;
        for deed in deeds {
            link = self.insert(AuditEntry::following(link, deed, None)).await?;
        }
        Ok(link)
    }

    async fn insert(&mut self, entry: AuditEntry) -> Result<Link, StorageError> {
        let link = entry.link();
        sqlx::query(
            "INSERT INTO audit (sequence, at, told_at, kind, actor, via, origin, action, subject, \
             details, previous, hash, ticket) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(to_i64(entry.sequence))
        .bind(entry.at.as_millis())
        .bind(entry.told_at.map(Timestamp::as_millis))
        .bind(entry.actor.kind)
        .bind(entry.actor.name)
        .bind(entry.via)
        .bind(entry.origin)
        .bind(entry.action)
        .bind(entry.subject)
        .bind(canonical(&entry.details).unwrap_or_else(|_| to_json(&entry.details)))
        .bind(entry.previous.to_string())
        .bind(entry.hash.to_string())
        .bind(entry.ticket)
        .execute(&mut *self.transaction)
        .await
        .during("append to the audit log")?;
        Ok(link)
    }

    /// Keeps aside what the log cannot be told now.
    async fn owe(&mut self, deeds: Vec<Deed>) -> Result<(), StorageError> {
        let mut all = owed(&mut self.transaction).await?;
        all.extend(deeds);
        sqlx::query(
            "INSERT INTO meta (name, value) VALUES ('audit_owed', $1) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(to_json(&all))
        .execute(&mut *self.transaction)
        .await
        .during("keep what is owed to the audit log")?;
        Ok(())
    }
}

/// The end of the log that the table holds.
async fn last(connection: &mut AnyConnection) -> Result<Link, StorageError> {
    let row = sqlx::query("SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1")
        .fetch_optional(connection)
        .await
        .during("read the end of the audit log")?;
    let link = |row: AnyRow| Link { count: number(&row, "sequence"), hash: digest(&row, "hash") };
    Ok(row.map_or(Link::START, link))
}

/// Whether the table's log went so far, or goes beyond.
async fn contains(connection: &mut AnyConnection, link: Link) -> Result<bool, StorageError> {
    if link.count == 0 {
        return Ok(true);
    }
    let hash: Option<String> = sqlx::query_scalar("SELECT hash FROM audit WHERE sequence = $1")
        .bind(to_i64(link.count))
        .fetch_optional(connection)
        .await
        .during("look for an entry of the audit log")?;
    Ok(hash == Some(link.hash.to_string()))
}

/// What is owed to the log, oldest first.
async fn owed(connection: &mut AnyConnection) -> Result<Vec<Deed>, StorageError> {
    let value: Option<String> =
        sqlx::query_scalar("SELECT value FROM meta WHERE name = 'audit_owed'")
            .fetch_optional(connection)
            .await
            .during("read what is owed to the audit log")?;
    value.map_or(Ok(Vec::new()), |value| from_json(&value, "debt to the audit log"))
}

/// An entry as its row has it. A row that was tampered with must not keep the others from being
/// read: what can't be read is told as something that can't have been written.
fn entry(row: &AnyRow) -> AuditEntry {
    let time = |column| row.optional_time(column).unwrap_or_default();
    let text = |column| row.optional_text(column).unwrap_or_default();
    AuditEntry {
        sequence: number(row, "sequence"),
        at: time("at").unwrap_or(Timestamp::from_millis(0)),
        told_at: time("told_at"),
        actor: Actor {
            kind: text("kind").unwrap_or_default(),
            name: text("actor").unwrap_or_default(),
        },
        via: text("via"),
        origin: text("origin"),
        ticket: text("ticket"),
        action: text("action").unwrap_or_default(),
        subject: text("subject"),
        details: details(text("details").unwrap_or_default()),
        previous: digest(row, "previous"),
        hash: digest(row, "hash"),
    }
}

fn number(row: &AnyRow, column: &'static str) -> u64 {
    row.try_get(column).map(from_i64).unwrap_or(0)
}

/// Digests are written in one way; no entry has another's.
fn digest(row: &AnyRow, column: &'static str) -> Digest {
    let text = row.text(column).unwrap_or_default();
    let digest: Option<Digest> = text.parse().ok();
    digest.filter(|digest| digest.to_string() == text).unwrap_or(Link::START.hash)
}

/// Details are written in one form; what has another is told as text, whose hash is another.
fn details(text: String) -> Value {
    let value: Option<Value> = serde_json::from_str(&text).ok();
    let value = value.filter(|value| canonical(value).ok().as_ref() == Some(&text));
    value.unwrap_or(Value::String(text))
}
