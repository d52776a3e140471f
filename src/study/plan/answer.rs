//! What a plan says, as it is printed.
//!
//! In: nothing. Out: the types of the answer, whose fields are those of `-o json`.

use super::{Axis, Check, Held};
use crate::measure::limit::Limit;
use serde::Serialize;

/// A trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Probe {
    /// Of what the plan makes larger.
    pub size: u64,
    /// Overrides beside those of the size.
    pub with: Vec<String>,
    /// Clusters.
    pub clusters: u64,
    /// Apps of the install.
    pub apps: u64,
    /// Whether everything held.
    pub holds: bool,
    /// What must hold, and what it came to.
    pub slos: Vec<Held>,
    /// The run neither got stuck nor grew a backlog.
    pub ended: bool,
    /// What was used, most first.
    pub used: Vec<Limit>,
    /// What it took.
    pub takes: Takes,
}

/// What the control plane takes while the changes are made, all modelled.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Takes {
    /// Managers.
    pub managers: u64,
    /// Cores busy on average, all hubs.
    pub hub_cores: f64,
    /// Memory of all hubs' API servers, bytes.
    pub hub_memory_bytes: u64,
    /// Cores busy on average, the busiest process of managers.
    pub manager_cores: f64,
    /// Memory of the largest process of managers, bytes.
    pub manager_memory_bytes: u64,
    /// Objects in its caches.
    pub manager_objects: u64,
    /// Memory of everything on hubs as the real programs took it at rest, bytes.
    pub real_memory_bytes: u64,
}

/// A limit that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// What was used up, with evidence.
    pub limit: Limit,
    /// In words.
    pub named: String,
    /// What was changed to make sure; null where a scenario has no such number.
    pub lifted: Option<String>,
    /// At this size.
    pub at: u64,
    /// So much of what is allowed was used before and after: the limits that were tried, the best first.
    pub tried: Vec<Tried>,
}

/// What widening something brought.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tried {
    /// What.
    pub named: String,
    /// The override in words.
    pub lifted: String,
    /// The share of what is allowed that was used before.
    pub before: f64,
    /// And with it; null is more than could be seen.
    pub after: Option<f64>,
    #[serde(skip)]
    pub(super) sets: Vec<String>,
    #[serde(skip)]
    pub(super) limit: Limit,
}

/// Where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Knee {
    /// The last size that holds; null when none does.
    pub holds: Option<u64>,
    /// The first that does not; null when all do.
    pub breaks: Option<u64>,
}

/// The next limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Next {
    /// Where it ends with the first limit out of the way.
    pub knee: Knee,
    /// What is used most then, and its name in words.
    pub used: Option<(String, Limit)>,
}

/// What a topology takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Size {
    /// `single`, `sharded`, `cells`, `hub-and-spoke`.
    pub topology: &'static str,
    /// Managers or cells.
    pub shards: u32,
    /// Where it ends.
    pub knee: Knee,
    /// What is used most where it ends.
    pub most_used: Option<Limit>,
    /// What it takes at the last size that holds.
    pub takes: Option<Takes>,
}

/// What a constant does to the answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sensitive {
    /// Its path in the scenario.
    pub id: String,
    /// Its value.
    pub value: String,
    /// Another value.
    pub other: String,
    /// How much of what is allowed is used then, over how much was; null is more than could be seen.
    pub ratio: Option<f64>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Name of the scenario.
    pub scenario: String,
    /// What was made larger.
    pub axis: Axis,
    /// How far at most.
    pub max: u64,
    /// What must hold.
    pub slo: Vec<String>,
    /// The answer in five sentences.
    pub sentences: Vec<String>,
    /// Where it ends.
    pub knee: Knee,
    /// The size as the scenario is written.
    pub written: Option<u64>,
    /// The knee over that size; null when unknown.
    pub headroom: Option<f64>,
    /// What stops it; null when nothing did.
    pub limit: Option<Found>,
    /// What would stop it next.
    pub next: Option<Next>,
    /// Sizes that hold although a smaller one does not: the search rests on there being none.
    pub exceptions: Vec<u64>,
    /// All trials by size.
    pub probes: Vec<Probe>,
    /// Topologies and how far they go.
    pub sizing: Vec<Size>,
    /// What constants that nobody measured do to the times, if it was asked; largest effect first.
    pub sensitivity: Vec<Sensitive>,
    /// The size at which constants were varied.
    pub varied_at: Option<u64>,
    /// Constants that the answer rests on, and how many of them nobody measured.
    pub constants: [u64; 2],
    /// What real processes say of it, if they were asked.
    pub check: Option<Check>,
}
