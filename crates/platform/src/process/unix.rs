//! Processes on Unix.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process_group};

use super::Running;

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
pub fn running() -> Vec<Running> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let running = entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let program = std::fs::read_link(entry.path().join("exe")).ok()?;
        Some(Running { pid, program })
    });
    running.collect()
}
