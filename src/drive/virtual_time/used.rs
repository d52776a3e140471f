//! What a simulation used of what it runs on, client-side limits included: of every server and manager that the record tells
//! apart, and of many alike the one that was used most.

use super::sim::Simulation;
use crate::calls::Target;
use crate::model::hardware::Used;
use crate::units::Span;
use std::collections::BTreeMap;

/// Used shares, in millionths: the largest of all parts.
#[derive(Clone, Debug, Default)]
pub(super) struct Shares {
    named: BTreeMap<(&'static str, String), u64>,
    /// Hub and spoke: of the busiest leaf's server and which that is, of the busiest manager.
    leaf: (u64, u32),
    manager: u64,
    /// CPU time of hubs and of leaves.
    pub(super) spent: [Span; 2],
}

impl Shares {
    pub(super) fn merge(&mut self, other: Self) {
        for (what, ppm) in other.named {
            let ours = self.named.entry(what).or_default();
            *ours = ppm.max(*ours);
        }
        self.leaf = self.leaf.max(other.leaf);
        self.manager = self.manager.max(other.manager);
        for (ours, theirs) in self.spent.iter_mut().zip(other.spent) {
            *ours += theirs;
        }
    }

    /// All of them; `hub` is the share of a hub that all parts use.
    pub(super) fn list(self, hub: Option<u64>) -> Vec<Used> {
        let named = self.named.into_iter().map(|((what, whose), ppm)| Used { what, whose, ppm });
        let cpu = |whose: String, ppm| Used { what: "cpu", whose, ppm };
        let shared = hub.map(|hub| {
            let leaf = cpu(format!("leaf-{}", self.leaf.1), self.leaf.0);
            [cpu("hub".to_owned(), hub), leaf, cpu("managers".to_owned(), self.manager)]
        });
        named.chain(shared.into_iter().flatten()).collect()
    }
}

/// Millionths of so many cores that were busy over a span.
pub(super) fn busy_ppm(spent: Span, milli: u32, over: Span) -> u64 {
    let all = u128::from(over.0) * u128::from(milli.max(1)) / 1_000;
    u64::try_from(u128::from(spent.0) * 1_000_000 / all.max(1)).unwrap_or(u64::MAX)
}

impl Simulation<'_> {
    /// Adds what this part used.
    pub(super) fn add_used(&mut self) {
        let span = self.passed();
        let [hub, leaves, _] = self.hardware.spent(0);
        self.sums.used.spent[0] += hub;
        self.sums.used.spent[1] += leaves;
        let model = &self.ground.scenario.model;
        if self.home() == Target::Leaf {
            let leaf = busy_ppm(leaves, model.leaf.milli, span);
            let manager = busy_ppm(self.hardware.thought(0), model.manager.milli, span);
            let used = &mut self.sums.used;
            used.leaf = used.leaf.max((leaf, self.part.number));
            used.manager = used.manager.max(manager);
            return;
        }
        for used in self.hardware.used(span).into_iter().chain(self.limits(span)) {
            let whose = self.name_of(&used.whose);
            let known = self.sums.used.named.entry((used.what, whose)).or_default();
            *known = used.ppm.max(*known);
        }
    }

    /// What something of this part is called in the whole run.
    fn name_of(&self, whose: &str) -> String {
        let parts = self.parts_of_run();
        if parts == 1 {
            return whose.to_owned();
        }
        let number = |prefix: &str| whose.strip_prefix(prefix).and_then(|n| n.parse::<usize>().ok());
        if let Some(leaf) = number("leaf-") {
            return format!("leaf-{}", self.part.clusters[leaf].0);
        }
        match number("manager-") {
            Some(_) => format!("manager-{}", self.part.number),
            None => format!("{whose}-{}", self.part.number),
        }
    }

    /// What was used of client-side limits.
    fn limits(&self, span: Span) -> Vec<Used> {
        let mut all = Vec::new();
        let tokens = |calls: u64, qps_milli: u64| {
            let most = u128::from(qps_milli) * u128::from(span.0) / 1_000_000_000_000;
            u64::try_from(u128::from(calls) * 1_000_000 / most.max(1)).unwrap_or(u64::MAX)
        };
        let manager = &self.ground.scenario.manager;
        for (n, one) in self.managers.iter().enumerate().filter(|_| manager.hub_qps_milli > 0) {
            let tally = self.sums.rows[one.row as usize].counts.tally();
            let calls = tally.iter().filter(|(key, _)| key.target == Target::Hub).map(|(_, n)| n).sum();
            let ppm = tokens(calls, manager.hub_qps_milli);
            all.push(Used { what: "hub-qps", whose: format!("manager-{n}"), ppm });
        }
        if let Some(most) = self.leaf_calls.iter().max() {
            let ppm = tokens(u64::from(*most), manager.leaf_qps_milli);
            all.push(Used { what: "leaf-qps", whose: "managers".to_owned(), ppm });
        }
        all
    }
}
