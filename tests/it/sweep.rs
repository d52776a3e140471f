//! `sweep` from the outside: a Job on an API server, its pods as processes of this machine, lost ones, and what they come to.

use super::run::{flamboyance, said};
use super::serve::Server;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;

const SCENARIO: &str = r#"
apiVersion: flamboyance.dev/v1alpha1
kind: Scenario
metadata: { name: swept }
spec:
  fleet: { clusters: 4 }
  addons: [{ name: ingress, source: { git: { url: "https://git.example.org/i.git" } }, versions: [v1] }]
  timeline: [{ change: { install: {} } }]
  matrix:
    - axis: topology
      points: [{ name: single }, { name: two, set: [topology.kind=sharded, topology.shards=2] }]
    - axis: clusters
      points: [{ name: "4" }, { name: "8", set: [fleet.clusters=8] }]
"#;

fn sweep(scenario: &Path, arguments: &[&str]) -> Output {
    flamboyance().arg("sweep").arg(scenario).args(arguments).env_remove("KUBECONFIG").output().unwrap()
}

/// What a kubelet would start for a pod of a Job: its arguments with the volumes where they are here.
fn pod(job: &Value, index: usize, scenario: &Path, results: &Path) -> Output {
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    let place = |argument: &Value| {
        let argument = argument.as_str().unwrap();
        let argument = argument.replace("$(JOB_COMPLETION_INDEX)", &index.to_string());
        match argument.as_str() {
            "/scenario/scenario.yaml" => scenario.to_str().unwrap().to_owned(),
            "/results" => results.to_str().unwrap().to_owned(),
            _ => argument,
        }
    };
    flamboyance().args(container["args"].as_array().unwrap().iter().map(place)).output().unwrap()
}

fn scenario_in(folder: &Path) -> PathBuf {
    let path = folder.join("swept.yaml");
    std::fs::write(&path, SCENARIO).unwrap();
    path
}

#[tokio::test]
async fn a_job_runs_every_combination_and_lost_ones_are_named_and_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let (scenario, results) = (scenario_in(folder.path()), folder.path().join("results"));
    let server = Server::start(&[]);
    let kubeconfig = server.path();
    let ask = ["--clock", "virtual", "--image", "flamboyance:1", "--claim", "results"];
    let submit = [&ask[..], &["--submit", "--kubeconfig", kubeconfig.to_str().unwrap()]].concat();
    let output = sweep(&scenario, &submit);
    assert!(output.status.success(), "{}", said(&output));
    let again = sweep(&scenario, &submit);
    assert_eq!(again.status.code(), Some(2));
    assert!(said(&again).contains("is there already"), "{}", said(&again));

    // The Job and the scenario as the server has them.
    let mut client = server.client("hub", true);
    let job = client.get("/apis/batch/v1/namespaces/default/jobs/flamboyance-swept").await.json();
    let map = client.get("/api/v1/namespaces/default/configmaps/flamboyance-swept").await.json();
    assert_eq!(job["spec"]["completions"], 4);
    assert_eq!(job["spec"]["completionMode"], "Indexed");
    std::fs::write(&scenario, map["data"]["scenario.yaml"].as_str().unwrap()).unwrap();
    for index in [0, 2, 3] {
        let output = pod(&job, index, &scenario, &results);
        assert!(output.status.success(), "{index}: {}", said(&output));
    }
    let merge = ["--clock", "virtual", "--merge", results.to_str().unwrap()];
    let merged = sweep(&scenario, &merge);
    assert_eq!((merged.status.code(), merged.stdout.as_slice()), (Some(1), &b"lost: 1 single-8\n"[..]));
    assert!(said(&merged).contains("--points 1 --emit job"), "{}", said(&merged));

    let emitted = sweep(&scenario, &[&ask[..], &["--emit", "job", "--points", "1"]].concat());
    let text = String::from_utf8(emitted.stdout).unwrap();
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    assert_eq!(documents[1]["spec"]["completions"], 1);
    assert!(pod(&documents[1], 0, &scenario, &results).status.success());
    let merged = sweep(&scenario, &merge);
    assert!(merged.status.success(), "{}", said(&merged));
    assert!(results.join("report.html").exists());
    let record = |name: &str| std::fs::read_to_string(results.join(name).join("record.json")).unwrap();
    assert!(["single-4", "single-8", "two-4", "two-8"].iter().all(|name| record(name).contains("\"digest\"")));
}

#[test]
fn what_is_no_combination_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = scenario_in(folder.path());
    let results = folder.path().join("results");
    let out = results.to_str().unwrap();
    for (arguments, words) in [
        (&["--index", "4", "--out", out][..], "they are 0 to 3"),
        (&["--points", "1,9", "--index", "0", "--out", out], "no combination 9"),
        (&["--emit", "job"], "--image"),
        (&["--index", "0"], "--out"),
        (&[], "--emit"),
    ] {
        let output = sweep(&scenario, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(said(&output).contains(words), "{arguments:?}: {}", said(&output));
    }
    assert!(!results.exists());
}
