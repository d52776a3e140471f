//! The `scale` subresource: an `autoscaling/v1` Scale in front of a workload (V-06).

use super::prepare::{Before, Owners, check_uid, not_found};
use super::update::ATTEMPTS;
use super::{Cluster, guarded};
use crate::apiserver::failure::Failure;
use crate::apiserver::object::{Kept, Object};
use crate::apiserver::patch;
use crate::apiserver::request::{Body, Now, PatchType, Request, Response, Verb};
use crate::apiserver::schema::Resource;
use serde_json::{Value, json};

/// Where a kind keeps what a Scale shows; dotted paths without the leading dot.
struct Paths {
    spec: String,
    status: String,
    selector: Option<String>,
}

fn paths(resource: &Resource) -> Option<Paths> {
    let bare = |path: &str| path.trim_start_matches('.').to_owned();
    if let Some(scale) = &resource.scale {
        return Some(Paths {
            spec: bare(&scale.spec_replicas),
            status: bare(&scale.status_replicas),
            selector: scale.label_selector.as_deref().map(bare),
        });
    }
    let built_in = matches!(
        (resource.group.as_str(), resource.plural.as_str()),
        ("apps", "deployments" | "statefulsets" | "replicasets") | ("", "replicationcontrollers")
    );
    built_in.then(|| Paths { spec: "spec.replicas".to_owned(), status: "status.replicas".to_owned(), selector: None })
}

fn pointer(path: &str) -> String {
    format!("/{}", path.replace('.', "/"))
}

/// A label selector as text: `matchLabels` and `matchExpressions`, or the plain map of a ReplicationController.
fn selector_text(selector: &Value) -> String {
    let map = if selector["matchLabels"].is_object() { &selector["matchLabels"] } else { selector };
    let mut parts: Vec<String> = map
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)))
        .collect();
    for term in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = term["key"].as_str().unwrap_or_default();
        let values: Vec<&str> = term["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        parts.push(match term["operator"].as_str().unwrap_or_default() {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    parts.join(",")
}

fn scale_of(object: &Object, value: &Value, paths: &Paths) -> Value {
    let number = |path: &str| value.pointer(&pointer(path)).and_then(Value::as_i64);
    let meta = object.meta.to_value();
    let mut metadata = json!({});
    for name in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if !meta[name].is_null() {
            metadata[name] = meta[name].clone();
        }
    }
    let mut status = json!({ "replicas": number(&paths.status).unwrap_or(0) });
    let selector = match &paths.selector {
        Some(path) => value.pointer(&pointer(path)).and_then(Value::as_str).unwrap_or_default().to_owned(),
        None => selector_text(&value["spec"]["selector"]),
    };
    if !selector.is_empty() {
        status["selector"] = json!(selector);
    }
    let spec = number(&paths.spec).map_or_else(|| json!({}), |replicas| json!({ "replicas": replicas }));
    json!({ "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status })
}

impl Cluster {
    pub(super) fn scale(&self, request: &Request<'_>, verb: Verb, now: Now) -> Result<Response, Box<Failure>> {
        let (resource, name) = (request.resource, request.name.unwrap_or_default());
        let Some(paths) = paths(resource) else { return Err(Failure::no_such_resource().into()) };
        for _ in 0..ATTEMPTS {
            let Some(old) = self.lookup(resource, request.namespace.unwrap_or_default(), name) else {
                return Err(not_found(resource, name).into());
            };
            let old_value = old.parts(resource, Kept::default());
            let scale = scale_of(&old, &old_value, &paths);
            if verb == Verb::Get {
                return Ok(Response::Document { code: 200, body: scale, warnings: Vec::new() });
            }
            let wanted = changed(request, scale.clone())?;
            check_uid(resource, &old, wanted["metadata"]["uid"].as_str())?;
            let version = wanted["metadata"]["resourceVersion"].as_str().unwrap_or_default();
            if !version.is_empty() && version != old.meta.resource_version.to_string() {
                return Err(Failure::modified(&resource.plural, &resource.group, name).into());
            }
            let wanted = guarded::scaled(request, &scale, wanted)?;
            let replicas = wanted["spec"]["replicas"].as_i64().unwrap_or(0);
            let mut value = old_value.clone();
            if let Some(slot) = value.pointer_mut(&pointer(&paths.spec)) {
                *slot = json!(replicas);
            } else if paths.spec == "spec.replicas" {
                value["spec"]["replicas"] = json!(replicas);
            }
            let before = Before { object: &old, value: &old_value, kept: Kept::default() };
            if let Some(Response::Object { object, warnings, .. }) =
                self.replace(request, &before, value, Owners::Record, now)?
            {
                let body = scale_of(&object, &object.parts(resource, Kept::default()), &paths);
                return Ok(Response::Document { code: 200, body, warnings });
            }
        }
        Err(Failure::modified(&resource.plural, &resource.group, name).into())
    }
}

/// The Scale that a PUT sends or a PATCH makes.
fn changed(request: &Request<'_>, mut scale: Value) -> Result<Value, Failure> {
    let parse = |bytes: &[u8]| -> Result<Value, Failure> {
        serde_json::from_slice(bytes).map_err(|error| Failure::bad_request(format!("error decoding scale: {error}")))
    };
    match request.body {
        Body::Json(bytes) => parse(bytes),
        Body::Value(value) => Ok(value.clone()),
        Body::None => Err(Failure::bad_request("a scale is needed")),
        Body::Patch(PatchType::Json, bytes) => patch::json(&mut scale, bytes).map(|()| scale).map_err(refused),
        // A Scale has no lists, so a strategic patch of it is a merge patch, and an apply sets what it names.
        Body::Patch(_, bytes) => {
            let patch = parse(bytes)?;
            patch::merge(&mut scale, &patch).map(|()| scale).map_err(refused)
        }
    }
}

fn refused(error: patch::PatchError) -> Failure {
    let reason = if error.code() == 422 { "Invalid" } else { "BadRequest" };
    Failure::new(error.code(), reason, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_print_as_queries() {
        for (selector, text) in [
            (json!({ "matchLabels": { "a": "b", "c": "d" } }), "a=b,c=d"),
            (json!({ "app": "x" }), "app=x"),
            (
                json!({ "matchLabels": { "a": "b" }, "matchExpressions": [
                    { "key": "k", "operator": "In", "values": ["1", "2"] },
                    { "key": "n", "operator": "DoesNotExist" },
                ] }),
                "a=b,k in (1,2),!n",
            ),
            (json!(null), ""),
        ] {
            assert_eq!(selector_text(&selector), text);
        }
    }
}
