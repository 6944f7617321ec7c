//! Services of systemd: a unit file, and `systemctl`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Change, Definition, State};
use crate::file::{Access, atomic_write};

/// A systemd.
#[derive(Debug, Clone)]
pub struct Systemd {
    /// Where the administrator's units are.
    pub units: PathBuf,
    /// Where the units of the distribution's packages are, which those of the administrator
    /// replace.
    pub packaged: PathBuf,
    /// The program that talks to it.
    pub systemctl: PathBuf,
}

impl Default for Systemd {
    /// That of the machine.
    fn default() -> Self {
        Self {
            units: "/etc/systemd/system".into(),
            packaged: "/usr/lib/systemd/system".into(),
            systemctl: "systemctl".into(),
        }
    }
}

pub fn install(definition: &Definition) -> io::Result<Change> {
    Systemd::default().install(definition)
}

/// Root reads every file of root's.
pub fn share(_definition: &Definition, _file: &Path) -> io::Result<()> {
    Ok(())
}

pub fn uninstall(name: &str) -> io::Result<bool> {
    Systemd::default().uninstall(name)
}

pub fn start(name: &str) -> io::Result<()> {
    Systemd::default().start(name)
}

pub fn stop(name: &str) -> io::Result<()> {
    Systemd::default().stop(name)
}

pub fn state(name: &str) -> io::Result<State> {
    Systemd::default().state(name)
}

impl Systemd {
    /// Where the unit of a service is.
    pub fn unit_path(&self, name: &str) -> PathBuf {
        self.units.join(format!("{name}.service"))
    }

    /// As [`super::install`].
    ///
    /// # Errors
    ///
    /// As there. If only `systemctl` failed, the next installation goes on from there.
    pub fn install(&self, definition: &Definition) -> io::Result<Change> {
        let (path, unit) = (self.unit_path(&definition.name), definition.unit()?);
        let earlier = read(&path)?;
        let change = match &earlier {
            Some(text) if *text == unit => Change::Nothing,
            Some(_) => Change::Updated,
            None => Change::Installed,
        };
        if change != Change::Nothing {
            atomic_write(&path, unit.as_bytes(), Access::Everyone)?;
        }
        // Also where nothing has changed: an earlier run may have been cut off here.
        self.ask(&["daemon-reload"])?;
        self.ask(&["enable", &definition.name])?;
        Ok(change)
    }

    /// As [`super::uninstall`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn uninstall(&self, name: &str) -> io::Result<bool> {
        let path = self.unit_path(name);
        if read(&path)?.is_none() {
            return Ok(false);
        }
        self.ask(&["disable", "--now", name])?;
        fs::remove_file(&path)?;
        self.ask(&["daemon-reload"])?;
        Ok(true)
    }

    /// As [`super::start`]; `systemctl` itself waits.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn start(&self, name: &str) -> io::Result<()> {
        self.ask(&["start", name]).map(drop)
    }

    /// As [`super::stop`]; `systemctl` itself waits.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn stop(&self, name: &str) -> io::Result<()> {
        self.ask(&["stop", name]).map(drop)
    }

    /// As [`super::state`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn state(&self, name: &str) -> io::Result<State> {
        let packaged = self.packaged.join(format!("{name}.service"));
        if read(&self.unit_path(name))?.is_none() && !packaged.is_file() {
            return Ok(State::NotInstalled);
        }
        let said = self.ask(&["show", "--property=ActiveState", "--value", name])?;
        Ok(match said.trim() {
            "active" | "reloading" => State::Running,
            "activating" => State::Starting,
            "deactivating" => State::Stopping,
            "failed" => State::Failed,
            _ => State::Stopped,
        })
    }

    /// What `systemctl` says, or why it failed in its own words.
    fn ask(&self, words: &[&str]) -> io::Result<String> {
        let mut command = Command::new(&self.systemctl);
        let output = command.args(words).stdin(Stdio::null()).output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("systemctl {}: {}", words.join(" "), said.trim())))
    }
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A folder of units with a `systemctl` that writes down what it is asked, answers from the
    /// file `state`, and fails once there is a file `broken`.
    struct Bench {
        folder: tempfile::TempDir,
        systemd: Systemd,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let systemctl = folder.path().join("systemctl");
            let script = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\necho \"$*\" >>asked\n\
                          [ ! -e broken ] || { echo 'no bus' >&2; exit 1; }\n\
                          [ \"$1\" != show ] || cat state\n";
            fs::write(&systemctl, script).unwrap();
            fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();
            let packaged = folder.path().join("packaged");
            let systemd = Systemd { units: folder.path().to_owned(), packaged, systemctl };
            Self { folder, systemd }
        }

        /// What was asked since the last time.
        fn asked(&self) -> Vec<String> {
            let path = self.folder.path().join("asked");
            let text = fs::read_to_string(&path).unwrap_or_default();
            let _ = fs::remove_file(path);
            text.lines().map(str::to_owned).collect()
        }
    }

    fn definition(argument: &str) -> Definition {
        Definition {
            name: "example".to_owned(),
            title: "Example".to_owned(),
            description: "an example".to_owned(),
            program: "/bin/true".into(),
            arguments: vec![argument.to_owned()],
            folder: "/var/lib/example".into(),
            private: "private".to_owned(),
            sid: "S-1-5-80-0".to_owned(),
        }
    }

    #[test]
    fn an_installation_can_be_repeated_and_removed() {
        let bench = Bench::new();
        let systemd = &bench.systemd;
        assert_eq!(systemd.state("example").unwrap(), State::NotInstalled);
        assert!(!systemd.uninstall("example").unwrap());
        assert_eq!(bench.asked(), [""; 0]);
        assert_eq!(systemd.install(&definition("a")).unwrap(), Change::Installed);
        assert_eq!(bench.asked(), ["daemon-reload", "enable example"]);
        assert_eq!(systemd.install(&definition("a")).unwrap(), Change::Nothing);
        assert_eq!(systemd.install(&definition("b")).unwrap(), Change::Updated);
        let unit = fs::read_to_string(systemd.unit_path("example")).unwrap();
        assert_eq!(unit, definition("b").unit().unwrap());
        let mode = fs::metadata(systemd.unit_path("example")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        bench.asked();
        assert!(systemd.uninstall("example").unwrap());
        assert_eq!(bench.asked(), ["disable --now example", "daemon-reload"]);
        assert!(!systemd.unit_path("example").exists());
    }

    #[test]
    fn states_are_read() {
        let bench = Bench::new();
        bench.systemd.install(&definition("a")).unwrap();
        for (said, expect) in [
            ("active", State::Running),
            ("inactive", State::Stopped),
            ("activating", State::Starting),
            ("deactivating", State::Stopping),
            ("failed", State::Failed),
        ] {
            fs::write(bench.folder.path().join("state"), format!("{said}\n")).unwrap();
            assert_eq!(bench.systemd.state("example").unwrap(), expect);
        }
    }

    #[test]
    fn a_unit_of_a_package_is_a_service_too() {
        let bench = Bench::new();
        fs::create_dir(&bench.systemd.packaged).unwrap();
        fs::write(bench.systemd.packaged.join("example.service"), "").unwrap();
        fs::write(bench.folder.path().join("state"), "active\n").unwrap();
        assert_eq!(bench.systemd.state("example").unwrap(), State::Running);
        assert!(!bench.systemd.uninstall("example").unwrap(), "it belongs to the package");
    }

    #[test]
    fn what_systemctl_says_is_passed_on_and_the_next_run_goes_on() {
        let bench = Bench::new();
        fs::write(bench.folder.path().join("broken"), "").unwrap();
        let error = bench.systemd.install(&definition("a")).unwrap_err().to_string();
        assert_eq!(error, "systemctl daemon-reload: no bus");
        fs::remove_file(bench.folder.path().join("broken")).unwrap();
        bench.asked();
        bench.systemd.install(&definition("a")).unwrap();
        assert_eq!(bench.asked(), ["daemon-reload", "enable example"]);
    }

    /// By systemd's own checker, which needs no systemd that runs.
    #[test]
    #[ignore = "needs systemd-analyze: apt-get install systemd"]
    fn systemd_understands_the_unit() {
        let bench = Bench::new();
        bench.systemd.install(&definition("größe 100% \"$HOME\"")).unwrap();
        let path = bench.systemd.unit_path("example");
        let output = Command::new("systemd-analyze").arg("verify").arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let about_it: Vec<_> = said.lines().filter(|line| line.contains("example")).collect();
        assert_eq!(about_it, [""; 0], "{said}");
        assert!(output.status.success(), "{said}");
    }
}
