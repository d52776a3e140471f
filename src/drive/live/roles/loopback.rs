//! A loopback manager as a child of the harness: its share of the clusters, its signals.

use super::{RoleError, Stage};
use crate::drive::live::manager::{self, Counted, Share};
use crate::drive::live::net::from_token;
use crate::drive::live::notice::Notice;
use crate::drive::live::servers::HUB;
use crate::measure::{Figures, Role};
use crate::scenario::TopologyKind;
use crate::seed::Seed;
use std::sync::Arc;

/// Threads of one manager: its work is a stream of small requests, which one core carries (see its arithmetic).
const THREADS: usize = 1;

/// Works until the orders end.
pub(super) fn play(mut stage: Stage) -> Result<(), RoleError> {
    let error = |e: &dyn std::fmt::Display| RoleError::Manager(e.to_string());
    let hub = stage.settings.hub.take().ok_or_else(|| RoleError::Manager("no hub is named".to_owned()))?;
    let token = hub.tokens.first().map_or("", String::as_str);
    let access = from_token(&hub.server(HUB), &hub.ca_pem, token).map_err(|e| error(&e))?;
    let (shard, topology) = (stage.settings.shard, &stage.scenario.topology);
    let share = match topology.kind {
        TopologyKind::Single => Share::All,
        TopologyKind::Sharded => named(&stage, shard),
        // Whoever is registered with a hub of its own is its manager's.
        TopologyKind::Cells | TopologyKind::HubAndSpoke => Share::All,
    };
    let world = Arc::clone(&stage.world);
    let settings = manager::Settings {
        hub: access,
        namespace: crate::fleet::ARGOCD_NAMESPACE.to_owned(),
        manager: stage.scenario.manager.clone(),
        share,
        shard,
        seed: Seed::new(stage.scenario.run.seed).child("manager").entity(u64::from(shard)),
        reporter: stage.reporter.clone(),
        app_ids: Some(Arc::new(move |name: &str| world.find_app(name))),
        threads: THREADS,
    };
    let reporter = stage.reporter.clone();
    let ready = || reporter.notice(Notice::Ready { url: String::new(), ca_pem: String::new(), tokens: Vec::new() });
    let mut orders = stage.orders;
    let stop = async move { while orders.recv().await.is_some() {} };
    let counted = manager::run(settings, stop, ready).map_err(|e| error(&e))?;
    stage.reporter.farewell(vec![(Role::Manager, figures(&counted))]);
    Ok(())
}

/// The clusters that the topology gives to this manager.
fn named(stage: &Stage, shard: u32) -> Share {
    let owners = crate::topology::assign(&stage.world, &stage.scenario.topology);
    let world = Arc::clone(&stage.world);
    Share::Named(Arc::new(move |name: &str| {
        world.clusters().find(name).is_some_and(|cluster| owners[cluster.index()].0 == shard)
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
