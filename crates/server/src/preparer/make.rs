//! Making one pack or delta: read, make, check, give it its name.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use gofleet_core::artifact::{Artifact, ArtifactKind, ArtifactState, FORMAT};
use gofleet_core::digest::Digest;
use gofleet_core::manifest::Manifest;
use gofleet_core::preparation::{Job, is_useful};
use gofleet_core::release::Release;
use gofleet_core::time::{Span, Timestamp};
use gofleet_depot::delta::{Delta, DeltaError};
use gofleet_depot::pack::PackError;
use gofleet_depot::{Files as _, LoadError, LoadedFiles, Made, delta, pack};
use gofleet_platform::{checkpoint, priority};
use thiserror::Error;
use tokio::sync::oneshot;

use super::find;
use crate::failure::Answer;
use crate::files::digest_of;
use crate::state::AppState;
use crate::upload::Incoming;

/// All that making takes, read before it begins.
pub struct Making {
    what: What,
    target: Tree,
    kind: ArtifactKind,
    base: Option<Digest>,
    release: Release,
    /// A delta must be smaller than a share of this.
    rival_bytes: u64,
    folder: PathBuf,
    place: Box<dyn Fn(&Digest) -> PathBuf + Send>,
    now: Timestamp,
}

enum What {
    Pack,
    Delta { base: Tree },
}

/// Where the files of a release are read from.
#[derive(Clone)]
struct Tree {
    archive: PathBuf,
    /// Faster than the archive, if it is there.
    pack: Option<PathBuf>,
    manifest: Manifest,
}

/// Why nothing was made.
#[derive(Debug, Error)]
enum MakeError {
    #[error("the files of the release cannot be read")]
    Load(#[source] LoadError),
    #[error("the pack cannot be made")]
    Pack(#[source] PackError),
    #[error("the delta cannot be made")]
    Delta(#[source] DeltaError),
    #[error("what was made does not work")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
    #[error("it cannot be saved")]
    Save(#[source] io::Error),
}

impl Making {
    /// Reads what a job needs.
    ///
    /// # Errors
    ///
    /// [`Failure`](crate::failure::Failure) if the database fails.
    pub async fn of(
        state: &AppState,
        job: &Job,
        catalog: &[Release],
        artifacts: &[Artifact],
    ) -> Answer<Self> {
        let (kind, id, base) = match job {
            Job::Pack { release } => (ArtifactKind::Pack, release, None),
            Job::Delta { base, release } => (ArtifactKind::Delta, release, Some(base)),
        };
        let release = find(catalog, id);
        let target = tree(state, release, artifacts).await?;
        let base = base.map(|base| find(catalog, base));
        let what = match base {
            None => What::Pack,
            Some(base) => What::Delta { base: tree(state, base, artifacts).await? },
        };
        let pack = pack_of(release, artifacts).map(|(_, bytes)| bytes);
        let data = state.clone();
        Ok(Self {
            what,
            target,
            kind,
            base: base.map(|base| base.release.manifest),
            rival_bytes: pack.unwrap_or(release.release.archive.size),
            release: release.clone(),
            folder: state.data().incoming(),
            place: Box::new(move |sha256| data.data().artifact(sha256)),
            now: state.now(),
        })
    }

    /// Makes it on a thread of its own, and tells what came of it.
    pub async fn make(self) -> Artifact {
        let (began, now) = (Instant::now(), self.now);
        let (kind, base) = (self.kind, self.base);
        let (release, makes) = (self.release.release.id.clone(), self.release.release.manifest);
        let (sender, receiver) = oneshot::channel();
        std::thread::spawn(move || {
            priority::lower_this_thread();
            // Nobody listens when the server stops.
            let _ = sender.send(self.work());
        });
        let state = match receiver.await {
            Ok(Ok(state)) => state,
            Ok(Err(error)) => ArtifactState::Failed { reason: with_causes(&error) },
            Err(_) => ArtifactState::Failed { reason: "the thread that made it died".to_owned() },
        };
        let took = began.elapsed();
        let took = Span::from_millis(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        Artifact { kind, release, makes, base, format: FORMAT, state, made_at: now + took, took }
    }

    fn work(self) -> Result<ArtifactState, MakeError> {
        let file = Incoming::new(&self.folder);
        let Made { bytes } = match &self.what {
            What::Pack => self.pack(file.path())?,
            What::Delta { base } => self.delta(base, file.path())?,
        };
        if matches!(self.what, What::Delta { .. }) && !is_useful(bytes, self.rival_bytes) {
            return Ok(ArtifactState::Useless { bytes });
        }
        let sha256 = digest_of(file.path()).map_err(MakeError::Save)?;
        checkpoint("prepare-made");
        let place = (self.place)(&sha256);
        gofleet_platform::rename(file.path(), &place).map_err(MakeError::Save)?;
        checkpoint("prepare-named");
        Ok(ArtifactState::Ready { sha256, bytes })
    }

    fn pack(&self, path: &Path) -> Result<Made, MakeError> {
        let Tree { archive, manifest, .. } = &self.target;
        let made = pack::make(archive, manifest, path).map_err(MakeError::Pack)?;
        pack::check(path, manifest).map_err(|error| MakeError::Broken(Box::new(error)))?;
        Ok(made)
    }

    fn delta(&self, base: &Tree, path: &Path) -> Result<Made, MakeError> {
        let from = base.load(&self.target.manifest)?;
        let to = self.target.load(from.manifest())?;
        let made = delta::make(&from, &to, path).map_err(MakeError::Delta)?;
        drop(to);
        Delta::open(path)
            .and_then(|delta| delta.check(&from))
            .map_err(|error| MakeError::Broken(Box::new(error)))?;
        Ok(made)
    }
}

impl Tree {
    /// The files whose content the other tree has not.
    fn load(&self, other: &Manifest) -> Result<LoadedFiles, MakeError> {
        let manifest = self.manifest.clone();
        match &self.pack {
            Some(pack) => LoadedFiles::from_pack(pack, manifest, Some(other)),
            None => LoadedFiles::from_archive(&self.archive, manifest, Some(other)),
        }
        .map_err(MakeError::Load)
    }
}

async fn tree(state: &AppState, release: &Release, artifacts: &[Artifact]) -> Answer<Tree> {
    let pack = pack_of(release, artifacts).map(|(sha256, _)| state.data().artifact(&sha256));
    Ok(Tree {
        archive: state.data().artifact(&release.release.archive.sha256),
        pack,
        manifest: state.storage().manifest(&release.release.id).await?,
    })
}

fn pack_of(release: &Release, artifacts: &[Artifact]) -> Option<(Digest, u64)> {
    let of_release = |it: &&Artifact| {
        it.kind == ArtifactKind::Pack && it.format == FORMAT && it.release == release.release.id
    };
    artifacts.iter().find(of_release).and_then(Artifact::ready)
}

/// An error with its causes, as one line.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
