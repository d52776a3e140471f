//! Dropping what the type of an object does not know.
//!
//! In: an object as decoded. Out: the object without unknown fields, and the paths of those. Built-in kinds also lose
//! nulls, as decoding into a structure does.

use crate::apiserver::schema::{DEDUCED, Node, Resource, Scalar, TypeId, Types};
use serde_json::Value;
use std::fmt::Write as _;

/// Drops unknown fields; the paths are in the form of warnings, such as `spec.template.specc`, sorted.
pub fn prune(resource: &Resource, object: &mut Value) -> Vec<String> {
    let mut walk = Walk { types: &resource.schema.types, nulls: !resource.custom, unknown: Vec::new() };
    walk.value(resource.schema.id, object, &mut String::new(), resource.custom);
    walk.unknown.sort();
    walk.unknown
}

struct Walk<'a> {
    types: &'a Types,
    /// Whether nulls are dropped as well.
    nulls: bool,
    unknown: Vec<String>,
}

impl Walk<'_> {
    fn value(&mut self, id: TypeId, value: &mut Value, path: &mut String, root: bool) {
        let of = self.types.node(id);
        match value {
            Value::Object(map) if of.fields.is_some() => {
                let embedded = of.embedded || root;
                map.retain(|name, inner| {
                    let entry = of.entry(name);
                    let known = entry.is_some()
                        || of.preserve_unknown
                        || (embedded && matches!(name.as_str(), "apiVersion" | "kind" | "metadata"));
                    if !known {
                        self.unknown.push(joined(path, name));
                    }
                    if !known || self.nulls && vanishes(self.types, of, name, inner) {
                        return false;
                    }
                    if let Some(entry) = entry.filter(|_| inner.is_object() || inner.is_array()) {
                        let length = path.len();
                        if !path.is_empty() {
                            path.push('.');
                        }
                        path.push_str(name);
                        self.value(entry, inner, path, false);
                        path.truncate(length);
                    }
                    true
                });
            }
            Value::Array(list) => {
                let Some(items) = of.items else { return };
                for (at, inner) in list.iter_mut().enumerate() {
                    if inner.is_object() || inner.is_array() {
                        let length = path.len();
                        // Writing into a text cannot fail.
                        let _ = write!(path, "[{at}]");
                        self.value(items, inner, path, false);
                        path.truncate(length);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Whether decoding into a structure and writing it again loses the entry: nulls (which are the zero value in a map of
/// texts), and empty maps and lists that need not be there.
fn vanishes(types: &Types, of: &Node, name: &str, value: &mut Value) -> bool {
    let empty = match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    };
    if !empty {
        return false;
    }
    let field = of.field(name);
    let entry = field.map(|field| field.id).or(of.rest).map(|id| types.node(id));
    match value {
        Value::Null => {
            let text = field.is_none() && entry.is_some_and(|entry| entry.scalar == Some(Scalar::String));
            if text {
                *value = Value::String(String::new());
            }
            !text
        }
        Value::Object(_) => {
            let is_map = entry.is_some_and(|entry| {
                entry.fields.as_ref().is_some_and(|fields| fields.is_empty())
                    && entry.rest.is_some_and(|rest| rest != DEDUCED)
            });
            is_map && field.is_some_and(|field| !field.required)
        }
        // An empty managedFields is a wish: to start anew.
        _ => field.is_some_and(|field| !field.required && name != "managedFields"),
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
