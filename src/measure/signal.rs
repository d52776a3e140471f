//! What processes tell the harness, as values.
//!
//! In: what a process saw, with the time on the clock that all processes of the machine share. Out: nothing else; the
//! bytes are `wire`'s affair, and what a signal means for a change is `hops`'.

use crate::ids::AppId;
use crate::units::{Span, Time};

/// What a process does in a run. Threads of the leaf server that model the Flux controllers have a role of their own.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Starts and stops the others, drives the changes, observes.
    Harness,
    /// The API server of the management cluster.
    Hub,
    /// The API servers of the managed clusters.
    Leaves,
    /// The modelled Flux and workload controllers of all leaves.
    FluxModel,
    /// A loopback manager.
    Manager,
}

impl Role {
    /// The word for it, as in a record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Harness => "harness",
            Self::Hub => "hub",
            Self::Leaves => "leaves",
            Self::FluxModel => "flux-model",
            Self::Manager => "manager",
        }
    }
}

/// `status.health.status` of an Application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// Absent, `Unknown` or a word that we do not know.
    #[default]
    Unknown,
    /// `Healthy`.
    Healthy,
    /// `Progressing`.
    Progressing,
    /// `Degraded`.
    Degraded,
    /// `Missing`.
    Missing,
    /// `Suspended`.
    Suspended,
}

impl Health {
    /// Reads Argo CD's word.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "Healthy" => Self::Healthy,
            "Progressing" => Self::Progressing,
            "Degraded" => Self::Degraded,
            "Missing" => Self::Missing,
            "Suspended" => Self::Suspended,
            _ => Self::Unknown,
        }
    }
}

/// `status.sync.status` of an Application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sync {
    /// Absent, `Unknown` or a word that we do not know.
    #[default]
    Unknown,
    /// `Synced`.
    Synced,
    /// `OutOfSync`.
    OutOfSync,
}

impl Sync {
    /// Reads Argo CD's word.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "Synced" => Self::Synced,
            "OutOfSync" => Self::OutOfSync,
            _ => Self::Unknown,
        }
    }
}

/// How one round of a manager ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoundOutcome {
    /// Done; the next one comes by watch or resync.
    Ok,
    /// Waiting may help; it was put back with a delay.
    Retry,
    /// Somebody else wrote first.
    Conflict,
    /// It failed; it was put back with back-off.
    Failed,
    /// The API server asked to slow down.
    Throttled,
}

/// Which of an app's two Flux objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FluxObject {
    /// GitRepository, OCIRepository or HelmRepository.
    Source,
    /// Kustomization or HelmRelease.
    Workload,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectChange {
    /// It was not there before.
    Added,
    /// Its content (not only its status) changed.
    Modified,
    /// It is gone from the store.
    Deleted,
}

/// One thing that a process saw. Times are `CLOCK_MONOTONIC` in live runs, simulated time in virtual ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Hub: an Application was created, changed or removed.
    AppCommitted {
        /// Whose.
        app: AppId,
        /// When the server stored it.
        at: Time,
        /// `metadata.generation`.
        generation: u64,
        /// It is gone from the store (not merely marked for deletion).
        deleted: bool,
        /// `status.health.status`.
        health: Health,
        /// `status.sync.status`.
        sync: Sync,
        /// [`fingerprint_json`] of `status.sync.comparedTo.source`, 0 when absent.
        compared: u64,
        /// [`fingerprint`] of `status.sync.revision`, 0 when absent.
        revision: u64,
    },
    /// Manager: its watch delivered the app at this generation.
    Seen {
        /// Whose.
        app: AppId,
        /// When.
        at: Time,
        /// `metadata.generation`.
        generation: u64,
        /// Which manager.
        shard: u32,
    },
    /// Manager: one round ended.
    Round {
        /// Whose.
        app: AppId,
        /// Which manager.
        shard: u32,
        /// When it ended.
        at: Time,
        /// From the queue's `add` until a worker took it.
        queue_wait: Span,
        /// From then to the end.
        took: Span,
        /// API calls made.
        calls: u32,
        /// How it ended.
        outcome: RoundOutcome,
    },
    /// Manager: the length of its work queue now.
    QueueDepth {
        /// Which manager.
        shard: u32,
        /// When.
        at: Time,
        /// Ready to be taken.
        ready: u32,
        /// Waiting for a time (back-off, resync).
        waiting: u32,
    },
    /// Manager: it owns another number of clusters than before.
    Owns {
        /// Which manager.
        shard: u32,
        /// When.
        at: Time,
        /// So many from now on.
        clusters: u32,
        /// Of those, new to it.
        gained: u32,
    },
    /// Leaves: the content of a Flux object changed.
    Written {
        /// Whose.
        app: AppId,
        /// When.
        at: Time,
        /// Which one.
        object: FluxObject,
        /// `metadata.generation` of the Flux object.
        generation: u64,
    },
    /// Leaves: the source object became Ready with an artifact of this revision.
    Fetched {
        /// Whose.
        app: AppId,
        /// When.
        at: Time,
        /// `status.observedGeneration` of the source object.
        generation: u64,
        /// [`fingerprint`] of `status.artifact.revision`.
        revision: u64,
    },
    /// Leaves: the workload controller applied everything of this revision.
    Applied {
        /// Whose.
        app: AppId,
        /// When.
        at: Time,
        /// `metadata.generation` of the workload object that was applied.
        generation: u64,
        /// [`fingerprint`] of the revision.
        revision: u64,
    },
    /// Leaves: the Ready condition of the workload object was written.
    FluxReady {
        /// Whose.
        app: AppId,
        /// When.
        at: Time,
        /// `True`.
        ready: bool,
        /// `status.observedGeneration`.
        generation: u64,
        /// [`fingerprint`] of `status.lastAppliedRevision`.
        revision: u64,
    },
    /// Leaves: an object that the app installs was stored or removed.
    ObjectChanged {
        /// Whose.
        app: AppId,
        /// When.
        at: Time,
        /// Which one: a fingerprint of its kind, namespace and name.
        object: u64,
        /// What happened.
        change: ObjectChange,
        /// The Flux controllers did it, not a stranger.
        by_controller: bool,
    },
    /// A Flux object of the app is gone from the store.
    Gone {
        /// Whose.
        app: AppId,
        /// When.
        at: Time,
        /// Which one.
        object: FluxObject,
    },
}

impl Signal {
    /// When it happened.
    #[must_use]
    pub const fn at(&self) -> Time {
        match self {
            Self::AppCommitted { at, .. }
            | Self::Seen { at, .. }
            | Self::Round { at, .. }
            | Self::QueueDepth { at, .. }
            | Self::Owns { at, .. }
            | Self::Written { at, .. }
            | Self::Fetched { at, .. }
            | Self::Applied { at, .. }
            | Self::FluxReady { at, .. }
            | Self::ObjectChanged { at, .. }
            | Self::Gone { at, .. } => *at,
        }
    }

    /// The same at another time, told of another manager if it is a manager's.
    #[must_use]
    pub fn again(mut self, now: Time, manager: u32) -> Self {
        match &mut self {
            Self::Seen { at, shard, .. }
            | Self::Round { at, shard, .. }
            | Self::QueueDepth { at, shard, .. }
            | Self::Owns { at, shard, .. } => (*at, *shard) = (now, manager),
            Self::AppCommitted { at, .. }
            | Self::Written { at, .. }
            | Self::Fetched { at, .. }
            | Self::Applied { at, .. }
            | Self::FluxReady { at, .. }
            | Self::ObjectChanged { at, .. }
            | Self::Gone { at, .. } => *at = now,
        }
        self
    }
}

/// 64-bit FNV-1a (Fowler, Noll, Vo: offset basis and prime of the 64-bit variant).
struct Fnv(u64);

impl std::io::Write for Fnv {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A fingerprint of a text (a revision, an object's name); 0 for the empty text alone.
#[must_use]
pub fn fingerprint(text: &str) -> u64 {
    if text.is_empty() {
        return 0;
    }
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    let _infallible = std::io::Write::write(&mut hash, text.as_bytes());
    hash.0.max(1)
}

/// A fingerprint of a JSON value, whatever the order of its keys; 0 for null alone.
#[must_use]
pub fn fingerprint_json(value: &serde_json::Value) -> u64 {
    if value.is_null() {
        return 0;
    }
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    // Maps are ordered by key in memory, and this writer cannot fail.
    let _infallible = serde_json::to_writer(&mut hash, value);
    hash.0.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_ignore_the_order_of_keys_and_keep_zero_for_nothing() {
        let parse = |text: &str| fingerprint_json(&serde_json::from_str(text).unwrap());
        assert_eq!(parse(r#"{"a":1,"b":{"c":2,"d":3}}"#), parse(r#"{"b":{"d":3,"c":2},"a":1}"#));
        assert_ne!(parse(r#"{"a":1}"#), parse(r#"{"a":2}"#));
        assert_eq!((parse("null"), fingerprint("")), (0, 0));
        // The test vector "a" of the authors of FNV-1a.
        assert_eq!(fingerprint("a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn words_of_argo_cd_are_read_and_unknown_ones_stay_unknown() {
        assert_eq!(Health::from_word("Degraded"), Health::Degraded);
        assert_eq!(Health::from_word("healthy"), Health::Unknown);
        assert_eq!(Sync::from_word("OutOfSync"), Sync::OutOfSync);
        assert_eq!(Sync::from_word(""), Sync::Unknown);
    }
}
