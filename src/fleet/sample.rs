//! Weighted samples without replacement. A ticket depends on its own entity alone, so a new entity takes places from
//! others but never swaps them among themselves.

use crate::seed::Seed;

/// The `n`-th ticket of a node of the tree of seeds: exponential with rate `weight`; the smallest wins (Efraimidis and
/// Spirakis 2006).
pub(super) fn ticket(seed: Seed, n: u64, weight: u32) -> f64 {
    -libm::log(seed.unit(n)) / f64::from(weight)
}

/// Draws some of all who enter.
pub(super) struct Lottery {
    places: usize,
    entries: Vec<(f64, u32)>,
}

impl Lottery {
    pub(super) const fn new(places: usize) -> Self {
        Self { places, entries: Vec::new() }
    }

    pub(super) fn enter(&mut self, entity: u32, ticket: f64) {
        self.entries.push((ticket, entity));
    }

    /// The holders of the smallest tickets, in order of their ids; all if there are places for all.
    pub(super) fn winners(mut self) -> impl Iterator<Item = u32> {
        if self.places < self.entries.len() {
            self.entries.select_nth_unstable_by(self.places, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            self.entries.truncate(self.places);
        }
        let mut winners: Vec<u32> = self.entries.into_iter().map(|(_, entity)| entity).collect();
        winners.sort_unstable();
        winners.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heavier_entities_win_more_often() {
        let mut wins = [0_u32; 3];
        for round in 0..3_000 {
            let mut lottery = Lottery::new(1);
            for (entity, weight) in [(0, 1), (1, 2), (2, 3)] {
                lottery.enter(entity, ticket(Seed::new(1).entity(u64::from(entity)), round, weight));
            }
            lottery.winners().for_each(|entity| wins[entity as usize] += 1);
        }
        assert!((400..600).contains(&wins[0]) && (1_400..1_600).contains(&wins[2]), "{wins:?}");
    }

    #[test]
    fn a_newcomer_takes_places_but_swaps_nobody() {
        let winners = |entities: u32| {
            let mut lottery = Lottery::new(20);
            (0..entities).for_each(|e| lottery.enter(e, ticket(Seed::new(2).entity(u64::from(e)), 0, 1)));
            lottery.winners().collect::<Vec<_>>()
        };
        let (before, after) = (winners(50), winners(60));
        assert_eq!(after.len(), 20);
        assert!(after.iter().filter(|&&e| e < 50).all(|e| before.contains(e)));
        assert!(after.iter().any(|&e| e >= 50), "the draw of this seed lets a newcomer win");
        assert_eq!(winners(10), (0..10).collect::<Vec<_>>());
    }
}
