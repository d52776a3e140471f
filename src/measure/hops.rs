//! Follows every change from its intention to its end.
//!
//! In: changes as they were intended, and [`Signal`]s in the order of their times. Out: [`Finished`] changes split by
//! hop, counts of superseded ones, the health of every app. Pure: no clock, no files; the same inputs give the same
//! outputs, live or virtual.
//!
//! A change is done when its goal is *observed*, never when a call returned. Several changes of one app may be open;
//! when one is done, the older ones that never were count as superseded (drift excepted: it is mended, not replaced).
//!
//! Memory: 96 bytes per app and about 150 per open change, so a million apps that all install at once hold 250 MB.

use super::change::{Change, ChangeKind, Finished, Hop};
use super::signal::{FluxObject, Health, ObjectChange, RoundOutcome, Signal, Sync};
use crate::ids::{AppId, ChangeId};
use crate::units::Time;

/// No manager yet.
const NOBODY: u32 = u32::MAX;

/// What the tracker knows of one app.
#[derive(Clone, Debug)]
struct App {
    /// Newest generation that a manager saw, and when it first saw that one.
    seen: (u64, Time),
    status: Status,
    /// When it was stored.
    status_at: Time,
    /// End of the last round and who ran it.
    round: (Time, u32),
    /// Installed objects in the store.
    objects: u32,
    /// Open changes, oldest first; nearly always none or one.
    open: Vec<Open>,
    on_hub: bool,
    source_there: bool,
    workload_there: bool,
    of_install: bool,
    double_owned: bool,
}

/// What the Application says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Status {
    health: Health,
    sync: Sync,
    compared: u64,
    revision: u64,
}

impl Status {
    fn is_healthy(self) -> bool {
        self.health == Health::Healthy && self.sync == Sync::Synced
    }

    /// It says what the change wants it to say. A manager that reports no revision is not asked for one.
    fn satisfies(self, change: &Change) -> bool {
        self.is_healthy()
            && (change.source == 0 || self.compared == change.source)
            && (change.revision == 0 || self.revision == 0 || self.revision == change.revision)
    }
}

/// A change on its way.
#[derive(Clone, Copy, Debug)]
struct Open {
    id: ChangeId,
    change: Change,
    /// The Application's generation after the write; `None` until the writer knows.
    generation: Option<u64>,
    /// The workload object's generation that belongs to the change.
    workload_generation: u64,
    reached: [Option<Time>; 6],
    /// Drift: the stranger's write was observed.
    drifted: bool,
}

impl Open {
    fn reach(&mut self, hop: Hop, at: Time) {
        self.reached[hop as usize].get_or_insert(at);
    }

    fn reach_again(&mut self, hop: Hop, at: Time) {
        self.reached[hop as usize] = Some(at);
    }

    const fn has(&self, hop: Hop) -> bool {
        self.reached[hop as usize].is_some()
    }

    const fn may_roll_out(&self) -> bool {
        self.change.kind.rolls_out()
            && (self.has(Hop::Written) || !self.change.kind.needs_written(self.change.through_flux))
    }

    const fn wants_revision(&self, revision: u64) -> bool {
        self.change.revision == 0 || self.change.revision == revision
    }

    /// From when on a report of the manager speaks about this change; `None`: not yet.
    const fn reportable(&self) -> Option<Time> {
        if self.change.through_flux { self.reached[Hop::Ready as usize] } else { Some(self.change.intended) }
    }
}

/// Counts of a [`Tracker`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Changes intended so far.
    pub changes: u64,
    /// Of those, done.
    pub finished: u64,
    /// Of those, overtaken by a younger change of the same app.
    pub superseded: u64,
    /// Of those, given up because their write failed.
    pub abandoned: u64,
    /// Applications on the hub.
    pub apps: u64,
    /// Of those, `Healthy` and `Synced`.
    pub healthy: u64,
    /// Apps that two managers worked on at the same time.
    pub double_owned: u64,
    /// Times that an app's round ran on another manager than the one before.
    pub moved: u64,
    /// Of those rounds, those of apps that had nothing to do: work that the move alone made.
    pub repeated_rounds: u64,
    /// Calls of those.
    pub repeated_calls: u64,
}

impl Progress {
    /// Changes on their way.
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.changes - self.finished - self.superseded - self.abandoned
    }

    /// Adds the counts of other apps.
    pub const fn add(&mut self, other: &Self) {
        self.changes += other.changes;
        self.finished += other.finished;
        self.superseded += other.superseded;
        self.abandoned += other.abandoned;
        self.apps += other.apps;
        self.healthy += other.healthy;
        self.double_owned += other.double_owned;
        self.moved += other.moved;
        self.repeated_rounds += other.repeated_rounds;
        self.repeated_calls += other.repeated_calls;
    }
}

/// Follows changes. See the module head.
#[derive(Clone, Debug)]
pub struct Tracker {
    apps: Vec<App>,
    /// Whose each change is, by `ChangeId`.
    owners: Vec<AppId>,
    progress: Progress,
    /// Apps of the install that are not healthy yet or not any more.
    install_unhealthy: u64,
    all_healthy: Option<Time>,
    finished: Vec<Finished>,
}

impl Tracker {
    /// A tracker of apps `0..apps`, of which `install` are those whose health ends the install.
    #[must_use]
    pub fn new(apps: usize, install: impl IntoIterator<Item = AppId>) -> Self {
        let blank = App {
            seen: (0, Time(0)),
            status: Status::default(),
            status_at: Time(0),
            round: (Time(0), NOBODY),
            objects: 0,
            open: Vec::new(),
            on_hub: false,
            source_there: false,
            workload_there: false,
            of_install: false,
            double_owned: false,
        };
        let mut tracker = Self {
            apps: vec![blank; apps],
            owners: Vec::new(),
            progress: Progress::default(),
            install_unhealthy: 0,
            all_healthy: None,
            finished: Vec::new(),
        };
        for app in install {
            if let Some(app) = tracker.apps.get_mut(app.index())
                && !std::mem::replace(&mut app.of_install, true)
            {
                tracker.install_unhealthy += 1;
            }
        }
        tracker
    }

    /// A change is about to be made. Call it before the write, so that nothing is observed too early.
    pub fn intend(&mut self, change: Change) -> ChangeId {
        let id = ChangeId::from_index(self.owners.len());
        self.owners.push(change.app);
        self.progress.changes += 1;
        match self.apps.get_mut(change.app.index()) {
            Some(app) => {
                app.open.reserve_exact(1);
                app.open.push(Open {
                    id,
                    change,
                    generation: None,
                    workload_generation: 0,
                    reached: [None; 6],
                    drifted: false,
                });
            }
            None => self.progress.abandoned += 1,
        }
        id
    }

    /// The write of a change was stored; the Application's generation is now `generation`.
    pub fn stored(&mut self, id: ChangeId, generation: u64) {
        let Some(app) = self.owners.get(id.index()).and_then(|app| self.apps.get_mut(app.index())) else { return };
        let (seen, at) = app.seen;
        if let Some(open) = app.open.iter_mut().find(|open| open.id == id) {
            open.generation = Some(generation);
            if seen >= generation && at >= open.change.intended {
                open.reach(Hop::Seen, at);
            }
        }
    }

    /// The write of a change failed for good: it never happened.
    pub fn abandon(&mut self, id: ChangeId) {
        let Some(app) = self.owners.get(id.index()).and_then(|app| self.apps.get_mut(app.index())) else { return };
        let before = app.open.len();
        app.open.retain(|open| open.id != id);
        self.progress.abandoned += (before - app.open.len()) as u64;
    }

    /// Counts so far.
    #[must_use]
    pub const fn progress(&self) -> Progress {
        self.progress
    }

    /// The first moment when every app of the install was healthy.
    #[must_use]
    pub const fn all_healthy(&self) -> Option<Time> {
        self.all_healthy
    }

    /// Some app of the install is not healthy yet, or not any more.
    #[must_use]
    pub const fn awaits_install(&self) -> bool {
        self.install_unhealthy > 0
    }

    /// Every Application that is on the hub is `Healthy` and `Synced`, and no change is open.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.progress.open() == 0 && self.progress.healthy == self.progress.apps
    }

    /// Apps on the hub that are not healthy, for a message; at most `limit`.
    pub fn unhealthy(&self, limit: usize) -> impl Iterator<Item = AppId> + '_ {
        let sick = |app: &App| app.on_hub && !app.status.is_healthy();
        self.apps.iter().enumerate().filter(move |(_, app)| sick(app)).map(|(i, _)| AppId::from_index(i)).take(limit)
    }

    /// Every app on the hub that has had a round: which manager ran the last one, and whether it is healthy.
    pub fn worked_on(&self) -> impl Iterator<Item = (u32, bool)> + '_ {
        let on_hub = self.apps.iter().filter(|app| app.on_hub && app.round.1 != NOBODY);
        on_hub.map(|app| (app.round.1, app.status.is_healthy()))
    }

    /// Changes still open, by app, for a message; at most `limit`.
    pub fn open_changes(&self, limit: usize) -> impl Iterator<Item = &Change> + '_ {
        self.apps.iter().flat_map(|app| &app.open).map(|open| &open.change).take(limit)
    }

    /// Takes the changes that ended since the last call.
    pub fn take_finished(&mut self) -> Vec<Finished> {
        std::mem::take(&mut self.finished)
    }

    /// Takes the next signal. Those that concern no app and unknown apps are ignored.
    pub fn observe(&mut self, signal: &Signal) {
        match *signal {
            Signal::AppCommitted { app, at, deleted, health, sync, compared, revision, .. } => {
                self.committed(app, at, deleted, Status { health, sync, compared, revision });
            }
            Signal::Seen { app, at, generation, .. } => self.seen(app, at, generation),
            Signal::Round { app, shard, at, took, outcome, calls, .. } => {
                self.moved(app, shard, calls);
                self.round(app, shard, at - took, at, outcome == RoundOutcome::Ok);
            }
            Signal::Written { app, at, object, generation } => self.written(app, at, object, generation),
            Signal::Fetched { app, at, revision, .. } => self.each(app, at, |open| {
                // New values fetch nothing: what is fetched meanwhile is not theirs.
                if open.change.kind.rolls_out()
                    && open.change.kind != ChangeKind::Scale
                    && open.wants_revision(revision)
                {
                    open.reach(Hop::Fetched, at);
                }
            }),
            Signal::Applied { app, at, generation, revision } => self.each(app, at, |open| {
                if open.may_roll_out() && open.wants_revision(revision) && generation >= open.workload_generation {
                    open.reach(Hop::Applied, at);
                }
            }),
            Signal::FluxReady { app, at, ready: true, generation, revision } => {
                self.each(app, at, |open| {
                    if open.may_roll_out() && open.wants_revision(revision) && generation >= open.workload_generation {
                        open.reach(Hop::Ready, at);
                    }
                });
                self.foreseen(app, at);
            }
            Signal::ObjectChanged { app, at, object, change, by_controller } => {
                self.object_changed(app, at, object, change, by_controller);
            }
            Signal::Gone { app, at, object } => self.gone(app, at, object),
            Signal::FluxReady { ready: false, .. } | Signal::QueueDepth { .. } | Signal::Owns { .. } => {}
        }
    }

    fn committed(&mut self, id: AppId, at: Time, deleted: bool, status: Status) {
        let Some(app) = self.apps.get_mut(id.index()) else { return };
        let was = (app.on_hub, app.on_hub && app.status.is_healthy());
        app.on_hub = !deleted;
        app.status = if deleted { Status::default() } else { status };
        app.status_at = at;
        if deleted {
            // Its successor of the same name counts generations from one again.
            app.seen = (0, Time(0));
        }
        let is = (app.on_hub, app.on_hub && app.status.is_healthy());
        let of_install = app.of_install;
        // Who was removed on purpose is not waited for.
        app.of_install &= !deleted;
        step(&mut self.progress.apps, was.0, is.0);
        step(&mut self.progress.healthy, was.1, is.1);
        if of_install {
            step(&mut self.install_unhealthy, !was.1, !is.1 && !deleted);
            if self.install_unhealthy == 0 && self.progress.healthy > 0 {
                self.all_healthy.get_or_insert(at);
            }
        }
        if deleted {
            self.removal(id, at, Hop::Reported);
        } else {
            self.reported(id, at, at);
        }
    }

    fn seen(&mut self, id: AppId, at: Time, generation: u64) {
        let Some(app) = self.apps.get_mut(id.index()) else { return };
        if generation > app.seen.0 {
            app.seen = (generation, at);
        }
        self.each(id, at, |open| {
            if open.generation.is_some_and(|wanted| generation >= wanted) {
                open.reach(Hop::Seen, at);
            }
        });
    }

    /// A round of an app ended; if another manager made the one before, the app has moved.
    fn moved(&mut self, id: AppId, shard: u32, calls: u32) {
        let Some(app) = self.apps.get(id.index()) else { return };
        let last = app.round.1;
        if last == NOBODY || last == shard {
            return;
        }
        self.progress.moved += 1;
        if app.open.is_empty() {
            self.progress.repeated_rounds += 1;
            self.progress.repeated_calls += u64::from(calls);
        }
    }

    /// A round of an app ended that had nothing to do, while no change was open, where the one before was.
    pub(super) fn rested(&mut self, id: AppId, shard: u32, end: Time) {
        if let Some(app) = self.apps.get_mut(id.index()) {
            app.round = (end, shard);
        }
    }

    fn round(&mut self, id: AppId, shard: u32, start: Time, end: Time, ok: bool) {
        let Some(app) = self.apps.get_mut(id.index()) else { return };
        let (last_end, last_shard) = app.round;
        let another = last_shard != NOBODY && last_shard != shard;
        if another && start < last_end && !std::mem::replace(&mut app.double_owned, true) {
            self.progress.double_owned += 1;
        }
        app.round = (end.max(last_end), shard);
        // A round that began after the change was ready and found nothing to write has reported it all the same.
        if ok {
            self.reported(id, start, end);
            self.idle(id, start, end);
        }
    }

    /// A round that began after the change was seen had nothing to write: what it asks for is there already, because it was
    /// asked for before, or was taken back before anybody acted on it.
    fn idle(&mut self, id: AppId, start: Time, end: Time) {
        let Some(app) = self.apps.get(id.index()).filter(|app| app.on_hub) else { return };
        let status = app.status;
        let nothing = |open: &Open| {
            let kind = open.change.kind;
            kind.rolls_out()
                && kind.needs_written(open.change.through_flux)
                && !open.has(Hop::Written)
                && open.reached[Hop::Seen as usize].is_some_and(|seen| start >= seen)
                && status.satisfies(&open.change)
        };
        self.each(id, end, |open| {
            if nothing(open) {
                open.reach(Hop::Reported, end);
            }
        });
        self.finish_where(id, |open| open.change.kind.rolls_out() && open.has(Hop::Reported));
    }

    fn written(&mut self, id: AppId, at: Time, object: FluxObject, generation: u64) {
        let Some(app) = self.apps.get_mut(id.index()) else { return };
        match object {
            FluxObject::Source => app.source_there = true,
            FluxObject::Workload => app.workload_there = true,
        }
        self.each(id, at, |open| {
            // The last write counts, up to the moment when Flux acts on it.
            if open.change.kind.needs_written(open.change.through_flux) && !open.has(Hop::Applied) {
                open.reach_again(Hop::Written, at);
                if object == FluxObject::Workload {
                    open.workload_generation = generation;
                }
            }
        });
    }

    fn object_changed(&mut self, id: AppId, at: Time, object: u64, what: ObjectChange, by_controller: bool) {
        let Some(app) = self.apps.get_mut(id.index()) else { return };
        match what {
            ObjectChange::Added => app.objects += 1,
            ObjectChange::Deleted => app.objects = app.objects.saturating_sub(1),
            ObjectChange::Modified => {}
        }
        self.each(id, at, |open| {
            if open.change.kind != ChangeKind::Drift || open.change.object != object {
                return;
            }
            if !by_controller {
                open.drifted = true;
            } else if open.drifted && what != ObjectChange::Deleted {
                open.reach(Hop::Applied, at);
            }
        });
        self.finish_where(id, |open| open.change.kind == ChangeKind::Drift && open.has(Hop::Applied));
        if what == ObjectChange::Deleted {
            self.removal(id, at, Hop::Applied);
        }
    }

    fn gone(&mut self, id: AppId, at: Time, object: FluxObject) {
        let Some(app) = self.apps.get_mut(id.index()) else { return };
        match object {
            FluxObject::Source => app.source_there = false,
            FluxObject::Workload => app.workload_there = false,
        }
        self.removal(id, at, Hop::Reported);
    }

    /// Something of the app went away: open decommissions pass `hop` and may be done.
    fn removal(&mut self, id: AppId, at: Time, hop: Hop) {
        self.each(id, at, |open| {
            if open.change.kind == ChangeKind::Decommission {
                open.reach_again(hop, at);
            }
        });
        let Some(app) = self.apps.get(id.index()) else { return };
        let (on_hub, remains) = (app.on_hub, app.source_there || app.workload_there || app.objects > 0);
        self.finish_where(id, |open| {
            let change = &open.change;
            change.kind == ChangeKind::Decommission && !on_hub && !(change.cascade && remains)
        });
    }

    /// The manager reported at `at` what it had looked at from `since` on.
    fn reported(&mut self, id: AppId, since: Time, at: Time) {
        let Some(app) = self.apps.get(id.index()) else { return };
        if !app.on_hub {
            return;
        }
        let status = app.status;
        self.each(id, at, |open| {
            let due = open.reportable().is_some_and(|from| since >= from);
            if open.change.kind.rolls_out() && due && status.satisfies(&open.change) {
                open.reach(Hop::Reported, at);
            }
        });
        self.finish_where(id, |open| open.change.kind.rolls_out() && open.has(Hop::Reported));
    }

    /// Flux said its last word at `at`. Its condition comes one write before, and a manager that sits beside it may have
    /// reported that already: nothing is left to report then.
    fn foreseen(&mut self, id: AppId, at: Time) {
        let Some(app) = self.apps.get(id.index()).filter(|app| app.on_hub) else { return };
        let (status, since) = (app.status, app.status_at);
        self.each(id, at, |open| {
            // What was stored since the objects were applied and names the change's revision speaks about it.
            let speaks = open.reached[Hop::Applied as usize].is_some_and(|applied| since >= applied)
                && (open.change.revision == 0 || open.change.revision == status.revision);
            if open.change.through_flux && open.has(Hop::Ready) && speaks && status.satisfies(&open.change) {
                open.reach(Hop::Reported, at);
            }
        });
        self.finish_where(id, |open| open.change.kind.rolls_out() && open.has(Hop::Reported));
    }

    /// Runs `f` on the open changes of an app that were intended by `at`.
    fn each(&mut self, id: AppId, at: Time, f: impl FnMut(&mut Open)) {
        if let Some(app) = self.apps.get_mut(id.index()) {
            app.open.iter_mut().filter(|open| at >= open.change.intended).for_each(f);
        }
    }

    /// Ends the open changes of an app that are `done`, and those that they overtook.
    fn finish_where(&mut self, id: AppId, done: impl Fn(&Open) -> bool) {
        let Some(app) = self.apps.get_mut(id.index()) else { return };
        let kind = |open: &Open| open.change.kind;
        let Some(last) = app.open.iter().rposition(&done) else { return };
        let youngest = app.open.iter().rposition(|open| done(open) && kind(open) != ChangeKind::Drift);
        let all = kind(&app.open[last]) == ChangeKind::Decommission;
        let mut index = 0;
        app.open.retain(|open| {
            let overtaken = youngest.is_some_and(|y| index < y) && (all || kind(open) != ChangeKind::Drift);
            index += 1;
            if done(open) {
                self.finished.push(Finished::new(&open.change, &open.reached));
                self.progress.finished += 1;
            } else if overtaken {
                self.progress.superseded += 1;
            } else {
                return true;
            }
            false
        });
    }
}

/// Moves a count when a property changes.
const fn step(count: &mut u64, was: bool, is: bool) {
    if is && !was {
        *count += 1;
    } else if was && !is {
        *count -= 1;
    }
}

#[cfg(test)]
mod tests;
