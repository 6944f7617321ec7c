//! Drop folders on Windows: an access list instead of the one that the folder would inherit.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_REPARSE_POINT, FILE_FLAG_OPEN_REPARSE_POINT,
};

/// Protected from inheritance; all rights for the owner, the system and the administrators. Users
/// may add files (0x2), pass through (0x20) and read the folder's attributes (0x80), and not list
/// it. What they add is theirs, and can be read by all, the folder's owner among them, who may
/// delete it by the rights on the folder.
const DROP: &str = "D:P(A;OICI;FA;;;OW)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OIIO;FR;;;WD)\
                    (A;;0x1000a2;;;BU)";

pub fn open_to_all(folder: &Path) -> io::Result<()> {
    crate::file::set_access_list(folder, DROP)
}

/// Opens what has this name itself; none if that is a link.
pub fn open_itself(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT).open(path)?;
    let is_link = file.metadata()?.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT != 0;
    Ok((!is_link).then_some(file))
}
