//! A run as the guest of a cluster of somebody's: looking round before it, sweeping up after it.
//!
//! In: a kubeconfig. Out: access for the run, if it may write there; afterwards nothing that carries its label, or the
//! number of objects that are still there.

use super::driver;
use super::furnish::Furnish;
use super::net::{AccessError, Call, Client, JSON, MERGE_PATCH, Pools, Refusal, Route, Traffic, escaped};
use super::settings::{Contact, Guest};
use crate::backend::guest::{Found, MARK, RUN, Unwelcome, may_write};
use crate::calls::{Kind, Target};
use crate::clock;
use crate::fleet::ARGOCD_NAMESPACE;
use crate::units::Span;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// Why a cluster cannot be the hub of a run.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// It cannot be reached.
    #[error("{0}")]
    Access(String),
    /// It does not answer as it should.
    #[error("the cluster refuses: {0}")]
    Refused(String),
    /// It is not ours to write to.
    #[error(transparent)]
    Unwelcome(#[from] Unwelcome),
    /// No runtime.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
}

impl From<AccessError> for GuestError {
    fn from(error: AccessError) -> Self {
        Self::Access(error.to_string())
    }
}

impl From<Refusal> for GuestError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.message)
    }
}

/// What a run writes, in the order in which it goes.
const KINDS: [Kind; 5] =
    [Kind::APPLICATION, Kind::SECRET, Kind::APP_PROJECT, Kind::NAMESPACE, Kind::CUSTOM_RESOURCE_DEFINITION];
/// How often it is asked whether something is gone, and for how long: a namespace takes seconds.
const PAUSE: Span = Span::from_millis(100);
const PATIENCE: Span = Span::from_secs(60);
/// Calls per object that go one after the other, at the pace of a real server (8 ms each, measured).
const EACH: Span = Span::from_millis(20);

/// How long sweeping up so many objects may take.
pub(super) fn patience(objects: u64) -> Span {
    PATIENCE + Span(EACH.0 * objects)
}

/// Looks round in a cluster that shall be the hub of a run, whose label is `run`. `told` is the user's word that it may be
/// written to without a mark.
///
/// # Errors
/// When it cannot be reached, or is not ours to write to.
pub fn enter(kubeconfig: &Path, context: Option<&str>, run: &str, told: bool) -> Result<Guest, GuestError> {
    visit(kubeconfig, context, async |contact, furnish| {
        let (namespace, name) = MARK;
        let mark = Kind::CONFIG_MAP.info().path("v1", namespace, name);
        let marked = exists(furnish.get(Kind::CONFIG_MAP, &mark).await)?;
        let applications = furnish.list(Kind::APPLICATION, ARGOCD_NAMESPACE, "").await?.len();
        may_write(&contact.server, Found { marked, applications }, told)?;
        Ok(Guest { contact, run: Some(run.to_owned()) })
    })
}

/// Removes what a run left behind, or what all did, and gives the number of objects that were and that still are there.
///
/// # Errors
/// When the cluster cannot be reached or refuses.
pub fn destroy(kubeconfig: &Path, context: Option<&str>, run: Option<&str>) -> Result<(usize, usize), GuestError> {
    visit(kubeconfig, context, async |_, furnish| Ok(sweep(&furnish, run).await?))
}

fn visit<T>(
    kubeconfig: &Path,
    context: Option<&str>,
    work: impl AsyncFnOnce(Contact, Furnish<'_>) -> Result<T, GuestError>,
) -> Result<T, GuestError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let visited = runtime.block_on(async {
        let contact = Contact::read(kubeconfig, context).await?;
        let route: Route = Pools::new(1, Arc::new(Traffic::default())).route(&contact.config()?)?;
        let client = Client::new(driver::USER_AGENT);
        let furnish = Furnish { client: &client, route: &route, target: Target::Hub, run: None };
        work(contact, furnish).await
    });
    runtime.shutdown_background();
    visited
}

fn exists(answer: Result<Value, Refusal>) -> Result<bool, Refusal> {
    match answer {
        Ok(_) => Ok(true),
        Err(refusal) if refusal.absent => Ok(false),
        Err(refusal) => Err(refusal),
    }
}

/// Deletes everything that carries the label of a run, or of any, and waits until it is gone: how many there were, and
/// are.
///
/// # Errors
/// When the cluster refuses.
pub(super) async fn sweep(furnish: &Furnish<'_>, run: Option<&str>) -> Result<(usize, usize), Refusal> {
    let selector = run.map_or_else(|| RUN.to_owned(), |run| format!("{RUN}={run}"));
    let selector = format!("?labelSelector={}", escaped(&selector));
    let (mut found, mut left) = (0, 0);
    for kind in KINDS {
        let all = furnish.list(kind, "", &selector).await?;
        found += all.len();
        furnish.each(&all, async |object| remove(furnish, kind, object).await).await?;
        let deadline = clock::now() + PATIENCE;
        left += loop {
            let left = if all.is_empty() { 0 } else { furnish.list(kind, "", &selector).await?.len() };
            if left == 0 || clock::now() >= deadline {
                break left;
            }
            tokio::time::sleep(PAUSE.to_std()).await;
        };
    }
    Ok((found, left))
}

/// Deletes an object. The finalizers of an Application go first: the managers that would take them off have gone home.
async fn remove(furnish: &Furnish<'_>, kind: Kind, object: &Value) -> Result<(), Refusal> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let path = kind.info().path(kind.info().version, text("/metadata/namespace"), text("/metadata/name"));
    let free = json!({ "metadata": { "finalizers": null } });
    let gone = json!({ "apiVersion": "v1", "kind": "DeleteOptions" });
    let frees = kind == Kind::APPLICATION && !object["metadata"]["finalizers"].is_null();
    let calls = [("PATCH", MERGE_PATCH, &free, frees), ("DELETE", JSON, &gone, true)];
    for (method, media, body, _) in calls.into_iter().filter(|(.., wanted)| *wanted) {
        let call = Call { target: furnish.target, method, kind, path: path.clone(), media, body };
        match furnish.client.send(furnish.route, call).await {
            Err(refusal) if !refusal.absent => return Err(refusal),
            _ => {}
        }
    }
    Ok(())
}
