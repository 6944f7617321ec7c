//! Signing apart from the server: what is to be signed travels as one file from signer to signer,
//! and comes back with their signatures.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::key::{KeyId, PublicKey, SecretKey};
use crate::metadata::{
    Content, Envelope, MetadataError, Role, Root, TargetFile, Targets, Unverified,
};

/// What is to be signed, with what holds today.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// What to sign, by role: `root`, `targets`, and packages like `go`.
    pub documents: BTreeMap<String, Envelope>,
    /// What holds today: it says what changes, and who must sign that.
    #[serde(default)]
    pub current: BTreeMap<String, Envelope>,
}

/// How far a signature is from being enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// What is signed.
    pub role: String,
    /// By whom.
    pub signed: Vec<KeyId>,
    /// How many must.
    pub threshold: u32,
    /// Who may.
    pub keys: Vec<KeyId>,
}

/// Why a request cannot be signed.
#[derive(Debug, Error)]
pub enum CeremonyError {
    /// It holds something else than metadata.
    #[error("the request holds {role} metadata that cannot be read")]
    Metadata {
        /// Whose.
        role: String,
        /// Why.
        #[source]
        source: MetadataError,
    },
    /// Nobody can say who must sign.
    #[error("the request does not say who may sign {role}")]
    Nobody {
        /// What.
        role: String,
    },
    /// The signature is another key's, or of other bytes.
    #[error("this is no signature of {role} by the key {key}")]
    Signature {
        /// What should be signed.
        role: String,
        /// By whom.
        key: KeyId,
    },
    /// The key is for nothing in it.
    #[error("the key {key} may sign nothing of this request")]
    Stranger {
        /// The key.
        key: KeyId,
    },
}

impl Standing {
    /// Whether enough have signed.
    pub fn is_enough(&self) -> bool {
        self.signed.len() >= self.threshold as usize
    }
}

impl Request {
    /// Signs all that the key may sign; the roles.
    ///
    /// # Errors
    ///
    /// [`CeremonyError`]
    pub fn sign(&mut self, key: &SecretKey) -> Result<Vec<String>, CeremonyError> {
        let id = key.public().id();
        let mut signed = Vec::new();
        for standing in self.standing()? {
            if standing.keys.contains(&id) && !signed.contains(&standing.role) {
                if let Some(envelope) = self.documents.get_mut(&standing.role) {
                    envelope.sign(key);
                }
                signed.push(standing.role);
            }
        }
        if signed.is_empty() { Err(CeremonyError::Stranger { key: id }) } else { Ok(signed) }
    }

    /// The bytes of a role that are to be signed, for whoever signs elsewhere.
    ///
    /// # Errors
    ///
    /// [`CeremonyError::Nobody`] if the request has no such role.
    pub fn message(&self, role: &str) -> Result<Vec<u8>, CeremonyError> {
        let bytes = self.documents.get(role).and_then(Envelope::message);
        bytes.ok_or_else(|| CeremonyError::Nobody { role: role.to_owned() })
    }

    /// Adds a signature that was made elsewhere: by a smart card, an HSM, another program.
    ///
    /// # Errors
    ///
    /// [`CeremonyError`] if the key may not sign this, or the signature is of something else.
    pub fn attach(
        &mut self,
        role: &str,
        key: &PublicKey,
        signature: &[u8],
    ) -> Result<(), CeremonyError> {
        let (message, id) = (self.message(role)?, key.id());
        let all = self.standing()?;
        if !all.iter().any(|it| it.role == role && it.keys.contains(&id)) {
            return Err(CeremonyError::Stranger { key: id });
        }
        if !key.verifies_bytes(&message, signature) {
            return Err(CeremonyError::Signature { role: role.to_owned(), key: id });
        }
        if let Some(envelope) = self.documents.get_mut(role) {
            envelope.attach(id, signature);
        }
        Ok(())
    }

    /// Who has signed what so far. A new root stands in it twice if there is one today: enough of
    /// the keys of both must sign it.
    ///
    /// # Errors
    ///
    /// [`CeremonyError`]
    pub fn standing(&self) -> Result<Vec<Standing>, CeremonyError> {
        let mut all = Vec::new();
        let today = self.root_of(&self.current)?;
        let next = self.root_of(&self.documents)?;
        if let Some(next) = &next {
            let role = next.role("root");
            all.push(self.standing_of::<Root>("root", &next.keys, role)?);
            if let Some(today) = &today {
                all.push(self.standing_of::<Root>("root", &today.keys, today.role("root"))?);
            }
        }
        let root = next.or(today);
        for role in self.documents.keys().filter(|role| *role != "root") {
            let nobody = || CeremonyError::Nobody { role: role.clone() };
            if role == "targets" {
                let root = root.as_ref().ok_or_else(nobody)?;
                all.push(self.standing_of::<Targets>(role, &root.keys, root.role("targets"))?);
                continue;
            }
            let targets = self.targets("targets")?.ok_or_else(nobody)?;
            let delegations = targets.delegations.ok_or_else(nobody)?;
            let delegation = delegations.roles.iter().find(|it| it.name == *role);
            let signers = delegation.map(|it| &it.role);
            all.push(self.standing_of::<Targets>(role, &delegations.keys, signers)?);
        }
        Ok(all)
    }

    /// What it changes, in words for whoever is asked to sign.
    ///
    /// # Errors
    ///
    /// [`CeremonyError`]
    pub fn describe(&self) -> Result<Vec<String>, CeremonyError> {
        let mut lines = Vec::new();
        if let Some(root) = self.root_of(&self.documents)? {
            lines.push(format!("root of version {}, until {}", root.version, root.expires));
            for (name, role) in root.roles.iter().map(|(name, role)| (name.as_str(), role)) {
                lines.push(format!("  {name}: {} of {}", role.threshold, role.keyids.join(", ")));
            }
            if let Some(role) = &root.orders {
                lines.push(format!("  orders: {} of {}", role.threshold, role.keyids.join(", ")));
            }
        }
        for role in self.documents.keys().filter(|role| *role != "root") {
            let Some(new) = parse::<Targets>(role, self.documents.get(role))? else { continue };
            let old = parse::<Targets>(role, self.current.get(role))?;
            lines.push(format!("{role} of version {}, until {}", new.version, new.expires));
            for delegation in new.delegations.iter().flat_map(|it| &it.roles) {
                let Delegated { name, threshold, keys } = Delegated::of(delegation);
                lines.push(format!("  {name}: {threshold} of {keys}"));
            }
            let old = old.map(|old| old.targets).unwrap_or_default();
            lines.extend(changes(&old, &new.targets));
        }
        Ok(lines)
    }

    /// What a role says: as it is to be signed, else as it holds today.
    ///
    /// # Errors
    ///
    /// [`CeremonyError`]
    pub fn targets(&self, role: &str) -> Result<Option<Targets>, CeremonyError> {
        parse(role, self.documents.get(role).or_else(|| self.current.get(role)))
    }

    fn root_of(&self, of: &BTreeMap<String, Envelope>) -> Result<Option<Root>, CeremonyError> {
        parse("root", of.get("root"))
    }

    fn standing_of<T: Content>(
        &self,
        role: &str,
        keys: &BTreeMap<KeyId, PublicKey>,
        signers: Option<&Role>,
    ) -> Result<Standing, CeremonyError> {
        let nobody = || CeremonyError::Nobody { role: role.to_owned() };
        let signers = signers.ok_or_else(nobody)?;
        let envelope = self.documents.get(role).ok_or_else(nobody)?;
        let signed = read::<T>(role, envelope)?.signers(keys, signers);
        let (role, keys) = (role.to_owned(), signers.keyids.clone());
        Ok(Standing { role, signed, threshold: signers.threshold, keys })
    }
}

struct Delegated<'a> {
    name: &'a str,
    threshold: u32,
    keys: String,
}

impl<'a> Delegated<'a> {
    fn of(delegation: &'a crate::metadata::Delegation) -> Self {
        let Role { keyids, threshold } = &delegation.role;
        Self { name: &delegation.name, threshold: *threshold, keys: keyids.join(", ") }
    }
}

/// What is added, taken away, and changed, each with its digest.
fn changes(old: &BTreeMap<String, TargetFile>, new: &BTreeMap<String, TargetFile>) -> Vec<String> {
    let digest = |file: &TargetFile| file.hashes.get("sha256").cloned().unwrap_or_default();
    let mut lines = Vec::new();
    for (path, file) in new {
        let digest = digest(file);
        let custom = file.custom.as_ref().map(ToString::to_string).unwrap_or_default();
        lines.push(match old.get(path) {
            None => format!("  + {path}  manifest {digest}  {custom}"),
            Some(known) if known != file => format!("  ! {path}  manifest {digest}  {custom}"),
            Some(_) => format!("    {path}  manifest {digest}"),
        });
    }
    let gone = old.iter().filter(|(path, _)| !new.contains_key(*path));
    lines.extend(gone.map(|(path, file)| format!("  - {path}  manifest {}", digest(file))));
    lines
}

fn parse<T: Content>(role: &str, envelope: Option<&Envelope>) -> Result<Option<T>, CeremonyError> {
    envelope.map(|envelope| read::<T>(role, envelope).map(|it| it.content)).transpose()
}

fn read<T: Content>(role: &str, envelope: &Envelope) -> Result<Unverified<T>, CeremonyError> {
    let failed = |source| CeremonyError::Metadata { role: role.to_owned(), source };
    Unverified::<T>::parse(&envelope.to_bytes()).map_err(failed)
}
