//! The Flux objects of an app in Reference mode, which exist before Argo CD looks at them.
//!
//! They say what Flamingo would generate for the same Application (fsa patches 09, 11, 13, 23), overrides included.

use super::{Target, World, helm_values, version, workload_kind, workload_overrides};
use crate::ids::AppId;
use crate::scenario::Delivery;
use crate::units::Span;
use serde_json::{Map, Value, json};

/// Flamingo's interval of source and workload.
pub(super) const INTERVAL: Span = Span::from_secs(600);

impl World {
    /// The source and the workload of an app, as somebody would have written them by hand.
    #[must_use]
    pub fn flux_objects(&self, app: AppId, target: Target) -> [Value; 2] {
        let addon = self.addon(app);
        let metadata = json!({ "name": self.app_name(app), "namespace": addon.namespace });
        let interval = addon.interval.unwrap_or(INTERVAL).to_string();
        let object = |(group, api): (&str, &str), kind: &str, spec: Value| json!({ "apiVersion": format!("{group}/{api}"), "kind": kind, "metadata": metadata, "spec": spec });
        let api = &self.flux_api;
        let source_api = ("source.toolkit.fluxcd.io", api.source.as_str());
        let (source_kind, source) = source(self, app, target, &interval);
        let reference = json!({ "kind": source_kind, "name": self.app_name(app), "namespace": addon.namespace });
        let (workload_api, mut workload) = match addon.delivery {
            Delivery::Git | Delivery::Oci => (
                ("kustomize.toolkit.fluxcd.io", api.kustomize.as_str()),
                json!({ "interval": interval, "path": addon.path, "prune": true, "wait": true, "sourceRef": reference }),
            ),
            Delivery::Helm => (
                ("helm.toolkit.fluxcd.io", api.helm.as_str()),
                json!({
                    "interval": interval,
                    "chart": { "spec": { "chart": addon.chart, "version": version(addon, target), "sourceRef": reference } },
                    "releaseName": self.app_name(app),
                    "targetNamespace": addon.namespace,
                    "install": { "crds": "CreateReplace", "replace": true },
                    "upgrade": { "crds": "CreateReplace" },
                    "values": helm_values(self, app, target),
                }),
            ),
        };
        if let Value::Object(spec) = &mut workload {
            spec.extend(workload_overrides(self, app, target));
        }
        [object(source_api, source_kind, source), object(workload_api, workload_kind(addon), workload)]
    }
}

fn source(world: &World, app: AppId, target: Target, interval: &str) -> (&'static str, Value) {
    let addon = world.addon(app);
    let mut spec =
        Map::from_iter([("interval".to_owned(), json!(interval)), ("url".to_owned(), json!(addon.repo_url))]);
    let kind = match addon.delivery {
        Delivery::Git => {
            spec.insert("ref".to_owned(), json!({ "branch": version(addon, target) }));
            "GitRepository"
        }
        Delivery::Oci => {
            spec.insert("ref".to_owned(), json!({ "tag": version(addon, target) }));
            "OCIRepository"
        }
        Delivery::Helm => {
            let oci = addon.repo_url.starts_with("oci://");
            spec.insert("type".to_owned(), json!(if oci { "oci" } else { "default" }));
            "HelmRepository"
        }
    };
    (kind, Value::Object(spec))
}
