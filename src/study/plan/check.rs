//! Does a plan hold with real processes? The largest size that this machine can play, live, beside the simulation.
//!
//! In: the plan's scenario and question, a size, and two who play it. Out: a [`Check`]. A machine that had no time left
//! proves nothing against a simulation, which has none of its limits.

use super::{Held, PlanError, Planner, Probe};
use crate::scenario;
use crate::study::twin::SATURATED;
use serde::Serialize;

/// What live processes say of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confirmation {
    /// What holds simulated holds live, and what does not does not.
    Confirmed,
    /// The machine was too busy to tell.
    Inconclusive,
    /// Something holds in one and not in the other.
    Refuted,
}

/// A size that was played both ways.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// Of what the plan makes larger.
    pub size: u64,
    /// Clusters.
    pub clusters: u64,
    /// Apps of the install.
    pub apps: u64,
    /// What it says of the plan.
    pub verdict: Confirmation,
    /// What must hold, simulated with the plan's model.
    pub simulated: Vec<Held>,
    /// The same with real processes and sockets.
    pub live: Vec<Held>,
    /// Where the objects lived, such as `mock`.
    pub backend: String,
    /// Share of the machine's CPU that anybody used while it was played live, 0 to 1.
    pub busy_share: f64,
}

impl Planner<'_> {
    /// Sizes to check, the best first: where the plan ends, and its halves. Of managers there are no fewer that would hold.
    pub(super) fn checkable(&self, holds: u64) -> Vec<u64> {
        if self.question.upto.axis.falls() {
            return vec![holds];
        }
        std::iter::successors(Some(holds), |size| Some(size / 2)).take_while(|size| *size >= self.min.max(1)).collect()
    }

    /// Plays a size, and compares with what came out `simulated`.
    pub(super) fn check(&self, simulated: &[Held], size: u64) -> Result<Check, PlanError> {
        let (real, record) = self.probe(size, &[], self.threads)?;
        let busy_share = record.host.busy_share;
        let Probe { size, clusters, apps, .. } = real;
        let verdict = judge(simulated, &real.slos, busy_share);
        Ok(Check {
            size,
            clusters,
            apps,
            verdict,
            simulated: simulated.to_vec(),
            live: real.slos,
            backend: record.backend,
            busy_share,
        })
    }

    /// The scenario of a size.
    pub(super) fn scenario(&self, size: u64, with: &[String]) -> Result<scenario::Scenario, PlanError> {
        let unit = self.question.upto.axis.unit();
        let sets = [&self.source.sets, with, &self.question.upto.axis.sets(&self.base, size)].concat();
        let parsed = scenario::parse(&self.source.text, &self.source.name, &sets);
        parsed.map_err(|errors| PlanError::Bad { size, unit, errors })
    }
}

fn judge(simulated: &[Held], live: &[Held], busy_share: f64) -> Confirmation {
    let alike = simulated.iter().zip(live).all(|(simulated, live)| simulated.holds == live.holds);
    match (alike, busy_share > SATURATED) {
        (true, _) => Confirmation::Confirmed,
        (false, true) => Confirmation::Inconclusive,
        (false, false) => Confirmation::Refuted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_machine_with_time_left_refutes_a_plan() {
        let held = |holds| vec![Held { name: "all_healthy".to_owned(), value: None, most: 1.0, holds }];
        for (simulated, live, busy, verdict) in [
            (true, true, 0.3, Confirmation::Confirmed),
            (true, true, 0.99, Confirmation::Confirmed),
            (false, false, 0.3, Confirmation::Confirmed),
            (true, false, 0.3, Confirmation::Refuted),
            (false, true, 0.3, Confirmation::Refuted),
            (true, false, 0.99, Confirmation::Inconclusive),
        ] {
            assert_eq!(judge(&held(simulated), &held(live), busy), verdict, "{simulated} {live} {busy}");
        }
    }
}
