//! `serve SCENARIO` and `manager` as people combine them: a fleet with its hub, and a manager of ours against it.

use crate::run::flamboyance;
use crate::serve::Server;
use serde_json::{Value, json};
use std::process::{Child, Stdio};

const APPLICATIONS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";
const MERGE: [(&str, &str); 1] = [("content-type", "application/merge-patch+json")];
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// Two clusters of different releases with a Kustomize add-on, a Helm one and one in Reference mode.
const SCENARIO: &str = r#"
apiVersion: flamboyance.dev/v1alpha1
kind: Scenario
metadata: { name: small }
spec:
  fleet: { clusters: 2, kubernetes: [{ version: "1.34" }], labels: { team: platform } }
  addons:
    - name: ingress
      source: { git: { url: "https://git.example.org/ingress.git", path: ./deploy } }
      versions: [v1]
    - name: autoscaler
      source: { helm: { url: "https://charts.example.org", chart: autoscaler } }
      versions: ["9.37.0"]
    - name: policies
      mode: reference
      source: { oci: { url: "oci://registry.example.org/policies" } }
      versions: ["1"]
  timeline: [{ at: 0s, change: { install: {} } }]
  run: { flux: { healthPoll: 100ms, backoffBase: 10ms } }
"#;

/// The servers of [`SCENARIO`], and the folder that holds it as `small.yaml`.
fn serve(extra: &[&str]) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.yaml");
    std::fs::write(&path, SCENARIO).unwrap();
    let server = Server::start(&[&[path.to_str().unwrap()], extra].concat());
    (server, folder)
}

/// A manager that runs until this is dropped.
struct Manager(Child);

impl Manager {
    fn start(server: &Server) -> Self {
        let mut command = flamboyance();
        command.args(["manager", "--context", "hub", "--kubeconfig"]).arg(server.path());
        Self(command.stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Watches Applications until one of this name is as wanted.
async fn until(server: &Server, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut client = server.client("hub", true);
    let mut lines = client.open(&format!("{APPLICATIONS}?watch=1&fieldSelector=metadata.name={name}")).await;
    loop {
        let event = lines.line().await;
        if wanted(&event["object"]) {
            return event["object"].clone();
        }
    }
}

fn is_healthy(application: &Value) -> bool {
    let status = &application["status"];
    status["health"]["status"] == "Healthy" && status["sync"]["status"] == "Synced"
}

#[tokio::test]
async fn a_served_scenario_has_the_fleet_of_its_install() {
    let (server, folder) = serve(&["--controllers", "none"]);
    let scenario = folder.path().join("small.yaml");
    let contexts: Vec<&str> =
        server.kubeconfig["contexts"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(contexts, ["hub", "cluster-00000", "cluster-00001"]);
    let mut hub = server.client("hub", true);
    let secret = hub.get("/api/v1/namespaces/argocd/secrets/cluster-00001").await.json();
    let labels = &secret["metadata"]["labels"];
    assert_eq!((&labels["kubernetes"], &labels["team"]), (&json!("1.34"), &json!("platform")));
    let names = |list: &Value| -> Vec<String> {
        list["items"].as_array().unwrap().iter().map(|o| o["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    };
    let applications = hub.get(APPLICATIONS).await.json();
    let expected: Vec<String> = ["autoscaler", "ingress", "policies"]
        .iter()
        .flat_map(|addon| (0..2).map(move |n| format!("{addon}-cluster-{n:05}")))
        .collect();
    assert_eq!(names(&applications), expected);
    let mut leaf = server.client("cluster-00001", true);
    assert_eq!(leaf.get("/version").await.json()["gitVersion"], "v1.34.0");
    assert_eq!(hub.get("/version").await.json()["minor"], "36");
    let server_of = |name: &str| server.entry("clusters", name)["cluster"]["server"].clone();
    let destination = &applications["items"][1]["spec"]["destination"]["server"];
    assert_eq!(destination, &server_of("cluster-00001"), "Applications lead where the kubeconfig leads");
    // Nobody has done anything yet but who wrote the objects of Reference mode.
    let flux = "/apis/kustomize.toolkit.fluxcd.io/v1/kustomizations";
    assert_eq!(names(&leaf.get(flux).await.json()), ["policies-cluster-00001"]);

    // The same things as `fleet` prints them for these addresses.
    for (form, path) in [("applications", APPLICATIONS), ("secrets", "/api/v1/namespaces/argocd/secrets")] {
        let output = flamboyance()
            .args(["fleet", "-o", form])
            .arg(&scenario)
            .arg("--kubeconfig")
            .arg(server.path())
            .output()
            .unwrap();
        let served = hub.get(path).await.json();
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let printed: Value = serde_json::from_str(line).unwrap();
            let there = served["items"].as_array().unwrap().iter();
            let mut there = there.filter(|object| object["metadata"]["name"] == printed["metadata"]["name"]);
            let there = there.next().unwrap_or_else(|| panic!("{line} is not served"));
            assert_eq!((&there["spec"], &there["data"]), (&printed["spec"], &printed["data"]));
        }
    }
    let output = flamboyance()
        .args(["fleet", "-o", "kubeconfig"])
        .arg(&scenario)
        .arg("--kubeconfig")
        .arg(server.path())
        .output()
        .unwrap();
    let printed: Value = serde_saphyr::from_str(&String::from_utf8(output.stdout).unwrap()).unwrap();
    assert_eq!(printed, server.kubeconfig);
}

#[tokio::test]
async fn a_manager_alone_makes_a_served_fleet_healthy_in_both_modes() {
    let (server, _folder) = serve(&[]);
    let _manager = Manager::start(&server);
    for addon in ["ingress", "autoscaler", "policies"] {
        for cluster in ["cluster-00000", "cluster-00001"] {
            until(&server, &format!("{addon}-{cluster}"), is_healthy).await;
        }
    }
    let mut leaf = server.client("cluster-00000", true);
    let deployment = leaf.get("/apis/apps/v1/namespaces/ingress/deployments").await.json()["items"][0].clone();
    assert_eq!(deployment["status"]["availableReplicas"], deployment["spec"]["replicas"], "workloads run");
}

#[tokio::test]
async fn a_namespace_that_is_missing_is_said_and_waited_for() {
    let (server, _folder) = serve(&[]);
    let mut hub = server.client("hub", true);
    let name = format!("{APPLICATIONS}/ingress-cluster-00000");
    let elsewhere = json!({ "spec": { "destination": { "namespace": "nowhere" } } }).to_string();
    assert_eq!(hub.send("PATCH", &name, &MERGE, elsewhere.as_bytes()).await.code, 200);
    let _manager = Manager::start(&server);
    let said = |application: &Value| application["status"]["conditions"][0]["type"] == "SyncError";
    let application = until(&server, "ingress-cluster-00000", said).await;
    let status = &application["status"];
    let message = status["conditions"][0]["message"].as_str().unwrap();
    assert!(message.contains("namespace nowhere does not exist") && message.contains("CreateNamespace"), "{message}");
    assert_eq!((&status["sync"]["status"], &status["health"]["status"]), (&json!("OutOfSync"), &json!("Missing")));
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "nowhere" } }).to_string();
    let mut leaf = server.client("cluster-00000", true);
    assert_eq!(leaf.send("POST", "/api/v1/namespaces", &JSON, namespace.as_bytes()).await.code, 201);
    let healthy = until(&server, "ingress-cluster-00000", is_healthy).await;
    assert!(healthy["status"]["conditions"].as_array().is_none_or(Vec::is_empty), "{healthy}");
}
