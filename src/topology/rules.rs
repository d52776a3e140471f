//! What a scheme is told besides the members.

use super::Member;
use crate::scenario::{Scheme, Topology, Weight};

/// How members are shared out: the part of a topology that schemes read.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The scheme.
    pub scheme: Scheme,
    /// How many shards.
    pub shards: u32,
    /// What of a member counts as its load.
    pub weight: Weight,
    /// No shard gets more than so many thousandths of its fair share, at least 1000; `None` is unbounded.
    pub bound_milli: Option<u32>,
    /// How much each shard can carry against the others; shards beyond the list carry 1, those with 0 take no part (rings
    /// and rendezvous).
    pub weights: &'a [u32],
}

impl<'a> Rules<'a> {
    /// What a topology says.
    #[must_use]
    pub fn of(topology: &'a Topology) -> Self {
        let Topology { scheme, shards, weight, bound_milli, ref weights, .. } = *topology;
        Self { scheme, shards, weight, bound_milli, weights }
    }

    /// A scheme without options.
    #[must_use]
    pub const fn plain(scheme: Scheme, shards: u32) -> Self {
        Rules { scheme, shards, weight: Weight::Apps, bound_milli: None, weights: &[] }
    }

    /// The same with another number of shards.
    #[must_use]
    pub const fn with_shards(self, shards: u32) -> Self {
        Self { shards, ..self }
    }

    /// What a member adds to its shard's load, at least 1: a cluster without apps still has connections and watches.
    pub(super) fn load(self, member: &Member) -> u64 {
        match self.weight {
            Weight::Clusters => 1,
            Weight::Apps => member.apps.max(1),
            Weight::Cost => member.cost.max(1),
        }
    }

    /// What a shard can carry against the others.
    pub(super) fn carries(self, shard: u32) -> u32 {
        self.weights.get(shard as usize).copied().unwrap_or(1)
    }
}

/// Bounded loads (Mirrokni, Thorup, Zadimoghaddam 2018): what every shard carries so far, and when it is full.
#[derive(Debug)]
pub(super) struct Bounded {
    loads: Vec<u64>,
    limits: Vec<u64>,
}

impl Bounded {
    /// Limits are `ceil(bound * total * own weight / all weights)`. They sum up to at least the total, so while a member is
    /// left some shard has room, and a shard exceeds its limit by less than its last member.
    pub(super) fn new(members: &[Member], rules: Rules<'_>, bound_milli: u32) -> Self {
        let total: u128 = members.iter().map(|member| u128::from(rules.load(member))).sum();
        let all: u128 = (0..rules.shards).map(|shard| u128::from(rules.carries(shard))).sum();
        let limit = |shard| {
            let share = total * u128::from(bound_milli.max(1000)) * u128::from(rules.carries(shard));
            u64::try_from(share.div_ceil(1000 * all)).unwrap_or(u64::MAX)
        };
        Self { loads: vec![0; rules.shards as usize], limits: (0..rules.shards).map(limit).collect() }
    }

    pub(super) fn has_room(&self, shard: u32) -> bool {
        self.loads[shard as usize] < self.limits[shard as usize]
    }

    pub(super) fn add(&mut self, shard: u32, load: u64) {
        self.loads[shard as usize] += load;
    }
}
