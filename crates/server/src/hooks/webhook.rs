//! A hook that is an address: what happened is posted there as JSON, signed by the rules of
//! [Standard Webhooks](https://www.standardwebhooks.com).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gofleet_core::hook::HookCall;
use gofleet_core::time::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use sha2::Sha256;

use super::{HookError, told};

/// The shortest secret that Standard Webhooks has.
const LEAST_SECRET_BYTES: usize = 24;

/// An address with what signs for it.
#[derive(Clone)]
pub(super) struct Webhook {
    http: reqwest::Client,
    url: String,
    secret: Option<Arc<[u8]>>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Webhook").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Webhook {
    pub(super) fn new(
        url: String,
        secret_file: Option<&Path>,
        timeout: Duration,
    ) -> Result<Self, HookError> {
        gofleet_api::install_crypto_provider();
        let http = reqwest::Client::builder()
            .user_agent(concat!("gofleet/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout)
            // What is signed is for this address and no other.
            .redirect(Policy::none())
            .build()
            .map_err(HookError::Http)?;
        let secret = secret_file.map(read_secret).transpose()?;
        Ok(Self { http, url, secret })
    }

    /// Posts it once; an answer from 200 to 299 is good.
    pub(super) async fn post(&self, call: &HookCall, now: Timestamp) -> Result<(), String> {
        let body = serde_json::to_string(call).map_err(|error| error.to_string())?;
        let at = now.as_millis().div_euclid(1000).to_string();
        let mut request = self
            .http
            .post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &call.id)
            .header("webhook-timestamp", &at);
        if let Some(secret) = &self.secret {
            request = request.header("webhook-signature", sign(secret, &call.id, &at, &body));
        }
        let response = request.body(body).send().await.map_err(|error| in_words(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let text = response.text().await.unwrap_or_default();
        Err(told(&format!("answered with {status}: {text}")))
    }
}

/// An error of the network with its causes; the address may hold secrets, and is left out.
fn in_words(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    let what = if error.is_timeout() { "no answer in time" } else { "it can't be reached" };
    told(&format!("{what}: {}", causes.join(": ")))
}

/// `whsec_` and base64, or any other text as it is.
fn read_secret(path: &Path) -> Result<Arc<[u8]>, HookError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| HookError::Secret { path: path.to_owned(), source })?;
    let text = text.trim();
    let secret = match text.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).unwrap_or_default(),
        None => text.as_bytes().to_vec(),
    };
    if secret.len() < LEAST_SECRET_BYTES {
        return Err(HookError::WeakSecret { path: path.to_owned() });
    }
    Ok(secret.into())
}

/// What the header `webhook-signature` holds.
fn sign(secret: &[u8], id: &str, at: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("keys may have any length");
    mac.update(format!("{id}.{at}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the libraries at github.com/standard-webhooks.
    #[test]
    fn signatures_are_those_of_standard_webhooks() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature =
            sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn secrets_are_read_in_both_forms_and_short_ones_refused() {
        let folder = tempfile::tempdir().unwrap();
        let check = |text: &str| {
            let path = folder.path().join("secret");
            std::fs::write(&path, text).unwrap();
            read_secret(&path).map(|secret| secret.len())
        };
        assert_eq!(check("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap(), 24);
        assert_eq!(check("a passphrase of enough length").unwrap(), 29);
        assert!(matches!(check("short"), Err(HookError::WeakSecret { .. })));
        assert!(matches!(check("whsec_no base64"), Err(HookError::WeakSecret { .. })));
    }
}
