//! Tokens, which say for whom they are good.

use gofleet_api::trust::{authority_in, root_in, secret_in, with_authority, with_root};
use gofleet_core::digest::Digest;

use crate::SECONDS;
use crate::harness::harmed;

#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_tokens_tell_of_no_other_server_by_chance() {
    let secret = format!("gfenrol_{}", "0a".repeat(32));
    let (authority, root) = (Digest::of(b"authority"), Digest::of(b"root"));
    let token = with_authority(&secret, &authority);
    let seeds =
        [secret.clone(), token.clone(), with_root(&token, &root), with_root(&secret, &root)];
    let seeds: Vec<Vec<u8>> = seeds.into_iter().map(String::into_bytes).collect();
    harmed("tokens", SECONDS / 2, &seeds, |bytes| {
        let Ok(token) = std::str::from_utf8(bytes) else { return false };
        let (secret, authority, root) = (secret_in(token), authority_in(token), root_in(token));
        assert!(token.contains(secret));
        // Written anew of its parts, it says the same; white space at the ends of a secret is lost.
        let (secret, whole) = (secret.trim(), secret);
        let mut again = secret.to_owned();
        if let Some(authority) = &authority {
            again = with_authority(&again, authority);
        }
        if let Some(root) = &root {
            again = with_root(&again, root);
        }
        if authority.is_some() || root.is_some() {
            assert_eq!(secret_in(&again), secret, "{token:?}");
            assert_eq!((authority_in(&again), root_in(&again)), (authority, root), "{token:?}");
        } else {
            assert_eq!(whole, token.trim());
        }
        true
    });
}
