//! The values that the server fills in where a client wrote none.
//!
//! In: an object as decoded (and pruned). Out: the same object with its defaults. Custom resources take them from their
//! schema; built-in kinds take those that `src/bin/harvest.rs` saw a real server fill in, and a handful that are
//! computed from their neighbours (`derived`). Filling in twice changes nothing.

mod derived;

use crate::apiserver::object::Kept;
use crate::apiserver::schema::{Field, Node, Resource, TypeId, Types};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Defaults of one built-in kind, as observed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::apiserver) struct Rules(Vec<Rule>);

/// What is filled into the maps at one place, outer places first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Rule {
    /// The way to the maps: field names, `*` for every list item or map value.
    at: Vec<String>,
    /// The field.
    field: String,
    /// What is filled in.
    value: Value,
    /// Assigned when the object is stored, so that no manager comes to own it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    late: bool,
    /// Only where these neighbours have one of these values (null: are absent).
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    when: Map<String, Value>,
}

/// Fills in the defaults of an object, or of those parts of it that a write touches.
pub(in crate::apiserver) fn defaults(resource: &Resource, object: &mut Value, kept: Kept<'_>) {
    if resource.custom {
        fill_schema(&resource.schema.types, resource.schema.id, object);
        return;
    }
    derived::before(resource, object);
    for (name, part) in resource.skeleton.as_object().into_iter().flatten().filter(|(name, _)| !kept.has(name)) {
        fill_part(name, part, object);
    }
    fill_items(&resource.schema.types, resource.schema.id, object);
    // What was seen of a LimitRange were the numbers of the one that was tried.
    let seen = resource.kind != "LimitRange";
    for rule in resource.defaults.0.iter().filter(|rule| !rule.late && seen) {
        fill(&rule.at, rule, object);
    }
    derived::after(resource, object);
}

/// Fills in what the server assigns when it stores a new object, after tracking: no manager owns it.
pub fn assign(resource: &Resource, object: &mut Value) {
    for rule in resource.defaults.0.iter().filter(|rule| rule.late) {
        fill(&rule.at, rule, object);
    }
}

impl Rules {
    /// Puts the nulls that the original writes into the zero value of a kind.
    pub(in crate::apiserver) fn complete(&self, skeleton: &mut Value) {
        for rule in self.0.iter().filter(|rule| rule.value.is_null() && rule.when.is_empty()) {
            fill(&rule.at, rule, skeleton);
        }
    }
}

/// Fills in one rule at every place it names.
fn fill(at: &[String], rule: &Rule, value: &mut Value) {
    let Some((step, rest)) = at.split_first() else {
        let Some(map) = value.as_object_mut() else { return };
        let holds = rule.when.iter().all(|(name, wanted)| match (wanted, map.get(name).unwrap_or(&Value::Null)) {
            (Value::Array(any), value) => any.contains(value),
            (wanted, value) => wanted == value,
        });
        // A structure that is always there may have nothing in it yet.
        let bare = |value: &Value| value.is_null() || (rule.value.is_object() && *value == Value::Object(Map::new()));
        if holds && map.get(&rule.field).is_none_or(bare) {
            map.insert(rule.field.clone(), rule.value.clone());
        }
        return;
    };
    match value {
        Value::Array(list) if step == "*" => list.iter_mut().for_each(|item| fill(rest, rule, item)),
        Value::Object(map) if step == "*" => map.values_mut().for_each(|item| fill(rest, rule, item)),
        Value::Object(map) => {
            if let Some(inner) = map.get_mut(step) {
                fill(rest, rule, inner);
            }
        }
        _ => {}
    }
}

/// Adds the parts that Go always writes.
fn fill_skeleton(skeleton: &Value, value: &mut Value) {
    for (name, part) in skeleton.as_object().into_iter().flatten() {
        fill_part(name, part, value);
    }
}

fn fill_part(name: &str, part: &Value, value: &mut Value) {
    let Some(map) = value.as_object_mut() else { return };
    match map.get_mut(name) {
        None | Some(Value::Null) => drop(map.insert(name.to_owned(), part.clone())),
        Some(known) => fill_skeleton(part, known),
    }
}

/// Adds the parts that Go always writes in list items, map entries and structures behind pointers.
fn fill_items(types: &Types, id: TypeId, value: &mut Value) {
    let of = types.node(id);
    match value {
        Value::Object(map) if of.fields.is_some() && !map.is_empty() => {
            for (name, inner) in map.iter_mut() {
                let Some(entry) = of.entry(name).filter(|_| inner.is_object() || inner.is_array()) else { continue };
                if let Some(inner) = inner.as_object_mut() {
                    for field in always(types.node(entry)) {
                        inner.entry(&*field.name).or_insert_with(|| types.zero(field.id));
                    }
                }
                fill_items(types, entry, inner);
            }
        }
        Value::Array(list) => {
            let Some(items) = of.items else { return };
            for item in list {
                if let Some(item) = item.as_object_mut() {
                    for field in always(types.node(items)) {
                        item.entry(&*field.name).or_insert_with(|| types.zero(field.id));
                    }
                }
                fill_items(types, items, item);
            }
        }
        _ => {}
    }
}

/// The fields of a structure that Go always writes: their default is `{}`.
fn always(of: &Node) -> impl Iterator<Item = &Field> {
    let empty = |field: &&Field| matches!(&field.default, Some(Value::Object(map)) if map.is_empty());
    of.at(&of.defaulted).filter(empty)
}

/// Structural defaults: nulls of fields that may not be null go first, then absent fields get theirs.
fn fill_schema(types: &Types, id: TypeId, value: &mut Value) {
    let of = types.node(id);
    match value {
        Value::Object(map) => {
            let refused = |name: &str| of.field(name).is_some_and(|field| !types.node(field.id).nullable);
            map.retain(|name, inner| !inner.is_null() || !refused(name));
            for field in of.at(&of.defaulted) {
                if let Some(default) = field.default.as_ref().filter(|_| !map.contains_key(&*field.name)) {
                    map.insert(field.name.to_string(), default.clone());
                }
            }
            for (name, inner) in map.iter_mut() {
                if name == "metadata" || !(inner.is_object() || inner.is_array()) {
                    continue;
                }
                if let Some(entry) = of.entry(name) {
                    fill_schema(types, entry, inner);
                }
            }
        }
        Value::Array(list) => {
            if let Some(items) = of.items {
                list.iter_mut().for_each(|item| fill_schema(types, items, item));
            }
        }
        _ => {}
    }
}
