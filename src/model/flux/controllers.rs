//! The controllers of one cluster: informers, queues, workers.
//!
//! In: events, replies, the time. Out: passes that may go on, and the next instant at which one may. Never runs a pass
//! beyond the concurrency of its controller.

use super::object::{Meta, Object, Objects};
use super::pass::{Context, Outcome, Pass, Progress, Step, key};
use super::queue::{Queue, Timers};
use super::spec::Spec;
use super::{Change, Event, KINDS, Op, Reply, Slot, World};
use crate::calls::Kind;
use crate::seed::Seed;
use crate::units::{Span, Time};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// A pass under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PassId(u32);

/// What a timer wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// An object is due.
    Object(Slot),
    /// A pass has waited long enough.
    Pass(PassId),
}

/// The priority of what was there when an informer started (controller-runtime `LowPriority`).
const LOW: i8 = -100;

/// The Flux controllers of one cluster.
#[derive(Debug)]
pub struct Controllers {
    pub(super) seed: Seed,
    pub(super) objects: Objects,
    index: FxHashMap<u64, Slot>,
    /// Who uses an object's artifact: key of the source to slots.
    pub(super) dependants: FxHashMap<u64, SmallVec<[Slot; 1]>>,
    pub(super) queues: [Queue; 6],
    pub(super) passes: Vec<Option<Box<Pass>>>,
    /// Passes whose wait is over.
    pub(super) awake: Vec<PassId>,
    pub(super) timers: Timers<Alarm>,
    progress: Vec<Progress>,
    /// The soonest that any pass could come whose time was drawn.
    pub(super) soonest: Time,
}

/// Each kind has its own controller and queue.
fn queue_of(kind: Kind) -> Option<usize> {
    KINDS.iter().position(|k| *k == kind)
}

/// Workers of a queue. Flux's defaults are 2 for each source kind and 4 for the others; one setting scales both.
fn workers(queue: usize, world: &World) -> u32 {
    let concurrency = world.settings.concurrency.max(1);
    if queue < 4 { concurrency.div_ceil(2) } else { concurrency }
}

impl Controllers {
    /// Controllers without objects. `cluster` fixes their draws.
    #[must_use]
    pub fn new(world: &World, cluster: u64) -> Self {
        Self {
            seed: world.seed.entity(cluster),
            objects: Objects::default(),
            index: FxHashMap::default(),
            dependants: FxHashMap::default(),
            queues: Default::default(),
            passes: Vec::new(),
            awake: Vec::new(),
            timers: Timers::default(),
            progress: Vec::new(),
            soonest: Time(u64::MAX),
        }
    }

    /// Whether there is nothing to control.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.len() == 0
    }

    /// An object by its slot.
    #[must_use]
    pub fn object(&self, slot: Slot) -> Option<&Object> {
        self.objects.get(slot)
    }

    /// The slot of an object by its name.
    #[must_use]
    pub fn find(&self, kind: Kind, namespace: &str, name: &str) -> Option<Slot> {
        self.index.get(&key(kind, namespace, name)).copied()
    }

    /// All objects.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.index.values().filter_map(|slot| self.objects.get(*slot))
    }

    /// Takes what was reached since the last call of this.
    pub fn take_progress(&mut self) -> Vec<Progress> {
        std::mem::take(&mut self.progress)
    }

    /// An informer's event.
    pub fn on_event(&mut self, event: Event) {
        let Some(queue) = queue_of(event.kind) else { return };
        let key = key(event.kind, &event.meta.namespace, &event.meta.name);
        let known = self.index.get(&key).copied();
        match (event.change, known) {
            (Change::Deleted, Some(slot)) => self.forget(key, slot),
            (Change::Deleted, None) => {}
            (_, Some(slot)) => self.modify(queue, slot, event.meta, event.spec),
            (change, None) => {
                let Some(spec) = event.spec else { return };
                let slot = self.objects.insert(Object::new(event.kind, event.meta, spec));
                self.index.insert(key, slot);
                self.subscribe(slot);
                self.enqueue(queue, slot, if change == Change::Listed { LOW } else { 0 });
            }
        }
    }

    /// Flux's predicate: the generation or `requestedAt` changed. A deletion moves the generation.
    fn modify(&mut self, queue: usize, slot: Slot, meta: Meta, spec: Option<Spec>) {
        let Some(object) = self.objects.get_mut(slot) else { return };
        if meta.version < object.meta.version && meta.generation <= object.meta.generation {
            return;
        }
        let news = meta.generation != object.meta.generation
            || meta.requested != object.meta.requested
            || meta.deleting != object.meta.deleting;
        object.meta = meta;
        if let Some(spec) = spec {
            self.unsubscribe(slot);
            if let Some(object) = self.objects.get_mut(slot) {
                object.spec = spec;
            }
            self.subscribe(slot);
        }
        if news {
            self.enqueue(queue, slot, 0);
        }
    }

    fn forget(&mut self, key: u64, slot: Slot) {
        self.index.remove(&key);
        self.unsubscribe(slot);
        let Some(object) = self.objects.get_mut(slot) else { return };
        object.gone = true;
        if !object.queue.running {
            self.free(slot);
        }
    }

    /// Gives the place of an object that is gone to others.
    fn free(&mut self, slot: Slot) {
        if let Some(queue) = self.objects.get(slot).and_then(|object| queue_of(object.kind)) {
            self.queues[queue].forget(slot);
        }
        self.objects.remove(slot);
    }

    /// An object can be found by its name, and hears of its source.
    pub(super) fn enter(&mut self, slot: Slot) {
        let Some(object) = self.objects.get(slot) else { return };
        self.index.insert(key(object.kind, &object.meta.namespace, &object.meta.name), slot);
        self.subscribe(slot);
    }

    pub(super) fn subscribe(&mut self, slot: Slot) {
        if let Some(key) = self.source_key(slot) {
            self.dependants.entry(key).or_default().push(slot);
        }
    }

    pub(super) fn unsubscribe(&mut self, slot: Slot) {
        if let Some(key) = self.source_key(slot)
            && let Some(list) = self.dependants.get_mut(&key)
        {
            list.retain(|s| *s != slot);
            if list.is_empty() {
                self.dependants.remove(&key);
            }
        }
    }

    /// The object whose artifact wakes this one: its source, or the HelmChart that a HelmRelease creates.
    fn source_key(&self, slot: Slot) -> Option<u64> {
        let object = self.objects.get(slot)?;
        if let Some(source) = object.spec.source() {
            return Some(key(source.kind, &source.namespace, &source.name));
        }
        let Spec::Release(spec) = &object.spec else { return None };
        let source = &spec.chart.as_ref()?.source;
        let name = format!("{}-{}", object.meta.namespace, object.meta.name);
        Some(key(Kind::HELM_CHART, &source.namespace, &name))
    }

    fn enqueue(&mut self, queue: usize, slot: Slot, priority: i8) {
        if let Some(object) = self.objects.get_mut(slot) {
            self.queues[queue].add(&mut object.queue, slot, priority);
        }
    }

    /// A pass that may go on now: give it no replies. `None` when all wait.
    pub fn runnable(&mut self, world: &World, now: Time) -> Option<PassId> {
        self.ring(now);
        if let Some(pass) = self.awake.pop() {
            return Some(pass);
        }
        let objects = &mut self.objects;
        for (index, queue) in self.queues.iter_mut().enumerate() {
            if let Some(slot) = queue.take(workers(index, world), objects) {
                let object = objects.get(slot)?;
                let pass = Box::new(Pass::new(slot, object, now));
                return Some(self.start(pass));
            }
        }
        None
    }

    fn start(&mut self, pass: Box<Pass>) -> PassId {
        let free = self.passes.iter().position(Option::is_none).unwrap_or_else(|| {
            self.passes.push(None);
            self.passes.len() - 1
        });
        self.passes[free] = Some(pass);
        PassId(u32::try_from(free).unwrap_or(u32::MAX))
    }

    /// Alarms whose time has come.
    fn ring(&mut self, now: Time) {
        while let Some((at, alarm)) = self.timers.pop(now) {
            match alarm {
                Alarm::Pass(pass) => self.awake.push(pass),
                Alarm::Object(slot) => {
                    let Some(object) = self.objects.get_mut(slot) else { continue };
                    if object.queue.due == Some(at)
                        && let Some(queue) = queue_of(object.kind)
                    {
                        self.queues[queue].add(&mut object.queue, slot, 0);
                    }
                }
            }
        }
    }

    /// The next instant at which a pass may go on; it may be in the past. `None` if only an event can start one.
    #[must_use]
    pub fn next_deadline(&self, world: &World) -> Option<Time> {
        let ready = !self.awake.is_empty()
            || self.queues.iter().enumerate().any(|(index, queue)| queue.is_waiting(workers(index, world)));
        if ready { Some(Time(0)) } else { self.timers.next() }
    }

    /// The object that a pass reconciles.
    #[must_use]
    pub fn slot(&self, pass: PassId) -> Option<Slot> {
        self.passes.get(pass.0 as usize)?.as_ref().map(|p| p.slot)
    }

    /// The calls that a pass waits for, as its last step asked for them.
    #[must_use]
    pub fn asked(&self, pass: PassId) -> &[Op] {
        self.passes.get(pass.0 as usize).and_then(Option::as_deref).map_or(&[], Pass::asked)
    }

    /// Takes a pass on: with the replies to its last calls, in their order, or with none when it was
    /// [`Controllers::runnable`]. After a [`Step::Wait`] it becomes runnable by itself.
    pub fn step(&mut self, world: &World, id: PassId, replies: &[Reply], now: Time) -> Step {
        let Some(mut pass) = self.passes.get_mut(id.0 as usize).and_then(Option::take) else { return Step::Done };
        let published = self.progress.len();
        let mut cx = Context {
            world,
            objects: &mut self.objects,
            index: &self.index,
            seed: self.seed,
            now,
            soonest: &mut self.soonest,
            progress: &mut self.progress,
        };
        let step = pass.step(&mut cx, replies);
        for n in published..self.progress.len() {
            if let Progress::Fetched(slot) = self.progress[n] {
                self.announce(slot);
            }
        }
        match &step {
            Step::Call => self.passes[id.0 as usize] = Some(pass),
            Step::Wait(at) => {
                self.timers.set(*at, Alarm::Pass(id));
                self.passes[id.0 as usize] = Some(pass);
            }
            Step::Done => self.finish(world, &pass, now),
        }
        step
    }

    /// A source has a new artifact: whoever uses it and has not tried that revision is queued.
    fn announce(&mut self, source: Slot) {
        let Some(object) = self.objects.get(source) else { return };
        let revision = object.status.artifact.map(|a| a.revision);
        let key = key(object.kind, &object.meta.namespace, &object.meta.name);
        for slot in self.dependants.get(&key).cloned().unwrap_or_default() {
            let Some(dependant) = self.objects.get_mut(slot) else { continue };
            let status = &dependant.status;
            let done = status.attempted == revision && status.is_ready(dependant.meta.generation);
            if let (Some(queue), false) = (queue_of(dependant.kind), done) {
                self.queues[queue].add(&mut dependant.queue, slot, 0);
            }
        }
    }

    fn finish(&mut self, world: &World, pass: &Pass, now: Time) {
        let slot = pass.slot;
        let Some(object) = self.objects.get_mut(slot) else { return };
        let Some(queue) = queue_of(object.kind) else { return };
        self.queues[queue].done(&mut object.queue, slot);
        if object.gone {
            self.free(slot);
            return;
        }
        let delay = match pass.outcome {
            Outcome::Rest => {
                object.queue.failures = 0;
                return;
            }
            Outcome::After(span) => {
                object.queue.failures = 0;
                span
            }
            Outcome::Backoff => {
                let failures = u32::from(object.queue.failures);
                object.queue.failures = object.queue.failures.saturating_add(1);
                backoff(world, failures)
            }
        };
        if object.queue.ready.is_some() {
            return;
        }
        if delay == Span::ZERO {
            self.queues[queue].add(&mut object.queue, slot, 0);
        } else {
            let at = now + delay;
            object.queue.due = Some(at);
            self.timers.set(at, Alarm::Object(slot));
        }
    }
}

/// client-go's exponential limiter per item.
fn backoff(world: &World, failures: u32) -> Span {
    let factor = 1_u64.checked_shl(failures.min(40)).unwrap_or(u64::MAX);
    Span(world.settings.backoff_base.0.saturating_mul(factor)).min(world.settings.backoff_max)
}
