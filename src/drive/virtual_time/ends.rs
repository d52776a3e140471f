//! Ends that need no timeout: nothing comes nearer to its end any more, or changes come faster than they are done.
//!
//! In: the counts of a simulation as time passes. Out: how it ends, if it does. It looks at simulated times alone, so that it
//! finds the same whatever the engine, the parts and the threads.

use super::Ending;
use crate::measure::Progress;
use crate::scenario::{Action, Scenario};
use crate::units::{Offset, Span, Time};

/// See the module head.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    /// Without anything better for so long nothing better will come.
    patience: Span,
    /// The fewest open changes and unhealthy apps so far, and since when.
    best: (u64, u64),
    since: Time,
    /// Times at which the backlog of a churn is read, the next one last.
    looks: Vec<Look>,
    /// The backlog as it was read.
    backlog: Vec<u64>,
    next: Time,
}

/// A reading of the backlog, and whether it is the last of its churn.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: Time,
    last: bool,
}

/// Readings of a churn. A backlog that grew at every one but the first, and twofold, grows for good.
const READINGS: u64 = 8;
/// A backlog below this is none.
const FEW: u64 = 100;

impl Ends {
    /// For a part with this clock.
    pub(super) fn new(scenario: &Scenario, clock: Offset) -> Self {
        let mut looks: Vec<Look> = Vec::new();
        for step in &scenario.timeline {
            if let Action::Churn { duration, .. } = step.action {
                let at = |n| clock.to_part(Time(0) + step.at + duration.scaled(n, READINGS));
                let look = |n| Look { at: at(n), last: n == READINGS };
                looks.extend((1..=READINGS).map(look));
            }
        }
        looks.sort_by_key(|look| std::cmp::Reverse(look.at));
        let patience = patience(scenario);
        let mut ends =
            Self { patience, best: (u64::MAX, u64::MAX), since: Time(0), looks, backlog: Vec::new(), next: Time(0) };
        ends.next = ends.next_look(Time(0));
        ends
    }

    fn next_look(&self, now: Time) -> Time {
        let regular = now + self.patience.scaled(1, 8);
        self.looks.last().map_or(regular, |look| look.at.min(regular))
    }

    /// When it looks next.
    pub(super) const fn next(&self) -> Time {
        self.next
    }

    /// How it ends at this moment; `played`: no change is to come any more.
    pub(super) fn look(&mut self, now: Time, progress: impl FnOnce() -> Progress, played: bool) -> Option<Ending> {
        if now < self.next {
            return None;
        }
        let progress = progress();
        let here = (progress.open(), progress.apps - progress.healthy);
        if !played || here.0 < self.best.0 || here.1 < self.best.1 {
            self.best = if played { (here.0.min(self.best.0), here.1.min(self.best.1)) } else { here };
            self.since = now;
        }
        let grows = self.read_backlog(now, here.0);
        self.next = self.next_look(now);
        if grows {
            return Some(Ending::Growing);
        }
        (played && now.since(self.since) > self.patience).then_some(Ending::Stuck)
    }

    fn read_backlog(&mut self, now: Time, open: u64) -> bool {
        let mut last = false;
        while let Some(look) = self.looks.pop_if(|look| look.at <= now) {
            self.backlog.push(open);
            last |= look.last;
        }
        if !last {
            return false;
        }
        let read = std::mem::take(&mut self.backlog);
        let (early, late) = (read.get(1).copied().unwrap_or(0), read.last().copied().unwrap_or(0));
        late > FEW && late > 2 * early && read.get(1..).is_some_and(|all| all.is_sorted_by(|a, b| a < b))
    }
}

/// Twice the longest that anybody waits before he tries again.
fn patience(scenario: &Scenario) -> Span {
    let (run, manager) = (&scenario.run.flux, &scenario.manager);
    // Flamingo's interval, and Flux's timeout of a health check.
    let interval = scenario.addons.iter().filter_map(|addon| addon.interval).max().unwrap_or(Span::ZERO);
    let waits = [run.backoff_max, run.dependency_poll, manager.resync + manager.resync_jitter, manager.backoff_max];
    let longest = waits.into_iter().max().unwrap_or(Span::ZERO).max(interval).max(Span::from_secs(600));
    longest.scaled(2, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;

    fn ends(timeline: &str) -> Ends {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/smoke.yaml");
        let sets = [format!("timeline={timeline}"), "run.timeout=10h".to_owned()];
        Ends::new(&scenario::load(path, &sets).unwrap_or_else(|e| panic!("{e:?}")), Offset::default())
    }

    fn progress(open: u64, sick: u64) -> Progress {
        Progress { changes: open, apps: 10, healthy: 10 - sick, ..Progress::default() }
    }

    fn minute(n: u64) -> Time {
        Time(0) + Span::from_secs(60 * n)
    }

    #[test]
    fn what_gets_no_better_for_too_long_is_stuck() {
        let mut ends = ends("[{ at: 0s, change: { install: {} } }]");
        let mut look = |at, open, sick| ends.look(minute(at), || progress(open, sick), true);
        assert_eq!([look(5, 3, 3), look(20, 2, 3), look(45, 2, 3)], [None, None, None]);
        // Health that comes and goes is not getting better; the patience is half an hour.
        assert_eq!([look(49, 2, 4), look(55, 2, 3)], [None, Some(Ending::Stuck)]);
    }

    #[test]
    fn while_changes_are_to_come_nothing_is_stuck() {
        let mut ends = ends("[{ at: 0s, change: { install: {} } }]");
        assert!((1..100).all(|n| ends.look(minute(10 * n), || progress(1, 1), false).is_none()));
        assert_eq!(ends.look(minute(1_000), || progress(1, 1), true), None, "time enough for what came last");
    }

    #[test]
    fn a_backlog_that_grows_at_every_look_ends_the_run_when_the_churn_ends() {
        let churn = "[{ at: 0s, change: { install: {} } }, { at: 0s, change: { churn: { rate: 9/s, duration: 8m } } }]";
        let end = |backlog: [u64; 8]| {
            let mut ends = ends(churn);
            (1..9)
                .zip(backlog)
                .filter_map(|(n, open)| ends.look(minute(n), || progress(open, 5), false))
                .collect::<Vec<_>>()
        };
        let none: Vec<Ending> = Vec::new();
        assert_eq!(end([90, 100, 150, 200, 250, 300, 350, 400]), [Ending::Growing]);
        assert_eq!(end([90, 100, 150, 200, 190, 300, 350, 400]), none);
        assert_eq!(end([1, 2, 3, 4, 5, 6, 7, 80]), none);
    }
}
