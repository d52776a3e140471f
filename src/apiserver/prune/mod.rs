//! Dropping what the type of an object does not know.
//!
//! In: an object as decoded. Out: the object without unknown fields, and the paths of those. Built-in kinds also lose
//! nulls, as decoding into a structure does.

use crate::apiserver::schema::{Resource, TypeId, Types};
use serde_json::Value;

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
                let known = |name: &str| {
                    of.entry(name).is_some()
                        || of.preserve_unknown
                        || (embedded && matches!(name, "apiVersion" | "kind" | "metadata"))
                };
                let (nulls, unknown) = (self.nulls, &mut self.unknown);
                map.retain(|name, value| {
                    let keep = known(name);
                    if !keep {
                        unknown.push(joined(path, name));
                    }
                    keep && !(nulls && value.is_null())
                });
                for (name, inner) in map.iter_mut() {
                    let Some(entry) = of.entry(name) else { continue };
                    if inner.is_object() || inner.is_array() {
                        let length = path.len();
                        if !path.is_empty() {
                            path.push('.');
                        }
                        path.push_str(name);
                        self.value(entry, inner, path, false);
                        path.truncate(length);
                    }
                }
            }
            Value::Array(list) => {
                let Some(items) = of.items else { return };
                for (at, inner) in list.iter_mut().enumerate() {
                    if inner.is_object() || inner.is_array() {
                        let length = path.len();
                        path.push_str(&format!("[{at}]"));
                        self.value(items, inner, path, false);
                        path.truncate(length);
                    }
                }
            }
            _ => {}
        }
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
