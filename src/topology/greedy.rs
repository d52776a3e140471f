//! The heaviest cluster first, each to the shard with the least load: Graham's longest-processing-time rule (1969). At
//! most 4/3 of the best possible maximum; no promise about moves.

use super::rules::Rules;
use super::{Member, by_id};
use crate::ids::ShardId;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The shard of every member. Equally heavy ones come in the order of their ids; of equal shards the lowest takes.
pub(super) fn shards(members: &[Member], rules: Rules<'_>) -> Vec<ShardId> {
    let mut order = by_id(members);
    order.sort_by_key(|at| Reverse(rules.load(&members[*at])));
    let mut loads: BinaryHeap<Reverse<(u64, u32)>> = (0..rules.shards).map(|shard| Reverse((0, shard))).collect();
    let mut owners = vec![ShardId(0); members.len()];
    for at in order {
        let Some(mut least) = loads.peek_mut() else { break };
        owners[at] = ShardId(least.0.1);
        least.0.0 += rules.load(&members[at]);
    }
    owners
}
