//! Remembered applies are the applies that they stand for.

use super::*;

/// Applies a text, for real or dry.
fn apply(world: &World, text: &'static str, manager: &'static str, force: bool, dry_run: bool) -> Response {
    world.call(Verb::Patch, "configmaps", "default", "a", |request| {
        request.options = Options { dry_run, force, field_manager: Some(manager), ..Options::default() };
        request.body = Body::Patch(PatchType::Apply, text.as_bytes());
    })
}

const ONE: &str =
    r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","labels":{"l":"1"}},"data":{"k":"1"}}"#;
const TWO: &str =
    r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","labels":{"l":"1"}},"data":{"k":"2"}}"#;

#[test]
fn an_apply_after_its_dry_run_stores_what_the_apply_alone_stores() {
    let (dry, plain) = (World::bare(), World::bare());
    for text in [ONE, TWO, ONE] {
        let planned = value(apply(&dry, text, "m", false, true));
        let with = value(apply(&dry, text, "m", false, false));
        let without = value(apply(&plain, text, "m", false, false));
        assert_eq!(with, without);
        assert_eq!(planned["data"], with["data"]);
        assert_eq!(planned["metadata"]["managedFields"], with["metadata"]["managedFields"]);
    }
}

#[test]
fn what_changed_nothing_is_asked_again_once_the_object_moved() {
    let world = World::bare();
    let made = value(apply(&world, ONE, "m", false, false));
    for dry_run in [true, true, false] {
        assert_eq!(value(apply(&world, ONE, "m", false, dry_run)), made, "nothing changes");
    }
    world.merge("configmaps", "default", "a", None, json!({ "data": { "k": "drifted" } }));
    let conflict = failure(apply(&world, ONE, "m", false, true));
    assert_eq!(conflict.code, 409, "the stranger owns the field now");
    let mended = value(apply(&world, ONE, "m", true, false));
    assert_eq!((&mended["data"]["k"], version(&mended) > version(&made)), (&json!("1"), true));
}

#[test]
fn another_manager_is_another_apply() {
    let world = World::bare();
    value(apply(&world, ONE, "m", false, false));
    value(apply(&world, ONE, "m", false, true));
    let shared = value(apply(&world, ONE, "n", false, false));
    assert_eq!(shared["metadata"]["managedFields"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_dry_run_for_an_object_that_came_meanwhile_is_forgotten() {
    let world = World::bare();
    value(apply(&world, ONE, "m", true, true));
    world.create("configmaps", "default", config_map("a", "x"));
    let applied = value(apply(&world, ONE, "m", true, false));
    assert_eq!(applied["data"]["k"], "1");
    assert_eq!(applied["metadata"]["managedFields"].as_array().map(Vec::len), Some(2), "the creator is remembered");
}

#[test]
fn another_schema_is_another_apply() {
    let world = World::bare();
    let definition = |default: Value| {
        json!({ "metadata": { "name": "toys.example.com" }, "spec": {
            "group": "example.com", "scope": "Namespaced", "names": { "plural": "toys", "kind": "Toy" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": {
                "type": "object", "properties": { "spec": { "type": "object", "properties": {
                    "a": { "type": "string" }, "b": default } } } } } }] } })
    };
    let apply = |text: &'static str| {
        world.call(Verb::Patch, "toys", "default", "t", |request| {
            request.options.field_manager = Some("m");
            request.body = Body::Patch(PatchType::Apply, text.as_bytes());
        })
    };
    let text = r#"{"apiVersion":"example.com/v1","kind":"Toy","metadata":{"name":"t"},"spec":{"a":"1"}}"#;
    world.create("customresourcedefinitions", "", definition(json!({ "type": "string" })));
    let made = value(apply(text));
    assert_eq!(value(apply(text)), made, "nothing changes, which is remembered");
    let changed = definition(json!({ "type": "string", "default": "new" }));
    assert_eq!(world.merge("customresourcedefinitions", "", "toys.example.com", None, changed).code(), 200);
    assert_eq!(value(apply(text))["spec"], json!({ "a": "1", "b": "new" }));
}
