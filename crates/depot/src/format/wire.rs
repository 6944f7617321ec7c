//! Numbers and bytes in packs and deltas: little endian, or LEB128 of at most 64 bits.

use super::FormatError;

/// Reads from the front; the end is an error, never a panic.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], FormatError> {
        let (front, rest) = self.0.split_at_checked(count).ok_or(FormatError::Truncated)?;
        self.0 = rest;
        Ok(front)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        Ok(self.bytes(N)?.try_into().expect("as many as were asked for"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, FormatError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, FormatError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, FormatError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, FormatError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(FormatError::Malformed("a number has more than 64 bits"))
    }

    /// A number with a sign: 0, -1, 1, -2, …
    pub(crate) fn signed(&mut self) -> Result<i64, FormatError> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A number of things, of which there are at most `most`.
    pub(crate) fn count(&mut self, most: usize) -> Result<usize, FormatError> {
        let count = self.varint()?;
        if count > most as u64 {
            return Err(FormatError::Malformed("it counts too many things"));
        }
        Ok(count as usize)
    }

    /// Indices below `end`, each as its distance from the one before.
    pub(crate) fn indices(&mut self, end: usize) -> Result<Vec<usize>, FormatError> {
        let count = self.count(end)?;
        let (mut indices, mut last) = (Vec::new(), -1i64);
        for _ in 0..count {
            last = last
                .checked_add(1)
                .and_then(|next| next.checked_add(self.signed().ok()?))
                .ok_or(FormatError::Malformed("an index is out of range"))?;
            if last < 0 || last >= end as i64 {
                return Err(FormatError::Malformed("an index is out of range"));
            }
            indices.push(last as usize);
        }
        Ok(indices)
    }
}

/// What [`Reader`] reads.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    pub(crate) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.u8(value as u8);
    }

    pub(crate) fn signed(&mut self, value: i64) {
        self.varint((value << 1 ^ value >> 63) as u64);
    }

    pub(crate) fn indices(&mut self, indices: &[usize]) {
        self.varint(indices.len() as u64);
        let mut last = -1;
        for &index in indices {
            self.signed(index as i64 - last - 1);
            last = index as i64;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(number: u64, signed: i64, mut indices: Vec<u16>) {
            let wide: Vec<usize> = indices.drain(..).map(usize::from).collect();
            let mut writer = Writer::default();
            writer.varint(number);
            writer.signed(signed);
            writer.indices(&wide);
            let mut reader = Reader::new(writer.as_bytes());
            prop_assert_eq!(reader.varint().unwrap(), number);
            prop_assert_eq!(reader.signed().unwrap(), signed);
            prop_assert_eq!(reader.indices(1 << 16).unwrap(), wide);
            prop_assert!(reader.is_at_end());
        }

        #[test]
        fn anything_is_read_without_a_panic(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while !reader.is_at_end() && reader.varint().is_ok() {}
            let _ = Reader::new(&bytes).indices(5);
        }
    }

    #[test]
    fn numbers_of_more_than_64_bits_are_refused() {
        let check = |bytes: &[u8], expected: Option<u64>| {
            assert_eq!(Reader::new(bytes).varint().ok(), expected, "{bytes:02x?}");
        };
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], Some(u64::MAX));
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], None);
        check(&[0x80; 11], None);
        check(&[0x80], None);
    }
}
