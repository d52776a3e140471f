//! One leaf: its machines and the calls between them and its store.

use super::calls::{Caller, Resources};
use super::inbox::Seen;
use super::store::Store;
use super::{Setup, bodies};
use crate::apiserver::object::Object;
use crate::apiserver::request::Now;
use crate::apiserver::store::EventKind;
use crate::calls::Kind;
use crate::measure::{Signal, fingerprint};
use crate::model::flux::render::FINALIZER;
use crate::model::flux::spec::Spec;
use crate::model::flux::{
    Agent, Change, ConditionType, Controllers, Document, Event, Meta, Op, PassId, Progress, Reply, Slot, Step, Truth,
    World, Write,
};
use crate::model::workload::{self, Deployment, Workloads};
use crate::seed::Seed;
use crate::units::Time;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The controllers of one leaf.
pub(super) struct Leaf {
    store: Store,
    controllers: Controllers,
    workloads: Workloads,
    /// Deployments as last seen, by the workload machine's slot.
    deployments: Vec<Option<Arc<Object>>>,
    caller: Caller,
    /// Passes that have just applied, with the calls they ask for and the time before which they are not made.
    aside: Vec<(PassId, Vec<Op>, Time)>,
    /// In the thread's queue.
    pub(super) queued: bool,
    /// The thread's timer for it.
    pub(super) armed: Option<Time>,
    /// Documents read since the thread last looked.
    pub(super) documents: BTreeMap<(Agent, Document), u64>,
}

impl Leaf {
    pub(super) fn new(store: Store, setup: &Setup) -> Self {
        let id = u64::from(store.id());
        let seed: Seed = setup.world.seed.entity(id);
        Self {
            controllers: Controllers::new(&setup.world, id),
            workloads: Workloads::new(seed, setup.workload_ready),
            deployments: Vec::new(),
            caller: Caller::default(),
            store,
            aside: Vec::new(),
            queued: false,
            armed: None,
            documents: BTreeMap::new(),
        }
    }

    /// Whether nothing is left to control.
    pub(super) fn is_empty(&self) -> bool {
        self.controllers.is_empty() && self.workloads.is_empty()
    }

    /// A commit reaches the informers.
    pub(super) fn informed(&mut self, world: &World, seen: Seen) {
        if seen.kind == Kind::DEPLOYMENT {
            return self.deployment(seen);
        }
        let meta = meta(&seen.object);
        let change = match seen.change {
            EventKind::Added => Change::Added,
            EventKind::Modified => Change::Modified,
            EventKind::Deleted => Change::Deleted,
        };
        let known = self.controllers.find(seen.kind, &meta.namespace, &meta.name);
        let known = known.and_then(|slot| self.controllers.object(slot)).map(|o| o.meta.generation);
        // A spec is parsed when its generation is new: once per write of somebody.
        let spec = (known != Some(meta.generation) && change != Change::Deleted).then(|| {
            let value = seen.object.spec().map(|blob| blob.parse()).unwrap_or_default();
            Spec::read(seen.kind, &meta.namespace, &value, &world.catalogue)
        });
        self.controllers.on_event(Event { kind: seen.kind, change, meta, spec });
    }

    fn deployment(&mut self, seen: Seen) {
        let meta = &seen.object.meta;
        if seen.change == EventKind::Deleted {
            if let Some(slot) = self.workloads.on_delete(&meta.namespace, &meta.name) {
                self.deployments[slot.0 as usize] = None;
            }
            return;
        }
        let read = Deployment {
            namespace: Arc::clone(&meta.namespace),
            name: Arc::clone(&meta.name),
            generation: meta.generation,
            ..bodies::deployment(&seen.object)
        };
        if let Some(slot) = self.workloads.on_change(read) {
            let at = slot.0 as usize;
            if self.deployments.len() <= at {
                self.deployments.resize(at + 1, None);
            }
            self.deployments[at] = Some(seen.object);
        }
    }

    /// Lets everything run that can, until all wait for a time, an event or a commit of their own to come back.
    ///
    /// A pass that has just applied its objects is set aside until the commits have come back: between the apply and the
    /// first look at health the real deployment controller has its 25 to 30 ms (recorded), and is usually in time.
    pub(super) fn run(&mut self, setup: &Setup, resources: &Resources) {
        let mut now = Now::read();
        while let workload::Step::Call(op) = self.workloads.step(now.monotonic) {
            now = Now::read();
            let place = workload::Place::of(op.object);
            let (workload::Place::Deployment(slot) | workload::Place::ReplicaSet(slot, _)) = place;
            if let Some(Some(deployment)) = self.deployments.get(slot.0 as usize) {
                self.caller.workload(&self.store, resources, deployment, &op, now);
            }
        }
        for (pass, ops, after) in std::mem::take(&mut self.aside) {
            if after > Now::read().monotonic {
                self.aside.push((pass, ops, after));
            } else {
                self.take_on(setup, resources, pass, Some(ops));
            }
        }
        while let Some(pass) = self.controllers.runnable(&setup.world, Now::read().monotonic) {
            self.take_on(setup, resources, pass, None);
        }
    }

    /// Takes a pass on, call by call, from the calls it asked for last.
    fn take_on(&mut self, setup: &Setup, resources: &Resources, pass: PassId, asked: Option<Vec<Op>>) {
        let mut now = Now::read();
        let mut replies: Vec<Reply> = Vec::new();
        let mut asked = asked;
        loop {
            let ops = match asked.take() {
                Some(ops) => ops,
                None => match self.controllers.step(&setup.world, pass, &replies, now.monotonic) {
                    Step::Call => {
                        let ops = self.controllers.asked(pass).to_vec();
                        if self.tell(setup, now.monotonic) {
                            self.aside.push((pass, ops, now.monotonic + setup.settle));
                            return;
                        }
                        ops
                    }
                    Step::Wait(_) | Step::Done => {
                        self.tell(setup, now.monotonic);
                        return;
                    }
                },
            };
            now = Now::read();
            replies.clear();
            for op in &ops {
                replies.push(self.caller.call(&self.store, &self.controllers, setup, resources, op, now));
                if let Write::Document(document) = op.body.write {
                    *self.documents.entry((op.body.agent, document)).or_default() += 1;
                }
            }
        }
    }

    /// The next instant at which something can run.
    pub(super) fn next_deadline(&self, world: &World) -> Option<Time> {
        let aside = self.aside.iter().map(|(_, _, after)| *after).min();
        let flux = self.controllers.next_deadline(world);
        let workloads = self.workloads.next_deadline();
        [aside, flux, workloads].into_iter().flatten().min()
    }

    /// Signals for what was reached; true if a workload was applied.
    fn tell(&mut self, setup: &Setup, at: Time) -> bool {
        let mut applied = false;
        for progress in self.controllers.take_progress() {
            let (Progress::Fetched(slot) | Progress::Applied(slot) | Progress::Settled(slot)) = progress;
            if let Some(signal) = self.signal(setup, progress, slot, at) {
                (setup.tell)(signal);
            }
            applied |= matches!(progress, Progress::Applied(_));
        }
        applied
    }

    fn signal(&self, setup: &Setup, progress: Progress, slot: Slot, at: Time) -> Option<Signal> {
        let object = self.controllers.object(slot)?;
        let status = &object.status;
        // A chart is its release's; the index that it came from is nobody's news.
        let name = match object.kind {
            Kind::HELM_CHART => object.meta.name.strip_prefix(&*object.meta.namespace)?.strip_prefix('-')?,
            Kind::HELM_REPOSITORY => return None,
            _ => &object.meta.name,
        };
        let app = (setup.app)(self.store.id(), name)?;
        let revision = match progress {
            Progress::Fetched(_) => status.artifact.map(|a| a.revision),
            Progress::Applied(_) => status.attempted,
            Progress::Settled(_) => status.applied,
        };
        let mut text = String::new();
        if let Some(revision) = revision {
            setup.world.catalogue.write_revision(&mut text, revision);
        }
        let (revision, generation) = (fingerprint(&text), u64::from(object.meta.generation));
        Some(match progress {
            Progress::Fetched(_) => Signal::Fetched { app, at, generation, revision },
            Progress::Applied(_) => Signal::Applied { app, at, generation, revision },
            Progress::Settled(_) => {
                let ready = status.condition(ConditionType::Ready).is_some_and(|c| c.truth == Truth::True);
                Signal::FluxReady { app, at, ready, generation: u64::from(status.generation), revision }
            }
        })
    }
}

/// What an informer reads of an object's metadata.
fn meta(object: &Object) -> Meta {
    let meta = &object.meta;
    let mut others = String::new();
    for finalizer in meta.finalizers().filter(|f| *f != FINALIZER) {
        let comma = if others.is_empty() { "" } else { "," };
        others = format!("{others}{comma}\"{finalizer}\"");
    }
    Meta {
        namespace: Arc::clone(&meta.namespace),
        name: Arc::clone(&meta.name),
        version: meta.resource_version,
        generation: u32::try_from(meta.generation).unwrap_or(u32::MAX),
        deleting: meta.deleted.is_some(),
        uid: meta.uid,
        finalizers: (!others.is_empty()).then(|| others.into()),
        finalizer: meta.has_finalizer(FINALIZER),
        requested: meta.annotation("reconcile.fluxcd.io/requestedAt").map(Arc::from),
    }
}
