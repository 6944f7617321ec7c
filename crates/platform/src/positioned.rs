//! Reading at a position, so that several threads share one open file without a cursor.

use std::fs::File;
use std::io;

/// Fills `buffer` with what stands at `offset`. The file's own cursor is not to be relied on
/// afterwards.
///
/// # Errors
///
/// [`io::ErrorKind::UnexpectedEof`] if the file ends before, or what the system said.
pub fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match read_at(file, buffer, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                buffer = &mut buffer[count..];
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_where_it_is_told_and_not_beyond_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"0123456789").unwrap();
        let file = File::open(path).unwrap();
        let mut buffer = [0; 3];
        read_exact_at(&file, &mut buffer, 5).unwrap();
        assert_eq!(&buffer, b"567");
        read_exact_at(&file, &mut buffer, 0).unwrap();
        assert_eq!(&buffer, b"012");
        let error = read_exact_at(&file, &mut buffer, 8).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
