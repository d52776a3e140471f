//! One leaf of a simulation: its API server as headers without payload, its Flux and workload controllers.
//!
//! In: calls of managers and strangers, the passage of time. Out: answers, and what others must hear of ([`Out`]). The
//! cluster's own informers see a commit at once; a manager's watch is the simulation's business.
//!
//! An installed object is 32 bytes by its place, because it is called the same on every leaf; a Flux object has 130 more
//! beside what its controller remembers.

mod answer;
mod course;
mod object;
mod rest;

pub(super) use course::{LeafBefore, LeafCourse};
pub(super) use object::{Item, Shown};
pub(super) use rest::LeafRest;

use super::digest::{Digest, print};
use super::ground::Ground;
use super::tally::Counts;
use crate::calls::{ContentId, Kind, Verb};
use crate::ids::{AddonId, AppId};
use crate::measure::{FluxObject, ObjectChange, Signal};
use crate::model::flux::render::Essence;
use crate::model::flux::spec::Spec;
use crate::model::flux::{
    Change, ConditionType, Controllers, Event, Meta, Object, PassId, Progress, Slot as FluxSlot, Step, Truth,
};
use crate::model::workload::{self, Deployment, Workloads};
use crate::reconcile::Slot;
use crate::scenario::DriftKind;
use crate::units::{Offset, Time};
use object::{Head, Stored};
use smallvec::SmallVec;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What others must hear of.
#[derive(Debug)]
pub(super) struct Out {
    /// Passes that wait for answers.
    pub(super) passes: Vec<PassId>,
    /// Flux objects that changed, by app: what they show now, `None` if they are gone.
    pub(super) shown: Vec<(u32, Slot, Option<Shown>)>,
    /// For whoever measures.
    pub(super) signals: Vec<Signal>,
    /// Calls of the cluster's own controllers.
    pub(super) counts: Counts,
    /// Of those, the deployment controller's, which have no price.
    pub(super) unpriced: u64,
    pub(super) digest: Digest,
    /// The clock of the part on which transitions are timed.
    pub(super) clock: Offset,
    /// Transitions since somebody wanted to have them.
    pub(super) notes: Option<Vec<(Time, u64, u64)>>,
    /// Objects in the stores of all leaves, now and at their most.
    pub(super) objects: (u64, u64),
}

impl Out {
    pub(super) fn new() -> Self {
        Self {
            passes: Vec::new(),
            shown: Vec::new(),
            signals: Vec::new(),
            counts: Counts::new(),
            unpriced: 0,
            digest: Digest::default(),
            clock: Offset::default(),
            notes: None,
            objects: (0, 0),
        }
    }

    /// At this time this entity became that.
    pub(super) fn note(&mut self, at: Time, entity: u64, what: u64) {
        self.digest.note(self.clock.to_run(at), entity, what);
        if let Some(notes) = &mut self.notes {
            notes.push((at, entity, what));
        }
    }

    /// An object appeared, or is gone.
    pub(super) fn object(&mut self, came: bool) {
        if came {
            self.objects.0 += 1;
            self.objects.1 = self.objects.1.max(self.objects.0);
        } else {
            self.objects.0 -= 1;
        }
    }
}

#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) controllers: Controllers,
    workloads: Workloads,
    /// Its number in the whole run.
    id: u64,
    /// Its first app within its part; the others follow by add-on.
    first_app: u32,
    /// By the controllers' slot.
    heads: Vec<Option<Head>>,
    /// The Flux objects of each add-on: workload, source.
    slots: Vec<[Option<FluxSlot>; 2]>,
    items: Vec<Item>,
    /// Which object each Deployment of the workload controllers is.
    deployments: Vec<u32>,
    /// ReplicaSets: object and template.
    sets: BTreeSet<(u32, u32)>,
    /// Storage of Helm releases: add-on and revision.
    releases: BTreeSet<(u16, u32)>,
    version: u64,
    /// The timer that is set for it.
    pub(super) armed: Option<Time>,
}

/// Tags of entities in the digest.
const FLUX: u64 = 1 << 60;
const ITEM: u64 = 2 << 60;

impl Leaf {
    /// An empty leaf; `id` fixes its draws.
    pub(super) fn new(ground: &Ground<'_>, id: u64, first_app: u32) -> Self {
        Self {
            controllers: Controllers::new(&ground.flux, id),
            workloads: Workloads::new(ground.flux.seed.entity(id), ground.scenario.run.workload_ready),
            id,
            first_app,
            heads: Vec::new(),
            slots: vec![[None; 2]; ground.world.addons().len()],
            items: vec![Item::default(); ground.items.len()],
            deployments: Vec::new(),
            sets: BTreeSet::new(),
            releases: BTreeSet::new(),
            version: 0,
            armed: None,
        }
    }

    /// Lets every pass go on that may; whether anything happened.
    pub(super) fn turn(&mut self, ground: &Ground<'_>, now: Time, out: &mut Out) -> bool {
        let mut ran = false;
        while let Some(pass) = self.controllers.runnable(&ground.flux, now) {
            if self.controllers.step(&ground.flux, pass, &[], now) == Step::Call {
                out.passes.push(pass);
            }
            ran = true;
        }
        self.settle(ground, now, out) || ran
    }

    /// Answers the calls that a pass waits for and lets it go on.
    pub(super) fn serve(&mut self, ground: &Ground<'_>, pass: PassId, now: Time, out: &mut Out) {
        let ops: SmallVec<[_; 4]> = self.controllers.asked(pass).iter().cloned().collect();
        let replies: SmallVec<[_; 4]> = ops.iter().map(|op| self.answer(ground, op, now, out)).collect();
        if self.controllers.step(&ground.flux, pass, &replies, now) == Step::Call {
            out.passes.push(pass);
        }
        self.settle(ground, now, out);
    }

    /// The deployment controller's calls that are due, which take no time of their own, and what passes have reached.
    fn settle(&mut self, ground: &Ground<'_>, now: Time, out: &mut Out) -> bool {
        let before = out.unpriced;
        while let workload::Step::Call(op) = self.workloads.step(now) {
            let code = if op.verb == Verb::Create { 201 } else { 200 };
            out.counts.add(&op, code);
            out.unpriced += 1;
            match workload::Place::of(op.object) {
                workload::Place::Deployment(slot) if op.body == workload::Write::Available => {
                    let n = self.deployments[slot.0 as usize];
                    let item = &mut self.items[n as usize];
                    item.available = item.generation;
                    let what = print(&("available", item.generation));
                    self.version += 1;
                    out.note(now, ITEM | self.entity(n), what);
                }
                workload::Place::ReplicaSet(slot, template)
                    if op.verb == Verb::Create && self.sets.insert((self.deployments[slot.0 as usize], template)) =>
                {
                    out.object(true);
                }
                _ => {}
            }
        }
        for progress in self.controllers.take_progress() {
            out.signals.extend(self.progress(ground, progress, now));
        }
        out.unpriced > before
    }

    /// The next instant at which something can run.
    pub(super) fn next_deadline(&self, ground: &Ground<'_>) -> Option<Time> {
        [self.controllers.next_deadline(&ground.flux), self.workloads.next_deadline()].into_iter().flatten().min()
    }

    fn progress(&self, ground: &Ground<'_>, progress: Progress, at: Time) -> Option<Signal> {
        let (Progress::Fetched(slot) | Progress::Applied(slot) | Progress::Settled(slot)) = progress;
        let object = self.controllers.object(slot)?;
        // The index that a chart came from is nobody's news.
        if object.kind == Kind::HELM_REPOSITORY {
            return None;
        }
        let head = self.heads.get(slot.0 as usize)?.as_ref()?;
        let (app, status) = (self.app(head.addon), &object.status);
        let generation = u64::from(object.meta.generation);
        Some(match progress {
            Progress::Fetched(_) => {
                let revision = ground.revision(status.artifact.map(|artifact| artifact.revision));
                Signal::Fetched { app, at, generation, revision }
            }
            Progress::Applied(_) => {
                Signal::Applied { app, at, generation, revision: ground.revision(status.attempted) }
            }
            Progress::Settled(_) => {
                let ready = status.condition(ConditionType::Ready).is_some_and(|c| c.truth == Truth::True);
                let revision = ground.revision(status.applied);
                Signal::FluxReady { app, at, ready, generation: u64::from(status.generation), revision }
            }
        })
    }

    fn app(&self, addon: u16) -> AppId {
        AppId(self.first_app + u32::from(addon))
    }

    /// A number for an object of this leaf, no other's.
    fn entity(&self, n: u32) -> u64 {
        self.id << 24 | u64::from(n)
    }

    /// What a manager sees of an app's object.
    pub(super) fn look(&self, ground: &Ground<'_>, addon: u16, slot: Slot) -> Option<Shown> {
        self.show(ground, self.slots[usize::from(addon)][slot.index()]?)
    }

    fn show(&self, ground: &Ground<'_>, slot: FluxSlot) -> Option<Shown> {
        let head = self.heads.get(slot.0 as usize)?.as_ref()?;
        Some(head.shown(ground, self.controllers.object(slot), ground.scenario.manager.behaviour))
    }

    /// A manager writes an app's object: its code and what it shows then.
    #[expect(clippy::too_many_arguments, reason = "an object is its place, its kind, its content and its spec")]
    pub(super) fn write(
        &mut self,
        ground: &Ground<'_>,
        (addon, slot): (u16, Slot),
        (name, kind): (&Arc<str>, Kind),
        content: ContentId,
        spec: impl FnOnce() -> Spec,
        now: Time,
        out: &mut Out,
    ) -> (u16, Option<Shown>) {
        let namespace = &ground.namespaces[usize::from(addon)];
        let code = match self.slots[usize::from(addon)][slot.index()] {
            Some(known) => {
                if self.heads[known.0 as usize].is_some_and(|head| head.content == content) {
                    return (200, self.show(ground, known));
                }
                self.change(ground, known, content, spec(), now, out);
                200
            }
            None => {
                let head = self.fresh(ground, Some(slot), addon, kind, content);
                let created = self.create((namespace, name), head, spec(), now, out);
                self.slots[usize::from(addon)][slot.index()] = created;
                201
            }
        };
        let (app, object) = (self.app(addon), flux_object(slot));
        let shown = self.look(ground, addon, slot);
        let generation = self.slots[usize::from(addon)][slot.index()]
            .and_then(|slot| self.heads[slot.0 as usize])
            .map_or(0, |head| u64::from(head.generation));
        out.signals.push(Signal::Written { app, at: now, object, generation });
        out.shown.push((app.0, slot, shown));
        (code, shown)
    }

    fn fresh(&self, ground: &Ground<'_>, slot: Option<Slot>, addon: u16, kind: Kind, content: ContentId) -> Head {
        let generation = u32::try_from(ground.first_generation(kind)).unwrap_or(1);
        let status = Stored::default();
        Head { slot, addon, kind, generation, finalizer: false, deleting: false, version: 0, content, status }
    }

    /// A Flux object appears.
    fn create(
        &mut self,
        (namespace, name): (&Arc<str>, &Arc<str>),
        mut head: Head,
        spec: Spec,
        now: Time,
        out: &mut Out,
    ) -> Option<FluxSlot> {
        self.version += 1;
        head.version = self.version;
        let meta = Meta {
            namespace: Arc::clone(namespace),
            name: Arc::clone(name),
            version: head.version,
            generation: head.generation,
            ..Meta::default()
        };
        self.controllers.on_event(Event { kind: head.kind, change: Change::Added, meta, spec: Some(spec) });
        let slot = self.controllers.find(head.kind, namespace, name)?;
        let at = slot.0 as usize;
        if self.heads.len() <= at {
            self.heads.resize(at + 1, None);
        }
        self.heads[at] = Some(head);
        out.object(true);
        out.note(now, FLUX | self.entity(slot.0), print(&(head.kind, head.content)));
        Some(slot)
    }

    /// The spec of a Flux object changes.
    fn change(
        &mut self,
        ground: &Ground<'_>,
        slot: FluxSlot,
        content: ContentId,
        spec: Spec,
        now: Time,
        out: &mut Out,
    ) {
        let Some(head) = self.heads[slot.0 as usize].as_mut() else { return };
        self.version += 1;
        head.version = self.version;
        head.content = content;
        let generation = ground.next_generation(head.kind, u64::from(head.generation));
        head.generation = u32::try_from(generation).unwrap_or(u32::MAX);
        let print = print(&(head.generation, content));
        out.note(now, FLUX | self.entity(slot.0), print);
        self.inform(slot, Some(spec));
    }

    /// The controllers' informers see a Flux object as it is now.
    fn inform(&mut self, slot: FluxSlot, spec: Option<Spec>) {
        let Some(head) = self.heads[slot.0 as usize] else { return };
        let Some(object) = self.controllers.object(slot) else { return };
        let meta = Meta {
            version: head.version,
            generation: head.generation,
            deleting: head.deleting,
            finalizer: head.finalizer,
            ..object.meta.clone()
        };
        self.controllers.on_event(Event { kind: head.kind, change: Change::Modified, meta, spec });
    }

    /// A manager deletes an app's object.
    pub(super) fn delete(&mut self, ground: &Ground<'_>, addon: u16, slot: Slot, now: Time, out: &mut Out) -> u16 {
        match self.slots[usize::from(addon)][slot.index()] {
            Some(slot) => self.delete_flux(ground, slot, now, out),
            None => 404,
        }
    }

    fn delete_flux(&mut self, ground: &Ground<'_>, slot: FluxSlot, now: Time, out: &mut Out) -> u16 {
        let Some(head) = self.heads[slot.0 as usize].as_mut() else { return 404 };
        match head.delete(now) {
            None => self.gone(slot, now, out),
            Some(false) => {}
            Some(true) => {
                self.version += 1;
                head.version = self.version;
                out.note(now, FLUX | self.entity(slot.0), 1);
                self.inform(slot, None);
                self.tell_shown(ground, slot, out);
            }
        }
        200
    }

    /// A Flux object is gone.
    fn gone(&mut self, slot: FluxSlot, now: Time, out: &mut Out) {
        let Some(head) = self.heads[slot.0 as usize].take() else { return };
        self.version += 1;
        out.object(false);
        out.note(now, FLUX | self.entity(slot.0), 2);
        if let Some(object) = self.controllers.object(slot) {
            let meta = Meta { version: self.version, deleting: true, ..object.meta.clone() };
            self.controllers.on_event(Event { kind: head.kind, change: Change::Deleted, meta, spec: None });
        }
        if let Some(of_app) = head.slot {
            let app = self.app(head.addon);
            self.slots[usize::from(head.addon)][of_app.index()] = None;
            out.signals.push(Signal::Gone { app, at: now, object: flux_object(of_app) });
            out.shown.push((app.0, of_app, None));
        }
    }

    /// A Flux object of an app as its controller has it.
    pub(super) fn flux(&self, addon: u16, slot: Slot) -> Option<&Object> {
        self.controllers.object(self.slots[usize::from(addon)][slot.index()]?)
    }

    /// How many Flux objects of a kind there are.
    pub(super) fn count(&self, kind: Kind) -> u64 {
        self.heads.iter().flatten().filter(|head| head.kind == kind).count() as u64
    }

    /// The charts of releases.
    pub(super) fn charts(&self) -> impl Iterator<Item = &Object> {
        let charts = (0_u32..).zip(&self.heads).filter(|(_, head)| head.is_some_and(|head| head.slot.is_none()));
        charts.filter_map(|(slot, _)| self.controllers.object(FluxSlot(slot)))
    }

    /// ReplicaSets by the place of their Deployment, and their template.
    pub(super) fn replica_sets(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        self.sets.iter().map(|(n, template)| (*n as usize, *template))
    }

    /// An installed object.
    pub(super) fn item(&self, n: usize) -> &Item {
        &self.items[n]
    }

    fn tell_shown(&self, ground: &Ground<'_>, slot: FluxSlot, out: &mut Out) {
        let Some(head) = self.heads.get(slot.0 as usize).and_then(Option::as_ref) else { return };
        if let Some(of_app) = head.slot {
            out.shown.push((self.app(head.addon).0, of_app, self.show(ground, slot)));
        }
    }

    /// Somebody deletes or edits an installed object; 404 if it is not there.
    pub(super) fn drift(
        &mut self,
        ground: &Ground<'_>,
        n: usize,
        kind: DriftKind,
        now: Time,
        out: &mut Out,
    ) -> (Verb, u16) {
        let verb = if kind == DriftKind::Delete { Verb::Delete } else { Verb::Patch };
        let item = self.items[n];
        if !item.exists {
            return (verb, 404);
        }
        if kind == DriftKind::Delete {
            self.remove_item(ground, n, false, now, out);
        } else {
            // As the live driver edits: replicas of a Deployment, a label of anything else.
            let deployment = ground.items[n].kind == Kind::DEPLOYMENT;
            let replicas = if deployment { DRIFTED_REPLICAS } else { 0 };
            let essence = Essence { content: DRIFTED, replicas, template: item.template };
            self.put_item(ground, n, essence, false, now, out);
        }
        (verb, 200)
    }

    /// An installed object is written: whether it was there.
    fn put_item(
        &mut self,
        ground: &Ground<'_>,
        n: usize,
        essence: Essence,
        by_controller: bool,
        now: Time,
        out: &mut Out,
    ) -> bool {
        let name = &ground.items[n];
        let item = &mut self.items[n];
        let existed = item.exists;
        if existed && item.content == essence.content {
            return true;
        }
        let intent =
            name.kind != Kind::DEPLOYMENT || (item.replicas, item.template) != (essence.replicas, essence.template);
        let generation = match existed {
            false => ground.first_generation(name.kind),
            true if intent => ground.next_generation(name.kind, u64::from(item.generation)),
            true => u64::from(item.generation),
        };
        *item = Item {
            exists: true,
            content: essence.content,
            generation: u32::try_from(generation).unwrap_or(u32::MAX),
            available: if existed { item.available } else { 0 },
            replicas: essence.replicas,
            template: essence.template,
        };
        self.version += 1;
        let change = if existed { ObjectChange::Modified } else { ObjectChange::Added };
        if !existed {
            out.object(true);
        }
        let entity = self.entity(u32::try_from(n).unwrap_or(u32::MAX));
        out.note(now, ITEM | entity, print(&(generation, essence.content)));
        self.tell_item(ground, n, change, by_controller, now, out);
        if name.kind == Kind::DEPLOYMENT {
            self.deploy(ground, n);
        }
        existed
    }

    /// The workload controllers see a Deployment.
    fn deploy(&mut self, ground: &Ground<'_>, n: usize) {
        let (name, item) = (&ground.items[n], self.items[n]);
        let slot = self.workloads.on_change(Deployment {
            namespace: Arc::clone(&ground.namespaces[name.addon.index()]),
            name: Arc::clone(&name.name),
            generation: u64::from(item.generation),
            replicas: item.replicas,
            template: item.template,
        });
        if let Some(slot) = slot {
            let at = slot.0 as usize;
            if self.deployments.len() <= at {
                self.deployments.resize(at + 1, 0);
            }
            self.deployments[at] = u32::try_from(n).unwrap_or(u32::MAX);
        }
    }

    fn remove_item(&mut self, ground: &Ground<'_>, n: usize, by_controller: bool, now: Time, out: &mut Out) {
        let name = &ground.items[n];
        self.items[n] = Item::default();
        self.version += 1;
        out.object(false);
        let n32 = u32::try_from(n).unwrap_or(u32::MAX);
        out.note(now, ITEM | self.entity(n32), 2);
        self.tell_item(ground, n, ObjectChange::Deleted, by_controller, now, out);
        if name.kind == Kind::DEPLOYMENT {
            self.workloads.on_delete(&ground.namespaces[name.addon.index()], &name.name);
            // The garbage collector takes its ReplicaSets.
            let mine: SmallVec<[(u32, u32); 2]> = self.sets.range((n32, 0)..=(n32, u32::MAX)).copied().collect();
            for set in mine {
                self.sets.remove(&set);
                out.object(false);
            }
        }
    }

    fn tell_item(
        &self,
        ground: &Ground<'_>,
        n: usize,
        change: ObjectChange,
        by_controller: bool,
        at: Time,
        out: &mut Out,
    ) {
        let name = &ground.items[n];
        let app = AppId(self.first_app + name.addon.0);
        out.signals.push(Signal::ObjectChanged { app, at, object: name.print, change, by_controller });
    }
}

/// What a stranger makes of an object.
const DRIFTED: ContentId = ContentId(2);
/// As the live driver's edit of a Deployment.
const DRIFTED_REPLICAS: u32 = 7;

const fn flux_object(slot: Slot) -> FluxObject {
    match slot {
        Slot::Workload => FluxObject::Workload,
        Slot::Source => FluxObject::Source,
    }
}

fn addon(id: AddonId) -> u16 {
    u16::try_from(id.0).unwrap_or(u16::MAX)
}
