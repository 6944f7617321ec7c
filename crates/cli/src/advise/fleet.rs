//! What is known of the fleet: from a server, or only by flags.

use std::collections::{BTreeMap, BTreeSet};

use gofleet_api::{Device, Measured};
use gofleet_core::release::{Platform, Release, ReleaseStatus};
use gofleet_core::version::GoVersion;

use super::{Advise, Machine};
use crate::failure::Hinted;

/// The fleet, as far as it is known.
#[derive(Debug, Default)]
pub struct Fleet {
    devices: Vec<Device>,
    releases: Vec<Release>,
    /// What its finished rollouts say; nothing without a server.
    pub measured: Measured,
}

impl Fleet {
    /// Asks the server for it, if one is named, or `is_needed` and one is logged in to.
    ///
    /// # Errors
    ///
    /// If a server is needed and none is named, or it can't be asked, or it has no devices.
    pub async fn of(arguments: &Advise, is_needed: bool) -> anyhow::Result<Self> {
        let connection = &arguments.connection;
        if connection.server.is_none() && connection.data.is_none() && !is_needed {
            return Ok(Self::default());
        }
        let client = connection.client()?;
        let (devices, releases) = (client.devices().await?, client.releases().await?);
        let fleet = Self { devices, releases, measured: client.measured().await? };
        if is_needed && fleet.devices.is_empty() {
            let message = "the server has no devices yet";
            return Err(Hinted::usage(message, "say how many there will be: --nodes N").into());
        }
        Ok(fleet)
    }

    /// How many devices the server knows.
    pub fn devices(&self) -> u64 {
        self.devices.len() as u64
    }

    /// The newest version that may be rolled out.
    pub fn newest_approved(&self) -> Option<GoVersion> {
        let approved = self.releases.iter().filter(|it| it.status == ReleaseStatus::Approved);
        let go = approved.filter(|it| it.release.package.as_str() == "go");
        go.filter_map(|it| it.release.version.parse().ok()).max()
    }

    /// The release of Go of this version for a platform, unless it is blocked.
    pub fn release(&self, version: &GoVersion, platform: &Platform) -> Option<&Release> {
        self.releases.iter().find(|it| {
            it.release.package.as_str() == "go"
                && it.release.version == version.as_str()
                && it.release.platform == *platform
                && it.status != ReleaseStatus::Blocked
        })
    }

    /// The platforms that were asked for, else those of the devices, else the usual two.
    pub fn platforms(&self, asked: &[Platform]) -> BTreeSet<Platform> {
        let mut platforms: BTreeSet<Platform> = asked.iter().cloned().collect();
        if platforms.is_empty() {
            platforms.extend(self.devices.iter().map(|device| device.facts.platform.clone()));
        }
        if platforms.is_empty() {
            let usual = ["linux-amd64", "windows-amd64"];
            platforms.extend(usual.iter().filter_map(|text| text.parse().ok()));
        }
        platforms
    }

    /// The machines to type commands on, without the commands: each device, or where only a number
    /// is known one for all of each platform.
    pub fn machines(&self, arguments: &Advise, nodes: u64) -> Vec<Machine> {
        let machine = |name, platform| Machine { name, platform, commands: Vec::new() };
        if self.devices() == nodes && arguments.platforms.is_empty() {
            let sorted: BTreeMap<_, _> =
                self.devices.iter().map(|it| ((&it.facts.hostname, &it.id), it)).collect();
            let devices = sorted.into_values().map(|device| &device.facts);
            return devices
                .map(|facts| machine(facts.hostname.clone(), facts.platform.clone()))
                .collect();
        }
        let platforms = self.platforms(&arguments.platforms);
        platforms.into_iter().map(|it| machine("each machine".to_owned(), it)).collect()
    }
}
