//! An Application as the informer has it, and the gate in front of a refresh.

use super::Settings;
use crate::units::{Span, Time};

/// `status.sync.status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sync {
    /// Never compared, or it could not be.
    #[default]
    Unknown,
    /// As wanted.
    Synced,
    /// Not as wanted.
    OutOfSync,
}

/// `status.health.status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// All is well.
    Healthy,
    /// On its way.
    Progressing,
    /// Not there.
    Missing,
    /// It failed.
    Degraded,
    /// Never looked at.
    #[default]
    Unknown,
}

/// The status that a refresh writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Status {
    /// `sync.status`.
    pub sync: Sync,
    /// `health.status`.
    pub health: Health,
    /// Fingerprint of `sync.comparedTo.source`; 0 for never.
    pub compared: u64,
    /// Fingerprint of `sync.revision`; 0 for none.
    pub revision: u64,
    /// `reconciledAt`, whole seconds; `None` for never.
    pub reconciled: Option<Time>,
}

impl Status {
    /// Everything but the time.
    #[must_use]
    pub const fn essence(&self) -> (Sync, Health, u64, u64) {
        (self.sync, self.health, self.compared, self.revision)
    }
}

/// An operation as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    /// A person asked, not auto-sync.
    pub by_hand: bool,
    /// Only what is out of sync (self-heal).
    pub partial: bool,
}

/// `status.operationState.phase`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    /// There was no operation.
    #[default]
    None,
    /// Under way.
    Running,
    /// Done.
    Succeeded,
}

/// Why a refresh looks, and how closely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// `CompareWithRecent`: the revision of the last comparison.
    Recent,
    /// `CompareWithLatest`: the target revision, from the revision cache if that is young enough.
    Latest,
    /// `CompareWithLatestForceResolve`: the repository is asked.
    Force,
}

/// An Application.
#[derive(Clone, Copy, Debug, Default)]
pub struct App {
    /// It is there.
    pub exists: bool,
    /// It is being deleted.
    pub deleting: bool,
    /// It carries the finalizer.
    pub finalizer: bool,
    /// `syncPolicy.automated`.
    pub automated: bool,
    /// `syncPolicy.automated.selfHeal`.
    pub self_heal: bool,
    /// `metadata.generation`.
    pub generation: u32,
    /// Fingerprint of `spec.source`.
    pub source: u64,
    /// The spec is in its normal form.
    pub normal: bool,
    /// `argocd.argoproj.io/refresh`.
    pub annotated: bool,
    /// `status`.
    pub status: Status,
    /// `operation`.
    pub operation: Option<Asked>,
    /// `status.operationState`.
    pub phase: Phase,
    /// What the last operation synced: source and revision.
    pub synced: (u64, u64),
    /// When it finished.
    pub finished: Time,
    /// Self-heal attempts at this revision.
    pub attempts: u8,
    /// The level that somebody asked for since the last pass.
    pub requested: Option<Level>,
}

/// Self-heal's back-off: 2 s, factor 3, at most 300 s; the first attempt waits for nothing.
#[must_use]
pub(super) fn heal_wait(attempts: u8) -> Span {
    if attempts == 0 {
        return Span::ZERO;
    }
    let factor = 3_u64.saturating_pow(u32::from(attempts) - 1);
    Span::from_secs(factor.saturating_mul(2).min(300))
}

/// What a comparison found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Objects that are not as wanted.
    pub out_of_sync: u16,
    /// Health of all of them.
    pub health: Health,
}

impl App {
    /// Somebody asks for a refresh at this level.
    pub fn request(&mut self, level: Level) {
        self.requested = self.requested.max(Some(level));
    }

    /// The gate: at which level a refresh is due, if any. The rules are asked in the order of the original, and only the
    /// last one uses the request up.
    pub fn gate(&mut self, now: Time, settings: &Settings) -> Option<Level> {
        if !self.exists {
            return None;
        }
        if self.annotated || self.status.compared != self.source {
            return Some(Level::Force);
        }
        if self.is_expired(now, settings.resync) {
            return Some(Level::Latest);
        }
        self.requested.take()
    }

    /// Soft expiry: `reconciledAt` lies longer back than the timeout.
    #[must_use]
    pub fn is_expired(&self, now: Time, resync: Span) -> bool {
        self.status.reconciled.is_none_or(|at| at + resync < now)
    }

    /// What auto-sync makes of a comparison: an operation now, or self-heal after a while.
    #[must_use]
    pub fn auto_sync(&self, compared: Compared, revision: u64, now: Time) -> AutoSync {
        if !self.automated || self.deleting || compared.out_of_sync == 0 {
            return AutoSync::No;
        }
        if self.operation.is_some() || self.phase == Phase::Running {
            return AutoSync::No;
        }
        if self.phase == Phase::None || self.synced != (self.source, revision) {
            return AutoSync::Now(Asked { by_hand: false, partial: false });
        }
        // Already attempted at this revision.
        if !self.self_heal {
            return AutoSync::No;
        }
        let due = self.finished + heal_wait(self.attempts);
        if due > now {
            return AutoSync::After(due.since(now));
        }
        AutoSync::Now(Asked { by_hand: false, partial: true })
    }
}

/// See [`App::auto_sync`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoSync {
    /// Nothing to do.
    No,
    /// This operation.
    Now(Asked),
    /// A refresh after so long, which will ask again.
    After(Span),
}
