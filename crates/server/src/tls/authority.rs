//! The server's own authority: it vouches for the server, for devices and for distribution points.

use std::path::Path;

use gofleet_api::IssuedCertificate;
use gofleet_core::digest::Digest;
use gofleet_core::time::{Span, Timestamp};
use gofleet_platform::file::{Access, atomic_write};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose as Use, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData as _, SanType, date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{TlsError, certified};

/// How much earlier than it was made a certificate is good: clocks differ.
const SKEW: Span = Span::from_secs(24 * 60 * 60);
/// For how long the listener's certificate is good.
const SERVER_LIFETIME: Span = Span::from_secs(90 * 24 * 60 * 60);

/// An authority with its key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

impl Authority {
    /// The authority of this folder (`authority.pem`, `authority-key.pem`); made if there is none.
    ///
    /// Crash ordering: the key first. A key without a certificate is replaced with it.
    ///
    /// # Errors
    ///
    /// [`TlsError`] if it cannot be read or written. One that is damaged is not replaced: every
    /// device would lose its server.
    pub fn open(folder: &Path) -> Result<Self, TlsError> {
        let (path, key_path) = (folder.join("authority.pem"), folder.join("authority-key.pem"));
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| TlsError::File { path, source }
        };
        let content = |path: &Path, reason: &dyn ToString| TlsError::Content {
            path: path.to_owned(),
            reason: reason.to_string(),
        };
        if !path.exists() {
            let key = KeyPair::generate().map_err(make)?;
            let certificate = parameters().self_signed(&key).map_err(make)?;
            atomic_write(&key_path, key.serialize_pem().as_bytes(), Access::Private)
                .map_err(failed(&key_path))?;
            atomic_write(&path, certificate.pem().as_bytes(), Access::Everyone)
                .map_err(failed(&path))?;
        }
        let pem = std::fs::read_to_string(&path).map_err(failed(&path))?;
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| content(&path, &error))?
            .into_owned();
        let key_pem = std::fs::read_to_string(&key_path).map_err(failed(&key_path))?;
        let key = KeyPair::from_pem(&key_pem).map_err(|error| content(&key_path, &error))?;
        if public_key(&certificate).map_err(|reason| content(&path, &reason))?
            != key.subject_public_key_info()
        {
            return Err(content(&key_path, &"it is not the key of authority.pem"));
        }
        let issuer =
            Issuer::from_ca_cert_der(&certificate, key).map_err(|error| content(&path, &error))?;
        Ok(Self { issuer, certificate, pem })
    }

    /// The digest of its certificate, which tokens carry.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.certificate)
    }

    /// Its certificate.
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// A new certificate with a new key for a listener by these names, good from `now`.
    ///
    /// # Errors
    ///
    /// [`TlsError::Make`]
    pub fn for_listener(
        &self,
        names: &[SanType],
        now: Timestamp,
    ) -> Result<CertifiedKey, TlsError> {
        let key = KeyPair::generate().map_err(make)?;
        let mut parameters = leaf("gofleet", "server", now, now + SERVER_LIFETIME)?;
        parameters.subject_alt_names = names.to_vec();
        parameters.extended_key_usages = vec![Use::ServerAuth];
        let certificate = parameters.signed_by(&key, &self.issuer).map_err(make)?;
        let private = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|error| TlsError::Make(error.to_owned()))?;
        let chain = vec![certificate.der().clone(), self.certificate.clone()];
        certified(chain, private).map_err(|error| TlsError::Make(error.to_string()))
    }

    /// The digest of the public key in a request, if the request is signed with it.
    ///
    /// # Errors
    ///
    /// What is wrong with the request.
    pub fn key_of(request: &str) -> Result<Digest, String> {
        let request = CertificateSigningRequestParams::from_pem(request);
        let request = request.map_err(|error| error.to_string())?;
        Ok(Digest::of(&request.public_key.subject_public_key_info()))
    }

    /// A certificate for the key in a request, which must be signed with it. Nothing else of the
    /// request counts: who somebody is the server decides. With `names` it is good for a listener
    /// by these names too.
    ///
    /// # Errors
    ///
    /// What is wrong with the request.
    pub fn for_request(
        &self,
        request: &str,
        (name, kind): (&str, &str),
        names: &[SanType],
        (now, lifetime): (Timestamp, Span),
    ) -> Result<IssuedCertificate, String> {
        let request = CertificateSigningRequestParams::from_pem(request);
        let request = request.map_err(|error| error.to_string())?;
        let expires_at = now + lifetime;
        let mut parameters =
            leaf(name, kind, now, expires_at).map_err(|error| error.to_string())?;
        parameters.extended_key_usages = vec![Use::ClientAuth];
        if !names.is_empty() {
            parameters.subject_alt_names = names.to_vec();
            parameters.extended_key_usages.push(Use::ServerAuth);
        }
        let certificate = parameters.signed_by(&request.public_key, &self.issuer);
        let certificate = certificate.map_err(|error| error.to_string())?;
        // With the authority, so that a distribution point can show a chain, and whoever has the
        // certificate knows who issued it.
        let certificate = certificate.pem() + &self.pem;
        let renew_at = now + Span::from_millis(lifetime.as_millis() / 3 * 2);
        Ok(IssuedCertificate { certificate, renew_at, expires_at })
    }
}

/// The authority's certificate. It is good for ever (RFC 5280, section 4.1.2.5, says how), for it
/// is known by its digest and not by its dates; and from long ago, so that a clock that was wrong
/// at the first start does no harm.
fn parameters() -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, "gofleet authority");
    parameters.not_before = date_time_ymd(2020, 1, 1);
    parameters.not_after = date_time_ymd(9999, 12, 31);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

fn leaf(
    name: &str,
    kind: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<CertificateParams, TlsError> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.distinguished_name.push(DnType::OrganizationalUnitName, kind);
    parameters.not_before = date_time(now - SKEW)?;
    parameters.not_after = date_time(until)?;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.use_authority_key_identifier_extension = true;
    Ok(parameters)
}

fn date_time(at: Timestamp) -> Result<time::OffsetDateTime, TlsError> {
    time::OffsetDateTime::from_unix_timestamp(at.as_millis() / 1000)
        .map_err(|error| TlsError::Make(error.to_string()))
}

fn make(error: impl std::fmt::Display) -> TlsError {
    TlsError::Make(error.to_string())
}

/// The public key in a certificate (SubjectPublicKeyInfo, in DER).
pub(super) fn public_key(certificate: &CertificateDer<'_>) -> Result<Vec<u8>, String> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
    Ok(parsed.public_key().raw.to_vec())
}

/// From when and until when a certificate is good.
pub(super) fn validity(certificate: &CertificateDer<'_>) -> Result<(Timestamp, Timestamp), String> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
    let at = |time: x509_parser::time::ASN1Time| {
        Timestamp::from_millis(time.timestamp().saturating_mul(1000))
    };
    let validity = parsed.validity();
    Ok((at(validity.not_before), at(validity.not_after)))
}
