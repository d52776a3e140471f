//! The fields that a configuration names, and whether it fits its type.

use super::compare::item_key;
use super::paths::{Set, node};
use crate::apiserver::schema::{ListKind, Node, Scalar, TypeId, Types};
use rustc_hash::FxHashSet;
use serde_json::{Map, Value};

/// Every leaf, list item and map entry of a value.
pub(super) fn fieldset(types: &Types, id: TypeId, value: &Value) -> Set {
    level(types, types.node(id), value).1
}

/// Whether the value is a leaf by itself, and the set below it.
fn level(types: &Types, of: &Node, value: &Value) -> (bool, Set) {
    match value {
        Value::Object(map) if of.fields.is_some() => {
            if of.atomic_map {
                (true, Set::new())
            } else {
                (false, maps(types, of, map))
            }
        }
        Value::Array(list) if of.items.is_some() => {
            if of.list == ListKind::Atomic {
                (true, Set::new())
            } else {
                (false, lists(types, of, list))
            }
        }
        Value::Null if of.fields.is_some() && !of.atomic_map => (false, Set::new()),
        Value::Null if of.scalar.is_none() && of.items.is_some() && of.list != ListKind::Atomic => (false, Set::new()),
        _ => (true, Set::new()),
    }
}

fn maps(types: &Types, of: &Node, map: &Map<String, Value>) -> Set {
    let mut set = Set::new();
    for (name, value) in map {
        let Some(id) = of.entry(name) else { continue };
        let (leaf, below) = level(types, types.node(id), value);
        let empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
        let member = leaf || empty || of.field(name).is_none();
        if let Some(content) = node(member, below) {
            set.insert(["f:", name].concat(), content);
        }
    }
    set
}

fn lists(types: &Types, of: &Node, list: &[Value]) -> Set {
    let (mut set, mut twice) = (Set::new(), FxHashSet::default());
    let Some(items) = of.items else { return set };
    for item in list {
        let Ok(key) = item_key(types, of, item) else { continue };
        if set.contains_key(&key) {
            twice.insert(key);
        } else if let Some(content) = node(true, level(types, types.node(items), item).1) {
            set.insert(key, content);
        }
    }
    for key in twice {
        set.insert(key, Value::Object(Set::new()));
    }
    set
}

/// What does not fit the type of an applied configuration, in the words of structured-merge-diff.
pub(super) fn misfits(types: &Types, id: TypeId, value: &Value) -> Vec<String> {
    let mut out = Vec::new();
    fit(types, types.node(id), value, "", &mut out);
    out
}

fn fit(types: &Types, of: &Node, value: &Value, path: &str, out: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::Object(map) if of.fields.is_some() => {
            for (name, value) in map {
                let path = format!("{path}.{name}");
                match of.entry(name) {
                    Some(id) => fit(types, types.node(id), value, &path, out),
                    None => out.push(format!("{path}: field not declared in schema")),
                }
            }
        }
        Value::Array(list) if of.items.is_some() => fit_list(types, of, list, path, out),
        Value::Object(_) | Value::Array(_) => {
            let (shape, got) = (shape(of), if value.is_array() { "list" } else { "map" });
            out.push(format!(
                "{path}: expected {shape}, got {}",
                if shape == "list" || shape == "map" { go(value) } else { got.to_owned() }
            ));
        }
        _ => fit_other(of, value, path, out),
    }
}

fn fit_list(types: &Types, of: &Node, list: &[Value], path: &str, out: &mut Vec<String>) {
    let Some(items) = of.items else { return };
    let mut seen = FxHashSet::default();
    for (at, item) in list.iter().enumerate() {
        if of.list == ListKind::Atomic {
            fit(types, types.node(items), item, &format!("{path}[{at}]"), out);
            continue;
        }
        match item_key(types, of, item) {
            Err(why) => out.push(format!("{path}: element {at}: {why}")),
            Ok(key) => {
                let shown = super::paths::text(&key);
                if !seen.insert(key) {
                    out.push(format!("{path}: duplicate entries for key {shown}"));
                }
                fit(types, types.node(items), item, &format!("{path}{shown}"), out);
            }
        }
    }
}

/// A scalar, or a map or list where none may be.
fn fit_other(of: &Node, value: &Value, path: &str, out: &mut Vec<String>) {
    let plain = !value.is_object() && !value.is_array();
    let fits = match of.scalar {
        Some(Scalar::Integer | Scalar::Number) => value.is_number(),
        Some(Scalar::String) => value.is_string(),
        Some(Scalar::Boolean) => value.is_boolean(),
        Some(Scalar::IntOrString | Scalar::Untyped) => plain,
        None => false,
    };
    if fits {
        return;
    }
    let shape = shape(of);
    // Upstream names the sort of the value for numbers, and prints the value for everything else.
    let got = match value {
        Value::String(_) if shape.starts_with("numeric") => "string".to_owned(),
        Value::Bool(_) if shape.starts_with("numeric") => "boolean".to_owned(),
        Value::Object(_) if shape.starts_with("numeric") => "map".to_owned(),
        Value::Array(_) if shape.starts_with("numeric") => "list".to_owned(),
        other => go(other),
    };
    out.push(format!("{path}: expected {shape}, got {got}"));
}

fn shape(of: &Node) -> &'static str {
    match (&of.fields, &of.items, of.scalar) {
        (Some(_), _, _) => "map",
        (_, Some(_), _) => "list",
        (_, _, Some(Scalar::Integer | Scalar::Number)) => "numeric (int or float)",
        (_, _, Some(Scalar::Boolean)) => "boolean",
        _ => "string",
    }
}

/// A value as structured-merge-diff prints it after "got".
fn go(value: &Value) -> String {
    match value {
        Value::String(text) => format!("&{{{text}}}"),
        other => format!("&value.valueUnstructured{{Value:{other}}}"),
    }
}
