//! The others: Flux controllers and workloads as pure machines, and what a real control plane costs.
//!
//! In: events of one cluster's objects, replies to calls, the time. Out: calls (`calls::Op`), instants to wait for. Never
//! a clock, a socket or JSON inside a machine; the translators beside them ([`flux::spec`], `flux::render`) read and
//! write the documents that rims exchange with an API server.

pub mod argo;
pub mod flux;
pub mod hardware;
pub mod machine;
pub mod prices;
pub mod trouble;
pub mod workload;
