//! Argo CD Applications as an `ApplicationSet` with a cluster generator would make them, and their project.
//!
//! Field and annotation names are Argo CD's and Flamingo's (fsa patches for Argo CD 2.10).

use super::{Target, World, helm_values, version, workload_overrides};
use crate::fleet::ARGOCD_NAMESPACE;
use crate::ids::AppId;
use crate::scenario::{Addon, Delivery, Mode};
use serde_json::{Map, Value, json};

/// Labels that say which pair an Application is.
const ADDON_LABEL: &str = "flamboyance.dev/addon";
const CLUSTER_LABEL: &str = "flamboyance.dev/cluster";
/// Argo CD deletes what the Application manages before the Application goes.
const CASCADE: &str = "resources-finalizer.argocd.argoproj.io";

impl World {
    /// The Application of an app that asks for `target` on the cluster at `server`.
    #[must_use]
    pub fn application(&self, app: AppId, target: Target, server: &str) -> Value {
        let addon = self.addon(app);
        let mut metadata = json!({
            "name": self.app_name(app),
            "namespace": ARGOCD_NAMESPACE,
            "labels": { ADDON_LABEL: addon.name, CLUSTER_LABEL: self.clusters().name(self.cluster_of(app)) },
        });
        let annotations = annotations(self, app, target);
        if !annotations.is_empty() {
            metadata["annotations"] = Value::Object(annotations);
        }
        if addon.cascade_delete {
            metadata["finalizers"] = json!([CASCADE]);
        }
        let mut sync_policy = json!({ "automated": { "prune": true, "selfHeal": addon.self_heal } });
        let options = sync_options(addon);
        if !options.is_empty() {
            sync_policy["syncOptions"] = json!(options);
        }
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": metadata,
            "spec": {
                "project": "default",
                "source": source(self, app, target),
                "destination": { "server": server, "namespace": addon.namespace },
                "syncPolicy": sync_policy,
            },
        })
    }

    /// The JSON merge patch that makes an existing Application ask for `target`.
    #[must_use]
    pub fn application_patch(&self, app: AppId, target: Target) -> Value {
        let mut patch = json!({ "spec": { "source": source(self, app, target) } });
        let annotations = annotations(self, app, target);
        if !annotations.is_empty() {
            patch["metadata"] = json!({ "annotations": annotations });
        }
        patch
    }
}

/// The project `default`, which allows everything.
#[must_use]
pub(super) fn project() -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": { "name": "default", "namespace": ARGOCD_NAMESPACE },
        "spec": {
            "sourceRepos": ["*"],
            "destinations": [{ "namespace": "*", "server": "*" }],
            "clusterResourceWhitelist": [{ "group": "*", "kind": "*" }],
        },
    })
}

fn source(world: &World, app: AppId, target: Target) -> Value {
    let addon = world.addon(app);
    let mut source = json!({ "repoURL": addon.repo_url, "targetRevision": version(addon, target) });
    match addon.delivery {
        Delivery::Git | Delivery::Oci => source["path"] = json!(addon.path),
        Delivery::Helm => {
            source["chart"] = json!(addon.chart);
            let values = helm_values(world, app, target);
            if values.as_object().is_some_and(|values| !values.is_empty()) {
                // JSON is YAML.
                source["helm"] = json!({ "values": values.to_string() });
            }
        }
    }
    source
}

const fn sync_options(addon: &Addon) -> &'static [&'static str] {
    match (addon.flux_subsystem, addon.mode) {
        (false, _) => &[],
        (true, Mode::AutoCreate) => &["FluxSubsystem=true", "AutoCreateFluxResources=true"],
        // As the Flamingo CLI writes it: applying an object as just read onto itself would be a conflict in waiting.
        (true, Mode::Reference) => &["ApplyOutOfSyncOnly=true", "FluxSubsystem=true"],
    }
}

/// Flamingo's override annotations, which it reads in `AutoCreate` mode alone.
fn annotations(world: &World, app: AppId, target: Target) -> Map<String, Value> {
    let addon = world.addon(app);
    let mut annotations = Map::new();
    if !addon.flux_subsystem || addon.mode == Mode::Reference {
        return annotations;
    }
    let (workload, source) = match addon.delivery {
        Delivery::Git => ("flamingo/kustomize-override", "flamingo/gitrepository-override"),
        Delivery::Oci => ("flamingo/kustomize-override", "flamingo/ocirepository-override"),
        Delivery::Helm => ("flamingo/helmrelease-override", "flamingo/helmrepository-override"),
    };
    let spec = workload_overrides(world, app, target);
    if !spec.is_empty() {
        annotations.insert(workload.to_owned(), json!(json!({ "spec": spec }).to_string()));
    }
    if let Some(interval) = addon.interval {
        annotations
            .insert(source.to_owned(), json!(json!({ "spec": { "interval": interval.to_string() } }).to_string()));
    }
    annotations
}
