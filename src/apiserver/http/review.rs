//! Reviews: questions about the caller and about what they may do.
//!
//! In: the posted review and the effective user. Out: the review with its status. Nothing is stored.

use super::identity::Identity;
use super::server::Call;
use super::token;
use crate::apiserver::failure::{Cause, Failure};
use crate::apiserver::rbac::{Authorization, Rule, Subjects, What, Wish};
use crate::apiserver::schema::Resource;
use serde_json::{Value, json};

/// Whether creating this resource asks a question instead of storing something.
pub(crate) fn is_one(resource: &Resource) -> bool {
    matches!(resource.group.as_str(), "authentication.k8s.io" | "authorization.k8s.io") && !resource.custom
}

/// The answer, as JSON.
pub(crate) fn answer(call: &Call<'_>, resource: &Resource, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut review: Value = serde_json::from_slice(body).map_err(|error| {
        Failure::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: {error}",
            resource.kind
        ))
    })?;
    if !review.is_object() {
        return Err(Failure::bad_request("the review is no object"));
    }
    if resource.kind.ends_with("AccessReview") {
        check_attributes(&review["spec"])?;
    }
    review["kind"] = json!(resource.kind);
    review["apiVersion"] = json!(resource.api_version());
    if !review["metadata"].is_object() {
        review["metadata"] = json!({});
    }
    review["status"] = status(call, &resource.kind, &review);
    if resource.kind == "SelfSubjectReview" {
        review["metadata"]["creationTimestamp"] = json!(crate::clock::rfc3339(crate::clock::unix()));
    }
    Ok(super::form::document(&review))
}

/// An access review asks about one thing.
fn check_attributes(spec: &Value) -> Result<(), Failure> {
    if spec["resourceAttributes"].is_null() != spec["nonResourceAttributes"].is_null() {
        return Ok(());
    }
    let cause = Cause {
        reason: "FieldValueInvalid".to_owned(),
        message: "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified"
            .to_owned(),
        field: "spec.resourceAttributes".to_owned(),
    };
    Err(Failure::invalid("", "authorization.k8s.io", "", &[cause]))
}

fn status(call: &Call<'_>, kind: &str, review: &Value) -> Value {
    let spec = &review["spec"];
    match kind {
        "SelfSubjectReview" => json!({ "userInfo": user(call.identity) }),
        "TokenReview" => {
            let token = spec["token"].as_str().unwrap_or_default();
            match token {
                "" => json!({ "user": {} }),
                token if token == call.site.token => {
                    json!({ "authenticated": true, "user": user(&Identity::admin()) })
                }
                token => match token::account(token, call.site, crate::clock::unix()) {
                    Some(account) => {
                        json!({ "authenticated": true, "user": user(&account), "audiences": [token::ISSUER] })
                    }
                    None => json!({ "user": {}, "error": "invalid bearer token" }),
                },
            }
        }
        "SelfSubjectRulesReview" => rules(call, spec["namespace"].as_str().unwrap_or_default()),
        "SelfSubjectAccessReview" => access(call, call.identity.subjects(), spec),
        _ => {
            let user = spec["user"].as_str().unwrap_or_default();
            let groups: Vec<String> = serde_json::from_value(spec["groups"].clone()).unwrap_or_default();
            access(call, Subjects { user, groups: &groups }, spec)
        }
    }
}

/// Whether somebody may do what the review asks.
fn access(call: &Call<'_>, who: Subjects<'_>, spec: &Value) -> Value {
    if call.site.authorization == Authorization::Everyone {
        return json!({ "allowed": true });
    }
    let of = |part: &'static str, field: &str| spec[part][field].as_str().unwrap_or_default();
    let (part, what) = if spec["nonResourceAttributes"].is_object() {
        ("nonResourceAttributes", What::Path(of("nonResourceAttributes", "path")))
    } else {
        let part = "resourceAttributes";
        let [group, resource, subresource] = ["group", "resource", "subresource"].map(|field| of(part, field));
        let [namespace, name] = ["namespace", "name"].map(|field| of(part, field));
        (part, What::Objects { group, resource, subresource, namespace, name })
    };
    match who.may(Wish { verb: of(part, "verb"), what }, &call.site.cluster) {
        Ok(()) => json!({ "allowed": true }),
        Err(why) if why.is_empty() => json!({ "allowed": false }),
        Err(why) => json!({ "allowed": false, "reason": why }),
    }
}

fn rules(call: &Call<'_>, namespace: &str) -> Value {
    let all = || vec!["*".to_owned()];
    let everything = || {
        let objects = Rule { verbs: all(), api_groups: all(), resources: all(), ..Rule::default() };
        vec![objects, Rule { verbs: all(), non_resource_urls: all(), ..Rule::default() }]
    };
    let who = call.identity.subjects();
    let open = call.site.authorization == Authorization::Everyone || who.is_privileged();
    let rules = if open { everything() } else { who.rules(&call.site.cluster, namespace).0 };
    let (paths, objects): (Vec<Rule>, Vec<Rule>) =
        rules.into_iter().partition(|rule| !rule.non_resource_urls.is_empty());
    let object = |rule: &Rule| {
        let mut shown = json!({ "verbs": rule.verbs, "apiGroups": rule.api_groups, "resources": rule.resources });
        if !rule.resource_names.is_empty() {
            shown["resourceNames"] = json!(rule.resource_names);
        }
        shown
    };
    let path = |rule: &Rule| json!({ "verbs": rule.verbs, "nonResourceURLs": rule.non_resource_urls });
    json!({
        "resourceRules": objects.iter().map(object).collect::<Vec<_>>(),
        "nonResourceRules": paths.iter().map(path).collect::<Vec<_>>(),
        "incomplete": false,
    })
}

fn user(identity: &Identity) -> Value {
    let mut user = json!({ "username": identity.user, "groups": identity.groups });
    if !identity.uid.is_empty() {
        user["uid"] = json!(identity.uid);
    }
    if !identity.extra.is_empty() {
        user["extra"] = json!(identity.extra);
    }
    user
}
