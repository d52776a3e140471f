//! The immutable set of resources that clusters of one profile serve.

use super::Resource;
use super::crd::{self, BadCrd};
use super::data::Data;
use super::discovery::Discovery;
use super::openapi::OpenApi;
use serde_json::Value;
use std::sync::{Arc, OnceLock};

/// The resources of a profile, with the documents that describe them.
///
/// Cheap to clone; documents are made on first use and shared by all clusters of the profile.
#[derive(Clone, Debug)]
pub struct Catalog {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Discovery order: core first, groups by priority, then custom groups by name.
    resources: Vec<Arc<Resource>>,
    /// Positions in `resources`, sorted by plural, group and version.
    index: Vec<usize>,
    crds: Vec<Value>,
    discovery: OnceLock<Discovery>,
    openapi: OnceLock<OpenApi>,
}

impl Catalog {
    /// What a fresh cluster serves: the built-in kinds of the Kubernetes version that the data file was taken from.
    #[must_use]
    pub fn builtin() -> &'static Self {
        static BUILTIN: OnceLock<Catalog> = OnceLock::new();
        BUILTIN.get_or_init(|| Self::new(Data::get().resources(), Vec::new()))
    }

    /// This catalog and the kinds of these CustomResourceDefinitions.
    ///
    /// # Errors
    /// Names the first definition that cannot be read, and what is wrong with it.
    pub fn with_crds(&self, crds: &[Value]) -> Result<Self, BadCrd> {
        let mut all = self.inner.crds.clone();
        all.extend_from_slice(crds);
        let mut custom = Vec::new();
        for crd in &all {
            custom.extend(crd::resources(crd)?.into_iter().map(Arc::new));
        }
        custom.sort_by(|a, b| a.group.cmp(&b.group));
        let mut resources: Vec<Arc<Resource>> = self.resources().iter().filter(|one| !one.custom).cloned().collect();
        resources.extend(custom);
        Ok(Self::new(resources, all))
    }

    fn new(resources: Vec<Arc<Resource>>, crds: Vec<Value>) -> Self {
        let mut index: Vec<usize> = (0..resources.len()).collect();
        index.sort_by(|a, b| key(&resources[*a]).cmp(&key(&resources[*b])));
        let (discovery, openapi) = (OnceLock::new(), OnceLock::new());
        Self { inner: Arc::new(Inner { resources, index, crds, discovery, openapi }) }
    }

    /// The resource at this group, version and plural name.
    #[must_use]
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        let index = &self.inner.index;
        let at = index.binary_search_by(|at| key(&self.inner.resources[*at]).cmp(&(plural, group, version))).ok()?;
        Some(&self.inner.resources[index[at]])
    }

    /// The resource of this group, version and kind.
    #[must_use]
    pub fn find_kind(&self, group: &str, version: &str, kind: &str) -> Option<&Arc<Resource>> {
        self.resources().iter().find(|one| one.group == group && one.version == version && one.kind == kind)
    }

    /// All resources in discovery order.
    #[must_use]
    pub fn resources(&self) -> &[Arc<Resource>] {
        &self.inner.resources
    }

    /// Whether any resource is served at this group and version.
    #[must_use]
    pub fn serves(&self, group: &str, version: &str) -> bool {
        self.resources().iter().any(|one| one.group == group && one.version == version)
    }

    /// The CustomResourceDefinitions it was made with.
    #[must_use]
    pub fn crds(&self) -> &[Value] {
        &self.inner.crds
    }

    /// The discovery documents.
    #[must_use]
    pub fn discovery(&self) -> &Discovery {
        self.inner.discovery.get_or_init(|| Discovery::of(self.resources()))
    }

    /// The OpenAPI documents.
    #[must_use]
    pub fn openapi(&self) -> &OpenApi {
        self.inner.openapi.get_or_init(|| OpenApi::of(self.crds()))
    }
}

fn key(one: &Resource) -> (&str, &str, &str) {
    (&one.plural, &one.group, &one.version)
}
