//! Latencies as HDR histograms: per kind of change and hop.
//!
//! In: spans. Out: quantiles with their sample count, merged histograms. Never an average of quantiles. Resolution is
//! one microsecond and three significant digits, so a value is off by at most 0.1 %; a histogram grows with its
//! largest value and takes about 100 KiB at one hour.

use super::change::{ChangeKind, Finished, Hop};
use crate::units::Span;
use std::collections::BTreeMap;

/// A histogram of spans.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    micros: hdrhistogram::Histogram<u64>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { micros: hdrhistogram::Histogram::new(3).expect("3 significant digits lie within the 0 to 5 allowed") }
    }
}

impl Histogram {
    /// Counts one span.
    pub fn record(&mut self, span: Span) {
        // Auto-resize is on: only a value beyond 2^63 us could fail, and spans hold 2^64 ns.
        let _grows_as_needed = self.micros.record(span.0 / 1_000);
    }

    /// Counts one span so many times.
    pub fn record_times(&mut self, span: Span, times: u64) {
        let _grows_as_needed = self.micros.record_n(span.0 / 1_000, times);
    }

    /// Adds all samples of another histogram.
    pub fn merge(&mut self, other: &Self) {
        let _grows_as_needed = self.micros.add(&other.micros);
    }

    /// Samples.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.micros.len()
    }

    /// The span that a share of the samples does not exceed, `None` without samples.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Span> {
        (!self.micros.is_empty())
            .then(|| Span::from_micros(self.micros.value_at_quantile(share).min(self.micros.max())))
    }

    /// Minimum, median, 90th, 99th, 99.9th percentile and maximum.
    #[must_use]
    pub fn quantiles(&self) -> Quantiles {
        let secs = |share| self.quantile(share).map(Span::as_secs_f64);
        Quantiles {
            count: self.count(),
            min_s: (self.count() > 0).then(|| Span::from_micros(self.micros.min()).as_secs_f64()),
            p50_s: secs(0.5),
            p90_s: secs(0.9),
            p99_s: secs(0.99),
            p999_s: secs(0.999),
            max_s: secs(1.0),
        }
    }

    /// The same in microseconds, for files and curves.
    #[must_use]
    pub const fn micros(&self) -> &hdrhistogram::Histogram<u64> {
        &self.micros
    }

    /// A histogram read from a file.
    #[must_use]
    pub const fn from_micros(micros: hdrhistogram::Histogram<u64>) -> Self {
        Self { micros }
    }
}

/// What a histogram says, in the words of a record. Values are null when there are no samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Quantiles {
    /// Samples.
    pub count: u64,
    /// Smallest, seconds.
    pub min_s: Option<f64>,
    /// Median, seconds.
    pub p50_s: Option<f64>,
    /// 90th percentile, seconds.
    pub p90_s: Option<f64>,
    /// 99th percentile, seconds.
    pub p99_s: Option<f64>,
    /// 99.9th percentile, seconds.
    pub p999_s: Option<f64>,
    /// Largest, seconds.
    pub max_s: Option<f64>,
}

/// One histogram per hop.
pub type Hops = [Histogram; 7];

/// Latencies of changes, by kind and hop.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latencies {
    by_kind: BTreeMap<ChangeKind, Hops>,
}

impl Latencies {
    /// Counts a finished change.
    pub fn record(&mut self, finished: &Finished) {
        let hops = self.by_kind.entry(finished.kind).or_default();
        for hop in Hop::ALL {
            if let Some(span) = finished.hop(hop) {
                hops[hop as usize].record(span);
            }
        }
    }

    /// Adds the samples of other changes.
    pub fn merge(&mut self, other: &Self) {
        for (kind, theirs) in &other.by_kind {
            let ours = self.by_kind.entry(*kind).or_default();
            for (ours, theirs) in ours.iter_mut().zip(theirs) {
                ours.merge(theirs);
            }
        }
    }

    /// Puts a histogram that was read from a file in its place.
    pub fn insert(&mut self, kind: ChangeKind, hop: Hop, histogram: Histogram) {
        self.by_kind.entry(kind).or_default()[hop as usize] = histogram;
    }

    /// The hops of each kind of change that happened.
    pub fn by_kind(&self) -> impl Iterator<Item = (ChangeKind, &Hops)> {
        self.by_kind.iter().map(|(kind, hops)| (*kind, hops))
    }

    /// One hop of all changes together.
    #[must_use]
    pub fn hop(&self, hop: Hop) -> Histogram {
        self.by_kind.values().fold(Histogram::default(), |mut sum, hops| {
            sum.merge(&hops[hop as usize]);
            sum
        })
    }

    /// The hops of all changes together.
    #[must_use]
    pub fn all(&self) -> Hops {
        let mut all = Hops::default();
        for hops in self.by_kind.values() {
            for (sum, hop) in all.iter_mut().zip(hops) {
                sum.merge(hop);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(micros: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        micros.iter().for_each(|us| histogram.record(Span::from_micros(*us)));
        histogram
    }

    #[test]
    fn quantiles_are_samples_not_buckets() {
        let q = of(&[1_000, 2_000, 3_000, 4_000, 1_000_000]).quantiles();
        assert_eq!((q.count, q.min_s), (5, Some(0.001)));
        let near = |value: Option<f64>, wanted: f64| (value.unwrap() / wanted - 1.0).abs() < 0.001;
        assert!(near(q.p50_s, 0.003) && near(q.p90_s, 1.0) && near(q.max_s, 1.0), "{q:?}");
        assert_eq!(Histogram::default().quantiles(), Quantiles::default());
    }

    proptest! {
        #[test]
        fn merging_is_recording_together(
            a in prop::collection::vec(0_u64..10_000_000_000, 0..50),
            b in prop::collection::vec(0_u64..10_000_000_000, 0..50),
        ) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            let together = of(&[a, b].concat());
            prop_assert_eq!(merged.quantiles(), together.quantiles());
        }
    }
}
