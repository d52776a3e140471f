//! What a manager knows, as a plain structure: fed by watches, asked by workers. It never awaits and makes no call.
//!
//! In: objects as the watches deliver them. Out: keys in the work queue, snapshots of apps for the step machine, and
//! [`Wish`]es for watches that are needed. Apps are numbered; a Flux object is known by a hash of where it is.
//!
//! Memory per app: entry 0.5 KB, two documents 1.2 KB, source and destination 0.3 KB, two Flux objects 0.6 KB: 2.6 KB, so
//! 40,000 apps are 104 MB.

mod app;
mod cluster;
mod live;

pub(super) use app::{Entry, Start};
pub(super) use cluster::{Cluster, Registered};
pub(super) use live::Shown;

use super::object::Collection;
use crate::calls::{Kind, ObjectId};
use crate::ids::AppId;
use crate::reconcile::{Queue, Resync, Rules};
use crate::scenario::FluxApi;
use crate::topology::Standing;
use crate::units::Time;
use live::Live;
use rustc_hash::{FxHashMap, FxHasher};
use std::collections::BTreeSet;
use std::hash::Hasher;
use std::sync::Arc;

/// Which clusters are this manager's.
#[derive(Clone)]
pub(crate) enum Share {
    /// All of them.
    All,
    /// Those that a scheme assigns to it, by the uid of their Secrets.
    Scheme {
        /// The scheme.
        scheme: crate::scenario::Scheme,
        /// This manager, from 0.
        shard: u32,
        /// How many there are.
        shards: u32,
        /// The label that tells the manager where the key `shard` does not (`label`).
        label: Option<Box<str>>,
    },
    /// Those that a table says, by name; there is one for every set of members.
    Named(Arc<Table>),
}

/// Who owns what among these members.
pub(crate) type Table = dyn Fn(&[u32]) -> Named + Send + Sync;

/// Whether a cluster of a name belongs to this manager.
pub(crate) type Named = Box<dyn Fn(&str) -> bool + Send>;

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("All"),
            Self::Scheme { scheme, shard, shards, .. } => write!(f, "{scheme:?} {shard}/{shards}"),
            Self::Named(_) => f.write_str("Named"),
        }
    }
}

/// How the harness numbers apps; `None` for one that is not its own.
pub(crate) type AppIds = Arc<dyn Fn(&str) -> Option<AppId> + Send + Sync>;

/// What the index wants from the rim.
#[derive(Debug)]
pub(super) enum Wish {
    /// A watch of a collection of this cluster.
    Watch(u32, Collection),
    /// The list of Applications anew: clusters moved between managers.
    Relist,
}

/// What a manager knows.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) rules: Rules,
    pub(super) api: FluxApi,
    pub(super) queue: Queue,
    pub(super) resync: Resync,
    share: Share,
    /// This manager, among those that share a hub.
    number: u32,
    /// What it owns is told.
    pub(super) tells: bool,
    /// Who is there, if managers come and go, and whether clusters may be taken over now.
    standing: Option<Standing>,
    /// Reports apps whose cluster nobody knows: one manager is enough.
    first: bool,
    pub(super) apps: Vec<Entry>,
    by_name: FxHashMap<Box<str>, u32>,
    /// Apps whose destination is not registered.
    homeless: BTreeSet<u32>,
    pub(super) clusters: Vec<Cluster>,
    by_server: FxHashMap<Box<str>, u32>,
    by_cluster_name: FxHashMap<Box<str>, u32>,
    objects: FxHashMap<u64, Live>,
    pub(super) wishes: Vec<Wish>,
}

impl Index {
    pub(super) fn new(
        rules: Rules,
        api: FluxApi,
        queue: Queue,
        resync: Resync,
        share: Share,
        first: bool,
        number: u32,
    ) -> Self {
        Self {
            rules,
            api,
            queue,
            resync,
            share,
            number,
            tells: false,
            standing: None,
            first,
            apps: Vec::new(),
            by_name: FxHashMap::default(),
            homeless: BTreeSet::new(),
            clusters: Vec::new(),
            by_server: FxHashMap::default(),
            by_cluster_name: FxHashMap::default(),
            objects: FxHashMap::default(),
            wishes: Vec::new(),
        }
    }

    /// How many objects are held: apps and Flux objects.
    pub(super) fn cached_objects(&self) -> usize {
        self.objects.len() + self.apps.len()
    }

    /// Puts an app in line.
    pub(super) fn enqueue(&mut self, key: u32, by_leaf: bool, now: Time) {
        let entry = &mut self.apps[key as usize];
        if entry.is_ours() {
            entry.agenda.changed |= !by_leaf;
            entry.agenda.touched |= by_leaf;
            self.queue.add(key, now);
        }
    }
}

/// The number of a Flux object: a hash of where it is. With 100,000 objects two of them share one once in 10^9 runs.
pub(super) fn object_id(cluster: u32, kind: Kind, namespace: &str, name: &str) -> ObjectId {
    let mut hash = FxHasher::default();
    hash.write_u32(cluster);
    hash.write(kind.info().kind.as_bytes());
    hash.write(namespace.as_bytes());
    hash.write_u8(0xff);
    hash.write(name.as_bytes());
    ObjectId(hash.finish())
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) use tests::fixture;
