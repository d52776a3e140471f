//! The simulation: one hub, its managers, its leaves, and the queue of what happens next.

use super::event::Event;
use super::ground::Ground;
use super::hub::Application;
use super::leaf::{Leaf, Out, Shown};
use super::manager::{Managed, Manager, Round, Watches};
use super::queue::{Engine, Queue};
use super::shape::Shapes;
use super::tally::Counts;
use super::{Ending, ManagerOutcome, Outcome};
use crate::calls::{Kind, Target, Verb};
use crate::drive::intent::Intent;
use crate::fleet::{self, World};
use crate::ids::{AddonId, AppId, ChangeId};
use crate::measure::{Ledger, Plan, Signal};
use crate::model::flux::PassId;
use crate::model::hardware::{Direction, Hardware, Site, Used};
use crate::model::prices::Call;
use crate::reconcile::{Rules, Slot, TokenBucket};
use crate::seed::Seed;
use crate::topology;
use crate::units::{Span, Time};
use std::collections::BTreeMap;

/// See the module head.
#[derive(Debug)]
pub(super) struct Simulation<'a> {
    pub(super) ground: Ground<'a>,
    pub(super) shapes: Shapes,
    pub(super) rules: Rules,
    pub(super) queue: Queue<Event>,
    pub(super) now: Time,
    /// Events that happened.
    pub(super) events: u64,
    /// Applications, by app.
    pub(super) hub: Vec<Application>,
    /// What managers know of apps, by app.
    pub(super) apps: Vec<Managed>,
    pub(super) managers: Vec<Manager>,
    /// Managers that must look at their queues.
    pub(super) woken: Vec<u32>,
    pub(super) leaves: Vec<Leaf>,
    pub(super) watches: Vec<Watches>,
    /// The manager's limiter towards each leaf.
    pub(super) buckets: Vec<TokenBucket>,
    /// Calls of managers to each leaf, if they are limited.
    pub(super) leaf_calls: Vec<u32>,
    /// What everything runs on.
    pub(super) hardware: Hardware,
    pub(super) rounds: Slab<Round>,
    /// What watch events on their way show.
    pub(super) shown: Slab<Option<Shown>>,
    pub(super) out: Out,
    /// Applications on the hub, now and at their most.
    pub(super) hub_objects: (u64, u64),
    /// Watch events that the hub sent.
    hub_events: u64,
    /// Calls of the harness.
    pub(super) harness: Counts,
    pub(super) ledger: Ledger,
    /// The next change of the timeline.
    pub(super) next_change: usize,
    /// Commits that the sources have, by add-on.
    pub(super) commits: BTreeMap<AddonId, u32>,
    /// Writes that are on their way.
    pub(super) writing: u64,
    pub(super) refused: Vec<String>,
}

/// A table with free places.
#[derive(Debug)]
pub(super) struct Slab<T> {
    table: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    const fn new() -> Self {
        Self { table: Vec::new(), free: Vec::new() }
    }

    pub(super) fn put(&mut self, value: T) -> u32 {
        if let Some(at) = self.free.pop() {
            self.table[at as usize] = Some(value);
            return at;
        }
        self.table.push(Some(value));
        u32::try_from(self.table.len() - 1).unwrap_or(u32::MAX)
    }

    pub(super) fn take(&mut self, at: u32) -> Option<T> {
        let value = self.table.get_mut(at as usize)?.take()?;
        self.free.push(at);
        Some(value)
    }

    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.table.get_mut(at as usize)?.as_mut()
    }
}

impl<'a> Simulation<'a> {
    pub(super) fn new(ground: Ground<'a>, engine: Engine) -> Self {
        let (scenario, world) = (ground.scenario, ground.world);
        let manager = &scenario.manager;
        let owners = topology::assign(world, &scenario.topology);
        let addons = u32::try_from(world.addons().len()).unwrap_or(u32::MAX);
        let mut apps = Vec::with_capacity(world.app_ids());
        for (leaf, (cluster, owner)) in (0_u32..).zip(world.clusters().ids().zip(&owners)) {
            for (addon, app) in (0_u16..).zip(world.apps_of(cluster)) {
                apps.push(Managed::new(world.app_name(app).into(), owner.0, leaf, addon));
            }
        }
        let leaves = (0..world.clusters().len()).map(|n| Leaf::new(&ground, u64::from(n), n * addons)).collect();
        let clusters = world.clusters().len() as usize;
        Self {
            shapes: Shapes::new(world, &manager.flux_api, manager.behaviour),
            rules: Rules { behaviour: manager.behaviour, client_cache: manager.client_cache },
            queue: Queue::new(engine),
            now: Time(0),
            events: 0,
            hub: vec![Application::default(); world.app_ids()],
            apps,
            managers: (0..scenario.topology.shards.max(1)).map(|shard| Manager::new(scenario, shard)).collect(),
            woken: Vec::new(),
            leaves,
            watches: vec![Watches::default(); clusters],
            buckets: vec![TokenBucket::new(manager.leaf_qps_milli, manager.leaf_burst); clusters],
            leaf_calls: vec![0; if manager.leaf_qps_milli > 0 { clusters } else { 0 }],
            hardware: hardware(&ground),
            rounds: Slab::new(),
            shown: Slab::new(),
            out: Out::new(),
            hub_objects: (0, 0),
            hub_events: 0,
            harness: Counts::new(),
            ledger: Ledger::new(plan(&ground)),
            next_change: 0,
            commits: BTreeMap::new(),
            writing: 0,
            refused: Vec::new(),
            ground,
        }
    }

    /// Puts the first change of the timeline into the queue.
    pub(super) fn begin(&mut self) {
        self.schedule_change();
    }

    /// Lets the next event happen; false when there is none.
    pub(super) fn step(&mut self) -> bool {
        let Some((at, event)) = self.queue.pop() else { return false };
        self.now = self.now.max(at);
        self.events += 1;
        self.happen(event);
        while let Some(shard) = self.woken.pop() {
            self.manager_turn(shard);
        }
        self.ledger.advance(self.now);
        true
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Change => self.change(),
            Event::Write { index, stage, tries } => self.write(index, stage, tries),
            Event::AppSeen { app, what } => self.app_seen(app, what),
            Event::FluxSeen { app, slot, shown } => self.flux_seen(app, slot, shown),
            Event::WatchOpened { leaf, kind } => self.watch_opened(leaf, kind),
            Event::ManagerTurn { shard } => {
                let manager = &mut self.managers[shard as usize];
                if manager.armed == Some(self.now) {
                    manager.armed = None;
                }
                self.manager_turn(shard);
            }
            Event::CallArrives { round, nth } => self.call_arrives(round, nth),
            Event::RoundReplies { round } => self.round_replies(round),
            Event::LeafTurn { leaf } => {
                let at = leaf as usize;
                if self.leaves[at].armed == Some(self.now) {
                    self.leaves[at].armed = None;
                }
                self.leaves[at].turn(&self.ground, self.now, &mut self.out);
                self.leaf_told(leaf);
            }
            Event::PassCalls { leaf, pass } => self.pass_calls(leaf, pass),
        }
    }

    fn pass_calls(&mut self, leaf: u32, pass: PassId) {
        self.leaves[leaf as usize].serve(&self.ground, pass, self.now, &mut self.out);
        self.leaf_told(leaf);
    }

    /// Passes on what came of a leaf's doings, and sets its timer.
    pub(super) fn leaf_told(&mut self, leaf: u32) {
        for signal in self.out.signals.drain(..) {
            self.ledger.take(signal);
        }
        for pass in self.out.passes.drain(..) {
            let calls = self.leaves[leaf as usize].controllers.asked(pass).iter().map(Call::of);
            let done = self.hardware.flux(leaf, calls, self.now);
            self.queue.push(done, Event::PassCalls { leaf, pass });
        }
        let mut shown = std::mem::take(&mut self.out.shown);
        for (app, slot, what) in shown.drain(..) {
            self.tell_manager(leaf, app, slot, what);
        }
        self.out.shown = shown;
        let next = self.leaves[leaf as usize].next_deadline(&self.ground).map(|next| next.max(self.now));
        let armed = &mut self.leaves[leaf as usize].armed;
        if let Some(next) = next.filter(|next| armed.is_none_or(|armed| *next < armed)) {
            *armed = Some(next);
            self.queue.push(next, Event::LeafTurn { leaf });
        }
    }

    /// A watch event leaves the API server, if the kind is watched there.
    fn tell_manager(&mut self, leaf: u32, app: u32, slot: Slot, what: Option<Shown>) {
        let managed = &self.apps[app as usize];
        let kind = managed.app.kinds[slot.index()];
        let open = super::manager::watched(kind).is_some_and(|kind| self.watches[leaf as usize].is_open(kind));
        if open && managed.is_ours() {
            self.managers[managed.shard as usize].watch_events += 1;
            let shown = self.shown.put(what);
            let (site, bytes) = (Site::Leaf(leaf), Call::new(Verb::Get, kind, (false, false)).bytes[1]);
            let sent = self.hardware.tell(site, 1, self.now, self.now);
            let at = self.hardware.travel(site, Direction::Back, sent, bytes);
            self.queue.push(at, Event::FluxSeen { app, slot, shown });
        }
    }

    /// An Application was stored, and is written at `done`: every manager's watch tells of it.
    pub(super) fn committed(&mut self, app: u32, done: Time) {
        let application = &self.hub[app as usize];
        let (news, status) = (application.news(), application.status);
        let what = super::digest::print(&(news.generation, news.gone, news.deleting, status));
        self.out.digest.note(done, u64::from(app), what);
        self.ledger.take(Signal::AppCommitted {
            app: AppId(app),
            at: done,
            generation: u64::from(news.generation),
            deleted: news.gone,
            health: health(status.health),
            sync: sync(status.sync),
            compared: status.compared_to.0,
            revision: status.revision.0,
        });
        self.managers.iter_mut().for_each(|manager| manager.watch_events += 1);
        self.hub_events += self.managers.len() as u64;
        let told = self.hardware.tell(Site::Hub, self.managers.len() as u64, self.now, self.now).max(done);
        let bytes = Call::new(Verb::Get, Kind::APPLICATION, (false, false)).bytes[1];
        let at = self.hardware.travel(Site::Hub, Direction::Back, told, bytes);
        self.queue.push(at, Event::AppSeen { app, what: news });
    }

    /// What it came to.
    pub(super) fn end(self, ending: Ending, state: bool) -> Outcome {
        let known = |shard: u32| self.apps.iter().filter(move |app| app.shard == shard && app.is_ours());
        let cached = |app: &Managed| app.cached.iter().flatten().count() as u64;
        let managers = (0..).zip(&self.managers).map(|(shard, manager)| ManagerOutcome {
            calls: manager.counts.tally(),
            watches: manager.watches,
            watch_events: manager.watch_events,
            apps: known(shard).count() as u64,
            objects: known(shard).map(|app| 1 + cached(app)).sum(),
            cpu: self.hardware.thought(shard),
        });
        Outcome {
            ending,
            digest: self.out.digest.value(),
            events: self.events,
            simulated: self.now.since(Time(0)),
            harness: self.harness.tally(),
            controllers: self.out.counts.tally(),
            managers: managers.collect(),
            objects: [self.hub_objects.1, self.out.objects.1],
            used: self.used(),
            spent: self.hardware.spent(self.out.counts.tally().total()),
            hub_events: self.hub_events,
            state: state.then(|| self.objects()),
            refused: self.refused,
            measured: self.ledger.finish(self.now),
        }
    }

    /// What was used of everything, client-side limiters included.
    fn used(&self) -> Vec<Used> {
        let span = self.now.since(Time(0));
        let mut all = self.hardware.used(span);
        let tokens = |calls: u64, qps_milli: u64| {
            let most = u128::from(qps_milli) * u128::from(span.0) / 1_000_000_000_000;
            u64::try_from(u128::from(calls) * 1_000_000 / most.max(1)).unwrap_or(u64::MAX)
        };
        let manager = &self.ground.scenario.manager;
        for (n, one) in self.managers.iter().enumerate().filter(|_| manager.hub_qps_milli > 0) {
            let tally = one.counts.tally();
            let calls = tally.iter().filter(|(key, _)| key.target == Target::Hub).map(|(_, n)| n).sum();
            let ppm = tokens(calls, manager.hub_qps_milli);
            all.push(Used { what: "hub-qps", whose: format!("manager-{n}"), ppm });
        }
        if let Some(most) = self.leaf_calls.iter().max() {
            let ppm = tokens(u64::from(*most), manager.leaf_qps_milli);
            all.push(Used { what: "leaf-qps", whose: "managers".to_owned(), ppm });
        }
        all
    }

    /// Whether the timeline was played, every change is done and every app healthy.
    pub(super) fn is_settled(&self) -> bool {
        self.next_change >= self.ground.world.changes().len() && self.writing == 0 && self.ledger.is_settled()
    }
}

/// The words of `measure` for a health and a sync state.
fn health(health: Option<crate::reconcile::Health>) -> crate::measure::Health {
    health.map(|health| crate::measure::Health::from_word(health.word())).unwrap_or_default()
}

fn sync(sync: crate::reconcile::Sync) -> crate::measure::Sync {
    crate::measure::Sync::from_word(sync.word())
}

/// What the scenario runs on.
fn hardware(ground: &Ground<'_>) -> Hardware {
    let (scenario, clusters) = (ground.scenario, ground.world.clusters());
    let regions = clusters.ids().map(|id| clusters.region(id));
    Hardware::new(&scenario.model, Seed::new(scenario.run.seed), scenario.topology.shards.max(1), regions)
}

fn plan(ground: &Ground<'_>) -> Plan {
    let installs = ground.world.changes().iter().filter(|c| c.kind == fleet::ChangeKind::Install);
    Plan {
        apps: ground.world.app_ids(),
        install: installs.map(|c| c.app).collect(),
        start: Time(0),
        window: ground.scenario.measure.window,
        slack: Span::ZERO,
        shards: ground.scenario.topology.shards as usize,
    }
}

/// What a change must bring about, at this moment.
pub(super) fn intent<'a>(ground: &'a Ground<'_>, world: &'a World) -> Intent<'a> {
    Intent { world, catalogue: &ground.flux.catalogue, epoch: Time(0) }
}

/// The ledger's number of a change of the timeline.
pub(super) const fn change_id(index: usize) -> ChangeId {
    ChangeId::from_index(index)
}
