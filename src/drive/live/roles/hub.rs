//! The hub: one API server with the Applications, the project and the cluster Secrets.
//!
//! In: where the leaves are. Out: a signal for every commit of an Application.

use super::{RoleError, Stage, elsewhere, serving};
use crate::apiserver::clusters::{Clusters, Commit, Observer, Settings};
use crate::apiserver::object::Object;
use crate::apiserver::request::Now;
use crate::apiserver::schema;
use crate::apiserver::store::EventKind;
use crate::backend::managers;
use crate::calls::Kind;
use crate::drive::live::above::cells;
use crate::drive::live::bases;
use crate::drive::live::reporter::Reporter;
use crate::drive::live::servers::HUB;
use crate::drive::live::settings::Access;
use crate::fleet::{Endpoint, FLUX_NAMESPACE, World, namespace};
use crate::ids::AppId;
use crate::measure::{Health, Role, Signal, Sync, fingerprint, fingerprint_json};
use crate::scenario::{Home, ManagerKind, TopologyKind};
use crate::topology::Layout;
use crate::units::Time;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

pub(super) async fn play(mut stage: Stage) -> Result<(), RoleError> {
    if stage.scenario.backend.hub != Home::Mock {
        return elsewhere::hub(stage).await;
    }
    let leaves = stage.settings.leaves.take().ok_or_else(|| RoleError::Server("no leaves are named".to_owned()))?;
    let layout = Layout::of(&stage.world, &stage.scenario.topology);
    let base = match stage.real() {
        None => bases::hub(&stage.world, schema::argocd_crds(), secrets(&stage, &leaves)),
        Some(kind @ ManagerKind::Flux) => {
            let beside = [vec![namespace(FLUX_NAMESPACE)], stage.world.hub_sources(), managers::objects(kind)].concat();
            bases::hub(&stage.world, &definitions(), secrets(&stage, &leaves).chain(beside))
        }
        Some(kind) => {
            bases::hub(&stage.world, schema::argocd_crds(), secrets(&stage, &leaves).chain(managers::objects(kind)))
        }
    }
    .map_err(|e| RoleError::Server(e.to_string()))?;
    let settings = Settings {
        seed: stage.scenario.run.seed,
        history_bytes: usize::try_from(stage.scenario.run.history_bytes / 2 / u64::from(layout.hubs))
            .unwrap_or(usize::MAX),
        housekeeping: true,
        ..Settings::default()
    };
    let mut clusters = Clusters::new(settings, vec![observer(&stage)]);
    clusters.add(&base, Now::read());
    let server = serving::start(Arc::new(clusters), vec![(HUB.to_owned(), "")], Role::Hub, &stage)?;
    while stage.orders.recv().await.is_some() {}
    server.close(stage.settings.objects.as_deref(), Vec::new()).await;
    Ok(())
}

/// The Secrets that register the leaves. The clusters of a cell are registered by the orchestrator, whose own hub is the
/// last.
pub(super) fn secrets<'a>(stage: &'a Stage, leaves: &'a Access) -> impl Iterator<Item = Value> + 'a {
    let (world, layout) = (&stage.world, Layout::of(&stage.world, &stage.scenario.topology));
    let flux = stage.real() == Some(ManagerKind::Flux);
    let of_cell = layout.kind == TopologyKind::Cells && stage.settings.number + 1 < layout.hubs;
    world.clusters().ids().filter(move |_| !of_cell).filter_map(move |cluster| {
        let contact = leaves.contact(cluster.index(), &world.clusters().name(cluster))?;
        let endpoint = Endpoint { server: &contact.server, credentials: &contact.credentials };
        Some(if flux { world.kubeconfig_secret(cluster, endpoint) } else { world.cluster_secret(cluster, endpoint) })
    })
}

/// What a Flux on the hub works with. The project of Argo CD is there, too, and nobody minds.
fn definitions() -> Vec<Value> {
    [schema::argocd_crds(), schema::flux_crds()].concat()
}

fn observer(stage: &Stage) -> Observer {
    let (world, reporter) = (Arc::clone(&stage.world), stage.reporter.clone());
    if stage.real() == Some(ManagerKind::Flux) {
        return of_flux(world, reporter);
    }
    Box::new(move |commit: &Commit<'_>| {
        let resource = commit.resource();
        let application = Kind::APPLICATION.info();
        if resource.plural != application.plural || resource.group != application.group {
            return;
        }
        let Some(app) = world.find_app(&commit.object.meta.name) else { return };
        let moved =
            commit.object.meta.annotations.as_ref().is_some_and(|blob| blob.value().get(cells::MOVED).is_some());
        if moved {
            // It goes on in another cell.
            return;
        }
        let (generation, deleted) = (commit.object.meta.generation, commit.kind == EventKind::Deleted);
        reporter.signal(committed(app, commit.at, generation, deleted, &status(commit.object)));
    })
}

/// Tells of Kustomizations and HelmReleases as if they were Applications: Ready is Healthy, and Synced is what is Ready at
/// the generation that is asked for.
fn of_flux(world: Arc<World>, reporter: Reporter) -> Observer {
    Box::new(move |commit: &Commit<'_>| {
        let resource = commit.resource();
        let kind = Kind::find_plural(&resource.group, &resource.plural);
        if !matches!(kind, Some(Kind::KUSTOMIZATION | Kind::HELM_RELEASE)) {
            return;
        }
        let Some(app) = world.find_app(&commit.object.meta.name) else { return };
        let generation = commit.object.meta.generation;
        let ready = commit.object.status().and_then(|blob| serde_json::from_slice::<Conditions>(blob.bytes()).ok());
        let ready = ready.is_some_and(|status| status.ready_at(generation));
        let (health, sync) =
            if ready { (Health::Healthy, Sync::Synced) } else { (Health::Progressing, Sync::OutOfSync) };
        let deleted = commit.kind == EventKind::Deleted;
        let at = commit.at;
        reporter.signal(Signal::AppCommitted { app, at, generation, deleted, health, sync, compared: 0, revision: 0 });
    })
}

/// What of the status of a Flux object counts.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Conditions {
    observed_generation: u64,
    conditions: Vec<Condition>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

impl Conditions {
    fn ready_at(&self, generation: u64) -> bool {
        let ready = |condition: &Condition| condition.kind == "Ready" && condition.status == "True";
        self.observed_generation == generation && self.conditions.iter().any(ready)
    }
}

/// What is told of an Application that was created, changed or removed.
pub(super) fn committed(app: AppId, at: Time, generation: u64, deleted: bool, status: &Status) -> Signal {
    Signal::AppCommitted {
        app,
        at,
        generation,
        deleted,
        health: Health::from_word(&status.health.status),
        sync: Sync::from_word(&status.sync.status),
        compared: status.sync.compared_to.as_ref().map_or(0, |compared| fingerprint_json(&compared.source)),
        revision: fingerprint(&status.sync.revision),
    }
}

/// What of an Application's status counts.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    health: HealthStatus,
    sync: SyncStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct HealthStatus {
    status: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SyncStatus {
    status: String,
    revision: String,
    compared_to: Option<ComparedTo>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ComparedTo {
    source: Value,
}

/// A status that makes no sense counts as none: Applications come from anybody.
fn status(object: &Object) -> Status {
    object.status().and_then(|blob| serde_json::from_slice(blob.bytes()).ok()).unwrap_or_default()
}
