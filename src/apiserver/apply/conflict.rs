//! Who else owns a field that an apply would change, and the sentences about it.

use super::entries::Entry;
use super::paths::{Set, texts};
use std::collections::BTreeMap;

/// One field owned by somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The owner as texts show it: `"name"`, with subresource, and for an Update the version.
    pub manager: String,
    /// The field, such as `.spec.replicas`.
    pub field: String,
}

impl Conflict {
    /// The message of the cause in the Status.
    #[must_use]
    pub fn message(&self) -> String {
        format!("conflict with {}", self.manager)
    }
}

/// The conflicts with one owner.
pub(super) fn with(owner: &Entry, fields: &Set) -> Vec<Conflict> {
    let manager = shown(owner);
    texts(fields).into_iter().map(|field| Conflict { manager: manager.clone(), field }).collect()
}

fn shown(owner: &Entry) -> String {
    let mut text = format!("{:?}", owner.manager);
    if !owner.subresource.is_empty() {
        text.push_str(&format!(" with subresource {:?}", owner.subresource));
    }
    if !owner.apply {
        text.push_str(&format!(" using {}", owner.api_version));
    }
    text
}

/// The message of the Status.
pub(super) fn message(conflicts: &[Conflict]) -> String {
    if let [one] = conflicts {
        return format!("Apply failed with 1 conflict: conflict with {}: {}", one.manager, one.field);
    }
    let mut by_manager: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in conflicts {
        by_manager.entry(&one.manager).or_default().push(&one.field);
    }
    let mut lines = Vec::new();
    for (manager, fields) in by_manager {
        lines.push(format!("conflicts with {manager}:"));
        lines.extend(fields.into_iter().map(|field| format!("- {field}")));
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}
