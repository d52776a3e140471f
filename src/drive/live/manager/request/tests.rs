use super::*;
use crate::calls::{Kind, ObjectId};
use crate::drive::live::manager::index::fixture;
use crate::reconcile::{Health, Sync};

async fn written(index: &Index, op: Op<Body>) -> (String, Value) {
    let context = Context { index, key: 0, fetched: None, now: "2026-01-01T00:00:00Z", nonce: 7 };
    let request = build(&context, &op).unwrap();
    let (parts, body) = request.into_parts();
    let media_type = parts.headers.get(header::CONTENT_TYPE).map_or("-", |value| value.to_str().unwrap());
    let line = format!("{} {} {media_type}", parts.method, parts.uri);
    let bytes = body.collect_bytes().await.unwrap();
    (line, serde_json::from_slice(&bytes).unwrap_or_default())
}

fn op(index: &Index, verb: Verb, slot: Option<Slot>, body: Body) -> Op<Body> {
    let app = index.apps[0].snapshot();
    let (target, kind, object) = match slot {
        Some(slot) => (Target::Leaf, app.kinds[slot.index()], app.ids.flux(slot)),
        None => (Target::Hub, Kind::APPLICATION, app.ids.app),
    };
    Op { target, verb, kind, object, status: false, dry_run: false, body }
}

const LEAF: &str = "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/team/kustomizations";
const HUB: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/web";

#[tokio::test]
async fn calls_become_the_requests_that_an_api_server_understands() {
    let index = fixture(Behaviour::Fixed);
    let workload = Some(Slot::Workload);
    let status = Status { sync: Sync::Synced, health: Some(Health::Healthy), ..Status::default() };
    let namespace = Op { kind: Kind::NAMESPACE, ..op(&index, Verb::Create, workload, Body::Namespace) };
    for (op, want) in [
        (op(&index, Verb::Get, workload, Body::Nothing), format!("GET {LEAF}/web -")),
        (
            op(&index, Verb::Apply, workload, Body::Document(Slot::Workload)),
            format!("PATCH {LEAF}/web?fieldManager=flamboyance&force=true application/apply-patch+yaml"),
        ),
        (
            op(&index, Verb::Create, workload, Body::Document(Slot::Workload)),
            format!("POST {LEAF}?fieldManager=flamboyance application/json"),
        ),
        (op(&index, Verb::Delete, workload, Body::Nothing), format!("DELETE {LEAF}/web -")),
        (op(&index, Verb::Discover, workload, Body::Nothing), "GET /apis/kustomize.toolkit.fluxcd.io/v1 -".to_owned()),
        (namespace, "POST /api/v1/namespaces?fieldManager=flamboyance application/json".to_owned()),
        (
            op(&index, Verb::Patch, None, Body::Status { status, synced: true }),
            format!("PATCH {HUB} application/merge-patch+json"),
        ),
        (op(&index, Verb::Patch, None, Body::NoFinalizer), format!("PATCH {HUB} application/merge-patch+json")),
    ] {
        assert_eq!(written(&index, op.clone()).await.0, want, "{op:?}");
    }
    let event = Op { kind: Kind::EVENT, ..op(&index, Verb::Create, None, Body::Event("OperationStarted")) };
    assert_eq!(written(&index, event).await.0, "POST /api/v1/namespaces/argocd/events application/json");
}

#[tokio::test]
async fn letting_go_keeps_other_finalizers_and_minds_the_version() {
    let index = fixture(Behaviour::Fixed);
    let (_, body) = written(&index, op(&index, Verb::Patch, None, Body::NoFinalizer)).await;
    assert_eq!(body, json!({ "metadata": { "finalizers": ["example.org/other"], "resourceVersion": "1" } }));
}

#[tokio::test]
async fn the_original_writes_as_kubectl_apply_does() {
    let index = fixture(Behaviour::Faithful);
    let body = Body::Document(Slot::Source);
    let (line, body) = written(&index, op(&index, Verb::Create, Some(Slot::Source), body)).await;
    assert!(line.ends_with("/gitrepositories?fieldManager=argocd-controller application/json"), "{line}");
    let applied: Value = serde_json::from_str(body["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap()).unwrap();
    assert_eq!(applied["spec"], body["spec"]);
    let fetched = json!({ "metadata": { "name": "web" }, "spec": {} });
    assert_eq!(serde_json::from_slice::<Value>(&operation(Some(&fetched))).unwrap()["spec"], json!({}));
    assert_eq!(slot(&index.apps[0], &op(&index, Verb::Get, Some(Slot::Source), Body::Nothing)), Slot::Source);
    assert_ne!(index.apps[0].snapshot().ids.source, ObjectId(0));
}
