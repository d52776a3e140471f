//! Virtual runs: the same scenario, the same machines, on a simulated clock.
//!
//! In: a scenario and its world. Out: what happened, as a live run would have observed it, and a digest of all transitions
//! (time, entity, what it became) that is equal for equal inputs on any machine. It never waits, draws nothing but by
//! `seed`, and touches no file, socket or clock: whoever calls measures what it cost.
//!
//! ```text
//! event    what happens; queue: in which order      ground   what never changes: world, rules of kinds, costs
//! faults   what goes wrong, and what that means         crew     managers of one hub: whose every leaf is
//! lease    by what they know of each other
//! changes  the harness: the timeline, open loop     hub      Applications as headers
//! rounds   managers: watches, queues, rounds        leaf     Flux objects and installed ones as headers, controllers
//! shape    Application -> Flux specs, once per shape digest  one number for everything that happened
//! parts    what is played apart from the rest       sums     what parts add up to
//! spoke    between the hub and managers on leaves   ends     stuck, or a backlog that only grows
//! fold     a leaf at rest is played once            opening  and so is a leaf that begins as another did
//! course   and a change that finds it at rest       telling  what others hear of what is played once
//! ```
//!
//! Topologies: `single` and `sharded` are one part, in which everything may wait for everything. In `cells` every cell has a
//! hub and a manager of its own and is a part; the orchestrator that placed the clusters is in nobody's way and is not
//! simulated. In `hub-and-spoke` every leaf is a part: see `spoke`. A part ends when it is settled and `run.duration` is
//! over, whatever the others do; the install of a run is healthy when that of its last part was for the first time.
//!
//! Objects have no payload: their content is a fingerprint, their life follows the rules of the mock server
//! (`apiserver::life`) in the order of arrival. What things cost and what they run on is `model::hardware`: a call occupies a
//! core of its server, a manager its cores for what it does about what it hears. A cluster's own informers see a commit at
//! once; calls and watch events of managers and of the harness travel one network each way.
//!
//! Arithmetic for 10,000 clusters with 4 apps each, install to healthy: an app takes 64 calls and 85 events, half of them
//! passes of its controllers at 1 us: 3.4 M events, 4 s. An app holds 2.2 KB in Flux objects (their controllers' memory),
//! 0.8 in what its manager knows, 0.7 in followed changes: 4 KB, 160 MB.
//!
//! Measured (`ten-thousand --clock virtual`, release, one core): 3.4 M events and 2.56 M calls in 2.2 s of CPU, 249 MiB.
//! From 1,000 to 20,000 clusters 330 to 240 us of CPU per cluster, and 24 KB beside the 40 MB of an empty process.
//!
//! Arithmetic for a cluster of `million`, folded: it begins (`opening`, 20 us), rests for 125 bursts (`fold`, 0.2 us each: 25), is
//! upgraded (`course`, 5 us, and 60 where a timer comes in between, for one in six), and where timers meet, bursts are played
//! (one or two, 10 us each): 80 us in all, 80 s for a million.
//!
//! Measured (`million --clock virtual --set fleet.clusters=N`, release, two threads of a machine with three times as much to do
//! as it has cores): a cluster takes 1,134 events, 898 calls and 106, 117, 99 and 102 us of CPU with 5,000, 20,000, 100,000 and
//! 1,000,000 of them; the million 101 s of CPU and 483 MiB. Before leaves began alike however long the hub took, 20,000, 100,000 and 200,000
//! took 190, 199 and 311: the hub's queue made more than the 256 openings that are kept. With every event played (`--no-fold`)
//! it was 830.

mod argo;
mod changes;
mod course;
mod crew;
mod digest;
mod ends;
mod event;
mod faults;
mod fold;
mod ground;
mod hub;
mod leaf;
mod lease;
mod manager;
mod objects;
mod opening;
mod parts;
pub mod queue;
mod rounds;
mod shape;
mod sim;
mod spoke;
mod sums;
mod tally;
mod telling;
mod used;

#[cfg(test)]
mod swarm;
#[cfg(test)]
mod tests;

use crate::calls::Tally;
use crate::fleet::World;
use crate::ids::AppId;
use crate::measure::limit::Limit;
use crate::measure::{self, Progress};
use crate::model::hardware::Used;
use crate::scenario::{Action, ManagerKind, Mode, Scenario, TopologyKind, Victim};
use crate::units::{Span, Time};
pub use argo::Bill;
use ground::Ground;
use parts::Parts;
pub use queue::Engine;
use sim::Simulation;
use std::ops::ControlFlow;
pub use sums::Sums;

/// How a scenario is simulated.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The queue of events.
    pub engine: Engine,
    /// All objects are wanted at the end.
    pub state: bool,
    /// Every call is played as events of its own: nothing is folded. The outcome is the same.
    pub unfolded: bool,
}

/// How a simulation ended, the better end first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// Every change reached its end and every app is healthy.
    Settled,
    /// The scenario's timeout came first.
    TimedOut,
    /// Changes come faster than they are done.
    Growing,
    /// Nothing will ever happen again, or nothing that helps, and yet something is awaited.
    Stuck,
    /// Whoever watches had enough.
    Interrupted,
}

/// What a simulation came to.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// What the changes came to.
    pub measured: measure::Outcome,
    /// Digest of all transitions.
    pub digest: u64,
    /// Events of the engine.
    pub events: u64,
    /// Bursts of them that were folded, and changes: how many depends on the threads, what they come to does not.
    pub folded: [u64; 2],
    /// From the first change on, on the simulated clock.
    pub simulated: Span,
    /// Calls of the harness.
    pub harness: Tally,
    /// Calls of all clusters' own controllers.
    pub controllers: Tally,
    /// What each manager did; those that sit on leaves together.
    pub managers: Vec<ManagerOutcome>,
    /// Hub and spoke: what the management cluster did.
    pub above: Option<ManagerOutcome>,
    /// API servers of hubs.
    pub hubs: u64,
    /// Watches of managers on them.
    pub hub_watches: u64,
    /// Objects in the hub's store at their most, and in those of all leaves.
    pub objects: [u64; 2],
    /// Calls answered by the hub's API server and by those of the leaves.
    pub served: [u64; 2],
    /// Apps that their Flux controller gave up on, and what it says.
    pub gave_up: Vec<(AppId, String)>,
    /// What was used of everything.
    pub used: Vec<Used>,
    /// CPU time of the hub's API server, of those of the leaves, of all Flux controllers.
    pub spent: [Span; 3],
    /// Watch events that the hub sent, to all managers.
    pub hub_events: u64,
    /// All objects at the end by cluster, if they were asked for.
    pub state: Option<serde_json::Value>,
    /// Changes that were refused, in words.
    pub refused: Vec<String>,
    /// What was used up and how far, beside what the ledger can tell.
    pub limits: Vec<Limit>,
    /// What processes of a real run would have cost, where the simulation kept account itself.
    pub bills: Vec<Bill>,
}

/// What one manager did, beside what the ledger knows.
#[derive(Debug)]
pub struct ManagerOutcome {
    /// Its calls.
    pub calls: Tally,
    /// How many they are.
    pub managers: u64,
    /// Watches that it holds.
    pub watches: u64,
    /// Watch events that it received.
    pub watch_events: u64,
    /// Apps that it knows.
    pub apps: u64,
    /// Objects that it knows, those apps among them.
    pub objects: u64,
    /// CPU time that it took.
    pub cpu: Span,
}

/// Why a scenario cannot be simulated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    /// It has apps that nobody here would bring about.
    #[error(
        "add-on {addon} has ordinary Applications: nobody in a simulation would bring it about; change its mode, or leave it out"
    )]
    Unmanaged {
        /// Which.
        addon: String,
    },
    /// Nobody is there whom a fault could hit.
    #[error(
        "{kind} plays no fault of the hub or of the ways to it on the simulated clock, as the one at {at}: leave it out"
    )]
    Fault {
        /// The topology.
        kind: &'static str,
        /// When.
        at: Span,
    },
    /// Managers would come, go or take over, or clusters would move to another cell.
    #[error("{kind} has fixed managers on the simulated clock, with fixed clusters: leave out {what}")]
    Fixed {
        /// The topology, or the manager.
        kind: &'static str,
        /// What asks for it.
        what: String,
    },
    /// Clusters that have nothing to do with each other are to share a machine.
    #[error(
        "{kind} is simulated cell by cell and leaf by leaf, which cannot share one machine: take {key} out of `model`, or \
         choose `single` or `sharded`"
    )]
    Shared {
        /// The topology.
        kind: &'static str,
        /// What makes them share it.
        key: &'static str,
    },
    /// There is no model of its managers.
    #[error("manager.kind `flux` is Flux's own programs, of which there is no model on the hub: use --clock real")]
    Unmodelled,
    /// It has Flux objects that exist beforehand, under an Argo CD.
    #[error("add-on {addon} is in Reference mode, which `argocd` and `flamingo` do not simulate; change its mode")]
    Reference {
        /// Which.
        addon: String,
    },
    /// Memory.
    #[error(
        "this simulation needs about {need_mib} MiB and the machine has {have_mib} MiB available: {changes} changes of \
         {clusters} clusters as a list, and {played} clusters at a time as they are; lower fleet.clusters, or choose \
         `hub-and-spoke` or more cells"
    )]
    Memory {
        /// Needed, MiB.
        need_mib: u64,
        /// Available, MiB.
        have_mib: u64,
        /// Clusters.
        clusters: u64,
        /// Changes of the timeline.
        changes: u64,
        /// Clusters that are simulated at the same time.
        played: u64,
    },
}

/// What a leaf and an app hold in memory while they are played; measured: 24 KB for a leaf with four apps.
const LEAF_BYTES: u64 = 8 << 10;
const APP_BYTES: u64 = 4 << 10;
/// What a cluster, an app and a change hold as long as the run: rows of the world and of its parts.
const CLUSTER_ROW: u64 = 60;
const APP_ROW: u64 = 12;
const CHANGE_ROW: u64 = 56;

/// Clusters that are played at the same time on so many threads: those of the largest parts.
fn played(scenario: &Scenario, world: &World, threads: u64) -> u64 {
    let clusters = u64::from(world.clusters().len());
    match scenario.topology.kind {
        TopologyKind::Single | TopologyKind::Sharded => clusters,
        // Schemes are not even: half as much again.
        TopologyKind::Cells => {
            let shards = u64::from(scenario.topology.shards);
            (clusters.div_ceil(shards) * 3 / 2 * threads.min(shards)).min(clusters)
        }
        TopologyKind::HubAndSpoke => threads.min(clusters),
    }
}

/// Whether a scenario can be simulated with so much memory, on so many threads.
///
/// # Errors
/// The first reason why not.
pub fn check(scenario: &Scenario, world: &World, memory_bytes: u64, threads: usize) -> Result<(), Impossible> {
    let argo = scenario.manager.kind.argo().is_some();
    if scenario.manager.kind == ManagerKind::Flux {
        return Err(Impossible::Unmodelled);
    }
    for addon in &scenario.addons {
        if !addon.flux_subsystem && !argo {
            return Err(Impossible::Unmanaged { addon: addon.name.clone() });
        }
        if argo && addon.flux_subsystem && addon.mode == Mode::Reference {
            return Err(Impossible::Reference { addon: addon.name.clone() });
        }
    }
    fixed(scenario)?;
    let topology = &scenario.topology;
    let apart =
        topology.kind == TopologyKind::HubAndSpoke || topology.kind == TopologyKind::Cells && topology.shards > 1;
    let spokes = topology.kind == TopologyKind::HubAndSpoke;
    let unplayable = |step: &&crate::scenario::Step| match step.action {
        Action::Trouble { .. } | Action::Fault { victim: Victim::Hub, .. } => argo || spokes,
        Action::Fault { .. } => argo,
        _ => false,
    };
    if let Some(step) = scenario.timeline.iter().find(unplayable) {
        let kind = if argo { scenario.manager.kind.name() } else { topology.kind.name() };
        return Err(Impossible::Fault { kind, at: step.at });
    }
    let shared = [("host", scenario.model.host.is_some()), ("prices: mock", scenario.model.is_mock())];
    if let Some((key, _)) = shared.into_iter().find(|(_, shared)| *shared && apart) {
        return Err(Impossible::Shared { kind: topology.kind.name(), key });
    }
    let (clusters, apps) = (u64::from(world.clusters().len()), world.app_ids() as u64);
    let (changes, played) = (world.changes().len() as u64, played(scenario, world, threads as u64));
    let kept = clusters * CLUSTER_ROW + apps * APP_ROW + changes * CHANGE_ROW;
    let need = kept + played * (LEAF_BYTES + world.addons().len() as u64 * APP_BYTES);
    if need > memory_bytes {
        let (need_mib, have_mib) = (need >> 20, memory_bytes >> 20);
        return Err(Impossible::Memory { need_mib, have_mib, clusters, changes, played });
    }
    Ok(())
}

/// Managers that share a hub come and go and take over. Cells are parts that have nothing to do with each other, and how
/// Argo CD's managers find each other is not simulated.
fn fixed(scenario: &Scenario) -> Result<(), Impossible> {
    let (manager, topology) = (scenario.manager.kind, scenario.topology.kind);
    let kind = match topology {
        _ if manager.argo().is_some() => manager.name(),
        TopologyKind::Sharded => return Ok(()),
        _ => topology.name(),
    };
    let shift = scenario.timeline.iter().find_map(|step| match &step.action {
        Action::Shift(shift) => Some(format!("`{shift}` at {}", step.at)),
        _ => None,
    });
    let lease = scenario.topology.lease.map(|_| "`topology.lease`".to_owned());
    lease.or(shift).map_or(Ok(()), |what| Err(Impossible::Fixed { kind, what }))
}

/// What a simulation that did not settle was waiting for, one sentence each.
#[must_use]
pub fn awaited(world: &World, outcome: &Outcome) -> Vec<String> {
    let (measured, at) = (&outcome.measured, outcome.simulated);
    let mut all = Vec::new();
    if outcome.ending == Ending::Stuck {
        all.push(format!("nothing that would help is left to happen after {at} of simulated time"));
    }
    if outcome.ending == Ending::Growing {
        let progress = measured.progress;
        let rate = |n: u64| n as f64 / at.as_secs_f64();
        all.push(format!(
            "the backlog only grows: {:.1} changes a second come and {:.1} are done; {} are open after {at}",
            rate(progress.changes),
            rate(progress.changes - progress.open()),
            progress.open()
        ));
    }
    if matches!(outcome.ending, Ending::Settled | Ending::Interrupted) {
        return all;
    }
    let unhealthy: Vec<String> = measured.unhealthy.iter().map(|app| world.app_name(*app)).collect();
    let count = measured.progress.apps - measured.progress.healthy;
    if count > 0 {
        all.push(format!("{count} apps are not healthy, such as {}", unhealthy.join(", ")));
    }
    for (app, reason) in outcome.gave_up.iter().take(5) {
        all.push(format!("Flux gave up on {}: {reason}", world.app_name(*app)));
    }
    let change = |change: &measure::Change| {
        format!("{} of {} from {}", change.kind.name(), world.app_name(change.app), change.intended.since(Time(0)))
    };
    let open: Vec<String> = measured.unfinished.iter().map(change).collect();
    if !open.is_empty() {
        all.push(format!("{} changes never ended, such as {}", measured.progress.open(), open.join(", ")));
    }
    if let Some(longest) = measured.windows.last().filter(|window| window.queue > 0) {
        let most = measured.shards.iter().map(|shard| shard.queue_max).max().unwrap_or(0);
        all.push(format!("{} apps wait in the managers' queues, {most} at most", longest.queue));
    }
    all
}

/// Whoever watches is told after so many events.
const TOLD_EVERY: u64 = 1 << 16;

/// Whoever watches is told how it goes, and in simulated time where; he may end it.
pub type Watching<'a> = dyn FnMut(Progress, Span) -> ControlFlow<()> + 'a;

/// Plays a scenario to its end, one part after another.
pub fn run(scenario: &Scenario, world: &World, options: Options, progress: &mut Watching<'_>) -> Outcome {
    if scenario.manager.kind.argo().is_some() {
        return argo::run(scenario, world, options, progress);
    }
    let play = Play::new(scenario, world, options);
    let mut parts = 0..play.parts();
    let sums = play.some(&mut || parts.next(), progress);
    play.outcome([sums])
}

/// A scenario whose parts can be played side by side: each by one call of [`Play::some`], from any thread.
#[derive(Debug)]
pub struct Play<'a> {
    scenario: &'a Scenario,
    world: &'a World,
    options: Options,
    parts: Parts,
}

impl<'a> Play<'a> {
    /// Nothing is played yet.
    #[must_use]
    pub fn new(scenario: &'a Scenario, world: &'a World, options: Options) -> Self {
        Self { scenario, world, options, parts: Parts::new(scenario, world) }
    }

    /// How many parts there are: clusters that share a hub and its managers, and nothing with others.
    #[must_use]
    pub const fn parts(&self) -> u32 {
        self.parts.len()
    }

    /// Plays the parts that `next` names, until it names none or whoever watches has had enough.
    pub fn some(&self, next: &mut dyn FnMut() -> Option<u32>, progress: &mut Watching<'_>) -> Sums {
        let ground = Ground::new(self.scenario, self.world);
        let mut simulation = Simulation::new(&ground, &self.parts, self.options);
        while let Some(part) = next() {
            simulation.begin(part);
            let ending = simulation.play(progress);
            simulation.end(&ending, self.options.state);
            if ending == Ending::Interrupted {
                break;
            }
        }
        simulation.into_sums()
    }

    /// What the run came to, all its parts played.
    #[must_use]
    pub fn outcome(&self, sums: impl IntoIterator<Item = Sums>) -> Outcome {
        let mut all = Sums::new(self.parts.rows());
        let mut sums = sums.into_iter();
        if let Some(first) = sums.next() {
            all = first;
        }
        sums.for_each(|other| all.merge(other));
        all.outcome(self.scenario, &self.parts, self.options.state)
    }
}

impl Simulation<'_> {
    /// Plays a part that has begun to its end.
    fn play(&mut self, progress: &mut Watching<'_>) -> Ending {
        let scenario = self.ground.scenario;
        let (deadline, until) = (self.moment(scenario.run.timeout), self.moment(scenario.run.duration));
        let mut told = self.sums.events.next_multiple_of(TOLD_EVERY);
        loop {
            if self.is_settled() && self.queue.next_at().is_none_or(|next| next > until) {
                self.now = self.now.max(until);
                return Ending::Settled;
            }
            if self.now >= deadline {
                return Ending::TimedOut;
            }
            if let Some(ending) = self.queue.next_at().and_then(|next| self.look(next)) {
                return ending;
            }
            if self.sums.events >= told {
                told = self.sums.events + TOLD_EVERY;
                if progress(self.ledger.total(), self.passed()).is_break() {
                    return Ending::Interrupted;
                }
            }
            if !self.step() {
                return Ending::Stuck;
            }
            if let Some(ending) = self.folds.ending.take() {
                return ending;
            }
        }
    }

    /// Whether it is at an end that needs no timeout before the next thing happens: looked for at its own times, not at those of
    /// events.
    fn look(&mut self, next: Time) -> Option<Ending> {
        while next > self.ends.next() {
            let at = self.ends.next();
            let until = self.moment(self.ground.scenario.run.duration);
            let played = self.next_change >= self.part.changes.len() && self.writing == 0 && at >= until;
            let ending = self.ends.look(at, || self.ledger.progress(), played);
            if ending.is_some() {
                self.now = self.now.max(at);
                return ending;
            }
        }
        None
    }
}
