//! How a run goes, for whoever looks on while it does.
//!
//! In: the ledger so far. Out: a few numbers per manager. Some times a second it costs a look at every app (0.1 ms at 40,000)
//! and the sum of a handful of histograms.

use super::Ledger;
use crate::measure::Hop;
use crate::units::Span;

/// How a run goes now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pulse {
    /// Median of the changes finished so far, end to end.
    pub p50: Option<Span>,
    /// Their 99th percentile.
    pub p99: Option<Span>,
    /// Processes of managers, by number.
    pub managers: Vec<Beat>,
}

/// How a manager's process does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beat {
    /// Its queue as last told.
    pub queue: u64,
    /// Rounds that it ended so far.
    pub rounds: u64,
    /// Applications whose last round was its.
    pub apps: u64,
    /// Of those, healthy.
    pub healthy: u64,
}

impl Ledger {
    /// How the run goes now.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        let sum = &self.books.sum;
        let all = sum.latencies.hop(Hop::EndToEnd);
        let mut managers: Vec<Beat> = self
            .queues
            .iter()
            .zip(&sum.shards)
            .map(|(&queue, shard)| Beat { queue, rounds: shard.rounds.iter().sum(), ..Beat::default() })
            .collect();
        for (shard, healthy) in self.tracker.worked_on() {
            if let Some(beat) = managers.get_mut(shard as usize) {
                beat.apps += 1;
                beat.healthy += u64::from(healthy);
            }
        }
        Pulse { p50: all.quantile(0.5), p99: all.quantile(0.99), managers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::AppId;
    use crate::measure::{Health, Plan, RoundOutcome, Signal, Sync};
    use crate::units::Time;

    #[test]
    fn an_app_counts_where_its_last_round_was() {
        let plan = Plan {
            apps: 3,
            install: Vec::new(),
            start: Time(0),
            window: Span(100),
            slack: Span::ZERO,
            shards: 2,
            managers: 2,
        };
        let mut ledger = Ledger::new(plan);
        let committed = |app, health| Signal::AppCommitted {
            app: AppId(app),
            at: Time(1),
            generation: 1,
            deleted: false,
            health,
            sync: Sync::Synced,
            compared: 0,
            revision: 0,
        };
        let round = |app, shard, at| Signal::Round {
            app: AppId(app),
            shard,
            at: Time(at),
            queue_wait: Span::ZERO,
            took: Span(1),
            calls: 1,
            outcome: RoundOutcome::Ok,
        };
        let depth = |shard, ready| Signal::QueueDepth { shard, at: Time(5), ready, waiting: 0 };
        for signal in [
            committed(0, Health::Healthy),
            committed(1, Health::Progressing),
            // Nobody has had a round of it yet.
            committed(2, Health::Missing),
            round(0, 0, 2),
            round(1, 0, 3),
            round(1, 1, 4),
            depth(0, 7),
            depth(1, 2),
        ] {
            ledger.take(signal);
        }
        ledger.advance(Time(10));
        let beat = |queue, rounds, apps, healthy| Beat { queue, rounds, apps, healthy };
        assert_eq!(ledger.pulse().managers, [beat(7, 2, 1, 1), beat(2, 1, 1, 0)]);
    }
}
