//! Namespaces: which may not go, what a new one gets, and how a going one is emptied (G-06).

use super::Cluster;
use super::deleting::{DeleteOptions, Gone};
use super::state::{State, Work, Written};
use super::update::with_field;
use crate::apiserver::failure::Failure;
use crate::apiserver::life;
use crate::apiserver::object::{Object, instant};
use crate::apiserver::request::Now;
use crate::apiserver::schema::Resource;
use crate::apiserver::select::Selector;
use crate::apiserver::store::{EventKind, Range};
use serde_json::{Value, json};
use std::sync::Arc;

const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

pub(super) fn is_namespace(resource: &Resource) -> bool {
    resource.plural == "namespaces" && resource.group.is_empty()
}

/// Refuses to delete what must stay, and what is on its way already.
pub(super) fn check_deletable(resource: &Resource, object: &Object) -> Result<(), Failure> {
    if !is_namespace(resource) {
        return Ok(());
    }
    let name = &*object.meta.name;
    if IMMORTAL.contains(&name) {
        return Err(Failure::forbidden("namespaces", "", name, "this namespace may not be deleted"));
    }
    Ok(())
}

/// The namespace with the phase of a going one.
pub(super) fn terminating(namespace: &Object) -> Object {
    with_status(namespace, |status| status["phase"] = json!("Terminating"))
}

fn with_status(object: &Object, change: impl FnOnce(&mut Value)) -> Object {
    let mut value = object.to_value(&object.resource);
    if !value["status"].is_object() {
        value["status"] = json!({});
    }
    change(&mut value["status"]);
    rebuilt(object, value)
}

/// An object from a changed value of itself.
pub(super) fn rebuilt(object: &Object, value: Value) -> Object {
    // The value came from an object of this kind, so it makes one.
    Object::from_value(&object.resource, value).unwrap_or_else(|_| object.clone())
}

impl Cluster {
    /// A new namespace gets its service account and the root certificate, as kube-controller-manager does.
    pub(super) fn fill_namespace(&self, state: &mut State, namespace: &str, now: Now) {
        let account = json!({ "metadata": { "name": "default" } });
        let root = json!({
            "metadata": {
                "name": "kube-root-ca.crt",
                "annotations": { "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters." },
            },
            "data": { "ca.crt": "" },
        });
        for (plural, mut value) in [("serviceaccounts", account), ("configmaps", root)] {
            let Some(resource) = state.catalog.find("", "v1", plural).cloned() else { continue };
            let name = value["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            if self.find(state, &resource, namespace, &name).is_some() {
                continue;
            }
            value["metadata"]["namespace"] = json!(namespace);
            value["metadata"]["creationTimestamp"] = json!(instant::format(now.unix_secs()));
            let Ok(mut object) = Object::from_value(&resource, value) else { continue };
            object.meta.uid = self.next_uid(state, &resource, namespace, &name);
            let manager = "kube-controller-manager";
            self.commit(state, Written { kind: EventKind::Added, object, previous: None, manager }, now);
        }
    }

    /// Deletes what a going namespace holds; lets it go once nothing is left.
    pub(super) fn purge_namespace(&self, state: &mut State, namespace: &str, now: Now) {
        let Some(namespaces) = state.catalog.find("", "v1", "namespaces").cloned() else { return };
        let Some(going) = self.find(state, &namespaces, "", namespace).filter(|one| one.meta.deleted.is_some()) else {
            return;
        };
        let (all, options) = (Selector::default(), DeleteOptions::default());
        let mut left: Vec<Arc<Object>> = Vec::new();
        for resource in self.stored_resources(state).into_iter().filter(|resource| resource.namespaced) {
            let range = Range { namespace: Some(namespace), after: None, selector: &all, limit: 0 };
            for object in self.page(state, &resource, &range, &[]).items {
                match self.delete_in(state, &object, &options, "kube-controller-manager", now) {
                    Gone::Removed(_) => {}
                    Gone::Waits(object) => left.push(object),
                }
            }
        }
        if !left.is_empty() {
            self.show_content(state, &going, &left, now);
            return;
        }
        let mut value = going.to_value(&namespaces);
        value["spec"] = with_field(value["spec"].take(), "finalizers", None);
        let object = rebuilt(&going, value);
        let gone = life::finished(&object.meta, false);
        let kind = if gone { EventKind::Deleted } else { EventKind::Modified };
        let manager = "kube-controller-manager";
        self.commit(state, Written { kind, object, previous: Some(&going), manager }, now);
    }

    /// Says in the namespace's conditions what keeps it.
    fn show_content(&self, state: &mut State, going: &Arc<Object>, left: &[Arc<Object>], now: Now) {
        let mut kinds: Vec<String> = left
            .iter()
            .map(|object| {
                let resource = &object.resource;
                let count = left.iter().filter(|other| Arc::ptr_eq(&other.resource, resource)).count();
                format!("{} has {count} resource instances", resource.group_resource())
            })
            .collect();
        kinds.sort();
        kinds.dedup();
        let mut finalizers: Vec<&str> = left.iter().flat_map(|object| object.meta.finalizers()).collect();
        finalizers.sort_unstable();
        let mut held_by: Vec<String> = finalizers
            .iter()
            .map(|f| format!("{f} in {} resource instances", finalizers.iter().filter(|other| *other == f).count()))
            .collect();
        held_by.dedup();
        let time = instant::format(now.unix_secs());
        let condition = |kind: &str, status: bool, reason: &str, message: String| {
            json!({
                "type": kind, "status": if status { "True" } else { "False" }, "reason": reason, "message": message,
                "lastTransitionTime": time,
            })
        };
        let fine = |kind: &str, reason: &str, message: &str| condition(kind, false, reason, message.to_owned());
        let conditions = json!([
            fine("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
            fine(
                "NamespaceDeletionGroupVersionParsingFailure",
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed"
            ),
            fine(
                "NamespaceDeletionContentFailure",
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization"
            ),
            condition(
                "NamespaceContentRemaining",
                true,
                "SomeResourcesRemain",
                format!("Some resources are remaining: {}", kinds.join(", "))
            ),
            condition(
                "NamespaceFinalizersRemaining",
                !held_by.is_empty(),
                "SomeFinalizersRemain",
                format!("Some content in the namespace has finalizers remaining: {}", held_by.join(", "))
            ),
        ]);
        let same = |old: &Value| {
            let texts = |list: &Value| -> Vec<Value> {
                list.as_array().into_iter().flatten().map(|c| c["message"].clone()).collect()
            };
            texts(&old["conditions"]) == texts(&conditions)
        };
        if going.field("status").is_some_and(same) {
            return;
        }
        let object = with_status(going, |status| status["conditions"] = conditions.clone());
        let manager = "kube-controller-manager";
        self.commit(state, Written { kind: EventKind::Modified, object, previous: Some(going), manager }, now);
    }

    /// What namespaces cause: content for new ones, emptying of going ones.
    pub(super) fn after_namespace(&self, state: &mut State, kind: EventKind, object: &Object, now: Now) {
        let name = object.meta.name.clone();
        match kind {
            EventKind::Added => self.later(state, Work::NamespaceCame(name), now),
            EventKind::Modified if object.meta.deleted.is_some() => {
                self.later(state, Work::NamespaceGoing(name), now);
            }
            _ => {}
        }
    }
}
