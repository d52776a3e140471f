//! What changes when.

use super::{Selector, one};
use crate::units::{Rate, Span};
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
    /// What happens to the process.
    pub(crate) kind: FaultKind,
    /// Whose process. API servers keep their objects in memory, so they can be paused but not killed.
    #[serde(default)]
    pub(crate) process: FaultProcess,
    /// Which manager, from 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 999))]
    pub(crate) manager: u32,
    /// For how long; then it runs again.
    pub(crate) duration: Span,
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
}
