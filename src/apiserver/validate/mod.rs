//! What makes an object invalid, in the words of the original.
//!
//! In: a defaulted object, and the stored one on update. Out: one error per field. Never: anything that needs another
//! object.

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
    /// `FieldValueForbidden`
    Forbidden,
    /// `FieldValueTooLong`
    TooLong,
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
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TypeInvalid => "FieldValueTypeInvalid",
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.detail)
    }
}

/// Checks an object that is to be created (`old` none) or to replace `old`.
///
/// # Errors
/// Every field that is wrong.
pub fn validate(resource: &Resource, old: Option<&Value>, new: &Value) -> Result<(), Vec<FieldError>> {
    let _ = (resource, old, new);
    Ok(())
}

/// The message of the Status: `{Kind.group} "{name}" is invalid: {one}` or `[{a}, {b}]`.
#[must_use]
pub fn message(resource: &Resource, name: &str, errors: &[FieldError]) -> String {
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let all = if let [one] = texts.as_slice() { one.clone() } else { format!("[{}]", texts.join(", ")) };
    format!("{} {name:?} is invalid: {all}", resource.group_kind())
}
