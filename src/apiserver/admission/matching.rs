//! Which attempts somebody is asked about: rules, selectors, equivalent versions.
//!
//! Hooks and policies say it in nearly the same words (`admission/plugin/webhook/predicates`,
//! `admission/plugin/policy/matching`).

use super::{Attempt, is_configuration};
use crate::apiserver::schema::{Catalog, Resource};
use crate::apiserver::select::{LabelOp, LabelTerm};
use serde_json::Value;
use std::sync::Arc;

/// What an attempt has to be.
#[derive(Clone, Debug)]
pub(super) struct Matching {
    equivalent: bool,
    /// Without any, everything.
    rules: Vec<Rule>,
    excluded: Vec<Rule>,
    namespaces: Vec<LabelTerm>,
    objects: Vec<LabelTerm>,
}

#[derive(Clone, Debug)]
struct Rule {
    operations: Vec<String>,
    groups: Vec<String>,
    versions: Vec<String>,
    resources: Vec<String>,
    scope: String,
    /// Names of objects; all without any.
    names: Vec<String>,
}

pub(super) fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The terms of a `metav1.LabelSelector`.
pub(super) fn label_terms(selector: &Value) -> Vec<LabelTerm> {
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
pub(super) fn labels_match(terms: &[LabelTerm], object: &Value) -> bool {
    terms.iter().all(|term| term.matches(object["metadata"]["labels"][&term.key].as_str()))
}

impl Matching {
    /// Of one webhook of a configuration.
    pub(super) fn of_webhook(webhook: &Value) -> Self {
        Self::new(webhook, "rules")
    }

    /// Of the `matchConstraints` of a policy or the `matchResources` of a binding.
    pub(super) fn of_policy(constraints: &Value) -> Self {
        Self::new(constraints, "resourceRules")
    }

    fn new(criteria: &Value, rules: &str) -> Self {
        let read = |field: &str| criteria[field].as_array().into_iter().flatten().map(Rule::read).collect();
        Self {
            equivalent: criteria["matchPolicy"] != "Exact",
            rules: read(rules),
            excluded: read("excludeResourceRules"),
            namespaces: label_terms(&criteria["namespaceSelector"]),
            objects: label_terms(&criteria["objectSelector"]),
        }
    }

    /// Whether attempts on this resource may match, whatever the object.
    pub(super) fn concerns(&self, resource: &Resource, subresource: Option<&str>) -> bool {
        let named = |rule: &Rule| rule.resource(&resource.plural, subresource.unwrap_or_default());
        !is_configuration(resource) && self.rules.iter().any(|rule| self.equivalent || named(rule))
    }

    /// The version of the resource that is to be seen, if the attempt matches.
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
        if self.fitting(&self.excluded, attempt, catalog).is_some() {
            return None;
        }
        if self.rules.is_empty() {
            Some(Arc::clone(attempt.resource))
        } else {
            self.fitting(&self.rules, attempt, catalog)
        }
    }

    fn fitting(&self, rules: &[Rule], attempt: &Attempt<'_>, catalog: &Catalog) -> Option<Arc<Resource>> {
        if rules.iter().any(|rule| rule.matches(attempt, attempt.resource)) {
            return Some(Arc::clone(attempt.resource));
        }
        let others = || catalog.resources().iter().filter(|other| same_objects(other, attempt.resource));
        let mut rules = rules.iter().filter(|_| self.equivalent);
        rules.find_map(|rule| others().find(|other| rule.matches(attempt, other)).cloned())
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
    fn read(rule: &Value) -> Self {
        Self {
            operations: texts(&rule["operations"]),
            groups: texts(&rule["apiGroups"]),
            versions: texts(&rule["apiVersions"]),
            resources: texts(&rule["resources"]),
            scope: rule["scope"].as_str().unwrap_or_default().to_owned(),
            names: texts(&rule["resourceNames"]),
        }
    }

    fn matches(&self, attempt: &Attempt<'_>, resource: &Resource) -> bool {
        self.scope_matches(attempt, resource)
            && any_of(&self.operations, attempt.operation.name())
            && any_of(&self.groups, &resource.group)
            && any_of(&self.versions, &resource.version)
            && self.resource(&resource.plural, attempt.subresource.unwrap_or_default())
            && (self.names.is_empty() || self.names.iter().any(|name| name == attempt.name))
    }

    fn scope_matches(&self, attempt: &Attempt<'_>, resource: &Resource) -> bool {
        let namespace = resource.plural == "namespaces" && resource.group.is_empty();
        match self.scope.as_str() {
            "Namespaced" => !namespace && !attempt.namespace.is_empty(),
            "Cluster" => namespace || attempt.namespace.is_empty(),
            _ => true,
        }
    }

    fn resource(&self, plural: &str, subresource: &str) -> bool {
        self.resources.iter().any(|one| {
            let (resource, sub) = one.split_once('/').unwrap_or((one, ""));
            (resource == "*" || resource == plural) && (sub == "*" || sub == subresource)
        })
    }
}
