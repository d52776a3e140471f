//! A client of few words for whoever is neither a manager nor a watcher of kube's: single writes, and collections that are
//! followed for ever.
//!
//! In: routes and calls. Out: answers or refusals, objects as they come. Every call is counted.

use super::wire::{Answer, Route};
use crate::calls::{CallKey, Kind, Tally, Target, Verb};
use crate::reconcile::Backoff;
use crate::units::Span;
use bytes::{Bytes, BytesMut};
use http::Response;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(in crate::drive::live) const JSON: &str = "application/json";
pub(in crate::drive::live) const MERGE_PATCH: &str = "application/merge-patch+json";
pub(in crate::drive::live) const APPLY: &str = "application/apply-patch+yaml";

/// The pause before a collection is followed anew; doubles (client-go's reflector: 800 ms to 30 s).
pub(in crate::drive::live) const BACKOFF: Backoff = Backoff { base: Span::from_millis(800), max: Span::from_secs(30) };
/// A watch is opened anew after so long (client-go: 5 to 10 minutes).
const WATCH_S: u32 = 300;

/// Makes calls under one name.
#[derive(Debug)]
pub(in crate::drive::live) struct Client {
    user_agent: &'static str,
    tally: Arc<Mutex<Tally>>,
    watches: AtomicU64,
    watches_max: AtomicU64,
    events: AtomicU64,
}

/// One write.
pub(in crate::drive::live) struct Call<'a> {
    pub(in crate::drive::live) target: Target,
    pub(in crate::drive::live) method: &'static str,
    pub(in crate::drive::live) kind: Kind,
    pub(in crate::drive::live) path: String,
    pub(in crate::drive::live) media: &'static str,
    /// JSON: a value, or its text.
    pub(in crate::drive::live) body: &'a (dyn Display + Sync),
}

impl Call<'_> {
    fn key(&self, code: u16) -> CallKey {
        let verb = match self.method {
            "GET" => Verb::Get,
            "POST" => Verb::Create,
            "PATCH" if self.media == APPLY => Verb::Apply,
            "PATCH" => Verb::Patch,
            _ => Verb::Delete,
        };
        let path = self.path.split('?').next().unwrap_or_default();
        let status = path.ends_with("/status");
        CallKey { target: self.target, verb, kind: Some(self.kind), status, dry_run: false, code }
    }
}

/// Why a call did not do what it should.
#[derive(Debug)]
pub(in crate::drive::live) struct Refusal {
    /// The same call may succeed later.
    pub(in crate::drive::live) may_pass: bool,
    /// The object does not exist.
    pub(in crate::drive::live) absent: bool,
    /// Equal for calls that failed in the same way.
    pub(in crate::drive::live) sort: String,
    pub(in crate::drive::live) message: String,
}

/// What an API server says when it refuses.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    message: String,
}

/// What is heard of a collection. Objects are JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::drive::live) enum News<'a> {
    /// It is about to be told from the beginning.
    Listing,
    /// An object appeared or changed.
    Applied(&'a str),
    /// An object is gone.
    Deleted(&'a str),
    /// Everything that exists was told.
    Listed,
}

#[derive(Deserialize)]
struct Line<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

/// Type and object of an event. Go's servers write nothing else and in this order, so the object ends where the line does;
/// it is looked through by whoever reads it, and only then.
fn event(line: &str) -> Option<(&str, &str)> {
    let written = || {
        let (kind, object) = line.strip_prefix(r#"{"type":""#)?.split_once(r#"","object":"#)?;
        let object = object.trim_end().strip_suffix('}')?;
        (kind.bytes().all(|byte| byte.is_ascii_uppercase()) && object.starts_with('{')).then_some((kind, object))
    };
    written().or_else(|| {
        let line: Line<'_> = serde_json::from_str(line).ok()?;
        Some((line.r#type, line.object.get()))
    })
}

impl Client {
    pub(in crate::drive::live) fn new(user_agent: &'static str) -> Self {
        Self {
            user_agent,
            tally: Arc::default(),
            watches: AtomicU64::new(0),
            watches_max: AtomicU64::new(0),
            events: AtomicU64::new(0),
        }
    }

    /// The calls made so far, for whoever tells them.
    pub(in crate::drive::live) fn tally(&self) -> Arc<Mutex<Tally>> {
        Arc::clone(&self.tally)
    }

    /// The most watches at once, and the events of all.
    pub(in crate::drive::live) fn watched(&self) -> (u64, u64) {
        (self.watches_max.load(Ordering::Relaxed), self.events.load(Ordering::Relaxed))
    }

    /// Makes a call and reads its answer.
    pub(in crate::drive::live) async fn send(&self, to: &Route, call: Call<'_>) -> Result<Bytes, Refusal> {
        let sort = |code: u16| format!("{} {} {code}", call.method, call.kind.info().plural);
        let lost = |e: &dyn std::fmt::Display| Refusal {
            may_pass: true,
            absent: false,
            sort: sort(0),
            message: format!("{} {}: {e}", call.method, call.path),
        };
        let request = http::Request::builder()
            .method(call.method)
            .uri(&call.path)
            .header(http::header::CONTENT_TYPE, call.media)
            .header(http::header::USER_AGENT, self.user_agent)
            .body(kube::client::Body::from(call.body.to_string().into_bytes()))
            .map_err(|e| lost(&e))?;
        let response = to.send(request).await;
        let code = response.as_ref().map_or(0, |response| response.status().as_u16());
        self.tally.lock().add_key(call.key(code), 1);
        let response = response.map_err(|e| lost(&e))?;
        let body = response.into_body().collect().await.map_err(|e| lost(&e))?.to_bytes();
        if (200..300).contains(&code) {
            return Ok(body);
        }
        let status: Status = serde_json::from_slice(&body).unwrap_or_default();
        let message = format!("{} {}: {code} {}", call.method, call.path, status.message);
        Err(Refusal { may_pass: code == 429 || code >= 500, absent: code == 404, sort: sort(code), message })
    }

    /// Tells what there is in a collection and what becomes of it, for ever.
    pub(in crate::drive::live) async fn follow(
        &self,
        (to, target): (&Route, Target),
        kind: Kind,
        (path, selector): (&str, &str),
        mut tell: impl FnMut(News<'_>),
    ) {
        let query = format!(
            "{path}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true\
             &timeoutSeconds={WATCH_S}{selector}"
        );
        let open = self.watches.fetch_add(1, Ordering::Relaxed) + 1;
        self.watches_max.fetch_max(open, Ordering::Relaxed);
        let mut failures = 0;
        loop {
            let request = http::Request::get(&query).header(http::header::USER_AGENT, self.user_agent);
            let Ok(request) = request.body(kube::client::Body::empty()) else { return };
            let response = to.send(request).await;
            let code = response.as_ref().map_or(0, |response| response.status().as_u16());
            let key = CallKey { target, verb: Verb::Watch, kind: Some(kind), status: false, dry_run: false, code };
            self.tally.lock().add_key(key, 1);
            if let Ok(response) = response
                && code == 200
            {
                tell(News::Listing);
                failures = if self.read(response, &mut tell).await { 0 } else { failures + 1 };
            } else {
                failures += 1;
            }
            if failures > 0 {
                tokio::time::sleep(BACKOFF.delay(failures - 1).to_std()).await;
            }
        }
    }

    /// Reads a watch to its end; whether it got as far as to tell everything that exists.
    async fn read(&self, response: Response<Answer>, tell: &mut impl FnMut(News<'_>)) -> bool {
        let mut body = response.into_body();
        let (mut pending, mut listed) = (BytesMut::new(), false);
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(data) = frame.into_data() else { continue };
            pending.extend_from_slice(&data);
            let Some(end) = pending.iter().rposition(|byte| *byte == b'\n') else { continue };
            let whole = pending.split_to(end + 1);
            for line in whole[..].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let Some((kind, object)) = std::str::from_utf8(line).ok().and_then(event) else { return listed };
                self.events.fetch_add(1, Ordering::Relaxed);
                match kind {
                    "ADDED" | "MODIFIED" => tell(News::Applied(object)),
                    "DELETED" => tell(News::Deleted(object)),
                    // The first bookmark ends the list; later ones change nothing.
                    "BOOKMARK" if !listed => {
                        listed = true;
                        tell(News::Listed);
                    }
                    "BOOKMARK" => {}
                    _ => return listed,
                }
            }
        }
        listed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_whatever_its_order() {
        for (line, expected) in [
            (r#"{"type":"ADDED","object":{"a":{}}}"#, Some(("ADDED", r#"{"a":{}}"#))),
            (r#"{"object":{"a":1},"type":"DELETED"}"#, Some(("DELETED", r#"{"a":1}"#))),
            (r#"{ "type": "MODIFIED", "object": {} }"#, Some(("MODIFIED", "{}"))),
            (r#"{"type":"","object":{"#, None),
        ] {
            assert_eq!(event(line), expected, "{line}");
        }
    }
}
