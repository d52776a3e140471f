//! Where the objects of a leaf are: in this process, or behind a socket.
//!
//! In: requests of the modelled controllers. Out: answers, the same from both. A call behind a socket waits for its
//! answer on the thread that makes it, so such leaves have a thread each.

use crate::apiserver::clusters::{Cluster, Clusters};
use crate::apiserver::failure::Failure;
use crate::apiserver::object::Object;
use crate::apiserver::request::{Body, FieldValidation, List, Now, PatchType, Propagation, Request, Response, Verb};
use crate::apiserver::schema::{Catalog, Resource};
use crate::calls::{Tally, Target, group_path};
use crate::drive::live::counted::About;
use crate::drive::live::net::{Route, escaped};
use bytes::Bytes;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::runtime::Handle;

/// The stores of all leaves, by number.
#[derive(Clone)]
pub enum Stores {
    /// In this process.
    Here(Arc<Clusters>),
    /// Behind sockets; the catalogue says what they serve.
    There(Vec<Arc<Remote>>, Catalog),
}

impl Stores {
    pub(super) fn get(&self, cluster: u32) -> Option<Store> {
        match self {
            Self::Here(clusters) => clusters.get(cluster).cloned().map(Store::Here),
            Self::There(remotes, _) => remotes.get(cluster as usize).cloned().map(Store::There),
        }
    }

    pub(super) fn catalog(&self) -> Option<Catalog> {
        match self {
            Self::Here(clusters) => clusters.iter().next().map(|cluster| cluster.catalog()),
            Self::There(_, catalog) => Some(catalog.clone()),
        }
    }
}

/// The store of one leaf.
pub(super) enum Store {
    Here(Arc<Cluster>),
    There(Arc<Remote>),
}

impl Store {
    pub(super) fn id(&self) -> u32 {
        match self {
            Self::Here(cluster) => cluster.id(),
            Self::There(remote) => remote.id,
        }
    }

    pub(super) fn handle(&self, request: &Request<'_>, now: Now) -> Response {
        match self {
            Self::Here(cluster) => cluster.handle(request, now),
            Self::There(remote) => remote.handle(request),
        }
    }
}

/// A leaf behind a socket.
pub struct Remote {
    id: u32,
    route: Route,
    runtime: Handle,
    calls: Mutex<Tally>,
    /// What the controllers delete, as plural, namespace and name, until its end is heard of: no event says who deleted.
    deleting: Mutex<BTreeSet<(String, String, String)>>,
}

impl Remote {
    /// The leaf of a number at the end of a route.
    pub(in crate::drive::live) fn new(id: u32, route: Route, runtime: Handle) -> Self {
        Self { id, route, runtime, calls: Mutex::default(), deleting: Mutex::default() }
    }

    /// Its number.
    pub(in crate::drive::live) const fn id(&self) -> u32 {
        self.id
    }

    /// The calls so far.
    pub(in crate::drive::live) fn calls(&self) -> Tally {
        self.calls.lock().clone()
    }

    /// Whether the controllers deleted an object that is gone now.
    pub(in crate::drive::live) fn has_deleted(&self, resource: &Resource, namespace: &str, name: &str) -> bool {
        self.deleting.lock().remove(&(resource.plural.clone(), namespace.to_owned(), name.to_owned()))
    }

    fn handle(&self, request: &Request<'_>) -> Response {
        if let (Verb::Delete, Some(name)) = (request.verb, request.name) {
            let namespace = request.namespace.unwrap_or_default();
            self.deleting.lock().insert((request.resource.plural.clone(), namespace.to_owned(), name.to_owned()));
        }
        let sent = self.runtime.block_on(self.send(request));
        let (code, body) = sent.unwrap_or_else(|error| (0, error.into()));
        self.calls.lock().add_key(about(request).key(Target::Leaf, code), 1);
        answer(request, code, &body)
    }

    async fn send(&self, request: &Request<'_>) -> Result<(u16, Bytes), String> {
        let (method, media) = wire(request);
        let http = http::Request::builder()
            .method(method)
            .uri(path(request))
            .header(http::header::CONTENT_TYPE, media)
            .header(http::header::USER_AGENT, request.user_agent)
            .body(kube::client::Body::from(body(request)))
            .map_err(|e| e.to_string())?;
        let response = self.route.send(http).await.map_err(|e| e.to_string())?;
        let code = response.status().as_u16();
        Ok((code, response.into_body().collect().await.map_err(|e| e.to_string())?.to_bytes()))
    }
}

/// Method and media type.
const fn wire(request: &Request<'_>) -> (&'static str, &'static str) {
    const JSON: &str = "application/json";
    match (request.verb, request.body) {
        (Verb::Get | Verb::List | Verb::Watch, _) => ("GET", JSON),
        (Verb::Create, _) => ("POST", JSON),
        (Verb::Update, _) => ("PUT", JSON),
        (Verb::Patch, Body::Patch(PatchType::Json, _)) => ("PATCH", "application/json-patch+json"),
        (Verb::Patch, Body::Patch(PatchType::Strategic, _)) => ("PATCH", "application/strategic-merge-patch+json"),
        (Verb::Patch, Body::Patch(PatchType::Apply, _)) => ("PATCH", "application/apply-patch+yaml"),
        (Verb::Patch, _) => ("PATCH", "application/merge-patch+json"),
        (Verb::Delete | Verb::DeleteCollection, _) => ("DELETE", JSON),
    }
}

fn body(request: &Request<'_>) -> Vec<u8> {
    match (request.body, request.options.propagation) {
        (Body::Json(bytes) | Body::Patch(_, bytes), _) => bytes.to_vec(),
        (Body::Value(value), _) => value.to_string().into_bytes(),
        (Body::None, Some(propagation)) => {
            let policy = match propagation {
                Propagation::Orphan => "Orphan",
                Propagation::Background => "Background",
                Propagation::Foreground => "Foreground",
            };
            let options = json!({ "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy });
            options.to_string().into_bytes()
        }
        (Body::None, None) => Vec::new(),
    }
}

/// Path and query, with what the controllers use of it.
fn path(request: &Request<'_>) -> String {
    let resource = request.resource;
    let mut path = group_path(&resource.group, &resource.version);
    for (before, part) in [
        ("/namespaces/", request.namespace),
        ("/", Some(resource.plural.as_str())),
        ("/", request.name),
        ("/", request.subresource),
    ] {
        if let Some(part) = part {
            path.extend([before, part]);
        }
    }
    let options = &request.options;
    let strict = options.field_validation == FieldValidation::Strict;
    let applies = matches!(request.body, Body::Patch(PatchType::Apply, _));
    let query = [
        options.dry_run.then(|| "dryRun=All".to_owned()),
        options.field_manager.map(|manager| format!("fieldManager={}", escaped(manager))),
        // Refused where it means nothing.
        applies.then(|| format!("force={}", options.force)),
        strict.then(|| "fieldValidation=Strict".to_owned()),
        options.label_selector.map(|selector| format!("labelSelector={}", escaped(selector))),
    ];
    let query: Vec<String> = query.into_iter().flatten().collect();
    // Readers name themselves only where something is written.
    let reads = matches!(request.verb, Verb::Get | Verb::Delete) || query.is_empty();
    if reads { path } else { format!("{path}?{}", query.join("&")) }
}

fn answer(request: &Request<'_>, code: u16, body: &[u8]) -> Response {
    if !(200..300).contains(&code) {
        let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
        let status: Value = serde_json::from_slice(body).unwrap_or_default();
        let message = status["message"].as_str().map_or_else(|| text(body), str::to_owned);
        return Failure::new(code, "", message).into();
    }
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    match request.verb {
        Verb::List => Response::List(list(request.resource, value)),
        _ if value["kind"] == "Status" => Response::Document { code, body: value, warnings: Vec::new() },
        _ => match Object::from_value(request.resource, value) {
            Ok(object) => Response::Object { code, object: Arc::new(object), warnings: Vec::new() },
            Err(error) => Failure::internal(error).into(),
        },
    }
}

fn list(resource: &Arc<Resource>, mut value: Value) -> List {
    let version = value["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok());
    let items = value["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
    List {
        resource: Arc::clone(resource),
        resource_version: version.unwrap_or(0),
        continue_token: None,
        remaining: None,
        items: items.into_iter().filter_map(|item| Object::from_value(resource, item).ok().map(Arc::new)).collect(),
    }
}

/// As the store of this process counts.
fn about<'a>(request: &Request<'a>) -> About<'a> {
    About {
        verb: request.verb,
        group: &request.resource.group,
        plural: &request.resource.plural,
        subresource: request.subresource.unwrap_or_default(),
        dry_run: request.options.dry_run,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::request::Options;

    fn resource(group: &str, version: &str, plural: &str) -> Arc<Resource> {
        Arc::clone(Catalog::builtin().find(group, version, plural).unwrap())
    }

    /// Method, media type, path with query and body of a request.
    fn sent(request: &Request<'_>) -> String {
        let (method, media) = wire(request);
        let text = String::from_utf8(body(request)).unwrap();
        format!("{method} {media} {} {text}", path(request))
    }

    #[test]
    fn a_write_of_a_controller_reads_as_recorded() {
        let apps = resource("apps", "v1", "deployments");
        let flux = Some("kustomize-controller");
        let apply = Options { dry_run: true, field_manager: flux, force: true, ..Options::default() };
        let gone = Options { propagation: Some(Propagation::Background), field_manager: flux, ..Options::default() };
        let request = |verb, subresource, options: &Options<'static>, body| {
            let options = options.clone();
            sent(&Request { options, body, subresource, ..Request::new(verb, &apps, "agent").on("ns", "web") })
        };
        let patch = |kind| Body::Patch(kind, b"{}");
        let at = "/apis/apps/v1/namespaces/ns/deployments/web";
        assert_eq!(
            request(Verb::Patch, None, &apply, patch(PatchType::Apply)),
            format!(
                "PATCH application/apply-patch+yaml {at}?dryRun=All&fieldManager=kustomize-controller&force=true {{}}"
            )
        );
        assert_eq!(
            request(Verb::Update, Some("status"), &Options::default(), Body::Json(b"[]")),
            format!("PUT application/json {at}/status []")
        );
        assert_eq!(
            request(Verb::Patch, None, &Options::default(), patch(PatchType::Merge)),
            format!("PATCH application/merge-patch+json {at} {{}}")
        );
        let options = r#"{"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Background"}"#;
        assert_eq!(request(Verb::Delete, None, &gone, Body::None), format!("DELETE application/json {at} {options}"));
    }

    #[test]
    fn a_collection_is_asked_with_its_selector_and_written_to_without_a_name() {
        let core = resource("", "v1", "secrets");
        let select = Options { label_selector: Some("owner=helm,name=a b"), ..Options::default() };
        let request = Request::new(Verb::List, &core, "agent").on("ns", "");
        assert_eq!(
            sent(&Request { options: select, ..request.clone() }),
            "GET application/json /api/v1/namespaces/ns/secrets?labelSelector=owner%3Dhelm%2Cname%3Da%20b "
        );
        assert_eq!(
            sent(&Request { verb: Verb::Create, body: Body::Json(b"{}"), ..request }),
            "POST application/json /api/v1/namespaces/ns/secrets {}"
        );
    }

    #[test]
    fn answers_read_as_those_of_a_store_of_ours() {
        let resource = resource("apps", "v1", "replicasets");
        let object = json!({ "kind": "ReplicaSet", "metadata": { "name": "a", "namespace": "ns", "resourceVersion": "7",
            "labels": { "pod-template-hash": "x" } }, "spec": { "replicas": 1 } });
        let request = |verb| Request::new(verb, &resource, "agent").on("ns", "");
        let reply = |verb, code, body: &Value| answer(&request(verb), code, body.to_string().as_bytes());
        let Response::Object { code: 201, object: read, .. } = reply(Verb::Create, 201, &object) else { panic!() };
        assert_eq!((read.meta.resource_version, read.key()), (7, ("ns", "a")));
        let Response::List(list) =
            reply(Verb::List, 200, &json!({ "items": [object], "metadata": { "resourceVersion": "9" } }))
        else {
            panic!()
        };
        assert_eq!((list.resource_version, list.items[0].meta.label("pod-template-hash")), (9, Some("x")));
        let gone = json!({ "kind": "Status", "status": "Success" });
        assert!(matches!(reply(Verb::Delete, 200, &gone), Response::Document { code: 200, .. }));
        let Response::Failure(failure) = reply(Verb::Get, 404, &json!({ "message": "not found" })) else { panic!() };
        assert_eq!((failure.code, failure.message.as_str()), (404, "not found"));
        assert_eq!(answer(&request(Verb::Get), 0, b"connection refused").code(), 0);
    }
}
