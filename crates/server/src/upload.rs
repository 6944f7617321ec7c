//! An upload on its way into the catalog.
//!
//! The order is what makes a kill at any point harmless: the bytes go to `incoming/`, are checked
//! and inspected there, the archive gets its final name and is on the disk, and only then does the
//! catalog name it. What a kill leaves before that is removed at the next start.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt as _;
use gofleet_api::ProblemCode;
use gofleet_core::account::{Permission, Subject};
use gofleet_core::audit::By;
use gofleet_core::dependency::Dependencies;
use gofleet_core::digest::Digest;
use gofleet_core::release::{Release, ReleaseRef, ReleaseStatus};
use gofleet_depot::archive::{self, Inspected};
use gofleet_storage::Imported;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncWriteExt as _, BufWriter};

use crate::authorization::CallingPerson;
use crate::failure::{Answer, Failure};
use crate::state::AppState;

/// How long an upload may be silent before it is given up.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);
/// Written at once: fewer, larger writes.
const BUFFER_BYTES: usize = 1 << 20;

/// What a caller says of the archive that it sends.
#[derive(Debug, Default)]
pub struct Announced {
    /// Where it came from.
    pub origin: String,
    /// The digest that it must have.
    pub sha256: Option<Digest>,
    /// The size that it will have.
    pub size: Option<u64>,
    /// What its release asks of other packages.
    pub dependencies: Dependencies,
}

/// Takes an archive into the catalog.
///
/// # Errors
///
/// [`Failure`] if it is too large, cut off, not the announced one, not Go, or another one than the
/// catalog has under the same name.
pub async fn import(
    state: &AppState,
    caller: &CallingPerson,
    announced: Announced,
    body: Body,
) -> Answer<Imported> {
    let by = &caller.may(state, Permission::ImportRelease, Subject::Fleet {}).await?;
    let limit = state.config().max_upload_bytes;
    if announced.size.is_some_and(|size| size > limit) {
        return Err(too_large(limit));
    }
    let incoming = Incoming::new(&state.data().incoming());
    let sha256 = receive(incoming.path(), body, limit).await?;
    if let Some(expected) = announced.sha256.filter(|expected| *expected != sha256) {
        return Err(Failure::new(
            ProblemCode::DigestMismatch,
            format!("the archive has the digest {sha256}, not {expected}"),
        )
        .with_hint("the file was damaged on the way or is another one: get it again"));
    }
    let inspected = inspect(incoming.path().to_owned()).await?;
    keep(state, by, (incoming, inspected), announced).await
}

/// A file in `incoming/`, removed when it is dropped without having been moved away.
pub struct Incoming(PathBuf);

impl Incoming {
    /// A name that no other file there has.
    pub fn new(folder: &Path) -> Self {
        Self(folder.join(crate::secret::random_hex()))
    }

    /// Where it is to be written.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // What cannot be removed now is removed at the next start.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Writes the body to a file and onto the disk; its digest.
async fn receive(path: &Path, body: Body, limit: u64) -> Answer<Digest> {
    const DOING: &str = "saving the archive";
    let failed = |source: io::Error| Failure::io(DOING, &source);
    let file = File::create_new(path).await.map_err(failed)?;
    let mut file = BufWriter::with_capacity(BUFFER_BYTES, file);
    let (mut hasher, mut size) = (Sha256::new(), 0);
    let mut chunks = body.into_data_stream();
    loop {
        let chunk = tokio::time::timeout(SILENCE_LIMIT, chunks.next())
            .await
            .map_err(|_| Failure::new(ProblemCode::Timeout, "the upload stood still for 60 s"))?;
        let Some(chunk) = chunk else { break };
        let chunk = chunk.map_err(|_| {
            Failure::new(ProblemCode::InvalidRequest, "the upload broke off before its end")
        })?;
        size += chunk.len() as u64;
        if size > limit {
            return Err(too_large(limit));
        }
        hasher.update(&chunk);
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    file.get_ref().sync_all().await.map_err(failed)?;
    Ok(Digest::from_bytes(hasher.finalize().into()))
}

fn too_large(limit: u64) -> Failure {
    Failure::new(ProblemCode::TooLarge, format!("the archive is larger than {limit} bytes"))
        .with_hint("the server's `max_upload_bytes` sets the limit")
}

async fn inspect(path: PathBuf) -> Answer<Inspected> {
    match tokio::task::spawn_blocking(move || archive::inspect(&path)).await {
        Ok(inspected) => inspected.map_err(Failure::from),
        Err(panic) => Err(Failure::internal("reading the archive", &panic)),
    }
}

/// Gives the archive its place and the catalog its entry.
async fn keep(
    state: &AppState,
    by: &By,
    (incoming, inspected): (Incoming, Inspected),
    announced: Announced,
) -> Answer<Imported> {
    let (release, manifest) = release_of(state, inspected, announced)?;
    // One import at a time gets here, so that nobody removes an archive that another one is just
    // about to name in the catalog.
    let _turn = state.import_turn().await;
    let place = state.data().artifact(&release.release.archive.sha256);
    let was_there = place.exists();
    gofleet_platform::file::rename(incoming.path(), &place)
        .map_err(|source| Failure::io("saving the archive", &source))?;
    let outcome = state.storage().import_release(by, &release, &manifest, state.now()).await;
    if !was_there && !matches!(&outcome, Ok(Imported::New(_))) {
        // The catalog has the same content from another archive, or something else by that name.
        let _ = std::fs::remove_file(&place);
    }
    Ok(outcome?)
}

fn release_of(
    state: &AppState,
    inspected: Inspected,
    Announced { origin, dependencies, .. }: Announced,
) -> Answer<(Release, gofleet_core::manifest::Manifest)> {
    let Inspected { package, version, platform, archive, manifest } = inspected;
    let id = ReleaseRef::id_of(&package, &version, &platform)
        .map_err(|error| Failure::new(ProblemCode::InvalidArchive, error.to_string()))?;
    let release = Release {
        files: manifest.files().len() as u64,
        tree_bytes: manifest.tree_bytes(),
        release: ReleaseRef {
            id,
            package,
            version,
            platform,
            manifest: manifest.digest(),
            archive,
        },
        dependencies,
        status: ReleaseStatus::Imported,
        origin,
        imported_at: state.now(),
        decision: None,
    };
    Ok((release, manifest))
}
