//! What is there, as a watch tells it.
//!
//! In: what is heard, a list before and after its objects. Out: what a list left out, which went while nobody listened.

use std::collections::BTreeMap;

/// Objects by key, each with what is kept of it.
#[derive(Debug)]
pub(in crate::drive::live) struct Known<K, V = ()> {
    /// And whether the list that is being told has it.
    all: BTreeMap<K, (V, bool)>,
}

impl<K, V> Default for Known<K, V> {
    fn default() -> Self {
        Self { all: BTreeMap::new() }
    }
}

impl<K: Ord, V> Known<K, V> {
    /// Everything is about to be told from the beginning.
    pub(in crate::drive::live) fn listing(&mut self) {
        self.all.values_mut().for_each(|(_, told)| *told = false);
    }

    /// An object is there; gives what was kept of it.
    pub(in crate::drive::live) fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.all.insert(key, (value, true)).map(|(before, _)| before)
    }

    /// An object is gone.
    pub(in crate::drive::live) fn remove(&mut self, key: &K) {
        self.all.remove(key);
    }

    /// Everything that exists was told: gives what was known and is gone, and forgets it.
    pub(in crate::drive::live) fn listed(&mut self) -> Vec<(K, V)> {
        let (known, gone): (_, BTreeMap<_, _>) =
            std::mem::take(&mut self.all).into_iter().partition(|(_, (_, told))| *told);
        self.all = known;
        gone.into_iter().map(|(key, (value, _))| (key, value)).collect()
    }
}
