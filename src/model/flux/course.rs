//! Passes that leave objects changed, and how the controllers of another cluster come through the same.
//!
//! In: what was played from a moment of rest to the next ([`Controllers::listen`], [`Controllers::course`]). Out: a
//! [`Course`], which another cluster in the same state takes in one step: objects are as they were left there, with names,
//! draws and earlier times of their own. That the state is the same, and that nobody else does anything meanwhile, is the
//! affair of whoever takes it, as with [`Rest`](super::Rest).

use super::controllers::{Alarm, Controllers};
use super::object::{Object, Told};
use super::rest::interval;
use super::spec::Spec;
use super::{Slot, World};
use crate::units::{Span, Time};
use smallvec::SmallVec;
use std::sync::Arc;

/// What objects were before.
#[derive(Debug)]
pub struct Before {
    places: usize,
    objects: Vec<(Slot, u64, u64, Option<Time>)>,
}

/// See the module head.
#[derive(Debug)]
pub struct Course {
    begin: Time,
    objects: Vec<Taken>,
}

/// An object that was changed.
#[derive(Debug)]
struct Taken {
    slot: Slot,
    /// As it was left.
    object: Object,
    told: Vec<Told>,
    draws: u64,
    timer: Timer,
    /// `resourceVersion`, if it moved, counted from that of the API server.
    version: Option<u64>,
}

/// When an object is due afterwards.
#[derive(Clone, Copy, Debug)]
enum Timer {
    None,
    /// As before.
    Kept,
    /// An interval after the pass that ended then.
    After(Span),
}

impl Controllers {
    /// From now on it is kept what objects are told, and known when anything drawn could come.
    pub fn listen(&mut self) -> Before {
        self.soonest = Time(u64::MAX);
        for slot in (0..self.objects.places()).filter_map(|n| u32::try_from(n).ok()).map(Slot) {
            if let Some(object) = self.objects.get_mut(slot) {
                object.listen();
            }
        }
        let of = |(slot, object): (Slot, &Object)| (slot, object.draws, object.meta.version, object.queue.due);
        Before { places: self.objects.places(), objects: self.objects.iter().map(of).collect() }
    }

    /// What was played since [`Controllers::listen`], which was at `begin` on a server that stood at `version`, and after which
    /// nobody does anything before `idle`; `None` if it cannot be taken.
    pub fn course(
        &mut self,
        world: &World,
        before: &Before,
        (begin, idle): (Time, Time),
        version: u64,
    ) -> Option<Course> {
        let mut told: Vec<_> = Vec::new();
        for (slot, ..) in &before.objects {
            told.push(self.objects.get_mut(*slot).and_then(|object| object.heard(begin)));
        }
        let alone = self.dependants.values().all(|who| who.len() == 1);
        if self.soonest <= idle || self.objects.places() != before.places || !alone {
            return None;
        }
        let mut objects = Vec::new();
        for ((slot, draws, old, due), told) in before.objects.iter().zip(told) {
            let (object, told) = (self.objects.get(*slot)?, told?);
            let same = (object.draws, object.meta.version, object.queue.due) == (*draws, *old, *due);
            if same && told.is_empty() {
                continue;
            }
            let own = || interval(world, self.seed, *slot, object, object.draws);
            let timer = match object.queue.due {
                None => Timer::None,
                at if at == *due => Timer::Kept,
                Some(at) => Timer::After(Span(at.0.checked_sub(own().0)?.checked_sub(begin.0)?)),
            };
            let version = object.meta.version.checked_sub(version).filter(|moved| *moved > 0);
            // What is older than the course must be told apart from what is not.
            object.clone().retime(object, begin, begin).then_some(())?;
            let object = object.clone();
            objects.push(Taken { slot: *slot, draws: object.draws - draws, object, told, timer, version });
        }
        Some(Course { begin, objects })
    }

    /// Takes the same course from `begin` on, on a server that stands at `version`; false, and nothing happened, if it would be
    /// another.
    pub fn take(
        &mut self,
        world: &World,
        course: &Course,
        (begin, version): (Time, u64),
        named: impl Fn(Slot) -> Option<(Arc<str>, Spec)>,
    ) -> bool {
        let mut taken: SmallVec<[(Slot, Object); 3]> = SmallVec::new();
        for of in &course.objects {
            let Some(object) = self.objects.get(of.slot).and_then(|own| {
                let mut object = of.object.clone();
                object.retime(own, course.begin, begin).then_some(())?;
                object.as_told(own, &of.told, begin).then_some(())?;
                (object.meta.name, object.spec) = named(of.slot)?;
                object.meta.version = of.version.map_or(own.meta.version, |moved| version + moved);
                object.draws = own.draws + of.draws;
                object.queue.due = match of.timer {
                    Timer::None => None,
                    Timer::Kept => own.queue.due,
                    Timer::After(ended) => {
                        Some(begin + ended + interval(world, self.seed, of.slot, &object, object.draws))
                    }
                };
                Some(object)
            }) else {
                return false;
            };
            taken.push((of.slot, object));
        }
        for (slot, object) in taken {
            if let Some(due) = object.queue.due {
                self.timers.set(due, Alarm::Object(slot));
            }
            self.unsubscribe(slot);
            if let Some(own) = self.objects.get_mut(slot) {
                *own = object;
            }
            self.subscribe(slot);
        }
        true
    }
}
