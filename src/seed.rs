//! The tree of seeds: the only place where randomness is made.
//!
//! A draw is a hash of (seed, purpose, entity, n), so the order of events and draws added later disturb nothing. The
//! same inputs give the same draw on every platform and thread count.

use crate::units::Span;

/// A node in the tree of seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seed(u64);

impl Seed {
    /// The root, as the user gave it.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x666c_616d_626f_7961))
    }

    /// The child for one purpose. Purposes are fixed words of the code: renaming one changes its draws alone.
    #[must_use]
    pub fn child(self, purpose: &str) -> Self {
        let mut state = self.0;
        for chunk in purpose.as_bytes().chunks(8) {
            let mut word = [0_u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            state = mix(state ^ u64::from_le_bytes(word));
        }
        Self(mix(state ^ purpose.len() as u64))
    }

    /// The child for one entity of a purpose.
    #[must_use]
    pub const fn entity(self, entity: u64) -> Self {
        Self(mix(self.0 ^ mix(entity ^ 0x9e37_79b9_7f4a_7c15)))
    }

    /// The `n`-th draw of this node: 64 uniform bits.
    #[must_use]
    pub const fn bits(self, n: u64) -> u64 {
        mix(self.0.wrapping_add(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// The `n`-th draw, uniform in `0..bound` (0 if the bound is 0). Bias is below `bound / 2^64`.
    #[must_use]
    pub const fn below(self, n: u64, bound: u64) -> u64 {
        ((self.bits(n) as u128 * bound as u128) >> 64) as u64
    }

    /// The `n`-th draw, uniform in the half-open span `low..high`, `low` if it is empty.
    #[must_use]
    pub const fn span(self, n: u64, low: Span, high: Span) -> Span {
        Span(low.0 + self.below(n, high.0.saturating_sub(low.0)))
    }

    /// The `n`-th draw, uniform in the open interval (0, 1), for inverse distributions.
    #[must_use]
    pub fn unit(self, n: u64) -> f64 {
        ((self.bits(n) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// The `n`-th draw, exponential with the given mean (the gaps of a Poisson process).
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturating by definition of `as`")]
    pub fn exponential(self, n: u64, mean: Span) -> Span {
        // libm, not std: std's logarithm differs between platforms.
        Span((-libm::log(self.unit(n)) * mean.0 as f64) as u64)
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every input bit flips every output bit with chance one half.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_depends_on_its_purpose_entity_and_number_alone() {
        let seed = Seed::new(7);
        let draw = seed.child("fleet").entity(12).bits(3);
        assert_eq!(draw, Seed::new(7).child("fleet").entity(12).bits(3));
        for other in [
            Seed::new(8).child("fleet").entity(12).bits(3),
            seed.child("fleets").entity(12).bits(3),
            seed.child("fleet").entity(13).bits(3),
            seed.child("fleet").entity(12).bits(4),
        ] {
            assert_ne!(draw, other);
        }
    }

    #[test]
    fn draws_below_a_bound_cover_it_evenly() {
        let seed = Seed::new(1).child("even");
        let mut counts = [0_u32; 10];
        for n in 0..10_000 {
            counts[usize::try_from(seed.below(n, 10)).unwrap()] += 1;
        }
        assert!(counts.iter().all(|&c| (850..1150).contains(&c)), "{counts:?}");
    }

    #[test]
    fn exponential_gaps_have_the_asked_mean() {
        let seed = Seed::new(1).child("gaps");
        let total: u64 = (0..10_000).map(|n| seed.exponential(n, Span::from_millis(10)).0).sum();
        let mean_ms = total / 10_000 / 1_000;
        assert!((9_500..10_500).contains(&mean_ms), "{mean_ms} us");
    }
}
