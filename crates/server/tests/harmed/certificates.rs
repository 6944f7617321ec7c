//! Requests for certificates, and the certificates that a handshake shows.

use gofleet_api::Key;
use gofleet_core::time::{Span, Timestamp};
use gofleet_server::tls::{Authority, ShownCertificate, client_verifier};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};

use crate::SECONDS;
use crate::harness::harmed;

const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);
const MONTH: Span = Span::from_secs(30 * 24 * 60 * 60);

fn authority() -> (tempfile::TempDir, Authority) {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path()).unwrap();
    (folder, authority)
}

/// The certificate for a key, as its holder shows it.
fn certificate(authority: &Authority, request: &str) -> CertificateDer<'static> {
    let issued = authority.for_request(request, ("d-1", "device"), &[], (NOW, MONTH)).unwrap();
    CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()
}

#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_requests_get_a_certificate_for_their_own_key_only() {
    let (_folder, authority) = authority();
    let other_kinds = [&PKCS_ED25519, &PKCS_ECDSA_P384_SHA384].map(|kind| {
        let key = KeyPair::generate_for(kind).unwrap();
        let mut parameters = CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "gofleet authority");
        parameters.serialize_request(&key).unwrap().pem().unwrap()
    });
    let own = Key::generate().unwrap().request().unwrap();
    let seeds: Vec<String> = other_kinds.into_iter().chain([own]).collect();
    let keys: Vec<_> = seeds.iter().map(|seed| Authority::key_of(seed).unwrap()).collect();
    let seeds: Vec<Vec<u8>> = seeds.into_iter().map(String::into_bytes).collect();
    harmed("certificate-requests", SECONDS, &seeds, |bytes| {
        let Ok(request) = std::str::from_utf8(bytes) else { return false };
        let Ok(key) = Authority::key_of(request) else { return false };
        // It is signed with its key, and nobody has signed with another.
        assert!(keys.contains(&key), "{request}");
        let shown = ShownCertificate::read(&certificate(&authority, request)).unwrap();
        assert_eq!((shown.key, shown.expires_at), (key, NOW + MONTH), "{request}");
        true
    });
}

#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_certificates_are_never_taken() {
    let (_folder, authority) = authority();
    let verifier = client_verifier(authority.certificate()).unwrap();
    let der = certificate(&authority, &Key::generate().unwrap().request().unwrap());
    let own = ShownCertificate::read(&der).unwrap();
    let takes = |shown: &CertificateDer<'_>, between: &[CertificateDer<'_>]| {
        verifier.verify_client_cert(shown, between, UnixTime::now()).is_ok()
    };
    harmed("certificates", SECONDS, &[der.to_vec()], |bytes| {
        let shown = CertificateDer::from(bytes);
        // In the place of one between, it vouches for nobody, and brings nothing down.
        assert!(takes(&der, std::slice::from_ref(&shown)));
        let is_taken = takes(&shown, &[authority.certificate().clone()]);
        match ShownCertificate::read(&shown) {
            Ok(read) if is_taken => {
                assert_eq!((read.key, read.expires_at), (own.key, own.expires_at));
            }
            Ok(_) => {}
            Err(reason) => assert!(!is_taken, "{reason}"),
        }
        assert!(!is_taken || *bytes == *der, "{}", bytes.escape_ascii());
        is_taken
    });
}
