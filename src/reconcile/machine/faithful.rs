//! The original's machine, call by call: what Argo CD 2.10 with the Flux subsystem asks of hub and leaf.
//!
//! A round is a list of stages worked off from the front; looking at the objects may add some. Source of each count: the
//! table of API calls derived from the published patch set and its base code. Its defects are kept: Reference mode
//! calls a missing workload Synced and Healthy, a deletion leaves the Flux objects behind, no change of a Flux object
//! triggers a round, the revision is always empty.
//!
//! One refresh and the sync that it starts are two queue entries in the original and one round here.

use super::{App, Batch, Body, Next, Outcome, Seen, SourceRef, Verdict, View, Why, refusal, seen};
use crate::calls::{Kind, Reply, Target, Verb};
use crate::reconcile::{Health, Mode, Phase, Problem, Slot, Status, Sync};
use crate::units::{Span, Time};
use std::collections::VecDeque;

/// The least time between two self-heal attempts (`--self-heal-timeout-seconds`).
const SELF_HEAL_GAP: Span = Span::from_secs(5);

/// One round.
#[derive(Clone, Debug)]
pub(super) struct Round {
    app: App,
    seen: [Seen; 2],
    why: Why,
    /// The stage whose replies come next.
    at: Stage,
    todo: VecDeque<Stage>,
    problem: Option<Problem>,
    /// Reference mode: the workload or its source does not exist, so there are no targets.
    no_targets: bool,
    synced: Option<Phase>,
    /// The status before and after this refresh.
    before: Status,
    status: Status,
    again: Option<Span>,
}

/// One batch, or (`Judge`) a look at what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Start,
    /// Reference mode reads its targets: discovery, then the object.
    DiscoverTarget(Slot),
    ReadTarget(Slot),
    /// The live objects: discovery of both versions, then both objects.
    Discover,
    ReadLive,
    Judge,
    FetchApp,
    PutOperation,
    Event(&'static str),
    Announce,
    Report,
    State(Phase),
    /// The sync engine: dry run, then apply; each reads first.
    DiscoverBoth,
    LookDry,
    Look,
    Write,
    History,
    Release,
}

impl Round {
    pub(super) fn new(app: App, seen: [Seen; 2], why: Why) -> Self {
        Self {
            app,
            seen,
            why,
            at: Stage::Start,
            todo: VecDeque::new(),
            problem: app.problem,
            no_targets: false,
            synced: None,
            before: app.status,
            status: app.status,
            again: None,
        }
    }

    pub(super) fn step(&mut self, replies: &[Reply<View>], now: Time) -> Next {
        if self.at == Stage::Start {
            if !self.begin() {
                return self.done(Verdict::Ignored);
            }
        } else if let Some(verdict) = self.take(replies) {
            return self.done(verdict);
        }
        while let Some(stage) = self.todo.pop_front() {
            self.at = stage;
            if stage == Stage::Judge {
                self.judge(now);
                continue;
            }
            let ops = self.ops(stage);
            if !ops.is_empty() {
                return Next::Call(ops);
            }
        }
        let released = self.at == Stage::Release;
        self.done(match self.synced {
            _ if released => Verdict::Gone,
            Some(Phase::Succeeded) => Verdict::Synced,
            _ => Verdict::Reported,
        })
    }

    /// Whether there is anything to do, and what comes first.
    fn begin(&mut self) -> bool {
        let app = &self.app;
        if app.mode == Mode::Ordinary || app.problem == Some(Problem::Crash) {
            return false;
        }
        if app.deleting {
            self.todo.extend([Stage::FetchApp, Stage::Release]);
            return app.cascade;
        }
        let compared = app.status.health.is_some() && app.status.compared_to == app.source;
        let due = app.refresh || app.operation || !compared || self.why == Why::Time;
        self.compare();
        due
    }

    /// The stages of one comparison.
    fn compare(&mut self) {
        if self.app.problem.is_none() {
            if self.app.mode == Mode::Reference {
                for slot in Slot::BOTH {
                    self.todo.extend([Stage::DiscoverTarget(slot), Stage::ReadTarget(slot)]);
                }
            }
            self.todo.extend([Stage::Discover, Stage::ReadLive]);
        }
        self.todo.push_back(Stage::Judge);
    }

    fn ops(&self, stage: Stage) -> Batch {
        let app = &self.app;
        let one = |op| std::iter::once(op).collect();
        let each = |verb: Verb| self.existing().map(|slot| app.on_flux(verb, slot, Body::Nothing)).collect();
        let both = |verb: Verb| Slot::BOTH.into_iter().map(|slot| app.on_flux(verb, slot, Body::Nothing)).collect();
        match stage {
            Stage::Start | Stage::Judge => Batch::new(),
            Stage::DiscoverTarget(slot) => one(app.on_flux(Verb::Discover, slot, Body::Nothing)),
            Stage::ReadTarget(slot) => one(app.on_flux(Verb::Get, slot, Body::Nothing)),
            Stage::Discover => each(Verb::Discover),
            Stage::ReadLive => each(Verb::Get),
            Stage::FetchApp => one(app.on_app(Verb::Get, Body::Nothing)),
            Stage::PutOperation => one(app.on_app(Verb::Update, Body::Operation)),
            Stage::Event(reason) => {
                one(app.op(Target::Hub, Verb::Create, Kind::EVENT, app.ids.app, Body::Event(reason)))
            }
            Stage::Announce => self.announcements(),
            Stage::Report => {
                one(app.on_app(Verb::Patch, Body::Status { status: self.status, synced: self.synced.is_some() }))
            }
            Stage::State(phase) => one(app.on_app(Verb::Patch, Body::OperationState(phase))),
            Stage::DiscoverBoth => both(Verb::Discover),
            Stage::LookDry | Stage::Look => both(Verb::Get),
            Stage::Write => self.writes(),
            Stage::History => one(app.on_app(Verb::Patch, Body::History)),
            Stage::Release => one(app.on_app(Verb::Patch, Body::NoFinalizer)),
        }
    }

    /// Objects that exist as far as the cluster cache knows. A key absent from a watched kind is missing without a GET.
    fn existing(&self) -> impl Iterator<Item = Slot> + '_ {
        Slot::BOTH.into_iter().filter(|slot| self.seen[slot.index()] != Seen::Absent)
    }

    fn announcements(&self) -> Batch {
        let events = [
            (self.status.sync != self.before.sync).then_some("ResourceUpdated"),
            (self.status.health != self.before.health).then_some("ResourceUpdated"),
        ];
        let app = &self.app;
        let event = |reason| app.op(Target::Hub, Verb::Create, Kind::EVENT, app.ids.app, Body::Event(reason));
        events.into_iter().flatten().map(event).collect()
    }

    /// `kubectl apply`: a missing object is created, a different one patched, an equal one left alone.
    fn writes(&self) -> Batch {
        let verb = |slot: Slot| match self.seen[slot.index()] {
            Seen::Present(view) if view.covers => None,
            Seen::Present(_) => Some(Verb::Patch),
            Seen::Absent | Seen::Unknown => Some(Verb::Create),
        };
        let app = &self.app;
        Slot::BOTH
            .into_iter()
            .filter_map(|slot| verb(slot).map(|verb| app.on_flux(verb, slot, Body::Document(slot))))
            .collect()
    }

    /// Takes in the replies to the current stage; `Some` ends the round early.
    fn take(&mut self, replies: &[Reply<View>]) -> Option<Verdict> {
        let hub_refused = replies.iter().find(|r| !r.is_ok());
        match self.at {
            Stage::ReadTarget(slot) => self.take_target(slot, &replies[0]),
            Stage::ReadLive => {
                let slots: Vec<Slot> = self.existing().collect();
                self.take_live(&slots, replies);
            }
            Stage::Look | Stage::LookDry => self.take_live(&Slot::BOTH, replies),
            Stage::DiscoverTarget(_) | Stage::Discover | Stage::DiscoverBoth => {
                if let Some(refused) = hub_refused {
                    self.fail(refusal(refused.code));
                }
            }
            Stage::Write => {
                let all_ok = hub_refused.is_none();
                self.synced = Some(if all_ok { Phase::Succeeded } else { Phase::Failed });
                for slot in Slot::BOTH {
                    // What was just written is in the cache by the time of the follow-up refresh.
                    self.seen[slot.index()] = if all_ok { Seen::Unknown } else { self.seen[slot.index()] };
                }
                self.finish_operation();
            }
            Stage::Report => match hub_refused.map(|r| r.code) {
                None => {
                    self.before = self.status;
                    self.app.status = self.status;
                }
                Some(404) => return Some(Verdict::Gone),
                Some(_) => return Some(Verdict::Failed),
            },
            Stage::FetchApp | Stage::PutOperation | Stage::State(_) | Stage::History | Stage::Release => {
                match hub_refused.map(|r| r.code) {
                    None => {}
                    Some(404) => return Some(Verdict::Gone),
                    Some(_) => return Some(Verdict::Failed),
                }
            }
            // A lost Event is not retried.
            Stage::Start | Stage::Judge | Stage::Event(_) | Stage::Announce => {}
        }
        None
    }

    fn take_target(&mut self, slot: Slot, reply: &Reply<View>) {
        match seen(reply) {
            Ok(Seen::Present(view)) => {
                self.seen[slot.index()] = Seen::Present(view);
                if slot == Slot::Workload {
                    match view.source {
                        SourceRef::Object(kind) => {
                            self.app.kinds[1] = kind;
                            self.seen[1] = Seen::Unknown;
                        }
                        SourceRef::Unreadable => self.fail(Problem::SourceKind),
                        SourceRef::Nothing => {
                            self.seen[1] = Seen::Absent;
                            self.todo.retain(|s| !matches!(s, Stage::DiscoverTarget(_) | Stage::ReadTarget(_)));
                        }
                    }
                }
            }
            Ok(_) => {
                self.no_targets = true;
                self.skip_to_judge();
            }
            Err(problem) => self.fail(problem),
        }
    }

    fn take_live(&mut self, slots: &[Slot], replies: &[Reply<View>]) {
        for (slot, reply) in slots.iter().zip(replies) {
            match seen(reply) {
                Ok(seen) => self.seen[slot.index()] = seen,
                Err(problem) => self.fail(problem),
            }
        }
    }

    /// The comparison fails; an operation under way fails with it.
    fn fail(&mut self, problem: Problem) {
        self.problem = Some(problem);
        if self.todo.contains(&Stage::Write) {
            self.synced = Some(Phase::Failed);
            self.finish_operation();
        } else {
            self.skip_to_judge();
        }
    }

    fn skip_to_judge(&mut self) {
        while self.todo.front().is_some_and(|stage| *stage != Stage::Judge) {
            self.todo.pop_front();
        }
    }

    fn judge(&mut self, now: Time) {
        let mut status = match self.problem {
            Some(problem) => self.app.failed(problem),
            None if self.no_targets => self.app.assess([Seen::Unknown; 2], None),
            None => {
                let absent = (self.app.mode == Mode::AutoCreate).then_some(Health::Missing);
                self.app.assess(self.seen, absent)
            }
        };
        if let Some(phase) = self.synced {
            status.phase = Some(phase);
        }
        self.status = status;
        let wanted = self.synced.is_none() && self.problem.is_none() && self.wants_sync(now);
        if wanted {
            self.todo.extend([Stage::FetchApp, Stage::PutOperation, Stage::Event("OperationStarted")]);
        }
        self.todo.extend([Stage::Announce, Stage::Report]);
        if wanted || self.app.operation && self.synced.is_none() {
            self.operate();
        }
    }

    /// Automated sync: once per `spec.source`; again only with self-heal and not at once.
    fn wants_sync(&mut self, now: Time) -> bool {
        if self.status.sync != Sync::OutOfSync || !self.app.automated {
            return false;
        }
        let attempted = self.app.status.phase.is_some() && self.app.status.compared_to == self.app.source;
        if !attempted {
            return true;
        }
        let since = self.app.synced_at.map_or(SELF_HEAL_GAP, |at| now.since(at));
        if self.app.self_heal && since < SELF_HEAL_GAP {
            self.again = Some(Span(SELF_HEAL_GAP.0 - since.0));
        }
        self.app.self_heal && since >= SELF_HEAL_GAP
    }

    /// The sync operation: it compares anew, then runs the sync engine over both objects.
    fn operate(&mut self) {
        self.todo.extend([Stage::FetchApp, Stage::State(Phase::Running)]);
        if self.app.mode == Mode::Reference {
            for slot in Slot::BOTH {
                self.todo.extend([Stage::DiscoverTarget(slot), Stage::ReadTarget(slot)]);
            }
        }
        self.todo.extend([Stage::Discover, Stage::ReadLive, Stage::DiscoverBoth]);
        if self.app.mode == Mode::AutoCreate {
            self.todo.extend([Stage::LookDry, Stage::Look, Stage::Write]);
        } else {
            // ApplyOutOfSyncOnly: no more tasks.
            self.synced = Some(Phase::Succeeded);
            self.finish_operation();
        }
    }

    fn finish_operation(&mut self) {
        self.todo.retain(|stage| self.app.mode == Mode::Reference && *stage != Stage::Judge);
        if self.synced == Some(Phase::Succeeded) {
            self.todo.push_back(Stage::History);
        }
        let phase = self.synced.unwrap_or(Phase::Failed);
        self.todo.extend([Stage::State(phase), Stage::Event("OperationCompleted")]);
        self.compare();
    }

    fn done(&self, verdict: Verdict) -> Next {
        let synced = self.synced == Some(Phase::Succeeded);
        Next::Done(Outcome { verdict, status: self.app.status, detail_since: None, again: self.again, synced })
    }
}
