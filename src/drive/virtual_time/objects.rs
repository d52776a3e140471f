//! What is on every API server at the end, as Kubernetes objects: for comparison with a live run.
//!
//! Objects of a simulation have no payload, so their documents are written here once, by the same translation and the same
//! pens as in a live run. What a simulation does not keep is left out: uids, versions, times of creation, managed fields.

use super::leaf::Leaf;
use super::shape;
use super::sim::Simulation;
use crate::calls::{Kind, Target};
use crate::model::flux::render::Pen;
use crate::model::flux::{Body, Build, Fields, Form, Object, Place, Write};
use crate::model::workload::hash_name;
use crate::reconcile::render::{Words, status_patch};
use crate::reconcile::{Slot, flux_version};
use crate::units::Span;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use std::collections::BTreeMap;

impl Simulation<'_> {
    /// Keeps all objects of this part by cluster; the hub is `hub`, or several together.
    pub(super) fn keep_objects(&mut self) {
        let mut all = BTreeMap::from([("hub".to_owned(), BTreeMap::new())]);
        for leaf in 0..self.leaves.len() {
            let name = self.ground.world.clusters().name(self.part.clusters[leaf]);
            let mut here = self.on_leaf_now(u32::try_from(leaf).unwrap_or(u32::MAX));
            for app in self.part.apps_of(u32::try_from(leaf).unwrap_or(u32::MAX)) {
                if !self.hub[app as usize].exists {
                    continue;
                }
                let (application, id) = (self.application(app), self.part.app(app).0);
                let on_hub = if self.home() == Target::Leaf {
                    let assignment = self.assignment(app, &application);
                    here.push(application);
                    assignment
                } else {
                    application
                };
                all.entry("hub".to_owned()).or_default().insert(id, on_hub);
            }
            all.insert(name, (0..).zip(here).collect());
        }
        for (cluster, objects) in all {
            self.sums.state.entry(cluster).or_default().extend(objects);
        }
    }

    /// What the hub of all leaves has of an Application: its spec, and what it was told of its status.
    fn assignment(&self, app: u32, application: &Value) -> Value {
        let told = &self.told[app as usize];
        let mut assignment = application.clone();
        assignment["metadata"]["generation"] = Value::Null;
        assignment["status"] = json!({ "health": { "status": format!("{:?}", told.health) },
            "sync": { "status": format!("{:?}", told.sync) } });
        assignment
    }

    fn pen(&self) -> Pen<'_> {
        Pen { catalogue: &self.ground.flux.catalogue, epoch: Span::ZERO }
    }

    fn application(&self, app: u32) -> Value {
        let (world, managed, on_hub) = (self.ground.world, &self.apps[app as usize], &self.hub[app as usize]);
        let app = self.part.app(app);
        let mut application = world.application(app, on_hub.target, "");
        let status = &on_hub.status;
        let (source, destination) = (to_raw_value(&application["spec"]["source"]), Value::Null);
        let source = source.ok();
        let destination = to_raw_value(&destination).ok();
        let mut revision = String::new();
        let leaf = &self.leaves[managed.leaf as usize];
        let kinds = managed.app.kinds;
        if let Some(object) = leaf.flux(managed.addon, Slot::Workload) {
            let at = object.status.applied.or(object.status.attempted);
            at.into_iter().for_each(|at| self.ground.flux.catalogue.write_revision(&mut revision, at));
        }
        let namespace = &*world.addon(app).namespace;
        let patch = status_patch(
            status,
            status.phase.is_some(),
            &Words {
                now: "1970-01-01T00:00:00Z",
                source: source.as_deref(),
                destination: destination.as_deref(),
                namespaces: [namespace; 2],
                names: [&managed.name; 2],
                versions: kinds.map(|kind| flux_version(kind, &self.ground.scenario.manager.flux_api)),
                messages: ["", ""],
                revision: if status.revision.0 == 0 { "" } else { &revision },
                problem: "",
                clear_conditions: false,
                clear_refresh: false,
                clear_operation: false,
                automated: true,
            },
        );
        let patch: Value = serde_json::from_slice(&patch).unwrap_or_default();
        application["status"] = patch["status"].clone();
        application["metadata"]["generation"] = on_hub.generation.into();
        application
    }

    fn on_leaf_now(&self, leaf: u32) -> Vec<Value> {
        let (world, number, leaf) = (self.ground.world, leaf, &self.leaves[leaf as usize]);
        let mut all = Vec::new();
        for app in self.part.apps_of(number) {
            let managed = &self.apps[app as usize];
            let (target, local, app) = (self.hub[app as usize].target, app, self.part.app(app));
            let (api, behaviour) = (&self.ground.scenario.manager.flux_api, self.rules.behaviour);
            let documents = shape::documents(world, api, behaviour, app, target);
            for slot in Slot::BOTH {
                let Some(object) = leaf.flux(managed.addon, slot) else { continue };
                let document = documents.as_ref().map(|documents| &documents[slot.index()]);
                all.push(self.flux_object(object, document.cloned().unwrap_or_default()));
            }
            all.extend(self.installed(leaf, local));
        }
        all.extend(leaf.charts().map(|chart| self.flux_object(chart, Value::Null)));
        all.extend(leaf.replica_sets().map(|(n, template)| {
            let of = &self.ground.items[n];
            let name = format!("{}-{}", of.name, hash_name(template));
            let namespace = &self.ground.namespaces[of.addon.index()];
            json!({ "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": { "name": name, "namespace": &**namespace } })
        }));
        all
    }

    /// A Flux object as its controller has it.
    fn flux_object(&self, object: &Object, document: Value) -> Value {
        let info = object.kind.info();
        let mut value = json!({ "apiVersion": format!("{}/{}", info.group, info.version), "kind": info.kind,
            "metadata": { "name": &*object.meta.name, "namespace": &*object.meta.namespace,
                "generation": object.meta.generation } });
        value["spec"] = document["spec"].clone();
        let slot = crate::model::flux::Slot(0);
        for write in [Write::Conditions, Write::Status(Fields::ALL)] {
            let mut text = String::new();
            let body = Body { agent: object.agent(), slot, write };
            let _: Form = self.pen().body(&mut text, object, body, object.kind, Place::Flux(slot).id());
            let patch: Value = serde_json::from_str(&text).unwrap_or_default();
            json_patch::merge(&mut value["status"], &patch["status"]);
        }
        // What a release has in force its controller knows, but v2 has no field for it.
        if let (Kind::HELM_RELEASE, Some(status)) = (object.kind, value["status"].as_object_mut()) {
            status.remove("lastAppliedRevision");
        }
        value
    }

    /// What an app has installed.
    fn installed(&self, leaf: &Leaf, app: u32) -> Vec<Value> {
        let (managed, app) = (&self.apps[app as usize], self.part.app(app));
        let addon = self.ground.world.addon_of(app);
        let Some(owner) = leaf.flux(managed.addon, Slot::Workload) else { return Vec::new() };
        let revision = owner.status.applied.or(owner.status.attempted);
        let path = &self.ground.world.addon(app).path;
        let build = revision.and_then(|revision| self.ground.flux.catalogue.build(revision, path));
        let build = build.unwrap_or(Build { addon, version: 0, commits: 0 });
        let count = u16::try_from(self.ground.flux.catalogue.items(addon).len()).unwrap_or(u16::MAX);
        let exists = |n: &u16| leaf.item(self.ground.item(addon, *n)).exists;
        let object = |n: u16| {
            let at = self.ground.item(addon, n);
            let (kind, mut text) = (self.ground.items[at].kind, String::new());
            let write = Write::Manifest { build, force: true };
            let body = Body { agent: owner.agent(), slot: crate::model::flux::Slot(0), write };
            let _: Form = self.pen().body(&mut text, owner, body, kind, Place::Item(addon, n).id());
            let mut value: Value = serde_json::from_str(&text).unwrap_or_default();
            let item = leaf.item(at);
            if item.generation > 0 {
                value["metadata"]["generation"] = item.generation.into();
            }
            if kind == Kind::DEPLOYMENT {
                value["status"] = json!({ "observedGeneration": item.available });
            }
            value
        };
        (0..count).filter(exists).map(object).collect()
    }
}
