//! How processes of a run, and managers alone, reach API servers.
//!
//! In: kubeconfigs, cluster Secrets, tokens; requests. Out: routes over shared connections; responses as they stream in.
//! Never decides what is asked.

mod access;
mod client;
mod known;
mod wire;

pub(crate) use access::from_kubeconfig;
pub(super) use access::{AccessError, Pools, credentials, from_cluster_secret, from_token};
pub(super) use client::{APPLY, BACKOFF, Call, Client, JSON, MERGE_PATCH, News, Refusal};
pub(super) use known::Known;
pub(super) use wire::{Answer, Route, Traffic, USER_AGENT, WireError, escaped};
