//! A loopback manager as a child of the harness: its share of the clusters, its signals.

use super::{RoleError, Stage};
use crate::calls::{CallKey, Tally, Target};
use crate::drive::live::manager::{self, Counted, Share};
use crate::drive::live::notice::Notice;
use crate::drive::live::servers::HUB;
use crate::measure::{Figures, Role};
use crate::scenario::TopologyKind;
use crate::seed::Seed;
use crate::topology::{Layout, Rules};
use std::sync::Arc;

/// Threads of one manager: its work is a stream of small requests, which one core carries (see its arithmetic).
const THREADS: usize = 1;

/// Works until the orders end.
pub(super) fn play(stage: Stage) -> Result<(), RoleError> {
    let error = |e: &dyn std::fmt::Display| RoleError::Manager(e.to_string());
    let kind = stage.scenario.topology.kind;
    let managers = match kind {
        TopologyKind::Single | TopologyKind::Sharded => vec![on_hub(&stage, 0)?],
        TopologyKind::Cells => vec![on_hub(&stage, stage.settings.number)?],
        TopologyKind::HubAndSpoke => on_leaves(&stage)?,
    };
    let reporter = stage.reporter.clone();
    let ready = || reporter.notice(Notice::at_work());
    let mut orders = stage.orders;
    let stop = async move { while orders.recv().await.is_some() {} };
    let mut counted = manager::run(managers, THREADS, stop, ready).map_err(|e| error(&e))?;
    if kind == TopologyKind::HubAndSpoke {
        counted.calls = on_leaf(&counted.calls);
    }
    stage.reporter.farewell(vec![(Role::Manager, figures(&counted))]);
    Ok(())
}

/// The manager beside a hub.
fn on_hub(stage: &Stage, hub: u32) -> Result<manager::Settings, RoleError> {
    let number = stage.settings.number;
    let hub = stage.settings.hubs.get(hub as usize);
    let hub = hub.ok_or_else(|| RoleError::Manager("no hub is named".to_owned()))?;
    let access = hub.config(0, HUB).map_err(|e| RoleError::Manager(e.to_string()))?;
    let share = match stage.scenario.topology.kind {
        TopologyKind::Sharded => named(stage, number),
        // Whoever is registered with a hub of its own is its manager's.
        TopologyKind::Single | TopologyKind::Cells | TopologyKind::HubAndSpoke => Share::All,
    };
    Ok(settings(stage, access, share, u64::from(number)))
}

/// The managers of the leaves that this process hosts, each with the credentials of its own leaf. To them it is the
/// cluster they run in.
fn on_leaves(stage: &Stage) -> Result<Vec<manager::Settings>, RoleError> {
    let leaves = stage.settings.leaves.as_ref().ok_or_else(|| RoleError::Manager("no leaves are named".to_owned()))?;
    let world = &stage.world;
    let layout = Layout::of(world, &stage.scenario.topology);
    let own = world.clusters().ids().filter(|cluster| layout.process(*cluster) == stage.settings.number);
    own.map(|cluster| {
        let access = leaves
            .config(cluster.index(), &world.clusters().name(cluster))
            .map_err(|e| RoleError::Manager(e.to_string()))?;
        let mut settings = settings(stage, access, Share::All, u64::from(cluster.0));
        // More workers than apps would only wait.
        let apps = world.apps_of(cluster).count();
        settings.manager.concurrency = settings.manager.concurrency.min(u32::try_from(apps).unwrap_or(u32::MAX));
        Ok(settings)
    })
    .collect()
}

fn settings(stage: &Stage, hub: kube::Config, share: Share, entity: u64) -> manager::Settings {
    let world = Arc::clone(&stage.world);
    manager::Settings {
        hub,
        namespace: crate::fleet::ARGOCD_NAMESPACE.to_owned(),
        manager: stage.scenario.manager.clone(),
        share,
        shard: stage.settings.number,
        tells: matches!(stage.scenario.topology.kind, TopologyKind::Sharded | TopologyKind::Cells),
        lease: stage.scenario.topology.lease,
        seed: Seed::new(stage.scenario.run.seed).child("manager").entity(entity),
        reporter: stage.reporter.clone(),
        app_ids: Some(Arc::new(move |name: &str| world.find_app(name))),
    }
}

/// Calls of managers whose hub is the leaf that they are on.
fn on_leaf(calls: &Tally) -> Tally {
    let mut all = Tally::default();
    for (key, count) in calls.iter() {
        all.add_key(CallKey { target: Target::Leaf, ..key }, count);
    }
    all
}

/// The clusters that the topology gives to this manager among those that are there.
fn named(stage: &Stage, number: u32) -> Share {
    let (world, topology) = (Arc::clone(&stage.world), stage.scenario.topology.clone());
    let members = crate::topology::members(&world, &topology);
    Share::Named(Arc::new(move |present| {
        let rules = Rules::of(&topology);
        // Without leases all are there.
        let all: Vec<u32> = (0..topology.shards).collect();
        let present = if present.is_empty() { &all } else { present };
        let owners = crate::topology::distribute_among(&members, rules, present);
        let world = Arc::clone(&world);
        let own = move |name: &str| world.clusters().find(name).is_some_and(|it| owners[it.index()].0 == number);
        Box::new(own)
    }))
}

fn figures(counted: &Counted) -> Figures {
    Figures {
        bytes_in: Some(counted.bytes_in),
        bytes_out: Some(counted.bytes_out),
        connections_max: Some(counted.connections_max),
        watches_max: Some(counted.watches_max),
        cached_objects_max: Some(counted.objects),
        watch_events: counted.watch_events,
        ..Figures::of_tally(&counted.calls)
    }
}
