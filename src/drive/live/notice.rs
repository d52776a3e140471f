//! What children and harness tell each other beside signals: JSON, rare, small.

use super::settings::Access;
use crate::measure::{Figures, Role};
use serde::{Deserialize, Serialize};

/// A process that serves and is not ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Server {
    /// Its name in the record; processes of one name are told together.
    pub(crate) name: String,
    /// The operating system's id.
    pub(crate) pid: i32,
}

impl Notice {
    /// What a manager says when it can be used.
    pub(crate) const fn at_work() -> Self {
        Self::Ready { access: Access::nobody(), servers: Vec::new() }
    }
}

/// A child tells the harness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Notice {
    /// It can be used now.
    Ready {
        /// How its API servers are reached; nobody for a manager.
        access: Access,
        /// Processes of others that it started for the run.
        servers: Vec<Server>,
    },
    /// What it counted, by role: the leaves' process is two, its servers and the controllers modelled on them.
    Final {
        /// What each role counted.
        figures: Vec<(Role, Figures)>,
        /// Calls that programs of others made here, by the program.
        #[serde(default)]
        callers: Vec<(String, Figures)>,
        /// Signals that did not fit the queue.
        dropped: u64,
    },
    /// It cannot go on, and why.
    Failed {
        /// For the user.
        message: String,
    },
}

/// The harness tells a child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Order {
    /// A new commit (chart, digest) of an add-on appears at its source.
    Commit {
        /// Index of the add-on.
        addon: u32,
    },
}
