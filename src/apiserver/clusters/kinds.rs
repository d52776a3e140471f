//! Built-in kinds that are more than storage: what a create fills in, and the calls that store nothing (evictions, tokens).

use super::Cluster;
use super::deleting::DeleteOptions;
use super::prepare::not_found;
use super::state::Written;
use super::{crds, guarded};
use crate::apiserver::failure::Failure;
use crate::apiserver::object::instant;
use crate::apiserver::request::{Body, Now, Request, Response};
use crate::apiserver::schema::Resource;
use crate::apiserver::store::EventKind;
use serde_json::{Map, Value, json};

fn is(resource: &Resource, group: &str, plural: &str) -> bool {
    resource.plural == plural && resource.group == group
}

/// What a new object gets from the server when it is stored: nobody owns it.
pub(super) fn assign_new(cluster: &Cluster, resource: &Resource, value: &mut Value, now: Now) {
    if is(resource, "", "pods") {
        value["status"] = json!({ "phase": "Pending", "qosClass": quality(&value["spec"]) });
    } else if is(resource, "", "services") {
        allocate(cluster, value);
    } else if crds::is_crd(resource) {
        value["status"] = crds::unaccepted(&value["spec"]);
    } else if is(resource, "batch", "jobs") {
        select_own(cluster, resource, value);
    } else if is(resource, "", "nodes") {
        taint(value);
    } else if is(resource, "", "persistentvolumes") {
        value["status"]["lastPhaseTransitionTime"] = json!(instant::format(now.unix_secs()));
    }
    protect(cluster, resource, value);
}

/// What an update lets go of when it is stored, whoever still owns it.
pub(super) fn release(resource: &Resource, value: &mut Value) {
    const ALLOCATED: [&str; 5] = ["clusterIP", "clusterIPs", "internalTrafficPolicy", "ipFamilies", "ipFamilyPolicy"];
    if is(resource, "", "services")
        && value["spec"]["type"] == "ExternalName"
        && let Some(spec) = value["spec"].as_object_mut()
    {
        spec.retain(|name, _| !ALLOCATED.contains(&name.as_str()));
    }
}

/// A node is new until its kubelet says that it is ready (admission plugin TaintNodesByCondition).
fn taint(value: &mut Value) {
    const NOT_READY: &str = "node.kubernetes.io/not-ready";
    let taint = json!({ "key": NOT_READY, "effect": "NoSchedule" });
    match value["spec"]["taints"].as_array_mut() {
        Some(taints) if taints.contains(&taint) => {}
        Some(taints) => taints.push(taint),
        None => value["spec"]["taints"] = json!([taint]),
    }
}

/// A job finds its pods by its own uid (`pkg/registry/batch/job/strategy.go generateSelector`).
fn select_own(cluster: &Cluster, resource: &Resource, value: &mut Value) {
    if value["spec"]["manualSelector"] == true {
        return;
    }
    let text = |field: &str| value["metadata"][field].as_str().unwrap_or_default().to_owned();
    let (namespace, name) = (text("namespace"), text("name"));
    let uid = cluster.next_uid(&cluster.state.lock(), resource, &namespace, &name).to_string();
    let template = &mut value["spec"]["template"]["metadata"]["labels"];
    if !template.is_object() {
        *template = json!({});
    }
    for (label, own) in [("controller-uid", &uid), ("job-name", &name)] {
        template[label] = json!(own);
        template[format!("batch.kubernetes.io/{label}")] = json!(own);
    }
    let labels = template.clone();
    value["spec"]["selector"] = json!({ "matchLabels": { "batch.kubernetes.io/controller-uid": uid } });
    if value["metadata"]["labels"].as_object().is_none_or(Map::is_empty) {
        value["metadata"]["labels"] = labels;
    }
}

/// Volumes and claims are held until nobody uses them (admission plugin StorageObjectInUseProtection). Who lets them go
/// is a controller: where ours keep house, nothing is in use and they are not held in the first place.
fn protect(cluster: &Cluster, resource: &Resource, value: &mut Value) {
    let finalizer = match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "persistentvolumes") => "kubernetes.io/pv-protection",
        ("", "persistentvolumeclaims") => "kubernetes.io/pvc-protection",
        _ => return,
    };
    let finalizers = &mut value["metadata"]["finalizers"];
    if !cluster.shared.settings.housekeeping && finalizers.as_array().is_none_or(|all| !all.contains(&json!(finalizer)))
    {
        match finalizers.as_array_mut() {
            Some(all) => all.push(json!(finalizer)),
            None => *finalizers = json!([finalizer]),
        }
    }
}

/// The class of service of a pod (upstream: `ComputePodQOS`): nothing asked for, everything asked for and bounded by the
/// same, or something between.
fn quality(spec: &Value) -> &'static str {
    const COUNTED: [&str; 2] = ["cpu", "memory"];
    let lists = ["containers", "initContainers"];
    let containers: Vec<&Value> = lists
        .iter()
        .filter_map(|list| spec[*list].as_array())
        .flatten()
        .map(|container| &container["resources"])
        .collect();
    let asks = |of: &Value, part: &str| COUNTED.iter().any(|name| !of[part][*name].is_null());
    if !containers.iter().any(|of| asks(of, "requests") || asks(of, "limits")) {
        return "BestEffort";
    }
    let bounded = |of: &&Value| {
        COUNTED.iter().all(|name| !of["limits"][*name].is_null() && of["limits"][*name] == of["requests"][*name])
    };
    if containers.iter().all(bounded) { "Guaranteed" } else { "Burstable" }
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
    // A headless service without a selector may have addresses of any family behind it.
    let open = spec["clusterIP"] == "None" && spec["selector"].as_object().is_none_or(Map::is_empty);
    let (families, policy) =
        if open { (json!(["IPv4", "IPv6"]), "RequireDualStack") } else { (json!(["IPv4"]), "SingleStack") };
    for (name, default) in [("ipFamilies", families), ("ipFamilyPolicy", json!(policy))] {
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

/// What a write means before defaults are filled in.
pub(super) fn before_defaults(resource: &Resource, old: Option<&Value>, value: &mut Value) {
    if let (Some(old), true) = (old, is(resource, "", "services") && value["spec"].is_object()) {
        // An update that leaves the allocated parts out keeps them.
        for name in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            let released = value["spec"]["type"] == "ExternalName";
            if value["spec"][name].is_null() && !old["spec"][name].is_null() && !released {
                value["spec"][name] = old["spec"][name].clone();
            }
        }
        // One of the two forms may be all that was changed.
        let (spec, before) = (&mut value["spec"], &old["spec"]);
        if spec["clusterIP"] != before["clusterIP"] && spec["clusterIPs"] == before["clusterIPs"] {
            spec["clusterIPs"] = match spec["clusterIP"].as_str() {
                Some(address) if !address.is_empty() => json!([address]),
                _ => Value::Null,
            };
        }
    }
    if crds::is_crd(resource) {
        crds::fill(value);
    }
    drop_nulls(resource, value);
}

/// Indexing for reading may leave nulls behind at the top level.
fn drop_nulls(resource: &Resource, value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|name, field| !field.is_null() || resource.skeleton.get(name).is_some_and(Value::is_null));
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
    if is(resource, "apps", "daemonsets") {
        count_templates(old, value);
    }
    drop_nulls(resource, value);
}

/// How often a DaemonSet's template changed is told by an annotation since its field went away.
fn count_templates(old: Option<&Value>, value: &mut Value) {
    const COUNT: &str = "deprecated.daemonset.template.generation";
    let known = old.and_then(|old| old["metadata"]["annotations"][COUNT].as_str()?.parse::<u64>().ok());
    let changed = old.is_none_or(|old| old["spec"]["template"] != value["spec"]["template"]);
    if !value["metadata"]["annotations"].is_object() {
        value["metadata"]["annotations"] = json!({});
    }
    value["metadata"]["annotations"][COUNT] = json!((known.unwrap_or(0) + u64::from(changed)).to_string());
}

/// POST on a subresource of an existing object.
pub(super) fn create_on(cluster: &Cluster, request: &Request<'_>, now: Now) -> Result<Response, Box<Failure>> {
    let (resource, name) = (request.resource, request.name.unwrap_or_default());
    let namespace = request.namespace.unwrap_or_default();
    let body: Value = match request.body {
        Body::Json(bytes) => serde_json::from_slice(bytes)
            .map_err(|error| Failure::bad_request(format!("the object provided is unrecognized: {error}")))?,
        Body::Value(value) => value.clone(),
        _ => json!({}),
    };
    if !body.is_object() {
        return Err(Failure::bad_request("the object provided is unrecognized: it is no JSON object").into());
    }
    let body = guarded::brought(request, body)?;
    let mut state = cluster.state.lock();
    let Some(object) = cluster.find(&state, resource, namespace, name) else {
        return Err(not_found(resource, name).into());
    };
    match (resource.plural.as_str(), request.subresource.unwrap_or_default()) {
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
