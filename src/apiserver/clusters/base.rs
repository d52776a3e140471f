//! What a fresh cluster of a profile holds: one immutable set of objects that all its clusters share until they write.

use super::crds;
use crate::apiserver::object::{Malformed, Object, Uid};
use crate::apiserver::schema::{BadCrd, Catalog, Resource, group_version};
use crate::apiserver::store::Objects;
use serde_json::Value;
use std::sync::Arc;

/// Why a profile cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BadBase {
    /// A CustomResourceDefinition is not usable.
    #[error("custom resource definition: {0}")]
    Crd(#[from] BadCrd),
    /// An object has a part of the wrong type.
    #[error("object {name}: {why}")]
    Object {
        /// Kind and name.
        name: String,
        /// What is wrong.
        why: Malformed,
    },
    /// An object's kind is not served.
    #[error("object {0}: its kind is not part of the profile: add its CustomResourceDefinition")]
    UnknownKind(String),
}

/// A profile.
#[derive(Debug)]
pub struct Base {
    catalog: Catalog,
    collections: Vec<(Arc<Resource>, Objects)>,
    version: u64,
}

impl Base {
    /// The objects that a real server makes at its first start, these CustomResourceDefinitions (established), and
    /// these objects beside them. Objects get their uid, creation time and cluster when they are read.
    ///
    /// # Errors
    /// When a definition or object cannot be used.
    pub fn new(crds: &[Value], objects: &[Value]) -> Result<Arc<Self>, BadBase> {
        let catalog = if crds.is_empty() { Catalog::builtin().clone() } else { Catalog::builtin().with_crds(crds)? };
        let mut base = Self { catalog, collections: Vec::new(), version: 0 };
        for object in crate::apiserver::bootstrap::objects() {
            base.place(object.clone())?;
        }
        for crd in crds {
            base.place(crds::established(crd))?;
        }
        for object in objects {
            base.place(object.clone())?;
        }
        Ok(Arc::new(base))
    }

    fn place(&mut self, mut value: Value) -> Result<(), BadBase> {
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        let name = format!("{kind} {}", value["metadata"]["name"].as_str().unwrap_or_default());
        let (group, version) = group_version(&api_version);
        let Some(resource) = self.catalog.find_kind(group, version, &kind).cloned() else {
            return Err(BadBase::UnknownKind(name));
        };
        if resource.tracks_generation && value["metadata"]["generation"].is_null() {
            value["metadata"]["generation"] = Value::from(1);
        }
        let mut object = Object::from_value(&resource, value).map_err(|why| BadBase::Object { name, why })?;
        self.version += 1;
        object.meta.resource_version = self.version;
        object.meta.uid = Uid(0);
        let at = match self.collections.iter().position(|(known, _)| super::state::same_store(known, &resource)) {
            Some(at) => at,
            None => {
                self.collections.push((resource, Objects::default()));
                self.collections.len() - 1
            }
        };
        self.collections[at].1.insert(Arc::new(object));
        Ok(())
    }

    /// What its clusters serve at first.
    #[must_use]
    pub const fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The resourceVersion of a fresh cluster.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// How many objects a fresh cluster has.
    #[expect(clippy::len_without_is_empty, reason = "no cluster is empty")]
    #[must_use]
    pub const fn len(&self) -> u64 {
        // Every object was one write.
        self.version
    }

    /// The templates of one resource.
    pub(super) fn objects(&self, resource: &Resource) -> Option<&Objects> {
        self.collections.iter().find(|(known, _)| super::state::same_store(known, resource)).map(|(_, objects)| objects)
    }

    /// All resources that have templates.
    pub(super) fn resources(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.collections.iter().map(|(resource, _)| resource)
    }
}

/// A template as one cluster's object.
pub(super) fn materialise(template: &Object, seed: u64, cluster: u32, birth: u64) -> Arc<Object> {
    let mut meta = template.meta.clone();
    let resource = &template.resource;
    meta.uid = Uid::derive(seed, cluster, &resource.group, &resource.kind, &meta.namespace, &meta.name, 0);
    meta.created = birth;
    Arc::new(template.with_meta(meta))
}
