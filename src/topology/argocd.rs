//! Argo CD's three schemes, bit for bit, defects included.
//!
//! Source: argo-cd `controller/sharding/sharding.go` and `controller/sharding/consistent/consistent.go` (v2.14 to v3.5).

use super::{Member, by_id};
use crate::ids::ShardId;
use blake2::{Blake2b512, Digest};

/// FNV-1a (32 bits) of the id modulo shards; the empty id is on shard 0.
pub(super) fn legacy(id: &str, shards: u32) -> u32 {
    if id.is_empty() { 0 } else { fnv1a(id) % shards }
}

pub(super) fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Rank of the id, byte-wise, modulo shards. A cluster that comes or goes moves everyone behind it.
pub(super) fn round_robin(members: &[Member], shards: u32) -> Vec<ShardId> {
    let mut owners = vec![ShardId(0); members.len()];
    for (rank, at) in by_id(members).into_iter().enumerate() {
        owners[at] = ShardId::from_index(rank % shards as usize);
    }
    owners
}

/// A ring with bounded loads: clusters in the order of their ids go to the next point of the ring whose shard has room.
pub(super) fn consistent_hashing(members: &[Member], shards: u32) -> Vec<ShardId> {
    let ring = ring(shards);
    let mut owners = vec![ShardId(0); members.len()];
    let mut loads = vec![0_u64; shards as usize];
    let mut total = 0_u64;
    for at in by_id(members) {
        // ceil(1.25 * average) in integers. Some shard has at most the average, so the walk ends.
        let average = ((total + 1) / u64::from(shards)).max(1);
        let bound = (5 * average).div_ceil(4);
        let hash = hash(&members[at].id);
        let first = ring.partition_point(|&(point, _)| point <= hash);
        let walk = ring[first..].iter().chain(&ring[..first]);
        let owner = walk.map(|&(_, shard)| shard).find(|&shard| loads[shard as usize] < bound).unwrap_or(0);
        owners[at] = ShardId(owner);
        loads[owner as usize] += members[at].apps;
        total += members[at].apps;
    }
    owners
}

/// 1,000 points per shard, ordered. A point is the hash of the shard and the number in decimal *without a separator*, so
/// shard 1 and shard 11 share points; the higher shard keeps them, which starves the lower ones from 12 shards on.
pub(super) fn ring(shards: u32) -> Vec<(u64, u32)> {
    let point = |shard: u32, n: u32| (hash(&format!("{shard}{n}")), shard);
    let mut points: Vec<_> = (0..shards).flat_map(|shard| (0..1000).map(move |n| point(shard, n))).collect();
    points.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    points.dedup_by_key(|point| point.0);
    points
}

/// The first 8 bytes, little-endian, of BLAKE2b-512.
pub(super) fn hash(text: &str) -> u64 {
    let digest = Blake2b512::digest(text.as_bytes());
    digest[..8].iter().rev().fold(0, |hash, &byte| hash << 8 | u64::from(byte))
}

/// Whether the manager of a shard works on an app whose cluster belongs to `cluster`. An app whose cluster cannot be found
/// is worked on by every manager.
#[must_use]
pub fn manages(shard: ShardId, cluster: Option<ShardId>) -> bool {
    cluster.is_none_or(|owner| owner == shard)
}

/// CPU seconds that the original spends on one recompute of `consistent-hashing`, which it does at every app that is
/// created or deleted: it builds the whole ring once for every cluster.
///
/// Measured on the real package (v3.2.0, 600 clusters, a busy core): 18 ms per cluster at 11 shards, 36 ms at 20, which is
/// 1.7 ms per cluster and shard. `tests/oracle/sharding/main.go` measures it.
#[must_use]
pub fn recompute_secs(clusters: u64, shards: u32) -> f64 {
    clusters as f64 * f64::from(shards) * 1.7e-3
}
