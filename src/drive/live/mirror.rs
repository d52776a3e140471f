//! Commits of a store that is not ours, told from what a watch says.
//!
//! In: events of one kind on one leaf. Out: the same commits that a store of this process tells its observers, a moment
//! later. Who wrote is read from `managedFields`; who deleted, nothing says, so whoever may have is asked.

use super::net::{Known, News};
use crate::apiserver::clusters::{Commit, Observer};
use crate::apiserver::object::Object;
use crate::apiserver::schema::Resource;
use crate::apiserver::store::EventKind;
use crate::clock;
use std::sync::Arc;

/// Namespace and name.
type Key = (Arc<str>, Arc<str>);

/// The objects of one kind on one leaf, as last heard.
pub(super) struct Mirror<D> {
    pub(super) cluster: u32,
    pub(super) resource: Arc<Resource>,
    pub(super) observers: Arc<[Observer]>,
    /// Who deleted an object, by namespace and name.
    pub(super) deleted_by: D,
    /// By namespace and name.
    pub(super) known: Known<Key, Arc<Object>>,
}

impl<D: Fn(&str, &str) -> &'static str> Mirror<D> {
    /// Takes in what a watch says.
    pub(super) fn hear(&mut self, news: News<'_>) {
        match news {
            News::Listing => self.known.listing(),
            News::Applied(text) => {
                if let Some(object) = self.read(text) {
                    self.applied(object);
                }
            }
            News::Deleted(text) => {
                if let Some(object) = self.read(text) {
                    self.known.remove(&key(&object));
                    self.gone(&object);
                }
            }
            News::Listed => {
                for (_, object) in self.known.listed() {
                    self.gone(&object);
                }
            }
        }
    }

    /// An object that makes no sense is none of ours: anybody may write.
    fn read(&self, text: &str) -> Option<Arc<Object>> {
        Object::from_value(&self.resource, serde_json::from_str(text).ok()?).ok().map(Arc::new)
    }

    fn applied(&mut self, object: Arc<Object>) {
        let previous = self.known.insert(key(&object), Arc::clone(&object));
        // Told again by a list.
        if previous.as_ref().is_some_and(|old| old.meta.resource_version == object.meta.resource_version) {
            return;
        }
        let kind = if previous.is_some() { EventKind::Modified } else { EventKind::Added };
        self.tell(kind, &object, previous.as_ref(), writer(previous.as_deref(), &object));
    }

    fn gone(&self, object: &Arc<Object>) {
        let by = (self.deleted_by)(&object.meta.namespace, &object.meta.name);
        self.tell(EventKind::Deleted, object, Some(object), by);
    }

    fn tell(&self, kind: EventKind, object: &Arc<Object>, previous: Option<&Arc<Object>>, manager: &str) {
        let commit = Commit { cluster: self.cluster, at: clock::now(), kind, object, previous, manager };
        self.observers.iter().for_each(|observer| observer(&commit));
    }
}

fn key(object: &Object) -> Key {
    (Arc::clone(&object.meta.namespace), Arc::clone(&object.meta.name))
}

/// Who wrote the newer version: whose entry is new or another; where all are the same, because only values changed, whose
/// entry is about the part that changed.
fn writer<'a>(old: Option<&Object>, new: &'a Object) -> &'a str {
    let entries = new.meta.managers.as_deref().unwrap_or_default();
    let before = old.and_then(|old| old.meta.managers.as_deref()).unwrap_or_default();
    let fresh = entries.iter().find(|entry| !before.contains(entry));
    let only_status = old.is_some_and(|old| old.spec() == new.spec() && old.rest() == new.rest());
    let about = || entries.iter().rfind(|entry| (&*entry.subresource == "status") == only_status);
    fresh.or_else(about).map_or("", |entry| &entry.manager)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::schema::Catalog;
    use parking_lot::Mutex;
    use serde_json::{Value, json};

    fn map(version: u32, data: &str, managers: &[(&str, &str)]) -> Value {
        let entry = |(manager, time): &(&str, &str)| {
            json!({ "manager": manager, "operation": "Update", "apiVersion": "v1", "time": format!("2026-01-01T00:00:{time}Z"),
                "fieldsType": "FieldsV1", "fieldsV1": { "f:data": {} } })
        };
        json!({ "metadata": { "name": "a", "namespace": "ns", "resourceVersion": version.to_string(),
            "managedFields": managers.iter().map(entry).collect::<Vec<_>>() }, "data": { "k": data } })
    }

    /// Event, writer and whether there was one before, of everything told.
    fn told(news: &[(&str, Value)]) -> Vec<(EventKind, String, bool)> {
        let all: Arc<Mutex<Vec<_>>> = Arc::default();
        let heard = Arc::clone(&all);
        let observer: Observer = Box::new(move |commit: &Commit<'_>| {
            heard.lock().push((commit.kind, commit.manager.to_owned(), commit.previous.is_some()));
        });
        let mut mirror = Mirror {
            cluster: 0,
            resource: Arc::clone(Catalog::builtin().find("", "v1", "configmaps").unwrap()),
            observers: Arc::from([observer]),
            deleted_by: |_: &str, _: &str| "somebody",
            known: Known::default(),
        };
        for (what, value) in news {
            let text = value.to_string();
            mirror.hear(match *what {
                "listing" => News::Listing,
                "listed" => News::Listed,
                "deleted" => News::Deleted(&text),
                _ => News::Applied(&text),
            });
        }
        drop(mirror);
        Arc::into_inner(all).unwrap().into_inner()
    }

    #[test]
    fn commits_are_told_as_a_store_of_ours_would() {
        let (flux, other) = (("kustomize-controller", "01"), ("kubectl", "02"));
        let first = map(1, "x", &[flux]);
        let (added, modified) = (EventKind::Added, EventKind::Modified);
        let by = |who: &str| who.to_owned();
        assert_eq!(told(&[("applied", first.clone())]), [(added, by(flux.0), false)]);
        // Another entry, a newer one, and one that went because its fields were taken back.
        let edited = map(2, "y", &[flux, other]);
        let restored = map(3, "x", &[flux]);
        assert_eq!(
            told(&[("applied", first.clone()), ("applied", edited), ("applied", restored)])[1..],
            [(modified, by(other.0), true), (modified, by(flux.0), true)]
        );
        // A list tells again what is there, and leaves out what went.
        let again =
            [("applied", first.clone()), ("listing", json!(null)), ("applied", first.clone()), ("listed", json!(null))];
        assert_eq!(told(&again).len(), 1);
        let lost = [("applied", first.clone()), ("listing", json!(null)), ("listed", json!(null))];
        assert_eq!(told(&lost)[1..], [(EventKind::Deleted, by("somebody"), true)]);
        assert_eq!(
            told(&[("applied", first.clone()), ("deleted", first)])[1..],
            [(EventKind::Deleted, by("somebody"), true)]
        );
    }
}
