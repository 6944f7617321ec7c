//! What a device's report counts for: evidence, not claims.

use super::WantKind;
use crate::agent::Seen;
use crate::guard::{Guard, detects};
use crate::order::{Evidence, Failure, FailureKind, Order, Progress, Step, Want};

/// An order, and what its device has told of it so far.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The order.
    pub order: &'a Order,
    /// Where the device stood.
    pub step: Step,
    /// The sequence of the latest report that counted.
    pub sequence: Option<u64>,
    /// Bytes that it had downloaded.
    pub bytes_downloaded: u64,
    /// What had failed.
    pub failure: Option<&'a Failure>,
}

/// What a report brings that was not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Where the device stands.
    pub step: Step,
    /// What failed.
    pub failure: Option<Failure>,
    /// Whether it took another step or got more bytes.
    pub has_moved: bool,
}

/// What a report under an order's generation brings; none if it came late or twice, or is about
/// another order that had the same generation before the server's database was put back.
pub fn take_report(told: &Told<'_>, progress: &Progress) -> Option<News> {
    let is_about_another = progress.order.is_some_and(|about| about != Seen::of(told.order).digest);
    if detects(Guard::ForeignReport, is_about_another) {
        return None;
    }
    let is_known = told.sequence.is_some_and(|latest| progress.sequence <= latest);
    if detects(Guard::RepeatedReport, is_known) {
        return None;
    }
    let (step, failure) = match &told.order.want {
        Want::Activate { release, .. } => {
            accept_progress(WantKind::Activate, &release.version, progress)
        }
        Want::Offer { .. } => accept_offered(progress),
        Want::Revert { .. } | Want::Hold => (progress.step, progress.failure.clone()),
    };
    let in_receipt = progress.receipt.as_ref().and_then(|receipt| receipt.failure.clone());
    // The way back keeps the reason for it.
    let kept = match step {
        Step::Failed | Step::Reverting | Step::Reverted | Step::Quarantined => {
            told.failure.cloned()
        }
        Step::Waiting
        | Step::Offered
        | Step::Fetching
        | Step::Staged
        | Step::Activating
        | Step::Verifying
        | Step::Soaking
        | Step::Accepted
        | Step::Skipped => None,
    };
    let has_moved = step != told.step || progress.bytes_downloaded > told.bytes_downloaded;
    Some(News { step, failure: failure.or(in_receipt).or(kept), has_moved })
}

/// The step that a report stands for, and what failed.
///
/// A device that says `accepted` must show it: a receipt with that outcome, the wanted version
/// active, and checks that name it. Else the report counts as a failure.
fn accept_progress(want: WantKind, version: &str, progress: &Progress) -> (Step, Option<Failure>) {
    let claims_success =
        detects(Guard::Evidence, want == WantKind::Activate && progress.step == Step::Accepted);
    let lack = if claims_success { lack_of_evidence(version, progress) } else { None };
    match lack {
        None => (progress.step, progress.failure.clone()),
        Some(lack) => {
            let message = format!("the device says accepted, but {lack}");
            let failure = Failure { step: Step::Accepted, kind: FailureKind::Check, message };
            (Step::Failed, Some(failure))
        }
    }
}

/// The step that a report about an offer stands for: nothing is activated under one, whatever the
/// device says.
fn accept_offered(progress: &Progress) -> (Step, Option<Failure>) {
    match progress.step {
        Step::Activating | Step::Soaking | Step::Accepted => {
            let message = format!("the device says {}, and was only offered it", progress.step);
            let failure = Failure { step: progress.step, kind: FailureKind::Check, message };
            (Step::Failed, Some(failure))
        }
        step => (step, progress.failure.clone()),
    }
}

fn lack_of_evidence(version: &str, progress: &Progress) -> Option<String> {
    let Some(receipt) = &progress.receipt else {
        return Some("sent no receipt".to_owned());
    };
    if receipt.outcome != Step::Accepted {
        return Some(format!("its receipt says {}", receipt.outcome));
    }
    if receipt.active.as_deref() != Some(version) {
        let active = receipt.active.as_deref().unwrap_or("nothing");
        return Some(format!("its receipt shows {active} active, not {version}"));
    }
    match &receipt.evidence {
        None => Some("its receipt shows no checks".to_owned()),
        Some(evidence) if !names(evidence, version) => {
            Some(format!("`go version` printed `{}`", evidence.go_version))
        }
        Some(_) => None,
    }
}

/// Whether `go version` printed this very version: `go version go1.27.3 linux/amd64`.
fn names(evidence: &Evidence, version: &str) -> bool {
    let mut words = evidence.go_version.split_whitespace();
    words.any(|word| word.strip_prefix("go").unwrap_or(word) == version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::order::Receipt;
    use crate::time::{Span, Timestamp};

    fn accepted() -> Progress {
        let at = Timestamp::from_millis(0);
        let evidence = Evidence {
            go_sha256: Digest::of(b"go"),
            go_version: "go version go1.27.3 linux/amd64".to_owned(),
            goroot: "/r".to_owned(),
            path_hit: None,
            path_is_managed: false,
            program_output: "ok".to_owned(),
            took: Span::ZERO,
        };
        let receipt = Receipt {
            outcome: Step::Accepted,
            active: Some("1.27.3".to_owned()),
            manifest: None,
            files_verified: 1,
            evidence: Some(evidence),
            bytes_downloaded: 0,
            way: None,
            started_at: at,
            finished_at: at,
            steps: Vec::new(),
            failure: None,
        };
        Progress {
            generation: 1,
            order: None,
            sequence: 1,
            step: Step::Accepted,
            active: receipt.active.clone(),
            waits_until: None,
            answer: None,
            bytes_downloaded: 0,
            way: None,
            failure: None,
            receipt: Some(receipt),
        }
    }

    fn check(change: impl FnOnce(&mut Progress), expect: Step, says: &str) {
        let mut progress = accepted();
        change(&mut progress);
        let (step, failure) = accept_progress(WantKind::Activate, "1.27.3", &progress);
        let message = failure.map(|failure| failure.message).unwrap_or_default();
        assert_eq!(step, expect, "{message}");
        assert!(message.contains(says), "{message}");
    }

    #[test]
    fn only_evidence_counts_as_success() {
        check(|_| {}, Step::Accepted, "");
        check(|it| it.receipt = None, Step::Failed, "sent no receipt");
        let receipt = |it: &mut Progress, change: fn(&mut Receipt)| {
            change(it.receipt.as_mut().unwrap());
        };
        check(|it| receipt(it, |it| it.outcome = Step::Reverted), Step::Failed, "says reverted");
        check(
            |it| receipt(it, |it| it.active = Some("1.27.2".into())),
            Step::Failed,
            "shows 1.27.2 active, not 1.27.3",
        );
        check(|it| receipt(it, |it| it.evidence = None), Step::Failed, "no checks");
        check(
            |it| {
                receipt(it, |it| {
                    it.evidence.as_mut().unwrap().go_version = "go version go1.27.30 x".into();
                });
            },
            Step::Failed,
            "go1.27.30",
        );
        check(|it| it.step = Step::Soaking, Step::Soaking, "");
    }

    #[test]
    fn a_report_about_a_lost_order_does_not_count_for_another_of_its_generation() {
        let order = |issued_ms| Order {
            device: "d1".parse().unwrap(),
            epoch: 1,
            generation: 1,
            issued_at: Timestamp::from_millis(issued_ms),
            rollout: "r1".parse().unwrap(),
            want: Want::Hold,
        };
        let (lost, given) = (order(1), order(2));
        let told = Told {
            order: &given,
            step: Step::Offered,
            sequence: None,
            bytes_downloaded: 0,
            failure: None,
        };
        let about = |order: &Order| Progress { order: Some(Seen::of(order).digest), ..accepted() };
        assert_eq!(take_report(&told, &about(&lost)), None);
        assert!(take_report(&told, &about(&given)).is_some());
        assert!(take_report(&told, &accepted()).is_some(), "of an agent that does not tell");
    }
}
