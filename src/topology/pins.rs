//! Shards that somebody chose: by the scenario's list, or by a label.

use crate::fleet::Clusters;
use crate::ids::ClusterId;
use crate::scenario::{Scheme, Topology};
use rustc_hash::FxHashMap;

/// The chosen shards of a fleet.
pub(super) struct Pins<'a> {
    topology: &'a Topology,
    named: FxHashMap<ClusterId, u32>,
}

impl<'a> Pins<'a> {
    pub(super) fn new(clusters: &Clusters, topology: &'a Topology) -> Self {
        let entries = topology.manual.iter().flat_map(|pin| pin.clusters.iter().map(|name| (name, pin.shard)));
        let named = entries.filter_map(|(name, shard)| Some((clusters.find(name)?, shard))).collect();
        Self { topology, named }
    }

    /// The shard chosen for a cluster: by name, else by the labels of an entry, else by the scheme's label.
    pub(super) fn of(&self, clusters: &Clusters, id: ClusterId) -> Option<u32> {
        let by_labels = self.topology.manual.iter().any(|pin| !pin.labels.is_empty());
        if self.named.is_empty() && !by_labels && self.topology.scheme != Scheme::Label {
            return None;
        }
        if let Some(shard) = self.named.get(&id) {
            return Some(*shard);
        }
        let labels = clusters.labels(id);
        let matches = |pin: &&crate::scenario::Pin| {
            let wanted = |(key, values): (&String, &Vec<String>)| labels.get(key).is_some_and(|v| values.contains(v));
            !pin.labels.is_empty() && pin.labels.iter().all(wanted)
        };
        let by_entry = self.topology.manual.iter().find(matches).map(|pin| pin.shard);
        let label = self.topology.label.as_ref().filter(|_| self.topology.scheme == Scheme::Label);
        by_entry.or_else(|| label.and_then(|label| label.shards.get(labels.get(&label.key)?).copied()))
    }
}
