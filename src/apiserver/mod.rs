//! The mock Kubernetes API server: many clusters in one process.
//!
//! [`Fleet`] is the door for tests of others: as many clusters as they like, in three lines, with or without sockets.
//! Behind it: [`http`] speaks the protocol, [`clusters`] decides what a call does, [`store`] keeps objects, [`schema`] knows
//! the kinds.

pub mod admission;
pub mod apply;
pub mod bootstrap;
mod cel;
pub mod clusters;
pub mod defaults;
mod duration;
pub mod endpoint;
pub mod failure;
mod fleet;
pub mod http;
pub mod kubeconfig;
pub mod life;
pub mod listen;
pub mod object;
pub mod page;
pub mod patch;
pub mod prune;
pub mod rbac;
pub mod request;
pub mod schema;
pub mod select;
pub mod store;
mod text;
pub mod tls;
pub mod validate;
mod wire;

pub use fleet::{Builder, Fleet, FleetError};
