//! One leaf of a virtual run: headers instead of objects, the real rules, the real machines.

use crate::apiserver::life::{self, Changes, Deletion};
use crate::apiserver::object::Meta as Header;
use crate::apiserver::request::Propagation;
use crate::apiserver::schema::Catalog;
use crate::calls::{ContentId, Kind, Verb};
use crate::model::flux::render::{self, FINALIZER, Form, Pen};
use crate::model::flux::spec::Spec;
use crate::model::flux::{Change, Controllers, Event, Meta, Op, Place, Reply, View, World, Write};
use crate::model::workload::{self, Deployment, Workloads};
use crate::scenario::Delay;
use crate::units::{Span, Time};
use rustc_hash::FxHasher;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher as _};
use std::sync::Arc;

/// An object of a virtual leaf.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// Its header, by the rules of the mock server.
    pub header: Header,
    /// Fingerprint of what was applied.
    pub content: ContentId,
    /// Deployments: the generation that is available.
    pub available: u64,
}

/// A running hash; it prints as its value.
#[derive(Default)]
struct Digest(FxHasher);

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0.finish())
    }
}

type Key = (Kind, Arc<str>, Arc<str>);

#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) controllers: Controllers,
    workloads: Workloads,
    catalog: Catalog,
    objects: BTreeMap<Key, Stored>,
    version: u64,
    transitions: Digest,
    pub(super) calls: u64,
    pub(super) armed: Option<Time>,
}

impl Leaf {
    pub(super) fn new(world: &World, catalog: Catalog, id: u64, ready: Delay) -> Self {
        Self {
            controllers: Controllers::new(world, id),
            workloads: Workloads::new(world.seed.entity(id), ready),
            catalog,
            objects: BTreeMap::new(),
            version: 0,
            transitions: Digest::default(),
            calls: 0,
            armed: None,
        }
    }

    pub(super) fn object(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Stored> {
        self.objects.get(&(kind, namespace.into(), name.into()))
    }

    pub(super) fn transitions(&self) -> u64 {
        self.transitions.0.finish()
    }

    pub(super) fn state(&self) -> u64 {
        let mut hash = FxHasher::default();
        for (key, stored) in &self.objects {
            // Events are named by their time.
            if key.0 != Kind::EVENT {
                (key, stored.header.generation, stored.content, stored.available).hash(&mut hash);
            }
        }
        hash.finish()
    }

    pub(super) fn next_deadline(&self, world: &World) -> Option<Time> {
        [self.controllers.next_deadline(world), self.workloads.next_deadline()].into_iter().flatten().min()
    }

    /// The deployment controller's calls that are due; they take no time of their own.
    pub(super) fn roll_out(&mut self, now: Time) {
        while let workload::Step::Call(op) = self.workloads.step(now) {
            self.calls += 1;
            let (workload::Place::Deployment(slot) | workload::Place::ReplicaSet(slot, _)) =
                workload::Place::of(op.object);
            let Some(seen) = self.workloads.deployment(slot) else { continue };
            let key = (Kind::DEPLOYMENT, Arc::clone(&seen.namespace), Arc::clone(&seen.name));
            if op.body == workload::Write::Available
                && let Some(stored) = self.objects.get_mut(&key)
            {
                self.version += 1;
                stored.available = stored.header.generation;
                stored.header.resource_version = self.version;
                (now.0, &key, "available").hash(&mut self.transitions.0);
            }
        }
    }

    /// A user's write of a Flux object.
    pub(super) fn write(
        &mut self,
        world: &World,
        kind: Kind,
        namespace: &str,
        name: &str,
        spec: &serde_json::Value,
        now: Time,
    ) {
        let namespace: Arc<str> = namespace.into();
        let read = Spec::read(kind, &namespace, spec, &world.catalogue);
        self.put((kind, namespace, name.into()), fingerprint(&spec.to_string()), Some(read), "", now);
    }

    /// Stores content: generation and no-op by the rules. Returns the code and whether it changed.
    fn put(&mut self, key: Key, content: ContentId, spec: Option<Spec>, text: &str, now: Time) -> u16 {
        let info = key.0.info();
        let Some(resource) = self.catalog.find(info.group, info.version, info.plural).cloned() else { return 404 };
        let old = self.objects.get(&key).cloned();
        let changes = Changes { spec: old.as_ref().is_none_or(|o| o.content != content), ..Changes::default() };
        if old.is_some() && changes.none() {
            return 200;
        }
        self.version += 1;
        let mut new = old.clone().unwrap_or_default();
        (new.header.namespace, new.header.name) = (Arc::clone(&key.1), Arc::clone(&key.2));
        new.header.generation = match &old {
            Some(old) => life::next_generation(&resource, old.header.generation, changes),
            None => u64::from(resource.tracks_generation),
        };
        new.header.resource_version = self.version;
        new.content = content;
        (now.0, &key, content).hash(&mut self.transitions.0);
        let change = if old.is_some() { Change::Modified } else { Change::Added };
        self.inform(&key, change, &new.header, spec, text);
        self.objects.insert(key, new);
        if old.is_some() { 200 } else { 201 }
    }

    /// What the informers of the machines see.
    fn inform(&mut self, key: &Key, change: Change, header: &Header, spec: Option<Spec>, text: &str) {
        if key.0 == Kind::DEPLOYMENT {
            if change == Change::Deleted {
                self.workloads.on_delete(&key.1, &key.2);
            } else if let Ok(value) = serde_json::from_str::<serde_json::Value>(text) {
                let replicas = value["spec"]["replicas"].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
                let template = fingerprint(&value["spec"]["template"].to_string()).0;
                let template = u32::try_from(template >> 33).unwrap_or_default();
                let (namespace, name) = (Arc::clone(&key.1), Arc::clone(&key.2));
                let generation = header.generation;
                self.workloads.on_change(Deployment { namespace, name, generation, replicas, template });
            }
            return;
        }
        let meta = Meta {
            namespace: Arc::clone(&key.1),
            name: Arc::clone(&key.2),
            version: header.resource_version,
            generation: u32::try_from(header.generation).unwrap_or(u32::MAX),
            deleting: header.deleted.is_some(),
            finalizer: header.has_finalizer(FINALIZER),
            ..Meta::default()
        };
        self.controllers.on_event(Event { kind: key.0, change, meta, spec });
    }

    /// A user's or controller's delete, in the background.
    pub(super) fn delete(&mut self, kind: Kind, namespace: &str, name: &str, now: Time) -> u16 {
        let key = (kind, namespace.into(), name.into());
        let Some(stored) = self.objects.get(&key) else { return 404 };
        let background = Some(Propagation::Background);
        match life::delete(&stored.header, background, 0, false, false, now.0 / 1_000_000_000) {
            Deletion::Remove => self.remove(&key, now),
            Deletion::Mark(header) => self.rewrite(&key, *header, now),
            Deletion::Pending => {}
        }
        200
    }

    fn remove(&mut self, key: &Key, now: Time) {
        if let Some(stored) = self.objects.remove(key) {
            self.version += 1;
            (now.0, key, "removed").hash(&mut self.transitions.0);
            self.inform(key, Change::Deleted, &stored.header, None, "");
        }
    }

    /// Another header: the object stays, or goes if it was marked and nothing holds it any more.
    fn rewrite(&mut self, key: &Key, mut header: Header, now: Time) {
        if life::finished(&header, false) {
            return self.remove(key, now);
        }
        self.version += 1;
        header.resource_version = self.version;
        (now.0, key, header.generation, header.deleted.is_some()).hash(&mut self.transitions.0);
        self.inform(key, Change::Modified, &header, None, "");
        if let Some(stored) = self.objects.get_mut(key) {
            stored.header = header;
        }
    }

    /// Answers one call of a Flux controller.
    pub(super) fn answer(&mut self, world: &World, op: &Op, now: Time) -> Reply {
        self.calls += 1;
        if matches!(op.verb, Verb::Discover | Verb::List) {
            return Reply { code: 200, object: None };
        }
        let mut text = String::new();
        let Some(object) = self.controllers.object(op.body.slot) else { return Reply { code: 404, object: None } };
        let pen = Pen { catalogue: &world.catalogue, epoch: Span::ZERO };
        let form = pen.body(&mut text, object, op.body, op.kind, op.object);
        let spec = match (&object.spec, op.body.write) {
            (Spec::Release(release), Write::Chart) => release.chart.clone().map(|c| Spec::Chart(Arc::new(c))),
            _ => None,
        };
        let Some(key) = self.key(world, op) else { return Reply { code: 404, object: None } };
        let code = match (op.verb, op.body.write) {
            (Verb::Get, _) => {
                if self.objects.contains_key(&key) {
                    200
                } else {
                    404
                }
            }
            (Verb::Delete, _) => self.delete(key.0, &key.1, &key.2, now),
            (_, Write::Finalizer { .. } | Write::Empty | Write::Conditions | Write::Status(_)) => {
                self.patch(&key, op.body.write, &text, now)
            }
            _ if op.dry_run || form == Form::Strategic => {
                if self.objects.contains_key(&key) {
                    200
                } else {
                    201
                }
            }
            _ => self.put(key.clone(), fingerprint(&text), spec, &text, now),
        };
        let stored = self.objects.get(&key);
        let content = if op.dry_run { Some(fingerprint(&text)) } else { stored.map(|s| s.content) };
        let object = content.filter(|_| code < 300).map(|content| View {
            version: stored.map_or(0, |s| s.header.resource_version),
            generation: stored.map_or(0, |s| u32::try_from(s.header.generation).unwrap_or(u32::MAX)),
            content,
            current: stored.is_some_and(|s| key.0 != Kind::DEPLOYMENT || s.available == s.header.generation),
        });
        Reply { code, object }
    }

    /// A merge patch of a Flux object's finalizers or status.
    fn patch(&mut self, key: &Key, write: Write, text: &str, now: Time) -> u16 {
        let Some(stored) = self.objects.get_mut(key) else { return 404 };
        match write {
            Write::Finalizer { on } => {
                let mut header = stored.header.clone();
                let others: Vec<String> = header.finalizers().filter(|f| *f != FINALIZER).map(str::to_owned).collect();
                header.set_finalizers(others.iter().map(String::as_str).chain(on.then_some(FINALIZER)));
                self.rewrite(key, header, now);
            }
            Write::Empty => {}
            _ => {
                self.version += 1;
                stored.header.resource_version = self.version;
                (now.0, key, text).hash(&mut self.transitions.0);
            }
        }
        200
    }

    /// Which object a call is about.
    fn key(&self, world: &World, op: &Op) -> Option<Key> {
        let owner = self.controllers.object(op.body.slot)?;
        let mut name = String::new();
        let mut namespace = Arc::clone(&owner.meta.namespace);
        match Place::of(op.object) {
            Place::Flux(slot) => {
                let object = self.controllers.object(slot)?;
                return Some((object.kind, Arc::clone(&object.meta.namespace), Arc::clone(&object.meta.name)));
            }
            Place::Item(addon, n) => {
                let entry = world.catalogue.entry(addon);
                name.push_str(&entry.items.get(usize::from(n))?.name);
                namespace = entry.addon.namespace.as_str().into();
            }
            Place::Chart(_) => render::chart_name(&mut name, owner),
            Place::Release(_, revision) => render::secret_name(&mut name, owner, revision),
            Place::Event(_) => match op.body.write {
                Write::Event(notice) => render::event_name(&mut name, owner, notice.stamp),
                _ => return None,
            },
            Place::Server => return None,
        }
        Some((op.kind, namespace, name.into()))
    }
}

fn fingerprint(text: &str) -> ContentId {
    let mut hash = FxHasher::default();
    hash.write(text.as_bytes());
    ContentId(hash.finish())
}
