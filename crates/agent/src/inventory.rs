//! Looks for every Go on the machine. What is made of it is decided by
//! [`gofleet_core::inventory`]; here folders, lists and processes are read, and what could not be
//! read is told as such.

mod look;
mod places;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gofleet_core::environment::Style;
use gofleet_core::inventory::{
    Evidence, Inventory, Lead, Process, Product, Sighting, UPGRADE_CODES, Unseen, View, packed,
};
use gofleet_depot::Root;
use gofleet_platform::{canonical, installed, process, users};

pub use places::{GO, Places};

/// dpkg's lists of files.
const DPKG: &str = "/var/lib/dpkg/info";
/// Where Go's MSI notes for its user where it put its files.
const MSI_SETTINGS: (&str, &str) = (r"Software\GoProgrammingLanguage", "installLocation");

/// How the place is called that tells what runs.
const PROCESSES: &str = "the processes";

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Where each is, its version, and its origin as far as places tell: what a device tells its
    /// server every now and then, in some milliseconds.
    Facts,
    /// Also owners, packages, installed programs, and what runs.
    Details,
    /// Also sizes, for which every file of every Go is looked at.
    Sizes,
}

/// What is looked for, and where.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Roots of gofleet.
    pub roots: &'a [Root],
    /// Where Go may stand besides.
    pub places: &'a Places,
    /// Folders that are searched whole.
    pub search: &'a [PathBuf],
    /// How much is looked at.
    pub extent: Extent,
}

/// Every Go on the machine. `progress` hears what is looked at, before it is.
pub fn take(request: &Request<'_>, progress: &dyn Fn(&str)) -> Inventory {
    let mut taking =
        Taking { request, unseen: Unseens(request.places.unseen.clone()), trees: BTreeMap::new() };
    progress("looking for Go");
    let evidence = taking.evidence();
    taking.roots();
    for folder in evidence.products.iter().filter_map(|product| product.location.as_ref()) {
        taking.consider(Path::new(folder), Lead::Product, None);
    }
    for folder in &evidence.install_locations {
        taking.consider(Path::new(folder), Lead::Product, None);
    }
    taking.places();
    for top in request.search {
        progress(&format!("searching {}", top.display()));
        for tree in look::search(top, &mut taking.unseen) {
            taking.consider(&tree, Lead::Search, None);
        }
    }
    taking.path();
    let sightings = taking.sightings(progress);
    Inventory::of(&evidence, sightings, taking.unseen.0)
}

/// What could not be looked at.
#[derive(Debug, Default)]
struct Unseens(Vec<Unseen>);

impl Unseens {
    fn note(&mut self, place: &Path, reason: &str) {
        self.0.push(Unseen { place: place.display().to_string(), reason: reason.to_owned() });
    }

    /// What was read; what is not there is no news, whatever else went wrong is noted.
    fn or_note<T>(&mut self, place: &Path, read: io::Result<T>) -> Option<T> {
        match read {
            Ok(read) => return Some(read),
            Err(error) if is_absent(&error) => {}
            Err(error) => self.note(place, &error.to_string()),
        }
        None
    }

    fn take<T>(&mut self, listed: installed::Listed<T>) -> Vec<T> {
        for (key, error) in listed.unreadable {
            self.note(Path::new(&key), &error.to_string());
        }
        listed.items
    }
}

fn is_absent(error: &io::Error) -> bool {
    // Windows: a name that no file can have.
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename
    )
}

/// A folder that has a command of Go.
#[derive(Debug)]
struct Tree {
    command: PathBuf,
    leads: Vec<Lead>,
    is_active: bool,
    is_first_on_path: bool,
}

struct Taking<'a> {
    request: &'a Request<'a>,
    unseen: Unseens,
    trees: BTreeMap<PathBuf, Tree>,
}

impl<'a> Taking<'a> {
    fn evidence(&mut self) -> Evidence {
        let style = if cfg!(windows) { Style::Windows } else { Style::Unix };
        let mut evidence = Evidence { style, ..Evidence::default() };
        if self.request.extent == Extent::Facts {
            return evidence;
        }
        let packages = self.request.places.chocolatey.as_deref();
        evidence.chocolatey = packages.and_then(|it| look::chocolatey(it, &mut self.unseen));
        let (key, name) = MSI_SETTINGS;
        evidence.install_locations = self.unseen.take(installed::settings_of_users(key, name));
        let upgrades: Vec<(String, &'static str)> = UPGRADE_CODES
            .iter()
            .filter_map(|(architecture, code)| Some((packed(code)?, *architecture)))
            .flat_map(|(code, architecture)| {
                let products = self.unseen.take(installed::related_products(&code));
                products.into_iter().map(move |product| (product, architecture))
            })
            .collect();
        let entries = self.unseen.take(installed::entries());
        let products = entries.into_iter().map(|entry| product(entry, &upgrades));
        evidence.products = products.filter(Product::is_go).collect();
        evidence
    }

    fn roots(&mut self) {
        for root in self.request.roots {
            let installed = match root.installed() {
                Ok(installed) => installed,
                Err(error) => {
                    self.unseen.note(root.path(), &with_sources(&error));
                    continue;
                }
            };
            for id in installed {
                self.consider(&root.tree(&id), Lead::Root, None);
            }
            if let Some(tree) = self.active_of(root) {
                tree.is_active = true;
            }
        }
    }

    fn places(&mut self) {
        let places = self.request.places;
        for tree in &places.system {
            self.consider(tree, Lead::System, None);
        }
        for store in &places.stores {
            self.consider_in(store, Lead::System, None);
        }
        for home in &places.homes {
            // One that can't be entered is told once, not once for each place in it.
            let entered = canonical(home).and_then(|home| fs::read_dir(&home).map(|_| home));
            let Some(home) = self.unseen.or_note(home, entered) else { continue };
            for tree in places::trees_of(&home) {
                self.consider(&tree, Lead::Home, Some(&home));
            }
            for store in places::stores_of(&home) {
                self.consider_in(&store, Lead::Home, Some(&home));
            }
        }
        for store in &places.named {
            self.consider_in(store, Lead::Home, None);
        }
    }

    fn path(&mut self) {
        let hit = self.request.places.path_hit();
        for folder in &self.request.places.path {
            let file = folder.join(GO);
            let is_first = hit.as_ref() == Some(&file);
            let Some(command) = self.unseen.or_note(&file, canonical(&file)) else { continue };
            if let Some(root) = self.root_of_shim(&command) {
                if let Some(tree) = self.active_of(root) {
                    tree.is_first_on_path |= is_first;
                }
                continue;
            }
            let Some(folder) = command.parent() else { continue };
            let is_layout = folder.file_name().is_some_and(|name| name == "bin");
            // A command that lies among others, as in `/usr/local/bin`, is all that there is.
            let is_tree = |tree: &&Path| is_whole(tree) || self.trees.contains_key(*tree);
            let tree = folder.parent().filter(|_| is_layout).filter(is_tree);
            let tree = tree.unwrap_or(folder).to_owned();
            self.add(tree, command, Lead::Path).is_first_on_path |= is_first;
        }
    }

    /// The Go that a root has active, if it was found.
    fn active_of(&mut self, root: &Root) -> Option<&mut Tree> {
        let active = root.active().ok().flatten()?;
        self.trees.get_mut(&canonical(&root.tree(&active.active)).ok()?)
    }

    /// The root whose shim a command is: that is no Go, it runs the root's.
    fn root_of_shim(&self, command: &Path) -> Option<&'a Root> {
        let folder = command.parent()?;
        self.request.roots.iter().find(|root| canonical(&root.bin()).is_ok_and(|bin| bin == folder))
    }

    /// Every folder in `store`, or what stands in it under the names that some tools give.
    fn consider_in(&mut self, store: &Path, lead: Lead, within: Option<&Path>) {
        for folder in look::folders_in(store, &mut self.unseen) {
            for tree in [folder.clone(), folder.join("go"), folder.join("libexec")] {
                self.consider(&tree, lead, within);
            }
        }
    }

    /// Takes note of a folder if it has a command of Go. What lies in somebody's home may be a link
    /// to anything; only `within` that home it is followed.
    fn consider(&mut self, tree: &Path, lead: Lead, within: Option<&Path>) {
        let Some(path) = self.unseen.or_note(tree, canonical(tree)) else { return };
        if within.is_some_and(|home| !path.starts_with(home)) {
            // The command in `/bin`, which is the home of some accounts, is met on PATH.
            if path.is_dir() {
                let reason = format!("a link to {}, which is elsewhere", path.display());
                self.unseen.note(tree, &reason);
            }
            return;
        }
        let command = path.join("bin").join(GO);
        let found = self.unseen.or_note(&command, fs::metadata(&command));
        if found.is_some_and(|found| found.is_file()) {
            self.add(path, command, lead);
        }
    }

    fn add(&mut self, path: PathBuf, command: PathBuf, lead: Lead) -> &mut Tree {
        let tree = self.trees.entry(path).or_insert_with(|| Tree {
            command,
            leads: Vec::new(),
            is_active: false,
            is_first_on_path: false,
        });
        if !tree.leads.contains(&lead) {
            tree.leads.push(lead);
            tree.leads.sort();
        }
        tree
    }

    fn sightings(&mut self, progress: &dyn Fn(&str)) -> Vec<Sighting> {
        let has_details = self.request.extent != Extent::Facts;
        let running = if has_details { self.running() } else { Vec::new() };
        let commands: Vec<_> = self.trees.values().map(|it| it.command.to_string_lossy()).collect();
        let commands: Vec<&str> = commands.iter().map(AsRef::as_ref).collect();
        let packages = if has_details && cfg!(unix) {
            look::packages(Path::new(DPKG), &commands, &mut self.unseen)
        } else {
            BTreeMap::new()
        };
        let mut sightings = Vec::new();
        for (path, tree) in &self.trees {
            let unseen = &mut self.unseen;
            let mut sighting = Sighting {
                path: path.display().to_string(),
                leads: tree.leads.clone(),
                version_file: look::version_file(path, unseen),
                is_active: tree.is_active,
                is_first_on_path: tree.is_first_on_path,
                ..Sighting::default()
            };
            if sighting.version_file.is_none() {
                sighting.build_info = look::build_info(&tree.command, unseen);
                if sighting.build_info.is_none() {
                    // No Go, or one before 1.18 that tells nothing: not worth a census.
                    continue;
                }
            }
            if has_details {
                sighting.owner = unseen.or_note(path, users::owner(path));
                sighting.package = packages.get(&*tree.command.to_string_lossy()).cloned();
                sighting.running = running_of(path, tree, &running);
            }
            if self.request.extent == Extent::Sizes && is_whole(path) {
                progress(&format!("measuring {}", path.display()));
                sighting.size = Some(look::size(path, unseen));
            }
            sightings.push(sighting);
        }
        sightings
    }

    fn running(&mut self) -> Vec<process::Running> {
        match process::census() {
            Ok(process::Census { running, hidden }) => {
                if hidden > 0 {
                    let reason = format!("of {hidden} this user is not told what they run");
                    self.unseen.note(Path::new(PROCESSES), &reason);
                }
                running
            }
            Err(error) => {
                self.unseen.note(Path::new(PROCESSES), &error.to_string());
                Vec::new()
            }
        }
    }
}

/// The processes of a tree; where a command has no tree of its own, those of that command.
fn running_of(path: &Path, tree: &Tree, running: &[process::Running]) -> Vec<Process> {
    let is_whole = is_whole(path);
    let of_tree = |program: &Path| {
        if is_whole { program.starts_with(path) } else { program == tree.command }
    };
    let running = running.iter().filter(|running| of_tree(&running.program));
    let mut running: Vec<Process> = running
        .map(|it| Process { pid: it.pid, program: it.program.display().to_string() })
        .collect();
    running.sort();
    running
}

/// Whether all of a folder is the Go. A command that lies among others, as in `/usr/local/bin`, has no
/// folder of its own.
fn is_whole(tree: &Path) -> bool {
    tree.join("VERSION").is_file() || tree.join("pkg").join("tool").is_dir()
}

fn product(entry: installed::Entry, upgrades: &[(String, &'static str)]) -> Product {
    let value = |name: &str| entry.values.get(name).filter(|it| !it.trim().is_empty()).cloned();
    let code = packed(&entry.code);
    let upgrade = upgrades
        .iter()
        .find(|(product, _)| code.as_ref().is_some_and(|code| product.eq_ignore_ascii_case(code)));
    Product {
        name: value("DisplayName").unwrap_or_else(|| entry.code.clone()),
        version: value("DisplayVersion"),
        location: value("InstallLocation"),
        view: match entry.view {
            installed::View::Bits64 => View::Bits64,
            installed::View::Bits32 => View::Bits32,
        },
        upgrade: upgrade.map(|(_, architecture)| *architecture),
        code: entry.code,
    }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
