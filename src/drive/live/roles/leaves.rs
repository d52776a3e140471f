//! The leaves: every managed cluster's API server, and the Flux and workload controllers modelled on them.
//!
//! In: orders for commits at the sources. Out: signals for what happens to Flux objects and to what they install.

use super::{RoleError, Stage, elsewhere, serving};
use crate::apiserver::clusters::{Clusters, Commit, Observer, Settings};
use crate::apiserver::object::Object;
use crate::apiserver::request::Now;
use crate::apiserver::schema;
use crate::apiserver::store::EventKind;
use crate::calls::{CallKey, Kind, Tally, Target, Verb};
use crate::drive::drifted::object_fingerprint;
use crate::drive::live::above::spokes;
use crate::drive::live::bases;
use crate::drive::live::driver::USER_AGENT;
use crate::drive::live::flux::{Inbox, Model, Setup, Stores};
use crate::drive::live::notice::Order;
use crate::drive::live::reporter::Reporter;
use crate::fleet::World;
use crate::ids::{AddonId, AppId};
use crate::measure::{Figures, FluxObject, ObjectChange, Role, Signal};
use crate::model::flux;
use crate::scenario::{Home, ManagerKind, TopologyKind};
use crate::units::Span;
use serde_json::Value;
use std::sync::Arc;

/// A leaf keeps few Events: fleets write millions, nobody reads the old ones (a real server drops them after an hour).
const EVENTS_KEPT: usize = 20;
/// Threads of the modelled controllers. One carries 18,000 calls/s (measured, ten-thousand on 2 cores); a second would
/// compete with the servers for those cores.
const MODEL_THREADS: usize = 1;

/// The custom resources of a leaf. On `hub-and-spoke` every leaf has Applications of its own.
pub(super) fn definitions(kind: TopologyKind) -> Vec<Value> {
    match kind {
        TopologyKind::HubAndSpoke => [schema::argocd_crds(), schema::flux_crds()].concat(),
        TopologyKind::Single | TopologyKind::Sharded | TopologyKind::Cells => schema::flux_crds().to_vec(),
    }
}

pub(super) async fn play(mut stage: Stage) -> Result<(), RoleError> {
    if stage.scenario.backend.leaves != Home::Mock {
        return elsewhere::leaves(stage).await;
    }
    let error = |e: &dyn std::fmt::Display| RoleError::Server(e.to_string());
    // What others apply there needs no definitions of Flux.
    let real = stage.real().is_some();
    let crds = if real { Vec::new() } else { definitions(stage.scenario.topology.kind) };
    let base = bases::leaf(&stage.world, &crds).map_err(|e| error(&e))?;
    let settings = Settings {
        seed: stage.scenario.run.seed,
        history_bytes: usize::try_from(stage.scenario.run.history_bytes / 2).unwrap_or(usize::MAX),
        housekeeping: true,
        keep_events: EVENTS_KEPT,
        ..Settings::default()
    };
    let inbox = Inbox::new(MODEL_THREADS, !real);
    let mut clusters = Clusters::new(settings, vec![observer(&stage.world, &stage.reporter), inbox.observer()]);
    let now = Now::read();
    for _ in stage.world.clusters().ids() {
        clusters.add(&base, now);
    }
    let clusters = Arc::new(clusters);
    let model = Model::start(inbox, setup(&stage, Stores::Here(Arc::clone(&clusters)), Span::ZERO))?;
    let fleet = stage.world.clusters();
    let names = fleet.ids().map(|id| (fleet.name(id), fleet.kubernetes(id))).collect();
    let server = serving::start(Arc::clone(&clusters), names, Role::Leaves, &stage)?;
    while let Some(Order::Commit { addon }) = stage.orders.recv().await {
        model.commit(AddonId(addon));
    }
    let figures = figures(&clusters, &model, stage.real());
    model.stop();
    server.close(stage.settings.objects.as_deref(), vec![(Role::FluxModel, figures)]).await;
    Ok(())
}

/// What the controllers need; `settle` is how long commits take to come back.
pub(super) fn setup(stage: &Stage, stores: Stores, settle: Span) -> Setup {
    let (world, reporter) = (Arc::clone(&stage.world), stage.reporter.clone());
    let mut flux = flux::World::new(&stage.scenario);
    if stage.scenario.backend.leaves.is_of_kind() {
        flux.catalogue.run_pods();
    }
    Setup {
        stores,
        settle,
        world: Arc::new(flux),
        workload_ready: stage.scenario.run.workload_ready,
        app: Arc::new(move |_, name| world.find_app(name)),
        tell: Arc::new(move |signal| reporter.signal(signal)),
    }
}

/// What the controllers inside this process called: the store counted their calls, they themselves the documents (GETs
/// of discovery, version, OpenAPI) that the store does not see.
fn figures(clusters: &Clusters, model: &Model, real: Option<ManagerKind>) -> Figures {
    let ours = |agent: &str| !OUTSIDE.iter().any(|outside| agent.starts_with(outside));
    // Then of the models those of Kubernetes alone are at work.
    let own = |agent: &str| if real.is_some() { agent.starts_with(WORKLOADS) } else { ours(agent) };
    told(serving::tally(clusters, Target::Leaf, own), model)
}

/// The same of calls that were counted elsewhere.
pub(super) fn told(mut tally: Tally, model: &Model) -> Figures {
    for count in model.documents().values() {
        let key = CallKey {
            target: Target::Leaf,
            verb: Verb::Discover,
            kind: None,
            status: false,
            dry_run: false,
            code: 200,
        };
        tally.add_key(key, *count);
    }
    Figures::of_tally(&tally)
}

/// What the models of Kubernetes' own controllers call themselves.
const WORKLOADS: &str = "kube-controller-manager";
/// Callers over sockets.
const OUTSIDE: [&str; 3] = [USER_AGENT, "flamboyance-manager", spokes::USER_AGENT];

/// Tells of Flux objects written and gone, and of installed objects that come, change and go.
pub(super) fn observer(world: &Arc<World>, reporter: &Reporter) -> Observer {
    let (world, reporter) = (Arc::clone(world), reporter.clone());
    Box::new(move |commit: &Commit<'_>| {
        let signal = match flux_object(commit) {
            Some(object) => of_flux(&world, commit, object),
            None => of_installed(&world, commit),
        };
        if let Some(signal) = signal {
            reporter.signal(signal);
        }
    })
}

/// Which of an app's two Flux objects it is. Charts are Flux's own affair.
fn flux_object(commit: &Commit<'_>) -> Option<FluxObject> {
    match (commit.resource().group.as_str(), commit.resource().plural.as_str()) {
        ("kustomize.toolkit.fluxcd.io", _) | ("helm.toolkit.fluxcd.io", _) => Some(FluxObject::Workload),
        ("source.toolkit.fluxcd.io", "gitrepositories" | "ocirepositories" | "helmrepositories") => {
            Some(FluxObject::Source)
        }
        _ => None,
    }
}

fn of_flux(world: &World, commit: &Commit<'_>, object: FluxObject) -> Option<Signal> {
    let at = commit.at;
    let generation = commit.object.meta.generation;
    match commit.kind {
        EventKind::Deleted => {
            let app = world.find_app(&commit.object.meta.name)?;
            Some(Signal::Gone { app, at, object })
        }
        EventKind::Modified if commit.previous.is_some_and(|old| old.meta.generation == generation) => None,
        EventKind::Added | EventKind::Modified => {
            let app = world.find_app(&commit.object.meta.name)?;
            Some(Signal::Written { app, at, object, generation })
        }
    }
}

fn of_installed(world: &World, commit: &Commit<'_>) -> Option<Signal> {
    let change = match commit.kind {
        EventKind::Added => ObjectChange::Added,
        EventKind::Deleted => ObjectChange::Deleted,
        EventKind::Modified if commit.previous.is_none_or(|old| content_differs(old, commit.object)) => {
            ObjectChange::Modified
        }
        EventKind::Modified => return None,
    };
    let app = owner(world, commit.object)?;
    let kind = Kind::find_plural(&commit.resource().group, &commit.resource().plural)?;
    let (namespace, name) = commit.object.key();
    Some(Signal::ObjectChanged {
        app,
        at: commit.at,
        object: object_fingerprint(kind, namespace, name),
        change,
        by_controller: commit.manager != USER_AGENT,
    })
}

/// Whether something other than status and server-set metadata changed.
fn content_differs(old: &Object, new: &Object) -> bool {
    old.spec() != new.spec() || old.rest() != new.rest() || old.meta.labels != new.meta.labels
}

/// The labels by which Flux marks what it applies (kustomize-controller's owner labels, helm-controller's origin labels).
const OWNER_LABELS: [&str; 2] = ["kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name"];

/// The annotation by which Argo CD marks what it applies: the Application's name comes first, up to a colon.
const TRACKING: &str = "argocd.argoproj.io/tracking-id";

fn owner(world: &World, object: &Object) -> Option<AppId> {
    let tracked = || {
        let annotations = object.meta.annotations.as_ref()?.value();
        annotations.get(TRACKING)?.as_str()?.split(':').next().and_then(|name| world.find_app(name))
    };
    if object.meta.labels.is_none() {
        return tracked();
    }
    let labelled = OWNER_LABELS.iter().find_map(|label| object.meta.label(label)).and_then(|name| world.find_app(name));
    labelled.or_else(tracked)
}
