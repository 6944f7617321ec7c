//! Every Go on a machine: of what was seen there, which version each is, who put it there, and
//! whether it is in use.
//!
//! Nothing is looked for here. Whoever looks gives a [`Sighting`] for each folder, and what the
//! machine says of all of them as [`Evidence`]. A place alone proves little (`/usr/local/go` may
//! be anybody's), so that an origin is told only where something vouches for it: an entry of the
//! installed programs, a package's list, or the folder that a version manager keeps for itself.

mod build_info;
mod origin;
mod path;
mod product;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use build_info::{BuildInfo, LONGEST as LONGEST_BUILD_INFO};
pub use origin::Origin;
pub use product::{Product, UPGRADE_CODES, View, packed};

use crate::environment::Style;
use crate::facts::FoundGo;

/// What led to a Go, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lead {
    /// It stands in a root of gofleet.
    Root,
    /// An entry of the installed programs names its folder.
    Product,
    /// It stands where a Go for all users usually does.
    System,
    /// It stands where some tool keeps a user's Gos.
    Home,
    /// It is in a folder that whoever asks wants searched.
    Search,
    /// A folder on `PATH` has its command.
    Path,
}

/// A folder in which a Go seems to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sighting {
    /// Its `GOROOT`, links followed; the folder of its command where it has no such layout.
    pub path: String,
    /// What led to it.
    pub leads: Vec<Lead>,
    /// What its file `VERSION` holds, if it has one.
    pub version_file: Option<String>,
    /// What its command tells of its making; looked for if there is no usable `VERSION`.
    pub build_info: Option<BuildInfo>,
    /// Whose folder it is.
    pub owner: Option<String>,
    /// The system's package that its command belongs to.
    pub package: Option<String>,
    /// Its size, if it was measured.
    pub size: Option<Size>,
    /// Whether a program that looks for `go` on `PATH` gets this one.
    pub is_first_on_path: bool,
    /// Whether it is the active one of its root.
    pub is_active: bool,
    /// Processes that run a program of it.
    pub running: Vec<Process>,
}

/// How large a folder is: the bytes of its files, each counted under every name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Bytes of the files.
    pub bytes: u64,
    /// Number of files.
    pub files: u64,
    /// False if it is at least so large: something in it could not be read, or there was too much.
    pub is_whole: bool,
}

/// A process that runs a program of a Go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// The program's file.
    pub program: String,
}

/// What the machine says of the Gos on it beside what stands in their folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// How paths are written.
    pub style: Style,
    /// The installed programs that are Go.
    pub products: Vec<Product>,
    /// Where Go's MSI says that it put its files, for entries that don't tell (Go's own does not).
    pub install_locations: Vec<String>,
    /// The version that Chocolatey believes to have installed. Its package runs Go's MSI.
    pub chocolatey: Option<String>,
}

impl Default for Evidence {
    fn default() -> Self {
        Self {
            style: Style::Unix,
            products: Vec::new(),
            install_locations: Vec::new(),
            chocolatey: None,
        }
    }
}

/// From where a version is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionSource {
    /// The file `VERSION` in its folder.
    VersionFile,
    /// What the linker wrote into its command.
    BuildInfo,
}

/// A Go on a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Go {
    /// Its version, without `go`: `1.27.3`; of an unreleased one `devel …`.
    pub version: String,
    /// From where that is known.
    pub version_source: VersionSource,
    /// Its `GOROOT`, links followed.
    pub path: String,
    /// Who put it there.
    pub origin: Origin,
    /// The entry of the installed programs, or the package, that vouches for it.
    pub vouched_by: Option<String>,
    /// Whose folder it is; none if that was not to be learned.
    pub owner: Option<String>,
    /// How large it is, if that was measured.
    pub size: Option<Size>,
    /// Whether a program of it runs, `PATH` leads to it first, or its root has it active.
    pub is_in_use: bool,
    /// Whether it is the active one of its root.
    pub is_active: bool,
    /// Whether a program that looks for `go` on `PATH` gets this one.
    pub is_first_on_path: bool,
    /// Processes that run a program of it.
    pub running: Vec<Process>,
    /// What led to it.
    pub leads: Vec<Lead>,
}

/// Where something might be that could not be looked at, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unseen {
    /// A folder, a key of the registry, or what else there is to look at.
    pub place: String,
    /// What the system said.
    pub reason: String,
}

/// Every Go on a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// In the order of paths.
    pub found: Vec<Go>,
    /// Installed programs that are Go, whose files were not found.
    pub without_files: Vec<Product>,
    /// What could not be looked at.
    pub unseen: Vec<Unseen>,
}

impl Inventory {
    /// What the sightings are. Those without a version that can be told are no Go.
    pub fn of(evidence: &Evidence, sightings: Vec<Sighting>, unseen: Vec<Unseen>) -> Self {
        let known = sightings.into_iter().filter_map(|sighting| {
            let (version, source) = sighting.version()?;
            Some((sighting, version, source))
        });
        let known: Vec<_> = known.collect();
        let mut claims: Vec<Option<&Product>> = vec![None; known.len()];
        let mut without_files = Vec::new();
        for product in evidence.products.iter().filter(|product| product.is_go()) {
            let claim = |(sighting, version, _): &(Sighting, String, VersionSource)| {
                Claim::of(product, &sighting.path, version, evidence)
            };
            let free = known.iter().enumerate().filter(|(at, _)| claims[*at].is_none());
            let claimed = free.filter_map(|(at, known)| Some((claim(known)?, at))).max();
            match claimed {
                Some((_, at)) => claims[at] = Some(product),
                None => without_files.push(product.clone()),
            }
        }
        let mut found = Vec::new();
        for ((sighting, version, version_source), product) in known.into_iter().zip(claims) {
            let (origin, vouched_by) = origin::of(&sighting, &version, product, evidence);
            found.push(Go {
                is_in_use: sighting.is_first_on_path
                    || sighting.is_active
                    || !sighting.running.is_empty(),
                version,
                version_source,
                path: sighting.path,
                origin,
                vouched_by,
                owner: sighting.owner,
                size: sighting.size,
                is_active: sighting.is_active,
                is_first_on_path: sighting.is_first_on_path,
                running: sighting.running,
                leads: sighting.leads,
            });
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        let mut unseen = unseen;
        unseen.sort();
        unseen.dedup();
        Self { found, without_files, unseen }
    }

    /// What a device tells its server. An unreleased Go is left out: the server compares versions.
    pub fn facts(&self) -> Vec<FoundGo> {
        let told =
            self.found.iter().filter(|go| go.version.starts_with(|it: char| it.is_ascii_digit()));
        told.map(|go| FoundGo {
            version: go.version.clone(),
            path: go.path.clone(),
            origin: go.origin.on_the_wire(&go.leads),
        })
        .collect()
    }
}

impl Sighting {
    fn version(&self) -> Option<(String, VersionSource)> {
        let of_file = self.version_file.as_deref().and_then(version_of_file);
        of_file.map(|version| (version, VersionSource::VersionFile)).or_else(|| {
            let info = self.build_info.as_ref().filter(|info| info.is_go_command())?;
            Some((plain_version(&info.go)?, VersionSource::BuildInfo))
        })
    }
}

/// The version in a file `VERSION`, whose first line is like `go1.27.3`, without `go`.
pub fn version_of_file(text: &str) -> Option<String> {
    plain_version(text.lines().next()?).filter(|version| !version.starts_with("devel"))
}

/// `1.27.3` of `go1.27.3`, also where who built it added to that (`go1.27.3 X:boringcrypto`,
/// `go1.24.4 (Red Hat 1.24.4-1.el9)`); `devel go1.28-3a1b2c` of an unreleased one.
fn plain_version(text: &str) -> Option<String> {
    let mut words = text.split_whitespace();
    let first = words.next()?;
    if first == "devel" {
        return Some(words.next().map_or_else(|| first.to_owned(), |it| format!("devel {it}")));
    }
    let version = first.strip_prefix("go")?;
    version.starts_with(|it: char| it.is_ascii_digit()).then(|| version.to_owned())
}

/// Why an installed program is believed to be the Go in a folder, the weakest reason first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// It says nothing; the folder is the usual one of Go's MSI, and the version is the same.
    UsualPlace,
    /// Go's MSI says that it put files there, and the version is the same.
    InstallLocation,
    /// It says so itself.
    Said,
}

impl Claim {
    fn of(product: &Product, path: &str, version: &str, evidence: &Evidence) -> Option<Self> {
        let is_here = |folder: &str| evidence.style.is_same_folder(folder, path);
        if let Some(folder) = product.location.as_deref().filter(|it| !it.trim().is_empty()) {
            return is_here(folder).then_some(Self::Said);
        }
        if !product.go_version().is_none_or(|it| same_release(it, version)) {
            return None;
        }
        if evidence.install_locations.iter().any(|folder| is_here(folder)) {
            return Some(Self::InstallLocation);
        }
        origin::is_usual_for_installers(path, evidence.style).then_some(Self::UsualPlace)
    }
}

/// Windows Installer writes `1.27.0` of Go 1.27rc1 as well, and of Go 1.20.
fn same_release(left: &str, right: &str) -> bool {
    let plain = |text: &str| text.trim_end_matches(".0").to_owned();
    plain(left) == plain(right)
}
