//! The objects of a Flux that works from the hub: sources that clusters share, a Kustomization or HelmRelease for each app,
//! a kubeconfig for each cluster.

use super::flux::INTERVAL;
use super::{Endpoint, Target, World, version, workload_kind};
use crate::fleet::FLUX_NAMESPACE;
use crate::ids::{AppId, ClusterId};
use crate::scenario::{Addon, Delivery};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// A kubeconfig with one context, for a server and credentials as Argo CD writes them down.
#[must_use]
pub fn kubeconfig(endpoint: Endpoint<'_>) -> String {
    let known: Value = serde_json::from_str(endpoint.credentials).unwrap_or_default();
    let tls = &known["tlsClientConfig"];
    let mut cluster = json!({ "server": endpoint.server });
    let mut user = json!({});
    for (place, theirs, ours) in [
        (&mut cluster, &tls["caData"], "certificate-authority-data"),
        (&mut user, &tls["certData"], "client-certificate-data"),
    ] {
        if !theirs.is_null() {
            place[ours] = theirs.clone();
        }
    }
    for (theirs, ours) in [(&tls["keyData"], "client-key-data"), (&known["bearerToken"], "token")] {
        if !theirs.is_null() {
            user[ours] = theirs.clone();
        }
    }
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "clusters": [{ "name": "it", "cluster": cluster }],
        "users": [{ "name": "it", "user": user }],
        "contexts": [{ "name": "it", "context": { "cluster": "it", "user": "it" } }],
    })
    .to_string()
}

impl World {
    /// The Secret by which Flux reaches a cluster; it is named after the cluster.
    #[must_use]
    pub fn kubeconfig_secret(&self, cluster: ClusterId, endpoint: Endpoint<'_>) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": self.clusters().name(cluster), "namespace": FLUX_NAMESPACE },
            "type": "Opaque",
            "data": { "value": STANDARD.encode(kubeconfig(endpoint)) },
        })
    }

    /// The sources that all clusters share: a GitRepository for each version of an add-on, a HelmRepository for its charts.
    #[must_use]
    pub fn hub_sources(&self) -> Vec<Value> {
        let object = |kind: &str, name: String, spec: Value| {
            let metadata = json!({ "name": name, "namespace": FLUX_NAMESPACE });
            let api = format!("source.toolkit.fluxcd.io/{}", self.flux_api.source);
            json!({ "apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec })
        };
        let of = |addon: &Addon| {
            let interval = addon.interval.unwrap_or(INTERVAL).to_string();
            if addon.delivery == Delivery::Helm {
                let spec = json!({ "interval": interval, "url": addon.repo_url });
                return vec![object("HelmRepository", addon.name.clone(), spec)];
            }
            let at = |(number, version): (usize, &String)| {
                // What is there from the start is not defaulted, and without a timeout source-controller panics.
                let reference = json!({ "branch": version });
                let spec = json!({ "interval": interval, "url": addon.repo_url, "timeout": "60s", "ref": reference });
                object("GitRepository", shared(addon, number), spec)
            };
            addon.versions.iter().enumerate().map(at).collect()
        };
        self.addons().iter().flat_map(of).collect()
    }

    /// What installs an app from the hub.
    #[must_use]
    pub fn hub_workload(&self, app: AppId, target: Target) -> Value {
        let addon = self.addon(app);
        let name = self.app_name(app);
        let mut spec = self.hub_version(addon, target);
        let cluster = self.clusters().name(self.cluster_of(app));
        spec["interval"] = json!(addon.interval.unwrap_or(INTERVAL).to_string());
        spec["kubeConfig"] = json!({ "secretRef": { "name": cluster } });
        spec["targetNamespace"] = json!(addon.namespace);
        let (group, api) = match addon.delivery {
            Delivery::Git | Delivery::Oci => {
                spec["path"] = json!(addon.path);
                spec["prune"] = json!(true);
                spec["wait"] = json!(addon.wait);
                ("kustomize", &self.flux_api.kustomize)
            }
            Delivery::Helm => {
                spec["releaseName"] = json!(name);
                // Where the release is told: the namespace of the HelmRelease need not be on the cluster.
                spec["storageNamespace"] = json!(addon.namespace);
                if addon.drift_detection {
                    spec["driftDetection"] = json!({ "mode": "enabled" });
                }
                ("helm", &self.flux_api.helm)
            }
        };
        json!({
            "apiVersion": format!("{group}.toolkit.fluxcd.io/{api}"),
            "kind": workload_kind(addon),
            "metadata": { "name": name, "namespace": FLUX_NAMESPACE },
            "spec": spec,
        })
    }

    /// The JSON merge patch that makes it install another version.
    #[must_use]
    pub fn hub_patch(&self, app: AppId, target: Target) -> Value {
        json!({ "spec": self.hub_version(self.addon(app), target) })
    }

    fn hub_version(&self, addon: &Addon, target: Target) -> Value {
        match addon.delivery {
            Delivery::Git | Delivery::Oci => {
                let name = shared(addon, target.version as usize);
                json!({ "sourceRef": { "kind": "GitRepository", "name": name } })
            }
            Delivery::Helm => {
                let source = json!({ "kind": "HelmRepository", "name": addon.name });
                let version = version(addon, target);
                json!({ "chart": { "spec": { "chart": addon.chart, "version": version, "sourceRef": source } } })
            }
        }
    }
}

/// The name of the source of a version. Names of versions need not be names of objects.
fn shared(addon: &Addon, number: usize) -> String {
    format!("{}-{number}", addon.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{bearer, fixture};
    use crate::ids::AddonId;

    #[test]
    fn a_kubeconfig_says_what_a_cluster_secret_says() {
        let credentials = bearer("secret", "PEM");
        let text = kubeconfig(Endpoint { server: "https://127.0.0.1:1/clusters/a", credentials: &credentials });
        let config: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(config["users"][0]["user"], json!({ "token": "secret" }));
        let cluster = json!({ "server": "https://127.0.0.1:1/clusters/a", "certificate-authority-data": "UEVN" });
        assert_eq!(config["clusters"][0]["cluster"], cluster);
    }

    #[test]
    fn every_workload_names_a_source_and_a_secret_that_are_there() {
        let addons = vec![fixture::addon("web", Delivery::Git), fixture::addon("chart", Delivery::Helm)];
        let world =
            World::generate(&fixture::scenario(2, addons, vec![fixture::step(0, fixture::install(&[0, 1], 1))]));
        let sources = world.hub_sources();
        let names: Vec<_> = sources.iter().map(|source| (&source["kind"], &source["metadata"]["name"])).collect();
        let cluster = ClusterId(0);
        for addon in (0..world.addons().len()).map(AddonId::from_index) {
            let app = world.app(cluster, addon);
            let (workload, patch) =
                (world.hub_workload(app, Target::default()), world.hub_patch(app, Target::default()));
            let found = |spec: &Value| {
                let reference =
                    if spec["chart"].is_null() { &spec["sourceRef"] } else { &spec["chart"]["spec"]["sourceRef"] };
                names.contains(&(&reference["kind"], &reference["name"]))
            };
            assert!(found(&workload["spec"]) && found(&patch["spec"]), "{workload}");
            assert_eq!(workload["spec"]["kubeConfig"]["secretRef"]["name"], world.clusters().name(cluster));
        }
    }
}
