//! The object that drift touches: what it is called and how somebody edits it.

use crate::calls::Kind;
use crate::fleet::World;
use crate::ids::AppId;
use crate::measure::fingerprint;
use crate::model::flux::Catalogue;
use serde_json::{Value, json};

/// An installed object of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) kind: Kind,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// The kinds in the order in which the world counts an installation's objects.
const ORDER: [Kind; 4] = [Kind::DEPLOYMENT, Kind::CONFIG_MAP, Kind::SERVICE_ACCOUNT, Kind::SERVICE];

/// The `nth` object of an app; `None` when it has fewer.
pub(super) fn object(world: &World, catalogue: &Catalogue, app: AppId, nth: u32) -> Option<Object> {
    let items = catalogue.items(world.addon_of(app));
    let mut ordered = ORDER.iter().flat_map(|kind| items.iter().filter(move |item| item.kind == *kind));
    let item = ordered.nth(nth as usize)?;
    Some(Object { kind: item.kind, namespace: world.addon(app).namespace.clone(), name: item.name.clone() })
}

/// How signals name an object.
pub(super) fn object_fingerprint(kind: Kind, namespace: &str, name: &str) -> u64 {
    fingerprint(&format!("{}/{namespace}/{name}", kind.info().plural))
}

impl Object {
    pub(super) fn fingerprint(&self) -> u64 {
        object_fingerprint(self.kind, &self.namespace, &self.name)
    }

    /// A merge patch of a field that Flux owns, so that Flux sees the drift and takes it back.
    pub(super) fn edit(&self) -> Value {
        if self.kind == Kind::DEPLOYMENT {
            json!({ "spec": { "replicas": 7 } })
        } else {
            json!({ "metadata": { "labels": {
                "kustomize.toolkit.fluxcd.io/namespace": "drifted",
            } } })
        }
    }
}
