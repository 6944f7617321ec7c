//! `gofleet export`: what administrators give to their own tools.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use gofleet_core::nearest::nearest;
use gofleet_core::policy::{Language, adml, admx, backup};
use gofleet_core::settings::{SETTINGS, Setting, Value};
use serde::Serialize;

use crate::failure::Hinted;
use crate::printer::Printer;

/// Write the agent's settings for the group policies of Windows, or its unit for systemd
#[derive(Debug, Args)]
pub struct Export {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write the administrative templates (ADMX, ADML) for editors of group policies
    #[command(after_help = "\
Copy what is in the folder to PolicyDefinitions in the domain's central store, or of one machine.

Example:
  gofleet export admx --out PolicyDefinitions")]
    Admx {
        /// Folder to write to; it is made if it is not there
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Write a group policy that sets the agents of a domain, as a backup to import
    #[command(after_help = "\
The same settings give the same files. The Group Policy Management Console imports the folder into
an empty policy: Import Settings…

Examples:
  gofleet export gpo --server https://gofleet.example.org --out policy
  gofleet export gpo --server https://gofleet.example.org --out policy \\
      --set labels=site=berlin --set edges=https://10.1.2.3:8471 --set 'limit=2 MB/s from 9 to 18'")]
    Gpo {
        /// Address of the server
        #[arg(long, value_name = "URL", env = "GOFLEET_SERVER")]
        server: String,
        /// One more setting, as in agent.toml; commas separate the entries of a list
        #[arg(long = "set", value_name = "KEY=VALUE")]
        settings: Vec<String>,
        /// What the policy is called
        #[arg(long, value_name = "TEXT", default_value = "gofleet agent")]
        name: String,
        /// Folder to write to; it is made if it is not there
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Print the agent's systemd unit, as a distribution's package installs it
    #[command(after_help = "\
On a machine, `gofleet agent install` writes it, and takes flags along. This one has its settings
from agent.toml in the root.

Example:
  gofleet export unit --program /usr/lib/gofleet/gofleet")]
    Unit {
        /// Where the program will be
        #[arg(long, value_name = "FILE")]
        program: PathBuf,
        /// Folder that the agent keeps
        #[arg(long, value_name = "DIR", default_value = "/var/lib/gofleet")]
        root: PathBuf,
    },
}

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    folder: PathBuf,
    files: Vec<String>,
}

/// Does it.
pub fn run(export: Export, printer: Printer) -> anyhow::Result<ExitCode> {
    let (out, files) = match export.verb {
        Verb::Admx { out } => (out, templates()),
        Verb::Gpo { server, settings, name, out } => {
            let settings = [format!("server={server}")].into_iter().chain(settings);
            let files = backup(&name, &values(settings)?)?.files;
            refuse_others(&out, &files)?;
            (out, files)
        }
        Verb::Unit { program, root } => {
            let unit = crate::agent::service::unit(&program, &root)?;
            let value = serde_json::json!({ "unit": unit });
            printer.data(&value, |_| unit.trim_end().to_owned())?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    for (name, content) in &files {
        let path = out.join(name);
        let folder = path.parent().unwrap_or(&out);
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&path, content))
            .with_context(|| format!("{} can't be written", path.display()))?;
    }
    let files = files.into_iter().map(|(name, _)| name).collect();
    printer.data(&Written { folder: out, files }, |written| {
        let paths = written.files.iter().map(|name| written.folder.join(name));
        paths.map(|path| path.display().to_string()).collect::<Vec<_>>().join("\n")
    })?;
    Ok(ExitCode::SUCCESS)
}

fn templates() -> Vec<(String, Vec<u8>)> {
    let mut files = vec![("gofleet.admx".to_owned(), admx().into_bytes())];
    files.extend(Language::ALL.map(|language| {
        (format!("{}/gofleet.adml", language.code()), adml(language).into_bytes())
    }));
    files
}

/// The settings of a policy.
fn values(
    settings: impl IntoIterator<Item = String>,
) -> anyhow::Result<BTreeMap<&'static str, Value>> {
    let mut values = BTreeMap::new();
    for text in settings {
        let (key, value) = text.split_once('=').ok_or_else(|| {
            Hinted::usage(format!("`{text}` is not KEY=VALUE"), "like --set hostname=build-1")
        })?;
        let setting = Setting::of_name(key).ok_or_else(|| {
            let names: Vec<_> = SETTINGS.iter().map(|setting| setting.name).collect();
            let meant = nearest(key, names.iter().copied()).unwrap_or_default();
            let hint = format!("did you mean `{meant}`? There are: {}", names.join(", "));
            Hinted::usage(format!("there is no setting `{key}`"), hint)
        })?;
        let value = setting.parse(value).map_err(|reason| {
            let hint = format!("`{key}` is {}", setting.english.meaning);
            Hinted::usage(format!("`{key}` cannot be `{value}`: {reason}"), hint)
        })?;
        if values.insert(setting.name, value).is_some() {
            let hint = "give it once; commas separate the entries of a list";
            return Err(Hinted::usage(format!("`{key}` is given twice"), hint).into());
        }
    }
    Ok(values)
}

/// The manifest lists all backups of a folder: one that lists others is not replaced.
fn refuse_others(out: &Path, files: &[(String, Vec<u8>)]) -> anyhow::Result<()> {
    let differs = |(name, content): &&(String, Vec<u8>)| {
        name == "manifest.xml" && fs::read(out.join(name)).is_ok_and(|there| there != *content)
    };
    match files.iter().find(differs) {
        None => Ok(()),
        Some(_) => Err(Hinted::new(
            format!("{} holds backups already", out.display()),
            "name a new folder with --out",
        )
        .into()),
    }
}
