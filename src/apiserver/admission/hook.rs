//! Hooks as configured, and which attempts they are asked about.

use super::Attempt;
use super::condition::{self, Condition};
use super::matching::{Matching, texts};
use super::policy::Policy;
use crate::apiserver::schema::Resource;
use serde_json::Value;

/// Whether a hook may change what it is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::apiserver) enum Sort {
    Mutating,
    Validating,
}

/// Where a hook listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::apiserver) enum Address {
    Url(String),
    Service { namespace: String, name: String, path: String, port: u16 },
}

/// One hook of one configuration.
#[derive(Clone, Debug)]
pub(in crate::apiserver) struct Hook {
    pub(in crate::apiserver) sort: Sort,
    pub(in crate::apiserver) name: String,
    pub(in crate::apiserver) address: Address,
    /// PEM.
    pub(in crate::apiserver) authorities: Vec<u8>,
    pub(in crate::apiserver) timeout_secs: u64,
    /// `failurePolicy: Ignore`.
    pub(in crate::apiserver) fails_open: bool,
    /// `reinvocationPolicy: IfNeeded`.
    pub(in crate::apiserver) again: bool,
    /// Whether it may be asked about a dry run.
    pub(in crate::apiserver) dry_runs: bool,
    /// The review's version that it understands: `v1`, `v1beta1`, or neither.
    pub(in crate::apiserver) review: Option<&'static str>,
    pub(super) matching: Matching,
    conditions: Vec<Condition>,
}

/// All hooks and policies of a cluster, in the order in which they are asked.
#[derive(Clone, Debug, Default)]
pub(in crate::apiserver) struct Hooks {
    hooks: Vec<Hook>,
    policies: Vec<Policy>,
}

impl Hooks {
    /// The hooks of these configurations: each its sort, its name and its `webhooks`. They are asked in the order of the
    /// configurations' names.
    pub(in crate::apiserver) fn read<'a>(configurations: impl IntoIterator<Item = (Sort, &'a str, &'a Value)>) -> Self {
        let mut all: Vec<_> = configurations.into_iter().collect();
        all.sort_by_key(|(_, name, _)| *name);
        let hooks = all.into_iter().flat_map(|(sort, _, webhooks)| {
            webhooks.as_array().into_iter().flatten().map(move |webhook| Hook::read(sort, webhook))
        });
        Self { hooks: hooks.collect(), policies: Vec::new() }
    }

    /// The same with policies, which come in the order of their names.
    pub(in crate::apiserver) fn with_policies(mut self, mut policies: Vec<Policy>) -> Self {
        policies.retain(Policy::is_bound);
        policies.sort_by(|a, b| a.name.cmp(&b.name));
        self.policies = policies;
        self
    }

    /// Whether there are none.
    pub(in crate::apiserver) fn is_empty(&self) -> bool {
        self.hooks.is_empty() && self.policies.is_empty()
    }

    /// Whether anybody may have to be asked about writes of this resource, whatever the object.
    pub(in crate::apiserver) fn concern(&self, resource: &Resource, subresource: Option<&str>) -> bool {
        let mut all = self.hooks.iter().map(|hook| &hook.matching);
        let mut policies = self.policies.iter().map(|policy| &policy.matching);
        all.any(|one| one.concerns(resource, subresource)) || policies.any(|one| one.concerns(resource, subresource))
    }

    /// The policies, in the order in which they are asked.
    pub(super) fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// The hooks of a sort, in the order in which they are asked.
    pub(super) fn of(&self, sort: Sort) -> impl Iterator<Item = &Hook> {
        self.hooks.iter().filter(move |hook| hook.sort == sort)
    }
}

impl Hook {
    fn read(sort: Sort, webhook: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let client = &webhook["clientConfig"];
        let service = &client["service"];
        let address = match client["url"].as_str() {
            Some(url) => Address::Url(url.to_owned()),
            None => Address::Service {
                namespace: text(&service["namespace"]),
                name: text(&service["name"]),
                path: text(&service["path"]),
                port: service["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(443),
            },
        };
        let bundle = client["caBundle"].as_str().unwrap_or_default();
        let versions = texts(&webhook["admissionReviewVersions"]);
        Self {
            sort,
            name: text(&webhook["name"]),
            address,
            authorities: base64::Engine::decode(&base64::engine::general_purpose::STANDARD, bundle).unwrap_or_default(),
            timeout_secs: webhook["timeoutSeconds"].as_u64().unwrap_or(10),
            fails_open: webhook["failurePolicy"] == "Ignore",
            again: webhook["reinvocationPolicy"] == "IfNeeded",
            dry_runs: matches!(webhook["sideEffects"].as_str(), Some("None" | "NoneOnDryRun")),
            review: versions.iter().find_map(|version| match version.as_str() {
                "v1" => Some("v1"),
                "v1beta1" => Some("v1beta1"),
                _ => None,
            }),
            matching: Matching::of_webhook(webhook),
            conditions: Condition::read_all(&webhook["matchConditions"], false),
        }
    }

    /// Whether there are conditions beside rules and selectors.
    pub(super) fn is_conditional(&self) -> bool {
        !self.conditions.is_empty()
    }

    /// Whether all conditions hold for an attempt, of which `request` tells.
    ///
    /// # Errors
    /// What failed, if the hook minds.
    pub(super) fn conditions_hold(&self, attempt: &Attempt<'_>, request: &Value) -> Result<bool, String> {
        let variables = condition::variables(false);
        let given = condition::given(&variables, attempt, None, request, None);
        condition::all_hold(&self.conditions, &given, self.fails_open)
    }
}
