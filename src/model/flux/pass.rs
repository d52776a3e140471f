//! One reconcile of one Flux object: what all three controllers share.
//!
//! In: replies, the time. Out: the next batch of calls, an instant to wait for, or the outcome. The worker of the
//! controller is held from begin to end, waits included.

use super::catalogue::Build;
use super::object::{Object, Objects};
use super::spec::{Reference, Spec};
use super::status::{ConditionType, Conditions, Fields, Reason, Text, Truth};
use super::{Agent, Body, Document, Op, Place, Reply, Selection, Slot, World, Write, helm, kustomize, source};
use crate::calls::{ContentId, Kind, Target, Verb};
use crate::units::{Span, Time};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::hash::{Hash as _, Hasher as _};

/// What a pass wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Answers to the calls of [`super::Controllers::asked`], in their order; they may be in flight together.
    Call,
    /// Nothing before this instant.
    Wait(Time),
    /// It is over; the worker is free.
    Done,
}

/// What a pass reached, for those who measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A source's artifact was published.
    Fetched(Slot),
    /// All objects of a workload were applied.
    Applied(Slot),
    /// A workload's status says how it ended: Ready, or not.
    Settled(Slot),
}

/// How a pass ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Until the next event.
    Rest,
    /// Again after so long.
    After(Span),
    /// Again when the back-off says.
    Backoff,
}

/// What a reply is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// Nothing depends on it.
    Nothing,
    /// A conditions patch: may conflict.
    Conditions,
    /// A patch of these other status fields.
    Status(Fields),
    /// The finalizer.
    Finalizer,
    /// The object as it is, the `n`-th of the build.
    Live(u16),
    /// The object as it would be.
    DryRun(u16),
    /// It must have worked.
    Must,
    /// Is the `n`-th object current?
    Look(u16),
    /// A dependency, by its place in the spec.
    Dependency(u16),
    /// The HelmChart as it is.
    ChartLive,
    /// The HelmChart as it would be.
    ChartDryRun,
}

/// The key of an object in the index of a cluster.
pub(super) fn key(kind: Kind, namespace: &str, name: &str) -> u64 {
    let mut hasher = rustc_hash::FxHasher::default();
    (kind, namespace, name).hash(&mut hasher);
    hasher.finish()
}

/// What a pass works with.
pub(super) struct Context<'a> {
    pub(super) world: &'a World,
    pub(super) objects: &'a mut Objects,
    pub(super) index: &'a FxHashMap<u64, Slot>,
    pub(super) seed: crate::seed::Seed,
    pub(super) now: Time,
    /// The soonest that anything drawn so far could come.
    pub(super) soonest: &'a mut Time,
    /// Objects whose artifact was just published.
    pub(super) progress: &'a mut Vec<Progress>,
}

impl Context<'_> {
    /// The object that a reference names.
    pub(super) fn find(&self, reference: &Reference) -> Option<Slot> {
        self.index.get(&key(reference.kind, &reference.namespace, &reference.name)).copied()
    }

    /// The HelmChart that a HelmRelease created.
    pub(super) fn chart_of(&self, slot: Slot) -> Option<Slot> {
        let object = self.objects.get(slot)?;
        let Spec::Release(spec) = &object.spec else { return None };
        let source = &spec.chart.as_ref()?.source;
        let name = format!("{}-{}", object.meta.namespace, object.meta.name);
        self.index.get(&key(Kind::HELM_CHART, &source.namespace, &name)).copied()
    }

    /// The `n`-th draw of an object.
    pub(super) fn draw(&mut self, slot: Slot, purpose: &str) -> (crate::seed::Seed, u64) {
        let object = self.objects.get_mut(slot);
        let n = object.map_or(0, |o| {
            o.draws += 1;
            o.draws
        });
        (self.seed.child(purpose).entity(u64::from(slot.0)), n)
    }

    /// An interval with the jitter of `--interval-jitter-percentage`.
    pub(super) fn jittered(&mut self, slot: Slot, interval: Span) -> Span {
        let (seed, n) = self.draw(slot, "jitter");
        *self.soonest = (*self.soonest).min(self.now + bounds(self.world, interval).0);
        jitter(self.world, seed, n, interval)
    }
}

/// The shortest and the longest that an interval can be drawn.
fn bounds(world: &World, interval: Span) -> (Span, Span) {
    let ppm = u64::from(world.settings.jitter_ppm).min(1_000_000);
    (interval.scaled(1_000_000 - ppm, 1_000_000), interval.scaled(1_000_000 + ppm, 1_000_000))
}

/// The `n`-th draw of an interval.
pub(super) fn jitter(world: &World, seed: crate::seed::Seed, n: u64, interval: Span) -> Span {
    let (low, high) = bounds(world, interval);
    seed.span(n, low, high)
}

/// A call to make, and what its reply is for.
#[derive(Debug)]
struct Pending {
    op: Op,
    expect: Expect,
    /// It goes out together with the next one.
    more: bool,
}

/// What differs between the controllers.
#[derive(Debug)]
pub(super) enum Work {
    Source(source::Stage),
    Kustomize(Box<kustomize::Work>),
    Helm(Box<helm::Work>),
}

/// One reconcile.
#[derive(Debug)]
pub(super) struct Pass {
    pub(super) slot: Slot,
    pub(super) kind: Kind,
    pub(super) agent: Agent,
    pub(super) began: Time,
    pub(super) outcome: Outcome,
    pending: VecDeque<Pending>,
    /// Calls whose replies are awaited, and what those are for.
    flying: Vec<Op>,
    expected: Vec<Expect>,
    /// Conditions as they were last written.
    saved: Conditions,
    wait: Option<Time>,
    hold: Option<Span>,
    conflicts: u8,
    /// The code of a call that had to work and did not.
    pub(super) failure: Option<u16>,
    pub(super) over: bool,
    work: Option<Work>,
}

/// `patch.Helper` retries a conflict up to five times, 100 ms and more apart (recorded: 112 and 179 ms).
const CONFLICT_RETRIES: u8 = 5;
const CONFLICT_PAUSE: Span = Span::from_millis(100);

impl Pass {
    pub(super) fn new(slot: Slot, object: &Object, now: Time) -> Self {
        let agent = object.agent();
        let work = match agent {
            Agent::Source => Work::Source(source::Stage::Begin),
            Agent::Kustomize => Work::Kustomize(Box::default()),
            Agent::Helm | Agent::HelmSdk => Work::Helm(Box::default()),
        };
        Self {
            slot,
            kind: object.kind,
            agent,
            began: now,
            outcome: Outcome::Rest,
            pending: VecDeque::new(),
            flying: Vec::new(),
            expected: Vec::new(),
            saved: object.status.conditions.clone(),
            wait: None,
            hold: None,
            conflicts: 0,
            failure: None,
            over: false,
            work: Some(work),
        }
    }

    /// The calls whose replies are awaited.
    pub(super) fn asked(&self) -> &[Op] {
        &self.flying
    }

    /// Takes replies (none at the begin and after a wait) and says what is next.
    pub(super) fn step(&mut self, cx: &mut Context<'_>, replies: &[Reply]) -> Step {
        let Some(mut work) = self.work.take() else { return Step::Done };
        let (mut flying, mut expected) = (std::mem::take(&mut self.flying), std::mem::take(&mut self.expected));
        for ((op, expect), reply) in flying.drain(..).zip(expected.drain(..)).zip(replies) {
            self.receive(cx, &mut work, op, expect, reply);
        }
        (self.flying, self.expected) = (flying, expected);
        let step = self.next(cx, &mut work);
        self.work = Some(work);
        step
    }

    fn next(&mut self, cx: &mut Context<'_>, work: &mut Work) -> Step {
        loop {
            if let Some(at) = self.wait.take()
                && at > cx.now
            {
                self.wait = Some(at);
                return Step::Wait(at);
            }
            if self.call_next() {
                return Step::Call;
            }
            if let Some(span) = self.hold.take() {
                self.wait = Some(cx.now + span);
                continue;
            }
            // A deletion goes on to its last words, whoever removed the object.
            if self.over || cx.objects.get(self.slot).is_none_or(|o| o.gone && !o.meta.deleting) {
                return Step::Done;
            }
            match work {
                Work::Source(stage) => source::advance(self, stage, cx),
                Work::Kustomize(work) => kustomize::advance(self, work, cx),
                Work::Helm(work) => helm::advance(self, work, cx),
            }
        }
    }

    /// The next calls go out; false if there are none.
    fn call_next(&mut self) -> bool {
        while let Some(Pending { op, expect, more }) = self.pending.pop_front() {
            self.flying.push(op);
            self.expected.push(expect);
            if !more {
                break;
            }
        }
        !self.flying.is_empty()
    }

    fn receive(&mut self, cx: &mut Context<'_>, work: &mut Work, op: Op, expect: Expect, reply: &Reply) {
        if Place::of(op.object) == Place::Flux(self.slot)
            && let (Some(view), Some(object)) = (reply.object, cx.objects.get_mut(self.slot))
        {
            object.meta.version = object.meta.version.max(view.version);
        }
        match expect {
            Expect::Nothing => {}
            Expect::Conditions if reply.is_conflict() && self.conflicts < CONFLICT_RETRIES => {
                self.conflicts += 1;
                self.wait = Some(cx.now + CONFLICT_PAUSE);
                self.pending.push_front(Pending { op, expect, more: false });
            }
            Expect::Status(fields) if reply.is_ok() && fields.contains(Fields::ARTIFACT) => {
                cx.progress.push(Progress::Fetched(self.slot));
            }
            Expect::Status(_) if reply.is_ok() && self.is_settled(cx) => {
                cx.progress.push(Progress::Settled(self.slot));
            }
            Expect::Finalizer if reply.is_ok() => {
                if let (Some(object), Write::Finalizer { on }) = (cx.objects.get_mut(self.slot), op.body.write) {
                    object.meta.finalizer = on;
                }
            }
            Expect::Conditions | Expect::Status(_) | Expect::Finalizer if !reply.is_ok() => {
                // The object is gone, or its server is in trouble.
                self.pending.clear();
                self.end(if reply.is_absent() { Outcome::Rest } else { Outcome::Backoff });
            }
            Expect::Must if !reply.is_ok() => self.fail(reply.code),
            Expect::Conditions | Expect::Status(_) | Expect::Finalizer | Expect::Must => {}
            _ => match work {
                Work::Source(_) => {}
                Work::Kustomize(work) => kustomize::receive(self, work, cx, expect, reply),
                Work::Helm(work) => helm::receive(self, work, cx, expect, reply),
            },
        }
    }

    /// Whether a workload's status, as just written, is a result rather than progress.
    fn is_settled(&self, cx: &Context<'_>) -> bool {
        let Some(object) = cx.objects.get(self.slot).filter(|_| self.agent != Agent::Source) else { return false };
        let ready = object.status.condition(ConditionType::Ready).map(|c| c.truth);
        let going = object.status.condition(ConditionType::Reconciling).is_some();
        ready == Some(Truth::False) || ready == Some(Truth::True) && !going
    }

    /// A call that had to work did not; what was still to be called is dropped, the stage decides.
    pub(super) fn fail(&mut self, code: u16) {
        self.failure = Some(code);
        self.pending.clear();
    }

    /// Ends the pass once what is pending has been called.
    pub(super) const fn end(&mut self, outcome: Outcome) {
        self.outcome = outcome;
        self.over = true;
    }

    /// Holds the worker for a time once what is pending has been called; zero is none.
    pub(super) fn pause(&mut self, span: Span) {
        self.hold = Some(span).filter(|s| *s > Span::ZERO);
    }

    /// Writes the status by the rule of [`super::status`]; true if it had anything to write.
    pub(super) fn patch(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(object) = cx.objects.get_mut(self.slot) else { return false };
        let fields = object.status.take_changed();
        let conditions = self.saved != object.status.conditions;
        if conditions {
            self.saved.clone_from(&object.status.conditions);
            self.conflicts = 0;
            self.status(Write::Conditions, Expect::Conditions);
        }
        if fields != Fields::NONE {
            self.status(Write::Status(fields), Expect::Status(fields));
        } else if conditions {
            self.status(Write::Empty, Expect::Status(fields));
        }
        conditions || fields != Fields::NONE
    }

    /// Writes the conditions alone, changed or not.
    pub(super) fn patch_conditions(&mut self) {
        self.status(Write::Conditions, Expect::Conditions);
    }

    fn status(&mut self, write: Write, expect: Expect) {
        let op = Op { status: true, ..self.op(Verb::Patch, Place::Flux(self.slot), self.kind, write) };
        self.push(op, expect);
    }

    /// A call by this controller.
    pub(super) const fn op(&self, verb: Verb, place: Place, kind: Kind, write: Write) -> Op {
        let body = Body { agent: self.agent, slot: self.slot, write };
        Op { target: Target::Leaf, verb, kind, object: place.id(), status: false, dry_run: false, body }
    }

    /// Queues one call.
    pub(super) fn push(&mut self, op: Op, expect: Expect) {
        self.pending.push_back(Pending { op, expect, more: false });
    }

    /// Queues one call before all others.
    pub(super) fn push_next(&mut self, op: Op, expect: Expect) {
        self.pending.push_front(Pending { op, expect, more: false });
    }

    /// Queues calls that go out together.
    pub(super) fn push_all(&mut self, calls: impl IntoIterator<Item = (Op, Expect)>) {
        self.pending.extend(calls.into_iter().map(|(op, expect)| Pending { op, expect, more: true }));
        if let Some(last) = self.pending.back_mut() {
            last.more = false;
        }
    }

    /// An Event about the object, unless the recorder drops it.
    pub(super) fn event(&mut self, cx: &mut Context<'_>, reason: Reason, text: Text, warning: bool) {
        let Some(notice) = cx.objects.get_mut(self.slot).and_then(|o| o.notice(reason, text, warning, cx.now)) else {
            return;
        };
        let verb = if notice.count > 1 { Verb::Patch } else { Verb::Create };
        let op = self.op(verb, Place::Event(self.slot), Kind::EVENT, Write::Event(notice));
        self.push(op, Expect::Nothing);
    }

    /// The finalizer goes on or off.
    pub(super) fn finalizer(&mut self, on: bool) {
        let op = self.op(Verb::Patch, Place::Flux(self.slot), self.kind, Write::Finalizer { on });
        self.push(op, Expect::Finalizer);
    }

    /// The write after the finalizer is off: the object is gone, so it is refused.
    pub(super) fn last_words(&mut self) {
        let op = Op { status: true, ..self.op(Verb::Patch, Place::Flux(self.slot), self.kind, Write::Empty) };
        self.push(op, Expect::Nothing);
    }

    /// GET of one object of a build.
    pub(super) fn get(&self, cx: &Context<'_>, build: Build, n: u16) -> Op {
        let kind = cx.world.catalogue.items(build.addon)[usize::from(n)].kind;
        self.op(Verb::Get, Place::Item(build.addon, n), kind, Write::None)
    }

    /// Server-side apply of one object of a build.
    pub(super) fn apply(&self, cx: &Context<'_>, build: Build, n: u16, force: bool) -> Op {
        let kind = cx.world.catalogue.items(build.addon)[usize::from(n)].kind;
        self.op(Verb::Apply, Place::Item(build.addon, n), kind, Write::Manifest { build, force })
    }

    /// Discovery and the like.
    pub(super) fn document(&mut self, document: Document) {
        let op = self.op(Verb::Discover, Place::Server, Kind::BUCKET, Write::Document(document));
        self.push(op, Expect::Nothing);
    }

    /// Looks once at every object of a build, one after the other.
    pub(super) fn look(&mut self, cx: &Context<'_>, build: Build) {
        for n in 0..count(cx, build) {
            let op = self.get(cx, build, n);
            self.push(op, Expect::Look(n));
        }
    }

    /// A look at a Deployment lists its ReplicaSets and their Pods.
    pub(super) fn look_deeper(&mut self, cx: &Context<'_>, build: Build, n: u16) {
        if cx.world.catalogue.items(build.addon)[usize::from(n)].kind == Kind::DEPLOYMENT {
            let place = Place::Item(build.addon, n);
            let pods = self.op(Verb::List, place, Kind::POD, Write::Select(Selection::Pods));
            self.push_next(pods, Expect::Nothing);
            let sets = self.op(Verb::List, place, Kind::REPLICA_SET, Write::Select(Selection::ReplicaSets));
            self.push_next(sets, Expect::Nothing);
        }
    }
}

/// How many objects a build has.
pub(super) fn count(cx: &Context<'_>, build: Build) -> u16 {
    u16::try_from(cx.world.catalogue.items(build.addon).len()).unwrap_or(u16::MAX)
}

/// What a dry run was compared with, and whether it differs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Compared {
    /// The live content; `None` if it does not exist.
    pub(super) live: Option<ContentId>,
    /// It has to be written.
    pub(super) drifted: bool,
}

impl Compared {
    pub(super) fn live(&mut self, reply: &Reply) {
        self.live = reply.object.filter(|_| reply.is_ok()).map(|v| v.content);
    }

    pub(super) fn dry_run(&mut self, reply: &Reply) {
        self.drifted = self.live.is_none() || reply.object.map(|v| v.content) != self.live;
    }
}
