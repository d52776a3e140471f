//! What the code of the built-in kinds refuses: the rules that add-ons, kubectl and controllers run into.
//!
//! Source of each rule: upstream `pkg/apis/{core,apps,rbac}/validation`; texts as recorded from a real server.

mod access;
mod admission;
mod network;
mod policy;
mod storage;
mod workload;

use super::{FieldError, Reason, bad, definition, forbidden, invalid, required};
use crate::apiserver::schema::Resource;
use crate::apiserver::text::{config_key, qualified_name};
use serde_json::Value;

/// What metadata says of finalizers without a domain.
pub(super) const UNQUALIFIED: &str = "name is neither a standard finalizer name nor is it fully qualified";
const IMMUTABLE: &str = "field is immutable";
const FROZEN: &str = "Forbidden: field is immutable when `immutable` is set";
/// ConfigMaps and Secrets hold at most this much (upstream: `MaxSecretSize`).
const DATA_MAX: usize = 1 << 20;

/// Checks an object of a built-in kind but for its metadata and enumerations.
pub(super) fn check(resource: &Resource, old: Option<&Value>, new: &Value, out: &mut Vec<FieldError>) {
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "ConfigMap") => {
            frozen(old, new, &["data", "binaryData"], out);
            keys(new, &["data", "binaryData"], out);
        }
        ("", "Secret") => secret(old, new, out),
        ("", "Service") => network::service(old, new, out),
        ("", "Pod") => workload::own_pod(old, new, out),
        ("", "ReplicationController") => workload::replication_controller(new, out),
        ("apps", "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet") => workload::check(resource, old, new, out),
        ("apps", "ControllerRevision") => fixed(old, new, "", &["data"], out),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition::check(new, out),
        ("", "Event") => event(new, out),
        ("events.k8s.io", "Event") => new_event(old, new, out),
        ("", "Namespace") => {
            phase(new, out);
            owners_of_content(new, out);
        }
        ("batch", "Job") => workload::job(old, new, out),
        ("batch", "CronJob") => workload::cron_job(new, out),
        ("networking.k8s.io", _) => network::check(resource, old, new, out),
        ("discovery.k8s.io", "EndpointSlice") => network::endpoint_slice(old, new, out),
        ("storage.k8s.io", _) | ("", "PersistentVolume" | "PersistentVolumeClaim") => {
            storage::check(resource, old, new, out);
        }
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => access::role(resource, new, out),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            access::binding(resource, old, new, out);
        }
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration") => {
            access::webhooks(new, out);
        }
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => admission::policy(new, out),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding") => admission::binding(new, out),
        ("apiregistration.k8s.io", "APIService") => access::api_service(new, out),
        _ => policy::check(resource, old, new, out),
    }
}

/// Checks what a write of the status alone may break.
pub(super) fn check_status(resource: &Resource, new: &Value, out: &mut Vec<FieldError>) {
    if resource.group.is_empty() && resource.kind == "Namespace" {
        phase(new, out);
    }
}

fn at_least(field: &str, value: &Value, least: i64, out: &mut Vec<FieldError>) {
    let word = if least == 0 { "greater than or equal to 0" } else { "greater than 0" };
    if value.as_i64().is_some_and(|number| number < least) {
        out.push(bad(field, value, &format!("must be {word}")));
    }
}

fn port_number(field: &str, value: &Value, out: &mut Vec<FieldError>) {
    if value.as_i64().is_some_and(|number| !(1..=65535).contains(&number)) {
        out.push(bad(field, value, "must be between 1 and 65535, inclusive"));
    }
}

/// A value that is none of a list, which is told in its own order.
fn one_of(field: &str, value: &Value, known: &[&str], out: &mut Vec<FieldError>) {
    if let Some(text) = value.as_str().filter(|text| !text.is_empty() && !known.contains(text)) {
        out.push(unsupported(field, text, known));
    }
}

fn unsupported(field: &str, text: &str, known: &[&str]) -> FieldError {
    let shown: Vec<String> = known.iter().map(|one| format!("{one:?}")).collect();
    let detail = format!("Unsupported value: {text:?}: supported values: {}", shown.join(", "));
    FieldError { field: field.to_owned(), reason: Reason::NotSupported, detail }
}

/// The list at a field, empty if there is none.
fn list<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    value[field].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// Fields that never change after creation.
fn fixed(old: Option<&Value>, new: &Value, within: &str, fields: &[&str], out: &mut Vec<FieldError>) {
    let Some(old) = old else { return };
    let part =
        |of: &'_ Value, field: &str| if within.is_empty() { of[field].clone() } else { of[within][field].clone() };
    for field in fields {
        let (before, after) = (part(old, field), part(new, field));
        if before != after {
            let path = if within.is_empty() { (*field).to_owned() } else { format!("{within}.{field}") };
            out.push(bad(&path, &after, IMMUTABLE));
        }
    }
}

/// An event lives where the object is that it is about.
fn event(new: &Value, out: &mut Vec<FieldError>) {
    let about = &new["involvedObject"];
    let (place, own) = (about["namespace"].as_str().unwrap_or(""), new["metadata"]["namespace"].as_str().unwrap_or(""));
    let of_cluster = place.is_empty() && matches!(own, "default" | "kube-system");
    if place != own && !of_cluster {
        out.push(invalid("involvedObject.namespace", place, "does not match event.namespace"));
    }
}

/// A new event of the new group says who did what when.
fn new_event(old: Option<&Value>, new: &Value, out: &mut Vec<FieldError>) {
    if old.is_some() {
        return;
    }
    if absent(&new["eventTime"]) {
        out.push(required("eventTime", ""));
    }
    let kind = new["type"].as_str().unwrap_or("");
    if !matches!(kind, "Normal" | "Warning") {
        out.push(invalid("type", kind, &format!("has invalid value: {kind}")));
    }
    if absent(&new["eventTime"]) {
        return;
    }
    for field in ["reportingController", "reportingInstance", "action", "reason"] {
        if absent(&new[field]) {
            out.push(required(field, ""));
        }
        if field == "reportingController" {
            let name = new[field].as_str().unwrap_or("");
            out.extend(qualified_name(name).iter().map(|why| invalid(field, name, why)));
        }
    }
    let series = &new["series"];
    if series.is_object() {
        if series["count"].as_i64().unwrap_or(0) < 2 {
            out.push(invalid("series.count", "", "should be at least 2"));
        }
        if absent(&series["lastObservedTime"]) {
            out.push(required("series.lastObservedTime", ""));
        }
    }
}

/// Finalizers of a namespace's content need a domain as those of metadata do.
fn owners_of_content(new: &Value, out: &mut Vec<FieldError>) {
    for name in new["spec"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !name.contains('/') && name != "kubernetes" {
            out.push(invalid("spec.finalizers", name, UNQUALIFIED));
        }
    }
}

/// A namespace that is not going is active.
fn phase(new: &Value, out: &mut Vec<FieldError>) {
    let (phase, going) = (&new["status"]["phase"], !new["metadata"]["deletionTimestamp"].is_null());
    let wanted = if going { "Terminating" } else { "Active" };
    if !absent(phase) && phase != wanted {
        let not = if going { "not empty" } else { "empty" };
        let why = format!("may only be '{wanted}' if `deletionTimestamp` is {not}");
        out.push(bad("status.Phase", phase, &why));
    }
}

/// What `immutable: true` forbids.
fn frozen(old: Option<&Value>, new: &Value, fields: &[&str], out: &mut Vec<FieldError>) {
    let Some(old) = old.filter(|old| old["immutable"] == true) else { return };
    if new["immutable"] != true {
        out.push(forbidden("immutable", FROZEN));
    }
    out.extend(fields.iter().filter(|field| old[**field] != new[**field]).map(|field| forbidden(field, FROZEN)));
}

fn keys(new: &Value, fields: &[&str], out: &mut Vec<FieldError>) {
    let mut size = 0;
    for field in fields {
        for (key, value) in new[*field].as_object().into_iter().flatten() {
            out.extend(config_key(key).map(|why| invalid(&format!("{field}[{key}]"), key, &why)));
            if *field == "data" && new["binaryData"].get(key).is_some() {
                out.push(invalid(&format!("data[{key}]"), key, "duplicate of key present in binaryData"));
            }
            size += value.as_str().map_or(0, str::len);
        }
    }
    if size > DATA_MAX {
        let detail = "Too long: may not be more than 1048576 bytes".to_owned();
        out.push(FieldError { field: String::new(), reason: Reason::TooLong, detail });
    }
}

fn secret(old: Option<&Value>, new: &Value, out: &mut Vec<FieldError>) {
    if old.is_some_and(|old| old["type"] != new["type"] && !absent(&new["type"])) {
        out.push(bad("type", &new["type"], IMMUTABLE));
    }
    frozen(old, new, &["data"], out);
    keys(new, &["data"], out);
    let needed: &[&str] = match new["type"].as_str().unwrap_or("") {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        // Either would do.
        "kubernetes.io/basic-auth" if new["data"].get("username").or(new["data"].get("password")).is_none() => {
            &["username", "password"]
        }
        _ => &[],
    };
    let account = &new["metadata"]["annotations"]["kubernetes.io/service-account.name"];
    if new["type"] == "kubernetes.io/service-account-token" && absent(account) {
        out.push(required("metadata.annotations[kubernetes.io/service-account.name]", ""));
    }
    out.extend(
        needed.iter().filter(|key| new["data"].get(key).is_none()).map(|key| required(&format!("data[{key}]"), "")),
    );
}
