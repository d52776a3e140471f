//! One application-controller: its queues, its clients, what it used.

use crate::calls::Kind;
use crate::drive::virtual_time::tally::Counts;
use crate::model::argo::WorkQueue;
use crate::reconcile::TokenBucket;
use crate::scenario::{Argo, Scenario};
use crate::units::{Span, Time};
use std::collections::VecDeque;

/// See the module head.
#[derive(Debug)]
pub(super) struct Controller {
    pub(super) refreshes: WorkQueue,
    pub(super) operations: WorkQueue,
    /// The Application clientset's limiter, and the events'.
    pub(super) applications: TokenBucket,
    pub(super) events: TokenBucket,
    /// Permits of the kubectl semaphore, and who waits for how many.
    pub(super) permits: u16,
    pub(super) waiting: VecDeque<(u32, u16)>,
    /// On which machine it runs.
    pub(super) machine: usize,
    /// The informer's handler is at work until then (consistent hashing is recomputed in it).
    pub(super) handler: Time,
    pub(super) counts: Counts,
    pub(super) used: Used,
}

/// What it used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used {
    pub(super) cpu: Span,
    /// Calls through the Application clientset, and how long they waited in all.
    pub(super) calls: u64,
    pub(super) throttled: Span,
    /// Worker time.
    pub(super) refreshing: Span,
    pub(super) operating: Span,
    /// CPU of recomputes.
    pub(super) recompute: Span,
    pub(super) passes: u64,
    pub(super) dropped: u64,
    pub(super) syncs: u64,
    pub(super) watch_events: u64,
    pub(super) operating_max: u32,
    pub(super) clusters: u64,
}

impl Controller {
    pub(super) fn new(scenario: &Scenario, argo: Argo, apps: usize, machine: usize) -> Self {
        let manager = &scenario.manager;
        Self {
            refreshes: WorkQueue::new(apps, manager.concurrency),
            operations: WorkQueue::new(apps, argo.operations),
            applications: TokenBucket::new(manager.hub_qps_milli, manager.hub_burst),
            events: TokenBucket::new(manager.hub_qps_milli, manager.hub_burst),
            permits: u16::try_from(argo.kubectl).unwrap_or(u16::MAX),
            waiting: VecDeque::new(),
            machine,
            handler: Time(0),
            counts: Counts::new(),
            used: Used::default(),
        }
    }

    /// When a call may leave.
    pub(super) fn admit(&mut self, kind: Kind, now: Time) -> Time {
        if kind != Kind::APPLICATION {
            return now;
        }
        let wait = self.applications.reserve(now);
        self.used.calls += 1;
        self.used.throttled += wait;
        now + wait
    }
}
