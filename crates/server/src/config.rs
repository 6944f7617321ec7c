//! The server's settings: defaults < `gofleet.toml` < `GOFLEET_*` < flags.
//!
//! Every value knows where it came from, so that `gofleet server --print-config` can show it. A key
//! in the file that means nothing is an error, for a setting that was misspelt would otherwise be
//! silently the default.

mod keys;
mod print;
mod sign_on;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use gofleet_core::address;
use gofleet_core::anomaly::{self, InvalidRules, Rules};
use gofleet_core::rollout::BlastRadius;
use gofleet_core::statistics::Share;
use gofleet_core::time::Span;
use thiserror::Error;

pub use keys::{KEYS, Key};
pub use sign_on::{CALLBACK, LdapSettings, OidcSettings};

/// The settings of a server, and where each came from.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The address and port that it listens on; port 0: any that is free.
    pub listen: SocketAddr,
    /// The folder that holds everything that it keeps.
    pub data: PathBuf,
    /// The address that browsers and agents reach it by, where that is not the one it listens on.
    pub public_url: Option<String>,
    /// More names and addresses for the server's certificate.
    pub tls_names: Vec<String>,
    /// A certificate with its chain and its key, instead of one of the server's own authority.
    pub tls_files: Option<(PathBuf, PathBuf)>,
    /// Whether this machine itself may use plain HTTP.
    pub plain_http: bool,
    /// For how long a device's certificate is good.
    pub certificate_lifetime: Span,
    /// For how long an enrolment token is good, unless its maker says otherwise.
    pub token_lifetime: Span,
    /// For how long a console session is good.
    pub session_lifetime: Span,
    /// How often the reconciler runs without being nudged.
    pub reconcile_every: Span,
    /// The largest archive that is taken, in bytes.
    pub max_upload_bytes: u64,
    /// How much of the fleet may be in flight or broken at once, over all rollouts.
    pub blast_radius: Option<BlastRadius>,
    /// Whether packs and deltas are made in the background.
    pub prepare: bool,
    /// What makes a device suspicious, and how that ends.
    pub anomaly: anomaly::Settings,
    /// Who is told when a device is put into quarantine or let in.
    pub hooks: HookSettings,
    /// The directory whose people may sign in.
    pub ldap: Option<LdapSettings>,
    /// The provider of single sign-on at whom people may sign in.
    pub oidc: Option<OidcSettings>,
    origins: BTreeMap<&'static str, (String, Origin)>,
}

/// The hooks that are told when a device is put into quarantine or let in.
#[derive(Debug, Clone)]
pub struct HookSettings {
    /// A program and its arguments; none: empty.
    pub command: Vec<String>,
    /// An address.
    pub url: Option<String>,
    /// The file with the secret that signs what is posted there.
    pub secret_file: Option<PathBuf>,
    /// How long one attempt may take.
    pub timeout: Span,
}

/// Where the value of a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(&'static str),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::Environment(name) => formatter.write_str(name),
            Self::Flag(flag) => formatter.write_str(flag),
        }
    }
}

/// Where settings may come from. Nothing is read from the process itself.
pub struct Sources<'a> {
    /// The data folder, where nobody names one.
    pub default_data: PathBuf,
    /// The configuration file, if one was named.
    pub file: Option<&'a Path>,
    /// The environment, asked by name.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// Flags that were given: the key's name (`listen`), and the text.
    pub flags: &'a [(&'a str, String)],
}

/// Why there are no settings.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("the configuration {} is not valid TOML", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: toml::de::Error,
    },
    /// The file has a key that means nothing.
    #[error("{} has a key `{key}` that means nothing", path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The valid key that looks most like it.
        nearest: &'static str,
    },
    /// A value does not fit its setting.
    #[error("`{key}` cannot be `{value}` (from {origin}): {reason}")]
    Value {
        /// The setting.
        key: &'static str,
        /// The text.
        value: String,
        /// Where it came from.
        origin: Origin,
        /// What is wrong with it.
        reason: String,
    },
}

impl ConfigError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { nearest, .. } => {
                let all: Vec<_> = KEYS.iter().map(|key| key.name).collect();
                Some(format!("did you mean `{nearest}`? There are: {}", all.join(", ")))
            }
            Self::Value { key, .. } => KEYS
                .iter()
                .find(|known| known.name == *key)
                .map(|known| format!("`{key}` is {}", known.meaning)),
            Self::Read { .. } | Self::Syntax { .. } => None,
        }
    }
}

impl ServerConfig {
    /// Lays the sources over each other.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the file cannot be read, has a key that means nothing, or a value does
    /// not fit.
    pub fn load(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        let mut values = defaults(sources);
        if let Some(path) = sources.file {
            for (key, value) in read_file(path)? {
                values.insert(key, (value, Origin::File(path.to_owned())));
            }
        }
        for key in &KEYS {
            if let Some(value) = (sources.environment)(key.environment) {
                values.insert(key.name, (value, Origin::Environment(key.environment)));
            }
            if let Some((_, value)) = sources.flags.iter().find(|(name, _)| *name == key.name) {
                values.insert(key.name, (value.clone(), Origin::Flag(key.flag)));
            }
        }
        Self::parse(values)
    }

    fn parse(values: BTreeMap<&'static str, (String, Origin)>) -> Result<Self, ConfigError> {
        let anomaly = anomaly::Settings {
            rules: read(&values, "anomaly_rules", rules)?,
            release_after: read(&values, "anomaly_release_after", span)?,
            max_share: read(&values, "anomaly_max_share", str::parse::<Share>)?,
        };
        let hooks = HookSettings {
            command: read(&values, "hook_command", list)?,
            url: read_if_given(&values, "hook_url", url)?,
            secret_file: read_if_given(&values, "hook_secret_file", folder)?,
            timeout: read(&values, "hook_timeout", span)?,
        };
        let public_url = read_if_given(&values, "public_url", url)?;
        Ok(Self {
            listen: read(&values, "listen", |text| text.parse().map_err(|_| "no such address"))?,
            data: read(&values, "data", folder)?,
            tls_names: values["tls_names"]
                .0
                .split(',')
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty())
                .collect(),
            tls_files: tls_files(&values)?,
            plain_http: read(&values, "plain_http", flag)?,
            certificate_lifetime: read(&values, "certificate_lifetime", span)?,
            token_lifetime: read(&values, "token_lifetime", span)?,
            session_lifetime: read(&values, "session_lifetime", span)?,
            reconcile_every: read(&values, "reconcile_every", span)?,
            max_upload_bytes: read(&values, "max_upload_bytes", |text| {
                text.parse().map_err(|_| "not a number of bytes")
            })?,
            blast_radius: match values["blast_radius"].0.as_str() {
                "none" => None,
                _ => Some(read(&values, "blast_radius", str::parse::<BlastRadius>)?),
            },
            prepare: read(&values, "prepare", flag)?,
            anomaly,
            hooks,
            ldap: sign_on::ldap(&values)?,
            oidc: sign_on::oidc(&values, public_url.as_deref())?,
            public_url,
            origins: values,
        })
    }
}

/// The value of a setting as its type.
fn read<T, Why: fmt::Display>(
    values: &BTreeMap<&'static str, (String, Origin)>,
    key: &'static str,
    parse: impl Fn(&str) -> Result<T, Why>,
) -> Result<T, ConfigError> {
    let (value, origin) = &values[key];
    parse(value).map_err(|reason| ConfigError::Value {
        key,
        value: value.clone(),
        origin: origin.clone(),
        reason: reason.to_string(),
    })
}

/// The same for one that is not set where it is empty.
fn read_if_given<T, Why: fmt::Display>(
    values: &BTreeMap<&'static str, (String, Origin)>,
    key: &'static str,
    parse: impl Fn(&str) -> Result<T, Why>,
) -> Result<Option<T>, ConfigError> {
    if values[key].0.is_empty() { Ok(None) } else { read(values, key, parse).map(Some) }
}

/// Rules as one text, or as a list of them.
fn rules(text: &str) -> Result<Rules, String> {
    let text = if text.starts_with('[') { list(text)?.join("; ") } else { text.to_owned() };
    text.parse().map_err(|error: InvalidRules| error.to_string())
}

/// A list in TOML, or a single text; nothing: an empty list.
fn list(text: &str) -> Result<Vec<String>, String> {
    #[derive(serde::Deserialize)]
    struct Wrapped {
        list: Vec<String>,
    }
    if !text.starts_with('[') {
        return Ok(if text.is_empty() { Vec::new() } else { vec![text.to_owned()] });
    }
    let wrapped = toml::from_str::<Wrapped>(&format!("list = {text}"));
    wrapped.map(|wrapped| wrapped.list).map_err(|_| "not a list of texts like ['a', 'b']".into())
}

fn span(text: &str) -> Result<Span, String> {
    match text.parse::<Span>() {
        Ok(span) if span == Span::ZERO => Err("it must be longer than nothing".to_owned()),
        Ok(span) => Ok(span),
        Err(error) => Err(error.to_string()),
    }
}

fn flag(text: &str) -> Result<bool, &'static str> {
    text.parse().map_err(|_| "neither `true` nor `false`")
}

/// Certificate and key, of which neither serves without the other.
fn tls_files(
    values: &BTreeMap<&'static str, (String, Origin)>,
) -> Result<Option<(PathBuf, PathBuf)>, ConfigError> {
    let file = |name| Some(&values[name].0).filter(|text| !text.is_empty()).map(PathBuf::from);
    let missing = |key, other: &str| {
        read(values, key, |_| Err::<(), _>(format!("`{other}` is set, so it must be named too")))
    };
    match (file("tls_certificate"), file("tls_key")) {
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (None, None) => Ok(None),
        (Some(_), None) => missing("tls_key", "tls_certificate").map(|()| None),
        (None, Some(_)) => missing("tls_certificate", "tls_key").map(|()| None),
    }
}

fn folder(text: &str) -> Result<PathBuf, &'static str> {
    if text.is_empty() { Err("it must name a folder") } else { Ok(PathBuf::from(text)) }
}

fn url(text: &str) -> Result<String, String> {
    address::check(text).map_err(|rule| format!("it {rule}"))?;
    Ok(text.trim_end_matches('/').to_owned())
}

fn defaults(sources: &Sources<'_>) -> BTreeMap<&'static str, (String, Origin)> {
    let value = |key: &Key| match key.name {
        "data" => sources.default_data.display().to_string(),
        _ => key.default.to_owned(),
    };
    KEYS.iter().map(|key| (key.name, (value(key), Origin::Default))).collect()
}

/// The settings of a file as text.
fn read_file(path: &Path) -> Result<Vec<(&'static str, String)>, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let table: toml::Table = toml::from_str(&text)
        .map_err(|source| ConfigError::Syntax { path: path.to_owned(), source })?;
    let setting = |(key, value): (String, toml::Value)| match KEYS.iter().find(|k| k.name == key) {
        Some(known) => Ok((known.name, plain(value))),
        None => Err(ConfigError::UnknownKey {
            path: path.to_owned(),
            nearest: keys::nearest(&key),
            key,
        }),
    };
    table.into_iter().map(setting).collect()
}

/// A value as it would stand in an environment variable.
fn plain(value: toml::Value) -> String {
    match value {
        toml::Value::String(text) => text,
        other => other.to_string(),
    }
}
