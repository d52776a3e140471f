use super::super::tests::play_on;
use super::super::{Ending, Engine, Outcome};
use crate::measure::Ownership;
use crate::scenario;
use crate::units::Span;

/// Forty clusters with one app each.
fn played(topology: &str, steps: &str) -> (Outcome, Ownership) {
    let text = format!(
        "apiVersion: flamboyance.dev/v1alpha1\nkind: Scenario\nmetadata: {{ name: crew }}\nspec:\n  fleet: {{ clusters: 40 }}\n  \
         addons: [{{ name: a, source: {{ git: {{ url: \"https://x.example/a.git\", path: . }} }}, versions: [v1, v2] }}]\n  \
         topology: {{ kind: sharded, {topology} }}\n  timeline:\n    - {{ change: {{ install: {{}} }} }}\n{steps}  \
         run: {{ duration: 70s, timeout: 1h }}\n"
    );
    let scenario = scenario::parse(&text, "crew", &[]).unwrap_or_else(|e| panic!("{text}: {e:?}"));
    let mut outcome = play_on(&scenario, Engine::Wheel);
    assert_eq!(outcome.ending, Ending::Settled, "{text}");
    let progress = outcome.measured.progress;
    assert_eq!((progress.healthy, progress.open(), progress.double_owned), (40, 0, 0), "{text}");
    let ownership = outcome.measured.ownership.take().unwrap();
    assert!(ownership.gaps.iter().all(|gap| gap.closed), "{text}: {ownership:?}");
    (outcome, ownership)
}

const UPGRADE: &str = "    - { at: 10100ms, change: { upgrade: { addon: a, version: v2 } } }\n";

#[test]
fn the_clusters_of_a_dead_manager_are_taken_over_when_its_lease_is_over_and_come_back_with_it() {
    for (lease, scheme) in [(2, "rendezvous"), (5, "legacy"), (15, "round-robin")] {
        let kill = "    - { at: 10s, fault: { kind: kill, manager: 1, duration: 30s } }\n";
        let (_, ownership) =
            played(&format!("shards: 4, scheme: {scheme}, lease: {lease}s"), &format!("{kill}{UPGRADE}"));
        let gap = ownership.gaps[0];
        // Renewed at most a third of the lease before the death.
        let earliest = Span::from_millis(lease * 1_000 * 2 / 3);
        assert!((earliest..=Span::from_secs(lease + 2)).contains(&gap.lasted), "lease {lease}s: {gap:?}");
        assert!(gap.clusters > 0 && ownership.moved >= 2 * gap.clusters, "{ownership:?}");
    }
}

#[test]
fn without_leases_clusters_wait_for_their_manager() {
    let kill = "    - { at: 10s, fault: { kind: kill, manager: 1, duration: 30s } }\n";
    let (_, ownership) = played("shards: 4, scheme: round-robin", &format!("{kill}{UPGRADE}"));
    assert!(ownership.gaps[0].lasted > Span::from_secs(30), "{ownership:?}");
    assert_eq!((ownership.gaps[0].clusters, ownership.moved), (10, 10));
}

#[test]
fn managers_that_come_and_go_in_order_leave_no_longer_gap_than_their_writes() {
    let steps = format!(
        "    - {{ at: 10s, change: {{ managers: {{ delta: 2 }} }} }}\n    - {{ at: 20s, change: {{ managers: {{ delta: -3 }} }} }}\n{UPGRADE}"
    );
    let (outcome, ownership) = played("shards: 2, scheme: rendezvous, lease: 15s", &steps);
    assert_eq!(outcome.managers.len(), 4);
    let moved = |from: u64, to: u64| -> u64 {
        let within = |at: Span| (Span::from_secs(from)..Span::from_secs(to)).contains(&at);
        let gains = ownership.gains.iter().filter(|(at, _)| within(Span(at.0)));
        gains.map(|(_, clusters)| clusters).sum()
    };
    // Half of the clusters go to the two that come; then all but those of manager 0 come to it.
    assert!((12..=28).contains(&moved(10, 20)), "{ownership:?}");
    assert!((22..=36).contains(&moved(20, 70)), "{ownership:?}");
    assert!(ownership.gaps.iter().all(|gap| gap.lasted < Span::from_secs(1)), "{ownership:?}");
}

#[test]
fn clusters_go_where_somebody_said_with_leases_and_without() {
    for lease in ["", ", lease: 3s"] {
        let steps =
            "    - { at: 10s, change: { move: { clusters: [cluster-00000, cluster-00001, cluster-00002], to: 1 } } }\n";
        let (outcome, ownership) = played(&format!("shards: 3, scheme: round-robin{lease}"), steps);
        // The order of ids decides where they were.
        assert!((1..=3).contains(&ownership.moved), "{ownership:?}");
        assert_eq!(outcome.measured.progress.repeated_calls, 0, "apps that had nothing to do");
        let patches = outcome.harness.iter().filter(|(key, _)| key.kind == Some(crate::calls::Kind::SECRET));
        assert_eq!(patches.map(|(_, n)| n).sum::<u64>(), 3);
    }
}

#[test]
fn a_manager_that_stands_still_loses_its_clusters_and_gets_them_back() {
    let pause = "    - { at: 10s, fault: { kind: pause, manager: 0, duration: 20s } }\n";
    let (_, ownership) = played("shards: 2, scheme: round-robin, lease: 2s", &format!("{pause}{UPGRADE}"));
    assert!(ownership.moved >= 40, "20 to the other and 20 back: {ownership:?}");
}
