//! `run SCENARIO --clock virtual`: the same on a simulated clock.

use super::super::output;
use super::{Args, Failure, OBJECTS, Screen, cannot_write, shares, tell};
use crate::calls::{Tally, Target};
use crate::clock;
use crate::drive::virtual_time::{self, Ending, ManagerOutcome, Options, Outcome};
use crate::fleet::World;
use crate::measure::host::{self, HostWatch};
use crate::measure::process::{Usage, Watched};
use crate::measure::{Figures, Role};
use crate::model::prices::{APISERVER_BYTES, APP_BYTES, Constant, Known, OBJECT_BYTES, Prices, WATCH_BYTES};
use crate::record::{self, Assumption, AssumptionKind, FileKind, Folder, Ran, Reason};
use crate::report;
use crate::scenario::Scenario;
use crate::units::{Span, Time};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) fn run(args: &Args, scenario: &Scenario, world: &World) -> Result<ExitCode, Failure> {
    virtual_time::check(scenario, world, host::available()).map_err(|e| Failure::input(miette::Report::from_err(e)))?;
    let options = Options { state: args.objects, ..Options::default() };
    let prices = options.prices;
    let started = clock::unix();
    let begun = record::begin(scenario, started, record::Clock::Virtual, record::Observer::CommitLog);
    let path = args.out.clone().unwrap_or_else(|| PathBuf::from("results").join(&begun.run_id));
    let mut folder = Folder::create(&path, &begun).map_err(cannot_write)?;
    let interrupted = interruptions()?;
    let mut host = HostWatch::start();
    let mut own = Watched::new("harness".to_owned(), Role::Harness, own_pid());
    let mut screen = Screen::new(args.quiet, scenario.run.timeout);
    let began = clock::now();
    let outcome = virtual_time::run(scenario, world, options, &mut |progress, simulated| {
        screen.show(&progress, simulated);
        host.sample();
        if interrupted.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let wall = clock::now().since(began);
    screen.end();
    // Our own readings cannot fail while we run.
    let _ = own.sample(clock::now());
    let processes = processes(world, &prices, &outcome, own);
    let assumptions: Vec<Assumption> = prices.constants().into_iter().map(assumption).collect();
    let ran = Ran {
        cut_short: cut_short(&outcome.ending),
        digest: Some(format!("{:016x}", outcome.digest)),
        outcome: &outcome.measured,
        processes: &processes,
        shares: &shares(scenario, world),
        clusters: u64::from(scenario.fleet.clusters),
        objects: outcome.objects.iter().sum(),
        events: Some(outcome.events),
        host: host.finish(),
        available_min: host.available_min(),
        setup: Span::ZERO,
        warmup: Span::ZERO,
        wall,
        time_of_day: wall,
        simulated: Some(outcome.simulated),
        shutdown: Span::ZERO,
        assumptions: &assumptions,
    };
    let record = record::finish(begun, scenario, &ran);
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
        Ending::Settled | Ending::Stuck => ExitCode::from(1),
    })
}

const fn cut_short(ending: &Ending) -> Option<Reason> {
    match ending {
        Ending::Settled => None,
        Ending::TimedOut => Some(Reason::TimedOut),
        Ending::Interrupted => Some(Reason::Interrupted),
        Ending::Stuck => Some(Reason::Stuck),
    }
}

/// Set when the user wants to stop.
fn interruptions() -> Result<Arc<AtomicBool>, Failure> {
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

/// The processes of a real run and what they would have cost; our own as it was measured.
fn processes(world: &World, prices: &Prices, outcome: &Outcome, own: Watched) -> Vec<(Usage, Figures)> {
    let mut served = outcome.harness.clone();
    served.merge(&outcome.controllers);
    outcome.managers.iter().for_each(|manager| served.merge(&manager.calls));
    let managers = outcome.managers.len() as u64;
    let watches: u64 = outcome.managers.iter().map(|manager| manager.watches).sum();
    let heard: u64 = outcome.managers.iter().map(|manager| manager.watch_events).sum();
    // Each manager watches Applications and cluster Secrets of the hub; the other watches are the leaves'.
    let hub_watches = 2 * managers;
    let server = |target, servers: u64, events: u64, objects: u64, watches: u64| {
        let calls = of(&served, target);
        let work: u64 = calls.iter().map(|(key, n)| prices.verb(key.verb).0 * n).sum();
        let figures = Figures {
            watches_max: Some(watches),
            cached_objects_max: Some(objects),
            watch_events: events,
            ..Figures::of_tally(&calls)
        };
        (Span(work + prices.watch_event.0 * events), servers * APISERVER_BYTES + objects * OBJECT_BYTES, figures)
    };
    let [on_hub, on_leaves] = outcome.objects;
    let (cpu, memory, figures) = server(Target::Hub, 1, outcome.hub_events, on_hub, hub_watches);
    let mut all = vec![(modelled("hub".to_owned(), Role::Hub, cpu, Some(memory)), figures)];
    let (clusters, events) = (u64::from(world.clusters().len()), heard - outcome.hub_events);
    let (cpu, memory, figures) = server(Target::Leaf, clusters, events, on_leaves, watches - hub_watches);
    all.push((modelled("leaves".to_owned(), Role::Leaves, cpu, Some(memory)), figures));
    let cpu = Span(prices.flux.0 * outcome.controllers.total());
    let figures = Figures::of_tally(&outcome.controllers);
    all.push((modelled("flux-model".to_owned(), Role::FluxModel, cpu, None), figures));
    all.extend(outcome.managers.iter().enumerate().map(manager));
    all.extend(own.usage().into_iter().map(|usage| (usage, Figures::of_tally(&outcome.harness))));
    all
}

fn manager((n, did): (usize, &ManagerOutcome)) -> (Usage, Figures) {
    let memory = did.apps * APP_BYTES + did.watches * WATCH_BYTES;
    let figures = Figures {
        watches_max: Some(did.watches),
        cached_objects_max: Some(did.objects),
        watch_events: did.watch_events,
        ..Figures::of_tally(&did.calls)
    };
    (modelled(format!("manager-{n}"), Role::Manager, did.cpu, Some(memory)), figures)
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
        id: constant.id.to_owned(),
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
