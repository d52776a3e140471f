//! PUT, and the one way in which an object changes.

use super::prepare::{
    Before, Owners, Prepared, Writing, changes, check_uid, decode, held, not_found, own_new, own_old, prepare,
};
use super::state::Written;
use super::{Cluster, guarded};
use crate::apiserver::failure::{Cause, Failure};
use crate::apiserver::life;
use crate::apiserver::object::{Kept, Object};
use crate::apiserver::request::{Now, Request, Response};
use crate::apiserver::store::EventKind;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// How often a write without a resourceVersion of its own starts over when somebody else was quicker.
pub(super) const ATTEMPTS: usize = 16;

impl Cluster {
    pub(super) fn update(&self, request: &Request<'_>, now: Now) -> Result<Response, Box<Failure>> {
        let resource = request.resource;
        let mut body = decode(request)?;
        let name = request.name.unwrap_or_default();
        let sent = body["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        if !sent.is_empty() && sent.parse::<u64>().is_err() {
            return Err(Failure::bare(format!("strconv.ParseUint: parsing {sent:?}: invalid syntax")).into());
        }
        let sent_version = if sent == "0" { "" } else { sent }.to_owned();
        for _ in 0..ATTEMPTS {
            let Some(old) = self.lookup(resource, request.namespace.unwrap_or_default(), name) else {
                if request.subresource.is_some() || !resource.create_on_update {
                    return Err(not_found(resource, name).into());
                }
                let mut value = body;
                own_new(&mut value["metadata"]);
                return self.insert(request, value, Owners::Record, now);
            };
            check_uid(resource, &old, body["metadata"]["uid"].as_str())?;
            if sent_version.is_empty() && !resource.unconditional_update {
                return Err(unconditional(request).into());
            }
            if !sent_version.is_empty() && sent_version != old.meta.resource_version.to_string() {
                return Err(Failure::modified(&resource.plural, &resource.group, name).into());
            }
            let kept = left_alone(request, &old);
            let old_value = old.parts(resource, kept);
            // Whoever names a version has one attempt.
            let sent = if sent_version.is_empty() { body.clone() } else { std::mem::take(&mut body) };
            let value = through_door(request, &old_value, sent);
            let before = Before { object: &old, value: &old_value, kept };
            if let Some(response) = self.replace(request, &before, value, Owners::Record, now)? {
                return Ok(response);
            }
            if !sent_version.is_empty() {
                return Err(Failure::modified(&resource.plural, &resource.group, name).into());
            }
        }
        Err(Failure::modified(&resource.plural, &resource.group, name).into())
    }

    /// Puts a new version in place of the old one: `None` if that is no longer current.
    pub(super) fn replace(
        &self,
        request: &Request<'_>,
        before: &Before<'_>,
        mut value: Value,
        owners: Owners,
        now: Now,
    ) -> Result<Option<Response>, Box<Failure>> {
        let old = before.object;
        if !before.kept.identity {
            own_old(&mut value["metadata"], &before.value["metadata"]);
        }
        let writing = Writing { before: Some(before), owners, named: false };
        let Prepared { mut object, warnings } = prepare(self, request, value, writing, now)?;
        let changed = changes(old, &object);
        object.meta.generation = life::next_generation(request.resource, old.meta.generation, changed);
        guarded::check(request, Some(before), &object)?;
        if changed.none() {
            return Ok(Some(Response::Object { code: 200, object: old.clone(), warnings }));
        }
        if request.options.dry_run {
            return Ok(Some(Response::Object { code: 200, object: Arc::new(object), warnings }));
        }
        let stored = self.exchange(old, object, request.manager(), now);
        Ok(stored.map(|object| Response::Object { code: 200, object, warnings }))
    }

    /// Commits a version over `old`, or its removal if nothing holds it any more; `None` if `old` is not current.
    pub(super) fn exchange(&self, old: &Arc<Object>, new: Object, manager: &str, now: Now) -> Option<Arc<Object>> {
        let mut state = self.state.lock();
        let current = self.find(&state, &old.resource, &old.meta.namespace, &old.meta.name)?;
        if current.meta.resource_version != old.meta.resource_version || current.meta.uid != old.meta.uid {
            return None;
        }
        if life::finished(&new.meta, held(&new)) {
            // Watchers hear of what was stored last; the writer gets its own words back under the last stored version.
            let gone = Written { kind: EventKind::Deleted, object: (**old).clone(), previous: Some(old), manager };
            self.commit(&mut state, gone, now);
            return Some(Arc::new(new));
        }
        let changed = Written { kind: EventKind::Modified, object: new, previous: Some(old), manager };
        Some(self.commit(&mut state, changed, now))
    }
}

/// Whether a write looks at the whole object, whatever it touches: somebody guards it, or rules go across its parts.
pub(super) fn as_a_whole(request: &Request<'_>) -> bool {
    request.guard.is_some() || request.resource.rules.as_ref().is_some_and(|rules| rules.cross_parts())
}

/// The parts that no write through the request's door touches.
pub(super) fn left_alone(request: &Request<'_>, old: &Object) -> Kept<'static> {
    let all = Kept::all(old);
    match request.subresource {
        _ if as_a_whole(request) => Kept::default(),
        None => Kept { status: all.status && request.resource.has_status, ..Kept::default() },
        Some("finalize") => Kept::default(),
        Some(_) if request.resource.custom => Kept { status: false, ..all },
        Some(_) => Kept { status: false, annotations: false, owners: false, finalizers: false, identity: false, ..all },
    }
}

/// What a write through the request's door may change: the object without its status, or the status alone.
pub(super) fn through_door(request: &Request<'_>, old: &Value, sent: Value) -> Value {
    match request.subresource {
        None if request.resource.has_status => with_field(sent, "status", old.get("status")),
        None => sent,
        Some("finalize") => {
            let mut new = old.clone();
            new["spec"]["finalizers"] = sent["spec"]["finalizers"].clone();
            new
        }
        // The one who approves a request decides about nothing else (`registry/certificates/certificates/strategy.go`).
        Some("approval") => {
            let mut new = old.clone();
            new["status"]["conditions"] = sent["status"]["conditions"].clone();
            new
        }
        Some(_) if request.resource.custom => with_status(old, sent),
        Some(_) => {
            // Built-in kinds take annotations, finalizers and owners through the status as well, but no labels.
            let mut sent = sent;
            let metadata = with_field(sent["metadata"].take(), "labels", old["metadata"].get("labels"));
            let mut new = with_status(old, sent);
            new["metadata"] = with_field(metadata, "managedFields", None);
            new
        }
    }
}

/// `old` with the status that was sent, or none.
fn with_status(old: &Value, mut sent: Value) -> Value {
    let others = old.as_object().into_iter().flatten().filter(|(name, _)| *name != "status");
    let mut new: Map<String, Value> = others.map(|(name, value)| (name.clone(), value.clone())).collect();
    if let Some(status) = sent.get_mut("status") {
        new.insert("status".to_owned(), status.take());
    }
    Value::Object(new)
}

/// `object` with a field as given, or without it.
pub(super) fn with_field(mut object: Value, name: &str, field: Option<&Value>) -> Value {
    if let Value::Object(fields) = &mut object {
        match field {
            Some(value) => drop(fields.insert(name.to_owned(), value.clone())),
            None => drop(fields.remove(name)),
        }
    }
    object
}

fn unconditional(request: &Request<'_>) -> Failure {
    let cause = Cause {
        reason: "FieldValueInvalid".to_owned(),
        message: "Invalid value: 0: must be specified for an update".to_owned(),
        field: "metadata.resourceVersion".to_owned(),
    };
    let resource = request.resource;
    // Of all field errors only this one names the plural.
    Failure::invalid(&resource.plural, &resource.group, request.name.unwrap_or_default(), &[cause])
}

/// An empty object, for what a client leaves out.
pub(super) fn empty() -> Value {
    json!({})
}
