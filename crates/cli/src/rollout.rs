//! `gofleet rollout`: a release for the fleet, ring by ring.

mod explain;
mod file;
mod follow;
mod forecast;
mod show;
mod spec;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use gofleet_api::{AssignRequest, Client};
use gofleet_core::ids::DeviceId;
use gofleet_core::order::Step;
use gofleet_core::rollout::{
    RolloutPlan, RolloutSpec, RolloutState, RolloutStatus, RolloutSummary,
};

use crate::connection::Connection;
use crate::failure::{self, Hinted};
use crate::printer::{Printer, table};

use explain::explain;
pub use file::read as read_file;
pub use follow::{follow, watch};
pub use show::{describe_plan, describe_status, picture};
use spec::SpecArguments;

/// Roll a release out ring by ring, watch it, stop it, put it back
#[derive(Debug, Args)]
pub struct RolloutArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show what a rollout would do, before anything moves
    #[command(after_help = "Examples:
  gofleet rollout plan 1.27.3
  gofleet rollout plan 1.27.3 --rings 'test:1,pilot:25%,production:rest' --select 'os = \"windows\"'
  gofleet rollout plan 1.27.3 --max-in-flight 50 --window 'daily 01:00-05:00' --simulate
  gofleet rollout plan -f rollout.yaml")]
    Plan {
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        spec: SpecArguments,
        /// Play the rollout many times against the fleet's recorded behaviour, and show when it
        /// will be through, where it may stop, and bytes by hour and site
        #[arg(long)]
        simulate: bool,
    },
    /// Start a rollout, after showing its plan
    #[command(after_help = "Examples:
  gofleet rollout start 1.27.3
  gofleet rollout start 1.27.3 --rings 'test:5,pilot:10%,production:rest' --soak 30m --yes
  gofleet rollout start 1.27.3 --on-failure roll-back-ring --max-failures 2 --watch
  gofleet rollout start 1.27.3 --window 'Sat,Sun 01:00-05:00' --closed 2026-12-24..2027-01-01
  gofleet rollout start 1.27.3 --max-failure-rate 2% --confidence 99%
  gofleet rollout start 1.27.3 --rings first:20,all:rest --canary processor,disk_free:lower
  gofleet rollout start 1.27.3 --publish 7d --postpone 3 --postpone-for 4h")]
    Start {
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        spec: SpecArguments,
        /// Start without asking
        #[arg(long, short)]
        yes: bool,
        /// Only show the plan
        #[arg(long)]
        dry_run: bool,
        /// Follow it until it ends
        #[arg(long)]
        watch: bool,
    },
    /// List rollouts, newest first
    #[command(after_help = "Example:\n  gofleet rollout list")]
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Show rings, gates, and why each device that has not moved has not
    #[command(after_help = "Examples:
  gofleet rollout status
  gofleet rollout status 'go 1.27.3' --json")]
    Status(Target),
    /// Show every decision about a rollout with what it was made by, and make each again
    #[command(after_help = "\
Exit code: 3 if a decision comes out otherwise than it was made.

Examples:
  gofleet rollout explain
  gofleet rollout explain 'go 1.27.3' --json")]
    Explain(Target),
    /// Follow a rollout until it ends or waits for a person; Ctrl-C leaves
    #[command(after_help = "\
Exit code: 0 if every ring came through, 3 if the rollout ended or waits otherwise.

Examples:
  gofleet rollout watch
  gofleet rollout watch r-4f1c --json")]
    Watch(Target),
    /// Order nothing more; what is under way ends
    #[command(after_help = "Example:\n  gofleet rollout pause 'go 1.27.3'")]
    Pause(Action),
    /// Go on with a paused rollout
    #[command(after_help = "Example:\n  gofleet rollout resume 'go 1.27.3'")]
    Resume(Action),
    /// End a rollout: what is not activated is dropped, what is active stays
    #[command(after_help = "Examples:
  gofleet rollout stop 'go 1.27.3'
  gofleet rollout stop 'go 1.27.3' --dry-run")]
    Stop(Action),
    /// Put every device of a rollout back on what it had
    #[command(after_help = "Examples:
  gofleet rollout rollback 'go 1.27.3'
  gofleet rollout rollback 'go 1.27.3' --dry-run")]
    Rollback(Action),
    /// Ask users of a published rollout no more: its devices activate in their turn
    #[command(after_help = "Examples:
  gofleet rollout assign 'go 1.27.3' --device d-4f1c
  gofleet rollout assign 'go 1.27.3' --dry-run")]
    Assign {
        #[command(flatten)]
        action: Action,
        /// Only the user of this device
        #[arg(long, value_name = "DEVICE")]
        device: Option<DeviceId>,
    },
}

#[derive(Debug, Args)]
struct Target {
    #[command(flatten)]
    connection: Connection,
    /// Rollout id or name [default: the only one that has not ended]
    #[arg(value_name = "ROLLOUT")]
    rollout: Option<String>,
}

#[derive(Debug, Args)]
struct Action {
    #[command(flatten)]
    target: Target,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
}

/// What a person can do to a rollout that moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Pause,
    Resume,
    Stop,
    RollBack,
}

/// Does it.
pub async fn run(arguments: RolloutArguments, printer: Printer) -> anyhow::Result<ExitCode> {
    match arguments.verb {
        Verb::Plan { connection, spec, simulate: true } => {
            let simulated = connection.client()?.simulate(&spec.spec()?).await?;
            printer.data(&simulated, forecast::describe)?;
        }
        Verb::Plan { connection, spec, simulate: false } => {
            let plan = connection.client()?.plan(&spec.spec()?).await?;
            show_plan(&plan, printer)?;
        }
        Verb::Start { connection, spec, yes, dry_run, watch } => {
            let client = connection.client()?;
            let options = StartOptions { is_confirmed: yes, is_dry_run: dry_run, watch };
            return start(&client, &spec.spec()?, options, printer).await;
        }
        Verb::List { connection } => {
            let rollouts = connection.client()?.rollouts().await?;
            printer.data(&rollouts, |rollouts| {
                let rows: Vec<_> = rollouts.iter().map(show::row).collect();
                table(
                    &["ROLLOUT", "NAME", "VERSION", "STATE", "RING", "ACCEPTED", "STARTED"],
                    &rows,
                )
            })?;
        }
        Verb::Status(target) => {
            let (client, rollout) = target.find().await?;
            printer.data(&client.rollout(&rollout.id).await?, describe_status)?;
        }
        Verb::Explain(target) => {
            let (client, rollout) = target.find().await?;
            return explain(&client, &rollout, printer).await;
        }
        Verb::Watch(target) => {
            let (client, rollout) = target.find().await?;
            return watch(&client, &rollout.id, printer).await;
        }
        Verb::Pause(action) => act(action, Act::Pause, printer).await?,
        Verb::Resume(action) => act(action, Act::Resume, printer).await?,
        Verb::Stop(action) => act(action, Act::Stop, printer).await?,
        Verb::Rollback(action) => act(action, Act::RollBack, printer).await?,
        Verb::Assign { action, device } => assign(action, device, printer).await?,
    }
    Ok(ExitCode::SUCCESS)
}

struct StartOptions {
    is_confirmed: bool,
    is_dry_run: bool,
    watch: bool,
}

async fn start(
    client: &Client,
    spec: &RolloutSpec,
    options: StartOptions,
    printer: Printer,
) -> anyhow::Result<ExitCode> {
    let plan = client.plan(spec).await?;
    if options.is_dry_run {
        show_plan(&plan, printer)?;
        return Ok(ExitCode::SUCCESS);
    }
    printer.message(format_args!("{}\n", describe_plan(&plan)));
    if !options.is_confirmed {
        match printer.ask("Start this rollout?") {
            Some(true) => {}
            Some(false) => {
                printer.message(format_args!("nothing was started"));
                return Ok(ExitCode::from(failure::NEGATIVE));
            }
            None => {
                let message = "nobody can be asked whether to start this rollout";
                return Err(Hinted::usage(message, "--yes starts it without asking").into());
            }
        }
    }
    let status = client.start(spec).await?;
    if options.watch {
        return watch(client, &status.summary.id, printer).await;
    }
    printer.data(&status, |status| {
        format!("started {} as {}", status.summary.name, status.summary.id)
    })?;
    printer.message(format_args!("follow it: gofleet rollout watch {}", status.summary.id));
    Ok(ExitCode::SUCCESS)
}

fn show_plan(plan: &RolloutPlan, printer: Printer) -> std::io::Result<()> {
    printer.data(plan, describe_plan)
}

impl Target {
    async fn find(&self) -> anyhow::Result<(Client, RolloutSummary)> {
        let client = self.connection.client()?;
        let rollout = find(&client, self.rollout.as_deref()).await?;
        Ok((client, rollout))
    }
}

/// The rollout of this id, or the newest of this name; without either the only one that moves.
async fn find(client: &Client, name: Option<&str>) -> anyhow::Result<RolloutSummary> {
    let mut rollouts = client.rollouts().await?;
    let hint = "`gofleet rollout list` shows every rollout";
    let Some(name) = name else {
        rollouts.retain(|rollout| !rollout.state.is_final());
        let message = match rollouts.len() {
            1 => return Ok(rollouts.remove(0)),
            0 => "no rollout is under way".to_owned(),
            count => format!("{count} rollouts are under way: name one"),
        };
        return Err(Hinted::usage(message, hint).into());
    };
    let position = rollouts
        .iter()
        .position(|rollout| rollout.id.as_str() == name)
        .or_else(|| rollouts.iter().position(|rollout| rollout.name == name));
    match position {
        Some(position) => Ok(rollouts.remove(position)),
        None => Err(Hinted::new(format!("there is no rollout `{name}`"), hint).into()),
    }
}

async fn act(action: Action, act: Act, printer: Printer) -> anyhow::Result<()> {
    let (client, rollout) = action.target.find().await?;
    if action.dry_run {
        let status = client.rollout(&rollout.id).await?;
        printer.data(&status, |status| preview(status, act))?;
        return Ok(());
    }
    let status = match act {
        Act::Pause => client.pause(&rollout.id).await?,
        Act::Resume => client.resume(&rollout.id).await?,
        Act::Stop => client.stop(&rollout.id).await?,
        Act::RollBack => client.roll_back(&rollout.id).await?,
    };
    printer.data(&status, |status| {
        let summary = &status.summary;
        format!("{} ({}) is {}", summary.name, summary.id, summary.state)
    })?;
    Ok(())
}

async fn assign(action: Action, device: Option<DeviceId>, printer: Printer) -> anyhow::Result<()> {
    let (client, rollout) = action.target.find().await?;
    let status = if action.dry_run {
        client.rollout(&rollout.id).await?
    } else {
        client.assign(&rollout.id, &AssignRequest { device: device.clone() }).await?
    };
    printer.data(&status, |status| {
        let whom = device.as_ref().map_or("no user".to_owned(), |id| format!("the user of {id}"));
        let summary = &status.summary;
        match (action.dry_run, &device) {
            (true, None) => {
                let open = summary.steps.iter().filter(|(step, _)| **step != Step::Accepted);
                let open: u64 = open.map(|(_, count)| count).sum();
                format!("{}: the users of up to {open} devices would not be asked", summary.name)
            }
            (true, Some(_)) => format!("{}: {whom} would not be asked any more", summary.name),
            (false, None) => format!("{}: {whom} is asked any more", summary.name),
            (false, Some(_)) => format!("{}: {whom} is not asked any more", summary.name),
        }
    })?;
    Ok(())
}

/// What an action would change, in words.
fn preview(status: &RolloutStatus, act: Act) -> String {
    let summary = &status.summary;
    let count = |is_meant: fn(Step) -> bool| -> u64 {
        summary.steps.iter().filter(|(step, _)| is_meant(**step)).map(|(_, count)| count).sum()
    };
    let waiting = count(|step| step == Step::Waiting);
    let (under_way, asked) = (status.under_way(), status.awaiting_user);
    let accepted = count(|step| step == Step::Accepted);
    let consequence = match act {
        Act::Pause | Act::Stop => {
            let asked = match asked {
                0 => String::new(),
                asked => format!("{asked} wait for their user, "),
            };
            format!("{under_way} devices are under way, {asked}{waiting} would not begin")
        }
        Act::Resume => {
            // Who was taken back is tried again.
            let waiting = waiting + count(|step| step == Step::Skipped);
            format!("{waiting} devices would go on in their turn")
        }
        Act::RollBack => format!("{} devices would be put back", under_way + accepted),
    };
    let is_possible = !summary.state.is_final()
        || (act == Act::RollBack && summary.state != RolloutState::RolledBack);
    let ended = if is_possible { "" } else { " (but it has ended)" };
    format!("{} ({}) is {}{ended}: {consequence}", summary.name, summary.id, summary.state)
}
