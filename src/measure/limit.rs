//! Who was the limit of a run, with evidence.
//!
//! In: shares of everything that can be used up. Out: the one that was used most, in words. Pure.

use super::host::Host;
use super::ledger::Outcome;
use super::process::Usage;
use super::signal::RoundOutcome;
use crate::units::Span;

/// What limited the run.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Limit {
    /// `cpu`, `workers`, `throttling` or `none`; simulated also `seats` (of an API server), `hub-qps`, `leaf-qps`.
    pub resource: String,
    /// The process or the machine whose it is.
    #[serde(rename = "where")]
    pub place: String,
    /// How much of it was used, 0 to 1.
    pub share: f64,
    /// Why we think so, one sentence.
    pub evidence: String,
}

/// A resource counts as the limit from this share on; assumed.
const LIMITING: f64 = 0.85;

/// Finds what limited the busy part of a run.
///
/// `host` is the machine, if the run waited for it; `used` is what a simulation used of modelled things; `busy` is from the first change to the end of the last, `concurrency`
/// the rounds that a manager runs at once.
#[must_use]
pub fn find(
    outcome: &Outcome,
    usages: &[Usage],
    host: Option<&Host>,
    used: &[Limit],
    busy: Span,
    concurrency: u32,
) -> Limit {
    let mut candidates: Vec<Limit> = host.map(|host| cpu(usages, host)).into_iter().collect();
    candidates.extend(candidates_of(outcome, used, busy, concurrency));
    most(&candidates)
}

/// Everything that could have limited a run beside the machine under it, and how far it was used.
#[must_use]
pub fn candidates_of(outcome: &Outcome, used: &[Limit], busy: Span, concurrency: u32) -> Vec<Limit> {
    let counted = [workers(outcome, busy, concurrency), throttling(outcome)];
    counted.into_iter().flatten().chain(used.iter().cloned()).collect()
}

/// The one of several that was used most, if it was used up.
#[must_use]
pub fn most(candidates: &[Limit]) -> Limit {
    let most = candidates.iter().max_by(|a, b| a.share.total_cmp(&b.share));
    match most {
        Some(limit) if limit.share >= LIMITING => limit.clone(),
        most => none(most),
    }
}

fn cpu(usages: &[Usage], host: &Host) -> Limit {
    let all: f64 = usages.iter().map(|usage| usage.cpu().as_secs_f64()).sum();
    let largest = usages.iter().max_by_key(|usage| usage.cpu());
    let (name, spent) = largest.map_or(("", 0.0), |usage| (usage.name.as_str(), usage.cpu().as_secs_f64()));
    Limit {
        resource: "cpu".to_owned(),
        place: "host".to_owned(),
        share: host.busy_share,
        evidence: format!(
            "{} CPUs were {:.0}% busy; {name} used most of it, {spent:.1} of {all:.1} s",
            host.cpus,
            host.busy_share * 100.0
        ),
    }
}

/// The manager whose workers were busiest.
fn workers(outcome: &Outcome, busy: Span, concurrency: u32) -> Option<Limit> {
    let (index, shard) = outcome.shards.iter().enumerate().max_by_key(|(_, shard)| shard.busy)?;
    let managers = shard.managers.max(1);
    let capacity = busy.as_secs_f64() * f64::from(concurrency) * managers as f64;
    let share = if capacity > 0.0 { (shard.busy.as_secs_f64() / capacity).min(1.0) } else { 0.0 };
    Some(Limit {
        resource: "workers".to_owned(),
        place: format!("manager-{index}"),
        share,
        evidence: format!(
            "its {concurrency} workers were in rounds {:.0}% of the time; its queue reached {}",
            share * 100.0,
            shard.queue_max
        ),
    })
}

/// Rounds that an API server asked to wait.
fn throttling(outcome: &Outcome) -> Option<Limit> {
    let rounds: u64 = outcome.shards.iter().flat_map(|shard| shard.rounds).sum();
    let throttled = outcome.rounds(RoundOutcome::Throttled);
    (throttled > 0).then(|| Limit {
        resource: "throttling".to_owned(),
        place: "managers".to_owned(),
        share: throttled as f64 / rounds as f64,
        evidence: format!("{throttled} of {rounds} rounds were told to slow down"),
    })
}

fn none(most: Option<&Limit>) -> Limit {
    let evidence = match most {
        Some(most) => {
            format!("nothing was used up; most used: {} of {} at {:.0}%", most.resource, most.place, most.share * 100.0)
        }
        None => "nothing was used up".to_owned(),
    };
    Limit { resource: "none".to_owned(), place: String::new(), share: most.map_or(0.0, |m| m.share), evidence }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Role, Shard};

    fn check(busy_share: f64, workers_busy: u64, throttled: u64, used: &[Limit], expected: (&str, &str)) {
        let shard = |busy| Shard { busy: Span::from_secs(busy), rounds: [10, 0, 0, 0, throttled], ..Shard::default() };
        let outcome = Outcome { shards: vec![shard(1), shard(workers_busy)], ..Outcome::default() };
        let usage = Usage {
            name: "hub".into(),
            role: Role::Hub,
            user: Span::from_secs(4),
            sys: Span::ZERO,
            rss_max: None,
            rss_end: None,
            fds_max: None,
            threads_max: 1,
            samples: Vec::new(),
        };
        let host = Host { cpus: 2, busy_share, ..Host::default() };
        let limit = find(&outcome, &[usage], Some(&host), used, Span::from_secs(10), 2);
        assert_eq!((limit.resource.as_str(), limit.place.as_str()), expected, "{limit:?}");
    }

    #[test]
    fn what_was_used_up_is_named_and_otherwise_nothing() {
        let used = |share| Limit {
            resource: "cpu".to_owned(),
            place: "manager-0".to_owned(),
            share,
            evidence: "its core".to_owned(),
        };
        check(0.97, 5, 0, &[], ("cpu", "host"));
        check(0.50, 19, 0, &[used(0.9)], ("workers", "manager-1"));
        check(0.50, 5, 200, &[], ("throttling", "managers"));
        check(0.50, 5, 1, &[used(0.8)], ("none", ""));
        check(0.50, 5, 1, &[used(0.2), used(0.99)], ("cpu", "manager-0"));
    }
}
