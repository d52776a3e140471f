//! The merge patch of a status: the write that controllers make most, on the status alone.
//!
//! A patch that names nothing but `status` (and the resourceVersion it expects) touches one section and one entry of
//! the managed fields; spec, labels and the other entries stay the same allocations.

use super::prepare::changes;
use super::{Cluster, update};
use crate::apiserver::apply::{SectionInput, track_section};
use crate::apiserver::failure::{Cause, Failure};
use crate::apiserver::life;
use crate::apiserver::object::{Blob, Manager, Object, instant};
use crate::apiserver::prune::prune;
use crate::apiserver::request::{Now, Request, Response};
use crate::apiserver::validate::validate;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};

impl Cluster {
    /// Answers a merge patch of the status if it is of the plain form; `None` leaves it to the general way.
    pub(super) fn patch_status_alone(
        &self,
        request: &Request<'_>,
        patch: &Value,
        now: Now,
    ) -> Result<Option<Response>, Box<Failure>> {
        let Some((sent, version)) = plain(request, patch) else { return Ok(None) };
        let resource = request.resource;
        let (namespace, name) = (request.namespace.unwrap_or_default(), request.name.unwrap_or_default());
        for _ in 0..update::ATTEMPTS {
            let Some(old) = self.lookup(resource, namespace, name) else { return Ok(None) };
            if version.is_some_and(|version| version != old.meta.resource_version) {
                return Err(Failure::modified(&resource.plural, &resource.group, name).into());
            }
            let (object, warnings) = match with_patch(request, &old, sent, now)? {
                Some(next) => next,
                None => return Ok(Some(Response::Object { code: 200, object: old, warnings: Vec::new() })),
            };
            if request.options.dry_run {
                return Ok(Some(Response::Object { code: 200, object: Arc::new(object), warnings }));
            }
            if let Some(object) = self.exchange(&old, object, request.manager(), now) {
                return Ok(Some(Response::Object { code: 200, object, warnings }));
            }
        }
        Err(Failure::modified(&resource.plural, &resource.group, name).into())
    }
}

/// The status part of a patch of the plain form, and the version it expects.
fn plain<'a>(request: &Request<'_>, patch: &'a Value) -> Option<(&'a Value, Option<u64>)> {
    let strict = request.options.field_validation == crate::apiserver::request::FieldValidation::Strict;
    if request.subresource != Some("status") || strict || !request.resource.has_status {
        return None;
    }
    let fields = patch.as_object()?;
    let mut version = None;
    for (name, value) in fields {
        match name.as_str() {
            "status" => {}
            "metadata" => {
                for (part, value) in value.as_object()? {
                    if part != "resourceVersion" {
                        return None;
                    }
                    version = Some(value.as_str()?.parse().ok()?);
                }
            }
            _ => return None,
        }
    }
    Some((fields.get("status").unwrap_or(&EMPTY), version))
}

static EMPTY: LazyLock<Value> = LazyLock::new(super::update::empty);

/// The object with the patch merged into its status; `None` if nothing changes.
fn with_patch(
    request: &Request<'_>,
    old: &Object,
    sent: &Value,
    now: Now,
) -> Result<Option<(Object, Vec<String>)>, Failure> {
    let resource = request.resource;
    let old_status = old.status().map(|blob| blob.parse());
    let mut status = old_status.clone().unwrap_or(Value::Null);
    if sent.as_object().is_some_and(|fields| !fields.is_empty()) || !sent.is_object() {
        json_patch::merge(&mut status, sent);
    }
    let mut wrapped = json!({ "status": status });
    let unknown = prune(resource, &mut wrapped);
    if let Err(errors) = validate(resource, None, &wrapped) {
        let causes: Vec<Cause> = errors
            .into_iter()
            .filter(|error| error.field.starts_with("status"))
            .map(|e| Cause { reason: e.reason.as_str().to_owned(), message: e.detail, field: e.field })
            .collect();
        if !causes.is_empty() {
            return Err(Failure::invalid(&resource.kind, &resource.group, &old.meta.name, &causes));
        }
    }
    let status = Some(wrapped["status"].take()).filter(|status| !status.is_null());
    if status == old_status {
        return Ok(None);
    }
    let mut meta = old.meta.clone();
    let managers = track_section(
        &SectionInput {
            resource,
            section: "status",
            old: old_status.as_ref(),
            new: status.as_ref(),
            manager: request.manager(),
            subresource: request.subresource,
            now: &instant::format(now.unix_secs()),
        },
        || old.meta.managers.as_ref().map(|list| list.iter().map(Manager::to_value).collect()),
    );
    if let Some(managers) = managers {
        meta.managers = Manager::list(managers).unwrap_or(meta.managers);
    }
    let blob = status.map(|status| Blob::private(status.to_string().into_bytes()));
    let mut object = old.with_status(meta, blob);
    object.meta.generation = life::next_generation(resource, old.meta.generation, changes(old, &object));
    let warnings = if request.options.field_validation == crate::apiserver::request::FieldValidation::Warn {
        unknown.iter().map(|path| format!("unknown field {path:?}")).collect()
    } else {
        Vec::new()
    };
    Ok(Some((object, warnings)))
}
