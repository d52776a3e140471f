//! What a scenario means: every default filled in, every reference resolved to an index.

mod backend;
mod prices;
mod topology;

pub use backend::{Backend, Home};
pub use prices::{Memory, Model, Network, PriceList, Server, Thinking, Way};
pub use topology::{Cost, Pin, Scheme, ShardLabel, Topology, TopologyKind, Weight};

use crate::ids::AddonId;
use crate::units::{Share, Span};
use std::collections::BTreeMap;

/// One run, completely described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// `metadata.name`.
    pub name: String,
    /// SHA-256 of the effective scenario in canonical JSON, 64 hex digits.
    pub hash: String,
    /// The `--set` overrides that are part of it, in order.
    pub set: Vec<String>,
    /// The effective scenario as YAML: every default filled in. Parsed again it gives the same hash.
    pub effective: String,
    /// The clusters.
    pub fleet: Fleet,
    /// The catalogue; `AddonId` is the index.
    pub addons: Vec<Addon>,
    /// Who manages what.
    pub topology: Topology,
    /// How the managers behave.
    pub manager: Manager,
    /// Where objects live.
    pub backend: Backend,
    /// What changes when, ordered by time.
    pub timeline: Vec<Step>,
    /// How the run goes: seed, limits, the other controllers.
    pub run: Run,
    /// What simulated time takes for granted.
    pub model: Model,
    /// What is measured.
    pub measure: Measure,
    /// What must hold at the end.
    pub expect: Expect,
    /// What may get how much worse than a baseline, by metric.
    pub gate: BTreeMap<String, Share>,
    /// What a study varies. It is no part of the effective scenario.
    pub matrix: Vec<Axis>,
}

/// One thing that a study varies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// What it is.
    pub name: String,
    /// What it may be.
    pub points: Vec<Point>,
}

/// One of the things that it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// Its name.
    pub name: String,
    /// Overrides as `--set` takes them.
    pub sets: Vec<String>,
}

/// The clusters to generate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// How many, 1 to 1,000,000.
    pub clusters: u32,
    /// Prefix of cluster names: `cluster` gives `cluster-00042`.
    pub name_prefix: String,
    /// Where they are, by weight.
    pub regions: Vec<Weighted>,
    /// What they are for, by weight.
    pub environments: Vec<Weighted>,
    /// Their Kubernetes versions (`1.36`), by weight.
    pub kubernetes: Vec<Weighted>,
    /// How many nodes they have.
    pub nodes: Nodes,
    /// Labels that every cluster carries.
    pub labels: BTreeMap<String, String>,
}

/// A choice and its weight against its siblings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighted {
    /// The choice.
    pub name: String,
    /// At least 1.
    pub weight: u32,
}

/// The distribution of cluster sizes, in nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nodes {
    /// All have as many.
    Fixed(u32),
    /// Zipf over `1..=max`: size k has weight k^-exponent.
    Zipf {
        /// The exponent in thousandths (1000 is the classic law).
        exponent_milli: u32,
        /// The largest size.
        max: u32,
    },
}

/// A catalogue entry: what a platform team installs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addon {
    /// A DNS label; the app is named `<addon>-<cluster>`.
    pub name: String,
    /// Weight in random choices (churn, drift).
    pub weight: u32,
    /// Kustomize from Git or OCI, or Helm.
    pub delivery: Delivery,
    /// Where it comes from: a Git URL, an `oci://` URL or a Helm repository URL.
    pub repo_url: String,
    /// Path in the repository (Kustomize), empty for Helm.
    pub path: String,
    /// Chart name (Helm), empty for Kustomize.
    pub chart: String,
    /// Target revisions or chart versions, oldest first; the first is installed, an upgrade names another.
    pub versions: Vec<String>,
    /// `spec.destination.namespace`.
    pub namespace: String,
    /// Whether Flux objects are generated or read.
    pub mode: Mode,
    /// `false`: an ordinary Application without the Flux subsystem (coexistence).
    pub flux_subsystem: bool,
    /// What one installation consists of.
    pub objects: Objects,
    /// Which clusters get it.
    pub selector: Selector,
    /// Add-ons that must be Ready first (`dependsOn` of the workload).
    pub depends_on: Vec<AddonId>,
    /// Kubernetes minor versions it runs on (1.x), inclusive.
    pub kubernetes: VersionRange,
    /// Helm values, or Kustomize substitutions: name to template. `{cluster}`, `{region}`, `{environment}`,
    /// `{kubernetes}` and `{nodes}` are replaced per cluster.
    pub values: BTreeMap<String, String>,
    /// Flux interval of source and workload, set by override annotation. `None` keeps Flamingo's 10m.
    pub interval: Option<Span>,
    /// `spec.wait` of the Kustomization. Flamingo's is true.
    pub wait: bool,
    /// `spec.driftDetection.mode: enabled` of the HelmRelease. Flamingo leaves it off.
    pub drift_detection: bool,
    /// `syncPolicy.automated`.
    pub automated: bool,
    /// `syncPolicy.automated.selfHeal`.
    pub self_heal: bool,
    /// The Application carries `resources-finalizer.argocd.argoproj.io`.
    pub cascade_delete: bool,
}

/// How the manifests reach the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Delivery {
    /// GitRepository + Kustomization.
    Git,
    /// OCIRepository + Kustomization.
    Oci,
    /// HelmRepository + HelmRelease.
    Helm,
}

/// Flamingo's two modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// `FluxSubsystem=true` and `AutoCreateFluxResources=true`: Flux objects are generated.
    AutoCreate,
    /// `FluxSubsystem=true` alone: existing Flux objects are read. The harness creates them beforehand.
    Reference,
}

/// The objects of one installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objects {
    /// Deployments.
    pub deployments: u32,
    /// Replicas of each Deployment.
    pub replicas: u32,
    /// ConfigMaps.
    pub config_maps: u32,
    /// Bytes of data in each ConfigMap.
    pub config_map_bytes: u32,
    /// ServiceAccounts.
    pub service_accounts: u32,
    /// Services.
    pub services: u32,
}

impl Objects {
    /// How many objects in all.
    #[must_use]
    pub const fn total(&self) -> u32 {
        self.deployments + self.config_maps + self.service_accounts + self.services
    }
}

/// Cluster labels that must all match; empty selects every cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// Label to one of these values.
    pub labels: BTreeMap<String, Vec<String>>,
    /// Of the clusters that match, this share, in parts per million, chosen by seed.
    pub share_ppm: u32,
}

impl Default for Selector {
    /// Every cluster.
    fn default() -> Self {
        Self { labels: BTreeMap::new(), share_ppm: 1_000_000 }
    }
}

/// Labels that the fleet puts on every cluster besides those of the scenario; selectors may name them.
pub mod label {
    /// One of the scenario's regions.
    pub const REGION: &str = "region";
    /// One of the scenario's environments.
    pub const ENVIRONMENT: &str = "environment";
    /// The Kubernetes minor version, such as `1.36`.
    pub const KUBERNETES: &str = "kubernetes";
}

/// Minor versions of Kubernetes 1.x, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRange {
    /// The lowest.
    pub min: u32,
    /// The highest.
    pub max: u32,
}

/// What the managers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManagerKind {
    /// Ours.
    Loopback,
    /// Argo CD's application-controller.
    Argocd(Argo),
    /// The same with the loopback step.
    Flamingo(Argo),
    /// Flux on the hub.
    Flux,
}

impl ManagerKind {
    /// Its name in scenarios and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Argocd(_) => "argocd",
            Self::Flamingo(_) => "flamingo",
            Self::Flux => "flux",
        }
    }

    /// What is particular to Argo CD.
    #[must_use]
    pub const fn argo(self) -> Option<Argo> {
        match self {
            Self::Argocd(argo) | Self::Flamingo(argo) => Some(argo),
            Self::Loopback | Self::Flux => None,
        }
    }
}

/// What is particular to Argo CD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argo {
    /// Which release.
    pub version: ArgoVersion,
    /// Operations at the same time.
    pub operations: u32,
    /// kubectl runs at the same time.
    pub kubectl: u32,
    /// Machines that the managers are spread over; 0 is one for each.
    pub nodes: u32,
}

impl Default for Argo {
    /// Argo CD 3.2 as it is shipped.
    fn default() -> Self {
        Self { version: ArgoVersion::V3, operations: 10, kubectl: 20, nodes: 0 }
    }
}

/// Releases of Argo CD that behave differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ArgoVersion {
    /// 2.8 to 2.14.
    V2,
    /// 3.2 to 3.5.
    V3,
    /// 3.6.
    V36,
}

/// How the managers behave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manager {
    /// What they are.
    pub kind: ManagerKind,
    /// The folder of their programs: live runs start those.
    pub command: Option<String>,
    /// Ours mended or the original with its defects.
    pub behaviour: Behaviour,
    /// Rounds at the same time, per manager.
    pub concurrency: u32,
    /// Calls per second to the hub, thousandths; 0 is unlimited.
    pub hub_qps_milli: u64,
    /// Calls to the hub that may go at once after a rest.
    pub hub_burst: u32,
    /// Calls per second to each leaf, thousandths; 0 is unlimited.
    pub leaf_qps_milli: u64,
    /// Calls to a leaf that may go at once after a rest.
    pub leaf_burst: u32,
    /// Every app is looked at again after so long.
    pub resync: Span,
    /// Up to so much is added to each resync, per app.
    pub resync_jitter: Span,
    /// First back-off after a failed round; doubles.
    pub backoff_base: Span,
    /// The longest back-off.
    pub backoff_max: Span,
    /// Flux objects are watched and read from a client cache; without it every round GETs them.
    pub client_cache: bool,
    /// API versions of the generated Flux objects.
    pub flux_api: FluxApi,
    /// HTTP/2 connections to each API server process.
    pub connections: u32,
}

/// Faithful to the original's defects, or mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Behaviour {
    /// The original, defects included.
    Faithful,
    /// Mended where the original is defective.
    Fixed,
}

/// Versions of the generated Flux objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FluxApi {
    /// `source.toolkit.fluxcd.io`.
    pub source: String,
    /// `kustomize.toolkit.fluxcd.io`.
    pub kustomize: String,
    /// `helm.toolkit.fluxcd.io`.
    pub helm: String,
}

/// One entry of the timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When, from the start of the run.
    pub at: Span,
    /// What.
    pub action: Action,
}

/// What happens at one point of the timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Applications are created on all clusters that the add-on's selector selects.
    Install {
        /// Which add-ons.
        addons: Vec<AddonId>,
        /// In how many waves of equal size, clusters in id order.
        waves: u32,
        /// Between two waves.
        wave_gap: Span,
    },
    /// The Applications' target revision moves.
    Upgrade {
        /// Which add-on.
        addon: AddonId,
        /// Index into its versions.
        version: usize,
        /// On which of its clusters.
        selector: Selector,
    },
    /// A new commit (or chart, or digest) appears under the same reference; the hub sees no change.
    Commit {
        /// Which add-on.
        addon: AddonId,
    },
    /// Values of the Applications change.
    Scale {
        /// Which add-on.
        addon: AddonId,
        /// The new values, over the old ones.
        values: BTreeMap<String, String>,
        /// Replicas of its Deployments from now on.
        replicas: Option<u32>,
        /// On which of its clusters.
        selector: Selector,
    },
    /// The add-on is installed on more clusters.
    Rollout {
        /// Which add-on.
        addon: AddonId,
        /// Which clusters shall have it besides those that do.
        selector: Selector,
    },
    /// Clusters join or leave the fleet.
    Clusters {
        /// How many more (taken from the reserve) or fewer.
        delta: i64,
    },
    /// Somebody changes objects behind the controllers' backs.
    Drift {
        /// Which add-on; `None` chooses by weight.
        addon: Option<AddonId>,
        /// How many apps.
        apps: u32,
        /// Deleted or edited.
        kind: DriftKind,
    },
    /// Applications are deleted.
    Decommission {
        /// Which add-on.
        addon: AddonId,
        /// On which of its clusters.
        selector: Selector,
    },
    /// Changes arrive as an open-loop process.
    Churn {
        /// Changes per second, thousandths.
        rate_milli: u64,
        /// Poisson or evenly spaced.
        arrival: Arrival,
        /// For how long.
        duration: Span,
    },
    /// Who manages what changes; real clock alone.
    Shift(Shift),
    /// API servers are in trouble, for managers; simulated clock alone.
    Trouble {
        /// Which.
        place: Place,
        /// What.
        trouble: Trouble,
        /// For how long.
        duration: Span,
    },
    /// A process is hurt.
    Fault {
        /// Which.
        victim: Victim,
        /// How.
        fault: Fault,
        /// For how long; then it runs again.
        duration: Span,
    },
}

/// A change of who manages what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shift {
    /// So many managers more, or fewer: the last ones.
    Managers {
        /// How many.
        delta: i64,
    },
    /// Somebody chooses the manager or the cell of clusters.
    Move {
        /// Their names.
        clusters: Vec<String>,
        /// The manager or cell.
        to: u32,
    },
    /// A cell is left by all its clusters.
    Drain {
        /// Which.
        cell: u32,
    },
}

impl std::fmt::Display for Shift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Managers { delta } => write!(f, "managers {delta:+}"),
            Self::Move { clusters, to } => write!(f, "move {} to {to}", clusters.len()),
            Self::Drain { cell } => write!(f, "drain cell {cell}"),
        }
    }
}

/// What drift does to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DriftKind {
    /// The object is deleted.
    Delete,
    /// A field of it is changed.
    Edit,
}

/// How changes arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arrival {
    /// Exponential gaps.
    Poisson,
    /// Equal gaps.
    Fixed,
}

/// Which process is hurt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Victim {
    /// This manager.
    Manager(u32),
    /// The API servers of all clusters.
    Leaves,
    /// The API server of the hub.
    Hub,
}

/// Which API servers are in trouble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The hub's.
    Hub,
    /// Those of these clusters.
    Leaves(Selector),
}

/// What is the matter with API servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Managers do not reach them.
    Partition,
    /// This share of calls and watch events, in parts per million, takes so much longer each way.
    Slow {
        /// Which share.
        share_ppm: u32,
        /// How much longer.
        by: Delay,
    },
    /// This share of calls, in parts per million, is told 429.
    Throttle {
        /// Which share.
        share_ppm: u32,
        /// When to come back.
        retry_after: Span,
    },
    /// Watches end with 410, at moments spread over the time.
    Expire,
    /// They are gone and come back with all objects.
    Restart,
}

/// How a process is hurt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// SIGKILL; started anew afterwards. Managers alone: API servers keep their objects in memory.
    Kill,
    /// SIGSTOP; SIGCONT afterwards.
    Pause,
}

/// How the run goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Seed of everything drawn.
    pub seed: u64,
    /// The run is given up after so long (exit code 4).
    pub timeout: Span,
    /// The run goes on until then, however early everything is settled.
    pub duration: Span,
    /// Applications that the harness creates or changes at the same time.
    pub driver_concurrency: u32,
    /// TLS between the processes.
    pub tls: bool,
    /// The Flux controllers of each leaf.
    pub flux: Flux,
    /// Until a Deployment's pods are available.
    pub workload_ready: Delay,
    /// History of all API servers of one process, bytes.
    pub history_bytes: u64,
}

/// The Flux controllers of each leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flux {
    /// Reconciles at the same time in each controller; Flux's default is 4 (source: 2).
    pub concurrency: u32,
    /// Jitter of intervals, parts per million each way; Flux's default is 50,000.
    pub jitter_ppm: u32,
    /// Poll of unready dependencies; Flux's default is 30s.
    pub dependency_poll: Span,
    /// Poll of health; Flux's is 5s.
    pub health_poll: Span,
    /// First back-off of a failed or fresh object; Flux's default is 750ms.
    pub backoff_base: Span,
    /// Longest back-off; Flux's default is 15m.
    pub backoff_max: Span,
    /// Time to fetch an artifact.
    pub fetch: Delay,
    /// Time to build or render the manifests.
    pub build: Delay,
}

/// A length of time drawn per event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Delay {
    /// Always the same; zero is none.
    Fixed(Span),
    /// Uniform between two bounds.
    Uniform {
        /// Shortest.
        min: Span,
        /// Longest.
        max: Span,
    },
    /// Exponential.
    Exponential {
        /// Mean.
        mean: Span,
    },
}

impl std::fmt::Display for Delay {
    /// As a sentence says it: `500us`, `uniform 1s to 2s`, `exponential, mean 3s`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(span) => span.fmt(f),
            Self::Uniform { min, max } => write!(f, "uniform {min} to {max}"),
            Self::Exponential { mean } => write!(f, "exponential, mean {mean}"),
        }
    }
}

impl Delay {
    /// The `n`-th draw of a seed.
    #[must_use]
    pub fn draw(self, seed: crate::seed::Seed, n: u64) -> Span {
        match self {
            Self::Fixed(span) => span,
            Self::Uniform { min, max } => seed.span(n, min, max),
            Self::Exponential { mean } => seed.exponential(n, mean),
        }
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Width of a window of the time series.
    pub window: Span,
}

/// What must hold at the end; a run that breaks it ends with exit code 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expect {
    /// All apps healthy within so long of the first change.
    pub all_healthy: Option<Span>,
    /// The 99th percentile of `end_to_end`.
    pub end_to_end_p99: Option<Span>,
}
