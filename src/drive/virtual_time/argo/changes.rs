//! The harness's part: the timeline is played as an open-loop generator.

use super::event::Event;
use super::sim::Simulation;
use crate::calls::{Kind, Target, Verb};
use crate::drive::intent::Intent;
use crate::drive::virtual_time::sim::change_id;
use crate::fleet::{Change, ChangeKind};
use crate::measure;
use crate::model::argo::{App, Asked};
use crate::scenario::DriftKind;
use crate::seed::Seed;
use crate::units::Time;

impl Simulation<'_> {
    pub(super) fn schedule_change(&mut self) {
        if let Some(change) = self.ground.world.changes().get(self.next_change) {
            self.queue.push(Time(0) + change.at, Event::Change);
        }
    }

    /// The next change of the timeline is due.
    pub(super) fn change(&mut self) {
        let index = self.next_change;
        self.next_change += 1;
        let change = self.ground.world.changes()[index];
        self.commit_sources(change);
        let intended = self.intended(change);
        let id = self.ledger.intend(intended);
        self.ledger.sent(id, self.now);
        let by_hand = !self.ground.world.addon(change.app).automated;
        if matches!(change.kind, ChangeKind::Commit { .. }) && !by_hand {
            self.ledger.stored(id, 0);
        } else {
            self.writing += 1;
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            self.queue.push(self.now + self.way, Event::Write { index });
        }
        self.schedule_change();
    }

    /// A commit: its repository has it once, however many apps it touches.
    fn commit_sources(&mut self, change: Change) {
        let ChangeKind::Commit { number } = change.kind else { return };
        let addon = self.ground.world.addon_of(change.app);
        let told = self.commits.entry(addon).or_default();
        while *told < number {
            *told += 1;
            let repository = &mut self.repositories[self.repository_of[addon.index()]];
            repository.commits += 1;
            self.touched[addon.index()].push(repository.commits);
            if self.loopback {
                self.ground.flux.catalogue.commit(addon);
            }
        }
    }

    /// What a change must bring about.
    fn intended(&self, change: Change) -> measure::Change {
        let (world, catalogue) = (self.ground.world, &self.ground.flux.catalogue);
        let of_flux = Intent { world, catalogue, epoch: Time(0) }.of(change);
        if self.is_loopback(change.app.0) {
            // Nothing tracks the Flux objects: they stay, and so does what they installed.
            return measure::Change { cascade: false, ..of_flux };
        }
        let of_spec = matches!(change.kind, ChangeKind::Install | ChangeKind::Upgrade | ChangeKind::Scale);
        let rolls_out = of_spec || matches!(change.kind, ChangeKind::Commit { .. });
        measure::Change {
            source: if of_spec { source(change) } else { 0 },
            revision: if rolls_out { self.future_revision(change) } else { 0 },
            through_flux: false,
            ..of_flux
        }
    }

    /// The revision that a change asks for, once the repo-server has asked the repository.
    fn future_revision(&self, change: Change) -> u64 {
        let addon = self.ground.world.addon_of(change.app);
        let target = u64::from(change.target.version) << 32 | u64::from(change.target.values.0);
        let mine = self.touched[addon.index()].len() as u64;
        Seed::new(mine).entity(target).bits(addon.index() as u64).max(2)
    }

    /// The write of a change arrives at the hub.
    pub(super) fn write(&mut self, index: u32) {
        let change = self.ground.world.changes()[index as usize];
        self.writing -= 1;
        if let ChangeKind::Drift { object, kind } = change.kind {
            return self.meddle(change, object, kind, index);
        }
        let app = change.app.0;
        let done = self.serve(true);
        let addon = self.ground.world.addon(change.app);
        let by_hand = (!addon.automated).then_some(Asked { by_hand: true, partial: false });
        let state = &mut self.apps[app as usize];
        let verb = match change.kind {
            ChangeKind::Install => Verb::Create,
            ChangeKind::Decommission => Verb::Delete,
            _ => Verb::Patch,
        };
        if state.exists == (verb == Verb::Create) || state.deleting {
            self.harness.add_key(Target::Hub, verb, Kind::APPLICATION, (false, false), 409);
            self.ledger.abandon(change_id(index as usize));
            return;
        }
        match change.kind {
            ChangeKind::Install => {
                *state = App {
                    exists: true,
                    finalizer: addon.cascade_delete,
                    automated: addon.automated,
                    self_heal: addon.self_heal,
                    operation: by_hand,
                    ..App::default()
                };
                self.hub_objects.0 += 1;
                self.hub_objects.1 = self.hub_objects.1.max(self.hub_objects.0);
            }
            ChangeKind::Decommission => {
                state.deleting = true;
                state.exists = state.finalizer;
            }
            _ => state.operation = by_hand.or(state.operation),
        }
        if !matches!(change.kind, ChangeKind::Decommission | ChangeKind::Commit { .. }) {
            self.places[app as usize].target = change.target;
            let source = if self.is_loopback(app) {
                let catalogue = &self.ground.flux.catalogue;
                self.shapes.of(self.ground.world, catalogue, change.app, change.target).source
            } else {
                source(change)
            };
            self.apps[app as usize].source = source;
        }
        let code = if verb == Verb::Create { 201 } else { 200 };
        self.harness.add_key(Target::Hub, verb, Kind::APPLICATION, (false, false), code);
        self.committed(app, done);
        let of_spec = matches!(change.kind, ChangeKind::Install | ChangeKind::Upgrade | ChangeKind::Scale);
        let generation = u64::from(self.apps[app as usize].generation);
        self.ledger.stored(change_id(index as usize), if of_spec { generation } else { 0 });
    }

    /// Somebody touches an object behind the controllers' backs.
    fn meddle(&mut self, change: Change, nth: u32, kind: DriftKind, index: u32) {
        let app = change.app;
        let id = change_id(index as usize);
        let addon = self.ground.world.addon_of(app);
        let found = crate::drive::drifted::object(self.ground.world, &self.ground.flux.catalogue, app, nth);
        let n = found.and_then(|object| {
            let items = self.ground.flux.catalogue.items(addon);
            items.iter().position(|item| item.kind == object.kind && item.name == object.name)
        });
        let place = self.places[app.index()];
        let at = n.map(|n| place.first as usize + n).filter(|at| self.stored[*at] != 0);
        let (Some(at), Some(n), false) = (at, n, self.is_loopback(app.0)) else {
            self.refused.push(format!("drift of app {}: 404", self.ground.world.app_name(app)));
            return self.ledger.abandon(id);
        };
        let gone = kind == DriftKind::Delete;
        let (verb, what) = if gone { (Verb::Delete, 0) } else { (Verb::Patch, u64::MAX) };
        self.stored[at] = what;
        let object = self.ground.items[self.ground.item(addon, u16::try_from(n).unwrap_or(u16::MAX))].print;
        let of = self.kinds[addon.index()][n];
        self.harness.add_key(Target::Leaf, verb, of, (false, false), 200);
        self.ledger.stored(id, 0);
        let changed = if gone { measure::ObjectChange::Deleted } else { measure::ObjectChange::Modified };
        let (app, at) = (change.app, self.now);
        self.ledger.take(measure::Signal::ObjectChanged { app, at, object, change: changed, by_controller: false });
        self.queue.push(self.now + self.way, Event::Heard { app: app.0 });
    }
}

/// A fingerprint of `spec.source` of an ordinary Application; never 0.
fn source(change: Change) -> u64 {
    (u64::from(change.target.version) << 32 | u64::from(change.target.values.0)) + 1
}
