//! A pass that finds everything as it was, and what it leaves behind.
//!
//! In: the begin of such a pass that was played. Out: a [`Rest`], by which the same pass at another time, of an object in the
//! same state, is over in one step: times move on, the events are counted, the next pass is drawn. What is called during
//! such a pass is the affair of whoever plays it; so is to know that the state is the same ([`Controllers::fingerprint`]) and
//! that nobody else does anything meanwhile.

use super::controllers::{Alarm, Controllers};
use super::object::{Object, Told};
use super::pass::jitter;
use super::spec::Spec;
use super::status::ConditionType;
use super::{Slot, World};
use crate::seed::Seed;
use crate::units::{Span, Time};
use smallvec::SmallVec;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// What a resting pass leaves behind in its object, all times counted from its begin.
#[derive(Clone, Debug)]
pub struct Rest {
    draws: u64,
    ended: Span,
    told: SmallVec<[Told; 1]>,
    /// Conditions that went and came back.
    since: SmallVec<[(ConditionType, Span); 3]>,
    /// The newest entry of the history was counted again then, and how long it took.
    counted: Option<(Span, u32)>,
    /// `resourceVersion`, if it moved, counted from that of the API server.
    version: Option<u64>,
}

impl Controllers {
    /// Nothing runs and nothing is in line: only timers will go on.
    #[must_use]
    pub fn is_resting(&self) -> bool {
        self.awake.is_empty()
            && self.passes.iter().all(Option::is_none)
            && self.queues.iter().all(|queue| !queue.is_waiting(u32::MAX))
    }

    /// When each object is due.
    pub fn due(&self) -> impl Iterator<Item = (Slot, Time)> + '_ {
        self.objects.iter().filter_map(|(slot, object)| Some((slot, object.queue.due?)))
    }

    /// When one of them is.
    #[must_use]
    pub fn due_of(&self, slot: Slot) -> Option<Time> {
        self.objects.get(slot)?.queue.due
    }

    /// How many draws an object took.
    #[must_use]
    pub fn draws(&self, slot: Slot) -> u64 {
        self.objects.get(slot).map_or(0, |object| object.draws)
    }

    /// Everything that a pass depends on but times, versions and draws: equal states hash alike.
    pub fn fingerprint(&self, hash: &mut impl Hasher) {
        for (slot, object) in self.objects.iter() {
            let (meta, status) = (&object.meta, &object.status);
            (slot, object.kind, meta.generation, meta.deleting, meta.finalizer, &meta.requested).hash(hash);
            (object.queue.failures, object.gone, status.generation, &status.handled, status.chart).hash(hash);
            (status.artifact.map(|artifact| artifact.revision), status.attempted, status.applied).hash(hash);
            (status.config, status.inventory, status.failures).hash(hash);
            for condition in &status.conditions {
                (condition.kind, condition.truth, condition.reason, condition.text, condition.generation).hash(hash);
            }
            for entry in &status.history {
                (entry.revision, entry.digest, entry.release, entry.ok, entry.superseded).hash(hash);
            }
        }
    }

    /// What a pass left behind that was played from `begin` on and after which the object had taken `draws` draws before it,
    /// on a server that stood at `version`; `None` if it cannot be told.
    #[must_use]
    pub fn rest_of(&self, world: &World, slot: Slot, begin: Time, draws: u64, version: u64) -> Option<Rest> {
        let object = self.objects.get(slot)?;
        let after = interval(world, self.seed, slot, object, object.draws);
        let status = &object.status;
        let moved = |since: Time| (since >= begin).then(|| since.since(begin));
        Some(Rest {
            draws: object.draws - draws,
            ended: object.queue.due?.since(begin + after),
            told: object.told_since(begin),
            since: status.conditions.iter().filter_map(|c| Some((c.kind, moved(c.since)?))).collect(),
            counted: status.latest().and_then(|entry| Some((moved(entry.last)?, entry.millis))),
            version: object.meta.version.checked_sub(version).filter(|moved| *moved > 0),
        })
    }

    /// The same pass from `begin` on; false, and nothing happened, if its events would be other calls.
    pub fn rest(&mut self, world: &World, slot: Slot, rest: &Rest, begin: Time, version: u64) -> bool {
        let seed = self.seed;
        let Some(object) = self.objects.get_mut(slot) else { return false };
        if !object.tell_again(&rest.told, begin) {
            return false;
        }
        object.draws += rest.draws;
        for (kind, since) in &rest.since {
            let of = |c: &&mut super::Condition| c.kind == *kind;
            if let Some(condition) = object.status.conditions.iter_mut().find(of) {
                condition.since = begin + *since;
            }
        }
        if let (Some((last, millis)), Some(entry)) = (rest.counted, object.status.history.first_mut()) {
            (entry.last, entry.millis, entry.count) = (begin + last, millis, entry.count + 1);
        }
        if let Some(moved) = rest.version {
            object.meta.version = version + moved;
        }
        let due = begin + rest.ended + interval(world, seed, slot, object, object.draws);
        object.queue.due = Some(due);
        self.timers.set(due, Alarm::Object(slot));
        true
    }

    /// Controllers of another cluster that came to rest at `now` as these did: with draws and names of their own. `None` if
    /// other draws could have made a difference until then, or somebody waits for anything but an interval, or not alone for
    /// a source.
    pub fn begun(
        &self,
        world: &World,
        cluster: u64,
        named: impl Fn(Slot) -> Option<(Arc<str>, Spec)>,
        now: Time,
    ) -> Option<Self> {
        if self.soonest <= now {
            return None;
        }
        let mut copy = Self::new(world, cluster);
        copy.objects = self.objects.clone();
        copy.soonest = self.soonest;
        for slot in (0..).map(Slot).take(self.objects.places()) {
            let Some(object) = copy.objects.get_mut(slot) else { continue };
            (object.meta.name, object.spec) = named(slot)?;
            if let Some(due) = object.queue.due {
                let own = interval(world, self.seed, slot, object, object.draws);
                let ended = due.0.checked_sub(own.0).map(Time).filter(|ended| *ended <= now)?;
                let due = ended + interval(world, copy.seed, slot, object, object.draws);
                object.queue.due = Some(due);
                copy.timers.set(due, Alarm::Object(slot));
            }
            copy.enter(slot);
        }
        copy.dependants.values().all(|who| who.len() == 1).then_some(copy)
    }
}

/// How long after a pass the next one comes, by the last draw of that pass.
pub(super) fn interval(world: &World, seed: Seed, slot: Slot, object: &Object, draws: u64) -> Span {
    let interval = object.spec.common().map_or(Span::ZERO, |common| common.interval);
    jitter(world, seed.child("jitter").entity(u64::from(slot.0)), draws, interval)
}
