//! One number for everything that happened: the sum over all transitions of a hash of (time, entity, transition).
//!
//! A sum does not ask for an order, so transitions may be found in any: on several threads, or many of them in one step.
//! It is 64 bits wide, which tells runs apart, not forgers.

use crate::seed::Seed;
use crate::units::Time;
use rustc_hash::FxHasher;
use std::hash::{Hash, Hasher as _};

/// See the module head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest(u64);

impl Digest {
    /// At this time this entity became that.
    pub(super) fn note(&mut self, at: Time, entity: u64, what: u64) {
        self.0 = self.0.wrapping_add(Seed::new(at.0).entity(entity).bits(what));
    }

    /// Adds the transitions of others.
    pub(super) const fn merge(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }

    pub(super) const fn value(self) -> u64 {
        self.0
    }
}

/// A fingerprint of small values. Of texts only where they are drawn once: hashing one takes its length.
pub(super) fn print(of: &impl Hash) -> u64 {
    let mut hash = FxHasher::default();
    of.hash(&mut hash);
    hash.finish()
}
