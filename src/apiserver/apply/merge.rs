//! An applied configuration laid over the live object.
//!
//! Nothing is removed; where both name a leaf, the configuration wins; lists with keys are joined item by item and take
//! the order of the configuration where it says one.

use super::compare::item_key;
use crate::apiserver::schema::{ListKind, Node, TypeId, Types};
use rustc_hash::FxHashMap;
use serde_json::{Map, Value};

/// The live value with the configuration laid over it.
pub(super) fn merge(types: &Types, id: TypeId, live: Option<&Value>, config: &Value) -> Value {
    let Some(live) = live else { return config.clone() };
    let of = types.node(id);
    match (live, config) {
        (Value::Object(a), Value::Object(b)) if of.fields.is_some() && !of.atomic_map => {
            if a.is_empty() && b.is_empty() { config.clone() } else { maps(types, of, a, b) }
        }
        (Value::Array(a), Value::Array(b)) if of.items.is_some() && of.list != ListKind::Atomic => {
            if a.is_empty() && b.is_empty() { config.clone() } else { lists(types, of, a, b) }
        }
        // A null stands for an empty map or list of this sort: the live entries stay.
        (Value::Object(a), Value::Null) if of.fields.is_some() && !of.atomic_map && !a.is_empty() => live.clone(),
        (Value::Array(a), Value::Null) if of.items.is_some() && of.list != ListKind::Atomic && !a.is_empty() => {
            live.clone()
        }
        _ => config.clone(),
    }
}

fn maps(types: &Types, of: &Node, live: &Map<String, Value>, config: &Map<String, Value>) -> Value {
    let mut out = Map::new();
    for (name, value) in live {
        let merged = match (config.get(name), of.entry(name)) {
            (Some(wanted), Some(id)) => merge(types, id, Some(value), wanted),
            (Some(wanted), None) => wanted.clone(),
            (None, _) => value.clone(),
        };
        out.insert(name.clone(), merged);
    }
    for (name, value) in config {
        if !live.contains_key(name) {
            out.insert(name.clone(), value.clone());
        }
    }
    Value::Object(out)
}

/// Items by path element, and whether the element comes more than once.
type Index<'a> = FxHashMap<String, (usize, bool)>;

fn index(keys: &[String]) -> Index<'_> {
    let mut index = Index::default();
    for (at, key) in keys.iter().enumerate() {
        index.entry(key.clone()).and_modify(|known| known.1 = true).or_insert((at, false));
    }
    index
}

/// Joins two keyed lists in upstream's order: live items that the configuration does not name keep their place between
/// the shared ones, which come in the configuration's order.
fn lists(types: &Types, of: &Node, live: &[Value], config: &[Value]) -> Value {
    let keys = |list: &[Value]| -> Vec<String> {
        list.iter().map(|item| item_key(types, of, item).unwrap_or_default()).collect()
    };
    let (left, right) = (keys(live), keys(config));
    let (in_left, in_right) = (index(&left), index(&right));
    let joined = |key: &String, wanted: usize| -> Value {
        let before = in_left.get(key).filter(|(_, twice)| !twice).map(|(at, _)| &live[*at]);
        of.items.map_or_else(|| config[wanted].clone(), |id| merge(types, id, before, &config[wanted]))
    };
    let mut shared = right.iter().filter(|key| in_left.contains_key(*key));
    let mut next = shared.next();
    let mut taken: rustc_hash::FxHashSet<&String> = rustc_hash::FxHashSet::default();
    let mut out = Vec::with_capacity(live.len().max(config.len()));
    let (mut l, mut r) = (0, 0);
    while l < left.len() || r < right.len() {
        if l < left.len() && r < right.len() {
            if left[l] == right[r] {
                taken.insert(&right[r]);
                out.push(joined(&right[r], r));
                (l, r) = (l + 1, r + 1);
                next = shared.next();
                continue;
            }
            if in_right.contains_key(&left[l]) && next.is_some_and(|next| *next != left[l]) {
                l += 1;
                continue;
            }
        }
        if l < left.len() {
            if !in_right.contains_key(&left[l]) {
                out.push(live[l].clone());
                l += 1;
                continue;
            }
            if taken.contains(&left[l]) {
                l += 1;
            }
        }
        if r < right.len() {
            taken.insert(&right[r]);
            out.push(joined(&right[r], r));
            if next == Some(&right[r]) {
                next = shared.next();
            }
            r += 1;
        }
    }
    Value::Array(out)
}
