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
use super::sim::{Simulation, change_id};
use super::spoke::Report;
use super::sums::Sums;
use super::tally::Counts;
use crate::fleet::{ChangeKind, Target};
use crate::ids::ChangeId;
use crate::measure::{Change, Signal};
use crate::model::hardware::Hardware;
use crate::scenario::Scenario;
use crate::units::{Span, Time};
use rustc_hash::FxHashMap;
use std::rc::Rc;

/// What whoever measures hears.
#[derive(Clone, Copy, Debug)]
pub(super) enum Heard {
    Intended(Change),
    Sent(ChangeId, Time),
    Stored(ChangeId, u64),
    Signal(Signal),
}

/// A first change: when its leaf hears of it, what it is.
type First = (Time, u32, ChangeKind, Target);

/// What is summed up: calls of the leaf's controllers, of its manager, of the management cluster, of the harness; its CPU
/// time, the watch events that it and the hub had, calls without a price, events.
#[derive(Debug)]
struct Sum {
    counts: [Vec<(u32, u64)>; 4],
    numbers: [u64; 5],
}

/// A leaf at rest for the first time, and how it came there.
#[derive(Debug)]
struct Opening {
    changes: usize,
    now: Time,
    notes: Vec<(Time, u64, u64)>,
    heard: Vec<(Time, Heard)>,
    sum: Sum,
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
    recording: Option<Box<Recording>>,
}

#[derive(Debug)]
struct Recording {
    key: Vec<First>,
    numbers: [u64; 5],
    heard: Vec<(Time, Heard)>,
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

    /// Whoever measures hears of something.
    pub(super) fn hear(&mut self, now: Time, what: Heard) {
        if let Some(recording) = &mut self.recording {
            recording.heard.push((now, what));
        }
    }

    /// One that is being played stays unknown; whether there was any.
    pub(super) fn forget(&mut self) -> bool {
        self.recording.take().is_some()
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
                let numbers = self.numbers_so_far();
                self.tables().into_iter().for_each(Counts::listen);
                self.openings.recording = Some(Box::new(Recording { key, numbers, heard: Vec::new() }));
                self.out.notes = Some(Vec::new());
            }
            None => {}
        }
    }

    /// Calls of the leaf's controllers, of its manager, of the management cluster, of the harness.
    pub(super) fn tables(&mut self) -> [&mut Counts; 4] {
        let (Sums { rows, above, harness, .. }, row) = (&mut self.sums, self.managers[0].row as usize);
        [&mut self.out.counts, &mut rows[row].counts, &mut above.counts, harness]
    }

    const fn numbers_so_far(&self) -> [u64; 5] {
        let sums = &self.sums;
        [sums.above.cpu.0, sums.above.watch_events, sums.hub_events, self.out.unpriced, sums.events]
    }

    /// After an event: whether the opening that is being played has come to its end.
    pub(super) fn end_opening(&mut self) {
        if !self.openings.is_recording() || !self.is_quiet() || !self.ledger.is_settled() {
            return;
        }
        let (Some(recording), notes) = (self.openings.recording.take(), self.out.notes.take()) else { return };
        let now = self.numbers_so_far();
        let sum = Sum {
            counts: self.tables().map(Counts::heard),
            numbers: std::array::from_fn(|n| now[n] - recording.numbers[n]),
        };
        let opening = self.opening(sum, recording.key.len(), recording.heard, notes.unwrap_or_default());
        self.openings.known.insert(recording.key, opening.map(Rc::new));
    }

    fn opening(
        &self,
        sum: Sum,
        changes: usize,
        heard: Vec<(Time, Heard)>,
        notes: Vec<(Time, u64, u64)>,
    ) -> Option<Opening> {
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
        let stored = heard.iter().filter(|(_, what)| matches!(what, Heard::Stored(..))).count();
        if !whole || stored != changes {
            return None;
        }
        let number = self.leaves[0].number();
        let apps = self.apps.len() as u64;
        // Of Applications the number within the part, of a leaf's objects that within the leaf.
        let local = |entity: u64| if entity >> 60 == 0 { entity % apps } else { entity ^ number };
        Some(Opening {
            changes,
            now: self.now,
            notes: notes.into_iter().map(|(at, entity, what)| (at, local(entity), what)).collect(),
            heard,
            sum,
            intended: self.moment(self.change_of(0).at),
            objects: [self.hub_objects, self.out.objects],
            hardware: self.hardware.clone(),
            // Copied as it is to see that it can be.
            leaf: self.leaves[0].begun(self.ground, number >> 24, &self.apps, idle)?,
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
        self.tell_opening(opening, manager.row, leaf.number());
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

    /// What led there.
    fn tell_opening(&mut self, opening: &Opening, row: u32, number: u64) {
        for (at, entity, what) in &opening.notes {
            let ours = if entity >> 60 == 0 {
                self.part.app(u32::try_from(*entity).unwrap_or(u32::MAX)).0.into()
            } else {
                entity ^ number
            };
            self.out.note(*at, ours, *what);
        }
        self.tables().into_iter().zip(&opening.sum.counts).for_each(|(table, more)| table.add_again(more, 1));
        let Sums { above, hub_events, events, folded, .. } = &mut self.sums;
        let numbers = [&mut above.cpu.0, &mut above.watch_events, hub_events, &mut self.out.unpriced, events];
        numbers.into_iter().zip(opening.sum.numbers).for_each(|(number, more)| *number += more);
        *folded += 1;
        let intended = self.moment(self.change_of(0).at);
        for (now, what) in &opening.heard {
            self.ledger.advance(if *now == opening.intended { intended } else { *now });
            match *what {
                Heard::Intended(change) => {
                    self.ledger.intend(Change { intended, ..change });
                }
                Heard::Sent(id, at) => self.ledger.sent(id, intended + at.since(opening.intended)),
                Heard::Stored(id, generation) => self.ledger.stored(id, generation),
                Heard::Signal(signal) => self.ledger.take(signal.again(signal.at(), row)),
            }
        }
        self.ledger.advance(opening.now);
    }

    /// A change is about to be made.
    pub(super) fn intend(&mut self, change: Change) -> ChangeId {
        self.openings.hear(self.now, Heard::Intended(change));
        self.ledger.intend(change)
    }

    /// The write of a change left.
    pub(super) fn sent(&mut self, id: ChangeId, at: Time) {
        self.openings.hear(self.now, Heard::Sent(id, at));
        self.ledger.sent(id, at);
    }

    /// The write of a change was stored.
    pub(super) fn stored_as(&mut self, change: u32, generation: u64) {
        let id = change_id(change as usize);
        self.openings.hear(self.now, Heard::Stored(id, generation));
        self.ledger.stored(id, generation);
    }
}

fn index(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
