//! How long a call may take.
//!
//! In: `timeout` of its query. Out: an end, and what is answered when it has passed. Answers take microseconds here, so what
//! can be late is a webhook, or a client that gives no time at all.

use super::query::Query;
use super::reply::{Reply, TEXT};
use super::{body::AnswerBody, route::Route};
use crate::apiserver::duration;
use crate::apiserver::failure::Failure;
use crate::clock;
use crate::units::{Span, Time};
use http::{Method, Response};

/// What a call may take at most, whoever asks for more (kube-apiserver's `--request-timeout`).
const MOST: Span = Span::from_secs(60);
/// The same of a call that writes (kube-apiserver, `endpoints/handlers`: `requestTimeoutUpperBound`).
const MOST_OF_WRITES: Span = Span::from_secs(34);

/// What is answered too late, byte for byte as it was recorded.
const LATE: &str = r#"{"metadata":{},"status":"Failure","message":"Timeout: request did not complete within the allotted timeout","reason":"Timeout","details":{},"code":504}"#;

/// When a call must be answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    end: Time,
    /// The client said how long.
    told: bool,
}

impl Limit {
    /// The limit of a call that begins now; none for a watch.
    pub(super) fn of(method: &Method, query: &Query<'_>, route: &Route<'_>) -> Result<Option<Self>, Failure> {
        let watches = matches!(query.text("watch"), Some("1" | "t" | "T" | "true" | "TRUE" | "True"));
        if watches && matches!(route, Route::Resource(_)) {
            return Ok(None);
        }
        let text = query.text("timeout").filter(|text| !text.is_empty());
        let told = match text.map(duration::parse).transpose() {
            Ok(nanos) => nanos.and_then(|nanos| u64::try_from(nanos).ok()).filter(|nanos| *nanos > 0).map(Span),
            Err(why) => {
                return Err(Failure::bad_request(format!("invalid timeout specified in the request URL - {why}")));
            }
        };
        let most = if matches!(*method, Method::GET | Method::HEAD) { MOST } else { MOST_OF_WRITES };
        let allowed = told.map_or(most, |told| told.min(most));
        Ok(Some(Self { end: clock::now() + allowed, told: told.is_some() }))
    }

    /// What is left of it.
    pub(super) fn left(self) -> Span {
        self.end.since(clock::now())
    }

    /// The answer to a call that took too long, if it did.
    pub(super) fn late(self, reply: &Reply<'_>) -> Option<Response<AnswerBody>> {
        let passed = self.told && self.left() == Span::ZERO;
        passed.then(|| reply.body(504, TEXT, LATE.into()))
    }
}
