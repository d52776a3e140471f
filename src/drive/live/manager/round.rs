//! Workers: take an app from the queue, run its machine, make its calls.
//!
//! Nothing is decided here. A call that a server pushes back (429, 503) is repeated when the server says so, a call whose
//! connection broke is repeated once: all of them may be, for they say what shall be, not what to add.

use super::index::{Shown, Start};
use super::object::Object;
use super::request::{self, Context};
use super::{Shared, hub_problem};
use crate::calls::{CallKey, Op, Reply, Target, Verb};
use crate::clock;
use crate::drive::live::net::{Answer as HttpAnswer, Route};
use crate::drive::round_outcome;
use crate::measure::Signal;
use crate::reconcile::{Body, Next, Outcome, Reconcile, Verdict, View};
use crate::units::{Span, Time};
use bytes::{Bytes, BytesMut};
use futures_util::future::join_all;
use http::{Response, header};
use http_body_util::BodyExt;
use serde_json::Value;
use smallvec::SmallVec;
use std::time::Duration;

/// How long a call may take in all.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a call is repeated that the server pushes back (client-go: 10).
const PUSHED_BACK_MAX: u32 = 10;
/// The longest pause before a repetition that a server can ask for.
const PAUSE_MAX_S: u64 = 30;

/// Works until the process ends.
pub(super) async fn work(shared: &Shared) {
    loop {
        let (key, waited, start) = next(shared).await;
        let began = clock::now();
        let cluster = start.cluster;
        let round = run(shared, key, start).await;
        let now = clock::now();
        let id = {
            let mut index = shared.index.lock();
            index.end(key, &round.outcome, now);
            if cluster.is_some_and(|cluster| index.left(cluster))
                && let Some(keeper) = &shared.keeper
            {
                keeper.changed.notify_one();
            }
            shared.arm(&mut index);
            index.apps[key as usize].id
        };
        shared.tell_depth(now);
        if let Some(app) = id
            && round.outcome.verdict != Verdict::Ignored
        {
            shared.reporter.signal(Signal::Round {
                app,
                shard: shared.shard,
                at: now,
                queue_wait: waited,
                took: now.since(began),
                calls: round.calls,
                outcome: round_outcome(&round.outcome, round.refused),
            });
        }
    }
}

/// The next app that can be worked on.
async fn next(shared: &Shared) -> (u32, Span, Start) {
    loop {
        let woken = shared.work.notified();
        {
            let now = clock::now();
            let mut index = shared.index.lock();
            while let Some((key, waited)) = index.queue.take(now) {
                let start = index.begin(key, now);
                match start {
                    Some(start) => {
                        // One worker wakes the next as long as there is work.
                        if index.queue.depth() > 0 {
                            shared.work.notify_one();
                        }
                        return (key, waited, start);
                    }
                    None => index.queue.done(key),
                }
            }
            shared.arm(&mut index);
        }
        woken.await;
    }
}

struct Round {
    outcome: Outcome,
    calls: u32,
    /// The last code that was no success.
    refused: Option<u16>,
}

async fn run(shared: &Shared, key: u32, start: Start) -> Round {
    let mut machine = Reconcile::new(start.app, start.seen, start.why, shared.rules);
    let mut replies: SmallVec<[Reply<View>; 2]> = SmallVec::new();
    let mut fetched = None;
    let (mut calls, mut refused) = (0, None);
    loop {
        match machine.step(&replies, clock::now()) {
            Next::Done(outcome) => return Round { outcome, calls, refused },
            Next::Call(ops) => {
                calls += u32::try_from(ops.len()).unwrap_or(u32::MAX);
                let caller = Caller { shared, key, cluster: start.cluster, fetched: fetched.as_ref(), nth: calls };
                let answers: SmallVec<[Answer; 2]> = match ops.as_slice() {
                    [op] => std::iter::once(caller.call(op).await).collect(),
                    several => join_all(several.iter().map(|op| caller.call(op))).await.into(),
                };
                replies = answers.iter().map(|answer| answer.reply.clone()).collect();
                refused = replies.iter().find(|reply| !reply.is_ok()).map(|reply| reply.code).or(refused);
                if let Some(application) = answers.into_iter().find_map(|answer| answer.application) {
                    fetched = Some(application);
                }
            }
        }
    }
}

struct Answer {
    reply: Reply<View>,
    /// An Application that was fetched (faithful).
    application: Option<Value>,
}

/// What all calls of a batch share.
#[derive(Clone, Copy)]
struct Caller<'a> {
    shared: &'a Shared,
    key: u32,
    cluster: Option<u32>,
    fetched: Option<&'a Value>,
    nth: u32,
}

impl Caller<'_> {
    async fn call(&self, op: &Op<Body>) -> Answer {
        let (mut pushed_back, mut broken) = (0, false);
        loop {
            let (code, pause, body) = self.attempt(op).await;
            self.shared.tally.lock().add(op, code);
            match code {
                429 | 503 if pushed_back < PUSHED_BACK_MAX && pause.is_some() => {
                    pushed_back += 1;
                    tokio::time::sleep(pause.unwrap_or_default()).await;
                }
                0 if !broken => broken = true,
                _ => return self.answer(op, code, &body),
            }
        }
    }

    async fn attempt(&self, op: &Op<Body>) -> (u16, Option<Duration>, Bytes) {
        let Some((route, wait)) = self.route(op) else { return (0, None, Bytes::new()) };
        if wait > Span::ZERO {
            tokio::time::sleep(wait.to_std()).await;
        }
        let now = clock::unix();
        let request = {
            let index = self.shared.index.lock();
            let nonce = now.0 ^ u64::from(self.nth) << 56;
            let context =
                Context { index: &index, key: self.key, fetched: self.fetched, now: &clock::rfc3339(now), nonce };
            request::build(&context, op)
        };
        let Ok(request) = request else { return (400, None, Bytes::new()) };
        let keep = op.target == Target::Leaf || op.verb == Verb::Get;
        let exchange = async {
            let response = route.send(request).await.ok()?;
            let (code, pause) = (response.status().as_u16(), retry_after(&response));
            let body = read(response, keep).await?;
            Some((code, pause, body))
        };
        tokio::time::timeout(CALL_TIMEOUT, exchange).await.ok().flatten().unwrap_or((0, None, Bytes::new()))
    }

    /// Where a call goes and how long it must wait for its turn.
    fn route(&self, op: &Op<Body>) -> Option<(Route, Span)> {
        let now = clock::now();
        if !self.shared.may_act(now) || self.cluster.is_some_and(|cluster| self.shared.is_lost(cluster)) {
            return None;
        }
        match (op.target, self.cluster) {
            (Target::Hub, _) => {
                let wait = self.shared.hub_bucket.lock().reserve(now);
                Some((self.shared.hub.clone(), wait))
            }
            (Target::Leaf, Some(cluster)) => {
                let mut index = self.shared.index.lock();
                let cluster = &mut index.clusters[cluster as usize];
                let wait = cluster.bucket.reserve(now);
                cluster.route.as_ref().ok().map(|route| (route.clone(), wait))
            }
            (Target::Leaf, None) => None,
        }
    }

    fn answer(&self, op: &Op<Body>, code: u16, body: &[u8]) -> Answer {
        let mut answer = Answer { reply: Reply { code, object: None }, application: None };
        let ok = answer.reply.is_ok();
        if op.target == Target::Hub {
            if ok && matches!(op.body, Body::Status { .. }) {
                self.shared.index.lock().answered(self.key);
            }
            answer.application = (op.verb == Verb::Get).then(|| serde_json::from_slice(body).ok()).flatten();
            if !ok && !answer.reply.is_absent() {
                hub_problem(code, op);
            }
            return answer;
        }
        if op.verb == Verb::Discover || op.body == Body::Namespace {
            return answer;
        }
        let now = clock::now();
        let mut index = self.shared.index.lock();
        if op.verb == Verb::Get && answer.reply.is_absent() {
            index.live_deleted(op.object, now);
        }
        if ok && op.verb != Verb::Delete {
            answer.reply.object = self.keep(&mut index, op, body, now);
        }
        answer
    }

    /// Puts what a reply shows into the cache and looks at it from there.
    fn keep(&self, index: &mut super::index::Index, op: &Op<Body>, body: &[u8], now: Time) -> Option<View> {
        let object: Object = serde_json::from_slice(body).ok()?;
        let slot = request::slot(&index.apps[self.key as usize], op);
        let how = if op.verb == Verb::Get { Shown::Seen } else { Shown::Written };
        index.live_applied(op.object, op.kind, &object, how, now);
        index.view(self.key, slot, op.object)
    }
}

/// `Retry-After` in seconds, as Kubernetes sends it.
fn retry_after(response: &Response<HttpAnswer>) -> Option<Duration> {
    let seconds: u64 = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(PAUSE_MAX_S)))
}

/// Reads the body to its end: a stream dropped halfway would be reset. Its bytes only if they are wanted.
async fn read(response: Response<HttpAnswer>, keep: bool) -> Option<Bytes> {
    let mut body = response.into_body();
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.ok()?.into_data()
            && keep
        {
            if first.is_empty() {
                first = data;
            } else {
                if rest.is_empty() {
                    rest.extend_from_slice(&first);
                }
                rest.extend_from_slice(&data);
            }
        }
    }
    Some(if rest.is_empty() { first } else { rest.freeze() })
}

/// The number of a call's answer in the tally, for calls that no machine asked for.
pub(super) fn watch_key(target: Target, verb: Verb, kind: crate::calls::Kind, code: u16) -> CallKey {
    CallKey { target, verb, kind: Some(kind), status: false, dry_run: false, code }
}
