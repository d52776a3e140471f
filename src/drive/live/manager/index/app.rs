//! Applications: what they ask for, what their status says, what a round needs of them.

use super::{Index, object_id};
use crate::calls::{ContentId, Kind, ObjectId};
use crate::drive::live::manager::object::{AppStatus, Object, STAMP};
use crate::ids::AppId;
use crate::reconcile::{
    self, Agenda, App, Health, Ids, Mode, Outcome, Phase, Plan, Problem, Resource, Seen, Slot, Status, Sync, Why,
    fingerprint, render,
};
use crate::scenario::Behaviour;
use crate::units::{Span, Time};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// An Application may arrive before the Secret of its cluster (assumed).
const HOMELESS_GRACE: Span = Span::from_secs(2);

/// Where an Application is to be deployed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) server: Box<str>,
    pub(super) name: Box<str>,
}

/// Of a spec only where it goes.
#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow)]
    destination: To<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct To<'a> {
    #[serde(borrow)]
    server: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
}

/// One Application.
#[derive(Debug)]
pub(in crate::drive::live::manager) struct Entry {
    pub(in crate::drive::live::manager) namespace: Box<str>,
    pub(in crate::drive::live::manager) name: Box<str>,
    pub(in crate::drive::live::manager) id: Option<AppId>,
    exists: bool,
    pub(super) cluster: Option<u32>,
    pub(super) destination: Destination,
    /// What the machine is shown.
    pub(super) app: App,
    /// The texts behind it.
    pub(in crate::drive::live::manager) words: Words,
    /// Fingerprint of everything that the snapshot was made from.
    inputs: ContentId,
    /// Why it waits in line, and when it is looked at again.
    pub(super) agenda: Agenda,
    /// When it was last read from the hub.
    read_at: Time,
}

/// The texts of an Application.
#[derive(Debug, Default)]
pub(in crate::drive::live::manager) struct Words {
    pub(in crate::drive::live::manager) destination_namespace: Box<str>,
    pub(in crate::drive::live::manager) names: [Box<str>; 2],
    /// Generated documents; empty in Reference mode.
    documents: [Box<str>; 2],
    pub(in crate::drive::live::manager) source: Option<Box<RawValue>>,
    pub(in crate::drive::live::manager) destination: Option<Box<RawValue>>,
    /// Why it cannot be translated or reached.
    pub(in crate::drive::live::manager) problem: Box<str>,
    pub(in crate::drive::live::manager) finalizers: Vec<String>,
    pub(in crate::drive::live::manager) rv: Box<str>,
    pub(in crate::drive::live::manager) uid: Box<str>,
}

/// What a round starts from.
#[derive(Debug)]
pub(in crate::drive::live::manager) struct Start {
    pub(in crate::drive::live::manager) app: App,
    pub(in crate::drive::live::manager) seen: [Seen; 2],
    pub(in crate::drive::live::manager) why: Why,
    pub(in crate::drive::live::manager) cluster: Option<u32>,
}

impl Entry {
    fn new(namespace: &str, name: &str, id: Option<AppId>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            id,
            exists: false,
            cluster: None,
            destination: Destination::default(),
            app: App::empty(),
            words: Words::default(),
            inputs: ContentId::default(),
            agenda: Agenda::default(),
            read_at: Time(0),
        }
    }

    /// It exists and has the Flux subsystem.
    pub(super) fn is_ours(&self) -> bool {
        self.exists && self.app.mode != Mode::Ordinary
    }

    /// The generated document of a slot.
    pub(in crate::drive::live::manager) fn document(&self, slot: Slot) -> Option<&str> {
        Some(&*self.words.documents[slot.index()]).filter(|document| !document.is_empty())
    }

    pub(in crate::drive::live::manager) const fn cluster_id(&self) -> Option<u32> {
        self.cluster
    }

    /// `spec.destination` as people call it.
    pub(in crate::drive::live::manager) fn destination_text(&self) -> &str {
        if self.destination.server.is_empty() { &self.destination.name } else { &self.destination.server }
    }

    pub(in crate::drive::live::manager) const fn snapshot(&self) -> &App {
        &self.app
    }
}

impl Index {
    /// An Application appeared or changed; whether it is this manager's. `id` numbers it for the harness.
    pub(in crate::drive::live::manager) fn app_applied(
        &mut self,
        object: &Object,
        id: Option<AppId>,
        now: Time,
    ) -> bool {
        let inputs = inputs(object);
        let full = full_name(object.namespace(), object.name());
        let known = self.by_name.get(&*full).copied().filter(|key| self.apps[*key as usize].exists);
        if let Some(key) = known
            && self.apps[key as usize].inputs == inputs
        {
            let entry = &mut self.apps[key as usize];
            entry.words.rv = object.resource_version().into();
            // Our own status, or somebody's who took it away.
            if object.status.is_empty() && entry.app.status.health.is_some() {
                entry.app.status = Status::default();
                self.enqueue(key, false, now);
            }
            return self.apps[key as usize].is_ours();
        }
        if self.is_anothers(&object.spec) {
            if let Some(key) = known {
                self.forget(key);
            }
            return false;
        }
        let key = self.key(object.namespace(), object.name(), id);
        let entry = &mut self.apps[key as usize];
        let known = entry.exists;
        entry.inputs = inputs;
        entry.exists = true;
        entry.read_at = now;
        self.read(key, object, known);
        let entry = &self.apps[key as usize];
        let cluster = self.settled_cluster(&entry.destination);
        if cluster.is_some_and(|cluster| !self.is_mine(cluster)) {
            self.forget(key);
            return false;
        }
        if cluster.is_none() {
            self.homeless.insert(key);
        } else {
            self.homeless.remove(&key);
        }
        self.settle(key, cluster);
        self.enqueue(key, false, now);
        self.apps[key as usize].is_ours()
    }

    /// Whether a spec names a cluster of another manager. Where several share a hub most events are about such, so nothing
    /// else of them is read.
    fn is_anothers(&self, spec: &str) -> bool {
        let Ok(Peek { destination: To { server, name } }) = serde_json::from_str(spec) else { return false };
        let destination = Destination { server: server.as_ref().into(), name: name.as_ref().into() };
        self.settled_cluster(&destination).is_some_and(|cluster| !self.is_mine(cluster))
    }

    /// An Application is gone.
    pub(in crate::drive::live::manager) fn app_deleted(&mut self, namespace: &str, name: &str) {
        if let Some(key) = self.by_name.get(&*full_name(namespace, name)) {
            self.forget(*key);
        }
    }

    /// The keys of all Applications that exist.
    pub(in crate::drive::live::manager) fn existing(&self) -> impl Iterator<Item = (&str, &str)> {
        self.apps.iter().filter(|entry| entry.exists).map(|entry| (&*entry.namespace, &*entry.name))
    }

    fn key(&mut self, namespace: &str, name: &str, id: Option<AppId>) -> u32 {
        let full = full_name(namespace, name);
        if let Some(key) = self.by_name.get(&*full) {
            return *key;
        }
        let key = u32::try_from(self.apps.len()).unwrap_or(u32::MAX);
        self.apps.push(Entry::new(namespace, name, id));
        self.by_name.insert(full, key);
        key
    }

    /// Reads everything that the Application says; its status only if this manager did not write it itself.
    fn read(&mut self, key: u32, object: &Object, known: bool) {
        let behaviour = self.rules.behaviour;
        let spec: Value = serde_json::from_str(&object.spec).unwrap_or_default();
        let application = serde_json::json!({
            "metadata": { "name": object.name(), "labels": object.labels, "annotations": object.annotations },
            "spec": spec,
        });
        let translated = reconcile::translate(&application, &self.api, behaviour);
        self.unwatch(key);
        let entry = &mut self.apps[key as usize];
        let options = &spec["syncPolicy"]["syncOptions"];
        let create_namespace = options.as_array().is_some_and(|all| all.iter().any(|o| o == "CreateNamespace=true"));
        let automated = &spec["syncPolicy"]["automated"];
        let old = &entry.app;
        let mut app = App {
            ids: Ids { app: ObjectId(u64::from(key)), ..old.ids },
            source: compared_to(&spec["source"], &spec["destination"]),
            automated: automated.is_object() && automated["enabled"] != false,
            self_heal: automated["selfHeal"] == true,
            create_namespace,
            deleting: object.deleting,
            cascade: object.finalizers.iter().any(|f| f == render::FINALIZER),
            refresh: object.annotations.contains_key(render::REFRESH),
            operation: object.operation,
            status: if known { old.status } else { written_status(&object.status) },
            detail_since: old.detail_since,
            synced_at: old.synced_at,
            ..App::empty()
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().into();
        let destination = &spec["destination"];
        entry.destination = Destination { server: text(&destination["server"]), name: text(&destination["name"]) };
        let raw = |value: &Value| serde_json::value::to_raw_value(value).ok();
        entry.words = Words {
            source: raw(&spec["source"]),
            destination: raw(destination),
            finalizers: object.finalizers.clone(),
            rv: object.resource_version().into(),
            uid: object.uid.clone(),
            ..Words::default()
        };
        match translated {
            Ok(plan) => plan_into(&mut app, &mut entry.words, plan, behaviour),
            Err(error) => {
                let text = error.to_string();
                app.mode = reconcile::mode(&spec);
                let crashes = behaviour == Behaviour::Faithful && error.crashes_the_original();
                let reported = Problem::Translation(fingerprint(text.as_bytes()));
                app.problem = Some(if crashes { Problem::Crash } else { reported });
                entry.words.problem = text.into();
            }
        }
        entry.app = app;
    }

    /// The Application belongs to this cluster; its objects get their numbers.
    pub(super) fn settle(&mut self, key: u32, cluster: Option<u32>) {
        if let Some(cluster) = cluster
            && !self.is_mine(cluster)
        {
            return self.forget(key);
        }
        let entry = &mut self.apps[key as usize];
        let moved = entry.cluster != cluster;
        let left = std::mem::replace(&mut entry.cluster, cluster);
        if moved && let Some(left) = left {
            self.clusters[left as usize].apps.retain(|app| *app != key);
        }
        let Some(cluster) = cluster else { return };
        if moved {
            self.clusters[cluster as usize].apps.push(key);
        }
        let entry = &mut self.apps[key as usize];
        let (kinds, words) = (entry.app.kinds, &entry.words);
        let id = |slot: Slot| {
            object_id(cluster, kinds[slot.index()], &words.destination_namespace, &words.names[slot.index()])
        };
        entry.app.ids.workload = id(Slot::Workload);
        entry.app.ids.source = id(Slot::Source);
        entry.app.ids.namespace = object_id(cluster, Kind::NAMESPACE, "", &words.destination_namespace);
        if entry.app.mode != Mode::Ordinary && entry.app.problem.is_none() {
            for object in [entry.app.ids.workload, entry.app.ids.source] {
                self.watch_object(object, key);
            }
            self.resolve_source(key);
        }
    }

    /// Reference mode: the app looks at the source that its workload names.
    pub(super) fn resolve_source(&mut self, key: u32) {
        let entry = &self.apps[key as usize];
        let (Mode::Reference, Some(cluster)) = (entry.app.mode, entry.cluster) else { return };
        let ids = entry.app.ids;
        if let Some((kind, source)) = self.named_source(cluster, ids.workload) {
            self.leave_object(ids.source, key);
            self.watch_object(source, key);
            let app = &mut self.apps[key as usize].app;
            app.kinds[1] = kind;
            app.ids.source = source;
        }
    }

    fn unwatch(&mut self, key: u32) {
        let ids = self.apps[key as usize].app.ids;
        for object in [ids.workload, ids.source] {
            self.leave_object(object, key);
        }
    }

    pub(super) fn forget(&mut self, key: u32) {
        self.unwatch(key);
        self.homeless.remove(&key);
        let entry = &mut self.apps[key as usize];
        let cluster = entry.cluster.take();
        let id = entry.id;
        let (namespace, name) = (std::mem::take(&mut entry.namespace), std::mem::take(&mut entry.name));
        *entry = Entry::new(&namespace, &name, id);
        if let Some(cluster) = cluster {
            self.clusters[cluster as usize].apps.retain(|app| *app != key);
        }
        self.queue.forget(key);
        self.queue.cancel_delay(key);
    }

    /// What a round over this app starts from; `None` if it has to wait for a watch or is not ours any more.
    pub(in crate::drive::live::manager) fn begin(&mut self, key: u32, now: Time) -> Option<Start> {
        let entry = &mut self.apps[key as usize];
        if !entry.is_ours() {
            return None;
        }
        let noted = entry.agenda;
        let why = entry.agenda.begin(now);
        let (mut app, cluster) = (entry.app, entry.cluster);
        let mut seen = [Seen::Unknown; 2];
        match (cluster, app.problem) {
            (_, Some(_)) => {}
            (None, None) if !self.first => return None,
            // Its Secret may be on its way.
            (None, None) if now.since(entry.read_at) < HOMELESS_GRACE => {
                self.queue.add_after(key, HOMELESS_GRACE, now);
                return None;
            }
            (None, None) => app.problem = Some(Problem::NoCluster),
            (Some(cluster), None) => match self.look(key, cluster) {
                Ok(Some(looked)) => seen = looked,
                Ok(None) => {
                    // The end of the initial list puts it back in line.
                    self.apps[key as usize].agenda = noted;
                    return None;
                }
                Err(problem) => {
                    if let (Problem::Translation(_), Err(reason)) = (problem, &self.clusters[cluster as usize].route) {
                        self.apps[key as usize].words.problem = reason.clone();
                    }
                    app.problem = Some(problem);
                }
            },
        }
        // The source may have been resolved while looking.
        let entry = &self.apps[key as usize];
        (app.ids, app.kinds) = (entry.app.ids, entry.app.kinds);
        if let Some(cluster) = cluster {
            self.clusters[cluster as usize].rounds += 1;
        }
        Some(Start { app, seen, why, cluster })
    }

    /// What the cache says of both objects; `None` while a watch is opening.
    fn look(&mut self, key: u32, cluster: u32) -> Result<Option<[Seen; 2]>, Problem> {
        let cached = self.rules.client_cache || self.rules.behaviour == Behaviour::Faithful;
        if !cached {
            // Only to know whether the cluster can be reached at all.
            return match &self.clusters[cluster as usize].route {
                Ok(_) => Ok(Some([Seen::Unknown; 2])),
                Err(reason) => Err(Problem::Translation(fingerprint(reason.as_bytes()))),
            };
        }
        let kinds = self.apps[key as usize].app.kinds;
        let ready = [self.watched(cluster, kinds[0])?, self.watched(cluster, kinds[1])?];
        if ready != [true, true] {
            return Ok(None);
        }
        let ids = self.apps[key as usize].app.ids;
        Ok(Some([self.seen(key, Slot::Workload, ids.workload), self.seen(key, Slot::Source, ids.source)]))
    }

    /// A round over this app ended.
    pub(in crate::drive::live::manager) fn end(&mut self, key: u32, outcome: &Outcome, now: Time) {
        let resync = self.resync;
        let entry = &mut self.apps[key as usize];
        if entry.is_ours() {
            entry.app.settle(outcome, now);
            entry.agenda.end(key, outcome, &resync, &mut self.queue, now);
        }
        self.queue.done(key);
    }

    /// What was asked for in annotations and fields is answered.
    pub(in crate::drive::live::manager) fn answered(&mut self, key: u32) {
        let app = &mut self.apps[key as usize].app;
        app.refresh = false;
        app.operation = false;
    }
}

fn full_name(namespace: &str, name: &str) -> Box<str> {
    [namespace, "/", name].concat().into()
}

fn inputs(object: &Object) -> ContentId {
    let mut text = object.content().0 ^ u64::from(object.deleting) << 1 ^ u64::from(object.operation) << 2;
    for finalizer in &object.finalizers {
        text = text.rotate_left(7) ^ fingerprint(finalizer.as_bytes()).0;
    }
    ContentId(text | 1)
}

fn compared_to(source: &Value, destination: &Value) -> ContentId {
    fingerprint(serde_json::json!([source, destination]).to_string().as_bytes())
}

fn plan_into(app: &mut App, words: &mut Words, plan: Plan, behaviour: Behaviour) {
    app.mode = plan.mode;
    app.kinds = plan.kinds;
    words.destination_namespace = plan.namespace.into();
    words.names = plan.names.map(Into::into);
    if let Some(documents) = plan.documents {
        for (slot, mut document) in Slot::BOTH.into_iter().zip(documents) {
            let id = fingerprint(document.to_string().as_bytes());
            app.desired[slot.index()] = id;
            if behaviour == Behaviour::Fixed {
                let annotations = &mut document["metadata"]["annotations"];
                if !annotations.is_object() {
                    *annotations = serde_json::json!({});
                }
                annotations[STAMP] = format!("{:016x}", id.0).into();
            }
            words.documents[slot.index()] = document.to_string().into();
        }
    }
}

/// The status that an earlier manager wrote.
fn written_status(text: &str) -> Status {
    let written: AppStatus = serde_json::from_str(text).unwrap_or_default();
    let resource = |index: usize| {
        let resource = written.resources.get(index)?;
        let health = resource.health.as_ref();
        Some(Resource {
            kind: Kind::find(&resource.group, &resource.kind)?,
            sync: Sync::from_word(&resource.status),
            health: health.and_then(|h| Health::from_word(&h.status)),
            message: health.map(|h| fingerprint(h.message.as_bytes())).unwrap_or_default(),
        })
    };
    let failed = written.conditions.iter().any(|c| matches!(&*c.r#type, "ComparisonError" | "SyncError"));
    let compared = written.sync.compared_to.as_ref();
    Status {
        sync: Sync::from_word(&written.sync.status),
        health: Health::from_word(&written.health.status),
        resources: [resource(0), resource(1)],
        revision: fingerprint(written.sync.revision.as_bytes()),
        compared_to: compared.map(|c| compared_to(&c.source, &c.destination)).unwrap_or_default(),
        // Which problem it was cannot be told from its text; whatever is found now is news.
        problem: failed.then_some(Problem::SourceKind),
        phase: written.operation_state.and_then(|o| Phase::from_word(&o.phase)),
    }
}
