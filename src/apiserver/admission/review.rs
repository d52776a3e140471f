//! The words between the server and a hook: `AdmissionReview`.

use super::{Attempt, Hook, Sort};
use crate::apiserver::failure::{Cause, Details, Failure};
use crate::apiserver::schema::Resource;
use base64::Engine as _;
use serde_json::{Value, json};

/// What an attempt is told with, besides the objects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told<'a> {
    /// Who tries: `authentication.k8s.io/v1 UserInfo`.
    pub(super) user: &'a Value,
    /// `CreateOptions`, `UpdateOptions` or `DeleteOptions`.
    pub(super) options: &'a Value,
    /// Identity of this one review.
    pub(super) uid: &'a str,
}

/// What a hook had to say.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) warnings: Vec<String>,
    /// The text of a JSON patch; empty for none.
    pub(super) patch: Vec<u8>,
    /// Set if it refuses.
    pub(super) refusal: Option<Failure>,
}

/// The review that asks about an attempt, at the version of the resource that the hook knows.
pub(super) fn review(version: &str, attempt: &Attempt<'_>, seen: &Resource, told: Told<'_>) -> Value {
    let at = |value: Option<&Value>| value.map_or(Value::Null, |value| at_version(value, attempt.resource, seen));
    let resource = |of: &Resource| json!({ "group": of.group, "version": of.version, "resource": of.plural });
    let mut request = json!({
        "uid": told.uid,
        "kind": kind(attempt, seen),
        "resource": resource(seen),
        "requestKind": kind(attempt, attempt.resource),
        "requestResource": resource(attempt.resource),
        "operation": attempt.operation.name(),
        "userInfo": told.user,
        "object": at(attempt.object),
        "oldObject": at(attempt.old),
        "dryRun": attempt.dry_run,
        "options": told.options,
    });
    let subresource = attempt.subresource.unwrap_or_default();
    for (name, text) in [
        ("subResource", subresource),
        ("requestSubResource", subresource),
        ("name", attempt.name),
        ("namespace", attempt.namespace),
    ] {
        if !text.is_empty() {
            request[name] = json!(text);
        }
    }
    json!({ "kind": "AdmissionReview", "apiVersion": format!("admission.k8s.io/{version}"), "request": request })
}

/// An object of one version at another; what is of neither stays as it is.
pub(super) fn at_version(object: &Value, from: &Resource, to: &Resource) -> Value {
    let mut object = object.clone();
    if object["apiVersion"] == json!(from.api_version()) {
        object["apiVersion"] = json!(to.api_version());
    }
    object
}

/// What kind of object the attempt is about: through some doors come others than the resource's own.
fn kind(attempt: &Attempt<'_>, of: &Resource) -> Value {
    let door = attempt.subresource.and_then(|name| of.subresource(name));
    let other = door.filter(|door| !door.kind.is_empty() && door.kind != of.kind);
    match other {
        Some(door) => json!({ "group": door.group, "version": door.version, "kind": door.kind }),
        None => json!({ "group": of.group, "version": of.version, "kind": of.kind }),
    }
}

/// What Go calls the head of every object while it looks for its kind.
const TYPE_META: &str =
    r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;

/// What the text of a hook's answer means.
///
/// # Errors
/// Why it is no answer, to be told as [`failed`].
pub(super) fn answer(hook: &Hook, version: &str, uid: &str, text: &[u8]) -> Result<Answer, String> {
    let invalid = |why: String| format!("received invalid webhook response: {why}");
    let document = serde_json::from_slice(text).unwrap_or_else(|_| json!(String::from_utf8_lossy(text)));
    let kind = match document {
        Value::Object(_) | Value::Null => "",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
    };
    if !kind.is_empty() {
        return Err(format!(
            "failed to call webhook: couldn't get version/kind; json parse error: json: cannot unmarshal {kind} into Go value of type {TYPE_META}"
        ));
    }
    let response = &document["response"];
    if !response.is_object() {
        return Err(invalid("webhook response was absent".to_owned()));
    }
    let patch = response["patch"].as_str().unwrap_or_default();
    let patch_type = response["patchType"].as_str();
    if version == "v1" {
        check_identity(&document, uid).map_err(invalid)?;
        check_patch(hook.sort, patch, patch_type).map_err(invalid)?;
    }
    let patch = match hook.sort {
        Sort::Validating => Vec::new(),
        Sort::Mutating => base64::engine::general_purpose::STANDARD
            .decode(patch)
            .map_err(|error| format!("received undecodable patch in webhook response: {error}"))?,
    };
    if !patch.is_empty() && version == "v1" && patch_type != Some("JSONPatch") {
        return Err(format!("unsupported patch type {:?}", patch_type.unwrap_or_default()));
    }
    let warnings = response["warnings"].as_array().into_iter().flatten();
    Ok(Answer {
        warnings: warnings.filter_map(Value::as_str).map(str::to_owned).collect(),
        patch,
        refusal: (response["allowed"] != true).then(|| refused(&hook.name, &response["status"])),
    })
}

fn check_identity(document: &Value, uid: &str) -> Result<(), String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let told = text(&document["response"]["uid"]);
    if told != uid {
        return Err(format!("expected response.uid={uid:?}, got {told:?}"));
    }
    let (group_version, kind) = (text(&document["apiVersion"]), text(&document["kind"]));
    if (group_version.as_str(), kind.as_str()) != ("admission.k8s.io/v1", "AdmissionReview") {
        return Err(format!(
            "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got {}, Kind={kind}",
            if group_version.is_empty() { "/" } else { &group_version }
        ));
    }
    Ok(())
}

fn check_patch(sort: Sort, patch: &str, kind: Option<&str>) -> Result<(), String> {
    let why = match (sort, patch.is_empty(), kind) {
        (Sort::Mutating, false, None) => "webhook returned response.patch but not response.patchType",
        (Sort::Mutating, true, Some(_)) => "webhook returned response.patchType but not response.patch",
        (Sort::Mutating, false, Some("")) => "webhook returned invalid response.patchType of \"\"",
        (Sort::Validating, false, _) => "validating webhook may not return response.patch",
        (Sort::Validating, _, Some(_)) => "validating webhook may not return response.patchType",
        _ => return Ok(()),
    };
    Err(why.to_owned())
}

/// The refusal of a hook that was asked and said no, with what its status says (`ToStatusErr`).
fn refused(hook: &str, status: &Value) -> Failure {
    let text = |name: &str| status[name].as_str().unwrap_or_default().to_owned();
    let code = status["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(0).max(400);
    let (message, reason) = (text("message"), text("reason"));
    let denied = format!("admission webhook {hook:?} denied the request");
    let message = match (message.is_empty(), reason.is_empty()) {
        (false, _) => format!("{denied}: {message}"),
        (true, false) => format!("{denied}: {reason}"),
        (true, true) => format!("{denied} without explanation"),
    };
    let mut failure = Failure::new(code, reason, message);
    if status["details"].is_object() {
        failure.details = Some(Box::new(details(&status["details"])));
    }
    failure
}

fn details(given: &Value) -> Details {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let causes = given["causes"].as_array().into_iter().flatten().map(|cause| Cause {
        reason: text(&cause["reason"]),
        message: text(&cause["message"]),
        field: text(&cause["field"]),
    });
    Details {
        name: text(&given["name"]),
        group: text(&given["group"]),
        kind: text(&given["kind"]),
        uid: text(&given["uid"]),
        causes: causes.collect(),
        retry_after: given["retryAfterSeconds"].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
    }
}

/// The refusal because a hook could not be asked, or its answer not be understood.
pub(super) fn failed(hook: &str, why: &str) -> Failure {
    Failure::internal(format!("failed calling webhook {hook:?}: {why}"))
}

/// The refusal of a dry run that a hook may not be asked about.
pub(super) fn without_dry_run(hook: &str) -> Failure {
    Failure::bad_request(format!("admission webhook {hook:?} does not support dry run"))
}
