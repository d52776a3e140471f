//! From what a client sent to an object that may be stored: decoding, the identity that the server owns, and the
//! pipeline of the schema (prune, defaults, managed fields, validation) in the order of the real server.

use super::twice::said_twice;
use super::{Cluster, guarded, kinds};
use crate::apiserver::apply::{TrackInput, take_managed, track};
use crate::apiserver::defaults::{assign, defaults};
use crate::apiserver::failure::{Cause, Failure};
use crate::apiserver::life;
use crate::apiserver::object::{Kept, Malformed, Manager, Object};
use crate::apiserver::prune::prune;
use crate::apiserver::request::{Body, FieldValidation, Now, PatchType, Request, Verb};
use crate::apiserver::schema::Resource;
use crate::apiserver::validate::{FieldError, decodable, validate};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// What a write starts from: the stored object, and as a value those parts of it that the write touches.
pub(super) struct Before<'a> {
    pub(super) object: &'a Arc<Object>,
    pub(super) value: &'a Value,
    pub(super) kept: Kept<'a>,
}

/// Where a write starts, and what is settled about its outcome.
pub(super) struct Writing<'a> {
    /// The stored object, if there is one.
    pub(super) before: Option<&'a Before<'a>>,
    pub(super) owners: Owners,
    /// Whether the server drew the name.
    pub(super) named: bool,
}

/// How the managedFields of the new object come about.
pub(super) enum Owners {
    /// They are to be recorded.
    Record,
    /// An apply has settled them.
    Settled(Option<Arc<[Manager]>>),
}

/// An object that may be stored, and what to warn about.
pub(super) struct Prepared {
    pub(super) object: Object,
    pub(super) warnings: Vec<String>,
}

/// The body as a value with kind, apiVersion and metadata, its identity checked against the URL (O-04).
pub(super) fn decode(request: &Request<'_>) -> Result<Value, Failure> {
    let resource = request.resource;
    let value = match request.body {
        Body::Json(bytes) | Body::Patch(_, bytes) => serde_json::from_slice(bytes).map_err(|error| {
            Failure::bad_request(format!(
                "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: {error}",
                resource.kind
            ))
        })?,
        Body::Value(value) => value.clone(),
        Body::None => Value::Object(Map::new()),
    };
    let mut value = match value {
        Value::Object(fields) => Value::Object(fields),
        _ => return Err(Failure::bad_request("the object provided is unrecognized: it is no JSON object")),
    };
    if let (true, Body::Json(text)) = (resource.custom, request.body) {
        check_told(resource, text, &value)?;
    }
    check_type(resource, &mut value)?;
    check_decodable(resource, &value)?;
    if !value["metadata"].is_object() {
        if !value["metadata"].is_null() {
            return Err(malformed(resource, &Malformed { path: "metadata".to_owned(), expected: "an object" }));
        }
        value["metadata"] = json!({});
    }
    check_place(request, &mut value["metadata"])?;
    Ok(value)
}

/// The text of a custom resource must say itself what it is; for built-in kinds the path does.
fn check_told(resource: &Resource, text: &[u8], value: &Value) -> Result<(), Failure> {
    if value["kind"].as_str().is_none_or(str::is_empty) {
        let text = String::from_utf8_lossy(text);
        return Err(Failure::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): Object 'Kind' is missing in '{text}' ({text})",
            resource.kind
        )));
    }
    if value["apiVersion"].as_str().is_none_or(str::is_empty) {
        let expected = resource.api_version();
        let message = format!("the API version in the data () does not match the expected API version ({expected})");
        return Err(Failure::bad_request(message));
    }
    Ok(())
}

fn check_type(resource: &Resource, value: &mut Value) -> Result<(), Failure> {
    let expected = resource.api_version();
    match value["kind"].as_str() {
        None | Some("") => value["kind"] = json!(resource.kind),
        Some(kind) if kind != resource.kind => {
            let message = format!(
                "{kind} in version {:?} cannot be handled as a {}: converting ({kind}) to ({}): unknown conversion",
                resource.version, resource.kind, resource.kind
            );
            return Err(Failure::bad_request(message));
        }
        Some(_) => {}
    }
    match value["apiVersion"].as_str() {
        None | Some("") => value["apiVersion"] = json!(expected),
        Some(sent) if sent != expected => {
            let message =
                format!("the API version in the data ({sent}) does not match the expected API version ({expected})");
            return Err(Failure::bad_request(message));
        }
        Some(_) => {}
    }
    Ok(())
}

fn check_place(request: &Request<'_>, metadata: &mut Value) -> Result<(), Failure> {
    let sent = metadata["namespace"].as_str().unwrap_or_default();
    match request.namespace {
        Some(namespace) if request.resource.namespaced => {
            if !sent.is_empty() && sent != namespace {
                return Err(Failure::bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request",
                ));
            }
            metadata["namespace"] = json!(namespace);
        }
        _ => {
            if let Value::Object(fields) = metadata {
                fields.remove("namespace");
            }
        }
    }
    let sent = metadata["name"].as_str().unwrap_or_default();
    if let Some(name) = request.name {
        if !sent.is_empty() && sent != name {
            return Err(Failure::bad_request(format!(
                "the name of the object ({sent}) does not match the name on the URL ({name})"
            )));
        }
        if sent.is_empty() && request.verb == Verb::Update {
            return Err(Failure::bad_request(format!(
                "the name of the object ({name} based on URL) was undeterminable: name must be provided"
            )));
        }
        if sent.is_empty() {
            metadata["name"] = json!(name);
        }
    }
    Ok(())
}

/// What the server owns on a create (O-03).
pub(super) fn own_new(metadata: &mut Value) {
    let Value::Object(fields) = metadata else { return };
    for name in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "generation",
    ] {
        fields.remove(name);
    }
}

/// What the server owns on an update: it stays as it was.
pub(super) fn own_old(metadata: &mut Value, old: &Value) {
    let Value::Object(fields) = metadata else { return };
    for name in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generateName",
        "generation",
        "selfLink",
    ] {
        match old.get(name) {
            Some(value) => drop(fields.insert(name.to_owned(), value.clone())),
            None => drop(fields.remove(name)),
        }
    }
}

/// Runs the schema's pipeline on the parts that a write touches.
pub(super) fn prepare(
    cluster: &Cluster,
    request: &Request<'_>,
    mut value: Value,
    writing: Writing<'_>,
    now: Now,
) -> Result<Prepared, Box<Failure>> {
    let resource = request.resource;
    let Writing { before, owners, named } = writing;
    if matches!(request.body, Body::Patch(..)) {
        check_decodable(resource, &value)?;
    }
    let (old, kept) = (before.map(|before| before.value), before.map_or_else(Kept::default, |before| before.kept));
    let sent = take_managed(&mut value);
    let mut warnings = unknown_fields(request, &mut value)?;
    kinds::before_defaults(resource, old, &mut value);
    defaults(resource, &mut value, kept);
    kinds::after_defaults(resource, old, &mut value);
    kept.take_from(&mut value);
    let managers = match owners {
        Owners::Settled(managers) => managers,
        Owners::Record => {
            let managers = before.and_then(|before| before.object.meta.managers.as_deref()).unwrap_or_default();
            let (manager, subresource, now) = (request.manager(), request.subresource, now.unix_secs());
            track(&TrackInput { resource, old, managers, manager, subresource, now }, &value, sent)
        }
    };
    if request.guard.is_some() {
        value = guarded::changed(request, before, value, managers.as_deref(), named)?;
    }
    if old.is_none() {
        kinds::assign_new(cluster, resource, &mut value, now);
        assign(resource, &mut value);
    } else {
        kinds::release(resource, &mut value);
    }
    warnings.extend(check(resource, old, &value, kept)?);
    let object = match before {
        Some(before) => before.object.with_parts(resource, value, kept),
        None => Object::from_value(resource, value),
    };
    let mut object = object.map_err(|why| malformed(resource, &why))?;
    object.meta.managers = managers;
    Ok(Prepared { object, warnings })
}

/// Refuses what is invalid; warns of what was so before.
fn check(resource: &Resource, old: Option<&Value>, value: &Value, kept: Kept<'_>) -> Result<Vec<String>, Failure> {
    let errors = match validate(resource, old, value, kept) {
        Ok(warnings) => return Ok(warnings),
        Err(errors) => errors,
    };
    let cause = |e: FieldError| Cause { reason: e.reason.as_str().to_owned(), message: e.detail, field: e.field };
    let causes: Vec<Cause> = errors.into_iter().map(cause).collect();
    let name = value["metadata"]["name"].as_str().unwrap_or_default();
    // Events are stored as the core group's, whichever group was asked.
    let group = if resource.kind == "Event" && !resource.custom { "" } else { &*resource.group };
    Err(Failure::invalid(&resource.kind, group, name, &causes))
}

pub(super) fn check_decodable(resource: &Resource, value: &Value) -> Result<(), Failure> {
    decodable(resource, value).map_err(|why| undecodable(resource, &why))
}

fn undecodable(resource: &Resource, why: &str) -> Failure {
    let (kind, version) = (&resource.kind, &resource.version);
    Failure::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"))
}

fn malformed(resource: &Resource, why: &Malformed) -> Failure {
    undecodable(resource, &format!("json: {why}"))
}

/// Drops unknown fields, and those that are said twice but for the last: silently, with warnings, or not at all but with
/// a refusal (V-08).
fn unknown_fields(request: &Request<'_>, value: &mut Value) -> Result<Vec<String>, Failure> {
    let resource = request.resource;
    let unknown = prune(resource, value);
    if request.options.field_validation == FieldValidation::Ignore {
        return Ok(Vec::new());
    }
    let twice = match request.body {
        Body::Json(text) => said_twice(text),
        _ => Vec::new(),
    };
    let mut texts: Vec<String> = unknown.iter().map(|path| format!("unknown field {path:?}")).collect();
    texts.extend(twice.iter().map(|path| format!("duplicate field {:?}", path.trim_start_matches('.'))));
    if texts.is_empty() {
        return Ok(texts);
    }
    if request.options.field_validation == FieldValidation::Warn {
        return Ok(texts);
    }
    let all = texts.join(", ");
    let kind = &resource.kind;
    Err(match request.body {
        Body::Patch(PatchType::Apply, _) => Failure::bad_request(format!("error strict decoding patch: {all}")),
        Body::Patch(..) => {
            let cause = Cause {
                reason: "FieldValueInvalid".to_owned(),
                message: format!("Invalid value: {:?}: strict decoding error: {all}", patch_text(request)),
                field: "patch".to_owned(),
            };
            Failure::invalid(kind, &resource.group, request.name.unwrap_or_default(), &[cause])
        }
        _ => Failure::bad_request(format!(
            "{kind} in version {:?} cannot be handled as a {kind}: strict decoding error: {all}",
            resource.version
        )),
    })
}

fn patch_text(request: &Request<'_>) -> String {
    match request.body {
        Body::Patch(_, bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    }
}

/// What differs between two versions.
pub(super) fn changes(old: &Object, new: &Object) -> life::Changes {
    life::Changes {
        spec: old.spec() != new.spec(),
        status: old.status() != new.status(),
        rest: old.rest() != new.rest(),
        ..life::Changes::default()
    }
    .with_meta(&old.meta, &new.meta)
}

/// Whether something outside the metadata holds an object under deletion: the namespace's own finalizers.
pub(super) fn held(object: &Object) -> bool {
    let namespace = object.resource.plural == "namespaces" && object.resource.group.is_empty();
    namespace
        && object.field("spec").and_then(|spec| spec["finalizers"].as_array()).is_some_and(|list| !list.is_empty())
}

/// The refusal of a uid that names another incarnation.
pub(super) fn check_uid(resource: &Resource, old: &Object, sent: Option<&str>) -> Result<(), Failure> {
    let actual = old.meta.uid.to_string();
    match sent {
        Some(uid) if !uid.is_empty() && uid != actual => {
            let key = format!("/registry/{}/{}/{}", resource.plural, old.meta.namespace, old.meta.name);
            let why = format!(
                "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {actual}"
            );
            Err(Failure::conflict(&resource.plural, &resource.group, &old.meta.name, &why))
        }
        _ => Ok(()),
    }
}

/// `Arc` of a resource where only the object is at hand.
pub(super) fn not_found(resource: &Arc<Resource>, name: &str) -> Failure {
    Failure::not_found(&resource.plural, &resource.group, name)
}
