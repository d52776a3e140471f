//! The four topologies as data: which hubs and managers there are, whose a cluster is, and what all of it weighs.
//!
//! The talk that asked the question left most of it open; this is what was chosen. *Cells*: every cell is a whole Flamingo
//! with a hub API server, and an orchestrator with a small hub of its own places clusters on cells by a scheme. *Hub and
//! spoke*: Flamingo on every leaf, whose manager reconciles that leaf alone; the hub holds which add-on goes where and
//! manages the Flamingos. Flux runs on every leaf in all four.
//!
//! Memory is what the real programs took, not what ours take: see [`Program`].

use super::Member;
use crate::ids::ShardId;
use serde::Serialize;

/// The four topologies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// One hub, one manager.
    Single,
    /// One hub, several managers.
    Sharded,
    /// Several hubs with a manager each, and one for the orchestrator.
    Cells,
    /// One hub, a manager on every leaf.
    HubAndSpoke,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Single, Self::Sharded, Self::Cells, Self::HubAndSpoke];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Sharded => "sharded",
            Self::Cells => "cells",
            Self::HubAndSpoke => "hub-and-spoke",
        }
    }
}

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
    pub shape: Shape,
    /// Hub API servers; that of an orchestrator is the last.
    pub hubs: u32,
    /// Managers, on hubs and leaves.
    pub managers: u32,
    /// The home of every member, in their order.
    pub homes: Vec<Home>,
}

impl Layout {
    /// The layout of a topology over clusters whose shards are decided.
    #[must_use]
    pub fn new(shape: Shape, owners: &[ShardId], shards: u32) -> Self {
        let (hubs, managers) = match shape {
            Shape::Single => (1, 1),
            Shape::Sharded => (1, shards),
            Shape::Cells => (shards + 1, shards),
            Shape::HubAndSpoke => (1, ShardId::from_index(owners.len()).0),
        };
        let home = |(cluster, owner): (usize, &ShardId)| match shape {
            Shape::Single => Home { hub: 0, manager: 0 },
            Shape::Sharded => Home { hub: 0, manager: owner.0 },
            Shape::Cells => Home { hub: owner.0, manager: owner.0 },
            Shape::HubAndSpoke => Home { hub: 0, manager: ShardId::from_index(cluster).0 },
        };
        Self { shape, hubs, managers, homes: owners.iter().enumerate().map(home).collect() }
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
        let flamingos = match self.shape {
            Shape::Single | Shape::Sharded | Shape::HubAndSpoke => 1,
            Shape::Cells => u64::from(self.managers),
        };
        hub_side.extend([(REPO_SERVER, flamingos, 0, 0), (REDIS, flamingos, 0, 0)]);
        match self.shape {
            Shape::Single | Shape::Sharded => hub_side.push((CONTROLLER, self.managers.into(), apps, clusters)),
            Shape::Cells => {
                hub_side.push((CONTROLLER, self.managers.into(), apps, clusters));
                hub_side.push((ORCHESTRATOR, 1, 0, 0));
            }
            Shape::HubAndSpoke => {
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
#[derive(Clone, Copy, Debug)]
struct Program {
    idle_mib: u64,
    per_app_kib: u64,
    per_cluster_kib: u64,
}

const API_SERVER: Program = Program { idle_mib: 475, per_app_kib: 512, per_cluster_kib: 0 };
const ETCD: Program = Program { idle_mib: 55, per_app_kib: 90, per_cluster_kib: 0 };
const CONTROLLER: Program = Program { idle_mib: 99, per_app_kib: 140, per_cluster_kib: 8_900 };
const REPO_SERVER: Program = Program { idle_mib: 105, per_app_kib: 0, per_cluster_kib: 0 };
/// With the cache of its one cluster (67 kinds).
const LEAF_CONTROLLER: Program = Program { idle_mib: 217, per_app_kib: 140, per_cluster_kib: 0 };
/// After a few renderings.
const LEAF_REPO_SERVER: Program = Program { idle_mib: 120, per_app_kib: 0, per_cluster_kib: 0 };
const REDIS: Program = Program { idle_mib: 12, per_app_kib: 0, per_cluster_kib: 0 };
/// A sharder process as published by the sharding experiment (20 MiB, flat).
const ORCHESTRATOR: Program = Program { idle_mib: 20, per_app_kib: 0, per_cluster_kib: 0 };
const SOURCE_CONTROLLER: Program = Program { idle_mib: 75, per_app_kib: 92, per_cluster_kib: 0 };
const KUSTOMIZE_CONTROLLER: Program = Program { idle_mib: 66, per_app_kib: 102, per_cluster_kib: 0 };
const HELM_CONTROLLER: Program = Program { idle_mib: 59, per_app_kib: 82, per_cluster_kib: 0 };

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
}

fn side(programs: &[(Program, u64, u64, u64)]) -> Side {
    let mut side = Side::default();
    for (program, count, apps, clusters) in programs {
        side.processes += count;
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

    fn layout(shape: Shape, clusters: u32, shards: u32) -> Layout {
        let owners: Vec<ShardId> = (0..clusters).map(|n| ShardId(n % shards)).collect();
        Layout::new(shape, &owners, shards)
    }

    #[test]
    fn every_topology_has_its_hubs_and_managers() {
        let counts = |shape| {
            let layout = layout(shape, 10, 4);
            let used = |of: fn(&Home) -> u32| layout.homes.iter().map(of).collect::<BTreeSet<_>>().len();
            (layout.hubs, layout.managers, used(|home| home.hub), used(|home| home.manager))
        };
        assert_eq!(counts(Shape::Single), (1, 1, 1, 1));
        assert_eq!(counts(Shape::Sharded), (1, 4, 1, 4));
        // One more hub is the orchestrator's, on which no cluster is registered.
        assert_eq!(counts(Shape::Cells), (5, 4, 4, 4));
        assert_eq!(counts(Shape::HubAndSpoke), (1, 10, 1, 10));
    }

    #[test]
    fn homes_exist() {
        for shape in Shape::ALL {
            let layout = layout(shape, 33, 4);
            assert_eq!(layout.homes.len(), 33);
            assert!(layout.homes.iter().all(|home| home.hub < layout.hubs && home.manager < layout.managers));
        }
    }

    #[test]
    fn flamingo_on_a_leaf_weighs_what_was_recorded() {
        // Recorded on a leaf: application-controller 217 MiB, repo-server 120, Redis 12.
        let leaf = |shape| layout(shape, 1, 1).bill(&members(1)).leaves;
        let flamingo = leaf(Shape::HubAndSpoke).memory_bytes - leaf(Shape::Single).memory_bytes;
        assert_eq!(flamingo >> 20, 349);
        assert_eq!((leaf(Shape::Single).processes, leaf(Shape::HubAndSpoke).processes), (3, 6));
    }

    #[test]
    fn more_of_everything_weighs_more_and_flux_weighs_everywhere_alike() {
        let bill = |shape, clusters: u32, shards| layout(shape, clusters, shards).bill(&members(clusters as usize));
        for shape in Shape::ALL {
            let (small, large) = (bill(shape, 100, 4), bill(shape, 200, 4));
            assert!(small.hubs.memory_bytes < large.hubs.memory_bytes, "{shape:?}");
            assert!(small.leaves.memory_bytes < large.leaves.memory_bytes, "{shape:?}");
        }
        let leaves = |shape| bill(shape, 100, 4).leaves;
        assert_eq!(leaves(Shape::Single), leaves(Shape::Sharded));
        assert_eq!(leaves(Shape::Single), leaves(Shape::Cells));
        let hubs = |shape| bill(shape, 100, 4).hubs.memory_bytes;
        assert!(hubs(Shape::Single) < hubs(Shape::Sharded) && hubs(Shape::Sharded) < hubs(Shape::Cells));
    }
}
