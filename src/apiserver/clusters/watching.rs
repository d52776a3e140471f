//! WATCH: how a subscription starts (W-01), and the knobs that disturb running ones.

use super::Cluster;
use super::read::check_watch_options;
use crate::apiserver::failure::Failure;
use crate::apiserver::request::{Now, Request, Response};
use crate::apiserver::select::Selector;
use crate::apiserver::store::{Alarm, Range, Start, Subscription};
use crate::seed::Seed;
use crate::units::Span;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Length of a watch that asks for none: drawn between this and twice this (upstream: `MinRequestTimeout` 1800 s).
const MIN_LENGTH: Span = Span::from_secs(1_800);

impl Cluster {
    pub(super) fn watch(&self, request: &Request<'_>, now: Now) -> Result<Response, Box<Failure>> {
        check_watch_options(request)?;
        let resource = request.resource;
        let options = &request.options;
        let one = request.name.map(|name| format!("metadata.name={name}"));
        let fields = one.as_deref().or(options.field_selector);
        let selector = Selector::parse(resource, options.label_selector, fields)?;
        let version = match options.resource_version {
            "" => 0,
            text => text.parse::<u64>().map_err(|_| {
                Failure::bare(format!(
                    "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
                ))
            })?,
        };
        let initial = options.send_initial_events.unwrap_or(version == 0);
        let alarm = self.alarm(request, now);
        let mut state = self.state.lock();
        let feed = state.collection(resource).feed.clone();
        let mut start = Start {
            resource: resource.clone(),
            namespace: request.namespace.filter(|_| resource.namespaced).map(Arc::from),
            selector,
            after: state.version,
            initial: Vec::new(),
            end_bookmark: initial && options.allow_bookmarks,
            failure: None,
        };
        if initial && version > state.version {
            start.failure = Some(Failure::too_large(version, state.version));
        } else if initial {
            let namespace = start.namespace.as_deref();
            let range = Range { namespace, after: None, selector: &start.selector, limit: 0 };
            start.initial = self.page(&state, resource, &range, &[]).items;
        } else if version > 0 {
            start.after = version;
            start.failure = feed.reaches(version).err().map(|floor| Failure::too_old(version, floor));
        }
        let subscription =
            Subscription::start(start, feed, (self.progress.clone(), self.shared.said.clone()), alarm.clone());
        drop(state);
        self.shared.wheel.watch(&alarm, now.monotonic);
        Ok(Response::Watch(Box::new(subscription)))
    }

    fn alarm(&self, request: &Request<'_>, now: Now) -> Arc<Alarm> {
        let n = self.shared.watches.fetch_add(1, Ordering::Relaxed);
        let draws = Seed::new(self.shared.settings.seed).child("watches").entity(u64::from(self.id));
        let length = match request.options.timeout {
            Some(timeout) if timeout > Span::ZERO => timeout,
            _ => draws.span(2 * n, MIN_LENGTH, MIN_LENGTH.scaled(2, 1)),
        };
        let every = self.shared.settings.bookmark_every;
        // A twentieth of jitter, so that watches started together do not ring together for ever.
        let every = every + draws.span(2 * n + 1, Span::ZERO, every.scaled(1, 20));
        let every = if request.options.allow_bookmarks && self.shared.settings.bookmark_every > Span::ZERO {
            every
        } else {
            Span::ZERO
        };
        Alarm::new(now.monotonic + length, every)
    }

    /// Ends every watch cleanly: clients resume from their last version.
    pub fn drop_watches(&self) {
        for feed in self.state.lock().feeds() {
            feed.close();
        }
    }

    /// Forgets the past: every watch and page from an older version is 410 from now on.
    pub fn forget(&self) {
        let state = self.state.lock();
        for feed in state.feeds() {
            feed.forget_all(state.version, &self.shared.budget);
        }
    }

    /// How many watches run.
    #[must_use]
    pub fn watches(&self) -> usize {
        self.state.lock().feeds().map(|feed| feed.followers()).sum()
    }
}
