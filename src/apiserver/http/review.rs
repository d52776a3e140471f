//! Reviews: questions about the caller and about what they may do.
//!
//! In: the posted review and the effective user. Out: the review with its status. Everybody may do everything here, so
//! the answers are short; nothing is stored.

use super::server::Call;
use crate::apiserver::failure::{Cause, Failure};
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
    match kind {
        "SelfSubjectReview" => json!({ "userInfo": user(call) }),
        "TokenReview" if review["spec"]["token"] == call.site.token.as_str() => {
            let groups = ["system:masters", "system:authenticated"];
            json!({ "authenticated": true, "user": { "username": "admin", "groups": groups } })
        }
        "TokenReview" => json!({ "user": {}, "error": "invalid bearer token" }),
        "SelfSubjectRulesReview" => json!({
            "resourceRules": [{ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }],
            "nonResourceRules": [{ "verbs": ["*"], "nonResourceURLs": ["*"] }],
            "incomplete": false,
        }),
        _ => json!({ "allowed": true }),
    }
}

fn user(call: &Call<'_>) -> Value {
    let identity = call.identity;
    let mut user = json!({ "username": identity.user, "groups": identity.groups });
    if !identity.uid.is_empty() {
        user["uid"] = json!(identity.uid);
    }
    if !identity.extra.is_empty() {
        user["extra"] = json!(identity.extra);
    }
    user
}
