//! Clusters: who they are, whose they are, and which of their collections are watched.

use super::{Index, Share, Wish};
use crate::calls::Kind;
use crate::drive::live::manager::object::Collection;
use crate::drive::live::net::Route;
use crate::ids::ShardId;
use crate::reconcile::{Problem, TokenBucket, fingerprint, flux_version};
use crate::topology::{self, Member, Standing};
use crate::units::Time;
use std::collections::{BTreeMap, BTreeSet};

/// A registered cluster.
#[derive(Debug)]
pub(in crate::drive::live::manager) struct Cluster {
    pub(in crate::drive::live::manager) name: Box<str>,
    pub(in crate::drive::live::manager) server: Box<str>,
    uid: Box<str>,
    /// The manager that somebody chose for it.
    pin: Option<u32>,
    /// How to reach it, or why that cannot be.
    pub(in crate::drive::live::manager) route: Result<Route, Box<str>>,
    pub(in crate::drive::live::manager) bucket: TokenBucket,
    /// Whether it is this manager's; `None` until that was decided once.
    mine: Option<bool>,
    watches: BTreeMap<Kind, Watch>,
    /// The tasks of those watches.
    tasks: Vec<tokio::task::AbortHandle>,
    /// Rounds over its apps that are under way.
    pub(super) rounds: u32,
    pub(super) apps: Vec<u32>,
}

/// A watch of one collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watch {
    /// The initial list is on its way.
    Opening,
    /// The cache holds what exists.
    Synced,
    /// It does not work: HTTP status, 0 for no connection.
    Failed(u16),
}

/// What a cluster Secret says.
#[derive(Debug)]
pub(in crate::drive::live::manager) struct Registered {
    pub(in crate::drive::live::manager) name: Box<str>,
    pub(in crate::drive::live::manager) server: Box<str>,
    pub(in crate::drive::live::manager) uid: Box<str>,
    /// The key `shard`.
    pub(in crate::drive::live::manager) pin: Option<u32>,
    pub(in crate::drive::live::manager) route: Result<Route, Box<str>>,
    pub(in crate::drive::live::manager) bucket: TokenBucket,
}

impl Index {
    /// A cluster Secret appeared or changed.
    pub(in crate::drive::live::manager) fn cluster_applied(&mut self, is: Registered, now: Time) {
        match self.by_server.get(&is.server).copied() {
            Some(id) => {
                let cluster = &mut self.clusters[id as usize];
                self.by_cluster_name.remove(&cluster.name);
                cluster.name = is.name;
                cluster.uid = is.uid;
                cluster.pin = is.pin;
                cluster.route = is.route;
                // Watches are opened again with the new credentials when they end.
                self.by_cluster_name.insert(cluster.name.clone(), id);
                for app in cluster.apps.clone() {
                    self.enqueue(app, false, now);
                }
            }
            None => {
                let id = u32::try_from(self.clusters.len()).unwrap_or(u32::MAX);
                self.by_server.insert(is.server.clone(), id);
                self.by_cluster_name.insert(is.name.clone(), id);
                self.clusters.push(Cluster {
                    name: is.name,
                    server: is.server,
                    uid: is.uid,
                    pin: is.pin,
                    route: is.route,
                    bucket: is.bucket,
                    mine: None,
                    watches: BTreeMap::new(),
                    tasks: Vec::new(),
                    rounds: 0,
                    apps: Vec::new(),
                });
            }
        }
    }

    /// A cluster Secret is gone: its apps have no cluster any more.
    pub(in crate::drive::live::manager) fn cluster_deleted(&mut self, server: &str, now: Time) {
        let Some(id) = self.by_server.remove(server) else { return };
        let cluster = &mut self.clusters[id as usize];
        self.by_cluster_name.remove(&cluster.name);
        cluster.watches.clear();
        (cluster.pin, cluster.uid) = (None, Box::default());
        for task in std::mem::take(&mut cluster.tasks) {
            task.abort();
        }
        cluster.route = Err(format!("cluster {server} is no longer registered").into());
        for app in std::mem::take(&mut cluster.apps) {
            // Watched no more: what is known of its objects grows old.
            let ids = self.apps[app as usize].app.ids;
            for object in [ids.workload, ids.source] {
                self.live_forgotten(object);
            }
            self.apps[app as usize].cluster = None;
            self.homeless.insert(app);
            self.enqueue(app, false, now);
        }
    }

    /// Other managers came or went, or agreed on who is there.
    pub(in crate::drive::live::manager) fn stand(&mut self, standing: Standing, now: Time) {
        if self.standing.as_ref() != Some(&standing) {
            self.standing = Some(standing);
            self.clusters_settled(now);
        }
    }

    /// Decides anew whose the clusters are and gives the homeless a home. Called after a batch of cluster changes.
    pub(in crate::drive::live::manager) fn clusters_settled(&mut self, now: Time) {
        let may_gain = self.standing.as_ref().is_none_or(|standing| standing.may_gain);
        let (mut gained, mut lost) = (false, Vec::new());
        for (id, wanted) in (0_u32..).zip(self.owned()) {
            let cluster = &mut self.clusters[id as usize];
            let mine = wanted && (may_gain || cluster.mine == Some(true));
            match cluster.mine.replace(mine) {
                // The apps of a new cluster are among the homeless; those of one that was another's are not known here.
                Some(false) if mine => gained = true,
                Some(true) if !mine => lost.push(id),
                _ => {}
            }
        }
        for id in lost {
            self.let_go(id);
        }
        if gained {
            self.wishes.push(Wish::Relist);
        }
        for app in self.homeless.clone() {
            if let Some(cluster) = self.settled_cluster(&self.apps[app as usize].destination) {
                self.homeless.remove(&app);
                self.settle(app, Some(cluster));
                self.enqueue(app, false, now);
            }
        }
    }

    /// A cluster is another manager's: what is known of it is forgotten, its watches end.
    fn let_go(&mut self, id: u32) {
        let cluster = &mut self.clusters[id as usize];
        cluster.watches.clear();
        for task in std::mem::take(&mut cluster.tasks) {
            task.abort();
        }
        for app in std::mem::take(&mut cluster.apps) {
            let objects = self.apps[app as usize].app.ids;
            self.forget(app);
            for object in [objects.workload, objects.source] {
                self.drop_object(object);
            }
        }
    }

    /// The task of a watch of this cluster.
    pub(in crate::drive::live::manager) fn watching(&mut self, cluster: u32, task: tokio::task::AbortHandle) {
        if self.is_mine(cluster) {
            self.clusters[cluster as usize].tasks.push(task);
        } else {
            task.abort();
        }
    }

    /// Rounds over apps of this cluster that are under way.
    pub(in crate::drive::live::manager) fn rounds(&self, cluster: u32) -> u32 {
        self.clusters[cluster as usize].rounds
    }

    /// The cluster that is registered at an address.
    pub(in crate::drive::live::manager) fn at(&self, server: &str) -> Option<u32> {
        self.by_server.get(server).copied()
    }

    /// A round over an app of this cluster ended; whether it is another's by now.
    pub(in crate::drive::live::manager) fn left(&mut self, cluster: u32) -> bool {
        let known = &mut self.clusters[cluster as usize];
        known.rounds = known.rounds.saturating_sub(1);
        known.mine != Some(true)
    }

    /// Whether rounds over clusters that are another's are still under way.
    pub(in crate::drive::live::manager) fn is_letting_go(&self) -> bool {
        self.clusters.iter().any(|cluster| cluster.rounds > 0 && cluster.mine != Some(true))
    }

    /// The registered clusters that are this manager's, if that is told.
    pub(in crate::drive::live::manager) fn owned_names(&self) -> Option<BTreeSet<Box<str>>> {
        let own = |cluster: &&Cluster| cluster.mine == Some(true) && !cluster.uid.is_empty();
        let names = || self.clusters.iter().filter(own).map(|cluster| cluster.name.clone()).collect();
        self.tells.then(names)
    }

    /// The label that tells the manager of a cluster, if one does.
    pub(in crate::drive::live::manager) fn shard_label(&self) -> Option<&str> {
        match &self.share {
            Share::Scheme { label, .. } => label.as_deref(),
            Share::All | Share::Named(_) => None,
        }
    }

    /// A fingerprint of what was chosen by hand; 0 for nothing.
    pub(in crate::drive::live::manager) fn chosen(&self) -> u64 {
        let pinned = self.clusters.iter().filter_map(|cluster| Some((&cluster.server, cluster.pin?)));
        // In no order: every manager hears of clusters in its own.
        pinned.fold(0, |all, (server, pin)| all ^ fingerprint(format!("{server} {pin}").as_bytes()).0)
    }

    fn owned(&self) -> Vec<bool> {
        let present = self.standing.as_ref().map(|standing| standing.present.as_slice());
        if present.is_some_and(<[u32]>::is_empty) {
            return vec![false; self.clusters.len()];
        }
        match &self.share {
            Share::All => vec![true; self.clusters.len()],
            Share::Named(named) => {
                let present = present.unwrap_or_default();
                let mine = named(present);
                let own = |cluster: &Cluster| match cluster.pin {
                    // A choice wins over every scheme; of a manager that is not there, the first takes it.
                    Some(pin) if present.is_empty() || present.contains(&pin) => pin == self.number,
                    Some(_) => present.first() == Some(&self.number),
                    None => mine(&cluster.name),
                };
                self.clusters.iter().map(own).collect()
            }
            Share::Scheme { scheme, shard, shards, .. } => {
                // Every manager must come to the same result, so the load, of which each knows only its part, is left out.
                let member = |c: &Cluster| Member { pin: c.pin, ..Member::new(c.uid.to_string(), 0) };
                let members: Vec<_> = self.clusters.iter().map(member).collect();
                let owners = topology::shards(*scheme, &members, *shards);
                owners.into_iter().map(|owner| owner == ShardId(*shard)).collect()
            }
        }
    }

    /// The cluster of a destination (`server`, else `name`).
    fn find_cluster(&self, destination: &super::app::Destination) -> Option<u32> {
        if destination.server.is_empty() {
            self.by_cluster_name.get(&destination.name).copied()
        } else {
            self.by_server.get(destination.server.trim_end_matches('/')).copied()
        }
    }

    /// The same, if it is decided whose the cluster is.
    pub(super) fn settled_cluster(&self, destination: &super::app::Destination) -> Option<u32> {
        self.find_cluster(destination).filter(|cluster| self.clusters[*cluster as usize].mine.is_some())
    }

    pub(in crate::drive::live::manager) fn is_mine(&self, cluster: u32) -> bool {
        self.clusters[cluster as usize].mine == Some(true)
    }

    /// Whether the cache holds what exists of a kind. Wishes for a watch when there is none yet.
    pub(super) fn watched(&mut self, cluster: u32, kind: Kind) -> Result<bool, Problem> {
        let known = &mut self.clusters[cluster as usize];
        if let Err(reason) = &known.route {
            return Err(Problem::Translation(fingerprint(reason.as_bytes())));
        }
        match known.watches.get(&kind) {
            Some(Watch::Synced) => Ok(true),
            Some(Watch::Opening) => Ok(false),
            Some(Watch::Failed(0)) => Err(Problem::Unreachable),
            Some(Watch::Failed(code)) => Err(Problem::Refused(*code)),
            None => {
                let version = flux_version(kind, &self.api).to_owned();
                let collection = Collection { server: cluster + 1, kind, version };
                self.wishes.push(Wish::Watch(cluster, collection));
                known.watches.insert(kind, Watch::Opening);
                Ok(false)
            }
        }
    }

    /// The initial list of a watch is complete.
    pub(in crate::drive::live::manager) fn watch_synced(&mut self, cluster: u32, kind: Kind, now: Time) {
        self.watch_is(cluster, kind, Watch::Synced, now);
    }

    /// A watch does not work: HTTP status, 0 for no connection.
    pub(in crate::drive::live::manager) fn watch_failed(&mut self, cluster: u32, kind: Kind, code: u16, now: Time) {
        self.watch_is(cluster, kind, Watch::Failed(code), now);
    }

    /// Whether a watch of this kind is still wanted: its cluster is registered.
    pub(in crate::drive::live::manager) fn is_current(&self, cluster: u32, kind: Kind) -> bool {
        let known = &self.clusters[cluster as usize];
        known.route.is_ok() && known.watches.contains_key(&kind)
    }

    fn watch_is(&mut self, cluster: u32, kind: Kind, state: Watch, now: Time) {
        let known = &mut self.clusters[cluster as usize];
        if known.watches.insert(kind, state) != Some(state) {
            for app in known.apps.clone() {
                self.enqueue(app, true, now);
            }
        }
    }
}
