//! What happened: signals in, latencies by hop, health over time, resources of processes, warnings out.
//!
//! In: [`Signal`]s of all processes (live) or of the simulated world (virtual), the changes as they were intended, and
//! readings of `/proc`. Out: values that the record is made of. Never calls an API server, never reads the clock, never
//! prints; only `process` and `host` touch files, and only below `/proc` and `/sys`.

mod calls;
mod change;
mod hist;
mod hops;
pub mod host;
mod ledger;
pub mod limit;
mod order;
mod ownership;
pub mod process;
mod signal;
pub mod warning;
mod windows;
mod wire;

pub use calls::{CallCount, Figures};
pub use change::{Change, ChangeKind, Finished, Hop};
pub use hist::{Histogram, Hops, Latencies, Quantiles};
pub use hops::{Progress, Tracker};
pub use ledger::{Beat, Books, Calm, Ledger, Outcome, Plan, Pulse, Shard, Window};
pub use order::Reorder;
pub use ownership::{Gap, Ownership};
pub use signal::{FluxObject, Health, ObjectChange, Role, RoundOutcome, Signal, Sync, fingerprint, fingerprint_json};
pub use wire::{Batch, Corrupt, Decoder, RECORD_BYTES};
