//! The live rim of the modelled controllers: the Flux and workload machines of all leaves, on threads of their own inside
//! the process that serves the leaves.
//!
//! In: commits of the store (the machines' informers), the clock, new commits of add-ons. Out: calls on the same store
//! under the controllers' names, signals for what a commit cannot tell. Never a timer or memory for a cluster without Flux
//! objects or Deployments, and a socket only where the leaves are not ours.
//!
//! ```text
//! Inbox::observer  commit -> (cluster, object), for what the machines' informers watch    one queue per thread
//! Leaf             one cluster: machines, call by call until all wait
//! calls, bodies    op -> request -> reply; nothing is parsed but specs and Deployment statuses
//! ```
//!
//! Arithmetic: 40,000 apps x 45 calls = 1.9 M calls; at 10 us each 19 core-seconds of the 120 that a run of 60 s on two
//! cores has. Measured (`ten-thousand`, 2 cores): 2.27 M calls, 123 core-seconds, 54 us each while every write went over
//! whole objects; 63 core-seconds, 28 us, since writes look only at what they touch.

mod bodies;
mod calls;
mod inbox;
mod leaf;
mod store;

#[cfg(test)]
mod tests;

pub use inbox::Inbox;
pub use store::{Remote, Stores};

use crate::apiserver::request::Now;
use crate::calls::ObjectId;
use crate::ids::{AddonId, AppId};
use crate::measure::Signal;
use crate::model::flux::{Agent, Document, World};
use crate::scenario::Delay;
use crate::units::{Span, Time};
use calls::Resources;
use inbox::Seen;
use leaf::Leaf;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// The app that an object of a cluster belongs to, by the object's name.
pub type Owner = Arc<dyn Fn(u32, &str) -> Option<AppId> + Send + Sync>;

/// What the controllers of a process need.
#[derive(Clone)]
pub struct Setup {
    /// The leaves.
    pub stores: Stores,
    /// What sources contain, and the Flux controllers' settings.
    pub world: Arc<World>,
    /// Between an apply and the first look at health: commits of this process come back at once, those behind a socket
    /// later.
    pub settle: Span,
    /// Time until a Deployment's pods are available.
    pub workload_ready: Delay,
    /// Which app a Flux workload or source of a cluster belongs to, by its name.
    pub app: Owner,
    /// Where signals go.
    pub tell: Arc<dyn Fn(Signal) + Send + Sync>,
}

/// The running controllers. Dropping them stops their threads without waiting.
pub struct Model {
    setup: Setup,
    inbox: Arc<Inbox>,
    stop: Arc<AtomicBool>,
    documents: Documents,
    threads: Vec<JoinHandle<()>>,
}

/// GETs of documents that are no objects: the store does not see them.
type Documents = Arc<Mutex<BTreeMap<(Agent, Document), u64>>>;

/// The name of the threads, as /proc shows it.
pub const THREAD_NAME: &str = "flux-model";

impl Model {
    /// Starts one thread per queue of the inbox; the inbox must observe the clusters.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(inbox: Arc<Inbox>, setup: Setup) -> std::io::Result<Self> {
        let (stop, documents) = (Arc::new(AtomicBool::new(false)), Documents::default());
        let mut threads = Vec::new();
        for queue in 0..inbox.queues() {
            let thread = Thread::new(queue, inbox.clone(), setup.clone(), stop.clone(), documents.clone());
            threads.push(std::thread::Builder::new().name(THREAD_NAME.to_owned()).spawn(move || watched(thread))?);
        }
        Ok(Self { setup, inbox, stop, documents, threads })
    }

    /// A new commit (chart, digest) of an add-on appears at its source; Flux sees it at its next interval.
    pub fn commit(&self, addon: AddonId) {
        self.setup.world.catalogue.commit(addon);
    }

    /// GETs of discovery, version and OpenAPI documents so far, by caller.
    #[must_use]
    pub fn documents(&self) -> BTreeMap<(Agent, Document), u64> {
        self.documents.lock().clone()
    }

    /// Stops the threads and waits for them.
    pub fn stop(mut self) {
        self.signal_stop();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
    }

    fn signal_stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.inbox.wake_all();
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.signal_stop();
    }
}

/// Runs a thread. A panic is a bug of ours: without its controllers a cluster only seems to live, so the process ends and
/// whoever started it hears of that.
fn watched(thread: Thread) {
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| thread.run())).is_err() {
        std::process::exit(OUR_BUG);
    }
}

/// The exit code of a program that panicked.
const OUR_BUG: i32 = 101;

/// One thread: its share of the leaves.
struct Thread {
    queue: usize,
    inbox: Arc<Inbox>,
    setup: Setup,
    stop: Arc<AtomicBool>,
    resources: Resources,
    leaves: FxHashMap<u32, Box<Leaf>>,
    timers: BinaryHeap<Reverse<(Time, u32)>>,
    runnable: VecDeque<u32>,
    seen: Vec<Seen>,
    documents: Documents,
}

/// After so many leaves the inbox is looked at again, so that fresh changes do not wait behind a long queue.
const TURN: usize = 64;

impl Thread {
    fn new(queue: usize, inbox: Arc<Inbox>, setup: Setup, stop: Arc<AtomicBool>, documents: Documents) -> Self {
        let resources = Resources::new(setup.stores.catalog().as_ref());
        Self {
            queue,
            inbox,
            setup,
            stop,
            resources,
            leaves: FxHashMap::default(),
            timers: BinaryHeap::new(),
            runnable: VecDeque::new(),
            seen: Vec::new(),
            documents,
        }
    }

    fn run(mut self) {
        while !self.stop.load(Ordering::Acquire) {
            if !self.turn(Now::read()) {
                let next = self.timers.peek().map(|Reverse((at, _))| *at);
                self.inbox.wait(self.queue, next);
            }
        }
    }

    /// Takes what came and lets leaves run; false when nothing is left to do now.
    fn turn(&mut self, now: Now) -> bool {
        self.inbox.take(self.queue, &mut self.seen);
        let mut seen = std::mem::take(&mut self.seen);
        for event in seen.drain(..) {
            self.informed(event);
        }
        self.seen = seen;
        while let Some(Reverse((at, cluster))) = self.timers.peek().copied() {
            if at > now.monotonic {
                break;
            }
            self.timers.pop();
            if let Some(leaf) = self.leaves.get_mut(&cluster)
                && leaf.armed == Some(at)
            {
                leaf.armed = None;
                self.queue_up(cluster);
            }
        }
        for _ in 0..TURN {
            let Some(cluster) = self.runnable.pop_front() else { return false };
            self.serve(cluster);
        }
        true
    }

    fn informed(&mut self, event: Seen) {
        let cluster = event.cluster;
        if !self.leaves.contains_key(&cluster) {
            let Some(store) = self.setup.stores.get(cluster) else { return };
            self.leaves.insert(cluster, Box::new(Leaf::new(store, &self.setup)));
        }
        if let Some(leaf) = self.leaves.get_mut(&cluster) {
            leaf.informed(&self.setup.world, event);
            self.queue_up(cluster);
        }
    }

    fn queue_up(&mut self, cluster: u32) {
        if let Some(leaf) = self.leaves.get_mut(&cluster)
            && !leaf.queued
        {
            leaf.queued = true;
            self.runnable.push_back(cluster);
        }
    }

    fn serve(&mut self, cluster: u32) {
        let Some(leaf) = self.leaves.get_mut(&cluster) else { return };
        leaf.queued = false;
        leaf.run(&self.setup, &self.resources);
        if !leaf.documents.is_empty() {
            let mut counts = self.documents.lock();
            for (document, n) in std::mem::take(&mut leaf.documents) {
                *counts.entry(document).or_default() += n;
            }
        }
        if leaf.is_empty() {
            self.leaves.remove(&cluster);
        } else if let Some(at) = leaf.next_deadline(&self.setup.world)
            && leaf.armed.is_none_or(|armed| at < armed)
        {
            leaf.armed = Some(at);
            self.timers.push(Reverse((at, cluster)));
        }
    }
}

/// A call's object as text, for messages.
fn unknown(id: ObjectId) -> String {
    format!("object {:#x}", id.0)
}
