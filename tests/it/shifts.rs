//! Who manages what changes while a run goes: managers come and go, clusters are moved by hand, a cell is drained.

use crate::run::{assert_contract, run, said};
use serde_json::Value;

const SCENARIO: &str = r#"
apiVersion: flamboyance.dev/v1alpha1
kind: Scenario
metadata: { name: shifting }
spec:
  fleet: { clusters: 12 }
  addons:
    - name: ingress
      source: { git: { url: "https://git.example.org/ingress.git", path: ./deploy } }
      versions: [v1, v2, v3]
  topology: { TOPOLOGY }
  timeline:
    - at: 0s
      change: { install: {} }
STEPS
  run: { timeout: 120s, flux: { healthPoll: 100ms, backoffBase: 10ms } }
"#;

fn written(topology: &str, steps: &[(&str, &str)]) -> String {
    let steps: Vec<String> =
        steps.iter().map(|(at, change)| format!("    - at: {at}\n      change: {{ {change} }}")).collect();
    SCENARIO.replace("TOPOLOGY", topology).replace("STEPS", &steps.join("\n"))
}

fn play(topology: &str, steps: &[(&str, &str)]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shifting.yaml");
    std::fs::write(&path, written(topology, steps)).unwrap();
    let output = run(&path, &folder.path().join("result"));
    assert_eq!(output.status.code(), Some(0), "{topology}: {}", said(&output));
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_contract(&record);
    let counts = &record["counts"];
    let figures = ["apps_healthy", "failed", "double_owned"].map(|name| counts[name].as_u64().unwrap());
    assert_eq!(figures, [12, 0, 0], "{topology}: {counts}");
    record
}

/// Clusters moved by each step.
fn moved(record: &Value) -> Vec<u64> {
    let shifts = record["ownership"]["shifts"].as_array().unwrap().iter();
    shifts.map(|shift| shift["clusters_moved"].as_u64().unwrap()).collect()
}

#[test]
fn managers_come_and_go_in_order_and_no_change_is_lost() {
    let record = play(
        "kind: sharded, shards: 2, scheme: legacy, lease: 3s",
        &[
            ("2s", "managers: { delta: 1 }"),
            ("2500ms", "upgrade: { addon: ingress, version: v2 }"),
            ("5s", "managers: { delta: -2 }"),
            ("5s", "upgrade: { addon: ingress, version: v3 }"),
        ],
    );
    let moved = moved(&record);
    assert!(moved.len() == 2 && moved.iter().all(|clusters| (3..=12).contains(clusters)), "{moved:?}");
    assert_eq!(record["managers"].as_array().unwrap().len(), 3);
    // Whoever leaves in order is not waited for: nobody was without an owner for as long as a lease.
    assert!(record["ownership"]["gap_max_s"].as_f64().unwrap() < 3.0, "{}", record["ownership"]);
}

#[test]
fn clusters_moved_by_hand_go_where_somebody_said() {
    let record = play(
        "kind: sharded, shards: 3, scheme: rendezvous, lease: 3s",
        &[("2s", "move: { clusters: [cluster-00000, cluster-00001, cluster-00002, cluster-00003], to: 1 }")],
    );
    let moved = moved(&record);
    // The other two were there already.
    assert_eq!(moved, [2], "{}", record["ownership"]);
    assert_eq!(record["ownership"]["calls_repeated"], 0, "apps that had nothing to do");
}

#[test]
fn a_drained_cell_is_left_with_all_applications_and_no_change_is_lost() {
    let record = play(
        "kind: cells, shards: 3, scheme: round-robin",
        &[
            ("2s", "move: { clusters: [cluster-00000], to: 2 }"),
            ("3s", "drain: { cell: 1 }"),
            ("3s", "upgrade: { addon: ingress, version: v2 }"),
            ("4s", "upgrade: { addon: ingress, version: v3 }"),
        ],
    );
    let moved = moved(&record);
    assert!(moved.len() == 2 && moved[1] >= 3, "{moved:?}");
    let hub = |name: &str| {
        let processes = record["processes"].as_array().unwrap();
        let hub = processes.iter().find(|one| one["name"] == name).unwrap();
        let calls = hub["calls"].as_array().unwrap().iter();
        let gone =
            calls.filter(|call| call["verb"] == "delete" && call["resource"] == "applications" && call["code"] == 200);
        gone.map(|call| call["count"].as_u64().unwrap()).sum::<u64>()
    };
    assert!(hub("hub-1") >= 3, "{}", hub("hub-1"));
}

/// Without what breaks a message at the width of a terminal.
fn bare(text: &str) -> String {
    text.replace(|c: char| c.is_whitespace() || c == '│', "")
}

#[test]
fn what_a_topology_or_a_clock_cannot_do_is_told_before_the_start() {
    let lease = "kind: sharded, shards: 2, scheme: legacy, lease: 3s";
    for (topology, change, expected) in [
        ("kind: sharded, shards: 2", "managers: { delta: 1 }", "without leases nobody would know who is there"),
        ("kind: cells, shards: 2", "managers: { delta: 1 }", "only managers that share a hub come and go"),
        (lease, "managers: { delta: -2 }", "2 managers would become 0"),
        (lease, "drain: { cell: 0 }", "there are no cells"),
        (lease, "move: { clusters: [cluster-00099], to: 1 }", "there is no cluster `cluster-00099`"),
        (lease, "move: { clusters: [cluster-00001], to: 2 }", "there is no manager 2 by then"),
        ("kind: single", "move: { clusters: [cluster-00001], to: 0 }", "there is nowhere to move to"),
        ("kind: cells, shards: 1", "drain: { cell: 0 }", "no cell would be left"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shifting.yaml");
        std::fs::write(&path, written(topology, &[("1s", change)])).unwrap();
        let output = run(&path, &folder.path().join("result"));
        assert_eq!(output.status.code(), Some(2), "{change}: {}", said(&output));
        assert!(bare(&said(&output)).contains(&bare(expected)), "{change}: {}", said(&output));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shifting.yaml");
    std::fs::write(&path, written("kind: cells, shards: 2", &[("1s", "drain: { cell: 0 }")])).unwrap();
    let output = crate::run::flamboyance().arg("run").arg(&path).args(["--clock", "virtual"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let expected = "cells has fixed managers on the simulated clock, with fixed clusters: leave out `drain cell 0`";
    assert!(bare(&said(&output)).contains(&bare(expected)), "{}", said(&output));
}

/// One manager joins, then another dies and comes back while an upgrade is under way.
#[test]
fn managers_that_join_and_die_end_alike_on_both_clocks() {
    let text = written(
        "kind: sharded, shards: 2, scheme: rendezvous, lease: 2s",
        &[("1500ms", "managers: { delta: 1 }"), ("4100ms", "upgrade: { addon: ingress, version: v2 }")],
    );
    let kill = "    - at: 4s\n      fault: { kind: kill, manager: 0, duration: 4s }\n  run: { duration: 11s, ";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("both.yaml");
    std::fs::write(&path, text.replace("  run: { ", kill)).unwrap();
    let [live, simulated] = ["real", "virtual"].map(|clock| {
        let out = folder.path().join(clock);
        let mut command = crate::run::flamboyance();
        command.arg("run").arg(&path).args(["--clock", clock, "--objects", "-o", "json", "--out"]).arg(&out);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{clock}: {}", said(&output));
        let record: Value = serde_json::from_slice(&output.stdout).unwrap();
        let objects: serde_json::Map<String, Value> =
            serde_json::from_slice(&std::fs::read(out.join("objects.json")).unwrap()).unwrap();
        (record, objects)
    });
    let differences = flamboyance::study::twin::differences(&live.1, &simulated.1);
    assert!(differences.is_empty(), "{}", differences[0]);
    for name in ["clusters", "apps", "apps_healthy", "changes", "failed", "double_owned"] {
        assert_eq!(live.0["counts"][name], simulated.0["counts"][name], "{name}");
    }
    let steps = |record: &Value| -> Vec<Value> {
        let shifts = record["ownership"]["shifts"].as_array().unwrap().iter();
        shifts.map(|shift| shift["what"].clone()).collect()
    };
    assert_eq!(steps(&live.0), steps(&simulated.0));
    let (live, simulated) = (moved(&live.0), moved(&simulated.0));
    assert_eq!(simulated[1], simulated[2], "what a dead manager lost comes back with it: {simulated:?}");
    // A machine that is too busy to renew a lease in time moves more.
    assert!(simulated[0] > 0 && live[0] >= simulated[0] && live[1] >= simulated[1], "{live:?} {simulated:?}");
}
