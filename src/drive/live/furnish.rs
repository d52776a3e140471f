//! What API servers of others must hold before anything happens, written over sockets; and what they hold at the end.
//!
//! In: a route, objects. Out: the same objects on the other side. Definitions, namespaces and projects that are there
//! already are left as they are; any other object that is there is an error.

use super::above::insist;
use super::net::{Call, Client, JSON, Refusal, Route};
use crate::apiserver::schema::group_version;
use crate::backend::guest;
use crate::calls::{Kind, Target};
use crate::units::Span;
use serde_json::{Map, Value};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Calls under way at once, as those of a controller's workers.
const CONCURRENCY: usize = 16;
/// How often a definition is asked whether it is served. After that a real server refuses its kind for about a second more
/// with 429 (measured), which passes.
const PAUSE: Span = Span::from_millis(100);

/// What may be there before a run and serves it as well.
const SHARED: [Kind; 3] = [Kind::CUSTOM_RESOURCE_DEFINITION, Kind::NAMESPACE, Kind::APP_PROJECT];

/// Writes to one API server.
#[derive(Clone, Copy)]
pub(super) struct Furnish<'a> {
    pub(super) client: &'a Client,
    pub(super) route: &'a Route,
    pub(super) target: Target,
    /// Everything is labelled with this run.
    pub(super) run: Option<&'a str>,
}

impl Furnish<'_> {
    /// Custom resources, then namespaces, then everything else.
    pub(super) async fn all(&self, crds: &[Value], namespaces: &[Value], objects: &[Value]) -> Result<(), Refusal> {
        self.define(crds).await?;
        self.write(namespaces).await?;
        self.write(objects).await
    }

    /// Creates custom resources and waits until they are served.
    async fn define(&self, crds: &[Value]) -> Result<(), Refusal> {
        self.write(crds).await?;
        for crd in crds {
            let path = Kind::CUSTOM_RESOURCE_DEFINITION.info().path("v1", "", text(crd, "/metadata/name"));
            while !self.get(Kind::CUSTOM_RESOURCE_DEFINITION, &path).await.is_ok_and(|crd| is_served(&crd)) {
                tokio::time::sleep(PAUSE.to_std()).await;
            }
            // Refusals for now are asked again.
            let (group, plural) = (text(crd, "/spec/group"), text(crd, "/spec/names/plural"));
            let collection = format!("/apis/{group}/{}/{plural}?limit=1", text(crd, "/spec/versions/0/name"));
            self.get(Kind::CUSTOM_RESOURCE_DEFINITION, &collection).await.map(drop).or_else(passable)?;
        }
        Ok(())
    }

    /// Creates objects, several at once, in no order.
    async fn write(&self, objects: &[Value]) -> Result<(), Refusal> {
        self.each(objects, async |object| self.create(object).await).await
    }

    /// Does something to objects, several at once, in no order.
    pub(super) async fn each(
        &self,
        objects: &[Value],
        work: impl AsyncFn(&Value) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let next = AtomicUsize::new(0);
        let worker = async || {
            while let Some(object) = objects.get(next.fetch_add(1, Ordering::Relaxed)) {
                work(object).await?;
            }
            Ok(())
        };
        let workers = (0..CONCURRENCY).map(|_| worker());
        for done in futures_util::future::join_all(workers).await {
            done?;
        }
        Ok(())
    }

    async fn create(&self, object: &Value) -> Result<(), Refusal> {
        let (group, version) = group_version(text(object, "/apiVersion"));
        let Some(kind) = Kind::find(group, text(object, "/kind")) else { return Ok(()) };
        let namespace = text(object, "/metadata/namespace");
        if SHARED.contains(&kind) {
            let path = kind.info().path(version, namespace, text(object, "/metadata/name"));
            match self.get(kind, &path).await {
                Ok(_) => return Ok(()),
                Err(refusal) if refusal.absent => {}
                Err(refusal) => return Err(refusal),
            }
        }
        let path = kind.info().path(version, namespace, "");
        let mut labelled = std::borrow::Cow::Borrowed(object);
        if let Some(run) = self.run {
            guest::label(labelled.to_mut(), run);
        }
        let object = &*labelled;
        let create = || {
            let call =
                Call { target: self.target, method: "POST", kind, path: path.clone(), media: JSON, body: object };
            self.client.send(self.route, call)
        };
        insist(create).await.map(drop)
    }

    pub(super) async fn get(&self, kind: Kind, path: &str) -> Result<Value, Refusal> {
        let get = || {
            let call = Call { target: self.target, method: "GET", kind, path: path.to_owned(), media: JSON, body: &"" };
            self.client.send(self.route, call)
        };
        let body = insist(get).await?;
        Ok(serde_json::from_slice(&body).unwrap_or_default())
    }

    /// The objects of a kind; none where it is not served.
    pub(super) async fn list(&self, kind: Kind, namespace: &str, query: &str) -> Result<Vec<Value>, Refusal> {
        let info = kind.info();
        match self.get(kind, &format!("{}{query}", info.path(info.version, namespace, ""))).await {
            Ok(mut list) => Ok(list["items"].as_array_mut().map(std::mem::take).unwrap_or_default()),
            Err(refusal) if refusal.absent => Ok(Vec::new()),
            Err(refusal) => Err(refusal),
        }
    }

    /// All objects of some kinds, each with the kind that lists leave out.
    pub(super) async fn read(&self, kinds: impl Iterator<Item = Kind>) -> Result<Vec<Value>, Refusal> {
        let mut all = Vec::new();
        for kind in kinds {
            let info = kind.info();
            let items = self.list(kind, "", "").await?;
            let group = if info.group.is_empty() { String::new() } else { format!("{}/", info.group) };
            all.extend(items.into_iter().map(|mut item| {
                item["apiVersion"] = format!("{group}{}", info.version).into();
                item["kind"] = info.kind.into();
                item
            }));
        }
        Ok(all)
    }
}

/// Writes the objects of clusters to a file, as API servers of ours do at their end.
pub(super) fn keep(path: &Path, clusters: impl IntoIterator<Item = (String, Vec<Value>)>) -> std::io::Result<()> {
    let all: Map<String, Value> = clusters.into_iter().map(|(name, objects)| (name, objects.into())).collect();
    serde_json::to_writer(std::io::BufWriter::new(std::fs::File::create(path)?), &all).map_err(Into::into)
}

/// A collection that is absent in the version asked for is none to wait for.
fn passable(refusal: Refusal) -> Result<(), Refusal> {
    if refusal.absent { Ok(()) } else { Err(refusal) }
}

fn is_served(crd: &Value) -> bool {
    let conditions = crd.pointer("/status/conditions").and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Established" && condition["status"] == "True")
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
