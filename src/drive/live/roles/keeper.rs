//! Keeps managers of others: starts them, says which processes they are, ends with the first of them that ends.
//!
//! They hold what they hold until the orders end; nothing is gained by asking them to go, so they are killed.

use super::{RoleError, Stage};
use crate::backend::managers;
use crate::drive::live::notice::{Notice, Server};
use crate::drive::live::servers::HUB;
use crate::drive::live::settings::Access;
use crate::fleet::{Endpoint, kubeconfig};
use crate::measure::{Figures, Role};

pub(super) async fn play(mut stage: Stage) -> Result<(), RoleError> {
    let error = |e: &dyn std::fmt::Display| RoleError::Manager(e.to_string());
    let hub = stage.settings.hubs.first().and_then(|hub| hub.contact(0, HUB));
    let hub = hub.ok_or_else(|| error(&"no hub is named"))?;
    let kubeconfig = kubeconfig(Endpoint { server: &hub.server, credentials: &hub.credentials });
    let found = managers::find(&stage.scenario.manager).map_err(|e| error(&e))?;
    let found = found.ok_or_else(|| error(&"the scenario names no programs"))?;
    let folder = stage.settings.folder.join(managers::FOLDER);
    let mut running = managers::start(&found, &stage.scenario, (&folder, &kubeconfig)).await.map_err(|e| error(&e))?;
    let server = |(name, pid): (&str, u32)| Some(Server { name: name.to_owned(), pid: i32::try_from(pid).ok()? });
    let servers = running.processes().filter_map(server).collect();
    stage.reporter.notice(Notice::Ready { access: Access::nobody(), servers });
    tokio::select! {
        ended = running.until_one_ends() => return Err(error(&ended)),
        () = async { while stage.orders.recv().await.is_some() {} } => {}
    }
    stage.reporter.farewell(vec![(Role::Harness, Figures::default())]);
    Ok(())
}
