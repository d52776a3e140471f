//! The versioned result of a run: a folder with `record.json`, histograms and time series.
//!
//! In: the scenario and what `measure` kept. Out: files that are written atomically and never overwritten, and the same
//! files read back, also those of older versions. Never measures, never judges, never draws.
//!
//! A run calls [`begin`], [`Folder::create`] before anything starts, [`finish`] when everything has stopped, and
//! `report::deliver`, which writes the measurements and the page and closes the folder.

mod assemble;
mod folder;
mod histograms;
mod model;
mod series;
#[cfg(test)]
pub(crate) mod synthetic;

pub use assemble::{MODEL_VERSION, Ran, begin, finish, hop_provenance};
pub use folder::{Folder, RecordError, Stored, load};
pub use model::*;
pub use series::ProcessSample;
