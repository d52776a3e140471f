//! A set of dense ids.

/// A fixed number of bits, all clear at first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    pub(super) fn new(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(64)] }
    }

    pub(super) fn get(&self, index: usize) -> bool {
        self.words[index / 64] >> (index % 64) & 1 == 1
    }

    /// Sets the bit; whether it was clear.
    pub(super) fn set(&mut self, index: usize) -> bool {
        let fresh = !self.get(index);
        self.words[index / 64] |= 1 << (index % 64);
        fresh
    }

    /// Clears the bit; whether it was set.
    pub(super) fn clear(&mut self, index: usize) -> bool {
        let held = self.get(index);
        self.words[index / 64] &= !(1 << (index % 64));
        held
    }

    pub(super) fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}
