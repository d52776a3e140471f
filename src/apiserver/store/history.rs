//! The recent past of one resource on one cluster, and the one byte limit of all histories of the process.

use super::objects::key_order;
use crate::apiserver::object::{Form, Object};
use crate::apiserver::schema::Resource;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// It came.
    Added,
    /// It changed.
    Modified,
    /// It went.
    Deleted,
}

impl EventKind {
    /// The word on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// One committed write.
#[derive(Debug)]
pub struct Event {
    /// The write's resourceVersion.
    pub resource_version: u64,
    /// What happened.
    pub kind: EventKind,
    /// The object after the write; for a deletion its last state with the resourceVersion of the deletion.
    pub object: Arc<Object>,
    /// The object before the write.
    pub previous: Option<Arc<Object>>,
    second: u64,
    bytes: usize,
    /// Shared by all watchers at the version it was encoded for.
    encoded: OnceLock<(String, Bytes)>,
    share: bool,
}

impl Event {
    /// `{"type":..,"object":..}` and a newline at the version of `asked`; encoded once if several watch.
    #[must_use]
    pub fn json(&self, asked: &Resource) -> Bytes {
        if !self.share {
            return encode(self.kind, &self.object, self.resource_version, asked);
        }
        let (version, bytes) = self
            .encoded
            .get_or_init(|| (asked.version.clone(), encode(self.kind, &self.object, self.resource_version, asked)));
        if *version == asked.version {
            return bytes.clone();
        }
        encode(self.kind, &self.object, self.resource_version, asked)
    }
}

/// One event as a line of a JSON watch.
pub(super) fn encode(kind: EventKind, object: &Object, resource_version: u64, asked: &Resource) -> Bytes {
    let mut out = Vec::with_capacity(2048);
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.name().as_bytes());
    out.extend_from_slice(b"\",\"object\":");
    object.render_at(asked, Form::Alone, resource_version, &mut out);
    out.extend_from_slice(b"}\n");
    Bytes::from(out)
}

/// Events in order, and the version below which they are forgotten.
#[derive(Debug, Default)]
pub struct History {
    events: VecDeque<Arc<Event>>,
    floor: u64,
}

impl History {
    /// Events after a version, or `Err` with the oldest version that can be resumed from.
    ///
    /// # Errors
    /// The floor, when events after `version` may be forgotten.
    pub fn after(&self, version: u64) -> Result<impl DoubleEndedIterator<Item = &Arc<Event>> + ExactSizeIterator, u64> {
        if version < self.floor {
            return Err(self.floor);
        }
        let start = self.events.partition_point(|event| event.resource_version <= version);
        Ok(self.events.range(start..))
    }

    /// Appends an event. If that breaks the limit of the process, this history gives back as much as it took; the
    /// oldest of all histories go at the next turn.
    pub(super) fn push(&mut self, event: Event, budget: &Budget) {
        let mut owed = event.bytes;
        budget.add(event.second, event.bytes);
        self.events.push_back(Arc::new(event));
        while budget.is_over() && owed > 0 && self.events.len() > 1 {
            owed = owed.saturating_sub(self.events.front().map_or(0, |first| first.bytes));
            self.forget_front(budget);
            budget.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Forgets events of seconds before `second`; returns how many.
    pub(super) fn forget_before(&mut self, second: u64, budget: &Budget) -> usize {
        let mut dropped = 0;
        while self.events.front().is_some_and(|event| event.second < second) {
            self.forget_front(budget);
            dropped += 1;
        }
        if self.events.is_empty() {
            self.events.shrink_to_fit();
        }
        dropped
    }

    fn forget_front(&mut self, budget: &Budget) {
        if let Some(event) = self.events.pop_front() {
            self.floor = event.resource_version;
            budget.remove(event.second, event.bytes);
        }
    }

    /// Forgets everything up to `version`: resuming from before is 410.
    pub(super) fn forget_all(&mut self, version: u64, budget: &Budget) {
        while !self.events.is_empty() {
            self.forget_front(budget);
        }
        self.floor = version;
    }

    /// The objects that differ between `version` and now, as they were then (`None`: absent), sorted by key.
    ///
    /// # Errors
    /// The floor, when the past reaches back less far.
    pub(super) fn undo(&self, version: u64) -> Result<Vec<Past>, u64> {
        let mut then: Vec<Past> =
            self.after(version)?.map(|event| (event.object.clone(), event.previous.clone())).collect();
        // A stable sort keeps the oldest event of a key first, and its `previous` is the state asked for.
        then.sort_by(|(a, _), (b, _)| key_order(a.key(), b.key()));
        then.dedup_by(|(later, _), (first, _)| later.key() == first.key());
        Ok(then)
    }

    pub(super) fn event(
        kind: EventKind,
        object: Arc<Object>,
        previous: Option<Arc<Object>>,
        second: u64,
        watchers: usize,
    ) -> Event {
        let own = object.own_bytes(previous.as_deref());
        let share = watchers > 1;
        // A shared encoding holds the parts that the object shares with others as well.
        let bytes = std::mem::size_of::<Event>() + own + if share { own + 1024 } else { 0 };
        let resource_version = object.meta.resource_version;
        Event { resource_version, kind, object, previous, second, bytes, encoded: OnceLock::new(), share }
    }
}

/// An object that differs from a moment of the past, and what it was then (`None`: absent).
pub(in crate::apiserver) type Past = (Arc<Object>, Option<Arc<Object>>);

/// Seconds that the account can tell apart; older ones count as the oldest.
const SECONDS: usize = 1024;

/// The account of all histories of the process: bytes by the second in which they were written, so that the oldest can
/// go first without a global queue.
#[derive(Debug)]
pub(in crate::apiserver) struct Budget {
    limit: usize,
    used: AtomicUsize,
    by_second: Vec<AtomicUsize>,
    /// Nothing older than this is kept any more.
    cutoff: AtomicU64,
    trimming: Mutex<()>,
    dropped: AtomicU64,
}

impl Budget {
    pub(in crate::apiserver) fn new(limit: usize) -> Self {
        Self {
            limit,
            used: AtomicUsize::new(0),
            by_second: (0..SECONDS).map(|_| AtomicUsize::new(0)).collect(),
            cutoff: AtomicU64::new(0),
            trimming: Mutex::new(()),
            dropped: AtomicU64::new(0),
        }
    }

    fn slot(&self, second: u64) -> &AtomicUsize {
        let slots = self.by_second.len() as u64;
        &self.by_second[usize::try_from(second % slots).unwrap_or_default()]
    }

    fn add(&self, second: u64, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
        self.slot(second).fetch_add(bytes, Ordering::Relaxed);
    }

    fn remove(&self, second: u64, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        self.slot(second).fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether the histories hold more than they may.
    fn is_over(&self) -> bool {
        self.used() > self.limit
    }

    /// Bytes that all histories hold.
    pub(in crate::apiserver) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Events forgotten because of the byte limit.
    pub(in crate::apiserver) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// The second before which events must go: by age always, by bytes if the limit is passed. `None` if nothing is due.
    fn due(&self, now: u64, window: u64) -> Option<(u64, bool)> {
        let by_age = now.saturating_sub(window.min(SECONDS as u64 - 2));
        let from = self.cutoff.load(Ordering::Relaxed).max(now.saturating_sub(SECONDS as u64 - 1));
        let (mut left, mut cutoff) = (self.used(), by_age);
        let full = self.is_over();
        if full {
            // Down to nine tenths, so that the next write does not come here again.
            for second in from..now {
                if left <= self.limit / 10 * 9 {
                    break;
                }
                left -= self.slot(second).load(Ordering::Relaxed).min(left);
                cutoff = cutoff.max(second + 1);
            }
        }
        let old = (from..cutoff).any(|second| self.slot(second).load(Ordering::Relaxed) > 0);
        (old || cutoff > by_age).then_some((cutoff, full))
    }

    /// Calls `forget` with the second before which events must go, if any must; one caller at a time, others pass.
    pub(in crate::apiserver) fn trim(&self, now: u64, window: u64, forget: impl FnOnce(u64) -> usize) {
        let Some(_one) = self.trimming.try_lock() else { return };
        let Some((cutoff, full)) = self.due(now, window) else { return };
        let dropped = forget(cutoff);
        self.cutoff.fetch_max(cutoff, Ordering::Relaxed);
        if full {
            self.dropped.fetch_add(dropped as u64, Ordering::Relaxed);
        }
    }
}
