//! What must hold: `end_to_end.p99=5m`, `all_healthy=10m`, `manager.memory=8Gi`.
//!
//! In: texts, and what a run came to. Out: whether it held, and how much of what is allowed it used. Pure.
//!
//! Latencies count every change that was not overtaken by a younger one, also those that never ended: they are slower than
//! any that did. So the 99th percentile of a run that was stopped is known as long as 99 of 100 changes ended.

use super::search::Trial;
use crate::measure::{self, Role};
use crate::record::{ProcessRecord, RunRecord};
use crate::units::{Bytes, Span};
use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// Something that must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slo {
    /// A quantile of the end-to-end latency.
    Latency {
        /// In thousandths: 990 is the 99th percentile.
        milli: u32,
        /// At most so long.
        most: Span,
    },
    /// From the first change to the first moment when every app of the install is healthy.
    AllHealthy(Span),
    /// Memory of the largest manager.
    ManagerMemory(Bytes),
    /// Memory of the hub's API server.
    HubMemory(Bytes),
    /// Objects in the caches of the largest manager.
    ManagerObjects(u64),
}

/// A text that says nothing that could hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; write {FORM}")]
pub struct BadSlo(String);

const FORM: &str = "end_to_end.p50|p90|p99|p999|max=5m, all_healthy=10m, manager.memory=8Gi, hub.memory=64Gi or \
                    manager.objects=500000";

const QUANTILES: [(&str, u32); 5] = [("p50", 500), ("p90", 900), ("p99", 990), ("p999", 999), ("max", 1000)];

impl FromStr for Slo {
    type Err = BadSlo;

    fn from_str(text: &str) -> Result<Self, BadSlo> {
        let (name, value) = text.split_once('=').ok_or_else(|| BadSlo(format!("`{text}` has no limit")))?;
        let span = || match value.parse::<Span>() {
            Ok(Span::ZERO) => Err(BadSlo(format!("nothing is done in {value}"))),
            Ok(span) => Ok(span),
            Err(error) => Err(BadSlo(error.to_string())),
        };
        let bytes = || value.parse::<Bytes>().map_err(|error| BadSlo(error.to_string()));
        match name {
            "all_healthy" => Ok(Self::AllHealthy(span()?)),
            "manager.memory" => Ok(Self::ManagerMemory(bytes()?)),
            "hub.memory" => Ok(Self::HubMemory(bytes()?)),
            "manager.objects" => {
                let count = value.parse().map_err(|_| BadSlo(format!("`{value}` is no number of objects")))?;
                Ok(Self::ManagerObjects(count))
            }
            _ => {
                let known =
                    name.strip_prefix("end_to_end.").and_then(|q| QUANTILES.iter().find(|(name, _)| *name == q));
                let (_, milli) = known.ok_or_else(|| BadSlo(format!("`{name}` is nothing that a plan can hold")))?;
                Ok(Self::Latency { milli: *milli, most: span()? })
            }
        }
    }
}

impl fmt::Display for Slo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency { most, .. } => write!(f, "{}={most}", self.name()),
            Self::AllHealthy(most) => write!(f, "{}={most}", self.name()),
            Self::ManagerMemory(most) | Self::HubMemory(most) => write!(f, "{}={most}", self.name()),
            Self::ManagerObjects(most) => write!(f, "{}={most}", self.name()),
        }
    }
}

impl Slo {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Latency { milli, .. } => {
                let quantile = QUANTILES.iter().find(|(_, known)| known == milli).map_or("p99", |(name, _)| name);
                format!("end_to_end.{quantile}")
            }
            Self::AllHealthy(_) => "all_healthy".to_owned(),
            Self::ManagerMemory(_) => "manager.memory".to_owned(),
            Self::HubMemory(_) => "hub.memory".to_owned(),
            Self::ManagerObjects(_) => "manager.objects".to_owned(),
        }
    }

    /// After so long from the last change on the answer is certain; `None`: it is about no time.
    #[must_use]
    pub const fn patience(&self) -> Option<Span> {
        match self {
            Self::Latency { most, .. } | Self::AllHealthy(most) => Some(*most),
            Self::ManagerMemory(_) | Self::HubMemory(_) | Self::ManagerObjects(_) => None,
        }
    }

    /// The limit as a number: seconds, bytes, objects.
    fn most(&self) -> f64 {
        match self {
            Self::Latency { most, .. } | Self::AllHealthy(most) => most.as_secs_f64(),
            Self::ManagerMemory(most) | Self::HubMemory(most) => most.0 as f64,
            Self::ManagerObjects(most) => *most as f64,
        }
    }

    /// What a run came to, in the same unit; `None`: more than could be seen.
    fn found(&self, outcome: &measure::Outcome, record: &RunRecord) -> Option<f64> {
        let largest = |role: Role, of: fn(&ProcessRecord) -> Option<u64>| {
            let all = record.processes.iter().filter(|process| process.role == role);
            all.filter_map(of).max().map_or(0.0, |most| most as f64)
        };
        match self {
            Self::Latency { milli, .. } => quantile(outcome, *milli).map(Span::as_secs_f64),
            Self::AllHealthy(_) => outcome.all_healthy.map(Span::as_secs_f64),
            Self::ManagerMemory(_) => Some(largest(Role::Manager, |process| process.rss_max_bytes)),
            Self::HubMemory(_) => Some(largest(Role::Hub, |process| process.rss_max_bytes)),
            Self::ManagerObjects(_) => Some(largest(Role::Manager, |process| process.cached_objects_max)),
        }
    }
}

/// A quantile over the changes that ended and those that never did.
fn quantile(outcome: &measure::Outcome, milli: u32) -> Option<Span> {
    let progress = outcome.progress;
    let all = progress.changes - progress.superseded;
    let rank = (all * u64::from(milli)).div_ceil(1_000);
    let ended = outcome.end_to_end();
    if rank == 0 || rank > ended.count() {
        return None;
    }
    ended.quantile(rank as f64 / ended.count() as f64)
}

/// How one of them went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Held {
    /// Its name.
    pub name: String,
    /// Seconds, bytes or objects; null is more than the run waited for.
    pub value: Option<f64>,
    /// The most that is allowed, in the same unit.
    pub most: f64,
    /// Whether it held.
    pub holds: bool,
}

/// How all of them went.
#[must_use]
pub(super) fn judge(slos: &[Slo], outcome: &measure::Outcome, record: &RunRecord) -> Vec<Held> {
    let held = |slo: &Slo| {
        let (value, most) = (slo.found(outcome, record), slo.most());
        Held { name: slo.name(), value, most, holds: value.is_some_and(|value| value <= most) }
    };
    slos.iter().map(held).collect()
}

/// What the search is told of a run that ended well, or did not.
#[must_use]
pub(super) fn trial(held: &[Held], ended: bool) -> Trial {
    let holds = ended && held.iter().all(|held| held.holds);
    let score = held.iter().try_fold(0.0_f64, |most, held| Some(most.max(held.value? / held.most)));
    // A run that cannot end is no point on any line.
    Trial { holds, score: score.filter(|score| ended && *score > 0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{ChangeKind, Finished, Progress};

    fn outcome(ended_ms: &[u64], changes: u64, superseded: u64) -> measure::Outcome {
        let mut outcome = measure::Outcome::default();
        for ms in ended_ms {
            let span = Span::from_millis(*ms);
            outcome.latencies.record(&Finished {
                app: crate::ids::AppId(0),
                kind: ChangeKind::Install,
                at: crate::units::Time(0),
                hops: [None; 6],
                end_to_end: span,
            });
        }
        outcome.progress = Progress { changes, superseded, finished: ended_ms.len() as u64, ..Progress::default() };
        outcome
    }

    fn p(milli: u32, outcome: &measure::Outcome) -> Option<u64> {
        quantile(outcome, milli).map(|span| span.0 / 1_000_000)
    }

    #[test]
    fn changes_that_never_ended_are_slower_than_all_that_did_and_overtaken_ones_do_not_count() {
        let all: Vec<u64> = (1..=100).collect();
        assert_eq!(p(990, &outcome(&all, 100, 0)), Some(99));
        assert_eq!(p(990, &outcome(&all[..99], 100, 0)), Some(99));
        assert_eq!(p(990, &outcome(&all[..98], 100, 0)), None);
        assert_eq!(p(990, &outcome(&all[..98], 100, 2)), Some(98));
        assert_eq!(p(500, &outcome(&all[..60], 100, 0)), Some(50));
        assert_eq!(p(1000, &outcome(&all[..99], 100, 0)), None);
        assert_eq!(p(990, &outcome(&[], 0, 0)), None);
    }

    #[test]
    fn what_is_written_is_read_and_told_alike_and_nonsense_says_what_to_write() {
        for text in
            ["end_to_end.p99=5m0s", "end_to_end.max=1s", "all_healthy=10m0s", "manager.memory=8Gi", "manager.objects=5"]
        {
            assert_eq!(text.parse::<Slo>().unwrap().to_string(), text);
        }
        for (text, words) in [
            ("end_to_end.p99", "has no limit"),
            ("end_to_end.p98=5m", "nothing that a plan can hold"),
            ("end_to_end.p99=5", "not a duration"),
            ("all_healthy=0s", "nothing is done in 0s"),
            ("hub.memory=lots", "a size"),
        ] {
            let error = text.parse::<Slo>().unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("write end_to_end."), "{error}");
        }
    }
}
