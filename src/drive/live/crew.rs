//! The processes of a live run, from the first start to the last figure.
//!
//! In: a scenario, a private folder. Out: children that are ready, and their figures at the end. Leaves start first,
//! because the hub's cluster Secrets say where they are; managers start last. A child that does not come up, or does not
//! go down, in time is an error with its name.

use super::child::{self, Child, ChildIndex, Heard};
use super::event::Event;
use super::notice::{Notice, Order};
use super::settings::{self, Access, Settings};
use crate::clock;
use crate::scenario::Victim;
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
    /// Managers: which; 0 for the others.
    pub(super) shard: u32,
    pub(super) ended: bool,
    ready: Option<Access>,
    /// A fault of the timeline ended it: its end is no surprise.
    pub(super) killed: bool,
}

/// All children.
#[derive(Debug)]
pub(super) struct Crew {
    pub(super) members: Vec<Member>,
    folder: PathBuf,
    scenario: PathBuf,
    /// API servers write their objects at their end.
    objects: bool,
    pub(super) hub: Access,
    pub(super) leaves: Access,
}

/// Where an API server of a run writes its objects.
pub(super) fn objects_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.objects.json"))
}

/// How long a child may take to be ready.
fn patience(clusters: u32) -> Span {
    super::budget::patience(u64::from(clusters))
}

impl Crew {
    /// Starts leaves, hub and managers, each when what it needs is ready.
    ///
    /// # Errors
    /// The first member that does not come up. Those that did end with the value.
    pub(super) fn muster(
        scenario: &crate::scenario::Scenario,
        folder: &Path,
        objects: bool,
        events: &SyncSender<Event>,
        heard: &Receiver<Event>,
    ) -> Result<Self, CrewError> {
        let scenario_file = folder.join("scenario.yaml");
        std::fs::write(&scenario_file, &scenario.effective)
            .map_err(|e| CrewError::Settings { folder: folder.to_owned(), message: e.to_string() })?;
        let nowhere = Access { url: String::new(), ca_pem: String::new(), tokens: Vec::new() };
        let mut crew = Self {
            members: Vec::new(),
            folder: folder.to_owned(),
            scenario: scenario_file,
            objects,
            hub: nowhere.clone(),
            leaves: nowhere,
        };
        let patience = patience(scenario.fleet.clusters);
        let leaves = crew.enlist("leaves", "leaves", 0, events)?;
        crew.leaves = crew.await_ready(leaves, patience, heard)?;
        let hub = crew.enlist("hub", "hub", 0, events)?;
        crew.hub = crew.await_ready(hub, patience, heard)?;
        let first = crew.members.len();
        for shard in 0..scenario.topology.shards {
            crew.enlist(&format!("manager-{shard}"), "manager", shard, events)?;
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
        shard: u32,
        events: &SyncSender<Event>,
    ) -> Result<ChildIndex, CrewError> {
        let index = self.members.len();
        let path = self.folder.join(format!("{name}-{index}.json"));
        let settings = Settings {
            scenario: self.scenario.clone(),
            leaves: (role == "hub").then(|| self.leaves.clone()),
            hub: (role == "manager").then(|| self.hub.clone()),
            shard,
            objects: self.objects.then(|| objects_of(&self.folder, name)),
        };
        settings::write(&path, &settings)
            .map_err(|e| CrewError::Settings { folder: self.folder.clone(), message: e.to_string() })?;
        let child = child::start(name, role, &path, index, events.clone())
            .map_err(|source| CrewError::Start { name: name.to_owned(), source })?;
        self.members.push(Member { child, role, shard, ended: false, ready: None, killed: false });
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
                Ok(Event::Child(who, Heard::Notice(Notice::Ready { url, ca_pem, tokens }))) => {
                    self.members[who].ready = Some(Access { url, ca_pem, tokens });
                }
                Ok(Event::Child(who, Heard::Notice(Notice::Failed { message }) | Heard::Garbled(message))) => {
                    return Err(CrewError::Failed { name: name(self, who), message });
                }
                Ok(Event::Child(who, Heard::Ended(status))) => {
                    self.members[who].ended = true;
                    return Err(CrewError::Early { name: name(self, who), how: status.to_string() });
                }
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

    /// The living process that a fault is about.
    pub(super) fn find(&mut self, victim: Victim) -> Option<&mut Member> {
        let (role, shard) = match victim {
            Victim::Manager(shard) => ("manager", shard),
            Victim::Leaves => ("leaves", 0),
            Victim::Hub => ("hub", 0),
        };
        self.members.iter_mut().find(|m| m.role == role && m.shard == shard && !m.ended)
    }

    /// Whether every member has ended.
    pub(super) fn is_gone(&self) -> bool {
        self.members.iter().all(|m| m.ended)
    }
}
