//! Admission webhooks and policies: who is asked about a write, with which words, and what an answer means.
//!
//! In: `MutatingWebhookConfiguration` and `ValidatingWebhookConfiguration`, `ValidatingAdmissionPolicy` and its bindings, and
//! attempts to write. Out: the hooks that match an attempt, the `AdmissionReview` for each, and what its answer comes to;
//! what the expressions of policies come to: nothing, a patch, a warning, a refusal in the words of the original
//! (`k8s.io/apiserver/pkg/admission/plugin/{webhook,policy}`). Never: sockets, clocks, locks; who calls the hooks is the
//! rim that speaks HTTP.
//!
//! A cluster without such configurations has no `Hooks` and does none of this.

mod ask;
mod condition;
mod hook;
mod matching;
mod policy;
mod review;

#[cfg(test)]
mod tests;

pub(in crate::apiserver) use ask::{Ask, Asking, Outgoing};
pub(in crate::apiserver) use condition::variables;
pub(in crate::apiserver) use hook::{Address, Hook, Hooks, Sort};
pub(in crate::apiserver) use policy::{Policy, composed};

use super::failure::Failure;
use super::schema::Resource;
use serde_json::Value;
use std::sync::Arc;

/// What somebody is about to do to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is to come.
    Create,
    /// It is to change.
    Update,
    /// It is to go.
    Delete,
}

impl Operation {
    /// As configurations and reviews spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// One attempt to write, as those who are asked about it see it.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// What is tried.
    pub operation: Operation,
    /// On objects of which kind, at which version.
    pub resource: &'a Arc<Resource>,
    /// Through which door, if not the object's own.
    pub subresource: Option<&'a str>,
    /// Empty for objects of the cluster; a namespace is inside of itself.
    pub namespace: &'a str,
    /// Empty while it is not drawn yet, and for a whole collection.
    pub name: &'a str,
    /// Whether nothing is to be stored.
    pub dry_run: bool,
    /// The object to be; none for a deletion.
    pub object: Option<&'a Value>,
    /// The object that is; none for a creation.
    pub old: Option<&'a Value>,
}

/// Who looks at writes before they are stored, beside the rules of the kinds: hooks, and whoever minds that nobody hands
/// out rights that they do not hold. A request that has a guard is always worked on as a whole object.
pub trait Guard: Sync + std::fmt::Debug {
    /// May change an object after its defaults and before it is validated: `None` to leave it.
    ///
    /// # Errors
    /// The answer to the client if it is refused.
    fn change(&self, attempt: &Attempt<'_>) -> Result<Option<Value>, Box<Failure>>;

    /// Looks at an object that could be stored, or at one that is about to go.
    ///
    /// # Errors
    /// The answer to the client if it is refused.
    fn check(&self, attempt: &Attempt<'_>) -> Result<(), Box<Failure>>;
}

/// Whether the objects of a resource tell who is asked. Nobody is asked about them.
pub(in crate::apiserver) fn is_configuration(resource: &Resource) -> bool {
    resource.group == "admissionregistration.k8s.io"
        && matches!(
            resource.kind.as_str(),
            "MutatingWebhookConfiguration"
                | "ValidatingWebhookConfiguration"
                | "ValidatingAdmissionPolicy"
                | "ValidatingAdmissionPolicyBinding"
                | "MutatingAdmissionPolicy"
                | "MutatingAdmissionPolicyBinding"
        )
}
