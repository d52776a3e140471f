//! From what a run came to, to its record.
//!
//! In: the scenario, the ledger's outcome, what processes cost and counted. Out: a [`RunRecord`]. Pure: the moment when
//! the run started is an argument.

use super::model::*;
use crate::clock;
use crate::measure::host::Host;
use crate::measure::process::Usage;
use crate::measure::warning::{Audited, Warning, audit};
use crate::measure::{Figures, Gap, Hop, Hops, Outcome, Ownership, Role, RoundOutcome, limit};
use crate::scenario::{Action, Backend, Behaviour, Fault, Scenario, Step, Victim};
use crate::units::{Span, Time};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Version of the models of other systems: raised whenever the same scenario may give other numbers.
pub const MODEL_VERSION: &str = "1";

/// What a run came to, beside its scenario.
#[derive(Clone, Debug)]
pub struct Ran<'a> {
    /// The run was cut short, and why.
    pub cut_short: Option<Reason>,
    /// Digest of all state transitions (virtual).
    pub digest: Option<String>,
    /// What the ledger kept.
    pub outcome: &'a Outcome,
    /// What processes cost and what they counted, in the order of the record.
    pub processes: &'a [(Usage, Figures)],
    /// Managers; on `hub-and-spoke` more than processes.
    pub managers: u64,
    /// Clusters and apps of each manager process at the start, in the order of their numbers.
    pub shares: &'a [(u64, u64)],
    /// Managed clusters.
    pub clusters: u64,
    /// Objects in all stores, at their most.
    pub objects: u64,
    /// Events of the engine (virtual); live runs count signals.
    pub events: Option<u64>,
    /// The machine.
    pub host: Host,
    /// The least memory that was available, bytes.
    pub available_min: u64,
    /// When the first change was due.
    pub epoch: Time,
    /// Until everything was ready.
    pub setup: Span,
    /// Warm-up before the first change.
    pub warmup: Span,
    /// From the first change intended to the end of the last, on this machine's clock.
    pub wall: Span,
    /// The same by the time of day.
    pub time_of_day: Span,
    /// The same in simulated time (virtual).
    pub simulated: Option<Span>,
    /// From then until every process was gone.
    pub shutdown: Span,
    /// What was used of modelled things (virtual).
    pub used: &'a [limit::Limit],
    /// What was taken for granted beside what the scenario says.
    pub assumptions: &'a [Assumption],
    /// What was used up and how far, where the driver knows better than the ledger; else none.
    pub limits: &'a [limit::Limit],
}

/// The record of a run that starts at `started` (nanoseconds since 1970): partial until [`finish`].
#[must_use]
pub fn begin(scenario: &Scenario, started: Time, clock: Clock, observer: Observer) -> RunRecord {
    let provenance = match clock {
        Clock::Real => Provenance::Measured,
        Clock::Virtual => Provenance::Modelled,
    };
    RunRecord {
        schema_version: SCHEMA_VERSION,
        run_id: run_id(scenario, started),
        started_at: clock::rfc3339(started),
        build: Build::this(),
        model_version: MODEL_VERSION.to_owned(),
        scenario: ScenarioId { name: scenario.name.clone(), hash: scenario.hash.clone(), set: scenario.set.clone() },
        seed: scenario.run.seed,
        clock,
        topology: topology(scenario),
        manager: ManagerKind {
            kind: scenario.manager.kind.name().to_owned(),
            behaviour: if real(scenario, clock) { "original" } else { behaviour(scenario) }.to_owned(),
        },
        backend: match clock {
            Clock::Real => scenario.backend.name(),
            // Not read: where simulated objects live is no place.
            Clock::Virtual => Backend::MOCK.name(),
        },
        observer,
        status: Status::Partial,
        reason: Some(Reason::Interrupted),
        digest: None,
        provenance,
        counts: Counts { clusters: scenario.fleet.clusters.into(), ..Counts::default() },
        time: Times::default(),
        latency: BTreeMap::new(),
        latency_by: BTreeMap::new(),
        generator_lag: Latency::new(crate::measure::Quantiles::default(), Provenance::Measured),
        processes: Vec::new(),
        managers: Vec::new(),
        ownership: None,
        limit: None,
        assumptions: assumptions(scenario),
        sensitivity: Vec::new(),
        host: Host::default(),
        warnings: Vec::new(),
        files: Vec::new(),
    }
}

/// The record of a run that ended, complete but for its files.
#[must_use]
pub fn finish(begun: RunRecord, scenario: &Scenario, ran: &Ran<'_>) -> RunRecord {
    let outcome = ran.outcome;
    let usages: Vec<Usage> = ran.processes.iter().map(|(usage, _)| usage.clone()).collect();
    let (status, reason) = match ran.cut_short {
        _ if outcome.dropped > 0 => (Status::Invalid, Some(Reason::RecordsDropped)),
        Some(reason) => (Status::Partial, Some(reason)),
        None => (Status::Complete, None),
    };
    let warnings = audit(&Audited {
        outcome,
        usages: &usages,
        host: &ran.host,
        available_min: ran.available_min,
        wall: ran.wall,
        time_of_day: ran.time_of_day,
        debug_build: begun.build.profile == "debug" && begun.clock == Clock::Real,
        dirty_build: begun.build.dirty,
        real_clock: begun.clock == Clock::Real,
    });
    let processes: Vec<_> = ran.processes.iter().map(|(usage, figures)| process(usage, figures, begun.clock)).collect();
    // A simulation does not wait for this machine.
    let host = (begun.clock == Clock::Real).then_some(&ran.host);
    let busy = ran.simulated.unwrap_or(ran.wall);
    RunRecord {
        status,
        reason,
        digest: ran.digest.clone(),
        counts: counts(ran, &processes),
        time: times(ran),
        latency: hops(&outcome.latencies.all(), begun.clock),
        latency_by: outcome
            .latencies
            .by_kind()
            .map(|(kind, by_hop)| (kind.name().to_owned(), hops(by_hop, begun.clock)))
            .collect(),
        generator_lag: Latency::new(outcome.lag.quantiles(), Provenance::Measured),
        processes,
        managers: managers(ran, begun.provenance),
        limit: Some(match ran.limits {
            [] => limit::find(outcome, &usages, host, ran.used, busy, scenario.manager.concurrency),
            known => limit::most(known),
        }),
        ownership: outcome.ownership.as_ref().map(|ownership| owned(ownership, scenario, ran)),
        assumptions: begun.assumptions.iter().chain(ran.assumptions).cloned().collect(),
        host: ran.host.clone(),
        warnings: warnings.iter().map(warning).collect(),
        ..begun
    }
}

fn run_id(scenario: &Scenario, started: Time) -> String {
    let print = Sha256::digest(format!("{} {} {}", scenario.hash, scenario.run.seed, started.0));
    let at: String = clock::rfc3339(started).chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{}-{at}-{}", scenario.name, hex(&print[..3]))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn topology(scenario: &Scenario) -> TopologyRecord {
    let topology = &scenario.topology;
    TopologyRecord {
        kind: topology.kind.name().to_owned(),
        shards: topology.shards,
        scheme: topology.scheme.name().to_owned(),
    }
}

const fn behaviour(scenario: &Scenario) -> &'static str {
    match scenario.manager.behaviour {
        Behaviour::Fixed => "fixed",
        Behaviour::Faithful => "faithful",
    }
}

/// The managers are programs of others.
fn real(scenario: &Scenario, clock: Clock) -> bool {
    clock == Clock::Real && scenario.manager.command.is_some()
}

/// What the scenario takes for granted about systems that are modelled.
fn assumptions(scenario: &Scenario) -> Vec<Assumption> {
    let flux = &scenario.run.flux;
    let assumed = |id: &str, value: String, unit: &str| Assumption {
        id: id.to_owned(),
        value,
        unit: unit.to_owned(),
        source: "scenario".to_owned(),
        kind: AssumptionKind::Assumed,
    };
    let workloads = assumed("run.workloadReady", scenario.run.workload_ready.to_string(), "time");
    let mut all = vec![
        assumed("run.flux.fetch", flux.fetch.to_string(), "time"),
        assumed("run.flux.build", flux.build.to_string(), "time"),
        assumed("run.flux.concurrency", flux.concurrency.to_string(), "reconciles at once"),
        assumed("run.flux.healthPoll", flux.health_poll.to_string(), "time"),
        assumed("run.flux.dependencyPoll", flux.dependency_poll.to_string(), "time"),
    ];
    // Nodes that run pods say themselves when those are ready.
    if !scenario.backend.leaves.is_of_kind() {
        all.push(workloads);
    }
    all
}

fn counts(ran: &Ran<'_>, processes: &[ProcessRecord]) -> Counts {
    let (outcome, progress) = (ran.outcome, ran.outcome.progress);
    let served = |role: Role| matches!(role, Role::Hub | Role::Leaves);
    Counts {
        clusters: ran.clusters,
        managers: ran.managers,
        apps: progress.apps,
        apps_healthy: progress.healthy,
        changes: progress.changes,
        superseded: progress.superseded,
        rounds: outcome.shards.iter().flat_map(|shard| shard.rounds).sum(),
        calls: processes.iter().filter(|p| p.is_client()).map(ProcessRecord::total_calls).sum(),
        events: ran.events.unwrap_or(outcome.signals),
        failed: progress.open() + progress.abandoned,
        retries: outcome.rounds(RoundOutcome::Retry) + outcome.rounds(RoundOutcome::Failed),
        conflicts: outcome.rounds(RoundOutcome::Conflict),
        throttled: outcome.rounds(RoundOutcome::Throttled),
        objects: ran.objects,
        watch_events: ran.processes.iter().filter(|(u, _)| served(u.role)).map(|(_, f)| f.watch_events).sum(),
        moved: progress.moved,
        double_owned: progress.double_owned,
        dropped_records: outcome.dropped,
    }
}

fn times(ran: &Ran<'_>) -> Times {
    Times {
        wall_s: ran.wall.as_secs_f64(),
        simulated_s: ran.simulated.map(Span::as_secs_f64),
        setup_s: ran.setup.as_secs_f64(),
        warmup_s: ran.warmup.as_secs_f64(),
        shutdown_s: ran.shutdown.as_secs_f64(),
        all_healthy_s: ran.outcome.all_healthy.map(Span::as_secs_f64),
    }
}

/// How the time of a hop comes about. In live runs the Flux controllers are models whose delays the scenario gives.
#[must_use]
pub const fn hop_provenance(hop: Hop, clock: Clock) -> Provenance {
    match (clock, hop) {
        (Clock::Real, Hop::Seen | Hop::Written | Hop::Reported | Hop::EndToEnd) => Provenance::Measured,
        (Clock::Real, Hop::Fetched | Hop::Applied | Hop::Ready) | (Clock::Virtual, _) => Provenance::Modelled,
    }
}

fn hops(hops: &Hops, clock: Clock) -> BTreeMap<String, Latency> {
    let latency = |hop: Hop| Latency::new(hops[hop as usize].quantiles(), hop_provenance(hop, clock));
    Hop::ALL.into_iter().map(|hop| (hop.name().to_owned(), latency(hop))).collect()
}

fn process(usage: &Usage, figures: &Figures, clock: Clock) -> ProcessRecord {
    let simulated = clock == Clock::Virtual && usage.role != Role::Harness;
    ProcessRecord {
        name: usage.name.clone(),
        role: usage.role,
        provenance: if simulated { Provenance::Modelled } else { Provenance::Measured },
        cpu_s: usage.cpu().as_secs_f64(),
        user_s: usage.user.as_secs_f64(),
        sys_s: usage.sys.as_secs_f64(),
        rss_max_bytes: usage.rss_max,
        rss_end_bytes: usage.rss_end,
        fds_max: usage.fds_max,
        threads_max: usage.threads_max,
        connections_max: figures.connections_max,
        watches_max: figures.watches_max,
        cached_objects_max: figures.cached_objects_max,
        bytes_in: figures.bytes_in,
        bytes_out: figures.bytes_out,
        calls: figures.calls.clone(),
    }
}

fn managers(ran: &Ran<'_>, provenance: Provenance) -> Vec<ManagerRecord> {
    let manager = |(index, (shard, share)): (usize, (&crate::measure::Shard, &(u64, u64)))| ManagerRecord {
        name: format!("manager-{index}"),
        clusters: share.0,
        apps: share.1,
        queue_depth_max: shard.queue_max,
        queue_wait: Latency::new(shard.queue_wait.quantiles(), provenance),
    };
    ran.outcome.shards.iter().zip(ran.shares).enumerate().map(manager).collect()
}

fn owned(ownership: &Ownership, scenario: &Scenario, ran: &Ran<'_>) -> OwnershipRecord {
    let (epoch, progress) = (ran.epoch, ran.outcome.progress);
    let gap = |gap: &Gap| GapRecord {
        at_s: gap.at.since(epoch).as_secs_f64(),
        lasted_s: gap.lasted.as_secs_f64(),
        clusters: gap.clusters,
        closed: gap.closed,
    };
    let longest = ownership.gaps.iter().map(|gap| gap.lasted).max().unwrap_or(Span::ZERO);
    OwnershipRecord {
        clusters_moved: ownership.moved,
        orphaned_cluster_s: ownership.orphaned.as_secs_f64(),
        gap_max_s: longest.as_secs_f64(),
        gaps: ownership.gaps.iter().map(gap).collect(),
        rounds_repeated: progress.repeated_rounds,
        calls_repeated: progress.repeated_calls,
        shifts: shifts(ownership, scenario, epoch),
    }
}

/// What each step of the timeline made move. What came before all of them is nobody's.
fn shifts(ownership: &Ownership, scenario: &Scenario, epoch: Time) -> Vec<ShiftRecord> {
    let mut steps: Vec<(Span, String)> = scenario.timeline.iter().flat_map(told).collect();
    steps.sort_by_key(|(at, _)| *at);
    let ends = steps.iter().skip(1).map(|(at, _)| epoch + *at).chain([Time(u64::MAX)]);
    let shift = |((at, what), end): (&(Span, String), Time)| {
        let began = epoch + *at;
        let gains = ownership.gains.iter().filter(|(when, _)| (began..end).contains(when));
        let last = gains.clone().map(|(when, _)| *when).max();
        ShiftRecord {
            at_s: at.as_secs_f64(),
            what: what.clone(),
            clusters_moved: gains.map(|(_, clusters)| clusters).sum(),
            settled_s: last.map(|last| last.since(began).as_secs_f64()),
        }
    };
    steps.iter().zip(ends).map(shift).collect()
}

/// Whether a step changes who manages what, in words: when it begins, and when what it hurt is back.
fn told(step: &Step) -> Vec<(Span, String)> {
    match &step.action {
        Action::Shift(shift) => vec![(step.at, shift.to_string())],
        Action::Fault { victim: Victim::Manager(manager), fault, duration } => {
            let verb = if *fault == Fault::Kill { "kill" } else { "pause" };
            vec![
                (step.at, format!("{verb} manager {manager}")),
                (step.at + *duration, format!("manager {manager} is back")),
            ]
        }
        _ => Vec::new(),
    }
}

fn warning(warning: &Warning) -> WarningRecord {
    WarningRecord {
        code: warning.code().to_owned(),
        severity: warning.severity(),
        message: warning.message(),
        advice: warning.advice().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::synthetic;

    #[test]
    fn a_run_that_began_is_partial_until_it_ends() {
        let begun = synthetic::begun();
        assert_eq!((begun.status, begun.reason), (Status::Partial, Some(Reason::Interrupted)));
        assert_eq!((begun.started_at.as_str(), begun.clock), ("2026-11-22T12:00:00Z", Clock::Real));
        assert!(begun.run_id.starts_with("quickstart-20261122T120000Z-"), "{}", begun.run_id);
        let record = synthetic::record();
        assert_eq!((record.status, record.reason, &record.run_id), (Status::Complete, None, &begun.run_id));
    }

    #[test]
    fn why_a_run_cannot_be_used_is_said() {
        for (cut_short, dropped, expected) in [
            (None, 0, (Status::Complete, None)),
            (Some(Reason::TimedOut), 0, (Status::Partial, Some(Reason::TimedOut))),
            (Some(Reason::TimedOut), 3, (Status::Invalid, Some(Reason::RecordsDropped))),
        ] {
            let outcome = Outcome { dropped, ..synthetic::outcome() };
            let ran = Ran { cut_short, ..synthetic::ran(&outcome, &[]) };
            let record = finish(synthetic::begun(), &synthetic::scenario(), &ran);
            assert_eq!((record.status, record.reason), expected);
        }
    }

    #[test]
    fn calls_are_counted_where_they_are_made_and_events_where_they_are_sent() {
        let record = synthetic::record();
        let of = |role: Role| -> u64 {
            record.processes.iter().filter(|p| p.role == role).map(ProcessRecord::total_calls).sum()
        };
        assert!(of(Role::Hub) > 0);
        assert_eq!(record.counts.calls, of(Role::Harness) + of(Role::Manager) + of(Role::FluxModel));
        assert_eq!(record.counts.watch_events, 5_000);
    }

    #[test]
    fn every_hop_is_in_the_record_and_says_how_it_was_come_by() {
        let record = synthetic::record();
        assert_eq!(record.latency.len(), 7);
        assert_eq!(record.latency["ready"].provenance, Provenance::Modelled);
        assert_eq!(record.latency["reported"].provenance, Provenance::Measured);
        let drift = &record.latency_by["drift"];
        assert_eq!((drift["seen"].count, drift["seen"].p50_s), (0, None));
        assert!(drift["applied"].count > 0);
    }
}
