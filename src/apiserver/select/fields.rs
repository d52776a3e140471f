//! Field selectors: `a=b`, `a==b`, `a!=b`, joined by commas, with backslash escapes for `\`, `,` and `=`.
//! The grammar is that of `k8s.io/apimachinery/pkg/fields`; which fields a kind offers is upstream's table.

use crate::apiserver::failure::Failure;
use crate::apiserver::object::Object;
use crate::apiserver::schema::Resource;
use serde_json::Value;
use std::borrow::Cow;

/// One requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTerm {
    /// Path, such as `status.phase`.
    pub field: String,
    /// Equal rather than different.
    pub equal: bool,
    /// The value compared with; absent fields count as empty.
    pub value: String,
}

impl FieldTerm {
    /// Whether an object satisfies the term.
    #[must_use]
    pub fn matches(&self, object: &Object) -> bool {
        (read(object, &self.field) == self.value.as_str()) == self.equal
    }
}

/// Fields beyond `metadata.name` and `metadata.namespace` that a resource offers (the conversion functions of upstream's
/// `pkg/apis/*/v1/conversion.go`; `selectableFields` for custom resources).
#[must_use]
pub fn selectable(resource: &Resource) -> Vec<&str> {
    let builtin: &[&str] = match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "pods") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
        ("", "secrets") => &["type"],
        ("", "namespaces") => &["status.phase"],
        ("", "nodes") => &["spec.unschedulable"],
        ("", "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("events.k8s.io", "events") => &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ],
        ("batch", "jobs") => &["status.successful"],
        ("apps", "replicasets") | ("", "replicationcontrollers") => &["status.replicas"],
        ("", "services") => &["spec.clusterIP", "spec.type"],
        ("certificates.k8s.io", "certificatesigningrequests") => &["spec.signerName"],
        _ => &[],
    };
    let custom = resource.selectable_fields.iter().map(|path| path.trim_start_matches('.'));
    builtin.iter().copied().chain(custom).collect()
}

/// Resources whose refusal says `field label not supported` (they have a conversion function of their own).
fn has_own_conversion(resource: &Resource) -> bool {
    resource.custom || !selectable(resource).is_empty()
}

/// Reads a field selector; the empty text selects everything.
pub(super) fn parse(resource: &Resource, text: &str) -> Result<Vec<FieldTerm>, Failure> {
    let mut terms = Vec::new();
    let offered = selectable(resource);
    for part in split(text) {
        let Some(term) = term(part)? else { continue };
        let known = term.field == "metadata.name"
            || term.field == "metadata.namespace" && resource.namespaced
            || offered.contains(&term.field.as_str());
        if !known {
            return Err(unknown(resource, &term.field));
        }
        terms.push(term);
    }
    Ok(terms)
}

fn unknown(resource: &Resource, field: &str) -> Failure {
    Failure::bad_request(if has_own_conversion(resource) {
        format!("field label not supported: {field}")
    } else {
        format!("\"{field}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
    })
}

/// Splits at commas that no backslash protects.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn term(part: &str) -> Result<Option<FieldTerm>, Failure> {
    if part.is_empty() {
        return Ok(None);
    }
    let mut escaped = false;
    for (at, c) in part.char_indices() {
        if escaped {
            escaped = false;
            continue;
        }
        let rest = &part[at..];
        let sign = ["!=", "==", "="].into_iter().find(|sign| rest.starts_with(sign));
        if c == '\\' {
            escaped = true;
        } else if let Some(sign) = sign {
            let value = unescape(&rest[sign.len()..])?;
            return Ok(Some(FieldTerm { field: part[..at].to_owned(), equal: sign != "!=", value }));
        }
    }
    Err(Failure::bad_request(format!("invalid selector: '{part}'; can't understand '{part}'")))
}

fn unescape(text: &str) -> Result<String, Failure> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                _ => {
                    return Err(Failure::bad_request(format!(
                        "invalid field selector: invalid escape sequence: {text}"
                    )));
                }
            },
            '=' | ',' => {
                return Err(Failure::bad_request(format!("invalid field selector: unescaped character in value: {c}")));
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

/// The text of a field; empty if absent.
fn read<'a>(object: &'a Object, field: &str) -> Cow<'a, str> {
    match field {
        "metadata.name" => return Cow::Borrowed(&object.meta.name),
        "metadata.namespace" => return Cow::Borrowed(&object.meta.namespace),
        _ => {}
    }
    let mut steps = field.split('.');
    let first = steps.next().unwrap_or_default();
    let found = match (first, field) {
        ("status", "status.successful") => object.field("status").and_then(|s| s.get("succeeded")),
        ("source", _) => object.field("source").and_then(|s| s.get("component")),
        ("regarding", _) => steps.try_fold(object.field("involvedObject"), |at, step| Some(at?.get(step))).flatten(),
        ("reportingController", _) => object.field("reportingComponent"),
        ("spec" | "status", "status.podIPs") => object.field("status").and_then(|s| s.get("podIPs")?.get(0)?.get("ip")),
        _ => steps.try_fold(object.field(first), |at, step| Some(at?.get(step))).flatten(),
    };
    text(found, field)
}

fn text<'a>(value: Option<&'a Value>, field: &str) -> Cow<'a, str> {
    match value {
        Some(Value::String(text)) => Cow::Borrowed(text),
        None | Some(Value::Null) => Cow::Borrowed(match field {
            // Go's zero values of what is no text.
            "spec.unschedulable" | "spec.hostNetwork" => "false",
            "status.replicas" | "status.successful" => "0",
            _ => "",
        }),
        Some(other) => Cow::Owned(other.to_string()),
    }
}
