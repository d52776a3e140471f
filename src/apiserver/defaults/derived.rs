//! Defaults that are computed from neighbours, so that no observation can give them as a value.
//!
//! Source of each rule: upstream `pkg/apis/{admissionregistration,core,apps,batch}/v1/defaults.go`.

use crate::apiserver::schema::Resource;
use base64::Engine as _;
use serde_json::{Map, Value, json};

/// What happens before anything else is filled in.
pub(super) fn before(resource: &Resource, object: &mut Value) {
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Secret") => secret(object),
        ("", "Service") => service(object),
        ("", "LimitRange") => limits(object),
        ("", "Node") => pod_blocks(object),
        ("autoscaling", "HorizontalPodAutoscaler") => behavior(object),
        ("admissionregistration.k8s.io", _) => {
            hook_ports(object);
            for part in ["/spec/matchConstraints", "/spec/matchResources"] {
                match_resources(object.pointer_mut(part));
            }
        }
        ("apps" | "batch" | "", kind) => {
            match kind {
                "StatefulSet" => claim_templates(object),
                "ReplicationController" => template_labels(kind, object),
                "Job" => {
                    template_labels(kind, object);
                    one_pod(object);
                }
                _ => {}
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

/// A webhook of a service listens where HTTPS does.
fn hook_ports(object: &mut Value) {
    for hook in object.get_mut("webhooks").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(service) = hook.pointer_mut("/clientConfig/service").and_then(Value::as_object_mut) {
            service.entry("port").or_insert(json!(443));
        }
    }
}

/// What a policy or its binding looks at, and how.
fn match_resources(criteria: Option<&mut Value>) {
    let Some(criteria) = criteria.and_then(Value::as_object_mut) else { return };
    for (field, value) in
        [("matchPolicy", json!("Equivalent")), ("namespaceSelector", json!({})), ("objectSelector", json!({}))]
    {
        criteria.entry(field).or_insert(value);
    }
    for field in ["resourceRules", "excludeResourceRules"] {
        for rule in criteria.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(rule) = rule.as_object_mut() {
                rule.entry("scope").or_insert(json!("*"));
            }
        }
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

/// What a container may use at most is what it gets if it says nothing (`pkg/apis/core/v1/defaults.go`).
fn limits(object: &mut Value) {
    let limits = object.pointer_mut("/spec/limits").and_then(Value::as_array_mut);
    for limit in limits.into_iter().flatten().filter(|limit| limit["type"] == "Container") {
        for (from, to) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")] {
            let Some(known) = limit[from].as_object().cloned() else { continue };
            if !limit[to].is_object() {
                limit[to] = json!({});
            }
            for (name, value) in known {
                if let Some(filled) = limit[to].as_object_mut() {
                    filled.entry(name).or_insert(value);
                }
            }
        }
        limit.as_object_mut().into_iter().for_each(|limit| limit.retain(|_, value| !value.is_null()));
    }
}

/// The block of a node's pods is the first of its blocks (`pkg/apis/core/v1/conversion.go`).
fn pod_blocks(object: &mut Value) {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let Some(block) = spec.get("podCIDR").filter(|block| block.as_str().is_some_and(|text| !text.is_empty())) else {
        return;
    };
    if spec.get("podCIDRs").and_then(|blocks| blocks.get(0)) != Some(block) {
        let blocks = json!([block]);
        spec.insert("podCIDRs".to_owned(), blocks);
    }
}

/// Both ways to scale have policies as soon as one is told (`pkg/apis/autoscaling/v2/defaults.go`).
fn behavior(object: &mut Value) {
    let Some(behavior) = object.pointer_mut("/spec/behavior").and_then(Value::as_object_mut) else { return };
    let policy = |kind: &str, value: u32| json!({ "type": kind, "value": value, "periodSeconds": 15 });
    let up = json!({
        "stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [policy("Pods", 4), policy("Percent", 100)],
    });
    let down = json!({ "selectPolicy": "Max", "policies": [policy("Percent", 100)] });
    for (way, rules) in [("scaleUp", up), ("scaleDown", down)] {
        let told = behavior.entry(way).or_insert_with(|| json!({}));
        let Some(told) = told.as_object_mut() else { continue };
        for (name, rule) in rules.as_object().into_iter().flatten() {
            if told.get(name).is_none_or(Value::is_null) {
                told.insert(name.clone(), rule.clone());
            }
        }
    }
}

/// A job that says nothing runs one pod once; one that says how many run at once may run any number.
fn one_pod(object: &mut Value) {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let told = |field: &str| spec.get(field).is_some_and(|value| !value.is_null());
    if !told("completions") && !told("parallelism") {
        spec.insert("completions".to_owned(), json!(1));
        spec.insert("parallelism".to_owned(), json!(1));
    }
}

/// What makes pods is labelled as they are.
fn template_labels(kind: &str, object: &mut Value) {
    let Some(labels) = object.pointer("/spec/template/metadata/labels").filter(|labels| labels.is_object()).cloned()
    else {
        return;
    };
    let empty = |value: &Value| value.as_object().is_none_or(Map::is_empty);
    if kind == "ReplicationController" && object.pointer("/spec/selector").is_none_or(empty) {
        object["spec"]["selector"] = labels.clone();
    }
    if object.pointer("/metadata/labels").is_none_or(empty) {
        object["metadata"]["labels"] = labels;
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
    const PLACES: [&[&str]; 4] = [
        &["spec", "jobTemplate", "spec", "template", "spec"],
        &["spec", "template", "spec"],
        &["template", "spec"],
        &["spec"],
    ];
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
