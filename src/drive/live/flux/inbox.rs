//! What the machines' informers see: commits of the store, handed from whichever thread wrote to the thread that owns the
//! cluster.
//!
//! A commit that no informer of Flux or of the deployment controller would act on costs a comparison of two texts. One
//! that the controllers made themselves and that moves no generation is theirs already.

use crate::apiserver::clusters::{Commit, Observer};
use crate::apiserver::object::Object;
use crate::apiserver::store::EventKind;
use crate::calls::Kind;
use crate::clock;
use crate::units::Time;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;

/// A commit on its way to a machine.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) cluster: u32,
    pub(super) kind: Kind,
    pub(super) change: EventKind,
    pub(super) object: Arc<Object>,
}

#[derive(Debug, Default)]
struct Queue {
    seen: Mutex<Vec<Seen>>,
    wake: Condvar,
}

/// One queue per thread of the controllers; clusters are spread by number.
#[derive(Debug)]
pub struct Inbox {
    queues: Vec<Queue>,
    /// Flux objects are watched too, not only Deployments.
    flux: bool,
}

impl Inbox {
    /// An inbox for so many threads (at least one). Without `flux` the workload controllers run alone.
    #[must_use]
    pub fn new(threads: usize, flux: bool) -> Arc<Self> {
        Arc::new(Self { queues: (0..threads.max(1)).map(|_| Queue::default()).collect(), flux })
    }

    /// The observer to build the clusters with.
    #[must_use]
    pub fn observer(self: &Arc<Self>) -> Observer {
        let inbox = Arc::clone(self);
        Box::new(move |commit| inbox.observe(commit))
    }

    pub(super) const fn queues(&self) -> usize {
        self.queues.len()
    }

    fn observe(&self, commit: &Commit<'_>) {
        let Some(kind) = watched(commit).filter(|kind| self.flux || *kind == Kind::DEPLOYMENT) else { return };
        if !is_news(commit, kind) {
            return;
        }
        let seen = Seen { cluster: commit.cluster, kind, change: commit.kind, object: Arc::clone(commit.object) };
        let queue = &self.queues[commit.cluster as usize % self.queues.len()];
        let mut waiting = queue.seen.lock();
        waiting.push(seen);
        if waiting.len() == 1 {
            queue.wake.notify_one();
        }
    }

    /// Moves what came to `into`, which is empty.
    pub(super) fn take(&self, queue: usize, into: &mut Vec<Seen>) {
        std::mem::swap(&mut *self.queues[queue].seen.lock(), into);
    }

    /// Waits until something comes, or until an instant.
    pub(super) fn wait(&self, queue: usize, until: Option<Time>) {
        let queue = &self.queues[queue];
        let mut waiting = queue.seen.lock();
        if !waiting.is_empty() {
            return;
        }
        match until {
            Some(at) => {
                queue.wake.wait_for(&mut waiting, at.since(clock::now()).to_std());
            }
            None => queue.wake.wait(&mut waiting),
        }
    }

    /// Wakes all threads.
    pub(super) fn wake_all(&self) {
        for queue in &self.queues {
            // Under the lock: a thread that is about to wait has looked at its reason to stop before.
            let _waiting = queue.seen.lock();
            queue.wake.notify_all();
        }
    }
}

/// The kind, if an informer of ours watches it.
fn watched(commit: &Commit<'_>) -> Option<Kind> {
    let resource = commit.resource();
    match resource.group.as_str() {
        "apps" => (resource.plural == "deployments").then_some(Kind::DEPLOYMENT),
        group if group.ends_with(".toolkit.fluxcd.io") => Kind::find_plural(group, &resource.plural),
        _ => None,
    }
}

/// Whether a machine does not know it yet. The machines wrote every status of theirs themselves.
fn is_news(commit: &Commit<'_>, kind: Kind) -> bool {
    let (Some(old), EventKind::Modified) = (commit.previous, commit.kind) else { return true };
    let (old, new) = (&old.meta, &commit.object.meta);
    if old.generation != new.generation {
        return true;
    }
    if kind == Kind::DEPLOYMENT {
        return false;
    }
    let ours = ["source-controller", "gotk-kustomize-controller", "helm-controller"].contains(&commit.manager);
    !ours || old.annotations != new.annotations
}
