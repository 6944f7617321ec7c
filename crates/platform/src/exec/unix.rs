//! Arguments on Unix: a list, which needs no quoting.

use std::process::Command;

pub fn pass_arguments(command: &mut Command) {
    command.args(std::env::args_os().skip(1));
}
