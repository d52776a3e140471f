//! The sources that managers of others read: Git and Helm repositories on a port of loopback.

use super::{RoleError, Stage};
use crate::backend::sources::serve;
use crate::drive::live::foreign;
use crate::drive::live::notice::Notice;
use crate::drive::live::settings::Access;
use crate::measure::{Figures, Role};
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::net::TcpListener;

pub(super) async fn play(mut stage: Stage) -> Result<(), RoleError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let sources = Arc::new(foreign::sources(&stage.scenario));
    let access = Access::Paths { url, ca_pem: String::new(), tokens: Vec::new() };
    stage.reporter.notice(Notice::Ready { access, servers: Vec::new() });
    tokio::select! {
        () = serve(listener, sources) => return Err(RoleError::Server("the sources are not served any more".to_owned())),
        () = async { while stage.orders.recv().await.is_some() {} } => {}
    }
    stage.reporter.farewell(vec![(Role::Harness, Figures::default())]);
    Ok(())
}
