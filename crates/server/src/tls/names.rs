//! The names by which a listener is reached, which its certificate must have.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use gofleet_core::address;
use rcgen::SanType;

/// The names of a listener at this address: this machine's, the address itself, the host of its
/// public address, and those that were configured. What is no name is left out.
pub fn names(
    listen: SocketAddr,
    hostname: &str,
    public_url: Option<&str>,
    more: &[String],
) -> Vec<SanType> {
    let mut names = BTreeSet::from(["localhost".to_owned(), hostname.to_lowercase()]);
    let mut addresses = vec![IpAddr::from([127, 0, 0, 1]), "::1".parse().expect("an address")];
    if listen.ip().is_unspecified() {
        addresses.extend(own_addresses());
    } else {
        addresses.push(listen.ip());
    }
    names.extend(addresses.iter().map(ToString::to_string));
    names.extend(public_url.map(address::host));
    names.extend(more.iter().map(|name| name.trim().to_lowercase()));
    names.iter().filter_map(|name| name_of(name)).collect()
}

/// A name as a certificate has it.
pub fn name_of(name: &str) -> Option<SanType> {
    match name.parse() {
        Ok(address) => Some(SanType::IpAddress(address)),
        Err(_) if name.is_empty() || !name.bytes().all(is_of_a_name) => None,
        Err(_) => Some(SanType::DnsName(name.to_owned().try_into().ok()?)),
    }
}

const fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

/// The addresses by which this machine reaches others, one of each family. Nothing is sent: the
/// system only says which address it would send from (the destinations are reserved for documents,
/// RFC 5737 and RFC 3849).
fn own_addresses() -> impl Iterator<Item = IpAddr> {
    [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")].into_iter().filter_map(
        |(from, to)| {
            let socket = UdpSocket::bind(from).ok()?;
            socket.connect(to).ok()?;
            socket.local_addr().ok().map(|address| address.ip())
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_has_the_names_that_it_is_reached_by() {
        let listen = "192.0.2.7:8470".parse().unwrap();
        let more = ["GO.example.org".to_owned(), "not a name".to_owned(), String::new()];
        let names = names(listen, "Build-1", Some("https://[2001:db8::7]:443/x"), &more);
        let has = |name: &str| names.contains(&name_of(name).unwrap());
        for name in [
            "localhost",
            "build-1",
            "127.0.0.1",
            "::1",
            "192.0.2.7",
            "2001:db8::7",
            "go.example.org",
        ] {
            assert!(has(name), "{name}: {names:?}");
        }
        assert_eq!(names.len(), 7, "{names:?}");
    }
}
