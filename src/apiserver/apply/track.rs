//! Who set what by create, update and the patches that are not apply.

use super::compare::{Difference, compare, compare_field};
use super::entries::{self, Entry};
use super::paths::{subtract, union};
use super::run::{known_version, put_managed, take_managed};
use crate::apiserver::schema::Resource;
use serde_json::{Map, Value};

/// One write that is not an apply.
#[derive(Clone, Copy, Debug)]
pub struct TrackInput<'a> {
    /// The kind at the version of the request.
    pub resource: &'a Resource,
    /// The stored object with its managedFields; none on create.
    pub old: Option<&'a Value>,
    /// Field manager, or what stands before the first `/` of the user agent.
    pub manager: &'a str,
    /// The subresource written through.
    pub subresource: Option<&'a str>,
    /// RFC 3339 in UTC, whole seconds.
    pub now: &'a str,
}

/// One write that changes a single top-level section, such as a status patch.
#[derive(Clone, Copy, Debug)]
pub struct SectionInput<'a> {
    /// The kind at the version of the request.
    pub resource: &'a Resource,
    /// Name of the section, such as `status`.
    pub section: &'a str,
    /// The section as stored.
    pub old: Option<&'a Value>,
    /// The section as it will be.
    pub new: Option<&'a Value>,
    /// Field manager.
    pub manager: &'a str,
    /// The subresource written through.
    pub subresource: Option<&'a str>,
    /// RFC 3339 in UTC, whole seconds.
    pub now: &'a str,
}

/// Writes `metadata.managedFields` of the new object: its manager gains what was added or changed, everybody loses
/// what was removed, others lose what was changed. Without a change nothing moves, not even a time.
pub fn track(input: &TrackInput<'_>, new: &mut Value) {
    let sent = take_managed(new);
    let stored = input.old.and_then(|old| old.get("metadata")).and_then(|metadata| metadata.get("managedFields"));
    let Some(mut managers) = current(input.subresource.is_some(), sent, stored) else { return };
    if managers.is_empty() && input.old.is_some() {
        return;
    }
    let (types, id) = (&*input.resource.schema.types, input.resource.schema.id);
    let old = input.old.unwrap_or(&input.resource.skeleton);
    let mut difference = compare(types, id, Some(old), Some(new));
    entries::strip(&mut difference.removed);
    let by = By { resource: input.resource, manager: input.manager, subresource: input.subresource, now: input.now };
    by.record(difference, &mut managers);
    put_managed(new, entries::encode(managers));
}

/// Like [`track`], for a write that changed one section only: the new managedFields, or none if they stay as they are.
///
/// `managed` is the stored `metadata.managedFields`; it is asked for only if the section changed.
pub fn track_section(input: &SectionInput<'_>, managed: impl FnOnce() -> Option<Value>) -> Option<Value> {
    let (types, id) = (&*input.resource.schema.types, input.resource.schema.id);
    let difference = compare_field(types, id, input.section, input.old, input.new);
    if difference.is_empty() {
        return None;
    }
    let mut managers = entries::decode(managed())?;
    if managers.is_empty() {
        return None;
    }
    let by = By { resource: input.resource, manager: input.manager, subresource: input.subresource, now: input.now };
    by.record(difference, &mut managers);
    Some(entries::encode(managers).unwrap_or_else(|| Value::Array(Vec::new())))
}

/// The entries to start from; none if the client resets them and nothing is to be tracked.
///
/// A client that sends none, or malformed ones, keeps the stored ones; through a subresource the stored ones count.
fn current(subresource: bool, sent: Option<Value>, stored: Option<&Value>) -> Option<Vec<Entry>> {
    if let (false, Some(Value::Array(list))) = (subresource, &sent)
        && (list.is_empty() || (list.len() == 1 && list[0].as_object().is_some_and(Map::is_empty)))
    {
        return Some(Vec::new());
    }
    let usable = if subresource { sent.as_ref() == stored } else { true };
    if usable
        && let Some(entries) = entries::decode(sent)
        && !entries.is_empty()
    {
        return Some(entries);
    }
    Some(entries::decode(stored.cloned()).unwrap_or_default())
}

/// Who writes, as what, when.
struct By<'a> {
    resource: &'a Resource,
    manager: &'a str,
    subresource: Option<&'a str>,
    now: &'a str,
}

impl By<'_> {
    fn record(&self, difference: Difference, managers: &mut Vec<Entry>) {
        let Difference { mut changed, mut removed } = difference;
        let resets = self.resource.resets.of(self.subresource);
        entries::reset(&mut changed, resets);
        entries::reset(&mut removed, resets);
        managers.retain(|entry| known_version(self.resource, &entry.api_version));
        let mut own = Entry {
            manager: if self.manager.is_empty() { "unknown" } else { self.manager }.to_owned(),
            apply: false,
            api_version: self.resource.api_version(),
            subresource: self.subresource.unwrap_or("").to_owned(),
            time: None,
            set: super::paths::Set::new(),
        };
        for entry in managers.iter_mut().filter(|entry| !entry.is(&own)) {
            subtract(&mut entry.set, &changed);
            subtract(&mut entry.set, &removed);
        }
        entries::strip(&mut changed);
        match managers.iter_mut().find(|entry| entry.is(&own)) {
            Some(known) => {
                subtract(&mut known.set, &removed);
                if !changed.is_empty() {
                    union(&mut known.set, &changed);
                    known.time = Some(self.now.to_owned());
                }
            }
            None if !changed.is_empty() => {
                own.set = changed;
                own.time = Some(self.now.to_owned());
                managers.push(own);
            }
            None => {}
        }
        managers.retain(|entry| !entry.set.is_empty());
        entries::cap(managers);
    }
}
