//! Everything that signals say about a run, kept as it will be recorded.
//!
//! In: intended changes, the harness's own doings, signals of all processes, and from time to time how late it is.
//! Out: an [`Outcome`]. Live and virtual drivers feed the same ledger. Pure: `now` is an argument.

use super::change::{Change, Finished, Hop};
use super::hist::{Histogram, Latencies};
use super::hops::{Progress, Tracker};
use super::order::Reorder;
use super::signal::{RoundOutcome, Signal};
use crate::ids::{AppId, ChangeId};
use crate::units::{Span, Time};

/// What a ledger must know beforehand.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Apps of the whole run, ids `0..apps`.
    pub apps: usize,
    /// Apps of the install: when all of them are healthy, it is done.
    pub install: Vec<AppId>,
    /// When the first change is intended.
    pub start: Time,
    /// Width of a window of the time series.
    pub window: Span,
    /// How long signals are held back to put them in order: zero in virtual runs, longer than a process holds a batch
    /// in live ones.
    pub slack: Span,
    /// Managers.
    pub shards: usize,
}

/// One row of the time series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// End of the window, from the start of the run.
    pub at: Span,
    /// Applications on the hub at its end.
    pub apps: u64,
    /// Of those, healthy.
    pub healthy: u64,
    /// Changes on their way at its end.
    pub open: u64,
    /// Changes finished in it.
    pub finished: u64,
    /// Rounds ended in it.
    pub rounds: u64,
    /// The longest sum of all managers' queues in it.
    pub queue: u64,
    /// Median time of the changes finished in it, end to end.
    pub p50: Option<Span>,
    /// Their 99th percentile.
    pub p99: Option<Span>,
}

/// What one manager did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shard {
    /// Rounds by outcome, in the order of [`RoundOutcome`].
    pub rounds: [u64; 5],
    /// Time that its workers spent in rounds.
    pub busy: Span,
    /// From the queue's `add` until a worker took the app.
    pub queue_wait: Histogram,
    /// The longest queue.
    pub queue_max: u64,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Counts of changes and apps.
    pub progress: Progress,
    /// Latencies by kind and hop.
    pub latencies: Latencies,
    /// How late the harness sent its changes.
    pub lag: Histogram,
    /// From the first change intended until all apps of the install were healthy.
    pub all_healthy: Option<Span>,
    /// The time series.
    pub windows: Vec<Window>,
    /// What each manager did.
    pub shards: Vec<Shard>,
    /// Signals taken.
    pub signals: u64,
    /// Signals that came too late to be put in order.
    pub late: u64,
    /// Records that processes could not send.
    pub dropped: u64,
    /// Some apps that ended unhealthy.
    pub unhealthy: Vec<AppId>,
    /// Some changes that never ended.
    pub unfinished: Vec<Change>,
}

/// How many apps and changes a message names at most.
const EXAMPLES: usize = 5;

/// Keeps what signals say. See the module head.
#[derive(Debug)]
pub struct Ledger {
    plan: Plan,
    tracker: Tracker,
    order: Reorder,
    intended: Vec<Time>,
    /// The queue of each manager as last told.
    queues: Vec<u64>,
    outcome: Outcome,
    window: Window,
    window_latency: Histogram,
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let window = Window { at: plan.window, ..Window::default() };
        let outcome = Outcome { shards: vec![Shard::default(); plan.shards], ..Outcome::default() };
        Self {
            tracker: Tracker::new(plan.apps, plan.install.iter().copied()),
            order: Reorder::default(),
            intended: Vec::new(),
            queues: vec![0; plan.shards],
            outcome,
            window,
            window_latency: Histogram::default(),
            plan,
        }
    }

    /// A change is about to be made; call it before the write.
    pub fn intend(&mut self, change: Change) -> ChangeId {
        self.intended.push(change.intended);
        self.tracker.intend(change)
    }

    /// The write of a change left at `at`: how late the generator is.
    pub fn sent(&mut self, id: ChangeId, at: Time) {
        if let Some(intended) = self.intended.get(id.index()) {
            self.outcome.lag.record(at.since(*intended));
        }
    }

    /// The write of a change was stored with this `metadata.generation`.
    pub fn stored(&mut self, id: ChangeId, generation: u64) {
        self.tracker.stored(id, generation);
    }

    /// The write of a change failed for good.
    pub fn abandon(&mut self, id: ChangeId) {
        self.tracker.abandon(id);
    }

    /// Takes a signal.
    pub fn take(&mut self, signal: Signal) {
        self.outcome.signals += 1;
        self.order.push(signal);
    }

    /// A process could not tell so many signals: the run is invalid.
    pub const fn dropped(&mut self, count: u64) {
        self.outcome.dropped += count;
    }

    /// It is `now`: everything old enough to be in order is counted.
    pub fn advance(&mut self, now: Time) {
        self.count_until(now - self.plan.slack);
    }

    /// Counts so far.
    #[must_use]
    pub const fn progress(&self) -> Progress {
        self.tracker.progress()
    }

    /// No change is open and every Application on the hub is healthy.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.tracker.is_settled()
    }

    /// From the first change until all apps of the install were healthy; `None` until then.
    #[must_use]
    pub fn all_healthy(&self) -> Option<Span> {
        self.tracker.all_healthy().map(|at| at.since(self.plan.start))
    }

    /// The run ended at `now`: counts what is still held and says what it came to.
    #[must_use]
    pub fn finish(mut self, now: Time) -> Outcome {
        self.count_until(now);
        if self.window.rounds > 0 || self.window.finished > 0 || self.outcome.windows.is_empty() {
            self.window.at = now.since(self.plan.start);
            self.close_window();
        }
        self.outcome.all_healthy = self.all_healthy();
        self.outcome.progress = self.tracker.progress();
        self.outcome.late = self.order.late();
        self.outcome.unhealthy = self.tracker.unhealthy(EXAMPLES).collect();
        self.outcome.unfinished = self.tracker.open_changes(EXAMPLES).copied().collect();
        self.outcome
    }

    fn count_until(&mut self, until: Time) {
        while let Some(signal) = self.order.pop(until) {
            self.close_windows_before(signal.at());
            self.count(&signal);
            self.tracker.observe(&signal);
            for finished in self.tracker.take_finished() {
                self.count_finished(&finished);
            }
        }
        self.close_windows_before(until);
    }

    fn count(&mut self, signal: &Signal) {
        match *signal {
            Signal::Round { shard, queue_wait, took, outcome, .. } => {
                self.window.rounds += 1;
                if let Some(shard) = self.outcome.shards.get_mut(shard as usize) {
                    shard.rounds[outcome as usize] += 1;
                    shard.busy += took;
                    shard.queue_wait.record(queue_wait);
                }
            }
            Signal::QueueDepth { shard, ready, .. } => {
                let index = shard as usize;
                if let (Some(shard), Some(queue)) = (self.outcome.shards.get_mut(index), self.queues.get_mut(index)) {
                    *queue = ready.into();
                    shard.queue_max = shard.queue_max.max(*queue);
                }
                let sum = self.queues.iter().sum();
                self.window.queue = self.window.queue.max(sum);
            }
            _ => {}
        }
    }

    fn count_finished(&mut self, finished: &Finished) {
        self.outcome.latencies.record(finished);
        self.window.finished += 1;
        self.window_latency.record(finished.end_to_end);
    }

    fn close_windows_before(&mut self, at: Time) {
        if self.plan.window == Span::ZERO {
            return;
        }
        while at.since(self.plan.start) >= self.window.at {
            self.close_window();
        }
    }

    fn close_window(&mut self) {
        let progress = self.tracker.progress();
        self.window.apps = progress.apps;
        self.window.healthy = progress.healthy;
        self.window.open = progress.open();
        self.window.p50 = self.window_latency.quantile(0.5);
        self.window.p99 = self.window_latency.quantile(0.99);
        let next = Window { at: self.window.at + self.plan.window, ..Window::default() };
        self.outcome.windows.push(std::mem::replace(&mut self.window, next));
        self.window_latency = Histogram::default();
    }
}

impl Outcome {
    /// Rounds of all managers with one outcome.
    #[must_use]
    pub fn rounds(&self, outcome: RoundOutcome) -> u64 {
        self.shards.iter().map(|shard| shard.rounds[outcome as usize]).sum()
    }

    /// The end-to-end latency of all changes.
    #[must_use]
    pub fn end_to_end(&self) -> Histogram {
        self.latencies.all()[Hop::EndToEnd as usize].clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{ChangeKind, Health, Sync};

    fn ledger() -> Ledger {
        Ledger::new(Plan {
            apps: 2,
            install: vec![AppId(0), AppId(1)],
            start: Time(1_000),
            window: Span(100),
            slack: Span(50),
            shards: 2,
        })
    }

    fn healthy(app: u32, at: u64) -> Signal {
        Signal::AppCommitted {
            app: AppId(app),
            at: Time(at),
            generation: 1,
            deleted: false,
            health: Health::Healthy,
            sync: Sync::Synced,
            compared: 0,
            revision: 0,
        }
    }

    fn install(app: u32) -> Change {
        Change {
            app: AppId(app),
            kind: ChangeKind::Install,
            intended: Time(1_000),
            source: 0,
            revision: 0,
            object: 0,
            through_flux: false,
            cascade: false,
        }
    }

    #[test]
    fn a_run_is_counted_by_window_and_in_order() {
        let mut ledger = ledger();
        let first = ledger.intend(install(0));
        ledger.intend(install(1));
        ledger.sent(first, Time(51_000));
        ledger.take(healthy(1, 1_250));
        ledger.take(healthy(0, 1_120));
        ledger.advance(Time(1_260));
        assert_eq!((ledger.progress().finished, ledger.is_settled()), (1, false));
        let outcome = ledger.finish(Time(1_270));
        let row = |w: &Window| (w.at.0, w.apps, w.healthy, w.finished, w.open);
        assert_eq!(
            outcome.windows.iter().map(row).collect::<Vec<_>>(),
            [(100, 0, 0, 0, 2), (200, 1, 1, 1, 1), (270, 2, 2, 1, 0)]
        );
        assert_eq!((outcome.all_healthy, outcome.late), (Some(Span(250)), 0));
        assert_eq!(outcome.lag.quantile(1.0), Some(Span(50_000)));
    }

    #[test]
    fn queues_of_all_managers_are_summed_and_rounds_kept_apart() {
        let mut ledger = ledger();
        for (shard, ready) in [(0, 4), (1, 5), (0, 1)] {
            ledger.take(Signal::QueueDepth { shard, at: Time(1_010), ready, waiting: 0 });
        }
        let round = |shard, outcome| Signal::Round {
            app: AppId(shard),
            shard,
            at: Time(1_020),
            queue_wait: Span(3_000),
            took: Span(10),
            calls: 2,
            outcome,
        };
        ledger.take(round(0, RoundOutcome::Ok));
        ledger.take(round(1, RoundOutcome::Conflict));
        ledger.dropped(2);
        ledger.dropped(3);
        let outcome = ledger.finish(Time(1_050));
        assert_eq!(outcome.dropped, 5);
        assert_eq!((outcome.windows[0].queue, outcome.shards[0].queue_max, outcome.windows[0].rounds), (9, 4, 2));
        assert_eq!((outcome.rounds(RoundOutcome::Ok), outcome.rounds(RoundOutcome::Conflict)), (1, 1));
        assert_eq!(outcome.shards[1].queue_wait.quantile(0.5), Some(Span(3_000)));
    }
}
