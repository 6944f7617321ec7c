//! The agent's settings as this process finds them: policy, flags, environment and file.
//!
//! Which of them counts is decided by `gofleet_core::settings`; here they are read, shown and kept
//! for `agent status`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches};
use gofleet_core::policy::{self, Record};
use gofleet_core::settings::{
    Kind, Problem, SETTINGS, SIGNALS_COMMAND_EVERY, SIGNALS_COMMAND_TIMEOUT, SIGNALS_EVERY,
    Setting, Settings, Shown, Sources, Value, label,
};
use serde::{Deserialize, Serialize};

use crate::failure::Hinted;
use crate::printer::table;
use crate::server::capitalized;

/// The file in the root that is read unless another one is named.
const FILE: &str = "agent.toml";
/// What an agent leaves of its settings, below the root.
const LEFT: &str = "agent/settings.json";

/// What an agent is told, as a service or by hand.
#[derive(Debug, Args, Default)]
pub struct Options {
    /// File with settings, in TOML [default: agent.toml in the root, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

/// A flag for each setting of the table.
#[derive(Debug, Default)]
struct Flags(Vec<(&'static str, Value)>);

/// What holds for an agent.
#[derive(Debug)]
pub struct Loaded {
    /// Every setting.
    pub settings: Settings,
    /// The folder that the agent keeps, from `/` or a drive on.
    pub root: PathBuf,
}

/// Settings as they are shown, and as an agent leaves them when it starts.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// By name.
    pub settings: BTreeMap<String, Shown>,
    /// What the policy says in vain.
    pub policy_problems: Vec<Problem>,
}

impl Options {
    /// Only the server's address, as if it were given by flag.
    ///
    /// # Errors
    ///
    /// If it is no address.
    pub fn of_server(url: &str) -> anyhow::Result<Self> {
        let setting = Setting::of_name("server").context("there is a setting `server`")?;
        let value = setting.parse(url).map_err(|reason| {
            let hint = "give it like https://gofleet.example.org";
            Hinted::usage(format!("`{url}` is not the address of a server: {reason}"), hint)
        })?;
        Ok(Self { config: None, flags: Flags(vec![(setting.name, value)]) })
    }

    /// Lays all sources over each other; `default_root` holds if none names a root.
    ///
    /// # Errors
    ///
    /// If a value does not fit (one of the policy is no error), or the file can't be used.
    pub fn load(&self, default_root: &Path) -> anyhow::Result<Loaded> {
        let (records, unread) = enforced();
        let root = default_root.to_str().context("the root's name is no Unicode")?;
        let text = |text: &str| Value::Text(text.to_owned());
        let defaults = [
            ("root", text(root)),
            ("limit", text("unlimited")),
            ("signals_every", text(&SIGNALS_EVERY.to_string())),
            ("signals_command_every", text(&SIGNALS_COMMAND_EVERY.to_string())),
            ("signals_command_timeout", text(&SIGNALS_COMMAND_TIMEOUT.to_string())),
        ];
        let of = |file: Option<(&str, &[(String, Value)])>| {
            Settings::of(&Sources {
                policy: &records,
                flags: &self.flags.0,
                environment: &|name| std::env::var(name).ok(),
                file,
                defaults: &defaults,
            })
        };
        let named = self.config.as_deref().map(read_file).transpose()?;
        let named = named.as_ref().map(|(file, entries)| (file.as_str(), entries.as_slice()));
        let mut settings = of(named)?;
        let root = Path::new(settings.text("root").unwrap_or(root));
        let root = std::path::absolute(root)
            .with_context(|| format!("{} is no folder", root.display()))?;
        let usual = root.join(FILE);
        if named.is_none() && usual.is_file() {
            let (file, entries) = read_file(&usual)?;
            if entries.iter().any(|(key, _)| key == "root") {
                let message = format!("{file} lies in the root, and can't say where the root is");
                return Err(Hinted::new(message, "remove `root` from it").into());
            }
            settings = of(Some((&file, &entries)))?;
        }
        settings.problems.extend(unread);
        Ok(Loaded { settings, root })
    }

    /// What flags and environment say, as flags, without the root.
    ///
    /// # Errors
    ///
    /// If a value does not fit, or the name of the file is no Unicode.
    pub fn as_arguments(&self) -> anyhow::Result<Vec<String>> {
        let given = Settings::of(&Sources {
            policy: &[],
            flags: &self.flags.0,
            environment: &|name| std::env::var(name).ok(),
            file: None,
            defaults: &[],
        })?;
        let mut arguments = Vec::new();
        for setting in SETTINGS.iter().filter(|setting| setting.name != "root") {
            let entries = match given.value(setting.name) {
                None => Vec::new(),
                Some(Value::Text(text)) => vec![text.clone()],
                Some(Value::List(list)) => list.clone(),
                Some(Value::Table(table)) => {
                    table.iter().map(|(key, value)| format!("{key}={value}")).collect()
                }
            };
            arguments.extend(entries.into_iter().flat_map(|it| [setting.flag.to_owned(), it]));
        }
        if let Some(file) = &self.config {
            let file = std::path::absolute(file)?;
            let file = file.to_str().context("the settings' file has a name that is no Unicode")?;
            arguments.extend(["--config".to_owned(), file.to_owned()]);
        }
        Ok(arguments)
    }
}

impl Loaded {
    /// The server's address.
    ///
    /// # Errors
    ///
    /// If nobody names one.
    pub fn server(&self) -> anyhow::Result<String> {
        let server = self.settings.text("server").map(|url| url.trim_end_matches('/').to_owned());
        server.ok_or_else(|| {
            let hint = "name it with --server or GOFLEET_SERVER, in agent.toml, or by policy";
            Hinted::usage("no server is named", hint).into()
        })
    }

    /// Tells the log what the policy says in vain.
    pub fn log_problems(&self) {
        for problem in &self.settings.problems {
            tracing::error!("{problem}");
        }
    }

    /// For people and programs.
    pub fn report(&self) -> Report {
        let settings = self.settings.shown().into_iter();
        Report {
            settings: settings.map(|(name, shown)| (name.to_owned(), shown)).collect(),
            policy_problems: self.settings.problems.clone(),
        }
    }
}

impl Report {
    /// As an agent leaves it.
    pub fn to_json(&self) -> anyhow::Result<Vec<u8>> {
        Ok(serde_json::to_vec_pretty(self)?)
    }

    /// What the agent with this root left when it started; none if none ever did.
    ///
    /// # Errors
    ///
    /// If it can't be read.
    pub fn left(root: &Path) -> anyhow::Result<Option<Self>> {
        let path = root.join(LEFT);
        let failed = || format!("{} can't be read", path.display());
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).with_context(failed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(failed),
        }
    }

    /// Whether the policy says something else now.
    pub fn is_outdated(&self) -> bool {
        let (values, _) = policy::read(&enforced().0, &|name| std::env::var(name).ok());
        let now: BTreeMap<_, _> = values.iter().map(|(name, value)| (*name, value)).collect();
        let then = self.settings.iter().filter(|(_, shown)| shown.origin == "policy");
        let then = then.filter_map(|(name, shown)| Some((name.as_str(), shown.value.as_ref()?)));
        now != then.collect()
    }

    /// A table for people, with what the policy says in vain below it.
    pub fn table(&self) -> String {
        let row = |setting: &Setting| {
            let shown = self.settings.get(setting.name)?;
            let value = shown.value.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
            Some(vec![setting.name.to_owned(), value, shown.origin.clone()])
        };
        let rows: Vec<_> = SETTINGS.iter().filter_map(row).collect();
        let mut text = table(&["SETTING", "VALUE", "FROM"], &rows);
        for problem in &self.policy_problems {
            text = format!("{}\nerror: {problem}", text.trim_end());
        }
        text
    }
}

/// The root that the policy names, if it does.
pub fn enforced_root() -> Option<PathBuf> {
    let (values, _) = policy::read(&enforced().0, &|name| std::env::var(name).ok());
    values.into_iter().find(|(name, _)| *name == "root").map(|(_, it)| it.to_string().into())
}

/// What stands below the key of the policies, or why that can't be told.
fn enforced() -> (Vec<Record>, Option<Problem>) {
    match gofleet_platform::policy::read(policy::KEY) {
        Ok(entries) => {
            let record = |entry: gofleet_platform::policy::Entry| Record {
                key: entry.key,
                name: entry.name,
                kind: entry.kind,
                data: entry.bytes,
            };
            (entries.into_iter().map(record).collect(), None)
        }
        Err(error) => {
            let reason = format!("it can't be read: {error}");
            (Vec::new(), Some(Problem { value: "*".to_owned(), reason, instead: None }))
        }
    }
}

/// Name and entries of a file.
fn read_file(path: &Path) -> anyhow::Result<(String, Vec<(String, Value)>)> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(|| format!("{name} can't be read"))?;
    let table: toml::Table =
        toml::from_str(&text).with_context(|| format!("{name} is not valid TOML"))?;
    let entry = |(key, value): (String, toml::Value)| match plain(value) {
        Some(value) => Ok((key, value)),
        None => Err(Hinted::new(
            format!("`{key}` in {name} is neither text nor a list nor a table of texts"),
            "write it in quotes, like limit = \"2 MB/s\"",
        )),
    };
    let entries: Result<_, Hinted> = table.into_iter().map(entry).collect();
    Ok((name, entries?))
}

fn plain(value: toml::Value) -> Option<Value> {
    let text = |value: toml::Value| match value {
        toml::Value::String(text) => Some(text),
        _ => None,
    };
    match value {
        toml::Value::Array(list) => {
            list.into_iter().map(text).collect::<Option<_>>().map(Value::List)
        }
        toml::Value::Table(table) => table
            .into_iter()
            .map(|(key, value)| Some((key, text(value)?)))
            .collect::<Option<_>>()
            .map(Value::Table),
        other => text(other).map(Value::Text),
    }
}

impl Args for Flags {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.args(SETTINGS.iter().map(flag))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |setting: &'static Setting| {
            let texts: Vec<&String> = matches.get_many::<String>(setting.name)?.collect();
            Some((setting.name, value_of(setting, &texts)))
        };
        Ok(Self(SETTINGS.iter().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn flag(setting: &'static Setting) -> Arg {
    let (value_name, is_repeated) = match setting.kind {
        Kind::Url => ("URL", false),
        Kind::Folder => ("DIR", false),
        Kind::Program => ("PROGRAM", false),
        Kind::Hostname => ("NAME", false),
        Kind::Limit => ("LIMIT", false),
        Kind::Period => ("SPAN", false),
        Kind::Files => ("FILE", true),
        Kind::Command => ("WORD", true),
        Kind::Urls => ("URL", true),
        Kind::Labels => ("KEY=VALUE", true),
    };
    let repeated = if is_repeated { "; may be repeated" } else { "" };
    let meaning = capitalized(setting.english.meaning);
    let help = format!(
        "{meaning}{repeated} [env: {}] [default: {}]",
        setting.environment, setting.default
    );
    Arg::new(setting.name)
        .long(setting.flag.trim_start_matches("--"))
        .value_name(value_name)
        .action(if is_repeated { ArgAction::Append } else { ArgAction::Set })
        .allow_hyphen_values(setting.kind == Kind::Command)
        .value_parser(move |text: &str| -> Result<String, String> {
            let text = text.to_owned();
            if setting.kind == Kind::Labels {
                label(&text)?;
            }
            // A word of a command is no command; all of them are judged when they are together.
            if setting.kind == Kind::Command {
                return Ok(text);
            }
            setting.check(&value_of(setting, &[&text])).map(|()| text)
        })
        .help(help)
}

/// The value of a flag that was given with these texts. Commas separate nothing there.
fn value_of(setting: &Setting, texts: &[&String]) -> Value {
    match setting.kind {
        Kind::Urls | Kind::Files | Kind::Command => {
            Value::List(texts.iter().map(|text| (*text).clone()).collect())
        }
        Kind::Labels => Value::Table(texts.iter().filter_map(|text| label(text).ok()).collect()),
        Kind::Url | Kind::Folder | Kind::Program | Kind::Hostname | Kind::Limit | Kind::Period => {
            Value::Text(texts.last().map(|text| (*text).clone()).unwrap_or_default())
        }
    }
}
