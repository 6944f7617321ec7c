//! What a person types on a machine, or a script does there, to upgrade Go without gofleet. Both
//! unpack beside the Go in use, compare the archive's SHA-256, try the new one, and know the way
//! back.

use crate::digest::Digest;
use crate::release::{ArchiveFormat, Platform, Release};
use crate::version::GoVersion;

/// The archive that a platform needs: where it is, and what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// Of which version.
    pub version: GoVersion,
    /// For which platform.
    pub platform: Platform,
    /// Its address.
    pub url: String,
    /// Its SHA-256; none where only the publisher knows it.
    pub sha256: Option<Digest>,
}

impl Download {
    /// The official archive, from a mirror of Go's download page (like `https://go.dev/dl/`). The
    /// digest is taken from the catalog's release, if it was imported from the official archive;
    /// so is the address, if that release came from one.
    pub fn new(
        version: &GoVersion,
        platform: &Platform,
        release: Option<&Release>,
        mirror: &str,
    ) -> Self {
        let name = format!("go{version}.{platform}{}", ending(platform));
        let format =
            if platform.os() == "windows" { ArchiveFormat::Zip } else { ArchiveFormat::TarGz };
        let release = release.filter(|release| {
            release.release.archive.format == format && !release.origin.ends_with(".whl")
        });
        let origin = release.map(|release| release.origin.as_str());
        let origin = origin.filter(|it| it.starts_with("https://") || it.starts_with("http://"));
        let official = format!("{}/{name}", mirror.trim_end_matches('/'));
        Self {
            version: version.clone(),
            platform: platform.clone(),
            // Stands between single quotes in commands.
            url: origin.unwrap_or(&official).replace('\'', "%27"),
            sha256: release.map(|release| release.release.archive.sha256),
        }
    }

    /// The archive's file name.
    fn name(&self) -> String {
        format!("go{}.{}{}", self.version, self.platform, ending(&self.platform))
    }
}

fn ending(platform: &Platform) -> &'static str {
    if platform.os() == "windows" { ".zip" } else { ".tar.gz" }
}

/// The commands for one machine, as its administrator types them: PowerShell on Windows, a shell
/// elsewhere. Lines that begin with `#` say what they are for.
pub fn by_hand(download: &Download) -> Vec<String> {
    let Download { version, url, sha256, .. } = download;
    let name = download.name();
    let of_publisher = format!("compare with the SHA-256 that the publisher lists for {name}");
    if download.platform.os() == "windows" {
        vec![
            "cd $env:ProgramFiles".to_owned(),
            format!("Invoke-WebRequest -UseBasicParsing '{url}' -OutFile {name}"),
            match sha256 {
                Some(sha256) => format!(
                    "if ((Get-FileHash {name}).Hash -ne '{sha256}') {{ throw 'a wrong archive' }}"
                ),
                None => format!("(Get-FileHash {name}).Hash  # {of_publisher}"),
            },
            format!("Expand-Archive {name} Go-{version}"),
            format!(".\\Go-{version}\\go\\bin\\go version  # go{version}"),
            format!("if (Test-Path Go) {{ Rename-Item Go Go-before-{version} }}"),
            format!("Move-Item Go-{version}\\go Go"),
            "Go\\bin\\go version".to_owned(),
            "# the way back:".to_owned(),
            format!("Rename-Item Go Go-{version}-failed; Rename-Item Go-before-{version} Go"),
        ]
    } else {
        vec![
            "cd /usr/local".to_owned(),
            format!("curl -fSLo {name} '{url}'"),
            match sha256 {
                Some(sha256) => format!("echo '{sha256}  {name}' | sha256sum -c"),
                None => format!("sha256sum {name}  # {of_publisher}"),
            },
            format!("mkdir go-{version} && tar -xzf {name} -C go-{version}"),
            format!("go-{version}/go/bin/go version  # go{version}"),
            format!("[ ! -e go ] || mv -T go go-before-{version}"),
            format!("mv go-{version}/go go"),
            "go/bin/go version".to_owned(),
            "# the way back:".to_owned(),
            format!("mv -T go go-{version}-failed && mv -T go-before-{version} go"),
        ]
    }
}

/// A script for a POSIX shell that upgrades any machine that is no Windows.
pub fn shell_script(version: &GoVersion, downloads: &[Download]) -> String {
    let known = |download: &Download| {
        let Download { platform, url, sha256, .. } = download;
        let mut lines = vec![
            format!("        {platform})"),
            format!("            [ -n \"$url\" ] || url='{url}'"),
        ];
        if let Some(sha256) = sha256 {
            lines.push(format!("            [ -n \"$sha256\" ] || sha256='{sha256}'"));
        }
        lines.push("            ;;".to_owned());
        lines.join("\n")
    };
    let is_meant = |download: &&Download| download.platform.os() != "windows";
    fill(include_str!("upgrade-go.sh"), version, downloads.iter().filter(is_meant).map(known))
}

/// A script for Windows PowerShell 5.1 and later, with Windows' line ends.
pub fn powershell_script(version: &GoVersion, downloads: &[Download]) -> String {
    let known = |download: &Download| {
        let Download { platform, url, sha256, .. } = download;
        let sha256 = sha256.map(|sha256| sha256.to_string()).unwrap_or_default();
        format!("    '{platform}' = @{{ Url = '{url}'; Sha256 = '{sha256}' }}")
    };
    let is_meant = |download: &&Download| download.platform.os() == "windows";
    let downloads = downloads.iter().filter(is_meant).map(known);
    fill(include_str!("upgrade-go.ps1"), version, downloads).replace('\n', "\r\n")
}

fn fill(script: &str, version: &GoVersion, known: impl Iterator<Item = String>) -> String {
    let known = known.collect::<Vec<_>>().join("\n");
    script.replace("@VERSION@", version.as_str()).replace("@KNOWN@", &known)
}
