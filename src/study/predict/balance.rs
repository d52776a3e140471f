//! C6: how evenly schemes spread 100 clusters over ten shards, and what moves when one shard goes.

use super::{Prediction, Put, Value, round, within};
use crate::ids::ShardId;
use crate::scenario::Scheme;
use crate::seed::Seed;
use crate::topology::{Member, shards};

const CLUSTERS: u32 = 100;
const APPS: u64 = 10_000;
const SHARDS: u32 = 10;
/// Fleets of random ids.
const SEEDS: u64 = 200;

const SCHEMES: [Scheme; 5] =
    [Scheme::Legacy, Scheme::RoundRobin, Scheme::GreedyMinimum, Scheme::WeightedRing, Scheme::ConsistentHashing];

/// A fleet whose apps are spread evenly, or at random: each app falls on some cluster of a random weight.
fn fleet(seed: Seed, even: bool) -> Vec<Member> {
    let weights: Vec<u64> =
        (0..u64::from(CLUSTERS)).map(|n| if even { 1 } else { 1 + seed.child("weight").below(n, 100) }).collect();
    let sum: u64 = weights.iter().sum();
    let id = |n: u64| {
        let bits = [0, 1].map(|half| seed.child("id").entity(n).bits(half));
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            bits[0] >> 32,
            bits[0] >> 16 & 0xffff,
            bits[0] & 0xfff,
            bits[1] >> 48,
            bits[1] & 0xffff_ffff_ffff
        )
    };
    let member = |(n, weight): (u64, &u64)| Member::new(id(n), APPS * weight / sum);
    (0..).zip(&weights).map(member).collect()
}

/// The largest share less the smallest, against the mean.
fn range(members: &[Member], owners: &[ShardId]) -> f64 {
    let mut loads = vec![0_u64; SHARDS as usize];
    for (member, owner) in members.iter().zip(owners) {
        loads[owner.index()] += member.apps;
    }
    let (min, max) = (loads.iter().min().copied().unwrap_or(0), loads.iter().max().copied().unwrap_or(0));
    (max - min) as f64 * f64::from(SHARDS) / loads.iter().sum::<u64>().max(1) as f64
}

/// Clusters that change their shard when the last one goes, its own left out.
fn moves(scheme: Scheme, members: &[Member]) -> f64 {
    let (before, after) = (shards(scheme, members, SHARDS), shards(scheme, members, SHARDS - 1));
    let stays = |(a, b): &(&ShardId, &ShardId)| a.0 < SHARDS - 1 && a != b;
    before.iter().zip(&after).filter(stays).count() as f64
}

/// How many clusters the fullest shard of the legacy scheme has: the 1st and the 99th percentile over 1,000 fleets.
pub(super) fn fullest(clusters: usize, of: u32) -> [u32; 2] {
    let mut most: Vec<u32> = (0..1_000)
        .map(|n| {
            let mut members = fleet(Seed::new(n).child("legacy"), true);
            members.truncate(clusters);
            let mut counts = vec![0; of as usize];
            for owner in shards(Scheme::Legacy, &members, of) {
                counts[owner.index()] += 1;
            }
            counts.into_iter().max().unwrap_or(0)
        })
        .collect();
    most.sort_unstable();
    [most[10], most[989]]
}

pub(super) fn predict(put: &mut Put<'_>) {
    for scheme in SCHEMES {
        let name = scheme.name();
        for (load, even) in [("even", true), ("random", false)] {
            let of = |n| {
                let members = fleet(Seed::new(n), even);
                range(&members, &shards(scheme, &members, SHARDS))
            };
            let how = "median of 200 fleets of random ids; the interval holds nine of ten of them and what a measured CPU adds";
            put(&format!("C6.range.{name}.{load}"), spread((0..SEEDS).map(of).collect(), 0.25, "of the mean", how));
        }
        let of = |n| moves(scheme, &fleet(Seed::new(n), true));
        let how = "median of 200 fleets of random ids, each with 100 apps; the interval holds nine of ten";
        put(&format!("C6.moves.{name}"), spread((0..SEEDS).map(of).collect(), 0.0, "clusters", how));
    }
}

/// The median, and the 5th and 95th percentile, the upper one with a margin.
fn spread(mut values: Vec<f64>, margin: f64, unit: &'static str, how: &'static str) -> Prediction {
    values.sort_by(f64::total_cmp);
    let at = |percent: usize| values[(values.len() - 1) * percent / 100];
    Prediction {
        value: Value::One(round(at(50))),
        interval: [round(at(5)), round(at(95) + margin)],
        ..within(at(50), 1.0, 1.0, unit, how)
    }
}
