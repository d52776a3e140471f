//! The life of a CustomResourceDefinition: accepted names, Established, what the cluster serves, and the end of
//! its instances.

use super::Cluster;
use super::deleting::{DeleteOptions, Gone};
use super::namespaces::rebuilt;
use super::state::{State, Written};
use crate::apiserver::defaults::defaults;
use crate::apiserver::life;
use crate::apiserver::object::{Kept, Object, instant};
use crate::apiserver::request::Now;
use crate::apiserver::schema::{Catalog, Resource};
use crate::apiserver::select::Selector;
use crate::apiserver::store::{EventKind, Range};
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHasher};
use serde_json::{Map, Value, json};
use std::hash::Hasher;
use std::sync::{Arc, LazyLock};

const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";
const MANAGER: &str = "kube-apiserver";

pub(super) fn is_crd(resource: &Resource) -> bool {
    resource.plural == "customresourcedefinitions" && resource.group == "apiextensions.k8s.io"
}

fn condition(kind: &str, status: &str, reason: &str, message: &str, time: &str) -> Value {
    json!({ "lastTransitionTime": time, "message": message, "reason": reason, "status": status, "type": kind })
}

/// The names that a definition asks for, with singular and list kind filled in.
fn names(spec: &Value) -> Value {
    let mut names = spec["names"].clone();
    if !names.is_object() {
        names = Value::Object(Map::new());
    }
    let kind = names["kind"].as_str().unwrap_or_default().to_owned();
    if names["singular"].as_str().unwrap_or_default().is_empty() {
        names["singular"] = json!(kind.to_lowercase());
    }
    if names["listKind"].as_str().unwrap_or_default().is_empty() {
        names["listKind"] = json!(format!("{kind}List"));
    }
    names
}

fn stored_versions(spec: &Value) -> Vec<Value> {
    let versions = spec["versions"].as_array().into_iter().flatten();
    versions.filter(|version| version["storage"] == true).map(|version| version["name"].clone()).collect()
}

/// What a definition leaves to defaults.
pub(super) fn fill(crd: &mut Value) {
    let filled = names(&crd["spec"]);
    if crd["spec"].is_object() {
        crd["spec"]["names"] = filled;
        if crd["spec"]["conversion"].is_null() {
            crd["spec"]["conversion"] = json!({ "strategy": "None" });
        }
    }
}

const ACCEPTED: [&str; 4] = ["NamesAccepted", "True", "NoConflicts", "no conflicts found"];
const ESTABLISHED: [&str; 4] = ["Established", "True", "InitialNamesAccepted", "the initial names have been accepted"];
const INSTALLING: [&str; 4] = ["Established", "False", "Installing", "the initial names have been accepted"];

fn status(spec: &Value, conditions: &[[&str; 4]], time: &str) -> Value {
    let conditions: Vec<Value> = conditions.iter().map(|[k, s, r, m]| condition(k, s, r, m, time)).collect();
    json!({ "acceptedNames": names(spec), "conditions": conditions, "storedVersions": stored_versions(spec) })
}

/// The status of a definition that nobody has looked at yet.
pub(super) fn unaccepted(spec: &Value) -> Value {
    json!({ "acceptedNames": { "kind": "", "plural": "" }, "conditions": [], "storedVersions": stored_versions(spec) })
}

/// A definition as it is once established, for profiles.
pub(super) fn established(crd: &Value) -> Value {
    let mut crd = crd.clone();
    fill(&mut crd);
    crd["status"] = status(&crd["spec"], &[ACCEPTED, ESTABLISHED], "1970-01-01T00:00:00Z");
    crd
}

/// Catalogs by the definitions that they serve: clusters that install the same ones share one.
static CATALOGS: LazyLock<Mutex<FxHashMap<u64, Catalog>>> = LazyLock::new(Mutex::default);
/// Catalogs kept at most; the table starts over beyond.
const CATALOGS_MAX: usize = 256;

impl Cluster {
    /// A definition came, changed or went: names, conditions, what is served, who watches.
    pub(super) fn after_crd(
        &self,
        state: &mut State,
        kind: EventKind,
        object: &Arc<Object>,
        previous: Option<&Arc<Object>>,
        now: Now,
    ) {
        match kind {
            EventKind::Added => self.establish(state, object, now),
            EventKind::Modified if previous.is_some_and(|previous| previous.spec() != object.spec()) => {
                self.serve(state);
                self.close_watches(state, object);
                self.refill(state, object);
                self.refresh_names(state, object, now);
            }
            EventKind::Modified => {}
            EventKind::Deleted => {
                self.serve(state);
                self.close_watches(state, object);
            }
        }
    }

    fn establish(&self, state: &mut State, crd: &Arc<Object>, now: Now) {
        let time = instant::format(now.unix_secs());
        let spec = crd.field("spec").cloned().unwrap_or_default();
        let (free, conflict) = self.free_names(state, crd, &spec);
        if let Some((reason, taken)) = conflict {
            let mut refused = status(&spec, &[], &time);
            let message = format!("{taken:?} is already in use");
            refused["conditions"] = json!([
                condition("NamesAccepted", "False", reason, &message, &time),
                condition("Established", "False", "NotAccepted", "not all names are accepted", &time),
            ]);
            refused["acceptedNames"] = free;
            self.set_status(state, crd, refused, now);
            return;
        }
        let first = self.set_status(state, crd, status(&spec, &[ACCEPTED, INSTALLING], &time), now);
        // Served before it says so: who waits for Established may use it at once.
        self.serve_with(state, &first);
        self.set_status(state, &first, status(&spec, &[ACCEPTED, ESTABLISHED], &time), now);
    }

    fn refresh_names(&self, state: &mut State, crd: &Arc<Object>, now: Now) {
        let spec = crd.field("spec").cloned().unwrap_or_default();
        let Some(mut status) = crd.field("status").cloned() else { return };
        status["acceptedNames"] = names(&spec);
        let mut versions = status["storedVersions"].as_array().cloned().unwrap_or_default();
        for version in stored_versions(&spec) {
            if !versions.contains(&version) {
                versions.push(version);
            }
        }
        status["storedVersions"] = Value::Array(versions);
        if crd.field("status") != Some(&status) {
            self.set_status(state, crd, status, now);
        }
    }

    fn set_status(&self, state: &mut State, crd: &Arc<Object>, status: Value, now: Now) -> Arc<Object> {
        let mut value = crd.to_value(&crd.resource);
        value["status"] = status;
        let object = rebuilt(crd, value);
        let written = Written { kind: EventKind::Modified, object, previous: Some(crd), manager: MANAGER };
        self.commit(state, written, now)
    }

    /// The names that no other definition of the group has, and the last conflict: each name is accepted or refused by
    /// itself (`apiextensions-apiserver/pkg/controller/status`).
    fn free_names(&self, state: &State, crd: &Object, spec: &Value) -> (Value, Option<(&'static str, String)>) {
        let group = spec["group"].as_str().unwrap_or_default();
        let others = || {
            let own = |other: &Resource| format!("{}.{}", other.plural, other.group) == *crd.meta.name;
            state.catalog.resources().iter().filter(move |other| other.group == group && !own(other))
        };
        let path = |text: &str| {
            others().any(|o| text == o.plural || text == o.singular || o.short_names.iter().any(|s| s == text))
        };
        let kind = |text: &str| others().any(|o| text == o.kind || text == o.list_kind);
        let asked = names(spec);
        let mut free = json!({ "kind": "", "plural": "" });
        let mut conflict = None;
        for (name, reason, in_path) in [
            ("plural", "PluralConflict", true),
            ("singular", "SingularConflict", true),
            ("kind", "KindConflict", false),
            ("listKind", "ListKindConflict", false),
        ] {
            let text = asked[name].as_str().unwrap_or_default();
            let taken = if in_path { path(text) } else { kind(text) };
            if taken {
                conflict = Some((reason, text.to_owned()));
            } else {
                free[name] = json!(text);
            }
        }
        (free, conflict)
    }

    /// Gives what is stored the defaults of the schema that is served from now on. The original does so whenever it
    /// reads; here it is done once.
    fn refill(&self, state: &mut State, crd: &Object) {
        let served = instances_of(&state.catalog, crd);
        let Some(any) = served.first() else { return };
        let range = Range { namespace: None, after: None, selector: &Selector::default(), limit: 0 };
        for object in self.page(state, any, &range, &[]).items {
            let resource = served.iter().find(|one| one.version == object.resource.version).unwrap_or(any);
            let old = object.to_value(resource);
            let mut new = old.clone();
            defaults(resource, &mut new, Kept::default());
            if new == old {
                continue;
            }
            if let Ok(mut filled) = Object::from_value(resource, new) {
                filled.meta = object.meta.clone();
                self.reread(state, filled);
            }
        }
    }

    fn definitions(&self, state: &State) -> Vec<Arc<Object>> {
        let Some(resource) = state.catalog.find("apiextensions.k8s.io", "v1", "customresourcedefinitions") else {
            return Vec::new();
        };
        let range = Range { namespace: None, after: None, selector: &Selector::default(), limit: 0 };
        self.page(state, resource, &range, &[]).items
    }

    fn serve(&self, state: &mut State) {
        let served: Vec<Arc<Object>> = self.definitions(state).into_iter().filter(|crd| is_established(crd)).collect();
        serve_these(state, &served);
    }

    fn serve_with(&self, state: &mut State, one: &Arc<Object>) {
        let served: Vec<Arc<Object>> = self
            .definitions(state)
            .into_iter()
            .filter(|crd| is_established(crd) || crd.meta.uid == one.meta.uid)
            .collect();
        serve_these(state, &served);
    }

    /// The real server ends the watches of a kind whose definition changes: clients see a clean end.
    fn close_watches(&self, state: &State, crd: &Object) {
        for resource in instances_of(&state.catalog, crd) {
            if let Some(feed) = state.feed(&resource) {
                feed.close();
            }
        }
        for resource in self.stored_resources(state) {
            if format!("{}.{}", resource.plural, resource.group) == *crd.meta.name
                && let Some(feed) = state.feed(&resource)
            {
                feed.close();
            }
        }
    }

    /// Marks a definition, deletes its instances, and removes it once none is left.
    pub(super) fn delete_crd(&self, state: &mut State, crd: &Arc<Object>, manager: &str, now: Now) -> Gone {
        if crd.meta.deleted.is_some() {
            return Gone::Waits(crd.clone());
        }
        let time = instant::format(now.unix_secs());
        let mut value = crd.to_value(&crd.resource);
        let terminating = condition(
            "Terminating",
            "True",
            "InstanceDeletionPending",
            "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
            &time,
        );
        if let Some(conditions) = value["status"]["conditions"].as_array_mut() {
            conditions.push(terminating);
        }
        let mut object = rebuilt(crd, value);
        let finalizers: Vec<String> = crd.meta.finalizers().map(str::to_owned).collect();
        object.meta.set_finalizers(finalizers.iter().map(String::as_str).filter(|f| *f != CLEANUP).chain([CLEANUP]));
        (object.meta.deleted, object.meta.grace) = (Some(now.unix_secs()), Some(0));
        object.meta.generation += 1;
        let written = Written { kind: EventKind::Modified, object, previous: Some(crd), manager };
        let marked = self.commit(state, written, now);
        self.clean_up(state, &marked, now);
        Gone::Waits(marked)
    }

    fn clean_up(&self, state: &mut State, crd: &Arc<Object>, now: Now) {
        let all = Selector::default();
        let range = Range { namespace: None, after: None, selector: &all, limit: 0 };
        let Some(resource) = instances_of(&state.catalog, crd).first().cloned() else {
            self.finish_crd(state, crd, now);
            return;
        };
        let instances = self.page(state, &resource, &range, &[]).items;
        for instance in instances.iter().filter(|instance| instance.meta.deleted.is_none()) {
            self.delete_in(state, instance, &DeleteOptions::default(), MANAGER, now);
        }
        if self.page(state, &resource, &range, &[]).items.is_empty() {
            self.finish_crd(state, crd, now);
        }
    }

    /// An instance went: its definition may have waited for that.
    pub(super) fn continue_crd_cleanup(&self, state: &mut State, resource: &Resource, now: Now) {
        let Some(crds) = state.catalog.find("apiextensions.k8s.io", "v1", "customresourcedefinitions").cloned() else {
            return;
        };
        let name = format!("{}.{}", resource.plural, resource.group);
        let Some(crd) = self.find(state, &crds, "", &name) else { return };
        let range = Range { namespace: None, after: None, selector: &Selector::default(), limit: 1 };
        if crd.meta.deleted.is_some() && self.page(state, resource, &range, &[]).items.is_empty() {
            self.finish_crd(state, &crd, now);
        }
    }

    fn finish_crd(&self, state: &mut State, crd: &Arc<Object>, now: Now) {
        let Some(crd) = self.find(state, &crd.resource, "", &crd.meta.name) else { return };
        let mut meta = crd.meta.clone();
        meta.set_finalizers(crd.meta.finalizers().filter(|f| *f != CLEANUP));
        let object = crd.with_meta(meta);
        let kind = if life::finished(&object.meta, false) { EventKind::Deleted } else { EventKind::Modified };
        self.commit(state, Written { kind, object, previous: Some(&crd), manager: MANAGER }, now);
    }
}

fn is_established(crd: &Object) -> bool {
    let conditions = crd.field("status").and_then(|status| status["conditions"].as_array());
    conditions.is_some_and(|list| list.iter().any(|c| c["type"] == "Established" && c["status"] == "True"))
}

/// The resources that a definition defines, one per served version.
fn instances_of(catalog: &Catalog, crd: &Object) -> Vec<Arc<Resource>> {
    let name = &*crd.meta.name;
    let of = |one: &&Arc<Resource>| one.custom && format!("{}.{}", one.plural, one.group) == *name;
    catalog.resources().iter().filter(of).cloned().collect()
}

fn serve_these(state: &mut State, crds: &[Arc<Object>]) {
    state.applied.forget();
    let mut hasher = FxHasher::default();
    for crd in crds {
        hasher.write(crd.meta.name.as_bytes());
        hasher.write(crd.spec().map_or(&[][..], |spec| spec.bytes()));
    }
    let id = hasher.finish();
    if let Some(known) = CATALOGS.lock().get(&id) {
        state.catalog = known.clone();
        return;
    }
    let values: Vec<Value> = crds.iter().map(|crd| crd.to_value(&crd.resource)).collect();
    // A definition that cannot be read was refused by validation; should one slip through, the old ones stay served.
    if let Ok(catalog) = Catalog::builtin().with_crds(&values) {
        let mut catalogs = CATALOGS.lock();
        if catalogs.len() >= CATALOGS_MAX {
            catalogs.clear();
        }
        catalogs.insert(id, catalog.clone());
        state.catalog = catalog;
    }
}
