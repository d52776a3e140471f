//! Who set what by create, update and the patches that are not apply.

use super::compare::{Difference, compare};
use super::entries::{self, Entry, Fields};
use super::run::known_version;
use crate::apiserver::object::{Manager, shared_text};
use crate::apiserver::schema::Resource;
use serde_json::{Map, Value};
use std::sync::Arc;

/// One write that is not an apply.
#[derive(Clone, Copy, Debug)]
pub struct TrackInput<'a> {
    /// The kind at the version of the request.
    pub resource: &'a Resource,
    /// The stored object without its managedFields; none on create. Parts that the write leaves alone may be missing
    /// here and in the new object.
    pub old: Option<&'a Value>,
    /// The managedFields of the stored object.
    pub managers: &'a [Manager],
    /// Field manager, or what stands before the first `/` of the user agent.
    pub manager: &'a str,
    /// The subresource written through.
    pub subresource: Option<&'a str>,
    /// Seconds since 1970.
    pub now: u64,
}

/// The managedFields of the new object: its manager gains what was added or changed, everybody loses what was removed,
/// others lose what was changed. Without a change nothing moves, not even a time. `sent` are those that the client sent,
/// if it touched them.
#[must_use]
pub fn track(input: &TrackInput<'_>, new: &Value, sent: Option<Value>) -> Option<Arc<[Manager]>> {
    let mut managers = current(input, sent);
    if managers.is_empty() && input.old.is_some() {
        return None;
    }
    let (types, id) = (&*input.resource.schema.types, input.resource.schema.id);
    let old = input.old.unwrap_or(&input.resource.skeleton);
    let mut difference = compare(types, id, Some(old), Some(new));
    entries::strip(&mut difference.removed);
    record(input, difference, &mut managers);
    entries::rest(managers)
}

/// The entries to start from; none if the client resets them.
///
/// A client that sends none, or malformed ones, keeps the stored ones; through a subresource the stored ones count.
fn current(input: &TrackInput<'_>, sent: Option<Value>) -> Vec<Entry> {
    if input.subresource.is_none() {
        if let Some(Value::Array(list)) = &sent
            && (list.is_empty() || (list.len() == 1 && list[0].as_object().is_some_and(Map::is_empty)))
        {
            return Vec::new();
        }
        if let Some(entries) = entries::decode(sent)
            && !entries.is_empty()
        {
            return entries;
        }
    }
    entries::stored(input.managers)
}

fn record(input: &TrackInput<'_>, difference: Difference, managers: &mut Vec<Entry>) {
    let Difference { mut changed, mut removed } = difference;
    let resets = input.resource.resets.of(input.subresource);
    entries::reset(&mut changed, resets);
    entries::reset(&mut removed, resets);
    managers.retain(|entry| known_version(input.resource, &entry.api_version));
    let mut own = Entry {
        manager: shared_text(if input.manager.is_empty() { "unknown" } else { input.manager }),
        apply: false,
        api_version: shared_text(&input.resource.api_version()),
        subresource: shared_text(input.subresource.unwrap_or("")),
        time: 0,
        fields: Fields::Own(super::paths::Set::new()),
    };
    for entry in managers.iter_mut().filter(|entry| !entry.is(&own)) {
        entry.fields.lose(&changed);
        entry.fields.lose(&removed);
    }
    entries::strip(&mut changed);
    match managers.iter_mut().find(|entry| entry.is(&own)) {
        Some(known) => {
            known.fields.lose(&removed);
            if !changed.is_empty() {
                known.fields.gain(&changed);
                known.time = input.now;
            }
        }
        None if !changed.is_empty() => {
            own.fields = Fields::Own(changed);
            own.time = input.now;
            managers.push(own);
        }
        None => {}
    }
    managers.retain(|entry| !entry.fields.set().is_empty());
    entries::cap(managers);
}
