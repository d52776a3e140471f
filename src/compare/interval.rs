//! How sure a ratio is.

use super::Verdict;
use crate::measure::Histogram;

/// Two-sided 95 % of the normal distribution.
const Z: f64 = 1.959_964;

/// What a number may really be, and the best guess.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    pub(super) value: f64,
    pub(super) low: f64,
    /// Infinite where the samples do not reach that far.
    pub(super) high: f64,
    /// Samples.
    pub(super) n: u64,
}

impl Estimate {
    /// A number that was read once.
    pub(super) const fn single(value: f64) -> Self {
        Self { value, low: value, high: value, n: 1 }
    }

    /// A quantile with its 95 % interval by order statistics, seconds: the ranks between which the true quantile lies are
    /// binomial, here by the normal approximation (Conover 1999, 3.2). `None` without samples.
    pub(super) fn quantile(histogram: &Histogram, share: f64) -> Option<Self> {
        let n = histogram.count() as f64;
        let at = |rank: f64| histogram.quantile((rank / n).clamp(0.0, 1.0)).map(|span| span.as_secs_f64());
        let spread = Z * (n * share * (1.0 - share)).sqrt();
        let high = (n * share + spread).ceil() + 1.0;
        Some(Self {
            value: at(n * share)?,
            low: at((n * share - spread).floor().max(1.0))?,
            high: if high > n { f64::INFINITY } else { at(high)? },
            n: histogram.count(),
        })
    }
}

/// A ratio of head to base and between which bounds it lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratio {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Ratio {
    /// The ratio of two estimates; what two runs of the same thing differ by widens it on both sides. `None` when the base
    /// is zero.
    pub(super) fn of(base: Estimate, head: Estimate, noise: f64) -> Option<Self> {
        (base.value > 0.0 && base.low > 0.0).then(|| Self {
            value: head.value / base.value,
            low: head.low / base.high / (1.0 + noise),
            high: head.high / base.low * (1.0 + noise),
        })
    }

    /// The verdict on a number of which less is better. An interval around 1 that reaches beyond half or double says
    /// nothing.
    pub(super) fn verdict(self) -> Verdict {
        match self {
            Self { high, .. } if high < 1.0 => Verdict::Better,
            Self { low, .. } if low > 1.0 => Verdict::Regressed,
            Self { low, high, .. } if low < 0.5 || high > 2.0 => Verdict::Inconclusive,
            _ => Verdict::Same,
        }
    }
}
