//! Whom a client takes for its server, and how a device proves who it is.
//!
//! A server makes an authority of its own at its first start. Its tokens carry the SHA-256 of that
//! authority's certificate behind their secret, so whoever was given a token knows for whom it is
//! good without being given a file as well: the way in which k3s and kubeadm hand out theirs.

use std::fmt;
use std::sync::Arc;

use gofleet_core::digest::Digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

/// The SHA-256 of its server's authority that a token carries, if it does.
pub fn authority_in(token: &str) -> Option<Digest> {
    pins_in(token)?.0
}

/// The SHA-256 of the root of trust that a token carries, if it does.
pub fn root_in(token: &str) -> Option<Digest> {
    pins_in(token)?.1
}

/// What a token tells behind its secret: `AUTHORITY`, `AUTHORITY.ROOT` or `.ROOT`.
fn pins_in(token: &str) -> Option<(Option<Digest>, Option<Digest>)> {
    let pins = token.trim().splitn(3, '_').nth(2)?;
    let (authority, root) = match pins.split_once('.') {
        Some((authority, root)) => (authority, Some(root.parse().ok()?)),
        None => (pins, None),
    };
    let authority = if authority.is_empty() { None } else { Some(authority.parse().ok()?) };
    (authority.is_some() || root.is_some()).then_some((authority, root))
}

/// What of a token is the secret: all of it but the authority.
pub fn secret_in(token: &str) -> &str {
    let token = token.trim();
    match pins_in(token) {
        Some(_) => token.rsplit_once('_').map_or(token, |(secret, _)| secret),
        None => token,
    }
}

/// A token that tells of its server's authority.
pub fn with_authority(secret: &str, authority: &Digest) -> String {
    format!("{secret}_{authority}")
}

/// A token that tells of its server's root of trust too.
pub fn with_root(token: &str, root: &Digest) -> String {
    let secret = secret_in(token);
    let authority = authority_in(token).map(|it| it.to_string()).unwrap_or_default();
    format!("{secret}_{authority}.{root}")
}

/// A key that never leaves the machine that made it: ECDSA on the curve P-256.
pub struct Key(rcgen::KeyPair);

/// Why a key or a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(String);

impl Key {
    /// A new one.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the system has no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = rcgen::KeyPair::generate().map_err(|error| KeyError(error.to_string()))?;
        Ok(Self(pair))
    }

    /// The key in a file (PKCS #8 in PEM).
    ///
    /// # Errors
    ///
    /// [`KeyError`] if there is none.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let pair = rcgen::KeyPair::from_pem(text).map_err(|error| KeyError(error.to_string()))?;
        Ok(Self(pair))
    }

    /// As it is kept in a file.
    pub fn to_pem(&self) -> String {
        self.0.serialize_pem()
    }

    /// A request for a certificate (PKCS #10 in PEM, RFC 2986). It names nobody: who a device is
    /// its server decides.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it cannot be signed.
    pub fn request(&self) -> Result<String, KeyError> {
        let mut parameters = rcgen::CertificateParams::default();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        let request = parameters.serialize_request(&self.0);
        request.and_then(|it| it.pem()).map_err(|error| KeyError(error.to_string()))
    }
}

impl fmt::Debug for Key {
    /// Without the key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key(…)")
    }
}

/// The certificate that a device or a distribution point shows, with its key; both in PEM.
#[derive(Clone, Copy)]
pub struct Credential<'a> {
    /// The certificate.
    pub certificate: &'a str,
    /// Its key.
    pub key: &'a str,
}

/// The authority that issued a certificate, as the last of its chain.
pub fn issuer_of(certificate: &str) -> Option<Digest> {
    let last = CertificateDer::pem_slice_iter(certificate.as_bytes()).last()?.ok()?;
    Some(Digest::of(&last))
}

/// TLS with whoever this authority vouches for, showing the credential if there is one.
pub(crate) fn client_config(
    authority: Digest,
    credential: Option<Credential<'_>>,
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(ByAuthority { authority, provider: Arc::clone(&provider) });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let Some(Credential { certificate, key }) = credential else {
        return Ok(builder.with_no_client_auth());
    };
    let unreadable = |error| Error::General(format!("the credential cannot be read: {error}"));
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(unreadable)?;
    builder.with_client_auth_cert(chain, key)
}

/// Takes a server for the right one if the authority with this digest is in its chain and vouches
/// for it by this name at this time, as WebPKI has it.
#[derive(Debug)]
struct ByAuthority {
    authority: Digest,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ByAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let is_authority = |it: &&CertificateDer<'_>| Digest::of(it) == self.authority;
        let authority = intermediates.iter().find(is_authority);
        let authority =
            authority.ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone())?;
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &roots,
            intermediates,
            now,
            algorithms,
        )?;
        verify_server_name(&certificate, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What a failed handshake says of the other side's certificate, if it was about that.
pub(crate) fn certificate_error<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        // An I/O error shows what it wraps, but not as its source.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        for candidate in [error.downcast_ref::<Error>(), inner.and_then(|it| it.downcast_ref())] {
            if let Some(found @ Error::InvalidCertificate(_)) = candidate {
                return Some(found);
            }
        }
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_its_authority() {
        let (secret, authority) = (format!("gfenrol_{}", "0a".repeat(32)), Digest::of(b"ca"));
        let token = with_authority(&secret, &authority);
        assert_eq!(authority_in(&token), Some(authority));
        assert_eq!(secret_in(&token), secret);
        assert_eq!(authority_in(&format!(" {token}\n")), Some(authority));
        let root = Digest::of(b"root");
        for (token, expected) in [(token, Some(authority)), (secret.clone(), None)] {
            let token = with_root(&token, &root);
            assert_eq!(root_in(&token), Some(root), "{token}");
            assert_eq!(authority_in(&token), expected, "{token}");
            assert_eq!(secret_in(&token), secret, "{token}");
        }
        for other in [secret.as_str(), "", "gfenrol_a_b", "a_b_c_d", "a_b_."] {
            assert_eq!(authority_in(other), None, "{other}");
            assert_eq!(secret_in(other), other);
        }
    }

    #[test]
    fn a_key_comes_back_and_is_not_printed() {
        let key = Key::generate().unwrap();
        let text = key.to_pem();
        assert_eq!(Key::from_pem(&text).unwrap().to_pem(), text);
        assert!(key.request().unwrap().contains("CERTIFICATE REQUEST"));
        assert!(!format!("{key:?}").contains("PRIVATE"));
        assert!(Key::from_pem("nonsense").is_err());
    }
}
