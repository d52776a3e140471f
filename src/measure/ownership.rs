//! Who owned how many clusters when: gaps in which nobody worked on some, and how often they moved.
//!
//! In: what managers tell of their own count, and the end of processes. Out: [`Ownership`]. Pure.
//!
//! Managers tell counts, not names, so a gap and an overlap at the same moment would hide each other; that two managers
//! work on one app is found by the tracker from their rounds.

use crate::units::{Span, Time};

/// Clusters without an owner from the moment when all had one for the first time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    /// Times that a cluster came to another manager.
    pub moved: u64,
    /// Time without an owner, summed up over clusters.
    pub orphaned: Span,
    /// The gaps, oldest first.
    pub gaps: Vec<Gap>,
}

/// A time in which some clusters had no owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// When it began.
    pub at: Time,
    /// How long it lasted; up to the end of the run if it never ended.
    pub lasted: Span,
    /// The most clusters without an owner.
    pub clusters: u64,
    /// All have an owner again.
    pub closed: bool,
}

/// Follows counts; see the module head.
#[derive(Clone, Debug)]
pub(super) struct Owners {
    clusters: u64,
    counts: Vec<u64>,
    told: bool,
    complete: bool,
    last: Time,
    found: Ownership,
}

impl Owners {
    pub(super) fn new(clusters: u64, shards: usize) -> Self {
        Self {
            clusters,
            counts: vec![0; shards],
            told: false,
            complete: false,
            last: Time(0),
            found: Ownership::default(),
        }
    }

    /// A manager owns so many from now on, of which it just gained some.
    pub(super) fn owns(&mut self, shard: usize, at: Time, clusters: u64, gained: u64) {
        self.told = true;
        self.account(at);
        if self.complete {
            self.found.moved += gained;
        }
        if let Some(count) = self.counts.get_mut(shard) {
            *count = clusters;
        }
        let missing = self.missing();
        match self.found.gaps.last_mut().filter(|gap| !gap.closed) {
            Some(gap) if missing == 0 => gap.closed = true,
            Some(gap) => gap.clusters = gap.clusters.max(missing),
            None if missing > 0 && self.complete => {
                self.found.gaps.push(Gap { at, lasted: Span::ZERO, clusters: missing, closed: false });
            }
            None => {}
        }
        self.complete |= missing == 0;
    }

    fn missing(&self) -> u64 {
        self.clusters.saturating_sub(self.counts.iter().sum())
    }

    fn account(&mut self, now: Time) {
        let (since, missing) = (now.since(self.last), self.missing());
        self.last = self.last.max(now);
        if let Some(gap) = self.found.gaps.last_mut().filter(|gap| !gap.closed) {
            gap.lasted = now.since(gap.at);
            self.found.orphaned += since.scaled(missing, 1);
        }
    }

    /// What there was; `None` if no manager ever told.
    pub(super) fn finish(mut self, now: Time) -> Option<Ownership> {
        self.account(now);
        self.told.then_some(self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_lasts_from_a_death_until_all_are_owned_again() {
        let mut owners = Owners::new(10, 2);
        owners.owns(0, Time(5), 4, 4);
        owners.owns(1, Time(7), 6, 6);
        owners.owns(1, Time(100), 0, 0);
        owners.owns(0, Time(130), 8, 4);
        owners.owns(0, Time(150), 10, 2);
        owners.owns(1, Time(200), 0, 0);
        let found = owners.finish(Time(300)).unwrap();
        assert_eq!(found.moved, 6);
        assert_eq!(found.gaps, [Gap { at: Time(100), lasted: Span(50), clusters: 6, closed: true }]);
        assert_eq!(found.orphaned, Span(6 * 30 + 2 * 20));
    }

    #[test]
    fn the_start_is_no_gap_and_silence_says_nothing() {
        let mut owners = Owners::new(10, 2);
        assert_eq!(owners.clone().finish(Time(9)), None);
        owners.owns(0, Time(5), 4, 4);
        assert_eq!(owners.finish(Time(9)).unwrap(), Ownership::default());
    }
}
