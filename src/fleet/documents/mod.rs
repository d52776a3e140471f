//! The documents of the world as Kubernetes objects: Applications, cluster Secrets, the project, Flux objects.

mod application;
mod flux;
mod hub;
mod secret;

pub use hub::kubeconfig;

use super::{Target, World};
use crate::ids::AppId;
use crate::scenario::{Addon, Delivery};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// How a cluster's API server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint<'a> {
    /// Its URL, without a trailing slash.
    pub server: &'a str,
    /// What it trusts and is trusted by, as Argo CD writes it down; see [`bearer`] and [`certificate`].
    pub credentials: &'a str,
}

/// The credentials of a bearer token; `ca_pem` is the certificate of the server's authority, empty for plain HTTP.
#[must_use]
pub fn bearer(token: &str, ca_pem: &str) -> String {
    let mut tls = json!({ "insecure": false });
    if !ca_pem.is_empty() {
        tls["caData"] = json!(STANDARD.encode(ca_pem));
    }
    json!({ "bearerToken": token, "tlsClientConfig": tls }).to_string()
}

/// The credentials of a client certificate, all in PEM.
#[must_use]
pub fn certificate(certificate: &str, key: &str, ca_pem: &str) -> String {
    let [ca, certificate, key] = [ca_pem, certificate, key].map(|pem| STANDARD.encode(pem));
    let tls = json!({ "insecure": false, "caData": ca, "certData": certificate, "keyData": key });
    json!({ "tlsClientConfig": tls }).to_string()
}

/// A namespace as a cluster that has had it for a while holds it.
#[must_use]
pub fn namespace(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": name, "labels": { "kubernetes.io/metadata.name": name } },
        "spec": { "finalizers": ["kubernetes"] },
        "status": { "phase": "Active" },
    })
}

/// The kind of Flux object that carries out an add-on.
const fn workload_kind(addon: &Addon) -> &'static str {
    match addon.delivery {
        Delivery::Git | Delivery::Oci => "Kustomization",
        Delivery::Helm => "HelmRelease",
    }
}

/// The fields of a Flux workload's spec that Flamingo leaves to override annotations: interval, waiting, dependencies,
/// substitutions, drift detection.
fn workload_overrides(world: &World, app: AppId, target: Target) -> Map<String, Value> {
    let addon = world.addon(app);
    let mut spec = Map::new();
    if let Some(interval) = addon.interval {
        spec.insert("interval".to_owned(), json!(interval.to_string()));
    }
    let depends_on = depends_on(world, app);
    if !depends_on.is_empty() {
        spec.insert("dependsOn".to_owned(), Value::Array(depends_on));
    }
    match addon.delivery {
        Delivery::Git | Delivery::Oci => {
            if !addon.wait {
                spec.insert("wait".to_owned(), json!(false));
            }
            let values = world.values(app, target);
            if !values.is_empty() {
                spec.insert("postBuild".to_owned(), json!({ "substitute": values }));
            }
        }
        Delivery::Helm => {
            if addon.drift_detection {
                spec.insert("driftDetection".to_owned(), json!({ "mode": "enabled" }));
            }
        }
    }
    spec
}

/// References to the workloads that must be Ready first. Flux resolves them among objects of the same kind, so only Flux
/// add-ons delivered alike count, and only those that the cluster has.
fn depends_on(world: &World, app: AppId) -> Vec<Value> {
    let (addon, cluster) = (world.addon(app), world.cluster_of(app));
    let others = addon.depends_on.iter().map(|&other| world.app(cluster, other));
    let alike = others.filter(|&other| {
        let entry = world.addon(other);
        let present = world.selected(other) || world.installed(other);
        entry.flux_subsystem && workload_kind(entry) == workload_kind(addon) && present
    });
    let reference = |other| {
        let mut reference = Map::from_iter([("name".to_owned(), json!(world.app_name(other)))]);
        if world.addon(other).namespace != addon.namespace {
            reference.insert("namespace".to_owned(), json!(world.addon(other).namespace));
        }
        Value::Object(reference)
    };
    alike.map(reference).collect()
}

/// Helm values: names with dots are paths, texts that are JSON numbers, booleans, lists or maps are those.
fn helm_values(world: &World, app: AppId, target: Target) -> Value {
    let mut root = Map::new();
    for (name, text) in world.values(app, target) {
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        insert_path(&mut root, &name, value);
    }
    Value::Object(root)
}

/// A value in the way of a path gives way to it.
fn insert_path(map: &mut Map<String, Value>, path: &str, value: Value) {
    let Some((first, rest)) = path.split_once('.') else {
        map.insert(path.to_owned(), value);
        return;
    };
    let child = map.entry(first).or_insert_with(|| Value::Object(Map::new()));
    if !child.is_object() {
        *child = Value::Object(Map::new());
    }
    if let Value::Object(child) = child {
        insert_path(child, rest, value);
    }
}

/// The target revision or chart version that a target asks for; empty if the add-on has none.
fn version(addon: &Addon, target: Target) -> &str {
    addon.versions.get(target.version as usize).map_or("", String::as_str)
}
