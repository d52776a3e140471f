//! How sure a ratio is when both sides were run several times, in pairs.
//!
//! In: the logarithms of head by base, one per pair. Out: an interval of their mean that holds with the asked certainty.
//!
//! The run is the sample, not the change in it: changes of one run share its luck. Ratios are taken within a pair, so
//! that what drifts over minutes (a warm cache, a busy neighbour) touches both sides alike, and of logarithms, so that
//! twice and half lie equally far from one. The interval is studentised, from a symmetric bootstrap (Hall 1988); as a
//! handful of pairs shows no tails, it is never narrower than Student's, which assumes normal ones.

use super::interval::Ratio;
use crate::seed::Seed;

/// Resamples beyond a quantile, so that it does not rest on one alone.
const BEYOND: f64 = 3.0;
/// Resamples at least and at most.
const RESAMPLES: (f64, f64) = (999.0, 99_999.0);

/// The mean ratio of pairs and its two-sided interval of `level` (0.95 is 19 of 20). One pair, or pairs that all say the
/// same, are taken at their word: nothing about them is drawn. `None` without pairs.
pub(super) fn paired(logs: &[f64], level: f64, seed: Seed) -> Option<Ratio> {
    studentised(logs, level, |mean| bootstrap(logs, mean, level, seed))
}

/// What [`paired`] is at least: Student's interval, which costs next to nothing.
pub(super) fn at_least(logs: &[f64], level: f64, _: Seed) -> Option<Ratio> {
    studentised(logs, level, |_| 0.0)
}

fn studentised(logs: &[f64], level: f64, reach: impl FnOnce(f64) -> f64) -> Option<Ratio> {
    let (mean, spread) = moments(logs)?;
    let value = libm::exp(mean);
    if spread <= 0.0 {
        return Some(Ratio { value, low: value, high: value });
    }
    let freedom = u32::try_from(logs.len() - 1).unwrap_or(u32::MAX);
    let half = student(level, freedom).max(reach(mean)) * spread / libm::sqrt(logs.len() as f64);
    Some(Ratio { value, low: libm::exp(mean - half), high: libm::exp(mean + half) })
}

/// The ratio of runs to one run from earlier, whose own luck is unknown: it is taken to vary as these do. Student's
/// prediction interval. `None` for less than two runs that differ.
pub(super) fn predicted(logs: &[f64], level: f64) -> Option<Ratio> {
    let (mean, spread) = moments(logs)?;
    let value = libm::exp(mean);
    let freedom = u32::try_from(logs.len() - 1).ok().filter(|freedom| *freedom > 0)?;
    let half = student(level, freedom) * spread * libm::sqrt(1.0 + 1.0 / logs.len() as f64);
    Some(Ratio { value, low: libm::exp(mean - half), high: libm::exp(mean + half) })
}

/// Mean and sample standard deviation; no spread for one.
fn moments(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    let mean = (!values.is_empty()).then(|| values.iter().sum::<f64>() / n)?;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    // Sums of equal numbers differ from them in the last bits: that is no spread.
    let same = values.iter().all(|value| *value == values[0]);
    Some(if same { (values[0], 0.0) } else { (mean, libm::sqrt(squares / (n - 1.0))) })
}

/// The quantile of |t| over resamples. Infinite if that many resamples have no spread.
fn bootstrap(logs: &[f64], mean: f64, level: f64, seed: Seed) -> f64 {
    let n = logs.len();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    let resamples = (BEYOND / (1.0 - level)).clamp(RESAMPLES.0, RESAMPLES.1) as u64;
    let mut drawn = vec![0.0; n];
    let mut reaches: Vec<f64> = (0..resamples)
        .map(|resample| {
            let draws = seed.entity(resample);
            for (slot, at) in drawn.iter_mut().zip(0..) {
                *slot = logs[usize::try_from(draws.below(at, n as u64)).unwrap_or_default()];
            }
            let (own, spread) = moments(&drawn).unwrap_or_default();
            let off = libm::fabs(own - mean);
            if spread > 0.0 { off * libm::sqrt(n as f64) / spread } else { f64::INFINITY }
        })
        .collect();
    reaches.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank up to resamples + 1")]
    let rank = libm::ceil(level * (resamples + 1) as f64) as usize;
    reaches.get(rank.saturating_sub(1)).copied().unwrap_or(f64::INFINITY)
}

/// Student's t below which lies `level` of |t|: its distribution has a closed form for whole degrees of freedom
/// (Abramowitz and Stegun 26.7.3 and 26.7.4), inverted by halving.
fn student(level: f64, freedom: u32) -> f64 {
    let (mut low, mut high) = (0.0, std::f64::consts::FRAC_PI_2);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if within(middle, freedom) < level {
            low = middle;
        } else {
            high = middle;
        }
    }
    libm::tan(low) * libm::sqrt(f64::from(freedom))
}

/// The share of |t| below `sqrt(freedom) tan(theta)`.
fn within(theta: f64, freedom: u32) -> f64 {
    let (sin, cos) = (libm::sin(theta), libm::cos(theta));
    let odd = freedom % 2 == 1;
    let mut term = if odd { cos } else { 1.0 };
    let mut sum = if freedom == 1 { 0.0 } else { term };
    // Each further term has two more powers of the cosine.
    let mut at = if odd { 2 } else { 1 };
    while at + 2 < freedom {
        term *= cos * cos * f64::from(at) / f64::from(at + 1);
        sum += term;
        at += 2;
    }
    if odd { std::f64::consts::FRAC_2_PI * (theta + sin * sum) } else { sin * sum }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn students_quantiles_are_those_of_the_tables() {
        // Two-sided; from the tables of Abramowitz and Stegun, 26.10.
        let table = [
            (0.95, 1, 12.706),
            (0.95, 2, 4.303),
            (0.95, 3, 3.182),
            (0.95, 4, 2.776),
            (0.95, 9, 2.262),
            (0.95, 30, 2.042),
            (0.99, 5, 4.032),
            (0.99, 10, 3.169),
            (0.999, 7, 5.408),
            (0.999, 19, 3.883),
        ];
        for (level, freedom, wanted) in table {
            let found = student(level, freedom);
            assert!((found - wanted).abs() < 6e-4, "{level} {freedom}: {found} is not {wanted}");
        }
    }

    #[test]
    fn what_never_varies_is_taken_at_its_word() {
        for pairs in [&[0.1][..], &[0.1; 7]] {
            let ratio = paired(pairs, 0.99, Seed::new(1)).unwrap();
            assert_eq!([ratio.low, ratio.high], [libm::exp(0.1); 2]);
        }
        assert_eq!(paired(&[], 0.99, Seed::new(1)), None);
        assert_eq!(predicted(&[0.1], 0.99), None, "one run says nothing of how they vary");
    }

    proptest! {
        #[test]
        fn more_certainty_is_a_wider_interval_around_the_same_value(
            logs in prop::collection::vec(-0.5..0.5_f64, 6..15), seed: u64,
        ) {
            let of = |level| paired(&logs, level, Seed::new(seed)).unwrap();
            let (narrow, wide) = (of(0.9), of(0.999));
            prop_assert!(wide.low <= narrow.low && narrow.low <= narrow.value);
            prop_assert!(narrow.value <= narrow.high && narrow.high <= wide.high);
            prop_assert_eq!(narrow.value, wide.value);
        }

        #[test]
        fn head_and_base_change_places_and_the_interval_is_its_inverse(
            logs in prop::collection::vec(-0.5..0.5_f64, 6..15),
        ) {
            let back: Vec<f64> = logs.iter().map(|log| -log).collect();
            let of = |logs: &[f64]| paired(logs, 0.99, Seed::new(3)).unwrap();
            let (there, back) = (of(&logs), of(&back));
            prop_assert!((there.low * back.high - 1.0).abs() < 1e-9 || !back.high.is_finite());
        }
    }
}
