//! What the decoder of a built-in kind refuses before any rule is asked: values of the wrong JSON type, texts that are no
//! base64, times in another form.
//!
//! In: an object as sent. Out: the first thing that no Go structure could hold, in the words of Go's decoder as far as
//! they do not name Go types. Unknown fields are the pruning's business.

use crate::apiserver::schema::{Node, Resource, Scalar, TypeId, Types};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Checks the JSON types of an object of a built-in kind; custom resources have the validation of their schema.
///
/// # Errors
/// The text of the decoder's error.
pub fn decodable(resource: &Resource, object: &Value) -> Result<(), String> {
    if resource.custom {
        return Ok(());
    }
    let walk = Walk { types: &resource.schema.types, kind: &resource.kind };
    walk.value(resource.schema.id, object, &mut String::new())
}

struct Walk<'a> {
    types: &'a Types,
    kind: &'a str,
}

impl Walk<'_> {
    fn value(&self, id: TypeId, value: &Value, path: &mut String) -> Result<(), String> {
        let of = self.types.node(id);
        match value {
            Value::Null => Ok(()),
            Value::Object(map) if of.fields.is_some() => map.iter().try_for_each(|(name, inner)| {
                let Some(entry) = of.entry(name) else { return Ok(()) };
                let length = path.len();
                if length > 0 {
                    path.push('.');
                }
                path.push_str(name);
                let checked = self.value(entry, inner, path);
                path.truncate(length);
                checked
            }),
            Value::Array(list) if of.items.is_some() => {
                let Some(items) = of.items else { return Ok(()) };
                list.iter().try_for_each(|inner| self.value(items, inner, path))
            }
            scalar => self.scalar(of, scalar, path),
        }
    }

    fn scalar(&self, of: &Node, value: &Value, path: &str) -> Result<(), String> {
        let fits = match (of.scalar, value) {
            (Some(Scalar::Untyped), Value::String(_) | Value::Number(_) | Value::Bool(_))
            | (Some(Scalar::String | Scalar::IntOrString), Value::String(_))
            | (Some(Scalar::Number), Value::Number(_))
            | (Some(Scalar::Boolean), Value::Bool(_)) => true,
            (Some(Scalar::Integer | Scalar::IntOrString), Value::Number(number)) => !number.is_f64(),
            _ => false,
        };
        if !fits {
            let (found, wanted) = (json_type(value), go_type(of));
            // Go names the structure that holds the field.
            let holder = if path.starts_with("metadata.") { "ObjectMeta" } else { self.kind };
            return Err(format!(
                "json: cannot unmarshal {found} into Go struct field {holder}.{path} of type {wanted}"
            ));
        }
        match (value.as_str(), of.rules.as_ref().and_then(|rules| rules.format.as_deref())) {
            (Some(text), Some("byte")) => base64(text),
            (Some(text), Some("date-time")) => time(text, false),
            (Some(text), Some("date-time-micro")) => time(text, true),
            _ => Ok(()),
        }
    }
}

fn json_type(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) if number.is_f64() => format!("number {number}"),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    }
}

fn go_type(of: &Node) -> &'static str {
    match of.scalar {
        Some(Scalar::Integer) => {
            let format = of.rules.as_ref().and_then(|rules| rules.format.as_deref());
            if format == Some("int64") { "int64" } else { "int32" }
        }
        Some(Scalar::Number) => "float64",
        Some(Scalar::Boolean) => "bool",
        Some(_) => "string",
        None if of.items.is_some() => "slice",
        None if of.fields.as_ref().is_some_and(|fields| fields.is_empty()) => "map",
        None => "struct",
    }
}

fn base64(text: &str) -> Result<(), String> {
    let Err(error) = STANDARD.decode(text) else { return Ok(()) };
    let at = match error {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol { offset: at, .. } => at,
        base64::DecodeError::InvalidLength(length) => length,
        base64::DecodeError::InvalidPadding => text.len(),
    };
    Err(format!("illegal base64 data at input byte {at}"))
}

/// RFC 3339 as Go reads it, with exactly six digits after the second or with any number of them.
fn time(text: &str, micro: bool) -> Result<(), String> {
    const PARTS: [&str; 11] = ["2006", "-", "01", "-", "02", "T", "15", ":", "04", ":", "05"];
    let layout = if micro { "2006-01-02T15:04:05.000000Z07:00" } else { "2006-01-02T15:04:05Z07:00" };
    let wrong =
        |rest: &str, part: &str| format!("parsing time {text:?} as {layout:?}: cannot parse {rest:?} as {part:?}");
    let digits = |rest: &str, count: usize| rest.len() >= count && rest.bytes().take(count).all(|b| b.is_ascii_digit());
    let mut rest = text;
    for part in PARTS {
        let literal = !part.starts_with(|c: char| c.is_ascii_digit());
        let matches = if literal { rest.starts_with(part) } else { digits(rest, part.len()) };
        if !matches {
            return Err(wrong(rest, part));
        }
        rest = &rest[part.len()..];
    }
    let fraction = rest.strip_prefix('.').map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    if micro && fraction != 6 {
        return Err(wrong(rest, ".000000"));
    }
    if fraction > 0 {
        rest = &rest[fraction + 1..];
    }
    let zone = rest.as_bytes();
    let offset = zone.len() == 6 && matches!(zone[0], b'+' | b'-') && zone[3] == b':';
    if rest == "Z" || offset && digits(&rest[1..], 2) && digits(&rest[4..], 2) {
        return Ok(());
    }
    Err(wrong(rest, "Z07:00"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::schema::Catalog;
    use serde_json::json;

    fn check(group: &str, plural: &str, object: Value, expected: Option<&str>) {
        let catalog = Catalog::builtin();
        let resource = catalog.find(group, "v1", plural).unwrap();
        let found = decodable(resource, &object).err();
        match expected {
            Some(part) => assert!(found.as_deref().is_some_and(|text| text.contains(part)), "{object}: {found:?}"),
            None => assert_eq!(found, None, "{object}"),
        }
    }

    #[test]
    fn what_no_structure_can_hold_is_refused_where_it_stands() {
        for (group, plural, object, expected) in [
            ("", "configmaps", json!({"data": {"a": "b"}}), None),
            (
                "",
                "configmaps",
                json!({"data": {"a": 1}}),
                Some("number into Go struct field ConfigMap.data.a of type string"),
            ),
            ("", "configmaps", json!({"data": ["a"]}), Some("array into Go struct field ConfigMap.data of type map")),
            (
                "",
                "configmaps",
                json!({"metadata": {"name": true}}),
                Some("bool into Go struct field ObjectMeta.metadata.name"),
            ),
            ("", "configmaps", json!({"metadata": null}), None),
            ("", "secrets", json!({"data": {"a": "dg=="}}), None),
            ("", "secrets", json!({"data": {"a": "not base64!"}}), Some("illegal base64 data at input byte 3")),
            ("apps", "deployments", json!({"spec": {"replicas": 1.5}}), Some("number 1.5 into Go struct field")),
            ("apps", "deployments", json!({"spec": {"strategy": {"rollingUpdate": {"maxSurge": "25%"}}}}), None),
            ("apps", "deployments", json!({"spec": {"strategy": {"rollingUpdate": {"maxSurge": 1}}}}), None),
            ("", "events", json!({"firstTimestamp": "2024-01-01T00:00:00+01:00"}), None),
            ("", "events", json!({"firstTimestamp": "yesterday"}), Some(r#"cannot parse "yesterday" as "2006""#)),
            ("", "events", json!({"eventTime": "2024-01-01T00:00:00.123456Z"}), None),
            (
                "coordination.k8s.io",
                "leases",
                json!({"spec": {"renewTime": "2024-01-01T00:00:00Z"}}),
                Some(r#"cannot parse "Z" as ".000000""#),
            ),
            (
                "coordination.k8s.io",
                "leases",
                json!({"spec": {"renewTime": "2024-01-01T00:00:00.5Z"}}),
                Some(r#"cannot parse ".5Z" as ".000000""#),
            ),
        ] {
            check(group, plural, object, expected);
        }
    }
}
