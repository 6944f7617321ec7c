//! Processes on Windows.

#![expect(unsafe_code, reason = "calls of Windows")]

use std::ffi::OsString;
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr::null;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Console::SetConsoleCtrlHandler;
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation,
    SetInformationJobObject, TerminateJobObject,
};
use windows_sys::Win32::System::ProcessStatus::K32EnumProcesses;
use windows_sys::Win32::System::Threading::{
    CREATE_NO_WINDOW, OpenProcess, PROCESS_NAME_WIN32, PROCESS_QUERY_LIMITED_INFORMATION,
    PROCESS_SET_QUOTA, PROCESS_TERMINATE, QueryFullProcessImageNameW,
};

use super::{Census, Running};

/// Without a window of its own when a service starts it.
pub fn prepare(command: &mut Command) {
    use std::os::windows::process::CommandExt;
    command.creation_flags(CREATE_NO_WINDOW);
}

/// A job object whose processes end when its last handle is closed.
#[derive(Debug)]
pub struct Tree(OwnedHandle);

impl Tree {
    pub fn adopt(pid: u32) -> io::Result<Self> {
        // SAFETY: no pointer is passed; the handle is checked below.
        let process = unsafe { OpenProcess(PROCESS_SET_QUOTA | PROCESS_TERMINATE, 0, pid) };
        Self::around(&owned(process)?)
    }

    fn around(process: &impl AsRawHandle) -> io::Result<Self> {
        // SAFETY: both pointers may be null: no attributes, no name.
        let job = Self(owned(unsafe { CreateJobObjectW(null(), null()) })?);
        job.limit(JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE)?;
        // SAFETY: both handles are open.
        match unsafe { AssignProcessToJobObject(job.0.as_raw_handle(), process.as_raw_handle()) } {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(job),
        }
    }

    fn limit(&self, flags: u32) -> io::Result<()> {
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        limits.BasicLimitInformation.LimitFlags = flags;
        // SAFETY: the class names the type of the structure, and the size is that structure's.
        let done = unsafe {
            SetInformationJobObject(
                self.0.as_raw_handle(),
                JobObjectExtendedLimitInformation,
                (&raw const limits).cast(),
                size_of::<JOBOBJECT_EXTENDED_LIMIT_INFORMATION>() as u32,
            )
        };
        if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    pub fn kill(&self) {
        // SAFETY: the handle is open. It fails only if nobody of the job is left.
        unsafe { TerminateJobObject(self.0.as_raw_handle(), 1) };
    }

    pub fn release(&self) {
        // If this fails, what the child left running ends when the handle closes: no harm.
        let _ = self.limit(0);
    }
}

fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was just opened, is not null, and nobody else closes it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

pub fn exec(mut command: Command) -> io::Error {
    // SAFETY: the handler lives as long as the program. It keeps Ctrl-C from ending this program;
    // the child shares the console and gets its own.
    unsafe { SetConsoleCtrlHandler(Some(leave_it_to_the_child), 1) };
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return error,
    };
    // The child ends when this program is killed. Without a job it runs all the same.
    let job = Tree::around(&child);
    match child.wait() {
        Ok(status) => {
            if let Ok(job) = job {
                job.release();
            }
            std::process::exit(status.code().unwrap_or(1))
        }
        Err(error) => error,
    }
}

/// `TRUE`: handled, so the default handler does not end the program.
unsafe extern "system" fn leave_it_to_the_child(_event: u32) -> i32 {
    1
}

pub fn census() -> io::Result<Census> {
    let mut pids = vec![0u32; 1024];
    loop {
        let (room, mut used) = ((pids.len() * 4) as u32, 0);
        // SAFETY: the buffer has the length that is told.
        if unsafe { K32EnumProcesses(pids.as_mut_ptr(), room, &raw mut used) } == 0 {
            return Err(io::Error::last_os_error());
        }
        if used < room {
            pids.truncate(used as usize / 4);
            break;
        }
        // A full buffer may be too small.
        pids.resize(pids.len() * 2, 0);
    }
    let mut census = Census::default();
    for pid in pids {
        match program(pid) {
            Ok(program) => census.running.push(Running { pid, program }),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => census.hidden += 1,
            // It has ended, or is no process with a file.
            Err(_) => {}
        }
    }
    Ok(census)
}

/// The file of a process.
fn program(pid: u32) -> io::Result<PathBuf> {
    // SAFETY: no pointer is passed; the handle is checked below.
    let process = owned(unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid) })?;
    // The longest path that Windows knows.
    let mut name = vec![0u16; 32_768];
    let mut length = name.len() as u32;
    // SAFETY: the handle is open and the buffer has the length that is told.
    let done = unsafe {
        QueryFullProcessImageNameW(
            process.as_raw_handle(),
            PROCESS_NAME_WIN32,
            name.as_mut_ptr(),
            &raw mut length,
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    let name = &name[..name.len().min(length as usize)];
    crate::canonical(Path::new(&OsString::from_wide(name)))
}
