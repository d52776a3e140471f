//! The fleet that tests of others start: what its documentation shows, and what it does not.

use flamboyance::apiserver::Fleet;
use futures_util::TryStreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams, WatchEvent, WatchParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use std::pin::pin;

fn config_map(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": "default" } })
}

#[tokio::test]
async fn clusters_without_sockets_are_watched_and_written_and_know_nothing_of_each_other() {
    let fleet = Fleet::builder().clusters(3).object(&config_map("first")).start().unwrap();
    let maps: Vec<Api<ConfigMap>> =
        (0..3).map(|id| Api::default_namespaced(Client::new(fleet.service(id), "default"))).collect();
    let apply = Patch::Apply(config_map("second"));
    maps[1].patch("second", &PatchParams::apply("test"), &apply).await.unwrap();
    for (map, expected) in maps.iter().zip([&["first"][..], &["first", "second"], &["first"]]) {
        let mut events = pin!(map.watch(&WatchParams::default(), "0").await.unwrap());
        for name in expected {
            match events.try_next().await.unwrap() {
                Some(WatchEvent::Added(map)) => assert_eq!(map.name_any(), *name),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(map.list(&Default::default()).await.unwrap().items.len(), expected.len());
    }
}

#[tokio::test]
async fn who_shows_a_token_is_whom_it_names_and_a_cluster_that_is_not_there_is_not_found() {
    let fleet = Fleet::builder().rbac().start().unwrap();
    let status = async |cluster, token: Option<&str>| {
        let mut request = http::Request::get("/api/v1/namespaces");
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        let request = request.body(String::new()).unwrap();
        tower::ServiceExt::oneshot(fleet.service(cluster), request).await.unwrap().status().as_u16()
    };
    assert_eq!(status(0, None).await, 200);
    assert_eq!(status(0, Some("Bearer nobody")).await, 401);
    assert_eq!(status(1, None).await, 404);
}

#[test]
fn a_fleet_outside_of_a_runtime_says_what_to_do() {
    let error = Fleet::builder().start().unwrap_err().to_string();
    assert!(error.contains("tokio::test"), "{error}");
}
