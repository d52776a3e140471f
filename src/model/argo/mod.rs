//! Argo CD's application-controller: what it decides, in which order it calls, and what that costs.
//!
//! In: what the informers know of an Application ([`App`]), answers to calls, the time. Out: steps of a pass ([`Step`]):
//! calls, CPU, manifests to render, and what a pass decided. Never a clock, never a draw, never an object's bytes.
//!
//! ```text
//! queue    client-go's work queue: FIFO, one of each key, again if it came while it was worked on
//! app      an Application as the informer has it; the gate that says whether a refresh is due
//! refresh  one pass of a status processor     operation  one pass of an operation processor
//! cluster  what a cluster cache asks for      costs      CPU, memory, sizes, each with its source
//! ```
//!
//! Behaviour: Argo CD v3.2.0, recorded against kube-apiserver 1.36 (`tests/data/argo` holds the sequences, `tests.rs`
//! beside this file compares); v2.8 and 3.6 where [`Version`] says so.

mod app;
pub mod cluster;
pub mod costs;
mod operation;
mod queue;
mod refresh;

#[cfg(test)]
mod tests;

pub use app::{App, Asked, Compared, Health, Level, Phase, Status, Sync};
pub use operation::Operation;
pub use queue::WorkQueue;
pub use refresh::Refresh;

use crate::calls::{Kind, Verb};
use crate::units::Span;
use smallvec::SmallVec;

/// What differs between releases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 2.8: events of the destination are taken one by one.
    V2,
    /// 3.2 to 3.5.
    #[default]
    V3,
    /// 3.6: a finished refresh no longer wakes the operation queue.
    V36,
}

/// What a controller is told to do.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Which release.
    pub version: Version,
    /// `ARGOCD_RECONCILIATION_TIMEOUT`.
    pub resync: Span,
    /// CPU.
    pub costs: costs::Costs,
}

/// Through which client a call goes. Each has a rate limiter of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Client {
    /// The Application clientset: one token bucket for all workers of a process.
    Applications,
    /// The Kubernetes clientset of the hub: events.
    Events,
    /// kubectl and discovery on the destination: a fresh client per run, never limited in practice (0 of 2,408 calls
    /// waited).
    Destination,
}

/// What a call changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: a read, an event.
    None,
    /// The spec of an Application is written in its normal form.
    Normalise,
    /// `operation` is put on the Application.
    Ask(Asked),
    /// `status.operationState.phase` becomes Running, `operation` goes.
    Running,
    /// `status.history`.
    History,
    /// The operation is over.
    Succeeded,
    /// The outcome of a refresh.
    Report(Status),
    /// The `n`-th object of the app becomes what the revision wants.
    Object(u16),
    /// The `n`-th object of the app goes.
    Remove(u16),
    /// The finalizer goes.
    Release,
}

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Through which client.
    pub client: Client,
    /// What it does.
    pub verb: Verb,
    /// With what; for [`Verb::Discover`] it means nothing.
    pub kind: Kind,
    /// The object of the app that it reads, for the code of the answer.
    pub object: Option<u16>,
    /// What it changes.
    pub effect: Effect,
}

impl Call {
    const fn new(client: Client, verb: Verb, kind: Kind, effect: Effect) -> Self {
        Self { client, verb, kind, object: None, effect }
    }

    const fn app(verb: Verb, effect: Effect) -> Self {
        Self::new(Client::Applications, verb, Kind::APPLICATION, effect)
    }

    /// GET of discovery or OpenAPI.
    const fn discover() -> Self {
        Self::new(Client::Destination, Verb::Discover, Kind::CUSTOM_RESOURCE_DEFINITION, Effect::None)
    }

    const fn object(verb: Verb, kind: Kind, n: u16, effect: Effect) -> Self {
        Self { client: Client::Destination, verb, kind, object: Some(n), effect }
    }
}

/// Calls that are in flight together.
pub type Calls = SmallVec<[Call; 2]>;

/// What a pass wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// CPU of the controller.
    Think(Span),
    /// The cluster cache of the destination; the worker waits until it is there.
    Cluster,
    /// The revision and its manifests, from the repo-server; the level says which revision.
    Render(Level),
    /// A comparison of wanted and cached state.
    Look,
    /// Answers to these calls.
    Call(Calls),
    /// Events, which nobody waits for.
    Events(u8),
    /// So many permits of `--kubectl-parallelism-limit`.
    Permits(u16),
    /// They are given back.
    Return(u16),
    /// The worker sleeps.
    Sleep(Span),
    /// The pass is over.
    Done,
}

/// What a pass is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// It may go on.
    Go,
    /// The codes of its calls, in their order.
    Codes(&'a [u16]),
    /// The revision.
    Revision(u64),
    /// The comparison, and each object's part in it.
    Compared(Compared, &'a [Live]),
}

/// An object of the app as the cluster cache has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Live {
    /// Not there.
    Absent,
    /// Not as wanted.
    Differs,
    /// As wanted.
    Same,
}
