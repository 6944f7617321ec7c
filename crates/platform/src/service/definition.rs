//! What a service is, and how each service manager is told.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// How long a service may take to end, in seconds; then it is killed. Whatever it does survives
/// that.
pub const STOP_SECS: u64 = 5;

/// How long the manager waits before it starts a service again that has failed, in seconds: the
/// first, the second, and all later times. After a day without a failure it counts anew. systemd
/// always waits for the second: before its version 254 it knows but one.
const RESTART_SECS: [u64; 3] = [5, 60, 300];

/// The most memory that a service and what it starts may take: the agent itself needs 15 MB, and a
/// check that compiles Go's standard library some hundred.
const MEMORY_MAX: &str = "2G";

/// The virtual account on Windows that a service of this name has for itself: it can write what
/// was granted to it, and nothing else.
pub const ACCOUNT: &str = r"NT SERVICE\";

/// A program as a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its name among services, of letters, digits and `-`.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// What it does, in one sentence.
    pub description: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments. Everybody on the machine can read them: they hold no secret.
    pub arguments: Vec<String>,
    /// The one folder that it writes.
    pub folder: PathBuf,
    /// The folder below it that nobody else reads.
    pub private: String,
    /// The security identifier of its account on Windows, which follows from its name.
    pub sid: String,
}

/// A text can't stand in the definition of a service.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{}` has characters that no service definition can hold", .0.escape_debug())]
pub struct Unquotable(String);

impl From<Unquotable> for io::Error {
    fn from(error: Unquotable) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

impl Definition {
    /// As a unit of systemd.
    ///
    /// It runs as root with no capability at all, so it can do to files what root's permission
    /// bits let it and nothing more, and it can write `folder` only.
    ///
    /// # Errors
    ///
    /// [`Unquotable`] if a path is no Unicode, or a text has control characters.
    pub fn unit(&self) -> Result<String, Unquotable> {
        let mut command = vec![systemd_quoted(&text(&self.program)?, true)?];
        for argument in &self.arguments {
            command.push(systemd_quoted(argument, true)?);
        }
        let folder = systemd_quoted(&text(&self.folder)?, false)?;
        let plain = |text: &str| Ok(checked(text)?.replace('%', "%%"));
        Ok(format!(
            "\
[Unit]
Description={title}: {description}
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart={command}
Restart=on-failure
RestartSec={restart}
TimeoutStopSec={STOP_SECS}
UMask=0022

NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ReadWritePaths={folder}
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
MemoryMax={MEMORY_MAX}
TasksMax=512

[Install]
WantedBy=multi-user.target
",
            title = plain(&self.title)?,
            description = plain(&self.description)?,
            command = command.join(" "),
            restart = RESTART_SECS[1],
        ))
    }

    /// As the command line that the service control manager starts. Every word that needs it is
    /// quoted, the program always: unquoted, `C:\Program Files\x.exe` would first be looked for as
    /// `C:\Program.exe`.
    ///
    /// # Errors
    ///
    /// [`Unquotable`] if a path is no Unicode, or a text has control characters.
    pub fn command_line(&self) -> Result<String, Unquotable> {
        let program = checked(&text(&self.program)?)?.to_owned();
        if program.contains('"') {
            return Err(Unquotable(program));
        }
        let mut line = format!("\"{program}\"");
        for argument in &self.arguments {
            line.push(' ');
            line.push_str(&windows_quoted(checked(argument)?));
        }
        Ok(line)
    }

    /// What an installation tells the service control manager, for people.
    ///
    /// # Errors
    ///
    /// As [`Self::command_line`].
    pub fn describe(&self) -> Result<String, Unquotable> {
        let name = &self.name;
        let [first, second, later] = RESTART_SECS;
        Ok(format!(
            "\
service       {name} ({title})
description   {description}
command       {command}
account       {ACCOUNT}{name}, its own; privileges: SeChangeNotifyPrivilege
start         automatic, delayed
after failure restart after {first} s, {second} s, then each {later} s; anew after a day without one
stop          within {STOP_SECS} s, also before the machine shuts down
may write     {folder}
event log     source {name} in Application
",
            title = self.title,
            description = self.description,
            command = self.command_line()?,
            folder = self.folder.display(),
        ))
    }

    /// Waits before a restart, in milliseconds: the first, the second, all later times.
    #[cfg(windows)]
    pub(super) fn restart_delays_ms() -> [u32; 3] {
        RESTART_SECS.map(|seconds| seconds as u32 * 1000)
    }
}

fn text(path: &std::path::Path) -> Result<String, Unquotable> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Unquotable(path.to_string_lossy().into_owned()))
}

fn checked(text: &str) -> Result<&str, Unquotable> {
    if text.chars().any(char::is_control) { Err(Unquotable(text.to_owned())) } else { Ok(text) }
}

/// A word of a unit (systemd.syntax(7)): `%` begins a specifier, in commands `$` a variable.
fn systemd_quoted(word: &str, is_command: bool) -> Result<String, Unquotable> {
    let mut quoted = String::from('"');
    for character in checked(word)?.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '%' => quoted.push_str("%%"),
            '$' if is_command => quoted.push_str("$$"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    Ok(quoted)
}

/// A word of a command line, by the rules of `CommandLineToArgvW`: backslashes count only before a
/// quote.
fn windows_quoted(word: &str) -> String {
    if !word.is_empty() && !word.contains([' ', '\t', '"']) {
        return word.to_owned();
    }
    let mut quoted = String::from('"');
    let mut backslashes = 0;
    for character in word.chars() {
        if character == '"' {
            quoted.extend(std::iter::repeat_n('\\', backslashes + 1));
        }
        backslashes = if character == '\\' { backslashes + 1 } else { 0 };
        quoted.push(character);
    }
    quoted.extend(std::iter::repeat_n('\\', backslashes));
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(program: &str, arguments: &[&str], folder: &str) -> Definition {
        Definition {
            name: "gofleet-agent".to_owned(),
            title: "gofleet agent".to_owned(),
            description: "keeps Go current at 100%".to_owned(),
            program: program.into(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            folder: folder.into(),
            private: "agent".to_owned(),
            sid: "S-1-5-80-0".to_owned(),
        }
    }

    #[test]
    fn the_unit_is_what_was_agreed() {
        let arguments =
            ["agent", "run", "--label", "site=köln \"süd\"", "--limit", r"5\ $HOME 10%"];
        let definition = definition("/opt/go fleet/gofleet", &arguments, "/var/lib/größe 5%");
        assert_eq!(definition.unit().unwrap(), include_str!("expected/agent.service"));
    }

    #[test]
    fn what_windows_is_told_is_what_was_agreed() {
        let arguments = ["agent", "run", "--root", r"C:\Program Data\gofleet\", "--label", "a=b"];
        let program = r"C:\Program Files\gofleet\gofleet.exe";
        let definition = definition(program, &arguments, r"C:\Program Data\gofleet");
        assert_eq!(definition.describe().unwrap(), include_str!("expected/windows.txt"));
    }

    #[test]
    fn words_are_quoted_as_windows_reads_them() {
        for (word, expect) in [
            ("plain", "plain"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            (r"C:\a b\", r#""C:\a b\\""#),
            (r"C:\ab\", r"C:\ab\"),
            (r#"say "hi""#, r#""say \"hi\"""#),
            (r#"a\"b"#, r#""a\\\"b""#),
            (r"a\\b c", r#""a\\b c""#),
        ] {
            assert_eq!(windows_quoted(word), expect, "{word}");
        }
    }

    #[test]
    fn what_would_end_a_line_is_refused() {
        for (program, argument) in
            [("/a\nb", "x"), ("/a", "x\nExecStartPre=/bin/evil"), ("/a", "\0")]
        {
            let definition = definition(program, &[argument], "/a");
            assert!(definition.unit().is_err() && definition.command_line().is_err(), "{argument}");
        }
    }
}
