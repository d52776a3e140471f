//! Highest random weight (Thaler and Ravishankar 1998): every shard bids for every cluster, the highest bid wins. A new
//! shard takes its part from all others and nothing moves among those; a shard that goes gives up its own clusters alone.
//!
//! Arithmetic: a bid is one mix of 64 bits, 1.5 ns, so 100,000 clusters on 100 shards take 15 ms and as much for hashing
//! their ids.

use super::argocd::hash;
use super::rules::{Bounded, Rules};
use super::{Member, by_id};
use crate::ids::ShardId;
use crate::seed::Seed;

/// The highest bidder of every member. With a bound the members come in the order of their ids, and full shards do not bid.
pub(super) fn shards(members: &[Member], rules: Rules<'_>) -> Vec<ShardId> {
    // Before the order of ids, in which every member would be a cache miss.
    let hashes = members.iter().map(|member| hash(&member.id));
    let Some(bound) = rules.bound_milli else {
        return hashes.map(|hash| ShardId(winner(hash, rules.shards, |shard| rules.carries(shard) > 0))).collect();
    };
    let hashes: Vec<u64> = hashes.collect();
    let mut bounded = Bounded::new(members, rules, bound);
    let mut owners = vec![ShardId(0); members.len()];
    for at in by_id(members) {
        let owner = winner(hashes[at], rules.shards, |shard| bounded.has_room(shard));
        bounded.add(owner, rules.load(&members[at]));
        owners[at] = ShardId(owner);
    }
    owners
}

/// Of the shards that may bid, the one that bids most for the hash of an id; the lowest of equal bids.
fn winner(hash: u64, shards: u32, may_bid: impl Fn(u32) -> bool) -> u32 {
    let bids = Seed::new(hash);
    let mut best = (0, 0);
    // A bid of zero wins nothing, which is one chance in 2^64; in return this is one comparison per bid.
    for shard in 0..shards {
        let bid = bids.bits(u64::from(shard));
        if bid > best.0 && may_bid(shard) {
            best = (bid, shard);
        }
    }
    best.1
}
