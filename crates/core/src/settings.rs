//! The settings of an agent: one table, from which its file, its flags, its environment, the group
//! policy and the documentation are read.
//!
//! The enrolment token is no setting: it is a secret that is used once, and what a policy or a
//! flag of a service says can be read by everybody on the machine.

mod layers;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::address;
use crate::bandwidth::Bandwidth;
use crate::time::Span;

pub use layers::{Origin, Problem, Settings, SettingsError, Shown, Sources};

/// The longest text of a setting, in characters. Templates of group policies say so too.
pub const LONGEST_TEXT: usize = 1023;
/// The longest host name, in characters (RFC 1035, 2.3.4, without the last dot).
const LONGEST_HOSTNAME: usize = 253;
/// The most entries of a list or a table.
pub const MOST_ENTRIES: usize = 100;

/// A setting's names and meaning.
#[derive(Debug)]
pub struct Setting {
    /// In the file.
    pub name: &'static str,
    /// In the environment.
    pub environment: &'static str,
    /// On the command line.
    pub flag: &'static str,
    /// In the registry, below the key of the policies.
    pub policy: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// What holds if nobody says anything, in words.
    pub default: &'static str,
    /// For people who read English.
    pub english: Words,
    /// For people who read Chinese.
    pub chinese: Words,
}

/// What a setting is called and means.
#[derive(Debug)]
pub struct Words {
    /// A few words.
    pub title: &'static str,
    /// What it means; in English beginning in lower case, without a full stop.
    pub meaning: &'static str,
}

/// What the values of a setting are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The address of a server.
    Url,
    /// A folder.
    Folder,
    /// A program, or the word `none`.
    Program,
    /// A host name.
    Hostname,
    /// Bytes a second by the hour; see [`Bandwidth`].
    Limit,
    /// A span of a second at least; see [`Span`].
    Period,
    /// Files.
    Files,
    /// A program by its whole path, and its arguments.
    Command,
    /// Addresses of servers.
    Urls,
    /// Keys with values.
    Labels,
}

/// How often signals are reported, if nobody says anything: 100,000 devices make some 1,700 small
/// requests a second of it.
pub const SIGNALS_EVERY: Span = Span::from_secs(60);

/// How often the command with signals is run, if nobody says anything.
pub const SIGNALS_COMMAND_EVERY: Span = Span::from_secs(60);
/// How long the command with signals may take, if nobody says anything.
pub const SIGNALS_COMMAND_TIMEOUT: Span = Span::from_secs(10);

/// Every setting.
pub const SETTINGS: [Setting; 13] = [
    Setting {
        name: "server",
        environment: "GOFLEET_SERVER",
        flag: "--server",
        policy: "Server",
        kind: Kind::Url,
        default: "none",
        english: Words {
            title: "Server",
            meaning: "the address of the server, like https://gofleet.example.org",
        },
        chinese: Words {
            title: "服务器",
            meaning: "服务器的地址，例如 https://gofleet.example.org",
        },
    },
    Setting {
        name: "root",
        environment: "GOFLEET_ROOT",
        flag: "--root",
        policy: "Root",
        kind: Kind::Folder,
        default: "~/.gofleet, on Windows %LOCALAPPDATA%\\gofleet; of a service /var/lib/gofleet, \
                  on Windows %ProgramData%\\gofleet",
        english: Words {
            title: "Root folder",
            meaning: "the folder that the agent keeps; an installed service must be installed \
                      again after a change, for it may write to its own root only",
        },
        chinese: Words {
            title: "根目录",
            meaning: "代理使用的目录；更改后必须重新安装已安装的服务，因为服务只能写入自己的根目录",
        },
    },
    Setting {
        name: "labels",
        environment: "GOFLEET_LABELS",
        flag: "--label",
        policy: "Labels",
        kind: Kind::Labels,
        default: "none",
        english: Words {
            title: "Labels",
            meaning: "labels that selectors see, each with its value, like site=berlin",
        },
        chinese: Words {
            title: "标签", meaning: "供选择器使用的标签及其值，例如 site=berlin"
        },
    },
    Setting {
        name: "hostname",
        environment: "GOFLEET_HOSTNAME",
        flag: "--hostname",
        policy: "Hostname",
        kind: Kind::Hostname,
        default: "that of the machine",
        english: Words { title: "Host name", meaning: "the host name to report" },
        chinese: Words { title: "主机名", meaning: "上报的主机名" },
    },
    Setting {
        name: "edges",
        environment: "GOFLEET_EDGE",
        flag: "--edge",
        policy: "Edges",
        kind: Kind::Urls,
        default: "none",
        english: Words {
            title: "Distribution points",
            meaning: "addresses of distribution points to ask before the server, like \
                      https://10.1.2.3:8471",
        },
        chinese: Words {
            title: "分发点",
            meaning: "在服务器之前询问的分发点地址，例如 https://10.1.2.3:8471",
        },
    },
    Setting {
        name: "limit",
        environment: "GOFLEET_LIMIT",
        flag: "--limit",
        policy: "Limit",
        kind: Kind::Limit,
        default: "unlimited",
        english: Words {
            title: "Bandwidth limit",
            meaning: "the most bytes a second to download, by the hour, like '20 MB/s, 2 MB/s \
                      from 9 to 18'; at least 1 kB/s",
        },
        chinese: Words {
            title: "带宽限制",
            meaning: "每秒最多下载的字节数，可按时段设置，例如 20 MB/s, 2 MB/s from 9 to 18；不低于 1 kB/s",
        },
    },
    Setting {
        name: "signals",
        environment: "GOFLEET_SIGNALS",
        flag: "--signals",
        policy: "Signals",
        kind: Kind::Files,
        default: "none",
        english: Words {
            title: "Files with signals",
            meaning: "files with more signals to report, in Prometheus' text format",
        },
        chinese: Words {
            title: "信号文件",
            meaning: "包含更多上报信号的文件，采用 Prometheus 文本格式",
        },
    },
    Setting {
        name: "signals_every",
        environment: "GOFLEET_SIGNALS_EVERY",
        flag: "--signals-every",
        policy: "SignalsEvery",
        kind: Kind::Period,
        default: "1m",
        english: Words {
            title: "Period of signals",
            meaning: "how often to report processor, memory, free space and other signals, like 1m",
        },
        chinese: Words {
            title: "信号上报间隔",
            meaning: "上报处理器、内存、可用空间及其他信号的间隔，例如 1m",
        },
    },
    Setting {
        name: "signals_command",
        environment: "GOFLEET_SIGNALS_COMMAND",
        flag: "--signals-command",
        policy: "SignalsCommand",
        kind: Kind::Command,
        default: "none",
        english: Words {
            title: "Command with signals",
            meaning: "a program that prints more signals, in Prometheus' text format: its whole \
                      path, then each of its arguments",
        },
        chinese: Words {
            title: "信号命令",
            meaning: "输出更多信号的程序，采用 Prometheus 文本格式：先写完整路径，再逐个写参数",
        },
    },
    Setting {
        name: "signals_command_every",
        environment: "GOFLEET_SIGNALS_COMMAND_EVERY",
        flag: "--signals-command-every",
        policy: "SignalsCommandEvery",
        kind: Kind::Period,
        default: "1m",
        english: Words {
            title: "Period of the command with signals",
            meaning: "how often to run the command with signals, like 1m",
        },
        chinese: Words {
            title: "信号命令的运行间隔", meaning: "运行信号命令的间隔，例如 1m"
        },
    },
    Setting {
        name: "signals_command_timeout",
        environment: "GOFLEET_SIGNALS_COMMAND_TIMEOUT",
        flag: "--signals-command-timeout",
        policy: "SignalsCommandTimeout",
        kind: Kind::Period,
        default: "10s",
        english: Words {
            title: "Time limit of the command with signals",
            meaning: "how long the command with signals may take before it is killed with all \
                      that it started, like 10s",
        },
        chinese: Words {
            title: "信号命令的时间限制",
            meaning: "信号命令的最长运行时间，超时后会连同其启动的进程一起终止，例如 10s",
        },
    },
    Setting {
        name: "check_cache",
        environment: "GOFLEET_CHECK_CACHE",
        flag: "--check-cache",
        policy: "CheckCache",
        kind: Kind::Folder,
        default: "one in the root",
        english: Words {
            title: "Build cache of the checks",
            meaning: "the folder of Go's build cache for the checks",
        },
        chinese: Words {
            title: "检查用的构建缓存", meaning: "检查时使用的 Go 构建缓存目录"
        },
    },
    Setting {
        name: "notify_command",
        environment: "GOFLEET_NOTIFY_COMMAND",
        flag: "--notify-command",
        policy: "NotifyCommand",
        kind: Kind::Program,
        default: "wall, on Windows msg.exe",
        english: Words {
            title: "Notifier",
            meaning: "the program that tells users of published releases, or none; it gets what to \
                      tell as JSON",
        },
        chinese: Words {
            title: "通知程序",
            meaning: "向用户通知已发布版本的程序，或 none；通知内容以 JSON 形式提供",
        },
    },
];

/// What a setting is set to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// One text.
    Text(String),
    /// Several.
    List(Vec<String>),
    /// Several with names.
    Table(BTreeMap<String, String>),
}

impl Setting {
    /// The setting with this name in files.
    pub fn of_name(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// A value as it is written where there is only text: entries of lists are separated by
    /// commas, and labels are `KEY=VALUE`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        let entries = || text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let value = match self.kind {
            Kind::Urls | Kind::Files | Kind::Command => {
                Value::List(entries().map(str::to_owned).collect())
            }
            Kind::Labels => Value::Table(entries().map(label).collect::<Result<_, _>>()?),
            Kind::Url
            | Kind::Folder
            | Kind::Program
            | Kind::Hostname
            | Kind::Limit
            | Kind::Period => Value::Text(text.to_owned()),
        };
        self.check(&value).map(|()| value)
    }

    /// Whether a value fits.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        match (self.kind, value) {
            (Kind::Url, Value::Text(text)) => url(text),
            (Kind::Folder, Value::Text(text)) => folder(text),
            (Kind::Program, Value::Text(text)) => file(text),
            (Kind::Hostname, Value::Text(text)) => hostname(text),
            (Kind::Limit, Value::Text(text)) => limit(text),
            (Kind::Period, Value::Text(text)) => period(text),
            (Kind::Files, Value::List(list)) => {
                few(list.len(), list.iter().try_for_each(|it| file(it)))
            }
            (Kind::Urls, Value::List(list)) => {
                few(list.len(), list.iter().try_for_each(|it| url(it)))
            }
            (Kind::Labels, Value::Table(table)) => {
                let fits = |(key, value): (&String, &String)| fits_label(key, value);
                few(table.len(), table.iter().try_for_each(fits))
            }
            (Kind::Command, Value::List(list)) => few(list.len(), command(list)),
            (Kind::Urls | Kind::Files | Kind::Command, Value::Text(_) | Value::Table(_)) => {
                Err("it must be a list".to_owned())
            }
            (Kind::Labels, Value::Text(_) | Value::List(_)) => Err("it must be a table".to_owned()),
            (_, Value::List(_) | Value::Table(_)) => Err("it must be one text".to_owned()),
        }
    }
}

/// `KEY=VALUE`.
///
/// # Errors
///
/// What is wrong with it.
pub fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE, like site=berlin")?;
    fits_label(key, value)?;
    Ok((key.to_owned(), value.to_owned()))
}

fn fits_label(key: &str, value: &str) -> Result<(), String> {
    if key.is_empty() || key.contains('=') {
        return Err("expected KEY=VALUE, like site=berlin".to_owned());
    }
    short(key).and_then(|()| short(value))
}

/// No control characters, which no setting needs and some places can't hold, and not too long.
fn short(text: &str) -> Result<(), String> {
    match text.chars().count() {
        _ if text.contains(char::is_control) => Err("it has a control character".to_owned()),
        count if count > LONGEST_TEXT => {
            Err(format!("it has {count} characters, and {LONGEST_TEXT} are the most"))
        }
        _ => Ok(()),
    }
}

fn few(count: usize, entries: Result<(), String>) -> Result<(), String> {
    if count > MOST_ENTRIES {
        return Err(format!("it has {count} entries, and {MOST_ENTRIES} are the most"));
    }
    entries
}

fn url(text: &str) -> Result<(), String> {
    short(text)?;
    address::check(text).map_err(|rule| format!("it {rule}"))
}

fn folder(text: &str) -> Result<(), String> {
    if text.is_empty() { Err("it must name a folder".to_owned()) } else { short(text) }
}

fn file(text: &str) -> Result<(), String> {
    if text.is_empty() { Err("it must name a file".to_owned()) } else { short(text) }
}

/// A program by its whole path, as Unix or Windows has it: which one is started depends neither on
/// a folder nor on a search path.
fn command(words: &[String]) -> Result<(), String> {
    let program = words.first().ok_or("it must name a program")?;
    let mut chars = program.chars();
    let is_drive = chars.next().is_some_and(|c| c.is_ascii_alphabetic())
        && matches!((chars.next(), chars.next()), (Some(':'), Some('\\' | '/')));
    if !is_drive && !program.starts_with('/') && !program.starts_with(r"\\") {
        return Err(format!(
            "`{program}` is not the whole path of a program, like /opt/ci/signals"
        ));
    }
    words.iter().try_for_each(|word| short(word))
}

fn period(text: &str) -> Result<(), String> {
    match text.parse::<Span>() {
        Ok(span) if span < Span::from_secs(1) => Err("it must be 1s at least".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn hostname(text: &str) -> Result<(), String> {
    match text.chars().count() {
        0 => Err("it must be a name".to_owned()),
        count if count > LONGEST_HOSTNAME => {
            Err(format!("it has {count} characters, and {LONGEST_HOSTNAME} are the most"))
        }
        _ => short(text),
    }
}

fn limit(text: &str) -> Result<(), String> {
    short(text)?;
    text.parse::<Bandwidth>().map(drop).map_err(|error| error.to_string())
}

impl fmt::Display for Value {
    /// As [`Setting::parse`] reads it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::List(list) => formatter.write_str(&list.join(",")),
            Self::Table(table) => {
                let entries: Vec<_> =
                    table.iter().map(|(key, value)| format!("{key}={value}")).collect();
                formatter.write_str(&entries.join(","))
            }
        }
    }
}
