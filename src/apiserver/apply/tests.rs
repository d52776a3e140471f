//! Replays what a real API server answered to the same writes (see `testdata/`).

use super::*;
use crate::apiserver::object::{Kept, Manager, Meta, instant};
use crate::apiserver::schema::{Catalog, Resource};
use crate::apiserver::{defaults, patch, prune};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// One write and its answer, recorded from kube-apiserver 1.36.
#[derive(Deserialize)]
struct Vector {
    title: String,
    /// Group, version, plural.
    resource: (String, String, String),
    op: String,
    manager: String,
    subresource: Option<String>,
    #[serde(default)]
    force: bool,
    live: Option<Value>,
    body: Value,
    code: u16,
    object: Option<Value>,
    message: Option<String>,
}

fn catalog() -> Catalog {
    let crd: Value = serde_json::from_str(include_str!("testdata/widgets.json")).unwrap();
    Catalog::builtin().with_crds(&[crd]).unwrap()
}

fn vectors() -> Vec<Vector> {
    let packed = include_bytes!("testdata/vectors.json.zst");
    serde_json::from_slice(&zstd::decode_all(&packed[..]).unwrap()).unwrap()
}

/// The latest time in an object's managedFields.
fn now(object: Option<&Value>) -> u64 {
    let entries = object.and_then(|object| object.pointer("/metadata/managedFields")).and_then(Value::as_array);
    let times = entries.into_iter().flatten().filter_map(|entry| entry["time"].as_str());
    instant::parse(times.max().unwrap_or("2026-01-01T00:00:00Z")).unwrap()
}

/// Takes the managedFields out of a recorded object.
fn managers(object: &mut Value) -> Option<Arc<[Manager]>> {
    let managed = take_managed(object)?;
    Meta::from_value(json!({ "managedFields": managed })).unwrap().managers
}

/// Puts managedFields back into an object.
fn put(object: &mut Value, managers: Option<Arc<[Manager]>>) {
    if let Some(managed) = (Meta { managers, ..Meta::default() }).managed_fields() {
        object["metadata"]["managedFields"] = managed;
    }
}

/// Carries out the write as the server's pipeline does.
fn replay(resource: &Resource, one: &Vector) -> Result<Value, ApplyError> {
    let (subresource, now) = (one.subresource.as_deref(), now(one.object.as_ref()));
    let (mut live, manager) = (one.live.clone(), one.manager.as_str());
    let stored = live.as_mut().and_then(managers);
    let (live, managers) = (live.as_ref(), stored.as_deref().unwrap_or_default());
    if one.op == "apply" {
        let (config, force) = (&one.body, one.force);
        let input = ApplyInput { resource, live, managers, config, manager, subresource, force, now };
        let (mut object, managers) = apply(&input)?;
        put(&mut object, managers);
        finish(resource, one, &mut object);
        return Ok(object);
    }
    let mut object = one.live.clone().unwrap_or_else(|| one.body.clone());
    match one.op.as_str() {
        "merge" => patch::merge(&mut object, &one.body).unwrap(),
        "json" => patch::json(&mut object, one.body.to_string().as_bytes()).unwrap(),
        "strategic" => patch::strategic(resource, &mut object, &one.body).unwrap(),
        _ => object = one.body.clone(),
    }
    finish(resource, one, &mut object);
    let sent = take_managed(&mut object);
    let managers = track(&TrackInput { resource, old: live, managers, manager, subresource, now }, &object, sent);
    put(&mut object, managers);
    Ok(object)
}

/// Prunes and defaults; a write through `status` changes nothing else, one to the object leaves status alone.
fn finish(resource: &Resource, one: &Vector, object: &mut Value) {
    prune::prune(resource, object);
    defaults::defaults(resource, object, Kept::default());
    if !resource.has_status {
        return;
    }
    let Some(live) = &one.live else {
        if resource.custom {
            object.as_object_mut().unwrap().remove("status");
        }
        return;
    };
    let keep = if one.subresource.is_some() { vec!["spec"] } else { vec!["status"] };
    for key in keep {
        match live.get(key) {
            Some(section) => object[key] = section.clone(),
            None => drop(object.as_object_mut().unwrap().remove(key)),
        }
    }
    if one.subresource.is_some() && resource.custom {
        let managed = object["metadata"]["managedFields"].take();
        object["metadata"] = live["metadata"].clone();
        object["metadata"]["managedFields"] = managed;
    }
}

/// The object without what the store writes.
fn plain(resource: &Resource, object: &Value) -> Value {
    let mut object = object.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    for key in ["uid", "resourceVersion", "creationTimestamp", "generation", "name", "namespace"] {
        metadata.remove(key);
    }
    if resource.kind == "Service" {
        let spec = object["spec"].as_object_mut().unwrap();
        for key in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            spec.remove(key);
        }
    }
    object
}

#[test]
fn every_recorded_write_gives_the_recorded_object_or_refusal() {
    let catalog = catalog();
    let mut wrong = Vec::new();
    let all = vectors();
    assert!(all.len() > 100);
    for one in &all {
        let (group, version, plural) = &one.resource;
        let resource = catalog.find(group, version, plural).unwrap();
        let got = match replay(resource, one) {
            Ok(object) => {
                let object = plain(resource, &object);
                match &one.object {
                    Some(expected) if object == plain(resource, expected) => continue,
                    Some(expected) => json!({"got": object, "expected": plain(resource, expected)}),
                    // Validation refused it there; that has tests of its own.
                    None if one.code == 422 => continue,
                    None => json!({"got": object, "expected": one.message}),
                }
            }
            Err(refused) => {
                let expected = one.message.clone().unwrap_or_default();
                if refused.code() == one.code && (refused.to_string() == expected || expected.contains("errors:")) {
                    continue;
                }
                json!({"got": refused.to_string(), "expected": expected, "code": one.code})
            }
        };
        wrong.push(format!("{}\n{}", one.title, serde_json::to_string_pretty(&got).unwrap()));
    }
    assert!(wrong.is_empty(), "{} of {} differ\n{}", wrong.len(), all.len(), wrong.join("\n"));
}
