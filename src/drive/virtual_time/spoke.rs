//! Hub and spoke: what passes between the hub and the leaves.
//!
//! The talk that asked for it says no more than that a management cluster manages a Flamingo on every cluster. Chosen, as in
//! live runs: people write Applications to the hub; the management cluster copies each to its leaf and brings the copy's
//! status back (`reconcile::relay`), two calls for what one costs elsewhere. Each leaf's own manager works as any other,
//! but beside its API server instead of one network away, and never speaks to the hub. Managers are there before the
//! timeline begins, as Flux is; rolling them out is not simulated.
//!
//! The hub's cores take what comes from the harness in the order of the timeline, whoever it is for. What comes back from
//! the leaves costs the hub and the management cluster as much as any patch, but waits for nothing there: only so do leaves
//! have nothing to do with each other. The record says what it took; where that is more than there is, status comes back
//! later than told here.

use super::event::{Event, Stage};
use super::parts;
use super::sim::Simulation;
use crate::calls::{Kind, Target, Verb};
use crate::fleet::{Change, ChangeKind};
use crate::ids::AppId;
use crate::measure::{Health, Signal, Sync};
use crate::model::hardware::{Direction, Site};
use crate::model::prices::Call;
use crate::units::{Span, Time};

/// What the hub knows of an app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) health: Health,
    pub(super) sync: Sync,
    pub(super) compared: u64,
    pub(super) revision: u64,
    pub(super) gone: bool,
}

impl Report {
    /// It is on the hub from `at` on.
    pub(super) const fn signal(self, app: u32, at: Time, generation: u64) -> Signal {
        let Self { health, sync, compared, revision, gone } = self;
        Signal::AppCommitted { app: AppId(app), at, generation, deleted: gone, health, sync, compared, revision }
    }
}

impl Simulation<'_> {
    /// The harness changes an Application on the hub; its copy follows when the hub has stored it.
    pub(super) fn assign(&mut self, change: Change, index: u32, stage: Stage) {
        let stored = self.stored(index);
        let Some(verb) = parts::verb(change.kind) else { return };
        let code = if verb == Verb::Create { 201 } else { 200 };
        self.sums.harness.add_key(Target::Hub, verb, Kind::APPLICATION, (false, false), code);
        self.sums.hub_events += 1;
        let app = self.local(change.app);
        self.sums.above.watch_events += 1;
        if change.kind == ChangeKind::Install {
            self.hub_objects.0 += 1;
            self.hub_objects.1 = self.hub_objects.1.max(self.hub_objects.0);
            self.told[app as usize] = Report::default();
            self.signal(Report::default().signal(app, stored, 1));
        }
        let copied = stored.max(self.now) + self.way() + self.relay_work();
        let there = self.hardware.travel(Site::Leaf(self.apps[app as usize].leaf), Direction::There, copied, 0);
        let there = self.in_order(there);
        self.queue.push(there, Event::Write { index, stage, tries: 1 });
    }

    /// What the hub and a leaf tell each other arrives in the order in which it is sent.
    fn in_order(&mut self, at: Time) -> Time {
        // Nobody else uses the hub's place: its watch is the management cluster's.
        let Some(last) = self.heard.last_mut() else { return at };
        *last = at.max(*last);
        *last
    }

    /// What the management cluster spends on hearing of a change and passing it on.
    fn relay_work(&mut self) -> Span {
        let thinking = &self.ground.scenario.model.manager;
        let cost = thinking.hear + thinking.ask;
        self.sums.above.cpu += cost;
        cost
    }

    /// A copy was written.
    pub(super) fn copied(&mut self, verb: Verb, code: u16) {
        let verb = if verb == Verb::Delete { verb } else { Verb::Apply };
        self.sums.above.counts.add_key(Target::Leaf, verb, Kind::APPLICATION, (false, false), code);
    }

    /// An Application of a leaf is stored at `done`: the hub is told, if it makes a difference there.
    pub(super) fn report(&mut self, app: u32, report: Report, done: Time) {
        if std::mem::replace(&mut self.told[app as usize], report) == report {
            return;
        }
        let leaf = Site::Leaf(self.apps[app as usize].leaf);
        let call = Call::new(Verb::Patch, Kind::APPLICATION, (false, false));
        let heard = self.hardware.travel(leaf, Direction::Back, done, call.bytes[1]);
        let there = self.in_order(heard) + self.relay_work() + self.way();
        let stored = self.hardware.serve_first(Site::Hub, call, there, there);
        let stored = self.hardware.tell(Site::Hub, 1, there, stored);
        let above = &mut self.sums.above;
        // Of the copy, and of its own write.
        above.watch_events += 2;
        above.counts.add_key(Target::Hub, Verb::Patch, Kind::APPLICATION, (false, false), 200);
        self.sums.hub_events += 1;
        self.hub_objects.0 -= u64::from(report.gone);
        let report = self.reports.put(report.signal(app, stored, 0));
        self.queue.push(stored, Event::Reported { report });
    }
}
