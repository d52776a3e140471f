//! Highest random weight (Thaler and Ravishankar 1998): every shard bids for every cluster, the highest bid wins. A new
//! shard takes its part from all others and nothing moves among those; a shard that goes gives up its own clusters alone.

use super::argocd::hash;
use crate::ids::ShardId;
use crate::seed::Seed;

/// The shard that bids most for an id; the lowest of equal bids.
pub(super) fn shard(id: &str, shards: u32) -> ShardId {
    let bids = Seed::new(hash(id));
    let best = (0..shards).map(|shard| (bids.bits(u64::from(shard)), std::cmp::Reverse(shard))).max();
    best.map_or(ShardId(0), |(_, shard)| ShardId(shard.0))
}
