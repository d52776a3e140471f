//! Objects as JSON text: concatenation of what is at rest.
//!
//! Built-in kinds come in the order of their Go structs as far as the top level and the metadata go, custom resources
//! with sorted metadata; items of built-in lists carry no kind and apiVersion (C-01 of the behaviour contract).

use super::{Blob, Manager, Meta, Object, instant};
use crate::apiserver::schema::Resource;
use std::io::Write;

/// Where an object stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Alone, or in an event.
    Alone,
    /// Among the items of a list of its kind.
    Item,
}

impl Object {
    /// Appends the object as JSON, without a newline, at the version of `asked`.
    pub fn render(&self, asked: &Resource, form: Form, out: &mut Vec<u8>) {
        self.render_at(asked, form, self.meta.resource_version, out);
    }

    /// The same with another resourceVersion: a deletion shows its own.
    pub fn render_at(&self, asked: &Resource, form: Form, resource_version: u64, out: &mut Vec<u8>) {
        out.push(b'{');
        if asked.custom {
            type_field(out, "apiVersion", &asked.group, &asked.version);
            type_field(out, "kind", "", &asked.kind);
        } else if form == Form::Alone {
            type_field(out, "kind", "", &asked.kind);
            type_field(out, "apiVersion", &asked.group, &asked.version);
        }
        out.extend_from_slice(b"\"metadata\":");
        self.meta.render(asked.custom, resource_version, out);
        if let Some(bytes) = self.rest_for(asked) {
            out.push(b',');
            out.extend_from_slice(&bytes[1..bytes.len() - 1]);
        }
        for (name, part) in [("spec", &self.spec), ("status", &self.status)] {
            if let Some(blob) = part {
                out.push(b',');
                key(out, name);
                out.extend_from_slice(blob.bytes());
            }
        }
        out.push(b'}');
    }

    /// Appends only kind, apiVersion and metadata, as `PartialObjectMetadata`.
    pub fn render_metadata(&self, resource_version: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":"#);
        self.meta.render(false, resource_version, out);
        out.push(b'}');
    }
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// `"name":"group/value",`; API groups, versions and kinds need no escapes.
fn type_field(out: &mut Vec<u8>, name: &str, group: &str, value: &str) {
    key(out, name);
    out.push(b'"');
    if !group.is_empty() {
        out.extend_from_slice(group.as_bytes());
        out.push(b'/');
    }
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\",");
}

/// A JSON string with escapes.
fn text(out: &mut Vec<u8>, value: &str) {
    if value.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\') {
        out.push(b'"');
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(serde_json::Value::from(value).to_string().as_bytes());
    }
}

fn number(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    // Writing into a vector cannot fail.
    let _ = write!(out, "{value}");
}

fn time(out: &mut Vec<u8>, unix_secs: u64) {
    out.push(b'"');
    instant::write(unix_secs, out);
    out.push(b'"');
}

/// The fields of `ObjectMeta` in struct order.
const STRUCT_ORDER: [Field; 14] = [
    Field::Name,
    Field::GenerateName,
    Field::Namespace,
    Field::Uid,
    Field::ResourceVersion,
    Field::Generation,
    Field::Created,
    Field::Deleted,
    Field::Grace,
    Field::Labels,
    Field::Annotations,
    Field::Owners,
    Field::Finalizers,
    Field::Managers,
];

/// The same fields sorted by name.
const SORTED: [Field; 14] = [
    Field::Annotations,
    Field::Created,
    Field::Grace,
    Field::Deleted,
    Field::Finalizers,
    Field::GenerateName,
    Field::Generation,
    Field::Labels,
    Field::Managers,
    Field::Name,
    Field::Namespace,
    Field::Owners,
    Field::ResourceVersion,
    Field::Uid,
];

#[derive(Clone, Copy)]
enum Field {
    Name,
    GenerateName,
    Namespace,
    Uid,
    ResourceVersion,
    Generation,
    Created,
    Deleted,
    Grace,
    Labels,
    Annotations,
    Owners,
    Finalizers,
    Managers,
}

impl Meta {
    fn render(&self, sorted: bool, resource_version: u64, out: &mut Vec<u8>) {
        out.push(b'{');
        let start = out.len();
        for field in if sorted { SORTED } else { STRUCT_ORDER } {
            let before = out.len();
            if before > start {
                out.push(b',');
            }
            let with_comma = out.len();
            self.render_field(field, resource_version, out);
            if out.len() == with_comma {
                out.truncate(before);
            }
        }
        out.push(b'}');
    }

    fn render_field(&self, field: Field, resource_version: u64, out: &mut Vec<u8>) {
        match field {
            Field::Name => named_text(out, "name", &self.name),
            Field::GenerateName => named_text(out, "generateName", self.generate_name.as_deref().unwrap_or_default()),
            Field::Namespace => named_text(out, "namespace", &self.namespace),
            Field::Uid if self.uid.0 != 0 => {
                out.extend_from_slice(b"\"uid\":\"");
                self.uid.write(out);
                out.push(b'"');
            }
            Field::ResourceVersion if resource_version != 0 => {
                out.extend_from_slice(b"\"resourceVersion\":\"");
                number(out, resource_version);
                out.push(b'"');
            }
            Field::Generation if self.generation != 0 => {
                key(out, "generation");
                number(out, self.generation);
            }
            Field::Created if self.created != 0 => {
                key(out, "creationTimestamp");
                time(out, self.created);
            }
            Field::Deleted => named(out, "deletionTimestamp", self.deleted, time),
            Field::Grace => named(out, "deletionGracePeriodSeconds", self.grace, number),
            Field::Labels => named_blob(out, "labels", self.labels.as_deref()),
            Field::Annotations => named_blob(out, "annotations", self.annotations.as_deref()),
            Field::Owners => named_blob(out, "ownerReferences", self.owners.as_deref()),
            Field::Finalizers => named_blob(out, "finalizers", self.finalizers.as_deref()),
            Field::Managers => named(out, "managedFields", self.managers.as_deref(), managers),
            Field::Uid | Field::ResourceVersion | Field::Generation | Field::Created => {}
        }
    }
}

fn named<T>(out: &mut Vec<u8>, name: &str, value: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
    if let Some(value) = value {
        key(out, name);
        write(out, value);
    }
}

fn named_text(out: &mut Vec<u8>, name: &str, value: &str) {
    named(out, name, (!value.is_empty()).then_some(value), text);
}

fn named_blob(out: &mut Vec<u8>, name: &str, value: Option<&Blob>) {
    named(out, name, value, |out, blob| out.extend_from_slice(blob.bytes()));
}

fn managers(out: &mut Vec<u8>, list: &[Manager]) {
    out.push(b'[');
    for (n, entry) in list.iter().enumerate() {
        out.extend_from_slice(if n == 0 { b"{" } else { b",{" });
        named_text(out, "manager", &entry.manager);
        out.extend_from_slice(if entry.apply { b",\"operation\":\"Apply\"" } else { b",\"operation\":\"Update\"" });
        out.push(b',');
        named_text(out, "apiVersion", &entry.api_version);
        if entry.time != 0 {
            out.extend_from_slice(b",\"time\":");
            time(out, entry.time);
        }
        out.extend_from_slice(b",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":");
        out.extend_from_slice(entry.fields.bytes());
        if !entry.subresource.is_empty() {
            out.push(b',');
            named_text(out, "subresource", &entry.subresource);
        }
        out.push(b'}');
    }
    out.push(b']');
}
