//! Frames that say what is not so.

use std::io::Write as _;

use gofleet_core::digest::Digest;

use super::*;
use crate::files::LoadError;
use crate::format::{Builder, Magic};

const MAGIC: Magic = *b"testing!";

fn file(path: &str, content: &[u8]) -> ManifestFile {
    let (size, sha256) = (content.len() as u64, Digest::of(content));
    ManifestFile { path: path.parse().unwrap(), size, executable: false, sha256 }
}

fn parts(made: &[usize], earlier: &[usize]) -> Parts {
    Parts { made: made.to_vec(), base: Vec::new(), earlier: earlier.to_vec() }
}

/// Takes files and keeps their names.
#[derive(Default)]
struct Names(Mutex<Vec<String>>);

impl Sink for Names {
    type Error = LoadError;

    fn file(&self, entry: &Entry, content: &mut dyn Content) -> Result<(), LoadError> {
        while content.next()?.is_some() {}
        self.0.lock().unwrap().push(entry.path.to_string());
        Ok(())
    }
}

/// Makes of `frames` the files `a` ("aaaa") and `b` ("bb"), of which only those in `wanted` are
/// asked for; `expected` is their names, or the error.
fn check(frames: &[(Parts, u8, &[u8])], wanted: &[usize], expected: Result<&[&str], &str>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frames");
    let mut builder = Builder::new(MAGIC, Writer::default());
    for (parts, codec, packed) in frames {
        builder.frame(*codec, packed.to_vec(), |detail| parts.write(detail));
    }
    builder.write(&path).unwrap();
    let files = [file("a", b"aaaa"), file("b", b"bb")];
    let names = Names::default();
    let make = || {
        let mut container = Container::open(&path, MAGIC).map_err(LoadError::Pack)?;
        let head = mem::take(&mut container.head);
        let assembly = Assembly::read(container, &mut Reader::new(&head), &files);
        let base = Base::<LoadError> {
            read: &|_| Ok(Vec::new()),
            explain: &|error, _, _| LoadError::Pack(error),
        };
        let wanted = |file| wanted.contains(&file);
        assembly.map_err(LoadError::Pack)?.make(&files, &wanted, &base, &names)
    };
    let made = make().map_err(|error| match error {
        LoadError::Pack(error) => error.to_string(),
        other => panic!("{other}"),
    });
    let mut names = names.0.into_inner().unwrap();
    names.sort();
    match expected {
        Ok(expected) => assert_eq!(
            (made, names),
            (Ok(()), expected.iter().map(|&name| name.to_owned()).collect())
        ),
        Err(expected) => assert_eq!(made, Err(expected.to_owned())),
    }
}

#[test]
fn files_come_out_of_honest_frames() {
    let both = [(parts(&[0, 1], &[]), 0, &b"aaaabb"[..])];
    check(&both, &[0, 1], Ok(&["a", "b"]));
    check(&both, &[1], Ok(&["b"]));
    let of_earlier = Codec::smallest(b"bb", b"aaaa");
    let apart = [
        (parts(&[0], &[]), 0, &b"aaaa"[..]),
        (parts(&[1], &[0]), of_earlier.0 as u8, &of_earlier.1),
    ];
    check(&apart, &[0, 1], Ok(&["a", "b"]));
    check(&apart, &[1], Ok(&["b"]));
}

#[test]
fn a_frame_that_nobody_needs_is_not_read() {
    let frames = [(parts(&[0], &[]), 0, &b"aaaa"[..]), (parts(&[1], &[]), 77, &b"??"[..])];
    check(&frames, &[0], Ok(&["a"]));
    check(&frames, &[0, 1], Err("it uses the codec 77, which this program does not know"));
}

#[test]
fn a_frame_of_another_size_is_refused() {
    let mut bomb = zstd::Encoder::new(Vec::new(), 3).unwrap();
    bomb.write_all(&[0; 1 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();
    for (codec, packed) in
        [(1, &bomb[..]), (0, b"aaaabbb"), (0, b"aaaab"), (2, b"\x5d\0\0"), (16, b"\0")]
    {
        let damaged = match codec {
            16 => "it is cut short",
            _ => "its frame 0 is damaged",
        };
        check(&[(parts(&[0, 1], &[]), codec, packed)], &[0, 1], Err(damaged));
    }
}

#[test]
fn files_stand_in_one_frame_each_and_after_what_they_need() {
    let a = (parts(&[0], &[]), 0, &b"aaaa"[..]);
    let b = (parts(&[1], &[]), 0, &b"bb"[..]);
    let b_of_a = (parts(&[1], &[0]), 0, &b"bb"[..]);
    let check = |frames: &[_], error| check(frames, &[0, 1], Err(error));
    check(std::slice::from_ref(&a), "it is malformed: a file stands in none of its frames");
    check(&[a.clone(), a.clone(), b], "it is malformed: a file stands in it twice");
    let needs = "it is malformed: a frame needs what is not made before it";
    check(&[b_of_a, a], needs);
    check(&[(parts(&[0, 1], &[0]), 0, b"aaaabb")], needs);
    check(&[(parts(&[0, 2], &[]), 0, b"aaaa")], "it is malformed: an index is out of range");
}
