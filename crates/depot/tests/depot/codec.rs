//! Packs and deltas: of real Go, and of a Go in miniature that is harmed in every way.

use std::fs;
use std::path::PathBuf;

use gofleet_core::manifest::Manifest;
use gofleet_depot::archive::inspect;
use gofleet_depot::delta::{self, Delta, DeltaError};
use gofleet_depot::pack::{self, PackError};
use gofleet_depot::{Files, FormatError, LoadError, LoadedFiles, TreeFiles};
use gofleet_testkit::archive::{File, PROGRAM, small_go};
use gofleet_testkit::go;
use proptest::prelude::*;

use crate::support::{Ground, told};

/// The delta between two patch versions makes the later one, and is no larger than this.
fn check_delta(platform: &str, versions: [&str; 2], most_bytes: u64) {
    let ground = Ground::new();
    let archives = versions.map(|version| go::archive(version, platform));
    let [from, to] = archives.each_ref().map(|archive| inspect(archive).unwrap().manifest);
    let base = TreeFiles::new(&go::tree(versions[0], platform), from.clone());
    let target = LoadedFiles::from_archive(&archives[1], to.clone(), Some(&from)).unwrap();
    let path = ground.path().join("delta");
    let made = delta::make(&base, &target, &path).unwrap();
    assert_eq!(made.bytes, path.metadata().unwrap().len());
    assert!(made.bytes <= most_bytes, "{}", made.bytes);
    let delta = Delta::open(&path).unwrap();
    assert_eq!((delta.base(), delta.target()), (from.digest(), to.digest()));
    assert_eq!(delta.manifest(&from).unwrap(), to);
    delta.check(&base).unwrap();
}

#[test]
fn a_delta_makes_the_next_patch_version_on_linux() {
    check_delta("linux-amd64", ["1.27.2", "1.27.3"], 150_000);
}

#[test]
fn a_delta_makes_the_next_patch_version_on_windows() {
    check_delta("windows-amd64", ["1.27.2", "1.27.3"], 150_000);
}

#[test]
#[ignore = "packing a whole release takes two minutes"]
fn a_pack_holds_every_file_of_its_archive() {
    let ground = Ground::new();
    let archive = go::archive("1.27.3", go::HOST);
    let (manifest, path) = (inspect(&archive).unwrap().manifest, ground.path().join("pack"));
    let made = pack::make(&archive, &manifest, &path).unwrap();
    let archive_bytes = archive.metadata().unwrap().len();
    assert!(made.bytes * 10 < archive_bytes * 6, "{} of {archive_bytes}", made.bytes);
    assert_eq!(pack::manifest(&path).unwrap(), manifest);
    pack::check(&path, &manifest).unwrap();
}

/// A Go in miniature, one of whose programs is large enough to be packed by itself.
fn go_with_programs(version: &str) -> Vec<File> {
    let mut files = small_go(version);
    let mut program: Vec<u8> = (0..400_000u32).flat_map(|n| (n % 9973).to_le_bytes()).collect();
    program[700_000..700_000 + version.len()].copy_from_slice(version.as_bytes());
    for name in ["go/pkg/tool/linux_amd64/asm", "go/pkg/tool/linux_amd64/link"] {
        program.extend(name.bytes().cycle().take(5000));
        files.push((name.to_owned(), program.clone(), PROGRAM));
    }
    files
}

/// Two versions, what leads from one to the other, and a pack of the second.
struct Made {
    ground: Ground,
    base: LoadedFiles,
    target: Manifest,
    pack: Vec<u8>,
    delta: Vec<u8>,
}

impl Made {
    fn new() -> Self {
        let ground = Ground::new();
        let (from, to) = (go_with_programs("1.27.2"), go_with_programs("1.27.3"));
        let from = ground.import(&from);
        let base = LoadedFiles::from_archive(&from.path, from.manifest, None).unwrap();
        let to = ground.import(&to);
        let target = LoadedFiles::from_archive(&to.path, to.manifest.clone(), None).unwrap();
        let (pack, delta) = (ground.path().join("pack"), ground.path().join("delta"));
        pack::make(&to.path, &to.manifest, &pack).unwrap();
        delta::make(&base, &target, &delta).unwrap();
        let [pack, delta] = [pack, delta].map(|path| fs::read(path).unwrap());
        Self { ground, base, target: to.manifest, pack, delta }
    }

    fn path(&self, bytes: &[u8]) -> PathBuf {
        self.ground.write("harmed", bytes)
    }

    fn use_pack(&self, bytes: &[u8]) -> Result<(), LoadError> {
        pack::check(&self.path(bytes), &self.target)
    }

    fn use_delta(&self, bytes: &[u8]) -> Result<(), DeltaError> {
        Delta::open(&self.path(bytes))?.check(&self.base)
    }
}

#[test]
fn unharmed_they_make_the_target() {
    let made = Made::new();
    made.use_pack(&made.pack).unwrap();
    made.use_delta(&made.delta).unwrap();
    let path = made.path(&made.pack);
    let loaded = LoadedFiles::from_pack(&path, made.target.clone(), Some(made.base.manifest()));
    let place = made.target.index_of("VERSION").unwrap();
    assert!(loaded.unwrap().read(place).unwrap().starts_with(b"go1.27.3\n"));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let made = Made::new();
    for (at, bit) in (0..made.pack.len()).map(|at| (at, at % 8)) {
        let mut harmed = made.pack.clone();
        harmed[at] ^= 1 << bit;
        assert!(made.use_pack(&harmed).is_err(), "byte {at} of the pack");
    }
    for (at, bit) in (0..made.delta.len()).map(|at| (at, at % 8)) {
        let mut harmed = made.delta.clone();
        harmed[at] ^= 1 << bit;
        assert!(made.use_delta(&harmed).is_err(), "byte {at} of the delta");
    }
}

#[test]
fn every_other_length_is_noticed() {
    let made = Made::new();
    for length in 0..made.pack.len() {
        assert!(made.use_pack(&made.pack[..length]).is_err(), "{length} bytes of the pack");
    }
    for length in 0..made.delta.len() {
        assert!(made.use_delta(&made.delta[..length]).is_err(), "{length} bytes of the delta");
    }
    assert!(made.use_pack(&[&made.pack[..], b"\0"].concat()).is_err());
    assert!(made.use_delta(&[&made.delta[..], b"\0"].concat()).is_err());
}

#[test]
fn what_a_newer_program_made_is_named() {
    let made = Made::new();
    let newer = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] = 99;
        bytes
    };
    const VERSION: usize = 8;
    const CODEC: usize = 10;
    for (at, expected) in [
        (VERSION, "its format has the version 99, which this program does not know"),
        (CODEC, "it uses the codec 99, which this program does not know"),
    ] {
        let Err(LoadError::Pack(error)) = made.use_pack(&newer(&made.pack, at)) else { panic!() };
        assert_eq!((error.is_unknown(), error.to_string().as_str()), (true, expected));
        let Err(DeltaError::Format(error)) = made.use_delta(&newer(&made.delta, at)) else {
            panic!()
        };
        assert_eq!((error.is_unknown(), error.to_string().as_str()), (true, expected));
    }
    let Err(PackError::Format(error)) = pack::manifest(&made.path(&made.delta)) else { panic!() };
    assert!(matches!(error, FormatError::WrongKind));
}

/// A base in which one file is another.
struct Tampered<'a>(&'a LoadedFiles, &'a str, fn(&mut Vec<u8>));

impl Files for Tampered<'_> {
    fn manifest(&self) -> &Manifest {
        self.0.manifest()
    }

    fn read(&self, index: usize) -> std::io::Result<Vec<u8>> {
        let mut content = self.0.read(index)?;
        if self.manifest().files()[index].path.as_str() == self.1 {
            self.2(&mut content);
        }
        Ok(content)
    }
}

#[test]
fn a_base_that_was_tampered_with_is_named() {
    let made = Made::new();
    let delta = Delta::open(&made.path(&made.delta)).unwrap();
    let check = |path: &str, tamper, expected: &str| {
        let error = delta.check(&Tampered(&made.base, path, tamper)).unwrap_err();
        assert_eq!(told(&error), expected);
    };
    let asm = "pkg/tool/linux_amd64/asm";
    check(asm, |content| content.truncate(5), &format!("`{asm}` of the base was changed"));
    check(
        asm,
        |content| content[100] ^= 1,
        &format!("it does not make the target's files: `{asm}` is not as the manifest says"),
    );
    let link = made.base.manifest().file("pkg/tool/linux_amd64/link").unwrap();
    let mut files = made.base.manifest().files().to_vec();
    files.retain(|file| file != link);
    let other = Manifest::new(files).unwrap();
    assert_eq!(
        told(&delta.manifest(&other).unwrap_err()),
        "the delta can't be used: it belongs to another release"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn anything_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let ground = Ground::new();
        for magic in [&b"gofleetP\x01\0"[..], b"gofleetD\x01\0", b""] {
            let path = ground.write("any", &[magic, &bytes].concat());
            prop_assert!(pack::manifest(&path).is_err());
            prop_assert!(Delta::open(&path).is_err());
        }
    }
}
