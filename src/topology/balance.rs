//! How evenly shards are loaded.

use super::Member;
use crate::ids::ShardId;
use serde::Serialize;

/// How evenly something is spread over the shards, empty ones included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// The largest share against the mean; 1 is perfect.
    pub max_over_mean: f64,
    /// The largest share less the smallest.
    pub range: u64,
    /// Coefficient of variation: the standard deviation (of all shards, not of a sample) against the mean.
    pub cv: f64,
    /// The smallest share.
    pub min: u64,
    /// The mean share.
    pub mean: f64,
    /// The largest share.
    pub max: u64,
}

impl Spread {
    /// The spread of shares; all zero without any load.
    #[must_use]
    pub fn of(shares: &[u64]) -> Self {
        let (Some(&min), Some(&max)) = (shares.iter().min(), shares.iter().max()) else { return Self::default() };
        let count = shares.len() as f64;
        let mean = shares.iter().sum::<u64>() as f64 / count;
        let square = |share: &u64| (*share as f64 - mean).powi(2);
        let deviation = (shares.iter().map(square).sum::<f64>() / count).sqrt();
        let against = |value: f64| if mean > 0.0 { value / mean } else { 0.0 };
        Self { max_over_mean: against(max as f64), range: max - min, cv: against(deviation), min, mean, max }
    }
}

/// How evenly the shards of an assignment are loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Balance {
    /// By clusters.
    pub clusters: Spread,
    /// By apps.
    pub apps: Spread,
    /// By cost, in the scenario's unit.
    pub cost: Spread,
}

impl Balance {
    /// The balance of an assignment.
    #[must_use]
    pub fn of(members: &[Member], owners: &[ShardId], shards: u32) -> Self {
        let sums = sums(members, owners, shards);
        let column = |of: fn(&Sum) -> u64| Spread::of(&sums.iter().map(of).collect::<Vec<_>>());
        Self { clusters: column(|s| s.clusters), apps: column(|s| s.apps), cost: column(|s| s.cost) }
    }
}

/// What one shard carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// Clusters.
    pub clusters: u64,
    /// Their apps.
    pub apps: u64,
    /// Their cost.
    pub cost: u64,
}

/// What every shard carries.
#[must_use]
pub(super) fn sums(members: &[Member], owners: &[ShardId], shards: u32) -> Vec<Sum> {
    let mut sums = vec![Sum::default(); shards as usize];
    for (member, owner) in members.iter().zip(owners) {
        let sum = &mut sums[owner.index()];
        sum.clusters += 1;
        sum.apps += member.apps;
        sum.cost += member.cost;
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_what_statistics_says() {
        let spread = Spread::of(&[2, 4, 4, 4, 5, 5, 7, 9]);
        assert_eq!((spread.min, spread.max, spread.range), (2, 9, 7));
        assert!((spread.mean - 5.0).abs() < 1e-12 && (spread.cv - 0.4).abs() < 1e-12, "{spread:?}");
        assert!((spread.max_over_mean - 1.8).abs() < 1e-12);
    }

    #[test]
    fn no_load_is_no_division_by_zero() {
        assert_eq!(Spread::of(&[]), Spread::default());
        assert_eq!(Spread::of(&[0, 0]), Spread::default());
    }

    #[test]
    fn shards_without_clusters_count() {
        let members = [Member::new("a".into(), 3), Member::new("b".into(), 1)];
        let balance = Balance::of(&members, &[ShardId(2), ShardId(2)], 4);
        assert_eq!((balance.clusters.min, balance.clusters.max, balance.apps.max), (0, 2, 4));
    }
}
