//! Who manages what: the shape, and how clusters are shared out.

use crate::units::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who manages what.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::scenario) struct Topology {
    /// The shape.
    pub(in crate::scenario) kind: TopologyKind,
    /// How many managers (`sharded`) or cells (`cells`) share the clusters.
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::scenario) shards: u32,
    /// How clusters are assigned to managers.
    pub(in crate::scenario) scheme: Scheme,
    /// What of a cluster counts as its load, for `greedy-minimum` and for `bound`. Argo CD's `consistent-hashing` always
    /// counts apps.
    pub(in crate::scenario) weight: Weight,
    /// No manager gets more than this many times its fair share of the load (`weighted-ring`, `rendezvous`). Clusters that
    /// find their manager full go to the next.
    #[schemars(range(min = 1.0, max = 100.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) bound: Option<f64>,
    /// How much each manager can carry against the others (`weighted-ring`), 1 to 100 each. Managers beyond the list carry 1.
    #[schemars(length(max = 1000), inner(range(min = 1, max = 100)))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::scenario) weights: Vec<u32>,
    /// What clusters and apps cost their manager, in any unit: what somebody measured.
    #[serde(skip_serializing_if = "Cost::is_default")]
    pub(in crate::scenario) cost: Cost,
    /// Managers hold leases of this length on the hub (`sharded`): the clusters of one that no longer renews its own go to
    /// the others, and come back with it. Without leases they wait for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) lease: Option<Span>,
    /// Which label tells the manager (`label`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) label: Option<Label>,
    /// Clusters whose manager somebody chose, as the key `shard` of an Argo CD cluster Secret does. It wins over every
    /// scheme; with `manual`, clusters that no entry names belong to manager 0.
    #[schemars(length(max = 10_000))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::scenario) manual: Vec<Manual>,
}

impl Default for Topology {
    fn default() -> Self {
        Self {
            kind: TopologyKind::Single,
            shards: 1,
            scheme: Scheme::Legacy,
            weight: Weight::Apps,
            bound: None,
            weights: Vec::new(),
            cost: Cost::default(),
            lease: None,
            label: None,
            manual: Vec::new(),
        }
    }
}

/// The shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::scenario) enum TopologyKind {
    /// One hub, one manager.
    Single,
    /// One hub, several managers.
    Sharded,
    /// Whole instances side by side: a hub and a manager each; an orchestrator places the clusters.
    Cells,
    /// A manager on every cluster; a hub assigns the add-ons and manages the managers.
    HubAndSpoke,
}

/// How clusters are assigned to managers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::scenario) enum Scheme {
    /// Argo CD's FNV-1a of the cluster id, modulo managers.
    Legacy,
    /// Argo CD's rank of the cluster, modulo managers.
    RoundRobin,
    /// Argo CD's bounded-load ring.
    ConsistentHashing,
    /// The heaviest cluster first, each to the manager with the least load.
    GreedyMinimum,
    /// A ring in which every manager has points after its weight.
    WeightedRing,
    /// Highest random weight.
    Rendezvous,
    /// A label of the cluster, as Flux's `sharding.fluxcd.io/key`.
    Label,
    /// The list `manual` alone.
    Manual,
}

/// What of a cluster counts as its load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::scenario) enum Weight {
    /// Every cluster counts as one.
    Clusters,
    /// Its apps.
    Apps,
    /// Its `cost`.
    Cost,
}

/// What clusters and apps cost their manager, in any unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::scenario) struct Cost {
    /// Of a cluster without apps.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(in crate::scenario) cluster: u32,
    /// Of an app, by the name of its add-on; 1 where nothing is said.
    #[schemars(extend("maxProperties" = 1000, "additionalProperties" = numbers(1_000_000)))]
    pub(in crate::scenario) addons: BTreeMap<String, u32>,
}

impl Cost {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Which label tells the manager.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::scenario) struct Label {
    /// The label; Flux's is `sharding.fluxcd.io/key`.
    #[serde(default = "flux_key")]
    pub(in crate::scenario) key: String,
    /// The manager of each value, counted from 0.
    #[schemars(extend("maxProperties" = 1000, "additionalProperties" = numbers(999)))]
    pub(in crate::scenario) shards: BTreeMap<String, u32>,
}

/// The schema of the numbers in a map: from 0 to a limit.
fn numbers(most: u32) -> serde_json::Value {
    serde_json::json!({ "type": "integer", "format": "uint32", "minimum": 0, "maximum": most })
}

fn flux_key() -> String {
    "sharding.fluxcd.io/key".to_owned()
}

/// Clusters and their manager. A cluster named here stays even if its labels say otherwise.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::scenario) struct Manual {
    /// Names of clusters.
    #[serde(default)]
    #[schemars(length(max = 10_000))]
    pub(in crate::scenario) clusters: Vec<String>,
    /// Or every cluster with these labels: label to one of these values.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 100))]
    pub(in crate::scenario) labels: BTreeMap<String, Vec<String>>,
    /// Their manager, counted from 0.
    #[schemars(range(min = 0, max = 999))]
    pub(in crate::scenario) shard: u32,
}
