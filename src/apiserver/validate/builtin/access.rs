//! Who may do what, and who else is asked: roles, bindings, webhooks, aggregated APIs.

use super::{absent, list, one_of, unsupported};
use crate::apiserver::schema::Resource;
use crate::apiserver::validate::{FieldError, bad, expressions, invalid, required};
use serde_json::{Value, json};

/// The rules of a role.
pub(super) fn role(resource: &Resource, new: &Value, out: &mut Vec<FieldError>) {
    for (at, rule) in new["rules"].as_array().into_iter().flatten().enumerate() {
        if absent(&rule["verbs"]) {
            out.push(required(&format!("rules[{at}].verbs"), "verbs must contain at least one value"));
        }
        if !absent(&rule["nonResourceURLs"]) {
            let why = match ["apiGroups", "resources", "resourceNames"].iter().all(|field| absent(&rule[*field])) {
                _ if resource.namespaced => "namespaced rules cannot apply to non-resource URLs",
                true => continue,
                false => "rules cannot apply to both regular resources and non-resource URLs",
            };
            out.push(bad(&format!("rules[{at}].nonResourceURLs"), &rule["nonResourceURLs"], why));
            continue;
        }
        for (field, what) in [("apiGroups", "api group"), ("resources", "resource")] {
            if absent(&rule[field]) {
                let why = format!("resource rules must supply at least one {what}");
                out.push(required(&format!("rules[{at}].{field}"), &why));
            }
        }
    }
}

/// Whom a binding gives what.
pub(super) fn binding(resource: &Resource, old: Option<&Value>, new: &Value, out: &mut Vec<FieldError>) {
    let role = &new["roleRef"];
    let kinds: &[&str] = if resource.namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    let kind = role["kind"].as_str().unwrap_or("");
    if !kinds.contains(&kind) {
        out.push(unsupported("roleRef.kind", kind, kinds));
    }
    if absent(&role["name"]) {
        out.push(required("roleRef.name", ""));
    }
    for (at, subject) in list(new, "subjects").iter().enumerate() {
        let path = format!("subjects[{at}]");
        if absent(&subject["name"]) {
            out.push(required(&format!("{path}.name"), ""));
        }
        one_of(&format!("{path}.kind"), &subject["kind"], &["ServiceAccount", "User", "Group"], out);
        if subject["kind"] == "ServiceAccount" && !resource.namespaced && absent(&subject["namespace"]) {
            out.push(required(&format!("{path}.namespace"), ""));
        }
    }
    if old.is_some_and(|old| old["roleRef"] != *role) {
        let shown = json!({"APIGroup": role["apiGroup"], "Kind": role["kind"], "Name": role["name"]});
        out.push(bad("roleRef", &shown, "cannot change roleRef"));
    }
}

/// Webhooks of both sorts (`pkg/apis/admissionregistration/validation`).
pub(super) fn webhooks(new: &Value, out: &mut Vec<FieldError>) {
    for (at, webhook) in list(new, "webhooks").iter().enumerate() {
        let path = format!("webhooks[{at}]");
        let name = webhook["name"].as_str().unwrap_or("");
        if name.split('.').count() < 3 {
            out.push(invalid(
                &format!("{path}.name"),
                name,
                "should be a domain with at least three segments separated by dots",
            ));
        }
        expressions::conditions(list(webhook, "matchConditions"), &path, false, out);
        one_of(&format!("{path}.sideEffects"), &webhook["sideEffects"], &["None", "NoneOnDryRun"], out);
        let client = &webhook["clientConfig"];
        if absent(&client["url"]) != client["service"].is_null() {
            client_url(&path, client["url"].as_str().unwrap_or("https://"), out);
        } else {
            out.push(required(&format!("{path}.clientConfig"), "exactly one of url or service is required"));
        }
        let versions = list(webhook, "admissionReviewVersions");
        if !versions.iter().any(|version| *version == "v1" || *version == "v1beta1") {
            let field = format!("{path}.admissionReviewVersions");
            out.push(match versions {
                [] => required(&field, "must specify one of v1, v1beta1"),
                _ => bad(&field, &json!(versions), "must include at least one of v1, v1beta1"),
            });
        }
    }
}

fn client_url(path: &str, url: &str, out: &mut Vec<FieldError>) {
    if !url.starts_with("https://") {
        let scheme = url.split(':').next().unwrap_or("");
        let why = "'https' is the only allowed URL scheme; desired format: https://host[/path]";
        // Upstream prints the opening quote of the scheme only.
        let detail = format!("Invalid value: \"{scheme}\": {why}");
        out.push(FieldError {
            field: format!("{path}.clientConfig.url"),
            reason: crate::apiserver::validate::Reason::Invalid,
            detail,
        });
    }
}

/// An aggregated API is called what it serves.
pub(super) fn api_service(new: &Value, out: &mut Vec<FieldError>) {
    let (spec, name) = (&new["spec"], new["metadata"]["name"].as_str().unwrap_or(""));
    let text = |field: &str| spec[field].as_str().unwrap_or("");
    let wanted = format!("{}.{}", text("version"), text("group"));
    if name != wanted {
        let why = format!("must be `spec.version+\".\"+spec.group`: {wanted:?}");
        out.push(invalid("metadata.name", name, &why));
    }
    for (field, most) in [("groupPriorityMinimum", 20_000), ("versionPriority", 1_000)] {
        let given = spec[field].as_i64().unwrap_or(0);
        if !(1..=most).contains(&given) {
            let why = format!("must be positive and less than {most}");
            out.push(bad(&format!("spec.{field}"), &json!(given), &why));
        }
    }
}
