//! `run SCENARIO`: the main job.

mod lent;
mod metrics;
mod simulated;

pub(super) use simulated::{interruptions, recorded};

use super::Failure;
use super::output::{self, Output};
use super::progress::Screen;
use crate::backend::managers;
use crate::drive::live::budget::TooMuch;
use crate::drive::live::kind::RaiseError;
use crate::drive::live::{self, CrewError, Ending, Outcome};
use crate::fleet::World;
use crate::record::{self, Assumption, AssumptionKind, FileKind, Folder, Ran, Reason, RecordError, RunRecord};
use crate::scenario::{self, Backend, Expect, Home, ManagerKind, Scenario, TopologyKind};
use crate::topology::{Course, Layout};
use crate::units::Span;
use crate::{backend, clock, report};
use metrics::Metrics;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// The file of all objects at the end.
pub(super) const OBJECTS: &str = "objects.json";

/// The clocks of this version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ClockArg {
    /// Real processes and sockets
    #[default]
    Real,
    /// Simulated time: the same reconciler and rules, no sockets, a digest that is always the same
    Virtual,
}

/// The managers of a scenario exist as a model alone.
#[derive(Debug, thiserror::Error)]
#[error(
    "manager.kind `{kind}` is simulated only: add --clock virtual, let it be `loopback`, or for `argocd` name the folder of \
     its programs with manager.command"
)]
struct SimulatedOnly {
    kind: &'static str,
}

impl ClockArg {
    /// Its name as a flag.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Virtual => "virtual",
        }
    }

    /// As a record calls it.
    pub(super) const fn recorded(self) -> record::Clock {
        match self {
            Self::Real => record::Clock::Real,
            Self::Virtual => record::Clock::Virtual,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The scenario file, or - for standard input
    scenario: String,
    /// What time is
    #[arg(long, value_enum, default_value_t)]
    clock: ClockArg,
    /// Override a value of the scenario, such as fleet.clusters=50 (may be repeated)
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    /// Seed of everything drawn, over run.seed of the scenario
    #[arg(long)]
    seed: Option<u64>,
    /// Threads of a simulation, which do not show in its result [default: one per CPU]
    #[arg(long, value_name = "N")]
    threads: Option<std::num::NonZero<usize>>,
    /// Play every call of a simulation as events of its own, though clusters at rest do the same again and again; the
    /// result is the same
    #[arg(long)]
    no_fold: bool,
    /// Play a simulation again with each constant that nobody measured twice and half as large, and say what its times
    /// depend on
    #[arg(long)]
    sensitivity: bool,
    /// Folder of the result; it must not exist [default: results/NAME-TIME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How the record is printed on standard output
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    /// Keep all objects of all clusters as they are at the end, in objects.json
    #[arg(long)]
    objects: bool,
    /// Serve Prometheus metrics at http://ADDR/metrics as long as a run on the real clock goes (port 0: any free one)
    #[arg(long, value_name = "ADDR")]
    metrics: Option<std::net::SocketAddr>,
    /// Kubeconfig of the hub, if that is `kubeconfig`
    #[arg(long, env = "KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Its context; the current one by default
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Write to that cluster though it carries no mark
    #[arg(long)]
    yes: bool,
    /// Keep the clusters of kind when the run has ended; `destroy --kind` deletes them
    #[arg(long)]
    keep: bool,
    /// No progress, only the result
    #[arg(short, long)]
    quiet: bool,
}

/// What only a simulation can say is not asked of a live run.
fn simulated_only(args: &Args) -> Result<(), Failure> {
    if args.sensitivity {
        return Err(Failure::input(miette::miette!(
            help = "add --clock virtual",
            "constants of the model delay nothing in a live run"
        )));
    }
    Ok(())
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut sets = args.sets.clone();
    sets.extend(args.seed.map(|seed| format!("run.seed={seed}")));
    let scenario = Arc::new(scenario::load(&args.scenario, &sets).map_err(Failure::input)?);
    let world = Arc::new(World::generate(&scenario));
    if matches!(args.clock, ClockArg::Virtual) {
        if args.metrics.is_some() {
            return Err(Failure::input(miette::miette!(
                help = "leave --metrics out; `report -o openmetrics` says the same of the result",
                "a simulated run has no metrics to scrape while it goes"
            )));
        }
        return simulated::run(args, &scenario, &world);
    }
    simulated_only(args)?;
    if scenario.manager.command.is_none() {
        only_loopback(&scenario)?;
    }
    possible(&scenario, &world)?;
    let lender = lent::Lender::of(args, &scenario)?;
    let mut metrics = args.metrics.map(Metrics::serve).transpose()?;
    if let (Some(metrics), false) = (&metrics, args.quiet) {
        writeln!(std::io::stderr(), "metrics: http://{}/metrics", metrics.address)?;
    }
    let started = clock::unix();
    let mut begun = record::begin(&scenario, started, record::Clock::Real, observer(&scenario));
    begun.assumptions.extend(programs(&scenario)?);
    let lender = lender.enter(args, &begun.run_id)?;
    let path = args.out.clone().unwrap_or_else(|| PathBuf::from("results").join(&begun.run_id));
    let folder = Folder::create(&path, &begun).map_err(cannot_write)?;
    let private = tempfile::Builder::new().prefix("flamboyance-").tempdir()?;
    let lent = match lender.lend((&scenario, &world, &begun.run_id), (private.path(), &path), args.quiet) {
        Ok(lent) => lent,
        Err(error) => return Err(not_begun(folder, begun, error)),
    };
    let mut screen = Screen::new(args.quiet, scenario.run.timeout);
    let place = (private.path(), &lent.guests);
    let ran = live::run(&scenario, &world, place, args.objects, &mut |standing| {
        screen.show(&standing.progress, standing.since, || Some(standing.pulse()));
        if let Some(metrics) = &mut metrics {
            metrics.answer(|| {
                let outcome = standing.outcome();
                let record = record_of(begun.clone(), &scenario, &world, &outcome);
                report::openmetrics(&record, &outcome.observed.outcome.latencies)
            });
        }
    });
    screen.end();
    let well = ran.as_ref().is_ok_and(|outcome| matches!(outcome.ending, Ending::Settled | Ending::Interrupted));
    let left = lent.give_back(args, (!well).then_some(&path));
    let mut outcome = match ran {
        Ok(outcome) => outcome,
        Err(error) => return Err(not_begun(folder, begun, error)),
    };
    outcome.observed.complaints.extend(left);
    let record = deliver((folder, private.path()), begun, &scenario, &world, &outcome)?;
    output::print(&output::record(&record, args.output, output::style(true))?)?;
    let complaints = &outcome.observed.complaints;
    let unmet = tell(&path, complaints, &record, &scenario.expect, args.quiet);
    Ok(exit_code(outcome.ending, &record, unmet))
}

/// What managers of others are, for the record: which build of each program, and how their memory was limited.
fn programs(scenario: &Scenario) -> Result<Vec<Assumption>, Failure> {
    let missing = |error| Failure::environment(miette::Report::from_err(error));
    let Some(found) = managers::find(&scenario.manager).map_err(missing)? else { return Ok(Vec::new()) };
    let given = |id: String, value: String, unit: &str| Assumption {
        id,
        value,
        unit: unit.to_owned(),
        source: "this machine".to_owned(),
        kind: AssumptionKind::Measured,
    };
    let built = |(name, digest)| given(format!("manager.command.{name}"), digest, "SHA-256 of the program");
    let limit = |name: &str| {
        let value = std::env::var(name).ok()?;
        Some(given(format!("manager.environment.{name}"), value, "of Go's runtime"))
    };
    let built = found.identities()?.into_iter().map(built);
    Ok(built.chain(["GOMEMLIMIT", "GOGC", "GOMAXPROCS"].into_iter().filter_map(limit)).collect())
}

/// Whether this program and this machine can play a scenario live.
fn possible(scenario: &Scenario, world: &World) -> Result<(), Failure> {
    live::playable(scenario).map_err(|error| Failure::input(miette::Report::from_err(error)))?;
    live::fits(scenario, world).map_err(too_much)?;
    managers::find(&scenario.manager).map_err(|error| Failure::environment(miette::Report::from_err(error)))?;
    if scenario.backend.uses(Home::LocalControlPlane) {
        backend::assets::find().map_err(|error| Failure::environment(miette::Report::from_err(error)))?;
    }
    Ok(())
}

/// Servers of ours tell what they store; on those of others somebody has to look.
pub(super) fn observer(scenario: &Scenario) -> record::Observer {
    if scenario.backend == Backend::MOCK { record::Observer::CommitLog } else { record::Observer::Watch }
}

/// A manager of which only a model is here cannot be played live.
pub(super) fn only_loopback(scenario: &Scenario) -> Result<(), Failure> {
    match scenario.manager.kind {
        ManagerKind::Loopback => Ok(()),
        kind => Err(Failure::input(miette::Report::from_err(SimulatedOnly { kind: kind.name() }))),
    }
}

/// Too large a scenario is the user's to change; open files are the machine's to allow.
fn too_much(error: TooMuch) -> Failure {
    match error {
        TooMuch::Memory { .. } => Failure::input(miette::Report::from_err(error)),
        TooMuch::Files { .. } => Failure::environment(miette::Report::from_err(error)),
    }
}

/// The run never began: the record says so, and the user why.
fn not_begun(folder: Folder, mut begun: RunRecord, error: impl Into<NotBegun>) -> Failure {
    let NotBegun { interrupted, report } = error.into();
    begun.reason = Some(if interrupted { Reason::Interrupted } else { Reason::SetupFailed });
    if let Err(second) = folder.close(begun) {
        return cannot_write(second);
    }
    if interrupted { Failure::interrupted(report) } else { Failure::environment(report) }
}

/// Why a run never began.
struct NotBegun {
    interrupted: bool,
    report: miette::Report,
}

impl From<CrewError> for NotBegun {
    fn from(error: CrewError) -> Self {
        Self { interrupted: matches!(error, CrewError::Interrupted), report: miette::Report::from_err(error) }
    }
}

impl From<RaiseError> for NotBegun {
    fn from(error: RaiseError) -> Self {
        Self { interrupted: matches!(error, RaiseError::Interrupted), report: miette::Report::from_err(error) }
    }
}

/// The record of what a run came to, so far or in the end.
pub(super) fn record_of(begun: RunRecord, scenario: &Scenario, world: &World, outcome: &Outcome) -> RunRecord {
    let observed = &outcome.observed;
    let ran = Ran {
        cut_short: cut_short(outcome.ending),
        digest: None,
        outcome: &observed.outcome,
        processes: &observed.processes,
        managers: Layout::of(world, &scenario.topology).managers.into(),
        shares: &shares(scenario, world),
        clusters: u64::from(scenario.fleet.clusters),
        objects: observed.objects(),
        events: None,
        host: observed.host.clone(),
        available_min: observed.available_min,
        epoch: outcome.epoch,
        setup: outcome.setup,
        warmup: Span::ZERO,
        wall: outcome.wall,
        time_of_day: outcome.time_of_day,
        simulated: None,
        shutdown: outcome.shutdown,
        used: &[],
        assumptions: &[],
        limits: &[],
    };
    record::finish(begun, scenario, &ran)
}

fn deliver(
    (mut folder, private): (Folder, &Path),
    begun: RunRecord,
    scenario: &Scenario,
    world: &World,
    outcome: &Outcome,
) -> Result<RunRecord, Failure> {
    let observed = &outcome.observed;
    let record = record_of(begun, scenario, world, outcome);
    if let Some(state) = &outcome.state {
        folder.write(OBJECTS, FileKind::Objects, state.to_string().as_bytes()).map_err(cannot_write)?;
    }
    if outcome.ending != Ending::Settled {
        for (name, end) in managers::logs(private) {
            folder.write(&name, FileKind::Log, &end).map_err(cannot_write)?;
        }
    }
    let usages: Vec<_> = observed.processes.iter().map(|(usage, _)| usage).collect();
    report::deliver(folder, record, &observed.outcome, &usages, outcome.epoch, &scenario.effective)
        .map_err(cannot_write)
}

const fn cut_short(ending: Ending) -> Option<Reason> {
    match ending {
        Ending::Settled => None,
        Ending::TimedOut => Some(Reason::TimedOut),
        Ending::Interrupted => Some(Reason::Interrupted),
        Ending::ChildDied => Some(Reason::ChildDied),
    }
}

/// Clusters and apps of the managers of each process.
fn shares(scenario: &Scenario, world: &World) -> Vec<(u64, u64)> {
    let layout = Layout::of(world, &scenario.topology);
    let come = match scenario.topology.kind {
        // Those that come later own nothing at the start.
        TopologyKind::Sharded => Course::of(world, scenario).most(),
        TopologyKind::Single | TopologyKind::Cells | TopologyKind::HubAndSpoke => 0,
    };
    let mut shares = vec![(0, 0); layout.processes.max(come) as usize];
    for cluster in world.clusters().ids() {
        let share = &mut shares[layout.process(cluster) as usize];
        share.0 += 1;
        share.1 += world.apps_of(cluster).filter(|&app| world.installed(app)).count() as u64;
    }
    shares
}

fn cannot_write(error: RecordError) -> Failure {
    match error {
        RecordError::Exists(_) => Failure::input(miette::Report::from_err(error)),
        _ => Failure::environment(miette::Report::from_err(error)),
    }
}

/// Says on standard error where the result is and what went wrong; whether the scenario expected something else.
fn tell(path: &Path, complaints: &[String], record: &RunRecord, expect: &Expect, quiet: bool) -> bool {
    let mut out = std::io::stderr().lock();
    let mut say = |line: &str| {
        // Nobody reads: nobody needs to know.
        let _ = writeln!(out, "{line}");
    };
    for complaint in complaints {
        say(&format!("flamboyance: {complaint}"));
    }
    if record.reason == Some(Reason::DiskFull) {
        say(&format!(
            "flamboyance: no space left for {}: only the record is there; free some, or choose another disk with --out",
            path.display()
        ));
    }
    if !quiet {
        say(&format!("result: {}  (report: {})", path.display(), path.join(report::PAGE).display()));
    }
    let unmet = unmet(expect, record);
    for line in &unmet {
        say(&format!("flamboyance: {line}"));
    }
    !unmet.is_empty()
}

fn exit_code(ending: Ending, record: &RunRecord, unmet: bool) -> ExitCode {
    match (ending, record.status) {
        (Ending::Interrupted, _) => ExitCode::from(130),
        (Ending::TimedOut, _) => ExitCode::from(4),
        (Ending::ChildDied, _) => ExitCode::from(3),
        (Ending::Settled, record::Status::Invalid) => ExitCode::from(5),
        (Ending::Settled, record::Status::Partial) => ExitCode::from(3),
        (Ending::Settled, _) if unmet => ExitCode::from(1),
        (Ending::Settled, _) => ExitCode::SUCCESS,
    }
}

/// What the scenario expects and did not get.
fn unmet(expect: &Expect, record: &RunRecord) -> Vec<String> {
    let mut unmet = Vec::new();
    let mut over = |name: &str, limit: Option<Span>, got: Option<f64>| {
        let Some(limit) = limit else { return };
        match got {
            Some(got) if got <= limit.as_secs_f64() => {}
            Some(got) => unmet.push(format!("expect.{name}: {got:.3} s, and at most {limit} was expected")),
            None => unmet.push(format!("expect.{name}: never reached, and at most {limit} was expected")),
        }
    };
    over("allHealthy", expect.all_healthy, record.time.all_healthy_s);
    over("endToEndP99", expect.end_to_end_p99, record.latency.get("end_to_end").and_then(|l| l.p99_s));
    if record.counts.apps_healthy < record.counts.apps {
        unmet.push(format!("{} apps ended unhealthy", record.counts.apps - record.counts.apps_healthy));
    }
    unmet
}
