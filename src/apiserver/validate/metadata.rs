//! What makes `metadata` invalid.

use super::builtin::UNQUALIFIED;
use super::{FieldError, invalid, required};
use crate::apiserver::schema::Resource;
use crate::apiserver::text::{label, label_value, path_segment, qualified_name, subdomain};
use serde_json::{Map, Value};

/// Annotations together may have this many bytes (upstream: `TotalAnnotationSizeLimitB`).
const ANNOTATIONS_MAX: usize = 256 << 10;
/// Finalizers that need no domain.
const FINALIZERS: [&str; 3] = ["orphan", "foregroundDeletion", "kubernetes"];
/// Groups whose kinds are checked as custom resources are: their finalizers need no domain.
const LENIENT: [&str; 5] =
    ["admissionregistration.k8s.io", "apiregistration.k8s.io", "coordination.k8s.io", "node.k8s.io", "policy"];

/// Checks the metadata of an object.
pub(super) fn check(
    resource: &Resource,
    old: Option<&Value>,
    metadata: &Map<String, Value>,
    out: &mut Vec<FieldError>,
) {
    name(resource, metadata, out);
    let texts = |key: &str| metadata.get(key).and_then(Value::as_object).into_iter().flatten();
    for (key, value) in texts("labels") {
        out.extend(qualified_name(key).iter().map(|why| invalid("metadata.labels", key, why)));
        let value = value.as_str().unwrap_or("");
        out.extend(label_value(value).map(|why| invalid("metadata.labels", value, &why)));
    }
    let mut size = 0;
    for (key, value) in texts("annotations") {
        let wrong = qualified_name(&key.to_lowercase());
        out.extend(wrong.iter().map(|why| invalid("metadata.annotations", key, why)));
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > ANNOTATIONS_MAX {
        let detail = "Too long: may not be more than 262144 bytes".to_owned();
        out.push(FieldError { field: "metadata.annotations".to_owned(), reason: super::Reason::TooLong, detail });
    }
    finalizers(resource, metadata, out);
    owners(metadata, out);
    if let Some(old) = old.and_then(|old| old.get("metadata")) {
        deleting(old, metadata, out);
    }
}

fn name(resource: &Resource, metadata: &Map<String, Value>, out: &mut Vec<FieldError>) {
    let text = |key: &str| metadata.get(key).and_then(Value::as_str).unwrap_or("");
    let (name, prefix) = (text("name"), text("generateName"));
    if name.is_empty() && prefix.is_empty() {
        out.push(required("metadata.name", "name or generateName is required"));
    }
    if !prefix.is_empty() {
        // What is drawn comes after a dash at the end: it counts as a letter.
        let begun = prefix.strip_suffix('-').filter(|rest| !rest.is_empty()).map(|rest| format!("{rest}a"));
        let why = misnamed(resource, begun.as_deref().unwrap_or(prefix));
        out.extend(why.map(|why| invalid("metadata.generateName", prefix, &why)));
    }
    if !name.is_empty() {
        out.extend(misnamed(resource, name).map(|why| invalid("metadata.name", name, &why)));
    }
}

/// What is wrong with the name of an object of this kind.
fn misnamed(resource: &Resource, name: &str) -> Option<String> {
    if resource.custom {
        return subdomain(name);
    }
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("rbac.authorization.k8s.io", _) => path_segment(name),
        // These take whatever fits a path: their own rules are stricter than needed here.
        ("apiregistration.k8s.io", "APIService")
        | ("networking.k8s.io", "IPAddress")
        | ("certificates.k8s.io", "CertificateSigningRequest") => path_segment(name),
        ("", "Namespace") if name.contains('.') && subdomain(name).is_none() => {
            Some("must not contain dots".to_owned())
        }
        ("", "Namespace" | "Service") | ("apps", "StatefulSet") => label(name),
        // Its name is never looked at.
        ("policy", "PodDisruptionBudget") => None,
        _ => subdomain(name),
    }
}

fn finalizers(resource: &Resource, metadata: &Map<String, Value>, out: &mut Vec<FieldError>) {
    let list = metadata.get("finalizers").and_then(Value::as_array);
    for (at, finalizer) in list.into_iter().flatten().filter_map(Value::as_str).enumerate() {
        out.extend(qualified_name(finalizer).iter().map(|why| invalid("metadata.finalizers", finalizer, why)));
        let lenient = resource.custom || LENIENT.contains(&resource.group.as_str());
        if !lenient && !finalizer.contains('/') && !FINALIZERS.contains(&finalizer) {
            out.push(invalid(&format!("metadata.finalizers[{at}]"), finalizer, UNQUALIFIED));
        }
    }
}

fn owners(metadata: &Map<String, Value>, out: &mut Vec<FieldError>) {
    let list = metadata.get("ownerReferences").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut controller: Option<String> = None;
    for owner in list {
        let text = |key: &str| owner.get(key).and_then(Value::as_str).unwrap_or("");
        for (key, why) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if text(key).is_empty() {
                out.push(invalid(&format!("metadata.ownerReferences.{key}"), "", why));
            }
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            let this = format!("{}/{}", text("kind"), text("name"));
            match &controller {
                None => controller = Some(this),
                Some(first) => {
                    let why = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                    );
                    let shown: Vec<String> = list.iter().map(owner_text).collect();
                    let detail = format!("Invalid value: [{}]: {why}", shown.join(","));
                    out.push(FieldError {
                        field: "metadata.ownerReferences".to_owned(),
                        reason: super::Reason::Invalid,
                        detail,
                    });
                }
            }
        }
    }
}

/// An owner reference in the order of its structure.
fn owner_text(owner: &Value) -> String {
    let keys = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
    let parts: Vec<String> =
        keys.iter().filter_map(|key| owner.get(key).map(|value| format!("{key:?}:{value}"))).collect();
    format!("{{{}}}", parts.join(","))
}

/// An object that is being deleted gains no finalizers.
fn deleting(old: &Value, metadata: &Map<String, Value>, out: &mut Vec<FieldError>) {
    if old.get("deletionTimestamp").is_none_or(Value::is_null) {
        return;
    }
    let list = |of: Option<&Value>| -> Vec<String> {
        of.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let before = list(old.get("finalizers"));
    let mut added: Vec<String> =
        list(metadata.get("finalizers")).into_iter().filter(|one| !before.contains(one)).collect();
    if added.is_empty() {
        return;
    }
    added.sort();
    let shown: Vec<String> = added.iter().map(|one| format!("{one:?}")).collect();
    let detail = format!(
        "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        shown.join(", ")
    );
    let error = FieldError { field: "metadata.finalizers".to_owned(), reason: super::Reason::Forbidden, detail };
    // Upstream validates the metadata of an update twice, before and in the strategy of the kind.
    out.extend([error.clone(), error]);
}
