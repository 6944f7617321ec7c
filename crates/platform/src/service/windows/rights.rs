//! What the account of a service may do with files.

#![expect(unsafe_code, reason = "calls of Windows")]

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{ERROR_SUCCESS, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1, SE_FILE_OBJECT,
    SetNamedSecurityInfoW,
};
use windows_sys::Win32::Security::{
    ACL, DACL_SECURITY_INFORMATION, GetSecurityDescriptorDacl, PROTECTED_DACL_SECURITY_INFORMATION,
    PSECURITY_DESCRIPTOR,
};

use super::{Definition, done, wide};

/// Lets the service write its folder; everybody else reads, as on the folders of programs. What
/// was kept private there by whoever ran the program before becomes the service's own.
pub fn grant(definition: &Definition) -> io::Result<()> {
    let (folder, sid) = (&definition.folder, &definition.sid);
    fs::create_dir_all(folder)?;
    let readable =
        format!("D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;{sid})(A;OICI;0x1200a9;;;BU)");
    set(folder, &readable)?;
    let private = folder.join(&definition.private);
    if private.is_dir() {
        icacls(&private, &["/setowner", &format!("*{sid}")])?;
        icacls(&private, &["/grant", &format!("*{sid}:(OI)(CI)F")])?;
    }
    Ok(())
}

/// Lets the service read a private file; the administrators and the system can already.
pub fn share(definition: &Definition, file: &Path) -> io::Result<()> {
    let sid = &definition.sid;
    set(file, &format!("D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;{sid})"))
}

/// Windows' own program, which has the privilege of giving a file to another owner, and goes
/// through all that is below.
fn icacls(path: &Path, words: &[&str]) -> io::Result<()> {
    let mut command = Command::new("icacls");
    command.arg(path).args(words).args(["/T", "/C", "/Q"]);
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("icacls {}: {}", words.join(" "), said.trim())))
}

/// Sets who may do what with a file or folder, and with all below that inherits.
fn set(path: &Path, rights: &str) -> io::Result<()> {
    let (path, rights) = (wide(path), wide(rights));
    let mut descriptor: PSECURITY_DESCRIPTOR = null_mut();
    // SAFETY: the text is NUL-terminated; the descriptor is written before success is told.
    done(unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            rights.as_ptr(),
            SDDL_REVISION_1,
            &raw mut descriptor,
            null_mut(),
        )
    })?;
    let (mut present, mut defaulted) = (0, 0);
    let mut list: *mut ACL = null_mut();
    // SAFETY: the descriptor is valid until it is freed below; the list lies in it.
    let outcome = done(unsafe {
        GetSecurityDescriptorDacl(descriptor, &raw mut present, &raw mut list, &raw mut defaulted)
    })
    .and_then(|()| {
        let what = DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION;
        // SAFETY: the path is NUL-terminated and the list valid; the rest may be null.
        let code = unsafe {
            SetNamedSecurityInfoW(
                path.as_ptr(),
                SE_FILE_OBJECT,
                what,
                null_mut(),
                null_mut(),
                list,
                null(),
            )
        };
        if code == ERROR_SUCCESS { Ok(()) } else { Err(io::Error::from_raw_os_error(code as i32)) }
    });
    // SAFETY: the descriptor was allocated by the conversion above and is not used any more.
    unsafe { LocalFree(descriptor) };
    outcome
}
