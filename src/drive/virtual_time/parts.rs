//! The parts of a simulation: clusters that share a hub and its managers, and nothing with the clusters of other parts.
//!
//! In: the world and its topology. Out: which clusters and changes make up a part, how things are numbered within it and what
//! they are called outside. `single` and `sharded` are one part, every cell is one, and with `hub-and-spoke` every cluster.
//! Parts are played one after another or side by side; memory follows those in play.

use crate::calls::{Kind, Verb};
use crate::fleet::{ChangeKind, World};
use crate::ids::{AddonId, AppId, ClusterId};
use crate::model::hardware::{Direction, Hardware, Site};
use crate::model::prices::Call;
use crate::scenario::{Action, Scenario, TopologyKind};
use crate::seed::Seed;
use crate::topology::{Course, Layout};
use crate::units::{Span, Time};
use std::collections::BTreeSet;

/// See the module head. 12 bytes per cluster and 4 per change.
#[derive(Debug)]
pub(super) struct Parts {
    kind: TopologyKind,
    count: u32,
    addons: u32,
    /// Managers of a part and in all, and the processes by which the record tells them apart.
    managers: u32,
    all_managers: u32,
    rows: u32,
    /// Clusters by part; within it by id. The clusters of a part begin at its start.
    clusters: Vec<ClusterId>,
    starts: Vec<u32>,
    /// The place of every cluster within its part, and its manager there.
    places: Vec<u32>,
    owners: Vec<u32>,
    /// Changes by part; within it by time.
    changes: Vec<u32>,
    change_starts: Vec<u32>,
    /// When the sources get a commit, by time: all parts see them.
    pub(super) commits: Vec<(Time, AddonId)>,
    /// Hub and spoke: when the hub has stored each change, by the world's numbers.
    stored: Vec<Time>,
    /// The longest that this took.
    pub(super) storing_max: Span,
    /// CPU time that it takes.
    pub(super) hub_spent: Span,
}

/// One part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    /// Its number.
    pub(super) number: u32,
    /// Its clusters; leaves are numbered in this order.
    pub(super) clusters: &'a [ClusterId],
    /// Its changes by time, as the world numbers them.
    pub(super) changes: &'a [u32],
    addons: u32,
}

impl Parts {
    pub(super) fn new(scenario: &Scenario, world: &World) -> Self {
        let kind = scenario.topology.kind;
        let layout = Layout::of(world, &scenario.topology);
        let owners: Vec<u32> = layout.homes.iter().map(|home| home.manager).collect();
        let clusters = world.clusters().len();
        let shifts = scenario.timeline.iter().any(|step| matches!(step.action, Action::Shift(_)));
        let most = if shifts { Course::of(world, scenario).most() } else { 0 };
        let (count, managers) = match kind {
            TopologyKind::Single | TopologyKind::Sharded => (1, layout.managers.max(most)),
            TopologyKind::Cells | TopologyKind::HubAndSpoke => (layout.managers, 1),
        };
        let part = |cluster: u32| if count == 1 { 0 } else { owners[cluster as usize] };
        let (starts, by_part) = sorted(count, clusters, part);
        let mut places = vec![0; clusters as usize];
        for part in starts.windows(2) {
            for (place, cluster) in (0..).zip(&by_part[part[0] as usize..part[1] as usize]) {
                places[*cluster as usize] = place;
            }
        }
        let all = world.changes();
        let of_change = |n: u32| part(world.cluster_of(all[n as usize].app).0);
        let (change_starts, changes) = sorted(count, u32::try_from(all.len()).unwrap_or(u32::MAX), of_change);
        let (stored, hub_spent) =
            if kind == TopologyKind::HubAndSpoke { stored(scenario, world) } else { (Vec::new(), Span::ZERO) };
        Self {
            kind,
            count,
            addons: u32::try_from(world.addons().len()).unwrap_or(u32::MAX),
            managers,
            all_managers: layout.managers,
            rows: if count == 1 { layout.processes.max(managers) } else { layout.processes },
            clusters: by_part.into_iter().map(ClusterId).collect(),
            starts,
            places,
            owners: if managers > 1 { owners } else { Vec::new() },
            changes,
            change_starts,
            commits: commits(world),
            storing_max: stored
                .iter()
                .zip(all)
                .map(|(at, change)| at.since(Time(0) + change.at))
                .max()
                .unwrap_or_default(),
            stored,
            hub_spent,
        }
    }

    /// How many parts there are.
    pub(super) const fn len(&self) -> u32 {
        self.count
    }

    /// Processes of managers, by which the record tells them apart.
    pub(super) const fn rows(&self) -> u32 {
        self.rows
    }

    /// The managers of all parts.
    pub(super) fn all_managers(&self) -> u64 {
        self.all_managers.into()
    }

    /// The managers of one part.
    pub(super) const fn managers(&self) -> u32 {
        self.managers
    }

    /// Whether every manager sits on its leaf.
    pub(super) const fn on_leaves(&self) -> bool {
        matches!(self.kind, TopologyKind::HubAndSpoke)
    }

    /// When the hub of all leaves has stored a change of a part.
    pub(super) fn stored(&self, change: u32) -> Time {
        self.stored[change as usize]
    }

    /// Hub API servers.
    pub(super) fn hubs(&self) -> u64 {
        if self.kind == TopologyKind::Cells { self.len().into() } else { 1 }
    }

    /// The number of a part's first manager, and its row in the record.
    pub(super) const fn first_manager(&self, part: u32) -> (u32, u32) {
        match self.kind {
            TopologyKind::Single | TopologyKind::Sharded => (0, 0),
            TopologyKind::Cells | TopologyKind::HubAndSpoke => (part, part % self.rows),
        }
    }

    /// The manager of a cluster, counted within its part.
    pub(super) fn manager_of(&self, cluster: ClusterId) -> u32 {
        self.owners.get(cluster.index()).copied().unwrap_or(0)
    }

    pub(super) fn part(&self, number: u32) -> Part<'_> {
        let of = |starts: &[u32]| starts[number as usize] as usize..starts[number as usize + 1] as usize;
        Part {
            number,
            clusters: &self.clusters[of(&self.starts)],
            changes: &self.changes[of(&self.change_starts)],
            addons: self.addons,
        }
    }

    /// The number of an app within its part.
    pub(super) fn local(&self, app: AppId) -> u32 {
        self.places[(app.0 / self.addons) as usize] * self.addons + app.0 % self.addons
    }
}

impl Part<'_> {
    /// What an app of this part is called in the whole run.
    pub(super) fn app(&self, local: u32) -> AppId {
        AppId(self.clusters[(local / self.addons) as usize].0 * self.addons + local % self.addons)
    }

    /// How many apps it has, existing or not.
    pub(super) const fn apps(&self) -> usize {
        self.clusters.len() * self.addons as usize
    }

    /// The apps of a leaf.
    pub(super) const fn apps_of(&self, leaf: u32) -> std::ops::Range<u32> {
        leaf * self.addons..(leaf + 1) * self.addons
    }
}

/// `0..len` sorted by part, in their own order within one; and where each part begins, and the end.
fn sorted(parts: u32, len: u32, part: impl Fn(u32) -> u32) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0_u32; parts as usize + 1];
    for n in 0..len {
        starts[part(n) as usize + 1] += 1;
    }
    for n in 0..parts as usize {
        starts[n + 1] += starts[n];
    }
    let (mut next, mut out) = (starts.clone(), vec![0; len as usize]);
    for n in 0..len {
        let place = &mut next[part(n) as usize];
        out[*place as usize] = n;
        *place += 1;
    }
    (starts, out)
}

/// What the write of a change costs its API server; `None` for changes that no Application shows.
pub(super) const fn verb(kind: ChangeKind) -> Option<Verb> {
    match kind {
        ChangeKind::Install => Some(Verb::Create),
        ChangeKind::Upgrade | ChangeKind::Scale => Some(Verb::Patch),
        ChangeKind::Decommission => Some(Verb::Delete),
        ChangeKind::Commit { .. } | ChangeKind::Drift { .. } => None,
    }
}

/// When the hub has stored every change and told the leaf's manager: its cores take them as they come. And the CPU time of it.
fn stored(scenario: &Scenario, world: &World) -> (Vec<Time>, Span) {
    let mut hub = Hardware::new(
        &std::sync::Arc::new(scenario.model.clone()),
        Seed::new(scenario.run.seed),
        0,
        std::iter::empty(),
    );
    let mut store = |change: &crate::fleet::Change| {
        let arrives = hub.travel(Site::Hub, Direction::There, Time(0) + change.at, 0);
        verb(change.kind).map_or(arrives, |verb| {
            let call = Call::new(verb, Kind::APPLICATION, (false, false));
            let done = hub.serve_first(Site::Hub, call, arrives, arrives);
            hub.tell(Site::Hub, 1, arrives, done)
        })
    };
    let stored = world.changes().iter().map(&mut store).collect();
    (stored, hub.spent(0)[0])
}

/// Every commit of the timeline: one, however many apps it touches.
fn commits(world: &World) -> Vec<(Time, AddonId)> {
    let mut known = BTreeSet::new();
    let of = |change: &crate::fleet::Change| match change.kind {
        ChangeKind::Commit { number } => Some((Time(0) + change.at, world.addon_of(change.app), number)),
        _ => None,
    };
    let all = world.changes().iter().filter_map(of).filter(|(_, addon, number)| known.insert((*addon, *number)));
    all.map(|(at, addon, _)| (at, addon)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;

    fn parts(topology: &str) -> (World, Parts) {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/quickstart.yaml");
        let set = |text: &str| text.to_owned();
        let sets = [set("fleet.clusters=40"), format!("topology={topology}")];
        let scenario = scenario::load(path, &sets).unwrap_or_else(|e| panic!("{e:?}"));
        let world = World::generate(&scenario);
        let parts = Parts::new(&scenario, &world);
        (world, parts)
    }

    #[test]
    fn every_cluster_and_change_is_in_one_part_and_numbers_go_both_ways() {
        for (topology, count) in [
            ("{ kind: single }", 1),
            ("{ kind: sharded, shards: 3 }", 1),
            ("{ kind: cells, shards: 3, scheme: round-robin }", 3),
            ("{ kind: hub-and-spoke }", 40),
        ] {
            let (world, parts) = parts(topology);
            let all = world.clusters().len();
            let count = if count == 40 { all } else { count };
            assert_eq!(parts.len(), count, "{topology}");
            let (mut clusters, mut changes) = (BTreeSet::<ClusterId>::new(), BTreeSet::<u32>::new());
            for part in (0..parts.len()).map(|n| parts.part(n)) {
                clusters.extend(part.clusters);
                changes.extend(part.changes);
                assert!(part.changes.is_sorted() && part.clusters.is_sorted());
                for change in part.changes {
                    let app = world.changes()[*change as usize].app;
                    assert_eq!(part.app(parts.local(app)), app);
                }
                assert!((0..u32::try_from(part.apps()).unwrap()).all(|n| parts.local(part.app(n)) == n));
            }
            assert_eq!((clusters.len(), changes.len()), (all as usize, world.changes().len()), "{topology}");
        }
    }
}
