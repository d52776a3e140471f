//! What a constant of simulated time is, where it is from, and what each call of a price list comes to.
//!
//! In: a scenario's `model`. Out: the constants as the record lists them. A value that the scenario gives itself is
//! assumed, whoever measured the default.

use crate::calls::{Kind, Op, Verb};
use crate::scenario::{Delay, Memory, Model, PriceList, Server, Thinking};
use crate::units::{Bytes, Span};

/// How a constant is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// We measured this very number.
    Measured,
    /// Others did.
    Published,
    /// Nobody did: estimated, or computed from measurements of something else.
    Assumed,
}

/// A constant as the record lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constant {
    /// Its path below `spec` of the scenario.
    pub id: String,
    /// Its value, with unit.
    pub value: String,
    /// What it is a quantity of.
    pub unit: &'static str,
    /// Who says so.
    pub source: &'static str,
    /// How they know.
    pub known: Known,
}

/// What a call is, to whoever pays for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// What it does.
    pub verb: Verb,
    /// To a status.
    pub status: bool,
    /// Nothing is stored.
    pub dry_run: bool,
    /// Bytes sent and received.
    pub bytes: [u32; 2],
}

impl Call {
    /// A call about one object.
    #[must_use]
    pub fn new(verb: Verb, kind: Kind, (status, dry_run): (bool, bool)) -> Self {
        Self { verb, status, dry_run, bytes: bytes(verb, kind) }
    }

    /// That of a machine.
    #[must_use]
    pub fn of<B>(op: &Op<B>) -> Self {
        Self::new(op.verb, op.kind, (op.status, op.dry_run))
    }

    /// A list of so many objects of a kind, or the first part of a watch.
    #[must_use]
    pub fn list(verb: Verb, kind: Kind, objects: u64) -> Self {
        let all = u32::try_from(objects * u64::from(bytes(Verb::Get, kind)[1])).unwrap_or(u32::MAX);
        Self { verb, status: false, dry_run: false, bytes: [0, all] }
    }

    /// CPU time that it costs a server.
    #[must_use]
    pub fn cost(self, server: &Server) -> Span {
        match self.verb {
            Verb::List | Verb::Watch => server.read + server.per_kib.scaled(u64::from(self.bytes[1]), 1024),
            Verb::Get | Verb::Discover => server.read,
            Verb::Create => server.create,
            Verb::Update | Verb::Patch | Verb::Delete => server.write,
            Verb::Apply => server.apply,
        }
    }

    /// Whether the store has to take it.
    #[must_use]
    pub const fn commits(self) -> bool {
        !self.dry_run && matches!(self.verb, Verb::Create | Verb::Update | Verb::Patch | Verb::Apply | Verb::Delete)
    }
}

/// Mean bytes sent and received, as recorded in front of a kube-apiserver 1.36: a status patch of a Kustomization 318 / 2,515
/// and of a HelmRelease 377 / 2,787, a Deployment's apply 442 / 2,018, a ConfigMap's 247 / 618, an Application's patch
/// 481 / 4,063, an event 800 / 1,356. Reads send a line.
fn bytes(verb: Verb, kind: Kind) -> [u32; 2] {
    let [sent, received] = match kind {
        Kind::APPLICATION => [481, 4_063],
        Kind::KUSTOMIZATION | Kind::GIT_REPOSITORY | Kind::OCI_REPOSITORY | Kind::HELM_REPOSITORY => [318, 2_515],
        Kind::HELM_RELEASE | Kind::HELM_CHART => [377, 2_787],
        Kind::DEPLOYMENT | Kind::REPLICA_SET => [442, 2_018],
        Kind::EVENT => [800, 1_356],
        Kind::SECRET => [1_468, 1_468],
        _ => [247, 618],
    };
    match verb {
        Verb::Get | Verb::Delete | Verb::Discover => [0, received],
        // Few are found: what a list brings is told by `Call::list`.
        Verb::List | Verb::Watch => [0, 0],
        _ => [sent, received],
    }
}

/// Where numbers are from.
const ORACLE: &str = "kube-apiserver 1.36.3 and etcd without fsync, 16 clients on the same 2 cores";
const UPDATE: &str = "an update on that kube-apiserver; PATCH and DELETE are taken for as dear";
const LISTS: &str = "computed from its lists of 500 and of 4,000 objects of 0.9 KB: 7.6 and 42 ms";
const ETCD: &str = "estimated: a commit to a cloud disk";
const FAIRNESS: &str =
    "Kubernetes: 600 calls at once, of which workload-low gets 100 of 245 shares; 6 queues of 50 for one client";
const LOOPBACK: &str =
    "estimated from our manager's 43.8 s of CPU for 238,008 calls, 157,509 rounds, some 700,000 events";
const FLUX: &str = "computed from kustomize-controller 1.9.5: 10.8 s of CPU for 100 Kustomizations of 34 calls";
const ROLES: &str = "computed from results/quickstart and results/ten-thousand: CPU time of the process, shared out over its calls, \
                     events and rounds";
const LAG: &str = "estimated from the generator_lag of results/quickstart";
const MOCK_WATCH: &str = "benches/apiserver.rs: an idle watch";
const CLIENT_WATCH: &str = "our client: 3 KiB of HTTP/2 and the 8 KiB buffer of kube's reader";
const IDLE: &str = "kube-apiserver 1.36.3 with etcd, fresh: 277 MB and 41 MB";
const CACHED: &str = "published: a watch cache of 5 to 7 times 2.5 KB";
const WATCHES: &str = "published: 50 to 100 KiB (kubernetes #117777)";
const CONNECTIONS: &str = "published: 17 KB in etcd";
const NOBODY: &str = "estimated";
const SCENARIO: &str = "scenario";

/// All of a scenario, as the record lists them.
#[must_use]
pub fn constants(model: &Model) -> Vec<Constant> {
    let base = Model::of(model.prices);
    let mut all = List { all: Vec::new(), mock: model.prices == PriceList::Mock };
    let way = |delay: Delay| delay.to_string();
    all.text("model.network.latency", way(model.network.way.latency), way(base.network.way.latency), "time", NOBODY);
    for (region, to) in &model.network.regions {
        all.text(&format!("model.network.regions.{region}"), way(to.latency), String::new(), "time", SCENARIO);
    }
    all.time("model.network.local", model.network.local, base.network.local, (NOBODY, Known::Assumed));
    if let Some(cores) = model.host {
        all.text("model.host", cores.to_string(), base.host.map_or(String::new(), |c| c.to_string()), "cores", NOBODY);
    }
    all.server("model.hub", &model.hub, &base.hub);
    all.server("model.leaf", &model.leaf, &base.leaf);
    all.thinking(&model.manager, &base.manager);
    all.time("model.flux.call", model.flux_call, base.flux_call, (FLUX, Known::Assumed));
    all.text("model.lag", way(model.lag), way(base.lag), "time", LAG);
    all.memory(&model.memory, &base.memory);
    all.all
}

struct List {
    all: Vec<Constant>,
    mock: bool,
}

impl List {
    fn push(
        &mut self,
        id: &str,
        [value, base]: [String; 2],
        unit: &'static str,
        (source, known): (&'static str, Known),
    ) {
        let own = value != base;
        let (source, known) = if own { (SCENARIO, Known::Assumed) } else { (source, known) };
        self.all.push(Constant { id: id.to_owned(), value, unit, source, known });
    }

    fn text(&mut self, id: &str, value: String, base: String, unit: &'static str, source: &'static str) {
        self.push(id, [value, base], unit, (source, Known::Assumed));
    }

    /// A time; our own processes were measured all alike.
    fn time(&mut self, id: &str, value: Span, base: Span, from: (&'static str, Known)) {
        let from = if self.mock && from.0 != NOBODY { (ROLES, Known::Assumed) } else { from };
        self.push(id, [value, base].map(|span| span.to_string()), "CPU time", from);
    }

    fn cores(&mut self, id: &str, milli: u32, base: u32) {
        self.push(id, [milli, base].map(|m| (f64::from(m) / 1e3).to_string()), "cores", (NOBODY, Known::Assumed));
    }

    fn server(&mut self, place: &str, server: &Server, base: &Server) {
        let id = |name: &str| format!("{place}.{name}");
        let measured = (ORACLE, Known::Measured);
        self.cores(&id("cores"), server.milli, base.milli);
        self.time(&id("read"), server.read, base.read, measured);
        self.time(&id("create"), server.create, base.create, measured);
        self.time(&id("write"), server.write, base.write, (UPDATE, Known::Assumed));
        self.time(&id("apply"), server.apply, base.apply, measured);
        self.time(&id("perKib"), server.per_kib, base.per_kib, (LISTS, Known::Assumed));
        self.time(&id("watchEvent"), server.watch_event, base.watch_event, measured);
        let commit = [server.commit, base.commit].map(|span| span.to_string());
        self.push(&id("commit"), commit, "time", (ETCD, Known::Assumed));
        let published = (FAIRNESS, Known::Published);
        self.push(&id("seats"), [server.seats, base.seats].map(|n| n.to_string()), "calls", published);
        self.push(&id("queue"), [server.queue, base.queue].map(|n| n.to_string()), "calls", published);
    }

    fn thinking(&mut self, manager: &Thinking, base: &Thinking) {
        let estimated = (LOOPBACK, Known::Assumed);
        self.cores("model.manager.cores", manager.milli, base.milli);
        self.time("model.manager.hear", manager.hear, base.hear, estimated);
        self.time("model.manager.ask", manager.ask, base.ask, estimated);
        self.time("model.manager.decide", manager.decide, base.decide, estimated);
    }

    fn memory(&mut self, memory: &Memory, base: &Memory) {
        let of = |get: fn(&Memory) -> Bytes| [get(memory), get(base)];
        let mock = self.mock;
        let server = |real: (&'static str, Known)| if mock { (NOBODY, Known::Assumed) } else { real };
        let watch = if mock { (MOCK_WATCH, Known::Measured) } else { (WATCHES, Known::Published) };
        for (id, values, from) in [
            ("server", of(|m| m.server), server((IDLE, Known::Measured))),
            ("object", of(|m| m.object), server((CACHED, Known::Published))),
            ("watch", of(|m| m.watch), watch),
            ("connection", of(|m| m.connection), server((CONNECTIONS, Known::Published))),
            ("manager", of(|m| m.manager), (NOBODY, Known::Assumed)),
            ("cached", of(|m| m.cached), (NOBODY, Known::Assumed)),
            ("held", of(|m| m.held), (CLIENT_WATCH, Known::Measured)),
            ("worker", of(|m| m.worker), (NOBODY, Known::Assumed)),
        ] {
            self.push(&format!("model.memory.{id}"), values.map(|bytes| bytes.to_string()), "bytes", from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_constant_says_where_it_is_from() {
        for list in [PriceList::Kubernetes, PriceList::Mock] {
            let constants = constants(&Model::of(list));
            let ids: BTreeSet<_> = constants.iter().map(|constant| constant.id.clone()).collect();
            assert_eq!(ids.len(), constants.len());
            for constant in constants {
                assert!(!constant.value.is_empty() && constant.source != SCENARIO, "{constant:?}");
                let derived = ["estimated", "computed"].iter().any(|word| constant.source.starts_with(word));
                assert!(!derived || constant.known == Known::Assumed, "{constant:?}");
            }
        }
    }

    #[test]
    fn a_value_of_the_scenario_is_assumed() {
        let mut model = Model::default();
        model.hub.read = Span::from_micros(501);
        let found: Vec<_> = constants(&model).into_iter().filter(|constant| constant.source == SCENARIO).collect();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].id.as_str(), found[0].known), ("model.hub.read", Known::Assumed));
    }

    #[test]
    fn a_long_list_costs_what_it_weighs() {
        let server = Model::default().hub;
        let cost = |objects| Call::list(Verb::Watch, Kind::APPLICATION, objects).cost(&server);
        assert_eq!(cost(0), server.read);
        // 40,000 Applications of 4 KB are 159 MiB.
        assert!((1_800..2_000).contains(&(cost(40_000).0 / 1_000_000)), "{}", cost(40_000));
        assert!(!Call::new(Verb::Apply, Kind::CONFIG_MAP, (false, true)).commits());
        assert!(Call::new(Verb::Patch, Kind::KUSTOMIZATION, (true, false)).commits());
    }
}
