//! What the code of the built-in kinds refuses: the rules that add-ons, kubectl and controllers run into.
//!
//! Source of each rule: upstream `pkg/apis/{core,apps,rbac}/validation`; texts as recorded from a real server.

use super::text::{config_key, label, qualified_name};
use super::{FieldError, Reason, bad, definition, forbidden, invalid, required};
use crate::apiserver::schema::Resource;
use serde_json::{Value, json};

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
        ("", "Service") => service(new, out),
        ("", "Pod") => pod(&new["spec"], "spec", out),
        ("apps", "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet") => workload(resource, old, new, out),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition::check(new, out),
        ("", "Event") => event(new, out),
        ("events.k8s.io", "Event") => new_event(old, new, out),
        ("", "Namespace") => phase(new, out),
        ("batch", "Job") => {
            pod(&new["spec"]["template"]["spec"], "spec.template.spec", out);
            fixed(old, new, "spec", &["completionMode", "selector", "template"], out);
        }
        ("storage.k8s.io", "StorageClass") => fixed(old, new, "", &["parameters", "provisioner", "reclaimPolicy"], out),
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => role(new, out),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => binding(resource, old, new, out),
        _ => {}
    }
}

/// Checks what a write of the status alone may break.
pub(super) fn check_status(resource: &Resource, new: &Value, out: &mut Vec<FieldError>) {
    if resource.group.is_empty() && resource.kind == "Namespace" {
        phase(new, out);
    }
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
        _ => &[],
    };
    out.extend(
        needed.iter().filter(|key| new["data"].get(key).is_none()).map(|key| required(&format!("data[{key}]"), "")),
    );
}

fn service(new: &Value, out: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    let ports = spec["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    if ports.is_empty() && spec["type"] != "ExternalName" && spec["clusterIP"] != "None" {
        out.push(required("spec.ports", ""));
    }
    for (at, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{at}]");
        if ports.len() > 1 && absent(&port["name"]) {
            out.push(required(&format!("{path}.name"), ""));
        }
        for field in ["port", "targetPort"] {
            if port[field].as_i64().is_some_and(|number| !(1..=65535).contains(&number)) {
                out.push(bad(&format!("{path}.{field}"), &port[field], "must be between 1 and 65535, inclusive"));
            }
        }
    }
}

fn workload(resource: &Resource, old: Option<&Value>, new: &Value, out: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    let (selector, labels) = (&spec["selector"], &spec["template"]["metadata"]["labels"]);
    if spec["replicas"].as_i64().is_some_and(|replicas| replicas < 0) {
        out.push(bad("spec.replicas", &spec["replicas"], "must be greater than or equal to 0"));
    }
    let matches = selector["matchLabels"]
        .as_object()
        .is_none_or(|wanted| wanted.iter().all(|(key, value)| labels.get(key) == Some(value)));
    if selector.is_null() {
        out.push(required("spec.selector", ""));
    } else if selector.as_object().is_some_and(serde_json::Map::is_empty) {
        out.push(bad("spec.selector", selector, &format!("empty selector is invalid for {}", resource.singular)));
    }
    if selector.is_null() || !matches {
        out.push(bad("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"));
    }
    if spec["strategy"]["type"] == "Recreate" && !spec["strategy"]["rollingUpdate"].is_null() {
        out.push(forbidden(
            "spec.strategy.rollingUpdate",
            "Forbidden: may not be specified when strategy `type` is 'Recreate'",
        ));
    }
    pod(&spec["template"]["spec"], "spec.template.spec", out);
    let policy = &spec["template"]["spec"]["restartPolicy"];
    if !absent(policy) && *policy != "Always" {
        let detail = format!("Unsupported value: {policy}: supported values: \"Always\"");
        out.push(FieldError {
            field: "spec.template.spec.restartPolicy".to_owned(),
            reason: Reason::NotSupported,
            detail,
        });
    }
    let Some(old) = old.map(|old| &old["spec"]) else { return };
    if resource.kind == "StatefulSet" {
        const FREE: [&str; 7] = [
            "replicas",
            "ordinals",
            "template",
            "updateStrategy",
            "revisionHistoryLimit",
            "persistentVolumeClaimRetentionPolicy",
            "minReadySeconds",
        ];
        let fixed = |spec: &Value| -> Value {
            spec.as_object()
                .into_iter()
                .flatten()
                .filter(|(key, _)| !FREE.contains(&key.as_str()))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        };
        if fixed(old) != fixed(spec) {
            out.push(forbidden("spec", "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"));
        }
    } else if old["selector"] != *selector {
        out.push(bad("spec.selector", selector, IMMUTABLE));
    }
}

/// Containers and what they mount.
fn pod(spec: &Value, path: &str, out: &mut Vec<FieldError>) {
    let list = |key: &str| spec[key].as_array().map(Vec::as_slice).unwrap_or_default();
    if list("containers").is_empty() {
        out.push(required(&format!("{path}.containers"), ""));
    }
    let mut names: Vec<&str> = Vec::new();
    for key in ["containers", "initContainers"] {
        for (at, container) in list(key).iter().enumerate() {
            let path = format!("{path}.{key}[{at}]");
            let name = container["name"].as_str().unwrap_or("");
            if name.is_empty() {
                out.push(required(&format!("{path}.name"), ""));
            } else if let Some(why) = label(name) {
                out.push(invalid(&format!("{path}.name"), name, &why));
            } else if names.contains(&name) {
                let detail = format!("Duplicate value: {name:?}");
                out.push(FieldError { field: format!("{path}.name"), reason: Reason::Duplicate, detail });
            }
            names.push(name);
            if absent(&container["image"]) {
                out.push(required(&format!("{path}.image"), ""));
            }
            self::container(spec, container, &path, out);
        }
    }
}

fn container(spec: &Value, container: &Value, path: &str, out: &mut Vec<FieldError>) {
    for (at, port) in container["ports"].as_array().into_iter().flatten().enumerate() {
        let path = format!("{path}.ports[{at}].containerPort");
        match port["containerPort"].as_i64() {
            None | Some(0) => out.push(required(&path, "")),
            Some(number) if !(1..=65535).contains(&number) => {
                out.push(bad(&path, &port["containerPort"], "must be between 1 and 65535, inclusive"));
            }
            Some(_) => {}
        }
    }
    for (at, env) in container["env"].as_array().into_iter().flatten().enumerate() {
        let (path, name) = (format!("{path}.env[{at}].name"), env["name"].as_str().unwrap_or(""));
        if name.is_empty() {
            out.push(required(&path, ""));
        } else if name.contains('=') || !name.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            let why =
                "a valid environment variable name must consist only of printable ASCII characters other than '='";
            out.push(invalid(&path, name, why));
        }
    }
    let volumes = spec["volumes"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (at, mount) in container["volumeMounts"].as_array().into_iter().flatten().enumerate() {
        if !volumes.iter().any(|volume| volume["name"] == mount["name"]) {
            let detail = format!("Not found: {}", mount["name"]);
            out.push(FieldError { field: format!("{path}.volumeMounts[{at}].name"), reason: Reason::NotFound, detail });
        }
    }
}

fn role(new: &Value, out: &mut Vec<FieldError>) {
    for (at, rule) in new["rules"].as_array().into_iter().flatten().enumerate() {
        if absent(&rule["verbs"]) {
            out.push(required(&format!("rules[{at}].verbs"), "verbs must contain at least one value"));
        }
    }
}

fn binding(resource: &Resource, old: Option<&Value>, new: &Value, out: &mut Vec<FieldError>) {
    let role = &new["roleRef"];
    let kinds: &[&str] = if resource.namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    let kind = role["kind"].as_str().unwrap_or("");
    if !kinds.contains(&kind) {
        let shown: Vec<String> = kinds.iter().map(|kind| format!("{kind:?}")).collect();
        let detail = format!("Unsupported value: {kind:?}: supported values: {}", shown.join(", "));
        out.push(FieldError { field: "roleRef.kind".to_owned(), reason: Reason::NotSupported, detail });
    }
    if absent(&role["name"]) {
        out.push(required("roleRef.name", ""));
    }
    if old.is_some_and(|old| old["roleRef"] != *role) {
        let shown = json!({"APIGroup": role["apiGroup"], "Kind": role["kind"], "Name": role["name"]});
        out.push(bad("roleRef", &shown, "cannot change roleRef"));
    }
}
