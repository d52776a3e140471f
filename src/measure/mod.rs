//! What happened: signals in, latencies by hop, health over time, resources of processes, warnings out.
//!
//! In: [`Signal`]s of all processes (live) or of the simulated world (virtual), the changes as they were intended, and
//! readings of `/proc`. Out: values that the record is made of. Never calls an API server, never reads the clock, never
//! prints; only `process` and `host` touch files, and only below `/proc` and `/sys`.

mod change;
mod hops;
mod signal;
mod wire;

pub use change::{Change, ChangeKind, Finished, Hop};
pub use hops::{Progress, Tracker};
pub use signal::{
    FluxObject, Gauge, Health, ObjectChange, Role, RoundOutcome, Signal, Sync, fingerprint, fingerprint_json,
};
pub use wire::{Batch, Corrupt, Decoder, RECORD_BYTES};
