//! Folding: a leaf at rest does the same again and again, so it is played once and then told.
//!
//! In: a part of one leaf with its manager, at the moment when a timer goes off. Out: the same counts, times, draws, signals
//! and transitions as if all its calls and replies had been events, and the same number of events.
//!
//! Why it is exact. Let nothing be under way: no call, reply, watch event, round or pass, every queue empty, every core idle;
//! and let one timer be due, of a Flux object or of an app. What follows is a function of the state of the leaf and its
//! manager, in which times appear by differences alone. A *tape* is what followed once, timed from its begin, if at its end
//! the state was the one before. It is told again when
//!
//! - the state is the same: equal but for times, versions and draws, by its fingerprint;
//! - nobody else comes meanwhile: no timer, change, commit or end of the run before the last core is idle again; a change that
//!   has not arrived yet may be on its way, and whoever measures is then told signal by signal;
//! - what does depend on times comes out the same way: which event repeats another (`Rest`), whether the manager's queue is
//!   told.
//!
//! Draws are made anew, each from its own seed. Where a delay inside is drawn, calls are limited, faults come or leaves share
//! a manager, nothing is folded. Tapes are kept from leaf to leaf: a million leaves that were treated alike rest alike.
//!
//! Arithmetic: a resting hour of a leaf with four apps (3m resync, 10m Flux) is 125 bursts of 620 events, 370 us; of a tape
//! each takes the fingerprint's look-up, ten transitions at 5 ns, a round counted in its window, a timer or two: 0.2 us, 25 in
//! all. Counts, CPU time and signals that count alone are added up once per tape when the part ends.

use super::Ending;
use super::event::Event;
use super::leaf::LeafRest;
use super::rounds::DEPTH_EVERY;
use super::sim::Simulation;
use crate::measure::{Calm, Signal};
use crate::model::flux::Slot as FluxSlot;
use crate::model::hardware::Done;
use crate::scenario::{Action, Behaviour, Delay, Scenario, TopologyKind};
use crate::units::{Span, Time};
use rustc_hash::{FxHashMap, FxHasher};
use smallvec::SmallVec;
use std::cell::Cell;
use std::hash::{Hash, Hasher as _};
use std::rc::Rc;

/// What ends a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Trigger {
    /// A Flux object is due.
    Object(FluxSlot),
    /// An app is to be looked at again.
    App(u32),
}

/// A transition: when, counted from the begin, of what, and what it became.
type Note = (Span, u64, u64);

/// What follows a trigger, timed from there.
#[derive(Debug)]
struct Tape {
    /// The last event, and when everybody is idle again.
    last: Span,
    idle: Span,
    leaf: Option<LeafRest>,
    notes: Vec<Note>,
    signals: Vec<(Span, Signal)>,
    /// The same, if they change nothing but counts; and when the length of the queue was told last.
    calm: Option<Calm>,
    depth_at: Option<Span>,
    /// Calls of the leaf's controllers and of the manager.
    controllers: Vec<(u32, u64)>,
    manager: Vec<(u32, u64)>,
    done: Done,
    watch_events: u64,
    /// Versions of objects that the manager has, counted from the server's.
    seen: Vec<(usize, usize, u64)>,
    /// Rounds of apps, and when the last one ended.
    rounds: Vec<(u32, u64, Span)>,
    events: u64,
    /// How often it was told since that was added up.
    told: Cell<u64>,
    /// How often of those while no change was open.
    calmly: Cell<u64>,
}

/// A timer of a leaf at rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alarm {
    pub(super) at: Time,
    what: Trigger,
}

/// What is known of a trigger in a state.
#[derive(Debug)]
enum Known {
    Tapes(Tapes),
    /// The state does not come back.
    Changes,
}

/// Tapes of one state and trigger; and of all.
const TAPES_OF_ONE: usize = 4;
type Tapes = SmallVec<[Rc<Tape>; TAPES_OF_ONE]>;
const TAPES: usize = 8_192;

/// Tapes, and the one that is being recorded.
#[derive(Debug)]
pub(super) struct Folds {
    on: bool,
    known: FxHashMap<(u64, Trigger), Known>,
    recording: Option<Box<Recording>>,
    /// The state that the leaf is in, while it is known.
    state: Option<u64>,
    /// Tapes that were told in this part, and its timers.
    told: Vec<Rc<Tape>>,
    alarms: Vec<Alarm>,
    /// No change is open.
    calm: bool,
    /// The part came to an end while tapes were told.
    pub(super) ending: Option<Ending>,
}

/// What was before the first event of a tape.
#[derive(Debug)]
struct Recording {
    key: (u64, Trigger),
    begin: Time,
    horizon: Time,
    done: Done,
    draws: u64,
    version: u64,
    watch_events: u64,
    rounds: Vec<u64>,
    unpriced: u64,
    events: u64,
    signals: Vec<Signal>,
}

/// Whether a delay is never drawn.
pub(super) const fn fixed(delay: Delay) -> bool {
    matches!(delay, Delay::Fixed(_))
}

impl Folds {
    /// Whether anything is folded.
    pub(super) const fn is_on(&self) -> bool {
        self.on
    }

    pub(super) fn new(scenario: &Scenario, wanted: bool) -> Self {
        let (manager, flux) = (&scenario.manager, &scenario.run.flux);
        let trouble = |action: &Action| matches!(action, Action::Fault { .. } | Action::Trouble { .. });
        let on = wanted
            && scenario.topology.kind == TopologyKind::HubAndSpoke
            && manager.behaviour == Behaviour::Fixed
            && manager.hub_qps_milli == 0
            && manager.leaf_qps_milli == 0
            && fixed(flux.fetch)
            && fixed(flux.build)
            && !scenario.timeline.iter().any(|step| trouble(&step.action));
        Self {
            on,
            known: FxHashMap::default(),
            recording: None,
            state: None,
            told: Vec::new(),
            alarms: Vec::new(),
            calm: false,
            ending: None,
        }
    }

    /// Another part begins.
    pub(super) fn begin(&mut self) {
        (self.recording, self.state, self.ending) = (None, None, None);
    }

    /// Something happened: whatever state the leaf was in, it is another now.
    pub(super) const fn stir(&mut self) {
        self.state = None;
    }

    /// A signal that belongs to the tape.
    pub(super) fn hear(&mut self, signal: Signal) {
        if let Some(recording) = &mut self.recording {
            recording.signals.push(signal);
        }
    }
}

/// The first of some timers and when anything else comes, another of them or what is given.
pub(super) fn next(alarms: &[Alarm], given: Time) -> Option<(Alarm, Time)> {
    let (mut first, mut horizon) = (*alarms.first()?, given);
    for alarm in &alarms[1..] {
        if alarm.at < first.at {
            horizon = horizon.min(std::mem::replace(&mut first, *alarm).at);
        } else {
            horizon = horizon.min(alarm.at);
        }
    }
    Some((first, horizon))
}

impl Simulation<'_> {
    /// A timer goes off: whether what follows was told, or else is to be played. What is told is told on, as long as timers of
    /// the leaf at rest go off and nothing else happens.
    pub(super) fn fold(&mut self, event: Event, before: u64) -> bool {
        if !self.folds.on || !matches!(event, Event::LeafTurn { .. } | Event::ManagerTurn { .. }) || !self.is_at_rest()
        {
            return false;
        }
        let mut alarms = std::mem::take(&mut self.folds.alarms);
        self.set_alarms(&mut alarms);
        let mut given = self.next_given();
        self.folds.calm = self.writing == 0 && self.ledger.is_idle();
        if !self.folds.calm {
            // Changes are on their way, and arrive when their events say.
            given = self.queue.next_at().map_or(given, |next| next.min(given));
        }
        let first = next(&alarms, given).filter(|(alarm, horizon)| alarm.at <= self.now && *horizon > self.now);
        let told = first.and_then(|(alarm, horizon)| self.tell_or_record(alarm.what, horizon, before));
        let any = told.is_some();
        if let Some(tape) = told {
            self.tell_on(tape, &mut alarms, given);
        }
        self.folds.alarms = alarms;
        any
    }

    /// Nothing is under way but changes that have not arrived, and nothing that was done lasts.
    fn is_at_rest(&self) -> bool {
        self.is_quiet_on_leaf()
            && self.hardware.idle_from() <= self.now
            && !self.is_depth_told(self.now)
            && self.listening.is_none()
    }

    /// The length of the queue was told so lately that it would not be told again.
    pub(super) fn is_depth_told(&self, now: Time) -> bool {
        self.managers[0].depth_at.is_some_and(|at| now.since(at) < DEPTH_EVERY)
    }

    /// All timers of the leaf and its manager.
    pub(super) fn set_alarms(&self, alarms: &mut Vec<Alarm>) {
        alarms.clear();
        let objects = self.leaves[0].controllers.due();
        alarms.extend(objects.map(|(slot, at)| Alarm { at, what: Trigger::Object(slot) }));
        let queue = &self.managers[0].queue;
        let apps = 0..u32::try_from(self.apps.len()).unwrap_or(u32::MAX);
        alarms.extend(apps.filter_map(|app| Some(Alarm { at: queue.due(app)?, what: Trigger::App(app) })));
    }

    /// Tells the tape of a trigger that is due now; else it may be recorded. Nothing else comes before `horizon`.
    fn tell_or_record(&mut self, trigger: Trigger, horizon: Time, before: u64) -> Option<Rc<Tape>> {
        let key = (self.state_of_rest(), trigger);
        let mut full = self.folds.known.len() >= TAPES;
        match self.folds.known.get(&key) {
            Some(Known::Changes) => return None,
            Some(Known::Tapes(tapes)) => {
                full = tapes.len() >= TAPES_OF_ONE;
                let told = self.tell_one(tapes.clone(), horizon);
                if told.is_some() {
                    return told;
                }
            }
            None => {}
        }
        if !full && self.folds.calm {
            self.record(key, horizon, before);
        }
        None
    }

    fn tell_one(&mut self, tapes: Tapes, horizon: Time) -> Option<Rc<Tape>> {
        tapes.into_iter().find(|tape| self.now + tape.idle < horizon && self.tell(tape))
    }

    /// Goes on from one timer to the next, as long as all that follows can be told.
    fn tell_on(&mut self, mut last: Rc<Tape>, alarms: &mut [Alarm], given: Time) {
        let state = self.state_of_rest();
        loop {
            self.move_alarms(&last, alarms);
            let Some((alarm, horizon)) = next(alarms, given).filter(|(alarm, _)| alarm.at < given) else { break };
            let Some(Known::Tapes(tapes)) = self.folds.known.get(&(state, alarm.what)) else { break };
            if horizon <= alarm.at || self.is_depth_told(alarm.at) {
                break;
            }
            let tapes = tapes.clone();
            self.folds.ending = self.look(alarm.at);
            let before = std::mem::replace(&mut self.now, alarm.at);
            let told = if self.folds.ending.is_none() { self.tell_one(tapes, horizon) } else { None };
            let Some(tape) = told else {
                self.now = before;
                break;
            };
            last = tape;
        }
        self.arm_leaf(0);
        // A round under a pass may have drawn its app a look that comes before all others.
        self.arm_manager(0);
    }

    /// The timers that a tape moved.
    fn move_alarms(&self, tape: &Tape, alarms: &mut [Alarm]) {
        for alarm in alarms {
            let moved = match alarm.what {
                Trigger::Object(slot) if tape.leaf.as_ref().is_some_and(|rest| rest.slot == slot) => {
                    self.leaves[0].controllers.due_of(slot)
                }
                Trigger::App(app) if tape.rounds.iter().any(|(of, ..)| *of == app) => self.managers[0].queue.due(app),
                _ => continue,
            };
            alarm.at = moved.unwrap_or(Time(u64::MAX));
        }
    }

    /// Whether nothing is under way.
    pub(super) fn is_quiet(&self) -> bool {
        self.writing == 0 && self.is_quiet_on_leaf()
    }

    /// Whether nothing is, but for changes that have not arrived.
    fn is_quiet_on_leaf(&self) -> bool {
        self.rounds.is_empty()
            && self.shown.is_empty()
            && self.reports.is_empty()
            && self.on_the_way == 0
            && self.woken.is_empty()
            && self.watches[0].opening == 0
            && self.managers[0].queue.depth() == 0
            && self.leaves[0].is_resting()
    }

    /// A number for everything that decides what follows a trigger.
    pub(super) fn state_of_rest(&mut self) -> u64 {
        if let Some(known) = self.folds.state {
            return known;
        }
        let mut hash = FxHasher::default();
        self.leaves[0].fingerprint(&mut hash);
        for (managed, application) in self.apps.iter().zip(&self.hub) {
            managed.fingerprint(&mut hash);
            application.hash(&mut hash);
        }
        (self.watches[0].open, self.managers[0].free).hash(&mut hash);
        let catalogue = &self.ground.flux.catalogue;
        catalogue.repositories().for_each(|repo| catalogue.head(repo).hash(&mut hash));
        let state = hash.finish();
        self.folds.state = Some(state);
        state
    }

    /// Tells a tape from now on, all but what adds up; false, and nothing happened, if it would not be the same.
    fn tell(&mut self, tape: &Rc<Tape>) -> bool {
        let (begin, version) = (self.now, self.leaves[0].version());
        if let Some(rest) = &tape.leaf
            && !self.leaves[0].rest(self.ground, rest, begin)
        {
            return false;
        }
        let number = self.leaves[0].number();
        for (after, entity, what) in &tape.notes {
            self.out.note(begin + *after, entity ^ number, *what);
        }
        if tape.told.replace(tape.told.get() + 1) == 0 {
            self.folds.told.push(Rc::clone(tape));
        }
        let manager = &mut self.managers[0];
        for (app, slot, moved) in &tape.seen {
            if let Some(shown) = &mut self.apps[*app].cached[*slot] {
                shown.version = version + moved;
            }
        }
        for (app, rounds, after) in &tape.rounds {
            let agenda = &mut self.apps[*app as usize].agenda;
            agenda.rested(*app, *rounds, &manager.resync, &mut manager.queue, begin + *after);
        }
        if let Some(after) = tape.depth_at {
            manager.depth_at = Some(begin + after);
        }
        if let Some(calm) = tape.calm.as_ref().filter(|_| self.folds.calm) {
            tape.calmly.set(tape.calmly.get() + 1);
            self.ledger.rested(calm, manager.row, begin);
        } else {
            for (after, signal) in &tape.signals {
                let at = begin + *after;
                self.ledger.advance(at);
                self.ledger.take(signal.again(at, manager.row));
            }
        }
        self.sums.events += tape.events;
        self.sums.folded[0] += 1;
        self.now = begin + tape.last;
        true
    }

    /// The part ended: what is recorded stays unknown, and what was told is added up.
    pub(super) fn end_folding(&mut self) {
        self.openings.forget();
        if self.listening.take().is_some() | self.folds.recording.take().is_some() {
            self.tables().into_iter().for_each(|table| drop(table.heard()));
            self.out.notes = None;
        }
        let Some(manager) = self.managers.first_mut() else { return };
        let row = &mut self.sums.rows[manager.row as usize];
        for tape in self.folds.told.drain(..) {
            let times = tape.told.take();
            self.out.counts.add_again(&tape.controllers, times);
            row.counts.add_again(&tape.manager, times);
            self.hardware.did(&tape.done, times);
            manager.watch_events += tape.watch_events * times;
            if let Some(calm) = &tape.calm {
                self.ledger.add_calm(calm, manager.row, tape.calmly.take());
            }
        }
    }

    /// What follows is put on tape.
    fn record(&mut self, key: (u64, Trigger), horizon: Time, events: u64) {
        let (leaf, manager) = (&self.leaves[0], &self.managers[0]);
        let draws = if let Trigger::Object(slot) = key.1 { leaf.controllers.draws(slot) } else { 0 };
        self.folds.recording = Some(Box::new(Recording {
            key,
            begin: self.now,
            horizon,
            done: self.hardware.done(),
            draws,
            version: leaf.version(),
            watch_events: manager.watch_events,
            rounds: (0..).zip(&self.apps).map(|(n, app)| app.agenda.ended(n, &manager.resync).0).collect(),
            unpriced: self.out.unpriced,
            events,
            signals: Vec::new(),
        }));
        self.out.notes = Some(Vec::new());
        let [controllers, manager, ..] = self.tables();
        controllers.listen();
        manager.listen();
    }

    /// After an event: whether what is recorded has come to its end.
    pub(super) fn end_tape(&mut self) {
        if self.folds.recording.is_none() || !self.is_quiet() {
            return;
        }
        let (Some(recording), notes) = (self.folds.recording.take(), self.out.notes.take()) else { return };
        let [controllers, manager, ..] = self.tables();
        let counts = [controllers.heard(), manager.heard()];
        if self.now.max(self.hardware.idle_from()) >= recording.horizon {
            // Somebody may have come in between.
            return;
        }
        let (key, notes) = (recording.key, notes.unwrap_or_default());
        let tape = (self.state_of_rest() == key.0).then(|| self.tape(*recording, &notes, counts)).flatten();
        match (tape, self.folds.known.entry(key).or_insert(Known::Tapes(Tapes::new()))) {
            (Some(tape), Known::Tapes(tapes)) => tapes.push(Rc::new(tape)),
            (None, known @ Known::Tapes(_)) => *known = Known::Changes,
            (_, Known::Changes) => {}
        }
    }

    fn tape(&self, recording: Recording, notes: &[(Time, u64, u64)], counts: [Vec<(u32, u64)>; 2]) -> Option<Tape> {
        let (leaf, manager, begin) = (&self.leaves[0], &self.managers[0], recording.begin);
        // An Application was written: the hub of all leaves may have been told.
        if notes.iter().any(|(_, entity, _)| entity >> 60 == 0) || self.out.unpriced != recording.unpriced {
            return None;
        }
        let before = (recording.draws, recording.version);
        let rest = match recording.key.1 {
            Trigger::Object(slot) => Some(leaf.rest_of(self.ground, slot, begin, before)?),
            Trigger::App(_) => None,
        };
        let mut rounds = Vec::new();
        for ((n, app), before) in (0..).zip(&self.apps).zip(&recording.rounds) {
            let (now, ended) = app.agenda.ended(n, &manager.resync);
            if now > *before {
                if !app.agenda.awaits_resync(n, &manager.queue) {
                    return None;
                }
                rounds.push((n, now - before, ended?.since(begin)));
            }
        }
        let seen = |(n, app): (usize, &super::manager::Managed)| {
            let moved = |version: u64| version.checked_sub(recording.version).filter(|moved| *moved > 0);
            let of = |slot: usize| Some((n, slot, moved(app.cached[slot]?.version)?));
            [of(0), of(1)]
        };
        let signals = recording.signals.iter().map(|signal| (signal.at().since(begin), *signal));
        let signals: Vec<(Span, Signal)> = signals.collect();
        let depth = |(after, signal): &(Span, Signal)| matches!(signal, Signal::QueueDepth { .. }).then_some(*after);
        let [controllers, of_manager] = counts;
        Some(Tape {
            last: self.now.since(begin),
            idle: self.now.max(self.hardware.idle_from()).since(begin),
            leaf: rest,
            notes: notes.iter().map(|(at, entity, what)| (at.since(begin), entity ^ leaf.number(), *what)).collect(),
            calm: Calm::of(&signals),
            depth_at: signals.iter().filter_map(depth).next_back(),
            signals,
            controllers,
            manager: of_manager,
            done: self.hardware.done().since(&recording.done),
            watch_events: manager.watch_events - recording.watch_events,
            seen: self.apps.iter().enumerate().flat_map(seen).flatten().collect(),
            rounds,
            events: self.sums.events - recording.events,
            told: Cell::new(0),
            calmly: Cell::new(0),
        })
    }
}
