//! What kinds of objects a cluster serves, and what their fields mean.
//!
//! In: the data file taken from a real API server (built-in kinds) and CustomResourceDefinitions. Out: [`Resource`]s with
//! their types, and the [`Catalog`] of a profile with its discovery and OpenAPI documents. Never: objects of a cluster,
//! a socket, a clock. Nothing here is written by hand per field; what a field means comes from the data.

mod catalog;
mod crd;
mod data;
mod discovery;
pub mod limits;
mod openapi;
mod openapi_proto;
pub(in crate::apiserver) mod rules;
mod types;

pub use catalog::Catalog;
pub use crd::{BadCrd, argocd_crds, flux_crds};
pub use discovery::{Discovery, Document};
pub use openapi::OpenApi;
pub use types::{Field, ListKind, Node, Scalar, TypeId, TypeRef, Types};

use serde::{Deserialize, Serialize};

pub(in crate::apiserver) use data::{Data, bootstrap_objects};
pub(in crate::apiserver) use types::DEDUCED;

/// One kind at one version, as a cluster serves it.
#[derive(Clone, Debug)]
pub struct Resource {
    /// API group, empty for the core group.
    pub group: String,
    /// API version, such as `v1`.
    pub version: String,
    /// Kind, such as `Deployment`.
    pub kind: String,
    /// Name in the path, such as `deployments`.
    pub plural: String,
    /// Name for one, such as `deployment`.
    pub singular: String,
    /// Kind of a list, such as `DeploymentList`.
    pub list_kind: String,
    /// Short names, such as `deploy`.
    pub short_names: Vec<String>,
    /// Categories, such as `all`.
    pub categories: Vec<String>,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// Verbs that discovery lists: `create`, `delete`, `deletecollection`, `get`, `list`, `patch`, `update`, `watch`.
    pub verbs: Vec<String>,
    /// Subresources with the kinds they answer with.
    pub subresources: Vec<Subresource>,
    /// Whether a CustomResourceDefinition defines it.
    pub custom: bool,
    /// Whether `status` is a subresource.
    pub has_status: bool,
    /// Whether `metadata.generation` is kept.
    pub tracks_generation: bool,
    /// Whether PUT of an absent object creates it.
    pub create_on_update: bool,
    /// Whether PUT without a resourceVersion is accepted.
    pub unconditional_update: bool,
    /// Whether an immediate DELETE answers with the object instead of a Status.
    pub returns_deleted: bool,
    /// Columns of the Table form, without the trailing age column only if the original has none.
    pub columns: Vec<Column>,
    /// Fields beside the metadata ones that field selectors may name (custom resources).
    pub selectable_fields: Vec<String>,
    /// The scale mapping of a custom resource.
    pub scale: Option<ScalePaths>,
    /// Warning text of a deprecated version.
    pub deprecation: Option<String>,
    /// The type of its objects.
    pub schema: TypeRef,
    /// Versions at which objects of this group and plural are served, this one included.
    pub versions: Vec<String>,
    /// Discovery's hash of the storage version, empty where the original shows none.
    pub storage_version_hash: String,
    /// What an object that nobody filled in looks like in the original (Go's zero value), the base of a create.
    pub(in crate::apiserver) skeleton: serde_json::Value,
    /// The rules in its schema that are expressions, if there are any.
    pub(in crate::apiserver) rules: Option<std::sync::Arc<rules::Rules>>,
    pub(in crate::apiserver) resets: Resets,
    pub(in crate::apiserver) defaults: crate::apiserver::defaults::Rules,
}

/// A subresource as discovery shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subresource {
    /// Its name, such as `status` or `scale`.
    pub name: String,
    /// Group of the answer's kind.
    pub group: String,
    /// Version of the answer's kind.
    pub version: String,
    /// Kind of the answer.
    pub kind: String,
    /// Verbs that discovery lists.
    pub verbs: Vec<String>,
}

/// One column of the Table form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Column {
    /// Heading.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `name` for the first column, else mostly empty.
    pub format: String,
    /// What it shows.
    pub description: String,
    /// 0 is always shown, higher ones on request.
    pub priority: i32,
    /// Where the value stands (custom resources), such as `.spec.replicas`.
    #[serde(rename = "jsonPath")]
    pub json_path: String,
}

/// Where a custom resource keeps what `scale` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalePaths {
    /// Path of the wanted number.
    pub spec_replicas: String,
    /// Path of the observed number.
    pub status_replicas: String,
    /// Path of the label selector text, if any.
    pub label_selector: Option<String>,
}

/// Paths that a write through one door never sets, and so never owns (upstream: `GetResetFields`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::apiserver) struct Resets {
    /// Door (`""` for the object itself, else the subresource) and the paths it resets.
    pub(in crate::apiserver) doors: Vec<(String, Vec<Vec<String>>)>,
}

impl Resets {
    /// Paths that a write through `subresource` (none: the object itself) resets.
    pub(in crate::apiserver) fn of(&self, subresource: Option<&str>) -> &[Vec<String>] {
        let door = subresource.unwrap_or("");
        self.doors.iter().find(|(name, _)| name == door).map_or(&[], |(_, paths)| paths.as_slice())
    }
}

/// Group and version of an `apiVersion`: `apps/v1`, or `v1` in the core group, whose name is empty.
#[must_use]
pub fn group_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

impl Resource {
    /// `apps/v1`, or `v1` in the core group.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `deployments.apps`, or `pods` in the core group: the form of error texts.
    #[must_use]
    pub fn group_resource(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `Deployment.apps`, or `Pod` in the core group: the form of validation texts.
    #[must_use]
    pub fn group_kind(&self) -> String {
        if self.group.is_empty() { self.kind.clone() } else { format!("{}.{}", self.kind, self.group) }
    }

    /// Whether discovery lists `verb`.
    #[must_use]
    pub fn allows(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }

    /// The subresource of that name.
    #[must_use]
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|sub| sub.name == name)
    }
}
