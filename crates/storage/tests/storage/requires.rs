//! What releases ask of other packages, in the catalog and for devices of two rollouts.

use gofleet_core::dependency::Dependencies;
use gofleet_core::ids::PackageName;
use gofleet_core::rollout::{Command, command};
use gofleet_storage::{ImportError, Imported};

use super::*;

/// A release of a package that requires this.
fn asking(package: &str, version: &str, requires: &[&str]) -> (Release, Manifest) {
    let (mut release, manifest) = release(version, package.as_bytes());
    release.release.package = package.parse().unwrap();
    let ReleaseRef { package, platform, .. } = &release.release;
    release.release.id = ReleaseRef::id_of(package, version, platform).unwrap();
    let requires = requires.iter().map(|it| it.parse().unwrap()).collect();
    release.dependencies = Dependencies { requires, conflicts: Vec::new() };
    (release, manifest)
}

impl Bench {
    async fn ask(
        &self,
        package: &str,
        version: &str,
        requires: &[&str],
    ) -> Result<Imported, ImportError> {
        let (release, manifest) = asking(package, version, requires);
        self.storage.import_release(&ann(), &release, &manifest, self.now).await
    }

    async fn approve(&self, package: &str, version: &str) {
        let id = asking(package, version, &[]).0.release.id;
        let decision = ReleaseDecision { by: "ann".into(), at: self.now, reason: String::new() };
        let approved = ReleaseStatus::Approved;
        self.storage.decide_release(&ann(), &id, approved, decision).await.unwrap();
    }

    async fn tell_agent(&self, n: usize, version: &str) {
        let mut facts = new_device(n).facts;
        facts.agent_version = version.to_owned();
        let report = Report { facts: Some(facts), ..Report::default() };
        let id = new_device(n).id;
        self.storage.take_report(&id, &report, self.now).await.unwrap();
    }

    async fn reasons(&self, rollout: &RolloutId) -> Vec<String> {
        let status = gofleet_core::rollout::status(&self.view(rollout).await, 0, self.now);
        let devices = status.rings_detail.into_iter().flat_map(|ring| ring.devices);
        devices.filter_map(|device| Some(device.reason?.code)).collect()
    }
}

#[tokio::test]
async fn what_a_release_asks_for_is_said_until_it_is_decided() {
    let bench = Bench::new().await;
    let first = bench.ask("go", "1.27.3", &[]).await.unwrap();
    assert!(matches!(first, Imported::New(_)));
    let asked = bench.ask("go", "1.27.3", &["gofleet-agent>=0.2.0"]).await.unwrap();
    let Imported::Known(asked) = asked else { panic!("{asked:?}") };
    assert_eq!(asked.dependencies.to_string(), "requires gofleet-agent>=0.2.0");
    let known = bench.ask("go", "1.27.3", &[]).await.unwrap();
    assert_eq!(known, Imported::Known(asked.clone()), "who says nothing changes nothing");
    bench.approve("go", "1.27.3").await;
    let error = bench.ask("go", "1.27.3", &["gofleet-agent>=0.1.0"]).await.unwrap_err();
    assert!(matches!(error, ImportError::Decided { .. }), "{error}");
    let kept = bench.storage.release(&asked.release.id).await.unwrap();
    assert_eq!(kept.dependencies, asked.dependencies);
}

#[tokio::test]
async fn who_closes_a_circle_is_refused_with_it() {
    let bench = Bench::new().await;
    bench.ask("a", "2.0", &["b>=2"]).await.unwrap();
    let error = bench.ask("b", "2.0", &["a>=2"]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "b-2.0-linux-amd64 could never be installed: b-2.0-linux-amd64 requires a>=2; \
         a-2.0-linux-amd64 would do; a-2.0-linux-amd64 requires b>=2; b-2.0-linux-amd64 would do; \
         that is a circle"
    );
    assert_eq!(bench.storage.releases().await.unwrap().len(), 1);
    bench.ask("b", "2.0", &["a>=1"]).await.unwrap_err();
    bench.ask("a", "1.0", &[]).await.unwrap();
    bench.ask("b", "2.0", &["a>=1"]).await.unwrap();
}

#[tokio::test]
async fn who_gets_the_agent_by_another_rollout_waits_until_that_has_ended() {
    let bench = Bench::new().await;
    for (package, version, requires) in
        [("gofleet-agent", "0.2.0", &[][..]), ("go", "1.27.3", &["gofleet-agent>=0.2.0"])]
    {
        bench.ask(package, version, requires).await.unwrap();
        bench.approve(package, version).await;
    }
    for n in 0..2 {
        bench.enrol(n).await;
    }
    let agent: PackageName = "gofleet-agent".parse().unwrap();
    let mut first = spec("agent");
    (first.package, first.version) = (agent.clone(), "0.2.0".to_owned());
    let plan = bench.plan(&first).await;
    let first = bench.storage.start_rollout(&ann(), &plan, bench.now).await.unwrap();
    bench.tick(&first).await;

    let moving = bench.storage.moving().await.unwrap();
    assert_eq!((&moving[0].rollout, &moving[0].package), (&first, &agent));
    let mut go = spec("go");
    go.rings.remove(0);
    let plan = bench.plan(&go).await;
    let waiting = plan.rings.iter().flat_map(|ring| &ring.devices);
    assert!(waiting.into_iter().all(|device| device.waits_for == Some(first.clone())));
    let second = bench.storage.start_rollout(&ann(), &plan, bench.now).await.unwrap();
    bench.tick(&second).await;
    assert_eq!(bench.order(&new_device(0).id).await.map(|it| it.rollout), Some(first.clone()));
    assert_eq!(bench.reasons(&second).await, ["waits_for_package"; 2]);
    bench.tell_agent(0, "0.2.0").await;
    bench.tell_agent(1, "0.2.0").await;
    assert_eq!(bench.reasons(&second).await[0], "waits_for_package", "it may yet be put back");

    // The first ends; one device has lost by then what it had.
    bench.tell_agent(1, "0.1.0").await;
    let person = ann();
    let decide = |view: &RolloutView| command(view, Command::Stop, "ann");
    let decider = Decider::Person { by: &person, command: Command::Stop };
    let done = bench.storage.decide_rollout(decider, &first, bench.now, decide, |_| {}).await;
    done.unwrap().unwrap();
    bench.tick(&first).await;
    for n in 0..2 {
        if bench.order(&new_device(n).id).await.is_some() {
            bench.obey(&new_device(n).id).await;
        }
    }
    bench.tick(&first).await;
    assert!(bench.view(&first).await.state.is_final());
    bench.tell_agent(0, "0.2.0").await;
    bench.tell_agent(1, "0.1.0").await;
    for _ in 0..3 {
        bench.tick(&second).await;
    }
    let ordered = async |n| bench.order(&new_device(n).id).await.map(|order| order.rollout);
    assert_eq!(ordered(0).await, Some(second.clone()));
    assert_ne!(ordered(1).await, Some(second.clone()));
    assert!(bench.reasons(&second).await.contains(&"package_missing".to_owned()));
}
