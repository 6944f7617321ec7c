//! Handing this program's own arguments on, untouched.

use std::process::Command;

#[cfg(unix)]
#[path = "exec/unix.rs"]
mod system;
#[cfg(windows)]
#[path = "exec/windows.rs"]
mod system;

/// Gives `command` the arguments of this program (all after its name), exactly as they came: on
/// Windows as the one text that a program gets there, so that nobody quotes it anew.
pub fn pass_arguments(command: &mut Command) {
    system::pass_arguments(command);
}
