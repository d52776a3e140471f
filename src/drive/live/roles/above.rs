//! Whoever stands above the managers as a child of the harness: the orchestrator of `cells`, the management cluster of
//! `hub-and-spoke`.

use super::{RoleError, Stage};
use crate::calls::Tally;
use crate::drive::live::above::cells::Orchestrator;
use crate::drive::live::above::spokes::Management;
use crate::drive::live::net::{Client, Pools, Route, Traffic};
use crate::drive::live::notice::Notice;
use crate::drive::live::servers::HUB;
use crate::measure::{Figures, Role};
use crate::scenario::TopologyKind;
use crate::topology::{Rules, refuge};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Works until the orders end.
pub(super) fn play(stage: Stage) -> Result<(), RoleError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().thread_name("above").build()?;
    let played = runtime.block_on(work(stage));
    runtime.shutdown_background();
    played
}

async fn work(mut stage: Stage) -> Result<(), RoleError> {
    let traffic = Arc::new(Traffic::default());
    let mut pools = Pools::new(stage.scenario.manager.connections, Arc::clone(&traffic));
    let mut hubs = hubs(&stage, &mut pools)?;
    let reporter = stage.reporter.clone();
    let ready = move || reporter.notice(Notice::at_work());
    let own = hubs.pop().ok_or_else(|| RoleError::Manager("no hub is named".to_owned()))?;
    let orders = &mut stage.orders;
    let stop = async { while orders.recv().await.is_some() {} };
    let figures = match stage.scenario.topology.kind {
        TopologyKind::Cells => {
            let (world, topology) = (Arc::clone(&stage.world), stage.scenario.topology.clone());
            let members = crate::topology::members(&world, &topology);
            // By what is drained: the owners are computed once for each.
            let known = Mutex::new((BTreeSet::new(), crate::topology::assign(&world, &topology)));
            let scheme = move |name: &str, drained: &BTreeSet<u32>| {
                let mut known = known.lock();
                if known.0 != *drained {
                    *known = (drained.clone(), refuge(&members, Rules::of(&topology), drained));
                }
                world.clusters().find(name).map_or(0, |cluster| known.1[cluster.index()].0)
            };
            let orchestrator = Orchestrator::new(own, hubs, scheme);
            tokio::select! {
                () = Arc::clone(&orchestrator).work(ready) => {}
                () = stop => {}
            }
            figures(orchestrator.client(), &traffic, orchestrator.objects())
        }
        TopologyKind::Single | TopologyKind::Sharded | TopologyKind::HubAndSpoke => {
            let management = Management::new(own, stage.world.project());
            tokio::select! {
                () = Arc::clone(&management).work(pools, ready) => {}
                () = stop => {}
            }
            figures(management.client(), &traffic, management.objects())
        }
    };
    stage.reporter.farewell(vec![(Role::Manager, figures)]);
    Ok(())
}

fn hubs(stage: &Stage, pools: &mut Pools) -> Result<Vec<Route>, RoleError> {
    let error = |e: &dyn std::fmt::Display| RoleError::Manager(e.to_string());
    let route = |hub: &crate::drive::live::settings::Access| {
        let access = hub.config(0, HUB).map_err(|e| error(&e))?;
        pools.route(&access).map_err(|e| error(&e))
    };
    stage.settings.hubs.iter().map(route).collect()
}

fn figures(client: &Client, traffic: &Traffic, objects: u64) -> Figures {
    let (watches_max, watch_events) = client.watched();
    let tally: Tally = client.tally().lock().clone();
    Figures {
        bytes_in: Some(traffic.bytes_in.load(Relaxed)),
        bytes_out: Some(traffic.bytes_out.load(Relaxed)),
        connections_max: Some(traffic.connections_max.load(Relaxed)),
        watches_max: Some(watches_max),
        cached_objects_max: Some(objects),
        watch_events,
        ..Figures::of_tally(&tally)
    }
}
