//! One watch: a cursor into a feed, polled by whoever writes the body.

use super::feed::{Feed, Look};
use super::history::{Event, EventKind, encode};
use super::wheel::Alarm;
use crate::apiserver::failure::Failure;
use crate::apiserver::object::Object;
use crate::apiserver::schema::Resource;
use crate::apiserver::select::Selector;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

/// Events taken from the feed at once: one lock per this many.
const BATCH: usize = 32;

/// What a watch says.
#[derive(Clone, Debug)]
pub enum WatchEvent {
    /// An object came, changed or went, as far as the watch's selector sees it.
    Object {
        /// As the selector sees it.
        kind: EventKind,
        /// The object; for a selector that it left, its last version that matched.
        object: Arc<Object>,
        /// The version to show in the object: that of the event.
        resource_version: u64,
        /// The committed write, if its encoding can be shared.
        source: Option<Arc<Event>>,
    },
    /// Everything up to this version was sent.
    Bookmark {
        /// The version.
        resource_version: u64,
        /// Whether this ends the initial events.
        initial_events_end: bool,
    },
    /// Something is wrong; the stream ends behind it.
    Error(Box<Failure>),
}

impl WatchEvent {
    /// The event as a line of a JSON watch at the version of `asked`.
    #[must_use]
    pub fn json(&self, asked: &Resource) -> Bytes {
        match self {
            Self::Object { source: Some(event), .. } => event.json(asked),
            Self::Object { kind, object, resource_version, .. } => encode(*kind, object, *resource_version, asked),
            Self::Bookmark { resource_version, initial_events_end } => {
                bookmark(asked, *resource_version, *initial_events_end)
            }
            Self::Error(failure) => {
                let mut out = b"{\"type\":\"ERROR\",\"object\":".to_vec();
                out.extend_from_slice(&failure.to_json());
                out.extend_from_slice(b"}\n");
                Bytes::from(out)
            }
        }
    }
}

fn bookmark(asked: &Resource, resource_version: u64, end: bool) -> Bytes {
    let annotations = if end { r#","annotations":{"k8s.io/initial-events-end":"true"}"# } else { "" };
    Bytes::from(format!(
        "{{\"type\":\"BOOKMARK\",\"object\":{{\"kind\":\"{}\",\"apiVersion\":\"{}\",\"metadata\":{{\"resourceVersion\":\"{resource_version}\"{annotations}}}}}}}\n",
        asked.kind,
        asked.api_version(),
    ))
}

/// How a watch starts.
pub(in crate::apiserver) struct Start {
    pub(in crate::apiserver) resource: Arc<Resource>,
    pub(in crate::apiserver) namespace: Option<Arc<str>>,
    pub(in crate::apiserver) selector: Selector,
    /// Events after this version follow.
    pub(in crate::apiserver) after: u64,
    /// Sent first, in order.
    pub(in crate::apiserver) initial: Vec<Arc<Object>>,
    /// Whether a bookmark ends the initial events.
    pub(in crate::apiserver) end_bookmark: bool,
    /// Sent instead of anything else.
    pub(in crate::apiserver) failure: Option<Failure>,
}

/// A running watch. Dropping it ends it.
#[derive(Debug)]
pub struct Subscription {
    resource: Arc<Resource>,
    namespace: Option<Arc<str>>,
    selector: Selector,
    feed: Arc<Feed>,
    /// The cluster's version once everything up to it is in the feeds.
    progress: Arc<AtomicU64>,
    /// Counts the events of all watches.
    said: Arc<AtomicU64>,
    alarm: Arc<Alarm>,
    id: u32,
    epoch: u32,
    cursor: u64,
    initial: std::vec::IntoIter<Arc<Object>>,
    end_bookmark: bool,
    failure: Option<Failure>,
    taken: VecDeque<Arc<Event>>,
    done: bool,
}

impl Subscription {
    pub(in crate::apiserver) fn start(
        start: Start,
        feed: Arc<Feed>,
        (progress, said): (Arc<AtomicU64>, Arc<AtomicU64>),
        alarm: Arc<Alarm>,
    ) -> Self {
        let (id, epoch) = feed.follow(alarm.clone());
        Self {
            resource: start.resource,
            namespace: start.namespace,
            selector: start.selector,
            feed,
            progress,
            said,
            alarm,
            id,
            epoch,
            cursor: start.after,
            initial: start.initial.into_iter(),
            end_bookmark: start.end_bookmark,
            failure: start.failure,
            taken: VecDeque::new(),
            done: false,
        }
    }

    /// What was asked for: events are rendered at its version.
    #[must_use]
    pub fn resource(&self) -> &Arc<Resource> {
        &self.resource
    }

    /// The next event if there is one now; `Pending` keeps the waker; `None` is the clean end.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<WatchEvent>> {
        // Before looking, so that nothing published in between is missed.
        self.alarm.listen(context.waker());
        match self.next_now() {
            Some(event) => Poll::Ready(Some(event)),
            None if self.done => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    /// The next event if there is one now, without keeping a waker. See [`Subscription::ended`].
    pub fn next_now(&mut self) -> Option<WatchEvent> {
        let event = self.find_next();
        if let Some(WatchEvent::Object { .. }) = event {
            self.said.fetch_add(1, Ordering::Relaxed);
        }
        event
    }

    fn find_next(&mut self) -> Option<WatchEvent> {
        if self.done {
            return None;
        }
        if let Some(failure) = self.failure.take() {
            self.done = true;
            return Some(WatchEvent::Error(Box::new(failure)));
        }
        if let Some(object) = self.initial.next() {
            let resource_version = object.meta.resource_version;
            return Some(WatchEvent::Object { kind: EventKind::Added, object, resource_version, source: None });
        }
        if std::mem::take(&mut self.end_bookmark) {
            return Some(WatchEvent::Bookmark { resource_version: self.cursor, initial_events_end: true });
        }
        self.follow()
    }

    /// Whether nothing will come any more.
    #[must_use]
    pub const fn ended(&self) -> bool {
        self.done
    }

    fn follow(&mut self) -> Option<WatchEvent> {
        loop {
            while let Some(event) = self.taken.pop_front() {
                self.cursor = event.resource_version;
                if let Some(seen) = self.see(event) {
                    return Some(seen);
                }
            }
            // Read before the feed: everything up to here is in it.
            let progress = self.progress.load(Ordering::Acquire);
            match self.feed.look(self.epoch, self.cursor, BATCH) {
                Look::Events(events) if !events.is_empty() => self.taken.extend(events),
                Look::Events(_) => return self.idle(progress),
                Look::Forgotten(floor) => {
                    self.done = true;
                    return Some(WatchEvent::Error(Box::new(Failure::too_old(self.cursor, floor))));
                }
                Look::Closed => {
                    self.done = true;
                    return None;
                }
            }
        }
    }

    /// Nothing happened: a bookmark or the end may be due.
    fn idle(&mut self, progress: u64) -> Option<WatchEvent> {
        self.cursor = self.cursor.max(progress);
        if self.alarm.take_bookmark() {
            return Some(WatchEvent::Bookmark { resource_version: self.cursor, initial_events_end: false });
        }
        self.done = self.alarm.ended();
        None
    }

    /// The event as this watch sees it, if it does.
    fn see(&self, event: Arc<Event>) -> Option<WatchEvent> {
        if self.namespace.as_ref().is_some_and(|namespace| *namespace != event.object.meta.namespace) {
            return None;
        }
        let resource_version = event.resource_version;
        if self.selector.is_empty() {
            let (kind, object) = (event.kind, event.object.clone());
            return Some(WatchEvent::Object { kind, object, resource_version, source: Some(event) });
        }
        let before = event.previous.as_ref().filter(|object| self.selector.matches(object));
        let after = event.kind != EventKind::Deleted && self.selector.matches(&event.object);
        let (kind, object) = match (before, after) {
            (None, false) => return None,
            (None, true) => (EventKind::Added, event.object.clone()),
            (Some(_), true) => (EventKind::Modified, event.object.clone()),
            (Some(_), false) if event.kind == EventKind::Deleted => (EventKind::Deleted, event.object.clone()),
            (Some(old), false) => (EventKind::Deleted, old.clone()),
        };
        let source = (kind == event.kind).then(|| event.clone());
        Some(WatchEvent::Object { kind, object, resource_version, source })
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.feed.leave(self.id);
    }
}
