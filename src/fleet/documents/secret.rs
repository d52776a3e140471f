//! Cluster Secrets in the form of Argo CD.

use super::{Endpoint, World, application};
use crate::fleet::ARGOCD_NAMESPACE;
use crate::ids::ClusterId;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The label by which Argo CD finds cluster Secrets.
const SECRET_TYPE: &str = "argocd.argoproj.io/secret-type";

impl World {
    /// The Secret that registers a cluster with Argo CD; it is named after the cluster and carries its labels.
    #[must_use]
    pub fn cluster_secret(&self, cluster: ClusterId, endpoint: Endpoint<'_>) -> Value {
        let name = self.clusters().name(cluster);
        let mut labels = self.clusters().labels(cluster);
        labels.insert(SECRET_TYPE.to_owned(), "cluster".to_owned());
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": name, "namespace": ARGOCD_NAMESPACE, "labels": labels },
            "type": "Opaque",
            "data": {
                "name": STANDARD.encode(&name),
                "server": STANDARD.encode(endpoint.server),
                "config": STANDARD.encode(endpoint.credentials),
            },
        })
    }

    /// The `AppProject` that all Applications belong to: `default`, which allows everything.
    #[must_use]
    pub fn project(&self) -> Value {
        application::project()
    }
}
