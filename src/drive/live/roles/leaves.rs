//! The leaves: every managed cluster's API server, and the Flux and workload controllers modelled on them.
//!
//! In: orders for commits at the sources. Out: signals for what happens to Flux objects and to what they install.

use super::{RoleError, Stage, serving};
use crate::apiserver::clusters::{Base, Clusters, Settings};
use crate::apiserver::request::Now;
use crate::apiserver::schema;
use crate::measure::Role;
use serde_json::{Value, json};
use std::sync::Arc;

/// A leaf keeps few Events: fleets write millions, nobody reads the old ones (a real server drops them after an hour).
const EVENTS_KEPT: usize = 20;

pub(super) async fn play(mut stage: Stage) -> Result<(), RoleError> {
    let error = |e: &dyn std::fmt::Display| RoleError::Server(e.to_string());
    let objects: Vec<Value> = stage
        .world
        .namespaces()
        .into_iter()
        .map(|name| {
            json!({ "apiVersion": "v1", "kind": "Namespace",
                "metadata": { "name": name, "labels": { "kubernetes.io/metadata.name": name } },
                "spec": { "finalizers": ["kubernetes"] }, "status": { "phase": "Active" } })
        })
        .collect();
    let base = Base::new(schema::flux_crds(), &objects).map_err(|e| error(&e))?;
    let settings = Settings {
        seed: stage.scenario.run.seed,
        history_bytes: usize::try_from(stage.scenario.run.history_bytes / 2).unwrap_or(usize::MAX),
        housekeeping: true,
        keep_events: EVENTS_KEPT,
        ..Settings::default()
    };
    let mut clusters = Clusters::new(settings, vec![]);
    let names: Vec<String> = stage.world.clusters().ids().map(|id| stage.world.clusters().name(id)).collect();
    for _ in &names {
        clusters.add(&base, Now::read());
    }
    let server = serving::start(Arc::new(clusters), names, Role::Leaves, &stage.reporter)?;
    while stage.orders.recv().await.is_some() {}
    server.close(Vec::new()).await;
    Ok(())
}
