//! The parts of an object that a write leaves alone: never parsed, compared, checked or written again.
//!
//! Most writes touch one part: controllers write statuses and leave specs alone, everybody else the other way round.
//! What is left out of a value on the way in ([`Object::parts`]) comes back as the same allocation on the way out
//! ([`Object::with_parts`]), whatever defaults put there meanwhile.

use super::value::{at_rest, encode, malformed, store, strings, values};
use super::{Blob, Malformed, Meta, Object};
use crate::apiserver::schema::Resource;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The members of a status by name, as text.
pub(in crate::apiserver) type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// Parts that stay as they are. Never one that the object does not have.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::apiserver) struct Kept<'a> {
    pub(in crate::apiserver) spec: bool,
    pub(in crate::apiserver) status: bool,
    /// Of a status that is touched, the members that are not.
    pub(in crate::apiserver) members: Option<&'a Members<'a>>,
    /// The top-level fields other than metadata, spec and status.
    pub(in crate::apiserver) rest: bool,
    pub(in crate::apiserver) labels: bool,
    pub(in crate::apiserver) annotations: bool,
    pub(in crate::apiserver) owners: bool,
    pub(in crate::apiserver) finalizers: bool,
    /// What the server owns of the metadata; only the name stands in the value.
    pub(in crate::apiserver) identity: bool,
}

impl Kept<'_> {
    /// Everything that an object has.
    pub(in crate::apiserver) const fn all(object: &Object) -> Self {
        Self {
            members: None,
            spec: object.spec.is_some(),
            status: object.status.is_some(),
            rest: object.rest.is_some(),
            labels: object.meta.labels.is_some(),
            annotations: object.meta.annotations.is_some(),
            owners: object.meta.owners.is_some(),
            finalizers: object.meta.finalizers.is_some(),
            identity: true,
        }
    }

    /// Takes what is kept out of a value again, should a default have put it there.
    pub(in crate::apiserver) fn take_from(self, value: &mut Value) {
        let Value::Object(fields) = value else { return };
        fields.retain(|name, _| !self.has(name));
        if let (Some(members), Some(Value::Object(status))) = (self.members, fields.get_mut("status")) {
            status.retain(|name, _| !members.contains_key(name.as_str()));
        }
        if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
            for (name, kept) in [
                ("labels", self.labels),
                ("annotations", self.annotations),
                ("ownerReferences", self.owners),
                ("finalizers", self.finalizers),
            ] {
                if kept {
                    metadata.remove(name);
                }
            }
        }
    }

    /// Whether a field at a path, which the value does not have, is there nevertheless.
    pub(in crate::apiserver) fn has_at(self, path: &str, field: &str) -> bool {
        match path {
            "" => self.has(field),
            "status" => self.members.is_some_and(|members| members.contains_key(field)),
            _ => false,
        }
    }

    /// Whether a top-level field, which the value does not have, is there nevertheless.
    pub(in crate::apiserver) fn has(self, field: &str) -> bool {
        match field {
            "spec" => self.spec,
            "status" => self.status,
            "metadata" | "apiVersion" | "kind" => false,
            _ => self.rest,
        }
    }
}

impl Object {
    /// The members of the status as text; `None` if there is no status, or one that is no map.
    pub(in crate::apiserver) fn status_members(&self) -> Option<Members<'_>> {
        serde_json::from_slice(self.status.as_deref()?.bytes()).ok()
    }

    /// The object as a value without managedFields and without what is kept, at the version of `asked`.
    pub(in crate::apiserver) fn parts(&self, asked: &Resource, kept: Kept<'_>) -> Value {
        let rest = if kept.rest { None } else { self.rest_for(asked) };
        let rest = rest.and_then(|rest| serde_json::from_slice(&rest).ok());
        let mut fields: Map<String, Value> = rest.unwrap_or_default();
        fields.insert("apiVersion".to_owned(), json!(asked.api_version()));
        fields.insert("kind".to_owned(), json!(asked.kind));
        fields.insert("metadata".to_owned(), Value::Object(self.meta.parts(kept)));
        for (name, part, kept) in [("spec", &self.spec, kept.spec), ("status", &self.status, kept.status)] {
            if let (Some(blob), false) = (part, kept) {
                fields.insert(name.to_owned(), blob.parse());
            }
        }
        Value::Object(fields)
    }

    /// The object with the parts of a value in place of its own, but for what is kept, at the version of `asked`. The
    /// value's managedFields and what the server owns of its metadata count for nothing.
    ///
    /// # Errors
    /// When a part has the wrong JSON type.
    pub(in crate::apiserver) fn with_parts(
        &self,
        asked: &Arc<Resource>,
        value: Value,
        kept: Kept<'_>,
    ) -> Result<Self, Malformed> {
        let Value::Object(mut fields) = value else { return Err(malformed("", "an object")) };
        let metadata = fields.remove("metadata").unwrap_or_else(|| json!({}));
        let meta = self.meta.with_parts(metadata, kept)?;
        fields.remove("apiVersion");
        fields.remove("kind");
        let spec = fields.remove("spec").filter(|v| !v.is_null());
        let status = fields.remove("status").filter(|v| !v.is_null());
        let fields = at_rest(asked, fields);
        let shared = |v: Value| store(asked, &v);
        let private = |v: Value| {
            let text = match (kept.members, v) {
                (Some(members), Value::Object(own)) => joined(members, &own),
                (_, v) => encode(&v),
            };
            same_or(self.status.as_ref(), text)
        };
        Ok(Self {
            resource: asked.clone(),
            meta,
            spec: if kept.spec { self.spec.clone() } else { spec.map(shared) },
            status: if kept.status { self.status.clone() } else { status.map(private) },
            rest: if kept.rest {
                self.rest.clone()
            } else {
                (!fields.is_empty()).then(|| store(asked, &Value::Object(fields)))
            },
        })
    }
}

/// A map of members that are kept and of its own, by name.
fn joined(members: &Members<'_>, own: &Map<String, Value>) -> Vec<u8> {
    let mut out = vec![b'{'];
    let mut member = |name: &str, text: &dyn Fn(&mut Vec<u8>)| {
        if out.len() > 1 {
            out.push(b',');
        }
        // Texts always encode, and a vector takes every byte.
        let _ = serde_json::to_writer(&mut out, name);
        out.push(b':');
        text(&mut out);
    };
    let mut left = members.iter().peekable();
    for (name, value) in own {
        while let Some((kept, text)) = left.next_if(|(kept, _)| ***kept < **name) {
            member(kept, &|out| out.extend_from_slice(text.get().as_bytes()));
        }
        member(name, &|out| drop(serde_json::to_writer(out, value)));
    }
    for (kept, text) in left {
        member(kept, &|out| out.extend_from_slice(text.get().as_bytes()));
    }
    out.push(b'}');
    out
}

/// The old text if nothing changed.
fn same_or(old: Option<&Arc<Blob>>, text: Vec<u8>) -> Arc<Blob> {
    match old {
        Some(old) if *old.bytes() == *text => Arc::clone(old),
        _ => Blob::private(text),
    }
}

impl Meta {
    fn parts(&self, kept: Kept<'_>) -> Map<String, Value> {
        let mut fields = if kept.identity {
            let name = ("name".to_owned(), json!(&*self.name));
            Map::from_iter([name])
        } else {
            self.identity()
        };
        for (name, blob, kept) in [
            ("labels", &self.labels, kept.labels),
            ("annotations", &self.annotations, kept.annotations),
            ("ownerReferences", &self.owners, kept.owners),
            ("finalizers", &self.finalizers, kept.finalizers),
        ] {
            if let (Some(blob), false) = (blob, kept) {
                fields.insert(name.to_owned(), blob.value().clone());
            }
        }
        fields
    }

    fn with_parts(&self, value: Value, kept: Kept<'_>) -> Result<Self, Malformed> {
        let Value::Object(mut fields) = value else { return Err(malformed("metadata", "an object")) };
        let fields = &mut fields;
        let mut meta = self.clone();
        if !kept.labels {
            meta.labels = strings(fields, "labels")?;
        }
        if !kept.annotations {
            meta.annotations = strings(fields, "annotations")?;
        }
        if !kept.owners {
            meta.owners = values(fields, "ownerReferences", Value::is_object)?;
        }
        if !kept.finalizers {
            meta.finalizers = values(fields, "finalizers", Value::is_string)?;
        }
        Ok(meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::schema::Catalog;

    #[test]
    fn what_is_kept_stays_the_same_allocation_and_the_rest_is_what_the_value_says() {
        let resource = Catalog::builtin().find("apps", "v1", "deployments").unwrap();
        let value = json!({ "metadata": { "name": "a", "namespace": "b", "labels": { "l": "1" }, "annotations": { "a": "1" } },
            "spec": { "replicas": 1 }, "status": { "replicas": 1 } });
        let object = Object::from_value(resource, value).unwrap();
        let kept = Kept { status: false, annotations: false, ..Kept::all(&object) };
        let mut parts = object.parts(resource, kept);
        assert_eq!(
            parts,
            json!({ "kind": "Deployment", "apiVersion": "apps/v1", "metadata": { "name": "a", "annotations": { "a": "1" } },
                "status": { "replicas": 1 } })
        );
        parts["status"] = json!({ "replicas": 2 });
        parts["spec"] = json!("from a default");
        parts["metadata"]["annotations"] = Value::Null;
        let changed = object.with_parts(resource, parts, kept).unwrap();
        assert!(Arc::ptr_eq(object.spec().unwrap(), changed.spec().unwrap()));
        assert!(Arc::ptr_eq(object.meta.labels.as_ref().unwrap(), changed.meta.labels.as_ref().unwrap()));
        assert_eq!(
            (changed.meta.annotations.is_none(), changed.status().unwrap().parse()),
            (true, json!({ "replicas": 2 }))
        );
        let same = object.with_parts(resource, object.parts(resource, Kept::default()), Kept::default()).unwrap();
        assert!(same.same_content(&object) && same.meta == object.meta);
    }
}
