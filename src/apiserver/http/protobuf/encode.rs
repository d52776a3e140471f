//! The other way round: answers as protobuf, from the JSON that everybody else gets.
//!
//! Go writes every field that is no pointer, set or not, in the order of the numbers; maps by sorted keys.

use super::{Field, MAGIC, Table};
use crate::apiserver::object::instant;
use crate::apiserver::wire::{bytes, key, number};
use base64::Engine as _;
use serde_json::{Map, Value};

/// The protobuf form of a document with kind and apiVersion; `None` if it has none.
pub(crate) fn from_json(json: &[u8]) -> Option<Vec<u8>> {
    let document: Value = serde_json::from_slice(json).ok()?;
    let fields = document.as_object()?;
    let (api_version, kind) = (fields.get("apiVersion")?.as_str()?, fields.get("kind")?.as_str()?);
    let name = Table::get().message(api_version, kind)?;
    let mut raw = Vec::with_capacity(json.len());
    message(fields, name, &mut raw)?;
    let mut types = Vec::new();
    bytes(1, api_version.as_bytes(), &mut types);
    bytes(2, kind.as_bytes(), &mut types);
    let mut out = MAGIC.to_vec();
    bytes(1, &types, &mut out);
    bytes(2, &raw, &mut out);
    // No other encoding, no other content type.
    bytes(3, &[], &mut out);
    bytes(4, &[], &mut out);
    Some(out)
}

/// One event of a watch as a frame: its length, then a bare `WatchEvent` around a whole document.
pub(crate) fn frame(kind: &str, document: &[u8], out: &mut Vec<u8>) {
    let (mut object, mut event) = (Vec::with_capacity(document.len() + 8), Vec::with_capacity(document.len() + 32));
    bytes(1, document, &mut object);
    bytes(1, kind.as_bytes(), &mut event);
    bytes(2, &object, &mut event);
    out.extend_from_slice(&u32::try_from(event.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.append(&mut event);
}

/// The fields of a message, by their numbers.
fn message(fields: &Map<String, Value>, name: &str, out: &mut Vec<u8>) -> Option<()> {
    for field in Table::get().messages.get(name)? {
        if field.embedded {
            let mut inner = Vec::new();
            message(fields, field.kind, &mut inner)?;
            // A pointer to a structure that shares its parent's fields is set if any of them is.
            if !field.pointer || !inner.is_empty() {
                bytes(field.number, &inner, out);
            }
            continue;
        }
        let given = fields.get(field.json).filter(|value| !value.is_null());
        one(field, given, out)?;
    }
    Some(())
}

fn one(field: &Field, given: Option<&Value>, out: &mut Vec<u8>) -> Option<()> {
    if let Some(kind) = field.kind.strip_prefix('[') {
        return given
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .try_for_each(|item| value(field.number, kind, Some(item), out));
    }
    if let Some(kind) = field.kind.strip_prefix('{') {
        // The keys of our maps are sorted already.
        return given.and_then(Value::as_object).into_iter().flatten().try_for_each(|(name, item)| {
            let mut entry = Vec::new();
            bytes(1, name.as_bytes(), &mut entry);
            value(2, kind, Some(item), &mut entry)?;
            bytes(field.number, &entry, out);
            Some(())
        });
    }
    if given.is_none() && (field.pointer || field.kind == "bytes" || field.kind.starts_with("W[")) {
        return Some(());
    }
    value(field.number, field.kind, given, out)
}

/// One value; without one, the zero of its type.
fn value(field: u64, kind: &str, given: Option<&Value>, out: &mut Vec<u8>) -> Option<()> {
    let text = given.and_then(Value::as_str).unwrap_or_default();
    match kind {
        "s" => bytes(field, text.as_bytes(), out),
        "b" => number(field, u64::from(given.and_then(Value::as_bool).unwrap_or(false)), out),
        "i" => number(field, integer(given).cast_unsigned(), out),
        "d" => {
            key(field, 1, out);
            let value = given.and_then(Value::as_f64).unwrap_or_default();
            out.extend_from_slice(&value.to_bits().to_le_bytes());
        }
        "bytes" => bytes(field, &base64::engine::general_purpose::STANDARD.decode(text).ok()?, out),
        "T" | "U" => bytes(field, &time(text, kind == "U"), out),
        "Q" => {
            let mut inner = Vec::new();
            // A quantity that nobody set is 0.
            bytes(1, if given.is_none() { b"0" } else { text.as_bytes() }, &mut inner);
            bytes(field, &inner, out);
        }
        "I" => {
            let mut inner = Vec::new();
            number(1, u64::from(given.is_some_and(Value::is_string)), &mut inner);
            number(2, integer(given).cast_unsigned(), &mut inner);
            bytes(3, text.as_bytes(), &mut inner);
            bytes(field, &inner, out);
        }
        "R" | "F" | "apiextensions/v1.JSON" => {
            let mut inner = Vec::new();
            if let Some(given) = given {
                bytes(1, given.to_string().as_bytes(), &mut inner);
            }
            bytes(field, &inner, out);
        }
        _ => {
            let mut inner = Vec::new();
            match kind.strip_prefix("W[") {
                Some(item) => {
                    let list = given.and_then(Value::as_array).into_iter().flatten();
                    list.map(|one| value(1, item, Some(one), &mut inner)).collect::<Option<()>>()?;
                }
                None => object(kind, given, &mut inner)?,
            }
            bytes(field, &inner, out);
        }
    }
    Some(())
}

fn integer(given: Option<&Value>) -> i64 {
    given.and_then(Value::as_i64).unwrap_or_default()
}

/// A message inside of another; one whose fields have no JSON names is a union of a truth, a structure and a list.
fn object(name: &str, given: Option<&Value>, out: &mut Vec<u8>) -> Option<()> {
    let known = Table::get().messages.get(name)?;
    if !known.iter().any(|field| field.json == "-" && !field.embedded) {
        let nothing = Map::new();
        return message(given.and_then(Value::as_object).unwrap_or(&nothing), name, out);
    }
    for field in known {
        match (given, field.kind) {
            (Some(Value::Bool(truth)), "b") => number(field.number, u64::from(*truth), out),
            // What has a structure allows it.
            (Some(Value::Object(_)), "b") => number(field.number, 1, out),
            (Some(Value::Array(_)), kind) if kind.starts_with('[') => one(field, given, out)?,
            (Some(Value::Object(_)), kind) if !kind.starts_with('[') => value(field.number, kind, given, out)?,
            _ => {}
        }
    }
    Some(())
}

/// Seconds and nanoseconds since 1970; the zero time is empty.
fn time(text: &str, micros: bool) -> Vec<u8> {
    let Some(seconds) = instant::parse(text) else { return Vec::new() };
    let fraction = text.split_once('.').filter(|_| micros).map_or("", |(_, rest)| rest.trim_end_matches('Z'));
    let nanos = format!("{fraction:0<9}").parse::<u64>().unwrap_or_default();
    let mut out = Vec::new();
    number(1, seconds, &mut out);
    number(2, nanos, &mut out);
    out
}
