//! `gate SCENARIO --baseline RESULT|REVISION|PROGRAM`: is it worse.

use super::Failure;
use super::output;
use super::run::{ClockArg, interruptions};
use crate::compare::Verdict;
use crate::compare::gate::{Against, Budget, Effort, FALSE_ALARM, Gate, GateError, USUAL};
use crate::record::{self, Clock};
use crate::report;
use crate::scenario::{self, Scenario};
use crate::seed::Seed;
use crate::study::child::{Child, PlayError};
use crate::study::gate::{self, Base, GateFailed, Progress, RevisionError, Stage};
use crate::units::Share;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people
    #[default]
    Table,
    /// One JSON document
    Json,
    /// One YAML document
    Yaml,
    /// For a comment of a pull request
    Markdown,
}

/// `METRIC=SHARE`.
#[derive(Clone, Debug)]
struct BudgetArg(Budget);

impl FromStr for BudgetArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (metric, share) = text.split_once('=').ok_or("write it as METRIC=SHARE, such as calls.per_app=2%")?;
        let share: Share = share.parse().map_err(|error| format!("{error}"))?;
        Ok(Self(budget(metric, share)))
    }
}

fn budget(metric: &str, share: Share) -> Budget {
    Budget { metric: metric.to_owned(), share: f64::from(share.ppm) / 1e6 }
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The scenario file
    scenario: String,
    /// What to compare with: the folder of a result, a program, or a git revision of the repository here, which is built.
    /// A result tells counts and calls of a live run alone: times are only comparable when both sides run now
    #[arg(long, value_name = "RESULT|REVISION|PROGRAM")]
    baseline: String,
    /// What time is
    #[arg(long, value_enum, default_value_t)]
    clock: ClockArg,
    /// Override a value of the scenario on both sides, such as fleet.clusters=50 (may be repeated)
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    /// Override a value of the scenario in runs of the baseline alone, to judge a setting (may be repeated)
    #[arg(long = "baseline-set", value_name = "PATH=VALUE")]
    baseline_sets: Vec<String>,
    /// Seed of everything drawn, over run.seed of the scenario
    #[arg(long)]
    seed: Option<u64>,
    /// How much worse a metric may get, over spec.gate of the scenario (may be repeated)
    #[arg(long = "budget", value_name = "METRIC=SHARE")]
    budgets: Vec<BudgetArg>,
    /// Live: pairs of runs at least
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(3..=1000))]
    pairs: u16,
    /// Live: pairs of runs at most; then the answer is `inconclusive` if it is not clear
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(3..=1000))]
    max_pairs: u16,
    /// Live: pairs are added until a regression of the budget and this much more would show
    #[arg(long, value_name = "SHARE", default_value_t = Share { ppm: 50_000 })]
    precision: Share,
    /// Keep the results of all runs in this folder, which must not exist
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Write the answer as JUnit XML into this file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the answer as Markdown into this file
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// How the answer is printed on standard output
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    /// No progress, only the answer
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let scenario = scenario::load(&args.scenario, &all_sets(args, &[])).map_err(Failure::input)?;
    scenario::load(&args.scenario, &all_sets(args, &args.baseline_sets)).map_err(Failure::input)?;
    let live = matches!(args.clock, ClockArg::Real);
    let base = baseline(args, live)?;
    let against = if matches!(base, Base::Stored(_)) { Against::Stored } else { Against::Interleaved };
    let effort = Effort {
        min: usize::from(args.pairs),
        max: usize::from(args.max_pairs.max(args.pairs)),
        precision: f64::from(args.precision.ppm) / 1e6,
    };
    // What was overridden is meant to differ: between the sides, or from what a stored result ran.
    let path = |set: &String| set.split('=').next().unwrap_or_default().to_owned();
    let across = args.sets.iter().chain(&args.baseline_sets).map(path).collect();
    let seed = Seed::new(scenario.run.seed);
    let mut gate = Gate::new(budgets(args, &scenario), effort, against, across, seed).map_err(wrong)?;
    if let Base::Stored(stored) = &base {
        gate.knows(stored).map_err(wrong)?;
    }
    // A child that is interrupted says so; we end then, and leave nothing behind.
    interruptions()?;
    let private = tempfile::Builder::new().prefix("flamboyance-gate-").tempdir()?;
    if let Some(keep) = &args.keep {
        std::fs::create_dir(keep)?;
    }
    let folder = args.keep.as_deref().unwrap_or(private.path());
    let mut tell = |progress: Progress<'_>| {
        if !args.quiet {
            show(progress, effort)
        }
    };
    let mut stage = Stage { folder, tell: &mut tell };
    let gated = gate::run(&mut gate, &base, &side(args, own_program()?, &[]), &mut stage).map_err(failed)?;
    for (path, text) in [
        (&args.junit, report::gated_junit(&gated, &scenario.name)),
        (&args.markdown, report::gated_markdown(&gated, &scenario.name)),
    ] {
        if let Some(path) = path {
            std::fs::write(path, text)?;
        }
    }
    output::print(&match args.output {
        Output::Table => report::gated(&gated, output::style(true)),
        Output::Json => output::json(&gated)?,
        Output::Yaml => output::yaml(&gated)?,
        Output::Markdown => report::gated_markdown(&gated, &scenario.name),
    })?;
    Ok(match gated.verdict {
        Verdict::Better | Verdict::Same => ExitCode::SUCCESS,
        Verdict::Regressed => ExitCode::from(1),
        Verdict::Inconclusive => ExitCode::from(5),
    })
}

/// Overrides of both sides, then those of one.
fn all_sets(args: &Args, own: &[String]) -> Vec<String> {
    let seed = args.seed.map(|seed| format!("run.seed={seed}"));
    args.sets.iter().chain(own).cloned().chain(seed).collect()
}

/// The flags win over the scenario, the scenario over what is usual.
fn budgets(args: &Args, scenario: &Scenario) -> Vec<Budget> {
    let mut budgets: Vec<Budget> = scenario.gate.iter().map(|(metric, share)| budget(metric, *share)).collect();
    if budgets.is_empty() && args.budgets.is_empty() {
        let usual = |(metric, share): (&str, f64)| Budget { metric: metric.to_owned(), share };
        return USUAL.map(usual).into();
    }
    for BudgetArg(asked) in &args.budgets {
        budgets.retain(|known| known.metric != asked.metric);
        budgets.push(asked.clone());
    }
    budgets
}

fn own_program() -> Result<PathBuf, Failure> {
    Ok(std::env::current_exe()?)
}

fn side(args: &Args, program: PathBuf, own: &[String]) -> Child {
    Child::new(program, &args.scenario, args.clock.name()).with(all_sets(args, own))
}

fn baseline(args: &Args, live: bool) -> Result<Base, Failure> {
    let path = Path::new(&args.baseline);
    let folder = path.is_dir() || path.extension().is_some_and(|end| end == "json");
    if folder {
        let stored = record::load(path).map_err(|error| Failure::input(miette::Report::from_err(error)))?;
        let fits = (stored.record.clock == Clock::Real) == live;
        let other = if live { "virtual" } else { "real" };
        if !args.baseline_sets.is_empty() {
            return Err(Failure::input(miette::miette!(
                "--baseline-set has no meaning for a result: it was run already"
            )));
        }
        return if fits {
            Ok(Base::Stored(Box::new(stored)))
        } else {
            let name = path.display();
            Err(Failure::input(miette::miette!(
                help = format!("add --clock {other}"),
                "{name} is a run on the {other} clock"
            )))
        };
    }
    let program = if path.is_file() {
        path.canonicalize()?
    } else {
        gate::build(&args.baseline).map_err(|error| match error {
            RevisionError::Unknown(_) => Failure::input(miette::Report::from_err(error)),
            _ => Failure::environment(miette::Report::from_err(error)),
        })?
    };
    Ok(Base::Program(side(args, program, &args.baseline_sets)))
}

fn wrong(error: GateError) -> Failure {
    Failure::input(miette::Report::from_err(error))
}

fn failed(error: GateFailed) -> Failure {
    match error {
        GateFailed::Question(error) => wrong(error),
        GateFailed::Play(PlayError::Interrupted) => Failure::interrupted(miette::miette!("interrupted: no answer")),
        error => Failure::environment(miette::Report::from_err(error)),
    }
}

/// A line per run: each takes seconds at least.
fn show(progress: Progress<'_>, effort: Effort) {
    let line = match progress {
        Progress::Starts { which, number: 0 } => format!("warming: {}", which.name()),
        Progress::Starts { which, number } => {
            format!("pair {number} of {} to {}: {}", effort.min, effort.max, which.name())
        }
        Progress::Pair(gated) => {
            let open = gated.metrics.iter().filter(|metric| metric.verdict == Verdict::Inconclusive).count();
            let worse = gated.metrics.iter().filter(|metric| metric.verdict == Verdict::Regressed).count();
            let certain = (1.0 - FALSE_ALARM) * 100.0;
            format!(
                "so far, with {certain:.0}% certainty: {worse} of {} metrics worse, {open} open",
                gated.metrics.len()
            )
        }
    };
    // A log that cannot be written does not stop the gate.
    let _ = writeln!(std::io::stderr(), "{line}");
}
