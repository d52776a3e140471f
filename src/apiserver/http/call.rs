//! One call, from its head to its answer.
//!
//! In: a request of a connection. Out: a future that is ready at once unless a body has to be read. The rules run on the
//! connection's own thread: they take microseconds, less than a hand-over would.

use super::body::AnswerBody;
use super::identity::Identity;
use super::server::Server;
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::Body;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Largest body (`MaxRequestBodyBytes` of kube-apiserver).
pub(crate) const BODY_MAX: usize = 3 << 20;
/// How much of an oversized body is read and dropped, so that its sender can read the refusal.
const DRAIN_MAX: usize = 16 << 20;

/// What is known about a connection.
#[derive(Debug)]
pub(crate) struct Conn {
    /// The cluster whose own address was called.
    pub(crate) cluster: Option<u32>,
    /// The address that was called.
    pub(crate) local: SocketAddr,
    /// Whom the client's certificate names, if it showed one.
    pub(crate) client: Option<Arc<Identity>>,
}

/// The body of a request, as far as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// All of it.
    Whole(Bytes),
    /// More than [`BODY_MAX`].
    TooLarge,
}

/// The future of one answer.
pub(crate) enum Answering<B> {
    /// It is there.
    Ready(Option<Response<AnswerBody>>),
    /// The body is still coming.
    Reading(Box<Reading<B>>),
}

/// A request whose body is still coming.
pub(crate) struct Reading<B> {
    server: Arc<Server>,
    conn: Arc<Conn>,
    parts: Parts,
    incoming: B,
    first: Bytes,
    rest: BytesMut,
    seen: usize,
}

impl<B: Body<Data = Bytes> + Unpin> Answering<B> {
    pub(crate) fn start(server: &Arc<Server>, conn: &Arc<Conn>, request: Request<B>) -> Self {
        let (parts, incoming) = request.into_parts();
        if incoming.is_end_stream() || matches!(parts.method, Method::GET | Method::HEAD) {
            return Self::Ready(Some(server.answer(conn, &parts, &Received::Whole(Bytes::new()))));
        }
        let (server, conn) = (Arc::clone(server), Arc::clone(conn));
        Self::Reading(Box::new(Reading {
            server,
            conn,
            parts,
            incoming,
            first: Bytes::new(),
            rest: BytesMut::new(),
            seen: 0,
        }))
    }
}

impl<B: Body<Data = Bytes> + Unpin> Future for Answering<B> {
    type Output = Result<Response<AnswerBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Ready(answer) => Poll::Ready(Ok(answer.take().unwrap_or_else(|| Response::new(AnswerBody::Empty)))),
            Self::Reading(reading) => {
                let received = ready!(reading.poll(cx));
                Poll::Ready(Ok(reading.server.answer(&reading.conn, &reading.parts, &received)))
            }
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Reading<B> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        loop {
            match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.push(data);
                    }
                    if self.seen > DRAIN_MAX {
                        return Poll::Ready(Received::TooLarge);
                    }
                }
                // A body that breaks off is answered like a short one; its sender is gone.
                Some(Err(_)) | None => return Poll::Ready(self.finish()),
            }
        }
    }

    /// Keeps one frame without copying, which is nearly every body.
    fn push(&mut self, data: Bytes) {
        self.seen += data.len();
        if self.seen > BODY_MAX {
            (self.first, self.rest) = (Bytes::new(), BytesMut::new());
        } else if self.first.is_empty() && self.rest.is_empty() {
            self.first = data;
        } else {
            if self.rest.is_empty() {
                self.rest.extend_from_slice(&self.first);
                self.first = Bytes::new();
            }
            self.rest.extend_from_slice(&data);
        }
    }

    fn finish(&mut self) -> Received {
        if self.seen > BODY_MAX {
            Received::TooLarge
        } else if self.rest.is_empty() {
            Received::Whole(std::mem::take(&mut self.first))
        } else {
            Received::Whole(std::mem::take(&mut self.rest).freeze())
        }
    }
}
