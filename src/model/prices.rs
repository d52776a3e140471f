//! What a real control plane costs: the constants of simulated time, each with where it is from.
//!
//! A call takes its price on one core of its API server; calls that find no free core wait. Watch events are paid by the
//! server too. Managers pay for what they hear, ask and decide on one core. Memory is a bill: so much per thing held.

use crate::calls::{Op, Verb};
use crate::units::{Bytes, Span, Time};
use smallvec::SmallVec;

/// How a constant is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// We measured it.
    Measured,
    /// Others did.
    Published,
    /// Nobody did.
    Assumed,
}

/// A constant as the record lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constant {
    /// Its name.
    pub id: &'static str,
    /// Its value, with unit.
    pub value: String,
    /// What it is a quantity of.
    pub unit: &'static str,
    /// Who says so.
    pub source: &'static str,
    /// How they know.
    pub known: Known,
}

/// All constants of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prices {
    /// One way between a manager or the harness and an API server.
    pub network: Span,
    /// There and back between a cluster's own controllers and its API server.
    pub local: Span,
    /// Cores of the hub's API server, and of a leaf's.
    pub cores: [u32; 2],
    /// CPU of an API server per GET, LIST of few, discovery.
    pub read: Span,
    /// Per POST.
    pub create: Span,
    /// Per PUT, PATCH, DELETE.
    pub write: Span,
    /// Per server-side apply, dry or not.
    pub apply: Span,
    /// Per watch event and watcher.
    pub watch_event: Span,
    /// CPU of a manager per watch event.
    pub hear: Span,
    /// Per call it makes.
    pub ask: Span,
    /// Per round.
    pub decide: Span,
    /// CPU of a Flux controller per call it makes. It delays nothing: `run.flux.build` does.
    pub flux: Span,
}

impl Default for Prices {
    /// A kube-apiserver 1.36 with etcd, our manager, one region.
    fn default() -> Self {
        Self {
            network: Span::from_micros(500),
            local: Span::from_micros(200),
            cores: [4, 2],
            read: Span::from_micros(500),
            create: Span::from_micros(850),
            write: Span::from_micros(1_000),
            apply: Span::from_micros(1_345),
            watch_event: Span::from_micros(47),
            hear: Span::from_micros(30),
            ask: Span::from_micros(60),
            decide: Span::from_micros(20),
            flux: Span::from_micros(3_200),
        }
    }
}

/// Where prices are from.
const ORACLE: &str = "kube-apiserver 1.36.3 and etcd without fsync, 16 clients on the same 2 cores";
const LOOPBACK: &str =
    "our manager, 10,000 clusters live: 43.8 s of CPU for 238,008 calls, 157,509 rounds and some 700,000 events";
const FLUX: &str = "kustomize-controller 1.9.5: 10.8 s of CPU for 100 Kustomizations of 34 calls";
const NOBODY: &str = "nobody";

impl Prices {
    /// Nothing costs anything, and nothing takes time but the network, which takes these.
    #[must_use]
    pub fn free(network: Span, local: Span) -> Self {
        let none = Span::ZERO;
        Self {
            network,
            local,
            cores: [1, 1],
            read: none,
            create: none,
            write: none,
            apply: none,
            watch_event: none,
            hear: none,
            ask: none,
            decide: none,
            flux: none,
        }
    }

    /// What a call costs its API server.
    #[must_use]
    pub const fn call<B>(&self, op: &Op<B>) -> Span {
        self.verb(op.verb)
    }

    /// The same by verb.
    #[must_use]
    pub const fn verb(&self, verb: Verb) -> Span {
        match verb {
            Verb::Get | Verb::List | Verb::Watch | Verb::Discover => self.read,
            Verb::Create => self.create,
            Verb::Update | Verb::Patch | Verb::Delete => self.write,
            Verb::Apply => self.apply,
        }
    }

    /// All of them, as the record lists them.
    #[must_use]
    pub fn constants(&self) -> Vec<Constant> {
        let time =
            |id, value: Span, source, known| Constant { id, value: value.to_string(), unit: "time", source, known };
        let cpu =
            |id, value: Span, source, known| Constant { id, value: value.to_string(), unit: "CPU time", source, known };
        let count = |id, value: u32| Constant {
            id,
            value: value.to_string(),
            unit: "cores",
            source: NOBODY,
            known: Known::Assumed,
        };
        let memory = |id, value: u64, source, known| Constant {
            id,
            value: Bytes(value).to_string(),
            unit: "bytes",
            source,
            known,
        };
        vec![
            time("model.network", self.network, NOBODY, Known::Assumed),
            time("model.local", self.local, NOBODY, Known::Assumed),
            count("model.hub.cores", self.cores[0]),
            count("model.leaf.cores", self.cores[1]),
            cpu("model.apiserver.read", self.read, ORACLE, Known::Measured),
            cpu("model.apiserver.create", self.create, ORACLE, Known::Measured),
            cpu("model.apiserver.write", self.write, ORACLE, Known::Measured),
            cpu("model.apiserver.apply", self.apply, ORACLE, Known::Measured),
            cpu("model.apiserver.watchEvent", self.watch_event, ORACLE, Known::Measured),
            cpu("model.manager.hear", self.hear, LOOPBACK, Known::Assumed),
            cpu("model.manager.ask", self.ask, LOOPBACK, Known::Assumed),
            cpu("model.manager.decide", self.decide, LOOPBACK, Known::Assumed),
            cpu("model.flux.call", self.flux, FLUX, Known::Measured),
            memory("model.apiserver.idleBytes", APISERVER_BYTES, ORACLE, Known::Measured),
            memory(
                "model.apiserver.objectBytes",
                OBJECT_BYTES,
                "watch cache of 5 to 7 times 2.5 KB (published)",
                Known::Published,
            ),
            memory("model.manager.appBytes", APP_BYTES, LOOPBACK, Known::Measured),
            memory("model.manager.watchBytes", WATCH_BYTES, LOOPBACK, Known::Measured),
        ]
    }
}

/// A fresh and idle kube-apiserver with its etcd.
pub const APISERVER_BYTES: u64 = (277 + 41) << 20;
/// An object in an API server's watch cache and store.
pub const OBJECT_BYTES: u64 = 15 << 10;
/// An app in a manager's index.
pub const APP_BYTES: u64 = 2_600;
/// A watch that a manager holds.
pub const WATCH_BYTES: u64 = 16 << 10;

/// The cores of one server: work takes the one that is free first, in the order in which it comes.
#[derive(Clone, Debug)]
pub struct Cores {
    free_at: SmallVec<[Time; 4]>,
}

impl Cores {
    /// So many, all free; at least one.
    #[must_use]
    pub fn new(cores: u32) -> Self {
        Self { free_at: SmallVec::from_elem(Time(0), cores.max(1) as usize) }
    }

    /// When work that comes at `at` and takes `cost` is done.
    pub fn work(&mut self, at: Time, cost: Span) -> Time {
        if cost == Span::ZERO {
            return at;
        }
        let Some(first) = self.free_at.iter_mut().min() else { return at + cost };
        *first = (*first).max(at) + cost;
        *first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_waits_for_the_core_that_is_free_first() {
        let mut cores = Cores::new(2);
        let done: Vec<u64> =
            [(0, 10), (0, 4), (0, 4), (20, 1), (20, 0)].map(|(at, cost)| cores.work(Time(at), Span(cost)).0).to_vec();
        assert_eq!(done, [10, 4, 8, 21, 20]);
    }

    #[test]
    fn every_constant_says_where_it_is_from() {
        let constants = Prices::default().constants();
        let ids: std::collections::BTreeSet<_> = constants.iter().map(|c| c.id).collect();
        assert_eq!(ids.len(), constants.len());
        for constant in constants {
            assert_eq!(constant.source == NOBODY, constant.known == Known::Assumed && constant.source == NOBODY);
            assert!(!constant.value.is_empty() && !constant.source.is_empty(), "{constant:?}");
        }
    }
}
