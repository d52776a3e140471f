//! Writes of a whole cluster: creates, updates, patches, deletions.

use super::*;

#[test]
fn a_created_object_has_what_the_server_owns() {
    let world = World::bare();
    let made = value(world.create("configmaps", "default", config_map("a", "1")));
    assert_eq!(made["metadata"]["namespace"], "default");
    assert!(made["metadata"]["uid"].as_str().unwrap().len() == 36);
    assert_eq!(made["metadata"]["creationTimestamp"], "2027-01-15T08:00:00Z");
    assert_eq!(made["metadata"]["managedFields"][0]["manager"], "test");
    assert_eq!(made["metadata"].get("generation"), None, "config maps keep none");
    assert_eq!(world.get("configmaps", "default", "a"), Some(made));
}

#[test]
fn refusals_have_upstreams_code_and_reason() {
    let world = World::bare();
    world.create("configmaps", "default", config_map("a", "1"));
    let with = |part: Value| {
        let mut value = config_map("b", "1");
        for (key, field) in part.as_object().unwrap() {
            value["metadata"][key] = field.clone();
        }
        value
    };
    for (response, code, reason) in [
        (world.create("configmaps", "default", config_map("a", "1")), 409, "AlreadyExists"),
        (world.create("configmaps", "nowhere", config_map("a", "1")), 404, "NotFound"),
        (world.create("configmaps", "default", with(json!({ "namespace": "x" }))), 400, "BadRequest"),
        (world.create("configmaps", "default", with(json!({ "resourceVersion": "7" }))), 500, ""),
        (world.create("configmaps", "default", with(json!({ "name": "UPPER" }))), 422, "Invalid"),
        (world.create("configmaps", "default", with(json!({ "name": "" }))), 422, "Invalid"),
        (world.create("configmaps", "default", with(json!({ "labels": { "-": "x" } }))), 422, "Invalid"),
        (world.create("configmaps", "default", json!({ "kind": "Secret", "metadata": {} })), 400, "BadRequest"),
        (world.update("configmaps", "default", "zz", config_map("zz", "1")), 404, "NotFound"),
        (world.update("configmaps", "default", "a", config_map("b", "1")), 400, "BadRequest"),
        (
            world.update("configmaps", "default", "a", with(json!({ "name": "a", "resourceVersion": "1" }))),
            409,
            "Conflict",
        ),
        (world.update("configmaps", "default", "a", with(json!({ "name": "a", "uid": "x" }))), 409, "Conflict"),
        (world.merge("configmaps", "default", "zz", None, json!({})), 404, "NotFound"),
        (world.delete("configmaps", "default", "zz", json!({})), 404, "NotFound"),
        (world.delete("configmaps", "default", "a", json!({ "preconditions": { "uid": "x" } })), 409, "Conflict"),
        (world.delete("namespaces", "", "default", json!({})), 403, "Forbidden"),
        (world.update("kustomizations", "default", "zz", json!({ "metadata": { "name": "zz" } })), 404, "NotFound"),
    ] {
        let failure = failure(response);
        assert_eq!((failure.code, &*failure.reason), (code, reason), "{}", failure.message);
    }
}

#[test]
fn writes_that_change_nothing_keep_the_version_and_make_no_event() {
    let mut world = World::bare();
    let made = value(world.create("configmaps", "default", config_map("a", "1")));
    let mut watch = world.watch("configmaps", "default", Options { resource_version: "", ..Options::default() });
    drain(&mut watch);
    let before = world.cluster.version();
    world.pass(5);
    for same in [
        world.update("configmaps", "default", "a", made.clone()),
        world.update("configmaps", "default", "a", config_map("a", "1")),
        world.merge("configmaps", "default", "a", None, json!({})),
        world.merge("configmaps", "default", "a", None, json!({ "data": { "k": "1" } })),
    ] {
        assert_eq!(value(same), made);
    }
    assert_eq!(world.cluster.version(), before);
    assert!(drain(&mut watch).is_empty());
}

fn kustomization() -> Value {
    json!({ "metadata": { "name": "k" }, "spec": { "interval": "10m", "prune": true, "path": "./x",
        "sourceRef": { "kind": "GitRepository", "name": "g" } } })
}

#[test]
fn spec_counts_generation_and_status_does_not() {
    let world = World::bare();
    let made = value(world.create("kustomizations", "default", kustomization()));
    assert_eq!(made["metadata"]["generation"], 1);
    let status = json!({ "status": { "observedGeneration": 1, "lastAppliedRevision": "main@sha1:1" } });
    let after = value(world.merge("kustomizations", "default", "k", Some("status"), status.clone()));
    assert_eq!(after["metadata"]["generation"], 1);
    assert_eq!(after["status"]["lastAppliedRevision"], "main@sha1:1");
    assert_eq!(after["spec"], made["spec"]);
    assert!(version(&after) > version(&made));
    let ignored =
        value(world.merge("kustomizations", "default", "k", None, json!({ "status": { "lastAppliedRevision": "x" } })));
    assert_eq!(ignored, after, "the main endpoint ignores the status");
    let spec = json!({ "spec": { "path": "./y" } });
    let changed = value(world.merge("kustomizations", "default", "k", None, spec));
    assert_eq!(changed["metadata"]["generation"], 2);
    assert_eq!(changed["status"], after["status"]);
}

#[test]
fn a_status_patch_owns_its_fields_under_its_own_entry() {
    let mut world = World::bare();
    world.create("kustomizations", "default", kustomization());
    let patch = |n: u32| json!({ "status": { "observedGeneration": n } });
    let first = value(world.merge("kustomizations", "default", "k", Some("status"), patch(1)));
    let entries = first["metadata"]["managedFields"].as_array().unwrap().clone();
    let own = |entries: &[Value]| entries.iter().find(|e| e["subresource"] == "status").unwrap().clone();
    assert_eq!(own(&entries)["fieldsV1"], json!({ "f:status": { "f:observedGeneration": {} } }));
    world.pass(10);
    let second = value(world.merge("kustomizations", "default", "k", Some("status"), patch(2)));
    let after = own(second["metadata"]["managedFields"].as_array().unwrap());
    assert_eq!(after["fieldsV1"], own(&entries)["fieldsV1"]);
    assert_ne!(after["time"], own(&entries)["time"]);
}

#[test]
fn the_expected_version_of_a_status_patch_is_a_lock() {
    let world = World::bare();
    let made = value(world.create("kustomizations", "default", kustomization()));
    let patch = |rv: &str| json!({ "metadata": { "resourceVersion": rv }, "status": { "observedGeneration": 5 } });
    let stale = failure(world.merge("kustomizations", "default", "k", Some("status"), patch("1")));
    assert_eq!((stale.code, &*stale.reason), (409, "Conflict"));
    let right = made["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    assert_eq!(
        value(world.merge("kustomizations", "default", "k", Some("status"), patch(&right)))["status"]["observedGeneration"],
        5
    );
}

#[test]
fn dry_runs_answer_and_store_nothing() {
    let world = World::bare();
    let before = world.cluster.version();
    let made = value(world.call(Verb::Create, "configmaps", "default", "", |r| {
        r.body = Body::Value(leak(config_map("a", "1")));
        r.options.dry_run = true;
    }));
    assert_eq!(made["metadata"].get("resourceVersion"), None);
    assert!(made["metadata"]["uid"].is_string());
    assert_eq!(world.get("configmaps", "default", "a"), None);
    assert_eq!(world.cluster.version(), before);
    let stored = value(world.create("configmaps", "default", config_map("a", "1")));
    let changed = value(world.call(Verb::Update, "configmaps", "default", "a", |r| {
        r.body = Body::Value(leak(config_map("a", "2")));
        r.options.dry_run = true;
    }));
    assert_eq!(changed["data"]["k"], "2");
    assert_eq!(version(&changed), version(&stored));
    assert_eq!(world.get("configmaps", "default", "a"), Some(stored));
}

#[test]
fn names_are_generated_from_their_prefix() {
    let world = World::bare();
    let body = json!({ "metadata": { "generateName": "run-" } });
    let names: Vec<Value> = (0..20)
        .map(|_| value(world.create("configmaps", "default", body.clone()))["metadata"]["name"].clone())
        .collect();
    assert!(names.iter().all(|name| name.as_str().unwrap().starts_with("run-")));
    let mut different = names.clone();
    different.dedup();
    assert_eq!(names.len(), different.len());
}

#[test]
fn an_apply_creates_and_then_changes_nothing() {
    let mut world = World::bare();
    let config: &'static [u8] = Vec::leak(
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" }, "data": { "k": "1" } })
            .to_string()
            .into_bytes(),
    );
    let apply = |world: &World| {
        world.call(Verb::Patch, "configmaps", "default", "a", |r| {
            r.body = Body::Patch(PatchType::Apply, config);
            r.options.field_manager = Some("flux");
        })
    };
    let first = apply(&world);
    assert_eq!(first.code(), 201);
    let first = value(first);
    world.pass(5);
    let again = apply(&world);
    assert_eq!(again.code(), 200);
    assert_eq!(value(again), first);
    let refused = failure(
        world.call(Verb::Patch, "configmaps", "default", "a", |r| r.body = Body::Patch(PatchType::Apply, config)),
    );
    assert_eq!(refused.code, 422);
}

#[test]
fn finalizers_hold_an_object_until_the_last_one_goes() {
    let world = World::bare();
    let mut body = config_map("a", "1");
    body["metadata"]["finalizers"] = json!(["x/y"]);
    world.create("configmaps", "default", body);
    let mut watch = world.watch("configmaps", "default", Options::default());
    drain(&mut watch);
    let marked = value(world.delete("configmaps", "default", "a", json!({})));
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 0);
    let more = json!({ "metadata": { "finalizers": ["x/y", "late/one"] } });
    assert_eq!(failure(world.merge("configmaps", "default", "a", None, more)).code, 422);
    let last = world.merge("configmaps", "default", "a", None, json!({ "metadata": { "finalizers": null } }));
    assert_eq!(last.code(), 200);
    assert_eq!(world.get("configmaps", "default", "a"), None);
    assert_eq!(drain(&mut watch), ["MODIFIED a", "DELETED a"]);
}

#[test]
fn an_object_that_comes_again_is_another_one() {
    let world = World::bare();
    let first = value(world.create("configmaps", "default", config_map("a", "1")));
    let gone = value(world.delete("configmaps", "default", "a", json!({})));
    assert_eq!((&gone["kind"], &gone["status"]), (&json!("Status"), &json!("Success")));
    assert_eq!(gone["details"]["uid"], first["metadata"]["uid"]);
    let second = value(world.create("configmaps", "default", config_map("a", "1")));
    assert_ne!(first["metadata"]["uid"], second["metadata"]["uid"]);
    assert!(version(&second) > version(&first) + 1, "the deletion took a version");
}

fn owned(name: &str, owner: &Value, blocks: bool) -> Value {
    let mut body = config_map(name, "1");
    body["metadata"]["ownerReferences"] = json!([{
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "blockOwnerDeletion": blocks,
    }]);
    body
}

#[test]
fn dependents_follow_their_owner_as_the_policy_says() {
    for (policy, owner_after, dependent_after) in
        [("Background", false, false), ("Foreground", false, false), ("Orphan", false, true)]
    {
        let mut world = World::tidy();
        let owner = value(world.create("configmaps", "default", config_map("owner", "1")));
        world.create("configmaps", "default", owned("child", &owner, true));
        let grandchild = world.get("configmaps", "default", "child").unwrap();
        world.create("configmaps", "default", owned("grandchild", &grandchild, true));
        let answer = world.delete("configmaps", "default", "owner", json!({ "propagationPolicy": policy }));
        assert_eq!(answer.code(), 200);
        let waits = world.get("configmaps", "default", "owner").is_some();
        assert_eq!(waits, policy != "Background", "{policy}");
        assert!(world.get("configmaps", "default", "child").is_some(), "{policy}: not at once");
        world.pass(3);
        assert_eq!(world.get("configmaps", "default", "owner").is_some(), owner_after, "{policy}");
        let child = world.get("configmaps", "default", "child");
        assert_eq!(child.is_some(), dependent_after, "{policy}");
        assert_eq!(world.get("configmaps", "default", "grandchild").is_some(), dependent_after, "{policy}");
        if let Some(child) = child {
            assert_eq!(child["metadata"].get("ownerReferences"), None, "an orphan names no owner");
        }
    }
}

#[test]
fn a_dependent_with_another_owner_stays() {
    let mut world = World::tidy();
    let (a, b) = (
        value(world.create("configmaps", "default", config_map("a", "1"))),
        value(world.create("configmaps", "default", config_map("b", "1"))),
    );
    let mut child = owned("child", &a, true);
    let second = owned("child", &b, true)["metadata"]["ownerReferences"][0].clone();
    child["metadata"]["ownerReferences"].as_array_mut().unwrap().push(second);
    world.create("configmaps", "default", child);
    world.delete("configmaps", "default", "a", json!({}));
    world.pass(2);
    let child = world.get("configmaps", "default", "child").unwrap();
    assert_eq!(child["metadata"]["ownerReferences"].as_array().unwrap().len(), 1);
    world.delete("configmaps", "default", "b", json!({}));
    world.pass(2);
    assert_eq!(world.get("configmaps", "default", "child"), None);
}

#[test]
fn without_housekeeping_nobody_collects() {
    let mut world = World::bare();
    let owner = value(world.create("configmaps", "default", config_map("owner", "1")));
    world.create("configmaps", "default", owned("child", &owner, true));
    world.delete("configmaps", "default", "owner", json!({}));
    world.pass(5);
    assert!(world.get("configmaps", "default", "child").is_some());
}

#[test]
fn a_namespace_fills_terminates_and_goes_when_it_is_empty() {
    let mut world = World::tidy();
    let made = value(world.create("namespaces", "", json!({ "metadata": { "name": "team" } })));
    assert_eq!(made["status"]["phase"], "Active");
    assert_eq!(made["metadata"]["labels"]["kubernetes.io/metadata.name"], "team");
    assert_eq!(made["spec"]["finalizers"], json!(["kubernetes"]));
    world.pass(1);
    assert!(world.get("serviceaccounts", "team", "default").is_some());
    assert!(world.get("configmaps", "team", "kube-root-ca.crt").is_some());
    let mut held = config_map("held", "1");
    held["metadata"]["finalizers"] = json!(["x/y"]);
    world.create("configmaps", "team", held);
    let going = value(world.delete("namespaces", "", "team", json!({})));
    assert_eq!(going["status"]["phase"], "Terminating");
    let refused = failure(world.create("configmaps", "team", config_map("b", "1")));
    assert_eq!((refused.code, refused.details.unwrap().causes[0].reason.as_str()), (403, "NamespaceTerminating"));
    world.pass(2);
    let going = world.get("namespaces", "", "team").unwrap();
    assert_eq!(going["status"]["conditions"][3]["status"], "True", "content remains");
    assert_eq!(value(world.delete("namespaces", "", "team", json!({})))["status"]["phase"], "Terminating");
    world.merge("configmaps", "team", "held", None, json!({ "metadata": { "finalizers": null } }));
    world.pass(2);
    assert_eq!(world.get("namespaces", "", "team"), None);
    assert_eq!(world.create("namespaces", "", json!({ "metadata": { "name": "team" } })).code(), 201);
}

fn crd() -> Value {
    json!({
        "metadata": { "name": "toys.example.com" },
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": { "plural": "toys", "kind": "Toy" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true } } }],
        },
    })
}

#[test]
fn a_definition_is_established_serves_and_takes_its_instances_with_it() {
    let world = World::bare();
    let mut watch = world.watch("customresourcedefinitions", "", Options::default());
    drain(&mut watch);
    let made = world.create("customresourcedefinitions", "", crd());
    assert_eq!(made.code(), 201);
    assert_eq!(drain(&mut watch), ["ADDED toys.example.com", "MODIFIED toys.example.com", "MODIFIED toys.example.com"]);
    let stored = world.get("customresourcedefinitions", "", "toys.example.com").unwrap();
    assert_eq!(stored["status"]["acceptedNames"]["listKind"], "ToyList");
    assert_eq!(stored["status"]["conditions"][1]["status"], "True");
    assert_eq!(stored["status"]["storedVersions"], json!(["v1"]));
    assert_eq!(world.create("toys", "default", json!({ "metadata": { "name": "t" }, "any": 1 })).code(), 201);
    let mut toys = world.watch("toys", "default", Options::default());
    assert_eq!(drain(&mut toys), ["ADDED t"]);
    world.delete("customresourcedefinitions", "", "toys.example.com", json!({}));
    assert_eq!(world.get("customresourcedefinitions", "", "toys.example.com"), None);
    assert!(world.cluster.catalog().find("example.com", "v1", "toys").is_none());
    assert_eq!(drain(&mut toys).last().map(String::as_str), Some("END"));
}

#[test]
fn secrets_take_text_and_immutable_ones_stay() {
    let world = World::bare();
    let made = value(world.create(
        "secrets",
        "default",
        json!({
            "metadata": { "name": "s" }, "stringData": { "a": "b" }, "immutable": true,
        }),
    ));
    assert_eq!(made["data"]["a"], "Yg==");
    assert_eq!(made["type"], "Opaque");
    assert_eq!(made.get("stringData"), None);
    let changed = failure(world.merge("secrets", "default", "s", None, json!({ "stringData": { "a": "c" } })));
    assert_eq!(changed.code, 422);
}

#[test]
fn calls_are_counted_by_caller_and_outcome() {
    let world = World::bare();
    world.create("configmaps", "default", config_map("a", "1"));
    world.create("configmaps", "default", config_map("a", "1"));
    world.get("configmaps", "default", "a");
    let counts: Vec<(String, u16, u64)> = world
        .clusters
        .calls()
        .read()
        .into_iter()
        .map(|(k, c)| (format!("{} {}", k.verb.name(), k.plural), k.code, c.count))
        .collect();
    assert_eq!(
        counts,
        [
            ("get configmaps".to_owned(), 200, 1),
            ("create configmaps".to_owned(), 201, 1),
            ("create configmaps".to_owned(), 409, 1),
        ]
    );
}

/// Patches of parts, and the same as updates of the whole object, on two clusters: the same objects come out.
#[test]
fn a_patch_of_parts_makes_what_an_update_of_the_whole_makes() {
    let (parts, whole) = (World::bare(), World::bare());
    let made = json!({ "metadata": { "name": "k", "labels": { "l": "1" }, "finalizers": ["a.b/c"] },
        "spec": { "interval": "1m", "path": "./x", "prune": true, "sourceRef": { "kind": "GitRepository", "name": "g" } } });
    for world in [&parts, &whole] {
        assert_eq!(world.create("kustomizations", "default", made.clone()).code(), 201);
    }
    let ready = json!({ "conditions": [{ "type": "Ready", "status": "True", "reason": "R", "message": "m",
        "lastTransitionTime": "2026-01-01T00:00:00Z" }], "observedGeneration": 1 });
    for (sub, patch) in [
        (Some("status"), json!({ "status": ready })),
        (
            Some("status"),
            json!({ "status": { "observedGeneration": 2, "conditions": null }, "metadata": { "labels": null } }),
        ),
        (Some("status"), json!({ "status": { "lastAppliedRevision": "r", "lastHandledReconcileAt": "z" } })),
        (Some("status"), json!({ "status": { "history": [{ "digest": "d", "unknown": 1 }], "conditions": [] } })),
        (Some("status"), json!({ "status": { "lastAppliedRevision": null, "absent": null } })),
        (None, json!({ "metadata": { "annotations": { "a": "1" } } })),
        (
            None,
            json!({ "metadata": { "labels": { "l": "2" }, "annotations": null }, "status": { "observedGeneration": 9 } }),
        ),
        (None, json!({ "spec": { "interval": "2m", "timeout": "3m", "unknown": 1 } })),
        (
            None,
            json!({ "kind": "Kustomization", "spec": { "timeout": null }, "metadata": { "finalizers": ["d.e/f"] } }),
        ),
        (Some("status"), json!({ "status": null })),
        (None, json!({})),
    ] {
        let patched = parts.merge("kustomizations", "default", "k", sub, patch.clone());
        let mut body = whole.get("kustomizations", "default", "k").unwrap();
        json_patch::merge(&mut body, &patch);
        let updated = whole.call(Verb::Update, "kustomizations", "default", "k", |r| {
            (r.body, r.subresource) = (Body::Value(leak(body)), sub);
        });
        assert_eq!((patched.code(), updated.code()), (200, 200), "{patch}");
        assert_eq!(value(patched), value(updated), "{patch}");
    }
    let refused = [
        json!({ "spec": { "interval": 5 } }),
        json!({ "spec": { "interval": null } }),
        json!({ "metadata": { "name": "other" } }),
        json!({ "kind": "Other" }),
    ];
    for patch in refused {
        let code = parts.merge("kustomizations", "default", "k", None, patch.clone()).code();
        assert!(code >= 400, "{code} {patch}");
    }
}
