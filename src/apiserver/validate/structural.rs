//! What the schema of a custom resource, or the OpenAPI schema of a built-in kind, refuses.

use super::{FieldError, Reason, limits, required};
use crate::apiserver::object::Kept;
use crate::apiserver::schema::{ListKind, Node, Scalar, TypeId, Types};
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// Checks a custom resource but for its metadata. What was as wrong before is not held against a change (upstream:
/// `ratcheting.go`).
pub(super) fn custom(
    types: &Types,
    id: TypeId,
    old: Option<&Value>,
    object: &Value,
    kept: Kept<'_>,
    out: &mut Vec<FieldError>,
) {
    let before = out.len();
    whole(types, id, None, object, kept, out);
    if out.len() > before && old.is_some() {
        out.truncate(before);
        whole(types, id, old, object, kept, out);
    }
}

fn whole(types: &Types, id: TypeId, old: Option<&Value>, object: &Value, kept: Kept<'_>, out: &mut Vec<FieldError>) {
    let mut walk = Walk { types, kept, path: String::new(), out, duplicates: Vec::new() };
    let of = types.node(id);
    let Some(map) = object.as_object() else { return };
    walk.missing(of, map);
    if let Some(limits) = of.rules.as_deref() {
        limits::check(limits, object, "", walk.out);
    }
    for (name, value) in map.iter().filter(|(name, _)| !matches!(name.as_str(), "metadata" | "apiVersion" | "kind")) {
        if let Some(entry) = of.entry(name) {
            let old = old.and_then(|old| old.get(name));
            walk.below(".", name, |walk| walk.value(entry, old, value));
        }
    }
    let mut duplicates = walk.duplicates;
    out.append(&mut duplicates);
}

struct Walk<'a> {
    types: &'a Types,
    kept: Kept<'a>,
    /// Where the walk is; one text for all of it.
    path: String,
    out: &'a mut Vec<FieldError>,
    duplicates: Vec<FieldError>,
}

impl Walk<'_> {
    /// Looks at what is below the path; the separator is left out at the root.
    fn below(&mut self, separator: &str, name: &str, look: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if length > 0 {
            self.path.push_str(separator);
        }
        self.path.push_str(name);
        look(self);
        self.path.truncate(length);
    }

    /// `old` is what stood there, where that counts.
    fn value(&mut self, id: TypeId, old: Option<&Value>, value: &Value) {
        let of = self.types.node(id);
        if old == Some(value) {
            return;
        }
        if value.is_null() && of.nullable {
            return;
        }
        if let Some(expected) = mismatch(of, value) {
            let (got, path) = (type_name(value), &self.path);
            let detail = format!("Invalid value: {got:?}: {path} in body must be of type {expected}: {got:?}");
            self.out.push(FieldError { field: path.clone(), reason: Reason::TypeInvalid, detail });
            return;
        }
        if let Some(limits) = of.rules.as_deref() {
            limits::check(limits, value, &self.path, self.out);
        }
        match value {
            Value::Object(map) if of.fields.is_some() => {
                self.missing(of, map);
                for (name, inner) in map {
                    if let Some(entry) = of.entry(name) {
                        let old = old.filter(|_| !of.atomic_map).and_then(|old| old.get(name));
                        self.below(".", name, |walk| walk.value(entry, old, inner));
                    }
                }
            }
            Value::Array(list) => {
                if let Some(items) = of.items {
                    for (at, inner) in list.iter().enumerate() {
                        let length = self.path.len();
                        // Writing into a text cannot fail.
                        let _ = write!(self.path, "[{at}]");
                        self.value(items, like(of, old, inner), inner);
                        self.path.truncate(length);
                    }
                }
                unique(of, list, &self.path, &mut self.duplicates);
            }
            _ => {}
        }
    }

    fn missing(&mut self, of: &Node, map: &Map<String, Value>) {
        for field in of.at(&of.required) {
            let null = || map.get(&*field.name).is_none_or(|v| v.is_null() && !self.types.node(field.id).nullable);
            if null() && !self.kept.has_at(&self.path, &field.name) {
                let dot = if self.path.is_empty() { "" } else { "." };
                self.out.push(required(&format!("{}{dot}{}", self.path, field.name), ""));
            }
        }
    }
}

/// The type that the value should have had.
fn mismatch(of: &Node, value: &Value) -> Option<&'static str> {
    let fits = match value {
        Value::Object(_) => of.fields.is_some(),
        Value::Array(_) => of.items.is_some(),
        other => match of.scalar {
            Some(Scalar::Integer) => other.as_f64().is_some_and(|number| number.fract() == 0.0),
            Some(Scalar::Number) => other.is_number(),
            Some(Scalar::Boolean) => other.is_boolean(),
            Some(Scalar::String) => other.is_string(),
            Some(Scalar::IntOrString) => other.is_string() || other.is_i64() || other.is_u64(),
            // A time is a text; anything goes where no type is declared.
            Some(Scalar::Untyped) => of.fields.is_some() || other.is_string(),
            None => false,
        },
    };
    if fits {
        return None;
    }
    Some(match (&of.fields, &of.items, of.scalar) {
        (_, _, Some(Scalar::IntOrString)) => "integer,string",
        (Some(_), _, _) => "object",
        (_, Some(_), _) => "array",
        (_, _, Some(Scalar::Integer)) => "integer",
        (_, _, Some(Scalar::Number)) => "number",
        (_, _, Some(Scalar::Boolean)) => "boolean",
        _ => "string",
    })
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn shown(allowed: &[Value]) -> String {
    let texts: Vec<String> = allowed.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

/// The old version of a list item, where items have keys.
fn like<'o>(of: &Node, old: Option<&'o Value>, item: &Value) -> Option<&'o Value> {
    let ListKind::Map(keys) = &of.list else { return None };
    old?.as_array()?.iter().find(|known| keys.iter().all(|key| known.get(&**key) == item.get(&**key)))
}

/// Items of sets and keyed lists come once.
fn unique(of: &Node, list: &[Value], path: &str, out: &mut Vec<FieldError>) {
    if of.list == ListKind::Atomic || list.len() < 2 {
        return;
    }
    let identity = |item: &Value| -> Option<Value> {
        match &of.list {
            ListKind::Atomic => None,
            ListKind::Set => Some(item.clone()),
            ListKind::Map(keys) => {
                Some(keys.iter().filter_map(|key| Some((key.to_string(), item.get(&**key)?.clone()))).collect())
            }
        }
    };
    let keys: Vec<Option<Value>> = list.iter().map(identity).collect();
    for (at, key) in keys.iter().enumerate() {
        if let Some(key) = key.as_ref().filter(|_| keys[..at].contains(key)) {
            let detail = format!("Duplicate value: {key}");
            out.push(FieldError { field: format!("{path}[{at}]"), reason: Reason::Duplicate, detail });
        }
    }
}

/// Checks the enumerations of a built-in kind: the one thing that its OpenAPI schema and its own code say alike.
pub(super) fn enumerations(types: &Types, id: TypeId, value: &Value, path: &mut String, out: &mut Vec<FieldError>) {
    let of = types.node(id);
    let length = path.len();
    match value {
        Value::Object(map) => {
            let root = path.is_empty();
            for (name, inner) in map.iter().filter(|(name, _)| !root || !matches!(name.as_str(), "metadata" | "status"))
            {
                let Some(entry) = of.entry(name) else { continue };
                let enumerated = types.node(entry).rules.as_ref().is_some_and(|rules| rules.allowed.is_some());
                if inner.is_object() || inner.is_array() || enumerated {
                    if !root {
                        path.push('.');
                    }
                    path.push_str(name);
                    enumerations(types, entry, inner, path, out);
                    path.truncate(length);
                }
            }
        }
        Value::Array(list) => {
            let Some(items) = of.items else { return };
            for (at, inner) in list.iter().enumerate() {
                // Writing into a text cannot fail.
                let _ = write!(path, "[{at}]");
                enumerations(types, items, inner, path, out);
                path.truncate(length);
            }
        }
        Value::String(text) if !text.is_empty() => {
            let allowed = of.rules.as_ref().and_then(|rules| rules.allowed.as_ref());
            if let Some(allowed) = allowed.filter(|allowed| !allowed.contains(value)) {
                let detail = format!("Unsupported value: {value}: supported values: {}", shown(allowed));
                out.push(FieldError { field: path.clone(), reason: Reason::NotSupported, detail });
            }
        }
        _ => {}
    }
}
