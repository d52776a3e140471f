//! What the parts of a simulation add up to. The order of adding does not show.

use super::digest::Digest;
use super::manager::HUB_WATCHES;
use super::parts::Parts;
use super::tally::Counts;
use super::used::{Shares, busy_ppm};
use super::{Ending, ManagerOutcome, Outcome};
use crate::ids::AppId;
use crate::measure::Books;
use crate::scenario::Scenario;
use crate::units::Span;
use serde_json::Value;
use std::collections::BTreeMap;

/// A row of managers in the record: one of them, or all that sit on leaves.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) counts: Counts,
    pub(super) managers: u64,
    pub(super) apps: u64,
    pub(super) objects: u64,
    pub(super) watches: u64,
    pub(super) watch_events: u64,
    pub(super) cpu: Span,
}

impl Row {
    fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        self.managers += other.managers;
        self.apps += other.apps;
        self.objects += other.objects;
        self.watches += other.watches;
        self.watch_events += other.watch_events;
        self.cpu += other.cpu;
    }

    fn outcome(&self) -> ManagerOutcome {
        ManagerOutcome {
            calls: self.counts.tally(),
            managers: self.managers,
            watches: self.watches,
            watch_events: self.watch_events,
            apps: self.apps,
            objects: self.objects,
            cpu: self.cpu,
        }
    }
}

/// See the module head.
#[derive(Clone, Debug)]
pub struct Sums {
    pub(super) rows: Vec<Row>,
    /// The management cluster of all leaves.
    pub(super) above: Row,
    pub(super) harness: Counts,
    pub(super) controllers: Counts,
    pub(super) digest: Digest,
    pub(super) books: Books,
    /// Objects on hubs and on leaves, at the most of every part.
    pub(super) objects: [u64; 2],
    pub(super) hub_events: u64,
    /// Watches of managers on hubs.
    pub(super) hub_watches: u64,
    /// Calls answered, of hubs and of leaves.
    pub(super) served: [u64; 2],
    /// Apps that Flux gave up on.
    pub(super) gave_up: Vec<(AppId, String)>,
    pub(super) used: Shares,
    pub(super) events: u64,
    pub(super) folded: [u64; 2],
    pub(super) simulated: Span,
    pub(super) ending: Ending,
    /// Changes that were refused, by part.
    pub(super) refused: Vec<(u32, String)>,
    /// All objects by cluster, and by number where they are listed.
    pub(super) state: BTreeMap<String, BTreeMap<u32, Value>>,
}

/// Refused changes that are told in words.
const TOLD: usize = 20;

impl Sums {
    pub(super) fn new(rows: u32) -> Self {
        let row = Row {
            counts: Counts::new(),
            managers: 0,
            apps: 0,
            objects: 0,
            watches: 0,
            watch_events: 0,
            cpu: Span::ZERO,
        };
        Self {
            rows: vec![row.clone(); rows as usize],
            above: row,
            harness: Counts::new(),
            controllers: Counts::new(),
            digest: Digest::default(),
            books: Books::default(),
            objects: [0; 2],
            hub_events: 0,
            hub_watches: 0,
            served: [0; 2],
            gave_up: Vec::new(),
            used: Shares::default(),
            events: 0,
            folded: [0; 2],
            simulated: Span::ZERO,
            ending: Ending::Settled,
            refused: Vec::new(),
            state: BTreeMap::new(),
        }
    }

    /// A part ended after so long. The run ends as its worst part.
    pub(super) fn ended(&mut self, ending: &Ending, simulated: Span) {
        self.simulated = self.simulated.max(simulated);
        if *ending > self.ending {
            self.ending = ending.clone();
        }
    }

    /// A change of a part was refused.
    pub(super) fn refuse(&mut self, part: u32, why: String) {
        if self.refused.len() < TOLD {
            self.refused.push((part, why));
        }
    }

    /// Adds what other parts came to.
    pub(super) fn merge(&mut self, other: Self) {
        for (ours, theirs) in self.rows.iter_mut().zip(&other.rows) {
            ours.merge(theirs);
        }
        self.above.merge(&other.above);
        self.harness.merge(&other.harness);
        self.controllers.merge(&other.controllers);
        self.digest.merge(other.digest);
        self.books.merge(other.books);
        for (ours, theirs) in self.objects.iter_mut().zip(other.objects) {
            *ours += theirs;
        }
        self.hub_events += other.hub_events;
        self.hub_watches += other.hub_watches;
        for (ours, theirs) in self.served.iter_mut().zip(other.served) {
            *ours += theirs;
        }
        self.gave_up.extend(other.gave_up);
        self.gave_up.sort();
        self.used.merge(other.used);
        self.events += other.events;
        for (ours, theirs) in self.folded.iter_mut().zip(other.folded) {
            *ours += theirs;
        }
        self.ended(&other.ending, other.simulated);
        self.refused.extend(other.refused);
        self.refused.sort_by_key(|(part, _)| *part);
        self.refused.truncate(TOLD);
        for (cluster, objects) in other.state {
            self.state.entry(cluster).or_default().extend(objects);
        }
    }

    /// What the whole run came to.
    pub(super) fn outcome(self, scenario: &Scenario, parts: &Parts, state: bool) -> Outcome {
        let spoke = parts.on_leaves();
        let controllers = self.controllers.tally();
        let [hub, leaves] = self.used.spent;
        let hub = hub + parts.hub_spent;
        let shared = spoke.then(|| busy_ppm(hub, scenario.model.hub.milli, self.simulated));
        let clusters = parts.all_managers();
        let above = spoke.then(|| ManagerOutcome {
            managers: 1,
            // Of the hub's Applications and cluster Secrets, and of every leaf's Applications.
            watches: 2 + clusters,
            apps: self.objects[0],
            objects: 2 * self.objects[0],
            ..self.above.outcome()
        });
        let listed = |(cluster, objects): (String, BTreeMap<u32, Value>)| (cluster, objects.into_values().collect());
        Outcome {
            ending: self.ending,
            digest: self.digest.value(),
            events: self.events,
            folded: self.folded,
            simulated: self.simulated,
            harness: self.harness.tally(),
            spent: [hub, leaves, scenario.model.flux_call.scaled(controllers.total(), 1)],
            used: self.used.list(shared),
            controllers,
            managers: self.rows.iter().map(Row::outcome).collect(),
            above,
            hubs: parts.hubs(),
            hub_watches: if spoke { HUB_WATCHES } else { self.hub_watches },
            objects: self.objects,
            hub_events: self.hub_events,
            served: self.served,
            gave_up: self.gave_up,
            state: state.then(|| Value::Object(self.state.into_iter().map(listed).collect())),
            refused: self.refused.into_iter().map(|(_, why)| why).collect(),
            limits: Vec::new(),
            bills: Vec::new(),
            measured: self.books.outcome(),
        }
    }
}
