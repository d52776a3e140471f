//! A cluster without a socket: a tower service that takes what an HTTP client would send and gives what it would get.
//!
//! In: requests with paths as kube-apiserver has them. Out: answers, watches included. Nothing is encoded for a wire and
//! nothing waits: the rules run when the service is called.

use super::body;
use super::call::{Answering, Conn};
use super::identity::Identity;
use super::server::Server;
use crate::apiserver::endpoint;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The port in the addresses that discovery tells; nobody listens there.
const PORT: u16 = 443;

/// One cluster as a [`tower::Service`] over `http` requests, cheap to clone.
///
/// Whoever holds it is the administrator of the cluster, unless a request has an `Authorization` header of its own: then
/// that counts, as it does over sockets. `Impersonate-*` headers work as well.
#[derive(Clone)]
pub struct Service {
    server: Arc<Server>,
    admin: Arc<Conn>,
    bare: Arc<Conn>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("cluster", &self.admin.cluster).finish_non_exhaustive()
    }
}

impl Service {
    pub(in crate::apiserver) fn new(server: &Arc<Server>, cluster: u32) -> Self {
        let local = SocketAddr::new(endpoint::address(cluster).into(), PORT);
        let conn = |client| Arc::new(Conn { cluster: Some(cluster), local, client });
        let admin = conn(Some(Arc::new(Identity::admin())));
        Self { server: Arc::clone(server), admin, bare: conn(None) }
    }
}

impl<B: Body<Data = Bytes> + Unpin> tower::Service<Request<B>> for Service {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Answer<B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answer<B> {
        let conn = if request.headers().contains_key(AUTHORIZATION) { &self.bare } else { &self.admin };
        Answer(Answering::start(&self.server, conn, request))
    }
}

/// The future of an answer of a [`Service`]; ready at once unless the body of the request is still coming.
pub struct Answer<B>(Answering<B>);

impl<B> std::fmt::Debug for Answer<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}

impl<B: Body<Data = Bytes> + Unpin> Future for Answer<B> {
    type Output = Result<Response<AnswerBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_ok(|answer| answer.map(AnswerBody))
    }
}

/// The body of an answer of a [`Service`]: all of it at once, or the events of a watch as they come.
pub struct AnswerBody(body::AnswerBody);

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerBody").finish_non_exhaustive()
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
