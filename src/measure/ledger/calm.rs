//! What is heard of apps at rest, again and again: it changes nothing but counts, so most of it is counted in one go.
//!
//! In: the signals of one such burst, timed from its begin. Out: the same books as if each signal had been taken, as long
//! as no change is open and nothing is held back ([`Ledger::is_idle`]).
//!
//! Arithmetic: a signal that is taken costs 50 ns. A burst of five is one round or none, which is counted in its window, and
//! sums that are added up at the end: 10 ns.

use super::Ledger;
use crate::ids::AppId;
use crate::measure::signal::{RoundOutcome, Signal};
use crate::units::{Span, Time};

/// See the module head.
#[derive(Clone, Debug)]
pub struct Calm {
    signals: u64,
    /// Rounds that ended, and (`None`) moments when the queue was told to be empty.
    told: Vec<(Span, Option<Round>)>,
}

#[derive(Clone, Copy, Debug)]
struct Round {
    app: AppId,
    waited: Span,
    took: Span,
    outcome: RoundOutcome,
}

impl Calm {
    /// `None` if any of these signals could change more than counts.
    #[must_use]
    pub fn of(signals: &[(Span, Signal)]) -> Option<Self> {
        let mut calm = Self { signals: signals.len() as u64, told: Vec::new() };
        for (after, signal) in signals {
            match *signal {
                Signal::Round { app, queue_wait, took, outcome, .. } => {
                    calm.told.push((*after, Some(Round { app, waited: queue_wait, took, outcome })));
                }
                Signal::QueueDepth { ready: 0, .. } => calm.told.push((*after, None)),
                // These speak of open changes alone.
                Signal::Fetched { .. } | Signal::Applied { .. } | Signal::FluxReady { .. } => {}
                _ => return None,
            }
        }
        Some(calm)
    }
}

impl Ledger {
    /// No change is open, every Application on the hub is healthy, and nothing is held back to be put in order.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.is_settled() && self.order.is_empty()
    }

    /// One change is open, every Application on the hub is healthy, and nothing is held back to be put in order.
    #[must_use]
    pub fn is_open_alone(&self) -> bool {
        let progress = self.progress();
        progress.open() == 1 && progress.healthy == progress.apps && self.order.is_empty()
    }

    /// Takes what has to be known in its time: in which windows rounds ended. [`Ledger::add_calm`] counts the rest.
    pub fn rested(&mut self, calm: &Calm, shard: u32, begin: Time) {
        for (after, round) in &calm.told {
            let at = begin + *after;
            self.enter(at);
            if let Some(round) = round {
                self.books.series.round(self.window);
                self.tracker.rested(round.app, shard, at);
                continue;
            }
            if let Some(queue) = self.queues.get_mut(shard as usize) {
                *queue = 0;
            }
            self.queue = self.queue.max(self.queues.iter().sum());
        }
    }

    /// Counts what was taken by [`Ledger::rested`] so many times.
    pub fn add_calm(&mut self, calm: &Calm, shard: u32, times: u64) {
        let sum = &mut self.books.sum;
        sum.signals += calm.signals * times;
        let Some(shard) = sum.shards.get_mut(shard as usize) else { return };
        for round in calm.told.iter().filter_map(|(_, round)| round.as_ref()) {
            shard.rounds[round.outcome as usize] += times;
            shard.busy += Span(round.took.0 * times);
            shard.queue_wait.record_times(round.waited, times);
        }
    }
}
