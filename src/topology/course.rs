//! What the timeline does to a topology: managers come and go, clusters move by hand, cells are drained.
//!
//! In: the world and the scenario. Out: who owns what from when on, as it shall be. Faults are not looked at: who takes
//! over for how long then depends on how the run goes.

use super::{Member, Rules, assign, distribute_among, members};
use crate::fleet::World;
use crate::ids::{ClusterId, ShardId};
use crate::scenario::{Action, Scenario, Shift, TopologyKind};
use crate::units::Span;
use std::collections::BTreeSet;

/// Who shall own what from when on.
#[derive(Clone, Debug)]
pub struct Course {
    /// By time; the first is the beginning.
    stages: Vec<Stage>,
}

/// Nothing changes until the next stage.
#[derive(Clone, Debug)]
struct Stage {
    at: Span,
    managers: u32,
    /// By `ClusterId`.
    owners: Vec<ShardId>,
}

impl Course {
    /// The course of a scenario.
    #[must_use]
    pub fn of(world: &World, scenario: &Scenario) -> Self {
        let topology = &scenario.topology;
        let start = Stage { at: Span::ZERO, managers: topology.shards, owners: assign(world, topology) };
        let mut stages = vec![start];
        let mut members = members(world, topology);
        let mut steps: Vec<_> = scenario.timeline.iter().collect();
        steps.sort_by_key(|step| step.at);
        let mut drained = BTreeSet::new();
        for step in steps {
            let Action::Shift(shift) = &step.action else { continue };
            let Some(before) = stages.last() else { continue };
            let mut after = Stage { at: step.at, ..before.clone() };
            let cells = topology.kind == TopologyKind::Cells;
            let rules = Rules::of(topology);
            match shift {
                Shift::Managers { delta } => {
                    after.managers = u32::try_from(i64::from(before.managers) + delta).unwrap_or(1).max(1);
                }
                Shift::Move { clusters, to } => {
                    for id in clusters.iter().filter_map(|name| world.clusters().find(name)) {
                        members[id.index()].pin = Some(*to);
                        after.owners[id.index()] = ShardId(*to);
                    }
                }
                Shift::Drain { cell } => {
                    drained.insert(*cell);
                    let elsewhere = refuge(&members, rules, &drained);
                    for (owner, new) in after.owners.iter_mut().zip(elsewhere).filter(|(owner, _)| owner.0 == *cell) {
                        *owner = new;
                    }
                }
            }
            if !cells {
                let present: Vec<u32> = (0..after.managers).collect();
                after.owners = distribute_among(&members, rules, &present);
            }
            stages.push(after);
        }
        Self { stages }
    }

    /// The most managers or cells at once.
    #[must_use]
    pub fn most(&self) -> u32 {
        self.stages.iter().map(|stage| stage.managers).max().unwrap_or(1)
    }

    /// How often a cluster shall come to another manager.
    #[must_use]
    pub fn moved(&self) -> u64 {
        let moved = |(before, after): (&Stage, &Stage)| {
            before.owners.iter().zip(&after.owners).filter(|(was, is)| was != is).count() as u64
        };
        self.stages.iter().zip(self.stages.iter().skip(1)).map(moved).sum()
    }

    /// When the first step begins that changes who owns what; the run's beginning if there is none.
    #[must_use]
    pub fn first(&self) -> Span {
        self.stages.get(1).map_or(Span::ZERO, |stage| stage.at)
    }

    /// The owner that a cluster shall have by then.
    #[must_use]
    pub fn owner(&self, cluster: ClusterId, at: Span) -> ShardId {
        let by_then = self.stages.iter().rev().find(|stage| stage.at <= at).or(self.stages.first());
        by_then.and_then(|stage| stage.owners.get(cluster.index())).copied().unwrap_or(ShardId(0))
    }
}

impl Course {
    /// The owner that a cluster had before that one; the same if it never moved.
    #[must_use]
    pub fn before(&self, cluster: ClusterId, at: Span) -> ShardId {
        let now = self.owner(cluster, at);
        let earlier = self.stages.iter().rev().filter(|stage| stage.at <= at);
        let owners = earlier.filter_map(|stage| stage.owners.get(cluster.index()).copied());
        owners.into_iter().find(|owner| *owner != now).unwrap_or(now)
    }
}

/// Where the clusters of drained cells go, by `ClusterId`: the scheme over the cells that are left. A choice by hand no
/// longer counts if it names a drained one.
#[must_use]
pub fn refuge(members: &[Member], rules: Rules<'_>, drained: &BTreeSet<u32>) -> Vec<ShardId> {
    let left: Vec<u32> = (0..rules.shards).filter(|cell| !drained.contains(cell)).collect();
    distribute_among(members, rules, &left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;

    fn course(topology: &str, timeline: &str) -> (World, Course) {
        let text = format!(
            "apiVersion: flamboyance.dev/v1alpha1\nkind: Scenario\nmetadata: {{ name: course }}\nspec:\n  fleet: {{ clusters: 40 }}\n  \
             addons: [{{ name: a, source: {{ git: {{ url: \"https://x.example/a.git\", path: . }} }}, versions: [v1] }}]\n  \
             topology: {{ {topology} }}\n  timeline: [{{ change: {{ install: {{}} }} }}, {timeline}]\n"
        );
        let scenario = scenario::parse(&text, "course", &[]).unwrap();
        let world = World::generate(&scenario);
        let course = Course::of(&world, &scenario);
        (world, course)
    }

    #[test]
    fn managers_that_come_take_and_those_that_go_give_back() {
        let (world, course) = course(
            "kind: sharded, shards: 3, scheme: rendezvous, lease: 2s",
            "{ at: 5s, change: { managers: { delta: 1 } } }, { at: 9s, change: { managers: { delta: -1 } } }",
        );
        assert_eq!(course.most(), 4);
        let mut to_the_new = 0;
        for cluster in world.clusters().ids() {
            let [before, during, after] = [0, 6, 10].map(|s| course.owner(cluster, Span::from_secs(s)));
            assert_eq!(before, after);
            assert!(during == before || during == ShardId(3), "moved between old managers");
            to_the_new += u64::from(during == ShardId(3));
        }
        assert!(to_the_new > 0);
        assert_eq!(course.moved(), 2 * to_the_new);
    }

    #[test]
    fn a_drained_cell_is_left_by_all_and_nobody_else_moves() {
        let (world, course) = course(
            "kind: cells, shards: 3, scheme: legacy",
            "{ at: 3s, change: { move: { clusters: [cluster-00003], to: 1 } } }, { at: 5s, change: { drain: { cell: 1 } } }",
        );
        for cluster in world.clusters().ids() {
            let [before, after] = [4, 6].map(|s| course.owner(cluster, Span::from_secs(s)));
            assert_ne!(after, ShardId(1));
            assert!(before == ShardId(1) || after == before);
        }
        assert_eq!(course.owner(ClusterId(3), Span::from_secs(4)), ShardId(1));
    }
}
