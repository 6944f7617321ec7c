//! What a provider says of somebody: an ID token, believed only if everything about it holds
//! (OpenID Connect Core 1.0, section 3.1.3.7).
//!
//! Claims and forms are `jsonwebtoken`'s affair; the signatures are verified by the library that
//! TLS is made with, so there is no second one.

use gofleet_core::time::Span;
use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::jwk::{JwkSet, PublicKeyUse};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, Validation, decode, decode_header,
};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, EcdsaVerificationAlgorithm,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error as ThisError;

/// How far the clocks of provider and server may be apart.
const LEEWAY: Span = Span::from_secs(60);

/// Why an ID token is not believed.
#[derive(Debug, ThisError)]
pub enum Unbelievable {
    /// It is no token, or not signed, or not by the provider, or not for us, or too old.
    #[error("the ID token does not hold")]
    Token(#[source] Error),
    /// Signed by a key that the provider does not publish.
    #[error("the provider publishes no key `{0}`")]
    UnknownKey(String),
    /// Signed with a secret that others know too.
    #[error("the ID token is not signed with a key of the provider's own")]
    SharedKey,
    /// It was made for another login.
    #[error("the ID token is the answer to another login")]
    Nonce,
    /// It was made for somebody else, who may hand it to us.
    #[error("the ID token was made for `{0}` too")]
    OtherParty(String),
}

/// What was said of somebody.
#[derive(Debug, Deserialize)]
pub struct Claims {
    /// Names the person at this provider, for good.
    pub sub: String,
    nonce: Option<String>,
    azp: Option<String>,
    aud: Audience,
    /// All else.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn other_than(&self, client: &str) -> Option<&String> {
        match self {
            Self::One(one) => Some(one).filter(|it| *it != client),
            Self::Many(many) => many.iter().find(|it| *it != client),
        }
    }
}

/// What it must be about.
pub struct Expected<'a> {
    pub issuer: &'a str,
    pub client: &'a str,
    pub nonce: &'a str,
}

/// What an ID token says, if the provider with these keys said it to us, in this login, just now.
///
/// # Errors
///
/// [`Unbelievable`]
pub fn verify(token: &str, keys: &JwkSet, expected: &Expected<'_>) -> Result<Claims, Unbelievable> {
    // It fails if another one is set already: then it is this one.
    let _already = PROVIDER.install_default();
    let header = decode_header(token).map_err(Unbelievable::Token)?;
    let signs = |usage: &Option<PublicKeyUse>| {
        usage.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature)
    };
    let mut usable = keys.keys.iter().filter(|key| signs(&key.common.public_key_use));
    let key = match (&header.kid, keys.keys.len()) {
        (None, 1) => usable.next(),
        (None, _) => None,
        (Some(kid), _) => usable.find(|key| key.common.key_id.as_ref() == Some(kid)),
    };
    let key = key.ok_or_else(|| Unbelievable::UnknownKey(header.kid.unwrap_or_default()))?;
    let key = DecodingKey::from_jwk(key).map_err(Unbelievable::Token)?;
    if key.family() == AlgorithmFamily::Hmac {
        return Err(Unbelievable::SharedKey);
    }
    // Which algorithm it may be, the provider's key says, not the token.
    let mut validation = Validation::new_for_family(key.family());
    validation.leeway = LEEWAY.as_millis() / 1000;
    validation.validate_nbf = true;
    validation.set_audience(&[expected.client]);
    validation.set_issuer(&[expected.issuer]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let claims = decode::<Claims>(token, &key, &validation).map_err(Unbelievable::Token)?.claims;
    if claims.nonce.as_deref() != Some(expected.nonce) {
        return Err(Unbelievable::Nonce);
    }
    let other = claims.aud.other_than(expected.client);
    let other = other.or(claims.azp.as_ref().filter(|azp| *azp != expected.client));
    match other {
        Some(other) => Err(Unbelievable::OtherParty(other.clone())),
        None => Ok(claims),
    }
}

/// ring, for `jsonwebtoken`. It verifies only.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory: |algorithm, key| {
        if algorithm.family() != key.family() {
            return Err(ErrorKind::InvalidAlgorithm.into());
        }
        Ok(Box::new(Ring { algorithm: *algorithm, key: key.clone() }))
    },
    key_utils: KeyUtils::new_unimplemented(),
};

struct Ring {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Verifier<Vec<u8>> for Ring {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let rsa = |parameters: &'static RsaParameters| match self.key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            DecodingKeyKind::SecretOrDer(_) => Err(ring::error::Unspecified),
        };
        let point = |algorithm: &'static dyn VerificationAlgorithm| {
            let key = self.key.try_get_as_bytes().map_err(|_| ring::error::Unspecified)?;
            UnparsedPublicKey::new(algorithm, key).verify(message, signature)
        };
        let ecdsa = |algorithm: &'static EcdsaVerificationAlgorithm| point(algorithm);
        let verified = match self.algorithm {
            Algorithm::RS256 => rsa(&RSA_PKCS1_2048_8192_SHA256),
            Algorithm::RS384 => rsa(&RSA_PKCS1_2048_8192_SHA384),
            Algorithm::RS512 => rsa(&RSA_PKCS1_2048_8192_SHA512),
            Algorithm::PS256 => rsa(&RSA_PSS_2048_8192_SHA256),
            Algorithm::PS384 => rsa(&RSA_PSS_2048_8192_SHA384),
            Algorithm::PS512 => rsa(&RSA_PSS_2048_8192_SHA512),
            Algorithm::ES256 => ecdsa(&ECDSA_P256_SHA256_FIXED),
            Algorithm::ES384 => ecdsa(&ECDSA_P384_SHA384_FIXED),
            Algorithm::EdDSA => point(&ED25519),
            _ => Err(ring::error::Unspecified),
        };
        verified.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Ring {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
