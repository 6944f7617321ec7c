//! Unpacks the `go/` folder of a zip that is known to be good. It is not the product's reader:
//! that one distrusts its input, and is itself tested with trees that this one made.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::DeflateDecoder;

const END_OF_DIRECTORY: &[u8] = b"PK\x05\x06";
/// Length of the end record without its comment.
const END_LENGTH: usize = 22;
/// Length of a directory entry without its name, extra field and comment.
const ENTRY_LENGTH: usize = 46;
/// Length of a local header without its name and extra field.
const LOCAL_LENGTH: usize = 30;

/// One file of the zip, as the directory at its end has it.
struct Entry {
    name: String,
    is_deflated: bool,
    packed: u64,
    /// Unix permission bits; 0 when the zip was made elsewhere.
    mode: u32,
    offset: u64,
}

/// Puts what stands under `go/` into `target`, without Python's `go/__init__.py`.
pub(crate) fn unpack(archive: &Path, target: &Path) -> io::Result<()> {
    let mut file = BufReader::new(File::open(archive)?);
    for entry in directory(&mut file)? {
        let Some(inside) = entry.name.strip_prefix("go/") else { continue };
        if inside.is_empty() || inside.ends_with('/') || inside == "__init__.py" {
            continue;
        }
        let path = target.join(inside);
        fs::create_dir_all(path.parent().expect("joined to a folder"))?;
        write_entry(&mut file, &entry, &path)?;
    }
    Ok(())
}

fn write_entry(file: &mut BufReader<File>, entry: &Entry, path: &Path) -> io::Result<()> {
    file.seek(SeekFrom::Start(entry.offset))?;
    let mut local = [0; LOCAL_LENGTH];
    file.read_exact(&mut local)?;
    file.seek_relative(i64::from(u16_at(&local, 26)) + i64::from(u16_at(&local, 28)))?;
    let packed = file.by_ref().take(entry.packed);
    let mut out = File::create(path)?;
    if entry.is_deflated {
        io::copy(&mut DeflateDecoder::new(packed), &mut out)?;
    } else {
        io::copy(&mut { packed }, &mut out)?;
    }
    set_mode(&out, entry.mode)
}

#[cfg(unix)]
fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if mode & 0o111 == 0 {
        return Ok(());
    }
    file.set_permissions(fs::Permissions::from_mode(mode & 0o777))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
fn set_mode(_file: &File, _mode: u32) -> io::Result<()> {
    Ok(())
}

fn directory(file: &mut BufReader<File>) -> io::Result<Vec<Entry>> {
    let length = file.seek(SeekFrom::End(0))?;
    let tail_length = length.min(u64::from(u16::MAX) + END_LENGTH as u64);
    file.seek(SeekFrom::Start(length - tail_length))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let end = tail
        .windows(END_LENGTH)
        .rposition(|window| window.starts_with(END_OF_DIRECTORY))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a zip, or cut short"))?;
    let end = &tail[end..];
    file.seek(SeekFrom::Start(u64::from(u32_at(end, 16))))?;
    let mut bytes = vec![0; u32_at(end, 12) as usize];
    file.read_exact(&mut bytes)?;
    let mut rest = bytes.as_slice();
    (0..u16_at(end, 10)).map(|_| next_entry(&mut rest)).collect()
}

fn next_entry(rest: &mut &[u8]) -> io::Result<Entry> {
    let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the zip's directory is cut short");
    let (fixed, after) = rest.split_at_checked(ENTRY_LENGTH).ok_or_else(cut)?;
    let name_length = usize::from(u16_at(fixed, 28));
    let others = usize::from(u16_at(fixed, 30)) + usize::from(u16_at(fixed, 32));
    let (name, after) = after.split_at_checked(name_length).ok_or_else(cut)?;
    *rest = after.get(others..).ok_or_else(cut)?;
    Ok(Entry {
        name: String::from_utf8_lossy(name).into_owned(),
        is_deflated: u16_at(fixed, 10) == 8,
        packed: u64::from(u32_at(fixed, 20)),
        mode: u32_at(fixed, 38) >> 16,
        offset: u64::from(u32_at(fixed, 42)),
    })
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
