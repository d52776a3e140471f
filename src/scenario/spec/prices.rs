//! What simulated time takes for granted: API servers, the network, machines, memory.

use super::{Delay, DnsLabel};
use crate::units::{Bytes, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What simulated time takes for granted. Live runs do not read it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::scenario) struct Model {
    /// The price list that counts where nothing else is said.
    pub(in crate::scenario) prices: PriceList,
    /// One machine with so many cores under everything, as in a live run. Without it every API server and manager has cores
    /// of its own.
    #[schemars(range(min = 1, max = 1024))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) host: Option<u32>,
    /// The ways between managers and API servers.
    pub(in crate::scenario) network: Network,
    /// The hub's API server.
    pub(in crate::scenario) hub: Server,
    /// The API server of each cluster.
    pub(in crate::scenario) leaf: Server,
    /// Each manager's process.
    pub(in crate::scenario) manager: Thinking,
    /// The Flux controllers of each cluster.
    pub(in crate::scenario) flux: FluxCost,
    /// How late whoever plays the timeline sends a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) lag: Option<Delay>,
    /// What things held weigh.
    pub(in crate::scenario) memory: Memory,
}

/// Whose prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::scenario) enum PriceList {
    /// A kube-apiserver with etcd, controllers in processes of their own.
    #[default]
    Kubernetes,
    /// This program's own servers and models, for comparison with a live run.
    Mock,
}

/// The ways between managers and API servers.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::scenario) struct Network {
    /// One way between a manager and an API server, per call and watch event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) latency: Option<Delay>,
    /// Bytes per second between managers and any one cluster, each way; 0 is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) bandwidth: Option<Bytes>,
    /// There and back between a cluster's own controllers and its API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) local: Option<Span>,
    /// Regions that are reached otherwise.
    #[schemars(length(max = 1000))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::scenario) regions: Vec<Region>,
}

/// The way to the clusters of one region.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::scenario) struct Region {
    /// One of `fleet.regions`.
    pub(in crate::scenario) name: DnsLabel,
    /// One way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) latency: Option<Delay>,
    /// Bytes per second to any one cluster of it, each way; 0 is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) bandwidth: Option<Bytes>,
}

/// What an API server has and what its work costs, in CPU time of one core.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::scenario) struct Server {
    /// Cores; 0.5 is half of one.
    #[schemars(range(min = 0.001, max = 1024.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) cores: Option<f64>,
    /// Per GET, LIST, discovery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) read: Option<Span>,
    /// Per POST.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) create: Option<Span>,
    /// Per PUT, PATCH, DELETE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) write: Option<Span>,
    /// Per server-side apply, dry or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) apply: Option<Span>,
    /// Per KiB of a list, beside `read`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) per_kib: Option<Span>,
    /// Per watch event and watcher.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) watch_event: Option<Span>,
    /// Until etcd has a write, beside the CPU time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) commit: Option<Span>,
    /// Calls of the priority level of managers that are served at the same time; 0 is no limit.
    #[schemars(range(min = 0, max = 1_000_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) seats: Option<u32>,
    /// Calls of one client that may wait for a seat; the next is told 429.
    #[schemars(range(min = 0, max = 1_000_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) queue: Option<u32>,
}

/// What a manager's work costs.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::scenario) struct Thinking {
    /// Cores.
    #[schemars(range(min = 0.001, max = 1024.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) cores: Option<f64>,
    /// CPU time per watch event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) hear: Option<Span>,
    /// Per call that it makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) ask: Option<Span>,
    /// Per round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) decide: Option<Span>,
}

/// What the work of Flux controllers costs.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::scenario) struct FluxCost {
    /// CPU time per call that they make. With `prices: kubernetes` it is on the bill and delays nothing, for
    /// `run.flux.build` does; with `mock` the call is part of it, and one thread does it for all clusters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) call: Option<Span>,
}

/// What things held weigh.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::scenario) struct Memory {
    /// An idle API server with its store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) server: Option<Bytes>,
    /// An object in an API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) object: Option<Bytes>,
    /// A watch in an API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) watch: Option<Bytes>,
    /// A connection, at either end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) connection: Option<Bytes>,
    /// An idle manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) manager: Option<Bytes>,
    /// An object in a manager's cache, with its share of the index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) cached: Option<Bytes>,
    /// A watch that a manager holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) held: Option<Bytes>,
    /// A worker of a manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::scenario) worker: Option<Bytes>,
}
