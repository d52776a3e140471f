//! Server-side apply, and the record of who set which field.
//!
//! In: the live object, what a client sent, and the type of the object. Out: the new object and its managedFields.
//! Never: storing, defaulting, validating, or reading a clock (`now` is an argument).
//! The rules are those of upstream's `structured-merge-diff` and `managedfields`; the words for a set of field paths are
//! those of FieldsV1, and a set is kept in exactly that form, so nothing is converted on the way. A set at rest is parsed
//! once for all objects that share it, and copied only by a write that changes it.

mod compare;
mod conflict;
mod entries;
mod fieldset;
mod merge;
mod paths;
mod remove;
mod run;
mod track;

#[cfg(test)]
mod tests;

pub use conflict::Conflict;
pub use run::{ApplyError, ApplyInput, Made, apply};
pub use track::{TrackInput, track};

pub(in crate::apiserver) use run::take_managed;
