//! Named points at which a test kills the program.
//!
//! A test sets `GOFLEET_CHECKPOINT=NAME=FILE`: the program then creates `FILE` when it comes to
//! the point `NAME` and waits there to be killed, so that "killed between these two writes" is a
//! fact and not a matter of luck. Without debug assertions there are no checkpoints at all.

/// Every checkpoint, in the order in which an upgrade comes to them: its name, and what holds
/// there. Tests walk through this list.
pub const ALL: &[(&str, &str)] = &[
    ("agent-enrolled", "the credential is saved, nothing has been asked with it"),
    ("agent-order-recorded", "the ledger holds the order, nothing has been done for it"),
    ("agent-downloaded", "all that is needed is in downloads, nothing is unpacked"),
    ("depot-stage-begun", "the staging folder is there and empty"),
    ("depot-stage-shared", "what installed trees hold is in the staging folder, nothing else"),
    ("depot-stage-unpacked", "all files are in the staging folder, not yet synced"),
    ("depot-stage-verified", "the staged tree is verified and synced, not yet renamed"),
    ("depot-stage-replacing", "a damaged tree is moved away, its successor is not there yet"),
    ("depot-stage-renamed", "the tree has its name among the releases, nobody knows"),
    ("agent-staged", "the tree stands, the ledger does not say so yet"),
    ("agent-activating", "the ledger says that activation begins, nothing is switched"),
    ("depot-activate-begun", "the release may become active, the old one is"),
    ("depot-activate-switched", "the new is active, the link does not follow yet"),
    ("depot-activate-linked", "the new is active and the link follows, nobody knows"),
    ("agent-activated", "the new is active, the ledger does not say so yet"),
    ("agent-verified", "all checks passed, the ledger does not say so yet"),
    ("agent-soaked", "the soak is over, the ledger does not say so yet"),
    ("agent-accepted", "the ledger says accepted, the server has not heard of it"),
    ("agent-reverting", "the ledger says that going back begins, nothing is switched"),
    ("agent-reverted", "the earlier release is active, the ledger does not say so yet"),
    ("depot-remove-begun", "a release is not installed any more, its tree is still there"),
    ("depot-remove-renamed", "a removed tree has lost its name, its ledger entry is still there"),
    ("server-decided", "the reconciler has decided, nothing is written"),
    ("server-committed", "the reconciler's transaction is committed, nobody was told"),
    ("prepare-made", "a pack or delta is made and checked, it has no name among the artifacts"),
    ("prepare-named", "a pack or delta has its name, no table knows of it"),
    ("environment-journaled", "the journal holds a change of the environment, nothing is changed"),
    ("environment-changed", "the first of the changes is made, others may not be, nobody was told"),
    ("environment-restored", "the first of the changes is undone, the journal still holds it"),
];

/// Waits here to be killed if a test asked for it by this name; otherwise does nothing.
#[inline]
pub fn checkpoint(name: &str) {
    if cfg!(debug_assertions) {
        debug_assert!(ALL.iter().any(|(known, _)| *known == name), "unlisted checkpoint {name}");
        stop_if_asked(name);
    }
}

fn stop_if_asked(name: &str) {
    let Ok(asked) = std::env::var("GOFLEET_CHECKPOINT") else { return };
    let Some(file) = asked.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) else {
        return;
    };
    if std::fs::write(file, name).is_err() {
        return;
    }
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_none_begins_another_assignment() {
        let mut names: Vec<_> = ALL.iter().map(|(name, _)| *name).collect();
        assert!(names.iter().all(|name| !name.contains('=')));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn a_point_that_nobody_asked_for_is_passed() {
        checkpoint("agent-staged");
    }
}
