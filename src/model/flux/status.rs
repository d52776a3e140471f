//! The status of a Flux object and the rule by which controllers write it.
//!
//! The rule (fluxcd/pkg runtime/patch, confirmed by recording): a write call compares the whole status with what it last
//! wrote. Changed conditions cost one PATCH under the cached resourceVersion, and then a second PATCH with the other
//! changed fields, sent even when it is `{}`; other fields alone cost one; nothing costs none.

use super::catalogue::Revision;
use crate::ids::AddonId;
use crate::units::Time;
use smallvec::SmallVec;
use std::sync::Arc;

/// The type of a condition, in the order in which Flux lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "Flux's own names")]
pub enum ConditionType {
    Reconciling,
    Stalled,
    Ready,
    ArtifactInStorage,
    ArtifactOutdated,
    FetchFailed,
    Healthy,
    Released,
    Remediated,
}

/// The status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the three values of Kubernetes")]
pub enum Truth {
    True,
    False,
    Unknown,
}

/// Reasons of conditions and events, by Flux's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "Flux's own names")]
pub enum Reason {
    Progressing,
    ProgressingWithRetry,
    Succeeded,
    NewRevision,
    NewArtifact,
    ArtifactUpToDate,
    GitOperationSucceeded,
    GitOperationFailed,
    FetchFailed,
    ChartPullSucceeded,
    NoSourceArtifact,
    GarbageCollectionSucceeded,
    ArtifactFailed,
    DependencyNotReady,
    BuildFailed,
    ReconciliationSucceeded,
    ReconciliationFailed,
    HealthCheckFailed,
    HelmChartCreated,
    HelmChartConfigured,
    HelmChartDeleted,
    SourceNotReady,
    InstallSucceeded,
    UpgradeSucceeded,
    UninstallSucceeded,
    InstallFailed,
    UpgradeFailed,
    RollbackSucceeded,
    DriftCorrected,
    RetriesExceeded,
}

/// Messages of conditions and events; `render` has the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is a sentence of Flux's")]
pub enum Text {
    InProgress,
    NewGeneration { from: u32, to: u32 },
    BuildingArtifact,
    NewUpstream(Revision),
    Stored(Revision),
    UpToDate(Revision),
    FetchFailed,
    GarbageCollected,
    Fetching(Revision),
    Building(Revision),
    DetectingDrift(Revision),
    HealthChecks(Revision),
    HealthPassed(Revision),
    HealthFailed,
    Applied(Revision),
    Configured(Revision),
    Pruned,
    Finished { millis: u32 },
    SourceMissing,
    NoArtifact,
    NoBuild,
    Dependency,
    ApplyFailed { code: u16 },
    Fulfilling,
    ChartChanged,
    ChartNotReady,
    RunningAction { upgrade: bool },
    ActionSucceeded { upgrade: bool, release: u32 },
    ActionFailed { upgrade: bool, release: u32 },
    Remediated,
    Uninstalled,
    DriftCorrected,
}

/// One condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Its type.
    pub kind: ConditionType,
    /// Whether it holds.
    pub truth: Truth,
    /// Why.
    pub reason: Reason,
    /// In words.
    pub text: Text,
    /// Since when it is in this state.
    pub since: Time,
    /// `observedGeneration`.
    pub generation: u32,
}

/// A set of conditions in Flux's order.
pub type Conditions = SmallVec<[Condition; 3]>;

/// Which fields of a status besides its conditions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fields(u16);

impl Fields {
    /// None.
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self(1023);
    /// `observedGeneration`.
    pub const GENERATION: Self = Self(1);
    /// `lastHandledReconcileAt`.
    pub const HANDLED: Self = Self(2);
    /// `artifact`, `url`.
    pub const ARTIFACT: Self = Self(4);
    /// `lastAttemptedRevision` (and, of a HelmRelease, the other `lastAttempted..`).
    pub const ATTEMPTED: Self = Self(8);
    /// `lastAppliedRevision`.
    pub const APPLIED: Self = Self(16);
    /// `inventory`.
    pub const INVENTORY: Self = Self(32);
    /// `history`.
    pub const HISTORY: Self = Self(64);
    /// `helmChart`, `storageNamespace`.
    pub const CHART: Self = Self(128);
    /// `observedSourceArtifactRevision`, `observedChartName`.
    pub const OBSERVED: Self = Self(256);
    /// `failures` and its kin.
    pub const FAILURES: Self = Self(512);

    /// Whether all of `other` are among these.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a source offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// The revision.
    pub revision: Revision,
    /// Since when.
    pub at: Time,
}

/// An entry of a workload's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What was applied.
    pub revision: Revision,
    /// Fingerprint of the rendered manifests.
    pub digest: u64,
    /// First and last time.
    pub first: Time,
    /// Last time.
    pub last: Time,
    /// How long the last one took, ms.
    pub millis: u32,
    /// How often.
    pub count: u32,
    /// Helm: revision of the release; else 0.
    pub release: u32,
    /// It became ready.
    pub ok: bool,
    /// Helm: replaced by a later one.
    pub superseded: bool,
}

/// The status of one Flux object, as its controller has it in memory.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Its conditions.
    pub conditions: Conditions,
    changed: Fields,
    /// `observedGeneration`.
    pub generation: u32,
    /// `lastHandledReconcileAt`.
    pub handled: Option<Arc<str>>,
    /// Sources: what they offer.
    pub artifact: Option<Artifact>,
    /// Workloads: what was tried last. HelmChart: the source revision last looked at.
    pub attempted: Option<Revision>,
    /// Workloads: what is in force.
    pub applied: Option<Revision>,
    /// Helm: fingerprint of the values in force.
    pub config: u64,
    /// Workloads: whose objects are applied.
    pub inventory: Option<AddonId>,
    /// Workloads: newest first.
    pub history: SmallVec<[Snapshot; 1]>,
    /// Helm: `helmChart` is set.
    pub chart: bool,
    /// Helm: failed actions since the last change.
    pub failures: u32,
}

impl Status {
    /// The condition of a type.
    #[must_use]
    pub fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|c| c.kind == kind)
    }

    /// Whether a condition is True.
    #[must_use]
    pub fn is_true(&self, kind: ConditionType) -> bool {
        self.condition(kind).is_some_and(|c| c.truth == Truth::True)
    }

    /// Ready at the generation.
    #[must_use]
    pub fn is_ready(&self, generation: u32) -> bool {
        self.generation == generation && self.is_true(ConditionType::Ready)
    }

    /// Sets a condition; its time moves only if anything else does.
    pub(super) fn set(&mut self, new: Condition) {
        match self.conditions.binary_search_by_key(&new.kind, |c| c.kind) {
            Ok(at) => {
                let old = &mut self.conditions[at];
                let same = (old.truth, old.reason, old.text, old.generation)
                    == (new.truth, new.reason, new.text, new.generation);
                if !same {
                    *old = new;
                }
            }
            Err(at) => self.conditions.insert(at, new),
        }
    }

    /// Removes a condition.
    pub(super) fn unset(&mut self, kind: ConditionType) {
        self.conditions.retain(|c| c.kind != kind);
    }

    /// Notes that fields changed.
    pub(super) const fn touch(&mut self, fields: Fields) {
        self.changed = self.changed.with(fields);
    }

    /// Sets one field and notes whether it changed.
    pub(super) fn put<T: PartialEq>(&mut self, field: Fields, place: fn(&mut Self) -> &mut T, value: T) {
        let slot = place(self);
        if *slot != value {
            *slot = value;
            self.touch(field);
        }
    }

    /// The fields that changed since the last call of this.
    pub(super) const fn take_changed(&mut self) -> Fields {
        let changed = self.changed;
        self.changed = Fields::NONE;
        changed
    }

    /// The newest entry of the history.
    #[must_use]
    pub fn latest(&self) -> Option<&Snapshot> {
        self.history.first()
    }

    /// Adds a snapshot, or counts again one that is the newest already; keeps five (Flux's limit).
    pub(super) fn remember(&mut self, new: Snapshot) {
        self.touch(Fields::HISTORY);
        if let Some(old) = self.history.first_mut()
            && (old.digest, old.ok, old.release, old.revision) == (new.digest, new.ok, new.release, new.revision)
        {
            *old = Snapshot { first: old.first, count: old.count + 1, ..new };
            return;
        }
        self.history.insert(0, new);
        self.history.truncate(5);
    }
}
