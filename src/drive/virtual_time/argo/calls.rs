//! Calls: what they do where they arrive, and the answer on its way back.

use super::event::Event;
use super::sim::Simulation;
use crate::calls::{Kind, Target, Verb};
use crate::drive::virtual_time::digest::print;
use crate::ids::AppId;
use crate::measure::{self, Signal};
use crate::model::argo::{Call, Client, Effect, Health, Phase, Sync};
use crate::units::Time;

impl Simulation<'_> {
    /// A call of a pass arrives at its API server.
    pub(super) fn arrive(&mut self, id: u32, nth: u8) {
        let Some(pass) = self.passes.get_mut(id) else { return };
        let (app, shard, call, revision) = (pass.app, pass.shard, pass.calls[usize::from(nth)], pass.revision);
        let hub = call.client != Client::Destination;
        let done = self.serve(hub);
        let code = self.effect(app, call, revision, done);
        let target = if hub { Target::Hub } else { Target::Leaf };
        let counts = &mut self.controllers[shard as usize].counts;
        counts.add_key(target, call.verb, call.kind, (false, false), code);
        if let Some(pass) = self.passes.get_mut(id) {
            pass.codes[usize::from(nth)] = code;
        }
        self.queue.push(done + self.way, Event::Reply { pass: id });
    }

    /// An event of Kubernetes is posted; nobody waits for it.
    pub(super) fn lone(&mut self, app: u32, effect: Effect) {
        let shard = self.places[app as usize].shard as usize;
        self.serve(true);
        if effect == Effect::None {
            self.controllers[shard].counts.add_key(Target::Hub, Verb::Create, Kind::EVENT, (false, false), 201);
        }
    }

    /// What a call does: its code.
    fn effect(&mut self, app: u32, call: Call, revision: u64, done: Time) -> u16 {
        if call.client == Client::Destination {
            return self.on_destination(app, call, revision, done);
        }
        let state = &mut self.apps[app as usize];
        if !state.exists {
            return 404;
        }
        match call.effect {
            Effect::None => return 200,
            Effect::Normalise => state.normal = true,
            Effect::Ask(asked) => state.operation = Some(asked),
            Effect::Running => {
                state.operation = None;
                state.phase = Phase::Running;
            }
            Effect::Succeeded => state.phase = Phase::Succeeded,
            Effect::Report(status) => {
                state.status = status;
                state.annotated = false;
            }
            Effect::Release => {
                state.finalizer = false;
                state.exists = !state.deleting;
            }
            Effect::History | Effect::Object(_) | Effect::Remove(_) => {}
        }
        self.committed(app, done);
        200
    }

    /// An Application was stored, and is written at `done`.
    pub(super) fn committed(&mut self, app: u32, done: Time) {
        let state = &mut self.apps[app as usize];
        state.generation += 1;
        let (status, exists, generation) = (state.status, state.exists, state.generation);
        self.out.digest.note(done, u64::from(app), print(&(generation, exists, status)));
        self.ledger.take(Signal::AppCommitted {
            app: AppId(app),
            at: done,
            generation: u64::from(generation),
            deleted: !exists,
            health: match status.health {
                Health::Healthy => measure::Health::Healthy,
                Health::Progressing => measure::Health::Progressing,
                Health::Missing => measure::Health::Missing,
                Health::Degraded => measure::Health::Degraded,
                Health::Unknown => measure::Health::Unknown,
            },
            sync: match status.sync {
                Sync::Synced => measure::Sync::Synced,
                Sync::OutOfSync => measure::Sync::OutOfSync,
                Sync::Unknown => measure::Sync::Unknown,
            },
            compared: status.compared,
            revision: status.revision,
        });
        if !exists {
            self.hub_objects.0 -= 1;
        }
        self.hub_events += self.controllers.len() as u64;
        self.queue.push(done + self.way, Event::AppSeen { app });
    }
}
