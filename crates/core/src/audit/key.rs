//! Heads under a signature, in the form of C2SP's signed notes and checkpoints.
//!
//! ```text
//! gofleet/audit/8c2a6f0b1d3e4f57          the log, which is the key's name
//! 412                                     the number of entries
//! UrTXbn…                                 the hash of the last, in base64
//! epoch 1                                 the epoch of the database
//!
//! — gofleet/audit/8c2a6f0b1d3e4f57 4WJ…   Ed25519, in base64 behind four bytes that name the key
//! ```
//!
//! Programs that read signed notes verify the signature with the key in the form that they know
//! (`name+digits+base64`). Where a checkpoint has the root of a Merkle tree, the last hash of the
//! chain stands: proofs of inclusion, which such a tree gives, can't be asked of a chain.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::Head;
use crate::digest::Digest;

/// What every log's name begins with.
const NAME: &str = "gofleet/audit/";
/// Names Ed25519 among the algorithms of signed notes.
const ED25519: u8 = 1;

/// What signs the heads of one log.
#[derive(Clone)]
pub struct AuditSigner(SigningKey);

impl AuditSigner {
    /// The signer of this seed: 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The key by which its signatures are verified.
    pub fn key(&self) -> AuditKey {
        AuditKey(self.0.verifying_key())
    }

    /// A head under its signature.
    pub fn sign(&self, head: &Head) -> String {
        let key = self.key();
        let text = text(&key.name(), head);
        let mut signature = key.id().to_vec();
        signature.extend(self.0.sign(text.as_bytes()).to_bytes());
        format!("{text}\n— {} {}\n", key.name(), STANDARD.encode(signature))
    }
}

impl fmt::Debug for AuditSigner {
    /// Without the key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("AuditSigner").field(&self.key().name()).finish_non_exhaustive()
    }
}

fn text(name: &str, head: &Head) -> String {
    let hash = STANDARD.encode(head.hash.as_bytes());
    format!("{name}\n{}\n{hash}\nepoch {}\n", head.count, head.epoch)
}

/// What the signatures of one log are verified by; written as signed notes do:
/// `gofleet/audit/8c2a6f0b1d3e4f57+e16c9b3a+AQ…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditKey(VerifyingKey);

/// The text is no key of an audit log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not the key of an audit log: `{0}` (expected one like gofleet/audit/…+01234567+AQ…)")]
pub struct InvalidKey(String);

impl AuditKey {
    /// The log's name: it follows from the key, so that no two logs share one.
    pub fn name(&self) -> String {
        format!("{NAME}{}", &Digest::of(self.0.as_bytes()).to_string()[..16])
    }

    /// The four bytes that name the key in a signature.
    fn id(&self) -> [u8; 4] {
        let hash = Sha256::new()
            .chain_update(self.name())
            .chain_update([b'\n', ED25519])
            .chain_update(self.0.as_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// The head in a note that this key's log signed.
    ///
    /// # Errors
    ///
    /// [`HeadError`] if the note has another form, another signer or another text than was signed.
    pub fn open(&self, note: &str) -> Result<Head, HeadError> {
        // Of a text with lines of its own the last empty line is the one that ends it.
        let (lines, signatures) = note.rsplit_once("\n\n").ok_or(HeadError::Form)?;
        let lines = format!("{lines}\n");
        let head = read(&lines).ok_or(HeadError::Form)?;
        let (name, id) = (self.name(), self.id());
        let ours = signatures.lines().find_map(|line| {
            let (signer, signature) = line.strip_prefix("— ")?.split_once(' ')?;
            let bytes = STANDARD.decode(signature).ok()?;
            let signature = bytes.strip_prefix(&id)?;
            (signer == name).then(|| Signature::from_slice(signature).ok())?
        });
        let signature = ours.ok_or_else(|| HeadError::Signer { expected: name.clone() })?;
        self.0.verify_strict(lines.as_bytes(), &signature).map_err(|_| HeadError::Signature)?;
        // What was signed is what is read: there is one way only to write a head.
        if lines == text(&name, &head) { Ok(head) } else { Err(HeadError::Form) }
    }
}

/// The head in a note's lines.
fn read(lines: &str) -> Option<Head> {
    let mut lines = lines.lines().skip(1);
    let count = lines.next()?.parse().ok()?;
    let hash = STANDARD.decode(lines.next()?).ok()?;
    let epoch = lines.next()?.strip_prefix("epoch ")?.parse().ok()?;
    Some(Head { count, hash: Digest::from_bytes(hash.try_into().ok()?), epoch })
}

impl fmt::Display for AuditKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u32::from_be_bytes(self.id());
        let mut key = vec![ED25519];
        key.extend(self.0.as_bytes());
        write!(formatter, "{}+{id:08x}+{}", self.name(), STANDARD.encode(key))
    }
}

impl FromStr for AuditKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let parse = || {
            // Base64 may hold a `+` itself.
            let bytes = STANDARD.decode(text.splitn(3, '+').nth(2)?).ok()?;
            let key: &[u8; 32] = bytes.strip_prefix(&[ED25519])?.try_into().ok()?;
            let key = Self(VerifyingKey::from_bytes(key).ok()?);
            // Name and digits follow from the key; others are those of another one.
            (key.to_string() == text).then_some(key)
        };
        parse().ok_or_else(|| InvalidKey(text.chars().take(120).collect()))
    }
}

/// A note is no head that this key's log signed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HeadError {
    /// It has not the form of one.
    #[error("it has not the form of a signed head")]
    Form,
    /// Others signed it.
    #[error("{expected} has not signed it")]
    Signer {
        /// Whose signature was looked for.
        expected: String,
    },
    /// The signature is for another text.
    #[error("the signature is not for this text: it was edited")]
    Signature,
}
