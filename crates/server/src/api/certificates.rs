//! Certificates for those who enrol and those who renew: devices and distribution points alike.

use gofleet_api::{IssuedCertificate, ProblemCode};
use gofleet_core::address;
use gofleet_core::digest::Digest;

use crate::failure::{Answer, Failure};
use crate::state::AppState;
use crate::tls::{self, Authority};

/// Whom a certificate is for.
#[derive(Debug, Clone, Copy)]
pub enum Holder<'a> {
    /// A device, by its id.
    Device(&'a str),
    /// A distribution point, by its id and the address that devices reach it by.
    Edge(&'a str, &'a str),
}

/// A certificate for the key in a request.
pub fn issue(state: &AppState, holder: Holder<'_>, request: &str) -> Answer<IssuedCertificate> {
    let (subject, names) = match holder {
        Holder::Device(id) => ((id, "device"), None),
        Holder::Edge(id, url) => ((id, "edge"), tls::name_of(&address::host(url))),
    };
    let time = (state.now(), state.config().certificate_lifetime);
    let issued = state.authority().for_request(request, subject, names.as_slice(), time);
    issued.map_err(|reason| invalid(&reason))
}

/// The digest of the key in a request.
pub fn key_of(request: &str) -> Answer<Digest> {
    Authority::key_of(request).map_err(|reason| invalid(&reason))
}

/// Whoever enrols goes on with a certificate, which plain HTTP has no place for.
pub fn needs_tls(is_tls: bool) -> Answer<()> {
    if is_tls {
        return Ok(());
    }
    Err(Failure::new(ProblemCode::Forbidden, "machines enrol and ask by TLS only")
        .with_hint("write the server's address with https://"))
}

/// Whether the one who has the key in a request is the caller.
pub fn same_key<Id: PartialEq>(holder: Option<&Id>, caller: &Id) -> Answer<()> {
    if holder == Some(caller) {
        return Ok(());
    }
    let detail = "the request is for another key than the caller's";
    Err(Failure::new(ProblemCode::Forbidden, detail).with_hint("a new key needs a new enrolment"))
}

fn invalid(reason: &str) -> Failure {
    let detail = format!("the request for a certificate cannot be used: {reason}");
    Failure::new(ProblemCode::InvalidRequest, detail)
        .with_hint("it must be a PKCS #10 request in PEM, signed with its own key")
}
