//! Archives that mean harm, or came to it. Each would otherwise be the Go of [`small_go`].

use super::{Entry, File, PLAIN, Zip, small_go, tar_gz, zip};

/// A version that the miniatures have.
const VERSION: &str = "1.27.3";

fn with(name: &str) -> Zip {
    Zip::of(&small_go(VERSION)).with(Entry::new(name, b"harm"))
}

/// Every zip that holds one name that no release may have, with that name.
pub fn names() -> Vec<(&'static str, Vec<u8>)> {
    let names = [
        "go/../../climbs",
        "../climbs",
        "/etc/absolute",
        "go//absolute",
        "C:/drive",
        "go/C:drive",
        "go\\..\\backslash",
        "go/src/back\\slash",
        "go/CON",
        "go/src/nul.go",
        "go/src/dot.",
        "go/src/space ",
        "go/bin/go:stream",
        "go/src/new\nline",
        "go/src/what?",
    ];
    names.into_iter().map(|name| (name, with(name).bytes())).collect()
}

/// Two names that are one where case does not count.
pub fn case_twins() -> Vec<u8> {
    with("go/SRC/fmt/Print.go").bytes()
}

/// The same name twice.
pub fn name_twice() -> Vec<u8> {
    with("go/src/fmt/print.go").bytes()
}

/// A file that is also a folder.
pub fn file_and_folder() -> Vec<u8> {
    with("go/VERSION/below").bytes()
}

/// A symbolic link that points outside.
pub fn symlink() -> Vec<u8> {
    let link = Entry { mode: 0o120_777, ..Entry::new("go/src/link", b"/etc") };
    Zip::of(&small_go(VERSION)).with(link).bytes()
}

/// A device.
pub fn device() -> Vec<u8> {
    let device = Entry { mode: 0o020_666, ..Entry::new("go/src/null", b"") };
    Zip::of(&small_go(VERSION)).with(device).bytes()
}

/// A file that unpacks to more than it tells.
pub fn larger_than_told() -> Vec<u8> {
    let liar = Entry { told_size: 10, ..Entry::new("go/src/liar", &[b'x'; 5000]) };
    Zip::of(&small_go(VERSION)).with(liar).bytes()
}

/// A file that unpacks to less than it tells.
pub fn smaller_than_told() -> Vec<u8> {
    let liar = Entry { told_size: 5000, ..Entry::new("go/src/liar", b"short") };
    Zip::of(&small_go(VERSION)).with(liar).bytes()
}

/// A file that tells a size that no deflated data can have.
pub fn impossible_size() -> Vec<u8> {
    let liar = Entry { told_size: 3 << 30, ..Entry::new("go/src/liar", b"short") };
    Zip::of(&small_go(VERSION)).with(liar).bytes()
}

/// A file of zeros: 64 MiB from 64 KiB.
pub fn zeros() -> Vec<u8> {
    Zip::of(&small_go(VERSION)).with(Entry::new("go/src/zeros", &vec![0; 64 << 20])).bytes()
}

/// Many entries with the bytes of one, as in David Fifield's "A better zip bomb".
pub fn overlapping() -> Vec<u8> {
    let mut zip = Zip::of(&small_go(VERSION)).with(Entry::new("go/src/first", &[1; 9000]));
    let kernel = zip.entries.len() - 1;
    for number in 0..100 {
        let again = Entry::new(&format!("go/src/again{number}"), &[1; 9000]);
        zip = zip.with(Entry { bytes_of: Some(kernel), ..again });
    }
    zip.bytes()
}

/// An encrypted file.
pub fn encrypted() -> Vec<u8> {
    let secret = Entry { flags: 1, ..Entry::new("go/src/secret", b"secret") };
    Zip::of(&small_go(VERSION)).with(secret).bytes()
}

/// A file packed by bzip2.
pub fn unknown_method() -> Vec<u8> {
    let odd = Entry { method: 12, ..Entry::new("go/src/odd", b"odd") };
    Zip::of(&small_go(VERSION)).with(odd).bytes()
}

/// A file with one name in the directory and another in its own header.
pub fn two_names() -> Vec<u8> {
    let mut odd = Entry::new("go/src/shown", b"odd");
    odd.local_name = "go/src/meant".to_owned();
    Zip::of(&small_go(VERSION)).with(odd).bytes()
}

/// A file whose checksum is wrong: its last byte of packed data was flipped.
pub fn wrong_checksum() -> Vec<u8> {
    let mut bytes = zip(&small_go(VERSION));
    // Behind signature, version, flags, method, time and date of the first local header.
    bytes[14] ^= 1;
    // The directory says the same.
    let central = bytes.windows(4).position(|four| four == b"PK\x01\x02").expect("it has one");
    bytes[central + 16] ^= 1;
    bytes
}

/// Something packed that is not Go.
pub fn not_go() -> Vec<u8> {
    zip(&[("node/bin/node".to_owned(), b"\x7fELF".to_vec(), PLAIN)])
}

/// Go's sources without the programs.
pub fn sources_only() -> Vec<u8> {
    let is_source = |file: &&File| !file.0.contains("bin/") && !file.0.contains("pkg/tool/");
    zip(&small_go(VERSION).iter().filter(is_source).cloned().collect::<Vec<_>>())
}

/// Programs for another processor than their folder says.
pub fn wrong_machine() -> Vec<u8> {
    let mut files = small_go(VERSION);
    for (name, content, _) in &mut files {
        if name == "go/bin/go" {
            content[18] = 183;
        }
    }
    zip(&files)
}

/// A tar with a name that climbs out.
pub fn tar_climbing() -> Vec<u8> {
    let mut files = small_go(VERSION);
    files.push(("go/../../climbs".to_owned(), b"harm".to_vec(), PLAIN));
    tar_gz(&files)
}

/// A tar with an entry of another type: `1` a hard link, `2` a symbolic one, `3` a device.
pub fn tar_with(kind: tar::EntryType) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(gzip);
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_mode(0o777);
    header.set_path("go/src/link").expect("a short path");
    header.set_link_name("/etc/passwd").expect("a short path");
    header.set_cksum();
    builder.append(&header, std::io::empty()).expect("memory can be written");
    builder.into_inner().and_then(flate2::write::GzEncoder::finish).expect("memory can be written")
}

/// A tar with 64 MiB of zeros.
pub fn tar_zeros() -> Vec<u8> {
    let mut files = small_go(VERSION);
    files.push(("go/src/zeros".to_owned(), vec![0; 64 << 20], PLAIN));
    tar_gz(&files)
}
