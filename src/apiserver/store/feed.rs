//! The history of one resource on one cluster with those who follow it.

use super::history::{Budget, Event, EventKind, History, Past};
use super::wheel::Alarm;
use crate::apiserver::object::Object;
use indexmap::IndexMap;
use parking_lot::Mutex;
use rustc_hash::FxBuildHasher;
use std::sync::Arc;

/// What subscriptions share with the cluster that publishes. The cluster publishes under its own lock; subscriptions
/// take only this one.
#[derive(Debug, Default)]
pub(in crate::apiserver) struct Feed {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    history: History,
    followers: IndexMap<u32, Arc<Alarm>, FxBuildHasher>,
    next: u32,
    /// Subscriptions of an earlier epoch end.
    epoch: u32,
}

/// What a subscription finds when it looks.
pub(super) enum Look {
    /// Events after the cursor, at most the number asked for.
    Events(Vec<Arc<Event>>),
    /// Events after the cursor may be forgotten; the oldest version to resume from.
    Forgotten(u64),
    /// The feed was closed.
    Closed,
}

impl Feed {
    /// Appends a committed write and wakes who follows.
    pub(in crate::apiserver) fn publish(
        &self,
        kind: EventKind,
        object: &Arc<Object>,
        previous: Option<&Arc<Object>>,
        second: u64,
        budget: &Budget,
    ) {
        let mut state = self.state.lock();
        let event = History::event(kind, object.clone(), previous.cloned(), second, state.followers.len());
        state.history.push(event, budget);
        for alarm in state.followers.values() {
            alarm.wake();
        }
    }

    /// Joins the followers.
    pub(super) fn follow(&self, alarm: Arc<Alarm>) -> (u32, u32) {
        let mut state = self.state.lock();
        state.next += 1;
        let id = state.next;
        state.followers.insert(id, alarm);
        (id, state.epoch)
    }

    pub(super) fn leave(&self, id: u32) {
        self.state.lock().followers.swap_remove(&id);
    }

    pub(super) fn look(&self, epoch: u32, after: u64, most: usize) -> Look {
        let state = self.state.lock();
        if state.epoch != epoch {
            return Look::Closed;
        }
        match state.history.after(after) {
            Ok(events) => Look::Events(events.take(most).cloned().collect()),
            Err(floor) => Look::Forgotten(floor),
        }
    }

    /// Whether a watch can start right after `version`; `Err` is the oldest version that works.
    pub(in crate::apiserver) fn reaches(&self, version: u64) -> Result<(), u64> {
        self.state.lock().history.after(version).map(drop)
    }

    /// See [`History::undo`].
    pub(in crate::apiserver) fn undo(&self, version: u64) -> Result<Vec<Past>, u64> {
        self.state.lock().history.undo(version)
    }

    /// How many follow.
    pub(in crate::apiserver) fn followers(&self) -> usize {
        self.state.lock().followers.len()
    }

    pub(in crate::apiserver) fn forget_before(&self, second: u64, budget: &Budget) -> usize {
        self.state.lock().history.forget_before(second, budget)
    }

    /// Forgets the past: resuming from a version before `version` is 410 from now on, also for those who follow and are
    /// behind.
    pub(in crate::apiserver) fn forget_all(&self, version: u64, budget: &Budget) {
        let mut state = self.state.lock();
        state.history.forget_all(version, budget);
        for alarm in state.followers.values() {
            alarm.wake();
        }
    }

    /// Ends all subscriptions cleanly.
    pub(in crate::apiserver) fn close(&self) {
        let mut state = self.state.lock();
        state.epoch += 1;
        for alarm in state.followers.values() {
            alarm.wake();
        }
    }
}
