//! The management cluster of `hub-and-spoke`.
//!
//! What was chosen: people write Applications to the hub as in every other topology; who gets which add-on is decided by
//! the add-ons' selectors over the clusters' labels. The management cluster knows the leaves by their cluster Secrets. On
//! each it rolls out Flamingo (namespace, project, Deployment), copies its Applications there with the leaf itself as
//! destination, and brings their status back, as argocd-agent's managed mode does. Everything else is the leaf's manager.
//!
//! Arithmetic for 10,000 leaves x 4: before the run 30,000 writes and 10,000 watches, 8 s. While it runs, per app a write
//! on the leaf, 3 events of the copy, 1 to 2 status writes on the hub and their events: 40,000 x 0.5 ms = 20 s of CPU on
//! both sides, which is what this topology costs over `single`. Memory: 2 KB per app while it is on its way, 0.4 KB at
//! rest.

use super::{CLUSTER_SECRETS, CONCURRENCY, Metadata, Secret, insist, place};
use crate::calls::{ContentId, Kind, Target};
use crate::drive::live::net::{APPLY, Call, Client, JSON, MERGE_PATCH, News, Pools, Refusal, Route};
use crate::fleet::{ARGOCD_NAMESPACE, namespace};
use crate::reconcile::fingerprint;
use crate::reconcile::relay::{Asked, Found, GENERATION, Relay, Step};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore, mpsc};

/// What it calls itself.
pub(in crate::drive::live) const USER_AGENT: &str = "flamboyance-management";
/// Argo CD's name for the cluster that it runs in.
const IN_CLUSTER: &str = "https://kubernetes.default.svc";
/// The manager as it is rolled out.
const IMAGE: &str = "ghcr.io/flux-subsystem-argo/fsa/argocd:v2.8.4-fl.21";

/// What the management cluster works with.
pub(in crate::drive::live) struct Management {
    client: Client,
    hub: Route,
    project: Value,
    state: Mutex<State>,
    work: Notify,
}

#[derive(Default)]
struct State {
    leaves: Vec<Route>,
    /// The leaf at an address.
    by_server: FxHashMap<String, u32>,
    apps: Vec<App>,
    by_name: FxHashMap<Box<str>, u32>,
    queue: VecDeque<u32>,
}

/// One Application.
struct App {
    name: Box<str>,
    leaf: u32,
    relay: Relay,
    /// What the hub asks for, until it is written: content and manifest.
    asked: Option<(ContentId, Box<str>)>,
    /// What the leaf says, until it is reported: fingerprint and status.
    said: Option<(ContentId, Box<str>)>,
    /// In the queue, or a worker has it.
    queued: bool,
    busy: bool,
}

#[derive(serde::Deserialize)]
struct Application<'a> {
    metadata: Metadata,
    #[serde(borrow)]
    spec: &'a RawValue,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct Spec {
    destination: Destination,
}

#[derive(serde::Deserialize)]
struct Destination {
    #[serde(default)]
    server: String,
}

impl Management {
    pub(in crate::drive::live) fn new(hub: Route, project: Value) -> Arc<Self> {
        Arc::new(Self { client: Client::new(USER_AGENT), hub, project, state: Mutex::default(), work: Notify::new() })
    }

    pub(in crate::drive::live) const fn client(&self) -> &Client {
        &self.client
    }

    /// Objects known.
    pub(in crate::drive::live) fn objects(&self) -> u64 {
        let state = self.state.lock();
        (state.leaves.len() + 2 * state.apps.len()) as u64
    }

    /// Rolls out, assigns and reports, for ever; `ready` is called when every leaf that was there has its manager.
    pub(in crate::drive::live) async fn work(self: Arc<Self>, pools: Pools, ready: impl FnOnce()) {
        let (found, mut leaves) = mpsc::unbounded_channel();
        let own = Arc::clone(&self);
        tokio::spawn(async move { own.watch_leaves(pools, &found).await });
        let workers = Arc::new(Semaphore::new(CONCURRENCY));
        while let Some(Some(leaf)) = leaves.recv().await {
            let Ok(worker) = Arc::clone(&workers).acquire_owned().await else { return };
            let own = Arc::clone(&self);
            tokio::spawn(async move {
                own.roll_out(leaf).await;
                drop(worker);
                own.watch_leaf(leaf).await;
            });
        }
        let all = u32::try_from(CONCURRENCY).unwrap_or(1);
        drop(workers.acquire_many(all).await);
        for _ in 0..CONCURRENCY {
            let own = Arc::clone(&self);
            tokio::spawn(async move { own.relay().await });
        }
        let own = Arc::clone(&self);
        tokio::spawn(async move { own.watch_hub().await });
        ready();
        // Leaves that register later.
        while let Some(found) = leaves.recv().await {
            let Some(leaf) = found else { continue };
            let own = Arc::clone(&self);
            tokio::spawn(async move {
                own.roll_out(leaf).await;
                own.watch_leaf(leaf).await;
            });
        }
    }

    /// Tells of every leaf, and with `None` of the end of the list.
    async fn watch_leaves(&self, mut pools: Pools, found: &mpsc::UnboundedSender<Option<u32>>) {
        let info = Kind::SECRET.info();
        let path = info.path(info.version, ARGOCD_NAMESPACE, "");
        let tell = |news: News<'_>| match news {
            News::Applied(text) => {
                let Ok(secret) = serde_json::from_str::<Secret>(text) else { return };
                let Some((server, route)) = place(&secret, &mut pools) else { return };
                let mut state = self.state.lock();
                if !state.by_server.contains_key(&server) {
                    let leaf = u32::try_from(state.leaves.len()).unwrap_or(u32::MAX);
                    state.leaves.push(route);
                    state.by_server.insert(server, leaf);
                    let _ = found.send(Some(leaf));
                }
            }
            News::Listed => {
                let _ = found.send(None);
            }
            News::Listing | News::Deleted(_) => {}
        };
        self.client.follow((&self.hub, Target::Hub), Kind::SECRET, (&path, CLUSTER_SECRETS), tell).await;
    }

    /// Makes a leaf run its own manager.
    async fn roll_out(&self, leaf: u32) {
        let route = self.state.lock().leaves[leaf as usize].clone();
        let objects = [
            (Kind::NAMESPACE, namespace(ARGOCD_NAMESPACE)),
            (Kind::APP_PROJECT, self.project.clone()),
            (Kind::DEPLOYMENT, flamingo()),
        ];
        for (kind, object) in objects {
            let _logged = insist(|| self.apply(&route, kind, &object)).await;
        }
    }

    async fn apply(&self, to: &Route, kind: Kind, object: &Value) -> Result<(), Refusal> {
        let text = |at: &str| object.pointer(at).and_then(Value::as_str).unwrap_or_default();
        let path = kind.info().path(kind.info().version, text("/metadata/namespace"), text("/metadata/name"));
        let path = format!("{path}?fieldManager={USER_AGENT}&force=true");
        let call = Call { target: Target::Leaf, method: "PATCH", kind, path, media: APPLY, body: object };
        self.client.send(to, call).await.map(drop)
    }

    /// Follows the Applications of the hub.
    async fn watch_hub(&self) {
        let mut listed = BTreeSet::new();
        let tell = |news: News<'_>| {
            let mut state = self.state.lock();
            match news {
                News::Listing => listed.clear(),
                News::Applied(text) => {
                    if let Some(key) = state.hub_applied(text) {
                        listed.insert(key);
                        state.enqueue(key);
                    }
                }
                News::Deleted(text) => {
                    if let Some(key) = state.find(text) {
                        state.hub_gone(key);
                    }
                }
                News::Listed => {
                    let all = 0..u32::try_from(state.apps.len()).unwrap_or(u32::MAX);
                    for key in all.filter(|key| !listed.contains(key)) {
                        state.hub_gone(key);
                    }
                    listed = BTreeSet::new();
                }
            }
            self.wake(&state);
        };
        let info = Kind::APPLICATION.info();
        let path = info.path(info.version, ARGOCD_NAMESPACE, "");
        self.client.follow((&self.hub, Target::Hub), Kind::APPLICATION, (&path, ""), tell).await;
    }

    /// Follows the Applications of a leaf.
    async fn watch_leaf(&self, leaf: u32) {
        let route = self.state.lock().leaves[leaf as usize].clone();
        let mut listed = BTreeSet::new();
        let mut known = BTreeSet::new();
        let tell = |news: News<'_>| {
            let mut state = self.state.lock();
            match news {
                News::Listing => listed.clear(),
                News::Applied(text) => {
                    if let Some(key) = state.leaf_applied(leaf, text) {
                        listed.insert(key);
                        known.insert(key);
                        state.enqueue(key);
                    }
                }
                News::Deleted(text) => {
                    if let Some(key) = state.find(text) {
                        known.remove(&key);
                        state.leaf_gone(key);
                    }
                }
                News::Listed => {
                    for key in known.iter().filter(|key| !listed.contains(key)) {
                        state.leaf_gone(*key);
                    }
                    known = std::mem::take(&mut listed);
                }
            }
            self.wake(&state);
        };
        let info = Kind::APPLICATION.info();
        let path = info.path(info.version, ARGOCD_NAMESPACE, "");
        self.client.follow((&route, Target::Leaf), Kind::APPLICATION, (&path, ""), tell).await;
    }

    fn wake(&self, state: &State) {
        if !state.queue.is_empty() {
            self.work.notify_one();
        }
    }

    /// A worker: takes Applications from the queue and does what their relays say.
    async fn relay(&self) {
        loop {
            let woken = self.work.notified();
            let next = self.state.lock().take();
            let Some((key, step)) = next else {
                woken.await;
                continue;
            };
            // One worker wakes the next as long as there is work.
            self.wake(&self.state.lock());
            let done = self.step(key, step).await;
            if !done {
                tokio::time::sleep(super::PAUSE).await;
            }
            self.state.lock().put_back(key);
            self.work.notify_one();
        }
    }

    /// Does one step; whether that worked.
    async fn step(&self, key: u32, step: Step) -> bool {
        let (name, route, asked, said, fresh) = {
            let state = self.state.lock();
            let app = &state.apps[key as usize];
            let route = state.leaves[app.leaf as usize].clone();
            (app.name.clone(), route, app.asked.clone(), app.said.clone(), app.relay.is_fresh())
        };
        let info = Kind::APPLICATION.info();
        let path = info.path(info.version, ARGOCD_NAMESPACE, &name);
        let on_hub = |path: String, body| Call {
            target: Target::Hub,
            method: "PATCH",
            kind: Kind::APPLICATION,
            path,
            media: MERGE_PATCH,
            body,
        };
        let result = match (step, asked, said) {
            (Step::Apply, Some((content, manifest)), _) => {
                let manifest = serde_json::from_str(&manifest).unwrap_or_default();
                let result = self.copy_to(&route, fresh, &manifest).await;
                self.after(key, &result, |app| {
                    app.relay.applied(content);
                    app.asked.take_if(|(now, _)| *now == content);
                });
                result
            }
            (Step::Remove, ..) => {
                let body = json!({ "apiVersion": "v1", "kind": "DeleteOptions" });
                let kind = Kind::APPLICATION;
                let call = Call { target: Target::Leaf, method: "DELETE", kind, path, media: JSON, body: &body };
                let result = self.client.send(&route, call).await.map(drop);
                let gone = result.as_ref().is_err_and(|refusal| refusal.absent);
                let result = if gone { Ok(()) } else { result };
                self.after(key, &result, |app| app.relay.removed(gone));
                result
            }
            (Step::Release, ..) => {
                let body = json!({ "metadata": { "finalizers": null } });
                let result = self.client.send(&self.hub, on_hub(path, &body)).await.map(drop);
                self.after(key, &result, |app| app.relay.released());
                result
            }
            (Step::Report, _, Some((content, status))) => {
                // Argo CD's Applications have no status subresource.
                let body = json!({ "status": serde_json::from_str::<Value>(&status).unwrap_or_default() });
                let result = self.client.send(&self.hub, on_hub(path, &body)).await.map(drop);
                self.after(key, &result, |app| {
                    app.relay.reported(content);
                    app.said.take_if(|(now, _)| *now == content);
                });
                result
            }
            // Its text was dropped when it had been written: it is read again.
            (Step::Apply, ..) => self.read(&self.hub, Target::Hub, path, |state, text| state.hub_applied(text)).await,
            (Step::Report, ..) => {
                let leaf = self.state.lock().apps[key as usize].leaf;
                self.read(&route, Target::Leaf, path, |state, text| state.leaf_applied(leaf, text)).await
            }
        };
        if let Err(refusal) = &result {
            tracing::debug!("{}", refusal.message);
        }
        result.is_ok()
    }

    /// Makes the copy say what it shall. A new one is created, which costs a server much less than an apply.
    async fn copy_to(&self, leaf: &Route, fresh: bool, manifest: &Value) -> Result<(), Refusal> {
        if fresh {
            let info = Kind::APPLICATION.info();
            let path = format!("{}?fieldManager={USER_AGENT}", info.path(info.version, ARGOCD_NAMESPACE, ""));
            let kind = Kind::APPLICATION;
            let call = Call { target: Target::Leaf, method: "POST", kind, path, media: JSON, body: manifest };
            // One that is there after all is written over.
            if let Ok(_created) = self.client.send(leaf, call).await {
                return Ok(());
            }
        }
        self.apply(leaf, Kind::APPLICATION, manifest).await
    }

    async fn read(
        &self,
        from: &Route,
        target: Target,
        path: String,
        show: impl FnOnce(&mut State, &str) -> Option<u32>,
    ) -> Result<(), Refusal> {
        let call = Call { target, method: "GET", kind: Kind::APPLICATION, path, media: JSON, body: &Value::Null };
        let text = self.client.send(from, call).await?;
        show(&mut self.state.lock(), &String::from_utf8_lossy(&text));
        Ok(())
    }

    fn after(&self, key: u32, result: &Result<(), Refusal>, note: impl FnOnce(&mut App)) {
        if result.is_ok() {
            note(&mut self.state.lock().apps[key as usize]);
        }
    }
}

impl State {
    /// The number of the Application that a text is about, if it is known.
    fn find(&self, text: &str) -> Option<u32> {
        let app: Application<'_> = serde_json::from_str(text).ok()?;
        self.by_name.get(app.metadata.name.as_str()).copied()
    }

    fn key(&mut self, name: &str, leaf: u32) -> u32 {
        if let Some(key) = self.by_name.get(name) {
            return *key;
        }
        let key = u32::try_from(self.apps.len()).unwrap_or(u32::MAX);
        let relay = Relay::default();
        self.apps.push(App { name: name.into(), leaf, relay, asked: None, said: None, queued: false, busy: false });
        self.by_name.insert(name.into(), key);
        key
    }

    /// The hub shows an Application. One for a leaf that nobody knows is passed over.
    fn hub_applied(&mut self, text: &str) -> Option<u32> {
        let app: Application<'_> = serde_json::from_str(text).ok()?;
        let spec: Spec = serde_json::from_str(app.spec.get()).ok()?;
        let leaf = *self.by_server.get(&spec.destination.server)?;
        let key = self.key(&app.metadata.name, leaf);
        let meta = &app.metadata;
        let known = fingerprint(
            format!("{} {:?} {:?} {:?}", app.spec.get(), meta.labels, meta.annotations, meta.finalizers).as_bytes(),
        );
        let entry = &mut self.apps[key as usize];
        let asked =
            Asked { content: known, deleting: meta.deletion_timestamp.is_some(), held: !meta.finalizers.is_empty() };
        entry.relay.hub_shows(Some(asked));
        if !entry.relay.has(known) {
            entry.asked = Some((known, copy(&app).to_string().into()));
        }
        Some(key)
    }

    fn hub_gone(&mut self, key: u32) {
        let entry = &mut self.apps[key as usize];
        entry.relay.hub_shows(None);
        (entry.asked, entry.said) = (None, None);
        self.enqueue(key);
    }

    fn leaf_applied(&mut self, leaf: u32, text: &str) -> Option<u32> {
        let app: Application<'_> = serde_json::from_str(text).ok()?;
        let key = self.key(&app.metadata.name, leaf);
        let status = app.status.map_or("", RawValue::get);
        let content = fingerprint(status.as_bytes());
        let entry = &mut self.apps[key as usize];
        entry.relay.leaf_shows(Some(Found { status: content, deleting: app.metadata.deletion_timestamp.is_some() }));
        entry.said = (!status.is_empty()).then(|| (content, status.into()));
        Some(key)
    }

    fn leaf_gone(&mut self, key: u32) {
        self.apps[key as usize].relay.leaf_shows(None);
        self.enqueue(key);
    }

    fn enqueue(&mut self, key: u32) {
        let app = &mut self.apps[key as usize];
        if !app.queued && !app.busy && app.relay.next().is_some() {
            app.queued = true;
            self.queue.push_back(key);
        }
    }

    /// The next Application with something to do; it is the taker's until it is put back.
    fn take(&mut self) -> Option<(u32, Step)> {
        loop {
            let key = self.queue.pop_front()?;
            let app = &mut self.apps[key as usize];
            app.queued = false;
            if let Some(step) = app.relay.next() {
                app.busy = true;
                return Some((key, step));
            }
        }
    }

    fn put_back(&mut self, key: u32) {
        self.apps[key as usize].busy = false;
        self.enqueue(key);
    }
}

/// The Application as the leaf shall have it: the same for the cluster that it is on.
fn copy(app: &Application<'_>) -> Value {
    let mut spec: Value = serde_json::from_str(app.spec.get()).unwrap_or_default();
    spec["destination"]["server"] = IN_CLUSTER.into();
    let meta = &app.metadata;
    let mut annotations = json!(meta.annotations);
    annotations[GENERATION] = meta.generation.to_string().into();
    let mut metadata = json!({
        "name": meta.name,
        "namespace": ARGOCD_NAMESPACE,
        "labels": meta.labels,
        "annotations": annotations,
    });
    if !meta.finalizers.is_empty() {
        metadata["finalizers"] = json!(meta.finalizers);
    }
    json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": metadata, "spec": spec })
}

/// Flamingo on a leaf: controller, repo-server and Redis in one Pod. Nothing of it runs here: the manager that plays it
/// is hosted by a process of the run.
fn flamingo() -> Value {
    let container = |name: &str, image: &str| json!({ "name": name, "image": image });
    let labels = json!({ "app.kubernetes.io/name": "flamingo" });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "flamingo", "namespace": ARGOCD_NAMESPACE, "labels": labels },
        "spec": {
            "replicas": 1,
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [
                    container("application-controller", IMAGE),
                    container("repo-server", IMAGE),
                    container("redis", "redis:7"),
                ] },
            },
        },
    })
}
