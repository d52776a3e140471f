//! The processes of a live run, from the first start to the last figure.
//!
//! In: a scenario, a private folder. Out: children that are ready, and their figures at the end. Leaves start first,
//! because the hub's cluster Secrets say where they are; managers start last. A child that does not come up, or does not
//! go down, in time is an error with its name.

use super::child::{self, Child, ChildIndex, Heard};
use super::event::Event;
use super::notice::{Notice, Order, Server};
use super::settings::{self, Access, Guests, Settings};
use crate::clock;
use crate::scenario::{TopologyKind, Victim};
use crate::topology::Layout;
use crate::units::Span;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};

/// Why the crew cannot work.
#[derive(Debug, thiserror::Error)]
pub enum CrewError {
    /// A process could not be started.
    #[error("cannot start {name}: {source}")]
    Start {
        /// Which.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// A process ended before it was ready.
    #[error("{name} ended before it was ready ({how}); its own message stands above")]
    Early {
        /// Which.
        name: String,
        /// Exit status.
        how: String,
    },
    /// A process says that it cannot go on.
    #[error("{name}: {message}")]
    Failed {
        /// Which.
        name: String,
        /// Its words.
        message: String,
    },
    /// A process was not ready in time.
    #[error("{name} was not ready within {patience}; is the machine overloaded?")]
    Slow {
        /// Which.
        name: String,
        /// How long we waited.
        patience: Span,
    },
    /// The settings of a process could not be written.
    #[error("cannot write settings below {folder}: {message}")]
    Settings {
        /// Where.
        folder: PathBuf,
        /// Why.
        message: String,
    },
    /// The user stopped while the crew came up.
    #[error("interrupted before the run began")]
    Interrupted,
}

/// A member of the crew.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) child: Child,
    pub(super) role: &'static str,
    /// Managers and hubs: which; 0 for the others.
    pub(super) number: u32,
    pub(super) ended: bool,
    ready: Option<Access>,
    /// The timeline ended it: its end is no surprise.
    pub(super) expected_to_end: bool,
}

/// Roles as the command line calls them.
pub(super) const LEAVES: &str = "leaves";
pub(super) const HUB: &str = "hub";
pub(super) const ABOVE: &str = "above";
pub(super) const MANAGER: &str = "manager";
pub(super) const SOURCES: &str = "sources";
/// The process that keeps managers of others.
pub(super) const KEEPER: &str = "keeper";

/// The process name of a hub.
fn hub_name(layout: &Layout, hub: u32) -> String {
    match layout.kind {
        TopologyKind::Cells if hub + 1 == layout.hubs => "hub-orchestrator".to_owned(),
        TopologyKind::Cells => format!("hub-{hub}"),
        TopologyKind::Single | TopologyKind::Sharded | TopologyKind::HubAndSpoke => HUB.to_owned(),
    }
}

/// The process name of whoever stands above the managers.
const fn above(kind: TopologyKind) -> Option<&'static str> {
    match kind {
        TopologyKind::Single | TopologyKind::Sharded => None,
        TopologyKind::Cells => Some("orchestrator"),
        TopologyKind::HubAndSpoke => Some("management"),
    }
}

/// All children.
#[derive(Debug)]
pub(super) struct Crew {
    pub(super) members: Vec<Member>,
    folder: PathBuf,
    guests: Guests,
    scenario: PathBuf,
    /// API servers write their objects at their end.
    objects: bool,
    pub(super) hubs: Vec<Access>,
    pub(super) leaves: Access,
    /// Where managers of others find what they install.
    pub(super) sources: Option<String>,
    /// Processes of others that children started, with the role that they play.
    pub(super) servers: Vec<(&'static str, Server)>,
    /// Processes of managers now.
    pub(super) processes: u32,
    /// What children signalled before everybody was ready: managers tell early what they own.
    pub(super) early: Vec<(ChildIndex, Vec<u8>)>,
}

/// Where an API server of a run writes its objects.
pub(super) fn objects_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.objects.json"))
}

impl Crew {
    /// Starts leaves, hubs, whoever stands above the managers, and those, each when what it needs is ready.
    ///
    /// # Errors
    /// The first member that does not come up. Those that did end with the value.
    pub(super) fn muster(
        scenario: &crate::scenario::Scenario,
        layout: &Layout,
        (folder, guests): (&Path, &Guests),
        (objects, patience): (bool, Span),
        events: &SyncSender<Event>,
        heard: &Receiver<Event>,
    ) -> Result<Self, CrewError> {
        let scenario_file = folder.join("scenario.yaml");
        std::fs::write(&scenario_file, &scenario.effective)
            .map_err(|e| CrewError::Settings { folder: folder.to_owned(), message: e.to_string() })?;
        let mut crew = Self {
            members: Vec::new(),
            folder: folder.to_owned(),
            guests: guests.clone(),
            scenario: scenario_file,
            objects,
            hubs: Vec::new(),
            leaves: Access::nobody(),
            sources: None,
            servers: Vec::new(),
            processes: layout.processes,
            early: Vec::new(),
        };
        let real = scenario.manager.command.is_some();
        if real {
            let sources = crew.enlist(SOURCES, SOURCES, 0, events)?;
            crew.sources = Some(crew.await_ready(sources, patience, heard)?.url().to_owned());
        }
        let leaves = crew.enlist(LEAVES, LEAVES, 0, events)?;
        crew.leaves = crew.await_ready(leaves, patience, heard)?;
        let hubs: Vec<_> = (0..layout.hubs)
            .map(|hub| crew.enlist(&hub_name(layout, hub), HUB, hub, events))
            .collect::<Result<_, _>>()?;
        for hub in hubs {
            let access = crew.await_ready(hub, patience, heard)?;
            crew.hubs.push(access);
        }
        if let Some(name) = above(layout.kind) {
            let above = crew.enlist(name, ABOVE, 0, events)?;
            crew.await_ready(above, patience, heard)?;
        }
        let first = crew.members.len();
        if real {
            crew.enlist(KEEPER, MANAGER, 0, events)?;
        }
        for process in 0..if real { 0 } else { layout.processes } {
            crew.enlist(&format!("manager-{process}"), MANAGER, process, events)?;
        }
        for manager in first..crew.members.len() {
            crew.await_ready(manager, patience, heard)?;
        }
        Ok(crew)
    }

    /// Starts one more child.
    pub(super) fn enlist(
        &mut self,
        name: &str,
        role: &'static str,
        number: u32,
        events: &SyncSender<Event>,
    ) -> Result<ChildIndex, CrewError> {
        let index = self.members.len();
        let path = self.folder.join(format!("{name}-{index}.json"));
        let settings = Settings {
            scenario: self.scenario.clone(),
            leaves: (role != LEAVES).then(|| self.leaves.clone()),
            sources: self.sources.clone(),
            hubs: if role == HUB { Vec::new() } else { self.hubs.clone() },
            number,
            guest: if role == HUB { self.guests.hubs.get(number as usize).cloned() } else { None },
            hosts: if role == LEAVES { self.guests.leaves.clone() } else { Vec::new() },
            folder: self.folder.clone(),
            objects: self.objects.then(|| objects_of(&self.folder, name)),
        };
        settings::write(&path, &settings)
            .map_err(|e| CrewError::Settings { folder: self.folder.clone(), message: e.to_string() })?;
        let child = child::start(name, role, &path, index, events.clone())
            .map_err(|source| CrewError::Start { name: name.to_owned(), source })?;
        self.members.push(Member { child, role, number, ended: false, ready: None, expected_to_end: false });
        Ok(index)
    }

    fn await_ready(&mut self, index: ChildIndex, patience: Span, heard: &Receiver<Event>) -> Result<Access, CrewError> {
        let deadline = clock::now() + patience;
        let name = |crew: &Self, index: ChildIndex| crew.members[index].child.name.clone();
        loop {
            if let Some(access) = self.members[index].ready.take() {
                return Ok(access);
            }
            let left = deadline.since(clock::now());
            match heard.recv_timeout(left.to_std()) {
                Ok(Event::Child(who, Heard::Notice(Notice::Ready { access, servers }))) => {
                    let role = self.members[who].role;
                    self.servers.extend(servers.into_iter().map(|server| (role, server)));
                    self.members[who].ready = Some(access);
                }
                Ok(Event::Child(who, Heard::Notice(Notice::Failed { message }) | Heard::Garbled(message))) => {
                    return Err(CrewError::Failed { name: name(self, who), message });
                }
                Ok(Event::Child(who, Heard::Ended(status))) => {
                    self.members[who].ended = true;
                    return Err(CrewError::Early { name: name(self, who), how: status.to_string() });
                }
                Ok(Event::Child(who, Heard::Signals(bytes))) => self.early.push((who, bytes)),
                Ok(Event::Interrupted) => return Err(CrewError::Interrupted),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(CrewError::Slow { name: name(self, index), patience });
                }
            }
        }
    }

    /// Tells every member of a role.
    pub(super) fn tell(&mut self, role: &str, order: &Order) {
        for member in self.members.iter_mut().filter(|m| m.role == role && !m.ended) {
            member.child.tell(order);
        }
    }

    /// Starts so many managers more.
    ///
    /// # Errors
    /// The first that could not be started.
    pub(super) fn grow(&mut self, more: u32, events: &SyncSender<Event>) -> Result<Vec<ChildIndex>, CrewError> {
        let first = self.processes;
        let enlist = |number: u32| {
            let index = self.enlist(&format!("manager-{number}"), MANAGER, number, events)?;
            self.processes = number + 1;
            Ok(index)
        };
        (first..first + more).map(enlist).collect()
    }

    /// Sends so many managers home, the last ones.
    pub(super) fn shrink(&mut self, fewer: u32) {
        let left = self.processes.saturating_sub(fewer);
        for member in self.members.iter_mut().filter(|m| m.role == MANAGER && m.number >= left && !m.ended) {
            member.expected_to_end = true;
            // One that a fault has stopped would never read the end of its input.
            member.child.signal(rustix::process::Signal::CONT);
            member.child.dismiss();
        }
        self.processes = left;
    }

    /// The living process that a fault is about.
    pub(super) fn find(&mut self, victim: Victim) -> Option<&mut Member> {
        let (role, number) = match victim {
            // On `hub-and-spoke` a process hosts several.
            Victim::Manager(manager) => (MANAGER, manager % self.processes),
            Victim::Leaves => (LEAVES, 0),
            Victim::Hub => (HUB, 0),
        };
        self.members.iter_mut().find(|m| m.role == role && m.number == number && !m.ended)
    }

    /// The names of the API servers' processes.
    pub(super) fn servers(&self) -> impl Iterator<Item = String> + '_ {
        self.members.iter().filter(|m| m.role == HUB || m.role == LEAVES).map(|m| m.child.name.clone())
    }

    /// Whether every member has ended.
    pub(super) fn is_gone(&self) -> bool {
        self.members.iter().all(|m| m.ended)
    }
}
