//! Which objects a list or watch is about: label and field selectors.
//!
//! In: the two query texts. Out: a [`Selector`] that matches headers and fields. Never: an object's whole payload; only
//! the fields that a resource declares as selectable can be named.

mod fields;
mod labels;

pub use fields::{FieldTerm, selectable};
pub use labels::{LabelOp, LabelTerm};

use super::failure::Failure;
use super::object::Object;
use super::schema::Resource;

/// A conjunction of label and field terms. Empty matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    labels: Vec<LabelTerm>,
    fields: Vec<FieldTerm>,
}

impl Selector {
    /// Reads both selectors of a query; absent texts select everything.
    ///
    /// # Errors
    /// 400 with upstream's text for what cannot be parsed and for fields that the resource does not offer.
    pub fn parse(resource: &Resource, labels: Option<&str>, fields: Option<&str>) -> Result<Self, Failure> {
        Ok(Self {
            labels: labels::parse(labels.unwrap_or_default())?,
            fields: fields::parse(resource, fields.unwrap_or_default())?,
        })
    }

    /// Whether it selects everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether an object is selected.
    #[must_use]
    pub fn matches(&self, object: &Object) -> bool {
        self.labels.iter().all(|term| term.matches(object.meta.label(&term.key)))
            && self.fields.iter().all(|term| term.matches(object))
    }

    /// The one name that the fields allow, if they name one: a shortcut for lists.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.fields.iter().find(|term| term.equal && term.field == "metadata.name").map(|term| term.value.as_str())
    }
}
