//! What strangers do to bytes.

use proptest::prelude::*;

/// What is done to some bytes.
#[derive(Debug, Clone)]
pub enum Harm {
    Set(usize, u8),
    Cut(usize),
    Insert(usize, u8),
    Copy(usize, usize, usize),
}

/// Any of it.
pub fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        4 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Harm::Set(at, byte)),
        1 => any::<usize>().prop_map(Harm::Cut),
        1 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Harm::Insert(at, byte)),
        2 => (any::<usize>(), any::<usize>(), 1..60usize)
            .prop_map(|(from, to, count)| Harm::Copy(from, to, count)),
    ]
}

/// Does it.
pub fn apply(bytes: &mut Vec<u8>, harm: &Harm) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    match *harm {
        Harm::Set(at, byte) => bytes[at % length] = byte,
        Harm::Cut(at) => bytes.truncate(at % length),
        Harm::Insert(at, byte) => bytes.insert(at % length, byte),
        Harm::Copy(from, to, count) => {
            let (from, to) = (from % length, to % length);
            let count = count.min(length - from).min(length - to);
            bytes.copy_within(from..from + count, to);
        }
    }
}
