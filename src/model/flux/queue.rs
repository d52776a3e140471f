//! The work queue of one controller: controller-runtime's priority queue (v0.24) for small integers.
//!
//! In: slots to reconcile, with a priority or a delay. Out: the next slot, when a worker is free. A slot is queued once;
//! the higher priority and the shorter delay win; it never runs twice at once: what arrives meanwhile runs afterwards.

use super::Slot;
use super::object::Objects;
use crate::units::Time;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What the queue knows of one slot; kept in the object.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry {
    /// Queued, at this priority.
    pub(super) ready: Option<i8>,
    /// To be queued at this instant.
    pub(super) due: Option<Time>,
    /// A worker has it.
    pub(super) running: bool,
    /// Failures in a row, for the back-off.
    pub(super) failures: u8,
}

/// Order of what is ready: higher priority first, then first come.
type Ready = (i8, Reverse<u64>, Slot);

/// The queue of one controller.
#[derive(Debug, Default)]
pub(super) struct Queue {
    ready: BinaryHeap<Ready>,
    arrivals: u64,
    pub(super) running: u32,
}

impl Queue {
    /// Queues a slot now, unless it is queued already at least as urgently.
    pub(super) fn add(&mut self, entry: &mut Entry, slot: Slot, priority: i8) {
        entry.due = None;
        if entry.ready.is_some_and(|queued| queued >= priority) {
            return;
        }
        entry.ready = Some(priority);
        self.push(slot, priority);
    }

    fn push(&mut self, slot: Slot, priority: i8) {
        self.arrivals += 1;
        self.ready.push((priority, Reverse(self.arrivals), slot));
    }

    /// The next slot if a worker is free; it is then running.
    pub(super) fn take(&mut self, limit: u32, objects: &mut Objects) -> Option<Slot> {
        if self.running >= limit {
            return None;
        }
        while let Some((priority, _, slot)) = self.ready.pop() {
            let Some(entry) = objects.get_mut(slot).map(|o| &mut o.queue) else { continue };
            // Superseded by a later add at a higher priority, or waiting for its own worker: `done` queues it again.
            if entry.ready != Some(priority) || entry.running {
                continue;
            }
            entry.ready = None;
            entry.running = true;
            self.running += 1;
            return Some(slot);
        }
        None
    }

    /// A worker is done with a slot; what arrived meanwhile is queued.
    pub(super) fn done(&mut self, entry: &mut Entry, slot: Slot) {
        entry.running = false;
        self.running -= 1;
        if let Some(priority) = entry.ready {
            self.push(slot, priority);
        }
    }

    /// A slot is free for another object, which may be of another kind and queue: what waits here is not its own.
    pub(super) fn forget(&mut self, slot: Slot) {
        self.ready.retain(|(_, _, waiting)| *waiting != slot);
    }

    /// Something may be ready to run.
    pub(super) fn is_waiting(&self, limit: u32) -> bool {
        self.running < limit && !self.ready.is_empty()
    }
}

/// Instants of one cluster, earliest first, with lazy deletion: an instant counts only if its owner still waits for it.
#[derive(Debug)]
pub(super) struct Timers<T: Ord> {
    heap: BinaryHeap<Reverse<(Time, T)>>,
}

impl<T: Ord> Default for Timers<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new() }
    }
}

impl<T: Ord + Copy> Timers<T> {
    pub(super) fn set(&mut self, at: Time, what: T) {
        self.heap.push(Reverse((at, what)));
    }

    /// The earliest instant.
    pub(super) fn next(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// The earliest, if its time has come.
    pub(super) fn pop(&mut self, now: Time) -> Option<(Time, T)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}
