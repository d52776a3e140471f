//! One reconcile of one app as a step machine.
//!
//! In: a snapshot of the app ([`App`]), what the client cache knows of its Flux objects ([`Seen`]), why it is looked at,
//! then the replies to each batch. Out: batches of calls, at last an [`Outcome`]. It never awaits, reads no clock, draws
//! nothing and sees no JSON: documents and texts are fingerprints that the rim turns into bytes.
//!
//! `fixed` and `faithful` are two machines, not one with switches: they share words, not steps.

mod faithful;
mod fixed;

use super::{Health, Mode, Phase, Problem, Resource, Slot, Status, Sync};
use crate::calls::{ContentId, Kind, ObjectId, Op, Reply, Target, Verb};
use crate::scenario::Behaviour;
use crate::units::{Span, Time};
use smallvec::SmallVec;

/// How long a difference in details may wait for a write that happens anyway (assumed; a third of what people notice).
pub const DETAIL_DELAY: Span = Span::from_secs(5);
/// Without a client cache: how long until an unfinished app is looked at again (Flux' own health poll is 5 s too).
pub const POLL: Span = Span::from_secs(5);

/// A batch: calls that go out together. The replies come back in the same order.
pub type Batch = SmallVec<[Op<Body>; 2]>;

/// What does not change from round to round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The original with its defects, or mended.
    pub behaviour: Behaviour,
    /// Flux objects are watched; [`Seen`] tells what the watch says.
    pub client_cache: bool,
}

/// The objects of one app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// The Application, on the hub.
    pub app: ObjectId,
    /// The workload, on the leaf.
    pub workload: ObjectId,
    /// The source, on the leaf.
    pub source: ObjectId,
    /// Their namespace, on the leaf.
    pub namespace: ObjectId,
}

impl Ids {
    /// The Flux object of a slot.
    #[must_use]
    pub const fn flux(&self, slot: Slot) -> ObjectId {
        match slot {
            Slot::Workload => self.workload,
            Slot::Source => self.source,
        }
    }
}

/// What counts of an Application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct App {
    /// Its objects.
    pub ids: Ids,
    /// How it is treated.
    pub mode: Mode,
    /// Kinds of workload and source.
    pub kinds: [Kind; 2],
    /// Fingerprints of the generated documents (AutoCreate).
    pub desired: [ContentId; 2],
    /// Fingerprint of `spec.source` and `spec.destination`.
    pub source: ContentId,
    /// It cannot be translated, or its cluster cannot be reached.
    pub problem: Option<Problem>,
    /// `spec.syncPolicy.automated` exists.
    pub automated: bool,
    /// `spec.syncPolicy.automated.selfHeal`.
    pub self_heal: bool,
    /// Sync option `CreateNamespace=true`.
    pub create_namespace: bool,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// It carries Argo CD's resources finalizer.
    pub cascade: bool,
    /// It carries the refresh annotation.
    pub refresh: bool,
    /// Somebody asked for a sync (`operation`).
    pub operation: bool,
    /// What its status says.
    pub status: Status,
    /// Since when a detail waits to be written.
    pub detail_since: Option<Time>,
    /// When it was last synced, if this manager did it.
    pub synced_at: Option<Time>,
}

/// What a machine is shown of an object on the leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Fingerprint of the document that was applied last (an annotation); 0 if it was not applied by us.
    pub applied: ContentId,
    /// It has what the app's document asks for; true if there is no document (Reference mode).
    pub covers: bool,
    /// Its health; `None` for kinds without a health check.
    pub health: Option<Health>,
    /// Fingerprint of the text shown with the health.
    pub message: ContentId,
    /// Fingerprint of the revision it stands at.
    pub revision: ContentId,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// For a workload: the source it names.
    pub source: SourceRef,
}

/// The source that a workload names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceRef {
    /// None.
    #[default]
    Nothing,
    /// One of a kind that cannot be read.
    Unreadable,
    /// This one.
    Object(Kind),
}

/// What the client cache knows of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seen {
    /// Nothing: it is not watched.
    #[default]
    Unknown,
    /// It does not exist.
    Absent,
    /// It exists.
    Present(View),
}

/// Why an app is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// The Application appeared or changed.
    App,
    /// One of its Flux objects changed.
    Leaf,
    /// It is time again, or the last round asked for it.
    Time,
}

/// What a call writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    Nothing,
    /// The app's document for this slot.
    Document(Slot),
    /// The namespace itself.
    Namespace,
    /// The Application's status; also removes the refresh annotation and `operation`.
    Status {
        /// What it shall say.
        status: Status,
        /// A sync was part of this round.
        synced: bool,
    },
    /// The Application with `operation` set (faithful).
    Operation,
    /// `status.operationState` alone (faithful).
    OperationState(Phase),
    /// `status.history` (faithful).
    History,
    /// The Application without Argo CD's finalizer.
    NoFinalizer,
    /// An Event about the Application (faithful): its reason.
    Event(&'static str),
}

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What came of it.
    pub verdict: Verdict,
    /// What the Application's status says now.
    pub status: Status,
    /// Since when a detail waits to be written.
    pub detail_since: Option<Time>,
    /// Look again after so long.
    pub again: Option<Span>,
    /// The app was synced in this round.
    pub synced: bool,
}

/// What came of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Not ours, or not the moment.
    Ignored,
    /// Looked at; nothing to write.
    Unchanged,
    /// Status written; the leaf was not touched.
    Reported,
    /// Written to the leaf, then reported.
    Synced,
    /// Deleted objects are on their way out.
    Deleting,
    /// The Application is gone, or is let go.
    Gone,
    /// Try again with back-off.
    Failed,
}

/// What a step asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Make these calls and come back with the replies.
    Call(Batch),
    /// The round is over.
    Done(Outcome),
}

/// One round.
#[derive(Clone, Debug)]
pub struct Reconcile(Inner);

#[derive(Clone, Debug)]
enum Inner {
    Fixed(fixed::Round),
    Faithful(faithful::Round),
}

impl Reconcile {
    /// A round over `app`; `seen` is what the client cache knows of workload and source.
    #[must_use]
    pub fn new(app: App, seen: [Seen; 2], why: Why, rules: Rules) -> Self {
        Self(match rules.behaviour {
            Behaviour::Fixed => Inner::Fixed(fixed::Round::new(app, seen, rules)),
            Behaviour::Faithful => Inner::Faithful(faithful::Round::new(app, seen, why)),
        })
    }

    /// Takes the replies to the last batch (none at first) and says what comes next.
    ///
    /// # Panics
    /// When the number of replies is not that of the calls: a rim's bug.
    pub fn step(&mut self, replies: &[Reply<View>], now: Time) -> Next {
        match &mut self.0 {
            Inner::Fixed(round) => round.step(replies, now),
            Inner::Faithful(round) => round.step(replies, now),
        }
    }
}

impl App {
    /// An Application that asks for nothing: what a rim knows before it has read one.
    #[must_use]
    pub fn empty() -> Self {
        let none = ObjectId(0);
        Self {
            ids: Ids { app: none, workload: none, source: none, namespace: none },
            mode: Mode::Ordinary,
            kinds: [Kind::KUSTOMIZATION, Kind::GIT_REPOSITORY],
            desired: [ContentId::default(); 2],
            source: ContentId::default(),
            problem: None,
            automated: false,
            self_heal: false,
            create_namespace: false,
            deleting: false,
            cascade: false,
            refresh: false,
            operation: false,
            status: Status::default(),
            detail_since: None,
            synced_at: None,
        }
    }

    /// A round over it ended at `now`.
    pub fn settle(&mut self, outcome: &Outcome, now: Time) {
        self.status = outcome.status;
        self.detail_since = outcome.detail_since;
        if outcome.synced {
            self.synced_at = Some(now);
        }
    }

    fn op(&self, target: Target, verb: Verb, kind: Kind, object: ObjectId, body: Body) -> Op<Body> {
        Op { target, verb, kind, object, status: false, dry_run: false, body }
    }

    fn on_flux(&self, verb: Verb, slot: Slot, body: Body) -> Op<Body> {
        self.op(Target::Leaf, verb, self.kinds[slot.index()], self.ids.flux(slot), body)
    }

    fn on_app(&self, verb: Verb, body: Body) -> Op<Body> {
        self.op(Target::Hub, verb, Kind::APPLICATION, self.ids.app, body)
    }

    /// The status that follows from what is seen of both objects.
    fn assess(&self, seen: [Seen; 2], absent: Option<Health>) -> Status {
        let entry = |slot: Slot| {
            let kind = self.kinds[slot.index()];
            match seen[slot.index()] {
                Seen::Unknown => None,
                Seen::Absent => absent.map(|health| Resource {
                    kind,
                    sync: Sync::OutOfSync,
                    health: Some(health),
                    message: ContentId::default(),
                }),
                Seen::Present(view) => Some(Resource {
                    kind,
                    sync: if view.covers { Sync::Synced } else { Sync::OutOfSync },
                    health: view.health,
                    message: view.message,
                }),
            }
        };
        let resources = Slot::BOTH.map(entry);
        let out_of_sync = resources.iter().flatten().any(|r| r.sync != Sync::Synced);
        let healths = resources.iter().flatten().filter_map(|r| r.health);
        Status {
            sync: if out_of_sync { Sync::OutOfSync } else { Sync::Synced },
            health: Some(super::worst(healths)),
            resources,
            compared_to: self.source,
            phase: self.status.phase,
            ..Status::default()
        }
    }

    /// The status of an app that cannot be compared.
    fn failed(&self, problem: Problem) -> Status {
        Status {
            sync: Sync::Unknown,
            health: Some(Health::Unknown),
            problem: Some(problem),
            compared_to: self.source,
            phase: self.status.phase,
            ..Status::default()
        }
    }
}

/// What a reply to a GET shows.
fn seen(reply: &Reply<View>) -> Result<Seen, Problem> {
    match (reply.code, reply.object) {
        (404, _) => Ok(Seen::Absent),
        (200..300, Some(view)) => Ok(Seen::Present(view)),
        (code, _) => Err(refusal(code)),
    }
}

const fn refusal(code: u16) -> Problem {
    if code == 0 { Problem::Unreachable } else { Problem::Refused(code) }
}

#[cfg(test)]
mod tests;
