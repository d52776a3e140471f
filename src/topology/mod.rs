//! Who manages what: every cluster gets a shard.
//!
//! In: the world and the topology of the scenario, or plain members (id and load). Out: a shard per cluster, how evenly
//! that spreads the load, and what moves when managers or clusters come and go. Never: a clock, a draw of the run's seed,
//! or knowledge of how shards are run.
//!
//! The unit of sharding is the cluster, never the app, as in Argo CD. The id that schemes hash is the uid of the cluster's
//! Secret on the hub, so a real Argo CD on the same hub agrees.
//!
//! Arithmetic: one BLAKE2b of a uid takes 0.15 us, a search in a ring of 20,000 points 0.1 us, so 1,000,000 clusters on 20
//! shards take about 0.3 s; Argo CD rebuilds the ring for each cluster, this does it once with the same result. Measured
//! (`benches/fleet.rs`, busy 2-core machine), deriving the million uids included: legacy 0.51 s, round-robin 1.3 s,
//! consistent hashing 2.1 s; the sort of ids and the uids themselves (SHA-256) are what the estimate left out.
//!
//! Measured for 100,000 clusters on 100 shards, their ids being there (median CPU time of nine, on a busy 2-core machine;
//! `benches/place.rs` repeats it): legacy 4 ms, round-robin 8, greedy-minimum 15, rendezvous 41 (bounded 65), weighted ring
//! 59 (bounded 68), consistent hashing 100.

mod argocd;
mod balance;
mod course;
mod greedy;
mod layout;
mod members;
mod moves;
mod pins;
mod placement;
mod rendezvous;
mod ring;
mod rules;
#[cfg(test)]
mod tests;

pub use argocd::{manages, recompute_secs};
pub use balance::{Balance, Spread, Sum};
pub use course::{Course, refuge};
pub use layout::{Bill, Home, Layout, Side};
pub use members::{Members, Standing};
pub use moves::{BadEvent, Event, Moves, Stale};
pub use placement::{Placement, place};
pub use rules::Rules;

use crate::fleet::World;
use crate::ids::ShardId;
use crate::scenario::{Scheme, Topology, TopologyKind};

/// A cluster as the schemes see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// The text that schemes hash: the uid of the cluster's Secret. Empty for Argo CD's own cluster without a Secret.
    pub id: String,
    /// Its apps.
    pub apps: u64,
    /// What it costs its manager, in the scenario's unit.
    pub cost: u64,
    /// The shard that somebody chose for it.
    pub pin: Option<u32>,
}

impl Member {
    /// A cluster whose apps cost one each and whose shard nobody chose.
    #[must_use]
    pub const fn new(id: String, apps: u64) -> Self {
        Self { id, apps, cost: apps, pin: None }
    }
}

/// The shard of every cluster, by `ClusterId`: its manager, or its cell.
///
/// The clusters of the reserve take part as if they were there from the start. A cluster's load is the apps that it is
/// selected for or that the timeline installs.
#[must_use]
pub fn assign(world: &World, topology: &Topology) -> Vec<ShardId> {
    match topology.kind {
        TopologyKind::Single => vec![ShardId(0); world.clusters().len() as usize],
        TopologyKind::Sharded | TopologyKind::Cells => distribute(&members(world, topology), Rules::of(topology)),
        TopologyKind::HubAndSpoke => world.clusters().ids().map(|cluster| ShardId(cluster.0)).collect(),
    }
}

/// All clusters of a world as the schemes see them, by `ClusterId`.
#[must_use]
pub fn members(world: &World, topology: &Topology) -> Vec<Member> {
    let pins = pins::Pins::new(world.clusters(), topology);
    let member = |cluster| {
        let mut member = Member {
            id: world.clusters().uid(cluster).to_string(),
            cost: topology.cost.cluster.into(),
            ..Member::default()
        };
        for app in world.apps_of(cluster).filter(|&app| world.selected(app) || world.installed(app)) {
            member.apps += 1;
            member.cost += u64::from(topology.cost.apps.get(world.addon_of(app).index()).copied().unwrap_or(1));
        }
        member.pin = pins.of(world.clusters(), cluster);
        member
    };
    world.clusters().ids().map(member).collect()
}

/// The shard of every member by a scheme without options, in their order.
#[must_use]
pub fn shards(scheme: Scheme, members: &[Member], shards: u32) -> Vec<ShardId> {
    distribute(members, Rules::plain(scheme, shards))
}

/// The shard of every member, in their order. Up to one shard owns everything.
///
/// A pin wins over every scheme, and a pin to a shard that does not exist means shard 0, as in Argo CD. There a pinned
/// cluster still takes part in the scheme and so moves others.
#[must_use]
pub fn distribute(members: &[Member], rules: Rules<'_>) -> Vec<ShardId> {
    let shards = rules.shards;
    if shards <= 1 {
        return vec![ShardId(0); members.len()];
    }
    let mut owners = match rules.scheme {
        Scheme::Legacy => members.iter().map(|member| ShardId(argocd::legacy(&member.id, shards))).collect(),
        Scheme::RoundRobin => argocd::round_robin(members, shards),
        Scheme::ConsistentHashing => argocd::consistent_hashing(members, shards),
        Scheme::GreedyMinimum => greedy::shards(members, rules),
        Scheme::WeightedRing => ring::shards(members, rules),
        Scheme::Rendezvous => rendezvous::shards(members, rules),
        Scheme::Label | Scheme::Manual => vec![ShardId(0); members.len()],
    };
    for (owner, member) in owners.iter_mut().zip(members) {
        if let Some(pin) = member.pin {
            *owner = ShardId(if pin < shards { pin } else { 0 });
        }
    }
    owners
}

/// The shard of every member when only these shards are there, in order.
///
/// `weighted-ring` and `rendezvous` leave everybody else's members where they are. The others count shards, so they share
/// the members among as many as are there, and nearly everything moves. A pin to a shard that is absent counts as one to
/// the first that is there.
#[must_use]
pub fn distribute_among(members: &[Member], rules: Rules<'_>, present: &[u32]) -> Vec<ShardId> {
    let Some((&first, &last)) = present.first().zip(present.last()) else { return Vec::new() };
    let count = ShardId::from_index(present.len()).0;
    if last + 1 == count {
        return distribute(members, rules.with_shards(count));
    }
    let unpinned: Vec<Member> = members.iter().map(|member| Member { pin: None, ..member.clone() }).collect();
    let mut owners = if matches!(rules.scheme, Scheme::WeightedRing | Scheme::Rendezvous) {
        let weight = |shard| if present.contains(&shard) { rules.carries(shard) } else { 0 };
        let weights: Vec<u32> = (0..=last).map(weight).collect();
        distribute(&unpinned, Rules { shards: last + 1, weights: &weights, ..rules })
    } else {
        let owners = distribute(&unpinned, rules.with_shards(count));
        owners.into_iter().map(|owner| ShardId(present[owner.index()])).collect()
    };
    for (owner, member) in owners.iter_mut().zip(members) {
        if let Some(pin) = member.pin {
            *owner = ShardId(if present.contains(&pin) { pin } else { first });
        }
    }
    owners
}

/// Indices in the byte-wise order of ids; members of one id in their own order.
fn by_id(members: &[Member]) -> Vec<usize> {
    // Eight bytes tell nearly all uids apart without touching their texts again: 100,000 in 10 ms instead of 35.
    let head = |id: &str| {
        let mut head = [0_u8; 8];
        let bytes = &id.as_bytes()[..id.len().min(8)];
        head[..bytes.len()].copy_from_slice(bytes);
        u64::from_be_bytes(head)
    };
    let mut order: Vec<(u64, usize)> = members.iter().enumerate().map(|(at, member)| (head(&member.id), at)).collect();
    order.sort_unstable_by(|a, b| {
        a.0.cmp(&b.0).then_with(|| members[a.1].id.cmp(&members[b.1].id)).then_with(|| a.1.cmp(&b.1))
    });
    order.into_iter().map(|(_, at)| at).collect()
}
