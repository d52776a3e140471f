//! Balance and moves over several seeds.

use crate::topology::{Placement, Spread};
use serde::Serialize;
use std::collections::BTreeMap;

/// How a number varies.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Range {
    pub(super) mean: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    #[serde(skip)]
    count: u32,
}

impl Default for Range {
    fn default() -> Self {
        Self { mean: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY, count: 0 }
    }
}

impl Range {
    fn add(&mut self, value: f64) {
        self.count += 1;
        self.mean += (value - self.mean) / f64::from(self.count);
        (self.min, self.max) = (self.min.min(value), self.max.max(value));
    }
}

/// How a spread varies.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct SpreadRange {
    pub(super) max_over_mean: Range,
    pub(super) range: Range,
    pub(super) cv: Range,
}

impl SpreadRange {
    fn add(&mut self, spread: &Spread) {
        self.max_over_mean.add(spread.max_over_mean);
        self.range.add(spread.range as f64);
        self.cv.add(spread.cv);
    }
}

/// How moves vary.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct MovesRange {
    pub(super) clusters: Range,
    pub(super) apps: Range,
    pub(super) kept_share: Range,
    pub(super) sideways: Range,
}

/// Balance and moves over several seeds.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct OverSeeds {
    pub(super) count: u32,
    pub(super) balance: BTreeMap<&'static str, SpreadRange>,
    pub(super) moves: BTreeMap<String, MovesRange>,
}

impl OverSeeds {
    pub(super) fn add(&mut self, placement: &Placement) {
        self.count += 1;
        let balance = &placement.balance;
        for (name, spread) in [("clusters", &balance.clusters), ("apps", &balance.apps), ("cost", &balance.cost)] {
            self.balance.entry(name).or_default().add(spread);
        }
        for (event, moves) in &placement.moves {
            let range = self.moves.entry(event.to_string()).or_default();
            range.clusters.add(moves.clusters as f64);
            range.apps.add(moves.apps as f64);
            range.kept_share.add(moves.kept_share);
            range.sideways.add(moves.sideways as f64);
        }
    }
}
