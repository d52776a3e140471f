//! `plan SCENARIO --slo end_to_end.p99=5m --max clusters=100000`: how far it goes, and what stops it.

use super::Failure;
use super::output::{self, Output};
use super::run::{interruptions, observer, only_loopback, record_of, recorded};
use crate::clock;
use crate::drive::virtual_time::{self, Ending, Options};
use crate::drive::{live, parallel};
use crate::fleet::World;
use crate::measure::host;
use crate::record;
use crate::scenario::{self, Home, Scenario, TopologyKind};
use crate::study::plan::{self, Confirmation, NotPlayed, PlanError, Played, Question, Slo, Source, Upto};
use crate::units::Share;
use std::io::Write;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Apps that a check plays at most: two cores take some twenty seconds of CPU for so many.
const REACH: u64 = 5_000;

/// `cells=4`, `hub-and-spoke`.
#[derive(Clone, Copy, Debug)]
struct Beside(TopologyKind, u32);

impl FromStr for Beside {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, shards) = text.split_once('=').unwrap_or((text, "1"));
        let known = TopologyKind::ALL.map(TopologyKind::name).join(", ");
        let kind = TopologyKind::ALL.into_iter().find(|kind| kind.name() == name);
        let kind = kind.ok_or_else(|| format!("there is no topology `{name}`, there are {known}"))?;
        match shards.parse() {
            Ok(shards @ 1..=1000) if kind.has_shards() || shards == 1 => Ok(Self(kind, shards)),
            Ok(_) if !kind.has_shards() => Err(format!("`{name}` has no shards: write `{name}` alone")),
            _ => Err(format!("`{shards}` is no number of shards from 1 to 1000: write {name}=4")),
        }
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The scenario file, or - for standard input
    scenario: String,
    /// What must hold: end_to_end.p50|p90|p99|p999|max, all_healthy, manager.memory, hub.memory, manager.objects (may be
    /// repeated)
    #[arg(long = "slo", value_name = "WHAT=MOST", required = true)]
    slos: Vec<Slo>,
    /// What is made larger, and how far: clusters, apps (add-ons per cluster), churn (changes per second); or managers,
    /// of which the fewest that hold are found
    #[arg(long, value_name = "WHAT=SIZE", default_value = "clusters=100000")]
    max: Upto,
    /// Override a value of the scenario, such as topology.shards=4 (may be repeated)
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    /// Seed of everything drawn, over run.seed of the scenario
    #[arg(long)]
    seed: Option<u64>,
    /// How close the answer shall be
    #[arg(long, value_name = "SHARE", default_value_t = Share { ppm: 50_000 })]
    precision: Share,
    /// Say how far other topologies go, such as sharded=4,cells=4,hub-and-spoke
    #[arg(long, value_name = "KIND[=SHARDS]", value_delimiter = ',')]
    beside: Vec<Beside>,
    /// Vary every constant that nobody measured, one at a time
    #[arg(long)]
    sensitivity: bool,
    /// Play the largest size that holds and that this machine can hold with real processes, and say whether it agrees
    #[arg(long)]
    check: bool,
    /// Threads, which do not show in the answer [default: one per CPU]
    #[arg(long, value_name = "N")]
    threads: Option<NonZero<usize>>,
    /// How the answer is printed on standard output
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    /// No progress, only the answer
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let (name, text) = scenario::read(&args.scenario).map_err(Failure::input)?;
    let sets: Vec<String> = args.sets.iter().cloned().chain(args.seed.map(|seed| format!("run.seed={seed}"))).collect();
    // All that is wrong with the scenario itself is told with its places.
    let base = scenario::parse(&text, &name, &sets).map_err(Failure::input)?;
    if args.check {
        only_loopback(&base)?;
        if base.backend.uses(Home::Kubeconfig) || base.backend.is_of_kind() {
            return Err(Failure::input(miette::miette!(
                help = "leave --check or `backend` out",
                "a check neither writes to clusters of others nor makes some of kind"
            )));
        }
    }
    if args.precision.ppm == 0 {
        return Err(Failure::input(miette::miette!(help = "write 1% or more", "no search ends at a precision of 0%")));
    }
    if args.max.axis.falls() && !args.beside.is_empty() {
        return Err(Failure::input(miette::miette!(
            help = "ask for --max clusters=100000, or leave --beside out",
            "--beside says how far a topology goes, and --max managers asks for how few will do"
        )));
    }
    let source = Source { text, name, sets };
    let question = Question {
        slos: args.slos.clone(),
        upto: args.max,
        tolerance: f64::from(args.precision.ppm) / 1e6,
        sensitivity: args.sensitivity,
        beside: args.beside.iter().map(|Beside(kind, shards)| (*kind, *shards)).collect(),
    };
    let threads = args.threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZero::get);
    let interrupted = interruptions()?;
    let began = clock::now();
    let tell = |line: &str| {
        if !args.quiet {
            let since = clock::now().since(began).as_secs_f64();
            // Nobody reads: nobody needs to know.
            let _ = writeln!(std::io::stderr(), "{since:>6.1} s  {line}");
        }
    };
    let play = |scenario: &Scenario, world: &World, threads| played(scenario, world, threads, &interrupted);
    let mut plan = plan::plan(&source, &question, threads, &play, &tell).map_err(failed)?;
    if args.check {
        let fits = |scenario: &Scenario, world: &World| world.apps() <= REACH && live::fits(scenario, world).is_ok();
        let checked = plan::check(&source, &question, &plan, (&play, &played_live), fits, &tell);
        plan.check = checked.map_err(failed)?;
        if plan.check.is_none() {
            tell("nothing to check: no size that holds fits this machine");
        }
    }
    let refuted = plan.check.as_ref().is_some_and(|check| check.verdict == Confirmation::Refuted);
    output::print(&match args.output {
        Output::Table => plan::table(&plan, output::style(true)),
        Output::Json => output::json(&plan)?,
        Output::Yaml => output::yaml(&plan)?,
    })?;
    Ok(if plan.knee.holds.is_some() && !refuted { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn played(scenario: &Scenario, world: &World, threads: usize, stop: &AtomicBool) -> Result<Played, NotPlayed> {
    virtual_time::check(scenario, world, host::available(), threads)
        .map_err(|error| NotPlayed::Impossible(error.to_string()))?;
    let outcome = parallel::simulate(scenario, world, Options::default(), threads, &mut |_, _| {
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if outcome.ending == Ending::Interrupted {
        return Err(NotPlayed::Interrupted);
    }
    let (record, used) = recorded(scenario, world, &outcome);
    let ended = matches!(outcome.ending, Ending::Settled | Ending::TimedOut);
    Ok(Played { outcome: outcome.measured, record, ended, used })
}

/// The same with real processes, sockets and time.
fn played_live(scenario: &Scenario, world: &World, _threads: usize) -> Result<Played, NotPlayed> {
    let impossible = |error: &dyn std::fmt::Display| NotPlayed::Impossible(error.to_string());
    live::playable(scenario).map_err(|error| impossible(&error))?;
    let private = tempfile::Builder::new().prefix("flamboyance-").tempdir().map_err(|error| impossible(&error))?;
    let (scenario, world) = (Arc::new(scenario.clone()), Arc::new(world.clone()));
    let begun = record::begin(&scenario, clock::unix(), record::Clock::Real, observer(&scenario));
    let outcome = match live::run(&scenario, &world, (private.path(), &live::Guests::default()), false, &mut |_| {}) {
        Ok(outcome) if outcome.ending != live::Ending::Interrupted => outcome,
        Ok(_) | Err(live::CrewError::Interrupted) => return Err(NotPlayed::Interrupted),
        Err(error) => return Err(impossible(&error)),
    };
    let record = record_of(begun, &scenario, &world, &outcome);
    let ended = matches!(outcome.ending, live::Ending::Settled | live::Ending::TimedOut);
    Ok(Played { outcome: outcome.observed.outcome, record, ended, used: Vec::new() })
}

fn failed(error: PlanError) -> Failure {
    match error {
        PlanError::Bad { size: 0, errors, .. } => Failure::input(errors),
        PlanError::Bad { size, unit, errors } => {
            let context = format!("{size} {unit} make no scenario");
            Failure::input(miette::Report::new(errors).wrap_err(context))
        }
        PlanError::Interrupted => Failure::interrupted(miette::Report::from_err(error)),
        PlanError::Impossible { .. } => {
            Failure::input(miette::miette!(help = "ask for less with --max, or choose another topology", "{error}"))
        }
        PlanError::Unfit(plan::Unfit::NoChurn(_)) => Failure::input(miette::miette!(
            help = "add `- at: 1m` with `change: { churn: { rate: 1/s, duration: 10m } }` to its timeline",
            "{error}"
        )),
        PlanError::Unfit(_) => Failure::input(miette::miette!(help = "ask for another --max", "{error}")),
    }
}
