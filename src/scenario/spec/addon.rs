//! The catalogue.

use super::{DnsLabel, Minor, one};
use crate::units::{Bytes, Share, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a platform team installs on clusters. One add-on on one cluster is an app: an Argo CD Application.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Addon {
    /// A DNS label. The app is named `<add-on>-<cluster>`.
    pub(crate) name: DnsLabel,
    /// Where its manifests come from.
    pub(crate) source: Source,
    /// Branches (Git), tags (OCI) or chart versions (Helm), oldest first. The first is installed, an upgrade names another.
    #[schemars(length(min = 1, max = 1000))]
    pub(crate) versions: Vec<String>,
    /// Weight in random choices (churn, drift).
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) weight: u32,
    /// Namespace on the leaf, of the Flux objects and of what they install. By default the name of the add-on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<DnsLabel>,
    /// Who writes the Flux objects.
    #[serde(default)]
    pub(crate) mode: Mode,
    /// So many add-ons like this one, called `<name>-0001` and so on, each an app of its own on every cluster. `{instance}`
    /// in the URL is replaced by the number; the path gets it as its last part, and so does the namespace if none is given.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    #[schemars(range(min = 1, max = 20_000))]
    pub(crate) instances: u32,
    /// What one installation consists of.
    #[serde(default)]
    pub(crate) objects: Objects,
    /// Which clusters get it; all by default.
    #[serde(default)]
    pub(crate) selector: Selector,
    /// Add-ons that must be Ready first on the same cluster (Flux `dependsOn`).
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub(crate) depends_on: Vec<String>,
    /// Kubernetes versions it runs on.
    #[serde(default)]
    pub(crate) kubernetes: VersionRange,
    /// Helm values or Kustomize substitutions. `{cluster}`, `{region}`, `{environment}`, `{kubernetes}` and `{nodes}`
    /// are replaced per cluster. A dotted name is a path in the values of a chart.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 1000))]
    pub(crate) values: BTreeMap<String, String>,
    /// Flux interval of source and workload, set by override annotation. Without it Flamingo's 10m remains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) interval: Option<Span>,
    /// Whether a Kustomization waits for the health of what it applied (`spec.wait`). Flamingo's is true. Not for charts:
    /// Helm always waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) wait: Option<bool>,
    /// Whether a HelmRelease corrects drift (`spec.driftDetection.mode: enabled`). Flamingo leaves it off. Only for
    /// charts: Kustomizations always do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) drift_detection: Option<bool>,
    /// `syncPolicy.automated` of the Application. Without it whoever changes the Application also asks for its sync. For
    /// `argocd` and `flamingo`.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub(crate) automated: bool,
    /// `syncPolicy.automated.selfHeal` of the Application: changed Flux objects are put back.
    #[serde(default = "yes")]
    pub(crate) self_heal: bool,
    /// The Application carries `resources-finalizer.argocd.argoproj.io`: its Flux objects go with it.
    #[serde(default = "yes")]
    pub(crate) cascade_delete: bool,
}

/// Where manifests come from.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(crate) enum Source {
    /// Kustomize from Git: GitRepository and Kustomization.
    Git {
        /// The repository, `https://`, `http://` or `ssh://`.
        url: String,
        /// Path in the repository.
        #[serde(default = "root")]
        path: String,
    },
    /// Kustomize from an OCI artifact: OCIRepository and Kustomization.
    Oci {
        /// The artifact, `oci://`.
        url: String,
        /// Path in the artifact.
        #[serde(default = "root")]
        path: String,
    },
    /// A Helm chart: HelmRepository and HelmRelease.
    Helm {
        /// The chart repository, `https://`, `http://` or `oci://`.
        url: String,
        /// The name of the chart.
        chart: String,
    },
}

/// Who writes the Flux objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// They are generated from the Application (`AutoCreateFluxResources=true`).
    #[default]
    AutoCreate,
    /// Existing ones are read. The harness creates them beforehand, outside the measurement.
    Reference,
    /// There are none: an ordinary Application beside the others, without the Flux subsystem.
    Ordinary,
}

/// The objects of one installation.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Objects {
    /// Deployments.
    #[schemars(range(min = 0, max = 1000))]
    pub(crate) deployments: u32,
    /// Replicas of each Deployment.
    #[schemars(range(min = 0, max = 1000))]
    pub(crate) replicas: u32,
    /// ConfigMaps.
    #[schemars(range(min = 0, max = 1000))]
    pub(crate) config_maps: u32,
    /// Data of each ConfigMap. Kubernetes allows 1Mi.
    pub(crate) config_map_size: Bytes,
    /// ServiceAccounts.
    #[schemars(range(min = 0, max = 1000))]
    pub(crate) service_accounts: u32,
    /// Services.
    #[schemars(range(min = 0, max = 1000))]
    pub(crate) services: u32,
}

impl Default for Objects {
    fn default() -> Self {
        Self {
            deployments: 1,
            replicas: 1,
            config_maps: 1,
            config_map_size: Bytes(256),
            service_accounts: 1,
            services: 1,
        }
    }
}

/// Cluster labels that must all match; empty selects every cluster.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Selector {
    /// Label to the values that match: `region`, `environment`, `kubernetes` or one of `fleet.labels`.
    #[schemars(extend("maxProperties" = 100))]
    pub(crate) labels: BTreeMap<String, Vec<String>>,
    /// Of the clusters that match, this share, chosen by seed.
    pub(crate) share: Share,
}

impl Selector {
    /// Whether every cluster matches.
    pub(crate) fn is_all(&self) -> bool {
        self.labels.is_empty() && self.share == Share::ALL
    }
}

impl Default for Selector {
    fn default() -> Self {
        Self { labels: BTreeMap::new(), share: Share::ALL }
    }
}

/// Kubernetes versions, both ends included.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct VersionRange {
    /// The lowest.
    pub(crate) min: Minor,
    /// The highest.
    pub(crate) max: Minor,
}

impl Default for VersionRange {
    fn default() -> Self {
        Self { min: Minor(0), max: Minor(99) }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_one(number: &u32) -> bool {
    *number == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_yes(flag: &bool) -> bool {
    *flag
}

const fn yes() -> bool {
    true
}

fn root() -> String {
    "./".to_owned()
}
