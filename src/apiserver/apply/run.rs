//! Server-side apply of one configuration to one object.

use super::compare::{Difference, compare};
use super::conflict::{self, Conflict};
use super::entries::{self, Entry, Fields};
use super::fieldset::{fieldset, misfits};
use super::merge::merge;
use super::paths::{Set, holds, intersection, meet, subtract};
use super::remove::prune;
use crate::apiserver::object::{Manager, shared_text};
use crate::apiserver::schema::{Resource, group_version};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The manager that owns what stood in an object before anybody applied to it.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";
/// Where client-side apply keeps its last configuration.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The manager name whose conflicts with its own client-side past are forgiven.
const KUBECTL: &str = "kubectl";

/// One apply request.
#[derive(Clone, Copy, Debug)]
pub struct ApplyInput<'a> {
    /// The kind at the version of the request.
    pub resource: &'a Resource,
    /// The stored object without its managedFields; none if the apply creates it.
    pub live: Option<&'a Value>,
    /// The managedFields of the stored object.
    pub managers: &'a [Manager],
    /// What the client applies.
    pub config: &'a Value,
    /// Field manager; must not be empty.
    pub manager: &'a str,
    /// `status` or `scale` if the request goes there.
    pub subresource: Option<&'a str>,
    /// Whether to take fields from their owners.
    pub force: bool,
    /// Seconds since 1970.
    pub now: u64,
}

/// Why an apply is refused. The text is the message of the Status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The body is not of the kind and version of the URL: 400.
    #[error("invalid object type: {group_version}, Kind={kind}")]
    WrongKind {
        /// `group/version` of the body; the slash is there in the core group too.
        group_version: String,
        /// Kind of the body.
        kind: String,
    },
    /// The body carries managedFields: 400.
    #[error("metadata.managedFields must be nil")]
    ManagedFields,
    /// The body does not fit the type: 500 without a reason, as upstream.
    #[error("failed to create typed patch object ({object}): {}", listed(.errors))]
    Misfit {
        /// `namespace/name; group/version, Kind=K`.
        object: String,
        /// One text per field.
        errors: Vec<String>,
    },
    /// Others own what it would change: 409.
    #[error("{}", conflict::message(.0))]
    Conflicts(Vec<Conflict>),
}

impl ApplyError {
    /// HTTP code of the answer.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::WrongKind { .. } | Self::ManagedFields => 400,
            Self::Misfit { .. } => 500,
            Self::Conflicts(_) => 409,
        }
    }
}

fn listed(errors: &[String]) -> String {
    match errors {
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    }
}

/// What an apply makes: an object without managedFields, not yet defaulted or validated, and its managedFields.
pub type Made = (Value, Option<Arc<[Manager]>>);

/// Applies a configuration. Applying what is there already gives the live object back, times included.
///
/// # Errors
/// See [`ApplyError`].
pub fn apply(input: &ApplyInput<'_>) -> Result<Made, ApplyError> {
    check(input)?;
    let outcome = attempt(input, input.force);
    match outcome {
        Err(ApplyError::Conflicts(conflicts)) if input.manager == KUBECTL => upgrade(input, conflicts),
        other => other,
    }
    .map(|(object, managers)| (refresh_last_applied(input, object), managers))
}

fn check(input: &ApplyInput<'_>) -> Result<(), ApplyError> {
    let text = |key: &str| input.config.get(key).and_then(Value::as_str).unwrap_or("");
    let version = match text("apiVersion") {
        core if !core.contains('/') => format!("/{core}"),
        other => other.to_owned(),
    };
    let resource = input.resource;
    if version != format!("{}/{}", resource.group, resource.version) || text("kind") != resource.kind {
        return Err(ApplyError::WrongKind { group_version: version, kind: text("kind").to_owned() });
    }
    let metadata = input.config.get("metadata");
    if metadata.and_then(|metadata| metadata.get("managedFields")).is_some_and(|fields| !fields.is_null()) {
        return Err(ApplyError::ManagedFields);
    }
    let errors = misfits(&resource.schema.types, resource.schema.id, input.config);
    if errors.is_empty() {
        return Ok(());
    }
    let named = |key: &str| metadata.and_then(|metadata| metadata.get(key)).and_then(Value::as_str).unwrap_or("");
    let object = format!("{}/{}; {version}, Kind={}", named("namespace"), named("name"), resource.kind);
    Err(ApplyError::Misfit { object, errors })
}

fn attempt(input: &ApplyInput<'_>, force: bool) -> Result<Made, ApplyError> {
    let (types, id) = (&*input.resource.schema.types, input.resource.schema.id);
    let live = input.live.unwrap_or(&input.resource.skeleton);
    let mut merged = merge(types, id, Some(live), input.config);
    // A configuration may say null.
    take_managed(&mut merged);
    let mut managers = entries::stored(input.managers);
    if managers.is_empty() && input.live.is_some() {
        managers.extend(before_first_apply(input, live));
    }
    managers.retain(|entry| known_version(input.resource, &entry.api_version));

    let mut set = fieldset(types, id, input.config);
    entries::reset(&mut set, input.resource.resets.of(input.subresource));
    let mut own = own_entry(input);
    let previous = managers.iter().position(|entry| entry.is(&own)).map(|at| managers.swap_remove(at));
    let dropped = previous.as_ref().is_some_and(|previous| !holds(&set, previous.fields.set()));
    own.fields = Fields::Own(set);
    own.time = previous.as_ref().map_or(0, |previous| previous.time);
    managers.push(own);
    if let (true, Some(previous)) = (dropped, &previous) {
        merged = prune(types, id, merged, &managers, previous.fields.set());
    }

    // Nobody owns anything of an object that is about to come.
    let mut same = false;
    if input.live.is_some() {
        let mut difference = compare(types, id, Some(live), Some(&merged));
        entries::strip(&mut difference.removed);
        same = difference.is_empty() && same_object(live, &merged);
        settle(input, difference, &mut managers, force)?;
    }
    if let Some(own) = managers.last_mut() {
        if !same {
            own.time = input.now;
        }
        if let Fields::Own(set) = &mut own.fields {
            entries::strip(set);
        }
    }
    managers.retain(|entry| !entry.fields.set().is_empty());
    Ok((merged, entries::rest(managers)))
}

/// Finds the conflicts with the other managers (the last entry is the applying one), or takes the fields from them.
fn settle(
    input: &ApplyInput<'_>,
    difference: Difference,
    managers: &mut [Entry],
    force: bool,
) -> Result<(), ApplyError> {
    let Difference { mut changed, mut removed } = difference;
    let resets = input.resource.resets.of(input.subresource);
    entries::reset(&mut changed, resets);
    entries::reset(&mut removed, resets);
    let Some((_, others)) = managers.split_last_mut() else { return Ok(()) };
    others.sort_by(|a, b| (&a.manager, &a.subresource).cmp(&(&b.manager, &b.subresource)));
    if !force {
        let met = others.iter().filter(|entry| meet(entry.fields.set(), &changed));
        let conflicts: Vec<Conflict> =
            met.flat_map(|entry| conflict::with(entry, &intersection(entry.fields.set(), &changed))).collect();
        if !conflicts.is_empty() {
            return Err(ApplyError::Conflicts(conflicts));
        }
    }
    for entry in others {
        entry.fields.lose(&changed);
        entry.fields.lose(&removed);
    }
    Ok(())
}

fn own_entry(input: &ApplyInput<'_>) -> Entry {
    Entry {
        manager: shared_text(input.manager),
        apply: true,
        api_version: shared_text(&input.resource.api_version()),
        subresource: shared_text(input.subresource.unwrap_or("")),
        time: 0,
        fields: Fields::Own(Set::new()),
    }
}

/// The entry that owns everything of an object that nobody was recorded for.
fn before_first_apply(input: &ApplyInput<'_>, live: &Value) -> Option<Entry> {
    let (types, id) = (&*input.resource.schema.types, input.resource.schema.id);
    let mut set = compare(types, id, Some(&input.resource.skeleton), Some(live)).changed;
    entries::reset(&mut set, input.resource.resets.of(input.subresource));
    entries::strip(&mut set);
    let manager = shared_text(BEFORE_FIRST_APPLY);
    (!set.is_empty()).then(|| Entry {
        manager,
        apply: false,
        time: input.now,
        fields: Fields::Own(set),
        ..own_entry(input)
    })
}

/// Entries of versions that are not served any more are dropped.
pub(super) fn known_version(resource: &Resource, api_version: &str) -> bool {
    let (group, version) = group_version(api_version);
    group != resource.group || resource.versions.iter().any(|known| known == version)
}

/// Takes managedFields out of an object.
pub(in crate::apiserver) fn take_managed(object: &mut Value) -> Option<Value> {
    object.get_mut("metadata")?.as_object_mut()?.remove("managedFields")
}

/// Whether two objects are equal but for managedFields.
fn same_object(live: &Value, merged: &Value) -> bool {
    let (Some(a), Some(b)) = (live.as_object(), merged.as_object()) else { return false };
    let entries = |map: &'_ Map<String, Value>| map.len() - usize::from(map.contains_key("managedFields"));
    a.len() == b.len()
        && a.iter().all(|(key, value)| match (key.as_str(), value.as_object(), b.get(key)) {
            ("metadata", Some(a), Some(Value::Object(b))) => {
                entries(a) == entries(b) && b.iter().all(|(key, value)| a.get(key) == Some(value))
            }
            (_, _, other) => other == Some(value),
        })
}

/// Conflicts of `kubectl` with fields that its own last client-side apply set, and that still have that value, are forgiven.
fn upgrade(input: &ApplyInput<'_>, conflicts: Vec<Conflict>) -> Result<Made, ApplyError> {
    let Some(allowed) = input.live.and_then(|live| client_side_fields(input.resource, live)) else {
        return Err(ApplyError::Conflicts(conflicts));
    };
    let allowed = super::paths::texts(&allowed);
    let rest: Vec<Conflict> = conflicts.into_iter().filter(|one| !allowed.contains(&one.field)).collect();
    if rest.is_empty() { attempt(input, true) } else { Err(ApplyError::Conflicts(rest)) }
}

fn client_side_fields(resource: &Resource, live: &Value) -> Option<Set> {
    let text = live.get("metadata")?.get("annotations")?.get(LAST_APPLIED)?.as_str()?;
    let last: Value = serde_json::from_str(text).ok()?;
    if last.get("apiVersion").and_then(Value::as_str) != Some(resource.api_version().as_str()) {
        return None;
    }
    let (types, id) = (&*resource.schema.types, resource.schema.id);
    let difference = compare(types, id, Some(&last), Some(live));
    let mut set = fieldset(types, id, &last);
    subtract(&mut set, &difference.changed);
    subtract(&mut set, &difference.removed);
    Some(set)
}

/// After an apply by `kubectl`, the annotation of client-side apply follows, if the object has it.
fn refresh_last_applied(input: &ApplyInput<'_>, mut object: Value) -> Value {
    if input.manager != KUBECTL {
        return object;
    }
    let annotations = object.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations"));
    let Some(slot) = annotations.and_then(|annotations| annotations.get_mut(LAST_APPLIED)) else { return object };
    if slot.as_str().is_none_or(str::is_empty) {
        return object;
    }
    let mut config = input.config.clone();
    if let Some(annotations) = config.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations")) {
        annotations.as_object_mut().and_then(|map| map.remove(LAST_APPLIED));
    }
    *slot = Value::String(format!("{config}\n"));
    object
}
