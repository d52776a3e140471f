//! Live runs: processes, the measuring pipe, the driver of changes.

pub mod budget;
mod child;
mod frame;
pub(crate) mod manager;
mod notice;
pub(crate) mod reporter;
