//! Users of Windows.

#![expect(unsafe_code, reason = "calls of Windows")]

use std::io;
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, GetNamedSecurityInfoW, SE_FILE_OBJECT,
};
use windows_sys::Win32::Security::{
    LookupAccountSidW, OWNER_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, PSID,
};
use windows_sys::Win32::System::Environment::ExpandEnvironmentStringsW;
use windows_sys::Win32::System::Registry::{
    HKEY_LOCAL_MACHINE, KEY_ENUMERATE_SUB_KEYS, KEY_QUERY_VALUE, KEY_WOW64_64KEY,
};

use crate::registry::{Open, done, text, wide};

const PROFILES: &str = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList";

pub fn homes() -> io::Result<Vec<PathBuf>> {
    let rights = KEY_QUERY_VALUE | KEY_ENUMERATE_SUB_KEYS | KEY_WOW64_64KEY;
    let mut homes: Vec<PathBuf> =
        std::env::var_os("USERPROFILE").map(PathBuf::from).into_iter().collect();
    let Some(profiles) = Open::existing(HKEY_LOCAL_MACHINE, PROFILES, rights)? else {
        return Ok(homes);
    };
    for profile in profiles.keys()? {
        let key = format!(r"{PROFILES}\{profile}");
        let Some(key) = Open::existing(HKEY_LOCAL_MACHINE, &key, rights)? else { continue };
        let value = key.values()?.into_iter().find(|it| it.0 == "ProfileImagePath");
        homes.extend(value.and_then(|(_, kind, bytes)| text(kind, &bytes)).map(expanded));
    }
    Ok(homes)
}

/// With the variables of this process in place of `%NAMES%`.
fn expanded(path: String) -> PathBuf {
    let from = wide(&path);
    let mut to = vec![0u16; 32_768];
    // SAFETY: the text ends with a zero, and the buffer has the length that is told.
    let length =
        unsafe { ExpandEnvironmentStringsW(from.as_ptr(), to.as_mut_ptr(), to.len() as u32) };
    match to.get(..(length as usize).saturating_sub(1)) {
        Some(units) if length > 0 => PathBuf::from(String::from_utf16_lossy(units)),
        _ => PathBuf::from(path),
    }
}

pub fn owner(path: &Path) -> io::Result<String> {
    let path = crate::file::wide(path)?;
    let mut sid: PSID = null_mut();
    let mut descriptor: PSECURITY_DESCRIPTOR = null_mut();
    // SAFETY: the path ends with a zero; what may be null is; both are written before success is
    // told.
    let said = unsafe {
        GetNamedSecurityInfoW(
            path.as_ptr(),
            SE_FILE_OBJECT,
            OWNER_SECURITY_INFORMATION,
            &raw mut sid,
            null_mut(),
            null_mut(),
            null_mut(),
            &raw mut descriptor,
        )
    };
    done(said)?;
    let name = account(sid).or_else(|_| sid_text(sid));
    // SAFETY: the call above allocated it; the SID in it is not used any more.
    unsafe { LocalFree(descriptor) };
    name
}

fn account(sid: PSID) -> io::Result<String> {
    let (mut name, mut domain) = (vec![0u16; 512], vec![0u16; 512]);
    let (mut name_length, mut domain_length) = (name.len() as u32, domain.len() as u32);
    let mut kind = 0;
    // SAFETY: the SID is valid, the buffers have the lengths that are told, and no system is named.
    let found = unsafe {
        LookupAccountSidW(
            null(),
            sid,
            name.as_mut_ptr(),
            &raw mut name_length,
            domain.as_mut_ptr(),
            &raw mut domain_length,
            &raw mut kind,
        )
    };
    if found == 0 {
        return Err(io::Error::last_os_error());
    }
    let of = |units: &[u16], length: u32| {
        String::from_utf16_lossy(&units[..units.len().min(length as usize)])
    };
    let (name, domain) = (of(&name, name_length), of(&domain, domain_length));
    Ok(if domain.is_empty() { name } else { format!(r"{domain}\{name}") })
}

fn sid_text(sid: PSID) -> io::Result<String> {
    let mut written = null_mut();
    // SAFETY: the SID is valid; the text is written before success is told.
    if unsafe { ConvertSidToStringSidW(sid, &raw mut written) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let mut units = Vec::new();
    for at in 0.. {
        // SAFETY: the text ends with a zero, and nothing behind it is read.
        match unsafe { *written.add(at) } {
            0 => break,
            unit => units.push(unit),
        }
    }
    // SAFETY: the call above allocated it.
    unsafe { LocalFree(written.cast()) };
    Ok(String::from_utf16_lossy(&units))
}
