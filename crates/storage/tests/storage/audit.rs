//! The audit log in the database: an entry for each change, and tampering that is found.

use std::path::{Path, PathBuf};

use gofleet_core::audit::{AuditEntry, Fault, Verifier, verify};
use gofleet_core::emergency::EmergencyStop;
use gofleet_storage::{AuditFilter, Kept, StorageError};
use sqlx::{AnyConnection, Connection as _};

use super::*;

impl Bench {
    fn database(&self) -> PathBuf {
        self.folder.path().join("a b%20#?").join("gofleet.db")
    }

    /// A statement by somebody who has the file.
    async fn tamper(&self, statement: &'static str) {
        let address = self.database().to_str().unwrap().replace('%', "%25").replace('?', "%3F");
        let address = format!("sqlite://{}", address.replace('#', "%23").replace(' ', "%20"));
        let mut connection = AnyConnection::connect(&address).await.unwrap();
        sqlx::query(statement).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn lines(&self) -> Vec<String> {
        let entries = self.storage.audit_since(0, u32::MAX).await.unwrap();
        entries.iter().map(AuditEntry::line).collect()
    }

    async fn actions(&self) -> Vec<String> {
        let entries = self.storage.audit_since(0, u32::MAX).await.unwrap();
        entries.into_iter().map(|entry| entry.action).collect()
    }

    /// What a verification against the log's own head says.
    async fn fault(&self) -> Option<Fault> {
        let head = self.storage.audit_head().await.unwrap();
        verify(Verifier::default().with_current(head), self.lines().await).err()
    }

    async fn stop(&self) -> Kept {
        let stop = EmergencyStop { by: "ann".into(), reason: "fire".into(), at: self.now };
        self.storage.stop_everything(&ann(), stop).await.kept
    }
}

/// Keeps every append from being made.
const NO_APPENDS: &str =
    "CREATE TRIGGER no_appends BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END";

#[tokio::test]
async fn every_decision_has_one_entry_and_what_devices_tell_has_none() {
    let mut bench = Bench::with_fleet(1).await;
    let rollout = bench.start("go").await;
    let device = bench.order_of_only_device(&rollout).await;
    bench.obey(&device).await;
    bench.pass(1);
    while bench.tick(&rollout).await > 0 {}
    let expect = [
        "release.imported",
        "release.decided",
        "release.imported",
        "release.decided",
        "token.created",
        "device.enrolled",
        "rollout.started",
        "rollout.ring",
    ];
    let actions = bench.actions().await;
    assert_eq!(actions[..expect.len()], expect);
    let rest = &actions[expect.len()..];
    assert!(rest.iter().all(|action| action.starts_with("rollout.")), "{rest:?}");
    assert_eq!(rest.last().unwrap(), "rollout.state", "it ends with the rollout");
    assert_eq!(bench.fault().await, None);
    let by_server = AuditFilter { actor: "server".to_owned(), ..Default::default() };
    let entries = bench.storage.audit_entries(&by_server, 100).await.unwrap();
    assert_eq!(entries.len(), actions.len() - 7);
    assert!(entries.is_sorted_by(|a, b| a.sequence > b.sequence), "newest first");
    let only = |action: &str| AuditFilter { action: action.to_owned(), ..Default::default() };
    let found = async |action| bench.storage.audit_entries(&only(action), 100).await.unwrap().len();
    assert_eq!(
        (found("release").await, found("release.decided").await, found("rel").await),
        (4, 2, 0)
    );
}

impl Bench {
    async fn order_of_only_device(&self, rollout: &RolloutId) -> DeviceId {
        while self.tick(rollout).await > 0 {}
        self.view(rollout).await.devices[0].device.clone()
    }
}

/// Harms the file of a log of 22 entries while no server runs, and tells what a verification of
/// the export finds.
async fn check(statement: &'static str, expect: Fault) {
    let mut bench = Bench::with_fleet(9).await;
    let link = *bench.storage.audit_links().borrow();
    assert_eq!(link.count, 22);
    bench.storage.close().await;
    bench.tamper(statement).await;
    bench.reopen().await;
    bench.storage.expect_audit(link).await.unwrap();
    assert_eq!(bench.fault().await, Some(expect), "{statement}");
}

#[tokio::test]
async fn an_edit_of_any_column_is_found() {
    for statement in [
        "UPDATE audit SET at = at + 1 WHERE sequence = 8",
        "UPDATE audit SET told_at = at WHERE sequence = 8",
        "UPDATE audit SET kind = 'device' WHERE sequence = 8",
        "UPDATE audit SET actor = 'eve' WHERE sequence = 8",
        "UPDATE audit SET via = 'token' WHERE sequence = 8",
        "UPDATE audit SET origin = '192.0.2.1' WHERE sequence = 8",
        "UPDATE audit SET action = 'release.decided' WHERE sequence = 8",
        "UPDATE audit SET subject = NULL WHERE sequence = 8",
        "UPDATE audit SET details = replace(details, ',', ', ') WHERE sequence = 8",
        "UPDATE audit SET details = 'x' WHERE sequence = 8",
        "UPDATE audit SET previous = upper(previous) WHERE sequence = 8",
        "UPDATE audit SET hash = 'x' WHERE sequence = 8",
        "UPDATE audit SET actor = x'ff00' WHERE sequence = 8",
        "UPDATE audit SET at = 'soon' WHERE sequence = 8",
        "UPDATE audit SET at = at + 0.5 WHERE sequence = 8",
    ] {
        check(statement, Fault::Edited { entry: 8 }).await;
    }
}

#[tokio::test]
async fn rows_that_are_deleted_swapped_or_cut_off_are_found() {
    check("DELETE FROM audit WHERE sequence = 8", Fault::Deleted { entry: 8, through: 8 }).await;
    check("DELETE FROM audit WHERE sequence < 5", Fault::Deleted { entry: 1, through: 4 }).await;
    check("DELETE FROM audit WHERE sequence > 20", Fault::TailCut { entry: 21, count: 22 }).await;
    check("DELETE FROM audit", Fault::TailCut { entry: 1, count: 22 }).await;
    let swap = "UPDATE audit SET sequence = 17 - sequence + 1000 WHERE sequence IN (8, 9); \
                UPDATE audit SET sequence = sequence - 1000 WHERE sequence > 1000";
    check(swap, Fault::Edited { entry: 8 }).await;
}

#[tokio::test]
async fn an_older_database_is_found_told_and_told_apart_by_a_kept_head() {
    let mut bench = Bench::with_fleet(3).await;
    bench.storage.close().await;
    let copy = bench.folder.path().join("copy");
    std::fs::copy(bench.database(), &copy).unwrap();
    bench.reopen().await;
    bench.enrol(3).await;
    let kept = bench.storage.audit_head().await.unwrap();
    bench.storage.close().await;
    put_back(&copy, &bench.database());

    bench.reopen().await;
    assert!(!bench.storage.expect_audit(kept.link()).await.unwrap(), "the server finds it");
    let expect = Fault::TailCut { entry: 11, count: 12 };
    assert_eq!(bench.fault().await, Some(expect), "until the log is told of it");
    bench.storage.settle_audit(bench.now).await.unwrap();
    bench.enrol(3).await;
    assert_eq!(
        bench.actions().await[10..],
        ["audit.history_lost", "token.created", "device.enrolled"]
    );
    assert_eq!(bench.fault().await, Some(Fault::HistoryLost { entry: 11 }));
    let head = bench.storage.audit_head().await.unwrap();
    let with_kept = Verifier::default().with_current(head).with_kept(kept);
    let expect = Fault::OlderDatabase { entry: 12, found: 12, count: 12 };
    assert_eq!(verify(with_kept, bench.lines().await), Err(expect));
    let vouched = Verifier::default().with_current(head).with_kept(head);
    assert!(verify(vouched, bench.lines().await).is_ok(), "a head kept since then vouches");
}

fn put_back(copy: &Path, database: &Path) {
    for end in ["-wal", "-shm"] {
        let mut file = database.as_os_str().to_owned();
        file.push(end);
        let _may_be_absent = std::fs::remove_file(file);
    }
    std::fs::copy(copy, database).unwrap();
}

#[tokio::test]
async fn a_tail_that_is_cut_under_a_running_server_is_told_by_the_next_change() {
    let bench = Bench::with_fleet(2).await;
    bench.tamper("DELETE FROM audit WHERE sequence > 6").await;
    assert_eq!(bench.fault().await, Some(Fault::TailCut { entry: 7, count: 8 }));
    bench.enrol(2).await;
    assert_eq!(bench.fault().await, Some(Fault::HistoryLost { entry: 7 }));
}

#[tokio::test]
async fn what_the_log_cannot_be_told_of_is_not_done() {
    let mut bench = Bench::with_fleet(2).await;
    let rollout = bench.start("go").await;
    bench.tamper(NO_APPENDS).await;
    let (before, events) = (bench.lines().await, bench.kinds().await);
    let token = Digest::of(b"one more");
    let refused = bench.storage.add_token(&ann(), &token, any(), START, START).await;
    assert!(matches!(refused, Err(StorageError::Audit { .. })), "{refused:?}");
    let decide = |view: &RolloutView| Ok::<_, ()>(advance(view, START));
    let refused =
        bench.storage.decide_rollout(Decider::Server, &rollout, START, decide, |_| {}).await;
    assert!(matches!(refused, Err(StorageError::Audit { .. })), "{refused:?}");
    // Reads go on, and what devices tell of themselves is taken.
    assert_eq!(bench.storage.tokens().await.unwrap().len(), 2);
    bench.pass(60);
    bench.storage.touch(&new_device(0).id, bench.now).await.unwrap();
    assert_eq!((bench.lines().await, bench.kinds().await), (before, events), "nothing was changed");
}

#[tokio::test]
async fn the_emergency_stop_works_without_the_log_which_is_told_later() {
    let mut bench = Bench::with_fleet(2).await;
    let rollout = bench.start("go").await;
    let device = bench.order_of_only_device(&rollout).await;
    assert!(matches!(bench.order(&device).await.unwrap().want, Want::Activate { .. }));
    bench.tamper(NO_APPENDS).await;
    assert!(matches!(bench.stop().await, Kept::Owed));
    // What has not switched is taken back, on the stop's account.
    while bench.tick(&rollout).await > 0 {}
    assert_eq!(bench.order(&device).await.unwrap().want, Want::Hold);
    let lifted = bench.storage.lift_emergency(&ann(), bench.now).await;
    assert!(matches!(lifted, Err(StorageError::Audit { .. })), "lifting is a change as any other");

    // The debt outlives a restart, and is settled once.
    bench.reopen().await;
    assert!(bench.storage.settle_audit(bench.now).await.is_err());
    bench.tamper("DROP TRIGGER no_appends").await;
    let stopped_at = bench.now;
    bench.pass(3600);
    let before = bench.lines().await.len();
    for _ in 0..2 {
        bench.storage.settle_audit(bench.now).await.unwrap();
    }
    let told = bench.storage.audit_since(before as u64, 100).await.unwrap();
    let actions: Vec<_> = told.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["emergency.stopped", "rollout.state"]);
    for entry in &told {
        assert_eq!((entry.at, entry.told_at), (stopped_at, Some(bench.now)));
    }
    assert_eq!(bench.fault().await, None);
}

#[tokio::test]
async fn the_emergency_stop_holds_even_if_the_database_cannot_take_it() {
    let bench = Bench::with_fleet(1).await;
    let rollout = bench.start("go").await;
    bench
        .tamper("CREATE TRIGGER full BEFORE INSERT ON meta BEGIN SELECT RAISE(ABORT, 'full'); END")
        .await;
    assert!(matches!(bench.stop().await, Kept::InMemory { .. }));
    assert!(bench.storage.emergency().await.unwrap().is_some());
    while bench.tick(&rollout).await > 0 {}
    let device = &bench.view(&rollout).await.devices[0].device;
    assert_eq!(bench.order(device).await, None, "nothing begins");
    assert!(bench.storage.settle_emergency(bench.now).await.is_err());
    bench.tamper("DROP TRIGGER full").await;
    bench.storage.settle_emergency(bench.now).await.unwrap();
    assert_eq!(bench.actions().await.last().unwrap(), "emergency.stopped");
    assert!(bench.storage.lift_emergency(&ann(), bench.now).await.unwrap().is_some());
    assert_eq!(bench.fault().await, None);
}

#[tokio::test]
async fn no_secret_stands_in_an_entry() {
    let bench = Bench::with_fleet(1).await;
    let session = Digest::of(b"a session");
    bench.storage.add_session(&ann(), &session, (None, START), START).await.unwrap();
    let lines = bench.lines().await.concat();
    // Not even the digests by which the database knows them: they would let a reader of the log
    // look for them elsewhere.
    for secret in [Digest::of(b"token0"), new_device(0).credential, session] {
        assert!(!lines.contains(&secret.to_string()), "{lines}");
    }
}
