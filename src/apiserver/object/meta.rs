//! The metadata header: what rules, selectors, garbage collection and rendering need, parsed once per write.

use super::{Blob, Uid};
use serde_json::Value;
use std::sync::Arc;

/// `metadata`, with times as seconds since 1970 and absent numbers as 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Empty for cluster-scoped objects.
    pub namespace: Arc<str>,
    /// Unique in its namespace and resource.
    pub name: Arc<str>,
    /// `generateName`
    pub generate_name: Option<Arc<str>>,
    /// Identity over time.
    pub uid: Uid,
    /// The write that made this version; 0 if it was never stored (dry run).
    pub resource_version: u64,
    /// Counts changes of intent; 0 for kinds that keep none.
    pub generation: u64,
    /// `creationTimestamp`
    pub created: u64,
    /// `deletionTimestamp`
    pub deleted: Option<u64>,
    /// `deletionGracePeriodSeconds`
    pub grace: Option<i64>,
    /// JSON object.
    pub labels: Option<Arc<Blob>>,
    /// JSON object.
    pub annotations: Option<Arc<Blob>>,
    /// JSON array.
    pub owners: Option<Arc<Blob>>,
    /// JSON array, never empty.
    pub finalizers: Option<Arc<Blob>>,
    /// `managedFields`, in their order.
    pub managers: Option<Arc<[Manager]>>,
}

/// One entry of `managedFields`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manager {
    /// Who.
    pub manager: Arc<str>,
    /// `Apply` rather than `Update`.
    pub apply: bool,
    /// In which version's terms the fields are named.
    pub api_version: Arc<str>,
    /// Through which subresource; empty for the main one.
    pub subresource: Arc<str>,
    /// When last; 0 if absent.
    pub time: u64,
    /// `fieldsV1`
    pub fields: Arc<Blob>,
}

/// One entry of `ownerReferences`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// `group/version` or `v1`.
    pub api_version: String,
    /// The owner's kind.
    pub kind: String,
    /// The owner's name.
    pub name: String,
    /// The owner's uid; `None` if the text is no UUID, which no object of ours has.
    pub uid: Option<Uid>,
    /// Whether a foreground deletion of the owner waits for this object.
    pub blocks: bool,
    /// Whether this is the managing controller.
    pub controller: bool,
}

impl Meta {
    /// The value of a label.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.as_ref()?.value().get(key)?.as_str()
    }

    /// The value of an annotation.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.value().get(key)?.as_str()
    }

    /// The finalizers, in order.
    pub fn finalizers(&self) -> impl Iterator<Item = &str> {
        self.finalizers.iter().filter_map(|blob| blob.value().as_array()).flatten().filter_map(Value::as_str)
    }

    /// Whether a finalizer is set.
    #[must_use]
    pub fn has_finalizer(&self, name: &str) -> bool {
        self.finalizers().any(|finalizer| finalizer == name)
    }

    /// The owner references, in order.
    #[must_use]
    pub fn owners(&self) -> Vec<Owner> {
        let Some(Value::Array(list)) = self.owners.as_ref().map(|blob| blob.value()) else { return Vec::new() };
        list.iter().map(Owner::read).collect()
    }

    /// Replaces the finalizers.
    pub fn set_finalizers<'a>(&mut self, finalizers: impl IntoIterator<Item = &'a str>) {
        let list: Vec<&str> = finalizers.into_iter().collect();
        self.finalizers = (!list.is_empty()).then(|| Blob::shared(Value::from(list).to_string().as_bytes()));
    }
}

impl Owner {
    fn read(value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        Self {
            api_version: text("apiVersion"),
            kind: text("kind"),
            name: text("name"),
            uid: Uid::parse(value["uid"].as_str().unwrap_or_default()),
            blocks: value["blockOwnerDeletion"] == Value::Bool(true),
            controller: value["controller"] == Value::Bool(true),
        }
    }
}
