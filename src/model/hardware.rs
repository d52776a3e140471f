//! What things run on: API servers, managers, the Flux controllers of clusters, and the network between them.
//!
//! In: what is done and when. Out: when it is over, at once, for nothing is planned twice ([`machine`](super::machine)).
//! It counts what was used, so that a record can say what was used up. Never an object, a rule or an event.
//!
//! ```text
//! manager --think--> limiter --way--> API server: seat, core, commit --way--> manager
//!                                     watch event: core              --way--> manager: hear
//! Flux controller ------------------> API server: core, commit --local--> Flux controller
//! ```

use super::machine::{Cpu, Host};
use super::prices::Call;
use crate::scenario::{Delay, Model, PriceList, Way};
use crate::seed::Seed;
use crate::units::{Span, Time};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// An API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// The hub's.
    Hub,
    /// That of a cluster.
    Leaf(u32),
}

/// See the module head.
#[derive(Clone, Debug)]
pub struct Hardware {
    model: Arc<Model>,
    seed: Seed,
    host: Option<Host>,
    hub: Cpu,
    level: Level,
    leaves: Vec<Cpu>,
    managers: Vec<Cpu>,
    /// The thread of all Flux controllers (mock).
    flux: Cpu,
    /// The ways, and which one leads to each cluster; empty if all are the same.
    ways: Vec<Way>,
    way_of: Vec<u16>,
    /// Draws so far, by cluster, the hub last; empty if nothing is drawn.
    draws: Vec<u32>,
    /// Changes sent.
    sent: u64,
    /// Calls answered, of the hub and of all clusters.
    served: [u64; 2],
    /// When the pipe to each cluster is free, there and back; empty without a limit.
    pipes: Vec<[Time; 2]>,
}

/// What one cluster's API server and one manager did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Time that the cores of the server were at work.
    pub leaf: Span,
    /// The same of the manager.
    pub manager: Span,
    /// The same of the hub's server.
    pub hub: Span,
    /// Calls answered, by the hub and by clusters.
    pub served: [u64; 2],
}

impl Done {
    /// What was done since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let span = |now: Span, before: Span| Span(now.0 - before.0);
        Self {
            leaf: span(self.leaf, before.leaf),
            manager: span(self.manager, before.manager),
            hub: span(self.hub, before.hub),
            served: std::array::from_fn(|n| self.served[n] - before.served[n]),
        }
    }
}

/// Which way something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To an API server.
    There,
    /// From it.
    Back,
}

/// What was used of something, for whoever asks what was used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// What.
    pub what: &'static str,
    /// Whose.
    pub whose: String,
    /// Millionths of the span asked for.
    pub ppm: u64,
}

impl Hardware {
    /// For a hub with managers and clusters in these regions.
    #[must_use]
    pub fn new<'a>(model: &Arc<Model>, seed: Seed, managers: u32, regions: impl Iterator<Item = &'a str>) -> Self {
        let network = &model.network;
        let ways: Vec<Way> = std::iter::once(network.way).chain(network.regions.iter().map(|(_, way)| *way)).collect();
        let of = |region: &str| network.regions.iter().position(|(name, _)| name == region).map_or(0, |at| at + 1);
        let mut way_of: Vec<u16> = regions.map(|region| u16::try_from(of(region)).unwrap_or(0)).collect();
        let clusters = way_of.len();
        if network.regions.is_empty() {
            way_of = Vec::new();
        }
        let drawn = ways.iter().any(|way| !matches!(way.latency, Delay::Fixed(_)));
        let limited = ways.iter().any(|way| way.bandwidth > 0);
        Self {
            seed: seed.child("network"),
            host: model.host.map(Host::new),
            hub: Cpu::new(model.hub.milli),
            level: Level::new(model.hub.seats, model.hub.queue),
            leaves: vec![Cpu::new(model.leaf.milli); if model.is_mock() { 1 } else { clusters }],
            managers: vec![Cpu::new(model.manager.milli); managers as usize],
            flux: Cpu::new(1_000),
            ways,
            way_of,
            draws: vec![0; if drawn { clusters + 1 } else { 0 }],
            pipes: vec![[Time(0); 2]; if limited { clusters + 1 } else { 0 }],
            sent: 0,
            served: [0; 2],
            model: Arc::clone(model),
        }
    }

    /// What it was made from.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// When so many bytes that leave at `at` are at the other end.
    pub fn travel(&mut self, site: Site, direction: Direction, at: Time, bytes: u32) -> Time {
        let n = match site {
            Site::Hub => None,
            Site::Leaf(leaf) => Some(leaf as usize),
        };
        let way = n.and_then(|n| self.way_of.get(n)).map_or(self.ways[0], |way| self.ways[usize::from(*way)]);
        let mut left = at;
        if way.bandwidth > 0
            && let Some(pipe) = self.pipes.get_mut(n.unwrap_or(usize::MAX))
        {
            let pipe = &mut pipe[usize::from(direction == Direction::Back)];
            left = (*pipe).max(at) + Span::from_secs(1).scaled(u64::from(bytes), way.bandwidth);
            *pipe = left;
        }
        left + self.latency(way, n)
    }

    fn latency(&mut self, way: Way, n: Option<usize>) -> Span {
        if let Delay::Fixed(span) = way.latency {
            return span;
        }
        let n = n.unwrap_or_else(|| self.draws.len().saturating_sub(1));
        let nth = self.draws[n];
        self.draws[n] = nth.wrapping_add(1);
        way.latency.draw(self.seed.entity(n as u64), u64::from(nth))
    }

    /// How late whoever plays the timeline sends its next change.
    pub fn lag(&mut self) -> Span {
        self.sent += 1;
        self.model.lag.draw(self.seed.child("lag"), self.sent)
    }

    /// When a call that arrives at `at` is answered.
    ///
    /// # Errors
    /// It is told to come back: 429, and after how long.
    pub fn serve(&mut self, site: Site, call: Call, now: Time, at: Time) -> Result<Time, Span> {
        let server = match site {
            Site::Hub => &self.model.hub,
            Site::Leaf(_) => &self.model.leaf,
        };
        let (cost, commit) = (call.cost(server), if call.commits() { server.commit } else { Span::ZERO });
        if site != Site::Hub {
            return Ok(self.serve_first(site, call, now, at));
        }
        let at = self.level.enter(at)?;
        self.served[0] += 1;
        let done = self.server_work(site, now, at, cost) + commit;
        self.level.leave(done);
        Ok(done)
    }

    /// The same for those of a level that never waits for a seat.
    pub fn serve_first(&mut self, site: Site, call: Call, now: Time, at: Time) -> Time {
        let server = if site == Site::Hub { &self.model.hub } else { &self.model.leaf };
        let commit = if call.commits() { server.commit } else { Span::ZERO };
        let cost = call.cost(server);
        self.served[usize::from(site != Site::Hub)] += 1;
        self.server_work(site, now, at, cost) + commit
    }

    fn server_work(&mut self, site: Site, now: Time, at: Time, cost: Span) -> Time {
        let cpu = match site {
            Site::Hub => &mut self.hub,
            Site::Leaf(n) => {
                // One process serves all clusters of the mock.
                let n = if self.model.prices == PriceList::Mock { 0 } else { n as usize };
                &mut self.leaves[n]
            }
        };
        match &mut self.host {
            Some(host) => cpu.work_on(host, now, at, cost),
            None => cpu.work(at, cost),
        }
    }

    /// When a watch event about something stored at `at` leaves for so many watchers.
    pub fn tell(&mut self, site: Site, watchers: u64, now: Time, at: Time) -> Time {
        let server = if site == Site::Hub { &self.model.hub } else { &self.model.leaf };
        let cost = server.watch_event;
        (0..watchers).fold(at, |last, _| self.server_work(site, now, at, cost).max(last))
    }

    /// When a manager has worked so long on something.
    pub fn think(&mut self, manager: u32, now: Time, cost: Span) -> Time {
        let cpu = &mut self.managers[manager as usize];
        match &mut self.host {
            Some(host) => cpu.work_on(host, now, now, cost),
            None => cpu.work(now, cost),
        }
    }

    /// CPU time that a manager took.
    #[must_use]
    pub fn thought(&self, manager: u32) -> Span {
        self.managers[manager as usize].spent()
    }

    /// When the calls of a Flux controller, made together, are answered.
    pub fn flux(&mut self, leaf: u32, calls: impl Iterator<Item = Call>, now: Time, at: Time) -> Time {
        let (mut done, mut count) = (at, 0);
        if self.model.is_mock() {
            count = calls.count() as u64;
            self.served[1] += count;
        } else {
            for call in calls {
                let served = self.serve(Site::Leaf(leaf), call, now, at);
                done = done.max(served.unwrap_or(at));
            }
        }
        if self.model.is_mock() {
            let cost = self.model.flux_call.scaled(count, 1);
            done = match &mut self.host {
                Some(host) => self.flux.work_on(host, now, at, cost),
                None => self.flux.work(at, cost),
            };
        }
        done + self.model.network.local
    }

    /// What the first cluster's API server and the first manager did so far, for whoever plays one cluster alone.
    #[must_use]
    pub fn done(&self) -> Done {
        let busy = |cpus: &[Cpu]| cpus.first().map_or(Span::ZERO, Cpu::busy);
        Done { leaf: busy(&self.leaves), manager: busy(&self.managers), hub: self.hub.busy(), served: self.served }
    }

    /// They did so much more, so many times, and are done with it.
    pub fn did(&mut self, more: &Done, times: u64) {
        for (served, more) in self.served.iter_mut().zip(more.served) {
            *served += more * times;
        }
        self.hub.was_busy(Span(more.hub.0 * times));
        for (cpus, busy) in [(&mut self.leaves, more.leaf), (&mut self.managers, more.manager)] {
            if let Some(cpu) = cpus.first_mut() {
                cpu.was_busy(Span(busy.0 * times));
            }
        }
    }

    /// From when on both of them are idle.
    #[must_use]
    pub fn idle_from(&self) -> Time {
        let idle = |cpus: &[Cpu]| cpus.first().map_or(Time(0), Cpu::idle_from);
        idle(&self.leaves).max(idle(&self.managers))
    }

    /// From when on the hub's server is idle as well.
    #[must_use]
    pub fn all_idle_from(&self) -> Time {
        self.idle_from().max(self.hub.idle_from())
    }

    /// CPU time of the hub's API server, of those of all clusters, of all their Flux controllers after so many calls.
    #[must_use]
    pub fn spent(&self, flux_calls: u64) -> [Span; 3] {
        let leaves = self.leaves.iter().fold(Span::ZERO, |sum, leaf| sum + leaf.spent());
        [self.hub.spent(), leaves, self.model.flux_call.scaled(flux_calls, 1)]
    }

    /// Calls answered, by the hub's API server and by those of all clusters.
    #[must_use]
    pub const fn served(&self) -> [u64; 2] {
        self.served
    }

    /// What was used of everything in a span.
    #[must_use]
    pub fn used(&self, span: Span) -> Vec<Used> {
        let mut all = Vec::new();
        let mut say = |what, whose: String, ppm| all.push(Used { what, whose, ppm });
        if let Some(host) = &self.host {
            say("cpu", "host".to_owned(), host.busy_ppm(span));
        }
        say("cpu", "hub".to_owned(), self.hub.busy_ppm(span));
        if let Some((ppm, n)) = (0_u64..).zip(&self.leaves).map(|(n, leaf)| (leaf.busy_ppm(span), Reverse(n))).max() {
            let whose = if self.model.is_mock() { "leaves".to_owned() } else { format!("leaf-{}", n.0) };
            say("cpu", whose, ppm);
        }
        for (n, manager) in self.managers.iter().enumerate() {
            say("cpu", format!("manager-{n}"), manager.busy_ppm(span));
        }
        if self.model.is_mock() {
            say("cpu", "flux-model".to_owned(), self.flux.busy_ppm(span));
        }
        if self.level.seats > 0 {
            say("seats", "hub".to_owned(), self.level.busy_ppm(span));
        }
        all
    }
}

/// A priority level of an API server: so many calls at once, so many wait, the others come back.
#[derive(Clone, Debug)]
struct Level {
    seats: usize,
    queue: usize,
    /// When the taken seats are free.
    taken: BinaryHeap<Reverse<Time>>,
    /// When those who wait begin.
    waiting: BinaryHeap<Reverse<Time>>,
    entered: Time,
    busy: Span,
}

/// What kube-apiserver writes into `Retry-After` of a 429.
const COME_BACK: Span = Span::from_secs(1);

impl Level {
    fn new(seats: u32, queue: u32) -> Self {
        Self {
            seats: seats as usize,
            queue: queue as usize,
            taken: BinaryHeap::new(),
            waiting: BinaryHeap::new(),
            entered: Time(0),
            busy: Span::ZERO,
        }
    }

    /// When a call that arrives at `at` gets a seat.
    fn enter(&mut self, at: Time) -> Result<Time, Span> {
        if self.seats == 0 {
            return Ok(at);
        }
        while self.waiting.peek().is_some_and(|begins| begins.0 <= at) {
            self.waiting.pop();
        }
        while self.taken.len() > self.seats || self.taken.peek().is_some_and(|free| free.0 <= at) {
            self.taken.pop();
        }
        let mut begins = at;
        if self.taken.len() == self.seats {
            if self.waiting.len() >= self.queue {
                return Err(COME_BACK);
            }
            begins = self.taken.pop().map_or(at, |free| free.0);
            self.waiting.push(Reverse(begins));
        }
        self.entered = begins;
        Ok(begins)
    }

    fn leave(&mut self, done: Time) {
        if self.seats > 0 {
            self.busy += done.since(self.entered);
            self.taken.push(Reverse(done));
        }
    }

    fn busy_ppm(&self, of: Span) -> u64 {
        let all = u128::from(of.0) * self.seats as u128;
        u64::try_from(u128::from(self.busy.0) * 1_000_000 / all.max(1)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::{Kind, Verb};

    fn patch() -> Call {
        Call::new(Verb::Patch, Kind::APPLICATION, (false, false))
    }

    fn hardware(change: impl FnOnce(&mut Model)) -> Hardware {
        let mut model = Model::default();
        change(&mut model);
        Hardware::new(&Arc::new(model), Seed::new(1), 1, ["eu", "us"].into_iter())
    }

    const MS: u64 = 1_000_000;

    #[test]
    fn a_call_waits_for_a_seat_and_the_next_one_comes_back() {
        let mut hardware = hardware(|model| (model.hub.seats, model.hub.queue) = (2, 1));
        let mut ask = || hardware.serve(Site::Hub, patch(), Time(0), Time(0)).map(|done| done.0 / MS);
        // 1 ms of CPU and 2 ms of commit.
        assert_eq!([ask(), ask(), ask(), ask()], [Ok(3), Ok(3), Ok(6), Err(COME_BACK)]);
        assert!(hardware.serve(Site::Hub, patch(), Time(3 * MS), Time(3 * MS)).is_ok(), "a seat is free again");
        assert_eq!(hardware.serve(Site::Leaf(1), patch(), Time(0), Time(0)), Ok(Time(3 * MS)));
    }

    #[test]
    fn a_region_has_a_way_of_its_own() {
        let far = Way { latency: Delay::Fixed(Span(40 * MS)), bandwidth: 1_000 };
        let mut hardware = hardware(|model| model.network.regions = vec![("us".to_owned(), far)]);
        let mut go = |site, bytes| hardware.travel(site, Direction::There, Time(0), bytes).0 / 1_000;
        assert_eq!([go(Site::Hub, 9), go(Site::Leaf(0), 9)], [500, 500]);
        // 10 bytes take 10 ms, and the next ten go after them.
        assert_eq!([go(Site::Leaf(1), 10), go(Site::Leaf(1), 10)], [50_000, 60_000]);
        assert_eq!(hardware.travel(Site::Leaf(1), Direction::Back, Time(0), 10).0 / MS, 50);
    }

    #[test]
    fn a_latency_is_drawn_by_cluster_and_number() {
        let way = Way { latency: Delay::Uniform { min: Span(MS), max: Span(9 * MS) }, bandwidth: 0 };
        let draw = |site, n: usize| {
            let mut hardware = hardware(|model| model.network.way = way);
            (0..n).map(|_| hardware.travel(site, Direction::There, Time(0), 1)).collect::<Vec<_>>()
        };
        let all: Vec<_> = [Site::Hub, Site::Leaf(0), Site::Leaf(1)].map(|site| draw(site, 3)).concat();
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!((distinct.len(), draw(Site::Leaf(0), 3)), (9, all[3..6].to_vec()));
    }

    #[test]
    fn everything_on_one_host_shares_its_cores() {
        let mut hardware = hardware(|model| (model.host, model.hub.commit) = (Some(1), Span::ZERO));
        let served = hardware.serve(Site::Hub, patch(), Time(0), Time(0)).map(|done| done.0 / MS);
        let thought = hardware.think(0, Time(0), Span(2 * MS)).0 / MS;
        assert_eq!((served, thought), (Ok(1), 3));
        let used = hardware.used(Span(6 * MS));
        let of = |whose: &str| used.iter().find(|used| used.whose == whose).map(|used| used.ppm);
        assert_eq!((of("host"), of("manager-0")), (Some(500_000), Some(333_333)));
    }
}
