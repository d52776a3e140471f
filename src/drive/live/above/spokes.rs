//! The management cluster of `hub-and-spoke`.
//!
//! What was chosen: people write Applications to the hub as in every other topology; who gets which add-on is decided by
//! the add-ons' selectors over the clusters' labels. The management cluster knows the leaves by their cluster Secrets. On
//! each it rolls out Flamingo (namespace, project, Deployment), copies its Applications there with the leaf itself as
//! destination, and brings their status back, as argocd-agent's managed mode does. Everything else is the leaf's manager.
//!
//! Arithmetic for 10,000 leaves x 4: before the run 30,000 writes and 10,000 watches, 8 s. While it runs, per app a write
//! on the leaf, 3 events of the copy, 1 to 2 status writes on the hub and their events: 40,000 x 0.5 ms = 20 s of CPU on
//! both sides, which is what this topology costs over `single`. Measured: 2.4 status writes per app; to let a status on the
//! way to healthy wait a second for a better one saved none of them, for on a busy machine each lasts longer. Memory: 2 KB per app while it is on its way, 0.4 KB at
//! rest.

use super::{CLUSTER_SECRETS, CONCURRENCY, Metadata, Secret, insist, path, place};
use crate::calls::{ContentId, Kind, Target};
use crate::drive::live::net::{APPLY, Call, Client, JSON, Known, MERGE_PATCH, News, Pools, Refusal, Route};
use crate::fleet::{ARGOCD_NAMESPACE, namespace};
use crate::reconcile::fingerprint;
use crate::reconcile::relay::{Asked, Found, GENERATION, Relay, Step};
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHasher};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Display;
use std::hash::Hasher;
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
    /// By number; one that neither side has any more is forgotten, and its number not used again.
    apps: BTreeMap<u32, App>,
    /// How many numbers were given.
    numbered: u32,
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
}

#[derive(serde::Deserialize)]
struct Spec<'a> {
    #[serde(borrow)]
    destination: Destination<'a>,
}

#[derive(serde::Deserialize)]
struct Destination<'a> {
    #[serde(borrow, default)]
    server: Cow<'a, str>,
}

/// A copy, as far as it says how it is.
#[derive(serde::Deserialize)]
struct Copied<'a> {
    #[serde(borrow)]
    metadata: CopiedMeta<'a>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct CopiedMeta<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    deletion_timestamp: Option<serde::de::IgnoredAny>,
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
        let path = path(Kind::SECRET, "");
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
        let (mut listed, mut whole) = (BTreeSet::new(), false);
        let tell = |news: News<'_>| {
            let mut state = self.state.lock();
            match news {
                News::Listing => (listed, whole) = (BTreeSet::new(), false),
                News::Applied(text) => {
                    if let Some(key) = state.hub_applied(text) {
                        if !whole {
                            listed.insert(key);
                        }
                        state.enqueue(key);
                    }
                }
                News::Deleted(text) => {
                    if let Some(key) = state.find(text) {
                        state.hub_gone(key);
                    }
                }
                News::Listed => {
                    let gone: Vec<u32> = state.apps.keys().copied().filter(|key| !listed.contains(key)).collect();
                    for key in gone {
                        state.hub_gone(key);
                    }
                    listed = BTreeSet::new();
                    whole = true;
                }
            }
            self.wake(&state);
        };
        let path = path(Kind::APPLICATION, "");
        self.client.follow((&self.hub, Target::Hub), Kind::APPLICATION, (&path, ""), tell).await;
    }

    /// Follows the Applications of a leaf.
    async fn watch_leaf(&self, leaf: u32) {
        let route = self.state.lock().leaves[leaf as usize].clone();
        let mut known = Known::default();
        let tell = |news: News<'_>| {
            let mut state = self.state.lock();
            match news {
                News::Listing => known.listing(),
                News::Applied(text) => {
                    if let Some(key) = state.leaf_applied(leaf, text) {
                        known.insert(key, ());
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
                    for (key, ()) in known.listed() {
                        state.leaf_gone(key);
                    }
                }
            }
            self.wake(&state);
        };
        let path = path(Kind::APPLICATION, "");
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
            let next = {
                let mut state = self.state.lock();
                let next = state.take();
                // One worker wakes the next as long as there is work.
                self.wake(&state);
                next
            };
            let Some((key, step)) = next else {
                woken.await;
                continue;
            };
            let done = self.step(key, step).await;
            if !done {
                tokio::time::sleep(super::PAUSE).await;
            }
            self.state.lock().put_back(key);
        }
    }

    /// Does one step; whether that worked.
    async fn step(&self, key: u32, step: Step) -> bool {
        let (name, leaf, route, asked, said, fresh) = {
            let mut state = self.state.lock();
            let Some(app) = state.apps.get_mut(&key) else { return true };
            // What a failure would need again is read again.
            let asked = app.asked.take_if(|_| step == Step::Apply);
            let said = app.said.take_if(|_| step == Step::Report);
            let (name, leaf, fresh) = (app.name.clone(), app.leaf, app.relay.is_fresh());
            (name, leaf, state.leaves[leaf as usize].clone(), asked, said, fresh)
        };
        let path = path(Kind::APPLICATION, &name);
        let result = match (step, asked, said) {
            (Step::Apply, Some((content, manifest)), _) => {
                let result = self.copy_to(&route, fresh, path, &manifest).await;
                self.after(key, &result, |app| app.relay.applied(content));
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
                let result = self.on_hub(path, &body).await;
                self.after(key, &result, |app| app.relay.released());
                result
            }
            (Step::Report, _, Some((content, status))) => {
                // Argo CD's Applications have no status subresource.
                let result = self.on_hub(path, &format!(r#"{{"status":{status}}}"#)).await;
                self.after(key, &result, |app| app.relay.reported(content));
                result
            }
            // Its text was taken when it was written: it is read again.
            (Step::Apply, ..) => self.read(&self.hub, Target::Hub, path, |state, text| state.hub_applied(text)).await,
            (Step::Report, ..) => {
                self.read(&route, Target::Leaf, path, |state, text| state.leaf_applied(leaf, text)).await
            }
        };
        if let Err(refusal) = &result {
            tracing::debug!("{}", refusal.message);
        }
        result.is_ok()
    }

    /// Makes the copy say what it shall. A new one is created, which costs a server much less than an apply.
    async fn copy_to(&self, leaf: &Route, fresh: bool, path: String, manifest: &str) -> Result<(), Refusal> {
        let (target, kind) = (Target::Leaf, Kind::APPLICATION);
        if fresh {
            let path = format!("{}?fieldManager={USER_AGENT}", super::path(Kind::APPLICATION, ""));
            let call = Call { target, method: "POST", kind, path, media: JSON, body: &manifest };
            // One that is there after all is written over.
            if let Ok(_created) = self.client.send(leaf, call).await {
                return Ok(());
            }
        }
        let path = format!("{path}?fieldManager={USER_AGENT}&force=true");
        self.client
            .send(leaf, Call { target, method: "PATCH", kind, path, media: APPLY, body: &manifest })
            .await
            .map(drop)
    }

    /// Argo CD's Applications have no status subresource.
    async fn on_hub(&self, path: String, body: &(impl Display + Sync)) -> Result<(), Refusal> {
        let (target, kind) = (Target::Hub, Kind::APPLICATION);
        let call = Call { target, method: "PATCH", kind, path, media: MERGE_PATCH, body };
        self.client.send(&self.hub, call).await.map(drop)
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
        if result.is_ok()
            && let Some(app) = self.state.lock().apps.get_mut(&key)
        {
            note(app);
        }
    }
}

impl State {
    /// The number of the Application that a text is about, if it is known.
    fn find(&self, text: &str) -> Option<u32> {
        let app: Copied<'_> = serde_json::from_str(text).ok()?;
        self.by_name.get(app.metadata.name.as_ref()).copied()
    }

    fn key(&mut self, name: &str, leaf: u32) -> u32 {
        if let Some(key) = self.by_name.get(name) {
            return *key;
        }
        let key = self.numbered;
        self.numbered += 1;
        let relay = Relay::default();
        let app = App { name: name.into(), leaf, relay, asked: None, said: None, queued: false, busy: false };
        self.apps.insert(key, app);
        self.by_name.insert(name.into(), key);
        key
    }

    /// The hub shows an Application. One for a leaf that nobody knows is passed over.
    fn hub_applied(&mut self, text: &str) -> Option<u32> {
        let app: Application<'_> = serde_json::from_str(text).ok()?;
        let spec: Spec<'_> = serde_json::from_str(app.spec.get()).ok()?;
        let leaf = *self.by_server.get(spec.destination.server.as_ref())?;
        let key = self.key(&app.metadata.name, leaf);
        let content = content(&app);
        let meta = &app.metadata;
        let asked = Asked { content, deleting: meta.deletion_timestamp.is_some(), held: !meta.finalizers.is_empty() };
        let entry = self.apps.get_mut(&key)?;
        entry.relay.hub_shows(Some(asked));
        if !entry.relay.has(content) {
            entry.asked = Some((content, copy(&app).to_string().into()));
        }
        Some(key)
    }

    fn hub_gone(&mut self, key: u32) {
        let Some(entry) = self.apps.get_mut(&key) else { return };
        entry.relay.hub_shows(None);
        (entry.asked, entry.said) = (None, None);
        self.settle(key);
    }

    fn leaf_applied(&mut self, leaf: u32, text: &str) -> Option<u32> {
        let app: Copied<'_> = serde_json::from_str(text).ok()?;
        let key = self.key(&app.metadata.name, leaf);
        let status = app.status.map_or("", RawValue::get);
        let content = fingerprint(status.as_bytes());
        let entry = self.apps.get_mut(&key)?;
        entry.relay.leaf_shows(Some(Found { status: content, deleting: app.metadata.deletion_timestamp.is_some() }));
        entry.said = (!status.is_empty()).then(|| (content, status.into()));
        Some(key)
    }

    fn leaf_gone(&mut self, key: u32) {
        let Some(entry) = self.apps.get_mut(&key) else { return };
        entry.relay.leaf_shows(None);
        self.settle(key);
    }

    /// Puts it in line, or forgets it if neither side has it.
    fn settle(&mut self, key: u32) {
        let over = self.apps.get(&key).is_some_and(|app| app.relay.is_over() && !app.busy && !app.queued);
        if over && let Some(app) = self.apps.remove(&key) {
            self.by_name.remove(&app.name);
            return;
        }
        self.enqueue(key);
    }

    fn enqueue(&mut self, key: u32) {
        let Some(app) = self.apps.get_mut(&key) else { return };
        if !app.queued && !app.busy && app.relay.next().is_some() {
            app.queued = true;
            self.queue.push_back(key);
        }
    }

    /// The next Application with something to do; it is the taker's until it is put back.
    fn take(&mut self) -> Option<(u32, Step)> {
        loop {
            let key = self.queue.pop_front()?;
            let Some(app) = self.apps.get_mut(&key) else { continue };
            app.queued = false;
            if let Some(step) = app.relay.next() {
                app.busy = true;
                return Some((key, step));
            }
        }
    }

    fn put_back(&mut self, key: u32) {
        if let Some(app) = self.apps.get_mut(&key) {
            app.busy = false;
        }
        self.settle(key);
    }
}

/// Everything that the hub asks for: the Application without its status.
fn content(app: &Application<'_>) -> ContentId {
    let mut hash = FxHasher::default();
    hash.write(app.spec.get().as_bytes());
    let meta = &app.metadata;
    for (key, value) in meta.labels.iter().chain(&meta.annotations) {
        hash.write(key.as_bytes());
        hash.write(value.as_bytes());
    }
    for finalizer in &meta.finalizers {
        hash.write(finalizer.as_bytes());
    }
    ContentId(hash.finish() | 1)
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
