//! Between JSON values and objects at rest.

use super::{Blob, Manager, Meta, Object, Uid, events, instant, shared_text};
use crate::apiserver::failure::qualified;
use crate::apiserver::schema::Resource;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Why a value is no object: the text of the decoder's error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: expected {expected}")]
pub struct Malformed {
    /// Where.
    pub path: String,
    /// What should stand there.
    pub expected: &'static str,
}

pub(super) fn malformed(path: &str, expected: &'static str) -> Malformed {
    Malformed { path: path.to_owned(), expected }
}

/// `group/version`, or the version alone for the core group.
fn api_version(resource: &Resource) -> String {
    if resource.group.is_empty() {
        resource.version.clone()
    } else {
        format!("{}/{}", resource.group, resource.version)
    }
}

impl Object {
    /// The object of a value whose metadata is complete. Unknown metadata is dropped, as a decoder would.
    ///
    /// # Errors
    /// When a part has the wrong JSON type.
    pub fn from_value(resource: &Arc<Resource>, value: Value) -> Result<Self, Malformed> {
        let Value::Object(mut fields) = value else { return Err(malformed("", "an object")) };
        let meta = Meta::from_value(fields.remove("metadata").unwrap_or_else(|| json!({})))?;
        fields.remove("apiVersion");
        fields.remove("kind");
        let spec = fields.remove("spec").filter(|v| !v.is_null());
        let status = fields.remove("status").filter(|v| !v.is_null());
        let fields = at_rest(resource, fields);
        let store = |v: &Value| store(resource, v);
        Ok(Self {
            resource: resource.clone(),
            meta,
            spec: spec.as_ref().map(store),
            status: status.map(|v| Blob::private(encode(&v))),
            rest: (!fields.is_empty()).then(|| store(&Value::Object(fields))),
        })
    }

    /// The whole object as a value, at the version of `asked`.
    #[must_use]
    pub fn to_value(&self, asked: &Resource) -> Value {
        let rest = self.rest_for(asked).and_then(|rest| serde_json::from_slice(&rest).ok());
        let mut fields: Map<String, Value> = rest.unwrap_or_default();
        fields.insert("apiVersion".to_owned(), json!(api_version(asked)));
        fields.insert("kind".to_owned(), json!(asked.kind));
        fields.insert("metadata".to_owned(), self.meta.to_value());
        for (name, part) in [("spec", &self.spec), ("status", &self.status)] {
            if let Some(blob) = part {
                fields.insert(name.to_owned(), blob.parse());
            }
        }
        Value::Object(fields)
    }

    /// `plural.group "name"`, for messages.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} \"{}\"", qualified(&self.resource.plural, &self.resource.group), self.meta.name)
    }
}

/// The fields other than metadata, spec and status as they are stored.
pub(super) fn at_rest(resource: &Resource, mut fields: Map<String, Value>) -> Map<String, Value> {
    // Some nulls are written: those of the kind's zero value.
    fields.retain(|name, v| !v.is_null() || resource.skeleton.get(name).is_some_and(Value::is_null));
    if events::has_own_words(resource) { events::to_core(fields) } else { fields }
}

/// A part at rest; shared unless every object of the kind has its own.
pub(super) fn store(resource: &Resource, value: &Value) -> Arc<Blob> {
    let lonely = matches!(resource.plural.as_str(), "events" | "leases");
    if lonely { Blob::private(encode(value)) } else { Blob::shared(&encode(value)) }
}

pub(super) fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    // A value with text keys always encodes, and a vector takes every byte.
    let _ = serde_json::to_writer(&mut out, value);
    out
}

impl Meta {
    /// The header of a `metadata` value. A uid that is no UUID reads as none, a resourceVersion that is no number as 0:
    /// the rules look at those before.
    ///
    /// # Errors
    /// When a part has the wrong JSON type.
    pub fn from_value(value: Value) -> Result<Self, Malformed> {
        let Value::Object(mut fields) = value else { return Err(malformed("metadata", "an object")) };
        Ok(Self {
            namespace: text(&mut fields, "namespace")?.map_or_else(Arc::default, |t| shared_text(&t)),
            name: text(&mut fields, "name")?.map_or_else(Arc::default, |t| Arc::from(t.as_str())),
            generate_name: text(&mut fields, "generateName")?.filter(|t| !t.is_empty()).map(|t| shared_text(&t)),
            uid: text(&mut fields, "uid")?.and_then(|t| Uid::parse(&t)).unwrap_or_default(),
            resource_version: text(&mut fields, "resourceVersion")?.and_then(|t| t.parse().ok()).unwrap_or(0),
            generation: fields.remove("generation").and_then(|v| v.as_u64()).unwrap_or(0),
            created: seconds(&mut fields, "creationTimestamp")?.unwrap_or(0),
            deleted: seconds(&mut fields, "deletionTimestamp")?,
            grace: fields.remove("deletionGracePeriodSeconds").and_then(|v| v.as_i64()),
            labels: strings(&mut fields, "labels")?,
            annotations: strings(&mut fields, "annotations")?,
            owners: values(&mut fields, "ownerReferences", Value::is_object)?,
            finalizers: values(&mut fields, "finalizers", Value::is_string)?,
            managers: managers(fields.remove("managedFields").unwrap_or(Value::Null))?,
        })
    }

    /// The header as `metadata`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut fields = self.identity();
        let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
        for (name, blob) in [
            ("labels", &self.labels),
            ("annotations", &self.annotations),
            ("ownerReferences", &self.owners),
            ("finalizers", &self.finalizers),
        ] {
            if let Some(blob) = blob {
                put(name, blob.parse());
            }
        }
        if let Some(managers) = self.managed_fields() {
            put("managedFields", managers);
        }
        Value::Object(fields)
    }

    /// `managedFields`, if there are any.
    #[must_use]
    pub fn managed_fields(&self) -> Option<Value> {
        Some(self.managers.as_ref()?.iter().map(Manager::to_value).collect())
    }

    /// What the server owns of `metadata`.
    pub(super) fn identity(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
        put("name", json!(&*self.name));
        if !self.namespace.is_empty() {
            put("namespace", json!(&*self.namespace));
        }
        if let Some(prefix) = &self.generate_name {
            put("generateName", json!(&**prefix));
        }
        if self.uid.0 != 0 {
            put("uid", json!(self.uid.to_string()));
        }
        if self.resource_version != 0 {
            put("resourceVersion", json!(self.resource_version.to_string()));
        }
        if self.generation != 0 {
            put("generation", json!(self.generation));
        }
        if self.created != 0 {
            put("creationTimestamp", json!(instant::format(self.created)));
        }
        if let Some(deleted) = self.deleted {
            put("deletionTimestamp", json!(instant::format(deleted)));
        }
        if let Some(grace) = self.grace {
            put("deletionGracePeriodSeconds", json!(grace));
        }
        fields
    }
}

fn text(fields: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Malformed> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(malformed(&format!("metadata.{name}"), "a string")),
    }
}

fn seconds(fields: &mut Map<String, Value>, name: &str) -> Result<Option<u64>, Malformed> {
    match text(fields, name)? {
        None => Ok(None),
        Some(text) => match instant::parse(&text) {
            Some(secs) => Ok(Some(secs)),
            None => Err(malformed(&format!("metadata.{name}"), "a time in RFC 3339")),
        },
    }
}

pub(super) fn strings(fields: &mut Map<String, Value>, name: &str) -> Result<Option<Arc<Blob>>, Malformed> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(mut map)) => {
            // A null value decodes as the empty string in Go's map[string]string.
            for value in map.values_mut() {
                match value {
                    Value::Null => *value = json!(""),
                    Value::String(_) => {}
                    _ => return Err(malformed(&format!("metadata.{name}"), "string values")),
                }
            }
            Ok((!map.is_empty()).then(|| Blob::shared(&encode(&Value::Object(map)))))
        }
        Some(_) => Err(malformed(&format!("metadata.{name}"), "a map of strings")),
    }
}

pub(super) fn values(
    fields: &mut Map<String, Value>,
    name: &str,
    item: impl Fn(&Value) -> bool,
) -> Result<Option<Arc<Blob>>, Malformed> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) if items.is_empty() => Ok(None),
        Some(Value::Array(items)) if items.iter().all(item) => Ok(Some(Blob::shared(&encode(&Value::Array(items))))),
        Some(_) => Err(malformed(&format!("metadata.{name}"), "a list")),
    }
}

fn managers(value: Value) -> Result<Option<Arc<[Manager]>>, Malformed> {
    match value {
        Value::Null => Ok(None),
        Value::Array(items) if items.is_empty() => Ok(None),
        Value::Array(items) => Ok(Some(items.into_iter().map(Manager::from_value).collect::<Result<_, _>>()?)),
        _ => Err(malformed("metadata.managedFields", "a list")),
    }
}

impl Manager {
    fn from_value(value: Value) -> Result<Self, Malformed> {
        let Value::Object(mut fields) = value else { return Err(malformed("metadata.managedFields", "objects")) };
        let mut part = |name: &str| match fields.remove(name) {
            Some(Value::String(text)) => shared_text(&text),
            _ => Arc::default(),
        };
        let (manager, operation, api_version, subresource) =
            (part("manager"), part("operation"), part("apiVersion"), part("subresource"));
        let time = instant::parse(&part("time")).unwrap_or(0);
        let entry = fields.remove("fieldsV1").unwrap_or_else(|| json!({}));
        Ok(Self {
            manager,
            apply: &*operation == "Apply",
            api_version,
            subresource,
            time,
            fields: Blob::shared(&encode(&entry)),
        })
    }

    /// The entry as an element of `metadata.managedFields`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut entry = json!({
            "manager": &*self.manager,
            "operation": if self.apply { "Apply" } else { "Update" },
            "apiVersion": &*self.api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.fields.parse(),
        });
        if self.time != 0 {
            entry["time"] = json!(instant::format(self.time));
        }
        if !self.subresource.is_empty() {
            entry["subresource"] = json!(&*self.subresource);
        }
        entry
    }
}
