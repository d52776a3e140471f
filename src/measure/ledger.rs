//! Everything that signals say about a run, kept as it will be recorded.
//!
//! In: intended changes, the harness's own doings, signals of all processes, and from time to time how late it is.
//! Out: an [`Outcome`]. Live and virtual drivers feed the same ledger. Pure: `now` is an argument.
//!
//! A run may consist of parts that have nothing to do with each other: they are counted one after another, or in ledgers of
//! their own whose [`Books`] add up to the same.

mod calm;
mod pulse;

pub use calm::Calm;
pub use pulse::{Beat, Pulse};

use super::change::{Change, Hop};
use super::hist::{Histogram, Latencies};
use super::hops::{Progress, Tracker};
use super::order::Reorder;
use super::ownership::{Owners, Ownership};
use super::signal::{RoundOutcome, Signal};
use super::windows::{Gauges, Series};
use crate::ids::{AppId, ChangeId};
use crate::units::{Offset, Span, Time};

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
    /// Processes of managers, which are told apart.
    pub shards: usize,
    /// Managers in them, shared out evenly.
    pub managers: u64,
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
    /// How many managers are counted here.
    pub managers: u64,
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
    /// Who owned the clusters; `None` if no manager told.
    pub ownership: Option<Ownership>,
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

/// Everything that was counted so far, of one part of a run or of several: the order of counting does not show.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// All of it but the time series and what follows from the end of the run.
    sum: Outcome,
    series: Series,
    /// Parts whose install was never healthy as a whole.
    unhealthy_installs: u64,
    /// Examples by the number of their part.
    unhealthy: Vec<(u32, AppId)>,
    unfinished: Vec<(u32, Change)>,
    /// The longest part.
    length: Span,
    width: Span,
}

impl Books {
    /// Adds what was counted elsewhere: other parts of the same run.
    pub fn merge(&mut self, other: Self) {
        let (ours, theirs) = (&mut self.sum, other.sum);
        ours.progress.add(&theirs.progress);
        ours.latencies.merge(&theirs.latencies);
        ours.lag.merge(&theirs.lag);
        ours.all_healthy = ours.all_healthy.max(theirs.all_healthy);
        ours.signals += theirs.signals;
        ours.late += theirs.late;
        ours.dropped += theirs.dropped;
        // Managers that share a hub are of one part.
        ours.ownership = ours.ownership.take().or(theirs.ownership);
        for (ours, theirs) in ours.shards.iter_mut().zip(theirs.shards) {
            ours.merge(theirs);
        }
        self.series.merge(other.series);
        self.unhealthy_installs += other.unhealthy_installs;
        self.unhealthy.extend(other.unhealthy);
        self.unfinished.extend(other.unfinished);
        self.keep_first();
        self.length = self.length.max(other.length);
        self.width = self.width.max(other.width);
    }

    fn keep_first(&mut self) {
        self.unhealthy.sort_by_key(|(part, app)| (*part, *app));
        self.unhealthy.truncate(EXAMPLES);
        self.unfinished.sort_by_key(|(part, change)| (*part, change.app, change.intended));
        self.unfinished.truncate(EXAMPLES);
    }

    /// What the run came to. Its install was healthy when that of its last part was.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        Outcome {
            all_healthy: self.sum.all_healthy.filter(|_| self.unhealthy_installs == 0),
            windows: self.series.windows(self.width, self.length),
            unhealthy: self.unhealthy.into_iter().map(|(_, app)| app).collect(),
            unfinished: self.unfinished.into_iter().map(|(_, change)| change).collect(),
            ..self.sum
        }
    }
}

/// Keeps what signals say. See the module head.
#[derive(Clone, Debug)]
pub struct Ledger {
    plan: Plan,
    tracker: Tracker,
    order: Reorder,
    intended: Vec<Time>,
    /// The queue of each manager as last told.
    queues: Vec<u64>,
    owners: Owners,
    books: Books,
    /// The part that is counted, from 0.
    part: u32,
    /// Its clock beside that of the run.
    clock: Offset,
    /// The window that is counted, and when it ends.
    window: usize,
    ends: Time,
    /// Gauges as they were last counted, and the longest queue in this window.
    told: Gauges,
    queue: u64,
    now: Time,
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let shards = plan.shards as u64;
        let of = |shard: u64| plan.managers / shards + u64::from(shard < plan.managers % shards);
        let shards = (0..shards).map(|shard| Shard { managers: of(shard), ..Shard::default() }).collect();
        let sum = Outcome { shards, ..Outcome::default() };
        Self {
            tracker: Tracker::new(plan.apps, plan.install.iter().copied()),
            order: Reorder::default(),
            intended: Vec::new(),
            queues: vec![0; plan.shards],
            owners: Owners::new(0, plan.shards, plan.start),
            books: Books { sum, width: plan.window, ..Books::default() },
            part: 0,
            clock: Offset::default(),
            window: 0,
            ends: if plan.window == Span::ZERO { Time(u64::MAX) } else { plan.start + plan.window },
            told: Gauges::default(),
            queue: 0,
            now: Time(0),
            plan,
        }
    }

    /// Follows who owns so many clusters.
    #[must_use]
    pub fn with_owners(mut self, clusters: u64) -> Self {
        self.owners = Owners::new(clusters, self.plan.shards, self.plan.start);
        self
    }

    /// Begins the next part of the run, which has nothing to do with those before: its apps are counted from 0 again, as
    /// are its times, by a clock of its own. The last one was closed.
    pub fn begin_part(&mut self, part: u32, apps: usize, install: impl IntoIterator<Item = AppId>, clock: Offset) {
        (self.part, self.clock) = (part, clock);
        self.tracker = Tracker::new(apps, install);
        self.order = Reorder::default();
        self.intended.clear();
        self.queues.fill(0);
        (self.window, self.told, self.now) = (0, Gauges::default(), Time(0));
        let end = clock.to_part(self.plan.start + self.plan.window);
        self.ends = if self.plan.window == Span::ZERO { Time(u64::MAX) } else { end };
    }

    /// The part that is counted ended at `now`. `name` tells what its apps are called in the whole run.
    pub fn close_part(&mut self, now: Time, name: impl Fn(AppId) -> AppId) {
        self.count_until(now);
        self.close_queue();
        let books = &mut self.books;
        books.sum.progress.add(&self.tracker.progress());
        books.sum.late += self.order.late();
        let healthy = self.tracker.all_healthy().map(|at| self.clock.to_run(at).since(self.plan.start));
        books.unhealthy_installs += u64::from(healthy.is_none() && self.tracker.awaits_install());
        books.sum.all_healthy = books.sum.all_healthy.max(healthy);
        books.unhealthy.extend(self.tracker.unhealthy(EXAMPLES).map(|app| (self.part, name(app))));
        let open = self.tracker.open_changes(EXAMPLES);
        let named = |c: &Change| Change { app: name(c.app), intended: self.clock.to_run(c.intended), ..*c };
        books.unfinished.extend(open.map(|change| (self.part, named(change))));
        books.keep_first();
        books.length = books.length.max(self.clock.to_run(now).since(self.plan.start));
    }

    /// Everything that was counted, all parts closed.
    #[must_use]
    pub fn into_books(mut self) -> Books {
        let end = self.plan.start + self.books.length;
        self.books.sum.ownership = self.owners.finish(end);
        self.books
    }

    /// A change is about to be made; call it before the write.
    pub fn intend(&mut self, change: Change) -> ChangeId {
        self.enter(change.intended);
        self.intended.push(change.intended);
        let id = self.tracker.intend(change);
        self.tell_gauges();
        id
    }

    /// The write of a change left at `at`: how late the generator is.
    pub fn sent(&mut self, id: ChangeId, at: Time) {
        if let Some(intended) = self.intended.get(id.index()) {
            self.books.sum.lag.record(at.since(*intended));
        }
    }

    /// The write of a change was stored with this `metadata.generation`.
    pub fn stored(&mut self, id: ChangeId, generation: u64) {
        self.tracker.stored(id, generation);
    }

    /// The write of a change failed for good.
    pub fn abandon(&mut self, id: ChangeId) {
        self.tracker.abandon(id);
        self.tell_gauges();
    }

    /// Takes a signal.
    pub fn take(&mut self, signal: Signal) {
        self.books.sum.signals += 1;
        if self.plan.slack == Span::ZERO && signal.at() <= self.now && self.order.is_empty() {
            // In a simulation nothing earlier can come.
            return self.book(&signal);
        }
        self.order.push(signal);
    }

    /// A process could not tell so many signals: the run is invalid.
    pub const fn dropped(&mut self, count: u64) {
        self.books.sum.dropped += count;
    }

    /// It is `now`: everything old enough to be in order is counted.
    pub fn advance(&mut self, now: Time) {
        self.now = now;
        self.count_until(now - self.plan.slack);
    }

    /// Counts so far, of the part that is counted.
    #[must_use]
    pub const fn progress(&self) -> Progress {
        self.tracker.progress()
    }

    /// Counts so far, of this part and those that were closed.
    #[must_use]
    pub const fn total(&self) -> Progress {
        let mut total = self.books.sum.progress;
        total.add(&self.tracker.progress());
        total
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

    /// Clusters that came to another manager from `since` on; `None` while some have none.
    #[must_use]
    pub fn clusters_moved(&self, since: Time) -> Option<u64> {
        self.owners.moved(since)
    }

    /// The run is over: managers that let go from now on are on their way home.
    pub const fn close_owners(&mut self, now: Time) {
        self.owners.close(now);
    }

    /// The run ended at `now`: counts what is still held and says what it came to.
    #[must_use]
    pub fn finish(mut self, now: Time) -> Outcome {
        self.close_part(now, |app| app);
        Outcome { ownership: self.owners.finish(now), ..self.books.outcome() }
    }

    fn count_until(&mut self, until: Time) {
        while let Some(signal) = self.order.pop(until) {
            self.book(&signal);
        }
        self.enter(until);
    }

    fn book(&mut self, signal: &Signal) {
        self.enter(signal.at());
        self.count(signal);
        self.tracker.observe(signal);
        for finished in self.tracker.take_finished() {
            self.books.sum.latencies.record(&finished);
            self.books.series.finished(self.window, finished.end_to_end);
        }
        self.tell_gauges();
    }

    fn count(&mut self, signal: &Signal) {
        match *signal {
            Signal::Round { shard, queue_wait, took, outcome, .. } => {
                self.books.series.round(self.window);
                if let Some(shard) = self.books.sum.shards.get_mut(shard as usize) {
                    shard.rounds[outcome as usize] += 1;
                    shard.busy += took;
                    shard.queue_wait.record(queue_wait);
                }
            }
            Signal::QueueDepth { shard, ready, .. } => {
                let (index, shards) = (shard as usize, &mut self.books.sum.shards);
                if let (Some(shard), Some(queue)) = (shards.get_mut(index), self.queues.get_mut(index)) {
                    *queue = ready.into();
                    shard.queue_max = shard.queue_max.max(*queue);
                }
                let sum = self.queues.iter().sum();
                self.queue = self.queue.max(sum);
            }
            Signal::Owns { shard, at, clusters, gained } => {
                self.owners.owns(shard as usize, at, clusters.into(), gained.into());
            }
            _ => {}
        }
    }

    /// What is counted from now on happened at `at`, or as late as anything before it.
    fn enter(&mut self, at: Time) {
        if at < self.ends {
            return;
        }
        self.close_queue();
        let (start, width) = (self.plan.start, self.plan.window);
        let window = self.clock.to_run(at).since(start).0 / width.0;
        self.window = usize::try_from(window).unwrap_or(usize::MAX);
        self.ends = self.clock.to_part(start + Span(width.0.saturating_mul(window + 1)));
    }

    fn close_queue(&mut self) {
        if self.queue > 0 {
            self.books.series.queue(self.window, std::mem::take(&mut self.queue));
        }
    }

    fn tell_gauges(&mut self) {
        let progress = self.tracker.progress();
        let now = Gauges { apps: progress.apps, healthy: progress.healthy, open: progress.open() };
        self.books.series.moved(self.window, std::mem::replace(&mut self.told, now), now);
    }
}

impl Shard {
    /// Adds what another manager did, or the same one elsewhere.
    fn merge(&mut self, other: Self) {
        for (ours, theirs) in self.rounds.iter_mut().zip(other.rounds) {
            *ours += theirs;
        }
        self.busy += other.busy;
        self.queue_wait.merge(&other.queue_wait);
        self.queue_max = self.queue_max.max(other.queue_max);
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
        self.latencies.hop(Hop::EndToEnd)
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
            managers: 2,
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
