use super::*;
use crate::apiserver::schema::Catalog;
use serde_json::json;

fn object(value: Value) -> Object {
    let resource = Catalog::builtin().find("apps", "v1", "deployments").unwrap();
    Object::from_value(resource, value).unwrap()
}

fn full() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "web", "namespace": "default", "uid": "00000000-0000-4000-8000-000000000001",
            "resourceVersion": "12", "generation": 3, "creationTimestamp": "2026-01-02T03:04:05Z",
            "deletionTimestamp": "2026-01-02T03:05:05Z", "deletionGracePeriodSeconds": 0,
            "labels": { "a": "b\"c" }, "annotations": { "x": "y" }, "finalizers": ["f/x"],
            "ownerReferences": [{ "apiVersion": "v1", "kind": "K", "name": "n", "uid": "u" }],
            "managedFields": [{
                "manager": "m", "operation": "Apply", "apiVersion": "apps/v1", "time": "2026-01-02T03:04:05Z",
                "fieldsType": "FieldsV1", "fieldsV1": { "f:spec": {} }, "subresource": "status",
            }],
        },
        "extra": { "kept": true }, "spec": { "replicas": 2 }, "status": { "replicas": 1 },
    })
}

#[test]
fn an_object_survives_parsing_and_rendering() {
    let object = object(full());
    assert_eq!(object.to_value(&object.resource), full());
    for custom in [false, true] {
        let mut resource = (*object.resource).clone();
        resource.custom = custom;
        let mut text = Vec::new();
        object.render(&resource, Form::Alone, &mut text);
        assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), full());
    }
}

#[test]
fn items_of_built_in_lists_carry_no_kind() {
    let object = object(full());
    let mut text = Vec::new();
    object.render(&object.resource, Form::Item, &mut text);
    let value: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!((value.get("kind"), value.get("apiVersion")), (None, None));
    assert_eq!(value["spec"], full()["spec"]);
}

#[test]
fn a_sparse_object_renders_nothing_that_it_lacks() {
    let object = object(json!({ "metadata": { "name": "a" } }));
    let mut text = Vec::new();
    object.render(&object.resource, Form::Alone, &mut text);
    assert_eq!(text, br#"{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"a"}}"#);
}

#[test]
fn metadata_of_the_wrong_type_is_refused() {
    let resource = Catalog::builtin().find("apps", "v1", "deployments").unwrap();
    for metadata in [
        json!({ "labels": { "a": 1 } }),
        json!({ "labels": [] }),
        json!({ "finalizers": [1] }),
        json!({ "name": 1 }),
        json!({ "creationTimestamp": "yesterday" }),
        json!("x"),
    ] {
        assert!(Object::from_value(resource, json!({ "metadata": metadata })).is_err(), "{metadata}");
    }
}

#[test]
fn equal_specs_of_two_objects_are_one_allocation() {
    let (a, b) = (object(full()), object(full()));
    assert!(Arc::ptr_eq(a.spec().unwrap(), b.spec().unwrap()));
    assert!(!Arc::ptr_eq(a.status().unwrap(), b.status().unwrap()), "a status is private");
}
