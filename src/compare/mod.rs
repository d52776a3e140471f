//! Who is better: two to eight results of one scenario, a verdict per metric.
//!
//! In: results as `record` read them, the first of which is the base. Out: [`Comparison`], every metric with both values,
//! their ratio, how sure that is, and a verdict; and one sentence with the conditions under which it holds. Never: a
//! file, a picture, or a verdict on results that do not compare ([`Refusal`] says why).
//!
//! What is counted and cannot depend on timing is compared exactly. What is clocked or depends on timing is noisy: a
//! quantile has an interval by order statistics (which says how well *this* run knows it), and on top of every noisy
//! number lies what two runs of the same thing differ by. One run each cannot tell that, so it is assumed, and every
//! answer says so. Numbers that differ by less are called equal.

mod fit;
pub mod gate;
mod interval;
mod metrics;
mod sentence;
#[cfg(test)]
mod tests;
mod trials;

pub use fit::Refusal;
pub use metrics::{Better, Metric, ROLES, Value, values};

use crate::record::Stored;
use serde::Serialize;
use std::collections::BTreeSet;

/// What two runs of the same thing on the same machine are assumed to differ by, where nobody measured it: 10 %.
pub const NOISE: f64 = 0.10;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// What two runs of the same thing differ by, as a share.
    pub noise: f64,
    /// Paths of the scenario below which the results may differ, `spec.topology` besides.
    pub across: Vec<String>,
}

impl Default for Question {
    fn default() -> Self {
        Self { noise: NOISE, across: Vec::new() }
    }
}

/// Whether the head is better than the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is.
    Better,
    /// They differ by less than the noise.
    Same,
    /// Nobody can tell.
    Inconclusive,
    /// It is worse.
    Regressed,
}

impl Verdict {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Same => "same",
            Self::Inconclusive => "inconclusive",
            Self::Regressed => "regressed",
        }
    }
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Regressed if any headline of any result is; else inconclusive if any is; else better if any is; else the same.
    pub verdict: Verdict,
    /// The verdict in words, with its conditions; one sentence per result behind the base.
    pub sentences: Vec<String>,
    /// The results, the base first.
    pub results: Vec<Compared>,
    /// Every metric of every result behind the base.
    pub metrics: Vec<Metric>,
    /// What must be known to trust this.
    pub conditions: Vec<String>,
}

/// A result that was compared.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// What tells it from the others.
    pub label: String,
    /// Its run.
    pub run_id: String,
    /// Its verdict against the base, as that of the whole; the base's own is `same`.
    pub verdict: Verdict,
}

/// Compares results; the first is the base.
///
/// # Errors
/// When they do not compare.
pub fn compare(results: &[Stored], question: &Question) -> Result<Comparison, Refusal> {
    let conditions = fit::conditions(results, question)?;
    let labels = labels(results);
    let (mut metrics, mut compared, mut sentences) = (Vec::new(), Vec::new(), Vec::new());
    for (index, result) in results.iter().enumerate() {
        let own = if index == 0 { Vec::new() } else { metrics::all(&results[0], result, index, question.noise) };
        let verdict = overall(own.iter().filter(|metric| metric.headline).map(|metric| metric.verdict));
        if index > 0 {
            sentences.push(sentence::sentence(&labels[0], &labels[index], &own, verdict));
        }
        compared.push(Compared { label: labels[index].clone(), run_id: result.record.run_id.clone(), verdict });
        metrics.extend(own);
    }
    Ok(Comparison {
        verdict: overall(compared.iter().skip(1).map(|one| one.verdict)),
        sentences,
        results: compared,
        metrics,
        conditions,
    })
}

/// One verdict of many.
fn overall(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let found: BTreeSet<Verdict> = verdicts.collect();
    let order = [Verdict::Regressed, Verdict::Inconclusive, Verdict::Better];
    order.into_iter().find(|verdict| found.contains(verdict)).unwrap_or(Verdict::Same)
}

/// What tells the results apart: their topology, else their scenario, else their run.
fn labels(results: &[Stored]) -> Vec<String> {
    let by_topology = |stored: &Stored| {
        let topology = &stored.record.topology;
        match topology.kind.as_str() {
            "single" => "single".to_owned(),
            kind => format!("{kind} x {} ({})", topology.shards, topology.scheme),
        }
    };
    let ways: [&dyn Fn(&Stored) -> String; 3] =
        [&by_topology, &|stored| format!("{} ({})", stored.record.scenario.name, by_topology(stored)), &|stored| {
            stored.record.run_id.clone()
        }];
    for way in ways {
        let labels: Vec<String> = results.iter().map(way).collect();
        if labels.iter().collect::<BTreeSet<_>>().len() == labels.len() {
            return labels;
        }
    }
    (1..=results.len()).map(|number| format!("result {number}")).collect()
}
