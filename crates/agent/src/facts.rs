//! What the device tells of itself: the machine, and every Go that stands on it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use gofleet_core::facts::{Facts, FoundGo};
use gofleet_core::inventory::version_of_file;
use gofleet_core::release::Platform;
use gofleet_core::window::Zone;
use gofleet_depot::Root;
use gofleet_platform::{free_space, machine};

use crate::inventory::{self, Extent, GO, Places, Request};

/// The free space counts as changed from this many bytes on: it always changes a little.
const NOTABLE_FREE_BYTES: u64 = 1 << 30;

/// Gathers the facts. `hostname` replaces the machine's own if it is given.
pub fn gather(
    root: &Root,
    places: &Places,
    hostname: Option<&str>,
    labels: &BTreeMap<String, String>,
) -> Facts {
    Facts {
        hostname: hostname.map_or_else(machine::hostname, str::to_owned),
        platform: Platform::of_this_program(),
        os_version: machine::os_version(),
        processors: machine::processors(),
        free_bytes: free_space(root.path()).unwrap_or(0),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        active: active_version(root),
        packages: Default::default(),
        found: find_go(root, places),
        zone: Some(zone().to_string()),
        labels: labels.clone(),
        collections: Default::default(),
    }
}

/// Whether the server should hear of the new facts.
pub fn has_changed(told: &Facts, now: &Facts) -> bool {
    let same_space = Facts { free_bytes: told.free_bytes, ..now.clone() };
    *told != same_space || told.free_bytes.abs_diff(now.free_bytes) >= NOTABLE_FREE_BYTES
}

/// The version of the release that is active in the root, as its own files tell.
pub fn active_version(root: &Root) -> Option<String> {
    let active = root.active().ok().flatten()?;
    version_of(&root.tree(&active.active))
}

/// The zone that the device's clock is set to; UTC where the system does not say, or names one that
/// nobody knows.
pub fn zone() -> Zone {
    let system = jiff::tz::TimeZone::system();
    system.iana_name().and_then(|name| Zone::named(name).ok()).unwrap_or_else(Zone::utc)
}

/// Every Go on the machine, each once, in the order of paths.
fn find_go(root: &Root, places: &Places) -> Vec<FoundGo> {
    let request =
        Request { roots: std::slice::from_ref(root), places, search: &[], extent: Extent::Facts };
    let inventory = inventory::take(&request, &|_| ());
    for unseen in &inventory.unseen {
        tracing::debug!(
            place = unseen.place,
            reason = unseen.reason,
            "no Go can be looked for there"
        );
    }
    inventory.facts()
}

/// The version that a tree's file `VERSION` tells, if it has a command of Go.
fn version_of(tree: &Path) -> Option<String> {
    let version = version_of_file(&fs::read_to_string(tree.join("VERSION")).ok()?)?;
    tree.join("bin").join(GO).is_file().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_less_space_is_no_news() {
        let folder = tempfile::tempdir().unwrap();
        let labels = BTreeMap::from([("site".to_owned(), "berlin".to_owned())]);
        let root = Root::new(folder.path());
        let told = gather(&root, &Places::default(), Some("pc-1"), &labels);
        assert_eq!((told.hostname.as_str(), &told.labels), ("pc-1", &labels));
        let mut now = told.clone();
        now.free_bytes = now.free_bytes.wrapping_add(1000);
        assert!(!has_changed(&told, &now));
        now.free_bytes = told.free_bytes + (2 << 30);
        assert!(has_changed(&told, &now));
        now = Facts { active: Some("1.27.3".to_owned()), ..told.clone() };
        assert!(has_changed(&told, &now));
    }
}
