//! The four topologies through the built binary: one timeline, and who did what in each.

use crate::run::{assert_contract, run, said};
use serde_json::Value;
use std::collections::BTreeSet;

/// Everything that a platform team does, in both modes, on six clusters.
const SCENARIO: &str = r#"
apiVersion: flamboyance.dev/v1alpha1
kind: Scenario
metadata: { name: everywhere }
spec:
  fleet: { clusters: 6 }
  addons:
    - name: ingress
      source: { git: { url: "https://git.example.org/ingress.git", path: ./deploy } }
      versions: [v1, v2]
    - name: policies
      mode: reference
      source: { oci: { url: "oci://registry.example.org/policies" } }
      versions: ["1"]
  topology: { TOPOLOGY }
  timeline:
    - at: 0s
      change: { install: {} }
    - at: 1s
      change: { upgrade: { addon: ingress, version: v2 } }
    - at: 3s
      change: { decommission: { addon: policies } }
  run: { timeout: 120s, flux: { healthPoll: 100ms, backoffBase: 10ms } }
"#;

fn play(topology: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("everywhere.yaml");
    std::fs::write(&path, SCENARIO.replace("TOPOLOGY", topology)).unwrap();
    let output = run(&path, &folder.path().join("result"));
    assert_eq!(output.status.code(), Some(0), "{topology}: {}", said(&output));
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_contract(&record);
    record
}

fn names(record: &Value) -> BTreeSet<String> {
    let processes = record["processes"].as_array().unwrap().iter();
    processes.map(|process| process["name"].as_str().unwrap().to_owned()).collect()
}

/// Calls that a process made or served, by target, verb and resource, whatever the answer.
fn calls(record: &Value, process: &str, wanted: [&str; 3]) -> u64 {
    let processes = record["processes"].as_array().unwrap();
    let process = processes.iter().find(|other| other["name"] == process).unwrap();
    let calls = process["calls"].as_array().unwrap().iter();
    let calls = calls.filter(|call| [&call["target"], &call["verb"], &call["resource"]] == wanted);
    calls.map(|call| call["count"].as_u64().unwrap()).sum()
}

#[test]
fn one_timeline_ends_alike_in_every_topology() {
    let common = ["leaves", "flux-model", "harness"];
    for (topology, managers, own) in [
        ("kind: single", 1, &["hub", "manager-0"][..]),
        ("kind: sharded, shards: 2, scheme: round-robin", 2, &["hub", "manager-0", "manager-1"]),
        (
            "kind: cells, shards: 2, scheme: round-robin",
            2,
            &["hub-0", "hub-1", "hub-orchestrator", "orchestrator", "manager-0", "manager-1"],
        ),
        ("kind: hub-and-spoke", 6, &["hub", "management", "manager-0", "manager-1", "manager-2", "manager-3"]),
    ] {
        let record = play(topology);
        let counts = &record["counts"];
        let figures = ["clusters", "apps", "apps_healthy", "changes", "failed", "double_owned", "managers"];
        let figures = figures.map(|name| counts[name].as_u64().unwrap());
        assert_eq!(figures, [6, 6, 6, 24, 0, 0, managers], "{topology}");
        let expected: BTreeSet<String> = common.iter().chain(own).map(|name| (*name).to_owned()).collect();
        assert_eq!(names(&record), expected, "{topology}");
        let shares: u64 =
            record["managers"].as_array().unwrap().iter().map(|one| one["clusters"].as_u64().unwrap()).sum();
        assert_eq!(shares, 6, "{topology}");
    }
}

#[test]
fn the_orchestrator_places_every_cluster_and_managers_see_their_cell_alone() {
    let record = play("kind: cells, shards: 2, scheme: round-robin");
    // It labels each in its inventory and registers each with a cell; sums are written beside the inventory.
    assert_eq!(calls(&record, "orchestrator", ["hub", "patch", "secrets"]), 6);
    assert_eq!(calls(&record, "orchestrator", ["hub", "create", "secrets"]), 6);
    assert!(calls(&record, "orchestrator", ["hub", "apply", "configmaps"]) >= 2);
    for hub in ["hub-0", "hub-1"] {
        assert_eq!(calls(&record, hub, ["hub", "create", "secrets"]), 3, "{hub}");
        assert_eq!(calls(&record, hub, ["hub", "create", "applications"]), 6, "{hub}");
    }
    assert_eq!(calls(&record, "hub-orchestrator", ["hub", "create", "applications"]), 0);
}

#[test]
fn the_management_cluster_rolls_out_managers_that_never_speak_to_the_hub() {
    let record = play("kind: hub-and-spoke");
    for (kind, count) in [("namespaces", 6), ("appprojects", 6), ("deployments", 6), ("applications", 6)] {
        let applied = calls(&record, "management", ["leaf", "apply", kind]);
        assert!(applied >= count, "{kind}: {applied}");
    }
    assert_eq!(calls(&record, "management", ["leaf", "create", "applications"]), 12);
    let processes = record["processes"].as_array().unwrap().iter();
    for manager in processes.filter(|one| one["name"].as_str().unwrap().starts_with("manager-")) {
        let calls = manager["calls"].as_array().unwrap();
        assert!(!calls.is_empty() && calls.iter().all(|call| call["target"] == "leaf"), "{manager}");
    }
}
