//! The harness's loop: one thread that hears everything and decides what happens next.
//!
//! In: a scenario, its world, a private folder. Out: what was observed, complete or not, with the reason. The loop never
//! blocks on a child: it waits for the next event until the next reading of the processes is due.

use super::budget::{self, Machine, Need, TooMuch};
use super::child::{ChildIndex, Heard};
use super::crew::{Crew, CrewError, LEAVES, MANAGER};
use super::driver::Driver;
use super::event::{Event, Events, WAITING};
use super::faults;
use super::foreign;
use super::guest;
use super::notice::{Notice, Order};
use super::observation::{Observation, Observed};
use super::settings::Guests;
use super::shifts;
use crate::apiserver::listen::raise_file_limit;
use crate::clock;
use crate::fleet::{self, World};
use crate::ids::AddonId;
use crate::measure::host;
use crate::measure::process::Watched;
use crate::measure::{Figures, Progress, Pulse, Role};
use crate::model::flux::Catalogue;
use crate::scenario::{Fault, Home, Scenario, TopologyKind, Victim};
use crate::topology::{Course, Layout};
use crate::units::{Span, Time};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};

/// How often processes are read and progress is told.
const SAMPLE: Span = Span::from_millis(200);
/// How long children may take to say their figures and go.
const FAREWELL: Span = Span::from_secs(10);

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every change reached its end and every app is healthy.
    Settled,
    /// The scenario's timeout came first.
    TimedOut,
    /// The user stopped it.
    Interrupted,
    /// A child ended that should not have.
    ChildDied,
}

/// What a run gives to the record.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// Everything observed.
    pub observed: Observed,
    /// Start of children until all were ready.
    pub setup: Span,
    /// From the first change on.
    pub wall: Span,
    /// Until every child was gone.
    pub shutdown: Span,
    /// The same as `wall` by the time of day: they differ when the machine slept or its clock was set.
    pub time_of_day: Span,
    /// When the first change was due.
    pub epoch: Time,
    /// All objects at the end by cluster, if they were asked for.
    pub state: Option<serde_json::Value>,
}

/// How a run stands, told some times a second.
#[derive(Debug)]
pub struct Standing<'a> {
    /// Counts of changes and apps.
    pub progress: Progress,
    /// Since the first change was due.
    pub since: Span,
    watch: &'a Watch,
}

impl Standing<'_> {
    /// What each manager does, and latencies so far.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        self.watch.observation.pulse()
    }

    /// The run as if it ended now. Costs a copy of everything observed: some milliseconds at 40,000 apps.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let now = clock::now();
        Outcome {
            ending: Ending::Interrupted,
            observed: self.watch.observation.so_far(now, harness()),
            setup: self.watch.setup,
            wall: self.since,
            shutdown: Span::ZERO,
            time_of_day: self.since,
            epoch: self.watch.epoch,
            state: None,
        }
    }
}

/// This process, to be read.
fn harness() -> Watched {
    Watched::new("harness".to_owned(), Role::Harness, rustix::process::getpid().as_raw_nonzero().get())
}

/// Flux objects of an app beside what it installs: source, workload, and the chart of a Helm release; the ReplicaSets and
/// release Secrets that follow. Assumed.
const OBJECTS_BESIDE: u64 = 4;

/// Whether the machine holds what the scenario asks for.
///
/// # Errors
/// The sum that does not fit.
pub fn fits(scenario: &Scenario, world: &World) -> Result<(), TooMuch> {
    let objects = scenario.addons.iter().map(|addon| u64::from(addon.objects.total())).max().unwrap_or(0);
    let layout = Layout::of(world, &scenario.topology);
    let come = Course::of(world, scenario).most().saturating_sub(scenario.topology.shards);
    let on_leaves = u64::from(layout.kind == TopologyKind::HubAndSpoke);
    let need = Need {
        clusters: u64::from(world.clusters().len()),
        apps: world.apps(),
        objects_per_app: objects + OBJECTS_BESIDE + on_leaves,
        watches_per_cluster: if scenario.manager.client_cache { WATCHED_KINDS } else { 0 } + on_leaves * WATCHED_BESIDE,
        history_bytes: scenario.run.history_bytes,
        processes: u64::from(layout.processes + come + layout.hubs) + 2,
        connections: u64::from(scenario.manager.connections),
        control_planes: control_planes(scenario, world),
    };
    let machine = Machine { memory_bytes: host::available(), files: raise_file_limit() };
    budget::check(need, machine)
}

/// Control planes of others that a run starts.
#[must_use]
pub fn control_planes(scenario: &Scenario, world: &World) -> u64 {
    let of = |home: Home, clusters: u32| u64::from(clusters) * weight(home);
    of(scenario.backend.hub, Layout::of(world, &scenario.topology).hubs)
        + of(scenario.backend.leaves, world.clusters().len())
}

/// What a cluster weighs, in control planes. A node of kind runs kubelet, containerd, CoreDNS and kindnet as well, which
/// weigh as much again (assumed); the large one has three such nodes and a worker.
const fn weight(home: Home) -> u64 {
    match home {
        Home::Mock | Home::Kubeconfig => 0,
        Home::LocalControlPlane => 1,
        Home::Kind => 2,
        Home::KindHa => 7,
    }
}

/// Kinds that a manager watches on a leaf at most: two sources, Kustomization, HelmRelease.
const WATCHED_KINDS: u64 = 4;
/// With a manager of its own on the leaf: Secrets, and Applications twice.
const WATCHED_BESIDE: u64 = 3;

/// Runs a scenario with real processes and sockets. `folder` is private and survives the run, `guests` are the clusters
/// of others that stand in for ours; `tell` hears how it goes, some times per second. With `state`, all objects are kept as they
/// are at the end.
///
/// # Errors
/// When the processes do not come up. Whatever happens later is an [`Ending`].
pub fn run(
    scenario: &Arc<Scenario>,
    world: &Arc<World>,
    (folder, guests): (&Path, &Guests),
    state: bool,
    tell: &mut dyn FnMut(&Standing<'_>),
) -> Result<Outcome, CrewError> {
    let (events, heard) = sync_channel(WAITING);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("driver")
        .enable_all()
        .build()
        .map_err(|source| CrewError::Start { name: "the driver".to_owned(), source })?;
    runtime.spawn(interruptions(Events(events.clone())));
    let began = clock::now();
    let layout = Layout::of(world, &scenario.topology);
    let patience = budget::patience(scenario.fleet.clusters.into(), control_planes(scenario, world));
    let mut crew = Crew::muster(scenario, &layout, (folder, guests), (state, patience), &events, &heard)?;
    let setup = clock::now().since(began);
    let (scenario, world) = &at_home(scenario, world, crew.sources.as_deref());
    let catalogue = Arc::new(Catalogue::new(&scenario.addons));
    let epoch = clock::now() + Span::from_millis(20);
    let epoch_day = clock::unix() + Span::from_millis(20);
    let driver =
        Driver::new(scenario, world, &catalogue, (&crew.hubs, &crew.leaves, guests.run()), Events(events.clone()))
            .map_err(|e| CrewError::Failed { name: "the driver".to_owned(), message: e.to_string() })?;
    let tally = driver.tally();
    let hand = driver.hand();
    runtime.spawn(driver.play(epoch));
    runtime.spawn(shifts::play(hand, Arc::clone(scenario), epoch, Events(events.clone())));
    runtime.spawn(faults::play(Arc::clone(scenario), epoch, Events(events.clone())));
    let course = Course::of(world, scenario);
    let mut observation = Observation::new(scenario, world, (&layout, course.most()), &catalogue, epoch);
    for member in &crew.members {
        observation.enrol(&member.child.name, member.role, member.child.pid);
    }
    for (role, server) in &crew.servers {
        observation.enrol_server(server, role);
    }
    for (child, bytes) in std::mem::take(&mut crew.early) {
        observation.signals(child, &bytes);
    }
    let mut watch = Watch {
        world: Arc::clone(world),
        crew,
        observation,
        events,
        epoch,
        setup,
        commits: BTreeMap::new(),
        to_play: 3,
        farewell: FAREWELL
            + guests.run().map_or(Span::ZERO, |_| guest::patience(world.apps() + u64::from(world.clusters().len()))),
        to_move: (course.moved(), epoch + course.first()),
    };
    let (earliest, deadline) = (epoch + scenario.run.duration, epoch + scenario.run.timeout);
    let ending = watch.until_the_end(&heard, (earliest, deadline), tell);
    let (ended, day) = (clock::now(), clock::unix());
    runtime.shutdown_background();
    watch.dismiss(&heard);
    let gone = clock::now();
    Ok(Outcome {
        ending,
        setup,
        wall: ended.since(epoch),
        shutdown: gone.since(ended),
        time_of_day: day.since(epoch_day),
        epoch,
        state: state.then(|| read_state(folder, watch.crew.servers())),
        observed: watch.observation.finish(gone, harness(), Figures::of_tally(&tally.lock())),
    })
}

/// The same as it is played: managers of others find their sources here.
fn at_home(scenario: &Arc<Scenario>, world: &Arc<World>, sources: Option<&str>) -> (Arc<Scenario>, Arc<World>) {
    let Some(url) = sources else { return (Arc::clone(scenario), Arc::clone(world)) };
    let served = foreign::served(scenario, url);
    let world = World::generate(&served);
    (Arc::new(served), Arc::new(world))
}

/// What the API servers wrote at their end; nothing of one that could not.
fn read_state(folder: &Path, servers: impl Iterator<Item = String>) -> serde_json::Value {
    let mut all = serde_json::Map::new();
    for server in servers {
        let text = std::fs::read(super::crew::objects_of(folder, &server)).unwrap_or_default();
        all.extend(serde_json::from_slice::<serde_json::Map<_, _>>(&text).unwrap_or_default());
    }
    all.into()
}

async fn interruptions(events: Events) {
    interrupted().await;
    events.send(Event::Interrupted);
}

/// Waits for Ctrl-C or SIGTERM; forever where the system lets nobody listen.
pub(super) async fn interrupted() {
    let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        // Without a handler the default action ends us, and the children with us.
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// The state of the loop.
#[derive(Debug)]
struct Watch {
    world: Arc<World>,
    crew: Crew,
    observation: Observation,
    events: std::sync::mpsc::SyncSender<Event>,
    epoch: Time,
    setup: Span,
    /// Commits told to the leaves, by add-on.
    commits: BTreeMap<AddonId, u32>,
    /// How long children may take to go.
    farewell: Span,
    /// Parts of the timeline that still are being played: changes, faults, shifts.
    to_play: u32,
    /// Clusters that shall come to other managers, and from when on: what moves before, while managers find each other, is
    /// none of these.
    to_move: (u64, Time),
}

impl Watch {
    fn until_the_end(
        &mut self,
        heard: &Receiver<Event>,
        (earliest, deadline): (Time, Time),
        tell: &mut dyn FnMut(&Standing<'_>),
    ) -> Ending {
        let mut next_sample = self.epoch;
        loop {
            let now = clock::now();
            if now >= deadline {
                return Ending::TimedOut;
            }
            if now >= next_sample {
                self.sample(now);
                let (progress, since) = (self.observation.progress(), now.since(self.epoch));
                tell(&Standing { progress, since, watch: self });
                next_sample = now + SAMPLE;
            }
            match heard.recv_timeout(next_sample.since(now).to_std()) {
                Ok(event) => {
                    if let Some(ending) = self.take(event) {
                        return ending;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ending::Interrupted,
            }
            self.observation.advance(clock::now());
            let (wanted, since) = self.to_move;
            let moved = wanted == 0 || self.observation.clusters_moved(since).is_some_and(|moved| moved >= wanted);
            if self.to_play == 0 && now >= earliest && moved && self.observation.is_settled() {
                return Ending::Settled;
            }
        }
    }

    fn take(&mut self, event: Event) -> Option<Ending> {
        match event {
            Event::Child(child, heard) => return self.hear(child, heard),
            Event::Intend { index } => {
                self.commit(index);
                self.observation.intend(index);
            }
            Event::Stored { index, generation } => self.observation.stored(index, generation),
            Event::Refused { index, sort, message } => self.observation.refused(index, sort, message),
            Event::Fault { victim, fault, begins } => self.fault(victim, fault, begins),
            Event::Managers { delta } => self.managers(delta),
            Event::Undone { message } => self.observation.complain(message),
            Event::Driven => self.to_play = self.to_play.saturating_sub(1),
            Event::Interrupted => return Some(Ending::Interrupted),
        }
        None
    }

    /// A change that is a commit: the leaves hear of it once, however many apps it touches.
    fn commit(&mut self, index: usize) {
        let change = self.world.changes()[index];
        let fleet::ChangeKind::Commit { number } = change.kind else { return };
        let addon = self.world.addon_of(change.app);
        let told = self.commits.entry(addon).or_default();
        while *told < number {
            *told += 1;
            self.observation.commit(addon);
            self.crew.tell(LEAVES, &Order::Commit { addon: addon.0 });
        }
    }

    fn hear(&mut self, child: ChildIndex, heard: Heard) -> Option<Ending> {
        match heard {
            Heard::Signals(bytes) => self.observation.signals(child, &bytes),
            Heard::Notice(Notice::Final { figures, callers, dropped }) => {
                self.observation.figures(child, figures, dropped);
                self.observation.callers(callers);
            }
            Heard::Notice(Notice::Ready { .. }) => {}
            Heard::Notice(Notice::Failed { message }) | Heard::Garbled(message) => {
                self.observation.complain(format!("{}: {message}", self.crew.members[child].child.name));
            }
            Heard::Ended(status) => {
                let member = &mut self.crew.members[child];
                member.ended = true;
                if !member.expected_to_end {
                    self.observation.complain(format!("{} ended unexpectedly ({status})", member.child.name));
                    return Some(Ending::ChildDied);
                }
            }
        }
        None
    }

    fn fault(&mut self, victim: Victim, fault: Fault, begins: bool) {
        if let (Victim::Manager(manager), Fault::Kill, false) = (victim, fault, begins) {
            let process = manager % self.crew.processes;
            let name = format!("manager-{process}");
            match self.crew.enlist(&name, MANAGER, process, &self.events) {
                Ok(index) => self.observation.enrol(&name, MANAGER, self.crew.members[index].child.pid),
                Err(error) => self.observation.complain(error.to_string()),
            }
            return;
        }
        let Some(member) = self.crew.find(victim) else { return };
        let signal = match (fault, begins) {
            (Fault::Kill, _) => {
                member.expected_to_end = true;
                if member.role == MANAGER {
                    self.observation.died(member.number);
                }
                Signal::KILL
            }
            (Fault::Pause, true) => Signal::STOP,
            (Fault::Pause, false) => Signal::CONT,
        };
        member.child.signal(signal);
    }

    fn managers(&mut self, delta: i64) {
        let by = u32::try_from(delta.unsigned_abs()).unwrap_or(u32::MAX);
        if delta < 0 {
            return self.crew.shrink(by);
        }
        match self.crew.grow(by, &self.events) {
            Ok(fresh) => {
                for index in fresh {
                    let child = &self.crew.members[index].child;
                    self.observation.enrol(&child.name, MANAGER, child.pid);
                }
            }
            Err(error) => self.observation.complain(error.to_string()),
        }
    }

    fn sample(&mut self, now: Time) {
        let members = &self.crew.members;
        self.observation.sample(now, |index| members[index].ended);
    }

    /// Reads every process a last time, sends all home and waits for their figures.
    fn dismiss(&mut self, heard: &Receiver<Event>) {
        self.sample(clock::now());
        self.observation.close_owners(clock::now());
        for member in &mut self.crew.members {
            // One that a fault has stopped would never read the end of its input.
            member.child.signal(Signal::CONT);
            member.child.dismiss();
        }
        let deadline = clock::now() + self.farewell;
        while !self.crew.is_gone() {
            let left = deadline.since(clock::now());
            match heard.recv_timeout(left.to_std()) {
                Ok(Event::Child(child, Heard::Ended(_))) => self.crew.members[child].ended = true,
                Ok(event) => {
                    self.take(event);
                }
                Err(_) => break,
            }
        }
        for member in &self.crew.members {
            if !member.ended {
                member.child.signal(Signal::KILL);
                self.observation.complain(format!("{} did not end in time and was killed", member.child.name));
            }
        }
    }
}
