//! What changes when.

use super::{Delay, Selector, one};
use crate::units::{Rate, Share, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One entry of the timeline: a change or a fault.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Step {
    /// When, from the start of the run.
    #[serde(default)]
    pub(crate) at: Span,
    /// What the platform team does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) change: Option<Change>,
    /// What goes wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fault: Option<Fault>,
}

/// What the platform team does.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(crate) enum Change {
    /// Applications are created on all clusters that the add-ons' selectors select.
    Install {
        /// Which add-ons; all of the catalogue by default.
        #[serde(default)]
        #[schemars(length(max = 1000))]
        addons: Vec<String>,
        /// In how many waves of equal size, clusters in order.
        #[serde(default = "one")]
        #[schemars(range(min = 1, max = 100_000))]
        waves: u32,
        /// Between two waves.
        #[serde(default)]
        wave_gap: Span,
    },
    /// The Applications' target revision moves.
    Upgrade {
        /// Which add-on.
        addon: String,
        /// To which of its versions.
        version: String,
        /// On which of its clusters; all by default.
        #[serde(default)]
        selector: Selector,
    },
    /// A new commit (or chart, or digest) appears under the same reference; the hub sees no change.
    Commit {
        /// Which add-on.
        addon: String,
    },
    /// Values of the Applications change.
    Scale {
        /// Which add-on.
        addon: String,
        /// The new values, over the old ones.
        #[serde(default)]
        #[schemars(extend("maxProperties" = 1000))]
        values: BTreeMap<String, String>,
        /// Replicas of its Deployments from now on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 0, max = 1000))]
        replicas: Option<u32>,
        /// On which of its clusters; all by default.
        #[serde(default)]
        selector: Selector,
    },
    /// The add-on is installed on more clusters.
    Rollout {
        /// Which add-on.
        addon: String,
        /// Which clusters shall have it besides those that do; all by default.
        #[serde(default)]
        selector: Selector,
    },
    /// Clusters join or leave the fleet.
    Clusters {
        /// How many more, or fewer if negative.
        #[schemars(range(min = -1_000_000, max = 1_000_000))]
        delta: i64,
    },
    /// Somebody changes objects behind the controllers' backs.
    Drift {
        /// Which add-on; without it apps are chosen by weight.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        addon: Option<String>,
        /// How many apps.
        #[schemars(range(min = 1, max = 100_000_000))]
        apps: u32,
        /// What happens to the object.
        #[serde(default)]
        kind: DriftKind,
    },
    /// Applications are deleted.
    Decommission {
        /// Which add-on.
        addon: String,
        /// On which of its clusters; all by default.
        #[serde(default)]
        selector: Selector,
    },
    /// Managers join or leave in order (`sharded` with a `lease`). Those that leave are the last ones, and let go
    /// before anybody takes over.
    Managers {
        /// How many more, or fewer if negative.
        #[schemars(range(min = -999, max = 999))]
        delta: i64,
    },
    /// Somebody gives clusters another manager (`sharded`: the key `shard` of their Secrets, as Argo CD reads it) or
    /// another cell (`cells`: the label by which the orchestrator places them; real clock).
    Move {
        /// Names of clusters.
        #[schemars(length(min = 1, max = 10_000))]
        clusters: Vec<String>,
        /// Their manager or cell from now on, counted from 0.
        #[schemars(range(min = 0, max = 999))]
        to: u32,
    },
    /// All clusters of a cell move to the others, with their Applications (`cells`, real clock). None comes back.
    Drain {
        /// Which cell, from 0.
        #[schemars(range(min = 0, max = 999))]
        cell: u32,
    },
    /// Changes arrive steadily, whether or not earlier ones are done.
    Churn {
        /// Changes per second.
        rate: Rate,
        /// How they are spaced.
        #[serde(default)]
        arrival: Arrival,
        /// For how long.
        duration: Span,
    },
}

/// What drift does to an object.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DriftKind {
    /// It is deleted.
    #[default]
    Delete,
    /// A field of it is changed.
    Edit,
}

/// How changes are spaced.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Arrival {
    /// Exponential gaps, as independent people make them.
    #[default]
    Poisson,
    /// Equal gaps.
    Fixed,
}

/// What goes wrong.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Fault {
    /// What happens. Live runs play `kill` and `pause`, the simulated clock plays all.
    pub(crate) kind: FaultKind,
    /// Whose process. The mock's API servers keep their objects in memory, so they can be paused but not killed.
    #[serde(default)]
    pub(crate) process: FaultProcess,
    /// Which manager, from 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 999))]
    pub(crate) manager: u32,
    /// Which clusters, with `process: leaves`; all by default. A share of them is drawn by the seed.
    #[serde(default, skip_serializing_if = "Selector::is_all")]
    pub(crate) selector: Selector,
    /// Which share of the calls (`slow`, `throttle`); all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) share: Option<Share>,
    /// How much longer they take each way (`slow`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delay: Option<Delay>,
    /// What the answer says about coming back (`throttle`); 1s by default, as kube-apiserver says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after: Option<Span>,
    /// For how long; then all is well again. Watches that `expire` do so at some moment of it.
    pub(crate) duration: Span,
}

impl FaultKind {
    /// Whether it is about API servers as managers see them, and not about a process.
    pub(crate) const fn is_trouble(self) -> bool {
        !matches!(self, Self::Kill | Self::Pause)
    }
}

/// Whose process is hurt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FaultProcess {
    /// A manager's.
    #[default]
    Manager,
    /// The API servers of all clusters, with the Flux controllers on them.
    Leaves,
    /// The API server of the hub.
    Hub,
}

/// What happens to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FaultKind {
    /// It is killed (SIGKILL) and started anew afterwards.
    Kill,
    /// It is stopped (SIGSTOP) and continued afterwards.
    Pause,
    /// Managers do not reach these API servers; what is on its way waits for the end, a call for 30s at most.
    Partition,
    /// Calls and watch events of these API servers take longer.
    Slow,
    /// These API servers tell managers to come back later: 429 with Retry-After.
    Throttle,
    /// Managers' watches of these API servers end with 410: everything is listed again.
    Expire,
    /// These API servers are gone and come back with all objects; watches start over.
    Restart,
}
