use super::*;
use crate::calls::{Target, Verb};
use crate::scenario;

fn shipped(name: &str, sets: &[&str]) -> Scenario {
    let path = format!("{}/scenarios/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    scenario::load(&path, &sets).unwrap_or_else(|e| panic!("{e:?}"))
}

fn play(scenario: &Scenario) -> Outcome {
    play_on(scenario, Engine::Wheel)
}

pub(super) fn play_on(scenario: &Scenario, engine: Engine) -> Outcome {
    let options = Options { engine, state: true, ..Options::default() };
    run(scenario, &World::generate(scenario), options, &mut |_, _| ControlFlow::Continue(()))
}

#[test]
fn the_smallest_scenario_ends_with_every_app_healthy() {
    let outcome = play(&shipped("smoke", &[]));
    assert_eq!(outcome.ending, Ending::Settled, "{outcome:#?}");
    let progress = outcome.measured.progress;
    assert_eq!((progress.apps, progress.healthy, progress.open()), (20, 20, 0));
}

/// The recorded sums: 4N + 2D + 16 for a Kustomization that waits for N = 4 objects, D = 1 of them a Deployment, 10 for its
/// source, 6 for a Deployment with replicas. Source and Kustomization are written together and back off alike, so that the
/// first look at the source comes before its artifact if the store commits at once: two calls more.
#[test]
fn an_install_makes_the_calls_that_were_recorded_of_the_real_controllers() {
    let outcome = play(&shipped("smoke", &["model.leaf.commit=0s"]));
    assert_eq!(outcome.controllers.total(), 20 * (4 * 4 + 2 + 16 + 10 + 6 + 2));
    // Two applies, three reports (synced, the early look, healthy) and a watch of each of two kinds.
    assert_eq!(outcome.managers[0].calls.total(), 20 * (2 + 3 + 2));
}

#[test]
fn a_day_of_a_platform_team_ends_with_every_app_healthy() {
    let outcome = play(&shipped("quickstart", &[]));
    assert_eq!(outcome.ending, Ending::Settled, "{outcome:#?}");
    let progress = outcome.measured.progress;
    assert_eq!((progress.healthy, progress.open(), progress.changes), (progress.apps, 0, 1_446));
    assert_eq!(outcome.refused, Vec::<String>::new());
}

#[test]
fn the_same_run_has_the_same_digest_and_another_seed_another() {
    let quick = &["fleet.clusters=40"];
    let (a, b) = (play(&shipped("quickstart", quick)), play(&shipped("quickstart", quick)));
    assert_eq!((a.digest, a.events, &a.controllers), (b.digest, b.events, &b.controllers));
    let heap = play_on(&shipped("quickstart", quick), Engine::Heap);
    assert_eq!((a.digest, a.events, &a.controllers), (heap.digest, heap.events, &heap.controllers));
    let other = play(&shipped("quickstart", &["fleet.clusters=40", "run.seed=2"]));
    assert_ne!(a.digest, other.digest);
}

/// The recorded sums of an install: a Kustomization that waits for N = 4 objects, D = 1 of them a Deployment, takes
/// 4N + 2D + 16 calls and its source 10; a HelmRelease takes 42 of helm-controller, 8 of the Helm SDK, 10 for its chart and 10
/// for the repository; a Deployment with replicas 6. Source and Kustomization are written together and back off alike, so that
/// the first look at the source comes before its artifact: two calls more. Beside the controllers every app takes one call of the harness and one
/// copy to its leaf, and its manager two applies.
#[test]
fn a_million_clusters_install_by_the_recorded_sums() {
    let only_install = ["fleet.clusters=30", "timeline=[{ at: 0s, change: { install: {} } }]", "run.duration=0s"];
    let outcome = play(&shipped("million", &only_install));
    assert_eq!(outcome.ending, Ending::Settled);
    let (kustomize, helm) = (4 * 4 + 2 + 16 + 10 + 6 + 2, 42 + 8 + 10 + 10 + 6);
    assert_eq!(outcome.controllers.total(), 30 * (3 * kustomize + helm));
    let verbs = |tally: &Tally, target, verb| -> u64 {
        tally.iter().filter(|(key, _)| (key.target, key.verb) == (target, verb)).map(|(_, n)| n).sum()
    };
    assert_eq!(verbs(&outcome.harness, Target::Hub, Verb::Create), 30 * 4);
    let above = outcome.above.unwrap();
    assert_eq!(verbs(&above.calls, Target::Leaf, Verb::Apply), 30 * 4);
    let managers: u64 = outcome.managers.iter().map(|row| verbs(&row.calls, Target::Leaf, Verb::Apply)).sum();
    assert_eq!(managers, 30 * 4 * 2);
}

#[test]
fn a_run_goes_on_until_its_duration_is_over() {
    let still = play(&shipped("million", &["fleet.clusters=2"]));
    assert_eq!((still.ending, still.simulated), (Ending::Settled, Span::from_secs(70 * 60)));
    // Four apps on two clusters, looked at every three to four minutes for more than an hour.
    let rounds: u64 = still.measured.shards.iter().flat_map(|shard| shard.rounds).sum();
    assert!(rounds > 8 * 15, "{rounds}");
}

#[test]
fn what_does_not_fit_is_told_with_its_arithmetic() {
    let scenario = shipped("million", &["fleet.clusters=3000"]);
    let world = World::generate(&scenario);
    assert_eq!(check(&scenario, &world, 8 << 20, 2), Ok(()));
    let scenario = shipped("million", &["fleet.clusters=3000", "topology.kind=single"]);
    let refused = check(&scenario, &world, 8 << 20, 2).unwrap_err();
    assert!(refused.to_string().contains("15000 changes of 3000 clusters"), "{refused}");
    let shared = shipped("million", &["fleet.clusters=3000", "model.host=2"]);
    assert_eq!(check(&shared, &world, u64::MAX, 2), Err(Impossible::Shared { kind: "hub-and-spoke", key: "host" }));
}
