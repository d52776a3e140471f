//! What moves when managers or clusters come and go.

use super::{Member, Rules, distribute};
use crate::ids::ShardId;
use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// Something that comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// So many managers more: `+1`.
    More(u32),
    /// So many fewer, the last ones: `-1`.
    Fewer(u32),
    /// So many times as many: `x2`.
    Times(u32),
    /// The cluster with the first id leaves the fleet: `-cluster`.
    ClusterLeaves,
    /// Argo CD begins to manage its own cluster without a Secret, whose id is empty: `in-cluster`.
    InCluster,
}

/// The most managers.
const SHARDS_MAX: u32 = 1000;

impl Event {
    /// How many managers there are afterwards; `None` if that makes no sense.
    #[must_use]
    pub fn shards(self, before: u32) -> Option<u32> {
        let after = match self {
            Self::More(more) => before.checked_add(more)?,
            Self::Fewer(fewer) => before.checked_sub(fewer)?,
            Self::Times(times) => before.checked_mul(times)?,
            Self::ClusterLeaves | Self::InCluster => before,
        };
        (1..=SHARDS_MAX).contains(&after).then_some(after)
    }

    /// The clusters that there are before and after, and their owners before and after.
    fn play(self, members: &[Member], owners: &[ShardId], rules: Rules<'_>) -> Option<(Vec<usize>, Vec<ShardId>)> {
        let rules = rules.with_shards(self.shards(rules.shards)?);
        let all = || (0..members.len()).collect();
        Some(match self {
            Self::More(_) | Self::Fewer(_) | Self::Times(_) => (all(), distribute(members, rules)),
            Self::ClusterLeaves => {
                let first = (0..members.len()).min_by(|a, b| members[*a].id.cmp(&members[*b].id))?;
                let rest = [&members[..first], &members[first + 1..]].concat();
                ((0..owners.len()).filter(|at| *at != first).collect(), distribute(&rest, rules))
            }
            Self::InCluster => {
                let more = [members, &[Member::new(String::new(), 0)]].concat();
                let mut after = distribute(&more, rules);
                after.pop();
                (all(), after)
            }
        })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::More(n) => write!(f, "+{n}"),
            Self::Fewer(n) => write!(f, "-{n}"),
            Self::Times(n) => write!(f, "x{n}"),
            Self::ClusterLeaves => f.write_str("-cluster"),
            Self::InCluster => f.write_str("in-cluster"),
        }
    }
}

/// Why a text is no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no change: write +1, -1, x2 (managers), -cluster or in-cluster")]
pub struct BadEvent(String);

impl FromStr for Event {
    type Err = BadEvent;

    fn from_str(text: &str) -> Result<Self, BadEvent> {
        let number = |rest: &str| rest.parse::<u32>().ok().filter(|n| (1..=SHARDS_MAX).contains(n));
        let event = match text {
            "-cluster" => Some(Self::ClusterLeaves),
            "in-cluster" => Some(Self::InCluster),
            _ => None,
        };
        let more = || text.strip_prefix('+').and_then(number).map(Self::More);
        let fewer = || text.strip_prefix('-').and_then(number).map(Self::Fewer);
        let times = || text.strip_prefix('x').and_then(number).filter(|n| *n > 1).map(Self::Times);
        event.or_else(more).or_else(fewer).or_else(times).ok_or_else(|| BadEvent(text.to_owned()))
    }
}

/// What an event moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Moves {
    /// Clusters with another manager afterwards.
    pub clusters: u64,
    /// Their apps.
    pub apps: u64,
    /// Of the clusters there before and after, the share whose manager stays.
    pub kept_share: f64,
    /// Of the clusters that move, those that move between managers which are there before and after: for nothing.
    pub sideways: u64,
    /// Argo CD's managers that run on through the event, as Deployments with dynamic cluster distribution do, keep
    /// counting with the number of replicas they started with; `None` where that changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_replicas: Option<Stale>,
}

/// Clusters with a wrong number of managers until the old pods restart (argo-cd #24520).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stale {
    /// Clusters that an old pod and a new one both work on.
    pub double_owned: u64,
    /// Clusters that nobody works on.
    pub orphaned: u64,
}

impl Moves {
    /// What an event moves, given the owners before; `None` if it makes no sense.
    #[must_use]
    pub fn of(event: Event, members: &[Member], owners: &[ShardId], rules: Rules<'_>) -> Option<Self> {
        let (staying, after) = event.play(members, owners, rules)?;
        let shards = event.shards(rules.shards)?;
        let mut moves = Self::default();
        for (at, now) in staying.iter().zip(&after) {
            let was = owners[*at];
            if was != *now {
                moves.clusters += 1;
                moves.apps += members[*at].apps;
                moves.sideways += u64::from(now.0 < rules.shards && was.0 < shards);
            }
        }
        let all = staying.len() as f64;
        moves.kept_share = if all > 0.0 { 1.0 - moves.clusters as f64 / all } else { 1.0 };
        if rules.scheme.is_argo_cds() && shards != rules.shards {
            moves.stale_replicas = Some(stale(owners, &after, rules.shards, shards));
        }
        Some(moves)
    }
}

/// Old pods are those of the smaller number of shards and go by the old owners, new pods by the new ones.
fn stale(before: &[ShardId], after: &[ShardId], shards_before: u32, shards_after: u32) -> Stale {
    let mut stale = Stale::default();
    for (was, now) in before.iter().zip(after) {
        let old = was.0 < shards_before.min(shards_after);
        let new = now.0 >= shards_before;
        stale.double_owned += u64::from(old && new);
        stale.orphaned += u64::from(!old && !new);
    }
    stale
}
