//! A key in a file, under a passphrase: Argon2id (RFC 9106, the second recommended choice) makes
//! the key of XChaCha20-Poly1305, which seals the seed together with the public key.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::key::{PublicKey, SecretKey, to_line};

const FORMAT: &str = "gofleet-key/1";
/// 64 MiB.
const MEMORY_KIB: u32 = 64 * 1024;
/// The most that a file may ask for: 1 GiB.
const MOST_MEMORY_KIB: u32 = 1024 * 1024;
const PASSES: u32 = 3;
const MOST_PASSES: u32 = 100;

#[derive(Serialize, Deserialize)]
struct File {
    format: String,
    key: PublicKey,
    memory_kib: u32,
    passes: u32,
    salt: String,
    nonce: String,
    sealed: String,
}

/// Why a key file cannot be used.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// It is none.
    #[error("this is no key file of gofleet")]
    Form,
    /// The passphrase is another one, or the file was changed.
    #[error("the passphrase is wrong, or the key file was changed")]
    Passphrase,
}

/// The content of a key file.
pub fn write(key: &SecretKey, passphrase: &str) -> String {
    let (mut salt, mut nonce) = ([0; 16], [0; 24]);
    getrandom::fill(&mut salt).expect("the operating system has randomness");
    getrandom::fill(&mut nonce).expect("the operating system has randomness");
    let public = key.public();
    let cipher = cipher(passphrase, &salt, MEMORY_KIB, PASSES).expect("the parameters are good");
    let (seed, line) = (key.seed(), to_line(&public));
    let payload = Payload { msg: &*seed, aad: line.as_bytes() };
    let sealed = cipher.encrypt(&XNonce::from(nonce), payload).expect("32 bytes are not too long");
    let file = File {
        format: FORMAT.to_owned(),
        key: public,
        memory_kib: MEMORY_KIB,
        passes: PASSES,
        salt: STANDARD.encode(salt),
        nonce: STANDARD.encode(nonce),
        sealed: STANDARD.encode(sealed),
    };
    serde_json::to_string_pretty(&file).expect("a key file is plain data")
}

/// The public half of the key in a file, which needs no passphrase.
///
/// # Errors
///
/// [`KeyFileError::Form`]
pub fn public(text: &str) -> Result<PublicKey, KeyFileError> {
    parse(text).map(|file| file.key)
}

/// The key in a file.
///
/// # Errors
///
/// [`KeyFileError`]
pub fn read(text: &str, passphrase: &str) -> Result<SecretKey, KeyFileError> {
    let file = parse(text)?;
    let bytes = |text: &str| STANDARD.decode(text).map_err(|_| KeyFileError::Form);
    let nonce: [u8; 24] = bytes(&file.nonce)?.try_into().map_err(|_| KeyFileError::Form)?;
    let cipher = cipher(passphrase, &bytes(&file.salt)?, file.memory_kib, file.passes)?;
    let (sealed, line) = (bytes(&file.sealed)?, to_line(&file.key));
    let payload = Payload { msg: &sealed, aad: line.as_bytes() };
    let seed = cipher.decrypt(&XNonce::from(nonce), payload);
    let seed = Zeroizing::new(seed.map_err(|_| KeyFileError::Passphrase)?);
    let seed: &[u8; 32] = seed.as_slice().try_into().map_err(|_| KeyFileError::Form)?;
    let key = SecretKey::from_seed(seed);
    if key.public() == file.key { Ok(key) } else { Err(KeyFileError::Form) }
}

fn parse(text: &str) -> Result<File, KeyFileError> {
    let file: File = serde_json::from_str(text).map_err(|_| KeyFileError::Form)?;
    let is_fit = file.format == FORMAT
        && file.memory_kib <= MOST_MEMORY_KIB
        && (1..=MOST_PASSES).contains(&file.passes);
    if is_fit { Ok(file) } else { Err(KeyFileError::Form) }
}

fn cipher(
    passphrase: &str,
    salt: &[u8],
    memory_kib: u32,
    passes: u32,
) -> Result<XChaCha20Poly1305, KeyFileError> {
    let parameters =
        Params::new(memory_kib, passes, 1, Some(32)).map_err(|_| KeyFileError::Form)?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
        .hash_password_into(passphrase.as_bytes(), salt, &mut *key)
        .map_err(|_| KeyFileError::Form)?;
    Ok(XChaCha20Poly1305::new(&(*key).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_by_its_passphrase_only() {
        let key = SecretKey::generate();
        let text = write(&key, "correct horse");
        assert_eq!(public(&text).unwrap(), key.public());
        assert_eq!(read(&text, "correct horse").unwrap().public(), key.public());
        assert!(matches!(read(&text, "wrong horse"), Err(KeyFileError::Passphrase)));
        let seed = gofleet_core::digest::Digest::from_bytes(*key.seed()).to_string();
        assert!(!text.contains(&seed));
        // Another public key in front of the same seed.
        let other = SecretKey::generate().public();
        let forged = text.replace(&key.public().keyval.public, &other.keyval.public);
        assert!(matches!(read(&forged, "correct horse"), Err(KeyFileError::Passphrase)));
        let greedy = text.replace("65536", "4294967295");
        assert!(matches!(read(&greedy, "correct horse"), Err(KeyFileError::Form)));
    }
}
