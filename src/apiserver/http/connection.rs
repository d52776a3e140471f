//! Connections: which are served, TLS, HTTP/1.1 or HTTP/2, and their end.
//!
//! In: accepted sockets. Out: calls into `call`. Never looks into a request.
//!
//! Sizes: an idle HTTP/2 stream is one task of hyper's, so the future and the body of a call are kept to a pointer or
//! three. Windows are for uploads only, which are small; nothing here has a timer per stream.

use super::body::AnswerBody;
use super::call::{Answering, Conn};
use super::counters::Counted;
use super::identity::Identity;
use super::server::Server;
use crate::apiserver::endpoint;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, rustls};

/// Streams of one connection at a cluster's own address (`http2.Server` of kube-apiserver).
const STREAMS_UPSTREAM: u32 = 100;
/// Streams of one connection at the server's address, where one connection carries many clusters.
const STREAMS_SHARED: u32 = 100_000;
/// Upload window of a stream and of a connection (kube-apiserver: 256 KiB per stream).
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// What may wait inside hyper for one slow reader.
const SEND_BUFFER: usize = 64 << 10;
/// Largest header block (`http.DefaultMaxHeaderBytes`).
const HEADERS: u32 = 1 << 20;
/// kube-apiserver lets a keep-alive connection idle for 90 s; hyper has one time for that and for slow headers.
const IDLE: Duration = Duration::from_secs(90);
/// Time for a TLS handshake (Go's `http.Server` uses the header timeout of 32 s).
const HANDSHAKE: Duration = Duration::from_secs(32);

/// What Go's TLS server says to a client that speaks plain HTTP.
const PLAIN_HTTP: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// Serves one accepted socket to its end, or to a graceful end when `stop` changes.
pub(super) async fn serve(server: Arc<Server>, socket: TcpStream, stop: watch::Receiver<bool>) {
    let Ok(local) = socket.local_addr() else { return };
    if !server.listen().serves(local) {
        return;
    }
    // A connection that is gone already tells so on its first read.
    let _ = socket.set_nodelay(true);
    let socket = Counted::new(socket, server.counters());
    let Some(tls) = handshake(&server, socket, local).await else { return };
    let cluster = endpoint::cluster_at(endpoint::plain(local)).filter(|&cluster| server.has(cluster));
    // The handshake has verified that a certificate is of an authority that is trusted here.
    let shown = tls.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let conn = Conn { cluster, local, client: shown.and_then(|shown| Identity::shown(shown)).map(Arc::new) };
    let h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
    let streams = if conn.cluster.is_some() { STREAMS_UPSTREAM } else { STREAMS_SHARED };
    let call = Calls { server, conn: Arc::new(conn) };
    // Boxed, because the state of the connection would make the accepting task's future as large.
    if h2 {
        Box::pin(serve_h2(tls, call, streams, stop)).await;
    } else {
        Box::pin(serve_h1(tls, call, stop)).await;
    }
}

async fn handshake<S>(server: &Server, socket: S, local: SocketAddr) -> Option<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = server.certificates().config(endpoint::plain(local)).ok()?;
    let accept = TlsAcceptor::from(config).accept(socket).into_fallible();
    match tokio::time::timeout(HANDSHAKE, accept).await.ok()? {
        Ok(tls) => Some(tls),
        Err((error, mut socket)) => {
            let plain = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            if matches!(plain, Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType))) {
                // The client may be gone; there is nobody else to tell.
                let _ = socket.write_all(PLAIN_HTTP).await;
                let _ = socket.shutdown().await;
            }
            None
        }
    }
}

async fn serve_h2<S>(tls: TlsStream<S>, calls: Calls, streams: u32, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .adaptive_window(false)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(HEADERS)
        // A client that drops all its watches at once is no attack here.
        .max_pending_accept_reset_streams(streams as usize)
        .max_local_error_reset_streams(None);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(tls), calls));
    tokio::select! {
        // How a connection ends is its client's business.
        _ = connection.as_mut() => return,
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn serve_h1<S>(tls: TlsStream<S>, calls: Calls, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(IDLE).max_headers(256).max_buf_size(HEADERS as usize);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(tls), calls));
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// hyper's view of the server: one call per request of one connection.
#[derive(Clone)]
struct Calls {
    server: Arc<Server>,
    conn: Arc<Conn>,
}

impl hyper::service::Service<Request<Incoming>> for Calls {
    type Response = http::Response<AnswerBody>;
    type Error = std::convert::Infallible;
    type Future = Answering<Incoming>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        Answering::start(&self.server, &self.conn, request)
    }
}
