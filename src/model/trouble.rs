//! What is wrong at the moment: who stands still, who cannot be reached, whose calls take longer or are turned away.
//!
//! In: faults that begin and end. Out: what they mean for one event, call or way. Never what is done about it. Nothing is
//! asked of it while nothing is wrong.

use super::hardware::Site;
use crate::scenario::Trouble as Kind;
use crate::seed::Seed;
use crate::units::{Span, Time};
use std::sync::Arc;

/// Who does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A manager.
    Manager(u32),
    /// The API servers of all clusters, with the Flux controllers on them.
    Leaves,
    /// The hub's API server.
    Hub,
}

/// Who is hit by trouble.
#[derive(Clone, Debug)]
pub enum Hit {
    /// The hub.
    Hub,
    /// These clusters, by number.
    Leaves(Arc<[bool]>),
}

impl Hit {
    fn has(&self, site: Site) -> bool {
        match (self, site) {
            (Self::Hub, Site::Hub) => true,
            (Self::Leaves(all), Site::Leaf(n)) => all.get(n as usize).is_some_and(|hit| *hit),
            _ => false,
        }
    }
}

/// How somebody cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// What is sent waits until then.
    Silent(Time),
    /// Calls are refused until then.
    Refused(Time),
}

/// See the module head.
#[derive(Clone, Debug)]
pub struct Troubles {
    seed: Seed,
    still: Vec<(Actor, Time)>,
    going: Vec<(u32, Hit, Kind, Time)>,
    /// Draws so far, by cluster, the hub last; empty until somebody draws.
    draws: Vec<u32>,
    clusters: usize,
}

impl Troubles {
    /// Nothing is wrong.
    #[must_use]
    pub fn new(seed: Seed, clusters: usize) -> Self {
        Self { seed: seed.child("trouble"), still: Vec::new(), going: Vec::new(), draws: Vec::new(), clusters }
    }

    /// Somebody stands still until then.
    pub fn stand_still(&mut self, actor: Actor, until: Time) {
        self.still.push((actor, until));
    }

    /// Somebody who stood still goes on at once.
    pub fn go_on(&mut self, actor: Actor) {
        self.still.retain(|(other, _)| *other != actor);
    }

    /// Trouble `id` begins.
    pub fn begin(&mut self, id: u32, hit: Hit, kind: Kind, until: Time) {
        self.going.push((id, hit, kind, until));
    }

    /// Trouble `id` is over, or whoever stood still goes on.
    pub fn end(&mut self, id: u32, now: Time) {
        self.going.retain(|(other, ..)| *other != id);
        self.still.retain(|(_, until)| *until > now);
    }

    /// Whether all is well.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.still.is_empty() && self.going.is_empty()
    }

    /// Until when this one stands still.
    #[must_use]
    pub fn still(&self, actor: Actor, now: Time) -> Option<Time> {
        let of = self.still.iter().filter(|(other, until)| *other == actor && *until > now);
        of.map(|(_, until)| *until).max()
    }

    /// How a site cannot be reached, if so.
    #[must_use]
    pub fn cut(&self, site: Site) -> Option<Cut> {
        self.going.iter().filter(|(_, hit, ..)| hit.has(site)).find_map(|(_, _, kind, until)| match kind {
            Kind::Partition => Some(Cut::Silent(*until)),
            Kind::Restart => Some(Cut::Refused(*until)),
            _ => None,
        })
    }

    /// How much longer something takes to or from a site.
    pub fn delay(&mut self, site: Site) -> Span {
        let mut sum = Span::ZERO;
        for n in 0..self.going.len() {
            let (_, hit, kind, _) = &self.going[n];
            if let Kind::Slow { share_ppm, by } = *kind
                && hit.has(site)
                && let Some((seed, nth)) = self.draw(site, share_ppm)
            {
                sum += by.draw(seed.child("by"), nth);
            }
        }
        sum
    }

    /// When a call must come back, if it is turned away.
    pub fn turned_away(&mut self, site: Site) -> Option<Span> {
        for n in 0..self.going.len() {
            let (_, hit, kind, _) = &self.going[n];
            if let Kind::Throttle { share_ppm, retry_after } = *kind
                && hit.has(site)
                && self.draw(site, share_ppm).is_some()
            {
                return Some(retry_after);
            }
        }
        None
    }

    /// The next draw at a site, if it falls into the share.
    fn draw(&mut self, site: Site, share_ppm: u32) -> Option<(Seed, u64)> {
        self.draws.resize(self.clusters + 1, 0);
        let n = match site {
            Site::Leaf(leaf) => leaf as usize,
            Site::Hub => self.clusters,
        };
        let nth = self.draws.get_mut(n)?;
        *nth = nth.wrapping_add(1);
        let (seed, nth) = (self.seed.entity(n as u64), u64::from(*nth));
        (seed.below(nth, 1_000_000) < u64::from(share_ppm)).then_some((seed, nth))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Delay;

    fn some() -> Hit {
        Hit::Leaves(vec![true, false].into())
    }

    #[test]
    fn only_who_is_hit_is_hit_and_only_as_long() {
        let mut troubles = Troubles::new(Seed::new(1), 2);
        troubles.begin(0, some(), Kind::Partition, Time(9));
        troubles.begin(1, Hit::Hub, Kind::Restart, Time(7));
        let cuts = |troubles: &Troubles| [Site::Leaf(0), Site::Leaf(1), Site::Hub].map(|site| troubles.cut(site));
        assert_eq!(cuts(&troubles), [Some(Cut::Silent(Time(9))), None, Some(Cut::Refused(Time(7)))]);
        troubles.end(0, Time(9));
        assert_eq!(cuts(&troubles), [None, None, Some(Cut::Refused(Time(7)))]);
        troubles.end(1, Time(9));
        assert!(troubles.is_over());
    }

    #[test]
    fn who_stands_still_does_so_until_the_longest_end() {
        let mut troubles = Troubles::new(Seed::new(1), 2);
        troubles.stand_still(Actor::Hub, Time(5));
        troubles.stand_still(Actor::Manager(1), Time(9));
        assert_eq!(troubles.still(Actor::Hub, Time(2)), Some(Time(5)));
        assert_eq!(troubles.still(Actor::Hub, Time(5)), None);
        assert_eq!(troubles.still(Actor::Manager(0), Time(2)), None);
        troubles.end(0, Time(5));
        assert_eq!(troubles.still(Actor::Manager(1), Time(5)), Some(Time(9)));
    }

    #[test]
    fn a_share_of_the_calls_is_hit() {
        let mut troubles = Troubles::new(Seed::new(1), 2);
        let by = Delay::Fixed(Span(10));
        troubles.begin(0, some(), Kind::Slow { share_ppm: 250_000, by }, Time(9));
        troubles.begin(1, some(), Kind::Throttle { share_ppm: 500_000, retry_after: Span(3) }, Time(9));
        let slow: u64 = (0..1_000).map(|_| troubles.delay(Site::Leaf(0)).0).sum();
        let away = (0..1_000).filter(|_| troubles.turned_away(Site::Leaf(0)) == Some(Span(3))).count();
        assert!((2_000..3_000).contains(&slow) && (430..570).contains(&away), "{slow} {away}");
        assert_eq!((troubles.delay(Site::Leaf(1)), troubles.turned_away(Site::Hub)), (Span::ZERO, None));
    }
}
