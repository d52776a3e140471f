//! Hooks as configured, and which attempts they are asked about.

use super::{Attempt, is_configuration};
use crate::apiserver::cel::{CALL_MAX, Failed, Input, Output, Program, Type};
use crate::apiserver::schema::{Catalog, Resource};
use crate::apiserver::select::{LabelOp, LabelTerm};
use serde_json::Value;
use std::sync::Arc;

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
    equivalent: bool,
    rules: Vec<Rule>,
    namespaces: Vec<LabelTerm>,
    objects: Vec<LabelTerm>,
    conditions: Vec<Condition>,
}

/// One of `matchConditions`.
#[derive(Clone, Debug)]
struct Condition {
    text: String,
    /// Or what is wrong with it.
    program: Result<Arc<Program>, String>,
}

#[derive(Clone, Debug)]
struct Rule {
    operations: Vec<String>,
    groups: Vec<String>,
    versions: Vec<String>,
    resources: Vec<String>,
    scope: String,
}

/// All hooks of a cluster, in the order in which they are asked.
#[derive(Clone, Debug, Default)]
pub(in crate::apiserver) struct Hooks {
    hooks: Vec<Hook>,
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The terms of a `metav1.LabelSelector`.
fn label_terms(selector: &Value) -> Vec<LabelTerm> {
    let equal = selector["matchLabels"].as_object().into_iter().flatten().map(|(key, value)| LabelTerm {
        key: key.clone(),
        op: LabelOp::In(vec![value.as_str().unwrap_or_default().to_owned()]),
    });
    let terms = selector["matchExpressions"].as_array().into_iter().flatten().map(|term| LabelTerm {
        key: term["key"].as_str().unwrap_or_default().to_owned(),
        op: match term["operator"].as_str().unwrap_or_default() {
            "In" => LabelOp::In(texts(&term["values"])),
            "NotIn" => LabelOp::NotIn(texts(&term["values"])),
            "DoesNotExist" => LabelOp::Absent,
            _ => LabelOp::Exists,
        },
    });
    equal.chain(terms).collect()
}

/// Whether the labels of an object satisfy all terms.
fn labels_match(terms: &[LabelTerm], object: &Value) -> bool {
    terms.iter().all(|term| term.matches(object["metadata"]["labels"][&term.key].as_str()))
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
        Self { hooks: hooks.collect() }
    }

    /// Whether there are none.
    pub(in crate::apiserver) fn is_empty(&self) -> bool {
        self.hooks.is_empty()
    }

    /// Whether any hook may have to be asked about writes of this resource, whatever the object.
    pub(in crate::apiserver) fn concern(&self, resource: &Resource, subresource: Option<&str>) -> bool {
        let named = |rule: &Rule| rule.names(&resource.plural, subresource.unwrap_or_default());
        !is_configuration(resource)
            && self.hooks.iter().any(|hook| hook.rules.iter().any(|rule| hook.equivalent || named(rule)))
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
        let rules = webhook["rules"].as_array().into_iter().flatten().map(|rule| Rule {
            operations: texts(&rule["operations"]),
            groups: texts(&rule["apiGroups"]),
            versions: texts(&rule["apiVersions"]),
            resources: texts(&rule["resources"]),
            scope: text(&rule["scope"]),
        });
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
            equivalent: webhook["matchPolicy"] != "Exact",
            rules: rules.collect(),
            namespaces: label_terms(&webhook["namespaceSelector"]),
            objects: label_terms(&webhook["objectSelector"]),
            conditions: webhook["matchConditions"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Condition::read)
                .collect(),
        }
    }

    /// Whether there are conditions beside rules and selectors.
    pub(super) fn is_conditional(&self) -> bool {
        !self.conditions.is_empty()
    }

    /// Whether all conditions hold for an attempt, of which `request` tells. One that does not outweighs those that fail
    /// (`matchconditions/matcher.go`).
    ///
    /// # Errors
    /// What failed, if the hook minds.
    pub(super) fn conditions_hold(&self, attempt: &Attempt<'_>, request: &Value) -> Result<bool, String> {
        const NONE: &Value = &Value::Null;
        let (object, old) = (attempt.object.unwrap_or(NONE), attempt.old.unwrap_or(NONE));
        let given = [("object", object), ("oldObject", old), ("request", request)];
        let outcomes: Vec<_> = self.conditions.iter().map(|condition| condition.holds(&given)).collect();
        if outcomes.contains(&Ok(false)) {
            return Ok(false);
        }
        let failed: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
        match failed.as_slice() {
            [] => Ok(true),
            _ if self.fails_open => Ok(false),
            [one] => Err(one.clone()),
            several => Err(format!("[{}]", several.join(", "))),
        }
    }

    /// The version of the resource that the hook is to see, if it is to be asked.
    pub(super) fn matches(
        &self,
        attempt: &Attempt<'_>,
        namespace: Option<&Value>,
        catalog: &Catalog,
    ) -> Option<Arc<Resource>> {
        // What is neither in a namespace nor one itself is never left out.
        let outside = attempt.namespace.is_empty() && attempt.resource.plural != "namespaces";
        let of_namespace = outside
            || self.namespaces.is_empty()
            || namespace.is_some_and(|namespace| labels_match(&self.namespaces, namespace));
        let selected = |object: Option<&Value>| object.is_some_and(|object| labels_match(&self.objects, object));
        if !of_namespace || !(self.objects.is_empty() || selected(attempt.object) || selected(attempt.old)) {
            return None;
        }
        if self.rules.iter().any(|rule| rule.matches(attempt, attempt.resource)) {
            return Some(Arc::clone(attempt.resource));
        }
        let others = || catalog.resources().iter().filter(|other| same_objects(other, attempt.resource));
        let mut rules = self.rules.iter().filter(|_| self.equivalent);
        rules.find_map(|rule| others().find(|other| rule.matches(attempt, other)).cloned())
    }
}

impl Condition {
    /// A condition; one that asks the authorizer, whom expressions do not reach here, counts as met.
    fn read(condition: &Value) -> Option<Self> {
        let text = condition["expression"].as_str().unwrap_or_default().to_owned();
        let given = ["object", "oldObject", "request"].map(|name| (name, Type::Dyn));
        let program = Program::compile(&text, &given).map(Arc::new);
        (program.is_ok() || !text.contains("authorizer")).then_some(Self { text, program })
    }

    fn holds(&self, given: &[(&str, &Value); 3]) -> Result<bool, String> {
        let failed = |why: &str| format!("expression '{}' resulted in error: {why}", self.text);
        let program = self.program.as_ref().map_err(|why| failed(&format!("compilation error: {why}")))?;
        let given = given.map(|(name, value)| (name, Input::Value(value, &Type::Dyn)));
        match program.run(&given, &mut CALL_MAX.clone()) {
            Ok(Output::Truth(truth)) => Ok(truth),
            Ok(_) => Err(failed("must evaluate to bool")),
            Err(Failed::Error(why)) => Err(failed(&why)),
            Err(Failed::TooMuch) => Err(failed("operation cancelled: actual cost limit exceeded")),
        }
    }
}

/// Whether two resources are one kind at two versions, or in two groups.
fn same_objects(a: &Resource, b: &Resource) -> bool {
    let event = |one: &Resource| one.plural == "events" && matches!(one.group.as_str(), "" | "events.k8s.io");
    a.plural == b.plural && (a.group == b.group && a.version != b.version || a.group != b.group && event(a) && event(b))
}

fn any_of(list: &[String], asked: &str) -> bool {
    list.iter().any(|one| one == "*" || one == asked)
}

impl Rule {
    fn matches(&self, attempt: &Attempt<'_>, resource: &Resource) -> bool {
        self.scope_matches(attempt, resource)
            && any_of(&self.operations, attempt.operation.name())
            && any_of(&self.groups, &resource.group)
            && any_of(&self.versions, &resource.version)
            && self.names(&resource.plural, attempt.subresource.unwrap_or_default())
    }

    fn scope_matches(&self, attempt: &Attempt<'_>, resource: &Resource) -> bool {
        let namespace = resource.plural == "namespaces" && resource.group.is_empty();
        match self.scope.as_str() {
            "Namespaced" => !namespace && !attempt.namespace.is_empty(),
            "Cluster" => namespace || attempt.namespace.is_empty(),
            _ => true,
        }
    }

    fn names(&self, plural: &str, subresource: &str) -> bool {
        self.resources.iter().any(|one| {
            let (resource, sub) = one.split_once('/').unwrap_or((one, ""));
            (resource == "*" || resource == plural) && (sub == "*" || sub == subresource)
        })
    }
}
