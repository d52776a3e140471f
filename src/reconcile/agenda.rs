//! Why an app is looked at, and when it is looked at again: what a manager remembers of one app between its rounds.
//!
//! In: what the watches tell, the outcomes of rounds, the time. Out: the reason of the next round, and adds to the work
//! queue. Forty bytes per app.

use super::{Health, Outcome, Queue, Resync, Verdict, Why};
use crate::units::{Span, Time};

/// See the module head.
#[derive(Clone, Copy, Debug, Default)]
pub struct Agenda {
    /// The Application changed since the last round began.
    pub changed: bool,
    /// One of its Flux objects did.
    pub touched: bool,
    resync_at: Option<Time>,
    rounds: u64,
}

impl Agenda {
    /// Why the round that begins now is made; what was noted counts as seen.
    pub fn begin(&mut self, now: Time) -> Why {
        let due = self.resync_at.is_some_and(|at| at <= now);
        match (due, std::mem::take(&mut self.changed), std::mem::take(&mut self.touched)) {
            (true, _, _) | (false, false, false) => Why::Time,
            (false, true, _) => Why::App,
            (false, false, true) => Why::Leaf,
        }
    }

    /// A round over `key` came to an end: it is put back into the queue for when it is to be looked at again. The caller
    /// tells the queue that the key is done.
    pub fn end(&mut self, key: u32, outcome: &Outcome, resync: &Resync, queue: &mut Queue, now: Time) {
        if outcome.verdict != Verdict::Ignored {
            self.rounds += 1;
            self.resync_at = resync.after(key, self.rounds).map(|span| now + span);
        }
        queue.cancel_delay(key);
        if outcome.verdict == Verdict::Failed {
            return queue.add_rate_limited(key, now);
        }
        queue.forget(key);
        let again = outcome.again.map(|span| now + span);
        if let Some(at) = again.into_iter().chain(self.resync_at).min() {
            queue.add_after(key, at.since(now).max(Span(1)), now);
        }
    }

    /// Whether nothing but a resync is to come.
    #[must_use]
    pub fn awaits_resync(&self, key: u32, queue: &Queue) -> bool {
        !self.changed && !self.touched && queue.due(key) == self.resync_at
    }

    /// How many rounds ended, and when the last one did, if it set a resync.
    #[must_use]
    pub fn ended(&self, key: u32, resync: &Resync) -> (u64, Option<Time>) {
        let ended = |at: Time| Some(at - resync.after(key, self.rounds)?);
        (self.rounds, self.resync_at.and_then(ended))
    }

    /// So many rounds ended, the last one at `at`, which found nothing to do: what so many calls of [`Agenda::end`] leave.
    pub fn rested(&mut self, key: u32, rounds: u64, resync: &Resync, queue: &mut Queue, at: Time) {
        self.rounds += rounds;
        self.resync_at = resync.after(key, self.rounds).map(|span| at + span);
        queue.cancel_delay(key);
        queue.forget(key);
        if let Some(due) = self.resync_at {
            queue.add_after(key, due.since(at).max(Span(1)), at);
        }
    }
}

/// What of a Flux object an app's status depends on. `T` stands for a text: the text itself, or its fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance<T> {
    /// Its health.
    pub health: Option<Health>,
    /// It is on its way out.
    pub deleting: bool,
    /// The revision it stands at.
    pub revision: T,
    /// The text shown with its health.
    pub message: T,
}

impl<T: PartialEq> Glance<T> {
    /// Whether what is seen now is worth a look at the app. Texts of progress come and go with every reconcile.
    #[must_use]
    pub fn is_news(&self, before: &Self) -> bool {
        before.health != self.health
            || before.deleting != self.deleting
            || before.revision != self.revision
            || self.health != Some(Health::Progressing) && before.message != self.message
    }
}
