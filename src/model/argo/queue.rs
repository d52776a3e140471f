//! client-go's work queue: first in, first out; a key waits at most once; one that comes while it is worked on waits again
//! when its worker is done.

use crate::units::{Span, Time};
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug, Default)]
struct Key {
    waits: bool,
    runs: bool,
    /// When it was put in.
    since: Time,
}

/// See the module head. Keys are small numbers.
#[derive(Debug)]
pub struct WorkQueue {
    keys: Vec<Key>,
    line: VecDeque<u32>,
    workers: u32,
    running: u32,
}

impl WorkQueue {
    /// An empty queue with so many workers and room for keys below `keys`.
    #[must_use]
    pub fn new(keys: usize, workers: u32) -> Self {
        Self { keys: vec![Key::default(); keys], line: VecDeque::new(), workers, running: 0 }
    }

    /// Puts a key in.
    pub fn add(&mut self, key: u32, now: Time) {
        let state = &mut self.keys[key as usize];
        if state.waits {
            return;
        }
        *state = Key { waits: true, since: now, ..*state };
        if !state.runs {
            self.line.push_back(key);
        }
    }

    /// The next key and how long it waited, if a worker is free.
    pub fn take(&mut self, now: Time) -> Option<(u32, Span)> {
        if self.running >= self.workers {
            return None;
        }
        let key = self.line.pop_front()?;
        let state = &mut self.keys[key as usize];
        let waited = now.since(state.since);
        *state = Key { waits: false, runs: true, ..*state };
        self.running += 1;
        Some((key, waited))
    }

    /// A worker is done with a key.
    pub fn done(&mut self, key: u32) {
        self.running -= 1;
        let state = &mut self.keys[key as usize];
        state.runs = false;
        if state.waits {
            self.line.push_back(key);
        }
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.line.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// How many workers have a key.
    #[must_use]
    pub const fn running(&self) -> u32 {
        self.running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_waits_once_and_again_when_it_came_during_its_work() {
        let mut queue = WorkQueue::new(4, 2);
        for key in [2, 0, 2, 1] {
            queue.add(key, Time(5));
        }
        assert_eq!(queue.take(Time(9)), Some((2, Span(4))));
        queue.add(2, Time(10));
        assert_eq!(queue.take(Time(11)).map(|(key, _)| key), Some(0));
        assert_eq!(queue.take(Time(11)), None, "both workers are busy");
        queue.done(2);
        assert_eq!(queue.take(Time(12)).map(|(key, _)| key), Some(1), "first in, first out");
        queue.done(0);
        assert_eq!((queue.take(Time(13)), queue.len(), queue.running()), (Some((2, Span(3))), 0, 2));
    }
}
