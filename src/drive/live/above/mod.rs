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

/// Repeats a call until it succeeds or will never; what the refusal says is logged.
async fn insist<F: Future<Output = Result<T, Refusal>>, T>(mut call: impl FnMut() -> F) -> Result<T, Refusal> {
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
