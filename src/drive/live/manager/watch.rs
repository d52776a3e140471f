//! Watches: kube-runtime's watcher over our connections, its events into the index.
//!
//! A watch that ends is opened again by the watcher itself from where it stood; one that cannot be opened is started
//! from the beginning after a pause, so that a complete list says when it works again. A leaf is called unreachable when
//! that has gone on for [`GRACE`], or at once when it refuses us.

use super::index::{Registered, Shown, object_id};
use super::object::{Collection, Object, split_server};
use super::{Shared, round};
use crate::calls::{Kind, ObjectId, Target, Verb};
use crate::clock;
use crate::drive::live::above::cells;
use crate::drive::live::net::{self, Answer, BACKOFF, WireError};
use crate::measure::Signal;
use crate::reconcile::{TokenBucket, relay};
use crate::units::{Span, Time};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::StreamExt;
use http::{Request, Response};
use kube::client::Body;
use kube::{Api, Client};
use kube_runtime::watcher::{self, Config, Event};
use std::collections::BTreeSet;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Connection failures shorter than this are nobody's business.
const GRACE: Span = Span::from_secs(5);
/// The server ends a watch after so many seconds, and up to a third more so that they do not end together
/// (client-go: 5 to 10 minutes; kube gives up on a silent one 5 s later).
const WATCH_S: u32 = 210;
/// The label of cluster Secrets.
const CLUSTER_SECRETS: &str = "argocd.argoproj.io/secret-type=cluster";
/// Argo CD's name for the cluster it runs in.
const IN_CLUSTER: (&str, &str) = ("in-cluster", "https://kubernetes.default.svc");
/// Cluster changes within this time count as one.
const SETTLE: Span = Span::from_millis(200);

/// Sends what kube asks to the API server that the path names.
#[derive(Clone)]
pub(super) struct Router(pub(super) Arc<Shared>);

impl tower::Service<Request<Body>> for Router {
    type Response = Response<Answer>;
    type Error = WireError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answer>, WireError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let shared = self.0.clone();
        Box::pin(async move {
            let Some((server, path)) = split_server(request.uri()) else { return Err(WireError::Unrouted) };
            let kind = kind_of(path.path());
            let verb = if path.query().is_some_and(|q| q.contains("watch=")) { Verb::Watch } else { Verb::List };
            *request.uri_mut() = path;
            let (target, route) = match server.checked_sub(1) {
                None => (Target::Hub, Some(shared.hub.clone())),
                Some(leaf) => {
                    let index = shared.index.lock();
                    (Target::Leaf, index.clusters.get(leaf as usize).and_then(|c| c.route.as_ref().ok().cloned()))
                }
            };
            let sent = route.ok_or(WireError::Unrouted)?.send(request).await;
            if let Some(kind) = kind {
                let code = sent.as_ref().map_or(0, |response| response.status().as_u16());
                shared.tally.lock().add_key(round::watch_key(target, verb, kind, code), 1);
            }
            sent
        })
    }
}

fn kind_of(path: &str) -> Option<Kind> {
    let mut parts = path.trim_start_matches('/').split('/');
    let group = if parts.next() == Some("apis") { parts.next()? } else { "" };
    Kind::find_plural(group, path.rsplit('/').next()?)
}

/// What a watch feeds.
trait Sink {
    /// An object of the initial list, or a later change.
    fn applied(&mut self, object: Object, how: Shown);
    /// An object is gone.
    fn deleted(&mut self, object: &Object);
    /// The initial list begins.
    fn listing(&mut self);
    /// The initial list is complete.
    fn listed(&mut self);
    /// It does not work: HTTP status, 0 for no connection. `Break` ends the watch for good.
    fn failed(&mut self, code: u16, since: Time) -> ControlFlow<()>;
}

/// Watches a collection until its sink has had enough.
async fn watch(shared: &Shared, api: Api<Object>, config: Config, salt: u64, sink: &mut impl Sink) {
    let mut config =
        config.streaming_lists().timeout(WATCH_S + u32::try_from(salt % u64::from(WATCH_S / 3)).unwrap_or(0));
    let mut failing: Option<(Time, u32)> = None;
    loop {
        let mut events = std::pin::pin!(watcher::watcher(api.clone(), config.clone()));
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    shared.watch_events.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if take(sink, event) {
                        failing = None;
                    }
                }
                Err(error) => {
                    let (since, failures) = *failing.get_or_insert((clock::now(), 0));
                    failing = Some((since, failures + 1));
                    let code = code_of(&error);
                    // A stream that broke or fell behind goes on by itself; one that does not open is another matter.
                    let resumable = matches!(error, watcher::Error::WatchError(_) | watcher::Error::WatchFailed(_));
                    if !resumable && sink.failed(code, since).is_break() {
                        return;
                    }
                    if matches!(code, 400 | 422) {
                        // No streaming lists before Kubernetes 1.32.
                        config.initial_list_strategy = watcher::InitialListStrategy::ListWatch;
                    }
                    let pause = retry_after(&error).unwrap_or_else(|| BACKOFF.delay(failures));
                    tracing::debug!("watch: {error}; again in {pause}");
                    tokio::time::sleep(pause.to_std()).await;
                    if !resumable {
                        break;
                    }
                }
            }
            shared.wake();
        }
    }
}

/// Whether the event proves that the watch works.
fn take(sink: &mut impl Sink, event: Event<Object>) -> bool {
    match event {
        Event::Init => {
            sink.listing();
            return false;
        }
        Event::InitApply(object) => {
            sink.applied(object, Shown::Listed);
            return false;
        }
        Event::Apply(object) => sink.applied(object, Shown::Seen),
        Event::Delete(object) => sink.deleted(&object),
        Event::InitDone => sink.listed(),
    }
    true
}

fn status_of(error: &watcher::Error) -> Option<&kube::core::Status> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => Some(status),
        _ => None,
    }
}

fn code_of(error: &watcher::Error) -> u16 {
    status_of(error).map_or(0, |status| status.code)
}

fn retry_after(error: &watcher::Error) -> Option<Span> {
    let seconds = status_of(error)?.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Span::from_secs(u64::from(seconds).min(30)))
}

/// The Flux objects of one kind on one leaf.
struct Leaf<'a> {
    shared: &'a Shared,
    cluster: u32,
    kind: Kind,
    known: BTreeSet<ObjectId>,
    listed: BTreeSet<ObjectId>,
}

impl Leaf<'_> {
    fn id(&self, object: &Object) -> ObjectId {
        object_id(self.cluster, self.kind, object.namespace(), object.name())
    }
}

impl Sink for Leaf<'_> {
    fn applied(&mut self, object: Object, how: Shown) {
        let id = self.id(&object);
        if how == Shown::Listed {
            self.listed.insert(id);
        } else {
            self.known.insert(id);
        }
        self.shared.index.lock().live_applied(id, self.kind, &object, how, clock::now());
    }

    fn deleted(&mut self, object: &Object) {
        let id = self.id(object);
        self.known.remove(&id);
        self.shared.index.lock().live_deleted(id, clock::now());
    }

    fn listing(&mut self) {
        self.listed.clear();
    }

    fn listed(&mut self) {
        let now = clock::now();
        let mut index = self.shared.index.lock();
        for gone in self.known.difference(&self.listed) {
            index.live_deleted(*gone, now);
        }
        index.watch_synced(self.cluster, self.kind, now);
        drop(index);
        self.known = std::mem::take(&mut self.listed);
    }

    fn failed(&mut self, code: u16, since: Time) -> ControlFlow<()> {
        let now = clock::now();
        let refused = matches!(code, 400..=409 | 411..=499) && code != 429;
        if refused || now.since(since) >= GRACE {
            self.shared.index.lock().watch_failed(self.cluster, self.kind, code, now);
        }
        // Nobody is left who needs it, or the credentials changed and another watch took over.
        if self.shared.index.lock().is_current(self.cluster, self.kind) {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }
}

/// Watches one kind of Flux objects on one leaf.
pub(super) async fn leaf(shared: Arc<Shared>, client: Client, cluster: u32, collection: Collection) {
    let open = shared.watches.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
    shared.watches_max.fetch_max(open, std::sync::atomic::Ordering::Relaxed);
    let kind = collection.kind;
    let salt = object_id(cluster, kind, "", "").0;
    let api: Api<Object> = Api::all_with(client, &collection);
    let mut sink = Leaf { shared: &shared, cluster, kind, known: BTreeSet::new(), listed: BTreeSet::new() };
    // Also when the task is cut off, because the cluster is another's now.
    let _open = Open(&shared.watches);
    watch(&shared, api, Config::default(), salt, &mut sink).await;
}

/// Counts an open watch until it is dropped.
struct Open<'a>(&'a std::sync::atomic::AtomicU64);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}

/// The Applications of the hub.
struct Applications<'a> {
    shared: &'a Shared,
    listed: BTreeSet<(String, String)>,
}

impl Sink for Applications<'_> {
    fn applied(&mut self, object: Object, how: Shown) {
        let now = clock::now();
        if how == Shown::Listed {
            self.listed.insert((object.namespace().to_owned(), object.name().to_owned()));
        }
        let id = self.shared.app_ids.as_ref().and_then(|ids| ids(object.name()));
        let ours = self.shared.index.lock().app_applied(&object, id, now);
        if let Some(app) = id.filter(|_| ours) {
            // A copy of an Application says which generation of it it is.
            let number = |name| object.annotations.get(name).and_then(|text: &String| text.parse::<u64>().ok());
            let own = u64::try_from(object.generation).unwrap_or_default() + number(cells::BEFORE).unwrap_or(0);
            let generation = number(relay::GENERATION).unwrap_or(own);
            self.shared.reporter.signal(Signal::Seen { app, at: now, generation, shard: self.shared.shard });
        }
    }

    fn deleted(&mut self, object: &Object) {
        self.shared.index.lock().app_deleted(object.namespace(), object.name());
    }

    fn listing(&mut self) {
        self.listed.clear();
    }

    fn listed(&mut self) {
        let mut index = self.shared.index.lock();
        let own = |(namespace, name): (&str, &str)| (namespace.to_owned(), name.to_owned());
        let gone: Vec<_> = index.existing().map(own).filter(|app| !self.listed.contains(app)).collect();
        for (namespace, name) in gone {
            index.app_deleted(&namespace, &name);
        }
        drop(index);
        self.listed.clear();
        self.shared.ready.notify_one();
    }

    fn failed(&mut self, code: u16, since: Time) -> ControlFlow<()> {
        if clock::now().since(since) >= GRACE {
            tracing::warn!("the hub does not serve Applications (status {code}); still trying");
        }
        ControlFlow::Continue(())
    }
}

/// Watches the Applications, anew whenever clusters moved between managers.
pub(super) async fn applications(shared: Arc<Shared>, client: Client) {
    let collection = Collection { server: 0, kind: Kind::APPLICATION, version: "v1alpha1".to_owned() };
    loop {
        let api: Api<Object> = Api::namespaced_with(client.clone(), &shared.namespace, &collection);
        let mut sink = Applications { shared: &shared, listed: BTreeSet::new() };
        tokio::select! {
            () = watch(&shared, api, Config::default(), 0, &mut sink) => {}
            () = shared.relist.notified() => {}
        }
    }
}

/// The cluster Secrets of the hub.
struct Secrets<'a> {
    shared: &'a Arc<Shared>,
    /// Secrets by name, and the server that each registers.
    servers: std::collections::BTreeMap<String, Box<str>>,
    listed: BTreeSet<String>,
    /// The initial list is complete.
    complete: bool,
}

impl Sink for Secrets<'_> {
    fn applied(&mut self, object: Object, how: Shown) {
        if object.deleting {
            return self.leaving(&object);
        }
        if how == Shown::Listed {
            self.listed.insert(object.name().to_owned());
        }
        let registered = self.shared.register(&object);
        let now = clock::now();
        let old = self.servers.insert(object.name().to_owned(), registered.server.clone());
        let mut index = self.shared.index.lock();
        if let Some(old) = old.filter(|old| *old != registered.server) {
            index.cluster_deleted(&old, now);
        }
        index.cluster_applied(registered, now);
        if self.complete {
            self.shared.clusters_changed.notify_one();
        }
    }

    fn deleted(&mut self, object: &Object) {
        if let Some(server) = self.servers.remove(object.name()) {
            self.shared.index.lock().cluster_deleted(&server, clock::now());
            self.shared.clusters_changed.notify_one();
        }
    }

    fn listing(&mut self) {
        self.listed.clear();
    }

    fn listed(&mut self) {
        let now = clock::now();
        let mut index = self.shared.index.lock();
        self.servers.retain(|name, server| {
            let kept = self.listed.contains(name);
            if !kept {
                index.cluster_deleted(server, now);
            }
            kept
        });
        if !self.servers.values().any(|server| **server == *IN_CLUSTER.1) {
            index.cluster_applied(self.shared.in_cluster(), now);
        }
        drop(index);
        self.shared.settle_clusters(now);
        self.complete = true;
        self.shared.clusters_known.notify_one();
    }

    fn failed(&mut self, code: u16, since: Time) -> ControlFlow<()> {
        if clock::now().since(since) >= GRACE {
            tracing::warn!("the hub does not serve Secrets (status {code}); still trying");
        }
        ControlFlow::Continue(())
    }
}

impl Secrets<'_> {
    /// A cluster is to go elsewhere: its Secret stays until nobody here works on it.
    fn leaving(&mut self, object: &Object) {
        let registered = self.servers.remove(object.name());
        let mut index = self.shared.index.lock();
        let cluster = registered.as_ref().and_then(|server| index.at(server));
        if let Some(server) = registered {
            index.cluster_deleted(&server, clock::now());
        }
        drop(index);
        self.shared.clusters_changed.notify_one();
        if object.finalizers.iter().any(|finalizer| finalizer == HELD) {
            let others: Vec<_> = object.finalizers.iter().filter(|other| *other != HELD).cloned().collect();
            tokio::spawn(release(Arc::clone(self.shared), object.name().to_owned(), others, cluster));
        }
    }
}

/// The finalizer by which a manager holds the Secret of a cluster until it has let go of it.
pub(in crate::drive::live) const HELD: &str = "flamboyance.dev/manager";
/// How often it is looked whether rounds are left, and how soon a write that failed is repeated.
const LOOK: Span = Span::from_millis(10);

/// Takes the finalizer from a Secret when no work on its cluster is left.
async fn release(shared: Arc<Shared>, name: String, others: Vec<String>, cluster: Option<u32>) {
    while cluster.is_some_and(|cluster| shared.index.lock().rounds(cluster) > 0) {
        tokio::time::sleep(LOOK.to_std()).await;
    }
    let info = Kind::SECRET.info();
    let path = info.path(info.version, &shared.namespace, &name);
    let body = serde_json::json!({ "metadata": { "finalizers": others } }).to_string();
    loop {
        let request = Request::patch(&path).header(http::header::CONTENT_TYPE, net::MERGE_PATCH);
        let Ok(request) = request.body(Body::from(body.clone().into_bytes())) else { return };
        let code = shared.hub.send(request).await.map_or(0, |response| response.status().as_u16());
        shared.tally.lock().add_key(round::watch_key(Target::Hub, Verb::Patch, Kind::SECRET, code), 1);
        if matches!(code, 200..300 | 404) {
            return;
        }
        tokio::time::sleep(LOOK.scaled(10, 1).to_std()).await;
    }
}

/// Watches the cluster Secrets.
pub(super) async fn secrets(shared: Arc<Shared>, client: Client) {
    let collection = Collection { server: 0, kind: Kind::SECRET, version: "v1".to_owned() };
    let api: Api<Object> = Api::namespaced_with(client, &shared.namespace, &collection);
    let servers = std::collections::BTreeMap::new();
    let mut sink = Secrets { shared: &shared, servers, listed: BTreeSet::new(), complete: false };
    watch(&shared, api, Config::default().labels(CLUSTER_SECRETS), 1, &mut sink).await;
}

/// Decides anew whose the clusters are, a moment after they changed.
pub(super) async fn settle(shared: Arc<Shared>) {
    loop {
        shared.clusters_changed.notified().await;
        tokio::time::sleep(SETTLE.to_std()).await;
        shared.settle_clusters(clock::now());
        shared.wake();
    }
}

impl Shared {
    /// What a cluster Secret says.
    fn register(&self, secret: &Object) -> Registered {
        let field = |name: &str| secret.data.get(name).and_then(|data| BASE64.decode(data).ok()).unwrap_or_default();
        let text = |name: &str| String::from_utf8(field(name)).unwrap_or_default();
        let server = text("server").trim().trim_end_matches('/').to_owned();
        let name = Some(text("name")).filter(|name| !name.is_empty()).unwrap_or_else(|| server.clone());
        let route = if server == IN_CLUSTER.1 {
            Ok(self.hub.clone())
        } else {
            net::from_cluster_secret(&server, &field("config"))
                .and_then(|config| self.pools.lock().route(&config))
                .map_err(|error| error.to_string().into())
        };
        let (uid, bucket) = (secret.uid.clone(), self.leaf_bucket());
        // What is no number counts as unset, as in Argo CD.
        let labelled = || {
            let index = self.index.lock();
            secret.labels.get(index.shard_label()?)?.parse().ok()
        };
        let pin = text("shard").trim().parse().ok().or_else(labelled);
        Registered { name: name.into(), server: server.into(), uid, pin, route, bucket }
    }

    /// The cluster that Argo CD knows without a Secret: the hub itself.
    fn in_cluster(&self) -> Registered {
        let (name, server) = (IN_CLUSTER.0.into(), IN_CLUSTER.1.into());
        Registered { name, server, uid: "".into(), pin: None, route: Ok(self.hub.clone()), bucket: self.leaf_bucket() }
    }

    fn leaf_bucket(&self) -> TokenBucket {
        TokenBucket::new(self.manager.leaf_qps_milli, self.manager.leaf_burst)
    }
}
