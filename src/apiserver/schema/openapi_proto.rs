//! OpenAPI v2 in its binary form, which Go's discovery client asks for and nothing else.
//!
//! In: the JSON document. Out: the same as the protobuf message `openapi.v2.Document` (github.com/google/gnostic-models,
//! `openapiv2/OpenAPIv2.proto`; the numbers below are its field numbers). Values without a type of their own travel as
//! text, as that format has it.

use super::data::items;
use crate::apiserver::wire;
use serde_json::{Map, Value};

/// Encodes a document.
pub(super) fn encode(document: &Value) -> Vec<u8> {
    let mut out = Message::of(document);
    out.text(1, "swagger");
    out.one(2, "info", info);
    out.text(3, "host");
    out.text(4, "basePath");
    out.texts(5, "schemes");
    out.texts(6, "consumes");
    out.texts(7, "produces");
    out.one(8, "paths", |paths| {
        let mut out = Message::of(paths);
        out.extensions(1);
        for (name, item) in entries(paths).filter(|(name, _)| name.starts_with('/')) {
            out.bytes(2, &named(name, &path_item(item)));
        }
        out.done()
    });
    out.one(9, "definitions", |all| each(all, schema));
    out.one(10, "parameters", |all| each(all, parameter));
    out.one(11, "responses", |all| each(all, response));
    out.many(12, "security", |one| {
        each(one, |scopes| {
            let mut out = Message::of(scopes);
            items(scopes).filter_map(Value::as_str).for_each(|scope| out.bytes(1, scope.as_bytes()));
            out.done()
        })
    });
    out.one(13, "securityDefinitions", |all| each(all, api_key));
    out.extensions(16);
    out.done()
}

fn info(info: &Value) -> Vec<u8> {
    let mut out = Message::of(info);
    out.text(1, "title");
    out.text(2, "version");
    out.text(3, "description");
    out.extensions(7);
    out.done()
}

/// The only sort of security that Kubernetes declares.
fn api_key(definition: &Value) -> Vec<u8> {
    let mut key = Message::of(definition);
    key.text(1, "type");
    key.text(2, "name");
    key.text(3, "in");
    key.text(4, "description");
    key.extensions(5);
    wrapped(2, &key.done())
}

fn path_item(item: &Value) -> Vec<u8> {
    let mut out = Message::of(item);
    out.text(1, "$ref");
    for (number, method) in (2..).zip(["get", "put", "post", "delete", "options", "head", "patch"]) {
        out.one(number, method, operation);
    }
    out.many(9, "parameters", parameter_or_reference);
    out.extensions(10);
    out.done()
}

fn operation(operation: &Value) -> Vec<u8> {
    let mut out = Message::of(operation);
    out.texts(1, "tags");
    out.text(2, "summary");
    out.text(3, "description");
    out.text(5, "operationId");
    out.texts(6, "produces");
    out.texts(7, "consumes");
    out.many(8, "parameters", parameter_or_reference);
    out.one(9, "responses", |all| {
        let mut out = Message::of(all);
        for (code, answer) in entries(all).filter(|(code, _)| !code.starts_with("x-")) {
            let value = match answer.get("$ref") {
                Some(_) => wrapped(2, &reference(answer)),
                None => wrapped(1, &response(answer)),
            };
            out.bytes(1, &named(code, &value));
        }
        out.extensions(2);
        out.done()
    });
    out.texts(10, "schemes");
    out.flag(11, "deprecated");
    out.extensions(13);
    out.done()
}

fn response(answer: &Value) -> Vec<u8> {
    let mut out = Message::of(answer);
    out.text(1, "description");
    out.one(2, "schema", |of| wrapped(1, &schema(of)));
    out.extensions(5);
    out.done()
}

fn reference(value: &Value) -> Vec<u8> {
    let mut out = Message::of(value);
    out.text(1, "$ref");
    out.text(2, "description");
    out.done()
}

fn parameter_or_reference(value: &Value) -> Vec<u8> {
    match value.get("$ref") {
        Some(_) => wrapped(2, &reference(value)),
        None => wrapped(1, &parameter(value)),
    }
}

fn parameter(value: &Value) -> Vec<u8> {
    let place = value["in"].as_str().unwrap_or("");
    if place == "body" {
        let mut out = Message::of(value);
        out.text(1, "description");
        out.text(2, "name");
        out.text(3, "in");
        out.flag(4, "required");
        out.one(5, "schema", schema);
        out.extensions(6);
        return wrapped(1, &out.done());
    }
    let (number, may_be_empty) = match place {
        "header" => (1, false),
        "formData" => (2, true),
        "query" => (3, true),
        _ => (4, false),
    };
    let mut out = Message::of(value);
    out.flag(1, "required");
    out.text(2, "in");
    out.text(3, "description");
    out.text(4, "name");
    if may_be_empty {
        out.flag(5, "allowEmptyValue");
    }
    primitive(&mut out, 5 + u64::from(may_be_empty));
    wrapped(2, &wrapped(number, &out.done()))
}

/// The fields that all values without structure share, from `first` on.
fn primitive(out: &mut Message<'_>, first: u64) {
    out.text(first, "type");
    out.text(first + 1, "format");
    out.one(first + 2, "items", |of| {
        let mut out = Message::of(of);
        primitive(&mut out, 1);
        out.done()
    });
    out.text(first + 3, "collectionFormat");
    out.any(first + 4, "default");
    out.real(first + 5, "maximum");
    out.flag(first + 6, "exclusiveMaximum");
    out.real(first + 7, "minimum");
    out.flag(first + 8, "exclusiveMinimum");
    out.whole(first + 9, "maxLength");
    out.whole(first + 10, "minLength");
    out.text(first + 11, "pattern");
    out.whole(first + 12, "maxItems");
    out.whole(first + 13, "minItems");
    out.flag(first + 14, "uniqueItems");
    out.anys(first + 15, "enum");
    out.real(first + 16, "multipleOf");
    out.extensions(first + 17);
}

fn schema(value: &Value) -> Vec<u8> {
    let mut out = Message::of(value);
    out.text(1, "$ref");
    out.text(2, "format");
    out.text(3, "title");
    out.text(4, "description");
    out.any(5, "default");
    out.real(6, "multipleOf");
    out.real(7, "maximum");
    out.flag(8, "exclusiveMaximum");
    out.real(9, "minimum");
    out.flag(10, "exclusiveMinimum");
    out.whole(11, "maxLength");
    out.whole(12, "minLength");
    out.text(13, "pattern");
    out.whole(14, "maxItems");
    out.whole(15, "minItems");
    out.flag(16, "uniqueItems");
    out.whole(17, "maxProperties");
    out.whole(18, "minProperties");
    out.texts(19, "required");
    out.anys(20, "enum");
    out.one(21, "additionalProperties", |rest| match rest {
        Value::Bool(open) => {
            let mut out = Vec::new();
            wire::number(2, u64::from(*open), &mut out);
            out
        }
        rest => wrapped(1, &schema(rest)),
    });
    out.one(22, "type", |of| {
        let mut out = Message::of(of);
        one_or_many(of).filter_map(Value::as_str).for_each(|name| out.bytes(1, name.as_bytes()));
        out.done()
    });
    out.one(23, "items", |of| {
        let mut out = Message::of(of);
        one_or_many(of).for_each(|item| out.bytes(1, &schema(item)));
        out.done()
    });
    out.many(24, "allOf", schema);
    out.one(25, "properties", |all| each(all, schema));
    out.text(26, "discriminator");
    out.flag(27, "readOnly");
    out.any(30, "example");
    out.extensions(31);
    out.done()
}

fn one_or_many(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter()
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

/// A map as repeated entries in field 1.
fn each(map: &Value, encode: impl Fn(&Value) -> Vec<u8>) -> Vec<u8> {
    let mut out = Message::of(map);
    for (name, value) in entries(map) {
        out.bytes(1, &named(name, &encode(value)));
    }
    out.done()
}

/// An entry of a map: its name and its value.
fn named(name: &str, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + value.len() + 8);
    wire::bytes(1, name.as_bytes(), &mut out);
    wire::bytes(2, value, &mut out);
    out
}

/// A message that is only a choice between others.
fn wrapped(number: u64, message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 8);
    wire::bytes(number, message, &mut out);
    out
}

/// A value without a type: its text in field 2.
fn any(value: &Value) -> Vec<u8> {
    wrapped(2, format!("{value}\n").as_bytes())
}

/// A message under construction from the fields of a JSON object; what is absent is left out.
struct Message<'a> {
    of: &'a Value,
    out: Vec<u8>,
}

impl<'a> Message<'a> {
    fn of(of: &'a Value) -> Self {
        Self { of, out: Vec::new() }
    }

    fn done(self) -> Vec<u8> {
        self.out
    }

    fn bytes(&mut self, number: u64, bytes: &[u8]) {
        wire::bytes(number, bytes, &mut self.out);
    }

    fn text(&mut self, number: u64, key: &str) {
        if let Some(text) = self.of.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()) {
            self.bytes(number, text.as_bytes());
        }
    }

    fn texts(&mut self, number: u64, key: &str) {
        for text in self.list(key).filter_map(Value::as_str) {
            self.bytes(number, text.as_bytes());
        }
    }

    fn flag(&mut self, number: u64, key: &str) {
        if self.of.get(key) == Some(&Value::Bool(true)) {
            wire::number(number, 1, &mut self.out);
        }
    }

    fn whole(&mut self, number: u64, key: &str) {
        if let Some(value) = self.of.get(key).and_then(Value::as_i64).filter(|value| *value != 0) {
            wire::number(number, value.cast_unsigned(), &mut self.out);
        }
    }

    fn real(&mut self, number: u64, key: &str) {
        if let Some(value) = self.of.get(key).and_then(Value::as_f64).filter(|value| *value != 0.0) {
            wire::key(number, 1, &mut self.out);
            self.out.extend_from_slice(&value.to_le_bytes());
        }
    }

    fn any(&mut self, number: u64, key: &str) {
        if let Some(value) = self.of.get(key) {
            self.bytes(number, &any(value));
        }
    }

    fn anys(&mut self, number: u64, key: &str) {
        for value in self.list(key) {
            self.bytes(number, &any(value));
        }
    }

    fn one(&mut self, number: u64, key: &str, encode: impl Fn(&Value) -> Vec<u8>) {
        if let Some(value) = self.of.get(key) {
            self.bytes(number, &encode(value));
        }
    }

    fn many(&mut self, number: u64, key: &str, encode: impl Fn(&Value) -> Vec<u8>) {
        for value in self.list(key) {
            self.bytes(number, &encode(value));
        }
    }

    /// The fields that OpenAPI does not know, in the order of their names.
    fn extensions(&mut self, number: u64) {
        for (name, value) in entries(self.of).filter(|(name, _)| name.starts_with("x-")) {
            self.bytes(number, &named(name, &any(value)));
        }
    }

    fn list(&self, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        self.of.get(key).and_then(Value::as_array).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_and_texts_stand_where_the_format_has_them() {
        for (value, expected) in [
            (json!({"type": "string"}), b"\xb2\x01\x08\x0a\x06string".to_vec()),
            (json!({"$ref": "#/a"}), b"\x0a\x03#/a".to_vec()),
            (json!({"minimum": 1}), b"\x49\0\0\0\0\0\0\xf0\x3f".to_vec()),
            (json!({"uniqueItems": true, "maxLength": 300}), b"\x58\xac\x02\x80\x01\x01".to_vec()),
            (json!({"x-a": 1}), b"\xfa\x01\x0b\x0a\x03x-a\x12\x04\x12\x021\n".to_vec()),
            (json!({"additionalProperties": false}), b"\xaa\x01\x02\x10\x00".to_vec()),
        ] {
            assert_eq!(schema(&value), expected, "{value}");
        }
    }

    #[test]
    fn the_document_of_the_built_in_kinds_encodes_to_the_size_of_its_content() {
        let document = super::super::data::Documents::open().v2;
        let bytes = encode(&document);
        let json = document.to_string().len();
        assert!(bytes.len() > json / 2 && bytes.len() < json, "{} of {json}", bytes.len());
    }
}
