//! What Windows Installer and the list of installed programs tell of Go.

use std::fmt;

use serde::Serialize;

/// The `UpgradeCode`s of Go's own MSI, one for each architecture (`golang.org/x/build`,
/// `internal/installer/windowsmsi`).
pub const UPGRADE_CODES: [(&str, &str); 3] = [
    ("amd64", "{22EA7650-4AC6-4001-BF29-F4B8775DB1C0}"),
    ("386", "{1C3114EA-08C3-11E1-9095-7FCA4824019B}"),
    ("arm64", "{21ADE9A3-3FDD-4BA6-BEA6-C85ABADC9488}"),
];

/// How Go's MSI calls itself; the version follows.
const NAME: &str = "Go Programming Language";

/// A GUID between braces as Windows Installer writes it in the names of its keys: the letters of
/// the first three groups backwards, and each pair of the others. Packing twice gives the GUID
/// without its marks. None if it is no GUID.
pub fn packed(guid: &str) -> Option<String> {
    let digits: Vec<char> = guid.chars().filter(char::is_ascii_hexdigit).collect();
    let is_guid = digits.len() == 32
        && guid.chars().all(|letter| letter.is_ascii_hexdigit() || "{-}".contains(letter));
    is_guid.then(|| {
        let parts = [8, 4, 4, 2, 2, 2, 2, 2, 2, 2, 2];
        let mut rest = &digits[..];
        let mut packed = String::with_capacity(32);
        for part in parts {
            let (one, others) = rest.split_at(part);
            packed.extend(one.iter().rev().map(char::to_ascii_uppercase));
            rest = others;
        }
        packed
    })
}

/// Of which view of the registry something is: programs of 32 bits have their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum View {
    /// That of programs of 64 bits.
    #[serde(rename = "64")]
    Bits64,
    /// That of programs of 32 bits.
    #[serde(rename = "32")]
    Bits32,
}

/// An entry of the list of installed programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Product {
    /// The name of its key, which for an MSI is its `ProductCode`.
    pub code: String,
    /// The view of the registry that holds it.
    pub view: View,
    /// How it calls itself.
    pub name: String,
    /// Its version, as Windows Installer has it: `1.27.3`.
    pub version: Option<String>,
    /// Where it says that it is.
    pub location: Option<String>,
    /// The architecture whose `UpgradeCode` it has; none if only its name says that it is Go.
    pub upgrade: Option<&'static str>,
}

impl Product {
    /// Whether it is Go: by its `UpgradeCode`, or because it calls itself so.
    pub fn is_go(&self) -> bool {
        self.upgrade.is_some() || self.name.starts_with(NAME)
    }

    /// The version of its Go. Windows Installer knows three numbers only, so that the name, which
    /// has all of it (`Go Programming Language amd64 go1.27rc1`), goes first.
    pub fn go_version(&self) -> Option<&str> {
        let named = self.name.split(' ').filter_map(|word| word.strip_prefix("go"));
        let mut named = named.filter(|word| word.starts_with(|it: char| it.is_ascii_digit()));
        named.next().or(self.version.as_deref())
    }
}

impl fmt::Display for Product {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = if self.view == View::Bits32 { ", 32 bits" } else { "" };
        write!(formatter, "{} ({}{bits})", self.name, self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_packed_as_windows_installer_does_it() {
        #[track_caller]
        fn check(guid: &str, expect: Option<&str>) {
            assert_eq!(packed(guid).as_deref(), expect, "{guid}");
        }
        // The code of Visual C++ 2005, whose packed form stands in many a forum.
        check(
            "{7299052b-02a4-4627-81f2-1818da5d550d}",
            Some("b25099274a207264182f8181add555d0".to_uppercase().as_str()),
        );
        check("{22ea7650-4ac6-4001-bf29-f4b8775db1c0}", Some("0567AE226CA41004FB924F8B77D51B0C"));
        check("no guid", None);
        check("{22ea7650-4ac6-4001-bf29-f4b8775db1c0}0", None);
        for (_, code) in UPGRADE_CODES {
            let plain: String = code.chars().filter(char::is_ascii_hexdigit).collect();
            assert_eq!(packed(&packed(code).unwrap()), Some(plain));
        }
    }

    #[test]
    fn a_product_is_go_by_its_code_or_its_name() {
        let product = |name: &str, upgrade| Product {
            code: "{X}".into(),
            view: View::Bits64,
            name: name.into(),
            version: Some("1.27.0".into()),
            location: None,
            upgrade,
        };
        assert!(product("Renamed", Some("amd64")).is_go());
        assert!(!product("Google Chrome", None).is_go());
        let candidate = product("Go Programming Language amd64 go1.27rc1", None);
        assert!(candidate.is_go());
        assert_eq!(candidate.go_version(), Some("1.27rc1"));
        assert_eq!(product("Go", Some("386")).go_version(), Some("1.27.0"));
    }
}
