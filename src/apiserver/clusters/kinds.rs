//! Built-in kinds that are more than storage: what a create fills in, what an update may not touch, and the calls that
//! store nothing (reviews, evictions, tokens).

use super::Cluster;
use super::crds;
use super::deleting::DeleteOptions;
use super::prepare::not_found;
use super::state::Written;
use crate::apiserver::failure::{Cause, Failure};
use crate::apiserver::object::instant;
use crate::apiserver::request::{Body, Now, Request, Response};
use crate::apiserver::schema::Resource;
use crate::apiserver::store::EventKind;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

fn is(resource: &Resource, group: &str, plural: &str) -> bool {
    resource.plural == plural && resource.group == group
}

/// What a new object gets from the server, before defaults.
pub(super) fn before_create(resource: &Resource, value: &mut Value) {
    if is(resource, "", "namespaces") {
        let name = value["metadata"]["name"].clone();
        if !value["metadata"]["labels"].is_object() {
            value["metadata"]["labels"] = json!({});
        }
        value["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
    } else if crds::is_crd(resource) {
        crds::fill(value);
    }
}

/// What a new object gets from the server when it is stored: nobody owns it.
pub(super) fn assign_new(cluster: &Cluster, resource: &Resource, value: &mut Value) {
    if is(resource, "", "namespaces") {
        if !value["spec"].is_object() {
            value["spec"] = json!({});
        }
        if value["spec"]["finalizers"].as_array().is_none_or(Vec::is_empty) {
            value["spec"]["finalizers"] = json!(["kubernetes"]);
        }
        value["status"] = json!({ "phase": "Active" });
    } else if is(resource, "", "services") {
        allocate(cluster, value);
    } else if crds::is_crd(resource) {
        value["status"] = crds::unaccepted(&value["spec"]);
    }
}

/// Gives a Service its cluster address and node ports (K-05). Addresses are drawn from 10.0.0.0/16 above the first
/// thousand, so they never meet those of the bootstrap objects.
fn allocate(cluster: &Cluster, value: &mut Value) {
    let Value::Object(_) = value["spec"] else { return };
    let kind = value["spec"]["type"].as_str().unwrap_or("ClusterIP").to_owned();
    if kind == "ExternalName" {
        return;
    }
    let draw = cluster.state.lock().next_draw();
    let spec = &mut value["spec"];
    if spec["clusterIP"].as_str().unwrap_or_default().is_empty() {
        let host = 1_000 + draw % 64_000;
        spec["clusterIP"] = json!(format!("10.0.{}.{}", host / 256, host % 256));
    }
    let address = spec["clusterIP"].clone();
    if spec["clusterIPs"].as_array().is_none_or(Vec::is_empty) {
        spec["clusterIPs"] = json!([address]);
    }
    for (name, default) in [("ipFamilies", json!(["IPv4"])), ("ipFamilyPolicy", json!("SingleStack"))] {
        if spec[name].is_null() {
            spec[name] = default;
        }
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        let ports = spec["ports"].as_array_mut().into_iter().flatten();
        for (n, port) in (0_u64..).zip(ports) {
            if port.is_object() && port["nodePort"].as_u64().unwrap_or(0) == 0 {
                port["nodePort"] = json!(30_000 + (draw * 7 + n) % 2_768);
            }
        }
    }
}

/// What a write means before defaults are filled in: text forms of a Secret become data.
pub(super) fn before_defaults(resource: &Resource, old: Option<&Value>, value: &mut Value) {
    if is(resource, "", "secrets") {
        let texts = value.get_mut("stringData").map(Value::take);
        if let Value::Object(fields) = value {
            fields.remove("stringData");
        }
        if let Some(Value::Object(texts)) = texts {
            if !value["data"].is_object() {
                value["data"] = json!({});
            }
            for (key, text) in texts {
                value["data"][key] = json!(STANDARD.encode(text.as_str().unwrap_or_default()));
            }
        }
        if value["data"].is_null()
            && let Value::Object(fields) = value
        {
            fields.remove("data");
        }
    }
    if let (Some(old), true) = (old, is(resource, "", "services") && value["spec"].is_object()) {
        // An update that leaves the allocated parts out keeps them.
        for name in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            let released = value["spec"]["type"] == "ExternalName";
            if value["spec"][name].is_null() && !old["spec"][name].is_null() && !released {
                value["spec"][name] = old["spec"][name].clone();
            }
        }
    }
    if crds::is_crd(resource) && old.is_some() {
        crds::fill(value);
    }
    drop_nulls(resource, value);
}

/// Indexing for reading may leave nulls behind at the top level.
fn drop_nulls(resource: &Resource, value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|_, field| !field.is_null());
        // What a custom resource's schema lets be null stays null.
        let parts: &[&str] = if resource.custom { &["metadata"] } else { &["metadata", "spec"] };
        for &name in parts {
            if let Some(Value::Object(part)) = fields.get_mut(name) {
                part.retain(|_, field| !field.is_null());
            }
        }
    }
}

/// What a write means after defaults: fields that others fill.
pub(super) fn after_defaults(resource: &Resource, old: Option<&Value>, value: &mut Value) {
    if let (Some(old), true) = (old, is(resource, "", "namespaces") && !value["spec"].is_string()) {
        // Only `finalize` takes finalizers off, and it did before this point.
        if value["spec"]["finalizers"].is_null() && value["metadata"]["deletionTimestamp"].is_null() {
            value["spec"]["finalizers"] = old["spec"]["finalizers"].clone();
        }
    }
    drop_nulls(resource, value);
}

/// Paths that never change after creation, by kind.
fn immutable(resource: &Resource) -> &'static [&'static [&'static str]] {
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("apps", "deployments" | "daemonsets" | "replicasets") => &[&["spec", "selector"]],
        ("apps", "statefulsets") => {
            &[&["spec", "selector"], &["spec", "serviceName"], &["spec", "podManagementPolicy"]]
        }
        ("batch", "jobs") => &[&["spec", "selector"], &["spec", "template"], &["spec", "completionMode"]],
        ("", "secrets") => &[&["type"]],
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => &[&["roleRef"]],
        ("storage.k8s.io", "storageclasses") => &[&["provisioner"], &["parameters"], &["reclaimPolicy"]],
        _ => &[],
    }
}

fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, step| value.get(step))
}

/// Rules beyond the schema.
pub(super) fn check(resource: &Resource, old: Option<&Value>, new: &Value, errors: &mut Vec<Cause>) {
    let Some(old) = old else { return };
    for path in immutable(resource) {
        let (before, after) = (at(old, path), at(new, path));
        if before != after {
            let shown = after.map_or_else(|| "null".to_owned(), Value::to_string);
            errors.push(Cause {
                reason: "FieldValueInvalid".to_owned(),
                message: format!("Invalid value: {shown}: field is immutable"),
                field: path.join("."),
            });
        }
    }
    let sealed = is(resource, "", "secrets") || is(resource, "", "configmaps");
    if sealed && old["immutable"] == true {
        for name in ["immutable", "data", "binaryData"] {
            if old.get(name) != new.get(name) {
                errors.push(Cause {
                    reason: "FieldValueForbidden".to_owned(),
                    message: "Forbidden: field is immutable when `immutable` is set".to_owned(),
                    field: name.to_owned(),
                });
            }
        }
    }
}

/// Reviews are answered, not stored: everything is allowed here; who may do what is the rim's business.
pub(super) fn review(request: &Request<'_>, sent: &Value) -> Option<Value> {
    let user = json!({ "username": request.user, "groups": request.groups });
    let status = match request.resource.plural.as_str() {
        "selfsubjectaccessreviews" | "subjectaccessreviews" | "localsubjectaccessreviews" => json!({ "allowed": true }),
        "selfsubjectrulesreviews" => json!({
            "incomplete": false,
            "resourceRules": [{ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] }],
            "nonResourceRules": [{ "nonResourceURLs": ["*"], "verbs": ["*"] }],
        }),
        "tokenreviews" => json!({ "authenticated": true, "user": user }),
        "selfsubjectreviews" => json!({ "userInfo": user }),
        _ => return None,
    };
    let mut review = sent.clone();
    review["metadata"]["creationTimestamp"] = Value::Null;
    review["status"] = status;
    Some(review)
}

/// POST on a subresource of an existing object.
pub(super) fn create_on(cluster: &Cluster, request: &Request<'_>, now: Now) -> Result<Response, Box<Failure>> {
    let (resource, name) = (request.resource, request.name.unwrap_or_default());
    let namespace = request.namespace.unwrap_or_default();
    let mut body: Value = match request.body {
        Body::Json(bytes) => serde_json::from_slice(bytes)
            .map_err(|error| Failure::bad_request(format!("the object provided is unrecognized: {error}")))?,
        Body::Value(value) => value.clone(),
        _ => json!({}),
    };
    if !body.is_object() {
        return Err(Failure::bad_request("the object provided is unrecognized: it is no JSON object").into());
    }
    let mut state = cluster.state.lock();
    let Some(object) = cluster.find(&state, resource, namespace, name) else {
        return Err(not_found(resource, name).into());
    };
    match (resource.plural.as_str(), request.subresource.unwrap_or_default()) {
        ("serviceaccounts", "token") => {
            let seconds = body["spec"]["expirationSeconds"].as_u64().unwrap_or(3_600);
            let expires = instant::format(now.unix_secs() + seconds);
            let token = format!("{}.{namespace}.{name}.{}", cluster.id(), object.meta.uid);
            body["status"] = json!({ "token": STANDARD.encode(token), "expirationTimestamp": expires });
            return Ok(Response::Document { code: 201, body, warnings: Vec::new() });
        }
        ("pods", "eviction") => {
            let options = DeleteOptions::default();
            cluster.delete_in(&mut state, &object, &options, request.manager(), now);
        }
        ("pods", "binding") => {
            let mut value = object.to_value(resource);
            value["spec"]["nodeName"] = body["target"]["name"].clone();
            let new = super::namespaces::rebuilt(&object, value);
            let manager = request.manager();
            let written = Written { kind: EventKind::Modified, object: new, previous: Some(&object), manager };
            cluster.commit(&mut state, written, now);
        }
        _ => return Err(Failure::no_such_resource().into()),
    }
    let body = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 });
    Ok(Response::Document { code: 201, body, warnings: Vec::new() })
}
