//! What to run: YAML in, a validated [`Scenario`] out, all errors at once with line, column and a hint.
//!
//! Two stages: what was written (the file format) and what it means (this model, every default filled in and every
//! reference resolved). Everything behind the scenario works on the meaning alone.

mod model;

pub use model::*;
