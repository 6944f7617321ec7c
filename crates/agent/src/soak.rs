//! Checking what is active, at once and over the soak time.
//!
//! The soak is measured by a clock that only goes forward, so setting the device's clock neither
//! prolongs it nor cuts it short; how much of it has passed is written down, so that a restart
//! does not begin it anew.

use std::error::Error;

use gofleet_core::ids::ReleaseId;
use gofleet_core::order::{Evidence, Failure, FailureKind, Step};
use gofleet_core::time::Span;

use crate::check::{CheckError, Checks};
use crate::device::Device;
use crate::execute::version_in;

/// How much of a soak may be lost by a kill.
const NOTED_EVERY: Span = Span::from_secs(60);
/// How often the checks run during a long soak.
const CHECKED_EVERY: Span = Span::from_secs(5 * 60);

impl Device {
    /// Runs the checks of the release on this device.
    ///
    /// # Errors
    ///
    /// [`CheckError`]: the first that failed.
    pub async fn check(&self, release: &ReleaseId) -> Result<Evidence, CheckError> {
        let folder = self.folder().join("check");
        let own_cache = self.folder().join("go-build");
        let checks = Checks {
            tree: &self.root.tree(release),
            version: version_in(release),
            root: &self.root,
            places: &self.places,
            folder: &folder,
            cache: self.config.check_cache.as_deref().unwrap_or(&own_cache),
        };
        checks.run().await
    }

    /// Waits until `left` has passed, checks now and then, and once more at the end. Where there is
    /// nothing to wait for, the check that has just passed is the end.
    ///
    /// # Errors
    ///
    /// The failure of the first check that failed, or that another release was made active.
    pub async fn soak(&self, release: &ReleaseId, mut left: Span) -> Result<Evidence, Failure> {
        let just_checked = self.just_checked.take().filter(|(checked, _)| checked == release);
        if let Some((_, evidence)) = just_checked.filter(|_| left == Span::ZERO) {
            return Ok(evidence);
        }
        let mut unchecked = Span::ZERO;
        while left > Span::ZERO {
            let slice = left.min(NOTED_EVERY);
            tokio::time::sleep(slice.as_duration()).await;
            left = left.saturating_sub(slice);
            unchecked = unchecked.saturating_add(slice);
            let noted = self.ledger.borrow_mut().note_soaked(slice);
            if let Err(error) = noted {
                tracing::warn!(%error, "after a restart a part of the soak will be repeated");
            }
            self.is_still_active(release)?;
            if unchecked >= CHECKED_EVERY && left > Span::ZERO {
                unchecked = Span::ZERO;
                self.check(release).await.map_err(|error| broken(Step::Soaking, &error))?;
            }
        }
        self.check(release).await.map_err(|error| broken(Step::Soaking, &error))
    }

    fn is_still_active(&self, release: &ReleaseId) -> Result<(), Failure> {
        match self.root.active() {
            Ok(Some(active)) if active.active == *release => Ok(()),
            // What cannot be read just now is found out by the check.
            Err(_) => Ok(()),
            Ok(_) => Err(changed_by_somebody(Step::Soaking)),
        }
    }
}

/// The failure that a check found.
pub fn broken(step: Step, error: &CheckError) -> Failure {
    Failure { step, kind: FailureKind::Check, message: with_causes(error) }
}

/// The failure that another release was made active.
pub fn changed_by_somebody(step: Step) -> Failure {
    let message = "another release was made active while this one was being proven".to_owned();
    Failure { step, kind: FailureKind::Check, message }
}

/// An error with its causes, in one line.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
