//! Lists, pages, selectors and watches of a whole cluster.

use super::*;

fn names(list: &List) -> Vec<String> {
    list.items.iter().map(|object| object.meta.name.to_string()).collect()
}

fn filled() -> World {
    let world = World::bare();
    for name in ["a", "b", "c", "d", "e"] {
        let mut body = config_map(name, "1");
        body["metadata"]["labels"] = json!({ "odd": (name < "c").to_string() });
        world.create("configmaps", "kube-public", body);
    }
    world
}

#[test]
fn the_order_is_that_of_storage_keys() {
    let world = World::bare();
    for name in ["a", "a-b"] {
        world.create("namespaces", "", json!({ "metadata": { "name": name } }));
        world.create("configmaps", name, config_map("x", "1"));
    }
    let list = world.list("configmaps", "", Options::default()).unwrap();
    let spaces: Vec<&str> = list.items.iter().map(|object| &*object.meta.namespace).collect();
    assert_eq!(spaces[..2], ["a-b", "a"], "as the paths a-b/x and a/x");
}

#[test]
fn pages_show_the_version_of_the_first_one_whatever_happens_meanwhile() {
    let world = filled();
    let limit = Options { limit: 2, ..Options::default() };
    let first = world.list("configmaps", "kube-public", limit).unwrap();
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first.remaining, Some(3));
    world.delete("configmaps", "kube-public", "c", json!({}));
    world.merge("configmaps", "kube-public", "d", None, json!({ "data": { "k": "2" } }));
    world.create("configmaps", "kube-public", config_map("dd", "1"));
    let token: &'static str = String::leak(first.continue_token.unwrap());
    let next = Options { limit: 2, continue_token: Some(token), ..Options::default() };
    let second = world.list("configmaps", "kube-public", next).unwrap();
    assert_eq!(names(&second), ["c", "d"]);
    assert_eq!(second.items[1].field("data").unwrap()["k"], "1", "as it was");
    assert_eq!(second.resource_version, first.resource_version);
    let token: &'static str = String::leak(second.continue_token.unwrap());
    let next = Options { limit: 2, continue_token: Some(token), ..Options::default() };
    let third = world.list("configmaps", "kube-public", next).unwrap();
    assert_eq!((names(&third), third.continue_token, third.remaining), (vec!["e".to_owned()], None, None));
}

#[test]
fn an_expired_page_hands_out_an_inconsistent_token() {
    let world = filled();
    let first = world.list("configmaps", "kube-public", Options { limit: 2, ..Options::default() }).unwrap();
    world.delete("configmaps", "kube-public", "c", json!({}));
    world.cluster.forget();
    let token: &'static str = String::leak(first.continue_token.unwrap());
    let next = Options { limit: 9, continue_token: Some(token), ..Options::default() };
    let expired = world.list("configmaps", "kube-public", next).unwrap_err();
    assert_eq!((expired.code, &*expired.reason), (410, "Expired"));
    let token: &'static str = String::leak(expired.continue_token.unwrap());
    let next = Options { limit: 9, continue_token: Some(token), ..Options::default() };
    assert_eq!(names(&world.list("configmaps", "kube-public", next).unwrap()), ["d", "e"]);
}

#[test]
fn versions_of_lists_follow_the_table() {
    let world = filled();
    let now = world.cluster.version();
    let (past, exact, future): (&'static str, &'static str, &'static str) =
        (String::leak((now - 1).to_string()), String::leak(now.to_string()), String::leak((now + 1).to_string()));
    for (version, matching, limit, expected) in [
        ("", "", 0, Ok(5)),
        ("", "", 2, Ok(2)),
        ("0", "", 2, Ok(5)),
        ("0", "NotOlderThan", 2, Ok(5)),
        (past, "", 0, Ok(5)),
        (past, "", 9, Ok(4)),
        (past, "Exact", 0, Ok(4)),
        (past, "NotOlderThan", 9, Ok(5)),
        (exact, "Exact", 0, Ok(5)),
        (future, "NotOlderThan", 0, Err(504)),
        (future, "", 0, Err(504)),
        ("", "Exact", 0, Err(422)),
        ("0", "Exact", 0, Err(422)),
        (past, "Sometimes", 0, Err(422)),
        ("x", "", 0, Err(400)),
    ] {
        let options =
            Options { resource_version: version, resource_version_match: matching, limit, ..Options::default() };
        let found = world.list("configmaps", "kube-public", options);
        assert_eq!(found.map(|list| list.items.len()).map_err(|f| f.code), expected, "{version} {matching} {limit}");
    }
}

#[test]
fn selectors_choose_from_lists_and_watches() {
    let world = filled();
    for (labels, fields, expected) in [
        (Some("odd=true"), None, vec!["a", "b"]),
        (Some("odd!=true"), Some("metadata.name!=d"), vec!["c", "e"]),
        (None, Some("metadata.name=c"), vec!["c"]),
        (None, Some("metadata.name=c,metadata.namespace=x"), vec![]),
    ] {
        let options = Options { label_selector: labels, field_selector: fields, ..Options::default() };
        assert_eq!(
            names(&world.list("configmaps", "kube-public", options).unwrap()),
            expected,
            "{labels:?} {fields:?}"
        );
    }
    let unknown = Options { field_selector: Some("spec.x=1"), ..Options::default() };
    assert_eq!(world.list("configmaps", "", unknown).unwrap_err().code, 400);
    let options = Options { label_selector: Some("odd=true"), ..Options::default() };
    let mut watch = world.watch("configmaps", "kube-public", options);
    assert_eq!(drain(&mut watch), ["ADDED a", "ADDED b"]);
    world.merge("configmaps", "kube-public", "a", None, json!({ "metadata": { "labels": { "odd": "false" } } }));
    world.merge("configmaps", "kube-public", "d", None, json!({ "metadata": { "labels": { "odd": "true" } } }));
    world.merge("configmaps", "kube-public", "d", None, json!({ "data": { "k": "2" } }));
    world.merge("configmaps", "kube-public", "e", None, json!({ "data": { "k": "2" } }));
    assert_eq!(drain(&mut watch), ["DELETED a", "ADDED d", "MODIFIED d"]);
}

#[test]
fn watches_start_as_the_table_says() {
    let world = filled();
    let now = world.cluster.version();
    let (past, future): (&'static str, &'static str) =
        (String::leak((now - 1).to_string()), String::leak((now + 2).to_string()));
    let all = ["ADDED a", "ADDED b", "ADDED c", "ADDED d", "ADDED e"];
    let with_end: Vec<&str> = all.into_iter().chain(["BOOKMARK end"]).collect();
    for (version, initial, bookmarks, expected) in [
        ("", None, false, all.to_vec()),
        ("0", None, true, with_end.clone()),
        ("", Some(true), true, with_end.clone()),
        (past, Some(true), true, with_end.clone()),
        (past, None, true, vec!["ADDED e"]),
        (past, Some(false), false, vec!["ADDED e"]),
        ("", Some(false), true, vec![]),
        (future, None, true, vec![]),
        (future, Some(true), true, vec!["ERROR 504", "END"]),
    ] {
        let mut watch = world.watch(
            "configmaps",
            "kube-public",
            Options {
                resource_version: version,
                send_initial_events: initial,
                resource_version_match: if initial.is_some() { "NotOlderThan" } else { "" },
                allow_bookmarks: bookmarks,
                ..Options::default()
            },
        );
        assert_eq!(drain(&mut watch), expected, "{version} {initial:?}");
    }
}

#[test]
fn a_watch_that_starts_or_falls_too_far_back_ends_with_410_in_its_stream() {
    let world = filled();
    let mut slow = world.watch(
        "configmaps",
        "kube-public",
        Options { send_initial_events: Some(false), resource_version_match: "NotOlderThan", ..Options::default() },
    );
    let version: &'static str = String::leak(world.cluster.version().to_string());
    world.create("configmaps", "kube-public", config_map("f", "1"));
    world.cluster.forget();
    assert_eq!(drain(&mut slow), ["ERROR 410", "END"]);
    let mut late =
        world.watch("configmaps", "kube-public", Options { resource_version: version, ..Options::default() });
    assert_eq!(drain(&mut late), ["ERROR 410", "END"]);
}

#[test]
fn idle_watches_get_bookmarks_and_end_in_time() {
    let mut world = filled();
    let mut watch = world.watch(
        "configmaps",
        "kube-public",
        Options { allow_bookmarks: true, timeout: Some(Span::from_secs(100)), ..Options::default() },
    );
    drain(&mut watch);
    let mut seen = Vec::new();
    for _ in 0..110 {
        world.pass(1);
        seen.extend(drain(&mut watch));
    }
    seen.dedup();
    assert_eq!(seen, ["BOOKMARK", "END"], "one after a minute, one before the end");
}

#[test]
fn histories_forget_the_oldest_first_when_they_are_full() {
    let mut world = World::new(Settings { history_bytes: 200_000, ..Settings::default() });
    for n in 0..2_000 {
        world.create("configmaps", "default", config_map(&format!("c{n}"), &"x".repeat(100)));
        if n % 100 == 0 {
            world.pass(1);
        }
    }
    world.pass(1);
    assert!(world.clusters.history_bytes() <= 200_000, "{}", world.clusters.history_bytes());
    assert!(world.clusters.history_dropped() > 1_000);
    let recent: &'static str = String::leak((world.cluster.version() - 10).to_string());
    let mut watch = world.watch("configmaps", "default", Options { resource_version: recent, ..Options::default() });
    assert_eq!(drain(&mut watch).len(), 10);
}

#[test]
fn only_the_last_events_are_kept() {
    let world = World::new(Settings { keep_events: 3, ..Settings::default() });
    for n in 0..10 {
        let name = format!("e{n}");
        let made = world.create(
            "events",
            "default",
            json!({ "metadata": { "name": name },
            "involvedObject": { "kind": "Pod", "name": "x", "namespace": "default" }, "reason": "R", "message": "m" }),
        );
        assert_eq!(made.code(), 201);
    }
    assert_eq!(names(&world.list("events", "default", Options::default()).unwrap()), ["e7", "e8", "e9"]);
}

#[test]
fn objects_and_what_watches_said_are_counted() {
    let world = World::bare();
    let fresh = world.clusters.objects();
    let all = world.list("configmaps", "", Options::default()).unwrap().items.len() as u64;
    let mut watch = world.watch("configmaps", "", Options::default());
    world.create("configmaps", "kube-public", config_map("a", "1"));
    world.merge("configmaps", "kube-public", "a", None, json!({ "data": { "k": "2" } }));
    assert_eq!(world.clusters.objects(), fresh + 1);
    world.delete("configmaps", "kube-public", "a", json!({}));
    assert_eq!(world.clusters.objects(), fresh);
    assert_eq!(world.clusters.watch_events(), 0, "nobody has read yet");
    drain(&mut watch);
    assert_eq!(world.clusters.watch_events(), all + 3);
}

#[test]
fn histories_keep_their_limit_between_turns() {
    let limit = 20_000;
    let world = World::new(Settings { history_bytes: limit, ..Settings::default() });
    let mut most = 0;
    for n in 0..500 {
        world.create("configmaps", "kube-public", config_map(&format!("m{n}"), "1"));
        most = most.max(world.clusters.history_bytes());
    }
    assert!(most < limit + 2_000, "{most}");
    assert!(world.clusters.history_dropped() > 0);
}

/// Objects by key with their versions and texts, as a client's cache holds them.
type Cache = std::collections::BTreeMap<String, (u64, String)>;

fn keep(cache: &mut Cache, event: &Value) {
    let object = &event["object"];
    let key = format!("{}/{}", object["metadata"]["namespace"], object["metadata"]["name"]);
    match event["type"].as_str() {
        Some("DELETED") => drop(cache.remove(&key)),
        _ => drop(cache.insert(key, (version(object), object.to_string()))),
    }
}

fn listed(world: &World, selector: Option<&'static str>) -> (Cache, u64) {
    let options = Options { label_selector: selector, ..Options::default() };
    let list = world.list("configmaps", "", options).unwrap();
    let mut cache = Cache::new();
    for object in &list.items {
        let mut text = Vec::new();
        object.render(&object.resource, crate::apiserver::object::Form::Alone, &mut text);
        keep(&mut cache, &json!({ "type": "ADDED", "object": serde_json::from_slice::<Value>(&text).unwrap() }));
    }
    (cache, list.resource_version)
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Whatever is written: a watch replayed onto the list that it resumes from is the store, also through a selector.
    #[test]
    fn a_watch_replayed_onto_its_list_is_the_store(
        writes in proptest::collection::vec((0..4_u8, 0..6_u8, 0..3_u8), 1..60),
        at in 0..60_usize,
    ) {
        let world = World::bare();
        let selectors = [None, Some("odd=1")];
        let mut seen = Vec::new();
        for (n, (what, which, data)) in writes.into_iter().enumerate() {
            if n == at {
                for selector in selectors {
                    let (cache, version) = listed(&world, selector);
                    let version: &'static str = String::leak(version.to_string());
                    let options = Options { resource_version: version, label_selector: selector, ..Options::default() };
                    seen.push((selector, cache, world.watch("configmaps", "", options)));
                }
            }
            let (namespace, name) = (if which % 2 == 0 { "default" } else { "kube-public" }, format!("m{which}"));
            let body = json!({ "metadata": { "name": name, "labels": { "odd": (data % 2).to_string() } },
                "data": { "k": data.to_string() } });
            match what {
                0 => world.create("configmaps", namespace, body),
                1 => world.merge("configmaps", namespace, &name, None, body),
                2 => world.update("configmaps", namespace, &name, body),
                _ => world.delete("configmaps", namespace, &name, json!({})),
            };
        }
        for (selector, mut cache, mut watch) in seen {
            let resource = watch.resource().clone();
            while let Some(event) = watch.next_now() {
                keep(&mut cache, &serde_json::from_slice(&event.json(&resource)).unwrap());
            }
            proptest::prop_assert_eq!(cache, listed(&world, selector).0);
        }
    }
}
