//! Archives from the network, kept in the user's cache: a cut download is resumed, and what is
//! there already is not fetched again.

use anyhow::{Context, bail};
use gofleet_api::download::{Download, Patience, Size, download, plain_client};
use gofleet_core::digest::Digest;
use gofleet_feeds::listing::{self, FileKind, ListedFile, Listing, Query};

use super::Source;
use crate::cache;
use crate::failure::Hinted;
use crate::printer::Printer;

/// The largest archive that is fetched from an address that tells no size: Go's own stay below a
/// tenth of it.
const MAX_ARCHIVE_BYTES: u64 = 1 << 30;

/// Fetches what the listing of a mirror has for a query.
///
/// # Errors
///
/// If the mirror can't be read, has no such file, or delivers something else than it lists.
pub async fn from_mirror(
    base: &str,
    versions: &[String],
    os: &[String],
    arch: &[String],
    printer: Printer,
) -> anyhow::Result<Vec<Source>> {
    let http = http_client()?;
    let listing = read_listing(&http, base).await?;
    let query = Query {
        versions: versions.to_vec(),
        os: os.to_vec(),
        arch: arch.to_vec(),
        kind: Some(FileKind::Archive),
    };
    let files = listing.select(&query);
    if files.is_empty() {
        let (versions, os, arch) = (versions.join(", "), os.join(", "), arch.join(", "));
        return Err(Hinted::new(
            format!("{base} lists no archive of Go {versions} for {os} on {arch}"),
            "look at the listing with `?mode=json&include=all` behind the address",
        )
        .into());
    }
    let mut sources = Vec::new();
    for file in files {
        sources.push(fetch_listed(&http, base, file, printer).await?);
    }
    Ok(sources)
}

async fn read_listing(http: &reqwest::Client, base: &str) -> anyhow::Result<Listing> {
    let url = listing::listing_url(base);
    let failed = || {
        let hint = "--mirror takes the base address of a mirror, like https://go.dev/dl/";
        Hinted::new(format!("the listing {url} can't be had"), hint)
    };
    let response = http.get(&url).send().await.and_then(reqwest::Response::error_for_status);
    let body = response.with_context(failed)?.bytes().await.with_context(failed)?;
    Listing::parse(&body).with_context(failed)
}

async fn fetch_listed(
    http: &reqwest::Client,
    base: &str,
    file: &ListedFile,
    printer: Printer,
) -> anyhow::Result<Source> {
    let url = listing::file_url(base, file);
    let Some(sha256) = file.sha256 else {
        bail!("{url} is listed without a SHA-256");
    };
    let size = match file.size {
        0 => Size::AtMost(MAX_ARCHIVE_BYTES),
        size => Size::Exactly(size),
    };
    fetch(http, &url, &file.filename, sha256, size, printer).await
}

/// Fetches an archive from its address. The digest is the given one, or else the one that stands
/// at the same address with `.sha256` behind it, where Go's own site and its mirrors publish it.
///
/// # Errors
///
/// If no digest is known, or the archive can't be had.
pub async fn from_url(
    url: &str,
    sha256: Option<Digest>,
    printer: Printer,
) -> anyhow::Result<Source> {
    let http = http_client()?;
    let sha256 = match sha256 {
        Some(digest) => digest,
        None => published_digest(&http, url).await?,
    };
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let name = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or("archive");
    fetch(&http, url, name, sha256, Size::AtMost(MAX_ARCHIVE_BYTES), printer).await
}

async fn published_digest(http: &reqwest::Client, url: &str) -> anyhow::Result<Digest> {
    let published = format!("{url}.sha256");
    let failed = || {
        Hinted::new(
            format!("no SHA-256 for {url} is known: {published} does not tell it"),
            "name it with --sha256, or import from the listing of its mirror with --mirror",
        )
    };
    let response = http.get(&published).send().await.and_then(reqwest::Response::error_for_status);
    let text = response.with_context(failed)?.text().await.with_context(failed)?;
    text.split_whitespace().next().unwrap_or_default().parse().with_context(failed)
}

async fn fetch(
    http: &reqwest::Client,
    url: &str,
    name: &str,
    sha256: Digest,
    size: Size,
    printer: Printer,
) -> anyhow::Result<Source> {
    let target = cache::archives()?.join(name);
    let total = match size {
        Size::Exactly(bytes) => Some(bytes),
        Size::AtMost(_) => None,
    };
    let bar = printer.bytes_bar(name, total);
    let patience = Patience { attempts: 4, ..Patience::default() };
    let request = http.get(url);
    let wanted = Download { request, target: &target, sha256, size, patience, meter: None };
    let outcome = download(&wanted, &|bytes| bar.set_position(bytes)).await;
    bar.finish_and_clear();
    if outcome.with_context(|| format!("{name} can't be had"))?.requests == 0 {
        printer.detail(format_args!("{name} is in the cache"));
    }
    Ok(Source { path: target, origin: url.to_owned(), sha256: Some(sha256) })
}

/// A client for other people's servers.
fn http_client() -> anyhow::Result<reqwest::Client> {
    plain_client().context("TLS can't be set up")
}
