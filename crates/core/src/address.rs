//! Addresses of servers and distribution points, like `https://gofleet.example.org:8470`.

/// What an address must be, in words that follow "it".
const RULE: &str = "must begin with http:// or https:// and name a host";

/// Whether text is an address that can be asked.
///
/// # Errors
///
/// What it must be, in words that follow "it".
pub fn check(text: &str) -> Result<(), &'static str> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let names_a_host = |rest: &str| {
        !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace)
    };
    rest.filter(|rest| names_a_host(rest)).map(drop).ok_or(RULE)
}

/// The host of an address, in lower case; of an IPv6 address without its brackets.
pub fn host(address: &str) -> String {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_host() {
        for good in ["http://a", "https://10.1.2.3:8471", "https://[::1]:8470/x"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["", "a", "ftp://a", "http://", "https:///x", "http://a b", "HTTP//a"] {
            assert_eq!(check(bad), Err(RULE), "{bad}");
        }
    }

    #[test]
    fn a_host_stands_between_the_scheme_and_the_port() {
        for (address, expect) in [
            ("http://127.0.0.1:8470", "127.0.0.1"),
            ("https://[2001:DB8::1]:8470/x", "2001:db8::1"),
            ("https://GoFleet.example.org/fleet", "gofleet.example.org"),
            ("https://a?x", "a"),
            ("", ""),
        ] {
            assert_eq!(host(address), expect, "{address}");
        }
    }
}
