//! The work queue: client-go's semantics as a pure machine. `now` goes in, the next deadline comes out.
//!
//! - a key waits at most once; added again while it waits, nothing happens;
//! - a key added while it is being worked on runs once more after `done`, never twice at a time;
//! - first in, first out; delayed adds enter the line when they are due, the earlier of two delays counts;
//! - failures back off exponentially per key until `forget`.
//!
//! Keys are small dense integers. A key costs 32 bytes and 24 more per pending delay: 40,000 apps are 2.2 MB.
//! It never starts work and never sleeps.

use crate::seed::Seed;
use crate::units::{Span, Time};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Exponential back-off per key: `base * 2^failures`, at most `max`
/// (client-go's `ItemExponentialFailureRateLimiter`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub base: Span,
    /// The longest.
    pub max: Span,
}

impl Backoff {
    /// The delay after `failures` earlier failures.
    #[must_use]
    pub fn delay(self, failures: u32) -> Span {
        let factor = 1_u64.checked_shl(failures).unwrap_or(u64::MAX);
        Span(self.base.0.saturating_mul(factor)).min(self.max)
    }
}

/// When a key is looked at again although nothing happened.
#[derive(Clone, Copy, Debug)]
pub struct Resync {
    /// The period; zero is never.
    pub period: Span,
    /// Up to so much is added, drawn anew each time.
    pub jitter: Span,
    /// Where the draws come from.
    pub seed: Seed,
}

impl Resync {
    /// How long until the `n`-th resync of a key; `None` if there is none.
    #[must_use]
    pub fn after(&self, key: u32, n: u64) -> Option<Span> {
        let jitter = self.seed.entity(u64::from(key)).span(n, Span::ZERO, self.jitter);
        (self.period > Span::ZERO).then(|| self.period + jitter)
    }
}

/// No delayed add is pending.
const NEVER: Time = Time(u64::MAX);

#[derive(Clone, Copy, Debug)]
struct Key {
    /// Since when it waits in line.
    since: Time,
    /// When its delayed add is due.
    due: Time,
    failures: u32,
    /// Waits, or is to run again after `done`.
    dirty: bool,
    busy: bool,
}

impl Default for Key {
    fn default() -> Self {
        Self { since: Time(0), due: NEVER, failures: 0, dirty: false, busy: false }
    }
}

/// The queue.
#[derive(Clone, Debug)]
pub struct Queue {
    keys: Vec<Key>,
    line: VecDeque<u32>,
    /// Pending delays by (due, order of adding, key). An entry whose key has another `due` is stale.
    delayed: BinaryHeap<Reverse<(Time, u64, u32)>>,
    sequence: u64,
    backoff: Backoff,
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub const fn new(backoff: Backoff) -> Self {
        Self { keys: Vec::new(), line: VecDeque::new(), delayed: BinaryHeap::new(), sequence: 0, backoff }
    }

    /// Puts a key in line, unless it waits already.
    pub fn add(&mut self, key: u32, now: Time) {
        let entry = self.entry(key);
        if entry.dirty {
            return;
        }
        entry.dirty = true;
        entry.since = now;
        if !entry.busy {
            self.line.push_back(key);
        }
    }

    /// Puts a key in line after a delay; at once if the delay is zero. Of two pending delays the earlier counts.
    pub fn add_after(&mut self, key: u32, delay: Span, now: Time) {
        if delay == Span::ZERO {
            return self.add(key, now);
        }
        let due = now + delay;
        let entry = self.entry(key);
        if due < entry.due {
            entry.due = due;
            self.sequence += 1;
            self.delayed.push(Reverse((due, self.sequence, key)));
        }
    }

    /// Puts a key in line after its back-off, which grows with each call until [`Queue::forget`].
    pub fn add_rate_limited(&mut self, key: u32, now: Time) {
        let backoff = self.backoff;
        let entry = self.entry(key);
        let delay = backoff.delay(entry.failures);
        entry.failures = entry.failures.saturating_add(1);
        self.add_after(key, delay, now);
    }

    /// Ends the back-off of a key.
    pub fn forget(&mut self, key: u32) {
        self.entry(key).failures = 0;
    }

    /// Drops a pending delay of a key.
    pub fn cancel_delay(&mut self, key: u32) {
        self.entry(key).due = NEVER;
    }

    /// The next key to work on and how long it waited in line. It is busy until [`Queue::done`].
    pub fn take(&mut self, now: Time) -> Option<(u32, Span)> {
        self.wake(now);
        let key = self.line.pop_front()?;
        let entry = self.entry(key);
        entry.dirty = false;
        entry.busy = true;
        let waited = now.since(entry.since);
        Some((key, waited))
    }

    /// The work on a key is over; if it was added meanwhile, it is in line again.
    pub fn done(&mut self, key: u32) {
        let entry = self.entry(key);
        entry.busy = false;
        if entry.dirty {
            self.line.push_back(key);
        }
    }

    /// When a delayed add will be due. Keys already in line need no deadline.
    pub fn deadline(&mut self) -> Option<Time> {
        while let Some(&Reverse((due, _, key))) = self.delayed.peek() {
            if self.keys[key as usize].due == due {
                return Some(due);
            }
            self.delayed.pop();
        }
        None
    }

    /// When the delayed add of a key is due.
    #[must_use]
    pub fn due(&self, key: u32) -> Option<Time> {
        self.keys.get(key as usize).map(|key| key.due).filter(|due| *due != NEVER)
    }

    /// How many keys wait in line.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.line.len()
    }

    /// How many delays are pending; those that were overtaken count until they fall due.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.delayed.len()
    }

    /// Moves due delays into the line, in the order in which they fell due.
    fn wake(&mut self, now: Time) {
        while let Some(due) = self.deadline().filter(|due| *due <= now) {
            if let Some(Reverse((_, _, key))) = self.delayed.pop() {
                self.keys[key as usize].due = NEVER;
                self.add(key, due);
            }
        }
    }

    fn entry(&mut self, key: u32) -> &mut Key {
        let index = key as usize;
        if index >= self.keys.len() {
            self.keys.resize(index + 1, Key::default());
        }
        &mut self.keys[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    const BACKOFF: Backoff = Backoff { base: Span::from_millis(5), max: Span::from_secs(1) };

    fn at(millis: u64) -> Time {
        Time(0) + Span::from_millis(millis)
    }

    fn taken(queue: &mut Queue, now: Time) -> Vec<u32> {
        std::iter::from_fn(|| queue.take(now).map(|(key, _)| key)).collect()
    }

    #[test]
    fn a_key_waits_once_and_runs_again_if_added_while_busy() {
        let mut queue = Queue::new(BACKOFF);
        queue.add(1, at(0));
        queue.add(2, at(1));
        queue.add(1, at(2));
        assert_eq!(queue.take(at(5)), Some((1, Span::from_millis(5))));
        queue.add(1, at(6));
        assert_eq!(taken(&mut queue, at(7)), [2], "a busy key is not handed out again");
        queue.done(1);
        assert_eq!(queue.take(at(9)), Some((1, Span::from_millis(3))));
        queue.done(1);
        assert_eq!(queue.take(at(9)), None);
    }

    #[test]
    fn the_earlier_of_two_delays_counts_and_the_deadline_says_when() {
        let mut queue = Queue::new(BACKOFF);
        queue.add_after(3, Span::from_millis(50), at(0));
        queue.add_after(3, Span::from_millis(20), at(0));
        queue.add_after(3, Span::from_millis(90), at(0));
        queue.add_after(4, Span::from_millis(20), at(0));
        assert_eq!(queue.deadline(), Some(at(20)));
        assert_eq!(taken(&mut queue, at(19)), Vec::<u32>::new());
        assert_eq!(taken(&mut queue, at(20)), [3, 4]);
        assert_eq!(queue.deadline(), None);
    }

    #[test]
    fn failures_back_off_exponentially_until_forgotten() {
        let mut queue = Queue::new(BACKOFF);
        for want in [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000] {
            queue.add_rate_limited(7, at(0));
            assert_eq!(queue.deadline(), Some(at(want)));
            assert_eq!(queue.take(at(want)).map(|(key, _)| key), Some(7));
            queue.done(7);
        }
        queue.forget(7);
        queue.add_rate_limited(7, at(0));
        assert_eq!(queue.deadline(), Some(at(5)));
    }

    #[test]
    fn resyncs_spread_within_the_jitter() {
        let resync = Resync { period: Span::from_secs(180), jitter: Span::from_secs(60), seed: Seed::new(1) };
        let draws: BTreeSet<u64> = (0..100).filter_map(|key| resync.after(key, 0)).map(|span| span.0).collect();
        assert!(draws.len() > 95);
        assert!(draws.iter().all(|&d| (180_000_000_000..240_000_000_000).contains(&d)));
        assert_eq!(Resync { period: Span::ZERO, ..resync }.after(1, 0), None);
    }

    #[derive(Clone, Copy, Debug)]
    enum Act {
        Add(u32),
        After(u32, u64),
        Take,
        Done,
        Pass(u64),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            (0_u32..6).prop_map(Act::Add),
            (0_u32..6, 0_u64..30).prop_map(|(key, ms)| Act::After(key, ms)),
            Just(Act::Take),
            Just(Act::Done),
            (0_u64..20).prop_map(Act::Pass),
        ];
        prop::collection::vec(act, 0..200)
    }

    /// The naive queue: client-go's three sets, a map of delays.
    #[derive(Default)]
    struct Naive {
        line: Vec<u32>,
        dirty: BTreeSet<u32>,
        busy: Vec<u32>,
        delays: BTreeMap<u32, (Time, u64)>,
        sequence: u64,
    }

    impl Naive {
        fn add(&mut self, key: u32) {
            if self.dirty.insert(key) && !self.busy.contains(&key) {
                self.line.push(key);
            }
        }

        fn after(&mut self, key: u32, due: Time) {
            self.sequence += 1;
            let entry = (due, self.sequence);
            let old = self.delays.entry(key).or_insert(entry);
            if due < old.0 {
                *old = entry;
            }
        }

        fn take(&mut self, now: Time) -> Option<u32> {
            let mut due: Vec<_> = self.delays.iter().filter(|(_, d)| d.0 <= now).map(|(k, d)| (*d, *k)).collect();
            due.sort_unstable();
            for (_, key) in due {
                self.delays.remove(&key);
                self.add(key);
            }
            (!self.line.is_empty()).then(|| {
                let key = self.line.remove(0);
                self.dirty.remove(&key);
                self.busy.push(key);
                key
            })
        }

        fn done(&mut self) -> Option<u32> {
            (!self.busy.is_empty()).then(|| {
                let key = self.busy.remove(0);
                if self.dirty.contains(&key) {
                    self.line.push(key);
                }
                key
            })
        }
    }

    proptest! {
        #[test]
        fn it_behaves_as_the_naive_queue_does(acts in acts()) {
            let (mut queue, mut naive, mut now) = (Queue::new(BACKOFF), Naive::default(), at(0));
            for act in acts {
                match act {
                    Act::Add(key) => {
                        queue.add(key, now);
                        naive.add(key);
                    }
                    Act::After(key, 0) => {
                        queue.add_after(key, Span::ZERO, now);
                        naive.add(key);
                    }
                    Act::After(key, ms) => {
                        queue.add_after(key, Span::from_millis(ms), now);
                        naive.after(key, now + Span::from_millis(ms));
                    }
                    Act::Take => {
                        let (got, want) = (queue.take(now).map(|(key, _)| key), naive.take(now));
                        prop_assert_eq!(got, want);
                    }
                    Act::Done => {
                        if let Some(key) = naive.done() {
                            queue.done(key);
                        }
                    }
                    Act::Pass(ms) => now += Span::from_millis(ms),
                }
                let due = naive.delays.values().map(|d| d.0).min();
                prop_assert_eq!(queue.deadline(), due);
                prop_assert_eq!(queue.depth(), naive.line.len());
            }
        }
    }
}
