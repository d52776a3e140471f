//! What the harness knows of the run while it goes: signals into the ledger, readings of processes, complaints.
//!
//! In: bytes of children, doings of the driver, moments to look. Out: the ledger's outcome and the costs of processes.

use super::child::ChildIndex;
use super::crew::{HUB, KEEPER, LEAVES, SOURCES};
use super::foreign;
use super::notice::Server;
use crate::clock;
use crate::drive::intent::Intent;
use crate::fleet::{self, World};
use crate::ids::{AddonId, ChangeId};
use crate::measure::host::{Host, HostWatch};
use crate::measure::process::{Usage, Watched};
use crate::measure::{Decoder, Figures, Ledger, Outcome, Plan, Progress, Pulse, Role, Signal};
use crate::model::flux::Catalogue;
use crate::scenario::{Backend, Home, ManagerKind, Scenario, TopologyKind};
use crate::topology::Layout;
use crate::units::{Span, Time};
use rustix::process::Pid;
use std::sync::Arc;

/// Signals are held back so long to put those of several processes in order: longer than a child holds a batch, which
/// is no longer than its queue takes to empty (1 ms on an idle machine, tens on a saturated one; assumed).
const SLACK: Span = Span::from_millis(100);
/// Different complaints kept; the rest is counted.
const COMPLAINTS: usize = 20;

/// Something that went wrong, told by the first time it did.
#[derive(Clone, Debug)]
struct Complaint {
    /// Equal for what went wrong in the same way.
    sort: String,
    message: String,
    more: u64,
}

/// See the module head.
#[derive(Debug)]
pub(super) struct Observation {
    world: Arc<World>,
    backend: Backend,
    /// The managers are programs of others, of this kind.
    real: Option<ManagerKind>,
    catalogue: Arc<Catalogue>,
    epoch: Time,
    ledger: Ledger,
    children: Vec<Voice>,
    /// Processes of others, which say nothing.
    silent: Vec<usize>,
    processes: Vec<Process>,
    host: HostWatch,
    complaints: Vec<Complaint>,
    unspoken: u64,
    refused: u64,
}

/// What a child says, and which process of the record it is: a manager that was killed and started anew stays one.
#[derive(Debug)]
struct Voice {
    decoder: Decoder,
    process: usize,
}

#[derive(Clone, Debug)]
struct Process {
    name: String,
    /// One, but for servers of one name, which are told together.
    watched: Vec<Watched>,
    figures: Vec<(Role, Figures)>,
}

/// What is left when the run is over.
#[derive(Debug)]
pub struct Observed {
    /// What the changes came to.
    pub outcome: Outcome,
    /// What each process cost and counted; the harness is the last.
    pub processes: Vec<(Usage, Figures)>,
    /// The machine.
    pub host: Host,
    /// The least memory that was available, bytes.
    pub available_min: u64,
    /// What went wrong, in words, at most twenty.
    pub complaints: Vec<String>,
    /// Writes that the hub or a leaf refused for good.
    pub refused: u64,
}

impl Observed {
    /// Objects in all stores, at their most.
    #[must_use]
    pub fn objects(&self) -> u64 {
        let stores = self.processes.iter().filter(|(usage, _)| matches!(usage.role, Role::Hub | Role::Leaves));
        stores.filter_map(|(_, figures)| figures.cached_objects_max).sum()
    }
}

impl Observation {
    pub(super) fn new(
        scenario: &Scenario,
        world: &Arc<World>,
        (layout, most): (&Layout, u32),
        catalogue: &Arc<Catalogue>,
        epoch: Time,
    ) -> Self {
        let processes = if layout.kind == TopologyKind::Sharded { most } else { layout.processes };
        let installs = world.changes().iter().filter(|c| c.kind == fleet::ChangeKind::Install);
        let plan = Plan {
            apps: world.app_ids(),
            install: installs.map(|c| c.app).collect(),
            start: epoch,
            window: scenario.measure.window,
            slack: SLACK,
            managers: layout.managers.into(),
            shards: processes as usize,
        };
        Self {
            world: Arc::clone(world),
            catalogue: Arc::clone(catalogue),
            epoch,
            ledger: Ledger::new(plan).with_owners(layout.homes.len() as u64),
            children: Vec::new(),
            silent: Vec::new(),
            backend: scenario.backend,
            real: scenario.manager.command.as_ref().map(|_| scenario.manager.kind),
            processes: Vec::new(),
            host: HostWatch::start(),
            complaints: Vec::new(),
            unspoken: 0,
            refused: 0,
        }
    }

    /// A child is part of the run from now on; children are numbered in the order of this call.
    pub(super) fn enrol(&mut self, name: &str, role: &str, pid: Pid) {
        let pid = pid.as_raw_nonzero().get();
        let known = self.processes.iter().position(|process| process.name == name);
        let process = known.unwrap_or(self.processes.len());
        match self.processes.get_mut(process) {
            Some(again) => again.watched.iter_mut().for_each(|watched| watched.replace(pid)),
            None => self.processes.push(Process {
                name: name.to_owned(),
                watched: vec![watched(name, role, pid, self.backend)],
                figures: Vec::new(),
            }),
        }
        self.children.push(Voice { decoder: Decoder::default(), process });
    }

    /// A process of others serves the run from now on. Its start, seconds of CPU, is no part of the run.
    pub(super) fn enrol_server(&mut self, server: &Server, role: &str) {
        let role = match role {
            HUB => Role::Hub,
            LEAVES => Role::Leaves,
            _ => Role::Manager,
        };
        let watched = Watched::new(server.name.clone(), role, server.pid).from_now();
        if let Some(known) = self.silent.iter().find(|&&known| self.processes[known].name == server.name) {
            return self.processes[*known].watched.push(watched);
        }
        self.silent.push(self.processes.len());
        self.processes.push(Process { name: server.name.clone(), watched: vec![watched], figures: Vec::new() });
    }

    /// What a child counted, told at its end.
    pub(super) fn figures(&mut self, child: ChildIndex, figures: Vec<(Role, Figures)>, dropped: u64) {
        self.ledger.dropped(dropped);
        if let Some(voice) = self.children.get(child) {
            self.processes[voice.process].figures.extend(figures);
        }
    }

    /// Calls that programs of others made, told by the servers. Whoever is none of the run is nobody's.
    pub(super) fn callers(&mut self, callers: Vec<(String, Figures)>) {
        for (name, mut figures) in callers {
            let Some(process) = self.processes.iter_mut().find(|process| process.name == name) else { continue };
            match process.figures.iter_mut().find(|(role, _)| *role == Role::Manager) {
                Some((_, known)) => known.calls.append(&mut figures.calls),
                None => process.figures.push((Role::Manager, figures)),
            }
        }
    }

    /// A commit appears at the sources of an add-on: changes after it bring its revision.
    pub(super) fn commit(&self, addon: AddonId) {
        self.catalogue.commit(addon);
    }

    /// A manager's process is gone, and with it whatever it owned.
    pub(super) fn died(&mut self, process: u32) {
        self.ledger.take(Signal::Owns { shard: process, at: clock::now(), clusters: 0, gained: 0 });
    }

    /// A change of the timeline is about to be made.
    pub(super) fn intend(&mut self, index: usize) {
        let change = self.world.changes()[index];
        let intent = Intent { world: &self.world, catalogue: &self.catalogue, epoch: self.epoch };
        let change = intent.of(change);
        let id = self.ledger.intend(self.real.map_or(change, |kind| foreign::expected(change, kind)));
        debug_assert_eq!(id.index(), index, "changes are intended in the order of the world");
        self.ledger.sent(id, clock::now());
    }

    pub(super) fn stored(&mut self, index: usize, generation: u64) {
        self.ledger.stored(ChangeId::from_index(index), generation);
    }

    /// A change could not be written; `sort` is equal for those that failed in the same way.
    pub(super) fn refused(&mut self, index: usize, sort: String, message: String) {
        self.refused += 1;
        self.ledger.abandon(ChangeId::from_index(index));
        self.complain_of(sort, message);
    }

    /// Keeps a sentence for the user.
    pub(super) fn complain(&mut self, message: String) {
        self.complain_of(message.clone(), message);
    }

    fn complain_of(&mut self, sort: String, message: String) {
        if let Some(known) = self.complaints.iter_mut().find(|known| known.sort == sort) {
            known.more += 1;
        } else if self.complaints.len() < COMPLAINTS {
            self.complaints.push(Complaint { sort, message, more: 0 });
        } else {
            self.unspoken += 1;
        }
    }

    /// Bytes of signals from a child.
    pub(super) fn signals(&mut self, child: ChildIndex, bytes: &[u8]) {
        let Self { children, ledger, .. } = self;
        let Some(voice) = children.get_mut(child) else { return };
        if let Err(corrupt) = voice.decoder.feed(bytes, |signal| ledger.take(signal)) {
            self.complain(corrupt.to_string());
        }
    }

    /// Counts what is old enough to be in order.
    pub(super) fn advance(&mut self, now: Time) {
        self.ledger.advance(now);
    }

    /// Reads the processes. One that ended between two readings keeps its last.
    pub(super) fn sample(&mut self, now: Time, ended: impl Fn(ChildIndex) -> bool) {
        self.host.sample();
        for (index, voice) in self.children.iter().enumerate() {
            if !ended(index) {
                self.processes[voice.process].sample(now);
            }
        }
        for &process in &self.silent {
            self.processes[process].sample(now);
        }
    }

    pub(super) fn clusters_moved(&self, since: Time) -> Option<u64> {
        self.ledger.clusters_moved(since)
    }

    /// From now on managers let go because the run is over.
    pub(super) const fn close_owners(&mut self, now: Time) {
        self.ledger.close_owners(now);
    }

    pub(super) const fn progress(&self) -> Progress {
        self.ledger.progress()
    }

    pub(super) fn pulse(&self) -> Pulse {
        self.ledger.pulse()
    }

    pub(super) const fn is_settled(&self) -> bool {
        self.ledger.is_settled()
    }

    /// What there is so far, as if the run ended now; what children count for themselves is not told yet.
    pub(super) fn so_far(&self, now: Time, harness: Watched) -> Observed {
        let own = Self {
            world: Arc::clone(&self.world),
            catalogue: Arc::clone(&self.catalogue),
            ledger: self.ledger.clone(),
            children: Vec::new(),
            processes: self.processes.clone(),
            host: self.host.clone(),
            complaints: self.complaints.clone(),
            silent: self.silent.clone(),
            ..*self
        };
        own.finish(now, harness, Figures::default())
    }

    /// The end: what is still held is counted. `harness` is this process, `driven` what it counted itself.
    pub(super) fn finish(self, now: Time, mut harness: Watched, driven: Figures) -> Observed {
        let told = |complaint: Complaint| match complaint.more {
            0 => complaint.message,
            more => format!("{} ({more} more like it)", complaint.message),
        };
        let mut complaints: Vec<String> = self.complaints.into_iter().map(told).collect();
        if self.unspoken > 0 {
            complaints.push(format!("and {} more", self.unspoken));
        }
        // Our own readings cannot fail while we run.
        let _ = harness.sample(now);
        let own =
            Process { name: "harness".to_owned(), watched: vec![harness], figures: vec![(Role::Harness, driven)] };
        let processes = self.processes.into_iter().chain([own]).flat_map(Process::told).collect();
        Observed {
            outcome: self.ledger.finish(now),
            processes,
            host: self.host.finish(),
            available_min: self.host.available_min(),
            complaints,
            refused: self.refused,
        }
    }
}

impl Process {
    fn sample(&mut self, now: Time) {
        for watched in &mut self.watched {
            // It may end at any moment; the loop hears of it.
            let _ = watched.sample(now);
        }
    }

    /// Its costs, each with what was counted in that role.
    fn told(self) -> Vec<(Usage, Figures)> {
        let mut figures = self.figures;
        let mut of = |role: Role| {
            let at = figures.iter().position(|(of, _)| *of == role);
            at.map(|at| figures.swap_remove(at).1).unwrap_or_default()
        };
        let together = |sum: Vec<Usage>, next: Vec<Usage>| sum.into_iter().zip(next).map(|(a, b)| a.plus(&b)).collect();
        let usages = self.watched.into_iter().map(Watched::usage).reduce(together);
        usages
            .into_iter()
            .flatten()
            .map(|usage| {
                let counted = of(usage.role);
                (usage, counted)
            })
            .collect()
    }
}

fn watched(name: &str, role: &str, pid: i32, backend: Backend) -> Watched {
    match role {
        // They serve nothing: they look on.
        "hub" if backend.hub != Home::Mock => Watched::new(format!("observer of {name}"), Role::Harness, pid),
        "leaves" if backend.leaves != Home::Mock => {
            with_model(Watched::new(format!("observer of {name}"), Role::Harness, pid))
        }
        "hub" => Watched::new(name.to_owned(), Role::Hub, pid),
        "leaves" => with_model(Watched::new(name.to_owned(), Role::Leaves, pid)),
        // They manage nothing.
        _ if [KEEPER, SOURCES].contains(&name) => Watched::new(name.to_owned(), Role::Harness, pid),
        _ => Watched::new(name.to_owned(), Role::Manager, pid),
    }
}

fn with_model(watched: Watched) -> Watched {
    watched.with_threads("flux-model", "flux-model".to_owned(), Role::FluxModel)
}
