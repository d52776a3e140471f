//! Manifests -> a scenario that installs an add-on like them.
//!
//! In: the objects of one installation, as `kustomize build` or `helm template` print them. Out: the text of a scenario,
//! with what was found in comments. Nothing is drawn, read or asked.
//!
//! A scenario installs Deployments, Services, ServiceAccounts and ConfigMaps. What Flux asks of an API server for an
//! object does not depend on its kind, except that it waits for workloads; so StatefulSets and DaemonSets count as
//! Deployments, and every other object as a ConfigMap of their average size.

mod fleet;

pub use fleet::{NoFleet, fleet};

use super::spec::DnsLabel;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

/// How an add-on comes to a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// A Kustomization from Git.
    #[default]
    Kustomize,
    /// A HelmRelease.
    Helm,
}

/// Why manifests make no add-on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAddon {
    /// Nothing in it is an object.
    #[error(
        "there are no Kubernetes objects: give rendered manifests, as `kustomize build` or `helm template` print them"
    )]
    Empty,
    /// It cannot be called so.
    #[error("{0}: give another with --name")]
    Name(String),
}

/// Objects that a scenario can have of one sort (its schema's limit).
const MOST: u64 = 1_000;
/// Data that a ConfigMap may have (Kubernetes).
const MOST_BYTES: u64 = 1 << 20;
/// Seconds between two probes where a probe says nothing (Kubernetes).
const PERIOD_S: u64 = 10;

/// What was found.
#[derive(Debug, Default)]
struct Found {
    kinds: BTreeMap<String, u64>,
    bytes: u64,
    /// Objects that stand for themselves.
    deployments: u64,
    replicas: u64,
    services: u64,
    accounts: u64,
    /// Objects that ConfigMaps stand for, and their bytes.
    others: u64,
    other_bytes: u64,
    /// Requested by all replicas together; DaemonSets on one node.
    cpu_milli: u64,
    memory: u64,
    on_every_node: bool,
    /// Until the slowest workload says that it is ready, by its probes.
    ready_s: u64,
}

/// The scenario of an add-on that installs these objects.
///
/// # Errors
/// When there are none, or its name is no DNS label.
pub fn addon(objects: &[Value], name: &str, version: &str, way: Way) -> Result<String, NoAddon> {
    DnsLabel::check(name).map_err(NoAddon::Name)?;
    let mut found = Found::default();
    objects.iter().for_each(|object| found.take(object));
    if found.kinds.is_empty() { Err(NoAddon::Empty) } else { Ok(found.write(name, version, way)) }
}

impl Found {
    fn take(&mut self, object: &Value) {
        if let Some(Value::Array(items)) = object.get("items").filter(|_| text(object, "/kind").ends_with("List")) {
            return items.iter().for_each(|item| self.take(item));
        }
        let kind = text(object, "/kind");
        // A kustomization.yaml is a recipe, and Helm installs no tests.
        let recipe = text(object, "/apiVersion").starts_with("kustomize.config.k8s.io/");
        let test = text(object, "/metadata/annotations/helm.sh~1hook").contains("test");
        if kind.is_empty() || recipe || test {
            return;
        }
        let bytes = object.to_string().len() as u64;
        *self.kinds.entry(kind.to_owned()).or_default() += 1;
        self.bytes += bytes;
        match kind {
            "Deployment" | "StatefulSet" | "DaemonSet" => self.workload(object, kind),
            "Service" => self.services += 1,
            "ServiceAccount" => self.accounts += 1,
            _ => {
                self.others += 1;
                self.other_bytes += bytes;
            }
        }
    }

    fn workload(&mut self, object: &Value, kind: &str) {
        let everywhere = kind == "DaemonSet";
        let replicas =
            if everywhere { 1 } else { object.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1) };
        self.on_every_node |= everywhere;
        self.deployments += 1;
        self.replicas += replicas;
        let containers = object.pointer("/spec/template/spec/containers").and_then(Value::as_array);
        for container in containers.into_iter().flatten() {
            let requested = |what: &str| match &container["resources"]["requests"][what] {
                Value::Number(number) => number.to_string(),
                other => other.as_str().unwrap_or_default().to_owned(),
            };
            self.cpu_milli += replicas * milli(&requested("cpu"));
            let memory = requested("memory").parse::<crate::units::Bytes>();
            self.memory += replicas * memory.map_or(0, |bytes| bytes.0);
            let probe = &container["readinessProbe"];
            if probe.is_object() {
                let seconds = |name: &str, default| probe[name].as_u64().unwrap_or(default);
                let ready = seconds("initialDelaySeconds", 0) + seconds("periodSeconds", PERIOD_S);
                self.ready_s = self.ready_s.max(ready);
            }
        }
    }

    fn write(&self, name: &str, version: &str, way: Way) -> String {
        let quoted = |text: &str| Value::from(text).to_string();
        let kinds: Vec<String> = self.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let every = if self.on_every_node { ", DaemonSets on one node" } else { "" };
        let crds = self.kinds.get("CustomResourceDefinition").copied().unwrap_or(0);
        let average = |sum: u64, count: u64| if count == 0 { 0 } else { sum.div_ceil(count) };
        let source = match way {
            Way::Kustomize => format!("git: {{ url: \"https://git.example.org/{name}.git\" }}"),
            Way::Helm => format!("helm: {{ url: \"https://charts.example.org\", chart: {} }}", quoted(name)),
        };
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "# An add-on like the manifests that it was imported from.\n\
             # {total} objects, {bytes} bytes of JSON: {kinds}\n\
             # {crds} definitions of custom resources; {cpu}m of CPU and {memory}Mi of memory requested{every}\n\
             # StatefulSets and DaemonSets count as Deployments, every other kind as ConfigMaps of their average size.\n\
             apiVersion: flamboyance.dev/v1alpha1\nkind: Scenario\nmetadata: {{ name: {quoted_name} }}\nspec:\n  \
             fleet: {{ clusters: 20 }}\n  addons:\n    - name: {quoted_name}\n      source: {{ {source} }}\n      \
             versions: [{version}]\n      objects:\n        deployments: {deployments}\n        replicas: {replicas}\n        \
             services: {services}\n        serviceAccounts: {accounts}\n        configMaps: {others}\n        \
             configMapSize: \"{size}\"\n  timeline:\n    - change: {{ install: {{}} }}\n  run:\n    \
             # Guessed from readiness probes: the first that can succeed.\n    workloadReady: {{ fixed: {ready}s }}\n",
            total = self.kinds.values().sum::<u64>(),
            bytes = self.bytes,
            kinds = kinds.join(", "),
            cpu = self.cpu_milli,
            memory = self.memory.div_ceil(1 << 20),
            quoted_name = quoted(name),
            version = quoted(version),
            deployments = self.deployments.min(MOST),
            replicas = average(self.replicas, self.deployments).min(MOST),
            services = self.services.min(MOST),
            accounts = self.accounts.min(MOST),
            others = self.others.min(MOST),
            size = average(self.other_bytes, self.others).min(MOST_BYTES),
            ready = self.ready_s,
        );
        out
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Thousandths of a core (`250m`, `0.5`, `2`); what is no quantity counts nothing.
fn milli(text: &str) -> u64 {
    if let Some(milli) = text.strip_suffix('m') {
        return milli.parse().unwrap_or(0);
    }
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part: String = part.chars().chain("000".chars()).take(3).collect();
    whole.parse::<u64>().map_or(0, |whole| whole * 1_000) + part.parse::<u64>().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn objects() -> Vec<Value> {
        let container = json!({ "resources": { "requests": { "cpu": "250m", "memory": "64Mi" } },
            "readinessProbe": { "initialDelaySeconds": 5 } });
        let workload = |kind: &str, spec: Value| {
            let mut object =
                json!({ "kind": kind, "apiVersion": "apps/v1", "metadata": { "name": kind }, "spec": spec });
            object["spec"]["template"] = json!({ "spec": { "containers": [container] } });
            object
        };
        let test =
            json!({ "kind": "Pod", "metadata": { "name": "t", "annotations": { "helm.sh/hook": "test-success" } } });
        vec![
            workload("Deployment", json!({ "replicas": 3 })),
            workload("DaemonSet", json!({})),
            json!({ "kind": "List", "items": [{ "kind": "Service" }, { "kind": "ServiceAccount" }] }),
            json!({ "kind": "CustomResourceDefinition", "spec": "x".repeat(1_000) }),
            json!({ "kind": "ClusterRole" }),
            json!({ "kind": "Kustomization", "apiVersion": "kustomize.config.k8s.io/v1beta1" }),
            test,
            Value::Null,
        ]
    }

    #[test]
    fn an_imported_add_on_is_a_good_scenario_with_what_was_found() {
        for way in [Way::Kustomize, Way::Helm] {
            let text = addon(&objects(), "ingress", "1.10", way).unwrap();
            let scenario = crate::scenario::parse(&text, "imported", &[]).unwrap_or_else(|e| panic!("{e}\n{text}"));
            let addon = &scenario.addons[0];
            let size = addon.objects;
            assert_eq!((addon.name.as_str(), addon.versions[0].as_str()), ("ingress", "1.10"));
            assert_eq!((size.deployments, size.replicas, size.services, size.service_accounts), (2, 2, 1, 1));
            assert_eq!((size.config_maps, size.config_map_bytes / 100), (2, 5));
            assert!(text.contains("1000m of CPU and 256Mi of memory requested, DaemonSets on one node"), "{text}");
            assert!(text.contains("1 definitions of custom resources") && text.contains("fixed: 15s"), "{text}");
            assert!(!text.contains("Pod") && !text.contains("Kustomization,"), "{text}");
        }
    }

    #[test]
    fn what_makes_no_add_on_is_told() {
        assert_eq!(addon(&[], "a", "v1", Way::Helm), Err(NoAddon::Empty));
        assert!(matches!(addon(&objects(), "A b", "v1", Way::Helm), Err(NoAddon::Name(_))));
    }

    #[test]
    fn cores_are_read_as_kubernetes_writes_them() {
        for (text, expected) in [("250m", 250), ("2", 2_000), ("0.5", 500), ("1.25", 1_250), ("", 0), ("x", 0)] {
            assert_eq!(milli(text), expected, "{text}");
        }
    }
}
