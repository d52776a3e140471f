//! What a study varies.

use super::DnsLabel;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One thing that a study varies. Every point of every axis meets every point of the others.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::scenario) struct Axis {
    /// What it is, for tables and charts: `topology`, `clusters`.
    pub(in crate::scenario) axis: DnsLabel,
    /// What it may be.
    #[schemars(length(min = 1, max = 100))]
    pub(in crate::scenario) points: Vec<Point>,
}

/// One of the things that it may be.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::scenario) struct Point {
    /// Its name.
    pub(in crate::scenario) name: DnsLabel,
    /// What it changes in the scenario, each as `--set` takes it: `topology.shards=4`. None leaves the scenario as it is.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub(in crate::scenario) set: Vec<String>,
}
