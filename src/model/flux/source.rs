//! source-controller: GitRepository, OCIRepository, HelmRepository, HelmChart.
//!
//! One pass: progress is written when the generation or `requestedAt` is new, when there is no artifact yet, and when the
//! upstream revision is new; then one event and the final status. An interval that finds nothing new writes no status.

use super::catalogue::{RepoId, Revision};
use super::object::Object;
use super::pass::{Context, Outcome, Pass};
use super::spec::{Chart, Spec};
use super::status::{Artifact, ConditionType, Fields, Reason, Text, Truth};
use crate::calls::Kind;
use crate::units::Span;

/// Where a pass stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Begin,
    Storage,
    Fetch,
    Fetched,
    Announced(Revision),
}

/// What is upstream.
enum Upstream {
    Holds(Revision),
    /// The source that a chart comes from has no artifact yet.
    NoSource,
    Missing,
}

pub(super) fn advance(pass: &mut Pass, stage: &mut Stage, cx: &mut Context<'_>) {
    match *stage {
        Stage::Begin => begin(pass, stage, cx),
        Stage::Storage => {
            *stage = Stage::Fetch;
            let now = cx.now;
            let Some(object) = cx.objects.get_mut(pass.slot) else { return };
            if object.status.artifact.is_none() {
                object.progressing(true, Text::BuildingArtifact, now);
                pass.patch(cx);
            }
        }
        Stage::Fetch => {
            *stage = Stage::Fetched;
            // A chart is cut from an index or tarball that was fetched already.
            if pass.kind != Kind::HELM_CHART {
                let (seed, n) = cx.draw(pass.slot, "fetch");
                pass.pause(cx.world.settings.fetch.draw(seed, n));
            }
        }
        Stage::Fetched => match upstream(pass, cx) {
            Upstream::Holds(revision) => announce(pass, stage, cx, revision),
            Upstream::NoSource => give_up(pass, cx, Reason::NoSourceArtifact, Text::NoArtifact),
            Upstream::Missing => give_up(pass, cx, Reason::GitOperationFailed, Text::FetchFailed),
        },
        Stage::Announced(revision) => publish(pass, cx, revision),
    }
}

fn begin(pass: &mut Pass, stage: &mut Stage, cx: &mut Context<'_>) {
    let now = cx.now;
    let Some(object) = cx.objects.get_mut(pass.slot) else { return };
    if matches!(&object.spec, Spec::Source(s) if s.fixed) {
        return pass.end(Outcome::Rest);
    }
    if object.meta.deleting {
        return delete(pass, cx);
    }
    if !object.meta.finalizer {
        pass.finalizer(true);
        return pass.end(Outcome::Backoff);
    }
    let Some(common) = object.spec.common() else {
        object.failed(Reason::FetchFailed, Text::FetchFailed, now);
        pass.patch(cx);
        return pass.end(Outcome::Rest);
    };
    if common.suspend {
        return pass.end(Outcome::Rest);
    }
    *stage = Stage::Storage;
    let (from, to) = (object.status.generation, object.meta.generation);
    let asked = object.meta.requested != object.status.handled;
    let text = if from == to { Text::InProgress } else { Text::NewGeneration { from, to } };
    object.progressing(false, text, now);
    if from != to || asked {
        pass.patch(cx);
    }
}

/// Recorded on a HelmChart: event, a status write, the finalizer, and a write that comes too late.
fn delete(pass: &mut Pass, cx: &mut Context<'_>) {
    let now = cx.now;
    let Some(object) = cx.objects.get_mut(pass.slot) else { return };
    if !object.meta.finalizer {
        return pass.end(Outcome::Rest);
    }
    if object.status.artifact.take().is_some() {
        pass.event(cx, Reason::GarbageCollectionSucceeded, Text::GarbageCollected, false);
    }
    let Some(object) = cx.objects.get_mut(pass.slot) else { return };
    object.condition(ConditionType::Reconciling, Truth::True, Reason::Progressing, Text::InProgress, now);
    pass.patch_conditions();
    pass.finalizer(false);
    pass.last_words();
    pass.end(Outcome::Rest);
}

fn upstream(pass: &Pass, cx: &Context<'_>) -> Upstream {
    let Some(object) = cx.objects.get(pass.slot) else { return Upstream::Missing };
    let repo = match &object.spec {
        Spec::Source(source) => source.repo,
        Spec::Chart(chart) => match chart_repo(chart, cx) {
            Ok(repo) => repo,
            Err(upstream) => return upstream,
        },
        _ => None,
    };
    repo.map_or(Upstream::Missing, |repo| Upstream::Holds(cx.world.catalogue.head(repo)))
}

/// The repository that a chart is at its version; its source must have an artifact, or be an OCI registry.
fn chart_repo(chart: &Chart, cx: &Context<'_>) -> Result<Option<RepoId>, Upstream> {
    let source = cx.find(&chart.source).and_then(|slot| cx.objects.get(slot)).ok_or(Upstream::NoSource)?;
    let Spec::Source(spec) = &source.spec else { return Err(Upstream::NoSource) };
    if source.status.artifact.is_none() && !spec.fixed {
        return Err(Upstream::NoSource);
    }
    if chart.source.kind == Kind::HELM_REPOSITORY {
        return Ok(cx.world.catalogue.chart(&spec.url, &chart.chart, &chart.version));
    }
    Ok(spec.repo)
}

/// The revision is known: progress, if it is news.
fn announce(pass: &mut Pass, stage: &mut Stage, cx: &mut Context<'_>, revision: Revision) {
    let now = cx.now;
    let source = chart_source(pass, cx);
    let Some(object) = cx.objects.get_mut(pass.slot) else { return };
    object.status.unset(ConditionType::FetchFailed);
    let held = object.status.artifact.map(|a| a.revision);
    let new_source = object.status.attempted != source && pass.kind == Kind::HELM_CHART;
    if new_source {
        object.status.put(Fields::OBSERVED, |s| &mut s.attempted, source);
    }
    *stage = Stage::Announced(revision);
    if held != Some(revision) {
        if held.is_some() {
            let text = Text::NewUpstream(revision);
            object.condition(ConditionType::ArtifactOutdated, Truth::True, Reason::NewRevision, text, now);
        }
        object.progressing(true, Text::NewUpstream(revision), now);
        pass.patch(cx);
    } else if new_source {
        // Recorded: a chart that is the same in a new index still gets a new Ready condition.
        object.status.unset(ConditionType::Ready);
    }
}

/// The revision of the source that a chart was looked up in.
fn chart_source(pass: &Pass, cx: &Context<'_>) -> Option<Revision> {
    let object = cx.objects.get(pass.slot)?;
    let Spec::Chart(chart) = &object.spec else { return None };
    let source = cx.objects.get(cx.find(&chart.source)?)?;
    source.status.artifact.map(|a| a.revision)
}

fn publish(pass: &mut Pass, cx: &mut Context<'_>, revision: Revision) {
    let now = cx.now;
    let kind = pass.kind;
    let Some(object) = cx.objects.get_mut(pass.slot) else { return };
    let news = object.status.artifact.is_none_or(|a| a.revision != revision);
    if news {
        object.status.put(Fields::ARTIFACT, |s| &mut s.artifact, Some(Artifact { revision, at: now }));
    }
    object.status.unset(ConditionType::ArtifactOutdated);
    let stored = Text::Stored(revision);
    object.condition(ConditionType::ArtifactInStorage, Truth::True, Reason::Succeeded, stored, now);
    object.ready(Reason::Succeeded, stored, now);
    settle(object);
    let (reason, text) =
        if news { (Reason::NewArtifact, stored) } else { (idle_reason(kind), Text::UpToDate(revision)) };
    pass.event(cx, reason, text, false);
    pass.patch(cx);
    let interval = cx.objects.get(pass.slot).and_then(|o| o.spec.common()).map_or(Span::ZERO, |c| c.interval);
    let after = cx.jittered(pass.slot, interval);
    pass.end(Outcome::After(after));
}

/// The generation and the request are dealt with.
pub(super) fn settle(object: &mut Object) {
    let (generation, requested) = (object.meta.generation, object.meta.requested.clone());
    object.status.put(Fields::GENERATION, |s| &mut s.generation, generation);
    if requested.is_some() {
        object.status.put(Fields::HANDLED, |s| &mut s.handled, requested);
    }
}

fn idle_reason(kind: Kind) -> Reason {
    if kind == Kind::GIT_REPOSITORY { Reason::GitOperationSucceeded } else { Reason::ArtifactUpToDate }
}

/// Upstream cannot be had: written down, told, tried again by the back-off.
fn give_up(pass: &mut Pass, cx: &mut Context<'_>, reason: Reason, text: Text) {
    let now = cx.now;
    let reason = if pass.kind == Kind::GIT_REPOSITORY { reason } else { Reason::FetchFailed };
    let Some(object) = cx.objects.get_mut(pass.slot) else { return };
    object.condition(ConditionType::FetchFailed, Truth::True, reason, text, now);
    object.failed(reason, text, now);
    let requested = object.meta.requested.clone();
    if requested.is_some() {
        object.status.put(Fields::HANDLED, |s| &mut s.handled, requested);
    }
    pass.event(cx, reason, text, true);
    pass.patch(cx);
    pass.end(Outcome::Backoff);
}
