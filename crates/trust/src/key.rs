//! Keys: those that verify, of every kind that TUF's specification names, and the one kind that
//! signs here, Ed25519.

use std::collections::BTreeMap;
use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey};
use gofleet_core::digest::Digest;
use gofleet_core::hex;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::Zeroizing;

use crate::canonical::canonical;

/// How a key is called in metadata. Ours are the SHA-256 of the key, others' may be any text.
pub type KeyId = String;

/// A key that signatures are verified by, as it stands in metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// What kind of key it is.
    pub keytype: String,
    /// How it signs.
    pub scheme: String,
    /// The key itself.
    pub keyval: KeyValue,
    /// What others say of it beside that; it goes into the key's id and decides nothing.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// The key itself: hexadecimal digits for Ed25519, PEM for the other kinds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyValue {
    /// The public half.
    pub public: String,
}

impl PublicKey {
    /// An Ed25519 key.
    pub fn ed25519(bytes: &[u8; 32]) -> Self {
        let public = Digest::from_bytes(*bytes).to_string();
        let ed25519 = || "ed25519".to_owned();
        let keyval = KeyValue { public };
        Self { keytype: ed25519(), scheme: ed25519(), keyval, other: BTreeMap::new() }
    }

    /// A key in PEM (RFC 7468, `PUBLIC KEY`), as smart cards, HSMs and OpenSSL give it; none if it is
    /// of no kind that is known here.
    pub fn from_pem(text: &str) -> Option<Self> {
        let pem = Pem::iter_from_buffer(text.as_bytes()).next()?.ok()?;
        let (_, key) = SubjectPublicKeyInfo::from_der(&pem.contents).ok()?;
        let curve = key.algorithm.parameters.as_ref().and_then(|it| it.as_oid().ok());
        let curve = curve.map(|curve| curve.to_id_string()).unwrap_or_default();
        let (keytype, scheme) =
            match (key.algorithm.algorithm.to_id_string().as_str(), curve.as_str()) {
                ("1.3.101.112", _) => {
                    let bytes: &[u8; 32] = key.subject_public_key.data.as_ref().try_into().ok()?;
                    return Some(Self::ed25519(bytes));
                }
                ("1.2.840.10045.2.1", "1.2.840.10045.3.1.7") => ("ecdsa", "ecdsa-sha2-nistp256"),
                ("1.2.840.10045.2.1", "1.3.132.0.34") => ("ecdsa", "ecdsa-sha2-nistp384"),
                ("1.2.840.113549.1.1.1", _) => ("rsa", "rsassa-pss-sha256"),
                _ => return None,
            };
        let keyval = KeyValue { public: format!("{}\n", text.trim()) };
        let (keytype, scheme) = (keytype.to_owned(), scheme.to_owned());
        Some(Self { keytype, scheme, keyval, other: BTreeMap::new() })
    }

    /// Its id: the SHA-256 of its canonical form, as TUF's specification recommends.
    pub fn id(&self) -> KeyId {
        let value = serde_json::to_value(self).unwrap_or_default();
        Digest::of(&canonical(&value).unwrap_or_default()).to_string()
    }

    /// Whether it is the same key, however the two are written: with digits in capitals, or with
    /// other white space around the same PEM.
    pub fn is_same(&self, other: &Self) -> bool {
        self.keyval == other.keyval || self.material() == other.material()
    }

    /// The key's own bytes: those of Ed25519, else what stands in the PEM.
    fn material(&self) -> Vec<u8> {
        let text = &self.keyval.public;
        match Pem::iter_from_buffer(text.as_bytes()).next() {
            Some(Ok(pem)) => pem.contents,
            Some(Err(_)) | None => {
                hex::decode(text).unwrap_or_else(|| text.trim().as_bytes().to_vec())
            }
        }
    }

    /// Whether it signed `message`. A key of a kind that is not known here signs nothing.
    pub fn verifies(&self, message: &[u8], signature: &str) -> bool {
        hex::decode(signature).is_some_and(|signature| self.verifies_bytes(message, &signature))
    }

    /// The same for a signature as bytes.
    pub fn verifies_bytes(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &'static dyn VerificationAlgorithm = match self.scheme.as_str() {
            "ed25519" => {
                let key = hex::decode(&self.keyval.public).unwrap_or_default();
                return UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok();
            }
            "ecdsa-sha2-nistp256" => &ECDSA_P256_SHA256_ASN1,
            "ecdsa-sha2-nistp384" => &ECDSA_P384_SHA384_ASN1,
            "rsassa-pss-sha256" => &RSA_PSS_2048_8192_SHA256,
            "rsa-pkcs1v15-sha256" => &RSA_PKCS1_2048_8192_SHA256,
            _ => return false,
        };
        let pem = Pem::iter_from_buffer(self.keyval.public.as_bytes()).next();
        let Some(Ok(pem)) = pem else { return false };
        let Ok((_, key)) = SubjectPublicKeyInfo::from_der(&pem.contents) else { return false };
        let key = UnparsedPublicKey::new(algorithm, &key.subject_public_key.data);
        key.verify(message, signature).is_ok()
    }
}

/// A key that signs: Ed25519. It is wiped from memory when it is dropped.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// A new one.
    pub fn generate() -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).expect("the operating system has randomness");
        Self::from_seed(&seed)
    }

    /// The key of this seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// What it is made of.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The key that verifies what this one signs.
    pub fn public(&self) -> PublicKey {
        PublicKey::ed25519(self.0.verifying_key().as_bytes())
    }

    /// A signature, in hexadecimal digits.
    pub fn sign(&self, message: &[u8]) -> String {
        hex::encode(&self.0.sign(message).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    /// Without the key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("SecretKey").field(&self.public().id()).finish()
    }
}

/// The key as a person passes it on: one line of JSON.
pub fn to_line(key: &PublicKey) -> String {
    json!(key).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_key_and_one_message() {
        let (one, other) = (SecretKey::generate(), SecretKey::generate());
        let signature = one.sign(b"message");
        assert!(one.public().verifies(b"message", &signature));
        assert!(!one.public().verifies(b"massage", &signature));
        assert!(!other.public().verifies(b"message", &signature));
        for harmed in ["", "zz", &signature[2..], &format!("{signature}00")] {
            assert!(!one.public().verifies(b"message", harmed), "{harmed}");
        }
        let unknown = PublicKey { scheme: "none".to_owned(), ..one.public() };
        assert!(!unknown.verifies(b"message", &signature));
    }

    #[test]
    fn a_secret_key_is_not_printed() {
        let key = SecretKey::from_seed(&[7; 32]);
        assert!(!format!("{key:?}").contains(&hex::encode(&[7; 32])));
        assert_eq!(SecretKey::from_seed(&key.seed()).public(), key.public());
    }
}
