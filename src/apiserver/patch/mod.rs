//! The patches that are not server-side apply: JSON patch, merge patch, strategic merge patch.
//!
//! In: an object and a patch. Out: the patched object. Never: tracking, defaulting, validation.

mod strategic;

pub use strategic::strategic;

use serde_json::Value;

/// Most operations in one JSON patch (upstream: `maxJSONPatchOperations`).
pub const OPERATIONS_MAX: usize = 10_000;

/// Why a patch is refused. The text is the message of the Status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// It cannot be read: 400.
    #[error("error decoding patch: {0}")]
    Malformed(String),
    /// Too many operations: 413.
    #[error("The allowed maximum operations in a JSON patch is 10000, got {0}")]
    TooManyOperations(usize),
    /// An operation does not fit the object: 422, with no more than upstream's generic text.
    #[error("the server rejected our request due to an error in our request")]
    DoesNotApply(String),
    /// A strategic merge patch that cannot be carried out: 400.
    #[error("{0}")]
    BadDirective(String),
}

impl PatchError {
    /// HTTP code of the answer.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::Malformed(_) | Self::BadDirective(_) => 400,
            Self::TooManyOperations(_) => 413,
            Self::DoesNotApply(_) => 422,
        }
    }
}

/// Applies a JSON patch (RFC 6902); on an error the object is as it was.
///
/// # Errors
/// A malformed patch, too many operations, or an operation that does not fit.
pub fn json(object: &mut Value, patch: &[u8]) -> Result<(), PatchError> {
    let patch: json_patch::Patch =
        serde_json::from_slice(patch).map_err(|error| PatchError::Malformed(error.to_string()))?;
    if patch.0.len() > OPERATIONS_MAX {
        return Err(PatchError::TooManyOperations(patch.0.len()));
    }
    json_patch::patch(object, &patch).map_err(|error| PatchError::DoesNotApply(error.to_string()))
}

/// Applies a merge patch (RFC 7386).
///
/// # Errors
/// The patch is not an object.
pub fn merge(object: &mut Value, patch: &Value) -> Result<(), PatchError> {
    if !patch.is_object() {
        return Err(PatchError::Malformed("a merge patch of an object must be an object".to_owned()));
    }
    json_patch::merge(object, patch);
    Ok(())
}
