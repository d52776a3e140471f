//! Where cluster Secrets say that clusters are.

use super::Secret;
use crate::drive::live::net::{Pools, Route, from_cluster_secret};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Routes by the number of a cluster, which is its place in the order of appearance.
#[derive(Debug)]
pub(super) struct Places {
    pools: Pools,
}

impl Places {
    pub(super) const fn new(pools: Pools) -> Self {
        Self { pools }
    }

    /// The address that a Secret gives and the route there; `None` if it makes no sense.
    pub(super) fn of(&mut self, secret: &Secret) -> Option<(String, Route)> {
        let field = |name: &str| secret.data.get(name).and_then(|data| BASE64.decode(data).ok()).unwrap_or_default();
        let server = String::from_utf8(field("server")).ok()?;
        let route = from_cluster_secret(&server, &field("config")).and_then(|config| self.pools.route(&config));
        match route {
            Ok(route) => Some((server, route)),
            Err(error) => {
                tracing::warn!("cluster {}: {error}", secret.metadata.name);
                None
            }
        }
    }
}
