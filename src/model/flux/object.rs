//! One Flux object as its controller knows it.

use super::queue::Entry;
use super::spec::Spec;
use super::status::{Condition, ConditionType, Reason, Status, Text, Truth};
use super::{Agent, Notice, Slot};
use crate::calls::Kind;
use crate::ids::Uid;
use crate::units::{Span, Time};
use smallvec::SmallVec;
use std::sync::Arc;

/// What an informer reads from the metadata of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// `resourceVersion`.
    pub version: u64,
    /// `generation`.
    pub generation: u32,
    /// `deletionTimestamp` is set.
    pub deleting: bool,
    /// `uid`.
    pub uid: Uid,
    /// Finalizers besides Flux's, as the inside of a JSON list.
    pub finalizers: Option<Arc<str>>,
    /// `finalizers.fluxcd.io` is among its finalizers.
    pub finalizer: bool,
    /// Annotation `reconcile.fluxcd.io/requestedAt`.
    pub requested: Option<Arc<str>>,
}

/// A Flux object and everything its controller remembers of it.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its kind.
    pub kind: Kind,
    /// Its metadata.
    pub meta: Meta,
    /// Its spec.
    pub spec: Spec,
    /// Its status, which its controller alone writes.
    pub status: Status,
    /// Deleted from the server while a worker had it.
    pub(super) gone: bool,
    pub(super) queue: Entry,
    /// Draws so far.
    pub(super) draws: u64,
    recorder: Recorder,
}

impl Object {
    pub(super) fn new(kind: Kind, meta: Meta, spec: Spec) -> Self {
        let status = Status::default();
        Self { kind, meta, spec, status, gone: false, queue: Entry::default(), draws: 0, recorder: Recorder::default() }
    }

    /// The controller that reconciles it.
    #[must_use]
    pub fn agent(&self) -> Agent {
        Agent::of(self.kind)
    }

    pub(super) fn condition(&mut self, kind: ConditionType, truth: Truth, reason: Reason, text: Text, now: Time) {
        let generation = self.meta.generation;
        self.status.set(Condition { kind, truth, reason, text, since: now, generation });
    }

    /// Work is going on; `anew` also makes Ready unknown, as does a Ready that was never set.
    pub(super) fn progressing(&mut self, anew: bool, text: Text, now: Time) {
        self.condition(ConditionType::Reconciling, Truth::True, Reason::Progressing, text, now);
        if anew || self.status.condition(ConditionType::Ready).is_none() {
            self.condition(ConditionType::Ready, Truth::Unknown, Reason::Progressing, text, now);
        }
    }

    /// It is done and well.
    pub(super) fn ready(&mut self, reason: Reason, text: Text, now: Time) {
        self.status.unset(ConditionType::Reconciling);
        self.status.unset(ConditionType::Stalled);
        self.condition(ConditionType::Ready, Truth::True, reason, text, now);
    }

    /// It is not well; it will be tried again.
    pub(super) fn failed(&mut self, reason: Reason, text: Text, now: Time) {
        if self.status.condition(ConditionType::Reconciling).is_some() {
            self.condition(ConditionType::Reconciling, Truth::True, Reason::ProgressingWithRetry, text, now);
        }
        self.condition(ConditionType::Ready, Truth::False, reason, text, now);
    }

    /// The event to send now; `None` when client-go's recorder would drop it.
    pub(super) fn notice(&mut self, reason: Reason, text: Text, warning: bool, now: Time) -> Option<Notice> {
        let (stamp, count) = self.recorder.record(reason, text, now)?;
        Some(Notice { reason, text, warning, stamp, count })
    }
}

/// An event that an object was told of, counted from the begin of a pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    after: Span,
    reason: Reason,
    text: Text,
    /// It counted up an earlier one, or not; `None`: it was dropped.
    repeats: Option<bool>,
}

impl Object {
    /// The events sent since then.
    pub(super) fn told_since(&self, begin: Time) -> SmallVec<[Told; 1]> {
        let told = |(reason, text, at): (Reason, Text, Time), repeats| {
            (at >= begin).then(|| Told { after: at.since(begin), reason, text, repeats })
        };
        let sent = self.recorder.recent.iter();
        let sent = sent.filter_map(|recent| told((recent.reason, recent.text, recent.last), Some(recent.count > 1)));
        sent.chain(self.recorder.dropped.and_then(|dropped| told(dropped, None))).collect()
    }

    /// Sends the same events from `begin` on, if they would be sent in the same way; else nothing changes.
    pub(super) fn tell_again(&mut self, told: &[Told], begin: Time) -> bool {
        let mut recorder = self.recorder.clone();
        let mut same = |told: &Told| {
            let sent = recorder.record(told.reason, told.text, begin + told.after);
            sent.map(|(_, count)| count > 1) == told.repeats
        };
        if !told.iter().all(&mut same) {
            return false;
        }
        self.recorder = recorder;
        true
    }
}

impl Object {
    /// What is sent from now on is kept.
    pub(super) fn listen(&mut self) {
        self.recorder.log = Some(Box::default());
    }

    /// The events sent since then, in their order; `None` if that was not kept.
    pub(super) fn heard(&mut self, begin: Time) -> Option<Vec<Told>> {
        let told = |(at, reason, text, repeats): (Time, Reason, Text, Option<bool>)| Told {
            after: at.since(begin),
            reason,
            text,
            repeats,
        };
        Some(self.recorder.log.take()?.into_iter().map(told).collect())
    }

    /// Becomes what another one was told, after the events of its own before; false if they would be sent in another way.
    pub(super) fn as_told(&mut self, own: &Self, told: &[Told], begin: Time) -> bool {
        self.recorder = own.recorder.clone();
        self.tell_again(told, begin)
    }

    /// Moves what happened from `from` on to `to` on, and takes older times from an object that was the same before; false if
    /// they cannot be told apart.
    pub(super) fn retime(&mut self, own: &Self, from: Time, to: Time) -> bool {
        let moved = |at: Time| (at >= from).then(|| to + at.since(from));
        let (status, own) = (&mut self.status, &own.status);
        for condition in &mut status.conditions {
            let Some(since) = moved(condition.since).or_else(|| Some(own.condition(condition.kind)?.since)) else {
                return false;
            };
            condition.since = since;
        }
        if let Some(artifact) = &mut status.artifact {
            let Some(at) = moved(artifact.at).or_else(|| Some(own.artifact?.at)) else { return false };
            artifact.at = at;
        }
        let new = status.history.iter().take_while(|entry| entry.first >= from).count();
        for (n, entry) in status.history.iter_mut().enumerate() {
            match (moved(entry.first), moved(entry.last)) {
                (Some(first), Some(last)) if n < new => (entry.first, entry.last) = (first, last),
                (None, None) if n >= new => {
                    let Some(own) = own.history.get(n - new) else { return false };
                    (entry.first, entry.last, entry.millis, entry.count) = (own.first, own.last, own.millis, own.count);
                }
                _ => return false,
            }
        }
        true
    }
}

/// client-go's event correlator for one object (tools/record, defaults): equal events within 10 minutes count up the
/// first one by PATCH; more than 25 events are dropped but for one every five minutes.
#[derive(Clone, Debug)]
struct Recorder {
    tokens: u8,
    refilled: Time,
    recent: SmallVec<[Recent; 2]>,
    /// The last one that was dropped.
    dropped: Option<(Reason, Text, Time)>,
    /// Everything since somebody listened, and whether it counted up an earlier one.
    log: Option<Box<Log>>,
}

type Log = Vec<(Time, Reason, Text, Option<bool>)>;

#[derive(Clone, Debug)]
struct Recent {
    reason: Reason,
    text: Text,
    stamp: u64,
    last: Time,
    count: u32,
}

/// `defaultSpamBurst`, `1 / defaultSpamQPS`, `defaultAggregateIntervalInSeconds`.
const BURST: u8 = 25;
const REFILL: Span = Span::from_secs(300);
const WINDOW: Span = Span::from_secs(600);

impl Default for Recorder {
    fn default() -> Self {
        Self { tokens: BURST, refilled: Time(0), recent: SmallVec::new(), dropped: None, log: None }
    }
}

impl Recorder {
    fn record(&mut self, reason: Reason, text: Text, now: Time) -> Option<(u64, u32)> {
        let sent = self.send(reason, text, now);
        if let Some(log) = &mut self.log {
            log.push((now, reason, text, sent.map(|(_, count)| count > 1)));
        }
        sent
    }

    fn send(&mut self, reason: Reason, text: Text, now: Time) -> Option<(u64, u32)> {
        if self.tokens == BURST {
            self.refilled = now;
        }
        while self.tokens < BURST && now.since(self.refilled) >= REFILL {
            self.tokens += 1;
            self.refilled += REFILL;
        }
        if self.tokens == 0 {
            self.dropped = Some((reason, text, now));
            return None;
        }
        self.tokens -= 1;
        self.recent.retain(|r| now.since(r.last) < WINDOW);
        if let Some(old) = self.recent.iter_mut().find(|r| r.reason == reason && r.text == text) {
            old.last = now;
            old.count += 1;
            return Some((old.stamp, old.count));
        }
        if self.recent.len() == 4 {
            self.recent.remove(0);
        }
        // Two events of one object in one nanosecond must not share a name.
        let after = self.recent.iter().map(|r| r.stamp + 1).max().unwrap_or_default();
        let stamp = now.0.max(after);
        self.recent.push(Recent { reason, text, stamp, last: now, count: 1 });
        Some((stamp, 1))
    }
}

/// A table of objects by slot, with free places.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    table: Vec<Option<Box<Object>>>,
    free: Vec<Slot>,
}

impl Objects {
    pub(super) fn insert(&mut self, object: Object) -> Slot {
        if let Some(slot) = self.free.pop() {
            self.table[slot.0 as usize] = Some(Box::new(object));
            return slot;
        }
        let slot = Slot(u32::try_from(self.table.len()).unwrap_or(u32::MAX));
        self.table.push(Some(Box::new(object)));
        slot
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        if let Some(place) = self.table.get_mut(slot.0 as usize)
            && place.take().is_some()
        {
            self.free.push(slot);
        }
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Object> {
        self.table.get(slot.0 as usize)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Object> {
        self.table.get_mut(slot.0 as usize)?.as_deref_mut()
    }

    /// All of them, with their slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Object)> {
        (0..).map(Slot).zip(&self.table).filter_map(|(slot, object)| Some((slot, object.as_deref()?)))
    }

    /// How many slots there are, free ones among them.
    pub(super) const fn places(&self) -> usize {
        self.table.len()
    }

    pub(super) fn len(&self) -> usize {
        self.table.len() - self.free.len()
    }
}
