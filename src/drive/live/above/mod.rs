//! What stands above the managers: in `cells` the orchestrator, which places clusters on cells and sums up what they say;
//! in `hub-and-spoke` the management cluster, which rolls out the managers, assigns the Applications and brings their
//! status back.
//!
//! In: routes to hubs and leaves. Out: calls through the Kubernetes API, like anybody's. The talk that asked for both says
//! nothing of how they work; what was chosen stands at the head of each.

pub(super) mod cells;
mod places;
pub(super) mod spokes;

use super::net::Refusal;
use crate::calls::Kind;
use crate::fleet::ARGOCD_NAMESPACE;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use places::place;
use std::future::Future;
use std::time::Duration;

/// Calls under way at once, as a controller's workers.
const CONCURRENCY: usize = 64;
/// The pause before a call is repeated that failed for now.
const PAUSE: Duration = Duration::from_millis(200);

/// A cluster Secret, as far as it is of interest.
#[derive(serde::Deserialize)]
struct Secret {
    metadata: Metadata,
    #[serde(default)]
    data: std::collections::BTreeMap<String, String>,
}

impl Secret {
    /// The bytes of one of its entries; none if it has no such entry or that is not base64.
    fn entry(&self, name: &str) -> Vec<u8> {
        self.data.get(name).and_then(|data| BASE64.decode(data).ok()).unwrap_or_default()
    }

    /// The address of the cluster that it stands for.
    fn server(&self) -> Option<String> {
        String::from_utf8(self.entry("server")).ok()
    }
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    name: String,
    generation: u64,
    labels: std::collections::BTreeMap<String, String>,
    annotations: std::collections::BTreeMap<String, String>,
    finalizers: Vec<String>,
    deletion_timestamp: Option<serde::de::IgnoredAny>,
}

/// Cluster Secrets alone.
const CLUSTER_SECRETS: &str = "&labelSelector=argocd.argoproj.io%2Fsecret-type%3Dcluster";

/// The path of an object in Argo CD's namespace; with no name, of all of its kind there.
fn path(kind: Kind, name: &str) -> String {
    kind.info().path(kind.info().version, ARGOCD_NAMESPACE, name)
}

/// Repeats a call until it succeeds or will never; what the refusal says is logged.
pub(super) async fn insist<F: Future<Output = Result<T, Refusal>>, T>(
    mut call: impl FnMut() -> F,
) -> Result<T, Refusal> {
    loop {
        match call().await {
            Err(refusal) if refusal.may_pass => tokio::time::sleep(PAUSE).await,
            Err(refusal) => {
                tracing::warn!("{}", refusal.message);
                return Err(refusal);
            }
            done => return done,
        }
    }
}
