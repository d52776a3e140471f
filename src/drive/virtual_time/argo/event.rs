//! What happens in a simulation of Argo CD.

use crate::model::argo::{Effect, Level};
use crate::model::flux::PassId;

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The next change of the timeline is due.
    Change,
    /// The write of a change arrives at the hub.
    Write {
        /// Which change.
        index: u32,
    },
    /// The watch of Applications tells a controller.
    AppSeen {
        /// Which.
        app: u32,
    },
    /// An app is put into the refresh queue.
    Refresh {
        /// Which.
        app: u32,
        /// At which level, if that is asked for.
        level: Option<Level>,
    },
    /// The informer of a controller starts over: every app is looked at, after its jitter.
    Tick {
        /// Which controller.
        shard: u32,
    },
    /// A pass may go on.
    Go {
        /// Which.
        pass: u32,
    },
    /// More of a pass's CPU.
    Slice {
        /// Which.
        pass: u32,
        /// What is left, nanoseconds.
        left: u64,
    },
    /// A call of a pass arrives.
    Arrive {
        /// Which.
        pass: u32,
        /// Which of its calls.
        nth: u8,
    },
    /// The answer to one is back.
    Reply {
        /// Which.
        pass: u32,
    },
    /// A lone call arrives that nobody waits for.
    Lone {
        /// Whose.
        app: u32,
        /// What it changes.
        effect: Effect,
    },
    /// The cluster cache hears of an app's objects.
    Heard {
        /// Whose.
        app: u32,
    },
    /// The Deployments of an app are available.
    Available {
        /// Whose.
        app: u32,
        /// After which of its writes.
        write: u32,
    },
    /// A step of the start of a cluster cache.
    Cluster {
        /// Which cluster.
        cluster: u32,
        /// Which step.
        step: u8,
    },
    /// The watches of a cluster cache start over.
    Relist {
        /// Which cluster.
        cluster: u32,
    },
    /// A leaf's Flux controllers may have something to run.
    LeafTurn {
        /// The leaf.
        leaf: u32,
    },
    /// The calls of a Flux pass are answered.
    PassCalls {
        /// The leaf.
        leaf: u32,
        /// The pass.
        pass: PassId,
    },
}
