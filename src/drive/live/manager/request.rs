//! What a machine asks for as HTTP: method, path, media type, bytes.

use super::index::{Entry, Index};
use super::object::Collection;
use crate::calls::{Op, Target, Verb};
use crate::reconcile::render::{self, FINALIZER};
use crate::reconcile::{self, Body, LAST_APPLIED, Mode, Phase, Problem, Slot, Status, flux_version};
use crate::scenario::Behaviour;
use http::{Method, Request, header};
use kube::client::Body as HttpBody;
use serde_json::{Value, json};

/// Server-side apply by the mended behaviour: what it applied before and leaves out now is removed.
const APPLY: &str = "?fieldManager=flamboyance&force=true";
/// Its other writes.
const WRITE: &str = "?fieldManager=flamboyance";
/// Writes of the original.
const ORIGINAL_WRITE: &str = "?fieldManager=argocd-controller";

/// What a request needs besides the call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) index: &'a Index,
    pub(super) key: u32,
    /// The Application as it was fetched in this round (faithful).
    pub(super) fetched: Option<&'a Value>,
    /// RFC 3339.
    pub(super) now: &'a str,
    /// Tells the Events of one app apart.
    pub(super) nonce: u64,
}

/// The request of a call; its path is that of the API server itself.
pub(super) fn build(context: &Context<'_>, op: &Op<Body>) -> http::Result<Request<HttpBody>> {
    let entry = &context.index.apps[context.key as usize];
    let (path, query) = address(context, entry, op);
    let method = match op.verb {
        Verb::Get | Verb::List | Verb::Watch | Verb::Discover => Method::GET,
        Verb::Create => Method::POST,
        Verb::Update => Method::PUT,
        Verb::Patch | Verb::Apply => Method::PATCH,
        Verb::Delete => Method::DELETE,
    };
    let media_type = match op.verb {
        Verb::Patch => "application/merge-patch+json",
        Verb::Apply => "application/apply-patch+yaml",
        _ => "application/json",
    };
    let body = bytes(context, entry, op);
    let mut request = Request::builder().method(method).uri(path + query).header(header::ACCEPT, "application/json");
    if !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, media_type);
    }
    request.body(HttpBody::from(body))
}

fn address(context: &Context<'_>, entry: &Entry, op: &Op<Body>) -> (String, &'static str) {
    let api = &context.index.api;
    let collection = Collection { server: 0, kind: op.kind, version: flux_version(op.kind, api).to_owned() };
    if op.verb == Verb::Discover {
        return (collection.group_path(), "");
    }
    if op.target == Target::Hub {
        let created = op.verb == Verb::Create;
        let name = if created { "" } else { &entry.name };
        return (collection.path(&entry.namespace, name), "");
    }
    let query = match (op.verb, context.index.rules.behaviour) {
        (Verb::Apply, _) => APPLY,
        (Verb::Create | Verb::Patch, Behaviour::Fixed) => WRITE,
        (Verb::Create | Verb::Patch, Behaviour::Faithful) => ORIGINAL_WRITE,
        _ => "",
    };
    if op.body == Body::Namespace {
        return (collection.path("", ""), query);
    }
    let slot = slot(entry, op);
    let (namespace, name) = place(context.index, entry, slot);
    let name = if op.verb == Verb::Create { "" } else { name };
    (collection.path(namespace, name), query)
}

/// Which of the app's objects a call on the leaf is about.
pub(super) fn slot(entry: &Entry, op: &Op<Body>) -> Slot {
    if op.object == entry.snapshot().ids.source { Slot::Source } else { Slot::Workload }
}

/// Namespace and name of an app's object. In Reference mode the workload says where its source is.
fn place<'a>(index: &'a Index, entry: &'a Entry, slot: Slot) -> (&'a str, &'a str) {
    let app = entry.snapshot();
    let named = index.flux(app.ids.workload).and_then(|flux| flux.source.as_ref());
    match named {
        Some(source) if slot == Slot::Source && app.mode == Mode::Reference => (&source.namespace, &source.name),
        _ => (&entry.words.destination_namespace, &entry.words.names[slot.index()]),
    }
}

fn bytes(context: &Context<'_>, entry: &Entry, op: &Op<Body>) -> Vec<u8> {
    match op.body {
        Body::Nothing => Vec::new(),
        Body::Document(slot) => document(context, entry, op, slot),
        Body::Namespace => to_bytes(&json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": &*entry.words.destination_namespace },
        })),
        Body::Status { status, synced } => {
            with_words(context, entry, Some(status), |words| render::status_patch(&status, synced, words))
        }
        Body::OperationState(phase) => with_words(context, entry, None, |words| render::operation_patch(phase, words)),
        Body::History => with_words(context, entry, None, |words| render::history_patch(context.nonce, words)),
        Body::Operation => operation(context.fetched),
        Body::NoFinalizer => {
            let others: Vec<_> = entry.words.finalizers.iter().filter(|f| *f != FINALIZER).collect();
            // With the version, so that a finalizer added meanwhile is not lost: then 409 and another round.
            to_bytes(&json!({ "metadata": { "finalizers": others, "resourceVersion": &*entry.words.rv } }))
        }
        Body::Event(reason) => to_bytes(&event(context, entry, reason)),
    }
}

fn document(context: &Context<'_>, entry: &Entry, op: &Op<Body>, slot: Slot) -> Vec<u8> {
    let text = entry.document(slot).unwrap_or_default();
    if op.verb == Verb::Apply {
        return text.as_bytes().to_vec();
    }
    // kubectl's client-side apply: the document, and the document once more as an annotation.
    let mut document: Value = serde_json::from_str(text).unwrap_or_default();
    if op.verb == Verb::Patch {
        let id = entry.snapshot().ids.flux(slot);
        let last_applied = context.index.flux(id).and_then(|flux| flux.last_applied.as_deref());
        document = reconcile::apply_patch(&document, last_applied);
    }
    if !document["metadata"]["annotations"].is_object() {
        document["metadata"]["annotations"] = json!({});
    }
    document["metadata"]["annotations"][LAST_APPLIED] = text.into();
    to_bytes(&document)
}

fn operation(fetched: Option<&Value>) -> Vec<u8> {
    let mut application = fetched.cloned().unwrap_or_default();
    application["operation"] = json!({ "initiatedBy": { "automated": true }, "retry": { "limit": 5 }, "sync": {} });
    to_bytes(&application)
}

fn event(context: &Context<'_>, entry: &Entry, reason: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": { "name": format!("{}.{:016x}", entry.name, context.nonce), "namespace": &*entry.namespace },
        "involvedObject": {
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "name": &*entry.name,
            "namespace": &*entry.namespace, "uid": &*entry.words.uid, "resourceVersion": &*entry.words.rv,
        },
        "reason": reason, "type": "Normal", "count": 1, "message": format!("{reason} {}", entry.name),
        "firstTimestamp": context.now, "lastTimestamp": context.now,
        "source": { "component": "argocd-application-controller" },
    })
}

/// Puts the texts back in place of the fingerprints.
fn with_words(
    context: &Context<'_>,
    entry: &Entry,
    status: Option<Status>,
    write: impl FnOnce(&render::Words<'_>) -> Vec<u8>,
) -> Vec<u8> {
    let (index, app) = (context.index, entry.snapshot());
    let flux = Slot::BOTH.map(|slot| index.flux(app.ids.flux(slot)));
    let places = Slot::BOTH.map(|slot| place(index, entry, slot));
    let revision = flux.iter().flatten().map(|flux| &*flux.revision).find(|revision| !revision.is_empty());
    let problem = status.and_then(|status| status.problem);
    let text = problem.map(|problem| problem_text(index, entry, problem)).unwrap_or_default();
    let has_revision = status.is_some_and(|status| status.revision.0 != 0);
    let versions = app.kinds.map(|kind| flux_version(kind, &index.api));
    write(&render::Words {
        now: context.now,
        source: entry.words.source.as_deref(),
        destination: entry.words.destination.as_deref(),
        namespaces: places.map(|(namespace, _)| namespace),
        names: places.map(|(_, name)| name),
        versions,
        messages: flux.map(|flux| flux.map_or("", |flux| &flux.message)),
        revision: revision.filter(|_| has_revision).unwrap_or_default(),
        problem: &text,
        clear_conditions: app.status.problem.is_some(),
        clear_refresh: app.refresh,
        clear_operation: app.operation || status.is_some_and(|s| s.phase == Some(Phase::Running)),
        automated: !app.operation,
    })
}

fn problem_text(index: &Index, entry: &Entry, problem: Problem) -> String {
    let server = entry.cluster_id().map_or("", |cluster| &index.clusters[cluster as usize].server);
    let server = if server.is_empty() { entry.destination_text() } else { server };
    let words = &entry.words;
    let detail = if problem == Problem::NoNamespace { &words.destination_namespace } else { &words.problem };
    problem.text(server, detail)
}

/// Trees of ours always serialise.
fn to_bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;
