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
    /// When how many clusters came to another manager.
    pub gains: Vec<(Time, u64)>,
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
    /// Before the first change is due managers come up one after the other, which is neither a gap nor a move.
    start: Time,
    told: bool,
    complete: bool,
    /// The run was over then: managers that leave later leave no gap.
    over: Option<Time>,
    last: Time,
    found: Ownership,
}

impl Owners {
    pub(super) fn new(clusters: u64, shards: usize, start: Time) -> Self {
        Self {
            clusters,
            counts: vec![0; shards],
            start,
            told: false,
            complete: false,
            over: None,
            last: Time(0),
            found: Ownership::default(),
        }
    }

    /// A manager owns so many from now on, of which it just gained some.
    pub(super) fn owns(&mut self, shard: usize, at: Time, clusters: u64, gained: u64) {
        if self.over.is_some_and(|over| at > over) {
            return;
        }
        self.told = true;
        self.account(at);
        let counts = self.complete && at >= self.start;
        if counts && gained > 0 {
            self.found.moved += gained;
            self.found.gains.push((at, gained));
        }
        if let Some(count) = self.counts.get_mut(shard) {
            *count = clusters;
        }
        let missing = self.missing();
        match self.found.gaps.last_mut().filter(|gap| !gap.closed) {
            Some(gap) if missing == 0 => gap.closed = true,
            Some(gap) => gap.clusters = gap.clusters.max(missing),
            None if missing > 0 && counts => {
                self.found.gaps.push(Gap { at, lasted: Span::ZERO, clusters: missing, closed: false });
            }
            None => {}
        }
        self.complete |= missing == 0;
    }

    /// Clusters that came to another manager from `since` on; `None` while some have none.
    pub(super) fn moved(&self, since: Time) -> Option<u64> {
        let gains = self.found.gains.iter().filter(|(at, _)| *at >= since).map(|(_, clusters)| clusters);
        (self.missing() == 0 || !self.told).then(|| gains.sum())
    }

    /// The run ended at `now`: what managers do later does not count.
    pub(super) const fn close(&mut self, now: Time) {
        self.over = Some(now);
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
        self.account(self.over.unwrap_or(now));
        self.told.then_some(self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_lasts_from_a_death_until_all_are_owned_again() {
        let mut owners = Owners::new(10, 2, Time(90));
        owners.owns(0, Time(3), 10, 10);
        owners.owns(0, Time(5), 4, 0);
        owners.owns(1, Time(7), 6, 6);
        owners.owns(1, Time(100), 0, 0);
        owners.owns(0, Time(130), 8, 4);
        owners.owns(0, Time(150), 10, 2);
        owners.owns(1, Time(200), 0, 0);
        assert_eq!([130, 131, 151].map(|since| owners.clone().moved(Time(since))), [6, 2, 0].map(Some));
        let found = owners.finish(Time(300)).unwrap();
        assert_eq!((found.moved, found.gains), (6, vec![(Time(130), 4), (Time(150), 2)]));
        assert_eq!(found.gaps, [Gap { at: Time(100), lasted: Span(50), clusters: 6, closed: true }]);
        assert_eq!(found.orphaned, Span(6 * 30 + 2 * 20));
    }

    #[test]
    fn managers_that_leave_when_all_is_over_leave_no_gap() {
        let mut owners = Owners::new(10, 1, Time(0));
        owners.owns(0, Time(5), 10, 10);
        owners.close(Time(50));
        owners.owns(0, Time(60), 0, 0);
        assert_eq!(owners.finish(Time(99)).unwrap(), Ownership::default());
    }

    #[test]
    fn the_start_is_no_gap_and_silence_says_nothing() {
        let mut owners = Owners::new(10, 2, Time(0));
        assert_eq!(owners.clone().finish(Time(9)), None);
        owners.owns(0, Time(5), 4, 4);
        assert_eq!(owners.finish(Time(9)).unwrap(), Ownership::default());
    }
}
