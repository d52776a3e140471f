//! The entries of `metadata.managedFields`.

use super::paths::{Set, holds, meet, subtract, subtract_trees, union};
use crate::apiserver::object::{Blob, Manager, instant, shared_text};
use serde_json::Value;
use std::sync::{Arc, LazyLock};

/// Most `Update` entries an object keeps; the oldest are merged (upstream: `DefaultMaxUpdateManagers`).
const UPDATE_ENTRIES_MAX: usize = 10;

/// One manager's fields.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) manager: Arc<str>,
    /// Operation `Apply`, else `Update`.
    pub(super) apply: bool,
    pub(super) api_version: Arc<str>,
    pub(super) subresource: Arc<str>,
    /// Seconds since 1970; 0 for none.
    pub(super) time: u64,
    pub(super) fields: Fields,
}

/// Whose set an entry holds: the one at rest that all objects with the same owners share, or one in the making.
#[derive(Clone, Debug)]
pub(super) enum Fields {
    /// Parsed once, whatever cluster it came from.
    AtRest(Arc<Blob>),
    Own(Set),
}

impl Fields {
    pub(super) fn set(&self) -> &Set {
        static NONE: LazyLock<Set> = LazyLock::new(Set::new);
        match self {
            Self::AtRest(blob) => blob.value().as_object().unwrap_or(&NONE),
            Self::Own(set) => set,
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Set)) {
        let mut set = match self {
            Self::AtRest(_) => self.set().clone(),
            Self::Own(set) => std::mem::take(set),
        };
        change(&mut set);
        *self = Self::Own(set);
    }

    /// Takes paths out; a set that has none of them stays at rest.
    pub(super) fn lose(&mut self, less: &Set) {
        if meet(self.set(), less) {
            self.change(|set| {
                subtract(set, less);
            });
        }
    }

    /// Adds paths; a set that has them all stays at rest.
    pub(super) fn gain(&mut self, more: &Set) {
        if !holds(self.set(), more) {
            self.change(|set| union(set, more));
        }
    }

    fn rest(self) -> Arc<Blob> {
        match self {
            Self::AtRest(blob) => blob,
            Self::Own(set) => Blob::shared_value(Value::Object(set)),
        }
    }
}

impl Entry {
    /// Whether both are the same manager at work: an `Apply` is one whatever its version.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.apply == other.apply
            && self.manager == other.manager
            && self.subresource == other.subresource
            && (self.apply || self.api_version == other.api_version)
    }

    /// An entry as a client sends it.
    fn decode(value: Value) -> Option<Self> {
        let Value::Object(mut map) = value else { return None };
        let apply = match map.get("operation").and_then(Value::as_str)? {
            "Apply" => true,
            "Update" => false,
            _ => return None,
        };
        if map.get("fieldsType").and_then(Value::as_str) != Some("FieldsV1") {
            return None;
        }
        let mut text = |key: &str| match map.remove(key) {
            Some(Value::String(text)) => shared_text(&text),
            _ => Arc::default(),
        };
        let (manager, api_version, subresource, time) =
            (text("manager"), text("apiVersion"), text("subresource"), text("time"));
        let set = match map.remove("fieldsV1") {
            Some(Value::Object(set)) => set,
            _ => Set::new(),
        };
        let time = instant::parse(&time).unwrap_or(0);
        let fields = Fields::Own(set);
        (!api_version.is_empty()).then_some(Self { manager, apply, api_version, subresource, time, fields })
    }

    fn rest(self) -> Manager {
        Manager {
            manager: self.manager,
            apply: self.apply,
            api_version: self.api_version,
            subresource: self.subresource,
            time: self.time,
            fields: self.fields.rest(),
        }
    }
}

/// Reads the entries that a client sent; none if one of them is malformed.
pub(super) fn decode(managed: Option<Value>) -> Option<Vec<Entry>> {
    match managed {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(list)) => unique(list.into_iter().map(Entry::decode)),
        Some(_) => None,
    }
}

/// The entries of a stored object; none if one of them is malformed, as those of bootstrap objects may be.
pub(super) fn stored(managers: &[Manager]) -> Vec<Entry> {
    let entries = managers.iter().map(|one| {
        (!one.api_version.is_empty()).then(|| Entry {
            manager: Arc::clone(&one.manager),
            apply: one.apply,
            api_version: Arc::clone(&one.api_version),
            subresource: Arc::clone(&one.subresource),
            time: one.time,
            fields: Fields::AtRest(Arc::clone(&one.fields)),
        })
    });
    unique(entries).unwrap_or_default()
}

/// The last of the entries that are the same manager at work, at the place of the first.
fn unique(list: impl ExactSizeIterator<Item = Option<Entry>>) -> Option<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::with_capacity(list.len() + 1);
    for entry in list {
        let entry = entry?;
        match entries.iter_mut().find(|known| known.is(&entry)) {
            Some(known) => *known = entry,
            None => entries.push(entry),
        }
    }
    Some(entries)
}

/// Puts the entries to rest in upstream's order; none if there are none.
pub(super) fn rest(mut entries: Vec<Entry>) -> Option<Arc<[Manager]>> {
    let key = |one: &Entry| (!one.apply, one.time);
    entries.sort_by(|a, b| {
        key(a).cmp(&key(b)).then_with(|| {
            (&a.manager, &a.api_version, &a.subresource).cmp(&(&b.manager, &b.api_version, &b.subresource))
        })
    });
    (!entries.is_empty()).then(|| entries.into_iter().map(Entry::rest).collect())
}

/// Merges the oldest `Update` entries of one version into `ancient-changes` until at most ten are left.
pub(super) fn cap(entries: &mut Vec<Entry>) {
    let mut length = entries.iter().filter(|entry| !entry.apply).count();
    if length <= UPDATE_ENTRIES_MAX {
        return;
    }
    let mut order: Vec<Entry> = entries.iter().filter(|entry| !entry.apply).cloned().collect();
    order.sort_by(|a, b| (a.time, &a.manager, &a.api_version).cmp(&(b.time, &b.manager, &b.api_version)));
    let mut first: Vec<Entry> = Vec::new();
    for old in order {
        if length <= UPDATE_ENTRIES_MAX {
            return;
        }
        let Some(at) = first.iter().position(|one| one.api_version == old.api_version) else {
            first.push(old);
            continue;
        };
        let mut bucket =
            Entry { manager: shared_text("ancient-changes"), subresource: Arc::default(), ..first[at].clone() };
        match entries.iter_mut().find(|entry| entry.is(&bucket)) {
            Some(known) => {
                known.fields.gain(old.fields.set());
                known.time = old.time;
            }
            None => {
                let oldest = first[at].clone();
                entries.retain(|entry| !entry.is(&oldest));
                bucket.fields.gain(old.fields.set());
                bucket.time = old.time;
                entries.push(bucket);
            }
        }
        entries.retain(|entry| !entry.is(&old));
        length -= 1;
    }
}

/// Takes the fields that are never owned out of a set: type, name and what the server writes.
pub(super) fn strip(set: &mut Set) {
    if set.is_empty() {
        return;
    }
    set.remove("f:apiVersion");
    set.remove("f:kind");
    const NAMES: [&str; 9] = [
        "f:name",
        "f:namespace",
        "f:creationTimestamp",
        "f:selfLink",
        "f:uid",
        "f:clusterName",
        "f:generation",
        "f:managedFields",
        "f:resourceVersion",
    ];
    if !set.contains_key("f:metadata") {
        return;
    }
    let below: Set = NAMES.iter().map(|name| ((*name).to_owned(), Value::Object(Set::new()))).collect();
    let mut less = below;
    less.insert(".".to_owned(), Value::Object(Set::new()));
    subtract(set, &Set::from_iter([("f:metadata".to_owned(), Value::Object(less))]));
}

/// Takes what a door resets out of a set.
pub(super) fn reset(set: &mut Set, paths: &[Vec<String>]) {
    if !set.is_empty() && !paths.is_empty() {
        subtract_trees(set, &super::paths::of_fields(paths));
    }
}
