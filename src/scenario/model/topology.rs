//! Who manages what.

use crate::units::Span;
use std::collections::BTreeMap;

/// Who manages what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// The shape.
    pub kind: TopologyKind,
    /// Managers (`sharded`) or cells (`cells`); 1 for the others.
    pub shards: u32,
    /// How clusters are assigned to managers.
    pub scheme: Scheme,
    /// What of a cluster counts as its load.
    pub weight: Weight,
    /// No manager gets more than so many thousandths of its fair share, at least 1000; `None` is unbounded.
    pub bound_milli: Option<u32>,
    /// How much each manager can carry against the others, 1 to 100; managers beyond the list carry 1.
    pub weights: Vec<u32>,
    /// What clusters and apps cost their manager.
    pub cost: Cost,
    /// How long a manager's lease on the hub is; `None`: managers are fixed.
    pub lease: Option<Span>,
    /// The label that tells the manager.
    pub label: Option<ShardLabel>,
    /// Clusters whose manager somebody chose.
    pub manual: Vec<Pin>,
}

impl Topology {
    /// A topology with every option at its default.
    #[must_use]
    pub const fn new(kind: TopologyKind, shards: u32, scheme: Scheme) -> Self {
        Self {
            kind,
            shards,
            scheme,
            weight: Weight::Apps,
            bound_milli: None,
            weights: Vec::new(),
            cost: Cost { cluster: 0, apps: Vec::new() },
            lease: None,
            label: None,
            manual: Vec::new(),
        }
    }
}

/// The shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TopologyKind {
    /// One hub, one manager.
    Single,
    /// One hub, several managers.
    Sharded,
    /// Several hubs with a manager each, and one for the orchestrator.
    Cells,
    /// One hub, a manager on every leaf.
    HubAndSpoke,
}

impl TopologyKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Single, Self::Sharded, Self::Cells, Self::HubAndSpoke];

    /// Whether `shards` says how many managers or cells share the clusters.
    #[must_use]
    pub const fn has_shards(self) -> bool {
        matches!(self, Self::Sharded | Self::Cells)
    }

    /// Its name in scenarios and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Sharded => "sharded",
            Self::Cells => "cells",
            Self::HubAndSpoke => "hub-and-spoke",
        }
    }
}

/// How clusters are assigned to managers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Argo CD's FNV-1a of the cluster id modulo shards.
    Legacy,
    /// Argo CD's rank modulo shards.
    RoundRobin,
    /// Argo CD's bounded-load ring.
    ConsistentHashing,
    /// The heaviest cluster first, each to the shard with the least load.
    GreedyMinimum,
    /// A ring in which every shard has points after its weight.
    WeightedRing,
    /// Highest random weight.
    Rendezvous,
    /// A label of the cluster.
    Label,
    /// The list of the scenario.
    Manual,
}

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Legacy,
        Self::RoundRobin,
        Self::ConsistentHashing,
        Self::GreedyMinimum,
        Self::WeightedRing,
        Self::Rendezvous,
        Self::Label,
        Self::Manual,
    ];

    /// Its name in scenarios and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::RoundRobin => "round-robin",
            Self::ConsistentHashing => "consistent-hashing",
            Self::GreedyMinimum => "greedy-minimum",
            Self::WeightedRing => "weighted-ring",
            Self::Rendezvous => "rendezvous",
            Self::Label => "label",
            Self::Manual => "manual",
        }
    }

    /// Whether it is one of Argo CD's own, with its defects.
    #[must_use]
    pub const fn is_argo_cds(self) -> bool {
        matches!(self, Self::Legacy | Self::RoundRobin | Self::ConsistentHashing)
    }
}

/// What of a cluster counts as its load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weight {
    /// Every cluster counts as one.
    Clusters,
    /// Its apps.
    Apps,
    /// Its cost.
    Cost,
}

/// What clusters and apps cost their manager, in the unit of whoever measured it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Of a cluster without apps.
    pub cluster: u32,
    /// Of an app, by `AddonId`; 1 beyond the list.
    pub apps: Vec<u32>,
}

/// The label that tells the manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardLabel {
    /// The label.
    pub key: String,
    /// The manager of each value.
    pub shards: BTreeMap<String, u32>,
}

/// Clusters and the manager that somebody chose for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// Names of clusters.
    pub clusters: Vec<String>,
    /// Every cluster with these labels: label to one of these values; none of them if empty.
    pub labels: BTreeMap<String, Vec<String>>,
    /// Their manager.
    pub shard: u32,
}
