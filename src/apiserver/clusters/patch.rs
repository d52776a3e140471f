//! PATCH in its four forms.

use super::Cluster;
use super::applied::{Key, Known};
use super::merge;
use super::prepare::{Before, Owners, not_found, own_new};
use super::update::{ATTEMPTS, as_a_whole, left_alone, through_door};
use crate::apiserver::apply::{ApplyError, ApplyInput, apply};
use crate::apiserver::failure::{Cause, Failure};
use crate::apiserver::object::{Kept, Object};
use crate::apiserver::patch::{self, PatchError};
use crate::apiserver::request::{Body, Now, PatchType, Request, Response};
use serde_json::{Value, json};
use std::sync::Arc;

/// What a custom resource takes.
const CUSTOM: [&str; 3] =
    ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];

/// A patch, parsed once for all attempts.
enum Change<'a> {
    Json(&'a [u8]),
    Merge(Value),
    Strategic(Value),
    Apply(Value),
}

impl Cluster {
    pub(super) fn patch(&self, request: &Request<'_>, now: Now) -> Result<Response, Box<Failure>> {
        if let Body::Patch(PatchType::Apply, text) = request.body {
            return self.apply_text(request, text, now);
        }
        let change = Change::read(request)?;
        let (resource, name) = (request.resource, request.name.unwrap_or_default());
        for _ in 0..ATTEMPTS {
            let Some(old) = self.lookup(resource, request.namespace.unwrap_or_default(), name) else {
                return self.patch_absent(request, &change, now);
            };
            if let Some(response) = self.patch_once(request, &change, &old, now)? {
                return Ok(response);
            }
        }
        Err(Failure::modified(&resource.plural, &resource.group, name).into())
    }

    /// An apply, computed unless it is known what it comes to.
    fn apply_text(&self, request: &Request<'_>, text: &[u8], now: Now) -> Result<Response, Box<Failure>> {
        let (resource, name) = (request.resource, request.name.unwrap_or_default());
        let dry_run = request.options.dry_run;
        let key = Key::new(request, text);
        let mut change = None;
        for _ in 0..ATTEMPTS {
            let (old, known) = {
                let mut state = self.state.lock();
                let old = self.find(&state, resource, request.namespace.unwrap_or_default(), name);
                // Whoever guards decides anew each time.
                let known = match request.guard {
                    None => state.applied.known(key, old.as_deref(), dry_run, now),
                    Some(_) => None,
                };
                (old, known)
            };
            let stored = match (known, &old) {
                (Some(Known::Nothing), Some(old)) => return Ok(unchanged(old)),
                (Some(Known::Planned(object)), None) => {
                    Some(self.place(request, Arc::unwrap_or_clone(object), Vec::new(), false, now)?)
                }
                (Some(Known::Planned(object)), Some(old)) => {
                    let stored = self.exchange(old, Arc::unwrap_or_clone(object), request.manager(), now);
                    stored.map(|object| Response::Object { code: 200, object, warnings: Vec::new() })
                }
                (_, old) => {
                    let change = match &mut change {
                        Some(change) => change,
                        none => none.insert(Change::read(request)?),
                    };
                    let response = match old {
                        Some(old) => self.patch_once(request, change, old, now)?,
                        None => Some(self.patch_absent(request, change, now)?),
                    };
                    if let (Some(response), None) = (&response, request.guard) {
                        self.remember(key, old.as_ref(), response, dry_run, now);
                    }
                    response
                }
            };
            if let Some(response) = stored {
                return Ok(response);
            }
        }
        Err(Failure::modified(&resource.plural, &resource.group, name).into())
    }

    /// Keeps what an apply came to, if that is all there is to say about it.
    fn remember(&self, key: Key, old: Option<&Arc<Object>>, response: &Response, dry_run: bool, now: Now) {
        let Response::Object { object, warnings, .. } = response else { return };
        if !warnings.is_empty() {
            return;
        }
        match old {
            Some(old) if Arc::ptr_eq(old, object) => self.state.lock().applied.nothing(key, old),
            _ if dry_run => self.state.lock().applied.planned(key, old.map(Arc::as_ref), object, now),
            _ => {}
        }
    }

    /// One attempt; `None` if the object moved on meanwhile.
    fn patch_once(
        &self,
        request: &Request<'_>,
        change: &Change<'_>,
        old: &Arc<Object>,
        now: Now,
    ) -> Result<Option<Response>, Box<Failure>> {
        let resource = request.resource;
        if let (Change::Merge(patch), false) = (change, as_a_whole(request))
            && let Some(kept) = merge::left_alone(request, patch, old)?
        {
            return self.merge_parts(request, patch, old, kept, now);
        }
        let kept = if matches!(change, Change::Apply(_)) { left_alone_by_apply(request, old) } else { Kept::default() };
        let old_value = old.parts(resource, kept);
        let (mut new, owners) = change.apply(request, Some((old, &old_value)), now)?;
        let metadata = &new["metadata"];
        if !metadata.is_object() {
            return Err(patch_failure(PatchError::DoesNotApply("metadata is gone".to_owned())).into());
        }
        check_immutable(request, &new, &old_value)?;
        let version = metadata["resourceVersion"].as_str().unwrap_or_default();
        if !version.is_empty() && version != old.meta.resource_version.to_string() {
            return Err(Failure::modified(&resource.plural, &resource.group, &old.meta.name).into());
        }
        outside(resource, &mut new);
        check_renamed(request, &new, &old_value)?;
        let value = through_door(request, &old_value, new);
        self.replace(request, &Before { object: old, value: &old_value, kept }, value, owners, now)
    }

    /// A merge patch of the parts that it names; of a status only the members.
    fn merge_parts(
        &self,
        request: &Request<'_>,
        patch: &Value,
        old: &Arc<Object>,
        mut kept: Kept<'static>,
        now: Now,
    ) -> Result<Option<Response>, Box<Failure>> {
        let ruled = request.resource.rules.as_ref().is_some_and(|rules| rules.are_in("status"));
        let mut members = old.status_members().filter(|_| !kept.status && !ruled);
        let named = members.as_mut().and_then(|members| merge::named(request, patch, members));
        kept.status |= named.is_some();
        let mut old_value = old.parts(request.resource, kept);
        let kept = match named {
            None => kept,
            Some(named) => {
                old_value["status"] = named;
                Kept { status: false, members: members.as_ref(), ..kept }
            }
        };
        let value = merge::merged(request, &old_value, patch);
        self.replace(request, &Before { object: old, value: &old_value, kept }, value, Owners::Record, now)
    }

    /// Only an apply creates what is absent.
    fn patch_absent(&self, request: &Request<'_>, change: &Change<'_>, now: Now) -> Result<Response, Box<Failure>> {
        let (resource, name) = (request.resource, request.name.unwrap_or_default());
        let uid = match change {
            Change::Apply(patch) => patch["metadata"]["uid"].as_str(),
            _ => None,
        };
        if let Some(uid) = uid.filter(|uid| !uid.is_empty()) {
            let why =
                format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
            return Err(Failure::conflict(&resource.plural, &resource.group, name, &why).into());
        }
        if !matches!(change, Change::Apply(_)) || request.subresource.is_some() {
            return Err(not_found(resource, name).into());
        }
        let (mut value, owners) = change.apply(request, None, now)?;
        own_new(&mut value["metadata"]);
        self.insert(request, value, owners, now)
    }
}

fn unchanged(object: &Arc<Object>) -> Response {
    Response::Object { code: 200, object: Arc::clone(object), warnings: Vec::new() }
}

/// A uid and the mark of a deletion, once there, are the server's (`ValidateObjectMetaUpdate`).
fn check_immutable(request: &Request<'_>, new: &Value, old: &Value) -> Result<(), Failure> {
    for field in ["uid", "deletionTimestamp"] {
        let (sent, stored) = (new["metadata"][field].as_str(), old["metadata"][field].as_str());
        if sent.is_some_and(|sent| !sent.is_empty()) && sent != stored {
            let cause = Cause {
                reason: "FieldValueInvalid".to_owned(),
                message: format!("Invalid value: {:?}: field is immutable", sent.unwrap_or_default()),
                field: format!("metadata.{field}"),
            };
            let resource = request.resource;
            let name = request.name.unwrap_or_default();
            // Upstream validates metadata twice, by hand and by declaration.
            return Err(Failure::invalid(&resource.kind, &resource.group, name, &[cause.clone(), cause]));
        }
    }
    Ok(())
}

/// An object of the cluster is in no namespace, whatever its writer says.
fn outside(resource: &crate::apiserver::schema::Resource, value: &mut Value) {
    if let (false, Some(metadata)) = (resource.namespaced, value["metadata"].as_object_mut()) {
        metadata.remove("namespace");
    }
}

/// Name and namespace of an object never change.
fn check_renamed(request: &Request<'_>, new: &Value, old: &Value) -> Result<(), Failure> {
    for part in ["name", "namespace"] {
        let (sent, stored) = (new["metadata"][part].as_str(), old["metadata"][part].as_str());
        if sent != stored && sent.is_some() {
            let (sent, stored) = (sent.unwrap_or_default(), stored.unwrap_or_default());
            return Err(Failure::bad_request(if part == "name" {
                format!("the name of the object ({sent}) does not match the name on the URL ({stored})")
            } else {
                "the namespace of the provided object does not match the namespace sent on the request".to_owned()
            }));
        }
    }
    let (kind, version) = (new["kind"].as_str(), new["apiVersion"].as_str());
    let resource = request.resource;
    if kind.is_some_and(|kind| kind != resource.kind) || version.is_some_and(|v| v != resource.api_version()) {
        return Err(Failure::bad_request(format!(
            "the API version in the data ({}) does not match the expected API version ({})",
            version.unwrap_or_default(),
            resource.api_version()
        )));
    }
    Ok(())
}

impl<'a> Change<'a> {
    fn read(request: &Request<'a>) -> Result<Self, Failure> {
        let Body::Patch(kind, bytes) = request.body else {
            return Err(Failure::bad_request("a patch needs a body with one of the patch media types"));
        };
        let options = &request.options;
        if kind == PatchType::Apply && options.field_manager.unwrap_or_default().is_empty() {
            let text = "Required value: is required for apply patch";
            return Err(Failure::invalid_options("PatchOptions", "fieldManager", "FieldValueRequired", text));
        }
        if kind != PatchType::Apply && options.force {
            let text = "Forbidden: may not be specified for non-apply patch";
            return Err(Failure::invalid_options("PatchOptions", "force", "FieldValueForbidden", text));
        }
        if kind == PatchType::Strategic && request.resource.custom {
            return Err(Failure::unsupported_media(&CUSTOM));
        }
        let parse = || -> Result<Value, Failure> {
            serde_json::from_slice(bytes).map_err(|e| Failure::bad_request(format!("error decoding patch: {e}")))
        };
        Ok(match kind {
            PatchType::Json => Self::Json(bytes),
            PatchType::Merge => Self::Merge(parse()?),
            PatchType::Strategic => Self::Strategic(parse()?),
            PatchType::Apply => Self::Apply(applied_config(request, parse()?)?),
        })
    }

    /// The object after the patch; `old` comes with the value of what the patch may touch.
    fn apply(
        &self,
        request: &Request<'_>,
        old: Option<(&Arc<Object>, &Value)>,
        now: Now,
    ) -> Result<(Value, Owners), Failure> {
        if let Self::Apply(config) = self {
            let input = ApplyInput {
                resource: request.resource,
                live: old.map(|(_, value)| value),
                managers: old.and_then(|(object, _)| object.meta.managers.as_deref()).unwrap_or_default(),
                config,
                manager: request.manager(),
                subresource: request.subresource,
                force: request.options.force,
                now: now.unix_secs(),
            };
            let (value, managers) = apply(&input).map_err(apply_failure)?;
            return Ok((value, Owners::Settled(managers)));
        }
        let mut new = old.map_or_else(super::update::empty, |(_, value)| value.clone());
        if let Some(managers) = old.and_then(|(object, _)| object.meta.managed_fields())
            && self.sees_managers()
        {
            new["metadata"]["managedFields"] = managers;
        }
        match self {
            Self::Json(bytes) => patch::json(&mut new, bytes),
            Self::Merge(patch) => patch::merge(&mut new, patch),
            Self::Strategic(patch) | Self::Apply(patch) => patch::strategic(request.resource, &mut new, patch),
        }
        .map_err(patch_failure)?;
        Ok((new, Owners::Record))
    }

    /// Whether the patch may look at managedFields or change them.
    fn sees_managers(&self) -> bool {
        match self {
            // A JSON text may write a name with escapes.
            Self::Json(bytes) => bytes.contains(&b'\\') || bytes.windows(13).any(|part| part == b"managedFields"),
            Self::Merge(patch) => patch["metadata"].get("managedFields").is_some(),
            Self::Strategic(patch) => {
                let metadata = patch["metadata"].as_object();
                metadata.is_some_and(|fields| fields.keys().any(|key| key == "managedFields" || key.starts_with('$')))
            }
            Self::Apply(_) => false,
        }
    }
}

/// What an apply leaves alone: the status, unless it goes there.
fn left_alone_by_apply(request: &Request<'_>, old: &Object) -> Kept<'static> {
    let door = request.subresource.is_none();
    if door { left_alone(request, old) } else { Kept::default() }
}

/// The body of an apply with the identity that the URL gives it.
fn applied_config(request: &Request<'_>, mut config: Value) -> Result<Value, Failure> {
    if !config.is_object() {
        return Err(Failure::bad_request("error decoding YAML: an apply patch must be an object"));
    }
    if config["metadata"].is_null() {
        config["metadata"] = json!({});
    }
    let sent = config["metadata"]["name"].as_str().unwrap_or_default();
    let name = request.name.unwrap_or_default();
    if !sent.is_empty() && sent != name {
        return Err(Failure::bad_request(format!(
            "the name of the object ({sent}) does not match the name on the URL ({name})"
        )));
    }
    config["metadata"]["name"] = json!(name);
    if let (true, Some(namespace)) = (request.resource.namespaced, request.namespace) {
        let sent = config["metadata"]["namespace"].as_str().unwrap_or_default();
        if !sent.is_empty() && sent != namespace {
            return Err(Failure::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        config["metadata"]["namespace"] = json!(namespace);
    }
    outside(request.resource, &mut config);
    Ok(config)
}

fn apply_failure(error: ApplyError) -> Failure {
    let (code, message) = (error.code(), error.to_string());
    let reason = match code {
        400 => "BadRequest",
        409 => "Conflict",
        _ => "",
    };
    let mut failure = Failure::new(code, reason, message);
    if let ApplyError::Conflicts(conflicts) = error {
        failure.details.get_or_insert_default().causes = conflicts
            .iter()
            .map(|conflict| Cause {
                reason: "FieldManagerConflict".to_owned(),
                message: conflict.message(),
                field: conflict.field.clone(),
            })
            .collect();
    }
    failure
}

fn patch_failure(error: PatchError) -> Failure {
    let reason = match error.code() {
        413 => "RequestEntityTooLarge",
        422 => "Invalid",
        _ => "BadRequest",
    };
    let mut failure = Failure::new(error.code(), reason, error.to_string());
    if error.code() == 422 {
        // Upstream's generic failure says about what by a request it does not have here.
        failure.details = Some(Box::default());
    }
    failure
}
