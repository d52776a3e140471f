//! A change that finds its leaf at rest, played once and then told of every leaf that rests alike.
//!
//! In: the write of a change as it arrives at a leaf where nothing is under way. Out: the leaf as it is when it rests again,
//! with everything told that led there, as `opening` does it for the first changes of a leaf.
//!
//! Why it is exact: as in `fold`. What follows depends on the state of the leaf and its manager, which is equal by its
//! fingerprint, and on nothing that is drawn as long as delays are fixed and no timer goes off before the leaf rests
//! again. What is older than the change (times, counts, draws) is each leaf's own.
//!
//! Arithmetic: an upgrade takes 120 events and 60 us. Copying two objects takes 1 us, 60 transitions 0.3, 60 signals 4.

use super::fold::next;
use super::hub::Application;
use super::leaf::{LeafBefore, LeafCourse};
use super::manager::Managed;
use super::sim::Simulation;
use super::spoke::Report;
use super::telling::Telling;
use crate::fleet::{ChangeKind, Target};
use crate::model::hardware::Done;
use crate::units::{Span, Time};
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::{Hash, Hasher as _};
use std::rc::Rc;

/// A change that arrives: the state that it finds, whose it is, what it asks for.
type Key = (u64, u32, bool, Target);

/// What follows a change. Times are those of the leaf that played it.
#[derive(Debug)]
struct Course {
    begin: Time,
    last: Span,
    idle: Span,
    /// The change there, by its number.
    change: usize,
    telling: Telling,
    leaf: LeafCourse,
    managed: Managed,
    version: u64,
    /// Rounds of the app, and when the last one ended.
    rounds: u64,
    ended: Span,
    application: Application,
    told: Report,
    objects: [(u64, u64); 2],
    /// When the last watch events arrived, where any did.
    arrivals: Vec<Option<Span>>,
    done: Done,
    watch_events: u64,
    depth_at: Option<Span>,
}

/// Courses that are kept at most.
const COURSES: usize = 1_024;

/// All courses so far, and the one that is being played.
#[derive(Debug, Default)]
pub(super) struct Courses {
    known: FxHashMap<Key, Option<Rc<Course>>>,
    recording: Option<Box<Recording>>,
}

#[derive(Debug)]
struct Recording {
    key: Key,
    begin: Time,
    horizon: Time,
    change: usize,
    leaf: LeafBefore,
    version: u64,
    rounds: Vec<u64>,
    done: Done,
    watch_events: u64,
}

impl Courses {
    /// Another part begins.
    pub(super) fn begin(&mut self) {
        self.recording = None;
    }
}

impl Simulation<'_> {
    /// The write of a change arrives: whether what follows was told, or else is to be played.
    pub(super) fn change_at_rest(&mut self, index: u32) -> bool {
        let change = self.change_of(index);
        let kind = matches!(change.kind, ChangeKind::Upgrade | ChangeKind::Scale);
        if !kind || !self.openings.is_on() || self.listening.is_some() || self.parts_have_commits() {
            return false;
        }
        // It is itself the one that is open and written.
        self.writing -= 1;
        let rests = self.is_quiet() && !self.is_depth_told(self.now) && self.hardware.all_idle_from() <= self.now;
        self.writing += 1;
        let alone = self.ledger.is_open_alone();
        if !rests || !alone || !self.shapes.is_shared(self.ground.world, change.app, change.target) {
            return false;
        }
        let mut alarms = Vec::new();
        self.set_alarms(&mut alarms);
        let given = self.next_given().min(self.ends.next());
        let horizon = next(&alarms, given).map_or(given, |(first, _)| first.at.min(given));
        let app = self.local(change.app);
        let key = (self.state_of_change(app), app, change.kind == ChangeKind::Scale, change.target);
        match self.courses.known.get(&key) {
            Some(Some(course)) if self.now + course.idle < horizon => {
                let course = Rc::clone(course);
                self.take_course(&course, app, index)
            }
            Some(_) => false,
            None => {
                if self.courses.known.len() < COURSES {
                    self.record_course(key, horizon, index);
                }
                false
            }
        }
    }

    fn state_of_change(&mut self, app: u32) -> u64 {
        let mut hash = FxHasher::default();
        self.state_of_rest().hash(&mut hash);
        self.leaves[0].fingerprint_workloads(&mut hash);
        let told = self.told[app as usize];
        (told.health, told.sync, told.compared, told.revision, told.gone).hash(&mut hash);
        (self.hub_objects, self.out.objects).hash(&mut hash);
        hash.finish()
    }

    fn record_course(&mut self, key: Key, horizon: Time, index: u32) {
        self.listen();
        let (leaf, manager) = (&mut self.leaves[0], &self.managers[0]);
        self.courses.recording = Some(Box::new(Recording {
            key,
            begin: self.now,
            horizon,
            change: index as usize,
            version: leaf.version(),
            leaf: leaf.listen(),
            rounds: (0..).zip(&self.apps).map(|(n, app)| app.agenda.ended(n, &manager.resync).0).collect(),
            done: self.hardware.done(),
            watch_events: manager.watch_events,
        }));
    }

    /// After an event: whether the course that is being played has come to its end.
    pub(super) fn end_course(&mut self) {
        if self.courses.recording.is_none() || !self.is_quiet() || !self.ledger.is_idle() {
            return;
        }
        let (Some(recording), Some(telling)) = (self.courses.recording.take(), self.listened()) else { return };
        let key = recording.key;
        let idle = self.now.max(self.hardware.all_idle_from());
        let course = self.leaves[0].course(self.ground, &recording.leaf, (recording.begin, idle));
        if idle >= recording.horizon {
            // Somebody may have come in between; another leaf may be luckier.
            return;
        }
        let course = course.and_then(|leaf| self.course(*recording, idle, leaf, telling));
        self.courses.known.insert(key, course.map(Rc::new));
    }

    fn course(&self, recording: Recording, idle: Time, leaf: LeafCourse, telling: Telling) -> Option<Course> {
        let (manager, begin, app) = (&self.managers[0], recording.begin, recording.key.1 as usize);
        let mut own = (0, None);
        for ((n, managed), before) in (0..).zip(&self.apps).zip(&recording.rounds) {
            let (now, ended) = managed.agenda.ended(n, &manager.resync);
            if now > *before {
                own = (now - before, ended.filter(|_| n as usize == app));
            }
            let others = n as usize == app || now == *before;
            (others && managed.agenda.awaits_resync(n, &manager.queue)).then_some(())?;
        }
        let since = |at: &Time| (*at >= begin).then(|| at.since(begin));
        (telling.stored() == 1 && self.next_given() > idle).then_some(())?;
        Some(Course {
            begin,
            last: self.now.since(begin),
            idle: idle.since(begin),
            change: recording.change,
            telling,
            leaf,
            managed: self.apps[app].clone(),
            version: recording.version,
            rounds: own.0,
            ended: own.1?.since(begin),
            application: self.hub[app],
            told: self.told[app],
            objects: [self.hub_objects, self.out.objects],
            arrivals: self.heard.iter().map(since).collect(),
            done: self.hardware.done().since(&recording.done),
            watch_events: manager.watch_events - recording.watch_events,
            depth_at: manager.depth_at.as_ref().and_then(since),
        })
    }

    /// What follows a change is the same as it was elsewhere; false, and nothing happened, if it would not be.
    fn take_course(&mut self, course: &Course, app: u32, index: u32) -> bool {
        let (begin, at, version) = (self.now, app as usize, self.leaves[0].version());
        let managed = course.managed.again(&self.apps[at], (course.begin, begin), (course.version, version));
        let before = std::mem::replace(&mut self.apps[at], managed);
        if !self.leaves[0].take(self.ground, &course.leaf, begin, &self.apps) {
            self.apps[at] = before;
            return false;
        }
        let (manager, managed) = (&mut self.managers[0], &mut self.apps[at]);
        managed.agenda = before.agenda;
        let ended = begin + course.ended;
        managed.agenda.rested(app, course.rounds, &manager.resync, &mut manager.queue, ended);
        manager.watch_events += course.watch_events;
        manager.depth_at = course.depth_at.map(|after| begin + after).or(manager.depth_at);
        (self.hub[at], self.told[at]) = (course.application, course.told);
        for (own, after) in self.heard.iter_mut().zip(&course.arrivals) {
            *own = after.map_or(*own, |after| begin + after);
        }
        [self.hub_objects, self.out.objects] = course.objects;
        self.hardware.did(&course.done, 1);
        self.writing -= 1;
        let first = (index as usize).wrapping_sub(course.change);
        self.tell_again(&course.telling, (first, Time(u64::MAX), begin));
        self.now = begin + course.last;
        self.folds.stir();
        self.arm_leaf(0);
        self.arm_manager(0);
        true
    }
}
