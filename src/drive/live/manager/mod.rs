//! A loopback manager: Argo CD's application-controller role for Applications with the Flux subsystem.
//!
//! In: access to a hub, settings, which clusters are its own. Out: Flux objects on the leaves, statuses on the
//! Applications, signals to a harness if there is one. It works against any API server; all decisions are
//! `reconcile`'s, this is the rim that turns them into requests.
//!
//! ```text
//! watches (watch, object) -> index (apps, clusters, cache, queue) -> workers (round) -> requests (request, net)
//! ```
//!
//! Arithmetic for 40,000 apps on 10,000 leaves, install to healthy: per app 2 applies, 2 status PATCHes and 1 watch
//! (200,000 requests at 25 us = 5 s), 3 Application events and 12 Flux events (600,000 at 10 us = 6 s), 4 rounds without
//! calls (160,000 at 2 us = 0.3 s), 40,000 translations at 20 us = 0.8 s: 12 s of CPU. Memory: 2.6 KB per app in the
//! index and 16 KB per watch (kube's reader alone takes 8): 40,000 watches are 640 MB.
//!
//! Measured (`ten-thousand`, 2 cores, to `Healthy`): 35.1 s of CPU for 236,131 calls, 873,350 watch events and 135,560
//! rounds, 40,000 watches, 1.1 GiB. The calls are as many as reckoned, the rest costs about three times as much. By
//! profile: HTTP/2 and TLS 31 %, parsing watch events 19 %, keeping them 14 %, kube's watcher 9 %, rounds 10 %.

mod index;
mod lease;
mod object;
mod request;
mod round;
mod watch;

/// What managers call themselves towards API servers.
const USER_AGENT: &str = super::net::USER_AGENT;

pub(crate) use index::{AppIds, Share};
pub(in crate::drive::live) use watch::HELD;

use super::net::{AccessError, Pools, Route, Traffic};
use super::reporter::Reporter;
use crate::calls::{Op, Tally};
use crate::clock;
use crate::measure::Signal;
use crate::reconcile::{Backoff, Body, Queue, Resync, Rules, TokenBucket};
use crate::scenario::Manager;
use crate::seed::Seed;
use crate::topology::Standing;
use crate::units::{Span, Time};
use index::{Index, Wish};
use lease::Keeper;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// What a manager is told.
pub(crate) struct Settings {
    /// How to reach the hub.
    pub(crate) hub: kube::Config,
    /// Where Applications and cluster Secrets are; `argocd`.
    pub(crate) namespace: String,
    /// How it behaves.
    pub(crate) manager: Manager,
    /// Which clusters are its own.
    pub(crate) share: Share,
    /// Its number among the managers.
    pub(crate) shard: u32,
    /// Others share its hub, or clusters move between hubs: what it owns is told.
    pub(crate) tells: bool,
    /// How long its lease is, if managers come and go.
    pub(crate) lease: Option<Span>,
    /// Seed of the jitter.
    pub(crate) seed: Seed,
    /// Who is told what happens.
    pub(crate) reporter: Reporter,
    /// How the harness numbers apps, if there is one.
    pub(crate) app_ids: Option<AppIds>,
}

/// What a manager counted.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    /// Calls made.
    pub(crate) calls: Tally,
    /// Bytes read from sockets.
    pub(crate) bytes_in: u64,
    /// Bytes written to sockets.
    pub(crate) bytes_out: u64,
    /// Most connections at once.
    pub(crate) connections_max: u64,
    /// Most watches at once.
    pub(crate) watches_max: u64,
    /// Objects held at the end.
    pub(crate) objects: u64,
    /// Watch events received.
    pub(crate) watch_events: u64,
}

/// Why a manager cannot work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManagerError {
    /// The hub's address or credentials.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The hub does not answer.
    #[error("the hub does not answer: {reason}; check the server and context of the kubeconfig")]
    Unreachable {
        /// What the connection said.
        reason: String,
    },
    /// The hub refuses.
    #[error("the hub answers {code}: check the user of the kubeconfig")]
    Refused {
        /// HTTP status.
        code: u16,
    },
    /// A worker panicked: a bug of ours.
    #[error("a worker of the manager ended; its own message stands above")]
    WorkerDied,
    /// The runtime.
    #[error("cannot start the manager's threads: {0}")]
    Runtime(#[from] std::io::Error),
}

/// The deadline has come: the worker that takes the key sets the alarm clock anew.
const HANDED_OVER: u64 = 0;

/// What all tasks share.
struct Shared {
    index: Mutex<Index>,
    hub: Route,
    hub_bucket: Mutex<TokenBucket>,
    pools: Arc<Mutex<Pools>>,
    rules: Rules,
    manager: Manager,
    namespace: String,
    shard: u32,
    reporter: Reporter,
    app_ids: Option<AppIds>,
    /// Keeps the lease, if there is one.
    keeper: Option<Arc<Keeper>>,
    /// No call may begin from then on: the lease is over.
    fence: AtomicU64,
    /// The clusters that it owned when that was told last.
    owned: Mutex<BTreeSet<Box<str>>>,
    tally: Mutex<Tally>,
    watches: AtomicU64,
    watches_max: AtomicU64,
    watch_events: AtomicU64,
    /// When the length of the queue was told last.
    depth_at: AtomicU64,
    /// There is work in the queue.
    work: Notify,
    /// The alarm clock must look at its deadline anew.
    alarm: Notify,
    /// The deadline for which it is set.
    armed: AtomicU64,
    /// There are wishes.
    wishes: Notify,
    ready: Notify,
    relist: Notify,
    clusters_known: Notify,
    clusters_changed: Notify,
}

impl Shared {
    /// After anything was put into the index from outside a worker.
    fn wake(&self) {
        let mut index = self.index.lock();
        if index.queue.depth() > 0 {
            self.work.notify_one();
        }
        self.arm(&mut index);
    }

    /// Sets the alarm clock if the next deadline is earlier than the one it knows; passes wishes on.
    fn arm(&self, index: &mut MutexGuard<'_, Index>) {
        if !index.wishes.is_empty() {
            self.wishes.notify_one();
        }
        let deadline = index.queue.deadline().map_or(u64::MAX, |time| time.0);
        let armed = self.armed.load(Ordering::Relaxed);
        if deadline < armed || armed == HANDED_OVER {
            self.armed.store(deadline, Ordering::Relaxed);
            self.alarm.notify_one();
        }
    }

    /// Wakes a worker when a delayed key is due.
    async fn ring(&self) {
        loop {
            let deadline = self.index.lock().queue.deadline();
            self.armed.store(deadline.map_or(u64::MAX, |time| time.0), Ordering::Relaxed);
            let Some(deadline) = deadline else {
                self.alarm.notified().await;
                continue;
            };
            let pause = deadline.since(clock::now());
            if pause.0 == 0 {
                self.armed.store(HANDED_OVER, Ordering::Relaxed);
                self.work.notify_one();
                self.alarm.notified().await;
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(pause.to_std()) => {}
                () = self.alarm.notified() => {}
            }
        }
    }
}

impl Shared {
    /// Whether calls may be made: there is no lease, or it holds.
    fn may_act(&self, now: Time) -> bool {
        now.0 < self.fence.load(Ordering::Relaxed)
    }

    /// Decides anew what may be owned: who is there, and what was chosen by hand. Whether work on lost clusters is left.
    fn stand(&self, now: Time) -> bool {
        let mut index = self.index.lock();
        if let Some(keeper) = &self.keeper {
            // Under the lock of the index: what was chosen must not change in between.
            let standing = keeper.standing(index.chosen(), now);
            index.stand(standing, now);
        }
        index.is_letting_go()
    }

    /// Decides anew whose the clusters are, after they changed.
    fn settle_clusters(&self, now: Time) {
        self.stand(now);
        self.index.lock().clusters_settled(now);
        if let Some(keeper) = &self.keeper {
            keeper.changed.notify_one();
        }
        self.tell_owned(now);
    }

    /// Whether a cluster went to another manager. Without a lease that is told by its Secret alone.
    fn is_lost(&self, cluster: u32) -> bool {
        self.keeper.is_some() && !self.index.lock().is_mine(cluster)
    }

    /// Tells how many clusters it owns, if others may own them too.
    fn tell_owned(&self, now: Time) {
        let Some(now_owned) = self.index.lock().owned_names() else { return };
        let mut owned = self.owned.lock();
        if *owned == now_owned {
            return;
        }
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let gained = count(now_owned.difference(&owned).count());
        *owned = now_owned;
        self.reporter.signal(Signal::Owns { shard: self.shard, at: now, clusters: count(owned.len()), gained });
    }
}

/// The length of the queue is told at most so often, and only while there is work.
const DEPTH_EVERY: Span = Span::from_millis(100);

impl Shared {
    /// Tells how long the queue is, if that was not told just now.
    fn tell_depth(&self, now: Time) {
        let last = self.depth_at.load(Ordering::Relaxed);
        if now.since(Time(last)) < DEPTH_EVERY {
            return;
        }
        self.depth_at.store(now.0, Ordering::Relaxed);
        let index = self.index.lock();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (ready, waiting) = (count(index.queue.depth()), count(index.queue.waiting()));
        drop(index);
        self.reporter.signal(Signal::QueueDepth { shard: self.shard, at: now, ready, waiting });
    }
}

/// Works until `stop` resolves; calls `ready` once when the first list of Applications is complete. Several managers share
/// threads and connections, and nothing else.
///
/// # Errors
/// When a hub cannot be reached at the start. Later failures are retried for ever.
pub(crate) fn run(
    managers: Vec<Settings>,
    threads: usize,
    stop: impl Future<Output = ()>,
    ready: impl FnOnce(),
) -> Result<Counted, ManagerError> {
    let mut builder = if threads > 1 {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(threads);
        builder
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let runtime = builder.enable_all().thread_name("manager").build()?;
    let counted = runtime.block_on(host(managers, stop, ready));
    // What is under way may be cut off: it says what shall be and is said again by the next manager.
    runtime.shutdown_background();
    counted
}

async fn host(
    managers: Vec<Settings>,
    stop: impl Future<Output = ()>,
    ready: impl FnOnce(),
) -> Result<Counted, ManagerError> {
    let traffic = Arc::new(Traffic::default());
    let connections = managers.first().map_or(1, |settings| settings.manager.connections);
    let pools = Arc::new(Mutex::new(Pools::new(connections, traffic.clone())));
    let all = managers.into_iter().map(|settings| share(settings, &pools)).collect::<Result<Vec<_>, _>>()?;
    let mut working: JoinSet<ManagerError> = all.iter().cloned().map(manage).collect();
    let listed = async {
        for shared in &all {
            shared.ready.notified().await;
        }
        ready();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        // They work for ever: one that ends has failed, and without it the others would only seem to do.
        failed = working.join_next(), if !working.is_empty() => {
            return Err(failed.and_then(Result::ok).unwrap_or(ManagerError::WorkerDied));
        }
        () = listed => {}
        () = stop => {}
    }
    for shared in &all {
        if let Some(keeper) = &shared.keeper {
            keeper.leave(shared).await;
        }
        shared.depth_at.store(0, Ordering::Relaxed);
        shared.tell_depth(clock::now());
    }
    Ok(count(&all, &traffic))
}

/// One manager, until it fails.
async fn manage(shared: Arc<Shared>) -> ManagerError {
    if let Err(error) = probe(&shared.hub).await {
        return error;
    }
    let client = kube::Client::new(watch::Router(shared.clone()), &shared.namespace);
    tokio::spawn(watch::secrets(shared.clone(), client.clone()));
    tokio::spawn(watch::settle(shared.clone()));
    tokio::spawn(fulfil(shared.clone(), client.clone()));
    lease::start(&shared);
    let mut workers = JoinSet::new();
    // Who the clusters are must be known before the first app is looked at.
    shared.clusters_known.notified().await;
    tokio::spawn(watch::applications(shared.clone(), client));
    let alarm = shared.clone();
    tokio::spawn(async move { alarm.ring().await });
    for _ in 0..shared.manager.concurrency.max(1) {
        let worker = shared.clone();
        workers.spawn(async move { round::work(&worker).await });
    }
    workers.join_next().await;
    ManagerError::WorkerDied
}

fn share(settings: Settings, pools: &Arc<Mutex<Pools>>) -> Result<Arc<Shared>, ManagerError> {
    let manager = settings.manager;
    let hub = pools.lock().route(&settings.hub)?;
    let rules = Rules { behaviour: manager.behaviour, client_cache: manager.client_cache };
    let queue = Queue::new(Backoff { base: manager.backoff_base, max: manager.backoff_max });
    let seed = settings.seed.child("resync").entity(u64::from(settings.shard));
    let resync = Resync { period: manager.resync, jitter: manager.resync_jitter, seed };
    let first = settings.shard == 0 || matches!(settings.share, Share::All);
    let number = settings.shard;
    let mut index = Index::new(rules, manager.flux_api.clone(), queue, resync, settings.share, first, number);
    index.tells = settings.tells;
    if settings.lease.is_some() {
        // Until the lease is written nothing is ours.
        index.stand(Standing::default(), clock::now());
    }
    Ok(Arc::new(Shared {
        index: Mutex::new(index),
        hub,
        hub_bucket: Mutex::new(TokenBucket::new(manager.hub_qps_milli, manager.hub_burst)),
        pools: pools.clone(),
        rules,
        manager,
        namespace: settings.namespace,
        shard: settings.shard,
        reporter: settings.reporter,
        app_ids: settings.app_ids,
        keeper: settings.lease.map(|length| Arc::new(Keeper::new(settings.shard, length))),
        fence: AtomicU64::new(if settings.lease.is_some() { 0 } else { u64::MAX }),
        owned: Mutex::default(),
        tally: Mutex::new(Tally::default()),
        watches: AtomicU64::new(0),
        watches_max: AtomicU64::new(0),
        watch_events: AtomicU64::new(0),
        depth_at: AtomicU64::new(0),
        work: Notify::new(),
        alarm: Notify::new(),
        armed: AtomicU64::new(u64::MAX),
        wishes: Notify::new(),
        ready: Notify::new(),
        relist: Notify::new(),
        clusters_known: Notify::new(),
        clusters_changed: Notify::new(),
    }))
}

/// Whether the hub can be used at all, asked once: a wrong address or token is better told than retried.
async fn probe(hub: &Route) -> Result<(), ManagerError> {
    let request = http::Request::get("/version").body(kube::client::Body::empty());
    let request = request.map_err(|e| ManagerError::Unreachable { reason: e.to_string() })?;
    let answer = hub.send(request).await.map_err(|e| ManagerError::Unreachable { reason: e.to_string() })?;
    let code = answer.status().as_u16();
    if matches!(code, 401 | 403) { Err(ManagerError::Refused { code }) } else { Ok(()) }
}

/// Opens the watches that the index wishes for.
async fn fulfil(shared: Arc<Shared>, client: kube::Client) {
    loop {
        let wishes = std::mem::take(&mut shared.index.lock().wishes);
        for wish in wishes {
            match wish {
                Wish::Watch(cluster, collection) => {
                    let task = tokio::spawn(watch::leaf(shared.clone(), client.clone(), cluster, collection));
                    shared.index.lock().watching(cluster, task.abort_handle());
                }
                Wish::Relist => shared.relist.notify_one(),
            }
        }
        shared.wishes.notified().await;
    }
}

/// What all managers of this process counted together.
fn count(all: &[Arc<Shared>], traffic: &Traffic) -> Counted {
    let get = |value: &AtomicU64| value.load(Ordering::Relaxed);
    let mut counted = Counted {
        bytes_in: get(&traffic.bytes_in),
        bytes_out: get(&traffic.bytes_out),
        connections_max: get(&traffic.connections_max),
        ..Counted::default()
    };
    for shared in all {
        counted.calls.merge(&shared.tally.lock());
        counted.watches_max += get(&shared.watches_max);
        if let Some(keeper) = &shared.keeper {
            counted.calls.merge(&keeper.client.tally().lock());
            counted.watch_events += keeper.client.watched().1;
        }
        counted.objects += shared.index.lock().cached_objects() as u64;
        counted.watch_events += get(&shared.watch_events);
    }
    counted
}

fn hub_problem(code: u16, op: &Op<Body>) {
    tracing::debug!("the hub answers {code} to {:?} of {:?}", op.verb, op.kind);
}
