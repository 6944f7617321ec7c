//! Whether a device may get a release, as far as the packages on it go, with the chain that shows
//! why not.
//!
//! A release may go to a device whose active packages are what it requires and not what it conflicts
//! with, and which has no package that would lose by it what that one requires. What a rollout that
//! moves is to bring counts for nothing before that rollout has ended: it may yet be put back.

mod chain;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

pub use chain::{Chain, Link, Unmet, UnmetKind};

use super::PlanError;
use crate::dependency::Requirement;
use crate::facts::Facts;
use crate::ids::{PackageName, ReleaseId, RolloutId};
use crate::release::{Platform, Release, ReleaseStatus};
use crate::version;

/// What a rollout that moves brings to its devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moving {
    /// The rollout.
    pub rollout: RolloutId,
    /// The package that it brings.
    pub package: PackageName,
    /// In this version.
    pub version: String,
}

/// The releases that there are, by what they require and conflict with.
#[derive(Debug)]
pub struct Relations<'a> {
    /// Of each package and platform, newest first.
    releases: BTreeMap<(&'a PackageName, &'a Platform), Vec<&'a Release>>,
    /// Whether any of them asks for anything.
    has_any: bool,
}

/// A device, as far as packages go.
#[derive(Debug, Clone, Copy)]
struct Asked<'a> {
    platform: &'a Platform,
    versions: &'a BTreeMap<PackageName, String>,
    coming: Option<&'a Moving>,
    world: World,
}

/// What is made of what the catalog does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum World {
    /// Nothing can bring it.
    Closed,
    /// It may come into the catalog, or a device may have it already, as it may have an earlier
    /// version of the package itself.
    Open,
}

/// The releases that rollouts could bring to a device, one after the other, each with the number of
/// rounds that it takes at least.
type Obtainable<'a> = BTreeMap<&'a ReleaseId, usize>;

impl Asked<'_> {
    fn has(&self, requirement: &Requirement) -> bool {
        let version = self.versions.get(&requirement.package);
        version.is_some_and(|version| requirement.versions.contains(version))
    }
}

impl<'a> Relations<'a> {
    /// Those of a catalog.
    pub fn of(catalog: &'a [Release]) -> Self {
        let mut releases: BTreeMap<_, Vec<&Release>> = BTreeMap::new();
        let has_any = catalog.iter().any(|release| !release.dependencies.is_empty());
        // Without any there is nothing to be looked up.
        for release in catalog.iter().filter(|_| has_any) {
            let key = (&release.release.package, &release.release.platform);
            releases.entry(key).or_default().push(release);
        }
        for of_package in releases.values_mut() {
            of_package.sort_by(|a, b| version::compare(&b.release.version, &a.release.version));
        }
        Self { releases, has_any }
    }

    /// Whether no release asks for anything, so that every device fulfils everything.
    pub const fn is_empty(&self) -> bool {
        !self.has_any
    }

    /// Why a device may not get a release yet, or at all; `coming` is what a rollout is bringing to
    /// it.
    pub fn unmet(
        &self,
        release: &Release,
        facts: &Facts,
        coming: Option<&Moving>,
    ) -> Option<Unmet> {
        if self.is_empty() {
            return None;
        }
        let (platform, versions) = (&facts.platform, &facts.versions());
        let asked = Asked { platform, versions, coming, world: World::Closed };
        let own = self.own_unmet(release, asked, &self.obtainable(asked), &mut Vec::new());
        first_worst(own.into_iter().chain(self.broken_by(release, asked)))
    }

    /// The circle that keeps a release from every device that does not have it, whatever else comes
    /// into the catalog.
    pub fn cycle(&self, release: &Release) -> Option<Chain> {
        let (platform, versions) = (&release.release.platform, &BTreeMap::new());
        let asked = Asked { platform, versions, coming: None, world: World::Open };
        let obtainable = self.obtainable(asked);
        if obtainable.contains_key(&release.release.id) {
            return None;
        }
        first_worst(self.own_unmet(release, asked, &obtainable, &mut Vec::new())).map(|it| it.chain)
    }

    /// What rollouts could bring to a device: what asks for nothing else, then what asks for no more
    /// than that, and so on.
    fn obtainable(&self, asked: Asked<'_>) -> Obtainable<'a> {
        let here = || self.releases.iter().filter(|((_, platform), _)| *platform == asked.platform);
        let mut obtainable = Obtainable::new();
        for round in 0.. {
            let is_next = |it: &&&Release| {
                !obtainable.contains_key(&it.release.id) && self.is_next(it, asked, &obtainable)
            };
            let next: Vec<_> =
                here().flat_map(|(_, all)| all).filter(is_next).map(|it| &it.release.id).collect();
            if next.is_empty() {
                break;
            }
            obtainable.extend(next.into_iter().map(|id| (id, round)));
        }
        obtainable
    }

    fn is_next(&self, it: &Release, asked: Asked<'_>, obtainable: &Obtainable<'_>) -> bool {
        let is_given = |requirement: &Requirement| {
            let mut candidates = self.candidates(it, requirement, asked).peekable();
            let is_own = requirement.package == it.release.package;
            asked.has(requirement)
                || asked.world == World::Open && (is_own || candidates.peek().is_none())
                || candidates.any(|candidate| obtainable.contains_key(&candidate.release.id))
        };
        it.status != ReleaseStatus::Blocked
            && it.dependencies.requires.iter().all(is_given)
            && !it.dependencies.conflicts.iter().any(|conflict| asked.has(conflict))
    }

    /// The releases that would fulfil what a release requires, newest first.
    fn candidates<'b>(
        &self,
        release: &'b Release,
        requirement: &'b Requirement,
        asked: Asked<'b>,
    ) -> impl Iterator<Item = &'a Release> + use<'a, 'b> {
        let known = self.releases.get(&(&requirement.package, asked.platform)).cloned();
        known.into_iter().flatten().filter(|it| {
            let is_within = requirement.versions.contains(&it.release.version);
            is_within && it.status != ReleaseStatus::Blocked && it.release.id != release.release.id
        })
    }

    /// What a release asks for and the device does not fulfil. `path` is where the chain came from.
    fn own_unmet<'b>(
        &self,
        release: &'b Release,
        asked: Asked<'b>,
        obtainable: &Obtainable<'_>,
        path: &mut Vec<&'b ReleaseId>,
    ) -> Vec<Unmet>
    where
        'a: 'b,
    {
        path.push(&release.release.id);
        let mut unmet = Vec::new();
        for requirement in &release.dependencies.requires {
            unmet.extend(self.required(release, requirement, asked, (obtainable, &mut *path)));
        }
        path.pop();
        let conflicts = release.dependencies.conflicts.iter();
        unmet.extend(conflicts.filter_map(|conflict| conflicting(release, conflict, asked)));
        unmet
    }

    fn required<'b>(
        &self,
        release: &'b Release,
        requirement: &'b Requirement,
        asked: Asked<'b>,
        (obtainable, path): (&Obtainable<'_>, &mut Vec<&'b ReleaseId>),
    ) -> Option<Unmet>
    where
        'a: 'b,
    {
        let id = release.release.id.clone();
        let mut links = vec![Link::Requires { release: id, requirement: requirement.clone() }];
        let package = &requirement.package;
        if let Some(coming) = asked.coming.filter(|it| it.package == *package) {
            links.push(Link::Coming(coming.clone()));
            let kind = match requirement.versions.contains(&coming.version) {
                true => UnmetKind::Waits(coming.rollout.clone()),
                false => UnmetKind::Conflict,
            };
            return Some(Unmet { kind, chain: Chain(links) });
        }
        if asked.has(requirement) {
            return None;
        }
        if asked.world == World::Closed {
            let version = asked.versions.get(package).cloned();
            links.push(Link::Has { package: package.clone(), version });
        }
        let rounds = |it: &&Release| obtainable.get(&it.release.id).copied().unwrap_or(usize::MAX);
        let candidate = self.candidates(release, requirement, asked).min_by_key(rounds);
        let Some(candidate) = candidate else {
            links.push(Link::NoneWouldDo);
            return Some(Unmet { kind: UnmetKind::Nowhere, chain: Chain(links) });
        };
        links.push(Link::WouldDo { release: candidate.release.id.clone() });
        if path.contains(&&candidate.release.id) {
            return Some(Unmet { kind: UnmetKind::Cycle, chain: Chain(links) });
        }
        let asked = Asked { coming: None, ..asked };
        let next = first_worst(self.own_unmet(candidate, asked, obtainable, path));
        let kind = match &next {
            Some(next) if !obtainable.contains_key(&candidate.release.id) => next.kind.clone(),
            Some(_) | None => UnmetKind::Missing,
        };
        links.extend(next.into_iter().flat_map(|next| next.chain.0));
        Some(Unmet { kind, chain: Chain(links) })
    }

    /// What the packages that the device has or is getting would lose by a release.
    fn broken_by(&self, release: &Release, asked: Asked<'_>) -> Vec<Unmet> {
        let has = asked.versions.iter().map(|(package, version)| {
            let link = Link::Has { package: package.clone(), version: Some(version.clone()) };
            (package, version, link)
        });
        let coming = asked.coming.map(|it| (&it.package, &it.version, Link::Coming(it.clone())));
        let others = has.chain(coming).filter(|(it, ..)| **it != release.release.package);
        let mut broken = Vec::new();
        for (package, version, link) in others {
            let known = self.releases.get(&(package, asked.platform));
            let is_it = |it: &&&Release| it.release.version == *version;
            let Some(other) = known.and_then(|known| known.iter().find(is_it)) else { continue };
            for lost in lost_by(other, release) {
                broken.push(Unmet {
                    kind: UnmetKind::Conflict,
                    chain: Chain(vec![link.clone(), lost]),
                });
            }
        }
        broken
    }
}

/// What a package would lose by a release of another.
fn lost_by<'a>(other: &'a Release, release: &'a Release) -> impl Iterator<Item = Link> + 'a {
    let new = &release.release;
    let is_about = move |it: &&Requirement| it.package == new.package;
    let id = || other.release.id.clone();
    let needed = other.dependencies.requires.iter().filter(is_about);
    let needed = needed.filter(|it| !it.versions.contains(&new.version));
    let needed = needed.map(move |it| Link::Requires { release: id(), requirement: it.clone() });
    let shunned = other.dependencies.conflicts.iter().filter(is_about);
    let shunned = shunned.filter(|it| it.versions.contains(&new.version));
    let id = || other.release.id.clone();
    needed.chain(shunned.map(move |it| Link::ConflictsWith { release: id(), conflict: it.clone() }))
}

fn conflicting(release: &Release, conflict: &Requirement, asked: Asked<'_>) -> Option<Unmet> {
    let package = &conflict.package;
    let coming = asked.coming.filter(|it| it.package == *package);
    let coming = coming.filter(|it| conflict.versions.contains(&it.version));
    let version = asked.versions.get(package).filter(|it| conflict.versions.contains(it));
    let found = match (coming, version) {
        (Some(coming), _) => Link::Coming(coming.clone()),
        (None, version) => Link::Has { package: package.clone(), version: Some(version?.clone()) },
    };
    let release = release.release.id.clone();
    let begin = Link::ConflictsWith { release, conflict: conflict.clone() };
    Some(Unmet { kind: UnmetKind::Conflict, chain: Chain(vec![begin, found]) })
}

/// The first of those that are worst.
fn first_worst(unmet: impl IntoIterator<Item = Unmet>) -> Option<Unmet> {
    unmet.into_iter().min_by_key(|it| Reverse(it.kind.rank()))
}

/// Why devices may not get releases, looked at once for all that are alike.
#[derive(Debug)]
pub struct Fulfilment<'a> {
    relations: Relations<'a>,
    known: HashMap<Kind<'a>, Option<Unmet>>,
    /// The kind that was asked for last and fulfils all: neighbours are mostly alike.
    last: Option<Kind<'a>>,
}

/// What devices have in common that fulfil alike: release, platform, Go, agent, further packages,
/// and the rollout that is bringing something.
type Kind<'a> = (
    &'a ReleaseId,
    &'a Platform,
    Option<&'a str>,
    &'a str,
    &'a BTreeMap<PackageName, String>,
    Option<&'a RolloutId>,
);

impl<'a> Fulfilment<'a> {
    /// By what the releases of a catalog ask for.
    pub fn of(catalog: &'a [Release]) -> Self {
        Self { relations: Relations::of(catalog), known: HashMap::new(), last: None }
    }

    /// Whether no release asks for anything.
    pub const fn is_empty(&self) -> bool {
        self.relations.is_empty()
    }

    /// As [`Relations::unmet`].
    pub fn unmet(
        &mut self,
        release: &'a Release,
        facts: &'a Facts,
        coming: Option<&'a Moving>,
    ) -> Option<Unmet> {
        if self.is_empty() {
            return None;
        }
        let (active, agent) = (facts.active.as_deref(), facts.agent_version.as_str());
        let rollout = coming.map(|it| &it.rollout);
        let id = &release.release.id;
        let kind = (id, &facts.platform, active, agent, &facts.packages, rollout);
        if self.last == Some(kind) {
            return None;
        }
        let Self { relations, known, last } = self;
        let unmet = known.entry(kind).or_insert_with(|| relations.unmet(release, facts, coming));
        if unmet.is_none() {
            *last = Some(kind);
        }
        unmet.clone()
    }
}

/// That no device can get the release as things stand, with the chains of all that would else move.
pub(super) fn unfulfilled<'a>(unmet: impl Iterator<Item = &'a Unmet>) -> Option<PlanError> {
    let mut chains: BTreeMap<String, usize> = BTreeMap::new();
    for it in unmet {
        *chains.entry(it.to_string()).or_default() += 1;
    }
    (!chains.is_empty()).then_some(PlanError::Unfulfilled { chains })
}
