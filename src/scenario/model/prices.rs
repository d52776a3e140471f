//! What simulated time takes for granted, and the two price lists. Where each number is from stands in `model::prices`.

use super::Delay;
use crate::units::{Bytes, Span};

/// What simulated time takes for granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Whose prices count where nothing else is said.
    pub prices: PriceList,
    /// Cores of the one machine under everything, if there is one.
    pub host: Option<u32>,
    /// The ways between managers and API servers.
    pub network: Network,
    /// The hub's API server.
    pub hub: Server,
    /// The API server of each cluster.
    pub leaf: Server,
    /// Each manager's process.
    pub manager: Thinking,
    /// CPU time of a cluster's Flux controllers per call that they make.
    pub flux_call: Span,
    /// How late whoever plays the timeline sends a change.
    pub lag: Delay,
    /// What things held weigh.
    pub memory: Memory,
}

/// Whose prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PriceList {
    /// A kube-apiserver with etcd, controllers in processes of their own.
    #[default]
    Kubernetes,
    /// This program's own servers and models; all Flux controllers share one thread, and their calls are part of its work.
    Mock,
}

/// The ways between managers and API servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// To and from the hub, and where no region says otherwise.
    pub way: Way,
    /// There and back between a cluster's own controllers and its API server.
    pub local: Span,
    /// Ways to the clusters of regions.
    pub regions: Vec<(String, Way)>,
}

/// One way of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// How long it takes.
    pub latency: Delay,
    /// Bytes per second to one cluster, each way; 0 is no limit.
    pub bandwidth: u64,
}

/// An API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// Thousandths of a core.
    pub milli: u32,
    /// CPU time per GET, LIST, discovery.
    pub read: Span,
    /// Per POST.
    pub create: Span,
    /// Per PUT, PATCH, DELETE.
    pub write: Span,
    /// Per server-side apply, dry or not.
    pub apply: Span,
    /// Per KiB of a list, beside `read`.
    pub per_kib: Span,
    /// Per watch event and watcher.
    pub watch_event: Span,
    /// Until etcd has a write, beside the CPU time.
    pub commit: Span,
    /// Calls of managers that are served at the same time; 0 is no limit.
    pub seats: u32,
    /// Calls of one client that may wait for a seat.
    pub queue: u32,
}

/// What a manager's work costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thinking {
    /// Thousandths of a core.
    pub milli: u32,
    /// CPU time per watch event.
    pub hear: Span,
    /// Per call that it makes.
    pub ask: Span,
    /// Per round.
    pub decide: Span,
}

/// What things held weigh, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// An idle API server with its store.
    pub server: Bytes,
    /// An object in an API server.
    pub object: Bytes,
    /// A watch in an API server.
    pub watch: Bytes,
    /// A connection, at either end.
    pub connection: Bytes,
    /// An idle manager.
    pub manager: Bytes,
    /// An object in a manager's cache.
    pub cached: Bytes,
    /// A watch that a manager holds.
    pub held: Bytes,
    /// A worker of a manager.
    pub worker: Bytes,
}

impl Default for Model {
    fn default() -> Self {
        Self::of(PriceList::default())
    }
}

impl Model {
    /// Whether it is about this program's own servers and models.
    #[must_use]
    pub const fn is_mock(&self) -> bool {
        matches!(self.prices, PriceList::Mock)
    }

    /// A price list as it is.
    #[must_use]
    pub const fn of(prices: PriceList) -> Self {
        match prices {
            PriceList::Kubernetes => KUBERNETES,
            PriceList::Mock => MOCK,
        }
    }
}

const fn us(micros: u64) -> Span {
    Span::from_micros(micros)
}

const KUBERNETES_SERVER: Server = Server {
    milli: 4_000,
    read: us(500),
    create: us(850),
    write: us(1_000),
    apply: us(1_345),
    per_kib: us(12),
    watch_event: us(47),
    commit: us(2_000),
    seats: 245,
    queue: 300,
};

const KUBERNETES_MEMORY: Memory = Memory {
    server: Bytes(318 << 20),
    object: Bytes(15 << 10),
    watch: Bytes(75 << 10),
    connection: Bytes(17 << 10),
    manager: Bytes(18 << 20),
    cached: Bytes(900),
    held: Bytes(11 << 10),
    worker: Bytes(8 << 10),
};

const KUBERNETES: Model = Model {
    prices: PriceList::Kubernetes,
    host: None,
    network: Network { way: Way { latency: Delay::Fixed(us(500)), bandwidth: 0 }, local: us(200), regions: Vec::new() },
    hub: KUBERNETES_SERVER,
    leaf: Server { milli: 2_000, ..KUBERNETES_SERVER },
    manager: Thinking { milli: 1_000, hear: us(30), ask: us(60), decide: us(20) },
    flux_call: us(3_200),
    lag: Delay::Fixed(Span::ZERO),
    memory: KUBERNETES_MEMORY,
};

const MOCK_SERVER: Server = Server {
    milli: 2_000,
    read: us(60),
    create: us(120),
    write: us(120),
    apply: us(120),
    per_kib: us(1),
    watch_event: us(25),
    commit: Span::ZERO,
    seats: 0,
    queue: 0,
};

const MOCK: Model = Model {
    prices: PriceList::Mock,
    host: Some(2),
    network: Network {
        way: Way { latency: Delay::Fixed(us(50)), bandwidth: 0 },
        local: Span::ZERO,
        regions: Vec::new(),
    },
    hub: Server { watch_event: us(45), ..MOCK_SERVER },
    leaf: MOCK_SERVER,
    manager: Thinking { milli: 1_000, hear: us(20), ask: us(34), decide: us(71) },
    flux_call: us(27),
    lag: Delay::Uniform { min: us(600), max: us(1_800) },
    memory: Memory {
        server: Bytes(2 << 10),
        object: Bytes(2 << 10),
        watch: Bytes(2_253),
        connection: Bytes(64 << 10),
        ..KUBERNETES_MEMORY
    },
};
