//! What happens in a simulation.

use crate::fleet::Target;
use crate::model::flux::PassId;
use crate::reconcile::Slot;

/// One thing that happens. Apps and leaves are numbered within the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The next change of the timeline is due.
    Change,
    /// A source gets a commit.
    Commit {
        /// Which of the run's.
        n: u32,
    },
    /// The write of a change arrives at its API server.
    Write {
        /// Which change.
        index: u32,
        /// Which of its calls.
        stage: Stage,
        /// How often it was tried, this time included.
        tries: u8,
    },
    /// The watch of Applications tells a manager.
    AppSeen {
        /// Which.
        app: u32,
        /// What it says.
        what: AppNews,
    },
    /// The watch of a leaf tells a manager.
    FluxSeen {
        /// Whose.
        app: u32,
        /// Which of its objects.
        slot: Slot,
        /// What it shows, by its place among what is under way.
        shown: u32,
    },
    /// A watch of a leaf is open and its list complete.
    WatchOpened {
        /// The leaf.
        leaf: u32,
        /// The kind, as [`super::manager::watched`] numbers it.
        kind: u8,
    },
    /// Hub and spoke: the hub has stored what a leaf reports.
    Reported {
        /// What, by its place among what is under way.
        report: u32,
    },
    /// A manager's queue may have a key that is due.
    ManagerTurn {
        /// Which manager.
        shard: u32,
    },
    /// A call of a round arrives at its API server.
    CallArrives {
        /// The round.
        round: u32,
        /// Which call of its batch.
        nth: u8,
    },
    /// All replies to a batch are back.
    RoundReplies {
        /// The round.
        round: u32,
    },
    /// A queue or timer of a leaf's controllers may have something to run.
    LeafTurn {
        /// The leaf.
        leaf: u32,
    },
    /// A fault of the timeline begins or ends.
    Fault {
        /// Which step.
        n: u32,
        /// It begins.
        begins: bool,
    },
    /// A call of a round has waited too long for an answer.
    CallLost {
        /// The round.
        round: u32,
        /// Which call of its batch.
        nth: u8,
    },
    /// A watch ended and lists anew.
    Relist {
        /// The leaf.
        leaf: u32,
        /// The kind, as [`super::manager::watched`] numbers it.
        kind: u8,
    },
    /// A manager's watch of Applications ended and lists anew.
    RelistHub {
        /// Which manager.
        shard: u32,
    },
    /// A manager that starts again has the list of Applications.
    ManagerListed {
        /// Which manager.
        shard: u32,
    },
    /// Something happens to a manager's keeper of leases and choices.
    Keeper {
        /// Which manager.
        shard: u32,
        /// Which life of it.
        life: u32,
        /// What.
        step: KeeperStep,
    },
    /// Who manages what changes, by the timeline.
    Shift {
        /// Which step.
        n: u32,
        /// Which of its writes arrives, from 1; 0 when it begins.
        nth: u32,
    },
    /// The calls of a pass are answered.
    PassCalls {
        /// The leaf.
        leaf: u32,
        /// The pass.
        pass: PassId,
    },
}

/// What happens to a manager's keeper. Calls are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeeperStep {
    /// Its alarm clock goes off.
    Turn,
    /// It has started and listed everything.
    Up,
    /// A call arrives at the hub.
    Arrives(u32),
    /// Its answer is back.
    Answered(u32),
    /// It has taken too long.
    Late(u32),
    /// The watch of leases tells it something, by its place among what is under way.
    Heard(u32),
    /// The watch of cluster Secrets tells it of choices: so many in all.
    Chosen(u32),
    /// It has waited for more of them.
    Settle,
    /// The list of Applications is there that it needs for new leaves.
    Listed,
}

/// The calls of a change, in their order. Flux objects are written by hand in Reference mode alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Apply of a Flux object.
    Flux(Slot),
    /// The write of the Application, or the meddling of a drift.
    Main,
    /// Delete of a Flux object.
    Remove(Slot),
}

/// What a watch says of an Application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AppNews {
    /// What it asks for.
    pub(super) target: Target,
    /// `metadata.generation`.
    pub(super) generation: u32,
    /// `metadata.deletionTimestamp` is set.
    pub(super) deleting: bool,
    /// `operation` is set.
    pub(super) operation: bool,
    /// It carries Argo CD's finalizer.
    pub(super) cascade: bool,
    /// It is no more.
    pub(super) gone: bool,
}
