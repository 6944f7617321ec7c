//! `gofleet demo`: a whole fleet on one machine, upgraded before one's eyes.
//!
//! It runs what production runs: this program as a server and as agents, each a process of its
//! own with a root of its own, and real releases of Go. Only the trouble is staged: in the last
//! rollout it damages the compiler in one device's tree, as an antivirus or a failing disk would,
//! and lets agent and server find out by themselves.

mod archives;
mod fleet;
mod story;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;
use gofleet_api::{Client, DecisionRequest};
use gofleet_core::order::Step;
use gofleet_core::release::Platform;
use gofleet_core::rollout::{
    DeviceStatus, Gate, Late, OnFailure, Retry, RingSize, RingSpec, RingState, RolloutSpec,
    RolloutState, RolloutStatus,
};
use gofleet_core::time::Span;
use gofleet_server::stop_signal;

use crate::failure::{self, Hinted};
use crate::printer::{Printer, bytes, paint, style};
use crate::release::{Source, upload};
use crate::rollout::{follow, picture};
use fleet::Fleet;
use story::{Ended, Story};

/// Show everything on this machine: a server, a few agents, real Go, one failure put back
#[derive(Debug, Args)]
#[command(after_help = "\
What was fetched is kept in the cache folder of the user for the next time.

Examples:
  gofleet demo
  gofleet demo --devices 3 --headless --json
  gofleet demo --archives ~/Downloads --releases 1.27.2,1.27.3")]
pub struct Demo {
    /// How many agents
    #[arg(long, value_name = "N", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=50))]
    devices: u32,
    /// Versions of Go: the first is installed, the second rolled out, the third rolled out broken
    #[arg(long, value_name = "VERSIONS", default_value = "1.27.1,1.27.2,1.27.3")]
    #[arg(value_delimiter = ',')]
    releases: Vec<String>,
    /// Folder with archives of Go; none are fetched
    #[arg(long, value_name = "DIR")]
    archives: Option<PathBuf>,
    /// Download mirror
    #[arg(long, value_name = "URL", default_value = "https://go.dev/dl/")]
    mirror: String,
    /// Address and port of the console
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: String,
    /// End after the story instead of leaving the console running
    #[arg(long)]
    headless: bool,
    /// Use this folder, and leave everything in it
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// What one device needs on disk: a tree of Go for each rollout (228 MB in 1.27, 245 MB in blocks
/// of 4 KiB), and an archive (75 MB) while it is unpacked.
const BYTES_PER_DEVICE: u64 = 820_000_000;
/// What the server and the shared build cache need.
const BYTES_BESIDE: u64 = 500_000_000;

/// Runs it.
pub async fn run(demo: Demo, printer: Printer) -> anyhow::Result<ExitCode> {
    let folder = Folder::make(demo.keep.as_deref())?;
    tokio::select! {
        biased;
        code = play(&demo, &folder.path, printer) => code,
        () = stop_signal() => {
            printer.message(format_args!("\nstopped"));
            Ok(ExitCode::from(failure::INTERRUPTED))
        }
    }
}

/// The folder of one demo; removed at the end, unless the user named it.
struct Folder {
    path: PathBuf,
    is_kept: bool,
}

impl Folder {
    fn make(keep: Option<&Path>) -> anyhow::Result<Self> {
        let path = match keep {
            Some(path) => std::path::absolute(path)?,
            None => {
                let name = format!("gofleet-demo-{}", std::process::id());
                std::env::temp_dir().join(name)
            }
        };
        let is_empty =
            std::fs::read_dir(&path).map_or(true, |mut entries| entries.next().is_none());
        if !is_empty {
            let message = format!("{} is not empty", path.display());
            return Err(Hinted::usage(message, "name a new folder with --keep").into());
        }
        gofleet_platform::create_private_folder(&path)
            .with_context(|| format!("{} can't be made", path.display()))?;
        Ok(Self { path, is_kept: keep.is_some() })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_kept {
            // What can't be removed lies in the folder for temporary files anyway.
            let _ = gofleet_platform::remove_tree(&self.path);
        }
    }
}

/// The whole play, from the archives to the story.
async fn play(demo: &Demo, folder: &Path, printer: Printer) -> anyhow::Result<ExitCode> {
    check_space(folder, demo.devices)?;
    let begun = Instant::now();
    let heading = |text: &str| printer.message(format_args!("\n{}", paint(style::STRONG, text)));

    heading("1. Real releases of Go");
    let archives = archives::find(demo, printer).await?;
    for archive in &archives {
        printer.message(format_args!("  {} from {}", archive.version, archive.origin));
    }

    heading("2. A server and its console");
    let mut fleet = Fleet::start(folder, &demo.listen).await?;
    printer.message(format_args!("  console  {}", fleet.login_link().await?));
    import(&fleet.client, &archives, printer).await?;

    heading(&format!("3. {} devices: agents, each with a root of its own", demo.devices));
    fleet.start_agents(demo.devices).await?;
    printer.message(format_args!(
        "  on one machine they share one build cache for their checks; across a fleet each has \
         its own"
    ));

    let mut story = Story::new(demo.devices, &archives, folder);
    let [base, good, broken] = versions(&archives);
    heading(&format!("4. Go {base} on every device"));
    story.push(roll_out(&fleet, &base_spec(base), Trouble::None, printer).await?);
    heading(&format!("5. Go {good}, ring by ring"));
    story.push(roll_out(&fleet, &ring_spec(good, demo.devices), Trouble::None, printer).await?);
    heading(&format!("6. Go {broken}, and on one device something damages the compiler"));
    story.push(
        roll_out(&fleet, &broken_spec(broken, demo.devices), Trouble::DamagedCompiler, printer)
            .await?,
    );

    story.seconds = begun.elapsed().as_secs_f64();
    let faults = story.faults();
    if printer.is_json() {
        printer.json_line(&story.json(&faults))?;
    } else {
        printer.line(&story.text())?;
    }
    if !faults.is_empty() {
        let message = format!("the demo did not go as it should: {}", faults.join("; "));
        let hint = "run it again with --keep DIR and look at the logs in DIR";
        return Err(Hinted::new(message, hint).into());
    }
    if !demo.headless {
        let link = fleet.login_link().await?;
        printer.message(format_args!("\nThe console runs at {link}\nCtrl-C ends the demo."));
        stop_signal().await;
    }
    Ok(ExitCode::SUCCESS)
}

fn check_space(folder: &Path, devices: u32) -> anyhow::Result<()> {
    let needed = BYTES_BESIDE + u64::from(devices) * BYTES_PER_DEVICE;
    let free = gofleet_platform::free_space(folder).context("the free space can't be told")?;
    if free < needed {
        let (needed, free) = (bytes(needed), bytes(free));
        return Err(Hinted::new(
            format!("{devices} devices need {needed} in {}, but {free} are free", folder.display()),
            "use fewer --devices, or name a folder on a larger disk with --keep",
        )
        .into());
    }
    Ok(())
}

/// The versions of the three rollouts; with two archives, the last one goes back to the first.
fn versions(archives: &[archives::Archive]) -> [&str; 3] {
    let version = |index: usize| archives[index].version.as_str();
    [version(0), version(1), if archives.len() > 2 { version(2) } else { version(0) }]
}

async fn import(
    client: &Client,
    archives: &[archives::Archive],
    printer: Printer,
) -> anyhow::Result<()> {
    for archive in archives {
        let source =
            Source { path: archive.path.clone(), origin: archive.origin.clone(), sha256: None };
        let release = upload(client, &source, &Default::default(), printer).await?.release;
        let (id, version) = (&release.release.id, &release.release.version);
        let here = Platform::of_this_program();
        if *version != archive.version || release.release.platform != here {
            bail!("{} holds {id}, not Go {} for {here}", archive.path.display(), archive.version);
        }
        client.approve(id, &DecisionRequest { reason: "demo".to_owned() }).await?;
        printer.message(format_args!("  imported and approved {id}: {} files", release.files));
    }
    Ok(())
}

/// How long a device must stay healthy in the demo: long enough to see it, and to damage it.
const SOAK: Span = Span::from_secs(4);

fn spec(name: String, version: &str, rings: Vec<RingSpec>) -> RolloutSpec {
    RolloutSpec {
        name,
        package: "go".parse().expect("`go` is a package name"),
        version: version.to_owned(),
        devices: String::new(),
        rings,
        // Unpacking and compiling keep two processors busy; more at once would only look slower.
        max_in_flight: 4,
        soak: SOAK,
        window: None,
        publish: None,
        gate: Gate::default(),
        silence_after: Span::from_secs(10 * 60),
        offline_after: Span::from_secs(5 * 60),
        retry: Retry::default(),
        on_failure: OnFailure::RollBackRing,
        late: Late::Never,
        allow_downgrade: true,
    }
}

fn ring(name: &str, size: RingSize) -> RingSpec {
    RingSpec { name: name.to_owned(), size, gate: None, rehearse: false }
}

fn base_spec(version: &str) -> RolloutSpec {
    let rings = vec![ring("everything", RingSize::Rest)];
    RolloutSpec { soak: Span::ZERO, ..spec(format!("install {version}"), version, rings) }
}

/// A quarter of the devices to test, a quarter to pilot, the rest.
fn ring_spec(version: &str, devices: u32) -> RolloutSpec {
    let quarter = (devices / 4).max(1);
    let rings = vec![
        ring("test", RingSize::Count(quarter)),
        ring("pilot", RingSize::Count(quarter)),
        ring("production", RingSize::Rest),
    ];
    spec(format!("upgrade to {version}"), version, rings)
}

fn broken_spec(version: &str, devices: u32) -> RolloutSpec {
    let spec = ring_spec(version, devices);
    RolloutSpec { name: format!("broken {version}"), soak: Span::from_secs(8), ..spec }
}

/// Whether something happens to a device while it soaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    DamagedCompiler,
}

/// Rolls out and follows to the end; with trouble, as soon as the first device soaks.
async fn roll_out(
    fleet: &Fleet,
    spec: &RolloutSpec,
    trouble: Trouble,
    printer: Printer,
) -> anyhow::Result<Ended> {
    let begun = Instant::now();
    let started = fleet.client.start(spec).await?;
    let bar = printer.spinner("");
    let (mut rings, mut damaged) = (Rings::default(), None);
    let outcome = follow(&fleet.client, &started.summary.id, |status| {
        bar.set_message(picture(status));
        bar.suspend(|| rings.tell(status, printer));
        let (Trouble::DamagedCompiler, None) = (trouble, &damaged) else { return Ok(()) };
        if let Some(device) = soaking(status) {
            let file = fleet.damage(&device.hostname, device.release.as_str())?;
            let what = paint(style::WARNING, "damaged");
            bar.suspend(|| {
                printer.message(format_args!("  {what} on {}: {file}", device.hostname));
            });
            damaged = Some(device.hostname.clone());
        }
        Ok(())
    })
    .await;
    bar.finish_and_clear();
    Ok(Ended { status: outcome?, seconds: begun.elapsed().as_secs_f64(), damaged })
}

/// The first device that soaks.
fn soaking(status: &RolloutStatus) -> Option<&DeviceStatus> {
    let mut devices = status.rings_detail.iter().flat_map(|ring| &ring.devices);
    devices.find(|device| device.step == Step::Soaking)
}

/// Tells each ring once when its state changes, and why a rollout waits.
#[derive(Default)]
struct Rings {
    told: Vec<RingState>,
    state: Option<RolloutState>,
}

impl Rings {
    fn tell(&mut self, status: &RolloutStatus, printer: Printer) {
        for (place, ring) in status.rings_detail.iter().enumerate() {
            let before = self.told.get(place).copied().unwrap_or(RingState::Waiting);
            if before != ring.state {
                let (good, all) = (ring.tally.successes, ring.tally.devices);
                printer.message(format_args!(
                    "  {:12} {:12} {good} of {all} accepted",
                    ring.name, ring.state
                ));
            }
        }
        self.told = status.rings_detail.iter().map(|ring| ring.state).collect();
        let state = status.summary.state;
        if self.state.replace(state).is_some_and(|before| before != state) {
            let reason = status.summary.reason.as_ref().map(|reason| format!(": {reason}"));
            printer.message(format_args!("  rollout {state}{}", reason.unwrap_or_default()));
        }
    }
}
