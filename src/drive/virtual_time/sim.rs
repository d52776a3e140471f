//! The simulation of one part after another: its hub, its managers, its leaves, and the queue of what happens next.

use super::changes::Turns;
use super::course::Courses;
use super::crew::Crew;
use super::ends::Ends;
use super::event::{Event, Stage};
use super::fold::Folds;
use super::ground::Ground;
use super::hub::Application;
use super::leaf::{Leaf, Out, Shown};
use super::manager::{HUB_WATCHES, Managed, Manager, Round, Watches, watched_kind};
use super::opening::Openings;
use super::parts::{Part, Parts};
use super::queue::Queue;
use super::shape::Shapes;
use super::spoke::Report;
use super::sums::Sums;
use super::telling::{Heard, Listening};
use super::{Ending, Options};
use crate::calls::{Kind, Target, Verb};
use crate::fleet::{self, ChangeKind};
use crate::ids::{AddonId, AppId, ChangeId};
use crate::measure::{Change, Ledger, Plan, Signal};
use crate::model::flux::{ConditionType, PassId, Truth};
use crate::model::hardware::{Hardware, Site};
use crate::model::prices::Call;
use crate::model::trouble::Troubles;
use crate::reconcile::{Health, Rules, Slot, TokenBucket};
use crate::scenario::{Action, Step};
use crate::seed::Seed;
use crate::units::{Offset, Span, Time};
use rustc_hash::FxHashMap;
use std::mem::Discriminant;

/// See the module head.
#[derive(Debug)]
pub(super) struct Simulation<'a> {
    pub(super) ground: &'a Ground<'a>,
    parts: &'a Parts,
    pub(super) part: Part<'a>,
    pub(super) shapes: Shapes,
    /// What apps that differ by their names alone are meant to become.
    pub(super) intents: FxHashMap<(AddonId, fleet::Target, Discriminant<ChangeKind>), Change>,
    pub(super) rules: Rules,
    pub(super) queue: Queue<Event>,
    pub(super) now: Time,
    /// Applications, by app.
    pub(super) hub: Vec<Application>,
    /// What managers know of apps, by app.
    pub(super) apps: Vec<Managed>,
    pub(super) managers: Vec<Manager>,
    /// Whose every leaf is, where managers share a hub.
    pub(super) crew: Option<Box<Crew>>,
    /// Managers that must look at their queues.
    pub(super) woken: Vec<u32>,
    pub(super) leaves: Vec<Leaf>,
    pub(super) watches: Vec<Watches>,
    /// The manager's limiter towards each leaf.
    pub(super) buckets: Vec<TokenBucket>,
    /// Calls of managers to each leaf, if they are limited.
    pub(super) leaf_calls: Vec<u32>,
    /// When the last watch event of each leaf arrives, then of the hub.
    pub(super) heard: Vec<Time>,
    /// What is wrong at the moment, and faults that are not over.
    pub(super) troubles: Troubles,
    pub(super) faults: u32,
    /// What everything runs on.
    pub(super) hardware: Hardware,
    pub(super) rounds: Slab<Round>,
    /// What watch events on their way show.
    pub(super) shown: Slab<Option<Shown>>,
    /// Hub and spoke: what the hub was told last of each app, and what is on its way there.
    pub(super) told: Vec<Report>,
    pub(super) reports: Slab<Signal>,
    pub(super) out: Out,
    /// Applications on the hub, now and at their most.
    pub(super) hub_objects: (u64, u64),
    /// The next change of the timeline.
    pub(super) next_change: usize,
    /// Changes whose writes are not over, and whose turn it is among those of one app.
    pub(super) writing: u64,
    pub(super) turns: Turns,
    /// Watch events about Applications that are on their way.
    pub(super) on_the_way: u64,
    pub(super) folds: Folds,
    pub(super) openings: Openings,
    pub(super) courses: Courses,
    /// What is kept to be told again.
    pub(super) listening: Option<Box<Listening>>,
    /// The clock of this part beside that of the run.
    pub(super) clock: Offset,
    pub(super) ends: Ends,
    /// What all parts so far add up to.
    pub(super) sums: Sums,
    pub(super) ledger: Ledger,
}

/// A table with free places.
#[derive(Debug)]
pub(super) struct Slab<T> {
    table: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(super) const fn new() -> Self {
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

    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.table.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.table.iter().flatten()
    }

    pub(super) fn each_mut(&mut self, f: impl FnMut(&mut T)) {
        self.table.iter_mut().flatten().for_each(f);
    }

    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.table.get_mut(at as usize)?.as_mut()
    }
}

impl<'a> Simulation<'a> {
    /// A simulation that has not begun its first part.
    pub(super) fn new(ground: &'a Ground<'a>, parts: &'a Parts, options: Options) -> Self {
        let (scenario, world) = (ground.scenario, ground.world);
        let manager = &scenario.manager;
        let folds = Folds::new(scenario, !options.unfolded);
        Self {
            openings: Openings::new(scenario, folds.is_on()),
            courses: Courses::default(),
            listening: None,
            folds,
            clock: Offset::default(),
            intents: FxHashMap::default(),
            shapes: Shapes::new(world, &manager.flux_api, manager.behaviour),
            rules: Rules { behaviour: manager.behaviour, client_cache: manager.client_cache },
            queue: Queue::new(options.engine),
            now: Time(0),
            hub: Vec::new(),
            apps: Vec::new(),
            managers: Vec::new(),
            crew: None,
            woken: Vec::new(),
            leaves: Vec::new(),
            watches: Vec::new(),
            buckets: Vec::new(),
            leaf_calls: Vec::new(),
            hardware: Hardware::new(&ground.model, Seed::new(scenario.run.seed), 0, std::iter::empty()),
            heard: Vec::new(),
            troubles: Troubles::new(Seed::new(scenario.run.seed), 0),
            faults: 0,
            rounds: Slab::new(),
            shown: Slab::new(),
            told: Vec::new(),
            reports: Slab::new(),
            out: Out::new(),
            hub_objects: (0, 0),
            next_change: 0,
            writing: 0,
            turns: Turns::default(),
            on_the_way: 0,
            ends: Ends::new(scenario, Offset::default()),
            sums: Sums::new(parts.rows()),
            ledger: Ledger::new(Plan {
                apps: 0,
                install: Vec::new(),
                start: Time(0),
                window: scenario.measure.window,
                slack: Span::ZERO,
                shards: parts.rows() as usize,
                managers: parts.all_managers(),
            })
            .with_owners(world.clusters().len().into()),
            part: parts.part(0),
            parts,
            ground,
        }
    }

    /// Everything is as it is before the first change of a part.
    pub(super) fn begin(&mut self, number: u32) {
        let (ground, part) = (self.ground, self.parts.part(number));
        let (scenario, world) = (ground.scenario, ground.world);
        let manager = &scenario.manager;
        let addons = u32::try_from(world.addons().len()).unwrap_or(u32::MAX);
        self.part = part;
        self.clock = self.clock_of_part();
        self.out.clock = self.clock;
        self.now = Time(0);
        self.queue.clear();
        self.woken.clear();
        self.on_the_way = 0;
        self.folds.begin();
        self.courses.begin();
        self.out.notes = None;
        (self.rounds, self.shown, self.reports) = (Slab::new(), Slab::new(), Slab::new());
        self.told.clear();
        self.told.resize(part.apps(), Report::default());
        self.hub.clear();
        self.hub.resize(part.apps(), Application::default());
        self.apps.clear();
        self.leaves.clear();
        for (leaf, &cluster) in (0_u32..).zip(part.clusters) {
            let owner = self.parts.manager_of(cluster);
            for (addon, app) in (0_u16..).zip(world.apps_of(cluster)) {
                self.apps.push(Managed::new(world.app_name(app).into(), owner, leaf, addon));
            }
            self.leaves.push(Leaf::new(ground, u64::from(cluster.0), leaf * addons));
        }
        let leaves = part.clusters.len();
        self.watches.clear();
        self.watches.resize(leaves, Watches::default());
        self.buckets.clear();
        self.buckets.resize(leaves, TokenBucket::new(manager.leaf_qps_milli, manager.leaf_burst));
        self.leaf_calls.clear();
        self.leaf_calls.resize(if manager.leaf_qps_milli > 0 { leaves } else { 0 }, 0);
        let regions = part.clusters.iter().map(|&cluster| world.clusters().region(cluster));
        let seed = Seed::new(scenario.run.seed);
        let seed = if self.parts.len() > 1 { seed.child("part").entity(u64::from(number)) } else { seed };
        self.hardware = Hardware::new(&ground.model, seed, self.parts.managers(), regions);
        let (first, row) = self.parts.first_manager(number);
        self.managers.clear();
        let managers = (0..self.parts.managers()).map(|n| Manager::new(scenario, first + n, row + n));
        self.managers.extend(managers);
        self.hub_objects = (0, 0);
        (self.next_change, self.writing, self.turns) = (0, 0, Turns::default());
        self.ends = Ends::new(scenario, self.clock);
        let all = world.changes();
        let of = |n: &u32| Some(all[*n as usize]).filter(|change| change.kind == fleet::ChangeKind::Install);
        let install = part.changes.iter().filter_map(of);
        let install = install.map(|change| AppId(self.parts.local(change.app)));
        self.ledger.begin_part(number, part.apps(), install, self.clock);
        self.heard.clear();
        self.heard.resize(leaves + 1, Time(0));
        self.troubles = Troubles::new(seed, leaves);
        self.schedule_faults();
        if self.parts_have_commits() {
            ground.flux.catalogue.rewind();
            self.intents.clear();
        }
        for (n, (at, _)) in (0..).zip(&self.parts.commits) {
            self.queue.push(self.clock.to_part(*at), Event::Commit { n });
        }
        let owners = part.clusters.iter().map(|&cluster| self.parts.manager_of(cluster)).collect();
        self.crew = Crew::new(scenario, world, owners, self.parts.managers());
        self.muster();
        self.schedule_change();
        self.open();
    }

    /// The clock of a part. That of a leaf stands the same whenever its first change is on the hub, so that what leaves do can
    /// be compared. Faults come at times of the run.
    fn clock_of_part(&self) -> Offset {
        let fault = |step: &Step| matches!(step.action, Action::Fault { .. } | Action::Trouble { .. });
        if !self.parts.on_leaves() || self.ground.scenario.timeline.iter().any(fault) {
            return Offset::default();
        }
        let first = self.part.changes.first();
        first.map_or(Offset::default(), |first| Offset {
            later: self.parts.stored(*first).since(Time(0)),
            earlier: self.parts.storing_max,
        })
    }

    /// A time of the run on the clock of this part.
    pub(super) fn moment(&self, of_run: Span) -> Time {
        self.clock.to_part(Time(0) + of_run)
    }

    /// How much time has passed since the run began.
    pub(super) fn passed(&self) -> Span {
        self.clock.to_run(self.now).since(Time(0))
    }

    /// Whether sources get commits.
    pub(super) fn parts_have_commits(&self) -> bool {
        !self.parts.commits.is_empty()
    }

    /// The sources have a new commit, or chart, or digest.
    fn commit(&mut self, n: u32) {
        let (_, addon) = self.parts.commits[n as usize];
        self.ground.flux.catalogue.commit(addon);
        self.intents.clear();
    }

    /// A change of this part, by its number here.
    pub(super) fn change_of(&self, index: u32) -> fleet::Change {
        self.ground.world.changes()[self.part.changes[index as usize] as usize]
    }

    /// A manager of the whole run by its number within this part, if it is one of it.
    pub(super) fn manager_here(&self, manager: u32) -> Option<u32> {
        let (first, _) = self.parts.first_manager(self.part.number);
        manager.checked_sub(first).filter(|n| *n < self.parts.managers())
    }

    /// A manager as it starts.
    pub(super) fn fresh_manager(&self, shard: u32) -> Manager {
        let (first, row) = self.parts.first_manager(self.part.number);
        Manager::new(self.ground.scenario, first + shard, row + shard)
    }

    /// Whether managers sit on their leaves.
    pub(super) const fn on_leaves(&self) -> bool {
        self.parts.on_leaves()
    }

    /// How many parts the run has.
    pub(super) const fn parts_of_run(&self) -> u32 {
        self.parts.len()
    }

    /// When the hub of all leaves has stored a change of this part.
    pub(super) fn stored(&self, index: u32) -> Time {
        self.clock.to_part(self.parts.stored(self.part.changes[index as usize]))
    }

    /// The number of an app within this part.
    pub(super) fn local(&self, app: AppId) -> u32 {
        self.parts.local(app)
    }

    /// Lets the next event happen; false when there is none.
    pub(super) fn step(&mut self) -> bool {
        let Some((at, event)) = self.queue.pop() else { return false };
        self.now = self.now.max(at);
        if let Some(until) = self.held(&event) {
            self.hold(event, until);
            return true;
        }
        self.ledger.advance(self.now);
        self.disarm(event);
        if self.fold(event, self.sums.events) {
            return true;
        }
        if let Event::Write { index, stage: Stage::Main, tries: 1 } = event
            && self.change_at_rest(index)
        {
            return true;
        }
        // A timer that was overtaken is no event: whether it is still there is the engine's affair.
        if self.happen(event) {
            self.sums.events += 1;
            self.folds.stir();
        }
        while let Some(shard) = self.woken.pop() {
            self.manager_turn(shard);
        }
        self.ledger.advance(self.now);
        self.end_opening();
        self.end_course();
        self.end_tape();
        true
    }

    /// A timer that goes off is set no more.
    fn disarm(&mut self, event: Event) {
        let timer = match event {
            Event::LeafTurn { leaf } => &mut self.leaves[leaf as usize].armed,
            Event::ManagerTurn { shard } => &mut self.managers[shard as usize].armed,
            _ => return,
        };
        // What was folded may have gone beyond its time.
        if timer.is_some_and(|at| at <= self.now) {
            *timer = None;
        }
    }

    /// Whether anything did.
    fn happen(&mut self, event: Event) -> bool {
        match event {
            Event::LeafTurn { leaf } => {
                let ran = self.leaves[leaf as usize].turn(self.ground, self.now, &mut self.out);
                self.leaf_told(leaf);
                return ran;
            }
            Event::ManagerTurn { shard } => return self.manager_turn(shard),
            Event::Change => self.change(),
            Event::Commit { n } => self.commit(n),
            Event::Write { index, stage, tries } => self.write(index, stage, tries),
            Event::AppSeen { app, what } => {
                self.on_the_way -= 1;
                self.app_seen(app, what);
            }
            Event::FluxSeen { app, slot, shown } => self.flux_seen(app, slot, shown),
            Event::WatchOpened { leaf, kind } => self.watch_opened(leaf, kind),
            Event::Reported { report } => {
                if let Some(signal) = self.reports.take(report) {
                    self.signal(signal);
                }
            }
            Event::CallArrives { round, nth } => self.call_arrives(round, nth),
            Event::RoundReplies { round } => self.round_replies(round),
            Event::PassCalls { leaf, pass } => self.pass_calls(leaf, pass),
            Event::Fault { n, begins } => self.fault(n, begins),
            Event::CallLost { round, nth } => self.call_lost(round, nth),
            Event::Relist { leaf, kind } => {
                let (shard, kind) = (self.owner(leaf), watched_kind(kind));
                let objects = self.leaves[leaf as usize].count(kind);
                self.relist(shard, Site::Leaf(leaf), kind, objects);
            }
            Event::RelistHub { shard } => self.relist(shard, Site::Hub, Kind::APPLICATION, self.hub_objects.0),
            Event::ManagerListed { shard } => self.manager_listed(shard),
            Event::Keeper { shard, life, step } => self.keeper((shard, life), step),
            Event::Shift { n, nth } => self.shift(n, nth),
        }
        true
    }

    /// Whoever measures is told.
    pub(super) fn signal(&mut self, signal: Signal) {
        self.folds.hear(signal);
        self.hear(Heard::Signal(signal));
        self.ledger.take(signal);
    }

    /// When anything is due that does not depend on how things go: a change, a commit, the end.
    pub(super) fn next_given(&self) -> Time {
        let change =
            self.part.changes.get(self.next_change).map(|n| self.moment(self.ground.world.changes()[*n as usize].at));
        let commit = self.parts.commits.iter().map(|(at, _)| self.clock.to_part(*at)).find(|at| *at >= self.now);
        change.into_iter().chain(commit).chain([self.next_end()]).min().unwrap_or(self.now)
    }

    /// When the run may end.
    pub(super) fn next_end(&self) -> Time {
        let run = &self.ground.scenario.run;
        let ends = [run.duration, run.timeout].map(|span| self.moment(span));
        ends.into_iter().filter(|at| *at > self.now).min().unwrap_or(Time(u64::MAX))
    }

    fn pass_calls(&mut self, leaf: u32, pass: PassId) {
        self.leaves[leaf as usize].serve(self.ground, pass, self.now, &mut self.out);
        self.leaf_told(leaf);
    }

    /// Passes on what came of a leaf's doings, and sets its timer.
    pub(super) fn leaf_told(&mut self, leaf: u32) {
        self.pass_on(leaf, self.now);
        if self.ground.scenario.model.is_mock() {
            self.work_off(leaf);
        }
        for pass in self.out.passes.drain(..) {
            let calls = self.leaves[leaf as usize].controllers.asked(pass).iter().map(Call::of);
            let done = self.hardware.flux(leaf, calls, self.now, self.now);
            self.queue.push(done, Event::PassCalls { leaf, pass });
        }
        self.arm_leaf(leaf);
    }

    /// Sets the timer of a leaf.
    pub(super) fn arm_leaf(&mut self, leaf: u32) {
        let next = self.leaves[leaf as usize].next_deadline(self.ground).map(|next| next.max(self.now));
        let armed = &mut self.leaves[leaf as usize].armed;
        if let Some(next) = next.filter(|next| armed.is_none_or(|armed| *next < armed)) {
            *armed = Some(next);
            self.queue.push(next, Event::LeafTurn { leaf });
        }
    }

    /// The one thread of all modelled controllers does not leave a leaf before everything there waits: as in live runs.
    fn work_off(&mut self, leaf: u32) {
        let mut at = self.now;
        while let Some(pass) = self.out.passes.pop() {
            let calls = self.leaves[leaf as usize].controllers.asked(pass).iter().map(Call::of);
            at = self.hardware.flux(leaf, calls, self.now, at);
            self.leaves[leaf as usize].serve(self.ground, pass, at, &mut self.out);
            if self.out.passes.is_empty() {
                self.leaves[leaf as usize].turn(self.ground, at, &mut self.out);
            }
            self.pass_on(leaf, at);
        }
    }

    /// What happened on a leaf is told to whoever measures and to its manager.
    fn pass_on(&mut self, leaf: u32, at: Time) {
        let mut signals = std::mem::take(&mut self.out.signals);
        signals.drain(..).for_each(|signal| self.signal(signal));
        self.out.signals = signals;
        let mut shown = std::mem::take(&mut self.out.shown);
        for (app, slot, what) in shown.drain(..) {
            self.tell_manager(leaf, app, slot, what, at);
        }
        self.out.shown = shown;
    }

    /// A watch event leaves the API server, if the kind is watched there.
    fn tell_manager(&mut self, leaf: u32, app: u32, slot: Slot, what: Option<Shown>, at: Time) {
        let managed = &self.apps[app as usize];
        let kind = managed.app.kinds[slot.index()];
        let open = super::manager::watched(kind).is_some_and(|kind| self.watches[leaf as usize].is_open(kind));
        if open && managed.is_ours() {
            self.managers[managed.shard as usize].watch_events += 1;
            let shown = self.shown.put(what);
            let (site, bytes) = (Site::Leaf(leaf), Call::new(Verb::Get, kind, (false, false)).bytes[1]);
            let sent = self.hardware.tell(site, 1, self.now, at);
            let at = self.heard(site, sent, bytes);
            self.queue.push(at, Event::FluxSeen { app, slot, shown });
        }
    }

    /// One way between a manager on a leaf and the API server beside it.
    pub(super) fn way(&self) -> Span {
        self.ground.scenario.model.network.local.scaled(1, 2)
    }

    /// The API server that has the Applications of an app's manager.
    pub(super) fn home_site(&self, app: u32) -> Site {
        if self.parts.on_leaves() { Site::Leaf(self.apps[app as usize].leaf) } else { Site::Hub }
    }

    /// Which kind of API server that is.
    pub(super) const fn home(&self) -> Target {
        if self.parts.on_leaves() { Target::Leaf } else { Target::Hub }
    }

    /// An Application appeared, or is gone.
    pub(super) fn count_application(&mut self, came: bool) {
        if self.parts.on_leaves() {
            return self.out.object(came);
        }
        if came {
            self.hub_objects.0 += 1;
            self.hub_objects.1 = self.hub_objects.1.max(self.hub_objects.0);
        } else {
            self.hub_objects.0 -= 1;
        }
    }

    /// An Application was stored, and is written at `done`: every manager's watch tells of it.
    pub(super) fn committed(&mut self, app: u32, done: Time) {
        let application = &self.hub[app as usize];
        let (news, status) = (application.news(), application.status);
        let what = super::digest::print(&(news.generation, news.gone, news.deleting, status));
        self.out.note(done, u64::from(self.part.app(app).0), what);
        let report = Report {
            health: health(status.health),
            sync: sync(status.sync),
            compared: status.compared_to.0,
            revision: status.revision.0,
            gone: news.gone,
        };
        if self.parts.on_leaves() {
            self.report(app, report, done);
        } else {
            self.signal(report.signal(app, done, u64::from(news.generation)));
        }
        let (site, mut watchers) = (self.home_site(app), 0);
        for manager in self.managers.iter_mut().filter(|manager| !manager.down) {
            manager.watch_events += 1;
            watchers += 1;
        }
        self.sums.hub_events += if site == Site::Hub { watchers } else { 0 };
        let told = self.hardware.tell(site, watchers, self.now, self.now).max(done);
        let bytes = Call::new(Verb::Get, Kind::APPLICATION, (false, false)).bytes[1];
        let at = self.heard(site, told, bytes);
        self.on_the_way += 1;
        self.queue.push(at, Event::AppSeen { app, what: news });
    }

    /// The part ended: what it came to is added to that of the parts before.
    pub(super) fn end(&mut self, ending: &Ending, state: bool) {
        let part = self.part;
        self.end_folding();
        self.ledger.close_part(self.now, |app| part.app(app.0));
        self.sums.ended(ending, self.passed());
        self.sums.objects[0] += self.hub_objects.1;
        self.sums.objects[1] += std::mem::take(&mut self.out.objects).1;
        for app in self.apps.iter().filter(|app| app.is_ours()) {
            let row = &mut self.sums.rows[self.managers[app.shard as usize].row as usize];
            row.apps += 1;
            row.objects += 1 + app.cached.iter().flatten().count() as u64;
        }
        let hub_watches = HUB_WATCHES + u64::from(self.ground.scenario.topology.lease.is_some());
        for (n, manager) in (0..).zip(&self.managers) {
            let row = &mut self.sums.rows[manager.row as usize];
            row.managers += 1;
            row.watches += manager.watches;
            self.sums.hub_watches += manager.watches.min(hub_watches);
            row.watch_events += manager.watch_events;
            row.cpu += self.hardware.thought(n);
        }
        self.add_used();
        for (sum, served) in self.sums.served.iter_mut().zip(self.hardware.served()) {
            *sum += served;
        }
        self.sums.served[1] += std::mem::take(&mut self.out.unpriced);
        let gave_up = self.gave_up();
        self.sums.gave_up.extend(gave_up);
        if state {
            self.keep_objects();
        }
    }

    /// Apps that their Flux controller gave up on: it waits for another generation or version.
    fn gave_up(&self) -> Vec<(AppId, String)> {
        let stalled = |n: &u32| {
            let (app, on_hub) = (&self.apps[*n as usize], &self.hub[*n as usize]);
            let object = self.leaves[app.leaf as usize].flux(app.addon, Slot::Workload)?;
            let stalled = object.status.condition(ConditionType::Stalled).filter(|c| c.truth == Truth::True)?;
            let healthy = on_hub.status.health == Some(Health::Healthy);
            (on_hub.exists && !healthy).then(|| (self.part.app(*n), format!("{:?}", stalled.reason)))
        };
        (0..u32::try_from(self.apps.len()).unwrap_or(u32::MAX)).filter_map(|n| stalled(&n)).collect()
    }

    /// What all parts came to.
    pub(super) fn into_sums(self) -> Sums {
        Sums { controllers: self.out.counts, digest: self.out.digest, books: self.ledger.into_books(), ..self.sums }
    }

    /// Whether the timeline was played, every change is done and every app healthy.
    pub(super) fn is_settled(&self) -> bool {
        let played = self.next_change >= self.part.changes.len() && self.writing == 0 && self.faults == 0;
        played && self.ledger.is_settled() && self.is_in_place()
    }
}

/// The words of `measure` for a health and a sync state.
fn health(health: Option<crate::reconcile::Health>) -> crate::measure::Health {
    health.map(|health| crate::measure::Health::from_word(health.word())).unwrap_or_default()
}

fn sync(sync: crate::reconcile::Sync) -> crate::measure::Sync {
    crate::measure::Sync::from_word(sync.word())
}

/// The ledger's number of a change of the timeline.
pub(super) const fn change_id(index: usize) -> ChangeId {
    ChangeId::from_index(index)
}
