//! What an API server says when it refuses: the `Status` object, one constructor per reason.
//!
//! In: what went wrong, in the words of the rules. Out: code, reason, message and details exactly as kube-apiserver
//! writes them (`k8s.io/apimachinery/pkg/api/errors`). It never decides anything.

use serde_json::{Value, json};
use std::borrow::Cow;

/// One cause inside `details`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// `FieldValueInvalid`, `FieldManagerConflict`, ...
    pub reason: String,
    /// For people.
    pub message: String,
    /// Path, may be empty.
    pub field: String,
}

/// What the failure is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The object's name.
    pub name: String,
    /// Its API group.
    pub group: String,
    /// The plural resource name for most reasons, the real kind for `Invalid`.
    pub kind: String,
    /// The object's uid.
    pub uid: String,
    /// One per broken field.
    pub causes: Vec<Cause>,
    /// Seconds; positive values also become the `Retry-After` header.
    pub retry_after: u32,
}

/// A refusal: HTTP code plus the parts of a `Status`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} {reason}: {message}")]
pub struct Failure {
    /// HTTP code.
    pub code: u16,
    /// Machine-readable reason, may be empty.
    pub reason: Cow<'static, str>,
    /// For people and for clients that match on text.
    pub message: String,
    /// About what.
    pub details: Option<Box<Details>>,
    /// Fresh `continue` token of an expired list.
    pub continue_token: Option<String>,
}

/// `plural.group`, without the dot for the core group.
#[must_use]
pub fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

impl Failure {
    /// A failure without details.
    #[must_use]
    pub fn new(code: u16, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), message: message.into(), details: None, continue_token: None }
    }

    fn about(mut self, kind: &str, group: &str, name: &str) -> Self {
        let details = self.details.get_or_insert_default();
        (details.kind, details.group, details.name) = (kind.to_owned(), group.to_owned(), name.to_owned());
        self
    }

    /// 404 of an object.
    #[must_use]
    pub fn not_found(plural: &str, group: &str, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} \"{name}\" not found", qualified(plural, group)))
            .about(plural, group, name)
    }

    /// 404 of something that has no name of its own (an unknown subresource).
    #[must_use]
    pub fn no_such_resource() -> Self {
        let mut failure = Self::new(404, "NotFound", "the server could not find the requested resource");
        failure.details = Some(Box::default());
        failure
    }

    /// 409 of a create.
    #[must_use]
    pub fn already_exists(plural: &str, group: &str, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} \"{name}\" already exists", qualified(plural, group)))
            .about(plural, group, name)
    }

    /// 409 of an update; `why` ends the sentence.
    #[must_use]
    pub fn conflict(plural: &str, group: &str, name: &str, why: &str) -> Self {
        let what = qualified(plural, group);
        Self::new(409, "Conflict", format!("Operation cannot be fulfilled on {what} \"{name}\": {why}"))
            .about(plural, group, name)
    }

    /// 409 because the resourceVersion moved on.
    #[must_use]
    pub fn modified(plural: &str, group: &str, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(plural, group, name, why)
    }

    /// 422; `errors` are (field, reason, text) with the text as `Invalid value: ...`.
    #[must_use]
    pub fn invalid(kind: &str, group: &str, name: &str, errors: &[Cause]) -> Self {
        let texts: Vec<String> = errors
            .iter()
            .map(|e| if e.field.is_empty() { e.message.clone() } else { format!("{}: {}", e.field, e.message) })
            .collect();
        // Equal errors are said once, though each is a cause.
        let mut said: Vec<String> = Vec::with_capacity(texts.len());
        for text in texts {
            if !said.contains(&text) {
                said.push(text);
            }
        }
        let texts = said;
        let all = if texts.len() == 1 { texts.concat() } else { format!("[{}]", texts.join(", ")) };
        let mut failure = Self::new(422, "Invalid", format!("{} \"{name}\" is invalid: {all}", qualified(kind, group)))
            .about(kind, group, name);
        if let Some(details) = &mut failure.details {
            details.causes = errors.to_vec();
        }
        failure
    }

    /// 422 of the query (`ListOptions`, `PatchOptions`, ...), whose name is empty.
    #[must_use]
    pub fn invalid_options(kind: &str, field: &str, reason: &str, text: &str) -> Self {
        let cause = Cause { reason: reason.to_owned(), message: text.to_owned(), field: field.to_owned() };
        Self::invalid(kind, "meta.k8s.io", "", &[cause])
    }

    /// 400.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 403; `why` ends the sentence.
    #[must_use]
    pub fn forbidden(plural: &str, group: &str, name: &str, why: &str) -> Self {
        let what = qualified(plural, group);
        Self::new(403, "Forbidden", format!("{what} \"{name}\" is forbidden: {why}")).about(plural, group, name)
    }

    /// 405 of a custom resource, or the generic sentence for a built-in one.
    #[must_use]
    pub fn method_not_allowed(plural: &str, group: &str, verb: &str, custom: bool) -> Self {
        let message = if custom {
            format!("{verb} is not supported on resources of kind \"{}\"", qualified(plural, group))
        } else {
            "the server does not allow this method on the requested resource".to_owned()
        };
        Self::new(405, "MethodNotAllowed", message).about(plural, group, "")
    }

    /// 410 of a list or watch.
    #[must_use]
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 410 of a watch whose start is no longer in the history.
    #[must_use]
    pub fn too_old(asked: u64, oldest: u64) -> Self {
        Self::expired(format!("too old resource version: {asked} ({oldest})"))
    }

    /// 504 of a list whose version is in the future.
    #[must_use]
    pub fn too_large(asked: u64, current: u64) -> Self {
        let text = format!("Too large resource version: {asked}, current: {current}");
        let mut failure = Self::new(504, "Timeout", format!("Timeout: {text}"));
        failure.details = Some(Box::new(Details {
            causes: vec![Cause {
                reason: "ResourceVersionTooLarge".to_owned(),
                message: "Too large resource version".to_owned(),
                field: String::new(),
            }],
            retry_after: 1,
            ..Details::default()
        }));
        failure
    }

    /// 415 of a patch type that the resource does not take.
    #[must_use]
    pub fn unsupported_media(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 413.
    #[must_use]
    pub fn too_large_body(message: impl Into<String>) -> Self {
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// 500 with the prefix of `NewInternalError`.
    #[must_use]
    pub fn internal(error: impl std::fmt::Display) -> Self {
        let mut failure = Self::new(500, "InternalError", format!("Internal error occurred: {error}"));
        failure.details = Some(Box::new(Details {
            causes: vec![Cause { reason: String::new(), message: error.to_string(), field: String::new() }],
            ..Details::default()
        }));
        failure
    }

    /// 500 of a bare Go error: no reason.
    #[must_use]
    pub fn bare(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    /// The `Status` object.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut metadata = json!({});
        if let Some(token) = &self.continue_token {
            metadata["continue"] = json!(token);
        }
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": metadata,
            "status": "Failure", "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = json!(self.reason);
        }
        if let Some(details) = &self.details {
            status["details"] = details.to_value();
        }
        status
    }

    /// The `Status` object in the field order of kube-apiserver, compact, without a newline.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let value = self.to_value();
        let mut out = Vec::with_capacity(256);
        out.push(b'{');
        for name in ["kind", "apiVersion", "metadata", "status", "message", "reason", "details", "code"] {
            if let Some(field) = value.get(name) {
                if out.len() > 1 {
                    out.push(b',');
                }
                out.extend_from_slice(format!("\"{name}\":{field}").as_bytes());
            }
        }
        out.push(b'}');
        out
    }
}

impl Details {
    fn to_value(&self) -> Value {
        let mut details = serde_json::Map::new();
        for (name, text) in [("name", &self.name), ("group", &self.group), ("kind", &self.kind), ("uid", &self.uid)] {
            if !text.is_empty() {
                details.insert(name.to_owned(), json!(text));
            }
        }
        if !self.causes.is_empty() {
            details.insert("causes".to_owned(), self.causes.iter().map(Cause::to_value).collect());
        }
        if self.retry_after > 0 {
            details.insert("retryAfterSeconds".to_owned(), json!(self.retry_after));
        }
        Value::Object(details)
    }
}

impl Cause {
    fn to_value(&self) -> Value {
        let mut cause = serde_json::Map::new();
        for (name, text) in [("reason", &self.reason), ("message", &self.message), ("field", &self.field)] {
            if !text.is_empty() {
                cause.insert(name.to_owned(), json!(text));
            }
        }
        Value::Object(cause)
    }
}
