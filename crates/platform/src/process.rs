//! Processes: a child that can be ended with all its descendants, becoming another program, and
//! which programs run.

use std::io;
use std::path::PathBuf;
use std::process::Command;

#[cfg(unix)]
#[path = "process/unix.rs"]
mod system;
#[cfg(windows)]
#[path = "process/windows.rs"]
mod system;

/// A child process with all its descendants: a process group on Unix, a job object on Windows.
/// Dropping it kills those that still run, so a check that is given up leaves nothing behind.
///
/// On Windows they also end with this process, however it ends. On Unix a kill -9 of this process
/// leaves them to finish.
#[derive(Debug)]
pub struct ProcessTree {
    system: system::Tree,
    is_finished: bool,
}

impl ProcessTree {
    /// Prepares a command so that its process can be [adopted](Self::adopt).
    pub fn prepare(command: &mut Command) {
        system::prepare(command);
    }

    /// Takes charge of the process `pid`, just started from a [prepared](Self::prepare) command
    /// and not waited for yet.
    ///
    /// # Errors
    ///
    /// What the system said, also if the process has already ended (Windows).
    pub fn adopt(pid: u32) -> io::Result<Self> {
        Ok(Self { system: system::Tree::adopt(pid)?, is_finished: false })
    }

    /// Kills the process and all its descendants.
    pub fn kill(&self) {
        self.system.kill();
    }

    /// The child was waited for: its descendants may live on, and its id may belong to another.
    pub fn finished(mut self) {
        self.is_finished = true;
        self.system.release();
    }
}

impl Drop for ProcessTree {
    fn drop(&mut self) {
        if !self.is_finished {
            self.system.kill();
        }
    }
}

/// Runs `command` in place of this program, with its standard streams, its signals and its exit
/// code: on Unix by `execve`; on Windows, which has no such thing, by starting it, leaving Ctrl-C
/// to it, waiting for it, and ending with its exit code. Returns only if it could not be started.
pub fn exec(command: Command) -> io::Error {
    system::exec(command)
}

/// A program that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its process.
    pub pid: u32,
    /// Its file, links resolved, in the form that [`canonical`](crate::canonical) gives.
    pub program: PathBuf,
}

/// The programs that run, and how many more there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Those whose file this user may know.
    pub running: Vec<Running>,
    /// Processes whose file the system does not tell this user.
    pub hidden: usize,
}

/// The programs that run.
///
/// # Errors
///
/// What the system said where it lists no processes.
pub fn census() -> io::Result<Census> {
    system::census()
}

/// The programs that run, as far as this user may know; none on systems that don't tell.
pub fn running() -> Vec<Running> {
    census().unwrap_or_default().running
}

#[cfg(test)]
mod running_tests {
    use super::*;

    #[test]
    fn this_program_runs() {
        let own = crate::canonical(&std::env::current_exe().unwrap()).unwrap();
        let found = running();
        let pid = std::process::id();
        let is_own = |running: &Running| running.pid == pid && running.program == own;
        assert!(found.iter().any(is_own), "{pid} is not among {found:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_program_that_was_deleted_is_told_by_the_name_that_it_had() {
        let folder = tempfile::tempdir().unwrap();
        let folder = crate::canonical(folder.path()).unwrap();
        let sleeps = |name: &str| {
            let program = folder.join(name);
            std::fs::copy("/bin/sleep", &program).unwrap();
            let child = Command::new(&program).arg("600").spawn().unwrap();
            (child, program)
        };
        // The second one is called so in truth.
        let (mut gone, mut named) = (sleeps("go"), sleeps("go (deleted)"));
        std::fs::remove_file(&gone.1).unwrap();
        let found = running();
        for (child, program) in [&mut gone, &mut named] {
            let told = found.iter().find(|running| running.pid == child.id());
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(told.map(|told| &told.program), Some(&*program));
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::io::Read;
    use std::process::Stdio;

    /// The grandchild holds the pipe open: only when it is dead too does reading end.
    #[test]
    fn dropping_a_tree_ends_the_descendants_too() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & echo started; sleep 600"]).stdout(Stdio::piped());
        ProcessTree::prepare(&mut command);
        let mut child = command.spawn().unwrap();
        let tree = ProcessTree::adopt(child.id()).unwrap();
        let mut output = child.stdout.take().unwrap();
        let mut started = [0; 8];
        output.read_exact(&mut started).unwrap();
        drop(tree);
        output.read_to_end(&mut Vec::new()).unwrap();
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let error = exec(Command::new("/no/such/program"));
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
