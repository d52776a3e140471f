//! A matrix on many machines: one Indexed Job of Kubernetes, a pod per combination.
//!
//! In: the scenario's text, which combinations, what a pod may use. Out: the documents of a ConfigMap and a Job. Pods leave
//! their results in one volume, below the names of their combinations, where a study on one machine would leave them: so
//! whoever merges only looks there. Pure.

use serde_json::{Value, json};

/// What is asked of a cluster.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// Name of the scenario.
    pub name: &'a str,
    /// Its text.
    pub scenario: &'a str,
    /// Flags of each run: overrides, the clock, which points of which axes.
    pub flags: Vec<String>,
    /// The combinations by number, from 0.
    pub points: Vec<usize>,
    /// The image of this program.
    pub image: &'a str,
    /// The PersistentVolumeClaim that takes the results.
    pub claim: &'a str,
    /// The namespace, or whatever the kubeconfig says.
    pub namespace: Option<&'a str>,
    /// Pods at the same time.
    pub parallelism: usize,
    /// What a pod requests and may use at most, as Kubernetes writes quantities.
    pub cpu: &'a str,
    /// The same of memory.
    pub memory: &'a str,
}

/// Attempts of the whole Job at combinations that fail: one each and some more, for nodes that go away.
const SPARE_ATTEMPTS: usize = 3;
/// Where pods find the scenario.
const SCENARIO: &str = "/scenario/scenario.yaml";
/// Where they leave results.
const RESULTS: &str = "/results";
/// Who they are inside the image: nobody special.
const USER: u32 = 65_532;

/// The documents, in the order in which they are created.
#[must_use]
pub fn documents(order: &Order<'_>) -> [Value; 2] {
    let name = format!("flamboyance-{}", order.name);
    let labels = json!({ "app.kubernetes.io/name": "flamboyance", "app.kubernetes.io/component": "sweep" });
    let mut metadata = json!({ "name": name, "labels": labels });
    if let Some(namespace) = order.namespace {
        metadata["namespace"] = namespace.into();
    }
    let mut arguments: Vec<String> = ["sweep", SCENARIO, "--out", RESULTS].map(str::to_owned).into();
    arguments.extend(order.flags.iter().cloned());
    // A Job numbers its pods from 0; which combinations those are is said once.
    arguments.extend(["--points".to_owned(), listed(&order.points)]);
    arguments.extend(["--index".to_owned(), "$(JOB_COMPLETION_INDEX)".to_owned()]);
    let resources = json!({ "cpu": order.cpu, "memory": order.memory });
    let container = json!({
        "name": "run",
        "image": order.image,
        "args": arguments,
        "resources": { "requests": resources, "limits": resources },
        "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
        "volumeMounts": [
            { "name": "scenario", "mountPath": "/scenario", "readOnly": true },
            { "name": "results", "mountPath": RESULTS },
        ],
    });
    let pod = json!({
        "restartPolicy": "Never",
        "automountServiceAccountToken": false,
        "securityContext": { "runAsNonRoot": true, "runAsUser": USER, "fsGroup": USER },
        "containers": [container],
        "volumes": [
            { "name": "scenario", "configMap": { "name": name } },
            { "name": "results", "persistentVolumeClaim": { "claimName": order.claim } },
        ],
    });
    let completions = order.points.len();
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata,
        "data": { "scenario.yaml": order.scenario } });
    let job = json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {
        "completionMode": "Indexed",
        "completions": completions,
        "parallelism": order.parallelism.clamp(1, completions.max(1)),
        "backoffLimit": completions + SPARE_ATTEMPTS,
        "template": { "metadata": { "labels": labels }, "spec": pod },
    } });
    [map, job]
}

/// Numbers as a user writes and reads them: `0,3,7`.
#[must_use]
pub fn listed(points: &[usize]) -> String {
    points.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_has_a_pod_per_combination_and_says_which_they_are() {
        let order = Order {
            name: "topologies",
            scenario: "kind: Scenario",
            flags: vec!["--clock".to_owned(), "virtual".to_owned()],
            points: vec![3, 7, 8],
            image: "registry.example.org/flamboyance:1",
            claim: "results",
            namespace: Some("bench"),
            parallelism: 10,
            cpu: "2",
            memory: "4Gi",
        };
        let [map, job] = documents(&order);
        assert_eq!(map["metadata"], job["metadata"]);
        assert_eq!(job["spec"]["completions"], 3);
        assert_eq!(job["spec"]["parallelism"], 3, "no more pods than combinations");
        let container = &job["spec"]["template"]["spec"]["containers"][0];
        let arguments: Vec<&str> = container["args"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(
            arguments.join(" "),
            "sweep /scenario/scenario.yaml --out /results --clock virtual --points 3,7,8 --index $(JOB_COMPLETION_INDEX)"
        );
        let mounted = &container["volumeMounts"];
        assert!(mounted.as_array().unwrap().iter().all(|mount| {
            let volumes = job["spec"]["template"]["spec"]["volumes"].as_array().unwrap();
            volumes.iter().any(|volume| volume["name"] == mount["name"])
        }));
    }
}
