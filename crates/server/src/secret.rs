//! Secrets that the server hands out: made of 256 random bits, kept as a hash.
//!
//! They are random, not chosen by people, so one round of SHA-256 protects them: there is nothing
//! to guess, and comparing hashes of them in the database tells nothing about the secret by time.

use std::fmt;

use gofleet_api::trust;
use gofleet_core::digest::Digest;

/// What a secret is good for; each kind has a beginning of its own, so that a person (and a scanner
/// for leaked secrets) can tell what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// An administrator's token.
    Administrator,
    /// A token with which a program acts for an account.
    Api,
    /// An enrolment token.
    Enrolment,
    /// A console session.
    Session,
    /// A link that logs a browser in once.
    LoginLink,
    /// A login at a provider that is under way.
    SignOn,
}

impl SecretKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Administrator => "gfadmin_",
            Self::Api => "gfapi_",
            Self::Enrolment => "gfenrol_",
            Self::Session => "gfsession_",
            Self::LoginLink => "gflink_",
            Self::SignOn => "gfsignon_",
        }
    }
}

/// A secret in clear. Exists only between its making and the answer that hands it out.
pub struct Secret(String);

impl Secret {
    /// A new one.
    pub fn random(kind: SecretKind) -> Self {
        Self(format!("{}{}", kind.prefix(), random_hex()))
    }

    /// The text that is handed out, once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The same with the authority of the server that it is good for.
    pub fn reveal_for(&self, authority: Option<&Digest>) -> String {
        match authority {
            Some(authority) => trust::with_authority(&self.0, authority),
            None => self.0.clone(),
        }
    }

    /// What is kept of it.
    pub fn hash(&self) -> Digest {
        hash(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// What is kept of a secret; the authority that may stand behind it is none.
pub fn hash(text: &str) -> Digest {
    Digest::of(trust::secret_in(text).as_bytes())
}

/// 256 bits from the operating system, as 64 hexadecimal digits.
pub fn random_hex() -> String {
    Digest::from_bytes(random_bytes()).to_string()
}

/// 256 bits from the operating system.
pub fn random_bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    bytes
}

/// A password that nobody chose: 100 random bits in letters and digits that are not taken for each
/// other, in groups that can be read aloud.
pub fn random_password() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut text = String::new();
    for (at, byte) in random_bytes().into_iter().take(20).enumerate() {
        if at > 0 && at % 5 == 0 {
            text.push('-');
        }
        text.push(LETTERS[usize::from(byte % 32)] as char);
    }
    text
}

/// A random share of `whole`: spreads over time what would otherwise happen at once.
pub fn random_below(whole: u64) -> u64 {
    let random = getrandom::u64().expect("the operating system has randomness");
    // The upper half of the product is even over `whole` to within 2^-64 of it.
    ((u128::from(random) * u128::from(whole)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_do_not_print_themselves() {
        let (one, other) =
            (Secret::random(SecretKind::Session), Secret::random(SecretKind::Session));
        assert_ne!(one.reveal(), other.reveal());
        assert!(one.reveal().starts_with("gfsession_") && one.reveal().len() == 10 + 64);
        assert!(!format!("{one:?}").contains(one.reveal()));
        assert_eq!(one.hash(), hash(one.reveal()));
    }

    #[test]
    fn a_random_password_is_one_that_is_taken() {
        let (one, other) = (random_password(), random_password());
        assert_ne!(one, other);
        assert_eq!(one.len(), 23, "{one}");
        let ann = "ann".parse().unwrap();
        // It may hold the three letters by chance, once in a thousand.
        if !one.contains("ann") {
            assert_eq!(gofleet_core::account::check_password(&ann, &one), Ok(()));
        }
    }

    #[test]
    fn random_shares_stay_below() {
        assert_eq!(random_below(0), 0);
        assert!((0..100).all(|_| random_below(7) < 7));
    }
}
