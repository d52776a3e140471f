//! What a cluster's lock guards: its version counter, its overlay, its indexes; and the one place where writes commit.

use super::applied::Applied;
use super::base::materialise;
use super::{Cluster, Commit};
use crate::apiserver::object::{Object, Uid};
use crate::apiserver::request::Now;
use crate::apiserver::schema::{Catalog, Resource};
use crate::apiserver::store::{EventKind, Feed, Found, Objects, Range};
use rustc_hash::{FxHashMap, FxHasher};
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Whether two resources are one set of stored objects: versions of a kind, and both groups of events.
pub(super) fn same_store(a: &Resource, b: &Resource) -> bool {
    a.plural == b.plural && (a.group == b.group || a.plural == "events" && is_event(a) && is_event(b))
}

fn is_event(resource: &Resource) -> bool {
    matches!(resource.group.as_str(), "" | "events.k8s.io")
}

/// The overlay of one resource.
pub(super) struct Collection {
    pub(super) resource: Arc<Resource>,
    /// `None` while it is as the base has it.
    objects: Option<Objects>,
    pub(super) feed: Arc<Feed>,
}

/// Where an object is.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) resource: Arc<Resource>,
    pub(super) namespace: Arc<str>,
    pub(super) name: Arc<str>,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        same_store(&self.resource, &other.resource) && self.namespace == other.namespace && self.name == other.name
    }
}

impl Key {
    pub(super) fn of(object: &Object) -> Self {
        Self {
            resource: object.resource.clone(),
            namespace: object.meta.namespace.clone(),
            name: object.meta.name.clone(),
        }
    }
}

/// Delayed work of a cluster.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// An object went: its dependents may have to go.
    OwnerGone(Uid),
    /// An object waits for its dependents (foreground) or for losing them (orphan).
    OwnerWaits(Key),
    /// A namespace came: it gets its standard content.
    NamespaceCame(Arc<str>),
    /// A namespace is going: its content goes first.
    NamespaceGoing(Arc<str>),
}

/// Behind the lock.
pub(super) struct State {
    pub(super) version: u64,
    pub(super) catalog: Catalog,
    collections: Vec<Collection>,
    /// How often a key was deleted, by its hash: the incarnation of its next uid.
    graves: FxHashMap<u64, u32>,
    /// Objects by the owners they name; kept only with housekeeping.
    pub(super) dependents: FxHashMap<Uid, Vec<Key>>,
    pub(super) work: VecDeque<Work>,
    /// Events of the cluster in order of creation, for forgetting the oldest.
    events: VecDeque<(Arc<str>, Arc<str>)>,
    /// Numbers the draws: generated names, watch lengths.
    pub(super) draws: u64,
    /// What applies came to.
    pub(super) applied: Applied,
}

/// What a commit did besides storing.
pub(super) struct Written<'a> {
    pub(super) kind: EventKind,
    pub(super) object: Object,
    pub(super) previous: Option<&'a Arc<Object>>,
    pub(super) manager: &'a str,
}

impl State {
    pub(super) fn new(catalog: Catalog, version: u64) -> Self {
        Self {
            version,
            catalog,
            collections: Vec::new(),
            graves: FxHashMap::default(),
            dependents: FxHashMap::default(),
            work: VecDeque::new(),
            events: VecDeque::new(),
            draws: 0,
            applied: Applied::default(),
        }
    }

    fn position(&self, resource: &Resource) -> Option<usize> {
        self.collections.iter().position(|known| same_store(&known.resource, resource))
    }

    pub(super) fn collection(&mut self, resource: &Arc<Resource>) -> &mut Collection {
        let at = self.position(resource).unwrap_or_else(|| {
            self.collections.push(Collection { resource: resource.clone(), objects: None, feed: Arc::default() });
            self.collections.len() - 1
        });
        &mut self.collections[at]
    }

    /// The feed of a resource, if anybody wrote or watched it.
    pub(super) fn feed(&self, resource: &Resource) -> Option<&Arc<Feed>> {
        self.position(resource).map(|at| &self.collections[at].feed)
    }

    pub(super) fn feeds(&self) -> impl Iterator<Item = &Arc<Feed>> {
        self.collections.iter().map(|collection| &collection.feed)
    }

    fn own(&self, resource: &Resource) -> Option<&Objects> {
        self.collections[self.position(resource)?].objects.as_ref()
    }

    pub(super) fn next_draw(&mut self) -> u64 {
        self.draws += 1;
        self.draws
    }
}

impl Cluster {
    fn materialise(&self, template: &Object) -> Arc<Object> {
        materialise(template, self.shared.settings.seed, self.id, self.birth)
    }

    /// The current version of an object.
    pub(super) fn find(&self, state: &State, resource: &Resource, namespace: &str, name: &str) -> Option<Arc<Object>> {
        match state.own(resource) {
            Some(objects) => objects.get(namespace, name).cloned(),
            None => self.base.objects(resource)?.get(namespace, name).map(|template| self.materialise(template)),
        }
    }

    /// Whether an object is being deleted; `None` if there is none.
    pub(super) fn deleting(&self, state: &State, resource: &Resource, namespace: &str, name: &str) -> Option<bool> {
        let objects = match state.own(resource) {
            Some(objects) => objects,
            None => self.base.objects(resource)?,
        };
        objects.get(namespace, name).map(|object| object.meta.deleted.is_some())
    }

    /// The current version of an object, with the lock taken here.
    pub(super) fn lookup(&self, resource: &Resource, namespace: &str, name: &str) -> Option<Arc<Object>> {
        self.find(&self.state.lock(), resource, namespace, name)
    }

    /// A page of current objects, or of objects as they were before `then`.
    pub(super) fn page(
        &self,
        state: &State,
        resource: &Resource,
        range: &Range<'_>,
        then: &[(Arc<Object>, Option<Arc<Object>>)],
    ) -> Found {
        if let Some(objects) = state.own(resource) {
            return objects.page_then(range, then);
        }
        let Some(templates) = self.base.objects(resource) else { return Found::default() };
        let mut found = templates.page(range);
        for item in &mut found.items {
            *item = self.materialise(item);
        }
        found
    }

    /// All resources that have or had objects here.
    pub(super) fn stored_resources(&self, state: &State) -> Vec<Arc<Resource>> {
        let mut all: Vec<Arc<Resource>> = state.collections.iter().map(|known| known.resource.clone()).collect();
        for resource in self.base.resources() {
            if !all.iter().any(|known| same_store(known, resource)) {
                all.push(resource.clone());
            }
        }
        all
    }

    /// The uid of an object that is about to come.
    pub(super) fn next_uid(&self, state: &State, resource: &Resource, namespace: &str, name: &str) -> Uid {
        let incarnation = state.graves.get(&grave(resource, namespace, name)).copied().unwrap_or(0);
        let seed = self.shared.settings.seed;
        Uid::derive(seed, self.id, &resource.group, &resource.kind, namespace, name, u64::from(incarnation))
    }

    /// Stores one version, or removes the object: gives it its resourceVersion, tells watchers and observers.
    pub(super) fn commit(&self, state: &mut State, written: Written<'_>, now: Now) -> Arc<Object> {
        state.version += 1;
        let version = state.version;
        let mut object = written.object;
        object.meta.resource_version = version;
        let object = Arc::new(object);
        let resource = object.resource.clone();
        self.own_objects(state, &resource);
        match written.kind {
            EventKind::Added => drop(self.shared.objects.fetch_add(1, Ordering::Relaxed)),
            EventKind::Deleted => drop(self.shared.objects.fetch_sub(1, Ordering::Relaxed)),
            EventKind::Modified => {}
        }
        let at = state.collection(&resource);
        if let Some(objects) = &mut at.objects {
            match written.kind {
                EventKind::Deleted => objects.remove(&object.meta.namespace, &object.meta.name),
                _ => objects.insert(object.clone()),
            }
        }
        let second = now.monotonic.0 / 1_000_000_000;
        at.feed.publish(written.kind, &object, written.previous, second, &self.shared.budget);
        let commit = Commit {
            cluster: self.id,
            at: now.monotonic,
            kind: written.kind,
            object: &object,
            previous: written.previous,
            manager: written.manager,
        };
        for observer in &self.shared.observers {
            observer(&commit);
        }
        if written.kind == EventKind::Deleted {
            *state.graves.entry(grave(&resource, &object.meta.namespace, &object.meta.name)).or_default() += 1;
        }
        self.index(state, written.kind, &object, written.previous);
        self.progress.store(version, Ordering::Release);
        self.aftermath(state, written.kind, &object, written.previous, now);
        object
    }

    /// Puts other content under the version that an object has: nobody wrote, but it reads differently from now on.
    pub(super) fn reread(&self, state: &mut State, object: Object) {
        let resource = object.resource.clone();
        self.own_objects(state, &resource);
        if let Some(objects) = &mut state.collection(&resource).objects {
            objects.insert(Arc::new(object));
        }
    }

    /// From the first write on a resource has objects of its own.
    fn own_objects(&self, state: &mut State, resource: &Arc<Resource>) {
        let collection = state.collection(resource);
        if collection.objects.is_some() {
            return;
        }
        let mut own = Objects::default();
        if let Some(templates) = self.base.objects(resource) {
            for template in templates.range(None, None) {
                own.insert(self.materialise(template));
            }
        }
        collection.objects = Some(own);
    }

    /// Keeps the last Events only, counted per cluster (E-02: the cheap mode).
    pub(super) fn keep_last_events(&self, state: &mut State, object: &Object, now: Now) {
        let most = self.shared.settings.keep_events;
        if most == 0 {
            return;
        }
        state.events.push_back((object.meta.namespace.clone(), object.meta.name.clone()));
        while state.events.len() > most {
            let Some((namespace, name)) = state.events.pop_front() else { return };
            let Some(old) = self.find(state, &object.resource, &namespace, &name) else { continue };
            let gone = Written {
                kind: EventKind::Deleted,
                object: (*old).clone(),
                previous: Some(&old),
                manager: "kube-apiserver",
            };
            self.commit(state, gone, now);
        }
    }

    /// Forgets events from before a second of the monotonic clock.
    pub(super) fn forget_before(&self, second: u64) -> usize {
        self.state.lock().feeds().map(|feed| feed.forget_before(second, &self.shared.budget)).sum()
    }
}

fn grave(resource: &Resource, namespace: &str, name: &str) -> u64 {
    let mut hasher = FxHasher::default();
    (&resource.group, &resource.plural, namespace, name).hash(&mut hasher);
    hasher.finish()
}
