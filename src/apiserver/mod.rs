//! The mock Kubernetes API server: many clusters in one process.

pub mod admission;
pub mod apply;
pub mod bootstrap;
mod cel;
pub mod clusters;
pub mod defaults;
pub mod endpoint;
pub mod failure;
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
