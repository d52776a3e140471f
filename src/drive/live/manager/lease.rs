//! Keeps this manager's lease and hears those of the others.
//!
//! In: the Leases in Argo CD's namespace. Out: who may own what, told to the index, and writes of our own Lease. All
//! decisions are `topology::Members`'.
//!
//! Arithmetic: a write per manager and third of a lease, and as many events for each: 4 managers with 15 s make 1 call/s.

use super::Shared;
use crate::calls::{Kind, Target};
use crate::clock;
use crate::drive::live::net::{APPLY, Call, Client, JSON, News};
use crate::topology::{Members, Standing};
use crate::units::{Span, Time};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// Our leases by name: `flamboyance-manager-3`.
const NAME: &str = "flamboyance-manager-";
/// The annotation that carries a view.
const VIEW: &str = "flamboyance.dev/view";
/// A write that failed is repeated so soon.
const AGAIN: Span = Span::from_millis(100);

/// What keeps a lease.
pub(super) struct Keeper {
    /// It is being given up: no renewal any more.
    leaving: AtomicBool,
    length: Span,
    pub(super) client: Client,
    members: Mutex<Members>,
    /// A lease changed, or work on a lost cluster ended.
    pub(super) changed: Notify,
}

#[derive(serde::Deserialize)]
struct List {
    items: Vec<Lease>,
}

#[derive(serde::Deserialize)]
struct Lease {
    metadata: Metadata,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Which manager's lease it is.
fn number(name: &str) -> Option<u32> {
    name.strip_prefix(NAME)?.parse().ok()
}

impl Keeper {
    pub(super) fn new(shard: u32, length: Span) -> Self {
        Self {
            leaving: AtomicBool::new(false),
            length,
            client: Client::new(super::USER_AGENT),
            members: Mutex::new(Members::new(shard, length)),
            changed: Notify::new(),
        }
    }

    fn path(namespace: &str, name: &str) -> String {
        Kind::LEASE.info().path(Kind::LEASE.info().version, namespace, name)
    }

    /// Hears of all leases, for ever.
    async fn listen(&self, shared: &Shared) {
        let tell = |news: News<'_>| {
            let (text, gone) = match news {
                News::Applied(text) => (text, false),
                News::Deleted(text) => (text, true),
                News::Listing | News::Listed => return,
            };
            let Ok(Lease { metadata }) = serde_json::from_str(text) else { return };
            match number(&metadata.name) {
                Some(who) if gone => self.members.lock().left(who),
                _ => self.heard(&metadata),
            }
            self.changed.notify_one();
        };
        let path = Self::path(&shared.namespace, "");
        self.client.follow((&shared.hub, Target::Hub), Kind::LEASE, (&path, ""), tell).await;
    }

    /// Renews, and tells the index what it may own, for ever.
    async fn keep(&self, shared: &Shared) {
        let mut renew_at = Time(0);
        loop {
            let changed = self.changed.notified();
            let now = clock::now();
            if self.leaving.load(Ordering::Relaxed) {
                return;
            }
            let busy = shared.stand(now);
            shared.wake();
            shared.tell_owned(now);
            let must_list = self.members.lock().must_list(now);
            if let Some(change) = must_list
                && self.list(shared).await
            {
                self.members.lock().listed(change);
                continue;
            }
            let say = self.members.lock().must_say().filter(|_| !busy);
            if now >= renew_at || say.is_some() {
                let view = say.unwrap_or_else(|| self.members.lock().said().to_owned());
                let period = if self.renew(shared, view).await { self.members.lock().period() } else { AGAIN };
                renew_at = now + period;
                continue;
            }
            let until = self.members.lock().deadline(now).map_or(renew_at, |end| end.min(renew_at));
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(until.since(now).to_std()) => {}
            }
        }
    }

    /// Reads all leases; whether that worked.
    async fn list(&self, shared: &Shared) -> bool {
        let path = Self::path(&shared.namespace, "");
        let body = Value::Null;
        let call = Call { target: Target::Hub, method: "GET", kind: Kind::LEASE, path, media: JSON, body: &body };
        let patience = self.members.lock().period().to_std();
        let Ok(Ok(text)) = tokio::time::timeout(patience, self.client.send(&shared.hub, call)).await else {
            return false;
        };
        let Ok(List { items }) = serde_json::from_slice(&text) else { return false };
        for lease in items {
            self.heard(&lease.metadata);
        }
        true
    }

    fn heard(&self, lease: &Metadata) {
        let Some(who) = number(&lease.name) else { return };
        let view = lease.annotations.get(VIEW).map_or("", String::as_str);
        let stamp = lease.resource_version.parse().unwrap_or_default();
        self.members.lock().heard(who, stamp, view, clock::now());
    }

    /// Writes the lease; whether that worked. From the moment before the write on, the lease holds for its length.
    async fn renew(&self, shared: &Shared, view: String) -> bool {
        let since = clock::now();
        let name = format!("{NAME}{}", shared.shard);
        let seconds = self.length.0.div_ceil(1_000_000_000);
        let time = clock::rfc3339(clock::unix());
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": { "name": name, "namespace": shared.namespace, "annotations": { VIEW: view } },
            "spec": {
                "holderIdentity": format!("{name}-{}", std::process::id()),
                "leaseDurationSeconds": seconds,
                "renewTime": time.replace('Z', ".000000Z"),
            },
        });
        let path = format!("{}?fieldManager={NAME}{}&force=true", Self::path(&shared.namespace, &name), shared.shard);
        let call = Call { target: Target::Hub, method: "PATCH", kind: Kind::LEASE, path, media: APPLY, body: &lease };
        // A write that hangs must not keep us from noticing that our time is over.
        let patience = self.length.scaled(1, 2).to_std();
        match tokio::time::timeout(patience, self.client.send(&shared.hub, call)).await {
            Ok(Ok(_)) => {
                shared.fence.store((since + self.length).0, Ordering::Relaxed);
                self.members.lock().renewed(since, view);
                true
            }
            Ok(Err(refusal)) => {
                tracing::warn!("{}", refusal.message);
                false
            }
            Err(_) => false,
        }
    }

    /// What may be owned now, given what was chosen by hand.
    pub(super) fn standing(&self, chosen: u64, now: Time) -> Standing {
        if self.leaving.load(Ordering::Relaxed) {
            return Standing::default();
        }
        let mut members = self.members.lock();
        members.chosen(chosen);
        members.look(now)
    }

    /// Lets go of everything, then gives the lease up, so that the others need not wait for its end.
    pub(super) async fn leave(&self, shared: &Shared) {
        let began = clock::now();
        self.leaving.store(true, Ordering::Relaxed);
        shared.fence.store(0, Ordering::Relaxed);
        // Rounds under way end with their next call. Those that hang are left behind with the lease.
        while shared.stand(clock::now()) && clock::now().since(began) < self.length {
            let _ended = tokio::time::timeout(AGAIN.to_std(), self.changed.notified()).await;
        }
        shared.tell_owned(clock::now());
        if clock::now().since(began) >= self.length {
            return;
        }
        let path = Self::path(&shared.namespace, &format!("{NAME}{}", shared.shard));
        let body = Value::Null;
        let call = Call { target: Target::Hub, method: "DELETE", kind: Kind::LEASE, path, media: JSON, body: &body };
        // Best effort: it ends by itself.
        let _ = tokio::time::timeout(AGAIN.to_std(), self.client.send(&shared.hub, call)).await;
    }
}

/// Keeps the lease of a manager that has one.
pub(super) fn start(shared: &Arc<Shared>) {
    let Some(keeper) = &shared.keeper else { return };
    let (listener, listening) = (keeper.clone(), shared.clone());
    tokio::spawn(async move { listener.listen(&listening).await });
    let (keeper, shared) = (keeper.clone(), shared.clone());
    tokio::spawn(async move { keeper.keep(&shared).await });
}
