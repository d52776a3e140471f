//! What a reader must know before trusting a run: a closed set of warnings, each with advice.
//!
//! In: what a run came to and what its processes and machine did. Out: warnings, worst first. Pure.

use super::hist::Histogram;
use super::host::Host;
use super::ledger::Outcome;
use super::process::Usage;
use super::signal::Role;
use crate::units::Span;

/// How bad it is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The run must not be used.
    Invalid,
    /// Its numbers may say something else than they seem to.
    Suspect,
    /// Good to know.
    Info,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, schemars::JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub enum Warning {
    /// Processes saw more than they could tell.
    RecordsDropped {
        /// Records lost.
        count: u64,
    },
    /// Signals came too late to be put in order.
    SignalsLate {
        /// How many.
        count: u64,
        /// Of so many.
        all: u64,
    },
    /// The harness sent its changes later than scheduled.
    GeneratorLag {
        /// 99th percentile of the lag.
        p99: Span,
        /// The largest lag.
        max: Span,
    },
    /// The machine had no CPU time left.
    HostSaturated {
        /// Share of all CPU time used.
        share: f64,
    },
    /// Somebody else used the machine.
    HostShared {
        /// Share of all CPU time that was not ours.
        share: f64,
    },
    /// Little memory was left.
    MemoryLow {
        /// The least that was available, bytes.
        available: u64,
        /// Of so many bytes.
        memory: u64,
    },
    /// The harness used much of the CPU time that it measures.
    HarnessHeavy {
        /// Its share of the CPU time of all our processes.
        share: f64,
    },
    /// Too few samples for the high percentiles.
    FewSamples {
        /// Finished changes.
        count: u64,
    },
    /// Apps ended unhealthy.
    UnhealthyApps {
        /// How many.
        count: u64,
    },
    /// Changes never ended.
    UnfinishedChanges {
        /// How many.
        count: u64,
    },
    /// Writes of the harness failed for good.
    WritesFailed {
        /// How many.
        count: u64,
    },
    /// Two managers worked on one app at the same time.
    DoubleOwned {
        /// How many apps.
        count: u64,
    },
    /// Many changes were overtaken before they were done, so the slowest are not among the latencies.
    ManySuperseded {
        /// How many.
        count: u64,
        /// Of so many.
        all: u64,
    },
    /// The clocks of the machine disagree about how long the run took.
    ClockUnsteady {
        /// By how much.
        by: Span,
    },
    /// A debug build was measured.
    DebugBuild,
    /// The build has changes that no commit has.
    DirtyBuild,
}

impl Warning {
    /// One of each, in their order, for whoever explains them; their numbers say nothing.
    pub const ALL: [Self; 16] = [
        Self::RecordsDropped { count: 0 },
        Self::SignalsLate { count: 0, all: 0 },
        Self::GeneratorLag { p99: Span(0), max: Span(0) },
        Self::HostSaturated { share: 0.0 },
        Self::HostShared { share: 0.0 },
        Self::MemoryLow { available: 0, memory: 0 },
        Self::HarnessHeavy { share: 0.0 },
        Self::FewSamples { count: 0 },
        Self::UnhealthyApps { count: 0 },
        Self::UnfinishedChanges { count: 0 },
        Self::WritesFailed { count: 0 },
        Self::DoubleOwned { count: 0 },
        Self::ManySuperseded { count: 0, all: 0 },
        Self::ClockUnsteady { by: Span(0) },
        Self::DebugBuild,
        Self::DirtyBuild,
    ];

    /// Its name in records: stable.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::RecordsDropped { .. } => "records-dropped",
            Self::SignalsLate { .. } => "signals-late",
            Self::GeneratorLag { .. } => "generator-lag",
            Self::HostSaturated { .. } => "host-saturated",
            Self::HostShared { .. } => "host-shared",
            Self::MemoryLow { .. } => "memory-low",
            Self::HarnessHeavy { .. } => "harness-heavy",
            Self::FewSamples { .. } => "few-samples",
            Self::UnhealthyApps { .. } => "unhealthy-apps",
            Self::UnfinishedChanges { .. } => "unfinished-changes",
            Self::WritesFailed { .. } => "writes-failed",
            Self::DoubleOwned { .. } => "double-owned",
            Self::ManySuperseded { .. } => "many-superseded",
            Self::ClockUnsteady { .. } => "clock-unsteady",
            Self::DebugBuild => "debug-build",
            Self::DirtyBuild => "dirty-build",
        }
    }

    /// How bad it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::RecordsDropped { .. } => Severity::Invalid,
            Self::FewSamples { .. } | Self::DirtyBuild => Severity::Info,
            _ => Severity::Suspect,
        }
    }

    /// What was found, one sentence.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::RecordsDropped { count } => format!("{count} measuring records were lost"),
            Self::SignalsLate { count, all } => format!("{count} of {all} signals came too late to be put in order"),
            Self::GeneratorLag { p99, max } => {
                format!("changes left late: 1% by more than {}, at most {}", rounded(*p99), rounded(*max))
            }
            Self::HostSaturated { share } => format!("the machine was {} busy", percent(*share)),
            Self::HostShared { share } => format!("{} of the machine's CPU time went to others", percent(*share)),
            Self::MemoryLow { available, memory } => {
                format!("only {} of {} MiB of memory were left", available >> 20, memory >> 20)
            }
            Self::HarnessHeavy { share } => format!("the harness used {} of our CPU time", percent(*share)),
            Self::FewSamples { count } => format!("{count} finished changes"),
            Self::UnhealthyApps { count } => format!("{count} apps ended unhealthy"),
            Self::UnfinishedChanges { count } => format!("{count} changes never ended"),
            Self::WritesFailed { count } => format!("{count} writes of the harness failed"),
            Self::DoubleOwned { count } => format!("{count} apps had two managers at the same time"),
            Self::ManySuperseded { count, all } => format!("{count} of {all} changes were overtaken before they ended"),
            Self::ClockUnsteady { by } => format!("the wall clock and the monotonic clock differ by {}", rounded(*by)),
            Self::DebugBuild => "this is a debug build".to_owned(),
            Self::DirtyBuild => "this build has uncommitted changes".to_owned(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::RecordsDropped { .. } => {
                "run again with fewer clusters or on a less busy machine; do not compare this run"
            }
            Self::SignalsLate { .. } => {
                "single hops may be a little off, their sums are not; leave the harness more CPU"
            }
            Self::GeneratorLag { .. } => {
                "latencies count from the schedule and include the lag: raise run.driverConcurrency or spread the changes"
            }
            Self::HostSaturated { .. } => {
                "latencies include waiting for a CPU: use fewer clusters, spread the changes, or take a bigger machine"
            }
            Self::HostShared { .. } => "stop what else runs here, or repeat the run and compare",
            Self::MemoryLow { .. } => "swapping would spoil the latencies: use fewer clusters or a bigger machine",
            Self::HarnessHeavy { .. } => "what is measured had less CPU than it would have alone",
            Self::FewSamples { .. } => {
                "below 1,000 changes the 99.9th percentile is the largest sample, below 100 the 99th: use more clusters"
            }
            Self::UnhealthyApps { .. } => {
                "latencies lack the apps that never got there; look at their status, or allow more time"
            }
            Self::UnfinishedChanges { .. } => "latencies lack them; allow more time with run.timeout",
            Self::WritesFailed { .. } => "those changes never happened; look at the call codes of the harness",
            Self::DoubleOwned { .. } => {
                "managers disagree about who owns a cluster: expect conflicts and doubled calls"
            }
            Self::ManySuperseded { .. } => {
                "read latencies as those of the changes that survived; slow down the changes"
            }
            Self::ClockUnsteady { .. } => "the machine slept or its clock was set: repeat the run",
            Self::DebugBuild => "CPU and latencies are several times those of a release build: use cargo run --release",
            Self::DirtyBuild => "commit before you keep this result as a baseline",
        }
    }
}

/// What an audit looks at.
#[derive(Clone, Copy, Debug)]
pub struct Audited<'a> {
    /// What the run came to.
    pub outcome: &'a Outcome,
    /// What its processes cost.
    pub usages: &'a [Usage],
    /// The machine.
    pub host: &'a Host,
    /// The least memory that was available, bytes.
    pub available_min: u64,
    /// How long the run took on `CLOCK_MONOTONIC`.
    pub wall: Span,
    /// How long it took by the time of day.
    pub time_of_day: Span,
    /// A debug build ran.
    pub debug_build: bool,
    /// The build has uncommitted changes.
    pub dirty_build: bool,
    /// The run waited for this machine; a simulation does not, whatever else the machine does.
    pub real_clock: bool,
}

/// Above these shares of CPU time a run is suspect; assumed, to be revised with twin runs.
const SATURATED: f64 = 0.95;
const SHARED: f64 = 0.10;
/// The harness's promised largest share of CPU time.
const HARNESS: f64 = 0.20;
/// A lag that is visible beside latencies of tens of milliseconds.
const LAG: Span = Span::from_millis(50);
/// The kernel starts to reclaim long before nothing is left.
const MEMORY_LEFT: f64 = 0.05;

/// Everything that a reader must know, worst first.
#[must_use]
pub fn audit(run: &Audited<'_>) -> Vec<Warning> {
    let (outcome, progress) = (run.outcome, run.outcome.progress);
    let mut found = Vec::new();
    let mut found_if = |holds: bool, warning: Warning| {
        if holds {
            found.push(warning);
        }
    };
    let quantile = |h: &Histogram, share| h.quantile(share).unwrap_or_default();
    let (p99, max) = (quantile(&outcome.lag, 0.99), quantile(&outcome.lag, 1.0));
    found_if(outcome.dropped > 0, Warning::RecordsDropped { count: outcome.dropped });
    let unhealthy = progress.apps - progress.healthy;
    found_if(unhealthy > 0, Warning::UnhealthyApps { count: unhealthy });
    found_if(progress.open() > 0, Warning::UnfinishedChanges { count: progress.open() });
    found_if(progress.abandoned > 0, Warning::WritesFailed { count: progress.abandoned });
    found_if(progress.double_owned > 0, Warning::DoubleOwned { count: progress.double_owned });
    found_if(run.debug_build, Warning::DebugBuild);
    let share = run.host.busy_share;
    found_if(run.real_clock && share >= SATURATED, Warning::HostSaturated { share });
    let (ours, harness) = shares(run);
    found_if(run.real_clock && share - ours >= SHARED, Warning::HostShared { share: share - ours });
    found_if(run.real_clock && harness > HARNESS, Warning::HarnessHeavy { share: harness });
    let (available, memory) = (run.available_min, run.host.memory_bytes);
    found_if((available as f64) < memory as f64 * MEMORY_LEFT, Warning::MemoryLow { available, memory });
    found_if(p99 > LAG, Warning::GeneratorLag { p99, max });
    // One in a thousand does not move a percentile that anybody reads.
    found_if(
        outcome.late * 1_000 > outcome.signals,
        Warning::SignalsLate { count: outcome.late, all: outcome.signals },
    );
    let superseded = progress.superseded;
    found_if(superseded * 10 > progress.changes, Warning::ManySuperseded { count: superseded, all: progress.changes });
    let by = Span(run.wall.0.abs_diff(run.time_of_day.0));
    found_if(run.real_clock && by > Span::from_millis(500) && by.0 > run.wall.0 / 100, Warning::ClockUnsteady { by });
    found_if(progress.finished < 1_000, Warning::FewSamples { count: progress.finished });
    found_if(run.dirty_build, Warning::DirtyBuild);
    found.sort_by_key(Warning::severity);
    found
}

/// Our share of the machine's CPU time, and the harness's share of ours.
fn shares(run: &Audited<'_>) -> (f64, f64) {
    let cpu = |harness: bool| -> f64 {
        let wanted = run.usages.iter().filter(|usage| !harness || usage.role == Role::Harness);
        wanted.map(|usage| usage.cpu().as_secs_f64()).sum()
    };
    let (all, harness) = (cpu(false), cpu(true));
    let capacity = run.wall.as_secs_f64() * f64::from(run.host.cpus.max(1));
    (ratio(all, capacity), ratio(harness, all))
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

/// To the millisecond: a message needs no more.
fn rounded(span: Span) -> Span {
    if span.0 < 1_000_000 { span } else { Span(span.0 / 1_000_000 * 1_000_000) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Progress;

    fn quiet() -> Outcome {
        let progress = Progress { changes: 5_000, finished: 5_000, apps: 5_000, healthy: 5_000, ..Progress::default() };
        Outcome { progress, signals: 100_000, ..Outcome::default() }
    }

    fn usage(role: Role, secs: u64) -> Usage {
        Usage {
            name: "p".into(),
            role,
            user: Span::from_secs(secs),
            sys: Span::ZERO,
            rss_max: None,
            rss_end: None,
            fds_max: None,
            threads_max: 1,
            samples: Vec::new(),
        }
    }

    fn check(change: impl FnOnce(&mut Outcome, &mut Vec<Usage>, &mut Host, &mut Audited<'_>), codes: &[&str]) {
        let mut outcome = quiet();
        let mut usages = vec![usage(Role::Harness, 1), usage(Role::Manager, 8)];
        let mut host = Host { cpus: 2, memory_bytes: 100, kernel: String::new(), busy_share: 0.5 };
        let (empty, none) = (Outcome::default(), Host::default());
        let mut run = Audited {
            outcome: &empty,
            usages: &[],
            host: &none,
            available_min: 50,
            wall: Span::from_secs(10),
            time_of_day: Span::from_secs(10),
            debug_build: false,
            dirty_build: false,
            real_clock: true,
        };
        change(&mut outcome, &mut usages, &mut host, &mut run);
        let run = Audited { outcome: &outcome, usages: &usages, host: &host, ..run };
        let found: Vec<&str> = audit(&run).iter().map(Warning::code).collect();
        assert_eq!(found, codes);
    }

    #[test]
    fn a_clean_run_has_no_warning() {
        check(|_, _, _, _| (), &[]);
    }

    #[test]
    fn each_weakness_is_found_and_the_worst_comes_first() {
        check(|o, _, _, _| o.dropped = 1, &["records-dropped"]);
        check(|o, _, _, _| o.progress.healthy -= 1, &["unhealthy-apps"]);
        check(|o, _, _, _| o.progress.changes += 1, &["unfinished-changes"]);
        check(|o, _, _, _| (o.progress.changes, o.progress.superseded) = (6_000, 1_000), &["many-superseded"]);
        check(|o, _, _, _| o.lag.record(Span::from_millis(60)), &["generator-lag"]);
        check(|o, _, _, _| o.late = 101, &["signals-late"]);
        check(|o, _, _, _| (o.progress.changes, o.progress.finished) = (9, 9), &["few-samples"]);
        check(|_, u, _, _| u[0].user = Span::from_secs(3), &["harness-heavy"]);
        check(|_, _, h, _| h.busy_share = 0.6, &["host-shared"]);
        check(|_, u, h, _| (u[1].user, h.busy_share) = (Span::from_secs(18), 0.96), &["host-saturated"]);
        check(|_, _, _, run| run.available_min = 4, &["memory-low"]);
        check(|_, _, _, run| run.time_of_day = Span::from_secs(12), &["clock-unsteady"]);
        check(
            |o, _, _, run| (o.dropped, run.dirty_build, run.debug_build) = (1, true, true),
            &["records-dropped", "debug-build", "dirty-build"],
        );
    }
}
