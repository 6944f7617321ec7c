//! For which machines an enrolment token is good.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::facts::Facts;
use crate::ids::DeviceId;
use crate::selector::Selector;

/// What a machine must be for a token to enrol it; by default any machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The networks that it may come from, like `10.1.0.0/16`; any if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(value_type = Vec<String>))]
    pub networks: Vec<Network>,
    /// A selector over what it tells of itself; any if empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub devices: String,
    /// Whether it is kept out of rollouts until a person lets it in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_approval: bool,
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = self.networks.iter().map(ToString::to_string).collect();
        if !self.devices.is_empty() {
            parts.push(self.devices.clone());
        }
        if self.needs_approval {
            parts.push("with approval".to_owned());
        }
        let text = if parts.is_empty() { "any machine".to_owned() } else { parts.join(", ") };
        formatter.write_str(&text)
    }
}

/// A token is not for this machine.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OutOfScope {
    /// It comes from elsewhere.
    #[error("the token is good for machines in {allowed} only, and this one comes from {from}")]
    Network {
        /// The networks of the token.
        allowed: String,
        /// Where the machine is.
        from: String,
    },
    /// It is another one.
    #[error("the token is good for machines with `{devices}` only, which this one is not")]
    Devices {
        /// The token's selector.
        devices: String,
    },
}

impl Scope {
    /// Whether a machine at this address (none: not known) that tells this of itself is in it.
    ///
    /// # Errors
    ///
    /// [`OutOfScope`] if it is not. A selector that cannot be read (it was checked when the token
    /// was made) admits nobody.
    pub fn admits(
        &self,
        from: Option<IpAddr>,
        device: &DeviceId,
        facts: &Facts,
    ) -> Result<(), OutOfScope> {
        self.admits_address(from)?;
        let is_meant = Selector::parse(&self.devices).is_ok_and(|it| it.matches(device, facts));
        if is_meant { Ok(()) } else { Err(OutOfScope::Devices { devices: self.devices.clone() }) }
    }
}

impl Scope {
    /// Whether a machine at this address (none: not known) is in its networks.
    ///
    /// # Errors
    ///
    /// [`OutOfScope::Network`] if it is not.
    pub fn admits_address(&self, from: Option<IpAddr>) -> Result<(), OutOfScope> {
        let is_near = |from: IpAddr| self.networks.iter().any(|network| network.contains(from));
        if self.networks.is_empty() || from.is_some_and(is_near) {
            return Ok(());
        }
        let allowed: Vec<_> = self.networks.iter().map(ToString::to_string).collect();
        Err(OutOfScope::Network {
            allowed: allowed.join(" or "),
            from: from.map_or("somewhere unknown".to_owned(), |from| from.to_string()),
        })
    }
}

/// A block of addresses in CIDR notation (RFC 4632): `10.1.0.0/16`, `2001:db8::/32`, or a single
/// address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    prefix: u8,
}

/// Text that is no [`Network`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a network: `{0}` (expected one like 10.1.0.0/16 or 2001:db8::/32)")]
pub struct NotANetwork(String);

impl Network {
    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (base, address) = (self.base.to_canonical(), address.to_canonical());
        base.is_ipv4() == address.is_ipv4()
            && masked(base, self.prefix) == masked(address, self.prefix)
    }
}

/// The first bits of an address, as many as the prefix is long.
fn masked(address: IpAddr, prefix: u8) -> u128 {
    let (bits, width) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    bits.checked_shr(width - u32::from(prefix)).unwrap_or(0)
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let none = || NotANetwork(text.to_owned());
        let (base, prefix) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let base: IpAddr = base.trim().parse().map_err(|_| none())?;
        let width = if base.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.trim().parse().map_err(|_| none())?,
            None => width,
        };
        if prefix > width { Err(none()) } else { Ok(Self { base, prefix }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.base, self.prefix)
    }
}

impl Serialize for Network {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Platform;

    fn facts() -> Facts {
        Facts {
            hostname: "build-1".to_owned(),
            platform: Platform::new("linux", "amd64").unwrap(),
            os_version: String::new(),
            processors: 1,
            free_bytes: 0,
            agent_version: String::new(),
            active: None,
            packages: Default::default(),
            found: Vec::new(),
            zone: None,
            labels: [("site".to_owned(), "berlin".to_owned())].into(),
            collections: Default::default(),
        }
    }

    #[test]
    fn networks_contain_what_their_prefix_says() {
        for (network, address, is_in) in [
            ("10.1.0.0/16", "10.1.255.1", true),
            ("10.1.0.0/16", "10.2.0.1", false),
            ("10.1.0.0/16", "::ffff:10.1.0.9", true),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db9::1", true),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), is_in, "{network} {address}");
            assert_eq!(parsed.to_string().parse::<Network>().unwrap(), parsed);
        }
        for text in ["", "10.1.0.0/33", "10.1/16", "x/8", "::/129", "10.0.0.0/-1"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_scope_says_what_is_out_of_it() {
        let device: DeviceId = "d-1".parse().unwrap();
        let near = Some("10.1.0.9".parse().unwrap());
        let admits = |scope: &Scope, from| scope.admits(from, &device, &facts());
        assert_eq!(admits(&Scope::default(), None), Ok(()));
        let networks = vec!["10.1.0.0/16".parse().unwrap()];
        let scope =
            Scope { networks, devices: "label.site = berlin".to_owned(), needs_approval: false };
        assert_eq!(admits(&scope, near), Ok(()));
        assert!(matches!(admits(&scope, None), Err(OutOfScope::Network { .. })));
        let far = Some("10.2.0.9".parse().unwrap());
        assert!(matches!(admits(&scope, far), Err(OutOfScope::Network { .. })));
        for devices in ["label.site = paris", "label.site ="] {
            let scope = Scope { devices: devices.to_owned(), ..scope.clone() };
            assert!(matches!(admits(&scope, near), Err(OutOfScope::Devices { .. })), "{devices}");
        }
    }
}
