//! `compare SCENARIO`: runs what a scenario's matrix asks for and is missing, then tells what came out.
//!
//! Every combination is a run of this same program with a folder of its own, so that a study that was stopped goes on where
//! it stood: what is complete and was made from the same scenario and seed is not run again.

use super::{Args, write_new};
use crate::cli::Failure;
use crate::cli::run::ClockArg;
use crate::clock;
use crate::fleet::World;
use crate::record::{self, Status, Stored};
use crate::report::{self, Price, Study, StudyCell};
use crate::scenario::{self, Scenario};
use crate::study::child::Child;
use crate::study::matrix::{self, BadCell, Cell};
use crate::topology::{self, Balance, Event, Layout, Moves, Rules};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Attempts at one combination: one that failed stays beside the next.
const ATTEMPTS: u32 = 100;
/// What a study tells of moves.
const EVENTS: [Event; 2] = [Event::More(1), Event::Fewer(1)];

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let file = args.results[0].to_string_lossy().into_owned();
    let (name, text) = scenario::read(&file).map_err(Failure::input)?;
    let mut whole = scenario::parse(&text, &name, &args.sets).map_err(Failure::input)?;
    if whole.matrix.is_empty() {
        return Err(Failure::input(miette::miette!(
            help = "add `matrix:` to it, or give 2 to 8 folders of results",
            "{file} has no matrix, and one result has nothing to be compared with"
        )));
    }
    for only in &args.only {
        matrix::restrict(&mut whole.matrix, only).map_err(|bad| Failure::input(miette::Report::from_err(bad)))?;
    }
    let cells = matrix::scenarios(&text, &name, &args.sets, &whole.matrix).map_err(bad_cell)?;
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from("results").join(format!("{}-study", whole.name)));
    std::fs::create_dir_all(&out)?;
    let plays = cells.iter().map(|(cell, made)| place(&out, cell, made, args)).collect::<Result<Vec<_>, _>>()?;
    play(&file, &plays, args)?;
    let study = study(&whole, &cells, &plays, args)?;
    let page = args.html.clone().unwrap_or_else(|| out.join(report::PAGE));
    if args.html.is_some() {
        write_new(&page, &report::study_page(&study))?;
    } else {
        // It is made from the results beside it, whenever they are complete.
        std::fs::write(&page, report::study_page(&study))?;
    }
    let mut told = std::io::stdout().lock();
    for verdict in study.verdicts() {
        writeln!(told, "{verdict}")?;
    }
    writeln!(std::io::stderr(), "page: {}", page.display())?;
    Ok(ExitCode::SUCCESS)
}

fn bad_cell(bad: BadCell) -> Failure {
    let context = format!("combination {} makes no scenario", bad.name);
    Failure::input(miette::Report::new(bad.errors).wrap_err(context))
}

/// One combination and its result.
struct Play<'a> {
    cell: &'a Cell,
    folder: PathBuf,
    clusters: u32,
    /// It is there already.
    done: bool,
}

/// The folder of a combination: that of its complete result, or of the next attempt.
fn place<'a>(out: &Path, cell: &'a Cell, made: &Scenario, args: &Args) -> Result<Play<'a>, Failure> {
    let clusters = made.fleet.clusters;
    for attempt in 1..=ATTEMPTS {
        let name = if attempt == 1 { cell.name.clone() } else { format!("{}~{attempt}", cell.name) };
        let folder = out.join(name);
        if !folder.exists() {
            return Ok(Play { cell, folder, clusters, done: false });
        }
        let Ok(Stored { record, .. }) = record::load(&folder) else { continue };
        if record.status != Status::Complete {
            continue;
        }
        if record.scenario.hash != made.hash || record.clock != args.clock.recorded() {
            return Err(Failure::input(miette::miette!(
                help = "choose another folder with --out",
                "{} is the result of another scenario, seed or clock",
                folder.display()
            )));
        }
        return Ok(Play { cell, folder, clusters, done: true });
    }
    Err(Failure::environment(miette::miette!("{} attempts at {} failed: see why first", ATTEMPTS, cell.name)))
}

/// Runs what is missing: live runs one after the other, for they share the machine; simulated ones on all cores, the largest
/// first, so that none of them is left to one core at the end.
fn play(file: &str, plays: &[Play<'_>], args: &Args) -> Result<(), Failure> {
    let mut missing: Vec<&Play<'_>> = plays.iter().filter(|play| !play.done).collect();
    if args.clock == ClockArg::Virtual {
        missing.sort_by_key(|play| std::cmp::Reverse(play.clusters));
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = if args.clock == ClockArg::Virtual { args.jobs.unwrap_or(cores) } else { 1 };
    let next = std::sync::atomic::AtomicUsize::new(0);
    let began = clock::now();
    let work = || -> Result<(), Failure> {
        while let Some(play) = missing.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            one(file, play, args)?;
            let since = clock::now().since(began).as_secs_f64();
            let told = format!("{}: complete, {since:.1} s since the start", play.cell.name);
            // Nobody reads: nobody needs to know.
            let _ = writeln!(std::io::stderr(), "{told}");
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(work)).collect();
        let ends = workers.into_iter().map(|worker| match worker.join() {
            Ok(end) => end,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        ends.collect::<Result<Vec<_>, _>>().map(drop)
    })
}

fn one(file: &str, play: &Play<'_>, args: &Args) -> Result<(), Failure> {
    let child = Child::new(std::env::current_exe()?, file, args.clock.name());
    let child = child.with(args.sets.iter().chain(&play.cell.sets));
    let ended = child.run(&play.folder).map_err(|error| Failure::environment(miette::Report::from_err(error)))?;
    // 1 is a result whose expectations were not met: it says so itself.
    if matches!(ended.status.code(), Some(0 | 1)) {
        return Ok(());
    }
    Err(Failure::environment(miette::miette!(
        help = "what is complete stays: the same command goes on from there",
        "{} did not succeed ({}): {}",
        play.cell.name,
        ended.status,
        ended.said
    )))
}

fn study(whole: &Scenario, cells: &[(Cell, Scenario)], plays: &[Play<'_>], args: &Args) -> Result<Study, Failure> {
    let cell = |((cell, made), play): (&(Cell, Scenario), &Play<'_>)| {
        let stored = record::load(&play.folder).map_err(|error| Failure::input(miette::Report::from_err(error)))?;
        let world = World::generate(made);
        let (members, layout) = (topology::members(&world, &made.topology), Layout::of(&world, &made.topology));
        let rules = Rules::of(&made.topology);
        let owners: Vec<_> = world.clusters().ids().map(|id| crate::ids::ShardId(layout.process(id))).collect();
        let moves = |event: &Event| Some((*event, Moves::of(*event, &members, &owners, rules)?));
        Ok(StudyCell {
            points: cell.points.clone(),
            stored,
            bill: layout.bill(&members),
            balance: Balance::of(&members, &owners, layout.processes),
            moves: if made.topology.kind.has_shards() { EVENTS.iter().filter_map(moves).collect() } else { Vec::new() },
        })
    };
    Ok(Study {
        name: whole.name.clone(),
        axes: whole
            .matrix
            .iter()
            .map(|axis| (axis.name.clone(), axis.points.iter().map(|point| point.name.clone()).collect()))
            .collect(),
        cells: cells.iter().zip(plays).map(cell).collect::<Result<_, Failure>>()?,
        noise: if args.clock == ClockArg::Virtual { 0.0 } else { f64::from(args.noise.ppm) / 1e6 },
        price: args.per_core.zip(args.per_gib).map(|(core, gib)| Price { core, gib }),
    })
}
