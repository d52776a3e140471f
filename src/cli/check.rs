//! `check SCENARIO...`.

use super::Failure;
use super::output::{Output, json, yaml};
use crate::drive::live::{self, budget::Need};
use crate::fleet::World;
use crate::ids::AppId;
use crate::scenario::{self, Addon, Errors, Problem, Scenario, Severity};
use crate::units::Span;
use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Scenario files; `-` is standard input
    #[arg(required = true, value_name = "SCENARIO")]
    files: Vec<String>,
    /// Override a value, such as fleet.clusters=200 or addons.0.interval=2s; can be repeated
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Print the scenario with every default filled in
    #[arg(long)]
    effective: bool,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let (mut good, mut problems) = (Vec::new(), Vec::new());
    for file in &args.files {
        let (name, (scenario, found)) = match scenario::read(file) {
            Ok((name, text)) => {
                let examined = scenario::examine(&text, &name, &args.set);
                (name, examined)
            }
            Err(unreadable) => (file.clone(), (None, unreadable.problems)),
        };
        good.extend(scenario.map(|scenario| (name, scenario)));
        problems.extend(found);
    }
    let bad = problems.iter().any(|problem| problem.severity == Severity::Error);
    let mut out = std::io::stdout().lock();
    match args.output {
        _ if args.effective => {
            for (_, scenario) in &good {
                effective(&mut out, scenario, args.output)?;
            }
        }
        Output::Json => write!(out, "{}", json(&problems)?)?,
        Output::Yaml => write!(out, "{}", yaml(&problems)?)?,
        Output::Table => {
            for (file, scenario) in &good {
                table(&mut out, file, scenario)?;
            }
        }
    }
    if args.output == Output::Table || args.effective {
        warn(&problems, bad);
        if bad {
            return Err(Failure::input(Errors { problems }));
        }
    }
    Ok(if bad { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

/// Warnings go to standard error on their own; beside errors they are part of the report.
#[expect(clippy::print_stderr, reason = "the command line prints")]
fn warn(problems: &[Problem], bad: bool) {
    for problem in problems.iter().filter(|_| !bad) {
        eprintln!("{:?}", miette::Report::new(problem.clone()));
    }
}

fn effective(out: &mut impl Write, scenario: &Scenario, output: Output) -> Result<(), Failure> {
    match output {
        Output::Json => {
            let value: serde_json::Value = serde_saphyr::from_str(&scenario.effective).unwrap_or_default();
            write!(out, "{}", json(&value)?)?;
        }
        Output::Yaml => write!(out, "{}", scenario.effective)?,
        Output::Table => {
            for line in totals(scenario) {
                writeln!(out, "# {line}")?;
            }
            write!(out, "{}", scenario.effective)?;
        }
    }
    Ok(())
}

fn table(out: &mut impl Write, file: &str, scenario: &Scenario) -> Result<(), Failure> {
    writeln!(out, "{file}: `{}` is good, hash {}", scenario.name, &scenario.hash[..12])?;
    for line in totals(scenario) {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}

/// Flux objects of one app: source and workload.
const FLUX_OBJECTS: u64 = 2;

/// What the scenario amounts to.
fn totals(scenario: &Scenario) -> Vec<String> {
    let world = World::generate(scenario);
    let mut apps = vec![0_u64; scenario.addons.len()];
    for app in (0..world.app_ids()).map(AppId::from_index).filter(|app| world.installed(*app)) {
        apps[world.addon_of(app).index()] += 1;
    }
    let own = |addon: &Addon| u64::from(addon.objects.total()) + if addon.flux_subsystem { FLUX_OBJECTS } else { 0 };
    let objects: u64 = apps.iter().zip(&scenario.addons).map(|(apps, addon)| apps * own(addon)).sum();
    let (clusters, changes) = (u64::from(world.clusters().len()), world.changes().len());
    let kinds: BTreeSet<_> = scenario.addons.iter().map(|addon| addon.delivery).collect();
    let need = Need {
        clusters,
        apps: world.apps(),
        objects_per_app: objects.div_ceil(world.apps().max(1)),
        // A source and a workload kind of each delivery.
        watches_per_cluster: FLUX_OBJECTS * kinds.len() as u64,
        history_bytes: scenario.run.history_bytes,
        processes: 0,
        connections: 0,
        control_planes: live::control_planes(scenario, &world),
    };
    let shards = scenario.topology.shards;
    let managers = count(shards as usize, "manager");
    let last = scenario.timeline.last().map_or(Span::ZERO, |step| step.at);
    vec![
        format!("{clusters} clusters, {} apps of {}, {managers}", world.apps(), count(scenario.addons.len(), "add-on")),
        format!("{objects} objects on the leaves, {} on the hub", world.apps() + clusters),
        format!("{changes} changes in {}, the last at {last}", count(scenario.timeline.len(), "step")),
        format!(
            "about {} MiB at most over all processes, {} of them history",
            need.memory_bytes() >> 20,
            need.history_bytes >> 20
        ),
    ]
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
