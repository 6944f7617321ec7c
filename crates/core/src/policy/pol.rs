//! `registry.pol`: the file in which a group policy carries values of the registry (\[MS-GPREG\]
//! 2.2.1), read and written.
//!
//! After the signature `PReg` and the version 1 follow records `[key;value;type;size;data]`.
//! Brackets, semicolons, key and value are UTF-16LE, the two names end with a zero; type and size
//! (of the data, in bytes) are 32 bits.

use thiserror::Error;

use crate::environment::expand;

use super::{REG_BINARY, REG_DWORD, REG_EXPAND_SZ, REG_MULTI_SZ, REG_QWORD, REG_SZ};

const SIGNATURE: &[u8; 4] = b"PReg";
const VERSION: u32 = 1;

/// A value of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The key that has it.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Its type, like [`REG_SZ`].
    pub kind: u32,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// What is not a `registry.pol`, or can't become one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolError {
    /// It does not begin with signature and version.
    #[error("it does not begin with `PReg` and the version 1")]
    Header,
    /// A record is cut off or is something else.
    #[error("at byte {at}: expected {expected}")]
    Record {
        /// Bytes from the beginning.
        at: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// A zero ends a name, so none can stand in it.
    #[error("the name of {path:?} has a zero in it")]
    Zero {
        /// Key and value.
        path: String,
    },
    /// The size has 32 bits.
    #[error("the data of {path} has more than 4 GB")]
    TooLarge {
        /// Key and value.
        path: String,
    },
}

/// The file with these records.
///
/// # Errors
///
/// [`PolError::Zero`], [`PolError::TooLarge`].
pub fn encode(records: &[Record]) -> Result<Vec<u8>, PolError> {
    let mut file = SIGNATURE.to_vec();
    file.extend(VERSION.to_le_bytes());
    for record in records {
        if record.key.contains('\0') || record.name.contains('\0') {
            return Err(PolError::Zero { path: record.path() });
        }
        let size = u32::try_from(record.data.len())
            .map_err(|_| PolError::TooLarge { path: record.path() })?;
        file.extend(unit('['));
        file.extend(wide(&record.key));
        file.extend(unit(';'));
        file.extend(wide(&record.name));
        file.extend(unit(';'));
        file.extend(record.kind.to_le_bytes());
        file.extend(unit(';'));
        file.extend(size.to_le_bytes());
        file.extend(unit(';'));
        file.extend(&record.data);
        file.extend(unit(']'));
    }
    Ok(file)
}

/// The records of a file.
///
/// # Errors
///
/// [`PolError::Header`], [`PolError::Record`].
pub fn decode(file: &[u8]) -> Result<Vec<Record>, PolError> {
    let mut reader = Reader { file, at: 0 };
    let is_signed = reader.bytes(4, "").is_ok_and(|bytes| bytes == SIGNATURE);
    if !is_signed || reader.number().ok() != Some(VERSION) {
        return Err(PolError::Header);
    }
    let mut records = Vec::new();
    while reader.at < file.len() {
        reader.sign('[', "`[`")?;
        let key = reader.text()?;
        reader.sign(';', "`;` after the key")?;
        let name = reader.text()?;
        reader.sign(';', "`;` after the value's name")?;
        let kind = reader.number()?;
        reader.sign(';', "`;` after the type")?;
        let size = reader.number()?;
        reader.sign(';', "`;` after the size")?;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let data = reader.bytes(size, "as many bytes of data as were announced")?.to_vec();
        reader.sign(']', "`]`")?;
        records.push(Record { key, name, kind, data });
    }
    Ok(records)
}

struct Reader<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize, expected: &'static str) -> Result<&'a [u8], PolError> {
        let wrong = PolError::Record { at: self.at, expected };
        let end = self.at.checked_add(count).ok_or_else(|| wrong.clone())?;
        let bytes = self.file.get(self.at..end).ok_or(wrong)?;
        self.at = end;
        Ok(bytes)
    }

    fn number(&mut self) -> Result<u32, PolError> {
        let bytes = self.bytes(4, "a number of 32 bits")?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("as many were asked for")))
    }

    fn sign(&mut self, sign: char, expected: &'static str) -> Result<(), PolError> {
        let at = self.at;
        let found = self.bytes(2, expected)?;
        if found == unit(sign) { Ok(()) } else { Err(PolError::Record { at, expected }) }
    }

    /// Up to a zero, which is passed over.
    fn text(&mut self) -> Result<String, PolError> {
        let (at, expected) = (self.at, "a name in UTF-16 that ends with a zero");
        let mut units = Vec::new();
        loop {
            let bytes = self.bytes(2, expected)?;
            match u16::from_le_bytes([bytes[0], bytes[1]]) {
                0 => break,
                unit => units.push(unit),
            }
        }
        String::from_utf16(&units).map_err(|_| PolError::Record { at, expected })
    }
}

impl Record {
    /// Key and name, as people write them.
    pub fn path(&self) -> String {
        if self.key.is_empty() { self.name.clone() } else { format!("{}\\{}", self.key, self.name) }
    }

    /// Its text; variables stand for their values if its type says so.
    ///
    /// # Errors
    ///
    /// If it has another type, or is no Unicode.
    pub fn text(&self, environment: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
        match self.kind {
            REG_SZ => self.unicode(),
            REG_EXPAND_SZ => Ok(expand(&self.unicode()?, environment)),
            _ => Err(self.is_not("REG_SZ or REG_EXPAND_SZ")),
        }
    }

    /// Its texts.
    ///
    /// # Errors
    ///
    /// If it has another type, or is no Unicode.
    pub fn list(&self) -> Result<Vec<String>, String> {
        match self.kind {
            REG_MULTI_SZ => {
                let text = self.unicode_with_zeros()?;
                Ok(text.split('\0').filter(|it| !it.is_empty()).map(str::to_owned).collect())
            }
            _ => Err(self.is_not("REG_MULTI_SZ")),
        }
    }

    fn is_not(&self, wanted: &str) -> String {
        let kind = match self.kind {
            REG_SZ => "REG_SZ",
            REG_EXPAND_SZ => "REG_EXPAND_SZ",
            REG_BINARY => "REG_BINARY",
            REG_DWORD => "REG_DWORD",
            REG_MULTI_SZ => "REG_MULTI_SZ",
            REG_QWORD => "REG_QWORD",
            other => return format!("its type is {other}, and {wanted} is needed"),
        };
        format!("its type is {kind}, and {wanted} is needed")
    }

    /// Up to a zero at its end, which may be missing.
    fn unicode(&self) -> Result<String, String> {
        let mut text = self.unicode_with_zeros()?;
        if text.ends_with('\0') {
            text.pop();
        }
        if text.contains('\0') { Err("it has a zero in it".to_owned()) } else { Ok(text) }
    }

    fn unicode_with_zeros(&self) -> Result<String, String> {
        let (pairs, rest) = self.data.as_chunks();
        let units: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
        match String::from_utf16(&units) {
            Ok(text) if rest.is_empty() => Ok(text),
            _ => Err("it is no text in UTF-16".to_owned()),
        }
    }
}

fn unit(sign: char) -> [u8; 2] {
    (sign as u16).to_le_bytes()
}

/// In UTF-16LE, with a zero at the end.
pub(super) fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

/// Each with a zero at its end, and one more.
pub(super) fn wide_list(list: &[String]) -> Vec<u8> {
    list.iter().flat_map(|text| wide(text)).chain([0, 0]).collect()
}
