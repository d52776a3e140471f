//! A merge patch that says by its names which parts of the object it touches; the others are never looked at.
//!
//! Controllers write this way: a status of a Flux object, the operation and status of an Application. The patch of
//! anything else goes over the whole object.

use crate::apiserver::failure::Failure;
use crate::apiserver::object::{Kept, Members, Object};
use crate::apiserver::request::Request;
use serde_json::{Map, Value};

/// Metadata that a patch may touch part by part.
const PARTS: [&str; 4] = ["labels", "annotations", "ownerReferences", "finalizers"];

/// What the patch leaves alone; `None` if it is not of the plain form.
pub(super) fn left_alone(request: &Request<'_>, patch: &Value, old: &Object) -> Result<Option<Kept<'static>>, Failure> {
    let resource = request.resource;
    let door = match request.subresource {
        None => resource.custom,
        Some(name) => name == "status" && resource.has_status,
    };
    let Some(fields) = patch.as_object().filter(|_| door) else { return Ok(None) };
    let mut kept = Kept { identity: old.meta.deleted.is_none(), ..Kept::all(old) };
    for (name, value) in fields {
        match name.as_str() {
            "apiVersion" if value.as_str() == Some(&resource.api_version()) => {}
            "kind" if value.as_str() == Some(&resource.kind) => {}
            "apiVersion" | "kind" => return Ok(None),
            "metadata" => {
                let Some(parts) = value.as_object() else { return Ok(None) };
                for (part, value) in parts {
                    if part == "resourceVersion" {
                        let Some(version) = value.as_str() else { return Ok(None) };
                        if !version.is_empty() && version != old.meta.resource_version.to_string() {
                            return Err(Failure::modified(&resource.plural, &resource.group, &old.meta.name));
                        }
                    } else if !PARTS.contains(&part.as_str()) {
                        return Ok(None);
                    } else if part_passes(request, part) {
                        touch_part(&mut kept, part);
                    }
                }
            }
            _ if !passes(request, name) => {}
            "spec" => kept.spec = false,
            "status" => kept.status = false,
            _ => kept.rest = false,
        }
    }
    Ok(Some(kept))
}

fn touch_part(kept: &mut Kept<'_>, part: &str) {
    match part {
        "labels" => kept.labels = false,
        "annotations" => kept.annotations = false,
        "ownerReferences" => kept.owners = false,
        _ => kept.finalizers = false,
    }
}

/// Whether a top-level field comes through the request's door.
fn passes(request: &Request<'_>, name: &str) -> bool {
    match request.subresource {
        None => name != "status" || !request.resource.has_status,
        Some(_) => name == "status",
    }
}

/// Whether a part of the metadata does: a built-in kind's status brings all but labels along.
fn part_passes(request: &Request<'_>, part: &str) -> bool {
    match request.subresource {
        None => true,
        Some(_) => !request.resource.custom && part != "labels",
    }
}

/// Takes the members of a status that the patch names out of `members`, and gives them as a value; `None` if the status
/// is to be looked at as a whole.
pub(super) fn named(request: &Request<'_>, patch: &Value, members: &mut Members<'_>) -> Option<Value> {
    let sent = patch.get("status")?.as_object()?;
    let types = &request.resource.schema.types;
    let status = types.node(request.resource.schema.node().field("status")?.id);
    if status.fields.is_none() || status.atomic_map {
        return None;
    }
    let mut named = Map::new();
    for name in sent.keys() {
        if let Some(text) = members.remove(name.as_str()) {
            named.insert(name.clone(), serde_json::from_str(text.get()).ok()?);
        }
    }
    Some(Value::Object(named))
}

/// The touched parts after the patch.
pub(super) fn merged(request: &Request<'_>, old: &Value, patch: &Value) -> Value {
    let mut new = old.clone();
    let (Value::Object(fields), Value::Object(sent)) = (&mut new, patch) else { return new };
    for (name, value) in sent {
        match (name.as_str(), fields.get_mut("metadata"), value) {
            ("apiVersion" | "kind", ..) => {}
            ("metadata", Some(Value::Object(metadata)), Value::Object(parts)) => {
                for (part, value) in parts.iter().filter(|(part, _)| PARTS.contains(&part.as_str())) {
                    if part_passes(request, part) {
                        merge_one(metadata, part, value);
                    }
                }
            }
            _ if passes(request, name) => merge_one(fields, name, value),
            _ => {}
        }
    }
    new
}

/// One member of a merge patch (RFC 7386).
fn merge_one(fields: &mut Map<String, Value>, name: &str, value: &Value) {
    if value.is_null() {
        fields.remove(name);
    } else {
        json_patch::merge(fields.entry(name).or_insert(Value::Null), value);
    }
}
