//! The simulation: one hub, its controllers, its destinations, and the queue of what happens next.

use super::control::Controller;
use super::event::Event;
use super::leaf::Destination;
use super::passes::Pass;
use crate::drive::virtual_time::Options;
use crate::drive::virtual_time::ground::Ground;
use crate::drive::virtual_time::leaf::{Leaf, Out};
use crate::drive::virtual_time::queue::Queue;
use crate::drive::virtual_time::shape::Shapes;
use crate::drive::virtual_time::sim::Slab;
use crate::drive::virtual_time::tally::Counts;
use crate::fleet::ChangeKind;
use crate::fleet::{Target, World};
use crate::ids::AddonId;
use crate::measure::{Ledger, Plan, Progress};
use crate::model::argo::costs::Costs;
use crate::model::argo::{self, App, Settings, Version};
use crate::model::hardware::Hardware;
use crate::model::machine::Cpu;
use crate::scenario::{ArgoVersion, Delay, ManagerKind, Scenario};
use crate::seed::Seed;
use crate::topology;
use crate::units::{Span, Time};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is known of an app beside its Application.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) shard: u32,
    pub(super) cluster: u32,
    pub(super) addon: u16,
    /// What the Application asks for.
    pub(super) target: Target,
    /// Its first object among all destinations' objects.
    pub(super) first: u32,
    /// The revision that the repo-server has manifests of.
    pub(super) rendered: u64,
    /// Writes to its objects so far.
    pub(super) writes: u32,
    /// Its Deployments are available.
    pub(super) available: bool,
    /// The next draw of its jitter.
    pub(super) draws: u32,
}

/// A repository and what the repo-server knows of its head.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Repository {
    /// Commits so far.
    pub(super) commits: u32,
    /// As many as there were when its head was asked for last, and when that was.
    pub(super) known: u32,
    pub(super) asked: Option<Time>,
}

/// See the module head.
#[derive(Debug)]
pub(super) struct Simulation<'a> {
    pub(super) ground: Ground<'a>,
    pub(super) settings: Settings,
    pub(super) loopback: bool,
    pub(super) shapes: Shapes,
    pub(super) queue: Queue<Event>,
    pub(super) now: Time,
    pub(super) events: u64,
    pub(super) apps: Vec<App>,
    pub(super) places: Vec<Place>,
    pub(super) names: Vec<Arc<str>>,
    /// Kinds of each add-on's objects, in the order of application.
    pub(super) kinds: Vec<Arc<[crate::calls::Kind]>>,
    pub(super) controllers: Vec<Controller>,
    pub(super) destinations: Vec<Destination>,
    /// Objects of all apps: what is stored, and what the cluster cache has. 0 is nothing.
    pub(super) stored: Vec<u64>,
    pub(super) cached: Vec<u64>,
    pub(super) machines: Vec<Cpu>,
    /// Everything runs on the first machine.
    pub(super) shared: bool,
    /// The hub's API server, where it is not on that machine.
    pub(super) hub: Cpu,
    pub(super) passes: Slab<Pass>,
    pub(super) leaves: Vec<Leaf>,
    /// What the Flux controllers of the leaves run on.
    pub(super) hardware: Hardware,
    /// One way between a controller and an API server.
    pub(super) way: Span,
    pub(super) out: Out,
    pub(super) repositories: Vec<Repository>,
    /// The repository of each add-on, and the commits of it that changed the add-on.
    pub(super) repository_of: Vec<usize>,
    pub(super) touched: Vec<Vec<u32>>,
    pub(super) ledger: Ledger,
    pub(super) next_change: usize,
    pub(super) commits: BTreeMap<AddonId, u32>,
    pub(super) writing: u64,
    pub(super) harness: Counts,
    pub(super) destination_counts: Counts,
    pub(super) hub_objects: (u64, u64),
    pub(super) hub_events: u64,
    pub(super) repo_cpu: Span,
    pub(super) server_cpu: Span,
    pub(super) refused: Vec<String>,
    pub(super) seed: Seed,
    /// What a recompute of the shards costs: nothing but with consistent hashing.
    pub(super) recompute: Span,
    sampled: Time,
}

/// How often the queues are looked at for the time series.
const SAMPLE: Span = Span::from_secs(1);

impl<'a> Simulation<'a> {
    pub(super) fn new(scenario: &'a Scenario, world: &'a World, options: Options) -> Self {
        let ground = Ground::new(scenario, world);
        let argo = scenario.manager.kind.argo().unwrap_or_default();
        let loopback = matches!(scenario.manager.kind, ManagerKind::Flamingo(_));
        let settings = Settings {
            version: match argo.version {
                ArgoVersion::V2 => Version::V2,
                ArgoVersion::V3 => Version::V3,
                ArgoVersion::V36 => Version::V36,
            },
            resync: scenario.manager.resync,
            costs: Costs::default(),
        };
        let (machines, shared) = machines(scenario, argo.nodes);
        let controllers = (0..scenario.topology.shards.max(1) as usize)
            .map(|n| Controller::new(scenario, argo, world.app_ids(), n % machines.len()))
            .collect();
        let clusters = world.clusters().len();
        let addons = u32::try_from(world.addons().len()).unwrap_or(u32::MAX);
        let kinds: Vec<_> = (0..addons).map(|n| super::leaf::kinds(&ground, loopback, AddonId(n))).collect();
        let (places, objects) = places(scenario, world, &kinds);
        let (repository_of, repositories) = repositories(world);
        let leaves = if loopback { 0..clusters } else { 0..0 };
        Self {
            settings,
            loopback,
            shapes: Shapes::new(world, &scenario.manager.flux_api, scenario.manager.behaviour),
            queue: Queue::new(options.engine),
            now: Time(0),
            events: 0,
            apps: vec![App::default(); world.app_ids()],
            names: (0..world.app_ids()).map(|n| world.app_name(crate::ids::AppId::from_index(n)).into()).collect(),
            places,
            kinds,
            controllers,
            destinations: vec![Destination::default(); clusters as usize],
            stored: vec![0; objects],
            cached: vec![0; objects],
            machines,
            shared,
            hub: Cpu::new(scenario.model.hub.milli),
            passes: Slab::new(),
            leaves: leaves.map(|n| Leaf::new(&ground, u64::from(n), n * addons)).collect(),
            hardware: hardware(scenario, world),
            way: mean(scenario.model.network.way.latency),
            out: Out::new(),
            touched: vec![Vec::new(); repository_of.len()],
            repositories: vec![Repository::default(); repositories],
            repository_of,
            ledger: Ledger::new(plan(scenario, world)),
            next_change: 0,
            commits: BTreeMap::new(),
            writing: 0,
            harness: Counts::new(),
            destination_counts: Counts::new(),
            hub_objects: (0, 0),
            hub_events: 0,
            repo_cpu: Span::ZERO,
            server_cpu: Span::ZERO,
            refused: Vec::new(),
            seed: Seed::new(scenario.run.seed).child("argo"),
            recompute: recompute(scenario, &settings),
            sampled: Time(0),
            ground,
        }
    }
}

impl Simulation<'_> {
    /// The first change of the timeline, and the first tick of every informer.
    pub(super) fn begin(&mut self) {
        self.schedule_change();
        for shard in 0..u32::try_from(self.controllers.len()).unwrap_or(u32::MAX) {
            self.queue.push(self.now + self.settings.resync, Event::Tick { shard });
        }
    }

    /// Lets the next event happen; false when there is none.
    pub(super) fn step(&mut self) -> bool {
        let Some((at, event)) = self.queue.pop() else { return false };
        self.now = self.now.max(at);
        self.events += 1;
        self.happen(event);
        if self.now.since(self.sampled) >= SAMPLE {
            self.sample();
        }
        self.ledger.advance(self.now);
        true
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Change => self.change(),
            Event::Write { index } => self.write(index),
            Event::AppSeen { app } => self.app_seen(app),
            Event::Refresh { app, level } => self.refresh(app, level),
            Event::Tick { shard } => self.tick(shard),
            Event::Go { pass } => self.go(pass),
            Event::Slice { pass, left } => self.think(pass, Span(left)),
            Event::Arrive { pass, nth } => self.arrive(pass, nth),
            Event::Reply { pass } => self.reply(pass),
            Event::Lone { app, effect } => self.lone(app, effect),
            Event::Heard { app } => self.heard(app),
            Event::Available { app, write } => self.available(app, write),
            Event::Cluster { cluster, step } => self.cluster(cluster, step),
            Event::Relist { cluster } => self.relist(cluster),
            Event::LeafTurn { leaf } => {
                let at = leaf as usize;
                if self.leaves[at].armed == Some(self.now) {
                    self.leaves[at].armed = None;
                }
                self.leaves[at].turn(&self.ground, self.now, &mut self.out);
                self.leaf_told(leaf);
            }
            Event::PassCalls { leaf, pass } => {
                self.leaves[leaf as usize].serve(&self.ground, pass, self.now, &mut self.out);
                self.leaf_told(leaf);
            }
        }
    }

    /// Whether the timeline was played, every change is done and every app healthy.
    pub(super) fn is_settled(&self) -> bool {
        self.next_change >= self.ground.world.changes().len() && self.writing == 0 && self.ledger.is_settled()
    }

    pub(super) const fn progress(&self) -> Progress {
        self.ledger.progress()
    }

    /// Controllers that a tick of the informer makes look at all their apps, each after its jitter.
    fn tick(&mut self, shard: u32) {
        let jitter = self.ground.scenario.manager.resync_jitter;
        let seed = self.seed.child("jitter");
        for app in 0..u32::try_from(self.apps.len()).unwrap_or(u32::MAX) {
            let place = &mut self.places[app as usize];
            if place.shard != shard || !self.apps[app as usize].exists {
                continue;
            }
            place.draws += 1;
            let after = seed.entity(u64::from(app)).span(u64::from(place.draws), Span::ZERO, jitter);
            self.queue.push(self.now + after, Event::Refresh { app, level: None });
        }
        self.queue.push(self.now + self.settings.resync, Event::Tick { shard });
    }

    /// An app is put into the refresh queue.
    pub(super) fn refresh(&mut self, app: u32, level: Option<argo::Level>) {
        if let Some(level) = level {
            self.apps[app as usize].request(level);
        }
        let shard = self.places[app as usize].shard;
        self.controllers[shard as usize].refreshes.add(app, self.now);
        self.pump(shard);
    }

    /// The watch of Applications tells of one.
    fn app_seen(&mut self, app: u32) {
        let (place, exists) = (self.places[app as usize], self.apps[app as usize].exists);
        let controller = &mut self.controllers[place.shard as usize];
        controller.used.watch_events += 1;
        let seen = crate::measure::Signal::Seen {
            app: crate::ids::AppId(app),
            at: self.now,
            generation: u64::from(self.apps[app as usize].generation),
            shard: place.shard,
        };
        self.ledger.take(seen);
        // An app that is new or gone makes consistent hashing compute all shards anew, in the informer's handler.
        if self.recompute > Span::ZERO && (!exists || self.apps[app as usize].generation == 1) {
            controller.handler = controller.handler.max(self.now) + self.recompute;
            controller.used.recompute += self.recompute;
            controller.used.cpu += self.recompute;
        }
        if controller.handler > self.now {
            self.queue.push(controller.handler, Event::Refresh { app, level: None });
        } else {
            self.refresh(app, None);
        }
    }

    /// The lengths of the queues now.
    fn sample(&mut self) {
        self.sampled = self.now;
        for (shard, controller) in (0_u32..).zip(&self.controllers) {
            let waiting = controller.refreshes.len() + controller.operations.len();
            let ready = u32::try_from(waiting).unwrap_or(u32::MAX);
            self.ledger.take(crate::measure::Signal::QueueDepth { shard, at: self.now, ready, waiting: 0 });
        }
    }

    /// CPU on a controller's machine: when it is done.
    pub(super) fn work(&mut self, shard: u32, cost: Span) -> Time {
        let controller = &mut self.controllers[shard as usize];
        controller.used.cpu += cost;
        let machine = controller.machine;
        self.machines[machine].work(self.now, cost)
    }

    /// CPU of the hub's API server, or of a destination's, which is its own unless all share one machine.
    pub(super) fn serve(&mut self, hub: bool) -> Time {
        let cost = self.settings.costs.call;
        self.server_cpu += cost;
        if self.shared {
            return self.machines[0].work(self.now, cost);
        }
        if hub { self.hub.work(self.now, cost) } else { self.now + cost }
    }
}

/// The machines of the controllers, and whether everything else runs on the first one too.
fn machines(scenario: &Scenario, nodes: u32) -> (Vec<Cpu>, bool) {
    if let Some(cores) = scenario.model.host {
        return (vec![Cpu::new(cores * 1_000)], true);
    }
    let shards = scenario.topology.shards.max(1);
    let nodes = if nodes == 0 { shards } else { nodes.min(shards) };
    ((0..nodes).map(|_| Cpu::new(scenario.model.manager.milli)).collect(), false)
}

/// What a recompute of all shards costs: the ring is built anew for every cluster.
fn recompute(scenario: &Scenario, settings: &Settings) -> Span {
    let (shards, clusters) = (u64::from(scenario.topology.shards), u64::from(scenario.fleet.clusters));
    let ring = scenario.topology.scheme == crate::scenario::Scheme::ConsistentHashing && shards > 1;
    if ring { settings.costs.ring.scaled(shards * clusters, 1) } else { Span::ZERO }
}

/// Where each app is, and how many objects there are in all.
fn places(scenario: &Scenario, world: &World, kinds: &[Arc<[crate::calls::Kind]>]) -> (Vec<Place>, usize) {
    let owners = topology::assign(world, &scenario.topology);
    let (mut places, mut objects) = (Vec::with_capacity(world.app_ids()), 0_u32);
    for (cluster, (id, owner)) in (0_u32..).zip(world.clusters().ids().zip(&owners)) {
        for (addon, _) in (0_u16..).zip(world.apps_of(id)) {
            places.push(Place {
                shard: owner.0,
                cluster,
                addon,
                target: Target::default(),
                first: objects,
                rendered: 0,
                writes: 0,
                available: false,
                draws: 0,
            });
            objects += u32::try_from(kinds[usize::from(addon)].len()).unwrap_or(u32::MAX);
        }
    }
    (places, objects as usize)
}

/// The repository of each add-on, and how many there are.
fn repositories(world: &World) -> (Vec<usize>, usize) {
    let mut urls: Vec<&str> = Vec::new();
    let of = world.addons().iter().map(|addon| {
        urls.iter().position(|url| *url == addon.repo_url).unwrap_or_else(|| {
            urls.push(&addon.repo_url);
            urls.len() - 1
        })
    });
    let of: Vec<usize> = of.collect();
    (of, urls.len())
}

/// The mean of a latency: what a call takes here decides nothing by its spread.
fn mean(delay: Delay) -> Span {
    match delay {
        Delay::Fixed(span) | Delay::Exponential { mean: span } => span,
        Delay::Uniform { min, max } => Span(min.0.midpoint(max.0)),
    }
}

/// What the Flux controllers of the leaves run on.
fn hardware(scenario: &Scenario, world: &World) -> Hardware {
    let clusters = world.clusters();
    let regions = clusters.ids().map(|id| clusters.region(id));
    Hardware::new(
        &std::sync::Arc::new(scenario.model.clone()),
        Seed::new(scenario.run.seed),
        scenario.topology.shards.max(1),
        regions,
    )
}

fn plan(scenario: &Scenario, world: &World) -> Plan {
    let installs = world.changes().iter().filter(|change| change.kind == ChangeKind::Install);
    let shards = scenario.topology.shards.max(1);
    Plan {
        apps: world.app_ids(),
        install: installs.map(|change| change.app).collect(),
        start: Time(0),
        window: scenario.measure.window,
        slack: Span::ZERO,
        shards: shards as usize,
        managers: shards.into(),
    }
}
