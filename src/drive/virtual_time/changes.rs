//! The harness's part of a simulation: the timeline is played as an open-loop generator.
//!
//! A change is intended at its time and arrives at its API server one network later. One that finds nothing to meddle
//! with yet tries again, and the changes of one app are written one after the other, as the live driver does it.

use super::event::{Event, Stage};
use super::parts;
use super::sim::{Simulation, change_id};
use crate::calls::{Kind, Target, Verb};
use crate::drive::drifted;
use crate::drive::intent::Intent;
use crate::fleet::{Change, ChangeKind};
use crate::ids::AppId;
use crate::model::hardware::{Direction, Site};
use crate::model::prices::Call;
use crate::reconcile::Slot;
use crate::scenario::Mode;
use crate::units::{Span, Time};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Tries of one write, and the pause before the next: those of the live driver.
const TRIES: u8 = 5;
const PAUSE: Span = Span::from_millis(100);

/// Apps that a change is being written for, and the changes that wait until it is: two writes on their way at once could
/// overtake each other, and what was asked for last would not be what is there in the end.
#[derive(Debug, Default)]
pub(super) struct Turns(BTreeMap<u32, VecDeque<u32>>);

impl Turns {
    /// Whether a change is written now; else it is given out by [`Turns::next`] when its turn comes.
    fn take(&mut self, app: u32, change: u32) -> bool {
        match self.0.entry(app) {
            Entry::Vacant(free) => {
                free.insert(VecDeque::new());
                true
            }
            Entry::Occupied(line) => {
                line.into_mut().push_back(change);
                false
            }
        }
    }

    /// A change of this app is written: the next one, if any waits.
    fn next(&mut self, app: u32) -> Option<u32> {
        let next = self.0.get_mut(&app)?.pop_front();
        if next.is_none() {
            self.0.remove(&app);
        }
        next
    }
}

impl Simulation<'_> {
    pub(super) fn schedule_change(&mut self) {
        if self.next_change < self.part.changes.len() {
            let change = self.change_of(u32::try_from(self.next_change).unwrap_or(u32::MAX));
            self.queue.push(self.moment(change.at), Event::Change);
        }
    }

    /// The next change of the timeline is due.
    pub(super) fn change(&mut self) {
        let index = u32::try_from(self.next_change).unwrap_or(u32::MAX);
        self.next_change += 1;
        let change = self.change_of(index);
        let (app, intended) = (AppId(self.local(change.app)), self.moment(change.at));
        let intent = self.intent(change);
        let id = self.intend(crate::measure::Change { app, intended, ..intent });
        let sent = self.now + self.hardware.lag();
        self.sent(id, sent);
        if matches!(change.kind, ChangeKind::Commit { .. }) {
            self.stored_as(index, 0);
        } else {
            self.writing += 1;
            let stage = self.first_stage(change);
            if self.home() == Target::Leaf && parts::verb(change.kind).is_some() {
                // What the hub stored reaches the leaf in that order.
                self.assign(change, index, stage);
            } else if self.home() == Target::Leaf || self.turns.take(app.0, index) {
                let at = self.hardware.travel(Site::Hub, Direction::There, sent, 0);
                self.queue.push(at, Event::Write { index, stage, tries: 1 });
            }
        }
        self.schedule_change();
    }

    /// What a change must bring about. Rendering a source and its revision takes 10 us; apps that differ by their names alone
    /// want the same.
    fn intent(&mut self, change: Change) -> crate::measure::Change {
        let world = self.ground.world;
        let intent = Intent { world, catalogue: &self.ground.flux.catalogue, epoch: Time(0) };
        let of_spec = matches!(change.kind, ChangeKind::Install | ChangeKind::Upgrade | ChangeKind::Scale);
        if !of_spec || !self.shapes.is_shared(world, change.app, change.target) {
            return intent.of(change);
        }
        let key = (world.addon_of(change.app), change.target, std::mem::discriminant(&change.kind));
        *self.intents.entry(key).or_insert_with(|| intent.of(change))
    }

    /// A server works on a call of the harness. The harness is of a higher priority than managers, and never told to wait.
    fn harness_call(&mut self, site: Site, verb: Verb, kind: Kind) -> Time {
        let call = Call::new(verb, kind, (false, false));
        self.hardware.serve_first(site, call, self.now, self.now)
    }

    /// Whether the Flux objects of an app are the harness's to write.
    fn by_hand(&self, change: Change) -> bool {
        self.ground.world.addon(change.app).mode == Mode::Reference
    }

    fn first_stage(&self, change: Change) -> Stage {
        let writes = matches!(change.kind, ChangeKind::Install | ChangeKind::Upgrade | ChangeKind::Scale);
        if writes && self.by_hand(change) { Stage::Flux(Slot::Source) } else { Stage::Main }
    }

    /// A write of a change arrives.
    pub(super) fn write(&mut self, index: u32, stage: Stage, tries: u8) {
        let change = self.change_of(index);
        match (stage, change.kind) {
            (Stage::Main, ChangeKind::Drift { object, kind }) => self.meddle(change, object, kind, index, tries),
            (Stage::Main, _) => self.on_application(change, index),
            (Stage::Flux(slot), _) => self.write_flux(change, slot, index, tries),
            (Stage::Remove(slot), _) => self.remove_flux(change, slot, index),
        }
    }

    /// The next call of a change leaves when the answer to the last one is back.
    fn and_then(&mut self, index: u32, stage: Stage, tries: u8) {
        let back = self.travel(Site::Hub, Direction::Back, self.now, 0);
        let at = self.travel(Site::Hub, Direction::There, back, 0);
        self.queue.push(at, Event::Write { index, stage, tries });
    }

    fn again(&mut self, index: u32, stage: Stage, tries: u8) {
        let tries = tries + 1;
        self.queue.push(self.now + PAUSE.scaled(u64::from(tries), 1), Event::Write { index, stage, tries });
    }

    /// The last call of a change was answered: the next change of its app leaves when that is known.
    fn is_written(&mut self, index: u32) {
        self.writing -= 1;
        let app = self.local(self.change_of(index).app);
        if let Some(next) = self.turns.next(app) {
            self.and_then(next, self.first_stage(self.change_of(next)), 1);
        }
    }

    fn give_up(&mut self, index: u32, why: String) {
        self.is_written(index);
        self.ledger.abandon(change_id(index as usize));
        self.sums.refuse(self.part.number, why);
    }

    fn write_flux(&mut self, change: Change, slot: Slot, index: u32, tries: u8) {
        let world = self.ground.world;
        let shape = self.shapes.of(world, &self.ground.flux.catalogue, change.app, change.target);
        let managed = &self.apps[self.local(change.app) as usize];
        let (leaf, at) = (managed.leaf, slot.index());
        let (place, name) = ((managed.addon, slot), Arc::clone(&managed.name));
        let (kind, content) = (shape.kinds[at], shape.contents[at]);
        let on = &mut self.leaves[leaf as usize];
        let spec = || shape.spec(slot, &name);
        let (code, shown) = on.write(self.ground, place, (&name, kind), content, spec, self.now, &mut self.out);
        self.sums.harness.add_key(Target::Leaf, Verb::Apply, kind, (false, false), code);
        self.harness_call(Site::Leaf(leaf), Verb::Apply, kind);
        self.leaves[leaf as usize].turn(self.ground, self.now, &mut self.out);
        self.leaf_told(leaf);
        match (shown.is_some_and(|shown| shown.deleting), slot) {
            (true, _) if tries < TRIES => self.again(index, Stage::Flux(Slot::Source), tries),
            (true, _) => self.give_up(index, format!("{} is still being deleted", world.app_name(change.app))),
            (false, Slot::Source) => self.and_then(index, Stage::Flux(Slot::Workload), tries),
            (false, Slot::Workload) => self.and_then(index, Stage::Main, tries),
        }
    }

    fn remove_flux(&mut self, change: Change, slot: Slot, index: u32) {
        let catalogue = &self.ground.flux.catalogue;
        let kind = self.shapes.of(self.ground.world, catalogue, change.app, change.target).kinds[slot.index()];
        let managed = &self.apps[self.local(change.app) as usize];
        let (leaf, addon) = (managed.leaf, managed.addon);
        let code = self.leaves[leaf as usize].delete(self.ground, addon, slot, self.now, &mut self.out);
        self.sums.harness.add_key(Target::Leaf, Verb::Delete, kind, (false, false), code);
        self.harness_call(Site::Leaf(leaf), Verb::Delete, kind);
        self.leaves[leaf as usize].turn(self.ground, self.now, &mut self.out);
        self.leaf_told(leaf);
        match slot {
            Slot::Workload => self.and_then(index, Stage::Remove(Slot::Source), 1),
            Slot::Source => {
                self.is_written(index);
                self.stored_as(index, 0);
            }
        }
    }

    /// The write of the Application.
    fn on_application(&mut self, change: Change, index: u32) {
        let cascade = self.ground.world.addon(change.app).cascade_delete;
        let app = self.local(change.app);
        let application = &mut self.hub[app as usize];
        let (verb, written) = match change.kind {
            ChangeKind::Install => (Verb::Create, application.create(self.ground, change.target, cascade)),
            ChangeKind::Decommission => (Verb::Delete, application.delete(self.now)),
            _ => (Verb::Patch, application.retarget(self.ground, change.target)),
        };
        let (generation, exists) = (u64::from(application.generation), application.exists);
        let done = self.harness_call(self.home_site(app), verb, Kind::APPLICATION);
        if self.home() == Target::Hub {
            self.sums.harness.add_key(Target::Hub, verb, Kind::APPLICATION, (false, false), written.code);
        } else {
            self.copied(verb, written.code);
        }
        if written.code >= 300 {
            let name = self.ground.world.app_name(change.app);
            return self.give_up(index, format!("{verb:?} of Application {name}: {}", written.code));
        }
        if verb == Verb::Create {
            self.count_application(true);
        } else if written.committed && !exists {
            self.count_application(false);
        }
        if written.committed {
            self.committed(app, done);
        }
        if change.kind == ChangeKind::Decommission && self.by_hand(change) {
            return self.and_then(index, Stage::Remove(Slot::Workload), 1);
        }
        self.is_written(index);
        let of_spec = change.kind != ChangeKind::Decommission;
        self.stored_as(index, if of_spec { generation } else { 0 });
    }

    /// Somebody touches an object behind the controllers' backs.
    fn meddle(&mut self, change: Change, nth: u32, kind: crate::scenario::DriftKind, index: u32, tries: u8) {
        let world = self.ground.world;
        let found = drifted::object(world, &self.ground.flux.catalogue, change.app, nth);
        let place = found.and_then(|object| {
            let addon = world.addon_of(change.app);
            self.ground
                .items
                .iter()
                .position(|item| item.addon == addon && item.kind == object.kind && *item.name == *object.name)
        });
        let leaf = self.apps[self.local(change.app) as usize].leaf;
        let code = place.map_or(404, |place| {
            let at = &mut self.leaves[leaf as usize];
            let (verb, code) = at.drift(self.ground, place, kind, self.now, &mut self.out);
            let kind = self.ground.items[place].kind;
            self.sums.harness.add_key(Target::Leaf, verb, kind, (false, false), code);
            self.harness_call(Site::Leaf(leaf), verb, kind);
            code
        });
        match (code, tries < TRIES) {
            (200, _) => {
                self.is_written(index);
                self.stored_as(index, 0);
                self.leaves[leaf as usize].turn(self.ground, self.now, &mut self.out);
                self.leaf_told(leaf);
            }
            (_, true) => self.again(index, Stage::Main, tries),
            (_, false) => self.give_up(index, format!("drift of app {}: 404", world.app_name(change.app))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::virtual_time::{Ending, Options, run};
    use crate::fleet::World;
    use crate::scenario;
    use std::ops::ControlFlow;

    #[test]
    fn changes_of_one_app_take_turns_and_those_of_others_do_not_wait() {
        let mut turns = Turns::default();
        assert_eq!(
            [turns.take(7, 0), turns.take(7, 1), turns.take(8, 2), turns.take(7, 3)],
            [true, false, true, false]
        );
        assert_eq!([turns.next(7), turns.next(8), turns.next(7), turns.next(7)], [Some(1), None, Some(3), None]);
        assert!(turns.take(7, 4), "nothing is written any more");
    }

    /// Upgrades there and back, many of them within the time of one write that may take 1 to 80 ms.
    #[test]
    fn what_was_asked_for_last_is_what_is_there_in_the_end() {
        for seed in 0..20 {
            let text = format!(
                "apiVersion: flamboyance.dev/v1alpha1\nkind: Scenario\nmetadata: {{ name: turns }}\nspec:\n  \
                 fleet: {{ clusters: 1 }}\n  addons:\n    - {{ name: a, source: {{ git: {{ url: 'https://git.example.org/a.git', \
                 path: ./x }} }}, versions: ['1.0.0', '1.1.0', '1.2.0'] }}\n  topology: {{ kind: single }}\n  \
                 model: {{ network: {{ latency: {{ uniform: {{ min: 1ms, max: 80ms }} }} }} }}\n  timeline:\n    \
                 - {{ change: {{ install: {{}} }} }}\n    - {{ at: 5s, change: {{ churn: {{ rate: 40/s, duration: 1s }} }} }}\n  \
                 run: {{ seed: {seed}, timeout: 2h }}\n"
            );
            let scenario = scenario::parse(&text, "turns", &[]).unwrap_or_else(|e| panic!("{e:?}"));
            let world = World::generate(&scenario);
            let options = Options { state: true, ..Options::default() };
            let outcome = run(&scenario, &world, options, &mut |_, _| ControlFlow::Continue(()));
            assert_eq!(outcome.ending, Ending::Settled, "seed {seed}");
            let last = world.changes().last().unwrap();
            let asked = world.application(last.app, last.target, "");
            let there = &outcome.state.unwrap()["hub"][0];
            assert_eq!(there["spec"]["source"], asked["spec"]["source"], "seed {seed}");
        }
    }
}
