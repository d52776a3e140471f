//! Where cluster Secrets say that clusters are.

use super::Secret;
use crate::drive::live::net::{Pools, Route, from_cluster_secret};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

/// The address that a Secret gives and the route there; `None` if it makes no sense.
pub(super) fn place(secret: &Secret, pools: &mut Pools) -> Option<(String, Route)> {
    let field = |name: &str| secret.data.get(name).and_then(|data| BASE64.decode(data).ok()).unwrap_or_default();
    let server = String::from_utf8(field("server")).ok()?;
    let route = from_cluster_secret(&server, &field("config")).and_then(|config| pools.route(&config));
    match route {
        Ok(route) => Some((server, route)),
        Err(error) => {
            tracing::warn!("cluster {}: {error}", secret.metadata.name);
            None
        }
    }
}
