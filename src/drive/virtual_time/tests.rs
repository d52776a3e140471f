use super::*;
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
    let options = Options { engine, state: true };
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
