//! The entries of `metadata.managedFields`.

use super::paths::{Set, subtract, subtract_trees, union};
use serde_json::{Map, Value};

/// Most `Update` entries an object keeps; the oldest are merged (upstream: `DefaultMaxUpdateManagers`).
const UPDATE_ENTRIES_MAX: usize = 10;

/// One manager's fields.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) manager: String,
    /// Operation `Apply`, else `Update`.
    pub(super) apply: bool,
    pub(super) api_version: String,
    pub(super) subresource: String,
    /// RFC 3339 in UTC, whole seconds, so that text order is time order.
    pub(super) time: Option<String>,
    pub(super) set: Set,
}

impl Entry {
    /// Whether both are the same manager at work: an `Apply` is one whatever its version.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.apply == other.apply
            && self.manager == other.manager
            && self.subresource == other.subresource
            && (self.apply || self.api_version == other.api_version)
    }

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
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        let (manager, api_version, subresource, time) =
            (text("manager"), text("apiVersion"), text("subresource"), text("time"));
        let set = match map.remove("fieldsV1") {
            Some(Value::Object(set)) => set,
            _ => Set::new(),
        };
        let time = (!time.is_empty()).then_some(time);
        (!api_version.is_empty()).then_some(Self { manager, apply, api_version, subresource, time, set })
    }

    fn encode(self) -> Value {
        let mut map = Map::new();
        let mut text = |key: &str, text: String| {
            if !text.is_empty() {
                map.insert(key.to_owned(), Value::String(text));
            }
        };
        text("apiVersion", self.api_version);
        text("fieldsType", "FieldsV1".to_owned());
        text("manager", self.manager);
        text("operation", if self.apply { "Apply" } else { "Update" }.to_owned());
        text("subresource", self.subresource);
        text("time", self.time.unwrap_or_default());
        map.insert("fieldsV1".to_owned(), Value::Object(self.set));
        Value::Object(map)
    }
}

/// Reads the entries; none if one of them is malformed.
pub(super) fn decode(managed: Option<Value>) -> Option<Vec<Entry>> {
    let list = match managed {
        None | Some(Value::Null) => return Some(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return None,
    };
    let mut entries: Vec<Entry> = Vec::with_capacity(list.len() + 1);
    for value in list {
        let entry = Entry::decode(value)?;
        match entries.iter_mut().find(|known| known.is(&entry)) {
            Some(known) => *known = entry,
            None => entries.push(entry),
        }
    }
    Some(entries)
}

/// Writes the entries in upstream's order; none if there are none.
pub(super) fn encode(mut entries: Vec<Entry>) -> Option<Value> {
    entries.sort_by(|a, b| {
        let key = |one: &Entry| (!one.apply, one.time.clone().unwrap_or_default());
        key(a).cmp(&key(b)).then_with(|| {
            (&a.manager, &a.api_version, &a.subresource).cmp(&(&b.manager, &b.api_version, &b.subresource))
        })
    });
    (!entries.is_empty()).then(|| entries.into_iter().map(Entry::encode).collect())
}

/// Merges the oldest `Update` entries of one version into `ancient-changes` until at most ten are left.
pub(super) fn cap(entries: &mut Vec<Entry>) {
    let mut order: Vec<Entry> = entries.iter().filter(|entry| !entry.apply).cloned().collect();
    let mut length = order.len();
    order.sort_by(|a, b| (&a.time, &a.manager, &a.api_version).cmp(&(&b.time, &b.manager, &b.api_version)));
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
            Entry { manager: "ancient-changes".to_owned(), subresource: String::new(), ..first[at].clone() };
        match entries.iter_mut().find(|entry| entry.is(&bucket)) {
            Some(known) => {
                union(&mut known.set, &old.set);
                known.time = old.time.clone();
            }
            None => {
                let oldest = first[at].clone();
                entries.retain(|entry| !entry.is(&oldest));
                union(&mut bucket.set, &old.set);
                bucket.time = old.time.clone();
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
