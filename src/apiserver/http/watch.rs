//! The body of a watch.
//!
//! In: a subscription of the store. Out: JSON lines, or frames in protobuf, as many as wait in one frame, sent at once. A lone event goes out as
//! the bytes that all its watchers share. The subscription's own alarm wakes it for bookmarks and at its end: there is
//! no timer here.

use super::accept::Form;
use super::counters::OpenWatch;
use super::form::{self, View};
use super::{protobuf, table};
use crate::apiserver::object::Object;
use crate::apiserver::schema::Resource;
use crate::apiserver::store::{EventKind, Subscription, WatchEvent};
use bytes::{Bytes, BytesMut};
use std::io::Write as _;
use std::task::{Context, Poll};

/// Events are gathered into frames up to about this size; h2 cuts them to 16 KiB anyway.
const FRAME: usize = 32 << 10;

/// A running watch.
pub(crate) struct WatchBody {
    subscription: Box<Subscription>,
    view: View,
    /// Whether the table's columns were sent.
    headed: bool,
    ended: bool,
    _open: OpenWatch,
}

impl WatchBody {
    pub(super) fn new(subscription: Box<Subscription>, view: View, open: OpenWatch) -> Self {
        Self { subscription, view, headed: false, ended: false, _open: open }
    }

    /// The next frame; `None` is the clean end.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        while !self.ended && first.len() + rest.len() < FRAME {
            match self.subscription.poll_next(cx) {
                Poll::Ready(Some(event)) => {
                    let line = self.line(&event);
                    let line = if self.view.agreed.protobuf { framed(&line) } else { line };
                    if first.is_empty() {
                        first = line;
                    } else {
                        rest.extend_from_slice(&line);
                    }
                }
                Poll::Ready(None) => self.ended = true,
                Poll::Pending if first.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        if rest.is_empty() {
            return Poll::Ready((!first.is_empty()).then_some(first));
        }
        let mut all = BytesMut::with_capacity(first.len() + rest.len());
        all.extend_from_slice(&first);
        all.extend_from_slice(&rest);
        Poll::Ready(Some(all.freeze()))
    }

    fn line(&mut self, event: &WatchEvent) -> Bytes {
        let asked = &**self.subscription.resource();
        let beta = self.view.agreed.beta;
        if let WatchEvent::Error(_) = event {
            return event.json(asked);
        }
        let mut out = Vec::with_capacity(1024);
        match self.view.agreed.form {
            Form::Whole | Form::Discovery => return event.json(asked),
            Form::Metadata | Form::MetadataList => {
                open(&mut out, event);
                partial(event, beta, &mut out);
            }
            Form::Table => {
                open(&mut out, event);
                let view = View { unix: crate::clock::unix(), ..self.view };
                table_event(event, asked, view, !self.headed, &mut out);
                self.headed = true;
            }
        }
        out.extend_from_slice(b"}\n");
        out.into()
    }
}

/// An event in protobuf; what has no such form is an empty object.
fn framed(line: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(line.len());
    let event: serde_json::Value = serde_json::from_slice(line).unwrap_or_default();
    let document = protobuf::from_json(event["object"].to_string().as_bytes()).unwrap_or_default();
    protobuf::frame(event["type"].as_str().unwrap_or_default(), &document, &mut out);
    out.into()
}

fn open(out: &mut Vec<u8>, event: &WatchEvent) {
    let kind = match event {
        WatchEvent::Object { kind: EventKind::Added, .. } => "ADDED",
        WatchEvent::Object { kind: EventKind::Modified, .. } => "MODIFIED",
        WatchEvent::Object { kind: EventKind::Deleted, .. } => "DELETED",
        WatchEvent::Bookmark { .. } => "BOOKMARK",
        WatchEvent::Error(_) => "ERROR",
    };
    // Writing into a vector cannot fail.
    let _ = write!(out, "{{\"type\":\"{kind}\",\"object\":");
}

/// The object of an event as `PartialObjectMetadata`.
fn partial(event: &WatchEvent, beta: bool, out: &mut Vec<u8>) {
    match event {
        WatchEvent::Object { object, resource_version, .. } => form::metadata_at(object, *resource_version, beta, out),
        WatchEvent::Bookmark { resource_version, initial_events_end } => {
            let annotations =
                if *initial_events_end { r#","annotations":{"k8s.io/initial-events-end":"true"}"# } else { "" };
            let api = form::meta_version(beta);
            let _ = write!(
                out,
                "{{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"{api}\",\"metadata\":{{\"resourceVersion\":\"{resource_version}\"{annotations}}}}}"
            );
        }
        WatchEvent::Error(failure) => out.extend_from_slice(&failure.to_json()),
    }
}

/// The object of an event as a table of one row; only the first one has columns.
fn table_event(event: &WatchEvent, asked: &Resource, view: View, head: bool, out: &mut Vec<u8>) {
    let beta = view.agreed.beta;
    match event {
        WatchEvent::Object { object, resource_version, .. } => {
            let object: &Object = object;
            let table = table::open(out, beta, &resource_version.to_string(), "", None);
            let rows = std::iter::once((object, *resource_version));
            if head { table.rows(asked, view, rows) } else { table.rows_only(asked, view, rows) }
        }
        WatchEvent::Bookmark { resource_version, .. } => {
            let mut row = Vec::new();
            partial(event, beta, &mut row);
            table::open(out, beta, &resource_version.to_string(), "", None).bookmark(asked, head, &row);
        }
        WatchEvent::Error(failure) => out.extend_from_slice(&failure.to_json()),
    }
}
