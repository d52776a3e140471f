//! Counting calls by what they were.

use super::{Kind, Op, Target, Verb};
use std::collections::BTreeMap;

/// What distinguishes one count from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey {
    /// Which API server.
    pub target: Target,
    /// What the call did.
    pub verb: Verb,
    /// The kind it was about; `None` for discovery and the like.
    pub kind: Option<Kind>,
    /// It went to the `status` subresource.
    pub status: bool,
    /// It was a dry run.
    pub dry_run: bool,
    /// The HTTP status of the answer, 0 for none.
    pub code: u16,
}

/// Calls counted by key. Ordered, so that two equal runs print the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    counts: BTreeMap<CallKey, u64>,
}

impl Tally {
    /// Counts one call and its answer.
    pub fn add<B>(&mut self, op: &Op<B>, code: u16) {
        let kind = (op.verb != Verb::Discover).then_some(op.kind);
        let key = CallKey { target: op.target, verb: op.verb, kind, status: op.status, dry_run: op.dry_run, code };
        self.add_key(key, 1);
    }

    /// Counts `n` calls of one key.
    pub fn add_key(&mut self, key: CallKey, n: u64) {
        *self.counts.entry(key).or_default() += n;
    }

    /// Adds another tally to this one.
    pub fn merge(&mut self, other: &Self) {
        for (key, n) in &other.counts {
            self.add_key(*key, *n);
        }
    }

    /// The counts in key order.
    pub fn iter(&self) -> impl Iterator<Item = (CallKey, u64)> + '_ {
        self.counts.iter().map(|(key, n)| (*key, *n))
    }

    /// All calls.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }
}
