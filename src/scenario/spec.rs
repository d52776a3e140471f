//! The file format: what people write, and its defaults. What it means is the model's business.
//!
//! These types are the one truth of the format: the JSON Schema (editors, `schema`, `explain` and the check of shapes)
//! is made from them, so their documentation is what a user reads. Every number has a limit.

mod addon;
mod matrix;
mod prices;
mod run;
mod timeline;
mod topology;

pub(super) use addon::{Addon, Mode, Objects, Selector, Source};
pub(super) use matrix::{Axis, Point};
pub(super) use prices::{Model, PriceList, Region, Server};
pub(super) use run::{Delay, Expect, Measure, Run};
pub(super) use timeline::{Arrival, Change, DriftKind, Fault, FaultKind, FaultProcess, Step};
pub(super) use topology::{Manual, Scheme, Topology, TopologyKind, Weight};

use crate::units::{Rate, Share, Span};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A flamboyance scenario: one run, completely described.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Scenario")]
pub(super) struct File {
    /// The version of this format.
    pub(super) api_version: ApiVersion,
    /// What the document is.
    pub(super) kind: DocumentKind,
    /// The name of the scenario.
    pub(super) metadata: Metadata,
    /// What to run.
    pub(super) spec: Spec,
}

/// The version of this format.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) enum ApiVersion {
    /// The first.
    #[serde(rename = "flamboyance.dev/v1alpha1")]
    V1Alpha1,
}

/// What the document is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) enum DocumentKind {
    /// A scenario.
    Scenario,
}

/// The name of the scenario.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Metadata {
    /// A DNS label. Results are named after it.
    pub(super) name: DnsLabel,
}

/// What to run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Spec {
    /// The clusters to generate.
    #[serde(default)]
    pub(super) fleet: Fleet,
    /// The catalogue: what a platform team installs.
    #[schemars(length(min = 1, max = 1000))]
    pub(super) addons: Vec<Addon>,
    /// Who manages what.
    #[serde(default)]
    pub(super) topology: Topology,
    /// How the managers behave.
    #[serde(default)]
    pub(super) manager: Manager,
    /// Where objects live.
    #[serde(default)]
    pub(super) backend: Backend,
    /// What changes when. Entries may stand in any order; at equal times the order of the file counts.
    #[schemars(length(min = 1, max = 100_000))]
    pub(super) timeline: Vec<Step>,
    /// How the run goes: seed, limits, the other controllers.
    #[serde(default)]
    pub(super) run: Run,
    /// What simulated time takes for granted. Live runs do not read it.
    #[serde(default)]
    pub(super) model: Model,
    /// What is measured.
    #[serde(default)]
    pub(super) measure: Measure,
    /// What must hold at the end. A run that breaks it ends with exit code 1.
    #[serde(default)]
    pub(super) expect: Expect,
    /// What `gate` judges: metrics (dotted paths into the record, as `compare -o json` names them) and how much worse each
    /// may get than the baseline, such as `latency.end_to_end.p99: 5%`. Empty takes the usual ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 100))]
    pub(super) gate: BTreeMap<String, Share>,
    /// What a study varies; `compare` runs every combination, `run` the scenario as it stands.
    #[schemars(length(max = 8))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) matrix: Vec<Axis>,
}

/// The clusters to generate.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Fleet {
    /// How many.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) clusters: u32,
    /// Prefix of cluster names: `cluster` gives `cluster-00042`.
    pub(super) name_prefix: DnsLabel,
    /// Where they are, by weight. It becomes the cluster label `region`.
    #[schemars(length(min = 1, max = 1000))]
    pub(super) regions: Vec<Weighted>,
    /// What they are for, by weight. It becomes the cluster label `environment`.
    #[schemars(length(min = 1, max = 1000))]
    pub(super) environments: Vec<Weighted>,
    /// Their Kubernetes versions, by weight. It becomes the cluster label `kubernetes`.
    #[schemars(length(min = 1, max = 100))]
    pub(super) kubernetes: Vec<WeightedVersion>,
    /// How many nodes they have.
    pub(super) nodes: Nodes,
    /// Labels that every cluster carries besides `region`, `environment` and `kubernetes`.
    #[schemars(extend("maxProperties" = 100))]
    pub(super) labels: BTreeMap<String, String>,
}

impl Default for Fleet {
    fn default() -> Self {
        let choice = |(name, weight): (&str, u32)| Weighted { name: DnsLabel(name.to_owned()), weight };
        let version = |(minor, weight)| WeightedVersion { version: Minor(minor), weight };
        Self {
            clusters: 10,
            name_prefix: DnsLabel("cluster".to_owned()),
            regions: [("eu-west", 4), ("us-east", 4), ("ap-south", 2)].map(choice).to_vec(),
            environments: [("production", 6), ("staging", 3), ("development", 1)].map(choice).to_vec(),
            kubernetes: [(36, 4), (35, 4), (34, 2)].map(version).to_vec(),
            nodes: Nodes::Zipf { exponent: 1.0, max: 100 },
            labels: BTreeMap::new(),
        }
    }
}

/// A choice and its weight against its siblings.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Weighted {
    /// The choice, a DNS label.
    pub(super) name: DnsLabel,
    /// Its weight against the others.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) weight: u32,
}

/// A Kubernetes version and its weight against its siblings.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WeightedVersion {
    /// The version, in quotes: YAML reads a bare 1.30 as the number 1.3.
    pub(super) version: Minor,
    /// Its weight against the others.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) weight: u32,
}

/// How many nodes clusters have.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(super) enum Nodes {
    /// All have as many.
    Fixed(#[schemars(range(min = 1, max = 15_000))] u32),
    /// Zipf: many small clusters, few large ones.
    Zipf {
        /// Size k has weight 1 / k^exponent; 1 is the classic law.
        #[serde(default = "one_f64")]
        #[schemars(range(min = 0.0, max = 5.0))]
        exponent: f64,
        /// The largest size. 15,000 is the most that a Kubernetes provider supports.
        #[schemars(range(min = 1, max = 15_000))]
        max: u32,
    },
}

/// How the managers behave.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Manager {
    /// What the managers are.
    pub(super) kind: ManagerKind,
    /// Folder of their programs, for `argocd` and `flux`: with the real clock a run starts those. Relative to where the
    /// run is started. `argocd` without it is simulated only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub(super) command: Option<String>,
    /// Mended, or the original with its defects.
    pub(super) behaviour: Behaviour,
    /// The release of Argo CD that is simulated. Only for `argocd` and `flamingo`; 3.2 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<ArgoVersion>,
    /// Rounds at the same time, per manager. Argo CD's default is 20 (`--status-processors`).
    #[schemars(range(min = 1, max = 100_000))]
    pub(super) concurrency: u32,
    /// Operations at the same time, per manager (`--operation-processors`). Only for `argocd` and `flamingo`; 10 by
    /// default.
    #[schemars(range(min = 1, max = 100_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) operations: Option<u32>,
    /// kubectl runs at the same time, per manager (`--kubectl-parallelism-limit`). Only for `argocd` and `flamingo`; 20 by
    /// default.
    #[schemars(range(min = 1, max = 100_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kubectl: Option<u32>,
    /// Machines that the managers are spread over, one after the other. Only for `argocd` and `flamingo`; one for each by
    /// default.
    #[schemars(range(min = 1, max = 10_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nodes: Option<u32>,
    /// Calls to the hub, per manager. Unlimited by default; for `argocd` and `flamingo` Argo CD's 50/s with a burst of 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hub: Option<Limit>,
    /// Calls to each leaf, per manager.
    pub(super) leaf: Limit,
    /// Every app is looked at again after so long. Argo CD's default is 120s.
    pub(super) resync: Span,
    /// Up to so much is added to each resync, per app. Argo CD's default is 60s.
    pub(super) resync_jitter: Span,
    /// Wait after a first failed round; doubles with each further one. The default is client-go's.
    pub(super) backoff_base: Span,
    /// The longest wait after a failed round. The default is client-go's.
    pub(super) backoff_max: Span,
    /// Flux objects are watched and read from a client cache; without it every round GETs them.
    pub(super) client_cache: bool,
    /// API versions of the generated Flux objects.
    pub(super) flux_api: FluxApi,
    /// HTTP/2 connections to each API server process.
    #[schemars(range(min = 1, max = 1000))]
    pub(super) connections: u32,
}

impl Default for Manager {
    fn default() -> Self {
        Self {
            kind: ManagerKind::Loopback,
            command: None,
            behaviour: Behaviour::Fixed,
            version: None,
            concurrency: 20,
            operations: None,
            kubectl: None,
            nodes: None,
            hub: None,
            leaf: Limit::default(),
            resync: Span::from_secs(120),
            resync_jitter: Span::from_secs(60),
            // client-go util/workqueue DefaultTypedControllerRateLimiter: 5ms doubling to 1000s.
            backoff_base: Span::from_millis(5),
            backoff_max: Span::from_secs(1000),
            client_cache: true,
            flux_api: FluxApi::default(),
            connections: 4,
        }
    }
}

/// What the managers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ManagerKind {
    /// Ours: Flamingo's loopback reconciliation and nothing else.
    Loopback,
    /// Argo CD's application-controller: it renders and applies all objects itself. A model on the simulated clock; its own
    /// programs on the real one, if `command` says where they are.
    Argocd,
    /// Argo CD with Flamingo's loopback step: Flux on the clusters installs what Applications name. Simulated only.
    Flamingo,
    /// Flux on the hub, with a kubeconfig for each cluster: its own programs, which `command` names. Real clock.
    Flux,
}

impl ManagerKind {
    /// Whether it is an Argo CD.
    pub(super) const fn is_argo(self) -> bool {
        matches!(self, Self::Argocd | Self::Flamingo)
    }
}

/// Releases of Argo CD that behave differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) enum ArgoVersion {
    /// 2.8 to 2.14.
    #[serde(rename = "2.8")]
    V2,
    /// 3.2 to 3.5.
    #[default]
    #[serde(rename = "3.2")]
    V3,
    /// 3.6.
    #[serde(rename = "3.6")]
    V36,
}

/// Mended, or the original with its defects.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Behaviour {
    /// Mended where the original is defective.
    Fixed,
    /// The original, defects included.
    Faithful,
}

/// A client-side rate limit, a token bucket as in client-go.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Limit {
    /// Calls per second; 0/s is no limit.
    pub(super) qps: Rate,
    /// Calls that may go at once after a rest.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) burst: u32,
}

impl Default for Limit {
    fn default() -> Self {
        Self { qps: Rate { milli: 0 }, burst: 100 }
    }
}

/// API versions of the generated Flux objects. The defaults are the newest stable ones.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct FluxApi {
    /// Of `source.toolkit.fluxcd.io`; the original generates v1beta2.
    pub(super) source: DnsLabel,
    /// Of `kustomize.toolkit.fluxcd.io`; the original generates v1.
    pub(super) kustomize: DnsLabel,
    /// Of `helm.toolkit.fluxcd.io`; the original generates v2beta2.
    pub(super) helm: DnsLabel,
}

impl Default for FluxApi {
    fn default() -> Self {
        let [source, kustomize, helm] = ["v1", "v1", "v2"].map(|version| DnsLabel(version.to_owned()));
        Self { source, kustomize, helm }
    }
}

/// Where objects live in a live run. A simulation does not read it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Backend {
    /// Mock API servers in processes of ours.
    #[default]
    Mock,
    /// Every hub and every leaf is a kube-apiserver with its etcd, from the folder that `KUBEBUILDER_ASSETS` names, for the
    /// time of the run: 460 MiB each.
    LocalControlPlane,
    /// Every hub and every leaf is a cluster of kind with nodes that run pods, for the time of the run; the programs `kind`
    /// and docker, nerdctl or podman are needed.
    Kind,
    /// The hub's objects live elsewhere, those of the leaves in mock API servers.
    Hub(Elsewhere),
}

/// Where objects live when it is not the mock.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Elsewhere {
    /// A kube-apiserver with its etcd, from the folder that `KUBEBUILDER_ASSETS` names, for the time of the run.
    LocalControlPlane,
    /// A cluster of kind of one node, for the time of the run.
    Kind,
    /// One with three control planes.
    KindHa,
    /// An existing cluster: the context of a kubeconfig that `run` is given. What the run writes there is labelled and
    /// removed at its end.
    Kubeconfig,
}

/// A DNS label (RFC 1123): lower-case letters, digits and `-`, at most 63 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct DnsLabel(pub(super) String);

impl DnsLabel {
    /// Whether a text is one; the message says what is wrong with it.
    pub(super) fn check(text: &str) -> Result<(), String> {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let edge = |byte: Option<&u8>| byte.is_some_and(|byte| inner(*byte) && *byte != b'-');
        let bytes = text.as_bytes();
        if bytes.len() > 63 {
            return Err(format!("`{text}` has {} characters, a DNS label has at most 63", bytes.len()));
        }
        if edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(|byte| inner(*byte)) {
            return Ok(());
        }
        Err(format!("`{text}` is not a DNS label: lower-case letters, digits and `-`, which does not start or end it"))
    }
}

impl JsonSchema for DnsLabel {
    fn schema_name() -> Cow<'static, str> {
        "DnsLabel".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "format": "dns-label", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63,
        })
    }
}

/// A minor version of Kubernetes 1.x, written `"1.36"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Minor(pub(super) u32);

impl std::fmt::Display for Minor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

impl std::str::FromStr for Minor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let minor = text.strip_prefix("1.").filter(|digits| (1..=2).contains(&digits.len()));
        let minor = minor.filter(|digits| digits.bytes().all(|b| b.is_ascii_digit())).and_then(|d| d.parse().ok());
        minor.map(Self).ok_or_else(|| format!("`{text}` is not a Kubernetes version: write one such as \"1.36\""))
    }
}

impl Serialize for Minor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Minor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Minor {
    fn schema_name() -> Cow<'static, str> {
        "KubernetesVersion".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "format": "kubernetes-version", "pattern": r"^1\.[0-9]{1,2}$", "examples": ["1.36"],
        })
    }
}

const fn one() -> u32 {
    1
}

const fn one_f64() -> f64 {
    1.0
}
