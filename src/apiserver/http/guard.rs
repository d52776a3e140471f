//! Who looks at writes that come over the wire: admission webhooks, and whoever minds that nobody grants what they lack.
//!
//! In: a call that writes. Out: a [`Guard`] for it if there is anybody to ask, which for a cluster without webhooks and
//! without RBAC there is not. What the hooks are told and what their answers mean is decided in `admission`.

use super::authorize;
use super::limit::Limit;
use super::route::Target;
use super::server::Call;
use super::webhook::{Post, post_all};
use crate::apiserver::admission::{Address, Ask, Asking, Attempt, Guard, Hooks, Operation, Outgoing};
use crate::apiserver::failure::Failure;
use crate::apiserver::rbac::Authorization;
use crate::apiserver::request::Verb;
use crate::apiserver::schema::{Catalog, Resource};
use crate::clock;
use crate::ids::Uid;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The guard of one call.
pub(super) struct Guarding<'a> {
    call: &'a Call<'a>,
    catalog: &'a Catalog,
    hooks: Option<Arc<Hooks>>,
    /// Whether what is written may hand out rights.
    grants: bool,
    user: Value,
    options: Value,
    reviews: AtomicU64,
    warnings: Mutex<Vec<String>>,
}

impl std::fmt::Debug for Guarding<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guarding").field("grants", &self.grants).finish_non_exhaustive()
    }
}

impl<'a> Guarding<'a> {
    /// Whoever is to be asked about this call, if anybody is. `body` is JSON.
    pub(super) fn of(
        call: &'a Call<'a>,
        catalog: &'a Catalog,
        resource: &Resource,
        target: Target<'_>,
        verb: Verb,
        body: &[u8],
    ) -> Option<Self> {
        if matches!(verb, Verb::Get | Verb::List | Verb::Watch) {
            return None;
        }
        let hooks = call.site.cluster.hooks().filter(|hooks| hooks.concern(resource, target.subresource));
        let grants = call.site.authorization == Authorization::Rbac
            && resource.group == "rbac.authorization.k8s.io"
            && !matches!(verb, Verb::Delete | Verb::DeleteCollection);
        if hooks.is_none() && !grants {
            return None;
        }
        let identity = call.identity;
        let mut user = json!({ "username": identity.user, "groups": identity.groups });
        if !identity.uid.is_empty() {
            user["uid"] = json!(identity.uid);
        }
        if !identity.extra.is_empty() {
            user["extra"] = json!(identity.extra);
        }
        let (options, warnings) = (options(call, verb, body), Mutex::default());
        Some(Self { call, catalog, hooks, grants, user, options, reviews: AtomicU64::new(0), warnings })
    }

    /// What hooks want the client to hear.
    pub(super) fn warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.warnings.lock())
    }

    fn asking<T>(&self, hooks: &Hooks, operation: Operation, with: impl FnOnce(&Asking<'_>) -> T) -> T {
        // A patch is told as an update, or as a create if nothing was there yet.
        let mut options = self.options.clone();
        options["kind"] = json!(match operation {
            Operation::Create => "CreateOptions",
            Operation::Update => "UpdateOptions",
            Operation::Delete => "DeleteOptions",
        });
        let (user, options, catalog) = (&self.user, &options, self.catalog);
        let asking = Asking { hooks, catalog, user, options, ask: self, warnings: RefCell::default() };
        let outcome = with(&asking);
        self.warnings.lock().append(&mut asking.warnings.take());
        outcome
    }
}

/// The options of the call, as hooks are told.
fn options(call: &Call<'_>, verb: Verb, body: &[u8]) -> Value {
    let deletes = matches!(verb, Verb::Delete | Verb::DeleteCollection);
    let given = || serde_json::from_slice(body).ok().filter(Value::is_object);
    let mut options = given().filter(|_| deletes).unwrap_or_else(|| json!({}));
    options["apiVersion"] = json!("meta.k8s.io/v1");
    if call.query.get("dryRun").is_some_and(|text| !text.is_empty()) {
        options["dryRun"] = json!(["All"]);
    }
    let names: &[&str] = if deletes { &["propagationPolicy"] } else { &["fieldManager", "fieldValidation"] };
    for &name in names {
        if let Some(text) = call.query.get(name).filter(|text| !text.is_empty()) {
            options[name] = json!(text);
        }
    }
    options
}

impl Guard for Guarding<'_> {
    fn change(&self, attempt: &Attempt<'_>) -> Result<Option<Value>, Box<Failure>> {
        self.hooks
            .as_ref()
            .map_or(Ok(None), |hooks| self.asking(hooks, attempt.operation, |asking| asking.mutate(attempt)))
    }

    fn check(&self, attempt: &Attempt<'_>) -> Result<(), Box<Failure>> {
        if let (true, Some(object)) = (self.grants, attempt.object) {
            authorize::grants(self.call, attempt.resource, attempt.namespace, object)?;
        }
        self.hooks
            .as_ref()
            .map_or(Ok(()), |hooks| self.asking(hooks, attempt.operation, |asking| asking.validate(attempt)))
    }
}

impl Ask for Guarding<'_> {
    fn ask(&self, questions: &[Outgoing<'_>]) -> Vec<Result<Vec<u8>, String>> {
        let posts: Vec<Result<Post, String>> = questions.iter().map(|question| self.post(question)).collect();
        let mut answers = post_all(posts.iter().flatten().cloned().collect()).into_iter();
        let broken = || Err("failed to call webhook: no thread to call from".to_owned());
        posts.into_iter().map(|post| post.and_then(|_| answers.next().unwrap_or_else(broken))).collect()
    }

    fn uid(&self) -> String {
        let nth = self.reviews.fetch_add(1, Ordering::Relaxed);
        let cluster = self.call.site.cluster.id();
        Uid::derive(clock::unix().0, cluster, "admission.k8s.io", "AdmissionReview", "", "", nth).to_string()
    }

    fn object(&self, resource: &Resource, namespace: &str, name: &str) -> Option<Value> {
        self.call.site.cluster.read(resource, namespace, name).map(|object| object.to_value(resource))
    }

    fn objects(&self, resource: &Resource, namespace: &str) -> Vec<Value> {
        let all = self.call.site.cluster.all(resource, namespace);
        all.iter().map(|object| object.to_value(resource)).collect()
    }
}

impl Guarding<'_> {
    fn post(&self, question: &Outgoing<'_>) -> Result<Post, String> {
        let hook = question.hook;
        let (url, to) = match &hook.address {
            Address::Url(url) => {
                let (host, path) = split(url);
                (format!("{host}{}", cleaned(path)), None)
            }
            Address::Service { namespace, name, path, port } => {
                let url = format!("https://{name}.{namespace}.svc:{port}{}", cleaned(path));
                let to = self.endpoint(namespace, name, *port).map_err(|why| {
                    format!("failed to call webhook: Post \"{url}?timeout={}s\": {why}", hook.timeout_secs)
                })?;
                (url, Some(to))
            }
        };
        let (authorities, timeout_secs) = (hook.authorities.clone(), hook.timeout_secs);
        // The call itself has a limit, too.
        let left = self.call.limit.map(Limit::left);
        Ok(Post { url, to, authorities, timeout_secs, left, body: question.body.clone() })
    }

    /// Where a service is to be found: at one of its endpoints, for a cluster address leads nowhere here.
    fn endpoint(&self, namespace: &str, name: &str, port: u16) -> Result<SocketAddr, String> {
        let find = |group: &str, plural: &str| self.catalog.find(group, "v1", plural);
        let cluster = &self.call.site.cluster;
        let service = find("", "services").and_then(|resource| cluster.read(resource, namespace, name));
        let Some(service) = service else { return Err(format!("service {name:?} not found")) };
        let ports = service.field("spec").and_then(|spec| spec["ports"].as_array()).cloned().unwrap_or_default();
        let Some(wanted) = ports.iter().find(|one| one["port"] == port) else {
            return Err(format!("no service port {port} found for service {name:?}"));
        };
        let slices = find("discovery.k8s.io", "endpointslices").map(|resource| cluster.all(resource, namespace));
        for slice in slices.into_iter().flatten() {
            if slice.meta.label("kubernetes.io/service-name") != Some(name) {
                continue;
            }
            let ports = slice.field("ports").and_then(Value::as_array).into_iter().flatten();
            let port = ports.filter(|one| one["name"] == wanted["name"]).find_map(|one| one["port"].as_u64());
            let endpoints = slice.field("endpoints").and_then(Value::as_array).into_iter().flatten();
            let ready = endpoints.filter(|one| one["conditions"]["ready"] != false);
            let address = ready.filter_map(|one| one["addresses"][0].as_str()?.parse().ok()).next();
            if let (Some(address), Some(port)) = (address, port.and_then(|port| u16::try_from(port).ok())) {
                return Ok(SocketAddr::new(address, port));
            }
        }
        Err(format!("no endpoints available for service {name:?}"))
    }
}

/// The scheme and host of a URL, and its path. A query is no part of where a hook is.
fn split(url: &str) -> (&str, &str) {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let host = url.find("://").map_or(0, |at| at + 3);
    url[host..].find('/').map_or((url, ""), |at| url.split_at(host + at))
}

/// A path without needless parts, as Go's `path.Join` leaves it.
fn cleaned(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_hook_is_cleaned_as_its_client_does() {
        for (url, host, path) in [
            ("https://127.0.0.1:9443//failing", "https://127.0.0.1:9443", "/failing"),
            ("https://hooks.example.com", "https://hooks.example.com", "/"),
            ("https://a/b/./c/../d/?x=y", "https://a", "/b/d"),
        ] {
            let (found, rest) = split(url);
            assert_eq!((found, cleaned(rest).as_str()), (host, path), "{url}");
        }
    }
}
