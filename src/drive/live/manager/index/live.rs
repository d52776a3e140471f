//! The cache of Flux objects.

use super::Index;
use crate::calls::{ContentId, Kind, ObjectId};
use crate::drive::live::manager::object::{Flux, Object, body};
use crate::reconcile::{self, Glance, Seen, Slot, View, fingerprint};
use crate::scenario::Behaviour;
use crate::units::Time;
use serde_json::Value;
use smallvec::SmallVec;

/// What is known of one Flux object, existing or not.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) flux: Option<Flux>,
    rv: u64,
    /// The document that the object was found to cover.
    covers: ContentId,
    /// The apps that look at it.
    pub(super) apps: SmallVec<[u32; 1]>,
}

/// How an object came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::drive::live::manager) enum Shown {
    /// By an initial list: it counts even if its version is older than the known one (a restored server).
    Listed,
    /// By a watch event or a read; an older version than the known one is passed over.
    Seen,
    /// By the reply to a write of ours. It has what was written by definition, whatever a webhook made of it: else the
    /// two would write for ever.
    Written,
}

impl Index {
    /// An object as a watch or a reply shows it.
    pub(in crate::drive::live::manager) fn live_applied(
        &mut self,
        id: ObjectId,
        kind: Kind,
        object: &Object,
        how: Shown,
        now: Time,
    ) {
        let live = self.objects.entry(id.0).or_default();
        let rv = object.rv();
        if rv < live.rv && how != Shown::Listed && live.flux.is_some() {
            return;
        }
        live.rv = rv;
        let mut flux = Flux::read(kind, object, self.rules.behaviour);
        let mut before = live.flux.take();
        let covers = live.covers;
        let same_content = before.as_ref().is_some_and(|before| before.content == flux.content);
        let written = how == Shown::Written && self.rules.behaviour == Behaviour::Fixed;
        flux.body = match &mut before {
            _ if written => Box::default(),
            Some(before) if same_content => std::mem::take(&mut before.body),
            _ => body(object),
        };
        let covered = match (written, same_content) {
            (true, _) => flux.stamp,
            (false, true) => covers,
            (false, false) => ContentId::default(),
        };
        live.covers = covered;
        let apps = live.apps.clone();
        let source_changed = before.as_ref().map(|before| &before.source) != Some(&flux.source);
        let significant =
            before.is_none_or(|before| covered != covers || !same_content || is_significant(&before, &flux));
        live.flux = Some(flux);
        // A changed source reference changes which object the app looks at.
        if source_changed {
            for &app in &apps {
                self.resolve_source(app);
            }
        }
        if significant {
            for app in apps {
                self.touched(app, now);
            }
        }
    }

    /// An object is gone.
    pub(in crate::drive::live::manager) fn live_deleted(&mut self, id: ObjectId, now: Time) {
        let Some(live) = self.objects.get_mut(&id.0) else { return };
        let existed = live.flux.take().is_some();
        live.covers = ContentId::default();
        let apps = live.apps.clone();
        if apps.is_empty() {
            self.objects.remove(&id.0);
        }
        for app in apps.into_iter().filter(|_| existed) {
            self.touched(app, now);
        }
    }

    /// The original does not notice changes of Flux objects.
    fn touched(&mut self, app: u32, now: Time) {
        if self.rules.behaviour == Behaviour::Fixed {
            self.enqueue(app, true, now);
        }
    }

    /// The app looks at the object from now on.
    pub(super) fn watch_object(&mut self, id: ObjectId, app: u32) {
        let apps = &mut self.objects.entry(id.0).or_default().apps;
        if !apps.contains(&app) {
            apps.push(app);
        }
    }

    /// The app no longer looks at it.
    pub(super) fn leave_object(&mut self, id: ObjectId, app: u32) {
        if let Some(live) = self.objects.get_mut(&id.0) {
            live.apps.retain(|other| *other != app);
            if live.apps.is_empty() && live.flux.is_none() {
                self.objects.remove(&id.0);
            }
        }
    }

    /// Forgets an object that no app looks at.
    pub(super) fn drop_object(&mut self, id: ObjectId) {
        if self.objects.get(&id.0).is_some_and(|live| live.apps.is_empty()) {
            self.objects.remove(&id.0);
        }
    }

    /// Nobody watches it any more.
    pub(super) fn live_forgotten(&mut self, id: ObjectId) {
        if let Some(live) = self.objects.get_mut(&id.0) {
            live.flux = None;
            live.covers = ContentId::default();
        }
    }

    pub(in crate::drive::live::manager) fn flux(&self, id: ObjectId) -> Option<&Flux> {
        self.objects.get(&id.0)?.flux.as_ref()
    }

    /// What the machine is shown of an app's object.
    pub(in crate::drive::live::manager) fn view(&mut self, app: u32, slot: Slot, id: ObjectId) -> Option<View> {
        let entry = &self.apps[app as usize];
        let live = self.objects.get_mut(&id.0)?;
        let flux = live.flux.as_mut()?;
        let desired = entry.app.desired[slot.index()];
        let covers = match entry.document(slot) {
            None => true,
            Some(_) if live.covers == desired => true,
            Some(document) => {
                let stamped = self.rules.behaviour == Behaviour::Faithful || flux.stamp == desired;
                let covers = stamped && has(document, flux);
                if covers {
                    live.covers = desired;
                    if self.rules.behaviour == Behaviour::Fixed {
                        flux.body = Box::default();
                    }
                }
                covers
            }
        };
        Some(View {
            applied: flux.stamp,
            covers,
            health: flux.health,
            message: fingerprint(flux.message.as_bytes()),
            revision: fingerprint(flux.revision.as_bytes()),
            deleting: flux.deleting,
            source: flux.source_ref(),
        })
    }

    /// What the cache says of an app's object, if its kind is watched.
    pub(super) fn seen(&mut self, app: u32, slot: Slot, id: ObjectId) -> Seen {
        self.view(app, slot, id).map_or(Seen::Absent, Seen::Present)
    }

    /// The kind of an app's source and the object itself, as its workload names it.
    pub(super) fn named_source(&self, cluster: u32, workload: ObjectId) -> Option<(Kind, ObjectId)> {
        let source = self.flux(workload)?.source.as_ref()?;
        let kind = source.kind?;
        Some((kind, super::object_id(cluster, kind, &source.namespace, &source.name)))
    }
}

/// Whether an object has what a document asks for.
fn has(document: &str, flux: &Flux) -> bool {
    let Ok(desired) = serde_json::from_str::<Value>(document) else { return false };
    let asked = serde_json::json!({
        "spec": desired["spec"],
        "metadata": { "labels": desired["metadata"]["labels"], "annotations": desired["metadata"]["annotations"] },
    });
    let live: Value = serde_json::from_str(&flux.body).unwrap_or_default();
    reconcile::covers(&asked, &live, flux.last_applied.as_deref())
}

/// Whether a change of an object is worth a look at its app.
fn is_significant(before: &Flux, after: &Flux) -> bool {
    before.source != after.source || glance(after).is_news(&glance(before))
}

fn glance(flux: &Flux) -> Glance<&str> {
    Glance { health: flux.health, deleting: flux.deleting, revision: &flux.revision, message: &flux.message }
}
