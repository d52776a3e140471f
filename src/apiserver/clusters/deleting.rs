//! DELETE of one object and of collections (G-01, G-02, G-05).

use super::prepare::{held, not_found};
use super::state::{State, Written};
use super::{Cluster, crds, guarded, namespaces};
use crate::apiserver::failure::Failure;
use crate::apiserver::life::{self, Deletion};
use crate::apiserver::object::Object;
use crate::apiserver::request::{Body, List, Now, Propagation, Request, Response};
use crate::apiserver::schema::Resource;
use crate::apiserver::select::Selector;
use crate::apiserver::store::{EventKind, Range};
use serde_json::{Value, json};
use std::sync::Arc;

/// What the one hears who deletes a job and says nothing of its pods.
const PODS_STAY: &str = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning";

/// `DeleteOptions` from the body if there is one, else from the query.
#[derive(Clone, Debug, Default)]
pub(super) struct DeleteOptions {
    pub(super) propagation: Option<Propagation>,
    pub(super) grace: Option<i64>,
    pub(super) uid: Option<String>,
    pub(super) version: Option<String>,
    pub(super) dry_run: bool,
}

/// What became of an object.
pub(super) enum Gone {
    /// It went.
    Removed(Arc<Object>),
    /// It waits with a deletion timestamp.
    Waits(Arc<Object>),
}

impl DeleteOptions {
    fn read(request: &Request<'_>) -> Result<Self, Failure> {
        let query = &request.options;
        let mut options = Self {
            propagation: query.propagation,
            grace: query.grace,
            uid: query.uid.map(str::to_owned),
            version: query.if_version.map(str::to_owned),
            dry_run: query.dry_run,
        };
        let body: Value = match request.body {
            Body::Json([]) | Body::None | Body::Patch(..) => return Ok(options),
            Body::Json(bytes) => serde_json::from_slice(bytes)
                .map_err(|error| Failure::bad_request(format!("error decoding DeleteOptions: {error}")))?,
            Body::Value(value) => value.clone(),
        };
        options.grace = body["gracePeriodSeconds"].as_i64().or(options.grace);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        options.uid = text(&body["preconditions"]["uid"]).or(options.uid);
        options.version = text(&body["preconditions"]["resourceVersion"]).or(options.version);
        options.dry_run |= body["dryRun"].as_array().is_some_and(|list| list.iter().any(|v| v == "All"));
        options.propagation = propagation(&body)?.or(options.propagation);
        Ok(options)
    }

    fn check(&self, resource: &Resource, object: &Object) -> Result<(), Failure> {
        let check = |asked: &Option<String>, actual: String, what: &str, hint: &str| match asked {
            Some(asked) if !asked.is_empty() && *asked != actual => {
                let why = format!(
                    "the {what} in the precondition ({asked}) does not match the {what} in record ({actual}). The object might have been {hint}"
                );
                // Here, unlike anywhere else, upstream names the kind.
                Err(Failure::conflict(&resource.kind, &resource.group, &object.meta.name, &why))
            }
            _ => Ok(()),
        };
        check(&self.uid, object.meta.uid.to_string(), "UID", "deleted and then recreated")?;
        check(&self.version, object.meta.resource_version.to_string(), "ResourceVersion", "modified")
    }
}

fn propagation(body: &Value) -> Result<Option<Propagation>, Failure> {
    let wrong = |text: &str| {
        Err(Failure::invalid_options("DeleteOptions", "propagationPolicy", "FieldValueNotSupported", text))
    };
    match (body["propagationPolicy"].as_str(), body["orphanDependents"].as_bool()) {
        (Some(_), Some(_)) => wrong("Invalid value: orphanDependents and deletionPropagation cannot be both set"),
        (Some("Orphan"), _) | (None, Some(true)) => Ok(Some(Propagation::Orphan)),
        (Some("Background"), _) | (None, Some(false)) => Ok(Some(Propagation::Background)),
        (Some("Foreground"), _) => Ok(Some(Propagation::Foreground)),
        (Some(other), _) => wrong(&format!(
            "Unsupported value: {other:?}: supported values: \"Foreground\", \"Background\", \"Orphan\""
        )),
        (None, None) => Ok(None),
    }
}

impl Cluster {
    pub(super) fn delete(&self, request: &Request<'_>, now: Now) -> Result<Response, Box<Failure>> {
        let options = DeleteOptions::read(request)?;
        let (resource, name) = (request.resource, request.name.unwrap_or_default());
        if let (Some(_), Some(old)) =
            (request.guard, self.lookup(resource, request.namespace.unwrap_or_default(), name))
        {
            options.check(resource, &old)?;
            guarded::deletion(request, &old)?;
        }
        let mut state = self.state.lock();
        let Some(old) = self.find(&state, resource, request.namespace.unwrap_or_default(), name) else {
            return Err(not_found(resource, name).into());
        };
        options.check(resource, &old)?;
        namespaces::check_deletable(resource, &old)?;
        let mut response = answer(resource, self.delete_in(&mut state, &old, &options, request.manager(), now));
        let job = resource.plural == "jobs" && resource.group == "batch";
        if let (true, None, Response::Object { warnings, .. } | Response::Document { warnings, .. }) =
            (job, options.propagation, &mut response)
        {
            warnings.push(PODS_STAY.to_owned());
        }
        Ok(response)
    }

    /// Deletes an object as its finalizers and its kind allow.
    pub(super) fn delete_in(
        &self,
        state: &mut State,
        old: &Arc<Object>,
        options: &DeleteOptions,
        manager: &str,
        now: Now,
    ) -> Gone {
        if crds::is_crd(&old.resource) && !options.dry_run {
            return self.delete_crd(state, old, manager, now);
        }
        let grace = grace(old, options);
        let orphans = orphans_by_default(&old.resource);
        let is_event = old.resource.plural == "events";
        let propagation = options.propagation.filter(|_| !is_event);
        match life::delete(&old.meta, propagation, grace, held(old), orphans, now.unix_secs()) {
            Deletion::Pending => Gone::Waits(old.clone()),
            Deletion::Mark(meta) => {
                let mut object = old.with_meta(*meta);
                if held(old) {
                    object = namespaces::terminating(&object);
                }
                if options.dry_run {
                    return Gone::Waits(Arc::new(object));
                }
                let written = Written { kind: EventKind::Modified, object, previous: Some(old), manager };
                Gone::Waits(self.commit(state, written, now))
            }
            Deletion::Remove if options.dry_run => Gone::Removed(old.clone()),
            Deletion::Remove if is_pod(old) && old.meta.deleted.is_none() => self.end_pod(state, old, manager, now),
            Deletion::Remove => {
                let object = (**old).clone();
                let written = Written { kind: EventKind::Deleted, object, previous: Some(old), manager };
                Gone::Removed(self.commit(state, written, now))
            }
        }
    }

    /// A pod that nobody runs is marked like all others, with no time to end, and gone at once (G-03).
    fn end_pod(&self, state: &mut State, old: &Arc<Object>, manager: &str, now: Now) -> Gone {
        let mut meta = old.meta.clone();
        life::mark(&mut meta, 0, now.unix_secs());
        let written = Written { kind: EventKind::Modified, object: old.with_meta(meta), previous: Some(old), manager };
        let marked = self.commit(state, written, now);
        let object = (*marked).clone();
        let gone = Written { kind: EventKind::Deleted, object, previous: Some(&marked), manager };
        self.commit(state, gone, now);
        Gone::Removed(marked)
    }

    pub(super) fn delete_collection(&self, request: &Request<'_>, now: Now) -> Result<Response, Box<Failure>> {
        let resource = request.resource;
        let options = DeleteOptions::read(request)?;
        let selector = Selector::parse(resource, request.options.label_selector, request.options.field_selector)?;
        let limit = usize::try_from(request.options.limit).unwrap_or(usize::MAX);
        let range = Range { namespace: request.namespace, after: None, selector: &selector, limit };
        if request.guard.is_some() {
            let found = self.page(&self.state.lock(), resource, &range, &[]);
            found.items.iter().try_for_each(|old| guarded::deletion(request, old))?;
        }
        let mut state = self.state.lock();
        let found = self.page(&state, resource, &range, &[]);
        let mut items = Vec::with_capacity(found.items.len());
        for old in &found.items {
            namespaces::check_deletable(resource, old)?;
            // What went is told as it was listed.
            items.push(match self.delete_in(&mut state, old, &options, request.manager(), now) {
                Gone::Removed(_) => old.clone(),
                Gone::Waits(object) => object,
            });
        }
        let resource_version = state.version;
        Ok(Response::List(List {
            resource: resource.clone(),
            resource_version,
            continue_token: None,
            remaining: None,
            items,
        }))
    }
}

fn answer(resource: &Arc<Resource>, gone: Gone) -> Response {
    match gone {
        Gone::Removed(object) if !resource.returns_deleted => {
            let mut details = json!({
                "name": &*object.meta.name, "kind": resource.plural, "uid": object.meta.uid.to_string(),
            });
            if !resource.group.is_empty() {
                details["group"] = json!(resource.group);
            }
            let body = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
            });
            Response::Document { code: 200, body, warnings: Vec::new() }
        }
        Gone::Removed(object) | Gone::Waits(object) => Response::Object { code: 200, object, warnings: Vec::new() },
    }
}

/// Kinds whose dependents stay unless the caller says otherwise (O-08).
fn orphans_by_default(resource: &Resource) -> bool {
    // Upstream keeps this default for the old versions of these kinds only: batch/v1 jobs and replication controllers.
    matches!((resource.group.as_str(), resource.plural.as_str()), ("batch", "jobs") | ("", "replicationcontrollers"))
}

fn is_pod(object: &Object) -> bool {
    object.resource.plural == "pods" && object.resource.group.is_empty()
}

/// Seconds that an object gets to end by itself: running pods only (G-03).
fn grace(object: &Object, options: &DeleteOptions) -> i64 {
    if !is_pod(object) {
        return 0;
    }
    let spec = object.field("spec");
    let scheduled = spec.is_some_and(|spec| !spec["nodeName"].as_str().unwrap_or_default().is_empty());
    let phase = object.field("status").and_then(|status| status["phase"].as_str()).unwrap_or_default();
    if !scheduled || matches!(phase, "Failed" | "Succeeded") {
        return 0;
    }
    let own = || spec.and_then(|spec| spec["terminationGracePeriodSeconds"].as_i64()).unwrap_or(30);
    options.grace.unwrap_or_else(own).max(0)
}
