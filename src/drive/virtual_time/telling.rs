//! What happened in a leaf's part, kept so that it can be told of another leaf that does the same.
//!
//! In: a stretch of a part that is played. Out: everything that others heard of it, timed from its begin: counts,
//! transitions, what whoever measures was told. What it leaves behind on the leaf is the affair of `opening` and `course`.

use super::sim::{Simulation, change_id};
use super::sums::Sums;
use super::tally::Counts;
use crate::ids::ChangeId;
use crate::measure::{Change, Signal};
use crate::units::{Span, Time};

/// What whoever measures hears.
#[derive(Clone, Copy, Debug)]
pub(super) enum Heard {
    Intended(Change),
    Sent(ChangeId, Time),
    Stored(ChangeId, u64),
    Signal(Signal),
}

/// What is kept while a stretch is played.
#[derive(Debug)]
pub(super) struct Listening {
    begin: Time,
    numbers: [u64; 5],
    heard: Vec<(Time, Heard)>,
}

/// See the module head.
#[derive(Debug)]
pub(super) struct Telling {
    begin: Time,
    last: Span,
    /// Calls of the leaf's controllers, of its manager, of the management cluster, of the harness.
    counts: [Vec<(u32, u64)>; 4],
    /// The management cluster's CPU time, the watch events that it and the hub had, calls without a price, events.
    numbers: [u64; 5],
    notes: Vec<(Span, u64, u64)>,
    heard: Vec<(Time, Heard)>,
}

impl Telling {
    /// How many changes were stored.
    pub(super) fn stored(&self) -> usize {
        self.heard.iter().filter(|(_, what)| matches!(what, Heard::Stored(..))).count()
    }
}

impl Simulation<'_> {
    /// Calls of the leaf's controllers, of its manager, of the management cluster, of the harness.
    pub(super) fn tables(&mut self) -> [&mut Counts; 4] {
        let (Sums { rows, above, harness, .. }, row) = (&mut self.sums, self.managers[0].row as usize);
        [&mut self.out.counts, &mut rows[row].counts, &mut above.counts, harness]
    }

    fn numbers(&mut self) -> [&mut u64; 5] {
        let Sums { above, hub_events, events, .. } = &mut self.sums;
        [&mut above.cpu.0, &mut above.watch_events, hub_events, &mut self.out.unpriced, events]
    }

    /// Everything is kept from now on.
    pub(super) fn listen(&mut self) {
        self.tables().into_iter().for_each(Counts::listen);
        self.out.notes = Some(Vec::new());
        let numbers = self.numbers().map(|number| *number);
        self.listening = Some(Box::new(Listening { begin: self.now, numbers, heard: Vec::new() }));
    }

    /// What was kept; from now on nothing is.
    pub(super) fn listened(&mut self) -> Option<Telling> {
        let Listening { begin, numbers, heard } = *self.listening.take()?;
        let counts = self.tables().map(Counts::heard);
        let now = self.numbers().map(|number| *number);
        let (number, apps) = (self.leaves[0].number(), self.apps.len() as u64);
        // Of Applications the number within the part, of a leaf's objects that within the leaf.
        let local = |entity: u64| if entity >> 60 == 0 { entity % apps } else { entity ^ number };
        let notes = self.out.notes.take().unwrap_or_default().into_iter();
        Some(Telling {
            begin,
            last: self.now.since(begin),
            counts,
            numbers: std::array::from_fn(|n| now[n] - numbers[n]),
            notes: notes.map(|(at, entity, what)| (at.since(begin), local(entity), what)).collect(),
            heard,
        })
    }

    /// Whoever measures hears of something.
    pub(super) fn hear(&mut self, what: Heard) {
        if let Some(listening) = &mut self.listening {
            listening.heard.push((self.now, what));
        }
    }

    /// Tells it all of this part's leaf, from now on. `first` is how much higher its changes are
    /// numbered here, and when they were intended there and here.
    pub(super) fn tell_again(&mut self, telling: &Telling, first: (usize, Time, Time)) {
        let (begin, number, row) = (self.now, self.leaves[0].number(), self.managers[0].row);
        for (after, entity, what) in &telling.notes {
            let ours = if entity >> 60 == 0 {
                self.part.app(u32::try_from(*entity).unwrap_or(u32::MAX)).0.into()
            } else {
                entity ^ number
            };
            self.out.note(begin + *after, ours, *what);
        }
        self.tables().into_iter().zip(&telling.counts).for_each(|(table, more)| table.add_again(more, 1));
        self.numbers().into_iter().zip(telling.numbers).for_each(|(number, more)| *number += more);
        self.sums.folded[1] += 1;
        let at = |time: Time| begin + time.since(telling.begin);
        let (change, there, here) = first;
        for (now, what) in &telling.heard {
            self.ledger.advance(if *now == there { here } else { at(*now) });
            match *what {
                Heard::Intended(change) => {
                    self.ledger.intend(Change { intended: here, ..change });
                }
                Heard::Sent(id, sent) => self.ledger.sent(id, here + sent.since(there)),
                Heard::Stored(id, generation) => {
                    self.ledger.stored(change_id(change.wrapping_add(id.index())), generation)
                }
                Heard::Signal(signal) => self.ledger.take(signal.again(at(signal.at()), row)),
            }
        }
        self.ledger.advance(begin + telling.last);
    }

    /// A change is about to be made.
    pub(super) fn intend(&mut self, change: Change) -> ChangeId {
        self.hear(Heard::Intended(change));
        self.ledger.intend(change)
    }

    /// The write of a change left.
    pub(super) fn sent(&mut self, id: ChangeId, at: Time) {
        self.hear(Heard::Sent(id, at));
        self.ledger.sent(id, at);
    }

    /// The write of a change was stored.
    pub(super) fn stored_as(&mut self, change: u32, generation: u64) {
        let id = change_id(change as usize);
        self.hear(Heard::Stored(id, generation));
        self.ledger.stored(id, generation);
    }
}
