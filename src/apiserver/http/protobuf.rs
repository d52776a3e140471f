//! Protobuf bodies of built-in kinds, which typed Go clients send, as JSON.
//!
//! In: the bytes of a body. Out: the JSON that the same client would have sent: what Go's `omitempty` leaves out is left
//! out here. The messages are data (`protobuf.txt`), read off the Go structs; there is no generated code. `encode` goes
//! the other way, for answers to those who ask for them.

mod encode;

use crate::apiserver::failure::Failure;
use crate::apiserver::schema::{Resource, group_version};
use crate::clock;
use crate::units::Time;
use base64::Engine as _;
use rustc_hash::FxHashMap;
use serde_json::{Map, Value, json};
use std::sync::OnceLock;

pub(crate) use encode::{frame, from_json};

/// The media type.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What every body starts with (`k8s.io/apimachinery/pkg/runtime/serializer/protobuf`).
const MAGIC: &[u8; 4] = b"k8s\0";
/// Messages inside of messages; the deepest real ones (JSON schemas) stay far below.
const DEPTH_MAX: usize = 200;

#[derive(Debug)]
struct Field {
    number: u64,
    json: &'static str,
    kind: &'static str,
    pointer: bool,
    omit_empty: bool,
    omit_zero: bool,
    embedded: bool,
}

#[derive(Debug, Default)]
struct Table {
    /// Package by (group, version), such as `rbac/v1`.
    packages: FxHashMap<(&'static str, &'static str), &'static str>,
    messages: FxHashMap<&'static str, Vec<Field>>,
}

impl Table {
    fn get() -> &'static Self {
        static TABLE: OnceLock<Table> = OnceLock::new();
        TABLE.get_or_init(|| Self::read(include_str!("protobuf.txt")))
    }

    fn read(text: &'static str) -> Self {
        let mut table = Self::default();
        let mut message = "";
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&'static str> = line.split(' ').collect();
            match words[..] {
                ["group", package, group] => {
                    let version = package.split('/').nth(1).unwrap_or_default();
                    table.packages.insert((if group == "-" { "" } else { group }, version), package);
                }
                ["message", name] => {
                    message = name;
                    table.messages.insert(name, Vec::new());
                }
                [number, json, kind, ref flags @ ..] => {
                    let flags = flags.first().copied().unwrap_or_default();
                    let field = Field {
                        number: number.parse().unwrap_or_default(),
                        json,
                        kind,
                        pointer: flags.contains('*'),
                        omit_empty: flags.contains('o'),
                        omit_zero: flags.contains('z'),
                        embedded: flags.contains('^'),
                    };
                    table.messages.entry(message).or_default().push(field);
                }
                _ => {}
            }
        }
        table
    }

    /// The message of a kind: of its own group, or of `meta/v1`, whose options every group serves.
    fn message(&self, api_version: &str, kind: &str) -> Option<&'static str> {
        let (group, version) = group_version(api_version);
        let own = self.packages.get(&(group, version)).map(|package| format!("{package}.{kind}"));
        let meta = format!("meta/v1.{kind}");
        [own, Some(meta)]
            .into_iter()
            .flatten()
            .find_map(|name| self.messages.get_key_value(name.as_str()))
            .map(|(name, _)| *name)
    }
}

/// The body as JSON; `expected` is what the path is about, for bodies that do not say what they are.
pub(crate) fn to_json(body: &[u8], expected: &Resource) -> Result<Vec<u8>, Failure> {
    let Some(unknown) = body.strip_prefix(MAGIC) else {
        let text = "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]";
        return Err(Failure::bad_request(text));
    };
    transcode(unknown, expected).map_err(|error| Failure::bad_request(format!("decoding protobuf: {error}")))
}

/// Why bytes are no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Broken {
    #[error("unexpected EOF")]
    Short,
    #[error("illegal wire type {0}")]
    WireType(u64),
    #[error("messages are nested too deeply")]
    Deep,
    #[error("a text is not UTF-8")]
    Text,
    #[error("embedded JSON: {0}")]
    Json(String),
    #[error("no kind \"{kind}\" is registered for version \"{api_version}\"")]
    Kind { api_version: String, kind: String },
}

/// One field on the wire.
enum Wire<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

impl<'b> Wire<'b> {
    fn bytes(&self) -> &'b [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(_) => &[],
        }
    }

    fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            Self::Bytes(_) => 0,
        }
    }
}

/// The fields of a message, in their order.
struct Fields<'b>(&'b [u8]);

impl<'b> Fields<'b> {
    fn next(&mut self) -> Result<Option<(u64, Wire<'b>)>, Broken> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let wire = match key & 7 {
            0 => Wire::Number(self.varint()?),
            1 => Wire::Number(u64::from_le_bytes(self.take(8)?.try_into().map_err(|_| Broken::Short)?)),
            2 => {
                let len = usize::try_from(self.varint()?).map_err(|_| Broken::Short)?;
                Wire::Bytes(self.take(len)?)
            }
            5 => Wire::Number(u64::from(u32::from_le_bytes(self.take(4)?.try_into().map_err(|_| Broken::Short)?))),
            other => return Err(Broken::WireType(other)),
        };
        Ok(Some((key >> 3, wire)))
    }

    fn take(&mut self, len: usize) -> Result<&'b [u8], Broken> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(Broken::Short)?;
        self.0 = rest;
        Ok(head)
    }

    fn varint(&mut self) -> Result<u64, Broken> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Broken::Short)
    }

    /// The last value of one field.
    fn last(bytes: &'b [u8], number: u64) -> Result<Option<Wire<'b>>, Broken> {
        let (mut fields, mut found) = (Self(bytes), None);
        while let Some((n, wire)) = fields.next()? {
            if n == number {
                found = Some(wire);
            }
        }
        Ok(found)
    }

    fn last_bytes(bytes: &'b [u8], number: u64) -> Result<&'b [u8], Broken> {
        Ok(Self::last(bytes, number)?.map_or(&[][..], |wire| wire.bytes()))
    }
}

fn transcode(unknown: &[u8], expected: &Resource) -> Result<Vec<u8>, Broken> {
    let types = Fields::last_bytes(unknown, 1)?;
    let (api_version, kind) = (text(Fields::last_bytes(types, 1)?)?, text(Fields::last_bytes(types, 2)?)?);
    let raw = Fields::last_bytes(unknown, 2)?;
    if Fields::last_bytes(unknown, 4)? == b"application/json" {
        return Ok(raw.to_vec());
    }
    let own = expected.api_version();
    let (api_version, kind) =
        if kind.is_empty() { (own.as_str(), expected.kind.as_str()) } else { (api_version, kind) };
    let Some(name) = Table::get().message(api_version, kind) else {
        return Err(Broken::Kind { api_version: api_version.to_owned(), kind: kind.to_owned() });
    };
    let mut object = json!({ "apiVersion": api_version, "kind": kind });
    if let Value::Object(fields) = &mut object {
        message(raw, name, fields, 0)?;
    }
    Ok(object.to_string().into_bytes())
}

/// Reads a message into the fields of an object.
fn message(bytes: &[u8], name: &str, into: &mut Map<String, Value>, depth: usize) -> Result<(), Broken> {
    if depth > DEPTH_MAX {
        return Err(Broken::Deep);
    }
    let known = Table::get().messages.get(name).map_or(&[][..], Vec::as_slice);
    let mut fields = Fields(bytes);
    while let Some((number, wire)) = fields.next()? {
        let Some(field) = known.iter().find(|field| field.number == number) else { continue };
        if field.embedded {
            message(wire.bytes(), field.kind, into, depth + 1)?;
        } else if let Some(item) = field.kind.strip_prefix('[') {
            let list = into.entry(field.json).or_insert_with(|| json!([]));
            if let (Value::Array(list), Some(item)) = (list, value(&wire, item, depth)?) {
                list.push(item);
            }
        } else if let Some(item) = field.kind.strip_prefix('{') {
            let key = text(Fields::last_bytes(wire.bytes(), 1)?)?.to_owned();
            let wire = Fields::last(wire.bytes(), 2)?.unwrap_or(Wire::Bytes(&[]));
            let map = into.entry(field.json).or_insert_with(|| json!({}));
            if let (Value::Object(map), Some(item)) = (map, value(&wire, item, depth)?) {
                map.insert(key, item);
            }
        } else if let Some(value) = value(&wire, field.kind, depth)?.filter(|value| !field.leaves_out(value)) {
            into.insert(field.json.to_owned(), value);
        }
    }
    Ok(())
}

impl Field {
    /// What Go's encoder leaves out. The wire has every field that is no pointer, set or not.
    fn leaves_out(&self, value: &Value) -> bool {
        if self.pointer {
            return false;
        }
        let zero = match value {
            Value::Null | Value::Bool(false) => true,
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::String(text) => text.is_empty(),
            Value::Object(fields) => return self.omit_zero && fields.is_empty(),
            _ => false,
        };
        zero && (self.omit_empty || self.omit_zero)
    }
}

/// One value; `None` for a zero time, which has no JSON form but null.
fn value(wire: &Wire<'_>, kind: &str, depth: usize) -> Result<Option<Value>, Broken> {
    let bytes = wire.bytes();
    Ok(Some(match kind {
        "s" => json!(text(bytes)?),
        "b" => json!(wire.number() != 0),
        "i" => json!(wire.number().cast_signed()),
        "d" => json!(f64::from_bits(wire.number())),
        "bytes" => json!(base64::engine::general_purpose::STANDARD.encode(bytes)),
        "T" | "U" => return time(bytes, kind == "U"),
        "Q" => json!(text(Fields::last_bytes(bytes, 1)?)?),
        "I" if Fields::last(bytes, 1)?.is_some_and(|kind| kind.number() == 1) => {
            json!(text(Fields::last_bytes(bytes, 3)?)?)
        }
        "I" => json!(Fields::last(bytes, 2)?.map_or(0, |number| number.number().cast_signed())),
        "R" | "F" | "apiextensions/v1.JSON" => {
            let raw = Fields::last_bytes(bytes, 1)?;
            if raw.is_empty() {
                return Ok(None);
            }
            serde_json::from_slice(raw).map_err(|error| Broken::Json(error.to_string()))?
        }
        _ => match kind.strip_prefix("W[") {
            Some(item) => wrapped(bytes, item, depth)?,
            None => object(bytes, kind, depth)?,
        },
    }))
}

/// A message that stands for the list in its field 1.
fn wrapped(bytes: &[u8], item: &str, depth: usize) -> Result<Value, Broken> {
    let (mut fields, mut list) = (Fields(bytes), Vec::new());
    while let Some((number, wire)) = fields.next()? {
        if number == 1 {
            list.extend(value(&wire, item, depth + 1)?);
        }
    }
    Ok(Value::Array(list))
}

/// A message; one whose fields have no JSON names is a union, of which the last field that is set counts.
fn object(bytes: &[u8], name: &str, depth: usize) -> Result<Value, Broken> {
    let known = Table::get().messages.get(name).map_or(&[][..], Vec::as_slice);
    let mut fields = Map::new();
    if !known.iter().any(|field| field.json == "-" && !field.embedded) {
        message(bytes, name, &mut fields, depth + 1)?;
        return Ok(Value::Object(fields));
    }
    let (mut parts, mut best) = (Fields(bytes), (0, Value::Null));
    while let Some((number, wire)) = parts.next()? {
        let Some(field) = known.iter().find(|field| field.number == number && number >= best.0) else { continue };
        let item = match field.kind.strip_prefix('[') {
            Some(item) => {
                let mut list = if number == best.0 { best.1.take() } else { json!([]) };
                if let (Value::Array(list), Some(item)) = (&mut list, value(&wire, item, depth + 1)?) {
                    list.push(item);
                }
                list
            }
            None => value(&wire, field.kind, depth + 1)?.unwrap_or_default(),
        };
        best = (number, item);
    }
    Ok(best.1)
}

/// Seconds and nanoseconds since 1970; the zero time is an empty message.
fn time(bytes: &[u8], micros: bool) -> Result<Option<Value>, Broken> {
    let part = |number| Ok::<u64, Broken>(Fields::last(bytes, number)?.map_or(0, |wire| wire.number()));
    let (seconds, nanos) = (part(1)?, part(2)?);
    // Times before 1970 are the zero time of Go, year 1, which JSON shows as null.
    if bytes.is_empty() || seconds.cast_signed() <= 0 {
        return Ok(None);
    }
    let at = Time(seconds.saturating_mul(1_000_000_000).saturating_add(nanos));
    Ok(Some(json!(if micros { clock::rfc3339_micros(at) } else { clock::rfc3339(at) })))
}

fn text(bytes: &[u8]) -> Result<&str, Broken> {
    std::str::from_utf8(bytes).map_err(|_| Broken::Text)
}

#[cfg(test)]
mod tests;
