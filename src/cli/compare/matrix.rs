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
    let file = args.results[0].to_string_lossy();
    let matrix = Matrix::read(&file, args.clock, &args.sets, &args.only)?;
    let out = args.out.clone().unwrap_or_else(|| matrix.usual_folder());
    let plays = matrix.plays(&out)?;
    matrix.play(&plays, args.jobs)?;
    let noise = if args.clock == ClockArg::Virtual { 0.0 } else { f64::from(args.noise.ppm) / 1e6 };
    let price = args.per_core.zip(args.per_gib).map(|(core, gib)| Price { core, gib });
    matrix.tell(&plays, (noise, price), (&out, args.html.as_deref()))
}

/// A scenario with a matrix, and every scenario that it makes.
pub(in crate::cli) struct Matrix {
    /// The file, and its text.
    file: String,
    pub(in crate::cli) text: String,
    clock: ClockArg,
    sets: Vec<String>,
    pub(in crate::cli) whole: Scenario,
    cells: Vec<(Cell, Scenario)>,
}

/// One combination and its result.
pub(in crate::cli) struct Play<'a> {
    pub(in crate::cli) cell: &'a Cell,
    folder: PathBuf,
    clusters: u32,
    /// It is there already.
    pub(in crate::cli) done: bool,
}

fn bad_cell(bad: BadCell) -> Failure {
    let context = format!("combination {} makes no scenario", bad.name);
    Failure::input(miette::Report::new(bad.errors).wrap_err(context))
}

impl Matrix {
    /// Reads a scenario; of its combinations those that `only` leaves.
    pub(in crate::cli) fn read(file: &str, clock: ClockArg, sets: &[String], only: &[String]) -> Result<Self, Failure> {
        let (name, text) = scenario::read(file).map_err(Failure::input)?;
        let mut whole = scenario::parse(&text, &name, sets).map_err(Failure::input)?;
        if whole.matrix.is_empty() {
            return Err(Failure::input(miette::miette!(
                help = "add `matrix:` to it, or give 2 to 8 folders of results",
                "{file} has no matrix, and one result has nothing to be compared with"
            )));
        }
        for only in only {
            matrix::restrict(&mut whole.matrix, only).map_err(|bad| Failure::input(miette::Report::from_err(bad)))?;
        }
        let cells = matrix::scenarios(&text, &name, sets, &whole.matrix).map_err(bad_cell)?;
        Ok(Self { file: file.to_owned(), text, clock, sets: sets.to_vec(), whole, cells })
    }

    /// Combinations.
    pub(in crate::cli) const fn len(&self) -> usize {
        self.cells.len()
    }

    fn usual_folder(&self) -> PathBuf {
        PathBuf::from("results").join(format!("{}-study", self.whole.name))
    }

    /// Every combination and where its result is or will be, below a folder that is made.
    pub(in crate::cli) fn plays(&self, out: &Path) -> Result<Vec<Play<'_>>, Failure> {
        std::fs::create_dir_all(out)?;
        self.cells.iter().map(|(cell, made)| self.place(out, cell, made)).collect()
    }

    /// The combination of a number.
    pub(in crate::cli) fn at(&self, out: &Path, number: usize) -> Result<Play<'_>, Failure> {
        let (cell, made) = &self.cells[number];
        self.place(out, cell, made)
    }

    /// What two runs of the same thing differ by, where nobody says: nothing in simulated time, 10 % live.
    pub(in crate::cli) fn usual_noise(&self) -> f64 {
        if self.clock == ClockArg::Virtual { 0.0 } else { 0.1 }
    }

    /// The folder of a combination: that of its complete result, or of the next attempt.
    fn place<'a>(&self, out: &Path, cell: &'a Cell, made: &Scenario) -> Result<Play<'a>, Failure> {
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
            if record.scenario.hash != made.hash || record.clock != self.clock.recorded() {
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

    /// Runs what is missing: live runs one after the other, for they share the machine; simulated ones on all cores, the
    /// largest first, so that none of them is left to one core at the end.
    fn play(&self, plays: &[Play<'_>], jobs: Option<usize>) -> Result<(), Failure> {
        let mut missing: Vec<&Play<'_>> = plays.iter().filter(|play| !play.done).collect();
        if self.clock == ClockArg::Virtual {
            missing.sort_by_key(|play| std::cmp::Reverse(play.clusters));
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let jobs = if self.clock == ClockArg::Virtual { jobs.unwrap_or(cores) } else { 1 };
        let next = std::sync::atomic::AtomicUsize::new(0);
        let began = clock::now();
        let work = || -> Result<(), Failure> {
            while let Some(play) = missing.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                self.one(play)?;
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

    /// Runs one combination.
    pub(in crate::cli) fn one(&self, play: &Play<'_>) -> Result<(), Failure> {
        let child = Child::new(std::env::current_exe()?, &self.file, self.clock.name());
        let child = child.with(self.sets.iter().chain(&play.cell.sets));
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

    /// Says what came out, and makes the page: `html`, or one in the folder, which is made again whenever it is asked for.
    pub(in crate::cli) fn tell(
        &self,
        plays: &[Play<'_>],
        (noise, price): (f64, Option<Price>),
        (out, html): (&Path, Option<&Path>),
    ) -> Result<ExitCode, Failure> {
        let study = self.study(plays, noise, price)?;
        let page = html.map_or_else(|| out.join(report::PAGE), Path::to_owned);
        match html {
            Some(page) => write_new(page, &report::study_page(&study))?,
            None => std::fs::write(&page, report::study_page(&study))?,
        }
        let mut told = std::io::stdout().lock();
        for verdict in study.verdicts() {
            writeln!(told, "{verdict}")?;
        }
        writeln!(std::io::stderr(), "page: {}", page.display())?;
        Ok(ExitCode::SUCCESS)
    }

    fn study(&self, plays: &[Play<'_>], noise: f64, price: Option<Price>) -> Result<Study, Failure> {
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
                moves: if made.topology.kind.has_shards() {
                    EVENTS.iter().filter_map(moves).collect()
                } else {
                    Vec::new()
                },
            })
        };
        Ok(Study {
            name: self.whole.name.clone(),
            axes: self
                .whole
                .matrix
                .iter()
                .map(|axis| (axis.name.clone(), axis.points.iter().map(|point| point.name.clone()).collect()))
                .collect(),
            cells: self.cells.iter().zip(plays).map(cell).collect::<Result<_, Failure>>()?,
            noise,
            price,
        })
    }
}
