//! The agent as a service of the system: `install`, `uninstall`, `start`, `stop`, and its process.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use gofleet_agent::identity::Identity;
use gofleet_platform::service::{self, Change, Definition};
use gofleet_platform::{Access, atomic_write};
use serde::Serialize;

use super::settings::{Options, enforced_root};
use crate::failure::Hinted;
use crate::printer::Printer;

/// The service's name.
pub const NAME: &str = "gofleet-agent";
/// The security identifier that Windows gives to the service's account: it is made of the SHA-1 of
/// the name in upper case, and `sc showsid gofleet-agent` prints it.
const SID: &str = "S-1-5-80-949578626-2682981836-2365035280-1166818714-2228768479";
/// The environment variable that may hold the token.
const TOKEN_VARIABLE: &str = "GOFLEET_ENROLMENT_TOKEN";

/// Options of `install`.
#[derive(Debug, Args)]
pub struct Install {
    #[command(flatten)]
    options: Options,
    /// File with the enrolment token [default: what GOFLEET_ENROLMENT_TOKEN holds]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
}

/// What an installation did, or would do.
#[derive(Debug, Serialize)]
struct Installed {
    service: &'static str,
    root: PathBuf,
    outcome: &'static str,
    definition: String,
}

/// Makes the service.
pub fn install(install: &Install, printer: Printer) -> anyhow::Result<()> {
    let loaded = install.options.load(&root(None)?)?;
    loaded.server()?;
    for problem in &loaded.settings.problems {
        printer.warning(format_args!("{problem}"));
    }
    let root = loaded.root;
    let definition = definition(&root, &install.options)?;
    let shown = shown(&definition)?;
    let mut installed = Installed {
        service: NAME,
        root: root.clone(),
        outcome: "nothing was changed: this would be installed",
        definition: shown,
    };
    if install.dry_run {
        printer.data(&installed, |installed| installed.definition.clone())?;
        return Ok(());
    }
    let token = token(install.token_file.as_deref())?;
    let is_enrolled = Identity::load(&super::credential(&root))?.is_some();
    if token.is_none() && !is_enrolled {
        return Err(Hinted::usage(
            "this machine has not enrolled yet, and no enrolment token was given",
            format!(
                "make one with `gofleet token create`, and name a file that holds it with \
                 --token-file, or set {TOKEN_VARIABLE}"
            ),
        )
        .into());
    }
    installed.outcome = match make(&root, &definition, token.filter(|_| !is_enrolled).as_deref())? {
        Change::Installed => "installed; it starts with the machine",
        Change::Updated => "brought up to date; a running one must be stopped and started",
        Change::Nothing => "installed already",
    };
    printer.data(&installed, |installed| format!("{NAME} is {}", installed.outcome))?;
    printer.message(format_args!("start it now: gofleet agent start"));
    Ok(())
}

/// Brings the service to that definition, and leaves the token for it.
fn make(root: &Path, definition: &Definition, token: Option<&str>) -> anyhow::Result<Change> {
    fs::create_dir_all(root).with_context(|| format!("{} can't be made", root.display()))?;
    let change = service::install(definition).with_context(no_rights)?;
    if let Some(token) = token {
        let path = super::token_file(root);
        atomic_write(&path, token.as_bytes(), Access::Private)
            .and_then(|()| service::share(definition, &path))
            .with_context(|| format!("{} can't be written", path.display()))?;
    }
    Ok(change)
}

/// What a package that installs this program does with the service, in one call that leaves what
/// it can't decide as it is: one that is there is started; else, if it is known whose agent this
/// is (by `server` or a policy) and it may enrol (by `token`) or has, one is made and started.
///
/// The token comes on the command line, which an installer of Windows can't avoid. Windows shows
/// that of its own account to administrators only.
pub fn setup(server: &str, token: &str, printer: Printer) -> anyhow::Result<()> {
    let options = if server.is_empty() { Options::default() } else { Options::of_server(server)? };
    let loaded = options.load(&root(None)?)?;
    let is_enrolled = Identity::load(&super::credential(&loaded.root))?.is_some();
    let is_there = service::state(NAME)? != service::State::NotInstalled;
    let token = Some(token).filter(|token| !token.is_empty() && !is_enrolled);
    let lacking = if loaded.server().is_err() {
        Some("no server is named, neither by the installer nor by policy")
    } else if token.is_none() && !is_enrolled {
        Some("no enrolment token was given")
    } else {
        None
    };
    if let (false, Some(lacking)) = (is_there, lacking) {
        let value = serde_json::json!({ "service": NAME, "outcome": "not installed" });
        return Ok(printer.data(&value, |_| format!("{NAME} is not installed: {lacking}"))?);
    }
    let change = if lacking.is_none() && !(is_there && server.is_empty()) {
        make(&loaded.root, &definition(&loaded.root, &options)?, token)?
    } else {
        Change::Nothing
    };
    if let Err(error) = service::start(NAME) {
        // The files that it would run go again: a service without them helps nobody.
        if change == Change::Installed {
            let _ = service::uninstall(NAME);
        }
        return Err(error).with_context(not_there);
    }
    tell_state(printer)
}

/// The systemd unit of an agent whose program is installed elsewhere, for a package of a
/// distribution. Its settings are those of the file in the root.
pub fn unit(program: &Path, root: &Path) -> anyhow::Result<String> {
    Ok(definition_of(program.to_owned(), root, &Options::default())?.unit()?)
}

/// Removes the service; with `purge` also all that the agent keeps, its installed Gos included.
pub fn uninstall(root_asked: Option<PathBuf>, purge: bool, printer: Printer) -> anyhow::Result<()> {
    let root = root(root_asked)?;
    let was_there = service::uninstall(NAME).with_context(no_rights)?;
    let told = if was_there { "is removed" } else { "was not installed" };
    let mut text = format!("{NAME} {told}");
    if purge && root.exists() {
        if !root.join("agent").is_dir() && !root.join("releases").is_dir() {
            bail!("{} is not the root of an agent: nothing in it was removed", root.display());
        }
        gofleet_platform::remove_tree(&root)
            .with_context(|| format!("{} can't be removed", root.display()))?;
        text.push_str(&format!("; {} is removed", root.display()));
    } else if root.exists() {
        text.push_str(&format!("; {} stays", root.display()));
    }
    let value = serde_json::json!({ "service": NAME, "outcome": told, "root": root });
    printer.data(&value, |_| text)?;
    Ok(())
}

/// Starts the service.
pub fn start(printer: Printer) -> anyhow::Result<()> {
    service::start(NAME).with_context(not_there)?;
    tell_state(printer)
}

/// Stops the service.
pub fn stop(printer: Printer) -> anyhow::Result<()> {
    service::stop(NAME).with_context(not_there)?;
    tell_state(printer)
}

fn tell_state(printer: Printer) -> anyhow::Result<()> {
    let state = service::state(NAME)?.as_str();
    let value = serde_json::json!({ "service": NAME, "state": state });
    printer.data(&value, |_| format!("{NAME} is {state}"))?;
    Ok(())
}

fn no_rights() -> Hinted {
    let who = if cfg!(windows) { "an administrator" } else { "root" };
    Hinted::new("the service can't be changed", format!("services are changed by {who}"))
}

fn not_there() -> Hinted {
    let hint = "is it installed? `gofleet agent status` tells, `gofleet agent install` installs it";
    Hinted::new(format!("{NAME} can't be asked for that"), hint)
}

/// The given root, or that of the policy, or the one that a service has: `/var/lib/gofleet`, on Windows
/// `%ProgramData%\gofleet`.
pub fn root(root: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let default = if cfg!(windows) {
        let data = std::env::var_os("ProgramData").filter(|value| !value.is_empty());
        data.map_or_else(|| PathBuf::from(r"C:\ProgramData"), PathBuf::from).join("gofleet")
    } else {
        PathBuf::from("/var/lib/gofleet")
    };
    let root = root.or_else(enforced_root).unwrap_or(default);
    std::path::absolute(&root).with_context(|| format!("{} is no folder", root.display()))
}

/// The agent with these options as a service. What it can't see is refused here rather than by
/// its log.
fn definition(root: &Path, options: &Options) -> anyhow::Result<Definition> {
    let program = std::env::current_exe().context("this program can't find itself")?;
    for (what, path) in [("the program", program.as_path()), ("the root", root)] {
        let hidden = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];
        if cfg!(unix) && hidden.iter().any(|folder| path.starts_with(folder)) {
            let message = format!(
                "a service sees no homes and no temporary files, and {what} is {}",
                path.display()
            );
            let hint =
                "put the program into /usr/local/bin, and leave the root at /var/lib/gofleet";
            return Err(Hinted::usage(message, hint).into());
        }
    }
    definition_of(program, root, options)
}

/// That program with these options as a service.
fn definition_of(program: PathBuf, root: &Path, options: &Options) -> anyhow::Result<Definition> {
    let mut arguments = vec!["agent".to_owned(), "run".to_owned(), "--service".to_owned()];
    let root_text = root.to_str().context("the root's name is no Unicode")?;
    arguments.extend(["--root".to_owned(), root_text.to_owned()]);
    arguments.extend(options.as_arguments()?);
    Ok(Definition {
        name: NAME.to_owned(),
        title: "gofleet agent".to_owned(),
        description: "Upgrades Go on this machine as the fleet's server orders".to_owned(),
        program,
        arguments,
        folder: root.to_owned(),
        private: "agent".to_owned(),
        sid: SID.to_owned(),
    })
}

/// What an installation would do, for people.
fn shown(definition: &Definition) -> anyhow::Result<String> {
    if cfg!(windows) {
        return Ok(definition.describe()?);
    }
    let unit = definition.unit()?;
    Ok(format!(
        "# /etc/systemd/system/{NAME}.service, then: systemctl daemon-reload, systemctl enable {NAME}\n{unit}"
    ))
}

/// The enrolment token, from its file or the environment; never from the command line, which
/// everybody on the machine can read.
fn token(file: Option<&Path>) -> anyhow::Result<Option<String>> {
    let text = match file {
        Some(file) => {
            fs::read_to_string(file).with_context(|| format!("{} can't be read", file.display()))?
        }
        None => std::env::var(TOKEN_VARIABLE).unwrap_or_default(),
    };
    Ok(Some(text.trim().to_owned()).filter(|token| !token.is_empty()))
}

/// Runs the agent as the process of the service.
#[cfg(windows)]
pub fn serve(run: super::Run) -> anyhow::Result<std::process::ExitCode> {
    use std::process::ExitCode;

    service::host(NAME, move |host| match served(run, host) {
        Ok(()) => 0,
        Err(error) => {
            tell_end(&error);
            1
        }
    })
    .context("only the service control manager starts this; `gofleet agent start` asks it to")?;
    Ok(ExitCode::SUCCESS)
}

/// Tells why the agent ended, also where there are no log files yet.
#[cfg(windows)]
fn tell_end(error: &anyhow::Error) {
    use gofleet_platform::event_log::{EventLog, Severity};

    let text = format!("the agent ended: {error:#}");
    if tracing::dispatcher::has_been_set() {
        tracing::error!(target: crate::logging::SERVICE, "{text}");
    } else if let Some(log) = EventLog::open(NAME) {
        log.write(Severity::Error, &text);
    }
}

#[cfg(windows)]
fn served(run: super::Run, host: service::Host) -> anyhow::Result<()> {
    use std::sync::Arc;
    use tokio::sync::Notify;

    let stop = Arc::new(Notify::new());
    host.on_stop({
        let stop = stop.clone();
        move || stop.notify_one()
    });
    let loaded = run.load()?;
    let config = run.config(&loaded)?;
    let logs = config.root.join("agent").join("logs");
    gofleet_platform::create_private_folder(&config.root.join("agent"))
        .and_then(|()| fs::create_dir_all(&logs))
        .with_context(|| format!("{} can't be made", logs.display()))?;
    crate::logging::start_service(&logs.join("agent.log"), NAME)?;
    host.is_starting();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    host.is_running();
    tracing::info!(target: crate::logging::SERVICE, "the agent starts");
    loaded.log_problems();
    let outcome =
        runtime.block_on(gofleet_agent::run(config, async move { stop.notified().await }));
    // Unpacking may be under way on another thread: the next start tidies up after it.
    runtime.shutdown_background();
    tracing::info!(target: crate::logging::SERVICE, "the agent stops");
    Ok(outcome?)
}
