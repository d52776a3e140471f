//! A ring in which every shard has points after its weight (Karger et al. 1997; weights as in ketama). A cluster belongs
//! to the next point behind its hash.
//!
//! The points of a shard depend on nothing but its number and weight, so a new shard only takes, a shard that goes only
//! gives. 2,000 points bring a shard within 2.2 % (one standard deviation) of its share; Argo CD has 1,000.
//!
//! Arithmetic: 100 shards are 200,000 points of 2 ns and a sort of 10 ms, 3.2 MB; 100,000 clusters take 0.15 us each for
//! the hash and 0.1 us for the search: 35 ms in all.

use super::argocd::hash;
use super::rules::{Bounded, Rules};
use super::{Member, by_id};
use crate::ids::ShardId;
use crate::seed::Seed;

/// Points of a shard of weight 1.
const POINTS: u64 = 2_000;

/// The shard of every member. With a bound the members come in the order of their ids, and full shards are passed by.
pub(super) fn shards(members: &[Member], rules: Rules<'_>) -> Vec<ShardId> {
    let ring = Ring::new(rules);
    // Before the order of ids, in which every member would be a cache miss.
    let places: Vec<usize> = members.iter().map(|member| ring.behind(hash(&member.id))).collect();
    let Some(bound) = rules.bound_milli else {
        return places.into_iter().map(|place| ShardId(ring.points[place].1)).collect();
    };
    let mut bounded = Bounded::new(members, rules, bound);
    let mut owners = vec![ShardId(0); members.len()];
    for at in by_id(members) {
        let first = places[at];
        let mut walk = ring.points[first..].iter().chain(&ring.points[..first]).map(|&(_, shard)| shard);
        let owner = walk.find(|shard| bounded.has_room(*shard)).unwrap_or(0);
        bounded.add(owner, rules.load(&members[at]));
        owners[at] = ShardId(owner);
    }
    owners
}

/// Points in order, and where those with the same first bits begin, so that neither sorting nor searching meets more than a
/// handful.
struct Ring {
    points: Vec<(u64, u32)>,
    /// By the first bits of a point: the index of the first such point; one more entry at the end.
    starts: Vec<usize>,
    /// What is left of those bits in a point.
    shift: u32,
}

impl Ring {
    fn new(rules: Rules<'_>) -> Self {
        let seed = Seed::new(0).child("ring");
        let of_shard = |shard| {
            let own = seed.entity(u64::from(shard));
            (0..POINTS * u64::from(rules.carries(shard))).map(move |n| (own.bits(n), shard))
        };
        let drawn: Vec<(u64, u32)> = (0..rules.shards).flat_map(of_shard).collect();
        let bits = drawn.len().max(2).ilog2();
        let mut ring = Self { points: vec![(0, 0); drawn.len()], starts: vec![0; (1 << bits) + 1], shift: 64 - bits };
        for point in &drawn {
            let bucket = ring.bucket(point.0);
            ring.starts[bucket + 1] += 1;
        }
        for bucket in 1..ring.starts.len() {
            ring.starts[bucket] += ring.starts[bucket - 1];
        }
        let mut free = ring.starts.clone();
        for point in drawn {
            let bucket = ring.bucket(point.0);
            ring.points[free[bucket]] = point;
            free[bucket] += 1;
        }
        for ends in ring.starts.windows(2) {
            ring.points[ends[0]..ends[1]].sort_unstable();
        }
        ring
    }

    #[expect(clippy::cast_possible_truncation, reason = "fewer bits are left than an index has")]
    const fn bucket(&self, hash: u64) -> usize {
        (hash >> self.shift) as usize
    }

    /// The index of the next point behind a hash, around the end. There is at least one point.
    fn behind(&self, hash: u64) -> usize {
        let first = self.starts[self.bucket(hash)];
        let passed = self.points[first..].iter().take_while(|(point, _)| *point <= hash).count();
        (first + passed) % self.points.len()
    }
}
