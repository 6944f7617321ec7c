//! What Go's linker writes of itself into every executable: which Go built it, and from which
//! package. The `go` command of a release is built by that very release, so this tells the version
//! of a Go whose `VERSION` file is gone.
//!
//! The form is that of Go's `debug/buildinfo` since Go 1.18: a header of 32 bytes, aligned to 16,
//! that begins with [`MAGIC`]; behind it two strings, each after its length as a varint. Earlier
//! ones hold addresses in place of strings, and are not read.

use serde::Serialize;

/// How the header begins (`debug/buildinfo`, `buildInfoMagic`).
pub const MAGIC: &[u8; 14] = b"\xff Go buildinf:";

/// Where the header may begin (`buildInfoAlign`).
const ALIGNMENT: usize = 16;
/// Length of the header (`buildInfoHeaderSize`); the strings follow it.
const HEADER: usize = 32;
/// The flag of strings that stand behind the header (`flagsVersionInl`).
const INLINE: u8 = 2;
/// The module's text stands between two marks of so many bytes (`cmd/go`, `modload.ModInfoData`).
const MARK: usize = 16;
/// No version of a Go is longer.
const LONGEST_VERSION: usize = 256;
/// What a header with its strings has at most: the modules of a large program take some 100 kB.
pub const LONGEST: usize = 1 << 20;

/// The package of Go's own command.
const GO_COMMAND: &str = "cmd/go";

/// What an executable tells of how it was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BuildInfo {
    /// The Go that built it, as it calls itself: `go1.27.3`.
    pub go: String,
    /// The path of its main package: `cmd/go`.
    pub package: Option<String>,
}

impl BuildInfo {
    /// The first that stands in `bytes`, which begin at a multiple of 16 in the file. A mark that
    /// nothing readable follows is passed over: every program that can read build information
    /// holds the mark itself a second time.
    pub fn find(bytes: &[u8]) -> Option<Self> {
        let starts = (0..bytes.len()).step_by(ALIGNMENT);
        starts.filter_map(|start| Self::read(&bytes[start..])).next()
    }

    /// Whether the executable is Go's own command, so that it has the version of its Go.
    pub fn is_go_command(&self) -> bool {
        self.package.as_deref() == Some(GO_COMMAND)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        if !bytes.starts_with(MAGIC) || bytes.get(MAGIC.len() + 1)? & INLINE == 0 {
            return None;
        }
        let (go, rest) = string(bytes.get(HEADER..)?)?;
        let go = std::str::from_utf8(go).ok()?;
        let is_version = go.len() <= LONGEST_VERSION
            && (go.starts_with("go") || go.starts_with("devel"))
            && !go.contains(char::is_control);
        if !is_version {
            return None;
        }
        let text = string(rest).and_then(|(module, _)| {
            let end = module.len().checked_sub(MARK)?;
            std::str::from_utf8(module.get(MARK..end)?).ok()
        });
        let package = text.and_then(|text| text.lines().find_map(|it| it.strip_prefix("path\t")));
        Some(Self { go: go.to_owned(), package: package.map(str::to_owned) })
    }
}

/// A string after its length, and what follows.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = varint(bytes)?;
    (length <= LONGEST && length <= rest.len()).then(|| rest.split_at(length))
}

/// An unsigned varint of Go's `encoding/binary`: seven bits a byte, the lowest first.
fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0usize;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What a linker writes.
    fn blob(flags: u8, go: &str, module: &str) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([8, flags]);
        bytes.resize(HEADER, 0);
        let module = format!("{}{module}{}", "<".repeat(MARK), ">".repeat(MARK));
        for text in [go, &module] {
            let mut length = text.len();
            while length >= 0x80 {
                bytes.push(length as u8 | 0x80);
                length >>= 7;
            }
            bytes.push(length as u8);
            bytes.extend(text.as_bytes());
        }
        bytes
    }

    #[track_caller]
    fn check(bytes: &[u8], expect: Option<(&str, Option<&str>)>) {
        let found = BuildInfo::find(bytes);
        let found = found.as_ref().map(|found| (found.go.as_str(), found.package.as_deref()));
        assert_eq!(found, expect);
    }

    #[test]
    fn a_blob_is_found_where_it_is_aligned() {
        let module = format!("path\tcmd/go\nmod\tcmd\n{}", "dep\tx\n".repeat(500));
        let blob = blob(INLINE, "go1.27.3", &module);
        check(&blob, Some(("go1.27.3", Some("cmd/go"))));
        check(&[&[0; 48], &blob[..]].concat(), Some(("go1.27.3", Some("cmd/go"))));
        check(&[&[0; 50], &blob[..]].concat(), None);
        // The mark alone, as a program has it that reads such information.
        let mut reader = MAGIC.to_vec();
        reader.extend([8, INLINE]);
        reader.resize(64, b'x');
        check(&[&reader[..], &blob[..]].concat(), Some(("go1.27.3", Some("cmd/go"))));
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_not_read_beyond_its_end() {
        let whole = blob(INLINE, "go1.27.3", "path\tcmd/go\n");
        for end in 0..whole.len() {
            let found = BuildInfo::find(&whole[..end]);
            // The version is there before the module's text is.
            assert!(found.is_none_or(|found| found.go == "go1.27.3" && found.package.is_none()));
        }
        check(&blob(0, "go1.17", "path\tcmd/go\n"), None);
        check(&blob(INLINE, "gcc 14", ""), None);
        check(&blob(INLINE, "go1.27\u{1b}[2J", ""), None);
        let endless = [&whole[..HEADER], &[0xff; 40][..]].concat();
        check(&endless, None);
    }

    #[test]
    fn only_the_command_of_go_has_its_version() {
        let of = |module: &str| BuildInfo::find(&blob(INLINE, "go1.27.3", module)).unwrap();
        assert!(of("path\tcmd/go\nmod\tcmd\n").is_go_command());
        assert!(!of("path\tgolang.org/dl/go1.27.3\n").is_go_command());
        assert!(!of("").is_go_command());
    }
}
