//! A provider that says whatever a test wants.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::response::Json;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use tempfile::TempDir;

#[derive(Default)]
struct Said {
    keys: Vec<Value>,
    token: String,
    codes: Vec<String>,
}

type Shared = Arc<Mutex<Said>>;

pub struct Fake {
    pub issuer: String,
    said: Shared,
    folder: TempDir,
}

impl Fake {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let document = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/keys"),
        });
        let said = Shared::default();
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(async move || Json(document)))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .with_state(Arc::clone(&said));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "of the client").unwrap();
        Self { issuer, said, folder }
    }

    pub fn secret(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    /// From here on these keys are its own.
    pub fn publish(&self, keys: &[&Key]) {
        self.said.lock().unwrap().keys = keys.iter().map(|key| key.public()).collect();
    }

    /// From here on it gives this token.
    pub fn answer_with(&self, token: &str) {
        token.clone_into(&mut self.said.lock().unwrap().token);
    }

    /// What was sent to it for tokens.
    pub fn codes(&self) -> Vec<String> {
        self.said.lock().unwrap().codes.clone()
    }
}

async fn keys(State(said): State<Shared>) -> Json<Value> {
    Json(json!({ "keys": said.lock().unwrap().keys }))
}

async fn token(State(said): State<Shared>, form: String) -> Json<Value> {
    let mut said = said.lock().unwrap();
    said.codes.push(form);
    Json(json!({ "id_token": said.token, "token_type": "Bearer" }))
}

/// A key of a provider, on P-256.
pub struct Key {
    id: String,
    pair: EcdsaKeyPair,
}

impl Key {
    pub fn new(id: &str) -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        Self { id: id.to_owned(), pair }
    }

    fn public(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let (x, y) = (encoded(&point[1..33]), encoded(&point[33..]));
        json!({ "kty": "EC", "crv": "P-256", "use": "sig", "kid": self.id, "x": x, "y": y })
    }

    pub fn sign(&self, claims: &Value) -> String {
        let message = message(&json!({ "alg": "ES256", "kid": self.id }), claims);
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", encoded(signature.as_ref()))
    }

    /// With what everybody knows of it as the secret of an HMAC.
    pub fn sign_as_secret(&self, claims: &Value) -> String {
        let message = message(&json!({ "alg": "HS256", "kid": self.id }), claims);
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.pair.public_key().as_ref());
        format!("{message}.{}", encoded(hmac::sign(&key, message.as_bytes()).as_ref()))
    }
}

/// Without a signature.
pub fn unsigned(claims: &Value) -> String {
    format!("{}.", message(&json!({ "alg": "none", "kid": "one" }), claims))
}

/// A token that says something else than what was signed.
pub fn with_claims(token: &str, claims: &Value) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    format!("{}.{}.{}", parts[0], encoded(claims.to_string().as_bytes()), parts[2])
}

fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encoded(header.to_string().as_bytes()), encoded(claims.to_string().as_bytes()))
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
