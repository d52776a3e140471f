//! Whole scenarios drawn from seeds, and what must hold of each.

use super::tests::play_on;
use super::*;
use crate::calls::Verb;
use crate::scenario;
use crate::seed::Seed;
use proptest::prelude::*;
use serde_json::Value;
use std::fmt::Write as _;

/// Draws in order; small on purpose, so that a failure can be read.
struct Draws(Seed, u64);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.1 += 1;
        self.0.below(self.1, bound)
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

/// A scenario: any topology, one to six clusters, one to three add-ons of any delivery, up to five steps of any kind.
fn drawn(seed: u64) -> String {
    let mut draws = Draws(Seed::new(seed).child("swarm"), 0);
    let mut text =
        String::from("apiVersion: flamboyance.dev/v1alpha1\nkind: Scenario\nmetadata: { name: drawn }\nspec:\n");
    let clusters = 1 + draws.below(6);
    let _ = writeln!(text, "  fleet: {{ clusters: {clusters} }}\n  addons:");
    let addons = 1 + draws.below(3);
    let mut charts = false;
    let mut is_chart = Vec::new();
    for n in 0..addons {
        let source = draws.one(&[
            "git: { url: 'https://git.example.org/a.git', path: ./x }",
            "oci: { url: 'oci://registry.example.org/a' }",
            "helm: { url: 'https://charts.example.org', chart: a }",
        ]);
        let source = source.replace("/a", &format!("/a{n}")).replace("chart: a", &format!("chart: a{n}"));
        let interval = draws.one(&["2s", "7s", "1m"]);
        let wait = if source.starts_with("helm") { "" } else { draws.one(&["", ", wait: false"]) };
        // Flux lets charts depend on charts, and Kustomizations on Kustomizations.
        let chart = source.starts_with("helm");
        is_chart.push(chart);
        let alike = std::mem::replace(&mut charts, chart) == chart;
        let depends = if n > 0 && alike && draws.below(3) == 0 {
            format!(", dependsOn: [addon-{}]", n - 1)
        } else {
            String::new()
        };
        // Without it nobody mends what drifts.
        let mend = if source.starts_with("helm") { ", driftDetection: true" } else { "" };
        let values = draws.one(&["", ", values: { a: '{cluster}' }", ", values: { a: b }"]);
        let _ = writeln!(
            text,
            "    - {{ name: addon-{n}, source: {{ {source} }}, versions: ['1.0.0', '1.1.0'], interval: {interval}{wait}{depends}{mend}{values} }}"
        );
    }
    let _ = writeln!(text, "  topology: {}", topology(&mut draws, clusters));
    let _ = writeln!(text, "  manager: {{ concurrency: {}, behaviour: fixed }}", 1 + draws.below(4));
    text.push_str("  timeline:\n    - { at: 0s, change: { install: { waves: 2, waveGap: 300ms } } }\n");
    let mut upgraded = Vec::new();
    for _ in 0..draws.below(6) {
        let at = 500 + draws.below(12_000);
        let nth = draws.below(addons);
        let addon = format!("addon-{nth}");
        let change = match draws.below(7) {
            // A second upgrade to the same version would be no change, which scenarios refuse.
            0 if !upgraded.contains(&addon) => {
                upgraded.push(addon.clone());
                format!("upgrade: {{ addon: {addon}, version: '1.1.0' }}")
            }
            1 => format!("scale: {{ addon: {addon}, values: {{ a: c }}, replicas: 3 }}"),
            // Nobody depends on the last: what depends on what is gone waits for ever.
            2 => format!("decommission: {{ addon: addon-{} }}", addons - 1),
            3 => {
                let kinds: &[&str] =
                    if is_chart[usize::try_from(nth).unwrap()] { &["edit"] } else { &["delete", "edit"] };
                format!("drift: {{ addon: {addon}, apps: 2, kind: {} }}", draws.one(kinds))
            }
            4 => format!("clusters: {{ delta: {} }}", draws.one(&["2", "-1"])),
            5 => format!("commit: {{ addon: {addon} }}"),
            _ => "churn: { rate: 2/s, duration: 3s }".to_owned(),
        };
        let _ = writeln!(text, "    - {{ at: {at}ms, change: {{ {change} }} }}");
    }
    let ready = draws.one(&["fixed: 0s", "uniform: { min: 20ms, max: 900ms }"]);
    let fetch = draws.one(&["fixed: 0s", "exponential: { mean: 50ms }"]);
    let flux = format!("flux: {{ fetch: {{ {fetch} }}, dependencyPoll: 1s }}");
    let _ =
        writeln!(text, "  run: {{ seed: {}, timeout: 30m, workloadReady: {{ {ready} }}, {flux} }}", seed % 1_000_000);
    text
}

fn topology(draws: &mut Draws, clusters: u64) -> String {
    match draws.below(6) {
        0 => "{ kind: hub-and-spoke }".to_owned(),
        1 if clusters > 1 => {
            format!("{{ kind: cells, shards: 2, scheme: {} }}", draws.one(&["round-robin", "rendezvous"]))
        }
        2 if clusters > 1 => "{ kind: sharded, shards: 2, scheme: round-robin }".to_owned(),
        _ => "{ kind: single }".to_owned(),
    }
}

/// The names of the objects of a kind on a cluster.
fn names<'a>(objects: &'a Value, cluster: &str, kinds: &'a [&str]) -> Vec<&'a str> {
    let of = objects[cluster].as_array().unwrap().iter();
    let of = of.filter(|object| kinds.contains(&object["kind"].as_str().unwrap()));
    of.map(|object| object["metadata"]["name"].as_str().unwrap()).collect()
}

const WORKLOADS: &[&str] = &["Kustomization", "HelmRelease"];

/// What must hold of every scenario.
fn check(seed: u64) -> Result<(), TestCaseError> {
    let text = drawn(seed);
    // A step that would change nothing, for one, is refused.
    let Ok(scenario) = scenario::parse(&text, "drawn", &[]) else { return Err(TestCaseError::reject("refused")) };
    let world = World::generate(&scenario);
    let outcome = play_on(&scenario, Engine::Wheel);
    let progress = outcome.measured.progress;
    // Every app converges, and no change is lost.
    prop_assert_eq!(&outcome.ending, &Ending::Settled, "{} {:?}", text, awaited(&world, &outcome));
    prop_assert_eq!((progress.healthy, progress.open()), (progress.apps, 0), "{}", text);
    prop_assert_eq!(progress.changes, progress.finished + progress.superseded + progress.abandoned);
    prop_assert_eq!(progress.double_owned, 0);
    // What is on the hub is on its leaf.
    let objects = outcome.state.as_ref().unwrap();
    let apps = names(objects, "hub", &["Application"]);
    prop_assert_eq!(apps.len() as u64, progress.apps);
    for cluster in world.clusters().ids().map(|id| world.clusters().name(id)) {
        for app in names(objects, &cluster, WORKLOADS) {
            prop_assert!(apps.contains(&app), "{app} is on {cluster} and not on the hub: {text}");
        }
        let installed = names(objects, &cluster, WORKLOADS);
        let here = apps.iter().filter(|app| app.ends_with(&format!("-{cluster}")));
        for app in here {
            prop_assert!(installed.contains(app), "{app} is on the hub and not on {cluster}: {text}");
        }
    }
    // Both queues give the same run.
    let heap = play_on(&scenario, Engine::Heap);
    prop_assert_eq!((outcome.digest, outcome.events), (heap.digest, heap.events), "{}", text);
    prop_assert_eq!(&outcome.controllers, &heap.controllers);
    // Nobody reads a leaf without being told that it changed: managers watch.
    let gets = outcome.managers.iter().flat_map(|m| m.calls.iter()).filter(|(key, _)| key.verb == Verb::Get);
    prop_assert_eq!(gets.count(), 0);
    Ok(())
}

/// Seeds that once found something. The last one deleted an object of a chart while Helm waited for it: the install times
/// out and, without retries, Flux gives up for good. That is upstream's behaviour, so such a drift is no longer drawn.
const ONCE: [u64; 2] = [1, 8_227_515_101_694_813_723];

/// The same seeds every time: a gate does not draw lots.
#[test]
fn whole_scenarios_drawn_from_seeds_end_well() {
    for seed in ONCE.into_iter().chain(100..120) {
        match check(seed) {
            Ok(()) | Err(TestCaseError::Reject(_)) => {}
            Err(failed) => panic!("seed {seed}: {failed}"),
        }
    }
}
