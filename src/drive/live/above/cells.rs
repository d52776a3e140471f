//! The orchestrator of `cells`.
//!
//! What was chosen: it has a small API server of its own, whose cluster Secrets are the inventory. A cluster without the
//! label [`CELL`] gets one by the scheme of the scenario; one that has it goes where it says, so that people can decide
//! otherwise. The Secret is copied to that cell's hub, which makes the cluster known to the cell's manager. Applications
//! are written to the cell itself. What they come to is summed up per cell in a ConfigMap beside the inventory.
//!
//! When the label changes, the cluster moves ([`moves`]). A cell whose ConfigMap has the annotation [`DRAIN`] is left by all
//! its clusters: each gets a new label by the scheme over the other cells.
//!
//! Arithmetic for 10,000 clusters: 20,000 writes at 0.2 ms are 4 s, before the run begins. While 40,000 apps install,
//! 200,000 events at 10 us are 2 s of CPU, and a ConfigMap per cell and second.

mod moves;

use super::{CLUSTER_SECRETS, CONCURRENCY, Metadata, Secret, insist, path};
use crate::calls::{Kind, Target};
use crate::drive::live::manager::HELD;
use crate::drive::live::net::{APPLY, Call, Client, JSON, MERGE_PATCH, News, Refusal, Route};
use crate::fleet::ARGOCD_NAMESPACE;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore, mpsc};

/// The label of a cluster Secret that names its cell.
pub(in crate::drive::live) const CELL: &str = "flamboyance.dev/cell";
/// The annotation of a cell's ConfigMap that asks to leave the cell.
pub(in crate::drive::live) const DRAIN: &str = "flamboyance.dev/drain";
/// The annotation of an Application that moved on to another cell: its deletion is none.
pub(in crate::drive::live) const MOVED: &str = "flamboyance.dev/moved";
/// The annotation of an Application that came from another cell: its generations before.
pub(in crate::drive::live) const BEFORE: &str = "flamboyance.dev/generations-before";
/// How often a sum is written at most.
const EVERY: std::time::Duration = std::time::Duration::from_secs(1);
/// What it calls itself.
pub(in crate::drive::live) const USER_AGENT: &str = "flamboyance-orchestrator";

/// The ConfigMap of a cell.
pub(in crate::drive::live) fn sum_name(cell: u32) -> String {
    format!("cell-{cell}")
}

/// Where the scheme wants a cluster when these cells are drained.
type Place = dyn Fn(&str, &BTreeSet<u32>) -> u32 + Send + Sync;

/// What the orchestrator works with.
pub(in crate::drive::live) struct Orchestrator {
    client: Client,
    /// Its own API server.
    own: Route,
    /// Those of the cells.
    cells: Vec<Route>,
    scheme: Box<Place>,
    /// The cell of each cluster, by name. Whoever moves one holds it.
    homes: Mutex<BTreeMap<String, Arc<Home>>>,
    drained: Mutex<BTreeSet<u32>>,
    sums: Mutex<Sums>,
    changed: Notify,
}

/// Where a cluster is registered.
#[derive(Default)]
struct Home {
    cell: tokio::sync::Mutex<Option<u32>>,
}

/// What is known of the cells.
#[derive(Default)]
struct Sums {
    /// Clusters of each cell.
    clusters: Vec<u64>,
    /// The Applications of each cell by name.
    apps: Vec<BTreeMap<String, App>>,
    changed: Vec<bool>,
}

/// An Application as far as it counts here.
#[derive(Clone)]
struct App {
    /// Healthy and synced.
    healthy: bool,
    server: Box<str>,
}

/// Of an Application its name and two words: there are many events, and nothing else counts.
#[derive(serde::Deserialize)]
struct Application<'a> {
    #[serde(borrow)]
    metadata: Named<'a>,
    #[serde(borrow, default)]
    spec: Spec<'a>,
    #[serde(borrow, default)]
    status: Status<'a>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Spec<'a> {
    #[serde(borrow)]
    destination: To<'a>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct To<'a> {
    #[serde(borrow)]
    server: Cow<'a, str>,
}

#[derive(serde::Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Status<'a> {
    #[serde(borrow)]
    health: Word<'a>,
    #[serde(borrow)]
    sync: Word<'a>,
}

/// A cell's ConfigMap.
#[derive(serde::Deserialize)]
struct Summed {
    metadata: Metadata,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Word<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
}

impl Orchestrator {
    pub(in crate::drive::live) fn new(
        own: Route,
        cells: Vec<Route>,
        scheme: impl Fn(&str, &BTreeSet<u32>) -> u32 + Send + Sync + 'static,
    ) -> Arc<Self> {
        let count = cells.len();
        let sums = Sums { clusters: vec![0; count], apps: vec![BTreeMap::new(); count], changed: vec![true; count] };
        Arc::new(Self {
            client: Client::new(USER_AGENT),
            own,
            cells,
            scheme: Box::new(scheme),
            homes: Mutex::default(),
            drained: Mutex::default(),
            sums: Mutex::new(sums),
            changed: Notify::new(),
        })
    }

    pub(in crate::drive::live) const fn client(&self) -> &Client {
        &self.client
    }

    /// Objects known.
    pub(in crate::drive::live) fn objects(&self) -> u64 {
        let sums = self.sums.lock();
        sums.clusters.iter().sum::<u64>() + sums.apps.iter().map(|apps| apps.len() as u64).sum::<u64>()
    }

    /// Places clusters and sums up, for ever; `ready` is called when all that were there are placed.
    pub(in crate::drive::live) async fn work(self: Arc<Self>, ready: impl FnOnce()) {
        let (found, mut clusters) = mpsc::unbounded_channel();
        let inventory = Arc::clone(&self);
        tokio::spawn(async move { inventory.watch_inventory(&found).await });
        for cell in 0..self.cells.len() {
            let own = Arc::clone(&self);
            tokio::spawn(async move { own.watch_cell(cell).await });
        }
        let own = Arc::clone(&self);
        tokio::spawn(async move { own.publish().await });
        let own = Arc::clone(&self);
        tokio::spawn(async move { own.watch_drains().await });
        let workers = Arc::new(Semaphore::new(CONCURRENCY));
        let mut ready = Some(ready);
        let mut wanted = BTreeMap::new();
        while let Some(found) = clusters.recv().await {
            let Ok(worker) = Arc::clone(&workers).acquire_owned().await else { return };
            let Some((name, secret)) = found else {
                drop(worker);
                // Whoever has all workers knows that nobody works.
                let all = u32::try_from(CONCURRENCY).unwrap_or(1);
                let _idle = workers.acquire_many(all).await;
                if let Some(ready) = ready.take() {
                    ready();
                }
                continue;
            };
            let labelled = secret.metadata.labels.get(CELL).and_then(|cell| cell.parse().ok());
            let cell: u32 = labelled.unwrap_or_else(|| (self.scheme)(&name, &self.drained.lock())).min(self.last());
            if wanted.insert(name.clone(), cell) == Some(cell) {
                continue;
            }
            let home = Arc::clone(self.homes.lock().entry(name).or_default());
            let own = Arc::clone(&self);
            tokio::spawn(async move {
                // One move of a cluster after the other, in the order in which they were asked for.
                let mut at = home.cell.lock().await;
                match *at {
                    None => own.place(&secret, cell, labelled.is_none()).await,
                    Some(before) if before != cell => own.rehome(&secret, before, cell).await,
                    Some(_) => {}
                }
                *at = Some(cell);
                drop(worker);
            });
        }
    }

    fn last(&self) -> u32 {
        u32::try_from(self.cells.len().saturating_sub(1)).unwrap_or(0)
    }

    /// Tells of every cluster Secret, and with `None` of the end of the list.
    async fn watch_inventory(&self, found: &mpsc::UnboundedSender<Option<(String, Secret)>>) {
        let path = path(Kind::SECRET, "");
        let tell = |news: News<'_>| {
            let message = match news {
                News::Applied(text) => {
                    let Ok(secret) = serde_json::from_str::<Secret>(text) else { return };
                    Some((secret.metadata.name.clone(), secret))
                }
                News::Listed => None,
                News::Listing | News::Deleted(_) => return,
            };
            // Who places lives as long as the process.
            let _ = found.send(message);
        };
        self.client.follow((&self.own, Target::Hub), Kind::SECRET, (&path, CLUSTER_SECRETS), tell).await;
    }

    /// Writes down the decision, then registers the cluster with its cell.
    async fn place(&self, secret: &Secret, cell: u32, decided: bool) {
        if decided {
            self.label(&secret.metadata.name, cell).await;
        }
        self.register(secret, cell).await;
    }

    /// Writes to the inventory which cell a cluster belongs to.
    async fn label(&self, cluster: &str, cell: u32) {
        let label = json!({ "metadata": { "labels": { CELL: cell.to_string() } } });
        let path = || path(Kind::SECRET, cluster);
        let _logged = insist(|| self.write(&self.own, "PATCH", Kind::SECRET, path(), MERGE_PATCH, &label)).await;
    }

    /// Makes a cluster known to the manager of a cell, who holds the Secret until it has let go of the cluster.
    async fn register(&self, secret: &Secret, cell: u32) {
        let name = &secret.metadata.name;
        let mut labels = secret.metadata.labels.clone();
        labels.insert(CELL.to_owned(), cell.to_string());
        let copy = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": name, "namespace": ARGOCD_NAMESPACE, "labels": labels, "finalizers": [HELD] },
            "type": "Opaque",
            "data": secret.data,
        });
        let hub = &self.cells[cell as usize];
        let all = || path(Kind::SECRET, "");
        let _logged = insist(|| self.write(hub, "POST", Kind::SECRET, all(), JSON, &copy)).await;
        self.count(cell, |clusters| clusters + 1);
    }

    /// Counts the clusters of a cell anew.
    fn count(&self, cell: u32, count: impl FnOnce(u64) -> u64) {
        let mut sums = self.sums.lock();
        sums.clusters[cell as usize] = count(sums.clusters[cell as usize]);
        sums.changed[cell as usize] = true;
        drop(sums);
        self.changed.notify_one();
    }

    async fn write(
        &self,
        to: &Route,
        method: &'static str,
        kind: Kind,
        path: String,
        media: &'static str,
        body: &Value,
    ) -> Result<(), Refusal> {
        self.client.send(to, Call { target: Target::Hub, method, kind, path, media, body }).await.map(drop)
    }

    /// Follows the Applications of a cell.
    async fn watch_cell(&self, cell: usize) {
        let path = path(Kind::APPLICATION, "");
        let tell = |news: News<'_>| {
            let mut sums = self.sums.lock();
            match news {
                News::Listing => sums.apps[cell].clear(),
                News::Listed => {}
                News::Applied(text) => {
                    let Ok(app) = serde_json::from_str::<Application<'_>>(text) else { return };
                    let healthy = app.status.health.status == "Healthy" && app.status.sync.status == "Synced";
                    let name = app.metadata.name.as_ref();
                    match sums.apps[cell].get_mut(name) {
                        Some(known) if known.healthy == healthy => return,
                        Some(known) => known.healthy = healthy,
                        None => {
                            let server = app.spec.destination.server.as_ref().into();
                            sums.apps[cell].insert(name.to_owned(), App { healthy, server });
                        }
                    }
                }
                News::Deleted(text) => {
                    let Ok(app) = serde_json::from_str::<Application<'_>>(text) else { return };
                    sums.apps[cell].remove(app.metadata.name.as_ref());
                }
            }
            sums.changed[cell] = true;
            drop(sums);
            self.changed.notify_one();
        };
        self.client.follow((&self.cells[cell], Target::Hub), Kind::APPLICATION, (&path, ""), tell).await;
    }

    /// Follows the cells' ConfigMaps for cells that are to be left.
    async fn watch_drains(self: &Arc<Self>) {
        let path = path(Kind::CONFIG_MAP, "");
        let tell = |news: News<'_>| {
            let News::Applied(text) = news else { return };
            let Ok(Summed { metadata }) = serde_json::from_str::<Summed>(text) else { return };
            if metadata.annotations.get(DRAIN).is_none_or(|word| word != "true") {
                return;
            }
            let cell = metadata.name.strip_prefix("cell-").and_then(|number| number.parse().ok());
            if let Some(cell) = cell.filter(|cell| *cell <= self.last() && self.drained.lock().insert(*cell)) {
                let own = Arc::clone(self);
                tokio::spawn(async move { own.drain(cell).await });
            }
        };
        self.client.follow((&self.own, Target::Hub), Kind::CONFIG_MAP, (&path, ""), tell).await;
    }

    /// Writes the sums that changed.
    async fn publish(&self) {
        loop {
            self.changed.notified().await;
            for cell in 0..self.cells.len() {
                let Some(sum) = self.sum(cell) else { continue };
                let name = sum_name(u32::try_from(cell).unwrap_or(u32::MAX));
                let map = json!({
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": { "name": name, "namespace": ARGOCD_NAMESPACE },
                    "data": sum,
                });
                let own = || format!("{}?fieldManager={USER_AGENT}&force=true", path(Kind::CONFIG_MAP, &name));
                let _logged = insist(|| self.write(&self.own, "PATCH", Kind::CONFIG_MAP, own(), APPLY, &map)).await;
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// What a cell comes to, if that changed since it was asked last.
    fn sum(&self, cell: usize) -> Option<Value> {
        let mut sums = self.sums.lock();
        if !std::mem::take(&mut sums.changed[cell]) {
            return None;
        }
        let apps = &sums.apps[cell];
        let healthy = apps.values().filter(|app| app.healthy).count();
        Some(json!({
            "clusters": sums.clusters[cell].to_string(),
            "apps": apps.len().to_string(),
            "healthy": healthy.to_string(),
        }))
    }
}
