//! Who manages what: every cluster gets a shard.
//!
//! In: the world and the topology of the scenario, or plain members (id and load). Out: a shard per cluster. Never: a
//! clock, a draw of the run's seed, or knowledge of how shards are run.
//!
//! The unit of sharding is the cluster, never the app, as in Argo CD. The id that schemes hash is the uid of the cluster's
//! Secret on the hub, so a real Argo CD on the same hub agrees.
//!
//! Arithmetic: one BLAKE2b of a uid takes 0.15 us, a search in a ring of 20,000 points 0.1 us, so 1,000,000 clusters on 20
//! shards take about 0.3 s; Argo CD rebuilds the ring for each cluster, this does it once with the same result. Measured
//! (`benches/fleet.rs`, busy 2-core machine), deriving the million uids included: legacy 0.51 s, round-robin 1.3 s,
//! consistent hashing 2.1 s; the sort of ids and the uids themselves (SHA-256) are what the estimate left out.

mod argocd;
mod rendezvous;
#[cfg(test)]
mod tests;

use crate::fleet::World;
use crate::ids::ShardId;
use crate::scenario::{Scheme, Topology, TopologyKind};

/// A cluster as the schemes see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The text that schemes hash: the uid of the cluster's Secret. Empty for Argo CD's own cluster without a Secret.
    pub id: String,
    /// Its apps.
    pub apps: u64,
}

/// The shard of every cluster, by `ClusterId`.
///
/// The clusters of the reserve take part as if they were there from the start. A cluster's load is the apps that it is
/// selected for or that the timeline installs.
#[must_use]
pub fn assign(world: &World, topology: &Topology) -> Vec<ShardId> {
    match topology.kind {
        TopologyKind::Single => vec![ShardId(0); world.clusters().len() as usize],
        TopologyKind::Sharded => shards(topology.scheme, &members(world), topology.shards),
    }
}

/// All clusters of a world as the schemes see them, by `ClusterId`.
#[must_use]
pub fn members(world: &World) -> Vec<Member> {
    let member = |cluster| {
        let apps = world.apps_of(cluster).filter(|&app| world.selected(app) || world.installed(app));
        Member { id: world.clusters().uid(cluster).to_string(), apps: apps.count() as u64 }
    };
    world.clusters().ids().map(member).collect()
}

/// The shard of every member, in their order. Up to one shard owns everything.
#[must_use]
pub fn shards(scheme: Scheme, members: &[Member], shards: u32) -> Vec<ShardId> {
    if shards <= 1 {
        return vec![ShardId(0); members.len()];
    }
    match scheme {
        Scheme::Legacy => members.iter().map(|member| ShardId(argocd::legacy(&member.id, shards))).collect(),
        Scheme::RoundRobin => argocd::round_robin(members, shards),
        Scheme::ConsistentHashing => argocd::consistent_hashing(members, shards),
        Scheme::Rendezvous => members.iter().map(|member| rendezvous::shard(&member.id, shards)).collect(),
    }
}
