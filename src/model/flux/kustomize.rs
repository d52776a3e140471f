//! kustomize-controller: Kustomization.
//!
//! One pass: fetch, build, GET and dry-run apply of every object (four at a time), apply of what differs one by one,
//! prune by inventory, with `wait` a look at every object at once and then every five seconds with the worker held, and
//! the final status.

use super::catalogue::{Build, Revision};
use super::pass::{Compared, Context, Expect, Outcome, Pass, Progress, count};
use super::source::settle;
use super::spec::{Kustomization, Spec};
use super::status::{ConditionType, Fields, Reason, Snapshot, Text, Truth};
use super::{Op, Place, Reply, Write};
use crate::calls::Verb;
use crate::ids::AddonId;
use crate::units::{Span, Time};
use smallvec::SmallVec;
use std::sync::Arc;

/// `--concurrent-ssa`.
const CONCURRENT_SSA: u16 = 4;

/// Where a pass stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Begin,
    Depend,
    Fetch,
    Build,
    Drift,
    Diff(u16),
    Apply,
    Applied,
    Look,
    Looked,
    Finish,
    Deleted,
}

/// What a pass carries from stage to stage.
#[derive(Debug, Default)]
pub(super) struct Work {
    stage: Stage,
    spec: Option<Arc<Kustomization>>,
    revision: Option<Revision>,
    build: Option<Build>,
    compared: SmallVec<[Compared; 8]>,
    unmet: bool,
    changed: bool,
    /// An object was not current in this look.
    waiting: bool,
    checked: Time,
}

pub(super) fn advance(pass: &mut Pass, work: &mut Work, cx: &mut Context<'_>) {
    if let Some(code) = pass.failure.take() {
        return fail(pass, work, cx, Reason::ReconciliationFailed, Text::ApplyFailed { code });
    }
    match work.stage {
        Stage::Begin => begin(pass, work, cx),
        Stage::Depend => {
            work.stage = Stage::Fetch;
            if work.unmet {
                let after = cx.world.settings.dependency_poll;
                not_yet(pass, cx, Reason::DependencyNotReady, Text::Dependency, after);
            }
        }
        Stage::Fetch => fetch(pass, work, cx),
        Stage::Build => build(pass, work, cx),
        Stage::Drift => drift(pass, work, cx),
        Stage::Diff(from) => diff(pass, work, cx, from),
        Stage::Apply => apply(pass, work, cx),
        Stage::Applied => applied(pass, work, cx),
        Stage::Look => {
            work.stage = Stage::Looked;
            work.waiting = false;
            if let Some(build) = work.build {
                pass.look(cx, build);
            }
        }
        Stage::Looked => looked(pass, work, cx),
        Stage::Finish => finish(pass, work, cx),
        Stage::Deleted => deleted(pass, cx),
    }
}

pub(super) fn receive(pass: &mut Pass, work: &mut Work, cx: &mut Context<'_>, expect: Expect, reply: &Reply) {
    match expect {
        Expect::Live(n) => work.compared[usize::from(n)].live(reply),
        Expect::DryRun(n) => {
            if reply.is_ok() {
                work.compared[usize::from(n)].dry_run(reply);
            } else {
                pass.fail(reply.code);
            }
        }
        Expect::Look(n) => {
            let view = reply.object.filter(|_| reply.is_ok());
            work.waiting |= view.is_none_or(|v| !v.current);
            if let (Some(_), Some(build)) = (view, work.build) {
                pass.look_deeper(cx, build, n);
            }
        }
        Expect::Dependency(n) => work.unmet |= !dependency_met(work, cx, n, reply),
        _ => {}
    }
}

fn begin(pass: &mut Pass, work: &mut Work, cx: &mut Context<'_>) {
    let now = cx.now;
    let Some(object) = cx.objects.get_mut(pass.slot) else { return };
    if object.meta.deleting {
        return delete(pass, work, cx);
    }
    if !object.meta.finalizer {
        pass.finalizer(true);
        return pass.end(Outcome::Backoff);
    }
    let Spec::Kustomization(spec) = &object.spec else {
        object.failed(Reason::BuildFailed, Text::NoBuild, now);
        pass.patch(cx);
        return pass.end(Outcome::Rest);
    };
    if spec.common.suspend {
        return pass.end(Outcome::Rest);
    }
    let spec = Arc::clone(spec);
    let source = cx.find(&spec.source).and_then(|slot| cx.objects.get(slot));
    let Some(source) = source else {
        return not_yet(pass, cx, Reason::ArtifactFailed, Text::SourceMissing, spec.retry);
    };
    let Some(artifact) = source.status.artifact else {
        let after = cx.world.settings.dependency_poll;
        return not_yet(pass, cx, Reason::ArtifactFailed, Text::NoArtifact, after);
    };
    work.revision = Some(artifact.revision);
    work.stage = Stage::Depend;
    depend(pass, cx, &spec.depends);
    work.spec = Some(spec);
}

/// Dependencies are read live, one after the other.
pub(super) fn depend(pass: &mut Pass, cx: &Context<'_>, depends: &[super::spec::Reference]) {
    for (n, reference) in depends.iter().enumerate() {
        let place = cx.find(reference).map_or(Place::Server, Place::Flux);
        let op = pass.op(Verb::Get, place, reference.kind, Write::None);
        pass.push(op, Expect::Dependency(u16::try_from(n).unwrap_or(u16::MAX)));
    }
}

/// A dependency is met when it is Ready at its generation, and at our revision if it has our source.
fn dependency_met(work: &Work, cx: &Context<'_>, n: u16, reply: &Reply) -> bool {
    let Some(spec) = &work.spec else { return false };
    let Some(other) = cx.find(&spec.depends[usize::from(n)]).and_then(|slot| cx.objects.get(slot)) else {
        return false;
    };
    let same_source = matches!(&other.spec, Spec::Kustomization(o) if o.source == spec.source);
    reply.is_ok()
        && other.status.is_ready(other.meta.generation)
        && (!same_source || other.status.applied == work.revision)
}

/// It cannot begin yet.
fn not_yet(pass: &mut Pass, cx: &mut Context<'_>, reason: Reason, text: Text, after: Span) {
    let now = cx.now;
    let Some(object) = cx.objects.get_mut(pass.slot) else { return };
    object.failed(reason, text, now);
    pass.patch(cx);
    pass.end(Outcome::After(after));
}

fn fetch(pass: &mut Pass, work: &mut Work, cx: &mut Context<'_>) {
    let (now, Some(revision)) = (cx.now, work.revision) else { return };
    let Some(object) = cx.objects.get_mut(pass.slot) else { return };
    object.progressing(true, Text::Fetching(revision), now);
    pass.patch(cx);
    work.stage = Stage::Build;
}

fn build(pass: &mut Pass, work: &mut Work, cx: &mut Context<'_>) {
    let (now, Some(revision)) = (cx.now, work.revision) else { return };
    let Some(object) = cx.objects.get_mut(pass.slot) else { return };
    object.progressing(true, Text::Building(revision), now);
    object.status.put(Fields::ATTEMPTED, |s| &mut s.attempted, Some(revision));
    pass.patch(cx);
    work.stage = Stage::Drift;
    let (seed, n) = cx.draw(pass.slot, "build");
    pass.pause(cx.world.settings.build.draw(seed, n));
}

fn drift(pass: &mut Pass, work: &mut Work, cx: &mut Context<'_>) {
    let (now, Some(revision), Some(spec)) = (cx.now, work.revision, &work.spec) else { return };
    let Some(build) = cx.world.catalogue.build(revision, &spec.path) else {
        return fail(pass, work, cx, Reason::BuildFailed, Text::NoBuild);
    };
    let Some(object) = cx.objects.get_mut(pass.slot) else { return };
    object.progressing(true, Text::DetectingDrift(revision), now);
    pass.patch(cx);
    work.build = Some(build);
    work.compared = smallvec::smallvec![Compared::default(); usize::from(count(cx, build))];
    work.stage = Stage::Diff(0);
}

/// The next four: their GETs, then their dry runs.
fn diff(pass: &mut Pass, work: &mut Work, cx: &mut Context<'_>, from: u16) {
    let Some(build) = work.build else { return };
    let to = count(cx, build).min(from + CONCURRENT_SSA);
    if from == to {
        work.stage = Stage::Apply;
        return;
    }
    pass.push_all((from..to).map(|n| (pass.get(cx, build, n), Expect::Live(n))).collect::<SmallVec<[_; 4]>>());
    let dry_run = |n| (Op { dry_run: true, ..pass.apply(cx, build, n, true) }, Expect::DryRun(n));
    pass.push_all((from..to).map(dry_run).collect::<SmallVec<[_; 4]>>());
    work.stage = Stage::Diff(to);
}

fn apply(pass: &mut Pass, work: &mut Work, cx: &mut Context<'_>) {
    let Some(build) = work.build else { return };
    work.stage = Stage::Applied;
    for (n, _) in (0..).zip(&work.compared).filter(|(_, c)| c.drifted) {
        work.changed = true;
        let op = pass.apply(cx, build, n, true);
        pass.push(op, Expect::Must);
    }
    let old = cx.objects.get(pass.slot).and_then(|o| o.status.inventory);
    let prune = work.spec.as_ref().is_some_and(|s| s.prune);
    if let Some(old) = old.filter(|old| *old != build.addon && prune) {
        remove(pass, cx, old);
        pass.event(cx, Reason::ReconciliationSucceeded, Text::Pruned, false);
    }
}

/// GET and DELETE of every object of an inventory, last applied first.
fn remove(pass: &mut Pass, cx: &Context<'_>, addon: AddonId) {
    for (n, item) in cx.world.catalogue.items(addon).iter().enumerate().rev() {
        let n = u16::try_from(n).unwrap_or(u16::MAX);
        let place = Place::Item(addon, n);
        let get = pass.op(Verb::Get, place, item.kind, Write::None);
        pass.push(get, Expect::Nothing);
        let delete = pass.op(Verb::Delete, place, item.kind, Write::None);
        pass.push(delete, Expect::Nothing);
    }
}

fn applied(pass: &mut Pass, work: &mut Work, cx: &mut Context<'_>) {
    let (now, Some(revision), Some(build)) = (cx.now, work.revision, work.build) else { return };
    if work.changed {
        pass.event(cx, Reason::Progressing, Text::Configured(revision), false);
    }
    cx.progress.push(Progress::Applied(pass.slot));
    let Some(object) = cx.objects.get_mut(pass.slot) else { return };
    object.status.put(Fields::INVENTORY, |s| &mut s.inventory, Some(build.addon));
    if work.spec.as_ref().is_some_and(|s| s.wait) {
        object.progressing(true, Text::HealthChecks(revision), now);
        object.condition(
            ConditionType::Healthy,
            Truth::Unknown,
            Reason::Progressing,
            Text::HealthChecks(revision),
            now,
        );
        pass.patch(cx);
        work.checked = now;
        work.stage = Stage::Look;
    } else {
        work.stage = Stage::Finish;
    }
}

fn looked(pass: &mut Pass, work: &mut Work, cx: &mut Context<'_>) {
    let (now, Some(revision), Some(spec)) = (cx.now, work.revision, &work.spec) else { return };
    if work.waiting {
        let poll = cx.world.settings.health_poll;
        if now.since(work.checked) + poll > spec.timeout {
            let Some(object) = cx.objects.get_mut(pass.slot) else { return };
            object.condition(ConditionType::Healthy, Truth::False, Reason::HealthCheckFailed, Text::HealthFailed, now);
            return fail(pass, work, cx, Reason::HealthCheckFailed, Text::HealthFailed);
        }
        work.stage = Stage::Look;
        return pass.pause(poll);
    }
    let Some(object) = cx.objects.get_mut(pass.slot) else { return };
    let news = work.changed || object.status.applied != Some(revision);
    let text = Text::HealthPassed(revision);
    object.condition(ConditionType::Healthy, Truth::True, Reason::Succeeded, text, now);
    if news {
        pass.event(cx, Reason::Progressing, text, false);
    }
    pass.patch(cx);
    work.stage = Stage::Finish;
}

fn finish(pass: &mut Pass, work: &Work, cx: &mut Context<'_>) {
    let (now, Some(revision), Some(build)) = (cx.now, work.revision, work.build) else { return };
    let millis = millis(now.since(pass.began));
    let Some(object) = cx.objects.get_mut(pass.slot) else { return };
    object.status.put(Fields::APPLIED, |s| &mut s.applied, Some(revision));
    object.status.remember(Snapshot {
        revision,
        digest: u64::from(build.version) << 32 | u64::from(build.commits),
        first: now,
        last: now,
        millis,
        count: 1,
        release: 0,
        ok: true,
        superseded: false,
    });
    object.ready(Reason::ReconciliationSucceeded, Text::Applied(revision), now);
    settle(object);
    pass.patch(cx);
    pass.event(cx, Reason::ReconciliationSucceeded, Text::Finished { millis }, false);
    let interval = work.spec.as_ref().map_or(Span::ZERO, |s| s.common.interval);
    let after = cx.jittered(pass.slot, interval);
    pass.end(Outcome::After(after));
}

pub(super) fn millis(span: Span) -> u32 {
    u32::try_from(span.0 / 1_000_000).unwrap_or(u32::MAX)
}

/// The reconcile failed: written down, told, tried again after `retryInterval`.
fn fail(pass: &mut Pass, work: &Work, cx: &mut Context<'_>, reason: Reason, text: Text) {
    let now = cx.now;
    let retry = work.spec.as_ref().map_or(Span::ZERO, |s| s.retry);
    let Some(object) = cx.objects.get_mut(pass.slot) else { return };
    object.failed(reason, text, now);
    let requested = object.meta.requested.clone();
    if requested.is_some() {
        object.status.put(Fields::HANDLED, |s| &mut s.handled, requested);
    }
    pass.patch(cx);
    pass.event(cx, reason, text, true);
    pass.end(Outcome::After(retry));
}

fn delete(pass: &mut Pass, work: &mut Work, cx: &mut Context<'_>) {
    let Some(object) = cx.objects.get(pass.slot) else { return };
    if !object.meta.finalizer {
        return pass.end(Outcome::Rest);
    }
    let prune = matches!(&object.spec, Spec::Kustomization(s) if s.prune && !s.common.suspend);
    if let Some(addon) = object.status.inventory.filter(|_| prune) {
        remove(pass, cx, addon);
        pass.event(cx, Reason::ReconciliationSucceeded, Text::Pruned, false);
    }
    pass.finalizer(false);
    work.stage = Stage::Deleted;
}

fn deleted(pass: &mut Pass, cx: &mut Context<'_>) {
    pass.last_words();
    pass.event(cx, Reason::ReconciliationSucceeded, Text::Finished { millis: millis(cx.now.since(pass.began)) }, false);
    pass.end(Outcome::Rest);
}
