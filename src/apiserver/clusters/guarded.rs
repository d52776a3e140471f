//! Writes that somebody else looks at before they are stored: what they are told, and what becomes of their answer.
//!
//! In: a request with a guard. Out: the object as the guard changed it, decoded again, or the guard's refusal. Without a
//! guard everything here is one comparison.

use super::Cluster;
use super::prepare::{Before, check_decodable, own_new, own_old};
use super::state::State;
use crate::apiserver::admission::{Attempt, Hooks, Operation, Policy, Sort};
use crate::apiserver::apply::take_managed;
use crate::apiserver::defaults::{assign, defaults};
use crate::apiserver::failure::Failure;
use crate::apiserver::object::{Kept, Manager, Object};
use crate::apiserver::prune::prune;
use crate::apiserver::request::{Request, Verb};
use crate::apiserver::select::Selector;
use crate::apiserver::store::Range;
use serde_json::{Value, json};
use std::sync::Arc;

/// The attempt of a request, without its objects.
fn attempt<'a>(request: &Request<'a>, operation: Operation, name: &'a str) -> Attempt<'a> {
    let of_namespaces = request.resource.plural == "namespaces" && request.resource.group.is_empty();
    Attempt {
        operation,
        resource: request.resource,
        subresource: request.subresource,
        namespace: if of_namespaces { name } else { request.namespace.unwrap_or_default() },
        name,
        dry_run: request.options.dry_run,
        object: None,
        old: None,
    }
}

/// The object after the guard's changes. `managers` are those of the object as the client wants it: nobody owns what a
/// guard adds.
pub(super) fn changed(
    request: &Request<'_>,
    before: Option<&Before<'_>>,
    mut value: Value,
    managers: Option<&[Manager]>,
    drawn: bool,
) -> Result<Value, Box<Failure>> {
    let Some(guard) = request.guard.filter(|_| request.subresource != Some("scale")) else { return Ok(value) };
    let (resource, old) = (request.resource, before.map(stored));
    let operation = if old.is_some() { Operation::Update } else { Operation::Create };
    let name = match value["metadata"]["name"].as_str() {
        Some(name) if !drawn => name.to_owned(),
        _ => String::new(),
    };
    let drawn = drawn.then(|| value["metadata"]["name"].take());
    let mut told = value.clone();
    if drawn.is_some()
        && let Some(metadata) = told["metadata"].as_object_mut()
    {
        metadata.remove("name");
    }
    if let Some(managers) = managers {
        told["metadata"]["managedFields"] = managers.iter().map(Manager::to_value).collect();
    }
    assign(resource, &mut told);
    let attempt = Attempt { object: Some(&told), old: old.as_ref(), ..attempt(request, operation, &name) };
    if let Some(new) = guard.change(&attempt)? {
        value = new;
        if !value["metadata"].is_object() {
            value["metadata"] = json!({});
        }
        check_decodable(resource, &value)?;
        take_managed(&mut value);
        prune(resource, &mut value);
        defaults(resource, &mut value, Kept::default());
        match &old {
            Some(old) => own_old(&mut value["metadata"], &old["metadata"]),
            None => own_new(&mut value["metadata"]),
        }
    }
    if let Some(drawn) = drawn {
        value["metadata"]["name"] = drawn;
    }
    Ok(value)
}

/// The stored object as a guard sees it.
fn stored(before: &Before<'_>) -> Value {
    let mut value = before.value.clone();
    if let Some(managers) = before.object.meta.managed_fields() {
        value["metadata"]["managedFields"] = managers;
    }
    value
}

/// Lets the guard look at an object that could be stored.
pub(super) fn check(request: &Request<'_>, before: Option<&Before<'_>>, object: &Object) -> Result<(), Box<Failure>> {
    let Some(guard) = request.guard.filter(|_| request.subresource != Some("scale")) else { return Ok(()) };
    let old = before.map(stored);
    let operation = if old.is_some() { Operation::Update } else { Operation::Create };
    let value = object.to_value(request.resource);
    guard.check(&Attempt { object: Some(&value), old: old.as_ref(), ..attempt(request, operation, &object.meta.name) })
}

/// Lets the guard look at an object that is about to go.
pub(super) fn deletion(request: &Request<'_>, old: &Object) -> Result<(), Box<Failure>> {
    let Some(guard) = request.guard else { return Ok(()) };
    let value = old.to_value(request.resource);
    let name = if request.verb == Verb::DeleteCollection { "" } else { &*old.meta.name };
    let attempt = Attempt { old: Some(&value), ..attempt(request, Operation::Delete, name) };
    guard.change(&attempt)?;
    guard.check(&attempt)
}

/// What is brought to an object through a door of its own, an eviction or a binding.
pub(super) fn brought(request: &Request<'_>, mut body: Value) -> Result<Value, Box<Failure>> {
    if let (Some(_), Some(namespace)) = (request.guard, request.namespace) {
        body["metadata"]["namespace"] = json!(namespace);
    }
    through(request, Operation::Create, None, body)
}

/// The Scale that is wanted.
pub(super) fn scaled(request: &Request<'_>, old: &Value, wanted: Value) -> Result<Value, Box<Failure>> {
    through(request, Operation::Update, Some(old), wanted)
}

fn through(
    request: &Request<'_>,
    operation: Operation,
    old: Option<&Value>,
    mut value: Value,
) -> Result<Value, Box<Failure>> {
    let Some(guard) = request.guard else { return Ok(value) };
    let attempt = Attempt { old, ..attempt(request, operation, request.name.unwrap_or_default()) };
    if let Some(new) = guard.change(&Attempt { object: Some(&value), ..attempt })? {
        value = new;
    }
    guard.check(&Attempt { object: Some(&value), ..attempt })?;
    Ok(value)
}

impl Cluster {
    /// Who is asked about writes on this cluster.
    pub(in crate::apiserver) fn hooks(&self) -> Option<Arc<Hooks>> {
        self.hooks.read().clone()
    }

    /// Reads the configurations anew.
    pub(super) fn read_hooks(&self, state: &State) {
        let objects = |plural: &str| {
            let Some(resource) = state.catalog.find("admissionregistration.k8s.io", "v1", plural) else {
                return Vec::new();
            };
            let everything = Range { namespace: None, after: None, selector: &Selector::default(), limit: 0 };
            self.page(state, resource, &everything, &[]).items
        };
        let mutating = objects("mutatingwebhookconfigurations");
        let validating = objects("validatingwebhookconfigurations");
        let mutating = mutating.iter().map(|object| (Sort::Mutating, object));
        let webhooks = mutating.chain(validating.iter().map(|object| (Sort::Validating, object)));
        let hooks = Hooks::read(
            webhooks.filter_map(|(sort, object)| Some((sort, &*object.meta.name, object.field("webhooks")?))),
        );
        let (policies, bindings) =
            (objects("validatingadmissionpolicies"), objects("validatingadmissionpolicybindings"));
        let named = |object: &'_ Arc<Object>| Some((object.meta.name.to_string(), object.field("spec")?.clone()));
        let bindings: Vec<(String, Value)> = bindings.iter().filter_map(named).collect();
        let bindings: Vec<(&str, &Value)> = bindings.iter().map(|(name, spec)| (name.as_str(), spec)).collect();
        let policies = policies
            .iter()
            .filter_map(|object| Some(Policy::read(&object.meta.name, object.field("spec")?, &bindings)));
        let hooks = hooks.with_policies(policies.collect());
        *self.hooks.write() = (!hooks.is_empty()).then(|| Arc::new(hooks));
    }
}
