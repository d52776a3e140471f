//! The time series of a run while it is counted: what changed in each window, so that it does not matter in which order
//! the parts of a run are counted, or by whom.
//!
//! In: changes of gauges and counts, each with its window. Out: [`Window`]s, gauges summed up from the start. Two series add
//! up window by window. A window in which nothing happened costs 88 bytes: a day in seconds 8 MB.

use super::ledger::Window;
use crate::units::Span;
use std::collections::BTreeMap;

/// What changed in one window.
#[derive(Clone, Debug, Default, PartialEq)]
struct Slot {
    apps: i64,
    healthy: i64,
    open: i64,
    finished: u64,
    rounds: u64,
    queue: u64,
    latency: Option<Box<Sparse>>,
}

/// Spans counted to three significant digits; small where few of them differ.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sparse {
    counts: BTreeMap<u64, u64>,
    total: u64,
    max: u64,
}

/// Bits of a value that are kept: 0.1 % as the histograms of whole runs.
const KEPT: u32 = 11;

impl Sparse {
    fn record(&mut self, span: Span) {
        let micros = span.0 / 1_000;
        let lost = (u64::BITS - micros.leading_zeros()).saturating_sub(KEPT);
        // The highest value of the bucket, as HDR histograms tell it.
        *self.counts.entry(micros | ((1 << lost) - 1)).or_default() += 1;
        self.total += 1;
        self.max = self.max.max(micros);
    }

    fn merge(&mut self, other: &Self) {
        for (micros, count) in &other.counts {
            *self.counts.entry(*micros).or_default() += count;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// The span that so many of a hundred do not exceed.
    fn percentile(&self, percent: u64) -> Option<Span> {
        let wanted = (self.total * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let found = self.counts.iter().find(|(_, count)| {
            seen += **count;
            seen >= wanted
        });
        found.map(|(micros, _)| Span::from_micros((*micros).min(self.max)))
    }
}

/// See the module head.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    slots: Vec<Slot>,
}

/// The gauges of a series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gauges {
    pub(super) apps: u64,
    pub(super) healthy: u64,
    pub(super) open: u64,
}

impl Series {
    fn slot(&mut self, window: usize) -> &mut Slot {
        if window >= self.slots.len() {
            self.slots.resize(window + 1, Slot::default());
        }
        &mut self.slots[window]
    }

    /// Gauges went from one state to another.
    pub(super) fn moved(&mut self, window: usize, from: Gauges, to: Gauges) {
        if from != to {
            let slot = self.slot(window);
            slot.apps += to.apps.cast_signed() - from.apps.cast_signed();
            slot.healthy += to.healthy.cast_signed() - from.healthy.cast_signed();
            slot.open += to.open.cast_signed() - from.open.cast_signed();
        }
    }

    /// A round ended.
    pub(super) fn round(&mut self, window: usize) {
        self.slot(window).rounds += 1;
    }

    /// A change ended.
    pub(super) fn finished(&mut self, window: usize, end_to_end: Span) {
        let slot = self.slot(window);
        slot.finished += 1;
        slot.latency.get_or_insert_default().record(end_to_end);
    }

    /// The longest queue of one part of the run in a window; those of several parts add up.
    pub(super) fn queue(&mut self, window: usize, longest: u64) {
        self.slot(window).queue += longest;
    }

    /// Adds another series.
    pub(super) fn merge(&mut self, other: Self) {
        for (window, theirs) in other.slots.into_iter().enumerate() {
            let ours = self.slot(window);
            ours.apps += theirs.apps;
            ours.healthy += theirs.healthy;
            ours.open += theirs.open;
            ours.finished += theirs.finished;
            ours.rounds += theirs.rounds;
            ours.queue += theirs.queue;
            match (&mut ours.latency, theirs.latency) {
                (Some(ours), Some(theirs)) => ours.merge(&theirs),
                (ours @ None, theirs) => *ours = theirs,
                (Some(_), None) => {}
            }
        }
    }

    /// The series of a run that took so long, in windows of this width: a last one that is not complete counts if anything
    /// happened in it.
    pub(super) fn windows(mut self, width: Span, length: Span) -> Vec<Window> {
        let complete = usize::try_from(length.0.checked_div(width.0).unwrap_or(0)).unwrap_or(usize::MAX);
        let busy = self.slots.get(complete).is_some_and(|slot| slot.rounds > 0 || slot.finished > 0);
        self.slots.resize(complete + usize::from(busy || complete == 0), Slot::default());
        let (mut apps, mut healthy, mut open) = (0, 0, 0);
        let window = |(index, slot): (usize, Slot)| {
            apps += slot.apps;
            healthy += slot.healthy;
            open += slot.open;
            Window {
                at: if index < complete { width.scaled(index as u64 + 1, 1) } else { length },
                apps: u64::try_from(apps).unwrap_or(0),
                healthy: u64::try_from(healthy).unwrap_or(0),
                open: u64::try_from(open).unwrap_or(0),
                finished: slot.finished,
                rounds: slot.rounds,
                queue: slot.queue,
                p50: slot.latency.as_deref().and_then(|all| all.percentile(50)),
                p99: slot.latency.as_deref().and_then(|all| all.percentile(99)),
            }
        };
        self.slots.into_iter().enumerate().map(window).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn percentiles_are_those_of_the_histogram_of_the_whole_run() {
        let (mut sparse, mut whole) = (Sparse::default(), super::super::Histogram::default());
        for n in 0..5_000_u64 {
            let span = Span::from_micros(n * n * 7 + 13);
            sparse.record(span);
            whole.record(span);
        }
        let close = |a: Option<Span>, b: Option<Span>| {
            let (a, b) = (a.unwrap().as_secs_f64(), b.unwrap().as_secs_f64());
            assert!((a / b - 1.0).abs() < 0.002, "{a} {b}");
        };
        close(sparse.percentile(50), whole.quantile(0.5));
        close(sparse.percentile(99), whole.quantile(0.99));
        assert_eq!(Sparse::default().percentile(50), None);
    }

    proptest! {
        #[test]
        fn two_series_add_up_to_the_one_that_counted_everything(
            happened in prop::collection::vec((0_usize..20, 1_u64..5_000_000, any::<bool>()), 0..60),
        ) {
            let (mut parts, mut whole) = ([Series::default(), Series::default()], Series::default());
            for (window, micros, first) in happened {
                for series in [&mut parts[usize::from(first)], &mut whole] {
                    let to = Gauges { apps: micros % 7, healthy: micros % 3, open: 1 };
                    series.moved(window, Gauges::default(), to);
                    series.round(window);
                    series.finished(window, Span::from_micros(micros));
                    series.queue(window, micros % 11);
                }
            }
            let [mut sum, other] = parts;
            sum.merge(other);
            let (width, length) = (Span(10), Span(195));
            prop_assert_eq!(sum.windows(width, length), whole.windows(width, length));
        }
    }
}
