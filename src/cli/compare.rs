//! `compare RESULT RESULT...`: who is better. `compare SCENARIO`: the same after running what its matrix asks for.

pub(super) mod matrix;

use super::run::ClockArg;
use super::{Failure, output};
use crate::compare::{self, Question, Verdict};
use crate::record;
use crate::report;
use crate::units::Share;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// A summary for people
    #[default]
    Table,
    /// Every metric
    Json,
    /// Every metric
    Yaml,
    /// The page, on standard output
    Html,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folders of results of one scenario, 2 to 8, the first of which is the base; or one scenario with a matrix
    #[arg(required = true, num_args = 1..=8, value_name = "RESULT")]
    results: Vec<PathBuf>,
    /// Matrix: what time is
    #[arg(long, value_enum, default_value_t)]
    clock: ClockArg,
    /// Matrix: override a value of the scenario everywhere (may be repeated)
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    /// Matrix: only these points of an axis, such as clusters=1000,10000 (may be repeated)
    #[arg(long, value_name = "AXIS=POINT,..")]
    only: Vec<String>,
    /// Matrix: folder of the results; those that are there are not run again [default: results/NAME-study]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Matrix: simulated runs at the same time [default: CPUs]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Matrix: what a core costs, in any currency, for the bill of the real control plane
    #[arg(long, value_name = "PRICE", requires = "per_gib")]
    per_core: Option<f64>,
    /// Matrix: what a GiB of memory costs
    #[arg(long, value_name = "PRICE", requires = "per_core")]
    per_gib: Option<f64>,
    /// A key of the scenario that may differ besides topology, such as manager.behaviour (may be repeated)
    #[arg(long, value_name = "PATH")]
    across: Vec<String>,
    /// What two runs of the same thing differ by, where clocks are real
    #[arg(long, value_name = "SHARE", default_value_t = Share { ppm: 100_000 })]
    noise: Share,
    /// Write a page with charts into this file; one that exists is not overwritten
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// End with exit code 1 if the verdict is `regressed`, and 5 if it is `inconclusive`
    #[arg(long)]
    strict: bool,
    /// What to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    if args.results.len() == 1 && !args.results[0].is_dir() {
        return matrix::run(args);
    }
    let read = |path: &PathBuf| record::load(path).map_err(|error| Failure::input(miette::Report::from_err(error)));
    let results = args.results.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let question = Question { noise: f64::from(args.noise.ppm) / 1e6, across: args.across.clone() };
    let comparison =
        compare::compare(&results, &question).map_err(|refusal| Failure::input(miette::Report::from_err(refusal)))?;
    if let Some(path) = &args.html {
        write_new(path, &report::compared_page(&comparison, &results))?;
    }
    let text = match args.output {
        Output::Table => report::compared(&comparison, output::style(true)),
        Output::Json => output::json(&comparison)?,
        Output::Yaml => output::yaml(&comparison)?,
        Output::Html => report::compared_page(&comparison, &results),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(match comparison.verdict {
        Verdict::Regressed if args.strict => ExitCode::from(1),
        Verdict::Inconclusive if args.strict => ExitCode::from(5),
        _ => ExitCode::SUCCESS,
    })
}

fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let written = std::fs::File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::input(miette::miette!(
            help = "choose another name",
            "{} exists already and is not overwritten",
            path.display()
        )),
        _ => Failure::environment(miette::miette!("cannot write {}: {error}", path.display())),
    })
}
