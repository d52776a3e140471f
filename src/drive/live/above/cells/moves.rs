//! A cluster moves from one cell to another, its Applications with it.
//!
//! The next owner starts only when the last has let go: the Secret in the old cell is deleted first, and the finalizer with
//! which the old manager holds it goes when no work on the cluster is left. Then the Applications are written to the new
//! cell, status and all, then the cluster is registered there, and only then the old Applications go, without cascade. What
//! somebody writes to an Application meanwhile is carried over: taking its finalizers and deleting it name the version that
//! was copied. While a manager is dead its clusters stay where they are: nobody else could say that it has let go.

use super::{BEFORE, MOVED, Orchestrator};
use crate::calls::{Kind, Target};
use crate::drive::live::above::{CONCURRENCY, PAUSE, Secret, insist, path};
use crate::drive::live::net::{Call, JSON, MERGE_PATCH};
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use serde_json::{Value, json};
use std::time::Duration;

/// How often it is asked whether the old manager has let go: it takes the time of a round.
const LOOK: Duration = Duration::from_millis(20);

impl Orchestrator {
    /// Every cluster of a cell gets another: the label that says so makes it move.
    pub(super) async fn drain(&self, cell: u32) {
        let drained = self.drained.lock().clone();
        let homes: Vec<_> = self.homes.lock().iter().map(|(name, home)| (name.clone(), home.clone())).collect();
        let relabel = |(name, home): (String, std::sync::Arc<super::Home>)| {
            let drained = &drained;
            async move {
                if *home.cell.lock().await != Some(cell) {
                    return;
                }
                self.label(&name, (self.scheme)(&name, drained)).await;
            }
        };
        stream::iter(homes).for_each_concurrent(CONCURRENCY, relabel).await;
    }

    /// Moves a cluster.
    pub(super) async fn rehome(&self, secret: &Secret, from: u32, to: u32) {
        let name = &secret.metadata.name;
        self.deregister(name, from).await;
        let server = secret.server().unwrap_or_default();
        let apps: Vec<String> = {
            let sums = self.sums.lock();
            let own = sums.apps[from as usize].iter().filter(|(_, app)| *app.server == *server);
            own.map(|(name, _)| name.clone()).collect()
        };
        let versions = join_all(apps.iter().map(|app| self.copy(app, from, to))).await;
        self.register(secret, to).await;
        join_all(apps.iter().zip(versions).map(|(app, version)| self.remove(app, from, to, version))).await;
        self.count(from, |clusters| clusters.saturating_sub(1));
    }

    /// Deletes the Secret of a cluster in its cell, and waits until the manager there has let it go.
    async fn deregister(&self, name: &str, cell: u32) {
        let hub = &self.cells[cell as usize];
        let (path, all) = (|| path(Kind::SECRET, name), delete(None));
        // One that is gone already is refused, which is as good.
        let _logged = insist(|| self.write(hub, "DELETE", Kind::SECRET, path(), JSON, &all)).await;
        while self.read(Kind::SECRET, name, cell).await.is_none_or(|there| there.is_some()) {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// An object of a cell; `Some(None)` if it is not there, `None` if that cannot be told now.
    async fn read(&self, kind: Kind, name: &str, cell: u32) -> Option<Option<Value>> {
        let call =
            Call { target: Target::Hub, method: "GET", kind, path: path(kind, name), media: JSON, body: &Value::Null };
        match self.client.send(&self.cells[cell as usize], call).await {
            Ok(text) => Some(serde_json::from_slice(&text).ok()),
            Err(refusal) => refusal.absent.then_some(None),
        }
    }

    /// Reads until there is an answer.
    async fn certainly(&self, name: &str, cell: u32) -> Option<Value> {
        loop {
            if let Some(answer) = self.read(Kind::APPLICATION, name, cell).await {
                return answer;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Writes an Application to its new cell; which version of it that was.
    async fn copy(&self, name: &str, from: u32, to: u32) -> String {
        let Some(old) = self.certainly(name, from).await else { return String::new() };
        let (copy, hub) = (copied(&old), &self.cells[to as usize]);
        let all = || path(Kind::APPLICATION, "");
        let created = insist(|| self.write(hub, "POST", Kind::APPLICATION, all(), JSON, &copy)).await;
        if created.is_ok() && !old["metadata"]["deletionTimestamp"].is_null() {
            let (path, any) = (|| path(Kind::APPLICATION, name), delete(None));
            let _logged = insist(|| self.write(hub, "DELETE", Kind::APPLICATION, path(), JSON, &any)).await;
        }
        version(&old).to_owned()
    }

    /// Takes an Application from its old cell; what was written there since it was copied is carried over first.
    async fn remove(&self, name: &str, from: u32, to: u32, mut known: String) {
        let (hub, path) = (&self.cells[from as usize], || path(Kind::APPLICATION, name));
        while let Some(old) = self.certainly(name, from).await {
            if known != version(&old) {
                let fresh = copied(&old);
                let text =
                    json!({ "spec": fresh["spec"], "metadata": { "annotations": fresh["metadata"]["annotations"] } });
                let new = &self.cells[to as usize];
                let _logged = insist(|| self.write(new, "PATCH", Kind::APPLICATION, path(), MERGE_PATCH, &text)).await;
                version(&old).clone_into(&mut known);
            }
            // A write in between is a conflict here or in the deletion: then it is carried over, and again.
            let farewell = json!({ "metadata": {
                "resourceVersion": known, "finalizers": null, "annotations": { MOVED: "true" },
            } });
            let call = Call {
                target: Target::Hub,
                method: "PATCH",
                kind: Kind::APPLICATION,
                path: path(),
                media: MERGE_PATCH,
                body: &farewell,
            };
            let Ok(text) = self.client.send(hub, call).await else {
                tokio::time::sleep(LOOK).await;
                continue;
            };
            let now: Value = serde_json::from_slice(&text).unwrap_or_default();
            let last = delete(Some(version(&now)));
            match self.write(hub, "DELETE", Kind::APPLICATION, path(), JSON, &last).await {
                Err(refusal) if !refusal.absent => tokio::time::sleep(LOOK).await,
                _ => return,
            }
        }
    }
}

fn version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().unwrap_or_default()
}

/// An Application as its new cell shall have it: what people and managers wrote, and how many generations it had before.
fn copied(old: &Value) -> Value {
    let mut copy = old.clone();
    let meta = &old["metadata"];
    let mut annotations = meta["annotations"].as_object().cloned().unwrap_or_default();
    annotations.remove(MOVED);
    let before: u64 = annotations.get(BEFORE).and_then(|text| text.as_str()?.parse().ok()).unwrap_or(0);
    let generations = before + meta["generation"].as_u64().unwrap_or(1) - 1;
    annotations.insert(BEFORE.to_owned(), generations.to_string().into());
    let mut fresh = json!({ "name": meta["name"], "namespace": meta["namespace"], "annotations": annotations });
    for part in ["labels", "finalizers"] {
        if !meta[part].is_null() {
            fresh[part] = meta[part].clone();
        }
    }
    copy["metadata"] = fresh;
    copy
}

/// A deletion, if wanted of one version alone.
fn delete(version: Option<&str>) -> Value {
    let mut options = json!({ "apiVersion": "v1", "kind": "DeleteOptions" });
    if let Some(version) = version {
        options["preconditions"] = json!({ "resourceVersion": version });
    }
    options
}
