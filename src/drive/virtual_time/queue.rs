//! What happens next: events in the order of (time, order of pushing).
//!
//! [`Wheel`] is a hierarchical timing wheel that is exact: eight levels of 256 slots, one byte of the time each, the lowest
//! a nanosecond wide. A slot that comes up is sorted if it is small and becomes the *run* that events are taken from, else
//! its events go one level down. So an event is moved about three times, always to the end of a list, whatever the number
//! of events. Events of one instant always lie in one list in the order in which they came, which is why no sequence
//! number is kept. [`Heap`] is a binary heap with such a number: slow, plain, the referee.
//!
//! Arithmetic for 1 M pending: an event is 32 bytes and is moved three times, 100 ns with the misses of a table of
//! 32 MB: 10 M/s. A heap of 40-byte entries is 20 levels deep, and five of them miss: 2 M/s.
//!
//! Measured (hold model, `benches/nexosim`, best of five on two busy cores): with 1 M pending 9.25 M/s, the heap 1.08, nexosim
//! 1.0.0 on the same model 0.44; with 1,000 pending 28.9, 10.9 and 1.74.

use crate::units::Time;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Slots of a level, and the levels.
const SLOTS: usize = 256;
const LEVELS: usize = 8;
/// A slot with so many events or fewer is sorted.
const SORTED: usize = 48;
/// A run that grew so long gives its later part back.
const LONG: usize = 512;

#[derive(Debug)]
struct Level<T> {
    slots: Vec<Vec<(u64, T)>>,
    /// Which slots hold anything.
    occupied: [u64; SLOTS / 64],
}

impl<T> Level<T> {
    fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| Vec::new()).collect(), occupied: [0; SLOTS / 64] }
    }

    fn push(&mut self, slot: usize, entry: (u64, T)) {
        self.slots[slot].push(entry);
        self.occupied[slot / 64] |= 1 << (slot % 64);
    }

    /// The first slot from `from` on that holds anything.
    fn first(&self, from: usize) -> Option<usize> {
        let words = &self.occupied[from / 64..];
        words.iter().enumerate().find_map(|(n, word)| {
            let word = if n == 0 { word & (u64::MAX << (from % 64)) } else { *word };
            (word != 0).then(|| (from / 64 + n) * 64 + word.trailing_zeros() as usize)
        })
    }
}

/// See the module head.
#[derive(Debug)]
pub struct Wheel<T> {
    levels: Vec<Level<T>>,
    /// The slots that lie before this time are empty.
    base: u64,
    /// The events before `run_end`, latest first. In the beginning that is all of them: few events need no slots.
    run: Vec<(u64, T)>,
    run_end: u64,
    /// The time of the last event taken, and those that were pushed for it since.
    now: u64,
    same: VecDeque<T>,
    len: usize,
}

impl<T> Default for Wheel<T> {
    fn default() -> Self {
        Self { levels: Vec::new(), base: 0, run: Vec::new(), run_end: u64::MAX, now: 0, same: VecDeque::new(), len: 0 }
    }
}

impl<T> Wheel<T> {
    /// Puts an event in. One for the past happens at once.
    pub fn push(&mut self, at: Time, event: T) {
        self.len += 1;
        if at.0 <= self.now {
            self.same.push_back(event);
        } else if at.0 < self.run_end {
            let before = self.run.partition_point(|(later, _)| *later > at.0);
            self.run.insert(before, (at.0, event));
            if self.run.len() > LONG {
                self.give_back();
            }
        } else {
            self.place(at.0, event);
        }
    }

    /// Takes the next event.
    pub fn pop(&mut self) -> Option<(Time, T)> {
        if self.run.last().is_none_or(|(at, _)| *at > self.now)
            && let Some(event) = self.same.pop_front()
        {
            self.len -= 1;
            return Some((Time(self.now), event));
        }
        while self.run.is_empty() {
            self.refill()?;
        }
        let (at, event) = self.run.pop()?;
        self.len -= 1;
        self.now = at;
        Some((Time(at), event))
    }

    /// When the next event is.
    pub fn next_at(&mut self) -> Option<Time> {
        if self.run.last().is_none_or(|(at, _)| *at > self.now) && !self.same.is_empty() {
            return Some(Time(self.now));
        }
        while self.run.is_empty() {
            self.refill()?;
        }
        self.run.last().map(|(at, _)| Time(*at))
    }

    /// Forgets everything, as if it were new; what it took of memory it keeps.
    pub fn clear(&mut self) {
        for level in &mut self.levels {
            while let Some(slot) = level.first(0) {
                level.slots[slot].clear();
                level.occupied[slot / 64] &= !(1 << (slot % 64));
            }
        }
        self.run.clear();
        self.same.clear();
        (self.base, self.run_end, self.now, self.len) = (0, u64::MAX, 0, 0);
    }

    /// How many wait.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether none waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Into the slot of the highest byte in which its time differs from the base.
    fn place(&mut self, at: u64, event: T) {
        if self.levels.is_empty() {
            self.levels = (0..LEVELS).map(|_| Level::new()).collect();
        }
        let level = (63 - (at ^ self.base | 1).leading_zeros() as usize) / 8;
        self.levels[level].push(byte(at, level), (at, event));
    }

    /// The next slot becomes the run, or its events go one level down.
    fn refill(&mut self) -> Option<()> {
        let base = self.base;
        let found = self.levels.iter().enumerate().find_map(|(n, level)| Some((n, level.first(byte(base, n))?)));
        let (n, slot) = found?;
        let level = &mut self.levels[n];
        level.occupied[slot / 64] &= !(1 << (slot % 64));
        let above = if n + 1 < LEVELS { u64::MAX << (8 * (n + 1)) } else { 0 };
        self.base = base & above | (slot as u64) << (8 * n);
        if n == 0 || level.slots[slot].len() <= SORTED {
            // The run is empty: its buffer serves the slot from now on.
            std::mem::swap(&mut self.run, &mut level.slots[slot]);
            if n > 0 {
                self.run.sort_by_key(|(at, _)| *at);
            }
            self.run.reverse();
            self.run_end = self.base.saturating_add(1 << (8 * n));
            return Some(());
        }
        let mut entries = std::mem::take(&mut level.slots[slot]);
        for (at, event) in entries.drain(..) {
            self.place(at, event);
        }
        self.levels[n].slots[slot] = entries;
        Some(())
    }

    /// A run that covers a long time fills up with what is pushed meanwhile: its later part goes back to the slots. So do
    /// many events of one instant to come: each that is pushed for it would be put before all of them.
    fn give_back(&mut self) {
        let keep = self.run[self.run.len() - SORTED].0;
        let mut later = self.run.partition_point(|(at, _)| *at > keep);
        let mut end = keep + 1;
        if self.run.len() - later > LONG / 2 && keep > self.now {
            later = self.run.partition_point(|(at, _)| *at >= keep);
            end = keep;
        }
        if later > 0 {
            self.run_end = end;
            let mut back: Vec<_> = self.run.drain(..later).collect();
            while let Some((at, event)) = back.pop() {
                self.place(at, event);
            }
        }
    }
}

/// The byte of a time that a level stands for.
const fn byte(at: u64, level: usize) -> usize {
    at.to_le_bytes()[level] as usize
}

/// The referee.
#[derive(Debug)]
pub struct Heap<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    pushed: u64,
    now: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: u64,
    nth: u64,
    event: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.nth) == (other.at, other.nth)
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.nth).cmp(&(other.at, other.nth))
    }
}

impl<T> Default for Heap<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), pushed: 0, now: 0 }
    }
}

impl<T> Heap<T> {
    /// Puts an event in. One for the past happens at once.
    pub fn push(&mut self, at: Time, event: T) {
        self.pushed += 1;
        self.heap.push(Reverse(Entry { at: at.0.max(self.now), nth: self.pushed, event }));
    }

    /// When the next event is.
    pub fn next_at(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse(entry)| Time(entry.at))
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.heap.clear();
        self.now = 0;
    }

    /// Takes the next event.
    pub fn pop(&mut self) -> Option<(Time, T)> {
        let Reverse(entry) = self.heap.pop()?;
        self.now = entry.at;
        Some((Time(entry.at), entry.event))
    }
}

/// Which queue a simulation runs on. The outcome is the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// The timing wheel.
    #[default]
    Wheel,
    /// The binary heap.
    Heap,
}

/// One of the two.
#[derive(Debug)]
pub(super) enum Queue<T> {
    Wheel(Box<Wheel<T>>),
    Heap(Heap<T>),
}

impl<T> Queue<T> {
    pub(super) fn new(engine: Engine) -> Self {
        match engine {
            Engine::Wheel => Self::Wheel(Box::default()),
            Engine::Heap => Self::Heap(Heap::default()),
        }
    }

    pub(super) fn push(&mut self, at: Time, event: T) {
        match self {
            Self::Wheel(wheel) => wheel.push(at, event),
            Self::Heap(heap) => heap.push(at, event),
        }
    }

    pub(super) fn pop(&mut self) -> Option<(Time, T)> {
        match self {
            Self::Wheel(wheel) => wheel.pop(),
            Self::Heap(heap) => heap.pop(),
        }
    }

    pub(super) fn next_at(&mut self) -> Option<Time> {
        match self {
            Self::Wheel(wheel) => wheel.next_at(),
            Self::Heap(heap) => heap.next_at(),
        }
    }

    pub(super) fn clear(&mut self) {
        match self {
            Self::Wheel(wheel) => wheel.clear(),
            Self::Heap(heap) => heap.clear(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Delays of all sizes: none, some that meet, days.
    fn delay() -> impl Strategy<Value = u64> {
        prop_oneof![
            Just(0),
            0_u64..4,
            0_u64..1_000,
            0_u64..5_000_000,
            0_u64..1 << 42,
            (0_u64..20).prop_map(|n| n * 1_000_000),
            0_u64..1 << 60,
        ]
    }

    #[test]
    fn an_empty_queue_gives_nothing_and_goes_on() {
        let mut wheel = Wheel::default();
        assert_eq!(wheel.pop(), None);
        wheel.push(Time(u64::MAX), 1);
        wheel.push(Time(7), 2);
        assert_eq!((wheel.pop(), wheel.len()), (Some((Time(7), 2)), 1));
        wheel.push(Time(3), 3);
        assert_eq!(wheel.pop(), Some((Time(7), 3)), "what is late happens at once");
        assert_eq!(wheel.pop(), Some((Time(u64::MAX), 1)));
        assert_eq!((wheel.pop(), wheel.is_empty()), (None, true));
    }

    #[test]
    fn thousands_of_one_instant_come_in_their_order_whenever_they_were_pushed() {
        let (mut wheel, mut heap) = (Wheel::default(), Heap::default());
        let mut push = |at: u64, n: u64| {
            wheel.push(Time(at), n);
            heap.push(Time(at), n);
        };
        // What is next, what all wait for, and what comes after it, mixed.
        for n in 0..3_000 {
            push(if n % 40 == 0 { n } else { 5_000_000 }, n);
            push(5_000_001 + n % 3, 10_000 + n);
        }
        for n in 0..6_000_u64 {
            let (a, b) = (wheel.pop(), heap.pop());
            assert_eq!(a, b, "the {n}th");
            let Some((now, _)) = a else { break };
            for (more, at) in [0, 1, 5_000_000_u64.saturating_sub(now.0), 7].into_iter().enumerate() {
                if n % 5 == more as u64 {
                    wheel.push(Time(now.0 + at), 20_000 + n);
                    heap.push(Time(now.0 + at), 20_000 + n);
                }
            }
        }
        while let Some(a) = wheel.pop() {
            assert_eq!(Some(a), heap.pop());
        }
        assert_eq!(heap.pop(), None);
    }

    proptest! {
        #[test]
        fn the_wheel_gives_what_the_heap_gives(steps in prop::collection::vec((delay(), 0_usize..4, 1_usize..900), 1..80)) {
            let (mut wheel, mut heap) = (Wheel::default(), Heap::default());
            let (mut now, mut n) = (Time(0), 0_u32);
            for (delay, pops, many) in steps {
                // Once in a while a storm: many events close together.
                let storm = if many > 890 { many } else { 1 };
                for k in 0..storm as u64 {
                    let at = Time(now.0.saturating_add(delay).saturating_add(k % 7 * (delay / 64)));
                    wheel.push(at, n);
                    heap.push(at, n);
                    n += 1;
                }
                for _ in 0..pops {
                    let (a, b) = (wheel.pop(), heap.pop());
                    prop_assert_eq!(a, b);
                    now = a.map_or(now, |(at, _)| at);
                }
            }
            loop {
                let (a, b) = (wheel.pop(), heap.pop());
                prop_assert_eq!(a, b);
                if a.is_none() {
                    break;
                }
            }
            prop_assert_eq!(wheel.len(), 0);
        }
    }
}
