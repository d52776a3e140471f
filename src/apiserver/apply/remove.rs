//! Taking fields, map entries and list items out of an object by their paths, and the pruning of an apply.

use super::compare::item_key;
use super::entries::Entry;
use super::fieldset::fieldset;
use super::paths::{Set, child, children, has, intersection, is_member, node, subtract, union};
use crate::apiserver::schema::{ListKind, TypeId, Types};
use serde_json::Value;

/// The value without the items of `gone`. A map or list that loses everything becomes null, as upstream.
pub(super) fn remove(types: &Types, id: TypeId, value: &Value, gone: &Set) -> Value {
    let of = types.node(id);
    match value {
        Value::Object(map) if of.fields.is_some() && !map.is_empty() => {
            if of.atomic_map {
                return Value::Null;
            }
            let mut out = serde_json::Map::new();
            for (name, value) in map {
                let key = ["f:", name].concat();
                if has(gone, &key) {
                    continue;
                }
                let kept = match (child(gone, &key), of.entry(name)) {
                    (Some(below), Some(id)) if !below.is_empty() => remove(types, id, value, below),
                    _ => value.clone(),
                };
                out.insert(name.clone(), kept);
            }
            if out.is_empty() { Value::Null } else { Value::Object(out) }
        }
        Value::Array(list) if of.items.is_some() && !list.is_empty() => {
            if of.list == ListKind::Atomic {
                return Value::Null;
            }
            let mut out = Vec::new();
            for item in list {
                let key = item_key(types, of, item).unwrap_or_default();
                if has(gone, &key) {
                    continue;
                }
                out.push(match (child(gone, &key), of.items) {
                    (Some(below), Some(id)) if !below.is_empty() => remove(types, id, item, below),
                    _ => item.clone(),
                });
            }
            if out.is_empty() { Value::Null } else { Value::Array(out) }
        }
        _ => value.clone(),
    }
}

/// The set with every named field on the way to a member made a member itself.
fn with_named(types: &Types, id: Option<TypeId>, set: &Set) -> Set {
    let of = id.map(|id| types.node(id));
    let mut out = Set::new();
    for (key, below) in children(set) {
        let (named, next) = match (key.split_at_checked(2), of) {
            (Some(("f:", name)), Some(of)) if of.fields.is_some() => (of.field(name).is_some(), of.entry(name)),
            (Some(("k:", _)), Some(of)) => (false, of.items),
            _ => (false, None),
        };
        let inner = with_named(types, next, below);
        if let Some(content) = node(is_member(below) || named, inner) {
            out.insert(key.clone(), content);
        }
    }
    out
}

/// Removes what the applying manager owned last time, does not name now, and nobody else owns.
///
/// `managers` holds the manager's new set already; `last` is its previous one.
pub(super) fn prune(types: &Types, id: TypeId, merged: Value, managers: &[Entry], last: &Set) -> Value {
    let named = |set: &Set| with_named(types, Some(id), set);
    let sets = |value: &Value| named(&fieldset(types, id, value));
    let last = named(last);
    let pruned = remove(types, id, &merged, &last);

    let mut owned = Set::new();
    for entry in managers {
        union(&mut owned, entry.fields.set());
    }
    let all = sets(&merged);
    let mut kept = sets(&pruned);
    union(&mut kept, &named(&owned));
    let mut gone = all.clone();
    subtract(&mut gone, &kept);
    let pruned = remove(types, id, &merged, &gone);

    let mut gone = all;
    subtract(&mut gone, &sets(&pruned));
    let gone = intersection(&gone, &last);
    if gone.is_empty() { merged } else { remove(types, id, &merged, &gone) }
}
