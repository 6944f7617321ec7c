//! Processes on Unix.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process_group};

use super::{Census, Running};

pub fn prepare(command: &mut Command) {
    command.process_group(0);
}

#[derive(Debug)]
pub struct Tree(Pid);

impl Tree {
    pub fn adopt(pid: u32) -> io::Result<Self> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        pid.map(Self).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    pub fn kill(&self) {
        // Fails only if nobody of the group is left.
        let _ = kill_process_group(self.0, Signal::KILL);
    }

    pub fn release(&self) {}
}

pub fn exec(mut command: Command) -> io::Error {
    command.exec()
}

/// proc(5); the target of `exe` is the file itself.
pub fn census() -> io::Result<Census> {
    let mut census = Census::default();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let exe = entry.path().join("exe");
        match fs::read_link(&exe) {
            Ok(program) => {
                census.running.push(Running { pid, program: without_mark(program, &exe) });
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => census.hidden += 1,
            // It has ended, or is a thread of the kernel.
            Err(_) => {}
        }
    }
    Ok(census)
}

/// The kernel puts a mark behind the name of a file that is gone (proc(5)). A file may also be
/// called so: then it is the one that runs.
fn without_mark(program: PathBuf, exe: &Path) -> PathBuf {
    let Some(name) = program.as_os_str().as_bytes().strip_suffix(b" (deleted)") else {
        return program;
    };
    let identity = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    match (identity(&program), identity(exe)) {
        (Some(named), Some(running)) if named == running => program,
        _ => PathBuf::from(OsStr::from_bytes(name)),
    }
}
