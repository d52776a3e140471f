//! Defaults that are computed from neighbours, so that no observation can give them as a value.
//!
//! Source of each rule: upstream `pkg/apis/{core,apps,batch}/v1/defaults.go`.

use crate::apiserver::schema::Resource;
use base64::Engine as _;
use serde_json::{Map, Value, json};

/// What happens before anything else is filled in.
pub(super) fn before(resource: &Resource, object: &mut Value) {
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Secret") => secret(object),
        ("", "Service") => service(object),
        ("apps" | "batch" | "", kind) => {
            if kind == "StatefulSet" {
                claim_templates(object);
            }
            for spec in pod_specs(object) {
                pod(spec, kind == "Pod");
            }
        }
        _ => {}
    }
}

/// What happens after everything else is filled in.
pub(super) fn after(resource: &Resource, object: &mut Value) {
    if resource.group.is_empty() && resource.kind == "Namespace" {
        namespace(object);
    }
}

/// stringData is written over data and dropped.
fn secret(object: &mut Value) {
    let Some(map) = object.as_object_mut() else { return };
    let Some(Value::Object(texts)) = map.remove("stringData") else { return };
    let data = map.entry("data").or_insert_with(|| Value::Object(Map::new()));
    if data.is_null() {
        *data = Value::Object(Map::new());
    }
    let Some(data) = data.as_object_mut() else { return };
    for (name, text) in texts {
        let text = text.as_str().unwrap_or("");
        data.insert(name, Value::String(base64::engine::general_purpose::STANDARD.encode(text)));
    }
}

/// A port without a target goes to itself.
fn service(object: &mut Value) {
    let ports = object.pointer_mut("/spec/ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
        if port.get("targetPort").is_none_or(|target| target.is_null() || target == 0 || target == "") {
            let own = port.get("port").cloned().unwrap_or(Value::Null);
            port.insert("targetPort".to_owned(), own);
        }
    }
}

fn namespace(object: &mut Value) {
    let Some(name) = object.pointer("/metadata/name").cloned() else { return };
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let labels = metadata.entry("labels").or_insert_with(|| json!({}));
    if let Some(labels) = labels.as_object_mut() {
        labels.insert("kubernetes.io/metadata.name".to_owned(), name);
    }
}

/// The pod specs of a pod, a workload's template, or a cron job's.
fn pod_specs(object: &mut Value) -> impl Iterator<Item = &mut Value> {
    const PLACES: [&[&str]; 3] =
        [&["spec", "jobTemplate", "spec", "template", "spec"], &["spec", "template", "spec"], &["spec"]];
    let at = |place: &[&str]| place.iter().try_fold(&*object, |value, step| value.get(step));
    let place = PLACES.into_iter().find(|place| at(place).is_some_and(|spec| spec.get("containers").is_some()));
    place.and_then(|place| place.iter().try_fold(object, |value, step| value.get_mut(step))).into_iter()
}

/// Claim templates are written with their kind and version.
fn claim_templates(object: &mut Value) {
    let claims = object.pointer_mut("/spec/volumeClaimTemplates").and_then(Value::as_array_mut);
    for claim in claims.into_iter().flatten().filter_map(Value::as_object_mut) {
        claim.insert("apiVersion".to_owned(), "v1".into());
        claim.insert("kind".to_owned(), "PersistentVolumeClaim".into());
    }
}

/// Only pods themselves request what they are limited to; templates stay as written.
fn pod(spec: &mut Value, is_pod: bool) {
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(container) = container.as_object_mut() {
                pull_policy(container);
                for env in container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
                    field_version(env.pointer_mut("/valueFrom/fieldRef"));
                }
                if is_pod {
                    requests(container);
                }
            }
        }
    }
    for volume in spec.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
        for item in volume.pointer_mut("/downwardAPI/items").and_then(Value::as_array_mut).into_iter().flatten() {
            field_version(item.get_mut("fieldRef"));
        }
    }
    let host = spec.get("hostNetwork") == Some(&Value::Bool(true));
    let Some(map) = spec.as_object_mut() else { return };
    if let (Some(name), None) = (map.get("serviceAccountName").cloned(), map.get("serviceAccount")) {
        map.insert("serviceAccount".to_owned(), name);
    } else if let (None, Some(name)) = (map.get("serviceAccountName"), map.get("serviceAccount").cloned()) {
        map.insert("serviceAccountName".to_owned(), name);
    }
    if host {
        host_ports(spec);
    }
}

/// A field of the pod is named in the terms of `v1`.
fn field_version(reference: Option<&mut Value>) {
    if let Some(reference) = reference.and_then(Value::as_object_mut) {
        reference.entry("apiVersion").or_insert_with(|| "v1".into());
    }
}

/// `Always` for the tag `latest` or none, else `IfNotPresent`.
fn pull_policy(container: &mut Map<String, Value>) {
    if container.get("imagePullPolicy").is_some_and(|policy| !policy.is_null() && policy != "") {
        return;
    }
    let image = container.get("image").and_then(Value::as_str).unwrap_or("");
    let last = image.rsplit('/').next().unwrap_or(image);
    let (name, digest) = last.split_once('@').map_or((last, false), |(name, _)| (name, true));
    let tag = name.split_once(':').map(|(_, tag)| tag);
    let policy = match (tag, digest) {
        (Some("latest"), _) | (None, false) => "Always",
        _ => "IfNotPresent",
    };
    container.insert("imagePullPolicy".to_owned(), policy.into());
}

/// What is limited and not requested is requested in full.
fn requests(container: &mut Map<String, Value>) {
    let Some(resources) = container.get_mut("resources").and_then(Value::as_object_mut) else { return };
    let Some(Value::Object(limits)) = resources.get("limits").cloned() else { return };
    let requests = resources.entry("requests").or_insert_with(|| Value::Object(Map::new()));
    if let Some(requests) = requests.as_object_mut() {
        for (name, limit) in limits {
            requests.entry(name).or_insert(limit);
        }
    }
}

/// On the host's network a container port is the host's port.
fn host_ports(spec: &mut Value) {
    for container in spec.get_mut("containers").and_then(Value::as_array_mut).into_iter().flatten() {
        for port in container.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
            let own = port.get("containerPort").cloned();
            if let (Some(own), Some(port)) = (own, port.as_object_mut()) {
                port.entry("hostPort").or_insert(own);
            }
        }
    }
}
