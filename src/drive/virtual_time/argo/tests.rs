//! Argo CD's model against Argo CD 3.2.0 as it was measured on two cores that everything shared.

use crate::drive::virtual_time::{Ending, Engine, Options, Outcome, run};
use crate::fleet::World;
use crate::scenario;
use std::ops::ControlFlow;

/// One Application is one ConfigMap of 2 KB, from one repository, on the hub itself; all are created at once.
const MEASURED: &str = "
apiVersion: flamboyance.dev/v1alpha1
kind: Scenario
metadata: { name: measured }
spec:
  fleet: { clusters: 1 }
  addons:
    - name: cm
      mode: ordinary
      instances: 300
      source: { git: { url: 'https://git.example.org/apps.git', path: ./apps } }
      versions: [main, next]
      objects: { deployments: 0, configMaps: 1, configMapSize: 2Ki, serviceAccounts: 0, services: 0 }
  manager: { kind: argocd }
  model: { host: 2 }
  timeline: [{ at: 0s, change: { install: {} } }]
  run: { timeout: 1h }
";

fn play(text: &str, sets: &[&str], engine: Engine) -> Outcome {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let scenario = scenario::parse(text, "test", &sets).unwrap();
    let world = World::generate(&scenario);
    run(&scenario, &world, Options { engine, ..Options::default() }, &mut |_, _| ControlFlow::Continue(()))
}

/// Seconds until all were done, Application calls per app, CPU seconds of the controller: measured, and how far the model
/// may be off in percent.
#[track_caller]
fn check(sets: &[&str], apps: u64, measured: [f64; 3], percent: [f64; 3]) {
    let outcome = play(MEASURED, sets, Engine::Wheel);
    let calls = outcome.managers[0].calls.iter();
    let of_apps: u64 = calls.filter(|(k, _)| k.kind == Some(crate::calls::Kind::APPLICATION)).map(|(_, n)| n).sum();
    let modelled = [
        outcome.measured.all_healthy.unwrap().as_secs_f64(),
        of_apps as f64 / apps as f64,
        outcome.managers[0].cpu.as_secs_f64(),
    ];
    for ((modelled, measured), percent) in modelled.into_iter().zip(measured).zip(percent) {
        let off = (modelled / measured - 1.0) * 100.0;
        assert!(off.abs() <= percent, "{sets:?}: {modelled:.1} and measured {measured:.1}, {off:.1}% off");
    }
}

#[test]
fn the_bucket_of_the_application_client_is_the_wall_that_was_measured() {
    check(&["spec.addons.0.instances=100"], 100, [17.6, 9.60, 12.9], [4.0, 3.0, 12.0]);
    check(&[], 300, [55.6, 9.49, 40.2], [4.0, 3.0, 12.0]);
    check(&["spec.addons.0.instances=600"], 600, [113.3, 9.49, 85.1], [4.0, 3.0, 12.0]);
    check(&["spec.manager.hub={qps: 25/s, burst: 50}"], 300, [113.2, 9.5, 49.9], [4.0, 3.0, 25.0]);
}

#[test]
fn beyond_the_bucket_two_cores_are_the_limit_that_was_measured() {
    check(&["spec.manager.hub={qps: 100/s, burst: 200}"], 300, [38.6, 9.7, 39.1], [10.0, 4.0, 12.0]);
    check(&["spec.manager.hub={qps: 200/s, burst: 400}"], 300, [43.0, 9.7, 41.6], [15.0, 4.0, 12.0]);
    let many = ["spec.manager.hub={qps: 200/s, burst: 400}", "spec.manager.concurrency=100"];
    check(&many, 300, [40.5, 10.2, 42.0], [10.0, 4.0, 12.0]);
}

#[test]
fn a_run_is_the_same_whatever_queue_it_runs_on() {
    let [wheel, heap] = [Engine::Wheel, Engine::Heap].map(|engine| play(MEASURED, &[], engine));
    assert_eq!((wheel.digest, wheel.events), (heap.digest, heap.events));
    assert_eq!(wheel.limits.iter().max_by(|a, b| a.share.total_cmp(&b.share)).unwrap().resource, "qps");
}

/// Two add-ons with Deployments on three clusters.
const LIFE: &str = "
apiVersion: flamboyance.dev/v1alpha1
kind: Scenario
metadata: { name: life }
spec:
  fleet: { clusters: 3 }
  addons:
    - name: web
      source: { git: { url: 'https://git.example.org/web.git', path: ./deploy } }
      versions: [v1, v2]
    - name: db
      source: { helm: { url: 'https://charts.example.org', chart: db } }
      versions: ['1.0.0']
  manager: { kind: argocd, resync: 10s, resyncJitter: 5s }
  timeline:
    - { at: 0s, change: { install: {} } }
    - { at: 60s, change: { upgrade: { addon: web, version: v2 } } }
    - { at: 120s, change: { commit: { addon: db } } }
    - { at: 180s, change: { drift: { addon: web, apps: 3, kind: edit } } }
    - { at: 240s, change: { decommission: { addon: db } } }
  run: { timeout: 10m }
";

#[test]
fn apps_are_installed_changed_healed_and_removed() {
    let outcome = play(LIFE, &[], Engine::Wheel);
    let progress = outcome.measured.progress;
    assert_eq!(outcome.ending, Ending::Settled, "{:?}", outcome.measured.unfinished);
    assert_eq!((progress.changes, progress.finished), (18, 18), "{:?}", outcome.measured.unfinished);
    assert_eq!((progress.apps, progress.healthy, outcome.refused), (3, 3, vec![]));
}

#[test]
fn with_the_loopback_step_flux_on_the_clusters_brings_apps_about() {
    let sets = [
        "spec.manager.kind=flamingo",
        "spec.timeline.3.at=500s",
        "spec.timeline.3.change={upgrade: {addon: web, version: v1}}",
    ];
    let outcome = play(LIFE, &sets, Engine::Wheel);
    assert_eq!(outcome.ending, Ending::Settled, "{:?}", outcome.measured.unfinished);
    // The original leaves Flux objects where they are, so nothing is removed with an Application.
    assert_eq!((outcome.measured.progress.apps, outcome.measured.progress.healthy), (3, 3));
    let verbs: Vec<_> = outcome.controllers.iter().map(|(key, _)| key.verb).collect();
    assert!(verbs.contains(&crate::calls::Verb::Apply), "Flux applied objects");
}
