//! The managers' part of a simulation: watches into what they know, keys through their queues, rounds to their ends.
//!
//! Nothing is decided here. It mirrors the live rim: what a watch tells goes where `manager/index` puts it, a round runs as
//! `manager/round` runs it, and both put apps back into line by the same agenda.

use super::event::{AppNews, Event};
use super::manager::{Round, slot_of, watched, watched_kind};
use super::shape::Shape;
use super::sim::Simulation;
use crate::calls::{ContentId, Kind, Op, Reply, Target, Verb};
use crate::drive::round_outcome;
use crate::ids::AppId;
use crate::measure::Signal;
use crate::model::hardware::{Direction, Site};
use crate::model::prices::Call;
use crate::reconcile::{Batch, Body, Next, Outcome, Reconcile, Seen, Slot, Verdict, View, Why};
use crate::scenario::Behaviour;
use crate::units::{Span, Time};
use smallvec::SmallVec;
use std::sync::Arc;

/// How often a call is repeated that a server pushes back (that of live runs, and client-go's).
const PUSHED_BACK_MAX: u32 = 10;
/// The length of a queue is told at most so often (that of live runs).
pub(super) const DEPTH_EVERY: Span = Span::from_millis(100);

impl Simulation<'_> {
    /// The watch of Applications tells a manager.
    pub(super) fn app_seen(&mut self, app: u32, news: AppNews) {
        let shard = self.apps[app as usize].shard;
        if self.is_deaf(shard) {
            return;
        }
        self.hardware.think(shard, self.now, self.ground.scenario.model.manager.hear);
        let managed = &mut self.apps[app as usize];
        if managed.is_old(&news) {
            return;
        }
        if news.gone {
            managed.forget();
            let queue = &mut self.managers[shard as usize].queue;
            queue.forget(app);
            queue.cancel_delay(app);
            return;
        }
        if !managed.knows(&news) {
            let shape = self.shapes.of(self.ground.world, &self.ground.flux.catalogue, self.part.app(app), news.target);
            managed.read(app, &news, shape, self.hub[app as usize].status);
            self.enqueue(app, false);
        }
        if self.apps[app as usize].is_ours() {
            let generation = u64::from(news.generation);
            let shard = self.managers[shard as usize].row;
            self.signal(Signal::Seen { app: AppId(app), at: self.now, generation, shard });
        }
    }

    /// A watch of a leaf tells a manager.
    pub(super) fn flux_seen(&mut self, app: u32, slot: Slot, shown: u32) {
        let Some(shown) = self.shown.take(shown) else { return };
        let shard = self.apps[app as usize].shard;
        if self.is_deaf(shard) {
            return;
        }
        self.hardware.think(shard, self.now, self.ground.scenario.model.manager.hear);
        if self.apps[app as usize].learn(slot, shown, false, self.rules) {
            self.enqueue(app, true);
        }
    }

    /// The list of a watch is complete: the manager knows what exists.
    pub(super) fn watch_opened(&mut self, leaf: u32, kind: u8) {
        let watches = &mut self.watches[leaf as usize];
        if watches.opening & 1 << kind == 0 {
            // Whoever wanted it is gone.
            return;
        }
        watches.opening &= !(1 << kind);
        watches.open |= 1 << kind;
        for app in self.part.apps_of(leaf) {
            let managed = &mut self.apps[app as usize];
            for slot in Slot::BOTH {
                if managed.is_ours() && managed.app.kinds[slot.index()] == watched_kind(kind) {
                    let shown = self.leaves[leaf as usize].look(self.ground, managed.addon, slot);
                    managed.learn(slot, shown, false, self.rules);
                }
            }
            self.enqueue(app, true);
        }
    }

    /// Whether there is no such manager at the moment.
    fn is_deaf(&self, shard: u32) -> bool {
        self.managers.get(shard as usize).is_none_or(|manager| manager.down)
    }

    /// Puts an app in line.
    fn enqueue(&mut self, app: u32, by_leaf: bool) {
        let managed = &mut self.apps[app as usize];
        if managed.is_ours() {
            managed.agenda.changed |= !by_leaf;
            managed.agenda.touched |= by_leaf;
            let shard = managed.shard;
            self.managers[shard as usize].queue.add(app, self.now);
            self.wake(shard);
        }
    }

    fn wake(&mut self, shard: u32) {
        let manager = &mut self.managers[shard as usize];
        if !std::mem::replace(&mut manager.woken, true) {
            self.woken.push(shard);
        }
    }

    /// Free workers take what is in line; a timer is set for what is not due yet. Whether they took anything.
    pub(super) fn manager_turn(&mut self, shard: u32) -> bool {
        let (at, mut took) = (shard as usize, false);
        self.managers[at].woken = false;
        if self.managers[at].down {
            return false;
        }
        while self.managers[at].free > 0 {
            let Some((app, waited)) = self.managers[at].queue.take(self.now) else { break };
            took = true;
            match self.begin_round(app, shard) {
                Some((seen, why)) => {
                    let machine = Reconcile::new(self.apps[app as usize].app, seen, why, self.rules);
                    self.start(app, machine, waited);
                }
                None => self.managers[at].queue.done(app),
            }
        }
        if self.managers[at].free > 0 {
            // Else whoever ends a round looks again.
            self.arm_manager(shard);
        }
        took
    }

    /// Sets the timer of a manager.
    pub(super) fn arm_manager(&mut self, shard: u32) {
        let manager = &mut self.managers[shard as usize];
        let Some(next) = manager.queue.deadline() else { return };
        if manager.armed.is_none_or(|armed| next < armed) {
            manager.armed = Some(next);
            self.queue.push(next.max(self.now), Event::ManagerTurn { shard });
        }
    }

    /// What a round starts from; `None` if it has to wait for a watch or is not ours any more.
    fn begin_round(&mut self, app: u32, shard: u32) -> Option<([Seen; 2], Why)> {
        let managed = &mut self.apps[app as usize];
        if !managed.is_ours() || managed.shard != shard {
            return None;
        }
        let noted = managed.agenda;
        let why = managed.agenda.begin(self.now);
        let cached = self.rules.client_cache || self.rules.behaviour == Behaviour::Faithful;
        if managed.app.problem.is_some() || !cached {
            return Some(([Seen::Unknown; 2], why));
        }
        let (leaf, kinds) = (managed.leaf, managed.app.kinds);
        let ready = kinds.map(|kind| watched(kind).is_none_or(|kind| self.is_watched(leaf, kind)));
        let managed = &mut self.apps[app as usize];
        if ready != [true, true] {
            // The end of the initial list puts it back in line.
            managed.agenda = noted;
            return None;
        }
        let seen = Slot::BOTH.map(|slot| managed.view(slot, self.rules).map_or(Seen::Absent, Seen::Present));
        Some((seen, why))
    }

    /// Whether a kind is watched on a leaf; opens the watch if not.
    fn is_watched(&mut self, leaf: u32, kind: u8) -> bool {
        let watches = &mut self.watches[leaf as usize];
        if !watches.is_known(kind) {
            watches.opening |= 1 << kind;
            let owner = self.owner(leaf);
            let manager = &mut self.managers[owner as usize];
            manager.watches += 1;
            let counts = &mut self.sums.rows[manager.row as usize].counts;
            counts.add_key(Target::Leaf, Verb::Watch, watched_kind(kind), (false, false), 200);
            let objects = self.leaves[leaf as usize].count(watched_kind(kind));
            let back = self.list(Site::Leaf(leaf), watched_kind(kind), objects);
            self.queue.push(back, Event::WatchOpened { leaf, kind });
        }
        self.watches[leaf as usize].is_open(kind)
    }

    fn start(&mut self, app: u32, mut machine: Reconcile, waited: Span) {
        let shard = self.apps[app as usize].shard;
        self.managers[shard as usize].free -= 1;
        self.hardware.think(shard, self.now, self.ground.scenario.model.manager.decide);
        let next = machine.step(&[], self.now);
        let round = self.rounds.put(Round {
            app,
            shard,
            shape: self.apps[app as usize].shape.clone(),
            machine,
            began: self.now,
            waited,
            calls: 0,
            refused: None,
            batch: Batch::new(),
            replies: SmallVec::new(),
            awaited: 0,
            answered: self.now,
            pushed_back: 0,
            lost: 0,
            dead: false,
        });
        self.go_on(round, next);
    }

    fn go_on(&mut self, round: u32, next: Next) {
        match next {
            Next::Call(batch) => self.send(round, batch),
            Next::Done(outcome) => self.finish(round, &outcome),
        }
    }

    /// The calls of a batch leave when the limiters let them.
    fn send(&mut self, id: u32, batch: Batch) {
        let Some((app, shard)) = self.rounds.get_mut(id).map(|round| (round.app, round.shard)) else { return };
        let leaf = self.apps[app as usize].leaf;
        let count = u8::try_from(batch.len()).unwrap_or(u8::MAX);
        if !self.may_act(shard, app) {
            return self.not_sent(id, batch);
        }
        let cost = self.ground.scenario.model.manager.ask.scaled(u64::from(count), 1);
        let ready = self.hardware.think(shard, self.now, cost);
        for (nth, op) in (0..count).zip(&batch) {
            let (site, wait) = match op.target {
                Target::Hub => (Site::Hub, self.managers[shard as usize].hub.reserve(ready)),
                Target::Leaf => {
                    if let Some(calls) = self.leaf_calls.get_mut(leaf as usize) {
                        *calls += 1;
                    }
                    (Site::Leaf(leaf), self.buckets[leaf as usize].reserve(ready))
                }
            };
            let at = self.travel(site, Direction::There, ready + wait, Call::of(op).bytes[0]);
            self.queue.push(at, Event::CallArrives { round: id, nth });
        }
        let Some(round) = self.rounds.get_mut(id) else { return };
        round.calls += u32::from(count);
        round.awaited = count;
        round.replies = SmallVec::from_elem((0, None), usize::from(count));
        round.batch = batch;
    }

    /// Its leaf is another manager's by now, or its manager's lease is over: no call begins, and none is answered.
    fn not_sent(&mut self, id: u32, batch: Batch) {
        let now = self.now;
        let Some(round) = self.rounds.get_mut(id) else { return };
        round.calls += u32::try_from(batch.len()).unwrap_or(u32::MAX);
        round.replies = SmallVec::from_elem((0, None), batch.len());
        let row = self.managers[round.shard as usize].row;
        let counts = &mut self.sums.rows[row as usize].counts;
        // Tried twice, as every call whose connection breaks.
        batch.iter().chain(&batch).for_each(|op| counts.add(op, 0));
        round.batch = batch;
        self.queue.push(now, Event::RoundReplies { round: id });
    }

    /// A call arrives at its API server and is answered by the rules.
    pub(super) fn call_arrives(&mut self, id: u32, nth: u8) {
        let Some(round) = self.rounds.get_mut(id) else { return };
        let (app, shard, op) = (round.app, round.shard, round.batch[usize::from(nth)].clone());
        let shape = round.shape.clone();
        if (round.pushed_back > 0 || round.lost > 0) && !self.may_act(shard, app) {
            // It is not repeated.
            return self.answered(id, nth, (0, None), self.now);
        }
        let site = match op.target {
            Target::Hub => self.home_site(app),
            Target::Leaf => Site::Leaf(self.apps[app as usize].leaf),
        };
        if self.is_lost(id, nth, site, &op) {
            return;
        }
        let call = Call::of(&op);
        let done = match self.hardware.serve(site, call, self.now, self.now) {
            Ok(done) => done,
            Err(pause) => return self.pushed_back(id, nth, &op, pause),
        };
        let reply = match op.target {
            Target::Hub => (self.on_hub(app, &op, done), None),
            Target::Leaf => self.on_leaf(app, &op, shape),
        };
        let row = self.managers[shard as usize].row;
        let target = if op.target == Target::Hub { self.home() } else { Target::Leaf };
        let flags = (op.status, op.dry_run);
        self.sums.rows[row as usize].counts.add_key(target, op.verb, op.kind, flags, reply.0);
        let back = self.travel(site, Direction::Back, done, call.bytes[1]);
        self.answered(id, nth, reply, back);
    }

    /// The answer to a call of a round is back at `back`.
    pub(super) fn answered(&mut self, id: u32, nth: u8, reply: (u16, Option<super::leaf::Shown>), back: Time) {
        let Some(round) = self.rounds.get_mut(id) else { return };
        round.replies[usize::from(nth)] = reply;
        round.awaited -= 1;
        round.answered = round.answered.max(back);
        if round.awaited == 0 {
            self.queue.push(round.answered, Event::RoundReplies { round: id });
        }
    }

    /// A server told a call to come back after a pause: it does so, as often as in a live run.
    pub(super) fn pushed_back(&mut self, id: u32, nth: u8, op: &Op<Body>, pause: Span) {
        let Some(round) = self.rounds.get_mut(id) else { return };
        let row = self.managers[round.shard as usize].row;
        self.sums.rows[row as usize].counts.add(op, 429);
        round.pushed_back += 1;
        if round.pushed_back <= PUSHED_BACK_MAX {
            self.queue.push(self.now + pause, Event::CallArrives { round: id, nth });
            return;
        }
        self.answered(id, nth, (429, None), self.now);
    }

    /// When a list of so many objects, the first part of a watch, has come.
    pub(super) fn list(&mut self, site: Site, kind: Kind, objects: u64) -> Time {
        let call = Call::list(Verb::Watch, kind, objects);
        let there = self.travel(site, Direction::There, self.now, call.bytes[0]);
        let served = self.hardware.serve_first(site, call, self.now, there);
        self.travel(site, Direction::Back, served, call.bytes[1])
    }

    fn on_hub(&mut self, app: u32, op: &Op<Body>, done: Time) -> u16 {
        if let (Verb::Create, Body::Event(_)) = (op.verb, op.body) {
            return 201;
        }
        let written = self.hub[app as usize].write(self.ground, &op.body);
        if written.committed && !self.hub[app as usize].exists {
            self.count_application(false);
        }
        if written.committed {
            self.committed(app, done);
        }
        written.code
    }

    fn on_leaf(&mut self, app: u32, op: &Op<Body>, began: Option<Arc<Shape>>) -> (u16, Option<super::leaf::Shown>) {
        let managed = &self.apps[app as usize];
        let (at, addon, slot) = (managed.leaf, managed.addon, slot_of(op.object));
        let leaf = &mut self.leaves[at as usize];
        let answer = match (op.verb, op.body) {
            (Verb::Discover, _) | (Verb::Create, Body::Namespace) => return (200, None),
            (Verb::Get, _) => {
                let shown = leaf.look(self.ground, addon, slot);
                return (if shown.is_some() { 200 } else { 404 }, shown);
            }
            (Verb::Delete, _) => (leaf.delete(self.ground, addon, slot, self.now, &mut self.out), None),
            _ => {
                let (name, shape) = (&managed.name, managed.shape.as_deref().or(began.as_deref()));
                let content = shape.map_or_else(ContentId::default, |shape| shape.desired[slot.index()]);
                let kind = op.kind;
                let spec = || shape.map_or(crate::model::flux::spec::Spec::Invalid, |shape| shape.spec(slot, name));
                leaf.write(self.ground, (addon, slot), (name, kind), content, spec, self.now, &mut self.out)
            }
        };
        leaf.turn(self.ground, self.now, &mut self.out);
        self.leaf_told(at);
        answer
    }

    /// All replies to a batch are back: what they show is kept, and the machine goes on.
    pub(super) fn round_replies(&mut self, id: u32) {
        let Some(round) = self.rounds.get_mut(id) else { return };
        if round.dead {
            self.rounds.take(id);
            return;
        }
        let (app, shard, batch) = (round.app, round.shard, std::mem::take(&mut round.batch));
        round.lost = 0;
        let answers = std::mem::take(&mut round.replies);
        let refused = answers.iter().map(|(code, _)| *code).find(|code| !(200..300).contains(code));
        round.refused = refused.or(round.refused);
        let mut replies: SmallVec<[Reply<View>; 2]> = SmallVec::new();
        let ours = self.apps[app as usize].shard == shard;
        for (op, (code, shown)) in batch.iter().zip(answers) {
            // What is another's by now is not kept.
            let object = if ours { self.told(app, op, code, shown) } else { None };
            replies.push(Reply { code, object });
        }
        let Some(round) = self.rounds.get_mut(id) else { return };
        let next = round.machine.step(&replies, self.now);
        self.go_on(id, next);
    }

    /// What the reply to one call means for what the manager knows.
    fn told(&mut self, app: u32, op: &Op<Body>, code: u16, shown: Option<super::leaf::Shown>) -> Option<View> {
        let ok = (200..300).contains(&code);
        let managed = &mut self.apps[app as usize];
        if op.target == Target::Hub {
            if ok && matches!(op.body, Body::Status { .. }) {
                managed.app.refresh = false;
                managed.app.operation = false;
            }
            return None;
        }
        let slot = slot_of(op.object);
        let news = match op.verb {
            Verb::Get if code == 404 => managed.learn(slot, None, false, self.rules),
            Verb::Delete | Verb::Discover => return None,
            _ if !ok || shown.is_none() => return None,
            verb => managed.learn(slot, shown, verb != Verb::Get, self.rules),
        };
        let view = managed.view(slot, self.rules).filter(|_| ok);
        if news {
            self.enqueue(app, true);
        }
        view
    }

    /// A round is over.
    fn finish(&mut self, id: u32, outcome: &Outcome) {
        let Some(round) = self.rounds.take(id) else { return };
        let managed = &mut self.apps[round.app as usize];
        let shard = round.shard;
        let lost = managed.shard != shard;
        let manager = &mut self.managers[shard as usize];
        if managed.is_ours() && !lost {
            managed.app.settle(outcome, self.now);
            managed.agenda.end(round.app, outcome, &manager.resync, &mut manager.queue, self.now);
        }
        manager.queue.done(round.app);
        manager.free += 1;
        let row = manager.row;
        if manager.depth_at.is_none_or(|at| self.now.since(at) >= DEPTH_EVERY) {
            manager.depth_at = Some(self.now);
            let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            let (ready, waiting) = (count(manager.queue.depth()), count(manager.queue.waiting()));
            self.signal(Signal::QueueDepth { shard: row, at: self.now, ready, waiting });
        }
        if outcome.verdict != Verdict::Ignored {
            self.signal(Signal::Round {
                app: AppId(round.app),
                shard: row,
                at: self.now,
                queue_wait: round.waited,
                took: self.now.since(round.began),
                calls: round.calls,
                outcome: round_outcome(outcome, round.refused),
            });
        }
        if lost {
            self.keep(shard);
        }
        self.wake(shard);
    }
}
