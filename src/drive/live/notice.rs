//! What children and harness tell each other beside signals: JSON, rare, small.

use crate::measure::{Figures, Role};
use serde::{Deserialize, Serialize};

/// A child tells the harness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Notice {
    /// It can be used now.
    Ready {
        /// Where it listens, `https://127.0.0.1:6443`; empty for a manager.
        url: String,
        /// Its authority in PEM; empty without TLS.
        ca_pem: String,
        /// Bearer tokens of its clusters in the order of their ids.
        tokens: Vec<String>,
    },
    /// What it counted, by role: the leaves' process is two, its servers and the controllers modelled on them.
    Final {
        /// What each role counted.
        figures: Vec<(Role, Figures)>,
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
