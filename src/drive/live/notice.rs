//! What children and harness tell each other beside signals: JSON, rare, small.

use serde::{Deserialize, Serialize};

/// A child tells the harness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Notice {
    /// It can be used now.
    Ready {
        /// Where it listens, `127.0.0.1:6443`; empty for a manager.
        address: String,
    },
    /// Its figures at the end.
    Final(Figures),
    /// It cannot go on, and why.
    Failed {
        /// For the user.
        message: String,
    },
}

/// What only the child itself could count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Calls by what they were: made (manager) or served (servers).
    pub(crate) calls: Vec<Calls>,
    /// Bytes received from sockets.
    pub(crate) bytes_in: u64,
    /// Bytes sent to sockets.
    pub(crate) bytes_out: u64,
    /// Most connections at the same time.
    pub(crate) connections_max: u64,
    /// Most watches at the same time.
    pub(crate) watches_max: u64,
    /// Most objects held at the same time: stored (servers) or cached (managers).
    pub(crate) objects_max: u64,
    /// Watch events sent or received.
    pub(crate) watch_events: u64,
    /// Signals that did not fit the queue.
    pub(crate) dropped_signals: u64,
    /// CPU of named threads, nanoseconds.
    pub(crate) threads_cpu_ns: Vec<(String, u64)>,
}

/// Calls of one kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Calls {
    /// Who asked: the first word of the User-Agent.
    pub(crate) caller: String,
    /// `hub` or `leaf`.
    pub(crate) target: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `apply`, `delete`, `discover`.
    pub(crate) verb: String,
    /// Plural name, empty for what has none.
    pub(crate) resource: String,
    /// Subresource, empty for none.
    pub(crate) subresource: String,
    /// `dryRun=All`.
    pub(crate) dry_run: bool,
    /// HTTP status.
    pub(crate) code: u16,
    /// How often.
    pub(crate) count: u64,
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
