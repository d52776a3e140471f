//! Weighted choices as integer tables, so that a draw is the same on every platform.

use crate::scenario::{Nodes, Weighted};
use crate::seed::Seed;

/// Cumulative weights of the choices `0..n`.
#[derive(Clone, Debug)]
pub(super) struct Table {
    cumulative: Vec<u64>,
}

impl Table {
    pub(super) fn weighted(choices: &[Weighted]) -> Self {
        Self::from_weights(choices.iter().map(|choice| u64::from(choice.weight)))
    }

    /// Sizes `1..=max` as choices `0..max`. A weight is k^-exponent in units of 2^-40, at least one unit; `libm` because
    /// std's power differs between platforms.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in 0..=2^40 by construction")]
    pub(super) fn nodes(nodes: Nodes) -> Self {
        match nodes {
            Nodes::Fixed(_) => Self { cumulative: Vec::new() },
            Nodes::Zipf { exponent_milli, max } => {
                let exponent = f64::from(exponent_milli) / 1000.0;
                let unit = (1_u64 << 40) as f64;
                Self::from_weights((1..=max).map(|k| (unit * libm::pow(f64::from(k), -exponent)).max(1.0) as u64))
            }
        }
    }

    fn from_weights(weights: impl Iterator<Item = u64>) -> Self {
        let cumulative = weights.scan(0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self { cumulative: cumulative.collect() }
    }

    /// The choice of one entity; 0 if there is nothing to choose.
    pub(super) fn draw(&self, seed: Seed, entity: u64) -> usize {
        let total = self.cumulative.last().copied().unwrap_or(0);
        let at = seed.entity(entity).below(0, total);
        self.cumulative.partition_point(|&sum| sum <= at).min(self.cumulative.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(table: &Table, draws: u64) -> Vec<u32> {
        let mut counts = vec![0; table.cumulative.len()];
        for n in 0..draws {
            counts[table.draw(Seed::new(3), n)] += 1;
        }
        counts
    }

    #[test]
    fn choices_come_by_weight() {
        let weighted = |name: &str, weight| Weighted { name: name.to_owned(), weight };
        let counts = counts(&Table::weighted(&[weighted("a", 1), weighted("b", 0), weighted("c", 3)]), 8_000);
        assert!((1_800..2_200).contains(&counts[0]) && counts[1] == 0, "{counts:?}");
    }

    #[test]
    fn sizes_follow_zipf() {
        // H(100) = 5.187: a classic Zipf law over 1..=100 gives size 1 to 19.3 % and size 2 to 9.6 %.
        let counts = counts(&Table::nodes(Nodes::Zipf { exponent_milli: 1000, max: 100 }), 100_000);
        assert!((18_800..19_800).contains(&counts[0]) && (9_200..10_100).contains(&counts[1]), "{counts:?}");
        assert!(counts[99] > 0, "the largest size occurs");
    }

    #[test]
    fn nothing_to_choose_is_choice_zero() {
        assert_eq!(Table::weighted(&[]).draw(Seed::new(1), 5), 0);
    }
}
