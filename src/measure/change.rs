//! The words of a change: what was intended, the hops it passes, how it ended.

use crate::ids::AppId;
use crate::units::{Span, Time};

/// What kind of change meets an app.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// The Application is created.
    Install,
    /// Its target revision moves.
    Upgrade,
    /// A new commit, digest or chart appears under the same reference; the hub sees no change.
    Commit,
    /// Its values change.
    Scale,
    /// The Application is deleted.
    Decommission,
    /// Somebody changes an installed object behind the controllers' backs.
    Drift,
}

impl ChangeKind {
    /// Every kind, in the order of reports.
    pub const ALL: [Self; 6] =
        [Self::Install, Self::Upgrade, Self::Commit, Self::Scale, Self::Decommission, Self::Drift];

    /// Its name in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade => "upgrade",
            Self::Commit => "commit",
            Self::Scale => "scale",
            Self::Decommission => "decommission",
            Self::Drift => "drift",
        }
    }

    /// The change starts with a write to the Application's spec, so a manager writes Flux objects for it.
    const fn is_of_spec(self) -> bool {
        matches!(self, Self::Install | Self::Upgrade | Self::Scale)
    }

    /// Flux brings the change to the cluster and a manager reports it.
    pub(super) const fn rolls_out(self) -> bool {
        matches!(self, Self::Install | Self::Upgrade | Self::Commit | Self::Scale)
    }

    /// Nothing of the workload counts before the manager wrote a Flux object.
    pub(super) const fn needs_written(self, through_flux: bool) -> bool {
        self.is_of_spec() && through_flux
    }
}

/// The hops of a change, in order. A hop is the time since the previous one *present*; they sum to `EndToEnd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, schemars::JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Hop {
    /// The manager knows.
    Seen,
    /// The Flux objects are on the leaf.
    Written,
    /// The source's artifact is ready.
    Fetched,
    /// The workload's objects are applied (drift: restored; decommission: removed).
    Applied,
    /// The workload object is Ready.
    Ready,
    /// The Application's status says so (decommission: everything is gone).
    Reported,
    /// From the intended time of the change to its end.
    EndToEnd,
}

impl Hop {
    /// The hops and their sum, in order.
    pub const ALL: [Self; 7] =
        [Self::Seen, Self::Written, Self::Fetched, Self::Applied, Self::Ready, Self::Reported, Self::EndToEnd];

    /// Its name in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Written => "written",
            Self::Fetched => "fetched",
            Self::Applied => "applied",
            Self::Ready => "ready",
            Self::Reported => "reported",
            Self::EndToEnd => "end_to_end",
        }
    }
}

/// A change as it was intended, and what must be seen for it to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub app: AppId,
    /// What kind.
    pub kind: ChangeKind,
    /// When the schedule wanted it, whether or not the generator kept up (open loop).
    pub intended: Time,
    /// Fingerprint of the new `spec.source`, to be reported as compared; 0 when it does not matter.
    pub source: u64,
    /// Fingerprint of the revision to be fetched and applied; 0 when it is unknown or does not change.
    pub revision: u64,
    /// Drift: the object, as signals name it.
    pub object: u64,
    /// The change is done only after the workload object became Ready anew. False for ordinary Applications, for Flux
    /// objects that are there before the change, and where nothing observes the leaves.
    pub through_flux: bool,
    /// Decommission: Flux and installed objects go too.
    pub cascade: bool,
}

/// A change that reached its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Whose.
    pub app: AppId,
    /// What kind.
    pub kind: ChangeKind,
    /// When it ended.
    pub at: Time,
    /// Per hop present, the time since the previous one.
    pub hops: [Option<Span>; 6],
    /// From the intended time to the end: the sum of `hops`.
    pub end_to_end: Span,
}

impl Finished {
    /// Turns the times at which hops were reached into hops. A hop reached before its predecessor took no time of its
    /// own, so that the hops always sum to the whole.
    #[must_use]
    pub fn new(change: &Change, reached: &[Option<Time>; 6]) -> Self {
        let mut before = change.intended;
        let hops = reached.map(|at| {
            let at = at?.max(before);
            let hop = at.since(before);
            before = at;
            Some(hop)
        });
        Self { app: change.app, kind: change.kind, at: before, hops, end_to_end: before.since(change.intended) }
    }

    /// The time of a hop, `None` when the change did not pass it.
    #[must_use]
    pub const fn hop(&self, hop: Hop) -> Option<Span> {
        match hop {
            Hop::EndToEnd => Some(self.end_to_end),
            _ => self.hops[hop as usize],
        }
    }
}
