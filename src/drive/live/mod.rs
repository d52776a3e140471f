//! Live runs: processes, the measuring pipe, the driver of changes.

pub mod budget;
mod child;
mod frame;
mod notice;
mod reporter;
