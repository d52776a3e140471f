//! `twin SCENARIO`: do the two clocks agree?
//!
//! It plays the scenario as it is written and once more with all delays zero, each several times live and once simulated.
//! Every run is a process of its own (`run`), so that none lives in the memory or on the threads of another.

use super::output::{self, Output};
use super::{Failure, run};
use crate::study::child::Child;
use crate::study::twin::{self, Pair, Played, Verdict};
use crate::{clock, record, scenario};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Names of the files of a result.
const PAGE: &str = "twin.html";
const RECORD: &str = "twin.json";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The scenario file
    scenario: String,
    /// Override a value of the scenario, such as fleet.clusters=50 (may be repeated)
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    /// Seed of everything drawn, over run.seed of the scenario
    #[arg(long)]
    seed: Option<u64>,
    /// Live runs of each kind; those on a machine that was saturated or used by others do not count
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=6))]
    runs: u32,
    /// Folder of the result; it must not exist [default: results/NAME-twin-TIME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How the verdict is printed on standard output
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    /// No progress, only the result
    #[arg(short, long)]
    quiet: bool,
}

/// How a scenario is changed for one pair of runs: the folder, the words, the values.
const KINDS: [(&str, &str, &[&str]); 2] = [
    ("as-written", "as it is written", &[]),
    (
        "no-delays",
        "all delays zero",
        &[
            "run.flux.fetch={ fixed: 0s }",
            "run.flux.build={ fixed: 0s }",
            "run.workloadReady={ fixed: 0s }",
            "run.flux.backoffBase=1ms",
            "run.flux.healthPoll=10ms",
            "run.flux.dependencyPoll=10ms",
        ],
    ),
];

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let scenario = scenario::load(&args.scenario, &args.sets).map_err(Failure::input)?;
    let at = clock::rfc3339(clock::unix()).replace([':', '-'], "");
    let name = format!("{}-twin-{at}", scenario.name);
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from("results").join(name));
    if out.exists() {
        let path = out.display();
        return Err(Failure::input(miette::miette!(
            help = "choose another folder with --out",
            "{path} exists already"
        )));
    }
    std::fs::create_dir_all(&out)?;
    let mut pairs = Vec::new();
    for (folder, name, sets) in KINDS {
        let place = out.join(folder);
        std::fs::create_dir(&place)?;
        let mut live = Vec::new();
        for n in 1..=args.runs {
            live.push(play(args, &place.join(format!("live-{n}")), "real", sets)?);
        }
        let cores = format!("model.host={}", std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
        let sets: Vec<&str> = sets.iter().copied().chain(["model.prices=mock", &cores]).collect();
        pairs.push(Pair { name, live, simulated: play(args, &place.join("simulated"), "virtual", &sets)? });
    }
    let Some(twin) = twin::compare(&pairs) else { return Ok(ExitCode::from(5)) };
    std::fs::write(out.join(PAGE), twin::page(&twin, &pairs))?;
    std::fs::write(out.join(RECORD), output::json(&twin)?)?;
    output::print(&match args.output {
        Output::Table => twin::table(&twin, output::style(true)),
        Output::Json => output::json(&twin)?,
        Output::Yaml => output::yaml(&twin)?,
    })?;
    say(args.quiet, &format!("result: {}  (report: {})", out.display(), out.join(PAGE).display()));
    Ok(match twin.verdict {
        Verdict::Agree => ExitCode::SUCCESS,
        Verdict::Differ => ExitCode::from(1),
        Verdict::Inconclusive => ExitCode::from(5),
    })
}

/// Plays one run as a process of its own and reads what it left.
fn play(args: &Args, out: &Path, clock: &str, sets: &[&str]) -> Result<Played, Failure> {
    say(args.quiet, &format!("{} ...", out.display()));
    let seed = args.seed.map(|seed| format!("run.seed={seed}"));
    let all = args.sets.iter().map(String::as_str).chain(sets.iter().copied()).chain(seed.as_deref());
    let child = Child::new(std::env::current_exe()?, &args.scenario, clock).keeping_objects().with(all);
    let ended = child.run(out).map_err(|error| Failure::environment(miette::Report::from_err(error)))?;
    // What was not met, and a run that is invalid, is for the comparison to judge.
    if !matches!(ended.status.code(), Some(0 | 1 | 5)) {
        let said = ended.said;
        return Err(match ended.status.code() {
            Some(2) => Failure::input(miette::miette!("{said}")),
            Some(130) => Failure::interrupted(miette::miette!("interrupted")),
            _ => Failure::environment(miette::miette!("{} did not end well: {said}", out.display())),
        });
    }
    let stored = record::load(out).map_err(|error| Failure::environment(miette::Report::from_err(error)))?;
    let objects = std::fs::read(out.join(run::OBJECTS))?;
    let objects = serde_json::from_slice(&objects).map_err(std::io::Error::from)?;
    Ok(Played { stored, objects })
}

fn say(quiet: bool, line: &str) {
    if !quiet {
        // Nobody reads: nobody needs to know.
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }
}
