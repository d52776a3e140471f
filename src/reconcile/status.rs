//! The status of an Application as a value: comparable, copyable, without text.
//!
//! Texts (messages, revisions) appear as fingerprints; the rim that writes a status puts the texts back. What it never
//! does: decide calls (that is the machine's) or write JSON (that is `render`'s).

use super::Health;
use crate::calls::{ContentId, Kind};

/// Argo CD's `status.sync.status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sync {
    /// Live objects have what is desired.
    Synced,
    /// They do not.
    OutOfSync,
    /// The comparison failed, or none was made yet.
    #[default]
    Unknown,
}

impl Sync {
    /// Argo CD's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Synced => "Synced",
            Self::OutOfSync => "OutOfSync",
            Self::Unknown => "Unknown",
        }
    }

    /// The state of Argo CD's word; anything else is unknown.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "Synced" => Self::Synced,
            "OutOfSync" => Self::OutOfSync,
            _ => Self::Unknown,
        }
    }
}

/// One entry of `status.resources`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Resource {
    /// The object's kind.
    pub kind: Kind,
    /// Whether it is as desired.
    pub sync: Sync,
    /// Its health; `None` for kinds without a health check.
    pub health: Option<Health>,
    /// Fingerprint of the text shown with the health.
    pub message: ContentId,
}

/// Why an app cannot be compared or synced: Argo CD's `ComparisonError`, without its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Problem {
    /// The Application cannot be translated; the fingerprint is that of the reason.
    Translation(ContentId),
    /// The original crashes on this Application and never updates it (faithful only).
    Crash,
    /// No such cluster is registered.
    NoCluster,
    /// The cluster's API server does not answer.
    Unreachable,
    /// The cluster's API server refuses with this status.
    Refused(u16),
    /// The workload names a source of a kind that cannot be read.
    SourceKind,
    /// The destination namespace does not exist, and nobody asked to create it.
    NoNamespace,
}

impl Problem {
    /// Whether trying again without any change may help.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        !matches!(self, Self::Translation(_) | Self::Crash | Self::NoCluster | Self::SourceKind)
    }

    /// The type of the Application's condition, one of Argo CD's: the comparison failed, or the sync did.
    #[must_use]
    pub const fn condition(self) -> &'static str {
        if matches!(self, Self::NoNamespace) { "SyncError" } else { "ComparisonError" }
    }

    /// The text for people; `detail` is the reason behind [`Problem::Translation`], the namespace of
    /// [`Problem::NoNamespace`].
    #[must_use]
    pub fn text(self, server: &str, detail: &str) -> String {
        match self {
            Self::Translation(_) | Self::Crash => detail.to_owned(),
            Self::NoNamespace => format!(
                "namespace {detail} does not exist on cluster {server}: create it, or add CreateNamespace=true to the sync options"
            ),
            Self::Refused(404) => format!(
                "cluster {server} does not serve the Flux kinds that the Application needs: install Flux there, or choose the API versions that it has"
            ),
            Self::NoCluster => format!("cluster {server} is not registered: create its cluster Secret"),
            Self::Unreachable => format!("cluster {server} does not answer"),
            Self::Refused(401) => format!("cluster {server} answers 401: check the token of its cluster Secret"),
            Self::Refused(code) => format!("cluster {server} answers {code}"),
            Self::SourceKind => "the workload's sourceRef names a kind that cannot be read".to_owned(),
        }
    }
}

/// Argo CD's `status.operationState.phase`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Under way.
    Running,
    /// All objects were applied.
    Succeeded,
    /// Some could not be.
    Failed,
}

impl Phase {
    /// Argo CD's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }

    /// The phase of Argo CD's word; `Error` counts as failed.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "Running" => Some(Self::Running),
            "Succeeded" => Some(Self::Succeeded),
            "Failed" | "Error" => Some(Self::Failed),
            _ => None,
        }
    }
}

/// What the Application's status says. The default is an Application nobody looked at yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Status {
    /// `status.sync.status`.
    pub sync: Sync,
    /// `status.health.status`; `None` before the first comparison.
    pub health: Option<Health>,
    /// `status.resources`, workload and source.
    pub resources: [Option<Resource>; 2],
    /// Fingerprint of `status.sync.revision`.
    pub revision: ContentId,
    /// Fingerprint of the source and destination in `status.sync.comparedTo`.
    pub compared_to: ContentId,
    /// The `ComparisonError` condition, if there is one.
    pub problem: Option<Problem>,
    /// The last operation.
    pub phase: Option<Phase>,
}

/// How soon a difference between two statuses must be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// There is none.
    Nothing,
    /// It may wait for the next write, or a few seconds: the objects' details, or the short `Progressing` of a
    /// Flux object that is looked at again.
    Detail,
    /// At once: what the app as a whole is.
    Now,
}

impl Status {
    /// How soon `self` must be written over `old`.
    #[must_use]
    pub fn urgency(&self, old: &Self) -> Urgency {
        if self == old {
            return Urgency::Nothing;
        }
        // Flux sets Ready to Unknown at the start of every reconcile, changed or not.
        let flicker = old.health == Some(Health::Healthy) && self.health == Some(Health::Progressing);
        let same = self.sync == old.sync
            && self.revision == old.revision
            && self.compared_to == old.compared_to
            && self.problem == old.problem
            && self.phase == old.phase;
        if same && (flicker || self.health == old.health) { Urgency::Detail } else { Urgency::Now }
    }
}
