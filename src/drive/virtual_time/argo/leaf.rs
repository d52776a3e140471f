//! Destinations: their objects, the cluster caches that watch them, and Flux on them where the loopback step is taken.

use super::event::Event;
use super::sim::Simulation;
use crate::calls::{Kind, Target, Verb};
use crate::drive::virtual_time::ground::Ground;
use crate::ids::{AddonId, AppId};
use crate::measure::{ObjectChange, Signal};
use crate::model::argo::{Call, Compared, Effect, Health, Level, Live, Version, cluster};
use crate::model::prices::Call as Price;
use crate::reconcile::{self, Slot};
use crate::seed::Seed;
use crate::units::{Span, Time};
use smallvec::SmallVec;
use std::sync::Arc;

/// A destination as a controller has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Destination {
    cache: Cache,
    /// Passes that wait for it.
    waiting: Vec<u32>,
}

/// The state of a cluster cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Cache {
    #[default]
    Cold,
    Starting,
    Warm,
}

/// Until a stored object is in the cluster cache: the way, and the batch (every 100 ms at most; the recorded syncs that
/// saw their own objects in time bound it).
const BATCH: Span = Span::from_millis(20);
/// Until kube-controller-manager has a Deployment of no replicas Available (measured: 25 ms).
const DEPLOYMENT: Span = Span::from_millis(25);
/// Calls of kube-controller-manager per Deployment (measured).
const DEPLOYMENT_CALLS: [(Verb, Kind, bool); 4] = [
    (Verb::Create, Kind::REPLICA_SET, false),
    (Verb::Update, Kind::DEPLOYMENT, true),
    (Verb::Update, Kind::REPLICA_SET, true),
    (Verb::Update, Kind::DEPLOYMENT, true),
];

/// The kinds of an add-on's objects on the destination: what it installs, or its two Flux objects.
pub(super) fn kinds(ground: &Ground<'_>, loopback: bool, addon: AddonId) -> Arc<[Kind]> {
    use crate::scenario::Delivery;
    if !loopback || !ground.world.addons()[addon.index()].flux_subsystem {
        return ground.flux.catalogue.items(addon).iter().map(|item| item.kind).collect();
    }
    Arc::from(match ground.world.addons()[addon.index()].delivery {
        Delivery::Git => [Kind::KUSTOMIZATION, Kind::GIT_REPOSITORY],
        Delivery::Oci => [Kind::KUSTOMIZATION, Kind::OCI_REPOSITORY],
        Delivery::Helm => [Kind::HELM_RELEASE, Kind::HELM_REPOSITORY],
    })
}

/// Kinds whose content a new revision changes; the others stay as they are.
const fn changes(kind: Kind) -> bool {
    kind.index() == Kind::CONFIG_MAP.index() || kind.index() == Kind::DEPLOYMENT.index()
}

/// Kinds with a health check: only they can be missing (recorded: an app of ConfigMaps is Healthy before its sync).
const fn has_health(kind: Kind) -> bool {
    kind.index() == Kind::DEPLOYMENT.index() || kind.index() == Kind::SERVICE.index()
}

impl Simulation<'_> {
    /// Whether an app takes the loopback step.
    pub(super) fn is_loopback(&self, app: u32) -> bool {
        self.loopback && self.ground.world.addon(AppId(app)).flux_subsystem
    }

    /// The kinds of a loopback app's objects, and whether the leaf has one of them.
    pub(super) fn flux_objects(&self, app: u32) -> Option<([Kind; 2], bool)> {
        if !self.is_loopback(app) {
            return None;
        }
        let place = self.places[app as usize];
        let kinds = &self.kinds[usize::from(place.addon)];
        let leaf = &self.leaves[place.cluster as usize];
        let there = Slot::BOTH.into_iter().any(|slot| leaf.look(&self.ground, place.addon, slot).is_some());
        Some(([kinds[0], kinds[1]], there))
    }

    /// The revision that an app's target is at, as far as the repo-server knows; never 0.
    pub(super) fn revision(&self, app: u32) -> u64 {
        let place = &self.places[app as usize];
        let addon = usize::from(place.addon);
        let known = self.repositories[self.repository_of[addon]].known;
        self.revision_at(app, known)
    }

    /// The same when its repository has so many commits.
    pub(super) fn revision_at(&self, app: u32, commits: u32) -> u64 {
        let place = &self.places[app as usize];
        let addon = usize::from(place.addon);
        let mine = self.touched[addon].iter().filter(|at| **at <= commits).count() as u64;
        let target = u64::from(place.target.version) << 32 | u64::from(place.target.values.0);
        Seed::new(mine).entity(target).bits(addon as u64).max(2)
    }

    /// What an object is at a revision: never 0.
    fn content(&self, app: u32, n: u16, revision: u64) -> u64 {
        let kind = self.kinds[usize::from(self.places[app as usize].addon)][usize::from(n)];
        if changes(kind) { revision } else { 1 }
    }

    /// Compares what an app wants with what the cluster cache has.
    pub(super) fn look(&mut self, app: u32, revision: u64) -> (Compared, SmallVec<[Live; 4]>) {
        if self.is_loopback(app) {
            return self.look_at_flux(app);
        }
        let place = self.places[app as usize];
        let kinds = Arc::clone(&self.kinds[usize::from(place.addon)]);
        let mut live: SmallVec<[Live; 4]> = SmallVec::new();
        for (n, _) in (0_u16..).zip(kinds.iter()) {
            let cached = self.cached[place.first as usize + usize::from(n)];
            live.push(match cached {
                0 => Live::Absent,
                cached if cached == self.content(app, n, revision) => Live::Same,
                _ => Live::Differs,
            });
        }
        let missing = |(kind, live): (&Kind, &Live)| *live == Live::Absent && has_health(*kind);
        let health = if kinds.iter().zip(&live).any(missing) {
            Health::Missing
        } else if kinds.contains(&Kind::DEPLOYMENT) && !place.available {
            Health::Progressing
        } else {
            Health::Healthy
        };
        (Compared { out_of_sync: out_of_sync(&live), health }, live)
    }

    /// The two Flux objects were read just now.
    fn look_at_flux(&mut self, app: u32) -> (Compared, SmallVec<[Live; 4]>) {
        let place = self.places[app as usize];
        let shape = self.shapes.of(self.ground.world, &self.ground.flux.catalogue, AppId(app), place.target);
        let (mut live, mut worst) = (SmallVec::new(), Health::Healthy);
        for slot in Slot::BOTH {
            let shown = self.leaves[place.cluster as usize].look(&self.ground, place.addon, slot);
            let health = shown.map_or(Some(reconcile::Health::Missing), |shown| shown.health);
            worst = worst.max(word(health));
            live.push(match shown {
                // Nothing tracks them, so a deletion finds nothing.
                _ if self.apps[app as usize].deleting => Live::Absent,
                None => Live::Absent,
                Some(shown) if shown.content == shape.desired[slot.index()] => Live::Same,
                Some(_) => Live::Differs,
            });
        }
        (Compared { out_of_sync: out_of_sync(&live), health: worst }, live)
    }

    /// A call arrives at a destination: its code.
    pub(super) fn on_destination(&mut self, app: u32, call: Call, revision: u64, done: Time) -> u16 {
        let Some(n) = call.object else { return 200 };
        if self.is_loopback(app) {
            return self.on_flux(app, call, n);
        }
        let place = self.places[app as usize];
        let at = place.first as usize + usize::from(n);
        let existed = self.stored[at] != 0;
        let print = self.object_print(app, n);
        let (change, becomes) = match call.effect {
            Effect::Object(_) => {
                let change = if existed { ObjectChange::Modified } else { ObjectChange::Added };
                (change, self.content(app, n, revision))
            }
            Effect::Remove(_) if existed => (ObjectChange::Deleted, 0),
            _ => return if existed { 200 } else { 404 },
        };
        self.stored[at] = becomes;
        self.out.objects.0 = self.out.objects.0 + u64::from(!existed) - u64::from(change == ObjectChange::Deleted);
        self.out.objects.1 = self.out.objects.1.max(self.out.objects.0);
        self.out.digest.note(done, 1 << 62 | at as u64, becomes);
        self.ledger.take(Signal::ObjectChanged {
            app: AppId(app),
            at: done,
            object: print,
            change,
            by_controller: true,
        });
        if call.kind == Kind::DEPLOYMENT && change != ObjectChange::Deleted {
            self.deploy(app, done);
        }
        let batch = if self.settings.version == Version::V2 { Span::ZERO } else { BATCH };
        self.queue.push(done + self.way + batch, Event::Heard { app });
        if existed { 200 } else { 201 }
    }

    /// kube-controller-manager brings a Deployment about.
    fn deploy(&mut self, app: u32, done: Time) {
        let place = &mut self.places[app as usize];
        place.writes += 1;
        place.available = false;
        let (write, seed) = (place.writes, self.seed.child("ready").entity(u64::from(app)));
        let ready = self.ground.scenario.run.workload_ready.draw(seed, u64::from(write));
        for (verb, kind, status) in DEPLOYMENT_CALLS {
            let code = if verb == Verb::Create { 201 } else { 200 };
            self.destination_counts.add_key(Target::Leaf, verb, kind, (status, false), code);
            if self.shared {
                self.serve(false);
            }
        }
        self.queue.push(done + DEPLOYMENT + ready, Event::Available { app, write });
    }

    /// The Deployments of an app are available.
    pub(super) fn available(&mut self, app: u32, write: u32) {
        let place = &mut self.places[app as usize];
        if place.writes == write {
            place.available = true;
            self.heard(app);
        }
    }

    /// How signals call an object.
    fn object_print(&self, app: u32, n: u16) -> u64 {
        let addon = self.ground.world.addon_of(AppId(app));
        self.ground.items[self.ground.item(addon, n)].print
    }

    /// The cluster cache hears of an app's objects: a refresh at level 1, folded into one that waits already.
    pub(super) fn heard(&mut self, app: u32) {
        let place = self.places[app as usize];
        let objects = place.first as usize..place.first as usize + self.kinds[usize::from(place.addon)].len();
        self.cached[objects.clone()].copy_from_slice(&self.stored[objects]);
        self.controllers[place.shard as usize].used.watch_events += 1;
        self.refresh(app, Some(Level::Recent));
    }

    /// A pass needs the cluster cache: true if it is there.
    pub(super) fn on_cluster(&mut self, pass: u32, cluster: u32) -> bool {
        let at = &mut self.destinations[cluster as usize];
        match at.cache {
            Cache::Warm => return true,
            Cache::Starting => at.waiting.push(pass),
            Cache::Cold => {
                at.cache = Cache::Starting;
                at.waiting.push(pass);
                self.queue.push(self.now, Event::Cluster { cluster, step: 0 });
            }
        }
        false
    }

    /// A step of the start of a cluster cache: discovery one by one, its documents, the lists, the watches.
    pub(super) fn cluster(&mut self, cluster: u32, step: u8) {
        let shard = self.shard_of(cluster);
        let costs = self.settings.costs;
        let way = self.way;
        let discovery = u8::try_from(cluster::DISCOVERY).unwrap_or(u8::MAX);
        let next = match step {
            step if step < discovery => {
                let kind = Kind::CUSTOM_RESOURCE_DEFINITION;
                self.count(shard, Verb::Discover, kind, 1);
                self.serve(false) + way + way
            }
            step if step == discovery => self.work(shard, costs.cluster),
            step if step == discovery + 1 => {
                self.lists(cluster);
                let rounds = u64::from(cluster::KINDS.div_ceil(cluster::LISTS_AT_ONCE));
                self.work(shard, Span::ZERO) + Span(way.0 * 2 * rounds)
            }
            _ => {
                let at = &mut self.destinations[cluster as usize];
                at.cache = Cache::Warm;
                for pass in std::mem::take(&mut at.waiting) {
                    self.queue.push(self.now, Event::Go { pass });
                }
                self.controllers[shard as usize].used.clusters += 1;
                self.queue.push(self.now + cluster::RELIST, Event::Relist { cluster });
                return;
            }
        };
        self.queue.push(next, Event::Cluster { cluster, step: step + 1 });
    }

    /// Every watch starts over with a list of its own.
    pub(super) fn relist(&mut self, cluster: u32) {
        self.lists(cluster);
        self.queue.push(self.now + cluster::RELIST, Event::Relist { cluster });
    }

    fn lists(&mut self, cluster: u32) {
        let shard = self.shard_of(cluster);
        for _ in 0..cluster::KINDS {
            self.work(shard, self.settings.costs.list);
            if self.shared {
                self.serve(false);
            }
        }
        let (kind, count) = (Kind::CUSTOM_RESOURCE_DEFINITION, u64::from(cluster::KINDS));
        self.count(shard, Verb::List, kind, count);
        self.count(shard, Verb::Watch, kind, count);
    }

    fn count(&mut self, shard: u32, verb: Verb, kind: Kind, times: u64) {
        let counts = &mut self.controllers[shard as usize].counts;
        for _ in 0..times {
            counts.add_key(Target::Leaf, verb, kind, (false, false), 200);
        }
    }

    fn shard_of(&self, cluster: u32) -> u32 {
        let addons = self.ground.world.addons().len();
        self.places[cluster as usize * addons].shard
    }
}

fn out_of_sync(live: &[Live]) -> u16 {
    u16::try_from(live.iter().filter(|live| **live != Live::Same).count()).unwrap_or(u16::MAX)
}

/// The health of a Flux object in the words of the model.
const fn word(health: Option<reconcile::Health>) -> Health {
    match health {
        None | Some(reconcile::Health::Healthy) => Health::Healthy,
        Some(reconcile::Health::Progressing | reconcile::Health::Suspended) => Health::Progressing,
        Some(reconcile::Health::Missing) => Health::Missing,
        Some(reconcile::Health::Degraded) => Health::Degraded,
        Some(reconcile::Health::Unknown) => Health::Unknown,
    }
}

/// Flux on the leaves of loopback apps.
impl Simulation<'_> {
    fn on_flux(&mut self, app: u32, call: Call, n: u16) -> u16 {
        let place = self.places[app as usize];
        let slot = Slot::BOTH[usize::from(n)];
        let leaf = &mut self.leaves[place.cluster as usize];
        if !matches!(call.effect, Effect::Object(_)) {
            return if leaf.look(&self.ground, place.addon, slot).is_some() { 200 } else { 404 };
        }
        let shape = self.shapes.of(self.ground.world, &self.ground.flux.catalogue, AppId(app), place.target);
        let (kind, content) = (shape.kinds[slot.index()], shape.contents[slot.index()]);
        let name = Arc::clone(&self.names[app as usize]);
        let spec = || shape.spec(slot, &name);
        let at = (place.addon, slot);
        let (code, _) = leaf.write(&self.ground, at, (&name, kind), content, spec, self.now, &mut self.out);
        leaf.turn(&self.ground, self.now, &mut self.out);
        self.leaf_told(place.cluster);
        code
    }

    /// Passes on what came of a leaf's doings, and sets its timer. Nobody watches: the objects carry no tracking label.
    pub(super) fn leaf_told(&mut self, leaf: u32) {
        for signal in self.out.signals.drain(..) {
            self.ledger.take(signal);
        }
        self.out.shown.clear();
        for pass in self.out.passes.drain(..) {
            let ops = self.leaves[leaf as usize].controllers.asked(pass).iter();
            let done = self.hardware.flux(leaf, ops.map(Price::of), self.now, self.now);
            self.queue.push(done, Event::PassCalls { leaf, pass });
        }
        let next = self.leaves[leaf as usize].next_deadline(&self.ground).map(|next| next.max(self.now));
        let armed = &mut self.leaves[leaf as usize].armed;
        if let Some(next) = next.filter(|next| armed.is_none_or(|armed| *next < armed)) {
            *armed = Some(next);
            self.queue.push(next, Event::LeafTurn { leaf });
        }
    }
}
