//! All deadlines of the process in one place: ends and bookmarks of watches, delayed work of clusters.
//!
//! In: instants, from one tick of whoever has a clock. Out: woken watches and the clusters that have work. There is no
//! timer and no task per watch; an idle watch is one weak pointer in one bucket.
//!
//! Arithmetic (assumed): 600,000 watches with a bookmark per minute are 10,000 entries per second, 1 us each.

use crate::units::{Span, Time};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Weak};
use std::task::Waker;

/// Grain of the wheel.
const GRAIN: u64 = 100_000_000;
/// The last bookmark comes this long before the end (upstream: `bookmarkFrequency` of the watch cache).
const LAST_BOOKMARK: Span = Span::from_secs(2);

const BOOKMARK: u8 = 1;
const END: u8 = 2;

/// Wakes one watch.
#[derive(Debug)]
pub(in crate::apiserver) struct Alarm {
    flags: AtomicU8,
    waker: Mutex<Option<Waker>>,
    end: Time,
    /// Zero if the watch wants none.
    bookmark_every: Span,
}

impl Alarm {
    pub(in crate::apiserver) fn new(end: Time, bookmark_every: Span) -> Arc<Self> {
        Arc::new(Self { flags: AtomicU8::new(0), waker: Mutex::new(None), end, bookmark_every })
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = self.waker.lock().take() {
            waker.wake();
        }
    }

    pub(super) fn listen(&self, waker: &Waker) {
        let mut slot = self.waker.lock();
        if !slot.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }

    pub(super) fn ended(&self) -> bool {
        self.flags.load(Ordering::Acquire) & END != 0
    }

    pub(super) fn take_bookmark(&self) -> bool {
        self.flags.fetch_and(!BOOKMARK, Ordering::AcqRel) & BOOKMARK != 0
    }

    /// Rings if due, and says when to look again.
    fn ring(&self, now: Time) -> Option<Time> {
        if now >= self.end {
            self.flags.fetch_or(END, Ordering::AcqRel);
            self.wake();
            return None;
        }
        if self.bookmark_every > Span::ZERO {
            self.flags.fetch_or(BOOKMARK, Ordering::AcqRel);
            self.wake();
        }
        Some(self.next(now))
    }

    fn next(&self, now: Time) -> Time {
        if self.bookmark_every == Span::ZERO {
            return self.end;
        }
        let last = Time(self.end.0.saturating_sub(LAST_BOOKMARK.0));
        let regular = now + self.bookmark_every;
        if now < last { regular.min(last) } else { self.end }
    }
}

#[derive(Debug)]
enum Due {
    Alarm(Weak<Alarm>),
    Cluster(u32),
}

/// The wheel.
#[derive(Debug, Default)]
pub(in crate::apiserver) struct Wheel {
    buckets: Mutex<BTreeMap<u64, Vec<Due>>>,
}

impl Wheel {
    fn add(&self, at: Time, due: Due) {
        self.buckets.lock().entry(at.0.div_ceil(GRAIN)).or_default().push(due);
    }

    /// Sets a watch's alarm going; `first` is when to look first.
    pub(in crate::apiserver) fn watch(&self, alarm: &Arc<Alarm>, now: Time) {
        self.add(alarm.next(now), Due::Alarm(Arc::downgrade(alarm)));
    }

    /// A cluster has work at an instant.
    pub(in crate::apiserver) fn work(&self, cluster: u32, at: Time) {
        self.add(at, Due::Cluster(cluster));
    }

    /// Rings everything due; returns the clusters that have work, each once, in order.
    pub(in crate::apiserver) fn turn(&self, now: Time) -> Vec<u32> {
        let due = {
            let mut buckets = self.buckets.lock();
            let later = buckets.split_off(&(now.0 / GRAIN + 1));
            std::mem::replace(&mut *buckets, later)
        };
        let mut clusters = Vec::new();
        for entry in due.into_values().flatten() {
            match entry {
                Due::Cluster(cluster) => clusters.push(cluster),
                Due::Alarm(weak) => {
                    let Some(alarm) = weak.upgrade() else { continue };
                    if let Some(at) = alarm.ring(now) {
                        self.add(at, Due::Alarm(weak));
                    }
                }
            }
        }
        clusters.sort_unstable();
        clusters.dedup();
        clusters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(n: u64) -> Time {
        Time(n * 1_000_000_000)
    }

    #[test]
    fn a_watch_gets_bookmarks_every_period_one_before_the_end_and_then_ends() {
        let wheel = Wheel::default();
        let alarm = Alarm::new(secs(150), Span::from_secs(60));
        wheel.watch(&alarm, secs(0));
        let mut rung = Vec::new();
        for second in 0..=151 {
            wheel.turn(secs(second));
            if alarm.take_bookmark() {
                rung.push(second);
            }
            assert_eq!(alarm.ended(), second >= 150, "at {second}");
        }
        assert_eq!(rung, [60, 120, 148]);
    }

    #[test]
    fn work_is_due_once_per_cluster_and_not_before_its_time() {
        let wheel = Wheel::default();
        for (cluster, at) in [(7, 5), (7, 5), (3, 5), (9, 6)] {
            wheel.work(cluster, secs(at));
        }
        assert!(wheel.turn(secs(4)).is_empty());
        assert_eq!(wheel.turn(secs(5)), [3, 7]);
        assert_eq!(wheel.turn(secs(100)), [9]);
        assert!(wheel.turn(secs(200)).is_empty());
    }

    #[test]
    fn a_watch_that_is_gone_leaves_the_wheel() {
        let wheel = Wheel::default();
        wheel.watch(&Alarm::new(secs(1_000), Span::from_secs(1)), secs(0));
        wheel.turn(secs(2));
        assert!(wheel.buckets.lock().is_empty());
    }
}
