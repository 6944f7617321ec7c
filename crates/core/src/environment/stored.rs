//! A variable as it is stored: the type and the bytes of a registry value, or the bytes of a file.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::hex;

/// `REG_SZ`: a text.
const SZ: u32 = 1;
/// `REG_EXPAND_SZ`: a text in which `%VARIABLES%` stand for their values.
const EXPAND_SZ: u32 = 2;

/// Exactly what is stored, so that exactly that can be put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The type of a registry value; 0 for a file.
    #[serde(rename = "type")]
    pub kind: u32,
    /// Its bytes, with whatever ends a text.
    #[serde(serialize_with = "to_hex", deserialize_with = "from_hex")]
    pub bytes: Vec<u8>,
}

/// A variable's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Text {
    /// As it is written, variables unexpanded.
    pub text: String,
    /// Whether `%VARIABLES%` in it stand for their values (`REG_EXPAND_SZ`).
    pub is_expanded: bool,
}

/// Why what is stored is no text that could be edited.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoredError {
    /// Another type than `REG_SZ` and `REG_EXPAND_SZ`.
    #[error("its registry type is {0}, neither REG_SZ (1) nor REG_EXPAND_SZ (2)")]
    Type(u32),
    /// Bytes that make up no characters, or a half of a pair.
    #[error("it is not UTF-16")]
    Encoding,
    /// Programs read up to the NUL, and what is behind it would come to light by an edit.
    #[error("it has a NUL within")]
    Nul,
}

impl Stored {
    /// A file's content.
    pub fn file(bytes: impl Into<Vec<u8>>) -> Self {
        Self { kind: 0, bytes: bytes.into() }
    }

    /// The text.
    ///
    /// # Errors
    ///
    /// [`StoredError`] if an edit could lose something of what is stored.
    pub fn text(&self) -> Result<Text, StoredError> {
        if ![SZ, EXPAND_SZ].contains(&self.kind) {
            return Err(StoredError::Type(self.kind));
        }
        let (pairs, rest) = self.bytes.as_chunks();
        if !rest.is_empty() {
            return Err(StoredError::Encoding);
        }
        let units: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
        let text = String::from_utf16(&units).map_err(|_| StoredError::Encoding)?;
        // Some programs store no NUL at the end, some store several.
        let text = text.trim_end_matches('\0');
        if text.contains('\0') {
            return Err(StoredError::Nul);
        }
        Ok(Text { text: text.to_owned(), is_expanded: self.kind == EXPAND_SZ })
    }
}

impl Text {
    /// How it is stored in the registry: UTF-16 with one NUL at the end, of the same type.
    pub fn stored(&self) -> Stored {
        let units = self.text.encode_utf16().chain([0]);
        let kind = if self.is_expanded { EXPAND_SZ } else { SZ };
        Stored { kind, bytes: units.flat_map(u16::to_le_bytes).collect() }
    }

    /// The name of its registry type.
    pub fn type_name(&self) -> &'static str {
        if self.is_expanded { "REG_EXPAND_SZ" } else { "REG_SZ" }
    }
}

fn to_hex<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}

fn from_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let bytes = hex::decode(&String::deserialize(deserializer)?);
    bytes.ok_or_else(|| serde::de::Error::custom("not pairs of hexadecimal digits"))
}
