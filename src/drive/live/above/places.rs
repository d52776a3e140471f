//! Where cluster Secrets say that clusters are.

use super::Secret;
use crate::drive::live::net::{Pools, Route, from_cluster_secret};

/// The address that a Secret gives and the route there; `None` if it makes no sense.
pub(super) fn place(secret: &Secret, pools: &mut Pools) -> Option<(String, Route)> {
    let server = secret.server()?;
    let route = from_cluster_secret(&server, &secret.entry("config")).and_then(|config| pools.route(&config));
    match route {
        Ok(route) => Some((server, route)),
        Err(error) => {
            tracing::warn!("cluster {}: {error}", secret.metadata.name);
            None
        }
    }
}
