//! Where does it end: a search for the largest size that still holds, with as few trials as possible.
//!
//! In: trials of sizes, each with whether it held and how far from the limit it was. Out: which sizes to try next, two at a
//! time so that two cores have work, and at last the bracket: the largest size below which everything that was tried
//! held, and the smallest that did not. Pure.
//!
//! Sizes are guessed on a line through what was tried, for times of a saturated system grow with its work; a guess outside the bracket is replaced by its middle, so a curve of any shape costs no more
//! than halving does. Nothing is believed that was not tried: half and one and a half of the answer are tried as well, and
//! a size that holds above one that does not is an exception that the answer names.

use std::collections::BTreeMap;

/// How a trial went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Trial {
    /// Everything that was asked for held.
    pub(super) holds: bool,
    /// How much of what is allowed was used, 1 being all of it; `None`: more, and nobody knows how much.
    pub(super) score: Option<f64>,
}

/// What a search came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bracket {
    /// The largest size below which everything held; `None`: not even the smallest.
    pub(super) holds: Option<u64>,
    /// The smallest that did not; `None`: even the largest held.
    pub(super) breaks: Option<u64>,
}

/// A search under way.
#[derive(Clone, Debug)]
pub(super) struct Search {
    min: u64,
    max: u64,
    /// How close both ends shall come, as a share of the lower.
    tolerance: f64,
    start: u64,
    /// Where the end may be, as long as nothing else says so.
    hint: Option<f64>,
    /// Half and one and a half of the answer are tried as well.
    checked: bool,
    trials: BTreeMap<u64, Trial>,
}

/// From what holds to what is guessed: a line is not believed further.
const FURTHEST: f64 = 10.0;
/// A trial within so much of a size counts as one of it.
const NEAR: f64 = 1.3;

impl Search {
    /// A search between two sizes, both included, that ends when the ends are `tolerance` apart. The first trials are at
    /// `start` and four times that.
    #[must_use]
    pub(super) fn new(min: u64, max: u64, tolerance: f64, start: u64) -> Self {
        let start = start.clamp(min, max);
        Self { min, max, tolerance, start, hint: None, checked: true, trials: BTreeMap::new() }
    }

    /// The same, satisfied with the first answer, and told where the end may be.
    #[must_use]
    pub(super) fn unchecked(self, hint: Option<f64>) -> Self {
        Self { hint, checked: false, ..self }
    }

    /// Keeps what a trial said.
    pub(super) fn tried(&mut self, size: u64, trial: Trial) {
        self.trials.insert(size, trial);
    }

    /// The ends as they are known.
    #[must_use]
    pub(super) fn bracket(&self) -> Bracket {
        let breaks = self.trials.iter().find(|(_, trial)| !trial.holds).map(|(size, _)| *size);
        let mut below = self.trials.range(..breaks.unwrap_or(u64::MAX));
        Bracket { holds: below.next_back().map(|(size, _)| *size), breaks }
    }

    /// Sizes that held although a smaller one did not.
    #[must_use]
    pub(super) fn exceptions(&self) -> Vec<u64> {
        let Some(breaks) = self.bracket().breaks else { return Vec::new() };
        self.trials.range(breaks..).filter(|(_, trial)| trial.holds).map(|(size, _)| *size).collect()
    }

    /// What to try next, at most two sizes; nothing when the answer is known.
    #[must_use]
    pub(super) fn next(&self) -> Vec<u64> {
        if self.trials.is_empty() {
            return self.fresh([self.start, self.start.saturating_mul(4)]);
        }
        let Bracket { holds, breaks } = self.bracket();
        match (holds, breaks) {
            (None, None) => Vec::new(),
            (None, Some(breaks)) if breaks <= self.min => Vec::new(),
            (None, Some(breaks)) => self.fresh([(breaks / 8).max(self.min), (breaks / 2).max(self.min)]),
            (Some(holds), None) if holds >= self.max => self.checks(holds),
            (Some(holds), None) => self.upwards(holds),
            (Some(holds), Some(breaks)) if self.is_narrow(holds, breaks) => self.checks(holds),
            (Some(holds), Some(breaks)) => self.between(holds, breaks),
        }
    }

    fn is_narrow(&self, holds: u64, breaks: u64) -> bool {
        breaks - holds <= 1 || (breaks - holds) as f64 <= self.tolerance * holds as f64
    }

    /// Sizes that nobody tried yet, within the bounds.
    fn fresh(&self, sizes: [u64; 2]) -> Vec<u64> {
        let mut fresh: Vec<u64> = sizes.map(|size| size.clamp(self.min, self.max)).into();
        fresh.dedup();
        fresh.retain(|size| !self.trials.contains_key(size));
        fresh
    }

    /// Nothing broke yet.
    fn upwards(&self, holds: u64) -> Vec<u64> {
        let furthest = holds as f64 * FURTHEST;
        let guess = self.guess(holds).or(self.hint).unwrap_or(holds as f64 * 4.0).clamp(holds as f64 * 1.5, furthest);
        if guess >= self.max as f64 {
            return self.fresh([self.max, self.max]);
        }
        let [low, high] = self.around(guess);
        // A guess that far off is worth one look, a near one is closed in from both sides.
        if guess < furthest { self.fresh([low.max(holds + 1), high]) } else { self.fresh([round(guess), round(guess)]) }
    }

    fn between(&self, holds: u64, breaks: u64) -> Vec<u64> {
        let (low, high) = (holds as f64, breaks as f64);
        let middle = libm::sqrt(low * high);
        let inside = |guess: &f64| *guess > low && *guess < high;
        let [one, other] = self.guess(holds).filter(inside).map_or_else(
            || [round(libm::cbrt(low * low * high)), round(libm::cbrt(low * high * high))],
            |guess| {
                let pair = self.around(guess);
                // A guess that leaves most of the bracket open is taken with its middle.
                if pair[1] >= breaks || pair[0] <= holds { [round(guess), round(middle)] } else { pair }
            },
        );
        let clamp = |size: u64| size.clamp(holds + 1, breaks - 1);
        let mut sizes = [clamp(one), clamp(other)];
        sizes.sort_unstable();
        self.fresh(sizes)
    }

    /// Two sizes that are the answer if a guess is right.
    fn around(&self, guess: f64) -> [u64; 2] {
        let reach = 1.0 + self.tolerance * 0.45;
        [round(guess / reach), round(guess * reach)]
    }

    /// Where the line through what is known nearest to the limit meets it.
    fn guess(&self, holds: u64) -> Option<f64> {
        let point = |(size, trial): (&u64, &Trial)| Some((*size, trial.score?));
        let beyond = self.trials.range(holds + 1..).find_map(point);
        let mut below = self.trials.range(..=holds).rev().filter_map(point);
        let (x0, y0) = below.next()?;
        let (x1, y1) = beyond.or_else(|| below.next())?;
        let slope = (y1 - y0) / (x1 as f64 - x0 as f64);
        // Scores that do not grow say nothing of where the end is.
        (slope > 0.0).then(|| x0 as f64 + (1.0 - y0) / slope).filter(|guess| guess.is_finite())
    }

    /// Half and one and a half of the answer, if nobody was near them.
    fn checks(&self, holds: u64) -> Vec<u64> {
        if !self.checked {
            return Vec::new();
        }
        let near = |size: u64| {
            let (low, high) = (size as f64 / NEAR, size as f64 * NEAR);
            self.trials.keys().any(|tried| (low..=high).contains(&(*tried as f64)))
        };
        let sizes = [holds / 2, holds + holds.div_ceil(2)];
        sizes.into_iter().filter(|size| (self.min..=self.max).contains(size) && !near(*size)).collect()
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes are positive and far below 2^53")]
fn round(size: f64) -> u64 {
    libm::round(size.max(1.0)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Searches a curve to its end: the bracket, and how many sizes were tried.
    fn search(mut search: Search, curve: impl Fn(u64) -> f64) -> (Search, usize) {
        let mut trials = 0;
        loop {
            let next = search.next();
            if next.is_empty() {
                return (search, trials);
            }
            for size in next {
                assert!(search.tried_before(size).is_none(), "{size} is tried twice");
                let score = curve(size);
                let known = score <= 2.0;
                search.tried(size, Trial { holds: score <= 1.0, score: known.then_some(score) });
                trials += 1;
            }
            assert!(trials < 100, "no end");
        }
    }

    impl Search {
        fn tried_before(&self, size: u64) -> Option<&Trial> {
            self.trials.get(&size)
        }
    }

    fn check(max: u64, curve: impl Fn(u64) -> f64, most: usize) -> Bracket {
        let (search, trials) = search(Search::new(1, max, 0.05, (max / 64).max(1)), curve);
        assert!(trials <= most, "{trials} trials: {:?}", search.trials);
        assert_eq!(search.exceptions(), Vec::<u64>::new());
        search.bracket()
    }

    #[test]
    fn the_end_is_found_in_few_trials_whatever_the_curve() {
        let proportional = check(100_000, |n| n as f64 / 59_000.0 + 0.02, 6);
        assert!(proportional.holds.unwrap() <= 57_820 && proportional.breaks.unwrap() > 57_820, "{proportional:?}");
        let cliff = check(100_000, |n| if n <= 41_234 { 0.3 } else { 9.0 }, 16);
        assert!(cliff.holds.unwrap() <= 41_234 && cliff.breaks.unwrap() > 41_234, "{cliff:?}");
        let early = check(100_000, |n| n as f64 / 130.0, 16);
        assert!(early.holds.unwrap() <= 130 && early.breaks.unwrap() > 130, "{early:?}");
        assert_eq!(check(100_000, |_| 0.4, 6), Bracket { holds: Some(100_000), breaks: None });
        assert_eq!(check(100_000, |_| 7.0, 16), Bracket { holds: None, breaks: Some(1) });
        assert_eq!(check(20, |n| n as f64 / 7.5, 12), Bracket { holds: Some(7), breaks: Some(8) });
        assert_eq!(check(1, |_| 0.5, 1), Bracket { holds: Some(1), breaks: None });
    }

    #[test]
    fn a_size_that_holds_above_one_that_does_not_is_an_exception() {
        let mut search = Search::new(1, 64, 0.05, 1);
        for (size, holds) in [(4, true), (10, false), (16, true), (32, false), (40, true)] {
            search.tried(size, Trial { holds, score: None });
        }
        assert_eq!(search.bracket(), Bracket { holds: Some(4), breaks: Some(10) });
        assert_eq!(search.exceptions(), [16, 40]);
    }

    proptest! {
        #[test]
        fn the_ends_are_as_close_as_asked_and_the_truth_lies_between(
            end in 1_u64..200_000, power in 0.1_f64..4.0, floor in 0.0_f64..0.9,
        ) {
            let curve = |n: u64| floor + (1.0 - floor) * (n as f64 / end as f64).powf(power);
            let (search, _) = search(Search::new(1, 100_000, 0.05, 1_500), curve);
            let Bracket { holds, breaks } = search.bracket();
            prop_assert!(search.exceptions().is_empty());
            match (holds, breaks) {
                (Some(holds), Some(breaks)) => {
                    prop_assert!(search.is_narrow(holds, breaks));
                    prop_assert!(curve(holds) <= 1.0 && curve(breaks) > 1.0);
                }
                (Some(holds), None) => prop_assert_eq!(holds, 100_000),
                (None, _) => prop_assert!(false, "one cluster always holds"),
            }
        }
    }
}
