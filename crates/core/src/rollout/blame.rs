//! Whose fault a failure is: the device's or the release's.
//!
//! A release that is broken breaks many devices alike; a device that is broken fails alike with one
//! release after the other. So a device is blamed only if it failed alike with two releases, and
//! with each of them more of the other devices did well than failed as it did. What is not shown to
//! be the device's fault counts against the release.

use super::{DeviceView, RolloutView};
use crate::guard::{Guard, permits};
use crate::hold::QuarantineCause;
use crate::ids::ReleaseId;
use crate::order::{Failure, Step};

/// How a device failed in another rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierFailure {
    /// The release that it was to get.
    pub release: ReleaseId,
    /// What failed.
    pub failure: Failure,
    /// How the other devices of that rollout did with the same release.
    pub others: Comparison,
}

/// How other devices did with a release, compared with one that failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Comparison {
    /// How many accepted it.
    pub well: u32,
    /// How many failed alike.
    pub alike: u32,
}

impl Comparison {
    /// Counts another device that had the release.
    pub fn count(&mut self, failed: &Failure, step: Step, failure: Option<&Failure>) {
        self.well += u32::from(step == Step::Accepted);
        self.alike += u32::from(failure.is_some_and(|failure| failure.is_like(failed)));
    }

    /// Whether the device is the exception, and not the rule.
    fn blames_the_device(self) -> bool {
        permits(Guard::OthersDoWell, self.well > self.alike)
    }
}

impl DeviceView {
    /// Whether its failure says nothing of the release, since it is the device's own.
    pub(super) fn is_at_fault(&self) -> bool {
        let is_its_own = matches!(self.quarantined_for, Some(QuarantineCause::FailsAlike { .. }));
        is_its_own && self.has_failed()
    }

    fn has_failed(&self) -> bool {
        let has_failed = matches!(
            self.step,
            Step::Failed | Step::Reverting | Step::Reverted | Step::Quarantined
        );
        has_failed && self.is_to_upgrade() && self.superseded_by.is_none()
    }
}

impl RolloutView {
    /// What a device is to be put into quarantine for, once for each of its attempts.
    pub(super) fn fault_of(&self, device: &DeviceView) -> Option<QuarantineCause> {
        let is_new = device.quarantined_for.is_none() && device.has_failed();
        let failure = device.failure.as_ref().filter(|_| is_new)?.clone();
        if device.step == Step::Quarantined {
            return Some(QuarantineCause::Stuck { failure });
        }
        let releases = self.releases_failed_alike(device, &failure);
        if releases.len() > 1 {
            return Some(QuarantineCause::FailsAlike { releases, failure });
        }
        let retry = &self.spec.retry;
        let was_retried = failure.kind.may_pass() && retry.times > 0;
        let is_over = was_retried && device.step == Step::Reverted && !device.tries_again(retry);
        let attempts = device.attempts;
        is_over.then_some(QuarantineCause::RetriesExhausted { attempts, failure })
    }

    /// The releases with which the device failed alike while most others did well, that of the
    /// rollout first; none if that is not among them, or the only one.
    fn releases_failed_alike(&self, device: &DeviceView, failure: &Failure) -> Vec<ReleaseId> {
        let mut releases = Vec::new();
        // Looking at all others is only worth it where there is a second release.
        if device.earlier_failures.is_empty()
            || !self.comparison(device, failure).blames_the_device()
        {
            return releases;
        }
        releases.push(device.release.clone());
        for earlier in &device.earlier_failures {
            let is_alike = earlier.failure.is_like(failure) && earlier.others.blames_the_device();
            if is_alike && !releases.contains(&earlier.release) {
                releases.push(earlier.release.clone());
            }
        }
        releases
    }

    /// How the rollout's other devices do with the release of one that failed.
    fn comparison(&self, device: &DeviceView, failure: &Failure) -> Comparison {
        let mut comparison = Comparison::default();
        let others = self.devices.iter().filter(|it| it.device != device.device);
        for other in others.filter(|it| it.release == device.release) {
            comparison.count(failure, other.step, other.failure.as_ref());
        }
        comparison
    }
}
