//! What makes an object invalid, in the words of the original.
//!
//! In: a defaulted object, and the stored one on update. Out: one error per field. Never: anything that needs another
//! object.

mod builtin;
mod decode;
mod definition;
mod expressions;
mod limits;
mod metadata;
mod rules;
mod structural;

#[cfg(test)]
mod tests;

pub use decode::decodable;

use crate::apiserver::object::Kept;
use crate::apiserver::schema::Resource;
use serde_json::Value;
use std::fmt;

/// One field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Where, such as `spec.template.spec.containers[0].name`.
    pub field: String,
    /// What sort of error.
    pub reason: Reason,
    /// The text after the field: `Required value`, `Invalid value: "x": must be ...`.
    pub detail: String,
}

/// Sorts of field errors, as a Status cause names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `FieldValueRequired`
    Required,
    /// `FieldValueInvalid`
    Invalid,
    /// `FieldValueNotSupported`
    NotSupported,
    /// `FieldValueDuplicate`
    Duplicate,
    /// `FieldValueNotFound`
    NotFound,
    /// `FieldValueForbidden`
    Forbidden,
    /// `FieldValueTooLong`
    TooLong,
    /// `FieldValueTooMany`
    TooMany,
    /// `FieldValueTypeInvalid`
    TypeInvalid,
}

impl Reason {
    /// The word in the Status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Duplicate => "FieldValueDuplicate",
            Self::NotFound => "FieldValueNotFound",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::TypeInvalid => "FieldValueTypeInvalid",
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.detail)
    }
}

/// Checks an object that is to be created (`old` none) or to replace `old`. Parts that a write keeps are not in the
/// values: they were checked when they were written.
///
/// Gives warnings about what was wrong before and has not changed.
///
/// # Errors
/// Every field that is wrong.
pub(in crate::apiserver) fn validate(
    resource: &Resource,
    old: Option<&Value>,
    new: &Value,
    kept: Kept<'_>,
) -> Result<Vec<String>, Vec<FieldError>> {
    let (mut out, mut warnings) = (Vec::new(), Vec::new());
    if let Some(metadata) = new.get("metadata").and_then(Value::as_object) {
        metadata::check(resource, old, metadata, &mut out);
    }
    let (types, id) = (&*resource.schema.types, resource.schema.id);
    if resource.custom {
        structural::custom(types, id, old, new, kept, &mut out);
        if let Some(expressions) = &resource.rules {
            if out.iter().any(blocks) {
                out.push(FieldError {
                    field: "<nil>".to_owned(),
                    reason: Reason::Invalid,
                    detail: UNCHECKED.to_owned(),
                });
            } else {
                rules::check(expressions, old, new, &mut out, &mut warnings);
            }
        }
    } else {
        if kept.spec || kept.rest {
            builtin::check_status(resource, new, &mut out);
        } else {
            builtin::check(resource, old, new, &mut out);
        }
        let mut more = Vec::new();
        structural::enumerations(types, id, new, &mut String::new(), &mut more);
        // What the code of a kind refuses it refuses in its own words.
        more.retain(|error| {
            let told = |known: &FieldError| {
                error
                    .field
                    .strip_prefix(&known.field)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
            };
            // Upstream checks a definition in its older form, where its schema has another path.
            let older = resource.kind == CRD && error.field.contains(".openAPIV3Schema.");
            !(older || out.iter().any(told))
        });
        out.extend(more);
    }
    if out.is_empty() { Ok(warnings) } else { Err(out) }
}

const CRD: &str = "CustomResourceDefinition";
const UNCHECKED: &str = "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";

/// Whether an error leaves nothing to look at for expressions (`hasBlockingErr`).
fn blocks(error: &FieldError) -> bool {
    matches!(error.reason, Reason::Required | Reason::TooLong | Reason::TooMany | Reason::TypeInvalid)
}

fn required(field: &str, detail: &str) -> FieldError {
    let detail = if detail.is_empty() { "Required value".to_owned() } else { format!("Required value: {detail}") };
    FieldError { field: field.to_owned(), reason: Reason::Required, detail }
}

fn invalid(field: &str, value: &str, why: &str) -> FieldError {
    FieldError { field: field.to_owned(), reason: Reason::Invalid, detail: format!("Invalid value: {value:?}: {why}") }
}

fn forbidden(field: &str, detail: &str) -> FieldError {
    FieldError { field: field.to_owned(), reason: Reason::Forbidden, detail: detail.to_owned() }
}

fn bad(field: &str, value: &Value, why: &str) -> FieldError {
    FieldError { field: field.to_owned(), reason: Reason::Invalid, detail: format!("Invalid value: {value}: {why}") }
}

/// The message of the Status: `{Kind.group} "{name}" is invalid: {one}` or `[{a}, {b}]`.
#[must_use]
pub fn message(resource: &Resource, name: &str, errors: &[FieldError]) -> String {
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let all = if let [one] = texts.as_slice() { one.clone() } else { format!("[{}]", texts.join(", ")) };
    format!("{} {name:?} is invalid: {all}", resource.group_kind())
}
