//! Processes on Unix.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process_group};

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
