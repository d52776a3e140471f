//! The mock Kubernetes API server: many clusters in one process.

pub mod apply;
pub mod bootstrap;
pub mod defaults;
pub mod patch;
pub mod prune;
pub mod schema;
pub mod validate;
