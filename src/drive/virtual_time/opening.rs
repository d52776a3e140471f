//! How a leaf begins, played once for all leaves that begin alike.
//!
//! In: a part of one leaf that is about to begin. Out: the part as it is when its first changes are done and it rests, with
//! everything told that led there: counts, transitions, what whoever measures has to hear.
//!
//! Why it is exact. A part has a clock of its own that stands the same when the hub has stored its first change, so leaves
//! whose first changes are the same, and reach them at the same times of that clock, do the same until something is drawn; how
//! long the hub took is told as it was. Where every delay is fixed
//! only intervals are: of Flux's next passes and of managers' next looks, which come later. They are drawn anew for each leaf from
//! its own seed; where the soonest of them could come before the leaf rests, the opening is not kept. What is called by its
//! cluster's name is renamed; apps that differ by more than their names begin on their own.
//!
//! Arithmetic: four apps take 360 events and 150 us. Copying nine objects takes 5 us, 100 transitions 0.5, 200 signals 15.

use super::fold::fixed;
use super::hub::Application;
use super::leaf::Leaf;
use super::manager::{Managed, Manager, Watches};
use super::sim::Simulation;
use super::spoke::Report;
use super::telling::Telling;
use crate::fleet::{ChangeKind, Target};
use crate::model::hardware::Hardware;
use crate::scenario::Scenario;
use crate::units::{Span, Time};
use rustc_hash::FxHashMap;
use std::rc::Rc;

/// A first change: when its leaf hears of it, what it is.
type First = (Time, u32, ChangeKind, Target);

/// A leaf at rest for the first time, and how it came there.
#[derive(Debug)]
struct Opening {
    changes: usize,
    now: Time,
    idle: Time,
    telling: Telling,
    /// When its first changes were intended.
    intended: Time,
    objects: [(u64, u64); 2],
    hardware: Hardware,
    leaf: Leaf,
    apps: Vec<Managed>,
    hub: Vec<Application>,
    manager: Manager,
    watches: Watches,
    arrivals: Vec<Time>,
    told: Vec<Report>,
}

/// Openings that are kept at most: the hub's queue makes a dozen.
const OPENINGS: usize = 256;

/// All openings so far, and the one that is being played.
#[derive(Debug)]
pub(super) struct Openings {
    on: bool,
    known: FxHashMap<Vec<First>, Option<Rc<Opening>>>,
    /// The first changes of the one that is being played.
    recording: Option<Vec<First>>,
}

impl Openings {
    /// `folding`: leaves are folded at all.
    pub(super) fn new(scenario: &Scenario, folding: bool) -> Self {
        let (model, run) = (&scenario.model, &scenario.run);
        let network = &model.network;
        let on = folding
            && network.regions.is_empty()
            && fixed(network.way.latency)
            && network.way.bandwidth == 0
            && fixed(model.lag)
            && fixed(run.workload_ready);
        Self { on, known: FxHashMap::default(), recording: None }
    }

    /// Whether leaves that do the same do so at the same times: nothing but intervals is drawn.
    pub(super) const fn is_on(&self) -> bool {
        self.on
    }

    /// One that is being played stays unknown.
    pub(super) fn forget(&mut self) {
        self.recording = None;
    }

    /// Whether one is being played.
    pub(super) const fn is_recording(&self) -> bool {
        self.recording.is_some()
    }
}

impl Simulation<'_> {
    /// A part begins: at once it rests for the first time, if one like it was played before.
    pub(super) fn open(&mut self) {
        if !self.openings.on || self.parts_have_commits() {
            return;
        }
        let changes = self.part.changes.len();
        let at = |n: usize| self.change_of(index(n)).at;
        let first = (0..changes).take_while(|n| at(*n) == at(0));
        let key: Vec<First> = first
            .map(|n| {
                let change = self.change_of(index(n));
                (self.stored(index(n)), self.local(change.app), change.kind, change.target)
            })
            .collect();
        let alike = |n: usize| {
            let change = self.change_of(index(n));
            self.shapes.is_shared(self.ground.world, change.app, change.target)
        };
        if !(0..key.len()).all(alike) {
            return;
        }
        match self.openings.known.get(&key) {
            Some(Some(opening)) => {
                let opening = Rc::clone(opening);
                self.begin_as(&opening);
            }
            Some(None) => {}
            None if self.openings.known.len() < OPENINGS => {
                self.openings.recording = Some(key);
                self.listen();
            }
            None => {}
        }
    }

    /// After an event: whether the opening that is being played has come to its end.
    pub(super) fn end_opening(&mut self) {
        if !self.openings.is_recording() || !self.is_quiet() || !self.ledger.is_settled() {
            return;
        }
        let (Some(key), Some(telling)) = (self.openings.recording.take(), self.listened()) else { return };
        let opening = self.opening(telling, key.len());
        self.openings.known.insert(key, opening.map(Rc::new));
    }

    fn opening(&self, telling: Telling, changes: usize) -> Option<Opening> {
        let idle = self.now.max(self.hardware.idle_from());
        let apps = (0..index(self.apps.len())).zip(&self.apps);
        let queue = &self.managers[0].queue;
        let mut rests = apps.map(|(n, app)| app.agenda.awaits_resync(n, queue));
        let resync = self.managers[0].resync.period;
        let drawn_later = resync == Span::ZERO || Time(0) + resync > idle;
        let whole = rests.all(|rests| rests)
            && drawn_later
            && self.next_change == changes
            && idle < self.next_given()
            && idle < self.ends.next();
        if !whole || telling.stored() != changes {
            return None;
        }
        Some(Opening {
            changes,
            now: self.now,
            idle,
            telling,
            intended: self.moment(self.change_of(0).at),
            objects: [self.hub_objects, self.out.objects],
            hardware: self.hardware.clone(),
            // Copied as it is to see that it can be.
            leaf: self.leaves[0].begun(self.ground, self.leaves[0].number() >> 24, &self.apps, idle)?,
            apps: self.apps.clone(),
            hub: self.hub.clone(),
            manager: self.managers[0].clone(),
            watches: self.watches[0],
            arrivals: self.heard.clone(),
            told: self.told.clone(),
        })
    }

    /// The part is where another one was when it first rested, if nothing is drawn to come before.
    fn begin_as(&mut self, opening: &Opening) {
        // Leaves that begin alike need not go on alike.
        let next =
            self.part.changes.get(opening.changes).map(|_| self.moment(self.change_of(index(opening.changes)).at));
        if next.into_iter().chain([self.next_end(), self.ends.next()]).any(|given| given <= opening.idle) {
            return;
        }
        let mut manager = opening.manager.clone();
        (manager.row, manager.resync) = (self.managers[0].row, self.managers[0].resync);
        (manager.armed, manager.woken) = (None, false);
        let mut apps = opening.apps.clone();
        for (n, (app, own)) in (0..).zip(apps.iter_mut().zip(&self.apps)) {
            app.name.clone_from(&own.name);
            if let (_, Some(ended)) = app.agenda.ended(n, &opening.manager.resync) {
                app.agenda.rested(n, 0, &manager.resync, &mut manager.queue, ended);
            }
        }
        let id = self.leaves[0].number() >> 24;
        let Some(leaf) = opening.leaf.begun(self.ground, id, &apps, opening.now) else { return };
        let intended = self.moment(self.change_of(0).at);
        self.tell_again(&opening.telling, (0, opening.intended, intended));
        (self.leaves[0], self.apps, self.managers[0]) = (leaf, apps, manager);
        self.hub.clone_from(&opening.hub);
        self.hardware = opening.hardware.clone();
        self.watches[0] = opening.watches;
        self.heard.clone_from(&opening.arrivals);
        self.told.clone_from(&opening.told);
        [self.hub_objects, self.out.objects] = opening.objects;
        (self.now, self.next_change) = (opening.now, opening.changes);
        self.queue.clear();
        self.schedule_change();
        self.arm_leaf(0);
        self.arm_manager(0);
    }
}

fn index(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
