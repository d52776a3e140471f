//! flamboyance answers one question before anybody pays for the answer: how far does an add-on control plane built on
//! Argo CD and Flux (Flamingo) scale, and which topology should I run?
//!
//! # The flow, which is also the folder tree
//!
//! ```text
//! scenario  ->  fleet  ->  topology  ->  drive (live | virtual_time)  ->  record  ->  compare, report
//!  what to run   the world   who manages   reconcile + model +              what       what we say
//!                            what          apiserver + measure              happened
//! ```
//!
//! [`scenario`] reads YAML into a validated value; [`fleet`] draws clusters, apps and changes from it; [`topology`] assigns
//! clusters to managers. [`reconcile`] is the manager's logic, [`model`] the Flux controllers and workloads, both as step
//! machines that ask for [`calls`] and are told replies. [`apiserver`] is where objects live. [`drive`] lets all of them run,
//! in processes and over sockets (`live`) or on a simulated clock (`virtual_time`). [`measure`] turns what happened into
//! figures, [`record`] keeps them, [`compare`] judges several of them, [`report`] shows them; [`study`] plays a scenario more
//! than once and draws a conclusion; [`cli`] is the only place that prints.
//!
//! Imports point backwards along the flow; `tests/it/walls.rs` enforces it.
//!
//! # Words
//!
//! *cluster* (a managed Kubernetes cluster), *hub* (management cluster), *leaf* (a managed cluster seen from a hub),
//! *shard* (one manager's share), *manager* (a process that reconciles), *add-on* (what a platform team installs),
//! *app* (an Argo CD Application: one add-on on one cluster), *source* / *workload* (its two Flux objects), *round* (one
//! reconcile of one app), *call* (one API request), *resync*, *drift*, *run*, *record*, *baseline*.
//!
//! # What is deterministic
//!
//! Everything that names no tokio, socket, file or clock: the same scenario, seed and version give the same bytes. Live
//! runs share the decisions but not the timing.

pub mod clock;
pub mod ids;
pub mod seed;
pub mod units;

#[cfg(feature = "apiserver")]
pub mod apiserver;

#[cfg(feature = "cli")]
pub mod backend;
#[cfg(feature = "cli")]
pub mod calls;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
pub mod compare;
#[cfg(feature = "cli")]
pub mod drive;
#[cfg(feature = "cli")]
pub mod fleet;
#[cfg(feature = "cli")]
pub mod measure;
#[cfg(feature = "cli")]
pub mod model;
#[cfg(feature = "cli")]
pub mod reconcile;
#[cfg(feature = "cli")]
pub mod record;
#[cfg(feature = "cli")]
pub mod report;
#[cfg(feature = "cli")]
pub mod scenario;
#[cfg(feature = "cli")]
pub mod study;
#[cfg(feature = "cli")]
pub mod topology;
