//! The four topologies as data: which hubs and managers there are, whose a cluster is, and what all of it weighs.
//!
//! The talk that asked the question left most of it open; this is what was chosen. *Cells*: every cell is a whole Flamingo
//! with a hub API server, and an orchestrator with a small hub of its own places clusters on cells by a scheme. *Hub and
//! spoke*: Flamingo on every leaf, whose manager reconciles that leaf alone; the hub holds which add-on goes where and
//! manages the Flamingos. Flux runs on every leaf in all four.
//!
//! Memory is what the real programs took, not what ours take: see [`Program`].

use super::{Member, assign};
use crate::fleet::World;
use crate::ids::{ClusterId, ShardId};
use crate::scenario::{Topology, TopologyKind};
use serde::Serialize;

/// Processes that host the managers of all leaves: a few, so that no runtime's thread carries them all. Assumed.
const HOSTS: u32 = 4;

/// Where a cluster is registered and who reconciles it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home {
    /// The hub with its Applications, counted from 0; for cells the cell.
    pub hub: u32,
    /// The manager, counted from 0.
    pub manager: u32,
}

/// Which hubs and managers there are, and whose every cluster is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The topology.
    pub kind: TopologyKind,
    /// Hub API servers; that of an orchestrator is the last.
    pub hubs: u32,
    /// Managers, on hubs and leaves.
    pub managers: u32,
    /// Processes that they run in, and by which they are told apart in a record: one each, but on `hub-and-spoke`, where
    /// each hosts the managers of many leaves (on one machine there is no room for a process per leaf).
    pub processes: u32,
    /// The home of every member, in their order.
    pub homes: Vec<Home>,
}

impl Layout {
    /// The layout that a topology gives to a world.
    #[must_use]
    pub fn of(world: &World, topology: &Topology) -> Self {
        Self::new(topology.kind, &assign(world, topology), topology.shards)
    }

    /// The layout of a topology over clusters whose shards are decided.
    #[must_use]
    pub fn new(kind: TopologyKind, owners: &[ShardId], shards: u32) -> Self {
        let (hubs, managers) = match kind {
            TopologyKind::Single => (1, 1),
            TopologyKind::Sharded => (1, shards),
            TopologyKind::Cells => (shards + 1, shards),
            TopologyKind::HubAndSpoke => (1, ShardId::from_index(owners.len()).0),
        };
        let processes = if kind == TopologyKind::HubAndSpoke { managers.min(HOSTS) } else { managers };
        let home = |(cluster, owner): (usize, &ShardId)| match kind {
            TopologyKind::Single => Home { hub: 0, manager: 0 },
            TopologyKind::Sharded => Home { hub: 0, manager: owner.0 },
            TopologyKind::Cells => Home { hub: owner.0, manager: owner.0 },
            TopologyKind::HubAndSpoke => Home { hub: 0, manager: ShardId::from_index(cluster).0 },
        };
        Self { kind, hubs, managers, processes, homes: owners.iter().enumerate().map(home).collect() }
    }

    /// The process of a cluster's manager, counted from 0.
    #[must_use]
    pub fn process(&self, cluster: ClusterId) -> u32 {
        self.homes[cluster.index()].manager % self.processes
    }

    /// What the control plane weighs when everything is healthy and at rest.
    #[must_use]
    pub fn bill(&self, members: &[Member]) -> Bill {
        let apps: u64 = members.iter().map(|member| member.apps).sum();
        let (clusters, hubs) = (members.len() as u64, u64::from(self.hubs));
        // (program, how many, apps and clusters that they know together)
        let mut hub_side = vec![(API_SERVER, hubs, apps, 0), (ETCD, hubs, apps, 0)];
        let mut leaf_side = vec![
            (SOURCE_CONTROLLER, clusters, apps, 0),
            (KUSTOMIZE_CONTROLLER, clusters, apps, 0),
            (HELM_CONTROLLER, clusters, apps, 0),
        ];
        let flamingos = match self.kind {
            TopologyKind::Single | TopologyKind::Sharded | TopologyKind::HubAndSpoke => 1,
            TopologyKind::Cells => u64::from(self.managers),
        };
        hub_side.extend([(REPO_SERVER, flamingos, 0, 0), (REDIS, flamingos, 0, 0)]);
        match self.kind {
            TopologyKind::Single | TopologyKind::Sharded => {
                hub_side.push((CONTROLLER, self.managers.into(), apps, clusters))
            }
            TopologyKind::Cells => {
                hub_side.push((CONTROLLER, self.managers.into(), apps, clusters));
                hub_side.push((ORCHESTRATOR, 1, 0, 0));
            }
            TopologyKind::HubAndSpoke => {
                // The hub's own manager sees one Application per leaf: that leaf's Flamingo.
                hub_side.push((CONTROLLER, 1, clusters, clusters));
                leaf_side.extend([(LEAF_CONTROLLER, clusters, apps, 0), (LEAF_REPO_SERVER, clusters, 0, 0)]);
                leaf_side.push((REDIS, clusters, 0, 0));
            }
        }
        Bill { hubs: side(&hub_side), leaves: side(&leaf_side) }
    }
}

/// A program of the control plane and the memory that the real one took. All measured at rest on one machine with 2 cores
/// (Argo CD 3.2.0, Flux 2.7, Kubernetes 1.36) but the cluster's part of the application-controller: Argo CD's own
/// benchmark of 10 controllers, 10,000 apps, 3.61 GiB with 100 clusters and 7.00 with 500. What kibibytes one app adds was
/// taken between 100 and 600 apps.
///
/// Cores at rest are published where somebody did: 252m for an idle hub API server (`KubeFleet`), 30m for an orchestrator
/// (the sharding experiment). 2 to 20m are published for controllers on member clusters, so 20m is assumed for controllers
/// that resync every app, 5m for the others.
#[derive(Clone, Copy, Debug)]
struct Program {
    idle_mib: u64,
    /// Thousandths of a core at rest.
    idle_milli: u64,
    per_app_kib: u64,
    per_cluster_kib: u64,
}

const API_SERVER: Program = Program { idle_mib: 475, idle_milli: 252, per_app_kib: 512, per_cluster_kib: 0 };
const ETCD: Program = Program { idle_mib: 55, idle_milli: 20, per_app_kib: 90, per_cluster_kib: 0 };
const CONTROLLER: Program = Program { idle_mib: 99, idle_milli: 20, per_app_kib: 140, per_cluster_kib: 8_900 };
const REPO_SERVER: Program = Program { idle_mib: 105, idle_milli: 5, per_app_kib: 0, per_cluster_kib: 0 };
/// With the cache of its one cluster (67 kinds).
const LEAF_CONTROLLER: Program = Program { idle_mib: 217, idle_milli: 20, per_app_kib: 140, per_cluster_kib: 0 };
/// After a few renderings.
const LEAF_REPO_SERVER: Program = Program { idle_mib: 120, idle_milli: 5, per_app_kib: 0, per_cluster_kib: 0 };
const REDIS: Program = Program { idle_mib: 12, idle_milli: 5, per_app_kib: 0, per_cluster_kib: 0 };
/// A sharder process as published by the sharding experiment (20 MiB, flat).
const ORCHESTRATOR: Program = Program { idle_mib: 20, idle_milli: 30, per_app_kib: 0, per_cluster_kib: 0 };
const SOURCE_CONTROLLER: Program = Program { idle_mib: 75, idle_milli: 5, per_app_kib: 92, per_cluster_kib: 0 };
const KUSTOMIZE_CONTROLLER: Program = Program { idle_mib: 66, idle_milli: 5, per_app_kib: 102, per_cluster_kib: 0 };
const HELM_CONTROLLER: Program = Program { idle_mib: 59, idle_milli: 5, per_app_kib: 82, per_cluster_kib: 0 };

/// What the control plane weighs, on the hubs and on the leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bill {
    /// On all hubs together.
    pub hubs: Side,
    /// On all leaves together.
    pub leaves: Side,
}

/// Processes and their memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Side {
    /// Processes.
    pub processes: u64,
    /// Resident memory at rest, bytes; modelled from what was measured of one.
    pub memory_bytes: u64,
    /// Thousandths of a core at rest; modelled from what was published of one.
    pub cpu_milli: u64,
}

fn side(programs: &[(Program, u64, u64, u64)]) -> Side {
    let mut side = Side::default();
    for (program, count, apps, clusters) in programs {
        side.processes += count;
        side.cpu_milli += count * program.idle_milli;
        let kib = count * program.idle_mib * 1024 + apps * program.per_app_kib + clusters * program.per_cluster_kib;
        side.memory_bytes += kib * 1024;
    }
    side
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn members(count: usize) -> Vec<Member> {
        (0..count).map(|n| Member::new(format!("id-{n}"), 4)).collect()
    }

    fn layout(kind: TopologyKind, clusters: u32, shards: u32) -> Layout {
        let owners: Vec<ShardId> = (0..clusters).map(|n| ShardId(n % shards)).collect();
        Layout::new(kind, &owners, shards)
    }

    #[test]
    fn every_topology_has_its_hubs_and_managers() {
        let counts = |kind| {
            let layout = layout(kind, 10, 4);
            let used = |of: fn(&Home) -> u32| layout.homes.iter().map(of).collect::<BTreeSet<_>>().len();
            assert!((0..10).all(|cluster| layout.process(ClusterId(cluster)) < layout.processes));
            (layout.hubs, layout.managers, layout.processes, used(|home| home.hub), used(|home| home.manager))
        };
        assert_eq!(counts(TopologyKind::Single), (1, 1, 1, 1, 1));
        assert_eq!(counts(TopologyKind::Sharded), (1, 4, 4, 1, 4));
        // One more hub is the orchestrator's, on which no cluster is registered.
        assert_eq!(counts(TopologyKind::Cells), (5, 4, 4, 4, 4));
        assert_eq!(counts(TopologyKind::HubAndSpoke), (1, 10, 4, 1, 10));
    }

    #[test]
    fn homes_exist() {
        for kind in TopologyKind::ALL {
            let layout = layout(kind, 33, 4);
            assert_eq!(layout.homes.len(), 33);
            assert!(layout.homes.iter().all(|home| home.hub < layout.hubs && home.manager < layout.managers));
        }
    }

    #[test]
    fn flamingo_on_a_leaf_weighs_what_was_recorded() {
        // Recorded on a leaf: application-controller 217 MiB, repo-server 120, Redis 12.
        let leaf = |kind| layout(kind, 1, 1).bill(&members(1)).leaves;
        let flamingo = leaf(TopologyKind::HubAndSpoke).memory_bytes - leaf(TopologyKind::Single).memory_bytes;
        assert_eq!(flamingo >> 20, 349);
        assert_eq!((leaf(TopologyKind::Single).processes, leaf(TopologyKind::HubAndSpoke).processes), (3, 6));
    }

    #[test]
    fn more_of_everything_weighs_more_and_flux_weighs_everywhere_alike() {
        let bill = |kind, clusters: u32, shards| layout(kind, clusters, shards).bill(&members(clusters as usize));
        for kind in TopologyKind::ALL {
            let (small, large) = (bill(kind, 100, 4), bill(kind, 200, 4));
            assert!(small.hubs.memory_bytes < large.hubs.memory_bytes, "{kind:?}");
            assert!(small.leaves.memory_bytes < large.leaves.memory_bytes, "{kind:?}");
        }
        let leaves = |kind| bill(kind, 100, 4).leaves;
        assert_eq!(leaves(TopologyKind::Single), leaves(TopologyKind::Sharded));
        assert_eq!(leaves(TopologyKind::Single), leaves(TopologyKind::Cells));
        let hubs = |kind| bill(kind, 100, 4).hubs.memory_bytes;
        assert!(
            hubs(TopologyKind::Single) < hubs(TopologyKind::Sharded)
                && hubs(TopologyKind::Sharded) < hubs(TopologyKind::Cells)
        );
    }
}
