//! Who put a Go where it is.

use std::fmt;

use serde::Serialize;

use super::{Evidence, Lead, Product, Sighting, same_release};
use crate::environment::Style;
use crate::facts::GoOrigin;

/// Who put a Go where it is, as far as something vouches for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// gofleet.
    Managed,
    /// An MSI or another installer of Windows that is among the installed programs.
    Installer,
    /// Chocolatey.
    Chocolatey,
    /// A package of the system that dpkg knows.
    Package,
    /// Snap.
    Snap,
    /// Homebrew.
    Homebrew,
    /// Nix.
    Nix,
    /// Scoop.
    Scoop,
    /// mise.
    Mise,
    /// asdf.
    Asdf,
    /// goenv.
    Goenv,
    /// gvm.
    Gvm,
    /// `golang.org/dl`, or an IDE that puts its Gos into the same folder.
    Sdk,
    /// Go itself, which downloaded it as a toolchain into its module cache.
    ModuleCache,
    /// Nobody that is known, in a place that a Go for all users usually has: as a rule somebody
    /// unpacked an archive.
    Unpacked,
    /// Nobody that is known, somewhere.
    Unknown,
}

impl Origin {
    /// In the words of the facts, which servers of every age read.
    pub fn on_the_wire(self, leads: &[Lead]) -> GoOrigin {
        match self {
            Self::Managed if leads.contains(&Lead::Root) => GoOrigin::Managed,
            Self::Sdk => GoOrigin::Sdk,
            Self::ModuleCache => GoOrigin::ModuleCache,
            Self::Installer | Self::Chocolatey | Self::Package | Self::Unpacked => GoOrigin::System,
            Self::Snap | Self::Homebrew | Self::Nix if leads.contains(&Lead::System) => {
                GoOrigin::System
            }
            // In the root of another agent or user, which this one does not look after.
            Self::Managed
            | Self::Snap
            | Self::Homebrew
            | Self::Nix
            | Self::Scoop
            | Self::Mise
            | Self::Asdf
            | Self::Goenv
            | Self::Gvm
            | Self::Unknown => GoOrigin::Path,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Managed => "gofleet",
            Self::Installer => "installer",
            Self::Chocolatey => "Chocolatey",
            Self::Package => "package",
            Self::Snap => "Snap",
            Self::Homebrew => "Homebrew",
            Self::Nix => "Nix",
            Self::Scoop => "Scoop",
            Self::Mise => "mise",
            Self::Asdf => "asdf",
            Self::Goenv => "goenv",
            Self::Gvm => "gvm",
            Self::Sdk => "~/sdk",
            Self::ModuleCache => "module cache",
            Self::Unpacked => "unpacked",
            Self::Unknown => "unknown",
        })
    }
}

/// The origin, and what vouches for it beside the path.
pub(super) fn of(
    sighting: &Sighting,
    version: &str,
    product: Option<&Product>,
    evidence: &Evidence,
) -> (Origin, Option<String>) {
    if sighting.leads.contains(&Lead::Root) {
        return (Origin::Managed, None);
    }
    if let Some(product) = product {
        let by_chocolatey =
            evidence.chocolatey.as_deref().is_some_and(|it| same_release(it, version));
        let origin = if by_chocolatey { Origin::Chocolatey } else { Origin::Installer };
        return (origin, Some(product.to_string()));
    }
    if let Some(package) = &sighting.package {
        return (Origin::Package, Some(package.clone()));
    }
    let of_path = by_path(&sighting.path, evidence.style);
    let otherwise =
        if sighting.leads.contains(&Lead::System) { Origin::Unpacked } else { Origin::Unknown };
    (of_path.unwrap_or(otherwise), None)
}

/// So many folders may stand between what a tool keeps and the tree in it, as `share/go` of Nix.
const DEEPEST: usize = 2;

/// The folders that tools keep for themselves; `*` ends a component in any way.
const KEPT: [(&[&str], Origin); 17] = [
    (&[".gofleet", "releases", "go-*"], Origin::Managed),
    (&["gofleet", "releases", "go-*"], Origin::Managed),
    (&["golang.org", "toolchain@*"], Origin::ModuleCache),
    (&["scoop", "apps", "go*", "*"], Origin::Scoop),
    (&["chocolatey", "lib", "golang*"], Origin::Chocolatey),
    (&["mise", "installs", "go", "*"], Origin::Mise),
    (&[".asdf", "installs", "golang", "*"], Origin::Asdf),
    (&[".goenv", "versions", "*"], Origin::Goenv),
    (&[".gvm", "gos", "*"], Origin::Gvm),
    (&["Cellar", "go*", "*"], Origin::Homebrew),
    (&["snap", "go", "*"], Origin::Snap),
    (&["nix", "store", "*"], Origin::Nix),
    (&["sdk", "go*"], Origin::Sdk),
    (&["asdf", "installs", "golang", "*"], Origin::Asdf),
    (&["goenv", "versions", "*"], Origin::Goenv),
    (&["rtx", "installs", "go", "*"], Origin::Mise),
    (&["linuxbrew", "opt", "go*"], Origin::Homebrew),
];

/// Whole components are compared, never parts of them.
fn by_path(path: &str, style: Style) -> Option<Origin> {
    let components = style.components(path);
    let is_like = |pattern: &str, component: &str| match pattern.strip_suffix('*') {
        Some(start) => style.begins_with(component, start),
        None => style.is_same_text(component, pattern),
    };
    let stands = |pattern: &[&str]| {
        components.windows(pattern.len()).enumerate().any(|(at, window)| {
            at + pattern.len() + DEEPEST >= components.len()
                && window.iter().zip(pattern).all(|(component, part)| is_like(part, component))
        })
    };
    KEPT.iter().find(|(pattern, _)| stands(pattern)).map(|(_, origin)| *origin)
}

/// Whether Go's MSI puts its files there unless it is told otherwise: `Program Files\Go`, and
/// before Go 1.16 `C:\Go`.
pub(super) fn is_usual_for_installers(path: &str, style: Style) -> bool {
    let components = style.components(path);
    let programs = ["Program Files", "Program Files (x86)", "Program Files (Arm)"];
    match components.as_slice() {
        [drive, last] => drive.ends_with(':') && style.is_same_text(last, "Go"),
        [drive, folder, last] => {
            drive.ends_with(':')
                && programs.iter().any(|it| style.is_same_text(folder, it))
                && style.is_same_text(last, "Go")
        }
        _ => false,
    }
}
