//! What a device's report counts for: evidence, not claims.

use super::WantKind;
use crate::order::{Evidence, Failure, FailureKind, Progress, Step};

/// The step that a report stands for, and what failed.
///
/// A device that says `accepted` must show it: a receipt with that outcome, the wanted version
/// active, and checks that name it. Else the report counts as a failure.
pub fn accept_progress(
    want: WantKind,
    version: &str,
    progress: &Progress,
) -> (Step, Option<Failure>) {
    let claims_success = want == WantKind::Activate && progress.step == Step::Accepted;
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
