//! An assignment with everything that can be said about it.

use super::balance::{Sum, sums};
use super::{Balance, Event, Member, Moves, Rules, distribute};
use crate::ids::ShardId;

/// An assignment, how even it is, and what moves when something comes or goes.
#[derive(Clone, Debug)]
pub struct Placement {
    /// The shard of every member, in their order.
    pub owners: Vec<ShardId>,
    /// What every shard carries.
    pub shares: Vec<Sum>,
    /// How even that is.
    pub balance: Balance,
    /// What each event moves; events that make no sense (one manager fewer than one) are left out.
    pub moves: Vec<(Event, Moves)>,
}

/// Assigns members and says what there is to say.
#[must_use]
pub fn place(members: &[Member], rules: Rules<'_>, events: &[Event]) -> Placement {
    let owners = distribute(members, rules);
    let moves = |event: &Event| Some((*event, Moves::of(*event, members, &owners, rules)?));
    Placement {
        shares: sums(members, &owners, rules.shards),
        balance: Balance::of(members, &owners, rules.shards),
        moves: events.iter().filter_map(moves).collect(),
        owners,
    }
}
