//! Volumes and who makes them.

use super::{IMMUTABLE, absent, fixed, list};
use crate::apiserver::schema::Resource;
use crate::apiserver::text::quantity;
use crate::apiserver::validate::{FieldError, Reason, bad, forbidden, required};
use serde_json::{Value, json};

/// Upstream adds what differs, as Go prints it.
const CLAIM_PINNED: &str = "Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
const SOURCE_PINNED: &str = "Forbidden: spec.persistentvolumesource is immutable after creation";
const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
/// Fields of a volume that do not say where it is.
const NO_SOURCE: [&str; 9] = [
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];

/// Kinds of storage.
pub(super) fn check(resource: &Resource, old: Option<&Value>, new: &Value, out: &mut Vec<FieldError>) {
    match resource.kind.as_str() {
        "StorageClass" => {
            if absent(&new["provisioner"]) {
                out.push(required("provisioner", ""));
            }
            super::one_of("reclaimPolicy", &new["reclaimPolicy"], &["Delete", "Retain"], out);
            fixed(old, new, "", &["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"], out);
        }
        "CSIDriver" => {
            let attach = &new["spec"]["attachRequired"];
            if old.is_some_and(|old| old["spec"]["attachRequired"] != *attach) {
                // Upstream calls it so.
                out.push(bad("spec.attachedRequired", attach, IMMUTABLE));
            }
        }
        "VolumeAttachment" => attachment(old, new, out),
        "PersistentVolumeClaim" => claim(old, new, out),
        "PersistentVolume" => volume(old, new, out),
        _ => {}
    }
}

fn attachment(old: Option<&Value>, new: &Value, out: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    if old.is_some_and(|old| old["spec"] != *spec) {
        let source = &spec["source"];
        let shown = format!(
            "{{\"Attacher\":{},\"Source\":{{\"PersistentVolumeName\":{},\"InlineVolumeSpec\":{}}},\"NodeName\":{}}}",
            spec["attacher"], source["persistentVolumeName"], source["inlineVolumeSpec"], spec["nodeName"]
        );
        let detail = format!("Invalid value: {shown}: {IMMUTABLE}");
        out.push(FieldError { field: "spec".to_owned(), reason: Reason::Invalid, detail });
    }
}

fn modes(spec: &Value, out: &mut Vec<FieldError>) {
    for mode in list(spec, "accessModes") {
        super::one_of("spec.accessModes", mode, &MODES, out);
    }
}

fn claim(old: Option<&Value>, new: &Value, out: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    if list(spec, "accessModes").is_empty() {
        out.push(required("spec.accessModes", "at least 1 access mode is required"));
    }
    modes(spec, out);
    let asked = &spec["resources"]["requests"]["storage"];
    if asked.is_null() {
        out.push(required("spec.resources[storage]", ""));
    } else if quantity(asked).is_some_and(|asked| asked <= 0.0) {
        out.push(bad("spec.resources[storage]", asked, "must be greater than zero"));
    }
    let Some(old) = old else { return };
    let bound = old["status"]["phase"] == "Bound";
    if pinned(&old["spec"], &old["spec"], bound) != pinned(spec, &old["spec"], bound) {
        out.push(forbidden("spec", CLAIM_PINNED));
    }
}

/// What an update of a claim may not touch; a volume may be named once.
fn pinned(spec: &Value, old: &Value, bound: bool) -> Value {
    let mut spec = spec.clone();
    if absent(&old["volumeName"]) {
        spec["volumeName"].take();
    }
    if bound {
        spec["resources"]["requests"].take();
        spec["volumeAttributesClassName"].take();
    }
    spec
}

fn volume(old: Option<&Value>, new: &Value, out: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    if list(spec, "accessModes").is_empty() {
        out.push(required("spec.accessModes", ""));
    }
    modes(spec, out);
    if spec["capacity"].as_object().is_none_or(serde_json::Map::is_empty) {
        out.push(required("spec.capacity", ""));
        let detail = "Unsupported value: null: supported values: \"storage\"".to_owned();
        out.push(FieldError { field: "spec.capacity".to_owned(), reason: Reason::NotSupported, detail });
    }
    let source = |spec: &Value| -> Value {
        let fields = spec.as_object().into_iter().flatten();
        let kept = fields.filter(|(name, value)| !NO_SOURCE.contains(&name.as_str()) && !value.is_null());
        kept.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    if source(spec) == json!({}) {
        out.push(required("spec", "must specify a volume type"));
    }
    if old.is_some_and(|old| source(&old["spec"]) != source(spec)) {
        out.push(forbidden("spec.persistentvolumesource", SOURCE_PINNED));
    }
}
