//! Links that log a browser in once, for programs that print one for their user to click on.
//!
//! A link is as good at the login page as the credential of whoever made it, but only once and only
//! for a short time. Links are kept in memory: a server that starts again knows none of them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use gofleet_core::digest::Digest;
use gofleet_core::ids::AccountName;
use gofleet_core::time::{Span, Timestamp};

use crate::secret::{Secret, SecretKind};

/// For how long a link is good: long enough to find it in a terminal.
const LIFETIME: Span = Span::from_secs(15 * 60);
/// Most links that are kept: whoever makes more gets rid of the oldest.
const MAX_LINKS: usize = 100;

/// The links that nobody has followed yet.
#[derive(Debug, Default)]
pub struct LoginLinks(Mutex<HashMap<Digest, Link>>);

/// A link: whom it logs in (none: whoever holds the administrator's token), and until when.
#[derive(Debug)]
struct Link {
    account: Option<AccountName>,
    expires_at: Timestamp,
}

impl LoginLinks {
    /// Makes a link's secret for an account; and until when it is good.
    pub fn make(&self, account: Option<AccountName>, now: Timestamp) -> (Secret, Timestamp) {
        let (secret, expires_at) = (Secret::random(SecretKind::LoginLink), now + LIFETIME);
        let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|_, link| link.expires_at > now);
        if links.len() >= MAX_LINKS
            && let Some(oldest) =
                links.iter().min_by_key(|(_, it)| it.expires_at).map(|(hash, _)| *hash)
        {
            links.remove(&oldest);
        }
        links.insert(secret.hash(), Link { account, expires_at });
        (secret, expires_at)
    }

    /// Uses a link up; whom it logs in, if it was good.
    pub fn take(&self, secret: &Digest, now: Timestamp) -> Option<Option<AccountName>> {
        let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        links.remove(secret).filter(|link| link.expires_at > now).map(|link| link.account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_good_once_and_for_a_while() {
        let (links, now) = (LoginLinks::default(), Timestamp::from_millis(0));
        let ann: AccountName = "ann".parse().unwrap();
        let (link, expires_at) = links.make(Some(ann.clone()), now);
        assert_eq!(links.take(&Digest::of(b"made up"), now), None);
        assert_eq!(links.take(&link.hash(), now), Some(Some(ann)));
        assert_eq!(links.take(&link.hash(), now), None, "twice");
        let (late, _) = links.make(None, now);
        assert_eq!(links.take(&late.hash(), expires_at), None, "too late");
    }

    #[test]
    fn links_that_nobody_follows_do_not_pile_up() {
        let links = LoginLinks::default();
        for ms in 0..=MAX_LINKS as i64 {
            links.make(None, Timestamp::from_millis(ms));
        }
        assert_eq!(links.0.lock().unwrap().len(), MAX_LINKS);
    }
}
