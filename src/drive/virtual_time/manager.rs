//! One manager of a simulation: what it knows of its apps, its queue, its rounds. All decisions are `reconcile`'s.

use super::leaf::Shown;
use super::shape::Shape;
use crate::calls::{ContentId, Kind, ObjectId};
use crate::fleet::Target;
use crate::reconcile::{
    Agenda, App, Backoff, Batch, Glance, Ids, Mode, Problem, Queue, Reconcile, Resync, Rules, Slot, SourceRef,
    TokenBucket, View,
};
use crate::scenario::{Behaviour, Scenario};
use crate::seed::Seed;
use crate::units::{Span, Time};
use smallvec::SmallVec;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Watches of a hub that every manager holds: Applications and cluster Secrets. Leases are one more.
pub(super) const HUB_WATCHES: u64 = 2;

/// A manager.
#[derive(Clone, Debug)]
pub(super) struct Manager {
    pub(super) queue: Queue,
    pub(super) resync: Resync,
    /// Workers without a round.
    pub(super) free: u32,
    pub(super) hub: TokenBucket,
    /// Its row in the record.
    pub(super) row: u32,
    /// The timer that is set for it.
    pub(super) armed: Option<Time>,
    /// It must look at its queue before time passes.
    pub(super) woken: bool,
    /// When the length of its queue was told last.
    pub(super) depth_at: Option<Time>,
    /// It was killed and has not listed anything since.
    pub(super) down: bool,
    pub(super) watches: u64,
    pub(super) watch_events: u64,
}

impl Manager {
    pub(super) fn new(scenario: &Scenario, shard: u32, row: u32) -> Self {
        let m = &scenario.manager;
        // As in live runs: manager, shard, resync, shard.
        let seed = Seed::new(scenario.run.seed).child("manager").entity(u64::from(shard));
        let seed = seed.child("resync").entity(u64::from(shard));
        Self {
            queue: Queue::new(Backoff { base: m.backoff_base, max: m.backoff_max }),
            resync: Resync { period: m.resync, jitter: m.resync_jitter, seed },
            free: m.concurrency.max(1),
            hub: TokenBucket::new(m.hub_qps_milli, m.hub_burst),
            row,
            armed: None,
            woken: false,
            depth_at: None,
            // Applications and cluster Secrets of the hub; beside a leaf those of the leaf.
            watches: HUB_WATCHES + u64::from(scenario.topology.lease.is_some()),
            down: false,
            watch_events: 0,
        }
    }
}

/// An app as its manager knows it.
#[derive(Clone, Debug)]
pub(super) struct Managed {
    /// Its name on the hub and that of its Flux objects.
    pub(super) name: Arc<str>,
    /// Its manager.
    pub(super) shard: u32,
    pub(super) leaf: u32,
    pub(super) addon: u16,
    known: bool,
    /// The last generation that was read.
    generation: u32,
    target: Target,
    pub(super) shape: Option<Arc<Shape>>,
    pub(super) app: App,
    pub(super) agenda: Agenda,
    pub(super) cached: [Option<Shown>; 2],
    /// The document that each object was found to cover.
    covered: [ContentId; 2],
}

/// A round under way.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) app: u32,
    /// Its manager.
    pub(super) shard: u32,
    /// What the app asked for when it began: calls arrive though the manager is gone or another's.
    pub(super) shape: Option<Arc<Shape>>,
    pub(super) machine: Reconcile,
    pub(super) began: Time,
    pub(super) waited: Span,
    pub(super) calls: u32,
    /// The last code that was no success.
    pub(super) refused: Option<u16>,
    pub(super) batch: Batch,
    pub(super) replies: SmallVec<[(u16, Option<Shown>); 2]>,
    /// Calls without an answer.
    pub(super) awaited: u8,
    /// When the last answer is back.
    pub(super) answered: Time,
    /// How often servers pushed calls of it back.
    pub(super) pushed_back: u32,
    /// Calls of its batch that had no answer once, a bit each.
    pub(super) lost: u8,
    /// Its manager was killed.
    pub(super) dead: bool,
}

/// The kinds that managers watch on leaves.
const WATCHED: [Kind; 5] =
    [Kind::KUSTOMIZATION, Kind::HELM_RELEASE, Kind::GIT_REPOSITORY, Kind::OCI_REPOSITORY, Kind::HELM_REPOSITORY];

/// The number of a watched kind.
pub(super) fn watched(kind: Kind) -> Option<u8> {
    WATCHED.iter().position(|k| *k == kind).and_then(|n| u8::try_from(n).ok())
}

/// The kind of that number.
pub(super) fn watched_kind(n: u8) -> Kind {
    WATCHED[usize::from(n)]
}

/// The watches of one leaf.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watches {
    pub(super) opening: u8,
    pub(super) open: u8,
}

impl Watches {
    pub(super) const fn is_open(self, kind: u8) -> bool {
        self.open & 1 << kind != 0
    }

    pub(super) const fn is_known(self, kind: u8) -> bool {
        (self.open | self.opening) & 1 << kind != 0
    }
}

impl Managed {
    pub(super) fn new(name: Arc<str>, shard: u32, leaf: u32, addon: u16) -> Self {
        Self {
            name,
            shard,
            leaf,
            addon,
            known: false,
            generation: 0,
            target: Target::default(),
            shape: None,
            app: App::empty(),
            agenda: Agenda::default(),
            cached: [None; 2],
            covered: [ContentId::default(); 2],
        }
    }

    /// An app that went through the same as this one, which was as `own` before: times from `from.0` on are times from
    /// `from.1` on, versions above `above.0` are as far above `above.1`; what is older is its own.
    pub(super) fn again(&self, own: &Self, from: (Time, Time), above: (u64, u64)) -> Self {
        let moved = |at: Option<Time>, own: Option<Time>| match at {
            Some(at) if at >= from.0 => Some(from.1 + at.since(from.0)),
            Some(_) => own,
            None => None,
        };
        let mut again = self.clone();
        again.name.clone_from(&own.name);
        again.app.detail_since = moved(self.app.detail_since, own.app.detail_since);
        again.app.synced_at = moved(self.app.synced_at, own.app.synced_at);
        for (shown, own) in again.cached.iter_mut().zip(&own.cached) {
            if let Some(shown) = shown {
                let before = own.map_or(shown.version, |own| own.version);
                shown.version = if shown.version > above.0 { above.1 + (shown.version - above.0) } else { before };
            }
        }
        again
    }

    /// It exists and has the Flux subsystem.
    pub(super) fn is_ours(&self) -> bool {
        self.known && self.app.mode != Mode::Ordinary
    }

    /// It is gone from the hub.
    pub(super) fn forget(&mut self) {
        *self = Self::new(Arc::clone(&self.name), self.shard, self.leaf, self.addon);
    }

    /// Whether what the watch says was overtaken by a list.
    pub(super) const fn is_old(&self, news: &super::event::AppNews) -> bool {
        self.known && !news.gone && news.generation < self.generation
    }

    /// Whether what the watch says is what is known already: our own writes come back this way.
    pub(super) fn knows(&self, news: &super::event::AppNews) -> bool {
        self.known
            && self.target == news.target
            && self.app.deleting == news.deleting
            && self.app.cascade == news.cascade
            && self.app.operation == news.operation
    }

    /// The Application appeared or changed. `key` numbers its objects.
    pub(super) fn read(
        &mut self,
        key: u32,
        news: &super::event::AppNews,
        shape: Arc<Shape>,
        status: crate::reconcile::Status,
    ) {
        // The machine only compares and hands back what it is given here.
        let id = |n: u64| ObjectId(u64::from(key) << 2 | n);
        // `slot_of` reads it back.
        let mut old = self.app;
        if !self.known {
            // Whatever was reported before is read with it.
            old.status = status;
        }
        self.known = true;
        (self.target, self.generation) = (news.target, news.generation);
        self.app = App {
            ids: Ids { app: id(0), workload: id(1), source: id(2), namespace: id(3) },
            mode: shape.mode,
            kinds: shape.kinds,
            desired: shape.desired,
            source: ContentId(shape.source),
            problem: shape.problem.map(Problem::Translation),
            automated: shape.automated.0,
            self_heal: shape.automated.1,
            deleting: news.deleting,
            cascade: news.cascade,
            operation: news.operation,
            status: old.status,
            detail_since: old.detail_since,
            synced_at: old.synced_at,
            ..App::empty()
        };
        self.shape = Some(shape);
    }

    /// What a watch (or, `written`, the reply to a write) shows of an object; whether the app must be looked at.
    pub(super) fn learn(&mut self, slot: Slot, shown: Option<Shown>, written: bool, rules: Rules) -> bool {
        let at = slot.index();
        let Some(shown) = shown else {
            self.covered[at] = ContentId::default();
            return self.cached[at].take().is_some() && rules.behaviour == Behaviour::Fixed;
        };
        let before = self.cached[at];
        if before.is_some_and(|before| shown.version < before.version) {
            return false;
        }
        let same = before.is_some_and(|before| before.content == shown.content);
        let covered = match (written && rules.behaviour == Behaviour::Fixed, same) {
            (true, _) => shown.content,
            (false, true) => self.covered[at],
            (false, false) => ContentId::default(),
        };
        let changed = std::mem::replace(&mut self.covered[at], covered) != covered;
        self.cached[at] = Some(shown);
        let news = before.is_none_or(|before| changed || !same || glance(&shown).is_news(&glance(&before)));
        // The original does not notice changes of Flux objects.
        news && rules.behaviour == Behaviour::Fixed
    }

    /// What the machine is shown of an object.
    pub(super) fn view(&mut self, slot: Slot, rules: Rules) -> Option<View> {
        let shown = self.cached[slot.index()]?;
        let desired = self.app.desired[slot.index()];
        let generated = self.app.mode == Mode::AutoCreate;
        let covers = !generated || shown.content == desired;
        if covers && generated {
            self.covered[slot.index()] = desired;
        }
        let stamped = generated && rules.behaviour == Behaviour::Fixed;
        Some(View {
            applied: if stamped { shown.content } else { ContentId::default() },
            covers,
            health: shown.health,
            message: shown.message,
            revision: shown.revision,
            deleting: shown.deleting,
            source: if slot == Slot::Workload { SourceRef::Object(self.app.kinds[1]) } else { SourceRef::Nothing },
        })
    }

    /// Everything that a round depends on but times and versions.
    pub(super) fn fingerprint(&self, hash: &mut impl Hasher) {
        let app = &self.app;
        (self.known, self.target, app.mode, app.kinds, app.desired, app.source, app.problem).hash(hash);
        (app.automated, app.self_heal, app.create_namespace, app.deleting, app.cascade).hash(hash);
        (app.refresh, app.operation, app.status, app.detail_since.is_some(), self.covered).hash(hash);
        (self.agenda.changed, self.agenda.touched).hash(hash);
        for shown in self.cached.iter().flatten() {
            (shown.content, shown.health, shown.message, shown.revision, shown.deleting).hash(hash);
        }
    }
}

/// Which of an app's objects a call is about, whether or not the app is known any more.
pub(super) const fn slot_of(object: ObjectId) -> Slot {
    if object.0 & 3 == 2 { Slot::Source } else { Slot::Workload }
}

fn glance(shown: &Shown) -> Glance<ContentId> {
    Glance { health: shown.health, deleting: shown.deleting, revision: shown.revision, message: shown.message }
}
