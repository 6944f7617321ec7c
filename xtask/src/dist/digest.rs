//! Digests of what is made, and names that are made of digests.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// The list of digests that `sha256sum --check` reads.
pub const SUMS: &str = "SHA256SUMS";

/// Writes the digests of those files, which lie in the folder, beside them.
///
/// # Errors
///
/// If one can't be read.
pub fn write_sums(folder: &Path, names: &[String]) -> Result<()> {
    let mut names = names.to_vec();
    names.sort();
    let mut text = String::new();
    for name in names {
        writeln!(text, "{}  {name}", hex(&of_file(&folder.join(&name))?))?;
    }
    fs::write(folder.join(SUMS), text).with_context(|| format!("write {SUMS}"))
}

/// The SHA-256 of a file.
///
/// # Errors
///
/// If it can't be read.
pub fn of_file(path: &Path) -> Result<[u8; 32]> {
    let content = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    Ok(Sha256::digest(content).into())
}

/// As `sha256sum` writes it.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A UUID that is made of the content alone, in the form for such (RFC 9562, version 8).
pub fn uuid(content: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(content).into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex(&bytes);
    let parts = [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]];
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_digests_is_what_sha256sum_reads() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("b"), "abc").unwrap();
        fs::write(folder.path().join("a"), "").unwrap();
        write_sums(folder.path(), &["b".to_owned(), "a".to_owned()]).unwrap();
        assert_eq!(
            fs::read_to_string(folder.path().join(SUMS)).unwrap(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a\n\
             ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  b\n"
        );
    }

    #[test]
    fn equal_contents_have_equal_numbers() {
        assert_eq!(uuid(b"abc"), "ba7816bf-8f01-8fea-8141-40de5dae2223");
        assert_ne!(uuid(b"abc"), uuid(b"abd"));
    }
}
