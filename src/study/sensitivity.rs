//! What a simulated run says if a constant that nobody measured were another: one at a time.
//!
//! In: a scenario, its world and the assumptions of its record. Out: by how much the times of a run change with each constant
//! twice and half as large, the largest effect first. The world is the same in all of them: none of these draws it.

use crate::drive::parallel;
use crate::drive::virtual_time::{Options, Outcome};
use crate::fleet::World;
use crate::record::{Assumption, AssumptionKind, SensitivityRecord};
use crate::scenario::{self, Scenario};
use crate::units::Span;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A constant that nobody measured, larger and smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Vary {
    /// Its path.
    pub(super) id: String,
    /// Its value.
    pub(super) value: String,
    /// Others, as they are written.
    pub(super) others: Vec<String>,
}

/// What zero is raised to: a fetch, a build, the start of a pod take about so long where they take anything.
const SOMETHING: Span = Span::from_secs(1);

/// Every assumed constant that times may depend on, twice and half as large. Memory delays nothing.
#[must_use]
pub(super) fn vary(assumptions: &[Assumption]) -> Vec<Vary> {
    let vary = |assumption: &Assumption| {
        let value = &assumption.value;
        let others = match (value.parse::<Span>(), value.parse::<f64>()) {
            (Ok(Span::ZERO), _) => vec![SOMETHING.to_string()],
            (Ok(span), _) => vec![span.scaled(2, 1).to_string(), span.scaled(1, 2).to_string()],
            (_, Ok(number)) if number > 1.0 && number.fract() == 0.0 => {
                vec![(number * 2.0).to_string(), (number / 2.0).ceil().to_string()]
            }
            (_, Ok(number)) if number > 0.0 => vec![(number * 2.0).to_string(), (number / 2.0).to_string()],
            _ => return None,
        };
        Some(Vary { id: assumption.id.clone(), value: value.clone(), others })
    };
    let assumed = |assumption: &&Assumption| {
        assumption.kind == AssumptionKind::Assumed && !assumption.id.starts_with("model.memory")
    };
    assumptions.iter().filter(assumed).filter_map(vary).collect()
}

/// The times of a run that are looked at, in seconds: until all were healthy, and the 99th percentile of all changes.
fn times(outcome: &Outcome) -> [Option<f64>; 2] {
    let measured = &outcome.measured;
    [measured.all_healthy, measured.end_to_end().quantile(0.99)].map(|span| span.map(Span::as_secs_f64))
}

/// Plays a scenario once with each constant that nobody measured another; `before` is the run as it was, `tell` hears of each
/// that is done and may end it. Those that were not played, or whose value the scenario's rules refuse, are left out.
pub fn of_run(
    (scenario, world): (&Scenario, &World),
    assumptions: &[Assumption],
    before: &Outcome,
    threads: usize,
    tell: &(dyn Fn(&str) -> ControlFlow<()> + Sync),
) -> Vec<SensitivityRecord> {
    let varied = vary(assumptions);
    let each = varied.iter().flat_map(|vary| vary.others.iter().map(move |other| (vary, other)));
    let other = |(vary, other): (&Vary, &String)| {
        let set = format!("{}={other}", vary.id);
        let scenario = scenario::parse(&scenario.effective, "the scenario", std::slice::from_ref(&set)).ok()?;
        Some((vary.clone(), other.clone(), set, scenario))
    };
    let wanted: Vec<_> = each.filter_map(other).collect();
    let (next, base) = (AtomicUsize::new(0), times(before));
    let work = || {
        let mut done = Vec::new();
        while let Some((vary, other, set, scenario)) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
            if tell(set).is_break() {
                break;
            }
            let mut enough = false;
            let mut watch = |_, _| {
                enough |= tell("").is_break();
                if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let outcome = parallel::simulate(scenario, world, Options::default(), 1, &mut watch);
            if enough {
                break;
            }
            let ratio = |n: usize| times(&outcome)[n].zip(base[n]).filter(|(_, b)| *b > 0.0).map(|(a, b)| a / b);
            done.push(SensitivityRecord {
                id: vary.id.clone(),
                value: vary.value.clone(),
                other: other.clone(),
                all_healthy: ratio(0),
                end_to_end_p99: ratio(1),
            });
        }
        done
    };
    let mut all: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.clamp(1, wanted.len().max(1))).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    let effect = |one: &SensitivityRecord| {
        let of = |ratio: Option<f64>| ratio.map_or(0.0, |ratio| libm::fabs(libm::log(ratio)));
        of(one.all_healthy).max(of(one.end_to_end_p99))
    };
    // Equal effects stand in the order of their names, whichever thread was first.
    all.sort_by(|a, b| effect(b).total_cmp(&effect(a)).then_with(|| (&a.id, &a.other).cmp(&(&b.id, &b.other))));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_that_nobody_measured_are_varied_and_others_are_not() {
        let assumption = |id: &str, value: &str, kind| Assumption {
            id: id.to_owned(),
            value: value.to_owned(),
            unit: String::new(),
            source: String::new(),
            kind,
        };
        let all = [
            assumption("model.hub.write", "1ms", AssumptionKind::Assumed),
            assumption("run.flux.fetch", "0s", AssumptionKind::Assumed),
            assumption("model.manager.cores", "1", AssumptionKind::Assumed),
            assumption("run.flux.concurrency", "5", AssumptionKind::Assumed),
            assumption("model.hub.read", "500us", AssumptionKind::Measured),
            assumption("model.memory.worker", "8Ki", AssumptionKind::Assumed),
            assumption("model.lag", "exponential, mean 3s", AssumptionKind::Assumed),
        ];
        let found: Vec<_> = vary(&all).into_iter().map(|vary| (vary.id, vary.others.join(" "))).collect();
        let found: Vec<_> = found.iter().map(|(id, others)| (id.as_str(), others.as_str())).collect();
        assert_eq!(
            found,
            [
                ("model.hub.write", "2ms 500us"),
                ("run.flux.fetch", "1s"),
                ("model.manager.cores", "2 0.5"),
                ("run.flux.concurrency", "10 3"),
            ]
        );
    }

    #[test]
    fn what_everything_waits_for_comes_first_and_threads_do_not_show() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/smoke.yaml");
        let sets = ["model.hub.commit=2s".to_owned(), "run.timeout=1h".to_owned()];
        let scenario = scenario::load(path, &sets).unwrap_or_else(|e| panic!("{e:?}"));
        let world = World::generate(&scenario);
        let watch = &mut |_, _| ControlFlow::Continue(());
        let before = parallel::simulate(&scenario, &world, Options::default(), 1, watch);
        let assumed = |id: &str, value: &str| Assumption {
            id: id.to_owned(),
            value: value.to_owned(),
            unit: String::new(),
            source: String::new(),
            kind: AssumptionKind::Assumed,
        };
        let all = [assumed("model.hub.cores", "4"), assumed("model.no.such", "1"), assumed("model.hub.commit", "2s")];
        let of = |threads| {
            let tell = |_: &str| ControlFlow::Continue(());
            of_run((&scenario, &world), &all, &before, threads, &tell)
        };
        let found = of(1);
        assert_eq!(found, of(2));
        let of = |n: usize| (found[n].id.as_str(), found[n].other.as_str(), found[n].all_healthy.unwrap());
        assert!(matches!(of(0), ("model.hub.commit", "4s", ratio) if ratio > 1.3), "{found:?}");
        assert!(matches!(of(1), ("model.hub.commit", "1s", ratio) if ratio < 0.8), "{found:?}");
        assert_eq!(found.len(), 4, "twice and half of both, and nothing of what the rules refuse");
        let none = of_run((&scenario, &world), &all, &before, 2, &|_| ControlFlow::Break(()));
        assert_eq!(none, []);
    }
}
