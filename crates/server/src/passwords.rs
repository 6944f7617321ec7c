//! Passwords: hashed slowly, so that a stolen database tells them to nobody.
//!
//! Argon2id with 19 MiB, two passes and one lane: the OWASP Password Storage Cheat Sheet's choice.
//! It takes some 20 ms of a processor, so it is done beside the handlers and at most two at once:
//! whoever sends many logins waits, and nobody else does.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::failure::{Answer, Failure};

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
static TURNS: Semaphore = Semaphore::const_new(2);

/// Is compared with where there is no account, so that nobody learns from the time which names
/// there are: the hash of nothing that anybody can type.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$Z29mbGVldC1ub2JvZHkhIQ$\
                       q1MBbLZcVxmw9pXIZSmFqsh1cO6yVuHFOYxUo9jpGg0";

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).expect("the parameters are in range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The hash of a password in PHC form, with a salt of its own.
///
/// # Errors
///
/// [`Failure`] if the system has no memory or randomness.
pub async fn hash(password: String) -> Answer<String> {
    let password = Zeroizing::new(password);
    beside(move || {
        let hash = argon2().hash_password(password.as_bytes());
        hash.map(|hash| hash.to_string())
            .map_err(|error| Failure::internal("hashing a password", &error))
    })
    .await?
}

/// Whether it is the password with this hash. Without one it takes as long, and is not.
///
/// # Errors
///
/// [`Failure`] if the work could not be done.
pub async fn is_of(password: String, hash: Option<String>) -> Answer<bool> {
    let password = Zeroizing::new(password);
    beside(move || {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODYS.to_owned());
        let Ok(hash) = PasswordHash::new(&hash) else { return false };
        argon2().verify_password(password.as_bytes(), &hash).is_ok() && known
    })
    .await
}

async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Answer<T> {
    let turn = TURNS.acquire().await.expect("nobody closes it");
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    done.await.map_err(|error| Failure::internal("looking at a password", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_only() {
        let kept = hash("correct horse battery".to_owned()).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(kept, hash("correct horse battery".to_owned()).await.unwrap(), "salted");
        for (password, hash, expect) in [
            ("correct horse battery", Some(kept.clone()), true),
            ("correct horse batterz", Some(kept.clone()), false),
            ("", Some(kept), false),
            ("correct horse battery", None, false),
            ("correct horse battery", Some("not a hash".to_owned()), false),
        ] {
            assert_eq!(is_of(password.to_owned(), hash.clone()).await.unwrap(), expect, "{hash:?}");
        }
    }

    /// Else a login of nobody would be faster than one of somebody.
    #[test]
    fn the_hash_of_nobody_costs_what_others_cost() {
        let nobodys = PasswordHash::new(NOBODYS).unwrap();
        let params = Params::try_from(&nobodys).unwrap();
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), (MEMORY_KIB, PASSES, 1));
    }
}
