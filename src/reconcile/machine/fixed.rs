//! The mended machine: driven by watches, reads from the client cache, writes only what differs.
//!
//! A first sync is one batch of two applies on the leaf and one status PATCH on the hub; when Flux is done, one more
//! PATCH. A round that finds nothing new makes no call.

use super::{
    App, Batch, Body, DETAIL_DELAY, Next, Outcome, POLL, Rules, Seen, SourceRef, Verdict, View, refusal, seen,
};
use crate::calls::{ContentId, Kind, Reply, Target, Verb};
use crate::reconcile::{Health, Mode, Phase, Problem, Slot, Status, Sync, Urgency};
use crate::units::{Span, Time};
use smallvec::smallvec;

/// One round.
#[derive(Clone, Debug)]
pub(super) struct Round {
    app: App,
    seen: [Seen; 2],
    rules: Rules,
    at: At,
    /// A sync was tried in this round, and how it went.
    synced: Option<Phase>,
    /// What the Application's status shall say.
    status: Status,
}

/// What the last batch was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Start,
    /// GETs of these slots.
    Reading(Slots),
    /// Applies of these slots.
    Applying(Slots),
    /// The namespace was missing; the applies of these slots follow.
    CreatingNamespace(Slots),
    Deleting,
    Releasing,
    Reporting,
}

/// A set of slots: workload, source or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slots([bool; 2]);

impl Slots {
    fn iter(self) -> impl Iterator<Item = Slot> {
        Slot::BOTH.into_iter().filter(move |slot| self.0[slot.index()])
    }

    fn is_empty(self) -> bool {
        self.0 == [false; 2]
    }
}

impl Round {
    pub(super) fn new(app: App, seen: [Seen; 2], rules: Rules) -> Self {
        Self { app, seen, rules, at: At::Start, synced: None, status: app.status }
    }

    pub(super) fn step(&mut self, replies: &[Reply<View>], now: Time) -> Next {
        match self.at {
            At::Start => self.start(now),
            At::Reading(slots) => self.read(slots, replies, now),
            At::Applying(slots) => self.applied(slots, replies, now),
            At::CreatingNamespace(slots) => match replies[0].code {
                // Somebody else may have created it meanwhile.
                200..300 | 409 => self.apply(slots),
                code => self.give_up(refusal(code), now),
            },
            At::Deleting => match replies.iter().find(|r| !r.is_ok() && !r.is_absent()) {
                Some(_) => self.done(Verdict::Failed, None),
                None => self.done(Verdict::Deleting, (!self.rules.client_cache).then_some(POLL)),
            },
            At::Releasing => match replies[0].code {
                200..300 | 404 => self.done(Verdict::Gone, None),
                _ => self.done(Verdict::Failed, None),
            },
            At::Reporting => self.reported(replies[0].code, now),
        }
    }

    fn start(&mut self, now: Time) -> Next {
        if self.app.mode == Mode::Ordinary || self.app.deleting && !self.app.cascade {
            return self.done(Verdict::Ignored, None);
        }
        let nothing_to_delete = self.app.deleting && self.app.mode == Mode::Reference;
        if nothing_to_delete {
            return self.release();
        }
        match self.app.problem {
            // An app that never could be translated has nothing on the leaf to clean up.
            Some(Problem::Translation(_) | Problem::NoCluster) if self.app.deleting => return self.release(),
            Some(_) if self.app.deleting => return self.done(Verdict::Failed, None),
            Some(problem) => return self.give_up(problem, now),
            None => {}
        }
        let unknown = Slots(self.seen.map(|seen| seen == Seen::Unknown));
        if unknown.is_empty() {
            self.decide(now)
        } else if self.app.mode == Mode::Reference {
            self.read_next(Slot::Workload, now)
        } else {
            self.get(unknown)
        }
    }

    fn get(&mut self, slots: Slots) -> Next {
        self.at = At::Reading(slots);
        Next::Call(slots.iter().map(|slot| self.app.on_flux(Verb::Get, slot, Body::Nothing)).collect())
    }

    fn read(&mut self, slots: Slots, replies: &[Reply<View>], now: Time) -> Next {
        for (slot, reply) in slots.iter().zip(replies) {
            match seen(reply) {
                Ok(seen) => self.seen[slot.index()] = seen,
                Err(_) if self.app.deleting => return self.done(Verdict::Failed, None),
                Err(problem) => return self.give_up(problem, now),
            }
        }
        if self.app.mode == Mode::Reference { self.read_next(Slot::Source, now) } else { self.decide(now) }
    }

    /// Reference mode: the workload says which source is meant.
    fn read_next(&mut self, from: Slot, now: Time) -> Next {
        if from == Slot::Workload && self.seen[0] == Seen::Unknown {
            return self.get(Slots([true, false]));
        }
        if let Seen::Present(View { source: SourceRef::Object(kind), .. }) = self.seen[0] {
            self.app.kinds[1] = kind;
            if self.seen[1] == Seen::Unknown {
                return self.get(Slots([false, true]));
            }
        }
        self.decide(now)
    }

    fn decide(&mut self, now: Time) -> Next {
        if self.app.deleting {
            return self.delete();
        }
        if self.app.mode == Mode::Reference {
            return self.report(self.referred(), now);
        }
        let differs = Slots(self.seen.map(|seen| !matches!(seen, Seen::Present(view) if view.covers)));
        if !differs.is_empty() && self.may_sync(differs) { self.apply(differs) } else { self.compared(now) }
    }

    /// Automated sync writes what was never written and what the Application changed; what somebody else changed only
    /// with self-heal. A sync that was asked for writes everything.
    fn may_sync(&self, differs: Slots) -> bool {
        let asked_for = |slot: Slot| match self.seen[slot.index()] {
            Seen::Present(view) => view.applied != self.app.desired[slot.index()],
            _ => self.app.status.phase != Some(Phase::Succeeded) || self.app.status.compared_to != self.app.source,
        };
        // An object on its way out cannot be mended: it is written anew once it is gone.
        let leaving = differs.iter().all(|slot| matches!(self.seen[slot.index()], Seen::Present(v) if v.deleting));
        let wanted = self.app.operation || self.app.automated && (self.app.self_heal || differs.iter().any(asked_for));
        wanted && !leaving
    }

    fn apply(&mut self, slots: Slots) -> Next {
        self.at = At::Applying(slots);
        Next::Call(slots.iter().map(|slot| self.app.on_flux(Verb::Apply, slot, Body::Document(slot))).collect())
    }

    fn applied(&mut self, slots: Slots, replies: &[Reply<View>], now: Time) -> Next {
        let namespace_missing =
            replies.iter().any(Reply::is_absent) && self.app.create_namespace && self.synced.is_none();
        if namespace_missing {
            self.synced = Some(Phase::Running);
            self.at = At::CreatingNamespace(slots);
            let app = &self.app;
            let op = app.op(Target::Leaf, Verb::Create, Kind::NAMESPACE, app.ids.namespace, Body::Namespace);
            return Next::Call(smallvec![op]);
        }
        let mut failure = None;
        for (slot, reply) in slots.iter().zip(replies) {
            match reply.object {
                Some(view) if reply.is_ok() => self.seen[slot.index()] = Seen::Present(view),
                _ if reply.is_ok() => {}
                // The kinds are served, or there would be no word of what exists.
                _ if reply.is_absent() && !self.app.create_namespace => failure = Some(Problem::NoNamespace),
                _ => failure = Some(refusal(reply.code)),
            }
        }
        match failure {
            Some(problem @ Problem::NoNamespace) => {
                self.synced = Some(Phase::Failed);
                let status = self.app.assess(self.seen, Some(Health::Missing));
                self.report(Status { problem: Some(problem), ..status }, now)
            }
            Some(problem) => {
                self.synced = Some(Phase::Failed);
                self.give_up(problem, now)
            }
            None => {
                self.synced = Some(Phase::Succeeded);
                self.compared(now)
            }
        }
    }

    /// AutoCreate: the status that follows from both objects.
    fn compared(&mut self, now: Time) -> Next {
        let mut status = self.app.assess(self.seen, Some(Health::Missing));
        status.revision = self.revision();
        self.report(status, now)
    }

    /// Reference mode: nothing is desired, so what exists is in sync and what is named but absent is missing.
    fn referred(&self) -> Status {
        let mut seen = self.seen;
        if !matches!(seen[0], Seen::Present(View { source: SourceRef::Object(_), .. })) {
            seen[1] = Seen::Unknown;
        }
        let mut status = self.app.assess(seen, Some(Health::Missing));
        status.revision = self.revision();
        status
    }

    /// What the workload stands at, else what the source does.
    fn revision(&self) -> ContentId {
        let of = |seen: Seen| match seen {
            Seen::Present(view) => view.revision,
            _ => ContentId::default(),
        };
        match of(self.seen[0]) {
            ContentId(0) => of(self.seen[1]),
            applied => applied,
        }
    }

    fn give_up(&mut self, problem: Problem, now: Time) -> Next {
        self.report(self.app.failed(problem), now)
    }

    /// Writes the status now, later or not at all.
    fn report(&mut self, mut status: Status, now: Time) -> Next {
        if self.app.operation && self.synced.is_none() {
            self.synced = Some(if status.problem.is_none() { Phase::Succeeded } else { Phase::Failed });
        }
        if let Some(phase) = self.synced.filter(|phase| *phase != Phase::Running) {
            status.phase = Some(phase);
        }
        self.status = status;
        let urgency = status.urgency(&self.app.status);
        let waited = self.app.detail_since.map(|since| now.since(since));
        let write = match urgency {
            Urgency::Now => true,
            Urgency::Detail => waited.is_some_and(|waited| waited >= DETAIL_DELAY),
            Urgency::Nothing => false,
        };
        // A sync that fails again as it did before is no news.
        let told = match self.synced {
            Some(Phase::Failed) => urgency == Urgency::Nothing && !self.app.operation,
            synced => synced.is_none(),
        };
        if write || !told || self.app.refresh {
            self.at = At::Reporting;
            let body = Body::Status { status, synced: self.synced.is_some() };
            return Next::Call(smallvec![self.app.on_app(Verb::Patch, body)]);
        }
        let detail = (urgency == Urgency::Detail).then(|| self.app.detail_since.unwrap_or(now));
        let wait = detail.map(|since| Span(DETAIL_DELAY.0.saturating_sub(now.since(since).0)));
        let again = wait.or_else(|| self.poll(&status));
        let verdict = self.verdict(Verdict::Unchanged);
        Next::Done(Outcome { verdict, status: self.app.status, detail_since: detail, again, synced: false })
    }

    fn reported(&mut self, code: u16, _now: Time) -> Next {
        match code {
            200..300 => {
                let verdict = if self.synced == Some(Phase::Succeeded) { Verdict::Synced } else { Verdict::Reported };
                let verdict = self.verdict(verdict);
                self.app.status = self.status;
                self.done(verdict, self.poll(&self.status))
            }
            404 => self.done(Verdict::Gone, None),
            _ => self.done(Verdict::Failed, None),
        }
    }

    /// A round that met a problem which may pass is tried again.
    fn verdict(&self, otherwise: Verdict) -> Verdict {
        if self.status.problem.is_some_and(Problem::is_transient) { Verdict::Failed } else { otherwise }
    }

    fn poll(&self, status: &Status) -> Option<Span> {
        let unfinished = status.health != Some(Health::Healthy) || status.sync != Sync::Synced;
        (!self.rules.client_cache && unfinished).then_some(POLL)
    }

    /// Deletes what exists; once all is gone, lets the Application go.
    fn delete(&mut self) -> Next {
        let present = Slots(self.seen.map(|seen| matches!(seen, Seen::Present(_))));
        if present.is_empty() {
            return self.release();
        }
        let ops: Batch = present
            .iter()
            .filter(|slot| !matches!(self.seen[slot.index()], Seen::Present(view) if view.deleting))
            .map(|slot| self.app.on_flux(Verb::Delete, slot, Body::Nothing))
            .collect();
        if ops.is_empty() {
            return self.done(Verdict::Deleting, (!self.rules.client_cache).then_some(POLL));
        }
        self.at = At::Deleting;
        Next::Call(ops)
    }

    fn release(&mut self) -> Next {
        self.at = At::Releasing;
        Next::Call(smallvec![self.app.on_app(Verb::Patch, Body::NoFinalizer)])
    }

    fn done(&self, verdict: Verdict, again: Option<Span>) -> Next {
        let synced = self.synced == Some(Phase::Succeeded);
        Next::Done(Outcome { verdict, status: self.app.status, detail_since: None, again, synced })
    }
}
