//! Do the two clocks agree? The same scenario, played over real sockets and in simulated time.
//!
//! In: pairs of results, with all objects at their end. Out: a verdict per pair, with everything that was compared. Counts
//! and objects must be the same; latency percentiles within 10 %, or a millisecond, which is what a timer of a live run is
//! good for. A machine that was saturated, or that others used, proves nothing against a simulation: then what differs is
//! inconclusive.

mod counts;
mod objects;
mod page;

pub use objects::{Difference, differences};
pub use page::{page, table};

use crate::measure::Hop;
use crate::record::Stored;
use serde::Serialize;
use serde_json::{Map, Value};

/// A latency may differ by this share.
const SHARE: f64 = 0.10;
/// And by so many seconds: a live run's timers tick in milliseconds.
const TICK_S: f64 = 0.001;
/// A machine as busy as this makes everything wait.
pub(super) const SATURATED: f64 = 0.85;
/// A machine that others used as much as this is not ours.
const SHARED: f64 = 0.05;
/// A percentile needs so many samples above it.
const ABOVE: f64 = 5.0;

/// A run, with all objects by cluster.
#[derive(Debug)]
pub struct Played {
    /// The result.
    pub stored: Stored,
    /// Its `objects.json`.
    pub objects: Map<String, Value>,
}

/// One scenario on both clocks.
#[derive(Debug)]
pub struct Pair {
    /// How the scenario was changed, in words.
    pub name: &'static str,
    /// Live, the same several times.
    pub live: Vec<Played>,
    /// Simulated.
    pub simulated: Played,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The same.
    Agree,
    /// The live machine does not allow to tell.
    Inconclusive,
    /// Not the same.
    Differ,
}

impl Verdict {
    /// As records and people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agree => "agree",
            Self::Inconclusive => "inconclusive",
            Self::Differ => "differ",
        }
    }
}

/// Whether the clocks agree.
#[derive(Clone, Debug, Serialize)]
pub struct Twin {
    /// The scenario.
    pub scenario: String,
    /// Its seed.
    pub seed: u64,
    /// The worst of all parts.
    pub verdict: Verdict,
    /// One per pair.
    pub parts: Vec<Part>,
}

/// What one pair says.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// How the scenario was changed.
    pub name: &'static str,
    /// The verdict.
    pub verdict: Verdict,
    /// What it rests on, in sentences.
    pub why: Vec<String>,
    /// The live runs.
    pub machine: Vec<Machine>,
    /// Numbers and objects.
    pub counts: Vec<Count>,
    /// Percentiles.
    pub latency: Vec<Row>,
}

/// How the machine of a live run was.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The run.
    pub run_id: String,
    /// Share of all CPU time that anybody used, 0 to 1.
    pub busy_share: f64,
    /// Share that was not the run's.
    pub others_share: f64,
    /// Neither saturated nor used by others.
    pub quiet: bool,
}

/// A number of both.
#[derive(Clone, Debug, Serialize)]
pub struct Count {
    /// What is counted.
    pub name: String,
    /// In the live runs: least and most.
    pub live: [f64; 2],
    /// In the simulation.
    pub simulated: f64,
    /// Who comes first may decide it, so that two live runs differ too.
    pub raced: bool,
    /// The verdict.
    pub verdict: Verdict,
}

/// A percentile of both.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The hop.
    pub hop: &'static str,
    /// The percentile.
    pub percentile: f64,
    /// Samples of a live run, and of the simulation.
    pub samples: [u64; 2],
    /// Live, seconds: the median of the runs that count.
    pub live_s: f64,
    /// The least and the most of them.
    pub between_s: [f64; 2],
    /// Simulated, seconds.
    pub simulated_s: f64,
    /// Simulated by live.
    pub ratio: f64,
    /// The verdict.
    pub verdict: Verdict,
}

/// Compares all pairs.
#[must_use]
pub fn compare(pairs: &[Pair]) -> Option<Twin> {
    let record = &pairs.first()?.simulated.stored.record;
    let parts: Vec<Part> = pairs.iter().map(part).collect();
    Some(Twin {
        scenario: record.scenario.name.clone(),
        seed: record.seed,
        verdict: parts.iter().map(|part| part.verdict).max()?,
        parts,
    })
}

fn part(pair: &Pair) -> Part {
    let machine: Vec<Machine> = pair.live.iter().map(|played| machine(&played.stored)).collect();
    let any_quiet = machine.iter().any(|machine| machine.quiet);
    // Runs on a quiet machine count; without any, all do, and prove nothing.
    let chosen: Vec<&Played> =
        pair.live.iter().zip(&machine).filter(|(_, m)| m.quiet || !any_quiet).map(|(played, _)| played).collect();
    let against = if any_quiet { Verdict::Differ } else { Verdict::Inconclusive };
    let mut why = Vec::new();
    let counts = counts::compare(&chosen, &pair.simulated, against);
    let latency = latencies(&chosen, &pair.simulated, against);
    let states: Vec<Difference> =
        chosen.iter().flat_map(|played| differences(&played.objects, &pair.simulated.objects)).collect();
    for difference in states.iter().take(5) {
        why.push(difference.to_string());
    }
    let outside = |verdict| {
        let counts = counts.iter().filter(|count| count.verdict == verdict).map(|count| count.name.clone());
        let rows = latency.iter().filter(|row| row.verdict == verdict);
        counts.chain(rows.map(|row| format!("{} p{}", row.hop, row.percentile))).collect::<Vec<_>>()
    };
    for verdict in [Verdict::Differ, Verdict::Inconclusive] {
        let names = outside(verdict);
        if !names.is_empty() {
            why.push(format!("{}: {}", verdict.name(), names.join(", ")));
        }
    }
    if !any_quiet {
        why.push("no live run had the machine to itself, so that what differs proves nothing".to_owned());
    }
    let verdicts = counts.iter().map(|count| count.verdict).chain(latency.iter().map(|row| row.verdict));
    let of_states = if states.is_empty() { Verdict::Agree } else { Verdict::Differ };
    let verdict = verdicts.max().unwrap_or(Verdict::Inconclusive).max(of_states);
    Part { name: pair.name, verdict, why, machine, counts, latency }
}

fn machine(stored: &Stored) -> Machine {
    let record = &stored.record;
    let all = (record.time.wall_s * f64::from(record.host.cpus)).max(1e-9);
    let ours: f64 = record.processes.iter().map(|process| process.cpu_s).sum();
    let others_share = (record.host.busy_share - ours / all).max(0.0);
    let quiet = record.host.busy_share <= SATURATED && others_share <= SHARED;
    Machine { run_id: record.run_id.clone(), busy_share: record.host.busy_share, others_share, quiet }
}

fn latencies(live: &[&Played], simulated: &Played, against: Verdict) -> Vec<Row> {
    let mut rows = Vec::new();
    let all = simulated.stored.latencies.all();
    let lives: Vec<_> = live.iter().map(|played| played.stored.latencies.all()).collect();
    for hop in Hop::ALL {
        let own = &all[hop as usize];
        for percentile in [50.0, 90.0, 99.0] {
            let share = percentile / 100.0;
            let enough = |count: u64| count as f64 * (1.0 - share) >= ABOVE;
            let mut found: Vec<f64> = lives
                .iter()
                .map(|hops| &hops[hop as usize])
                .filter(|hop| enough(hop.count()))
                .filter_map(|hop| Some(hop.quantile(share)?.as_secs_f64()))
                .collect();
            found.sort_by(f64::total_cmp);
            let (Some(simulated_s), true) = (own.quantile(share), enough(own.count()) && !found.is_empty()) else {
                continue;
            };
            let (simulated_s, live_s) = (simulated_s.as_secs_f64(), found[found.len() / 2]);
            let apart = (simulated_s - live_s).abs();
            let same = apart <= TICK_S || apart <= live_s * SHARE;
            rows.push(Row {
                hop: hop.name(),
                percentile,
                samples: [lives[0][hop as usize].count(), own.count()],
                live_s,
                between_s: [found[0], found[found.len() - 1]],
                simulated_s,
                ratio: simulated_s / live_s.max(1e-9),
                verdict: if same { Verdict::Agree } else { against },
            });
        }
    }
    rows
}

#[cfg(test)]
mod tests;
