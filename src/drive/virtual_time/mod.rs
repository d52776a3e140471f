//! Virtual runs: the same machines on a simulated clock.
//!
//! In: what users write on leaves, new commits, constant latencies. Out: the state of every leaf, and a digest of its
//! transitions (time, object, what was written), equal for equal inputs. A small engine: one binary heap, no cost model.
//! Each batch of calls arrives at its leaf after the latency and is answered then, by the object-life rules of the mock
//! server (`apiserver::life`) on headers without payload.

mod leaf;

#[cfg(test)]
mod tests;

pub use leaf::Stored;

use crate::apiserver::schema::Catalog;
use crate::calls::Kind;
use crate::ids::AddonId;
use crate::model::flux::{Op, PassId, Step, World};
use crate::scenario::Delay;
use crate::units::{Span, Time};
use leaf::Leaf;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What happens to a leaf.
#[derive(Debug)]
enum Event {
    /// A queue or timer of its controllers may have something to run.
    Turn,
    /// A batch of calls arrives and is answered.
    Arrive(PassId, Vec<Op>),
}

/// An event and its place in time; ties go by order of creation.
#[derive(Debug)]
struct Entry {
    at: Time,
    nth: u64,
    leaf: usize,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.nth) == (other.at, other.nth)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.nth).cmp(&(other.at, other.nth))
    }
}

/// Leaves on a simulated clock.
#[derive(Debug)]
pub struct Engine {
    world: World,
    leaves: Vec<Leaf>,
    heap: BinaryHeap<Reverse<Entry>>,
    now: Time,
    events: u64,
    latency: Span,
}

impl Engine {
    /// So many empty leaves that serve the kinds of `catalog`. A batch of calls takes `latency`, pods `ready`.
    #[must_use]
    pub fn new(world: World, catalog: &Catalog, leaves: usize, latency: Span, ready: Delay) -> Self {
        let leaves = (0..leaves as u64).map(|id| Leaf::new(&world, catalog.clone(), id, ready)).collect();
        Self { world, leaves, heap: BinaryHeap::new(), now: Time(0), events: 0, latency }
    }

    /// Now.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// Somebody writes the spec of a Flux object: created, changed, or as it was.
    pub fn write(&mut self, leaf: usize, kind: Kind, namespace: &str, name: &str, spec: &serde_json::Value) {
        self.leaves[leaf].write(&self.world, kind, namespace, name, spec, self.now);
        self.push(leaf, self.now, Event::Turn);
    }

    /// Somebody deletes an object.
    pub fn delete(&mut self, leaf: usize, kind: Kind, namespace: &str, name: &str) {
        self.leaves[leaf].delete(kind, namespace, name, self.now);
        self.push(leaf, self.now, Event::Turn);
    }

    /// A new commit of an add-on.
    pub fn commit(&self, addon: AddonId) {
        self.world.catalogue.commit(addon);
    }

    /// Lets time pass until an instant; what is due then has happened.
    pub fn run(&mut self, until: Time) {
        while self.heap.peek().is_some_and(|Reverse(entry)| entry.at <= until) {
            let Some(Reverse(entry)) = self.heap.pop() else { break };
            self.now = self.now.max(entry.at);
            self.happen(entry.leaf, entry.event);
        }
        self.now = self.now.max(until);
    }

    fn happen(&mut self, at: usize, event: Event) {
        let (world, now) = (&self.world, self.now);
        let leaf = &mut self.leaves[at];
        let mut asked = Vec::new();
        match event {
            Event::Turn => {
                if leaf.armed == Some(now) {
                    leaf.armed = None;
                }
                while let Some(pass) = leaf.controllers.runnable(world, now) {
                    if let Step::Call(ops) = leaf.controllers.step(world, pass, &[], now) {
                        asked.push((pass, ops));
                    }
                }
            }
            Event::Arrive(pass, ops) => {
                let replies: Vec<_> = ops.iter().map(|op| leaf.answer(world, op, now)).collect();
                if let Step::Call(ops) = leaf.controllers.step(world, pass, &replies, now) {
                    asked.push((pass, ops));
                }
            }
        }
        leaf.roll_out(now);
        let _measured_elsewhere = leaf.controllers.take_progress();
        let next = leaf.next_deadline(world).map(|next| next.max(now));
        let next = next.filter(|next| leaf.armed.is_none_or(|armed| *next < armed));
        if next.is_some() {
            leaf.armed = next;
        }
        for (pass, ops) in asked {
            self.push(at, now + self.latency, Event::Arrive(pass, ops));
        }
        if let Some(next) = next {
            self.push(at, next, Event::Turn);
        }
    }

    fn push(&mut self, leaf: usize, at: Time, event: Event) {
        self.events += 1;
        self.heap.push(Reverse(Entry { at, nth: self.events, leaf, event }));
    }

    /// An object of a leaf.
    #[must_use]
    pub fn object(&self, leaf: usize, kind: Kind, namespace: &str, name: &str) -> Option<&Stored> {
        self.leaves[leaf].object(kind, namespace, name)
    }

    /// Whether a Flux object is Ready at its generation.
    #[must_use]
    pub fn is_ready(&self, leaf: usize, kind: Kind, namespace: &str, name: &str) -> bool {
        let controllers = &self.leaves[leaf].controllers;
        let object = controllers.find(kind, namespace, name).and_then(|slot| controllers.object(slot));
        object.is_some_and(|o| o.status.is_ready(o.meta.generation))
    }

    /// Calls answered so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.leaves.iter().map(|leaf| leaf.calls).sum()
    }

    /// Digest of all transitions so far.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.leaves.iter().fold(0, |sum, leaf| sum.rotate_left(5) ^ leaf.transitions())
    }

    /// Digest of what is stored now, times and versions left out.
    #[must_use]
    pub fn state(&self) -> u64 {
        self.leaves.iter().fold(0, |sum, leaf| sum.rotate_left(5) ^ leaf.state())
    }
}
