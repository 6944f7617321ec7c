//! What is not needed on a device: every release that is not active, fallback, pinned, chosen or
//! in use. Toolchains in Go's module cache are not ours and stay.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use gofleet_core::ids::ReleaseId;
use gofleet_core::manifest::ManifestFile;
use gofleet_platform::file::{Identity, identity};
use gofleet_platform::process::{Running, running};
use gofleet_platform::{Folder, Found, canonical};
use serde::Serialize;

use crate::error::{DepotError, failed};
use crate::json;
use crate::parallel;
use crate::root::Root;

/// Why a release stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// Shims run it.
    Active,
    /// It would be gone back to.
    Fallback,
    /// A person said so.
    Pinned,
    /// The user's choice.
    Chosen,
    /// A program of it runs.
    Running {
        /// The process.
        pid: u32,
        /// Its file.
        program: PathBuf,
    },
}

impl fmt::Display for Need {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active => formatter.write_str("active; activate another release first"),
            Self::Fallback => {
                formatter.write_str("the fallback of the active release; activate another first")
            }
            Self::Pinned => formatter.write_str("pinned; unpin it first"),
            Self::Chosen => formatter.write_str("the user's choice; choose another first"),
            Self::Running { pid, program } => {
                write!(formatter, "in use: process {pid} runs {}", program.display())
            }
        }
    }
}

/// What becomes of an installed release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The release.
    pub release: ReleaseId,
    /// The sum of the sizes of its files, in bytes.
    pub tree_bytes: u64,
    /// Why it stays; none if it goes.
    pub stays: Option<Need>,
}

/// What pruning does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PrunePlan {
    /// Every installed release.
    pub releases: Vec<Candidate>,
    /// Bytes that are [freed](Root::frees) by what goes.
    pub frees_bytes: u64,
}

impl PrunePlan {
    /// The releases that go.
    pub fn goes(&self) -> impl Iterator<Item = &ReleaseId> {
        let goes = self.releases.iter().filter(|candidate| candidate.stays.is_none());
        goes.map(|candidate| &candidate.release)
    }
}

impl Root {
    /// The releases that a person wants to keep.
    ///
    /// # Errors
    ///
    /// [`DepotError::FileSystem`] or [`DepotError::Corrupt`] if `pins.json` can't be read.
    pub fn pinned(&self) -> Result<BTreeSet<ReleaseId>, DepotError> {
        Ok(json::load(&self.pins_path())?.unwrap_or_default())
    }

    /// Why this release may not be removed, programs that run apart.
    ///
    /// # Errors
    ///
    /// As [`active`](Self::active) and [`pinned`](Self::pinned).
    pub fn need(&self, id: &ReleaseId) -> Result<Option<Need>, DepotError> {
        let is_pinned = self.pinned()?.contains(id);
        if let Some(active) = self.active()? {
            if active.active == *id {
                return Ok(Some(Need::Active));
            }
            if active.fallback.as_ref() == Some(id) {
                return Ok(Some(Need::Fallback));
            }
        }
        Ok(Some(Need::Pinned).filter(|_| is_pinned))
    }

    /// What [`Depot::prune`](crate::Depot::prune) would do. `chosen` are the choices of users.
    ///
    /// # Errors
    ///
    /// Whatever prevents a tree from being read.
    pub fn prune_plan(&self, chosen: &[ReleaseId]) -> Result<PrunePlan, DepotError> {
        let running = running();
        let mut releases = Vec::new();
        for release in self.installed()? {
            let stays = match self.need(&release)? {
                Some(need) => Some(need),
                None if chosen.contains(&release) => Some(Need::Chosen),
                None => in_use(&self.tree(&release), &running),
            };
            let tree_bytes = self.manifest(&release)?.tree_bytes();
            releases.push(Candidate { release, tree_bytes, stays });
        }
        let mut plan = PrunePlan { releases, frees_bytes: 0 };
        plan.frees_bytes = self.frees(plan.goes())?;
        Ok(plan)
    }

    /// Bytes that are freed if these releases go together: those of the files that have no name
    /// outside of their trees. Where files are clones, that can't be told, and this is the most
    /// that it can be.
    ///
    /// # Errors
    ///
    /// Whatever prevents a tree from being read.
    pub fn frees<'a>(
        &self,
        going: impl IntoIterator<Item = &'a ReleaseId>,
    ) -> Result<u64, DepotError> {
        let files: Mutex<HashMap<Identity, Met>> = Mutex::default();
        for release in going {
            let tree = self.tree(release);
            let folder = Folder::open(&tree).map_err(failed("open the folder", &tree))?;
            parallel::each(
                self.manifest(release)?.files(),
                || (),
                |(), file: &ManifestFile| {
                    let path = || tree.join(file.path.as_str());
                    let met = meet(&folder, file, &files);
                    met.map_err(|error| failed("look at", &path())(error))
                },
            )?;
        }
        let files = files.into_inner().expect("no holder panics");
        Ok(files.values().filter(|file| file.met >= file.names).map(|file| file.bytes).sum())
    }
}

/// The program of this tree that runs, if one does.
fn in_use(tree: &Path, running: &[Running]) -> Option<Need> {
    // Programs are told with links resolved.
    let tree = canonical(tree).ok()?;
    let found = running.iter().find(|running| running.program.starts_with(&tree))?;
    Some(Need::Running { pid: found.pid, program: found.program.clone() })
}

/// A file under how many of its names it has been met.
struct Met {
    names: u64,
    met: u64,
    bytes: u64,
}

fn meet(
    folder: &Folder,
    file: &ManifestFile,
    files: &Mutex<HashMap<Identity, Met>>,
) -> io::Result<()> {
    if let Found::File(file, metadata) = folder.find(file.path.as_str())? {
        let (identity, names) = identity(&file, &metadata)?;
        let new = Met { names, met: 0, bytes: metadata.len() };
        files.lock().expect("no holder panics").entry(identity).or_insert(new).met += 1;
    }
    Ok(())
}
