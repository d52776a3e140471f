//! A simulation on several threads: its parts are played side by side, and what they come to is added up. Neither the number
//! of threads nor their pace shows in the outcome.

use super::virtual_time::{Options, Outcome, Play, Watching};
use crate::fleet::World;
use crate::measure::Progress;
use crate::scenario::Scenario;
use crate::units::Span;
use parking_lot::Mutex;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Plays a scenario to its end, on at most so many threads. `progress` is told of all of them together, and may end it.
pub fn simulate(
    scenario: &Scenario,
    world: &World,
    options: Options,
    threads: usize,
    progress: &mut (dyn FnMut(Progress, Span) -> ControlFlow<()> + Send),
) -> Outcome {
    if scenario.manager.kind.argo().is_some() {
        // One hub and its controllers are one part.
        return super::virtual_time::run(scenario, world, options, progress);
    }
    let play = Play::new(scenario, world, options);
    let threads = threads.clamp(1, play.parts() as usize);
    let (next, enough) = (AtomicU32::new(0), AtomicBool::new(false));
    let board = Mutex::new((vec![(Progress::default(), Span::ZERO); threads], progress));
    let work = |thread: usize| {
        let mut part = || {
            let part = next.fetch_add(1, Ordering::Relaxed);
            (part < play.parts() && !enough.load(Ordering::Relaxed)).then_some(part)
        };
        let watching: &mut Watching<'_> = &mut |mine, at| {
            let (told, progress) = &mut *board.lock();
            told[thread] = (mine, at);
            let (mut all, mut latest) = (Progress::default(), Span::ZERO);
            for (part, at) in told.iter() {
                all.add(part);
                latest = latest.max(*at);
            }
            let answer = if enough.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { progress(all, latest) };
            if answer.is_break() {
                enough.store(true, Ordering::Relaxed);
            }
            answer
        };
        play.some(&mut part, watching)
    };
    let sums: Vec<_> = std::thread::scope(|scope| {
        let work = &work;
        let others: Vec<_> = (1..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        let mut sums = vec![work(0)];
        for other in others {
            match other.join() {
                Ok(sum) => sums.push(sum),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        sums
    });
    play.outcome(sums)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;

    fn played(topology: &str, threads: usize) -> Outcome {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/quickstart.yaml");
        let sets = ["fleet.clusters=24".to_owned(), format!("topology={topology}")];
        let scenario = scenario::load(path, &sets).unwrap_or_else(|e| panic!("{e:?}"));
        let world = World::generate(&scenario);
        let options = Options { state: true, ..Options::default() };
        simulate(&scenario, &world, options, threads, &mut |_, _| ControlFlow::Continue(()))
    }

    #[test]
    fn two_threads_come_to_the_same_as_one() {
        for topology in ["{ kind: cells, shards: 3, scheme: round-robin }", "{ kind: hub-and-spoke }"] {
            let (one, two) = (played(topology, 1), played(topology, 2));
            assert_eq!((one.digest, one.events, &one.controllers), (two.digest, two.events, &two.controllers));
            assert_eq!((one.objects, one.spent, &one.used), (two.objects, two.spent, &two.used), "{topology}");
            assert!(one.state.is_some() && one.state == two.state, "{topology}: the objects differ");
            let (one, two) = (one.measured, two.measured);
            assert_eq!((&one.windows, &one.shards), (&two.windows, &two.shards), "{topology}");
            assert_eq!((one.progress, one.all_healthy, one.signals), (two.progress, two.all_healthy, two.signals));
            assert!(one.latencies == two.latencies && one.lag == two.lag, "{topology}: the latencies differ");
        }
    }

    #[test]
    fn whoever_watches_ends_all_threads() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/smoke.yaml");
        let scenario =
            scenario::load(path, &["topology.kind=hub-and-spoke".to_owned()]).unwrap_or_else(|e| panic!("{e:?}"));
        let world = World::generate(&scenario);
        let outcome = simulate(&scenario, &world, Options::default(), 2, &mut |_, _| ControlFlow::Break(()));
        assert_eq!(outcome.ending, crate::drive::virtual_time::Ending::Interrupted);
    }
}
