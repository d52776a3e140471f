//! helm-controller: HelmRelease.
//!
//! One pass: apply of the HelmChart, "Fulfilling prerequisites", the storage, then at most one action (install, upgrade,
//! uninstall on failure) with the calls of the Helm SDK, a look at the storage again, drift detection, the final status.
//! A pass whose chart is not ready ends and comes back with the chart's artifact or after 30 s.

use super::catalogue::{Build, Revision};
use super::kustomize::{depend, millis};
use super::pass::{Compared, Context, Expect, Outcome, Pass, Progress, count};
use super::source::settle;
use super::spec::{Release, Spec};
use super::status::{ConditionType, Fields, Reason, Snapshot, Text, Truth};
use super::{Agent, Body, Document, Op, Place, ReleaseState, Reply, Selection, Write};
use crate::calls::{Kind, Verb};
use crate::units::{Span, Time};
use smallvec::SmallVec;
use std::sync::Arc;

/// Where a pass stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    #[default]
    Begin,
    Chart,
    Depend,
    Source,
    Decide,
    Act,
    Rendered,
    Look,
    Looked,
    Acted,
    Drift,
    Correct,
    Finish,
    Remediated,
    Removing,
    Removed,
    Deleted,
}

/// What a pass carries from stage to stage.
#[derive(Debug, Default)]
pub(super) struct Work {
    stage: Stage,
    spec: Option<Arc<Release>>,
    chart: Compared,
    chart_changed: bool,
    unmet: bool,
    revision: Option<Revision>,
    build: Option<Build>,
    upgrade: bool,
    waiting: bool,
    checked: Time,
    announced: bool,
    compared: SmallVec<[Compared; 8]>,
}

impl Work {
    /// Says once that everything is applied.
    fn applied(&mut self, pass: &Pass, cx: &mut Context<'_>) {
        if !self.announced {
            self.announced = true;
            cx.progress.push(Progress::Applied(pass.slot));
        }
    }
}

pub(super) fn advance(pass: &mut Pass, work: &mut Work, cx: &mut Context<'_>) {
    if let Some(code) = pass.failure.take() {
        return if work.stage > Stage::Act && work.stage <= Stage::Acted {
            action_failed(pass, work, cx)
        } else {
            refused(pass, cx, code)
        };
    }
    match work.stage {
        Stage::Begin => begin(pass, work, cx),
        Stage::Chart => chart(pass, work, cx),
        Stage::Depend => {
            work.stage = Stage::Source;
            if let Some(spec) = &work.spec {
                depend(pass, cx, &spec.depends);
            }
        }
        Stage::Source => source(pass, work, cx),
        Stage::Decide => decide(pass, work, cx),
        Stage::Act => act(pass, work),
        Stage::Rendered => rendered(pass, work, cx),
        Stage::Look => look(pass, work, cx),
        Stage::Looked => looked(pass, work, cx),
        Stage::Acted => acted(pass, work, cx),
        Stage::Drift => drift(pass, work, cx),
        Stage::Correct => correct(pass, work, cx),
        Stage::Finish => finish(pass, work, cx),
        Stage::Remediated => remediated(pass, cx),
        Stage::Removing => removing(pass, work, cx),
        Stage::Removed => removed(pass, work, cx),
        Stage::Deleted => {
            pass.last_words();
            pass.end(Outcome::Rest);
        }
    }
}

pub(super) fn receive(pass: &mut Pass, work: &mut Work, cx: &mut Context<'_>, expect: Expect, reply: &Reply) {
    match expect {
        Expect::ChartLive => work.chart.live(reply),
        Expect::ChartDryRun if reply.is_ok() => work.chart.dry_run(reply),
        Expect::ChartDryRun => pass.fail(reply.code),
        Expect::Dependency(n) => {
            let met = work.spec.as_ref().and_then(|s| cx.find(&s.depends[usize::from(n)]));
            let met = met.and_then(|slot| cx.objects.get(slot)).is_some_and(|o| o.status.is_ready(o.meta.generation));
            work.unmet |= !(met && reply.is_ok());
        }
        Expect::Live(n) => work.compared[usize::from(n)].live(reply),
        Expect::DryRun(n) if reply.is_ok() => work.compared[usize::from(n)].dry_run(reply),
        Expect::Look(n) => {
            let view = reply.object.filter(|_| reply.is_ok());
            work.waiting |= view.is_none_or(|v| !v.current);
            if let (Some(_), Some(build)) = (view, work.build) {
                pass.look_deeper(cx, build, n);
            }
        }
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
    let Spec::Release(spec) = &object.spec else {
        object.failed(Reason::ArtifactFailed, Text::NoBuild, now);
        pass.patch(cx);
        return pass.end(Outcome::Rest);
    };
    if spec.common.suspend {
        return pass.end(Outcome::Rest);
    }
    let spec = Arc::clone(spec);
    if spec.chart.is_some() {
        let place = Place::Chart(pass.slot);
        let get = pass.op(Verb::Get, place, Kind::HELM_CHART, Write::None);
        pass.push(get, Expect::ChartLive);
        let apply = pass.op(Verb::Apply, place, Kind::HELM_CHART, Write::Chart);
        pass.push(Op { dry_run: true, ..apply }, Expect::ChartDryRun);
    }
    work.spec = Some(spec);
    work.stage = Stage::Chart;
}

fn chart(pass: &mut Pass, work: &mut Work, cx: &mut Context<'_>) {
    let now = cx.now;
    work.chart_changed = work.chart.drifted;
    if work.chart.drifted {
        let created = work.chart.live.is_none();
        let op = pass.op(Verb::Apply, Place::Chart(pass.slot), Kind::HELM_CHART, Write::Chart);
        pass.push(op, Expect::Must);
        let reason = if created { Reason::HelmChartCreated } else { Reason::HelmChartConfigured };
        pass.event(cx, reason, Text::ChartChanged, false);
    }
    let Some(object) = cx.objects.get_mut(pass.slot) else { return };
    if work.spec.as_ref().is_some_and(|s| s.chart.is_some()) {
        object.status.put(Fields::CHART, |s| &mut s.chart, true);
    }
    // A release that waits for its chart says so already.
    let waits = object.status.condition(ConditionType::Reconciling).is_some_and(|c| c.text == Text::ChartNotReady);
    if !waits {
        object.progressing(false, Text::Fulfilling, now);
        pass.patch(cx);
    }
    work.stage = Stage::Depend;
}

fn source(pass: &mut Pass, work: &mut Work, cx: &mut Context<'_>) {
    let poll = cx.world.settings.dependency_poll;
    if work.unmet {
        return not_yet(pass, cx, Reason::DependencyNotReady, Text::Dependency, poll);
    }
    let Some(revision) = chart_revision(pass, work, cx) else {
        let after = cx.jittered(pass.slot, poll);
        return not_yet(pass, cx, Reason::SourceNotReady, Text::ChartNotReady, after);
    };
    let path = work.spec.as_ref().and_then(|s| s.chart.as_ref()).map_or("", |c| &c.chart);
    let Some(build) = cx.world.catalogue.build(revision, path) else {
        return not_yet(pass, cx, Reason::ArtifactFailed, Text::NoBuild, poll);
    };
    work.revision = Some(revision);
    work.build = Some(build);
    work.stage = Stage::Decide;
    storage(pass);
}

/// What the chart holds, if it is ready at its generation.
fn chart_revision(pass: &Pass, work: &Work, cx: &Context<'_>) -> Option<Revision> {
    let spec = work.spec.as_ref()?;
    let slot = match &spec.chart_ref {
        Some(reference) => cx.find(reference)?,
        None if work.chart_changed => return None,
        None => cx.chart_of(pass.slot)?,
    };
    let chart = cx.objects.get(slot)?;
    let current = chart.status.generation == chart.meta.generation;
    chart.status.artifact.filter(|_| current).map(|a| a.revision)
}

fn not_yet(pass: &mut Pass, cx: &mut Context<'_>, reason: Reason, text: Text, after: Span) {
    let now = cx.now;
    let Some(object) = cx.objects.get_mut(pass.slot) else { return };
    object.failed(reason, text, now);
    pass.patch(cx);
    pass.end(Outcome::After(after));
}

/// LIST of the release's storage.
fn storage(pass: &mut Pass) {
    let place = Place::Release(pass.slot, 0);
    let op = pass.op(Verb::List, place, Kind::SECRET, Write::Select(Selection::Releases));
    pass.push(op, Expect::Nothing);
}

/// Install, upgrade, or nothing to do.
fn decide(pass: &mut Pass, work: &mut Work, cx: &mut Context<'_>) {
    let now = cx.now;
    let (Some(spec), Some(revision)) = (work.spec.clone(), work.revision) else { return };
    let Some(object) = cx.objects.get_mut(pass.slot) else { return };
    let config = spec.values.digest;
    let latest = object.status.latest().copied();
    let in_force = latest.is_some_and(|l| l.ok && l.revision == revision && l.digest == config);
    if in_force {
        work.stage = if spec.detect_drift { Stage::Drift } else { Stage::Finish };
        return;
    }
    let tried = object.status.attempted == Some(revision) && object.status.config == config;
    if !tried {
        // A change resets the failures (helm-controller, ClearFailures).
        object.status.put(Fields::FAILURES, |s| &mut s.failures, 0);
    }
    work.upgrade = latest.is_some_and(|l| !l.superseded);
    let retries = if work.upgrade { spec.upgrade_retries } else { spec.install_retries };
    if retries >= 0 && i64::from(object.status.failures) > retries {
        object.condition(
            ConditionType::Stalled,
            Truth::True,
            Reason::RetriesExceeded,
            Text::ActionFailed { upgrade: work.upgrade, release: 0 },
            now,
        );
        object.status.unset(ConditionType::Reconciling);
        pass.patch(cx);
        return pass.end(Outcome::Rest);
    }
    object.progressing(true, Text::RunningAction { upgrade: work.upgrade }, now);
    object.status.put(Fields::ATTEMPTED, |s| &mut s.attempted, Some(revision));
    object.status.put(Fields::ATTEMPTED, |s| &mut s.config, config);
    object.status.touch(Fields::ATTEMPTED);
    pass.patch(cx);
    work.stage = Stage::Act;
    let (seed, n) = cx.draw(pass.slot, "build");
    pass.pause(cx.world.settings.build.draw(seed, n));
}

/// The SDK prepares: versions, storage, schema.
fn act(pass: &mut Pass, work: &mut Work) {
    if work.upgrade {
        storage(pass);
    }
    pass.document(Document::Version);
    storage(pass);
    pass.document(Document::Version);
    discover(pass);
    pass.document(Document::OpenApi);
    work.stage = Stage::Rendered;
}

/// GET of `/api` and `/apis`; nothing is cached between steps.
fn discover(pass: &mut Pass) {
    pass.document(Document::Api);
    pass.document(Document::Apis);
}

/// The revision of the release that this pass makes, and what was before.
fn releases(pass: &Pass, cx: &Context<'_>) -> (u32, u32) {
    let before = cx.objects.get(pass.slot).and_then(|o| o.status.latest()).map_or(0, |l| l.release);
    (before + 1, before)
}

fn sdk(op: Op) -> Op {
    Op { body: Body { agent: Agent::HelmSdk, ..op.body }, ..op }
}

fn rendered(pass: &mut Pass, work: &mut Work, cx: &Context<'_>) {
    let Some(build) = work.build else { return };
    schemas(pass, cx, build);
    let n = count(cx, build);
    let (release, _) = releases(pass, cx);
    if work.upgrade {
        storage(pass);
        secret(pass, Verb::Create, release, ReleaseState::PendingUpgrade);
        discover(pass);
        for n in 0..n {
            let get = sdk(pass.get(cx, build, n));
            pass.push(get, Expect::Nothing);
            let apply = sdk(pass.apply(cx, build, n, true));
            pass.push(apply, Expect::Must);
        }
    } else {
        for n in 0..n {
            let get = sdk(pass.get(cx, build, n));
            pass.push(get, Expect::Nothing);
        }
        secret(pass, Verb::Create, release, ReleaseState::PendingInstall);
        discover(pass);
        pass.push_all(
            (0..n).map(|n| (sdk(pass.apply(cx, build, n, false)), Expect::Must)).collect::<SmallVec<[_; 8]>>(),
        );
    }
    discover(pass);
    work.checked = cx.now;
    work.stage = if work.spec.as_ref().is_some_and(|s| s.wait) { Stage::Look } else { Stage::Acted };
}

/// The OpenAPI document of each group-version in the chart, once.
fn schemas(pass: &mut Pass, cx: &Context<'_>, build: Build) {
    let mut seen: SmallVec<[(&str, &str); 4]> = SmallVec::new();
    for item in cx.world.catalogue.items(build.addon) {
        let info = item.kind.info();
        if !seen.contains(&(info.group, info.version)) {
            seen.push((info.group, info.version));
            pass.document(Document::OpenApiOf(item.kind));
        }
    }
}

fn secret(pass: &mut Pass, verb: Verb, revision: u32, state: ReleaseState) {
    let place = Place::Release(pass.slot, revision);
    let op = pass.op(verb, place, Kind::SECRET, Write::Release { revision, state });
    pass.push(op, if verb == Verb::Create { Expect::Must } else { Expect::Nothing });
}

fn look(pass: &mut Pass, work: &mut Work, cx: &mut Context<'_>) {
    work.applied(pass, cx);
    work.stage = Stage::Looked;
    work.waiting = false;
    if let Some(build) = work.build {
        pass.look(cx, build);
    }
}

fn looked(pass: &mut Pass, work: &mut Work, cx: &mut Context<'_>) {
    let Some(spec) = &work.spec else { return };
    if !work.waiting {
        work.stage = Stage::Acted;
        return;
    }
    let poll = cx.world.settings.health_poll;
    if cx.now.since(work.checked) + poll > spec.timeout {
        return action_failed(pass, work, cx);
    }
    work.stage = Stage::Look;
    pass.pause(poll);
}

/// The release is in force: the storage and the status say so.
fn acted(pass: &mut Pass, work: &mut Work, cx: &mut Context<'_>) {
    let (now, Some(revision), Some(spec)) = (cx.now, work.revision, work.spec.clone()) else { return };
    work.applied(pass, cx);
    let (release, before) = releases(pass, cx);
    if work.upgrade {
        secret(pass, Verb::Update, before, ReleaseState::Superseded);
        discover(pass);
    }
    secret(pass, Verb::Update, release, ReleaseState::Deployed);
    discover(pass);
    let upgrade = work.upgrade;
    let reason = if upgrade { Reason::UpgradeSucceeded } else { Reason::InstallSucceeded };
    let text = Text::ActionSucceeded { upgrade, release };
    pass.event(cx, reason, text, false);
    let addon = work.build.map(|b| b.addon);
    let took = millis(now.since(pass.began));
    let Some(object) = cx.objects.get_mut(pass.slot) else { return };
    if let Some(old) = object.status.history.first_mut() {
        old.superseded = true;
    }
    object.status.remember(Snapshot {
        revision,
        digest: spec.values.digest,
        first: now,
        last: now,
        millis: took,
        count: 1,
        release,
        ok: true,
        superseded: false,
    });
    object.status.put(Fields::INVENTORY, |s| &mut s.inventory, addon);
    object.status.put(Fields::FAILURES, |s| &mut s.failures, 0);
    object.condition(ConditionType::Released, Truth::True, reason, text, now);
    object.condition(ConditionType::Ready, Truth::True, reason, text, now);
    pass.patch(cx);
    storage(pass);
    work.stage = if spec.detect_drift { Stage::Drift } else { Stage::Finish };
}

/// GET and dry run of every object, one after the other.
fn drift(pass: &mut Pass, work: &mut Work, cx: &Context<'_>) {
    let Some(build) = work.build else { return };
    discover(pass);
    work.compared = smallvec::smallvec![Compared::default(); usize::from(count(cx, build))];
    for n in 0..count(cx, build) {
        let get = pass.get(cx, build, n);
        pass.push(get, Expect::Live(n));
        let dry_run = Op { dry_run: true, ..pass.apply(cx, build, n, true) };
        pass.push(dry_run, Expect::DryRun(n));
    }
    work.stage = Stage::Correct;
}

/// What was deleted is created, what was edited is patched.
fn correct(pass: &mut Pass, work: &mut Work, cx: &mut Context<'_>) {
    work.stage = Stage::Finish;
    let Some(build) = work.build else { return };
    if !work.spec.as_ref().is_some_and(|s| s.correct_drift) {
        return;
    }
    let mut corrected = false;
    for (n, found) in (0..).zip(&work.compared).filter(|(_, c)| c.drifted) {
        let verb = if found.live.is_some() { Verb::Patch } else { Verb::Create };
        let op = Op { verb, ..pass.apply(cx, build, n, true) };
        pass.push(op, Expect::Must);
        corrected = true;
    }
    if corrected {
        pass.event(cx, Reason::DriftCorrected, Text::DriftCorrected, false);
    }
}

fn finish(pass: &mut Pass, work: &Work, cx: &mut Context<'_>) {
    let now = cx.now;
    let Some(object) = cx.objects.get_mut(pass.slot) else { return };
    let Some(release) = object.status.latest().map(|l| l.release) else { return };
    let upgrade = release > 1;
    let reason = if upgrade { Reason::UpgradeSucceeded } else { Reason::InstallSucceeded };
    let revision = work.revision;
    // Only in memory: HelmRelease v2 has no lastAppliedRevision.
    object.status.applied = revision;
    object.ready(reason, Text::ActionSucceeded { upgrade, release }, now);
    settle(object);
    pass.patch(cx);
    let interval = work.spec.as_ref().map_or(Span::ZERO, |s| s.common.interval);
    let after = cx.jittered(pass.slot, interval);
    pass.end(Outcome::After(after));
}

/// The action did not make it; with retries left an install is undone and tried again, an upgrade tried again.
fn action_failed(pass: &mut Pass, work: &mut Work, cx: &mut Context<'_>) {
    let (now, Some(spec)) = (cx.now, work.spec.clone()) else { return };
    let upgrade = work.upgrade;
    let (release, _) = releases(pass, cx);
    secret(pass, Verb::Update, release, ReleaseState::Failed);
    let reason = if upgrade { Reason::UpgradeFailed } else { Reason::InstallFailed };
    let text = Text::ActionFailed { upgrade, release };
    pass.event(cx, reason, text, true);
    let Some(object) = cx.objects.get_mut(pass.slot) else { return };
    let failures = object.status.failures + 1;
    object.status.put(Fields::FAILURES, |s| &mut s.failures, failures);
    object.condition(ConditionType::Released, Truth::False, reason, text, now);
    object.failed(reason, text, now);
    pass.patch(cx);
    let retries = if upgrade { spec.upgrade_retries } else { spec.install_retries };
    let left = retries < 0 || i64::from(failures) <= retries;
    if left && !upgrade {
        work.stage = Stage::Remediated;
        if let Some(build) = work.build {
            uninstall(pass, cx, build, release);
        }
    } else {
        pass.end(Outcome::Backoff);
    }
}

fn remediated(pass: &mut Pass, cx: &mut Context<'_>) {
    let now = cx.now;
    let Some(object) = cx.objects.get_mut(pass.slot) else { return };
    object.condition(ConditionType::Remediated, Truth::True, Reason::UninstallSucceeded, Text::Remediated, now);
    pass.patch(cx);
    pass.end(Outcome::Backoff);
}

/// A call outside an action was refused.
fn refused(pass: &mut Pass, cx: &mut Context<'_>, code: u16) {
    let now = cx.now;
    let Some(object) = cx.objects.get_mut(pass.slot) else { return };
    object.failed(Reason::ReconciliationFailed, Text::ApplyFailed { code }, now);
    pass.patch(cx);
    pass.end(Outcome::Backoff);
}

/// The SDK's uninstall: storage, deletes (last applied first), storage again.
fn uninstall(pass: &mut Pass, cx: &Context<'_>, build: Build, release: u32) {
    pass.document(Document::Version);
    storage(pass);
    secret(pass, Verb::Update, release, ReleaseState::Uninstalling);
    discover(pass);
    // By kind, last applied first; in order within a kind (recorded).
    let items = cx.world.catalogue.items(build.addon);
    let rank = |n: u16| items.iter().position(|i| i.kind == items[usize::from(n)].kind);
    let mut order: SmallVec<[u16; 8]> = (0..count(cx, build)).collect();
    order.sort_by_key(|n| std::cmp::Reverse(rank(*n)));
    for n in &order {
        let kind = items[usize::from(*n)].kind;
        let op = sdk(pass.op(Verb::Delete, Place::Item(build.addon, *n), kind, Write::None));
        pass.push(op, Expect::Nothing);
    }
    discover(pass);
    for n in order {
        let get = pass.get(cx, build, n);
        pass.push(get, Expect::Nothing);
    }
    let place = Place::Release(pass.slot, release);
    let get = pass.op(Verb::Get, place, Kind::SECRET, Write::None);
    pass.push(get, Expect::Nothing);
    let delete = pass.op(Verb::Delete, place, Kind::SECRET, Write::None);
    pass.push(delete, Expect::Nothing);
}

fn delete(pass: &mut Pass, work: &mut Work, cx: &Context<'_>) {
    let Some(object) = cx.objects.get(pass.slot) else { return };
    if !object.meta.finalizer {
        return pass.end(Outcome::Rest);
    }
    let suspended = object.spec.common().is_some_and(|c| c.suspend);
    work.stage = if suspended { Stage::Removed } else { Stage::Removing };
    if let (Some(latest), Some(addon), false) = (object.status.latest(), object.status.inventory, suspended) {
        uninstall(pass, cx, Build { addon, version: 0, commits: 0 }, latest.release);
    }
}

/// The release is off the cluster: its HelmChart goes too.
fn removing(pass: &mut Pass, work: &mut Work, cx: &mut Context<'_>) {
    let now = cx.now;
    work.stage = Stage::Removed;
    let Some(object) = cx.objects.get_mut(pass.slot) else { return };
    let chart = object.status.chart;
    object.condition(ConditionType::Ready, Truth::False, Reason::UninstallSucceeded, Text::Uninstalled, now);
    if chart {
        let op = pass.op(Verb::Delete, Place::Chart(pass.slot), Kind::HELM_CHART, Write::None);
        pass.push(op, Expect::Nothing);
        pass.event(cx, Reason::HelmChartDeleted, Text::ChartChanged, false);
    }
}

fn removed(pass: &mut Pass, work: &mut Work, cx: &mut Context<'_>) {
    pass.patch_conditions();
    pass.event(cx, Reason::UninstallSucceeded, Text::Uninstalled, false);
    pass.finalizer(false);
    work.stage = Stage::Deleted;
}
