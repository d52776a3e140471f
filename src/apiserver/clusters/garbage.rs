//! Garbage collection: what happens to dependents when their owner goes (G-04). Runs some time after the cause, as the
//! collector of kube-controller-manager does, and only with housekeeping.

use super::deleting::DeleteOptions;
use super::state::{Key, State, Work, Written};
use super::{Cluster, crds, namespaces};
use crate::apiserver::admission;
use crate::apiserver::life::{self, FOREGROUND, ORPHAN};
use crate::apiserver::object::{Blob, Object, Owner, Uid};
use crate::apiserver::request::{Now, Propagation};
use crate::apiserver::schema::{Resource, group_version};
use crate::apiserver::store::EventKind;
use serde_json::Value;
use std::sync::Arc;

const MANAGER: &str = "kube-controller-manager";

impl Cluster {
    /// Puts off work; the wheel calls [`Cluster::housekeep`] when it is due.
    pub(super) fn later(&self, state: &mut State, work: Work, now: Now) {
        if state.work.is_empty() {
            self.shared.wheel.work(self.id, now.monotonic + self.shared.settings.housekeeping_delay);
        }
        state.work.push_back(work);
    }

    /// Does the work put off so far.
    pub(super) fn housekeep(&self, now: Now) {
        let mut state = self.state.lock();
        for work in std::mem::take(&mut state.work) {
            match work {
                Work::OwnerGone(uid) => self.collect(&mut state, uid, now),
                Work::OwnerWaits(key) => self.release_owner(&mut state, &key, now),
                Work::NamespaceCame(name) => self.fill_namespace(&mut state, &name, now),
                Work::NamespaceGoing(name) => self.purge_namespace(&mut state, &name, now),
            }
        }
    }

    /// Keeps the index of dependents.
    pub(super) fn index(&self, state: &mut State, kind: EventKind, object: &Object, previous: Option<&Arc<Object>>) {
        if !self.shared.settings.housekeeping {
            return;
        }
        if kind == EventKind::Modified && previous.is_some_and(|previous| previous.meta.owners == object.meta.owners) {
            return;
        }
        let key = Key::of(object);
        for owner in previous.map(|previous| previous.meta.owners()).unwrap_or_default() {
            let Some(uid) = owner.uid else { continue };
            if let Some(keys) = state.dependents.get_mut(&uid) {
                keys.retain(|known| *known != key);
                if keys.is_empty() {
                    state.dependents.remove(&uid);
                }
            }
        }
        if kind == EventKind::Deleted {
            return;
        }
        for uid in object.meta.owners().into_iter().filter_map(|owner| owner.uid) {
            state.dependents.entry(uid).or_default().push(key.clone());
        }
    }

    /// What a commit causes besides itself.
    pub(super) fn aftermath(
        &self,
        state: &mut State,
        kind: EventKind,
        object: &Arc<Object>,
        previous: Option<&Arc<Object>>,
        now: Now,
    ) {
        let resource = &object.resource;
        if resource.plural == "events" {
            if kind == EventKind::Added {
                self.keep_last_events(state, object, now);
            }
            return;
        }
        if admission::is_configuration(resource) {
            self.read_hooks(state);
        }
        if crds::is_crd(resource) {
            self.after_crd(state, kind, object, previous, now);
        } else if kind == EventKind::Deleted && resource.custom {
            self.continue_crd_cleanup(state, resource, now);
        }
        if !self.shared.settings.housekeeping {
            return;
        }
        if namespaces::is_namespace(resource) {
            self.after_namespace(state, kind, object, now);
        }
        let meta = &object.meta;
        match kind {
            EventKind::Deleted => {
                if state.dependents.contains_key(&meta.uid) {
                    self.later(state, Work::OwnerGone(meta.uid), now);
                }
                self.wake_waiting(state, object, now);
            }
            _ if meta.deleted.is_some() && (meta.has_finalizer(FOREGROUND) || meta.has_finalizer(ORPHAN)) => {
                self.later(state, Work::OwnerWaits(Key::of(object)), now);
            }
            EventKind::Added if meta.owners.is_some() => {
                // It may have come after its owner went.
                for owner in meta.owners() {
                    let Some(uid) = owner.uid else { continue };
                    if !self.alive(state, object, &owner) {
                        self.later(state, Work::OwnerGone(uid), now);
                    }
                }
            }
            _ => {}
        }
    }

    /// A deletion may be what an owner or a namespace waits for.
    fn wake_waiting(&self, state: &mut State, object: &Object, now: Now) {
        for owner in object.meta.owners() {
            if let Some(owner) = self.owner(state, object, &owner)
                && owner.meta.deleted.is_some()
                && owner.meta.has_finalizer(FOREGROUND)
            {
                self.later(state, Work::OwnerWaits(Key::of(&owner)), now);
            }
        }
        if object.meta.namespace.is_empty() {
            return;
        }
        let Some(namespaces) = state.catalog.find("", "v1", "namespaces").cloned() else { return };
        let going = self.find(state, &namespaces, "", &object.meta.namespace);
        if going.is_some_and(|namespace| namespace.meta.deleted.is_some()) {
            self.later(state, Work::NamespaceGoing(object.meta.namespace.clone()), now);
        }
    }

    /// The owner that a reference means, if it is there: in the same namespace or cluster-scoped, with the same uid.
    fn owner(&self, state: &State, dependent: &Object, owner: &Owner) -> Option<Arc<Object>> {
        let (group, version) = group_version(&owner.api_version);
        let resource: &Arc<Resource> = state
            .catalog
            .find_kind(group, version, &owner.kind)
            .or_else(|| state.catalog.resources().iter().find(|one| one.group == group && one.kind == owner.kind))?;
        let namespace = if resource.namespaced { &*dependent.meta.namespace } else { "" };
        self.find(state, resource, namespace, &owner.name).filter(|found| Some(found.meta.uid) == owner.uid)
    }

    fn alive(&self, state: &State, dependent: &Object, owner: &Owner) -> bool {
        self.owner(state, dependent, owner).is_some()
    }

    fn dependents(&self, state: &State, owner: Uid) -> Vec<Arc<Object>> {
        let Some(keys) = state.dependents.get(&owner) else { return Vec::new() };
        keys.iter().filter_map(|key| self.find(state, &key.resource, &key.namespace, &key.name)).collect()
    }

    /// Deletes the dependents of an owner that is gone, unless another owner is still there.
    fn collect(&self, state: &mut State, gone: Uid, now: Now) {
        for dependent in self.dependents(state, gone) {
            let owners = dependent.meta.owners();
            if owners.iter().any(|owner| owner.uid == Some(gone) && self.alive(state, &dependent, owner)) {
                continue;
            }
            let (alive, absent): (Vec<Owner>, Vec<Owner>) =
                owners.into_iter().partition(|owner| self.alive(state, &dependent, owner));
            if alive.is_empty() {
                let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
                self.delete_in(state, &dependent, &options, MANAGER, now);
            } else if !absent.is_empty() {
                self.disown(state, &dependent, |uid| absent.iter().any(|owner| owner.uid == Some(uid)), now);
            }
        }
    }

    /// Takes owner references off a dependent.
    fn disown(&self, state: &mut State, dependent: &Arc<Object>, drop: impl Fn(Uid) -> bool, now: Now) {
        let mut meta = dependent.meta.clone();
        let kept: Vec<Value> = meta
            .owners
            .iter()
            .filter_map(|blob| blob.value().as_array())
            .flatten()
            .filter(|owner| !owner["uid"].as_str().and_then(Uid::parse).is_some_and(&drop))
            .cloned()
            .collect();
        meta.owners = (!kept.is_empty()).then(|| Blob::shared(Value::from(kept).to_string().as_bytes()));
        let object = dependent.with_meta(meta);
        let written = Written { kind: EventKind::Modified, object, previous: Some(dependent), manager: MANAGER };
        self.commit(state, written, now);
    }

    /// Works on an owner that waits: orphans its dependents, or deletes them and lets it go when none is left that
    /// blocks it.
    fn release_owner(&self, state: &mut State, key: &Key, now: Now) {
        let current = self.find(state, &key.resource, &key.namespace, &key.name);
        let Some(owner) = current.filter(|owner| owner.meta.deleted.is_some()) else { return };
        let dependents = self.dependents(state, owner.meta.uid);
        if owner.meta.has_finalizer(ORPHAN) {
            for dependent in &dependents {
                self.disown(state, dependent, |uid| uid == owner.meta.uid, now);
            }
            self.take_finalizer(state, &owner, ORPHAN, now);
            return;
        }
        if !owner.meta.has_finalizer(FOREGROUND) {
            return;
        }
        let blocks = |dependent: &Object| {
            dependent.meta.owners().iter().any(|one| one.uid == Some(owner.meta.uid) && one.blocks)
        };
        let mut blocked = false;
        for dependent in &dependents {
            let others = dependent.meta.owners();
            let shared = others.iter().any(|one| one.uid != Some(owner.meta.uid) && self.alive(state, dependent, one));
            if shared {
                self.disown(state, dependent, |uid| uid == owner.meta.uid, now);
                continue;
            }
            blocked |= blocks(dependent);
            if dependent.meta.deleted.is_none() {
                let has_own = state.dependents.contains_key(&dependent.meta.uid);
                let propagation = if has_own { Propagation::Foreground } else { Propagation::Background };
                let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
                self.delete_in(state, dependent, &options, MANAGER, now);
            }
        }
        // Deleting the last blocking dependent brings the owner here again.
        if !blocked || !self.dependents(state, owner.meta.uid).iter().any(|dependent| blocks(dependent)) {
            self.take_finalizer(state, &owner, FOREGROUND, now);
        }
    }

    fn take_finalizer(&self, state: &mut State, owner: &Object, finalizer: &str, now: Now) {
        let current = self.find(state, &owner.resource, &owner.meta.namespace, &owner.meta.name);
        let Some(owner) = current.filter(|current| current.meta.uid == owner.meta.uid) else { return };
        let mut meta = owner.meta.clone();
        meta.set_finalizers(owner.meta.finalizers().filter(|known| *known != finalizer));
        if meta.finalizers == owner.meta.finalizers {
            return;
        }
        let object = owner.with_meta(meta);
        let gone = life::finished(&object.meta, super::prepare::held(&object));
        let kind = if gone { EventKind::Deleted } else { EventKind::Modified };
        self.commit(state, Written { kind, object, previous: Some(&owner), manager: MANAGER }, now);
    }
}
