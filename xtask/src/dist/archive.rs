//! The tar.gz for Linux and the zip for Windows: one folder, whose files are all of one owner and
//! one time.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::content::{self, Content};

/// Writes the tar.gz, and gives its name in the folder `out`.
///
/// # Errors
///
/// What the file system says.
pub fn tarball(content: &Content<'_>, unit: &str, out: &Path) -> Result<String> {
    let stem = stem(content);
    let name = format!("{stem}.tar.gz");
    let file = File::create(out.join(&name)).with_context(|| format!("write {name}"))?;
    let level = if content.is_small { Compression::default() } else { Compression::fast() };
    let packed = GzBuilder::new().mtime(0).write(file, level);
    let mut tar = tar::Builder::new(packed);
    let mut files = content.files()?;
    files.push(content::File::plain("gofleet-agent.service", unit.into()));
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.bytes.len() as u64);
        header.set_mode(file.mode());
        header.set_mtime(content.epoch.try_into()?);
        header.set_username("root")?;
        header.set_groupname("root")?;
        tar.append_data(&mut header, format!("{stem}/{}", file.path), file.bytes.as_slice())?;
    }
    tar.into_inner()?.finish()?.sync_all()?;
    Ok(name)
}

/// Writes the zip, and gives its name in the folder `out`.
///
/// # Errors
///
/// What the file system says.
pub fn zip(content: &Content<'_>, out: &Path) -> Result<String> {
    let stem = stem(content);
    let name = format!("{stem}.zip");
    let file = File::create(out.join(&name)).with_context(|| format!("write {name}"))?;
    let mut zip = ZipWriter::new(file);
    for file in content.files()? {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level((!content.is_small).then_some(1))
            .last_modified_time(time(content.epoch)?)
            .unix_permissions(file.mode());
        zip.start_file(format!("{stem}/{}", file.path), options)?;
        zip.write_all(&file.bytes)?;
    }
    zip.finish()?.sync_all()?;
    Ok(name)
}

fn stem(content: &Content<'_>) -> String {
    format!("gofleet-{}-{}", content.version, content.target.platform)
}

/// In UTC, as a zip has no zones; it has no time before 1980 either.
fn time(epoch: i64) -> Result<DateTime> {
    let civil = jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::from_second(epoch)?);
    let part = |number: i8| u8::try_from(number);
    let time = DateTime::from_date_and_time(
        civil.year().try_into()?,
        part(civil.month())?,
        part(civil.day())?,
        part(civil.hour())?,
        part(civil.minute())?,
        part(civil.second())?,
    );
    Ok(time.unwrap_or_default())
}
