//! `run SCENARIO --clock virtual`: the same on a simulated clock.

use super::super::output;
use super::{Args, Failure, OBJECTS, Screen, cannot_write, shares, tell};
use crate::calls::{Tally, Target};
use crate::clock;
use crate::drive::parallel;
use crate::drive::virtual_time::{self, Ending, ManagerOutcome, Options, Outcome};
use crate::fleet::World;
use crate::measure::host::{self, Host, HostWatch};
use crate::measure::limit::{Limit, candidates_of};
use crate::measure::process::{Usage, Watched};
use crate::measure::{Figures, Role};
use crate::model::argo::costs::Costs;
use crate::model::hardware::Used;
use crate::model::prices::{self, Constant, Known};
use crate::record::{self, Assumption, AssumptionKind, FileKind, Folder, Ran, Reason, RunRecord};
use crate::report;
use crate::scenario::Scenario;
use crate::study::sensitivity;
use crate::topology::Layout;
use crate::units::{Span, Time};
use std::io::Write;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) fn run(args: &Args, scenario: &Scenario, world: &World) -> Result<ExitCode, Failure> {
    let threads = args.threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZero::get);
    virtual_time::check(scenario, world, host::available(), threads)
        .map_err(|e| Failure::input(miette::Report::from_err(e)))?;
    let options = Options { state: args.objects, unfolded: args.no_fold, ..Options::default() };
    let started = clock::unix();
    let begun = record::begin(scenario, started, record::Clock::Virtual, record::Observer::CommitLog);
    let path = args.out.clone().unwrap_or_else(|| PathBuf::from("results").join(&begun.run_id));
    let mut folder = Folder::create(&path, &begun).map_err(cannot_write)?;
    let interrupted = interruptions()?;
    let mut host = HostWatch::start();
    let mut own = Watched::new("harness".to_owned(), Role::Harness, own_pid());
    let mut screen = Screen::new(args.quiet, scenario.run.timeout);
    let began = clock::now();
    let outcome = parallel::simulate(scenario, world, options, threads, &mut |progress, simulated| {
        screen.show(&progress, simulated, || None);
        host.sample();
        if interrupted.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let wall = clock::now().since(began);
    screen.end();
    // Our own readings cannot fail while we run.
    let _ = own.sample(clock::now());
    let processes = processes(scenario, world, &outcome, own.usage());
    let played = On { host: host.finish(), available_min: host.available_min(), wall };
    let mut record = finish(begun, scenario, world, &outcome, &processes, played);
    if args.sensitivity {
        let tell = |set: &str| {
            if !set.is_empty() && !args.quiet {
                // A screen that is gone hears nothing.
                let _ = writeln!(std::io::stderr(), "with {set}");
            }
            if interrupted.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        record.sensitivity = sensitivity::of_run((scenario, world), &record.assumptions, &outcome, threads, &tell);
    }
    if let Some(state) = &outcome.state {
        folder.write(OBJECTS, FileKind::Objects, state.to_string().as_bytes()).map_err(cannot_write)?;
    }
    let usages: Vec<_> = processes.iter().map(|(usage, _)| usage).collect();
    let record = report::deliver(folder, record, &outcome.measured, &usages, Time(0), &scenario.effective)
        .map_err(cannot_write)?;
    output::print(&output::record(&record, args.output, output::style(true))?)?;
    let mut complaints = outcome.refused.clone();
    complaints.extend(virtual_time::awaited(world, &outcome));
    let unmet = tell(&path, &complaints, &record, &scenario.expect, args.quiet);
    Ok(match outcome.ending {
        Ending::Interrupted => ExitCode::from(130),
        Ending::TimedOut => ExitCode::from(4),
        Ending::Settled if !unmet => ExitCode::SUCCESS,
        Ending::Settled | Ending::Stuck | Ending::Growing => ExitCode::from(1),
    })
}

/// The machine under a simulation.
struct On {
    host: Host,
    available_min: u64,
    wall: Span,
}

/// The record of a simulation, and everything that was used in it: that of a run whose own cost nobody asks for.
pub(in crate::cli) fn recorded(scenario: &Scenario, world: &World, outcome: &Outcome) -> (RunRecord, Vec<Limit>) {
    let begun = record::begin(scenario, Time(0), record::Clock::Virtual, record::Observer::CommitLog);
    let processes = processes(scenario, world, outcome, Vec::new());
    let on = On { host: Host::default(), available_min: u64::MAX, wall: Span::ZERO };
    let record = finish(begun, scenario, world, outcome, &processes, on);
    let candidates = match outcome.limits.as_slice() {
        [] => {
            let used = used(outcome);
            candidates_of(&outcome.measured, &used, outcome.simulated, scenario.manager.concurrency)
        }
        known => known.to_vec(),
    };
    (record, candidates)
}

fn used(outcome: &Outcome) -> Vec<Limit> {
    outcome.used.iter().map(|used| limit(used, outcome.simulated)).collect()
}

fn finish(
    begun: RunRecord,
    scenario: &Scenario,
    world: &World,
    outcome: &Outcome,
    processes: &[(Usage, Figures)],
    on: On,
) -> RunRecord {
    let mut constants = prices::constants(&scenario.model);
    if scenario.manager.kind.argo().is_some() {
        constants.extend(Costs::default().constants());
    }
    let assumptions: Vec<Assumption> = constants.into_iter().map(assumption).collect();
    let ran = Ran {
        cut_short: cut_short(&outcome.ending),
        digest: Some(format!("{:016x}", outcome.digest)),
        outcome: &outcome.measured,
        processes,
        managers: Layout::of(world, &scenario.topology).managers.into(),
        shares: &shares(scenario, world),
        clusters: u64::from(scenario.fleet.clusters),
        objects: outcome.objects.iter().sum(),
        events: Some(outcome.events),
        host: on.host,
        available_min: on.available_min,
        epoch: Time(0),
        setup: Span::ZERO,
        warmup: Span::ZERO,
        wall: on.wall,
        time_of_day: on.wall,
        simulated: Some(outcome.simulated),
        shutdown: Span::ZERO,
        used: &used(outcome),
        assumptions: &assumptions,
        limits: &outcome.limits,
    };
    record::finish(begun, scenario, &ran)
}

const fn cut_short(ending: &Ending) -> Option<Reason> {
    match ending {
        Ending::Settled => None,
        Ending::TimedOut => Some(Reason::TimedOut),
        Ending::Interrupted => Some(Reason::Interrupted),
        Ending::Stuck => Some(Reason::Stuck),
        Ending::Growing => Some(Reason::BacklogGrows),
    }
}

/// Set when the user wants to stop.
pub(in crate::cli) fn interruptions() -> Result<Arc<AtomicBool>, Failure> {
    let flag = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&flag);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            // Without a handler the default action ends us.
            if tokio::signal::ctrl_c().await.is_ok() {
                told.store(true, Ordering::Relaxed);
            }
        });
    })?;
    Ok(flag)
}

fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// The processes of a real run and what they would have cost; our own as it was measured, if it was.
fn processes(scenario: &Scenario, world: &World, outcome: &Outcome, own: Vec<Usage>) -> Vec<(Usage, Figures)> {
    if !outcome.bills.is_empty() {
        return billed(outcome, own);
    }
    let memory = &scenario.model.memory;
    let mut served = outcome.harness.clone();
    served.merge(&outcome.controllers);
    let clients = || outcome.managers.iter().chain(&outcome.above);
    clients().for_each(|manager| served.merge(&manager.calls));
    let watches: u64 = clients().map(|manager| manager.watches).sum();
    let heard: u64 = clients().map(|manager| manager.watch_events).sum();
    let (hub_watches, managers) = (outcome.hub_watches, outcome.managers.iter().map(|row| row.managers).sum::<u64>());
    let clusters = u64::from(world.clusters().len());
    let inside = if scenario.model.is_mock() { [0, 0] } else { FLUX_ON_A_LEAF };
    let bill = |servers: u64, objects: u64, watches: u64, connections: u64| {
        servers * memory.server.0
            + objects * memory.object.0
            + watches * memory.watch.0
            + connections * memory.connection.0
    };
    let server = |target, events: u64, objects: u64, watches: u64| Figures {
        watches_max: Some(watches),
        cached_objects_max: Some(objects),
        watch_events: events,
        ..Figures::of_tally(&of(&served, target))
    };
    let ([on_hub, on_leaves], [hub, leaves, flux]) = (outcome.objects, outcome.spent);
    let figures = server(Target::Hub, outcome.hub_events, on_hub, hub_watches);
    let held = bill(outcome.hubs, on_hub, hub_watches, managers + outcome.hubs);
    let name = if outcome.hubs > 1 { "hubs" } else { "hub" };
    let mut all = vec![(modelled(name.to_owned(), Role::Hub, hub, Some(held)), figures)];
    let of_leaves = watches - hub_watches;
    let figures = server(Target::Leaf, heard - outcome.hub_events, on_leaves, of_leaves);
    let held = bill(clusters, on_leaves, of_leaves + inside[0] * clusters, (1 + inside[1]) * clusters);
    all.push((modelled("leaves".to_owned(), Role::Leaves, leaves, Some(held)), figures));
    let figures = Figures::of_tally(&outcome.controllers);
    all.push((modelled("flux-model".to_owned(), Role::FluxModel, flux, None), figures));
    all.extend(outcome.above.iter().map(|did| manager(scenario, "management".to_owned(), did)));
    let named = |(n, did)| manager(scenario, format!("manager-{n}"), did);
    all.extend(outcome.managers.iter().enumerate().map(named));
    all.extend(own.into_iter().map(|usage| (usage, Figures::of_tally(&outcome.harness))));
    all
}

/// The same where the simulation kept account itself.
fn billed(outcome: &Outcome, own: Vec<Usage>) -> Vec<(Usage, Figures)> {
    let mut managers = outcome.managers.iter();
    let bill = |bill: &virtual_time::Bill| {
        let did = if bill.name.starts_with("manager-") { managers.next() } else { None };
        let figures = match (did, bill.role) {
            (Some(did), _) => Figures {
                watches_max: Some(did.watches),
                cached_objects_max: Some(did.objects),
                watch_events: did.watch_events,
                ..Figures::of_tally(&did.calls)
            },
            (None, Role::Hub) => {
                let mut served = outcome.harness.clone();
                outcome.managers.iter().for_each(|manager| served.merge(&manager.calls));
                Figures { watch_events: outcome.hub_events, ..Figures::of_tally(&of(&served, Target::Hub)) }
            }
            (None, _) => Figures::default(),
        };
        (modelled(bill.name.clone(), bill.role, bill.cpu, bill.memory), figures)
    };
    let mut all: Vec<_> = outcome.bills.iter().map(bill).collect();
    let figures = Figures::of_tally(&outcome.controllers);
    all.push((modelled("flux-model".to_owned(), Role::FluxModel, Span::ZERO, None), figures));
    all.extend(own.into_iter().map(|usage| (usage, Figures::of_tally(&outcome.harness))));
    all
}

/// Watches and connections of source-, kustomize- and helm-controller to their own API server, as recorded: 5, 6 and 5.
const FLUX_ON_A_LEAF: [u64; 2] = [16, 3];

fn manager(scenario: &Scenario, name: String, did: &ManagerOutcome) -> (Usage, Figures) {
    let memory = &scenario.model.memory;
    let workers = u64::from(scenario.manager.concurrency);
    // One connection to the hub, one to each cluster; watches of it are a multiple of them.
    let connections = 1 + (did.watches.saturating_sub(2)).min(did.apps);
    let held = did.managers * (memory.manager.0 + workers * memory.worker.0)
        + did.objects * memory.cached.0
        + did.watches * memory.held.0
        + connections * if scenario.model.is_mock() { 0 } else { memory.connection.0 };
    let figures = Figures {
        watches_max: Some(did.watches),
        cached_objects_max: Some(did.objects),
        watch_events: did.watch_events,
        ..Figures::of_tally(&did.calls)
    };
    (modelled(name, Role::Manager, did.cpu, Some(held)), figures)
}

/// What was used of modelled things, as a limit says it.
fn limit(used: &Used, span: Span) -> Limit {
    let share = (used.ppm as f64 / 1e6).min(1.0);
    let percent = share * 100.0;
    let evidence = match used.what {
        "seats" => format!("the seats of its priority level were taken {percent:.0}% of {span}"),
        "hub-qps" | "leaf-qps" => format!("its client-side limit was used to {percent:.0}% over {span}"),
        _ => format!("its cores were busy {percent:.0}% of {span}"),
    };
    Limit { resource: used.what.to_owned(), place: used.whose.clone(), share, evidence }
}

/// The calls to one kind of server.
fn of(tally: &Tally, target: Target) -> Tally {
    let mut part = Tally::default();
    tally.iter().filter(|(key, _)| key.target == target).for_each(|(key, n)| part.add_key(key, n));
    part
}

fn modelled(name: String, role: Role, cpu: Span, memory: Option<u64>) -> Usage {
    Usage {
        name,
        role,
        user: cpu,
        sys: Span::ZERO,
        rss_max: memory,
        rss_end: memory,
        fds_max: None,
        threads_max: 0,
        samples: Vec::new(),
    }
}

fn assumption(constant: Constant) -> Assumption {
    Assumption {
        id: constant.id,
        value: constant.value,
        unit: constant.unit.to_owned(),
        source: constant.source.to_owned(),
        kind: match constant.known {
            Known::Measured => AssumptionKind::Measured,
            Known::Published => AssumptionKind::Published,
            Known::Assumed => AssumptionKind::Assumed,
        },
    }
}
